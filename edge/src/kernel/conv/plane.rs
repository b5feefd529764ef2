//! How activations lie in memory between two layers. Knows no weights.

use super::{STEP, Sample};

/// A square of activations with zeros around it: [side, side, channels].
#[derive(Clone, Debug)]
pub struct Plane {
    pub(super) sample: Sample,
    pub(super) channels: usize,
    pub(super) side: usize,
    pub(super) padding: usize,
    pub(super) bytes: Vec<u8>,
}

impl Plane {
    pub(super) fn new(sample: Sample, channels: usize, side: usize, padding: usize) -> Self {
        let samples = (side + 2 * padding) * (side + 2 * padding) * channels;
        // A run is read to the end of its last step.
        let mut bytes = vec![0; samples * sample.bytes() + STEP];
        for at in 0..samples {
            sample.put(&mut bytes, at, 0);
        }
        Self {
            sample,
            channels,
            side,
            padding,
            bytes,
        }
    }

    pub(super) fn is_like(
        &self,
        sample: Sample,
        channels: usize,
        side: usize,
        padding: usize,
    ) -> bool {
        (self.sample, self.channels, self.side, self.padding) == (sample, channels, side, padding)
    }

    /// Place of the first sample of row `y`.
    #[inline]
    pub(super) fn row(&self, y: usize) -> usize {
        ((y + self.padding) * (self.side + 2 * self.padding) + self.padding) * self.channels
    }

    /// Takes a picture [channels, side, side] in: `round(x / scale) - 128`, ties to even, clamped to 8
    /// bits.
    ///
    /// # Panics
    /// If the picture is of another size.
    pub fn quantize(&mut self, picture: &[f32], scale: f32) {
        assert_eq!(picture.len(), self.channels * self.side * self.side);
        for (row, line) in picture.chunks_exact(self.side).enumerate() {
            let (channel, y) = (row / self.side, row % self.side);
            let start = self.row(y) + channel;
            for (x, value) in line.iter().enumerate() {
                let offset = rounded((value / scale).clamp(0.0, 255.0));
                self.sample
                    .put(&mut self.bytes, start + x * self.channels, offset);
            }
        }
    }

    /// Gives every q + 128 with its channel and its pixel, counted row by row.
    pub fn each(&self, mut give: impl FnMut(usize, usize, u8)) {
        for y in 0..self.side {
            let start = self.row(y);
            for x in 0..self.side {
                let pixel = start + x * self.channels;
                for channel in 0..self.channels {
                    let offset = self.sample.get(&self.bytes, pixel + channel);
                    give(channel, y * self.side + x, offset);
                }
            }
        }
    }
}

/// The whole number nearest to a number of 0 to 255, ties to even.
pub(super) fn rounded(value: f32) -> u8 {
    // From 2^23 on, floats are whole numbers, and the addition has rounded.
    const WHOLE: f32 = 12_582_912.0;
    (value + WHOLE).to_bits() as u8
}
