//! Turns a picture of raw samples into a [`Frame`], whatever way they lie in memory. Knows nothing of where
//! they come from.

use std::sync::Arc;

use crate::picture::frame::{Frame, FrameError, luma};

/// A picture of raw samples.
#[derive(Clone, Debug)]
pub struct Raw {
    /// How they lie in memory.
    pub layout: Layout,
    /// In pixels, at least 1.
    pub width: usize,
    /// In pixels, at least 1.
    pub height: usize,
    /// From one row's first byte to the next one's, in the first plane; at least a row's bytes.
    pub stride: usize,
    /// Luma uses 0 to 255, not 16 to 235.
    pub full_range: bool,
    /// At least as many as the layout needs.
    pub bytes: Arc<Vec<u8>>,
}

/// How samples lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A byte a pixel.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Packed 4:2:2: Y U Y V.
    Yuyv,
    /// A plane of Y, then one of U V for every 2x2 pixels.
    Nv12,
    /// Planes of Y, U and V; U and V share a sample between this many pixels (across, down).
    Planes(usize, usize),
}

impl Layout {
    /// Bytes of a row of the first plane.
    pub(super) fn row(self, width: usize) -> usize {
        match self {
            Self::Grey | Self::Nv12 | Self::Planes(..) => width,
            Self::Rgb | Self::Bgr => 3 * width,
            Self::Yuyv => 4 * width.div_ceil(2),
        }
    }

    /// Bytes of a picture.
    pub(super) fn bytes(self, width: usize, height: usize, stride: usize) -> usize {
        let first = match self {
            // The last row need not be filled up.
            Self::Grey | Self::Rgb | Self::Bgr | Self::Yuyv => {
                stride * (height - 1) + self.row(width)
            }
            Self::Nv12 | Self::Planes(..) => stride * height,
        };
        first
            + match self {
                Self::Nv12 => stride * (height.div_ceil(2) - 1) + 2 * width.div_ceil(2),
                Self::Planes(across, down) => 2 * width.div_ceil(across) * height.div_ceil(down),
                _ => 0,
            }
    }
}

impl Raw {
    /// The picture in RGB; in grey where it is asked for or has no colour.
    ///
    /// # Errors
    /// [`FrameError::WrongShape`] where bytes are missing.
    pub fn to_frame(&self, grey: bool) -> Result<Frame, FrameError> {
        let mut frame = Frame::default();
        self.read_into(&mut frame, grey)?;
        Ok(frame)
    }

