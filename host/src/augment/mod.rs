//! Distorts a training picture, seeded: what a hand or a camera might have done to it. Knows
//! frames and random numbers: nothing of networks or labels.

pub mod camera;

use onelook_edge::picture::frame::Frame;
use rand::{Rng, RngExt};

use crate::config::{AffineRanges, Augment};

/// A linear map about the centre of a picture, then a shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Rows of the matrix, from source to shown, (x, y).
    pub matrix: [[f32; 2]; 2],
    /// (x, y) in pixels.
    pub shift_px: [f32; 2],
}

impl Affine {
    /// Changes nothing.
    pub const IDENTITY: Self = Self {
        matrix: [[1.0, 0.0], [0.0, 1.0]],
        shift_px: [0.0, 0.0],
    };
}

impl AffineRanges {
    /// Rotation, shear, scale and shift, in this order, each used or not.
    pub fn sample(&self, rng: &mut impl Rng) -> Affine {
        let mut used = |low: f32, high: f32, neutral: f32| {
            // Both numbers are drawn in any case, so that one component does not move the others.
            let (chance, value) = (rng.random::<f64>(), rng.random::<f32>());
            if chance < self.probability {
                low + (high - low) * value
            } else {
                neutral
            }
        };
        let angle = used(-self.rotation_degrees, self.rotation_degrees, 0.0).to_radians();
        let (shear_x, shear_y) = (
            used(-self.shear, self.shear, 0.0),
            used(-self.shear, self.shear, 0.0),
        );
        let (scale_x, scale_y) = (
            used(self.scale_low, self.scale_high, 1.0),
            used(self.scale_low, self.scale_high, 1.0),
        );
        let shift_px = [
            used(-self.shift_px, self.shift_px, 0.0),
            used(-self.shift_px, self.shift_px, 0.0),
        ];
        let rotation = [[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]];
        let shear = [[1.0, shear_x], [shear_y, 1.0]];
        let scale = [[scale_x, 0.0], [0.0, scale_y]];
        Affine {
            matrix: product(scale, product(shear, rotation)),
            shift_px,
        }
    }
}

fn product(a: [[f32; 2]; 2], b: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
    let at = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[at(0, 0), at(0, 1)], [at(1, 0), at(1, 1)]]
}

/// `frame` under the distortions of `augment`, drawn from `rng`; outside of it stands the median
/// of its border.
pub fn distort(frame: &Frame, augment: &Augment, rng: &mut impl Rng) -> Frame {
    let affine = augment
        .affine
        .map_or(Affine::IDENTITY, |ranges| ranges.sample(rng));
    warp(frame, &affine)
}

