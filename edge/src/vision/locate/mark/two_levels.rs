//! The mark in a picture of two levels alone: one is paper, the other ink. Such a picture was drawn by a program
//! or scanned; a photograph is left to `sheet`.

use super::blobs::Blobs;
use super::shapes::{cluster, largest_square};
use super::view::{View, histogram};
use super::{MIN_CONTRAST, around};

/// A blob of ink with less than this share of all the ink is dirt, not a stroke.
const SPECK_SHARE: f64 = 0.005;

/// Where a picture is of two levels alone, its paper spreads by less than this share of their
/// distance.
const PLAIN_SPREAD: f32 = 0.12;

/// A mark in a picture of two levels.
pub(super) struct TwoLevels {
    /// [left, top, right, bottom], ends included.
    pub bounds: [usize; 4],
    pub paper: f32,
    pub ink: f32,
    /// No camera gives levels this pure: a program drew it.
    pub is_pure: bool,
    /// Nothing else can be meant: thin strokes that stand together and are no things, or pure ones.
    pub is_clear: bool,
}

impl View<'_> {
    /// The mark in a picture of two levels: they are the classes of its histogram (Otsu 1979), and
    /// the paper is the one that the picture's border shows. `None` where there are more levels,
    /// or both at the border.
    pub(super) fn two_levels(&self, memory: &mut Blobs) -> Option<TwoLevels> {
        let levels = two_classes(self.levels)?;
        let contrast = levels.light - levels.dark;
        if contrast < MIN_CONTRAST {
            return None;
        }
        let border = self.border().filter(|&at| self.levels[at] > levels.split);
        let (light, all) = (border.count(), 2 * (self.width + self.height));
        let dark_on_light = 2 * light >= all;
        let unlike = if dark_on_light { all - light } else { light };
        let [dark_spread, light_spread] = levels.spread;
        // A stroke may then run along the border.
        let is_pure = dark_spread.max(light_spread) < 0.03 * contrast;
        let spread = if dark_on_light {
            light_spread
        } else {
            dark_spread
        };
        if spread > PLAIN_SPREAD * contrast || (16 * unlike > all && !is_pure) {
            return None;
        }
        let is_ink = |level: u8| (level <= levels.split) == dark_on_light;
        memory.find(self.width, self.height, |y, ink| {
            let row = &self.levels[y * self.width..];
            for (ink, &v) in ink.iter_mut().zip(row) {
                *ink = u8::from(is_ink(v));
            }
        });
        let Blobs { blobs, squares, .. } = memory;
        // A blob at the border of a photograph belongs to what lies around the sheet.
        if !is_pure && blobs.iter().any(|blob| !blob.is_cut) {
            blobs.retain(|blob| !blob.is_cut);
        }
        let all: usize = blobs.iter().map(|blob| blob.area).sum();
        let least = (all as f64 * SPECK_SHARE) as usize;
        blobs.retain(|blob| blob.area >= least);
        let bounds = blobs.iter().map(|blob| blob.bounds).reduce(around)?;
        let [left, top, right, bottom] = bounds;
        let (across, down) = (right - left + 1, bottom - top + 1);
        let is_solid = 5 * all > 2 * across * down;
        let is_clear = !is_solid
            && (is_pure
                || unlike == 0 && {
                    let (mut thick, mut solid) = (0, 0.0);
                    for blob in &mut *blobs {
                        let ink = |x: usize, y: usize| is_ink(self.levels[y * self.width + x]);
                        blob.thick = largest_square(blob.bounds, ink, squares);
                        blob.mass = blob.area as f32;
                        thick = thick.max(usize::from(blob.thick));
                        solid += blob.solid_mass();
                    }
                    20 * thick <= 3 * across.max(down)
                        && 2.0 * solid <= all as f32
                        && cluster(blobs) == 1
                });
        let (paper, ink) = if dark_on_light {
            (levels.light, levels.dark)
        } else {
            (levels.dark, levels.light)
        };
        Some(TwoLevels {
            bounds,
            paper: paper.max(1.0),
            ink,
            is_pure,
            is_clear,
        })
    }
}

struct TwoClasses {
    /// The highest level of the dark class.
    split: u8,
    dark: f32,
    light: f32,
    /// Standard deviations of the two.
    spread: [f32; 2],
}

/// The split of the histogram with the largest between-class variance (Otsu 1979, eq. 18); of
/// equal ones the lowest. `None` where all levels are the same.
fn two_classes(pixels: &[u8]) -> Option<TwoClasses> {
    let histogram = histogram(pixels);
    let total = pixels.len() as f64;
    let moment = |power: i32| -> f64 {
        (0..256)
            .map(|v| (v as f64).powi(power) * histogram[v] as f64)
            .sum()
    };
    let (total_sum, total_squares) = (moment(1), moment(2));
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let mut best: Option<(f64, TwoClasses)> = None;
    for split in 0..255u8 {
        count += histogram[split as usize] as f64;
        sum += f64::from(split) * histogram[split as usize] as f64;
        squares += f64::from(split).powi(2) * histogram[split as usize] as f64;
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
                    spread: [
                        (squares / count - dark * dark).max(0.0).sqrt() as f32,
                        ((total_squares - squares) / (total - count) - light * light)
                            .max(0.0)
                            .sqrt() as f32,
                    ],
                },
            ));
        }
    }
    best.map(|(_, classes)| classes)
}
