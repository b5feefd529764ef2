//! Sums of absolute differences between a row of bytes and many.

#![allow(unsafe_code)] // each block says why it holds

use super::{Instructions, Isa};

/// A row's length is a multiple of this.
pub const LANES: usize = 32;

/// `sums[i]` = the sum over j of `|probe[j] - rows[i * probe.len() + j]|`. Memory is what limits a search: wider
/// registers gain nothing, so each set of x86-64 shares the kernel of AVX2, and each of arm64 that of NEON.
///
/// # Panics
/// If `probe` is empty or no multiple of [`LANES`] long, or if `rows` is not `sums.len()` rows of its length.
pub fn sad(isa: Isa, probe: &[u8], rows: &[u8], sums: &mut [u32]) {
    assert!(
        !probe.is_empty() && probe.len().is_multiple_of(LANES),
        "a row of {} bytes",
        probe.len()
    );
    assert_eq!(rows.len(), probe.len() * sums.len(), "rows for the sums");
    match isa.instructions() {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512Vnni | Instructions::AvxVnni | Instructions::Avx2 => {
            // SAFETY: an `Isa` is proof that its instructions are here, and each of these has AVX2 in it.
            unsafe { avx2(probe, rows, sums) }
        }
        #[cfg(target_arch = "aarch64")]
        Instructions::NeonDot | Instructions::Neon => {
            // SAFETY: an `Isa` is proof that its instructions are here, and both of these have NEON in it.
            unsafe { neon(probe, rows, sums) }
        }
        _ => scalar(probe, rows, sums),
    }
}

/// The twin: what every kernel gives.
fn scalar(probe: &[u8], rows: &[u8], sums: &mut [u32]) {
    for (row, sum) in rows.chunks_exact(probe.len()).zip(sums) {
        let differences = probe
            .iter()
            .zip(row)
            .map(|(a, b)| u32::from(a.abs_diff(*b)));
        *sum = differences.sum();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(probe: &[u8], rows: &[u8], sums: &mut [u32]) {
    use std::arch::x86_64::*;
    let (probe, _) = probe.as_chunks::<LANES>();
    let (rows, _) = rows.as_chunks::<LANES>();
    for (row, sum) in rows.chunks_exact(probe.len()).zip(sums) {
        // Four 64-bit sums, of eight bytes each: no row is long enough to overflow them.
        let mut four = _mm256_setzero_si256();
        for (a, b) in probe.iter().zip(row) {
            // SAFETY: both are 32 bytes, and the load asks for no alignment.
            let (a, b) = unsafe {
                (
                    _mm256_loadu_si256(a.as_ptr().cast()),
                    _mm256_loadu_si256(b.as_ptr().cast()),
                )
            };
            four = _mm256_add_epi64(four, _mm256_sad_epu8(a, b));
        }
        let two = _mm_add_epi64(
            _mm256_castsi256_si128(four),
            _mm256_extracti128_si256::<1>(four),
        );
        let one = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
        *sum = _mm_cvtsi128_si64(one) as u32;
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon(probe: &[u8], rows: &[u8], sums: &mut [u32]) {
    use std::arch::aarch64::*;
    const HALF: usize = LANES / 2;
    let (probe, _) = probe.as_chunks::<HALF>();
    let (rows, _) = rows.as_chunks::<HALF>();
    for (row, sum) in rows.chunks_exact(probe.len()).zip(sums) {
        let mut four = vdupq_n_u32(0);
        for (a, b) in probe.iter().zip(row) {
            // SAFETY: both are 16 bytes, and the load asks for no alignment.
            let (a, b) = unsafe { (vld1q_u8(a.as_ptr()), vld1q_u8(b.as_ptr())) };
            four = vpadalq_u16(four, vpaddlq_u8(vabdq_u8(a, b)));
        }
        *sum = vaddvq_u32(four);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(isa: Isa, probe: &[u8], rows: &[u8]) -> Vec<u32> {
        let mut sums = vec![7; rows.len() / probe.len()];
        sad(isa, probe, rows, &mut sums);
        sums
    }

    #[test]
    fn differences_count_in_both_directions() {
        let mut probe = [10; 32];
        (probe[0], probe[31]) = (0, 255);
        let mut rows = [10; 64];
        (rows[0], rows[31]) = (5, 0); // 5 and 255
        rows[32 + 7] = 3; // 7, and 10 and 245 at the ends
        for isa in Isa::here() {
            assert_eq!(sums(isa, &probe, &rows), [260, 262], "{isa}");
        }
    }

    #[test]
    fn a_row_of_the_longest_embedding_at_the_extremes_does_not_overflow() {
        let (probe, rows) = (vec![0; 1 << 16], vec![255; 1 << 16]);
        for isa in Isa::here() {
            assert_eq!(sums(isa, &probe, &rows), [255 << 16], "{isa}");
        }
    }

    proptest! {
        #[test]
        fn every_kernel_gives_what_the_scalar_twin_gives(
            chunks in 1..20usize, count in 0..9usize, seed in any::<u64>()
        ) {
            let mut random = seed;
            let mut bytes = |length: usize| -> Vec<u8> {
                let next = |_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Extremes often, every value sometimes.
                    match random >> 61 {
                        0 => 0,
                        1 => 255,
                        _ => (random >> 33) as u8,
                    }
                };
                (0..length).map(next).collect()
            };
            let probe = bytes(chunks * LANES);
            let rows = bytes(chunks * LANES * count);
            let twin = sums(Isa::SCALAR, &probe, &rows);
            for isa in Isa::here() {
                prop_assert_eq!(&sums(isa, &probe, &rows), &twin, "{}", isa);
            }
        }
    }
}
