//! Turns a picture into what the network sees: the one place where pixels become network input.
//! Knows nothing of cameras, models or identities.

use serde::{Deserialize, Serialize};

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::vision::locate;
use crate::vision::locate::Thing;
use crate::vision::resample::{Resampling, border_mean};

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

    /// The square of `frame`, in its pixels, that becomes the patch of `thing`. It may reach beyond the frame.
    ///
    /// # Errors
    /// [`Blank`] where this looks at a mark and `thing` is none.
    pub fn region(&self, frame: &Frame, thing: Thing) -> Result<Bounds, Blank> {
        match (self.crop, thing) {
            (Crop::Mark { margin }, Thing::Mark(mark)) => Ok(mark.bounds.square(margin)),
            (Crop::Mark { .. }, Thing::Whole) => Err(Blank),
            (Crop::Frame, _) => Ok(whole(frame).square(0.0)),
        }
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
    let mut memory = locate::SearchMemory::default();
    patch_at(frame, find(frame, spec, &mut memory)?, spec)
}

/// What `frame` shows of what `spec` looks for. From the second frame of a size on, nothing is allocated.
///
/// # Errors
/// [`Blank`] where the spec needs a mark and the picture has none.
pub fn find<'a>(
    frame: &Frame,
    spec: &InputSpec,
    memory: &'a mut locate::SearchMemory,
) -> Result<Thing<'a>, Blank> {
    if spec.needs_mark() {
        locate::mark_in(frame, memory).map(Thing::Mark).ok_or(Blank)
    } else {
        Ok(Thing::Whole)
    }
}

/// The patch of `frame` around what [`find`] found in it.
///
/// # Errors
/// [`Blank`] where the spec needs a mark and `thing` is none.
pub fn patch_at(frame: &Frame, thing: Thing, spec: &InputSpec) -> Result<Patch, Blank> {
    let mut patch = Patch::default();
    patch_in(frame, thing, spec, &mut CutMemory::default(), &mut patch)?;
    Ok(patch)
}

/// The memory that [`patch_in`] works in.
#[derive(Debug, Default)]
pub struct CutMemory {
    source: Frame,
    resampling: Resampling,
}

/// As [`patch_at`], in memory that is there already: from the second frame of a size on, nothing is allocated.
///
/// # Errors
/// As [`patch_at`].
pub fn patch_in(
    frame: &Frame,
    thing: Thing,
    spec: &InputSpec,
    memory: &mut CutMemory,
    patch: &mut Patch,
) -> Result<(), Blank> {
    if thing == Thing::Whole && spec.scaling == Scaling::InkIsOne {
        return Err(Blank);
    }
    let CutMemory { source, resampling } = memory;
    let source = frame.in_channels(spec.channels, source);
    let region = spec.region(frame, thing)?;
    let Patch(numbers) = patch;
    numbers.resize(spec.len(), 0.0);
    let plane = spec.side_px * spec.side_px;
    for (channel, out) in numbers.chunks_exact_mut(plane).enumerate() {
        let beyond = match thing {
            Thing::Mark(mark) => mark.paper.mean(),
            Thing::Whole => border_mean(source, channel),
        };
        let size = (spec.side_px, spec.side_px);
        resampling.resample(source, channel, region, beyond, size, out);
        let step = region.width / spec.side_px as f32;
        for (row, line) in out.chunks_exact_mut(spec.side_px).enumerate() {
            for (column, v) in line.iter_mut().enumerate() {
                let centre = |low: f32, at: usize| low + (at as f32 + 0.5) * step;
                *v = match (spec.scaling, thing) {
                    (Scaling::InkIsOne, Thing::Mark(mark)) => {
                        mark.ink(*v, centre(region.x, column), centre(region.y, row))
                    }
                    _ => *v / 255.0,
                };
            }
        }
    }
    Ok(())
}

/// All of `frame`.
pub(crate) fn whole(frame: &Frame) -> Bounds {
    Bounds {
        x: 0.0,
        y: 0.0,
        width: frame.width() as f32,
        height: frame.height() as f32,
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