/// `frame` mapped by `affine`, by linear interpolation; a singular matrix changes nothing.
pub fn warp(frame: &Frame, affine: &Affine) -> Frame {
    let [[a, b], [c, d]] = affine.matrix;
    let determinant = a * d - b * c;
    if determinant.abs() < 1e-6 {
        return frame.clone();
    }
    let inverse = [
        [d / determinant, -b / determinant],
        [-c / determinant, a / determinant],
    ];
    let (width, height, channels) = (frame.width(), frame.height(), frame.channels());
    let background = border_median(frame);
    let centre = [(width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0];
    let pixels = frame.pixels();
    let mut out = Vec::with_capacity(pixels.len());
    for y in 0..height {
        for x in 0..width {
            let u = x as f32 - centre[0] - affine.shift_px[0];
            let v = y as f32 - centre[1] - affine.shift_px[1];
            let sx = inverse[0][0] * u + inverse[0][1] * v + centre[0];
            let sy = inverse[1][0] * u + inverse[1][1] * v + centre[1];
            let (left, top) = (floor(sx), floor(sy));
            let (fx, fy) = (sx - left as f32, sy - top as f32);
            let (left, top) = (left as isize, top as isize);
            let inside =
                left >= 0 && top >= 0 && left + 1 < width as isize && top + 1 < height as isize;
            for channel in 0..channels {
                let value = if inside {
                    let at = (top as usize * width + left as usize) * channels + channel;
                    let below = at + width * channels;
                    let upper = mix(pixels[at], pixels[at + channels], fx);
                    let lower = mix(pixels[below], pixels[below + channels], fx);
                    upper + (lower - upper) * fy
                } else {
                    let at = |x: isize, y: isize| {
                        let inside =
                            (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
                        if inside {
                            pixels[(y as usize * width + x as usize) * channels + channel]
                        } else {
                            background[channel]
                        }
                    };
                    let upper = mix(at(left, top), at(left + 1, top), fx);
                    let lower = mix(at(left, top + 1), at(left + 1, top + 1), fx);
                    upper + (lower - upper) * fy
                };
                out.push((value + 0.5) as u8);
            }
        }
    }
    Frame::new(width, height, channels, out).unwrap_or_else(|_| frame.clone())
}

/// Rounds down, within what i32 holds. `f32::floor` is a call for every pixel where the build may not count on
/// SSE 4.1.
fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole.saturating_sub(i32::from(whole as f32 > x))
}

fn mix(a: u8, b: u8, share: f32) -> f32 {
    let (a, b) = (f32::from(a), f32::from(b));
    a + (b - a) * share
}

/// `frame` turned clockwise by 90 degrees, `turns` times.
pub fn turned(frame: &Frame, turns: u8) -> Frame {
    let (width, height, channels) = (frame.width(), frame.height(), frame.channels());
    let (out_width, out_height) = if turns.is_multiple_of(2) {
        (width, height)
    } else {
        (height, width)
    };
    let mut out = Vec::with_capacity(frame.pixels().len());
    for y in 0..out_height {
        for x in 0..out_width {
            let (sx, sy) = match turns % 4 {
                0 => (x, y),
                1 => (y, height - 1 - x),
                2 => (width - 1 - x, height - 1 - y),
                _ => (width - 1 - y, x),
            };
            let at = (sy * width + sx) * channels;
            out.extend_from_slice(&frame.pixels()[at..at + channels]);
        }
    }
    Frame::new(out_width, out_height, channels, out).unwrap_or_else(|_| frame.clone())
}

/// Both drawings in one grey picture, the second moved by `right` and `down` pixels against the first: at each
/// place the ink that is further from its own picture's ground, the median of the border, on the ground of
/// the first and as much darker or lighter as that has room for.
pub fn overlaid(first: &Frame, second: &Frame, right: i32, down: i32) -> Frame {
    let (first, second) = (first.to_grey(), second.to_grey());
    let grounds = [&first, &second].map(|frame| border_median(frame)[0]);
    let ink = |frame: &Frame, ground: u8, x: i32, y: i32| {
        let (x, y) = (usize::try_from(x), usize::try_from(y));
        match (x, y) {
            (Ok(x), Ok(y)) if x < frame.width() && y < frame.height() => {
                frame.level(x, y).abs_diff(ground)
            }
            _ => 0,
        }
    };
    // Where the first picture begins, and what holds both.
    let (left, top) = (right.min(0), down.min(0));
    let side = |first: usize, second: usize, moved: i32| {
        let (first, second) = (first as i32, second as i32 + moved);
        (first.max(second) - moved.min(0)).max(1) as usize
    };
    let width = side(first.width(), second.width(), right);
    let height = side(first.height(), second.height(), down);
    Frame::from_fn(width, height, |x, y| {
        let (x, y) = (x as i32 + left, y as i32 + top);
        let most = ink(&first, grounds[0], x, y).max(ink(&second, grounds[1], x - right, y - down));
        if grounds[0] >= 128 {
            grounds[0].saturating_sub(most)
        } else {
            grounds[0].saturating_add(most)
        }
    })
}

/// The median of each channel along the border; the third and second stay 0 in grey.
fn border_median(frame: &Frame) -> [u8; 3] {
    let (width, height, channels) = (frame.width(), frame.height(), frame.channels());
    let border = (0..width)
        .flat_map(|x| [(x, 0), (x, height - 1)])
        .chain((0..height).flat_map(|y| [(0, y), (width - 1, y)]));
    let mut histograms = [[0u32; 256]; 3];
    let mut count = 0;
    for (x, y) in border {
        count += 1;
        let pixel = &frame.pixels()[(y * width + x) * channels..][..channels];
        for (histogram, &v) in histograms.iter_mut().zip(pixel) {
            histogram[v as usize] += 1;
        }
    }
    histograms.map(|histogram| {
        let mut below = 0;
        let median = histogram.iter().position(|&n| {
            below += n;
            below * 2 > count
        });
        median.unwrap_or(0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const RANGES: AffineRanges = AffineRanges {
        rotation_degrees: 10.0,
        shear: 0.3,
        scale_low: 0.8,
        scale_high: 1.2,
        shift_px: 2.0,
        probability: 0.5,
    };

    /// 3 x 2: 1 2 3 / 4 5 6.
    fn lopsided() -> Frame {
        Frame::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap()
    }

    #[test]
    fn two_drawings_lie_over_each_other_where_they_were_moved_to() {
        // 3 x 3, a dot of 50 in the middle of 250; 4 x 3, a dot of 0 and one of 200 on 230, beside each other.
        let first = Frame::from_fn(3, 3, |x, y| if (x, y) == (1, 1) { 50 } else { 250 });
        let second = Frame::from_fn(4, 3, |x, y| match (x, y) {
            (1, 1) => 0,
            (2, 1) => 200,
            _ => 230,
        });
        // The second begins one to the left and two further down, so the first begins at (1, 0) of 4 x 5.
        let both = overlaid(&first, &second, -1, 2);
        assert_eq!((both.width(), both.height()), (4, 5));
        let expected = |x: usize, y: usize| match (x, y) {
            (2, 1) => 50,
            (1, 3) => 20, // 230 darker than 250
            (2, 3) => 220,
            _ => 250,
        };
        for (y, x) in (0..5).flat_map(|y| (0..4).map(move |x| (y, x))) {
            assert_eq!(both.level(x, y), expected(x, y), "{x} {y}");
        }
        // Where both are ink, the one that is further from its ground; light on dark stays light.
        let over = overlaid(&first, &second, 0, 0);
        assert_eq!([1, 2].map(|x| over.level(x, 1)), [20, 220]);
        let light = Frame::from_fn(3, 3, |x, y| if (x, y) == (1, 1) { 90 } else { 10 });
        let over = overlaid(&light, &second, 0, 0);
        assert_eq!([1, 2].map(|x| over.level(x, 1)), [240, 40]);
    }

    #[test]
    fn the_identity_changes_no_byte() {
        assert_eq!(warp(&lopsided(), &Affine::IDENTITY), lopsided());
    }

    #[test]
    fn a_shift_by_a_pixel_brings_in_the_median_of_the_border() {
        let shift = Affine {
            shift_px: [1.0, 0.0],
            ..Affine::IDENTITY
        };
        // Border, corners twice: 1 1 2 3 3 4 4 5 6 6, upper median 4.
        let expected = Frame::new(3, 2, 1, vec![4, 1, 2, 4, 4, 5]).unwrap();
        assert_eq!(warp(&lopsided(), &shift), expected);
    }

    #[test]
    fn a_half_pixel_shift_takes_means() {
        let shift = Affine {
            shift_px: [-0.5, 0.0],
            ..Affine::IDENTITY
        };
        let frame = Frame::new(3, 1, 1, vec![10, 20, 40]).unwrap();
        // Border: every pixel twice, the ends twice more; median 20.
        assert_eq!(warp(&frame, &shift).pixels(), [15, 30, 30]);
    }

    #[test]
    fn a_quarter_turn_is_clockwise_and_four_are_none() {
        let quarter = turned(&lopsided(), 1);
        assert_eq!((quarter.width(), quarter.height()), (2, 3));
        assert_eq!(quarter.pixels(), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turned(&lopsided(), 2).pixels(), [6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(&quarter, 3), lopsided());
        assert_eq!(turned(&lopsided(), 4), lopsided());
    }

    #[test]
    fn samples_stay_in_their_ranges_and_half_of_each_component_is_unused() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut plain, mut shifted) = (0, 0);
        for _ in 0..10_000 {
            let Affine { matrix, shift_px } = RANGES.sample(&mut rng);
            assert!(shift_px.iter().all(|s| s.abs() <= 2.0));
            shifted += u32::from(shift_px[0] != 0.0);
            plain += u32::from(matrix == Affine::IDENTITY.matrix);
            let determinant = matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0];
            // Scale squared times (1 - shear_x shear_y), within 0.64 (1 - 0.09)..1.44 (1 + 0.09).
            assert!((0.58..1.58).contains(&determinant), "{determinant}");
        }
        // Binomial: 5,000 +- 5 x 50; five components all unused: 312 +- 5 x 17.
        assert!((4750..5250).contains(&shifted), "{shifted}");
        assert!((225..400).contains(&plain), "{plain}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let augment = Augment {
            affine: Some(RANGES),
            camera: None,
        };
        let frame = Frame::from_fn(40, 30, |x, y| ((x * 7 + y * 13) % 256) as u8);
        let drawn = |seed| distort(&frame, &augment, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
    }
}
