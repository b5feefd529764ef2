//! Measures what the device costs on this machine, for people and for machines. Knows the parts that it measures:
//! nothing of what they are used for, and no other runtime (those are compared in `tests/rivals`).

pub(crate) mod encoder;
pub(crate) mod gallery;

use std::io::Write;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Args;

use crate::cli::Failure;
use crate::cli::open::Common;
use crate::model;

#[derive(Args)]
pub(super) struct BenchArgs {
    /// Make up galleries of these sizes and search them, such as 1000,10000,1000000
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    classes: Vec<NonZeroUsize>,
}

pub(super) fn run(
    BenchArgs { classes }: BenchArgs,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if classes.is_empty() {
        let (bytes, name) = match &common.model {
            Some(path) => (model::read(path)?, path.display().to_string()),
            None => (model::SHIPPED.to_vec(), "the shipped model".to_owned()),
        };
        encoder::run(&bytes, &name, common.json, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let model = common.load_model()?;
    if !common.json {
        writeln!(out, "{}", gallery::HEADINGS)?;
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    for count in &classes {
        for row in gallery::search(&model, count.get(), threads)? {
            common.print(out, serde_json::to_value(row)?, || row.to_string())?;
        }
    }
    for count in &classes {
        if let Some(kept) = gallery::keep(&model, count.get())? {
            common.print(out, serde_json::to_value(kept)?, || kept.to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
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
