//! 128 bits of arm64. With the dot product, `sdot` adds four products of signed bytes to a sum. Without
//! it, two products of signed bytes fit 16 bits (2 x 128 x 127 < 32,768) and are added to the sums pair
//! by pair.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Finish, Routines, STEP, Sample, Taps};

/// Sums in a vector.
const LANES: usize = 4;
/// Filters in a block: two vectors.
const FILTERS: usize = 2 * LANES;
/// Bytes of a vector, of weights or samples.
const BYTES: usize = 16;

pub(super) const DOT: Routines = Routines {
    sample: Sample::Signed,
    filters: FILTERS,
    accumulate: accumulate_dot,
    dot: dot_dot,
    finish,
};

pub(super) const PLAIN: Routines = Routines {
    sample: Sample::Signed,
    filters: FILTERS,
    accumulate: accumulate_plain,
    dot: dot_plain,
    finish,
};

/// `sums[i]` + the four products of group i of `weights` and group `LANE` of `samples`. The intrinsic
/// is not in stable Rust yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot_lane<const LANE: i32>(
    sums: int32x4_t,
    weights: int8x16_t,
    samples: int8x16_t,
) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: one instruction of the features that are enabled here; it touches registers alone.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {samples:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            samples = in(vreg) samples,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// `sums[i]` + the four products of group i of both.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(sums: int32x4_t, weights: int8x16_t, samples: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: one instruction of the features that are enabled here; it touches registers alone.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {samples:v}.16b",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            samples = in(vreg) samples,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// The loop over tiles of pixels, for a function that does one.
macro_rules! tiles {
    ($tile:ident, $taps:ident, $pixels:ident, $samples:ident, $weights:ident, $sums:ident, $($size:literal)+) => {
        let mut done = 0;
        $(
            while let Some(tile) = $pixels[done..].first_chunk::<$size>() {
                let sums = &mut $sums[done * FILTERS..];
                // SAFETY: the caller's word, for this part of the pixels and their sums.
                unsafe { $tile($taps, tile, $samples, $weights, sums) };
                done += $size;
            }
        )+
    };
}

/// # Safety
/// The instructions must be here; every pixel's every run lies in `samples`; `weights` and `sums` hold a
/// block for each tap and each pixel.
#[target_feature(enable = "neon,dotprod")]
unsafe fn accumulate_dot(
    taps: &Taps,
    pixels: &[u32],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    tiles!(tile_dot, taps, pixels, samples, weights, sums, 8 4 2 1);
}

/// # Safety
/// As [`accumulate_dot`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile_dot<const PIXELS: usize>(
    taps: &Taps,
    pixels: &[u32; PIXELS],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    let mut weights = weights.as_ptr().cast::<i8>();
    let mut tile = [[vdupq_n_s32(0); 2]; PIXELS];
    // SAFETY: by the caller's word a pixel lies in the samples.
    let first = pixels.map(|pixel| unsafe { samples.as_ptr().add(pixel as usize) });
    /// A block of weights, and on to the next.
    macro_rules! block {
        () => {{
            // SAFETY: a block has FILTERS weights of STEP bytes, two vectors, for each step.
            let block = unsafe { [vld1q_s8(weights), vld1q_s8(weights.add(BYTES))] };
            // SAFETY: at most one past the last block.
            weights = unsafe { weights.add(FILTERS * STEP) };
            block
        }};
    }
    for row in 0..taps.rows {
        let run = row * taps.row_bytes;
        let end = run + taps.steps * STEP;
        let mut at = run;
        while at + BYTES <= end {
            let mut four = [vdupq_n_s8(0); PIXELS];
            for (four, first) in four.iter_mut().zip(&first) {
                // SAFETY: by the caller's word the run, which ends at `end`, lies in the samples.
                *four = unsafe { vld1q_s8(first.add(at).cast()) };
            }
            macro_rules! step {
                ($lane:literal) => {
                    let block = block!();
                    for (sums, four) in tile.iter_mut().zip(&four) {
                        sums[0] = sdot_lane::<$lane>(sums[0], block[0], *four);
                        sums[1] = sdot_lane::<$lane>(sums[1], block[1], *four);
                    }
                };
            }
            step!(0);
            step!(1);
            step!(2);
            step!(3);
            at += BYTES;
        }
        while at < end {
            let block = block!();
            for (sums, first) in tile.iter_mut().zip(&first) {
                // SAFETY: by the caller's word the run lies in the samples; no alignment is asked for.
                let sample = unsafe { first.add(at).cast::<i32>().read_unaligned() };
                let sample = vreinterpretq_s8_s32(vdupq_n_s32(sample));
                sums[0] = sdot(sums[0], block[0], sample);
                sums[1] = sdot(sums[1], block[1], sample);
            }
            at += STEP;
        }
    }
    for (sums, tile) in sums.chunks_exact_mut(FILTERS).zip(tile) {
        // SAFETY: FILTERS sums are two vectors.
        unsafe {
            vst1q_s32(sums.as_mut_ptr(), tile[0]);
            vst1q_s32(sums.as_mut_ptr().add(LANES), tile[1]);
        }
    }
}

