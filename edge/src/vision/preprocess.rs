//! Turns a picture into what the network sees: the one place where pixels become network input.
//! Knows nothing of cameras, models or identities.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::vision::locate::{self, Mark};

/// The input contract of a model: how a picture becomes its input tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// Side of the square input, in pixels.
    pub side_px: usize,
    /// What part of the picture is looked at.
    pub crop: Crop,
    /// How samples become numbers.
    pub scaling: Scaling,
}

/// What part of the picture the network looks at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Crop {
    /// The square around the ink, with this share of its side added at either end.
    Mark {
        /// 0 to 1.
        margin: f32,
    },
    /// The whole picture, extended to a square with the colour of its border.
    Frame,
}

/// How samples become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Paper becomes 0 and ink 1, whichever is darker; what lies beyond is clamped. One channel.
    InkIsOne,
    /// 0..255 becomes 0..1, bright is high.
    Unit,
}

/// Network input: `channels` x `side_px` x `side_px`, row-major, each number in 0..=1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(pub Vec<f32>);

/// The picture shows nothing that could be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is drawn here: the picture is blank or too faint")]
pub struct Blank;

impl InputSpec {
    /// Whether the fields fit together and within what memory can bear.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        if !matches!(self.channels, 1 | 3) {
            return Err(format!("channels must be 1 or 3, not {}", self.channels));
        }
        if !(8..=512).contains(&self.side_px) {
            return Err(format!("side_px must be 8 to 512, not {}", self.side_px));
        }
        if let Crop::Mark { margin } = self.crop
            && !(0.0..=1.0).contains(&margin)
        {
            return Err(format!("margin must be 0 to 1, not {margin}"));
        }
        if self.scaling == Scaling::InkIsOne && self.channels != 1 {
            return Err("ink_is_one needs channels = 1".to_owned());
        }
        Ok(())
    }

    fn needs_mark(&self) -> bool {
        matches!(self.crop, Crop::Mark { .. }) || self.scaling == Scaling::InkIsOne
    }

    /// Numbers in one patch.
    pub fn len(&self) -> usize {
        self.channels * self.side_px * self.side_px
    }

    /// Whether a patch has no numbers (never, in a checked spec).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The patch of `frame` that `spec` asks for.
///
/// # Errors
/// [`Blank`] where the spec needs a mark and the picture has none.
pub fn patch(frame: &Frame, spec: &InputSpec) -> Result<Patch, Blank> {
    patch_at(frame, find(frame, spec)?.as_ref(), spec)
}

/// The memory that [`patch_in`] works in.
#[derive(Debug, Default)]
pub struct Scratch {
    source: Frame,
    within: Resampling,
}

/// Where `frame` shows what `spec` looks for; `None` where it looks at the whole picture.
///
/// # Errors
/// [`Blank`] as [`patch`].
pub fn find(frame: &Frame, spec: &InputSpec) -> Result<Option<Mark>, Blank> {
    if spec.needs_mark() {
        locate::mark(frame).map(Some).ok_or(Blank)
    } else {
        Ok(None)
    }
}

/// The same in memory that is there already.
///
/// # Errors
/// [`Blank`] as [`patch`].
pub fn find_in<'a>(
    frame: &Frame,
    spec: &InputSpec,
    scratch: &'a mut locate::Scratch,
) -> Result<Option<&'a Mark>, Blank> {
    if spec.needs_mark() {
        locate::mark_in(frame, scratch).map(Some).ok_or(Blank)
    } else {
        Ok(None)
    }
}

/// The patch of `frame` around what [`find`] found in it.
///
/// # Errors
/// [`Blank`] where the spec needs a mark and `mark` is none.
pub fn patch_at(frame: &Frame, mark: Option<&Mark>, spec: &InputSpec) -> Result<Patch, Blank> {
    let mut patch = Patch::default();
    patch_in(frame, mark, spec, &mut Scratch::default(), &mut patch)?;
    Ok(patch)
}

