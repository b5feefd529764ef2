//! One number at a time: what the other loops compute, in plain words.

use super::{Finish, Routines, STEP, Sample, Taps};

/// Filters in a block.
const FILTERS: usize = 8;

pub(super) const ROUTINES: Routines = Routines {
    sample: Sample::Offset,
    filters: FILTERS,
    accumulate,
    dot,
    finish,
};

fn accumulate(taps: &Taps, pixels: &[u32], samples: &[u8], weights: &[u8], sums: &mut [i32]) {
    let row_weights = taps.steps * FILTERS * STEP;
    for (pixel, sums) in pixels.iter().zip(sums.chunks_exact_mut(FILTERS)) {
        sums.fill(0);
        for row in 0..taps.rows {
            let run = &samples[*pixel as usize + row * taps.row_bytes..][..taps.steps * STEP];
            let weights = &weights[row * row_weights..][..row_weights];
            let steps = run
                .chunks_exact(STEP)
                .zip(weights.chunks_exact(FILTERS * STEP));
            for (samples, weights) in steps {
                for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(STEP)) {
                    *sum = sum.wrapping_add(dot(samples, weights));
                }
            }
        }
    }
}

fn dot(samples: &[u8], weights: &[u8]) -> i32 {
    let products = samples
        .iter()
        .zip(weights)
        .map(|(sample, weight)| i32::from(*sample) * i32::from(*weight as i8));
    products.fold(0, i32::wrapping_add)
}

fn finish(finish: &Finish, sums: &[i32], outputs: &mut [u8]) {
    for x in 0..finish.count {
        for filter in 0..FILTERS {
            let mut most = i32::MIN;
            for row in 0..finish.pool {
                for column in 0..finish.pool {
                    let pixel = row * finish.row + x * finish.pool + column;
                    most = most.max(sums[pixel * FILTERS + filter]);
                }
            }
            let sum = most.wrapping_add(finish.bias[filter]) as f32 * finish.scales[filter];
            let zero = f32::from(finish.zero);
            let whole = sum.clamp(-zero, 255.0 - zero).round_ties_even();
            outputs[x * finish.stride + filter] = (whole + zero) as u8;
        }
    }
}
