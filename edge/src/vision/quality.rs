//! Is a look good enough to decide by, and to be learned? Measures it, and says what is wrong with it.
//! Knows grey levels and where the mark is: nothing of networks, identities or time.

use serde::{Deserialize, Serialize};

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::vision::locate::Mark;
use crate::vision::locate::Thing;
use crate::vision::preprocess::{self, CutMemory, InputSpec, Patch, Scaling};

/// Edges are measured at this number of pixels for one of the model's input.
const ZOOM: usize = 2;
/// Differences of neighbours below this share of the contrast are paper and noise, not edges.
const FLAT: f32 = 0.15;
/// From this much ink on, 0 to 1, the border of the picture has ink there...
const INK: f32 = 0.5;
/// ... and a stroke crosses it where so large a share of the crop's side has.
const CUT_SHARE: f32 = 0.02;

/// What was measured of a look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Mean width over which ink turns into paper, in pixels of the model's input. Half a pixel is
    /// as sharp as can be told; out of focus, moved and enlarged pictures have more.
    pub blur_px: f32,
    /// Between ink and paper, in grey levels, 0 to 255.
    pub contrast: f32,
    /// Share of the samples that are full white or black, 0 to 1, where their levels count; 0 where
    /// ink is told from paper alone.
    pub clipped: f32,
    /// Pixels of the picture for one of the model's input; below 1 it is enlarged.
    pub scale: f32,
    /// Whether it runs out of the picture.
    pub is_cut_off: bool,
}

/// What is wrong with a look, and how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// It runs out of the picture.
    #[error("cut off: move it into the picture")]
    CutOff,
    /// Too few pixels.
    #[error("too small: come closer")]
    TooSmall,
    /// Ink and paper are too alike: too dark, too bright, or pale.
    #[error("too faint: change the light")]
    TooFaint,
    /// Too much of it is full white or black.
    #[error("too bright or too dark: change the light")]
    Clipped,
    /// Out of focus, or moving.
    #[error("blurred: hold still, or focus")]
    Blurred,
}

/// What a look must be like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Most [`Quality::blur_px`].
    pub blur_px: f32,
    /// Least [`Quality::contrast`].
    pub contrast: f32,
    /// Most [`Quality::clipped`].
    pub clipped: f32,
    /// Least [`Quality::scale`].
    pub scale: f32,
}

impl Gates {
    /// The first thing wrong with a look, in the order in which people should mend it.
    pub fn flaw(&self, quality: &Quality) -> Option<Flaw> {
        let flaws = [
            (quality.is_cut_off, Flaw::CutOff),
            (quality.scale < self.scale, Flaw::TooSmall),
            (quality.contrast < self.contrast, Flaw::TooFaint),
            (quality.clipped > self.clipped, Flaw::Clipped),
            (quality.blur_px > self.blur_px, Flaw::Blurred),
        ];
        flaws
            .into_iter()
            .find_map(|(is_wrong, flaw)| is_wrong.then_some(flaw))
    }

    /// Whether the numbers can be.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            blur_px,
            contrast,
            clipped,
            scale,
        } = *self;
        let known = [
            ("blur_px", blur_px),
            ("contrast", contrast),
            ("clipped", clipped),
            ("scale", scale),
        ];
        match known
            .iter()
            .find(|(_, value)| value.is_nan() || *value < 0.0)
        {
            Some((name, value)) => Err(format!("{name} must be 0 or more, not {value}")),
            None => Ok(()),
        }
    }
}

/// The memory that [`of_in`] works in.
#[derive(Debug, Default)]
pub struct JudgeMemory {
    levels: Patch,
    sorted: Vec<f32>,
    cut: CutMemory,
}

/// Measures the look at what [`preprocess::find`] found in `frame`. `None` where `spec` needs a mark
/// and there is none.
pub fn of(frame: &Frame, thing: Thing, spec: &InputSpec) -> Option<Quality> {
    of_in(frame, thing, spec, &mut JudgeMemory::default())
}

