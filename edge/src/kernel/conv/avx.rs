//! 256 bits: `vpdpbusd` where the processor has it, else `vpmaddwd` over samples of two bytes, which
//! cannot saturate as `vpmaddubsw` would.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Finish, Routines, STEP, Sample, Taps};

/// Sums in a vector.
const LANES: usize = 8;
/// Filters in a block: two vectors.
const FILTERS: usize = 2 * LANES;

/// The loops for one way to multiply; `$features` are what it takes.
macro_rules! routines {
    (
        $module:ident, $features:literal, $sample:expr, $multiply_add:path, $dot_bytes:literal,
        $widen:path, $store:path
    ) => {
        mod $module {
            use super::*;

            pub(super) const ROUTINES: Routines = Routines {
                sample: $sample,
                filters: FILTERS,
                accumulate,
                dot,
                finish,
            };

            /// # Safety
            /// The instructions must be here; every pixel's every run lies in `samples`; `weights`
            /// and `sums` hold a block for each tap and each pixel.
            #[target_feature(enable = $features)]
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
                tiles!(4);
                tiles!(2);
                tiles!(1);
            }

            /// # Safety
            /// As [`accumulate`].
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn accumulate_tile<const PIXELS: usize>(
                taps: &Taps,
                pixels: &[u32; PIXELS],
                samples: &[u8],
                weights: &[u8],
                sums: &mut [i32],
            ) {
                let mut weights = weights.as_ptr();
                let mut tile = [[_mm256_setzero_si256(); 2]; PIXELS];
                // SAFETY: by the caller's word a pixel lies in the samples.
                let first = pixels.map(|pixel| unsafe { samples.as_ptr().add(pixel as usize) });
                for row in 0..taps.rows {
                    let run = row * taps.row_bytes;
                    for at in (run..run + taps.steps * STEP).step_by(STEP) {
                        // SAFETY: a block has FILTERS weights of STEP bytes for each step, end to end.
                        let block = unsafe {
                            let load = |byte| _mm256_loadu_si256(weights.add(byte).cast());
                            let block = [load(0), load(32)];
                            weights = weights.add(FILTERS * STEP);
                            block
                        };
                        for (first, sums) in first.iter().zip(&mut tile) {
                            // SAFETY: by the caller's word the run lies in the samples; no alignment
                            // is asked for.
                            let sample = unsafe { first.add(at).cast::<i32>().read_unaligned() };
                            let sample = _mm256_set1_epi32(sample);
                            sums[0] = $multiply_add(sums[0], sample, block[0]);
                            sums[1] = $multiply_add(sums[1], sample, block[1]);
                        }
                    }
                }
                for (sums, tile) in sums.chunks_exact_mut(FILTERS).zip(tile) {
                    // SAFETY: FILTERS sums are two vectors.
                    unsafe {
                        _mm256_storeu_si256(sums.as_mut_ptr().cast(), tile[0]);
                        _mm256_storeu_si256(sums.as_mut_ptr().add(LANES).cast(), tile[1]);
                    }
                }
            }

            /// # Safety
            /// The instructions must be here; there is a sample for each weight.
            #[target_feature(enable = $features)]
            unsafe fn dot(samples: &[u8], weights: &[u8]) -> i32 {
                const WEIGHTS: usize = $dot_bytes;
                let sample_bytes = $sample.bytes();
                let mut sums = [_mm256_setzero_si256(); 4];
                let whole = weights.len() / (4 * WEIGHTS) * (4 * WEIGHTS);
                for at in (0..whole).step_by(4 * WEIGHTS) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let at = at + i * WEIGHTS;
                        // SAFETY: `whole` is within the weights, and so within the samples.
                        let (sample, weight) = unsafe {
                            let sample = samples.as_ptr().add(at * sample_bytes);
                            (
                                _mm256_loadu_si256(sample.cast()),
                                $widen(weights.as_ptr().add(at)),
                            )
                        };
                        *sum = $multiply_add(*sum, sample, weight);
                    }
                }
                let pairs = [
                    _mm256_add_epi32(sums[0], sums[1]),
                    _mm256_add_epi32(sums[2], sums[3]),
                ];
                let mut lanes = [0i32; LANES];
                // SAFETY: eight sums are a vector.
                unsafe {
                    let sum = _mm256_add_epi32(pairs[0], pairs[1]);
                    _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum);
                }
                let sum = lanes.into_iter().fold(0, i32::wrapping_add);
                let rest = samples[whole * sample_bytes..].chunks_exact(sample_bytes);
                rest.zip(&weights[whole..])
                    .fold(sum, |sum, (sample, weight)| {
                        sum.wrapping_add(i32::from(sample[0]) * i32::from(*weight as i8))
                    })
            }

            /// # Safety
            /// The instructions must be here; sums, numbers of the block and outputs are as many as
            /// `finish` says.
            #[target_feature(enable = $features)]
            unsafe fn finish(finish: &Finish, sums: &[i32], outputs: &mut [u8]) {
                let zero = f32::from(finish.zero);
                let (low, high) = (_mm256_set1_ps(-zero), _mm256_set1_ps(255.0 - zero));
                let zero = _mm256_set1_epi32(i32::from(finish.zero));
                // SAFETY: bias and scales are two vectors each.
                let (bias, scales) = unsafe {
                    let (bias, scales) = (finish.bias.as_ptr(), finish.scales.as_ptr());
                    (
                        [0, LANES].map(|half| _mm256_loadu_si256(bias.add(half).cast())),
                        [0, LANES].map(|half| _mm256_loadu_ps(scales.add(half))),
                    )
                };
                for x in 0..finish.count {
                    let mut most = [_mm256_set1_epi32(i32::MIN); 2];
                    for row in 0..finish.pool {
                        for column in 0..finish.pool {
                            let pixel = row * finish.row + x * finish.pool + column;
                            // SAFETY: every pixel of the square has FILTERS sums.
                            let sum = unsafe {
                                let sum = sums.as_ptr().add(pixel * FILTERS);
                                [0, LANES].map(|half| _mm256_loadu_si256(sum.add(half).cast()))
                            };
                            most[0] = _mm256_max_epi32(most[0], sum[0]);
                            most[1] = _mm256_max_epi32(most[1], sum[1]);
                        }
                    }
                    let mut whole = [zero; 2];
                    for half in 0..2 {
                        let sum = _mm256_cvtepi32_ps(_mm256_add_epi32(most[half], bias[half]));
                        let sum = _mm256_mul_ps(sum, scales[half]);
                        let sum = _mm256_min_ps(_mm256_max_ps(sum, low), high);
                        // Rounds to the nearest, ties to even.
                        whole[half] = _mm256_add_epi32(_mm256_cvtps_epi32(sum), zero);
                    }
                    // Packing takes the halves of two vectors in turn.
                    let words = _mm256_packus_epi32(whole[0], whole[1]);
                    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
                    // SAFETY: an output has FILTERS samples.
                    unsafe { $store(outputs.as_mut_ptr().add(x * finish.stride), words) };
                }
            }
        }
    };
}

