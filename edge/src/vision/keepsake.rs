//! What is kept of a picture that was enrolled: enough to make its patch again. Knows frames and what was found in
//! them: nothing of galleries or files.

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::vision::locate::Thing;
use crate::vision::locate::{self, Mark};
use crate::vision::preprocess::{self, Blank, Crop, InputSpec, Patch, Scaling, patch_at};
use crate::vision::resample::Resampling;

/// The keepsake of what `spec` looks for in `frame`: see [`of`].
///
/// # Errors
/// [`Blank`] where the spec needs a mark and the picture has none.
pub fn keepsake(frame: &Frame, spec: &InputSpec, limit_px: usize) -> Result<Frame, Blank> {
    let mut memory = locate::SearchMemory::default();
    of(
        frame,
        preprocess::find(frame, spec, &mut memory)?,
        spec,
        limit_px,
    )
}

/// The part of `frame` that `spec` looks at, with some of its surroundings, at most `limit_px` a
/// side: enough to make the patch again, for this model or another. Where the mark would not be
/// found again without what is around it, paper is made white and ink black.
///
/// # Errors
/// [`Blank`] where the spec needs a mark and `thing` is none.
pub fn of(frame: &Frame, thing: Thing, spec: &InputSpec, limit_px: usize) -> Result<Frame, Blank> {
    let Crop::Mark { margin } = spec.crop else {
        return Ok(reduced(frame, limit_px));
    };
    let Thing::Mark(mark) = thing else {
        return Err(Blank);
    };
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
    cleaned(frame, mark, margin + 0.1, side_px)
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
    let Patch(ink) = patch_at(frame, Thing::Mark(mark), &spec)?;
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
    let region = preprocess::whole(frame);
    let channels = frame.channels();
    let mut pixels = vec![0; width * height * channels];
    let mut plane = vec![0.0; width * height];
    let mut resampling = Resampling::default();
    for channel in 0..channels {
        resampling.resample(frame, channel, region, 0.0, (width, height), &mut plane);
        for (pixel, v) in pixels.chunks_exact_mut(channels).zip(&plane) {
            pixel[channel] = v.round().clamp(0.0, 255.0) as u8;
        }
    }
    Frame::new(width, height, channels, pixels).unwrap_or_else(|_| frame.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::preprocess::patch;

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
}