/// # Safety
/// The instructions must be here; every pixel's every run lies in `samples`; `weights` and `sums` hold a
/// block for each tap and each pixel.
#[target_feature(enable = "neon")]
unsafe fn accumulate_plain(
    taps: &Taps,
    pixels: &[u32],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    tiles!(tile_plain, taps, pixels, samples, weights, sums, 4 2 1);
}

/// # Safety
/// As [`accumulate_plain`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tile_plain<const PIXELS: usize>(
    taps: &Taps,
    pixels: &[u32; PIXELS],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    let mut weights = weights.as_ptr().cast::<i8>();
    // Two sums for each filter, of the first two and the last two bytes of every step.
    let mut tile = [[vdupq_n_s32(0); 4]; PIXELS];
    // SAFETY: by the caller's word a pixel lies in the samples.
    let first = pixels.map(|pixel| unsafe { samples.as_ptr().add(pixel as usize) });
    for row in 0..taps.rows {
        let run = row * taps.row_bytes;
        let end = run + taps.steps * STEP;
        let mut at = run;
        while at + 2 * STEP <= end {
            // SAFETY: a block has FILTERS weights of STEP bytes, two vectors, for each of two steps.
            let blocks = unsafe { [0, 1, 2, 3].map(|i| vld1q_s8(weights.add(i * BYTES))) };
            // SAFETY: at most one past the last block.
            weights = unsafe { weights.add(2 * FILTERS * STEP) };
            for (sums, first) in tile.iter_mut().zip(&first) {
                // SAFETY: by the caller's word the run lies in the samples; no alignment is asked for.
                let samples = unsafe {
                    let first = first.add(at).cast::<i32>();
                    [first.read_unaligned(), first.add(1).read_unaligned()]
                };
                let samples = samples.map(|four| vreinterpretq_s8_s32(vdupq_n_s32(four)));
                for half in 0..2 {
                    let (now, next) = (blocks[half], blocks[2 + half]);
                    let low = vmull_s8(vget_low_s8(now), vget_low_s8(samples[0]));
                    let low = vmlal_s8(low, vget_low_s8(next), vget_low_s8(samples[1]));
                    let high = vmull_high_s8(now, samples[0]);
                    let high = vmlal_high_s8(high, next, samples[1]);
                    sums[2 * half] = vpadalq_s16(sums[2 * half], low);
                    sums[2 * half + 1] = vpadalq_s16(sums[2 * half + 1], high);
                }
            }
            at += 2 * STEP;
        }
        while at < end {
            // SAFETY: a block has FILTERS weights of STEP bytes, two vectors, for each step.
            let block = unsafe { [vld1q_s8(weights), vld1q_s8(weights.add(BYTES))] };
            // SAFETY: at most one past the last block.
            weights = unsafe { weights.add(FILTERS * STEP) };
            for (sums, first) in tile.iter_mut().zip(&first) {
                // SAFETY: by the caller's word the run lies in the samples; no alignment is asked for.
                let sample = unsafe { first.add(at).cast::<i32>().read_unaligned() };
                let sample = vreinterpretq_s8_s32(vdupq_n_s32(sample));
                for half in 0..2 {
                    let low = vmull_s8(vget_low_s8(block[half]), vget_low_s8(sample));
                    let high = vmull_high_s8(block[half], sample);
                    sums[2 * half] = vpadalq_s16(sums[2 * half], low);
                    sums[2 * half + 1] = vpadalq_s16(sums[2 * half + 1], high);
                }
            }
            at += STEP;
        }
    }
    for (sums, tile) in sums.chunks_exact_mut(FILTERS).zip(tile) {
        // SAFETY: FILTERS sums are two vectors.
        unsafe {
            vst1q_s32(sums.as_mut_ptr(), vpaddq_s32(tile[0], tile[1]));
            vst1q_s32(sums.as_mut_ptr().add(LANES), vpaddq_s32(tile[2], tile[3]));
        }
    }
}

