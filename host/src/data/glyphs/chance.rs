//! Random numbers of the invented data set, made of plain bits. Knows nothing of what they decide.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An own stream of chance for each purpose and place, so that no drawing depends on how many others there are.
pub(super) fn stream(seed: u64, place: [usize; 4]) -> ChaCha8Rng {
    let mixed = place.iter().fold(seed, |state, &number| {
        // SplitMix64 (Steele, Lea and Flood 2014).
        let mut z = (state ^ number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    ChaCha8Rng::seed_from_u64(mixed)
}

/// 0 to 1, without 1. Made here of plain bits: a newer `rand` must not redraw the data set.
pub(super) fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

pub(super) fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * unit(rng)
}

/// 0 to `count`, without `count`.
pub(super) fn below(rng: &mut ChaCha8Rng, count: usize) -> usize {
    ((u64::from(rng.next_u32()) * count as u64) >> 32) as usize
}

/// An index, as likely as its weight.
pub(super) fn weighted(rng: &mut ChaCha8Rng, weights: &[f32]) -> usize {
    let mut left = unit(rng) * weights.iter().sum::<f32>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    weights.len() - 1
}
