//! Measures what the device costs on this machine, for people and for machines. Knows the parts that it measures:
//! nothing of what they are used for, and no other runtime (those are compared in `tests/rivals`).

use std::fs;

pub mod encoder;
pub mod gallery;

/// Memory of this process that lies in the machine's, in bytes; none where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// How long something took, over many rounds, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one of the sorted times.
    pub median: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
}

impl Spread {
    /// Of `times` in seconds, in any order; none where there are none.
    pub fn of(mut times: Vec<f64>) -> Option<Self> {
        times.sort_by(f64::total_cmp);
        let share = |part: f64| times.get(((times.len() as f64 * part).ceil() as usize).max(1) - 1);
        Some(Self {
            median: *share(0.5)?,
            p99: *share(0.99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_times_the_fiftieth_is_the_median_and_one_is_beyond_p99() {
        let times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let expected = Spread {
            median: 50.0,
            p99: 99.0,
        };
        assert_eq!(Spread::of(times), Some(expected));
        assert_eq!(Spread::of(vec![3.0]).map(|spread| spread.p99), Some(3.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