/// The same in memory that is there already: from the second frame of a size on, nothing is allocated.
///
/// # Errors
/// As [`patch_at`].
pub fn patch_in(
    frame: &Frame,
    mark: Option<&Mark>,
    spec: &InputSpec,
    scratch: &mut Scratch,
    patch: &mut Patch,
) -> Result<(), Blank> {
    if mark.is_none() && spec.scaling == Scaling::InkIsOne {
        return Err(Blank);
    }
    let Scratch { source, within } = scratch;
    let source = frame.in_channels(spec.channels, source);
    let region = match (spec.crop, mark) {
        (Crop::Mark { margin }, Some(mark)) => mark.bounds.square(margin),
        (Crop::Mark { .. }, None) => return Err(Blank),
        (Crop::Frame, _) => Bounds {
            x: 0.0,
            y: 0.0,
            width: frame.width() as f32,
            height: frame.height() as f32,
        }
        .square(0.0),
    };
    let Patch(numbers) = patch;
    numbers.resize(spec.len(), 0.0);
    let plane = spec.side_px * spec.side_px;
    for (channel, out) in numbers.chunks_exact_mut(plane).enumerate() {
        let beyond = mark.map_or_else(|| border_mean(source, channel), |mark| mark.paper.mean());
        let size = (spec.side_px, spec.side_px);
        within.resample(source, channel, region, beyond, size, out);
        let step = region.width / spec.side_px as f32;
        for (row, line) in out.chunks_exact_mut(spec.side_px).enumerate() {
            for (column, v) in line.iter_mut().enumerate() {
                let centre = |low: f32, at: usize| low + (at as f32 + 0.5) * step;
                *v = match (spec.scaling, mark) {
                    (Scaling::InkIsOne, Some(mark)) => {
                        mark.ink(*v, centre(region.x, column), centre(region.y, row))
                    }
                    _ => *v / 255.0,
                };
            }
        }
    }
    Ok(())
}

/// The part of `frame` that `spec` looks at, with some of its surroundings, at most `limit_px` a
/// side: enough to make the patch again, for this model or another. Where the mark would not be
/// found again without what is around it, paper is made white and ink black.
///
/// # Errors
/// [`Blank`] as [`patch`].
pub fn keepsake(frame: &Frame, spec: &InputSpec, limit_px: usize) -> Result<Frame, Blank> {
    let Crop::Mark { margin } = spec.crop else {
        return Ok(reduced(frame, limit_px));
    };
    let mark = locate::mark(frame).ok_or(Blank)?;
    let around = mark.bounds.square(margin + 0.1);
    let clip = |low: f32, size: f32, limit: usize| {
        let start = (low.floor().max(0.0) as usize).min(limit - 1);
        let end = ((low + size).ceil().max(0.0) as usize).clamp(start + 1, limit);
        start..end
    };
    let columns = clip(around.x, around.width, frame.width());
    let rows = clip(around.y, around.height, frame.height());
    let (channels, width) = (frame.channels(), frame.width());
    let pixels = rows
        .clone()
        .flat_map(|y| {
            let row = &frame.pixels()[y * width * channels..][..width * channels];
            &row[columns.start * channels..columns.end * channels]
        })
        .copied()
        .collect();
    let part = Frame::new(columns.len(), rows.len(), channels, pixels).map_err(|_| Blank)?;
    let kept = reduced(&part, limit_px);
    let scale = kept.width() as f32 / columns.len() as f32;
    let expected = Bounds {
        x: (mark.bounds.x - columns.start as f32) * scale,
        y: (mark.bounds.y - rows.start as f32) * scale,
        width: mark.bounds.width * scale,
        height: mark.bounds.height * scale,
    };
    let again = locate::mark(&kept).is_some_and(|again| again.bounds.overlap(&expected) > 0.9);
    if again {
        return Ok(kept);
    }
    let side_px = (around.width as usize).clamp(1, limit_px);
    cleaned(frame, &mark, margin + 0.1, side_px)
}

/// `mark` and `margin` of its side around it, as a square picture of black ink on white paper.
///
/// # Errors
/// As [`patch_at`].
pub fn cleaned(frame: &Frame, mark: &Mark, margin: f32, side_px: usize) -> Result<Frame, Blank> {
    let spec = InputSpec {
        channels: 1,
        side_px,
        crop: Crop::Mark { margin },
        scaling: Scaling::InkIsOne,
    };
    let Patch(ink) = patch_at(frame, Some(mark), &spec)?;
    let level = |x: usize, y: usize| 255 - (255.0 * ink[y * side_px + x]).round() as u8;
    Ok(Frame::from_fn(side_px, side_px, level))
}