routines!(
    wide,
    "avx2",
    Sample::Wide,
    multiply_add_words,
    16,
    load_words,
    store_words
);
pub(super) const AVX2: Routines = wide::ROUTINES;

routines!(
    vnni,
    "avx2,avxvnni",
    Sample::Offset,
    _mm256_dpbusd_avx_epi32,
    32,
    load_bytes,
    store_bytes
);
pub(super) const VNNI: Routines = vnni::ROUTINES;

/// The same loops with the instruction's AVX-512 form, which more of the machines that run tests have.
#[cfg(test)]
pub(super) fn twin_of_vnni() -> Option<Routines> {
    routines!(
        twin,
        "avx2,avx512vl,avx512vnni",
        Sample::Offset,
        _mm256_dpbusd_epi32,
        32,
        load_bytes,
        store_bytes
    );
    crate::kernel::Isa::of(crate::kernel::Instructions::Avx512Vnni).map(|_| twin::ROUTINES)
}

/// Pairs of 16-bit products, at most 2 x 255 x 127 each, added to the sums.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_add_words(sums: __m256i, samples: __m256i, weights: __m256i) -> __m256i {
    _mm256_add_epi32(sums, _mm256_madd_epi16(samples, weights))
}

/// Sixteen weights in two bytes each.
///
/// # Safety
/// There are as many.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_words(weights: *const u8) -> __m256i {
    // SAFETY: the caller's word; no alignment is asked for.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(weights.cast()) })
}

/// 32 weights.
///
/// # Safety
/// There are as many.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_bytes(weights: *const u8) -> __m256i {
    // SAFETY: the caller's word; no alignment is asked for.
    unsafe { _mm256_loadu_si256(weights.cast()) }
}

/// # Safety
/// There is room for 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_words(to: *mut u8, words: __m256i) {
    // SAFETY: the caller's word; no alignment is asked for.
    unsafe { _mm256_storeu_si256(to.cast(), words) };
}

/// The low bytes of sixteen words of 0 to 255.
///
/// # Safety
/// There is room for 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_bytes(to: *mut u8, words: __m256i) {
    let low = _mm256_castsi256_si128(words);
    let bytes = _mm_packus_epi16(low, _mm256_extracti128_si256::<1>(words));
    // SAFETY: the caller's word; no alignment is asked for.
    unsafe { _mm_storeu_si128(to.cast(), bytes) };
}
