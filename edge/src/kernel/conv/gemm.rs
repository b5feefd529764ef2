//! How fast a convolution could be: a plain product on its loops, all of it in the nearest cache. For benches.

use super::{Aligned, Routines, STEP, Taps, accumulate};
use crate::kernel::Isa;

/// A plain product of matrices on the same loops, all of it in the nearest cache: how fast a
/// convolution could be.
pub struct Gemm {
    routines: Routines,
    taps: Taps,
    pixels: Vec<u32>,
    samples: Vec<u8>,
    weights: Aligned,
    sums: Vec<i32>,
}

impl Gemm {
    const ROWS: usize = 32;
    const DEPTH: usize = 256;
    /// Products a run, enough for a clock to tell their time.
    const REPEATS: usize = 50;

    /// For `isa`.
    pub fn new(isa: Isa) -> Self {
        let routines = Routines::of(isa);
        let row_bytes = Self::DEPTH * routines.sample.bytes();
        let byte = |i: usize| (i * 37 % 127) as u8;
        let weights: Vec<u8> = (0..row_bytes * routines.filters).map(byte).collect();
        Self {
            routines,
            taps: Taps {
                rows: 1,
                steps: row_bytes / STEP,
                row_bytes,
            },
            pixels: (0..Self::ROWS)
                .map(|row| (row * row_bytes) as u32)
                .collect(),
            samples: (0..row_bytes * Self::ROWS).map(byte).collect(),
            weights: Aligned::new(&weights),
            sums: vec![0; Self::ROWS * routines.filters],
        }
    }

    /// Multiply-adds of one run.
    pub fn macs(&self) -> u64 {
        (Self::ROWS * Self::DEPTH * self.routines.filters * Self::REPEATS) as u64
    }

    /// The sums, run by run the same.
    pub fn run(&mut self) -> &[i32] {
        let Self {
            routines,
            taps,
            pixels,
            samples,
            weights,
            sums,
        } = self;
        for _ in 0..Self::REPEATS {
            accumulate(routines, taps, pixels, samples, weights.bytes(), sums);
        }
        sums
    }
}