/// `frame` scaled down so that no side is longer than `limit_px`; a smaller one as it is.
fn reduced(frame: &Frame, limit_px: usize) -> Frame {
    let longest = frame.width().max(frame.height());
    if longest <= limit_px {
        return frame.clone();
    }
    let short = |side: usize| (side * limit_px).div_ceil(longest).max(1);
    let (width, height) = (short(frame.width()), short(frame.height()));
    let region = Bounds {
        x: 0.0,
        y: 0.0,
        width: frame.width() as f32,
        height: frame.height() as f32,
    };
    let channels = frame.channels();
    let mut pixels = vec![0; width * height * channels];
    let mut plane = vec![0.0; width * height];
    let mut within = Resampling::default();
    for channel in 0..channels {
        within.resample(frame, channel, region, 0.0, (width, height), &mut plane);
        for (pixel, v) in pixels.chunks_exact_mut(channels).zip(&plane) {
            pixel[channel] = v.round().clamp(0.0, 255.0) as u8;
        }
    }
    Frame::new(width, height, channels, pixels).unwrap_or_else(|_| frame.clone())
}

/// Mean of one channel along the picture's border, 0 to 255.
fn border_mean(frame: &Frame, channel: usize) -> f32 {
    let (width, height) = (frame.width(), frame.height());
    let at = |x: usize, y: usize| {
        f32::from(frame.pixels()[(y * width + x) * frame.channels() + channel])
    };
    let rows: f32 = (0..width).map(|x| at(x, 0) + at(x, height - 1)).sum();
    let columns: f32 = (0..height).map(|y| at(0, y) + at(width - 1, y)).sum();
    (rows + columns) / (2 * (width + height)) as f32
}

/// The memory of [`Resampling::resample`].
#[derive(Debug, Default)]
struct Resampling {
    columns: Taps,
    rows: Taps,
    narrow: Vec<f32>,
}

impl Resampling {
    /// One channel of `region` on a grid of `size` (width, height), 0 to 255; `beyond` stands outside
    /// the picture. A pen stroke is two pixels wide after reduction, so every source pixel counts by
    /// the area that it covers; where a picture is enlarged this turns into linear interpolation.
    fn resample(
        &mut self,
        frame: &Frame,
        channel: usize,
        region: Bounds,
        beyond: f32,
        size: (usize, usize),
        out: &mut [f32],
    ) {
        let Self {
            columns,
            rows,
            narrow,
        } = self;
        columns.set(region.x, region.width, size.0, frame.width());
        rows.set(region.y, region.height, size.1, frame.height());
        let (channels, width) = (frame.channels(), frame.width());
        let used = rows.used();
        narrow.clear();
        narrow.reserve(frame.height() * size.0);
        for y in used.clone() {
            let row = &frame.pixels()[y * width * channels..][..width * channels];
            narrow.extend(columns.taps.iter().map(|tap| {
                let (weights, outside) = (columns.weights(tap), beyond * tap.outside);
                // A tap beyond the right edge starts where the row ends.
                let samples = &row[tap.start * channels..];
                if channels == 1 {
                    return weighted(outside, weights, samples.iter());
                }
                weighted(
                    outside,
                    weights,
                    samples.iter().skip(channel).step_by(channels),
                )
            }));
        }
        for (line, tap) in out.chunks_exact_mut(size.0).zip(&rows.taps) {
            line.fill(beyond * tap.outside);
            for (i, &weight) in rows.weights(tap).iter().enumerate() {
                let source = &narrow[(tap.start - used.start + i) * size.0..][..size.0];
                for (v, s) in line.iter_mut().zip(source) {
                    *v += weight * s;
                }
            }
        }
    }
}

/// `sum` and the samples, each by its weight.
fn weighted<'a>(sum: f32, weights: &[f32], samples: impl Iterator<Item = &'a u8>) -> f32 {
    let pairs = weights.iter().zip(samples);
    pairs.fold(sum, |sum, (weight, sample)| {
        sum + weight * f32::from(*sample)
    })
}

/// For each output position along one axis: which source pixels it averages, and their weights.
#[derive(Debug, Default)]
struct Taps {
    taps: Vec<Tap>,
    /// Of one tap after the other.
    weights: Vec<f32>,
}

#[derive(Debug)]
struct Tap {
    start: usize,
    /// Where its weights are.
    weights: Range<usize>,
    /// The weight that falls outside of the picture; all weights sum to 1.
    outside: f32,
}

