//! Finds the drawn or printed mark in a picture: where its ink is, and how dark ink and paper are.
//! Knows grey levels only: nothing of networks, identities or cameras.

use std::borrow::Cow;

use crate::frame::Frame;

/// Ink and paper must differ by this many grey levels (of 255), else the picture is blank.
pub const MIN_CONTRAST: f32 = 24.0;

/// Finding a mark needs no more detail than this; larger pictures are averaged down first.
const SEARCH_SIDE_PX: usize = 640;

/// A patch of ink with less than this share of all the ink is dirt, not a stroke.
const SPECK_SHARE: f64 = 0.005;

/// A mark in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// The tight box around the ink, in pixels of the picture.
    pub bounds: Bounds,
    /// Mean grey level of the ink, 0 to 255.
    pub ink: f32,
    /// Mean grey level of what it stands on, 0 to 255.
    pub paper: f32,
}

/// A box in picture coordinates: pixel (x, y) covers x..x+1, y..y+1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Above 0.
    pub width: f32,
    /// Above 0.
    pub height: f32,
}

impl Bounds {
    /// The square about the same centre whose side is the longer side and `margin` of it more at
    /// either end. It may reach beyond the picture.
    pub fn square(&self, margin: f32) -> Bounds {
        let side = self.width.max(self.height) * (1.0 + 2.0 * margin);
        Bounds {
            x: self.x + (self.width - side) / 2.0,
            y: self.y + (self.height - side) / 2.0,
            width: side,
            height: side,
        }
    }
}

/// The mark in `frame`, dark on light or light on dark; `None` where there is nothing but paper.
///
/// The grey levels fall into two classes (Otsu 1979); the paper is the one that most of the
/// picture's border shows, and of a tie the lighter one.
pub fn mark(frame: &Frame) -> Option<Mark> {
    let grey = frame.to_grey();
    let factor = grey.width().max(grey.height()).div_ceil(SEARCH_SIDE_PX);
    let small = averaged_down(&grey, factor);
    let (width, height) = (small.width(), small.height());

    let levels = two_classes(small.pixels())?;
    if levels.light - levels.dark < MIN_CONTRAST {
        return None;
    }
    let is_dark = |x: usize, y: usize| small.pixels()[y * width + x] <= levels.split;
    let border = (0..width)
        .flat_map(|x| [(x, 0), (x, height - 1)])
        .chain((0..height).flat_map(|y| [(0, y), (width - 1, y)]));
    let (dark, light) = border.fold((0, 0), |(dark, light), (x, y)| {
        if is_dark(x, y) {
            (dark + 1, light)
        } else {
            (dark, light + 1)
        }
    });
    let dark_on_light = light >= dark;
    let ink: Vec<bool> = small
        .pixels()
        .iter()
        .map(|&v| (v <= levels.split) == dark_on_light)
        .collect();

    let bounds = bounds_of_strokes(&ink, width)?;
    let scale = factor as f32;
    Some(Mark {
        bounds: Bounds {
            x: bounds.x * scale,
            y: bounds.y * scale,
            width: bounds.width * scale,
            height: bounds.height * scale,
        },
        ink: if dark_on_light {
            levels.dark
        } else {
            levels.light
        },
        paper: if dark_on_light {
            levels.light
        } else {
            levels.dark
        },
    })
}

/// Means of `factor` x `factor` blocks; the last row and column may average fewer pixels.
fn averaged_down<'a>(grey: &'a Frame, factor: usize) -> Cow<'a, Frame> {
    if factor <= 1 {
        return Cow::Borrowed(grey);
    }
    let (width, height) = (grey.width(), grey.height());
    Cow::Owned(Frame::from_fn(
        width.div_ceil(factor),
        height.div_ceil(factor),
        |bx, by| {
            let rows = by * factor..height.min((by + 1) * factor);
            let columns = bx * factor..width.min((bx + 1) * factor);
            let count = (rows.len() * columns.len()) as u32;
            let sum: u32 = rows
                .flat_map(|y| &grey.pixels()[y * width..][columns.clone()])
                .map(|&v| u32::from(v))
                .sum();
            ((sum + count / 2) / count) as u8
        },
    ))
}

struct TwoClasses {
    /// The highest level of the dark class.
    split: u8,
    dark: f32,
    light: f32,
}

/// The split of the histogram with the largest between-class variance (Otsu 1979, eq. 18); of
/// equal ones the lowest. `None` where all levels are the same.
fn two_classes(pixels: &[u8]) -> Option<TwoClasses> {
    let mut histogram = [0u64; 256];
    for &v in pixels {
        histogram[v as usize] += 1;
    }
    let total = pixels.len() as f64;
    let total_sum: f64 = (0..256).map(|v| v as f64 * histogram[v] as f64).sum();
    let (mut count, mut sum) = (0.0, 0.0);
    let mut best: Option<(f64, TwoClasses)> = None;
    for split in 0..255u8 {
        count += histogram[split as usize] as f64;
        sum += f64::from(split) * histogram[split as usize] as f64;
        if count == 0.0 || count == total {
            continue;
        }
        let dark = sum / count;
        let light = (total_sum - sum) / (total - count);
        let between = count * (total - count) * (light - dark) * (light - dark);
        if best.as_ref().is_none_or(|(most, _)| between > *most) {
            best = Some((
                between,
                TwoClasses {
                    split,
                    dark: dark as f32,
                    light: light as f32,
                },
            ));
        }
    }
    best.map(|(_, classes)| classes)
}

