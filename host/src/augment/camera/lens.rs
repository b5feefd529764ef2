//! What lens, movement and sensor do to a plane of levels: defocus, motion, noise. Knows nothing of what it shows.

use super::{HEIGHT, WIDTH};

/// Two passes of a box in each direction, which together reach `radius` to either side.
pub(super) fn defocused(plane: &mut [f32], radius: f32) {
    let half = radius / 2.0;
    for _ in 0..2 {
        let mut turned = transposed(plane, WIDTH);
        box_mean(&mut turned, HEIGHT, half);
        plane.copy_from_slice(&transposed(&turned, HEIGHT));
        box_mean(plane, WIDTH, half);
    }
}

/// Rows of `width` numbers as columns.
fn transposed(plane: &[f32], width: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let mut turned = vec![0.0; plane.len()];
    // Square by square, so that neither side leaves the cache.
    const SQUARE: usize = 16;
    for top in (0..height).step_by(SQUARE) {
        for left in (0..width).step_by(SQUARE) {
            for y in top..height.min(top + SQUARE) {
                for x in left..width.min(left + SQUARE) {
                    turned[x * height + y] = plane[y * width + x];
                }
            }
        }
    }
    turned
}

/// The mean over `half` lines to either side, fractions counted; a line is `size` numbers, and the
/// first and the last are repeated.
fn box_mean(lines: &mut [f32], size: usize, half: f32) {
    let whole = half as isize;
    let part = half - whole as f32;
    let share = 1.0 / (2.0 * half + 1.0);
    let source = lines.to_vec();
    let last = (source.len() / size) as isize - 1;
    let line = |i: isize| &source[i.clamp(0, last) as usize * size..][..size];
    let mut sum = vec![0.0; size];
    for i in -whole..=whole {
        for (sum, v) in sum.iter_mut().zip(line(i)) {
            *sum += v;
        }
    }
    for (i, out) in (0..).zip(lines.chunks_exact_mut(size)) {
        let (leaving, before, next) = (line(i - whole), line(i - whole - 1), line(i + whole + 1));
        for x in 0..size {
            out[x] = share * (sum[x] + part * (before[x] + next[x]));
            sum[x] += next[x] - leaving[x];
        }
    }
}

/// The mean along a line of `length` pixels.
pub(super) fn moved(plane: &[f32], length: f32, direction: f32) -> Vec<f32> {
    let steps = length.ceil().max(1.0) as isize;
    let share = 1.0 / (steps + 1) as f32;
    let mut out = vec![0.0; plane.len()];
    for i in 0..=steps {
        let along = (i as f32 / steps as f32 - 0.5) * length;
        let [dx, dy] = [direction.cos(), direction.sin()].map(|c| (along * c).round() as isize);
        for (y, row) in (0..).zip(out.chunks_exact_mut(WIDTH)) {
            let sy = (y + dy).clamp(0, HEIGHT as isize - 1) as usize;
            let source = &plane[sy * WIDTH..][..WIDTH];
            // Beyond an end stands what is there.
            let shift = dx.unsigned_abs().min(WIDTH - 1);
            let (inner, outer) = if dx < 0 {
                let (outer, inner) = row.split_at_mut(shift);
                (
                    inner.iter_mut().zip(&source[..WIDTH - shift]),
                    (outer, source[0]),
                )
            } else {
                let (inner, outer) = row.split_at_mut(WIDTH - shift);
                (
                    inner.iter_mut().zip(&source[shift..]),
                    (outer, source[WIDTH - 1]),
                )
            };
            for (v, s) in inner {
                *v += share * s;
            }
            for v in outer.0 {
                *v += share * outer.1;
            }
        }
    }
    out
}

/// Nearly normal numbers with deviation 1, quickly: the sum of four bytes of splitmix64 (Steele,
/// Lea and Flood 2014).
pub(super) fn normal(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let sum: u32 = (0..4).map(|i| (z >> (8 * i)) as u32 & 255).sum();
    // Four times the variance (256^2 - 1) / 12 of a byte.
    (sum as f32 - 510.0) / 147.8
}