impl Taps {
    fn set(&mut self, origin: f32, length: f32, outputs: usize, limit: usize) {
        let step = length / outputs as f32;
        let span = step.max(1.0);
        self.taps.clear();
        self.taps.reserve(outputs);
        self.weights.clear();
        // Neighbours share a pixel at either end.
        self.weights.reserve(limit + 2 * outputs);
        for i in 0..outputs {
            let low = origin + (i as f32 + 0.5) * step - span / 2.0;
            let high = low + span;
            let start = (low.floor().max(0.0) as usize).min(limit);
            let end = (high.ceil().max(0.0) as usize).clamp(start, limit);
            let first = self.weights.len();
            self.weights.extend(
                (start..end)
                    .map(|j| ((j as f32 + 1.0).min(high) - (j as f32).max(low)).max(0.0) / span),
            );
            let outside = (1.0 - self.weights[first..].iter().sum::<f32>()).max(0.0);
            self.taps.push(Tap {
                start,
                weights: first..self.weights.len(),
                outside,
            });
        }
    }

    fn weights(&self, tap: &Tap) -> &[f32] {
        &self.weights[tap.weights.clone()]
    }

    /// The source pixels from the first that counts to the last.
    fn used(&self) -> Range<usize> {
        let used = self.taps.iter().filter(|tap| !tap.weights.is_empty());
        let start = used.clone().map(|tap| tap.start).min().unwrap_or(0);
        let ends = used.map(|tap| tap.start + tap.weights.len());
        start..ends.max().unwrap_or(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_spec(side_px: usize, channels: usize) -> InputSpec {
        InputSpec {
            channels,
            side_px,
            crop: Crop::Frame,
            scaling: Scaling::Unit,
        }
    }

    fn resampled(frame: &Frame, region: Bounds, size: (usize, usize)) -> Vec<f32> {
        let mut out = vec![0.0; size.0 * size.1];
        Resampling::default().resample(frame, 0, region, 100.0, size, &mut out);
        out
    }

    #[test]
    fn reduction_averages_by_area() {
        // 6 wide to 4 wide: each output covers one pixel and half of the next or the last one.
        let frame = Frame::new(6, 1, 1, vec![10, 40, 100, 30, 60, 90]).unwrap();
        let whole = Bounds {
            x: 0.0,
            y: 0.0,
            width: 6.0,
            height: 1.0,
        };
        let out = resampled(&frame, whole, (4, 1));
        for (found, by_hand) in out.iter().zip([20.0, 80.0, 40.0, 80.0]) {
            assert!((found - by_hand).abs() < 1e-4, "{found} {by_hand}");
        }
    }

    #[test]
    fn enlargement_interpolates_and_beyond_the_edge_stands_the_paper() {
        // 2 wide to 4 wide: centres at 0.25, 0.75, 1.25, 1.75 of pixels centred at 0.5 and 1.5.
        let frame = Frame::new(2, 1, 1, vec![0, 80]).unwrap();
        let whole = Bounds {
            x: 0.0,
            y: 0.0,
            width: 2.0,
            height: 1.0,
        };
        let out = resampled(&frame, whole, (4, 1));
        assert_eq!(out, [25.0, 20.0, 60.0, 85.0]);
    }

    #[test]
    fn a_region_outside_of_the_picture_is_paper() {
        let frame = Frame::new(2, 2, 1, vec![0; 4]).unwrap();
        let away = Bounds {
            x: 5.0,
            y: -9.0,
            width: 3.0,
            height: 3.0,
        };
        assert_eq!(resampled(&frame, away, (2, 2)), [100.0; 4]);
    }

    #[test]
    fn colour_planes_follow_one_another_and_keep_their_orientation() {
        // Left column red over green, right column blue over white.
        let frame = Frame::new(
            2,
            2,
            3,
            vec![255, 0, 0, 0, 0, 255, 0, 255, 0, 255, 255, 255],
        );
        let spec = InputSpec {
            side_px: 2,
            ..frame_spec(8, 3)
        };
        let Patch(numbers) = patch(&frame.unwrap(), &spec).unwrap();
        let expected = [1., 0., 0., 1., 0., 0., 1., 1., 0., 1., 0., 1.];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn a_tall_or_wide_colour_picture_is_extended_with_the_colour_of_its_border() {
        for (width, height) in [(100, 200), (200, 100), (1, 90)] {
            let pixels = [9u8, 90, 250].repeat(width * height);
            let frame = Frame::new(width, height, 3, pixels).unwrap();
            let Patch(numbers) = patch(&frame, &frame_spec(32, 3)).unwrap();
            for (plane, level) in numbers.chunks_exact(32 * 32).zip([9.0, 90.0, 250.0]) {
                assert!(plane.iter().all(|v| (v - level / 255.0f32).abs() < 1e-4));
            }
        }
    }

    #[test]
    fn polarity_brightness_and_place_of_a_mark_do_not_reach_the_network() {
        let spec = InputSpec {
            channels: 1,
            side_px: 16,
            crop: Crop::Mark { margin: 0.1 },
            scaling: Scaling::InkIsOne,
        };
        let picture = |dx: usize, dy: usize, ink: u8, paper: u8| {
            Frame::from_fn(60, 50, |x, y| {
                let (x, y) = (x.wrapping_sub(dx), y.wrapping_sub(dy));
                let bar = x < 4 && y < 20;
                let foot = x < 12 && (16..20).contains(&y);
                if bar || foot { ink } else { paper }
            })
        };
        let reference = patch(&picture(10, 10, 0, 255), &spec).unwrap();
        for other in [
            picture(10, 10, 200, 40),
            picture(31, 23, 0, 255),
            picture(3, 5, 90, 140),
        ] {
            let other = patch(&other, &spec).unwrap();
            for (a, b) in reference.0.iter().zip(&other.0) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        // Margin 10 %: the mark (20 px of a 24 px square) spans 2/24..22/24 of the height.
        assert_eq!(reference.0[0], 0.0);
        assert!(reference.0.contains(&1.0));
    }

    #[test]
    fn a_blank_picture_has_no_patch() {
        let spec = InputSpec {
            crop: Crop::Mark { margin: 0.1 },
            ..frame_spec(8, 1)
        };
        assert_eq!(patch(&Frame::from_fn(9, 9, |_, _| 7), &spec), Err(Blank));
    }

    #[test]
    fn a_keepsake_gives_the_same_patch_again() {
        let spec = InputSpec {
            channels: 1,
            side_px: 16,
            crop: Crop::Mark { margin: 0.1 },
            scaling: Scaling::InkIsOne,
        };
        let frame = Frame::from_fn(300, 200, |x, y| {
            if (150..158).contains(&x) && (20..90).contains(&y) || (y == 60 && x > 120 && x < 190) {
                0
            } else {
                255
            }
        });
        let kept = keepsake(&frame, &spec, 160).unwrap();
        assert!(kept.width() <= 160 && kept.height() <= 160);
        let (a, b) = (patch(&frame, &spec).unwrap(), patch(&kept, &spec).unwrap());
        for (a, b) in a.0.iter().zip(&b.0) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn a_keepsake_from_a_shadow_on_a_desk_gives_nearly_the_same_patch_again() {
        let spec = InputSpec {
            channels: 1,
            side_px: 16,
            crop: Crop::Mark { margin: 0.1 },
            scaling: Scaling::InkIsOne,
        };
        // A thick T on a card, half in a soft shadow: in the crop alone its strokes are too broad
        // to be told from the ground.
        let frame = Frame::from_fn(640, 480, |x, y| {
            let bar = (240..400).contains(&x) && (150..195).contains(&y);
            let stem = (300..345).contains(&x) && (195..310).contains(&y);
            let card = (90..560).contains(&x) && (60..420).contains(&y);
            let shade = if bar || stem {
                0.1
            } else if card {
                0.9
            } else {
                0.4
            };
            let light = 1.0 - 0.4 * ((x as f32 - 300.0) / 60.0).clamp(0.0, 1.0);
            (255.0 * shade * light) as u8
        });
        let kept = keepsake(&frame, &spec, 256).unwrap();
        let (a, b) = (patch(&frame, &spec).unwrap(), patch(&kept, &spec).unwrap());
        let apart =
            a.0.iter()
                .zip(&b.0)
                .map(|(a, b)| (a - b).abs())
                .sum::<f32>();
        assert!(apart / 256.0 < 0.05, "{apart}");
        assert!(a.0.iter().sum::<f32>() > 40.0);
    }

    #[test]
    fn a_spec_that_cannot_be_is_named() {
        let spec = InputSpec {
            channels: 2,
            ..frame_spec(8, 1)
        };
        assert!(spec.check().unwrap_err().contains("channels"));
        let spec = InputSpec {
            scaling: Scaling::InkIsOne,
            ..frame_spec(8, 3)
        };
        assert!(spec.check().unwrap_err().contains("ink_is_one"));
    }
}
