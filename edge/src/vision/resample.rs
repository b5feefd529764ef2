//! A part of a picture on a grid of another size. Knows pixels and boxes only.

use std::ops::Range;

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;

/// Mean of one channel along the picture's border, 0 to 255.
pub fn border_mean(frame: &Frame, channel: usize) -> f32 {
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
pub struct Resampling {
    columns: Taps,
    rows: Taps,
    narrow: Vec<f32>,
}

impl Resampling {
    /// One channel of `region` on a grid of `size` (width, height), 0 to 255; `beyond` stands outside
    /// the picture. A pen stroke is two pixels wide after reduction, so every source pixel counts by
    /// the area that it covers; where a picture is enlarged this turns into linear interpolation.
    pub fn resample(
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
}
