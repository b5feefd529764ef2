//! 512 bits and `vpdpbusd`, which adds four products of an unsigned and a signed byte to a sum without
//! saturating.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Finish, Routines, STEP, Sample, Taps};

/// Sums in a vector.
const LANES: usize = 16;
/// Filters in a block: two vectors.
const FILTERS: usize = 2 * LANES;

pub(super) const ROUTINES: Routines = Routines {
    sample: Sample::Offset,
    filters: FILTERS,
    accumulate,
    dot,
    finish,
};

/// # Safety
/// The instructions must be here; every pixel's every run lies in `samples`; `weights` and `sums` hold a
/// block for each tap and each pixel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn accumulate(
    taps: &Taps,
    pixels: &[u32],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    let mut done = 0;
    macro_rules! tiles {
        ($size:literal) => {
            while let Some(tile) = pixels[done..].first_chunk::<$size>() {
                let sums = &mut sums[done * FILTERS..];
                // SAFETY: the caller's word, for this part of the pixels and their sums.
                unsafe { accumulate_tile(taps, tile, samples, weights, sums) };
                done += $size;
            }
        };
    }
    tiles!(8);
    tiles!(4);
    tiles!(2);
    tiles!(1);
}

/// # Safety
/// As [`accumulate`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn accumulate_tile<const PIXELS: usize>(
    taps: &Taps,
    pixels: &[u32; PIXELS],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    let mut weights = weights.as_ptr();
    let mut tile = [[_mm512_setzero_si512(); 2]; PIXELS];
    // SAFETY: by the caller's word a pixel lies in the samples.
    let first = pixels.map(|pixel| unsafe { samples.as_ptr().add(pixel as usize) });
    for row in 0..taps.rows {
        let run = row * taps.row_bytes;
        for at in (run..run + taps.steps * STEP).step_by(STEP) {
            // SAFETY: a block has FILTERS weights of STEP bytes for each step, end to end.
            let block = unsafe {
                let block = [0, 64].map(|byte| _mm512_loadu_si512(weights.add(byte).cast()));
                weights = weights.add(FILTERS * STEP);
                block
            };
            for (first, sums) in first.iter().zip(&mut tile) {
                // SAFETY: by the caller's word the run lies in the samples; no alignment is asked for.
                let sample = unsafe { first.add(at).cast::<i32>().read_unaligned() };
                let sample = _mm512_set1_epi32(sample);
                sums[0] = _mm512_dpbusd_epi32(sums[0], sample, block[0]);
                sums[1] = _mm512_dpbusd_epi32(sums[1], sample, block[1]);
            }
        }
    }
    for (sums, tile) in sums.chunks_exact_mut(FILTERS).zip(tile) {
        // SAFETY: FILTERS sums are two vectors.
        unsafe {
            _mm512_storeu_si512(sums.as_mut_ptr().cast(), tile[0]);
            _mm512_storeu_si512(sums.as_mut_ptr().add(LANES).cast(), tile[1]);
        }
    }
}

/// # Safety
/// The instructions must be here; there is a sample for each weight.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn dot(samples: &[u8], weights: &[u8]) -> i32 {
    const BYTES: usize = 64;
    let mut sums = [_mm512_setzero_si512(); 4];
    let whole = weights.len() / (4 * BYTES) * (4 * BYTES);
    for at in (0..whole).step_by(4 * BYTES) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let at = at + i * BYTES;
            // SAFETY: `whole` is within the weights, and so within the samples.
            let (sample, weight) = unsafe {
                (
                    _mm512_loadu_si512(samples.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(weights.as_ptr().add(at).cast()),
                )
            };
            *sum = _mm512_dpbusd_epi32(*sum, sample, weight);
        }
    }
    let pairs = [
        _mm512_add_epi32(sums[0], sums[1]),
        _mm512_add_epi32(sums[2], sums[3]),
    ];
    let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(pairs[0], pairs[1]));
    let rest = samples[whole..].iter().zip(&weights[whole..]);
    rest.fold(sum, |sum, (sample, weight)| {
        sum.wrapping_add(i32::from(*sample) * i32::from(*weight as i8))
    })
}

/// # Safety
/// The instructions must be here; sums, numbers of the block and outputs are as many as `finish` says.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn finish(finish: &Finish, sums: &[i32], outputs: &mut [u8]) {
    let zero = f32::from(finish.zero);
    let (low, high) = (_mm512_set1_ps(-zero), _mm512_set1_ps(255.0 - zero));
    let zero = _mm512_set1_epi32(i32::from(finish.zero));
    for half in [0, LANES] {
        // SAFETY: bias and scales are two vectors each.
        let (bias, scales) = unsafe {
            (
                _mm512_loadu_si512(finish.bias.as_ptr().add(half).cast()),
                _mm512_loadu_ps(finish.scales.as_ptr().add(half)),
            )
        };
        for x in 0..finish.count {
            let mut most = _mm512_set1_epi32(i32::MIN);
            for row in 0..finish.pool {
                for column in 0..finish.pool {
                    let pixel = row * finish.row + x * finish.pool + column;
                    // SAFETY: every pixel of the square has FILTERS sums.
                    let sum = unsafe { sums.as_ptr().add(pixel * FILTERS + half) };
                    // SAFETY: the same.
                    let sum = unsafe { _mm512_loadu_si512(sum.cast()) };
                    most = _mm512_max_epi32(most, sum);
                }
            }
            let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(most, bias));
            let sum = _mm512_mul_ps(sum, scales);
            let sum = _mm512_min_ps(_mm512_max_ps(sum, low), high);
            // Rounds to the nearest, ties to even.
            let whole = _mm512_add_epi32(_mm512_cvtps_epi32(sum), zero);
            // SAFETY: an output has FILTERS bytes.
            unsafe {
                let output = outputs.as_mut_ptr().add(x * finish.stride + half);
                _mm_storeu_si128(output.cast(), _mm512_cvtepi32_epi8(whole));
            }
        }
    }
}