/// # Safety
/// The instructions must be here; there is a sample for each weight.
#[target_feature(enable = "neon,dotprod")]
unsafe fn dot_dot(samples: &[u8], weights: &[u8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 4];
    let whole = weights.len() / (4 * BYTES) * (4 * BYTES);
    for at in (0..whole).step_by(4 * BYTES) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `whole` is within the weights, and so within the samples.
            let (sample, weight) = unsafe { vectors(samples, weights, at + i * BYTES) };
            *sum = sdot(*sum, weight, sample);
        }
    }
    let sum = vaddvq_s32(vaddq_s32(
        vaddq_s32(sums[0], sums[1]),
        vaddq_s32(sums[2], sums[3]),
    ));
    dot_rest(sum, &samples[whole..], &weights[whole..])
}

/// # Safety
/// The instructions must be here; there is a sample for each weight.
#[target_feature(enable = "neon")]
unsafe fn dot_plain(samples: &[u8], weights: &[u8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 2];
    let whole = weights.len() / (2 * BYTES) * (2 * BYTES);
    for at in (0..whole).step_by(2 * BYTES) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `whole` is within the weights, and so within the samples.
            let (sample, weight) = unsafe { vectors(samples, weights, at + i * BYTES) };
            let products = vmull_s8(vget_low_s8(weight), vget_low_s8(sample));
            let products = vmlal_high_s8(products, weight, sample);
            *sum = vpadalq_s16(*sum, products);
        }
    }
    let sum = vaddvq_s32(vaddq_s32(sums[0], sums[1]));
    dot_rest(sum, &samples[whole..], &weights[whole..])
}

/// The vectors at byte `at`.
///
/// # Safety
/// BYTES bytes from there on are in both.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn vectors(samples: &[u8], weights: &[u8], at: usize) -> (int8x16_t, int8x16_t) {
    // SAFETY: the caller's word.
    unsafe {
        (
            vld1q_s8(samples.as_ptr().add(at).cast()),
            vld1q_s8(weights.as_ptr().add(at).cast()),
        )
    }
}

fn dot_rest(sum: i32, samples: &[u8], weights: &[u8]) -> i32 {
    let rest = samples.iter().zip(weights);
    rest.fold(sum, |sum, (sample, weight)| {
        sum.wrapping_add(i32::from(*sample as i8) * i32::from(*weight as i8))
    })
}

/// # Safety
/// The instructions must be here; sums, numbers of the block and outputs are as many as `finish` says.
#[target_feature(enable = "neon")]
unsafe fn finish(finish: &Finish, sums: &[i32], outputs: &mut [u8]) {
    let zero = f32::from(finish.zero);
    let (low, high) = (vdupq_n_f32(-zero), vdupq_n_f32(255.0 - zero));
    let zero = vdupq_n_s32(i32::from(finish.zero));
    // SAFETY: bias and scales are two vectors each.
    let (bias, scales) = unsafe {
        let (bias, scales) = (finish.bias.as_ptr(), finish.scales.as_ptr());
        (
            [0, LANES].map(|half| vld1q_s32(bias.add(half))),
            [0, LANES].map(|half| vld1q_f32(scales.add(half))),
        )
    };
    for x in 0..finish.count {
        let mut most = [vdupq_n_s32(i32::MIN); 2];
        for row in 0..finish.pool {
            for column in 0..finish.pool {
                let pixel = row * finish.row + x * finish.pool + column;
                // SAFETY: every pixel of the square has FILTERS sums.
                let sum = unsafe {
                    let sum = sums.as_ptr().add(pixel * FILTERS);
                    [0, LANES].map(|half| vld1q_s32(sum.add(half)))
                };
                most[0] = vmaxq_s32(most[0], sum[0]);
                most[1] = vmaxq_s32(most[1], sum[1]);
            }
        }
        let mut words = [vdup_n_s16(0); 2];
        for half in 0..2 {
            let sum = vcvtq_f32_s32(vaddq_s32(most[half], bias[half]));
            let sum = vmulq_f32(sum, scales[half]);
            let sum = vminq_f32(vmaxq_f32(sum, low), high);
            // Rounds to the nearest, ties to even.
            words[half] = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(sum), zero));
        }
        let bytes = vmovn_s16(vcombine_s16(words[0], words[1]));
        // From q + 128 to q.
        let bytes = veor_u8(vreinterpret_u8_s8(bytes), vdup_n_u8(0x80));
        // SAFETY: an output has FILTERS bytes.
        unsafe { vst1_u8(outputs.as_mut_ptr().add(x * finish.stride), bytes) };
    }
}