/// The same in memory that is there already: from the second frame of a size on, nothing is allocated.
pub fn of_in(
    frame: &Frame,
    thing: Thing,
    spec: &InputSpec,
    memory: &mut JudgeMemory,
) -> Option<Quality> {
    let fine = InputSpec {
        channels: 1,
        side_px: (ZOOM * spec.side_px).min(512),
        ..spec.clone()
    };
    let JudgeMemory {
        levels,
        sorted,
        cut,
    } = memory;
    preprocess::patch_in(frame, thing, &fine, cut, levels).ok()?;
    let Patch(levels) = levels;
    let region = spec.region(frame, thing).ok()?;
    let (contrast, clipped) = match (spec.scaling, thing) {
        (Scaling::InkIsOne, Thing::Mark(mark)) => {
            let paper = mark.paper.at(
                mark.bounds.x + mark.bounds.width / 2.0,
                mark.bounds.y + mark.bounds.height / 2.0,
            );
            let ink = (paper * mark.ink_to_paper).min(255.0);
            ((paper - ink).abs(), 0.0)
        }
        _ => {
            let at_an_end = |v: &&f32| **v <= 1.0 / 255.0 || **v >= 254.0 / 255.0;
            let clipped = levels.iter().filter(at_an_end).count();
            (
                255.0 * spread(levels, 20, sorted),
                clipped as f32 / levels.len() as f32,
            )
        }
    };
    let edge = edge_width(levels, fine.side_px, sorted);
    Some(Quality {
        blur_px: edge * spec.side_px as f32 / fine.side_px as f32,
        contrast,
        clipped,
        scale: region.width / spec.side_px as f32,
        is_cut_off: matches!(thing, Thing::Mark(mark) if is_cut_off(frame, mark, region)),
    })
}

/// Difference between the levels that one in `share` lies below and one in `share` above.
fn spread(levels: &[f32], share: usize, memory: &mut Vec<f32>) -> f32 {
    memory.clear();
    memory.extend(levels);
    let far = levels.len() / share;
    let (_, &mut low, above) = memory.select_nth_unstable_by(far, f32::total_cmp);
    let high = match above.len().checked_sub(far + 1) {
        Some(at) => *above.select_nth_unstable_by(at, f32::total_cmp).1,
        None => low,
    };
    high - low
}

/// Mean width of the edges of a square picture, in its pixels: the contrast, over the slope that an
/// edge has on average, each place weighing as much as it rises. A step is 1 wide; infinite where
/// there is no edge. It does not depend on the light, which scales contrast and slopes alike.
fn edge_width(levels: &[f32], side: usize, memory: &mut Vec<f32>) -> f32 {
    // A fiftieth: a small mark covers little of its square.
    let contrast = spread(levels, 50, memory);
    if contrast <= 0.0 {
        return f32::INFINITY;
    }
    let (mut rise, mut squares) = (0.0f32, 0.0f32);
    for y in 0..side - 1 {
        for x in 0..side - 1 {
            let at = y * side + x;
            let (dx, dy) = (levels[at + 1] - levels[at], levels[at + side] - levels[at]);
            let (dx, dy) = (f64::from(dx), f64::from(dy));
            let slope = (dx * dx + dy * dy).sqrt() as f32;
            if slope > FLAT * contrast {
                rise += slope;
                squares += slope * slope;
            }
        }
    }
    if squares > 0.0 {
        contrast * rise / squares
    } else {
        f32::INFINITY
    }
}

