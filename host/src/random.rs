//! Seeded random numbers: each purpose has streams of its own, so no use moves another. Knows nothing of what
//! draws from them.
//!
//! A stream's number is part of what a seed means: a purpose that goes leaves a gap, and a new one takes a number
//! that no other ever had.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first weights.
    Init = 1,
    /// Which groups validate.
    Split = 2,
    /// What a step looks at.
    Batch = 3,
    /// The order of pairs in an epoch.
    Order = 4,
    /// Which pairs there are.
    Pairs = 5,
    /// How a copy of a pair is distorted.
    Distortion = 6,
    /// Trials of one-shot classification.
    Trials = 7,
    /// Pairs to verify.
    Verification = 8,
    /// Which pictures set 8-bit ranges.
    Calibration = 9,
    /// Which classes a resample draws.
    Bootstrap = 10,
    /// Galleries and probes of open-set identification.
    OpenSet = 11,
    /// What the simulated camera does to a training picture.
    Camera = 12,
    /// What it does to a picture that is measured.
    Photographs = 13,
    /// Galleries for the report's table of confusions.
    ReportConfusions = 0x4003,
}

/// The random numbers for one purpose and index, below 2^48.
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 48) | index);
    rng
}