/// The box around all 8-connected patches of ink that are more than dirt.
fn bounds_of_strokes(ink: &[bool], width: usize) -> Option<Bounds> {
    let height = ink.len() / width;
    let least = (ink.iter().filter(|&&i| i).count() as f64 * SPECK_SHARE) as usize;
    let mut seen = vec![false; ink.len()];
    let mut stack = Vec::new();
    let mut all: Option<[usize; 4]> = None;
    for start in 0..ink.len() {
        if !ink[start] || seen[start] {
            continue;
        }
        seen[start] = true;
        stack.push(start);
        let mut area = 0;
        let mut patch = [start % width, start / width, start % width, start / width];
        while let Some(at) = stack.pop() {
            area += 1;
            let (x, y) = (at % width, at / width);
            patch = around(patch, [x, y, x, y]);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let next = ny * width + nx;
                    if ink[next] && !seen[next] {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
        }
        if area >= least {
            all = Some(all.map_or(patch, |all| around(all, patch)));
        }
    }
    all.map(|[left, top, right, bottom]| Bounds {
        x: left as f32,
        y: top as f32,
        width: (right - left + 1) as f32,
        height: (bottom - top + 1) as f32,
    })
}

/// The smallest box [left, top, right, bottom] around two boxes, ends included.
fn around(a: [usize; 4], b: [usize; 4]) -> [usize; 4] {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An L: a bar of 3 x 12 at (10, 5) and a foot of 8 x 3 at (10, 17).
    fn ell(x: usize, y: usize) -> bool {
        ((10..13).contains(&x) && (5..17).contains(&y))
            || ((10..18).contains(&x) && (17..20).contains(&y))
    }

    const ELL: Bounds = Bounds {
        x: 10.0,
        y: 5.0,
        width: 8.0,
        height: 15.0,
    };

    #[test]
    fn dark_ink_on_light_paper_is_found_with_its_levels() {
        let frame = Frame::from_fn(40, 30, |x, y| if ell(x, y) { 20 } else { 220 });
        let mark = mark(&frame).unwrap();
        assert_eq!((mark.bounds, mark.ink, mark.paper), (ELL, 20.0, 220.0));
    }

    #[test]
    fn light_ink_on_dark_paper_is_found_with_its_levels() {
        let frame = Frame::from_fn(40, 30, |x, y| if ell(x, y) { 200 } else { 30 });
        let mark = mark(&frame).unwrap();
        assert_eq!((mark.bounds, mark.ink, mark.paper), (ELL, 200.0, 30.0));
    }

    #[test]
    fn a_speck_does_not_stretch_the_box_and_a_dot_does() {
        let speck = |x, y| (x, y) == (60, 60);
        let dot = |x: usize, y: usize| (60..62).contains(&x) && (60..62).contains(&y);
        let bar = |x: usize, y: usize| (10..30).contains(&x) && (10..40).contains(&y);
        let with = |extra: &dyn Fn(usize, usize) -> bool| {
            let frame = Frame::from_fn(
                80,
                80,
                |x, y| {
                    if bar(x, y) || extra(x, y) { 0 } else { 255 }
                },
            );
            mark(&frame).unwrap().bounds
        };
        // 600 px of ink: dirt is below 3 px.
        assert_eq!(with(&speck).width, 20.0);
        assert_eq!(with(&dot).width, 52.0);
    }

    #[test]
    fn blank_paper_and_faint_paper_hold_no_mark() {
        assert_eq!(mark(&Frame::from_fn(20, 20, |_, _| 255)), None);
        let faint = Frame::from_fn(20, 20, |x, _| if x == 9 { 230 } else { 250 });
        assert_eq!(mark(&faint), None);
    }

    #[test]
    fn a_large_picture_is_searched_in_its_own_coordinates() {
        let frame = Frame::from_fn(1280, 1280, |x, y| {
            if (400..600).contains(&x) && (200..900).contains(&y) {
                0
            } else {
                255
            }
        });
        let bounds = mark(&frame).unwrap().bounds;
        assert_eq!((bounds.x, bounds.y), (400.0, 200.0));
        assert_eq!((bounds.width, bounds.height), (200.0, 700.0));
    }

    #[test]
    fn the_square_is_centred_with_its_margin() {
        let square = ELL.square(0.1);
        assert_eq!((square.width, square.height), (18.0, 18.0));
        assert_eq!((square.x, square.y), (5.0, 3.5));
    }
}