/// Whether the mark touches the picture's border, or there is ink on the border beside it: a stroke
/// that runs out of the picture is not found as a part of the mark.
fn is_cut_off(frame: &Frame, mark: &Mark, region: Bounds) -> bool {
    let (width, height) = (frame.width() as f32, frame.height() as f32);
    let Bounds { x, y, .. } = mark.bounds;
    let (right, bottom) = (x + mark.bounds.width, y + mark.bounds.height);
    if x <= 0.0 || y <= 0.0 || right >= width || bottom >= height {
        return true;
    }
    let is_ink = |x: usize, y: usize| {
        let level = f32::from(frame.level(x, y));
        mark.ink(level, x as f32 + 0.5, y as f32 + 0.5) > INK
    };
    let along = |low: f32, size: f32, limit: f32| {
        low.clamp(0.0, limit - 1.0) as usize..(low + size).clamp(1.0, limit) as usize
    };
    let columns = || along(region.x, region.width, width);
    let rows = || along(region.y, region.height, height);
    let (last_x, last_y) = (frame.width() - 1, frame.height() - 1);
    let least = (CUT_SHARE * region.width).max(1.0) as usize;
    let runs = |ink: &mut dyn Iterator<Item = bool>| ink.filter(|is_ink| *is_ink).count() >= least;
    (region.x < 0.0 && runs(&mut rows().map(|y| is_ink(0, y))))
        || (region.x + region.width > width && runs(&mut rows().map(|y| is_ink(last_x, y))))
        || (region.y < 0.0 && runs(&mut columns().map(|x| is_ink(x, 0))))
        || (region.y + region.height > height && runs(&mut columns().map(|x| is_ink(x, last_y))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::locate;
    use crate::vision::preprocess::Crop;

    fn spec() -> InputSpec {
        InputSpec {
            channels: 1,
            side_px: 32,
            crop: Crop::Mark { margin: 0.25 },
            scaling: Scaling::InkIsOne,
        }
    }

    /// A ring of strokes 12 wide, 66 x 66 in all, ink and paper as given, its edges a ramp
    /// `ramp` pixels wide.
    fn ring(paper: f32, ink: f32, ramp: f32) -> Frame {
        Frame::from_fn(160, 140, |x, y| {
            let (dx, dy) = ((x as f32 - 79.5).abs(), (y as f32 - 69.5).abs());
            let outside = (dx.max(dy) - 27.0).abs() - 6.0;
            let share = (0.5 - outside / ramp).clamp(0.0, 1.0);
            (paper + (ink - paper) * share).round() as u8
        })
    }

    fn measured(frame: &Frame) -> Quality {
        let mark = locate::mark(frame).unwrap();
        of(frame, Thing::Mark(&mark), &spec()).unwrap()
    }

    #[test]
    fn a_ramp_is_as_wide_as_it_is_and_a_step_is_one_pixel() {
        // Rows of 0, 1/4, 1/2, 3/4, 1, 1, 1, 1: four steps of a quarter.
        let row = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0];
        let edge_width = |levels: &[f32]| edge_width(levels, 8, &mut Vec::new());
        assert!((edge_width(&row.repeat(8)) - 4.0).abs() < 1e-6);
        let step = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        assert!((edge_width(&step.repeat(8)) - 1.0).abs() < 1e-6);
        assert_eq!(edge_width(&[0.5; 64]), f32::INFINITY);
    }

    #[test]
    fn blur_rises_with_the_width_of_edges_whatever_the_light() {
        let blur = |paper, ink, ramp| measured(&ring(paper, ink, ramp)).blur_px;
        let (sharp, soft, softer) = (
            blur(220.0, 20.0, 1.0),
            blur(220.0, 20.0, 6.0),
            blur(220.0, 20.0, 12.0),
        );
        assert!(sharp < soft && soft < softer, "{sharp} {soft} {softer}");
        // Half the light, and light ink on a dark card.
        assert!((blur(110.0, 10.0, 6.0) / soft - 1.0).abs() < 0.05);
        assert!((blur(60.0, 240.0, 6.0) / soft - 1.0).abs() < 0.1);
    }

    #[test]
    fn contrast_and_scale_are_those_of_the_picture() {
        let quality = measured(&ring(200.0, 50.0, 1.0));
        assert!((quality.contrast - 150.0).abs() < 5.0, "{quality:?}");
        // 66 wide and a quarter of it more at either end are 99, for 32 pixels of the model's.
        assert!((quality.scale - 99.0 / 32.0).abs() < 0.1, "{quality:?}");
        assert!(!quality.is_cut_off && quality.clipped == 0.0);
    }

    #[test]
    fn a_mark_that_runs_out_of_the_picture_is_cut_off() {
        // A bar inside, and another one beside it that goes up and out.
        let frame = |top: usize| {
            Frame::from_fn(160, 140, |x, y| {
                let inside = (70..78).contains(&x) && (20..80).contains(&y);
                let beside = (86..94).contains(&x) && (top..80).contains(&y);
                if inside || beside { 20 } else { 220 }
            })
        };
        assert!(measured(&frame(0)).is_cut_off);
        assert!(!measured(&frame(20)).is_cut_off);
    }

    #[test]
    fn grey_levels_count_as_clipped_where_the_model_looks_at_them() {
        let spec = InputSpec {
            crop: Crop::Frame,
            scaling: Scaling::Unit,
            ..spec()
        };
        let frame = Frame::from_fn(64, 64, |x, _| if x < 16 { 255 } else { 100 });
        let quality = of(&frame, Thing::Whole, &spec).unwrap();
        assert!((quality.clipped - 0.25).abs() < 0.02, "{quality:?}");
        assert!((quality.contrast - 155.0).abs() < 1.0);
    }

    #[test]
    fn the_first_thing_to_mend_is_told() {
        let good = Quality {
            blur_px: 1.0,
            contrast: 100.0,
            clipped: 0.0,
            scale: 2.0,
            is_cut_off: false,
        };
        let gates = Gates {
            blur_px: 1.0,
            contrast: 100.0,
            clipped: 0.0,
            scale: 2.0,
        };
        assert_eq!(gates.flaw(&good), None);
        let small = Quality {
            scale: 1.9,
            blur_px: 5.0,
            ..good
        };
        assert_eq!(gates.flaw(&small), Some(Flaw::TooSmall));
        let flat = Quality {
            blur_px: f32::INFINITY,
            ..good
        };
        assert_eq!(gates.flaw(&flat), Some(Flaw::Blurred));
        assert!(
            Gates {
                scale: f32::NAN,
                ..gates
            }
            .check()
            .is_err()
        );
        gates.check().unwrap();
    }
}
