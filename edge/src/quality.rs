//! Is a look good enough to decide by, and to be learned? Measures it, and says what is wrong with it.
//! Knows grey levels and where the mark is: nothing of networks, identities or time.

use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::locate::{Bounds, Mark};
use crate::preprocess::{self, Crop, InputSpec, Patch, Scaling};

/// Edges are measured at so many pixels for one of the model's input.
const ZOOM: usize = 2;
/// Differences of neighbours below this share of the contrast are paper and noise, not edges.
const FLAT: f32 = 0.15;

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

/// Measures the look at what [`preprocess::find`] found in `frame`. `None` where `spec` needs a mark
/// and there is none.
pub fn of(frame: &Frame, mark: Option<&Mark>, spec: &InputSpec) -> Option<Quality> {
    let fine = InputSpec {
        channels: 1,
        side_px: (ZOOM * spec.side_px).min(512),
        ..spec.clone()
    };
    let Patch(levels) = preprocess::patch_at(frame, mark, &fine).ok()?;
    let region = match (spec.crop, mark) {
        (Crop::Mark { margin }, Some(mark)) => mark.bounds.square(margin),
        (Crop::Mark { .. }, None) => return None,
        (Crop::Frame, _) => Bounds {
            x: 0.0,
            y: 0.0,
            width: frame.width() as f32,
            height: frame.height() as f32,
        }
        .square(0.0),
    };
    let (contrast, clipped) = match (spec.scaling, mark) {
        (Scaling::InkIsOne, Some(mark)) => {
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
                255.0 * spread(&levels),
                clipped as f32 / levels.len() as f32,
            )
        }
    };
    let edge = edge_width(&levels, fine.side_px);
    Some(Quality {
        blur_px: edge * spec.side_px as f32 / fine.side_px as f32,
        contrast,
        clipped,
        scale: region.width / spec.side_px as f32,
        is_cut_off: mark.is_some_and(|mark| is_cut_off(frame, mark, region)),
    })
}

/// Difference between the levels that a twentieth of all lie below and above.
fn spread(levels: &[f32]) -> f32 {
    let mut sorted = levels.to_vec();
    sorted.sort_by(f32::total_cmp);
    let far = sorted.len() / 20;
    sorted[sorted.len() - 1 - far] - sorted[far]
}

/// Mean width of the edges of a square picture, in its pixels: the contrast, over the slope that an
/// edge has on average, each place weighing as much as it rises. A step is 1 wide; infinite where
/// there is no edge. It does not depend on the light, which scales contrast and slopes alike.
fn edge_width(levels: &[f32], side: usize) -> f32 {
    let mut sorted = levels.to_vec();
    sorted.sort_by(f32::total_cmp);
    // A fiftieth: a small mark covers little of its square.
    let far = sorted.len() / 50;
    let contrast = sorted[sorted.len() - 1 - far] - sorted[far];
    if contrast <= 0.0 {
        return f32::INFINITY;
    }
    let (mut rise, mut squares) = (0.0f32, 0.0f32);
    for y in 0..side - 1 {
        for x in 0..side - 1 {
            let at = y * side + x;
            let (dx, dy) = (levels[at + 1] - levels[at], levels[at + side] - levels[at]);
            let slope = dx.hypot(dy);
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

/// Whether the mark touches the picture's border, or there is ink on the border beside it.
fn is_cut_off(frame: &Frame, mark: &Mark, region: Bounds) -> bool {
    let (width, height) = (frame.width() as f32, frame.height() as f32);
    let Bounds { x, y, .. } = mark.bounds;
    let (right, bottom) = (x + mark.bounds.width, y + mark.bounds.height);
    x <= 0.0 || y <= 0.0 || right >= width || bottom >= height || {
        let _ = region;
        false
    }
}
