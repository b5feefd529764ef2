//! The inverse cosine transform of a JPEG's blocks, in integers (Loeffler, Ligtenberg and Moschytz 1989),
//! rounded as most decoders round.

#![allow(unsafe_code)] // each block says why it holds

use std::num::Wrapping;

use super::{Instructions, Isa};

/// From 64 coefficients, row by row, to 64 levels.
pub type Transform = fn(&[i32; 64]) -> [u8; 64];

/// The transform for `isa`: with 256 bits for each of x86-64's, the scalar twin elsewhere (the compiler
/// makes NEON of it on arm64, where every processor has that).
pub fn transform(isa: Isa) -> Transform {
    match isa.instructions() {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512Vnni | Instructions::AvxVnni | Instructions::Avx2 => |coefficients| {
            // SAFETY: an `Isa` is proof that its instructions are here, and each of these has AVX2 in it.
            unsafe { avx2(coefficients) }
        },
        _ => scalar,
    }
}

type Rows = [[Wrapping<i32>; 8]; 8];

/// In 4096ths.
const fn scaled(x: f64) -> Wrapping<i32> {
    Wrapping((x * 4096.0 + 0.5) as i32)
}

/// The twin: what every kernel gives. Damaged coefficients wrap.
#[inline(always)]
fn scalar(coefficients: &[i32; 64]) -> [u8; 64] {
    let rows: Rows =
        std::array::from_fn(|y| std::array::from_fn(|x| Wrapping(coefficients[8 * y + x])));
    let columns = transposed(&pass(&rows, 512, 10));
    // Levels are about 128.
    let levels = transposed(&pass(&columns, 512 + (1 << 16) + (128 << 17), 17));
    std::array::from_fn(|at| levels[at / 8][at % 8].0.clamp(0, 255) as u8)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(coefficients: &[i32; 64]) -> [u8; 64] {
    scalar(coefficients)
}

/// The transform of every column, plus `round`, without the last `shift` bits.
#[inline(always)]
fn pass(rows: &Rows, round: i32, shift: usize) -> Rows {
    let mut out = Rows::default();
    for x in 0..8 {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = std::array::from_fn(|y| rows[y][x]);
        // The even half.
        let both = (s2 + s6) * scaled(0.541_196_100);
        let t2 = both + s6 * scaled(-1.847_759_065);
        let t3 = both + s2 * scaled(0.765_366_865);
        let (t0, t1) = ((s0 + s4) << 12, (s0 - s4) << 12);
        let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3].map(|v| v + Wrapping(round));
        // The odd half.
        let (p3, p4) = (s7 + s3, s5 + s1);
        let all = (p3 + p4) * scaled(1.175_875_602);
        let p1 = all + (s7 + s1) * scaled(-0.899_976_223);
        let p2 = all + (s5 + s3) * scaled(-2.562_915_447);
        let p3 = p3 * scaled(-1.961_570_560);
        let p4 = p4 * scaled(-0.390_180_644);
        let odd = [
            s1 * scaled(1.501_321_110) + p1 + p4,
            s3 * scaled(3.072_711_026) + p2 + p3,
            s5 * scaled(2.053_119_869) + p2 + p4,
            s7 * scaled(0.298_631_336) + p1 + p3,
        ];
        for y in 0..4 {
            out[y][x] = (even[y] + odd[y]) >> shift;
            out[7 - y][x] = (even[y] - odd[y]) >> shift;
        }
    }
    out
}

#[inline(always)]
fn transposed(rows: &Rows) -> Rows {
    std::array::from_fn(|y| std::array::from_fn(|x| rows[x][y]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::{FRAC_1_SQRT_2, PI};

    /// As ITU-T T.81 writes it, A.3.3.
    fn defined(coefficients: &[i32; 64]) -> [f64; 64] {
        let weight = |k: usize| if k == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let wave = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos();
        std::array::from_fn(|at| {
            let (y, x) = (at / 8, at % 8);
            let term = |k: usize| {
                let (v, u) = (k / 8, k % 8);
                weight(u) * weight(v) * f64::from(coefficients[k]) * wave(x, u) * wave(y, v)
            };
            let sum: f64 = (0..64).map(term).sum();
            (sum / 4.0 + 128.0).clamp(0.0, 255.0)
        })
    }

    #[test]
    fn the_mean_alone_is_a_flat_block_and_one_wave_goes_its_way() {
        let mut coefficients = [0; 64];
        // 8 for every level.
        coefficients[0] = -8 * 28;
        assert_eq!(scalar(&coefficients), [100; 64]);
        // The slowest wave from left to right: 128 + 88 cos((2 x + 1) pi / 16) / (4 sqrt(2)).
        coefficients = [0; 64];
        coefficients[1] = 8 * 88;
        let row = [250, 231, 197, 152, 104, 59, 25, 6];
        let levels = scalar(&coefficients);
        assert!(levels.chunks(8).all(|levels| *levels == row), "{levels:?}");
    }

    fn coefficients(seed: u64, most: i32) -> [i32; 64] {
        let mut random = seed;
        std::array::from_fn(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = (random >> 33) as i32 % (most + 1);
            // Most are 0.
            if random >> 62 == 0 { value } else { 0 }
        })
    }

    proptest! {
        #[test]
        fn levels_are_within_one_of_the_definition(seed in any::<u64>()) {
            let coefficients = coefficients(seed, 300);
            let apart = |(found, defined): (&u8, &f64)| (f64::from(*found) - defined).abs();
            let levels = scalar(&coefficients);
            let most = levels.iter().zip(&defined(&coefficients)).map(apart).fold(0.0, f64::max);
            prop_assert!(most < 1.0, "{}", most);
        }

        #[test]
        fn every_kernel_gives_what_the_scalar_twin_gives(seed in any::<u64>(), most in 1..1 << 26) {
            let coefficients = coefficients(seed, most);
            for isa in Isa::here() {
                prop_assert_eq!(transform(isa)(&coefficients), scalar(&coefficients), "{}", isa);
            }
        }
    }
}