    /// The same into the memory of `frame`, which an error leaves as it was.
    ///
    /// # Errors
    /// As [`Raw::to_frame`].
    pub fn read_into(&self, frame: &mut Frame, grey: bool) -> Result<(), FrameError> {
        let &Self {
            layout,
            width,
            height,
            stride,
            ..
        } = self;
        let missing = FrameError::WrongShape {
            width,
            height,
            channels: 3,
            samples: self.bytes.len(),
        };
        if width == 0 || height == 0 || stride < layout.row(width) {
            return Err(missing);
        }
        if self.bytes.len() < layout.bytes(width, height, stride) {
            return Err(missing);
        }
        let is_grey = grey || layout == Layout::Grey;
        let pixels = frame.reshape(width, height, if is_grey { 1 } else { 3 });
        match layout {
            Layout::Grey => self.plane::<1>(pixels, |sample| sample),
            Layout::Rgb | Layout::Bgr if grey => {
                for (out, row) in pixels.chunks_exact_mut(width).zip(self.rows()) {
                    for (out, &pixel) in out.iter_mut().zip(row.as_chunks::<3>().0) {
                        *out = luma(&self.in_order(pixel));
                    }
                }
            }
            Layout::Rgb | Layout::Bgr => {
                for (out, row) in pixels.chunks_exact_mut(3 * width).zip(self.rows()) {
                    let out = out.as_chunks_mut::<3>().0;
                    for (out, &pixel) in out.iter_mut().zip(row.as_chunks::<3>().0) {
                        *out = self.in_order(pixel);
                    }
                }
            }
            Layout::Yuyv if grey => self.luma_plane::<2>(pixels),
            Layout::Nv12 | Layout::Planes(..) if grey => self.luma_plane::<1>(pixels),
            Layout::Yuyv => self.colour(pixels, |x, y| {
                let row = y * stride;
                let pair = row + x / 2 * 4;
                [row + 2 * x, pair + 1, pair + 3]
            }),
            Layout::Nv12 => self.colour(pixels, |x, y| {
                let pair = stride * (height + y / 2) + x / 2 * 2;
                [y * stride + x, pair, pair + 1]
            }),
            Layout::Planes(across, down) => {
                let narrow = width.div_ceil(across);
                let plane = narrow * height.div_ceil(down);
                self.colour(pixels, |x, y| {
                    let at = stride * height + y / down * narrow + x / across;
                    [y * stride + x, at, at + plane]
                });
            }
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let row = self.layout.row(self.width);
        (0..self.height).map(move |y| &self.bytes[y * self.stride..][..row])
    }

    fn in_order(&self, [a, b, c]: [u8; 3]) -> [u8; 3] {
        match self.layout {
            Layout::Bgr => [c, b, a],
            _ => [a, b, c],
        }
    }

    /// The first of every `STEP` samples.
    fn plane<const STEP: usize>(&self, pixels: &mut [u8], level: impl Fn(u8) -> u8) {
        for (out, row) in pixels.chunks_exact_mut(self.width).zip(self.rows()) {
            for (out, samples) in out.iter_mut().zip(row.as_chunks::<STEP>().0) {
                *out = level(samples[0]);
            }
        }
    }

    fn luma_plane<const STEP: usize>(&self, pixels: &mut [u8]) {
        if self.full_range {
            self.plane::<STEP>(pixels, |y| y);
        } else {
            self.plane::<STEP>(pixels, |y| clamped((298 * (i32::from(y) - 16) + 128) >> 8));
        }
    }

    /// RGB from the places of a pixel's Y, U and V (Rec. 601).
    fn colour(&self, pixels: &mut [u8], places: impl Fn(usize, usize) -> [usize; 3]) {
        // In 256ths: Y, V to red, U and V to green, U to blue.
        let (floor, [y, vr, ug, vg, ub]) = if self.full_range {
            (0, [256, 359, 88, 183, 454])
        } else {
            (16, [298, 409, 100, 208, 516])
        };
        for (row, line) in pixels.chunks_exact_mut(3 * self.width).enumerate() {
            for (column, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let sample = places(column, row).map(|at| i32::from(self.bytes[at]));
                let (level, u, v) = (
                    y * (sample[0] - floor) + 128,
                    sample[1] - 128,
                    sample[2] - 128,
                );
                *pixel = [level + vr * v, level - ug * u - vg * v, level + ub * u]
                    .map(|sum| clamped(sum >> 8));
            }
        }
    }
}

fn clamped(level: i32) -> u8 {
    level.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(layout: Layout, width: usize, height: usize, stride: usize, bytes: &[u8]) -> Raw {
        Raw {
            layout,
            width,
            height,
            stride,
            full_range: false,
            bytes: Arc::new(bytes.to_vec()),
        }
    }

    fn pixels(raw: &Raw, grey: bool) -> Vec<u8> {
        raw.to_frame(grey).unwrap().pixels().to_vec()
    }

    #[test]
    fn levels_of_narrow_range_are_spread() {
        let picture = raw(
            Layout::Planes(2, 2),
            4,
            1,
            4,
            &[0, 16, 126, 235, 128, 128, 128, 128],
        );
        assert_eq!(pixels(&picture, true), [0, 0, 128, 255]);
        assert_eq!(pixels(&picture, false)[3..9], [0, 0, 0, 128, 128, 128]);
        let full = Raw {
            full_range: true,
            ..picture
        };
        assert_eq!(pixels(&full, true), [0, 16, 126, 235]);
    }

    /// Rec. 601 red, (255, 0, 0), is Y 81, U 90, V 240; in full range Y 76, U 85, V 255.
    #[test]
    fn every_layout_shows_red_beside_grey() {
        let red_and_grey = [255, 0, 0, 128, 128, 128];
        for (layout, bytes) in [
            (Layout::Rgb, &[255, 0, 0, 128, 128, 128][..]),
            (Layout::Bgr, &[0, 0, 255, 128, 128, 128]),
            (Layout::Planes(1, 1), &[81, 126, 90, 128, 240, 128]),
        ] {
            let shown = pixels(&raw(layout, 2, 1, layout.row(2), bytes), false);
            let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 2;
            assert!(
                shown.iter().zip(&red_and_grey).all(near),
                "{layout:?}: {shown:?}"
            );
        }
        let red = [81, 81, 90, 240];
        let four_of_red = [
            (Layout::Yuyv, vec![81, 90, 81, 240, 81, 90, 81, 240], 2, 2),
            (Layout::Nv12, vec![81, 81, 81, 81, 90, 240], 2, 2),
            (Layout::Planes(2, 2), vec![81, 81, 81, 81, 90, 240], 2, 2),
            (Layout::Planes(2, 1), red.to_vec(), 2, 1),
        ];
        for (layout, bytes, width, height) in four_of_red {
            let shown = pixels(
                &raw(layout, width, height, layout.row(width), &bytes),
                false,
            );
            let near = |pixel: &[u8]| pixel[0] >= 253 && pixel[1] <= 2 && pixel[2] <= 2;
            assert!(shown.chunks(3).all(near), "{layout:?}: {shown:?}");
        }
        let full = Raw {
            full_range: true,
            ..raw(Layout::Planes(1, 1), 1, 1, 1, &[76, 85, 255])
        };
        let shown = pixels(&full, false);
        assert!(
            shown[0] >= 253 && shown[1] <= 2 && shown[2] <= 2,
            "{shown:?}"
        );
    }

    #[test]
    fn what_fills_up_rows_is_not_shown() {
        let grey = raw(Layout::Grey, 2, 2, 3, &[1, 2, 99, 3, 4]);
        assert_eq!(pixels(&grey, false), [1, 2, 3, 4]);
        let odd = [16, 128, 235, 128, 126, 128, 99, 128];
        assert_eq!(
            pixels(&raw(Layout::Yuyv, 3, 1, 8, &odd), true),
            [0, 255, 128]
        );
        let nv12 = [16, 235, 126, 99, 235, 16, 126, 99, 128, 128, 128, 128];
        assert_eq!(
            pixels(&raw(Layout::Nv12, 3, 2, 4, &nv12), true),
            [0, 255, 128, 255, 0, 128]
        );
    }

    #[test]
    fn a_byte_less_than_a_picture_is_none() {
        for layout in [
            Layout::Grey,
            Layout::Rgb,
            Layout::Bgr,
            Layout::Yuyv,
            Layout::Nv12,
            Layout::Planes(1, 1),
            Layout::Planes(2, 1),
            Layout::Planes(2, 2),
            Layout::Planes(4, 1),
        ] {
            for (width, height) in [(1, 1), (5, 3), (8, 2)] {
                for stride in [layout.row(width), layout.row(width) + 3] {
                    let bytes = vec![7; layout.bytes(width, height, stride)];
                    for grey in [false, true] {
                        let whole = raw(layout, width, height, stride, &bytes);
                        assert!(whole.to_frame(grey).is_ok(), "{layout:?}");
                        let cut = raw(layout, width, height, stride, &bytes[1..]);
                        assert!(cut.to_frame(grey).is_err(), "{layout:?}");
                    }
                }
            }
            assert!(raw(layout, 4, 1, 1, &[0; 99]).to_frame(true).is_err());
        }
    }
}
