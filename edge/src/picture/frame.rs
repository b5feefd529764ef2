//! A picture in memory: grey or RGB samples, their shape and what becomes of them in another one. Knows nothing of
//! files and codes ([`crate::picture::decode`]), cameras, models or identities.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::kernel::NoSuchKernel;

/// The largest encoded picture that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// The largest picture that is decoded, in pixels.
pub const MAX_PIXELS: u64 = 32_000_000;
/// Row-major pixels, one byte a sample, channels interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: usize,
    height: usize,
    channels: usize,
    /// The decoder of luma writes into this memory.
    pub(super) pixels: Vec<u8>,
}

/// Why a picture could not become a [`Frame`].
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The file cannot be opened or read.
    #[error("{path:?}: cannot be read: {source}")]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("{path:?}: larger than {} MiB; give a smaller picture", MAX_FILE_BYTES >> 20)]
    TooManyBytes {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// The bytes are no picture of a known kind, or are damaged or cut short.
    #[error("{name}: not a whole PNG, JPEG, BMP, PGM or PPM picture ({reason})")]
    Undecodable {
        /// The file, or what the bytes were called.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// The picture has more than [`MAX_PIXELS`] pixels.
    #[error("{name}: more than {} megapixels; scale it down", MAX_PIXELS / 1_000_000)]
    TooManyPixels {
        /// The file, or what the bytes were called.
        name: String,
    },
    /// The environment asks for kernels that are not here.
    #[error(transparent)]
    Kernel(#[from] NoSuchKernel),
    /// The number of samples is not width x height x channels, or one of them is out of range.
    #[error("a frame of {width}x{height}x{channels} does not fit {samples} samples")]
    WrongShape {
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// 1 or 3.
        channels: usize,
        /// How many bytes came.
        samples: usize,
    },
}

impl Default for Frame {
    /// One black pixel: memory into which a picture is then decoded.
    fn default() -> Self {
        Self {
            width: 1,
            height: 1,
            channels: 1,
            pixels: vec![0],
        }
    }
}

impl Frame {
    /// A frame of raw samples: `channels` is 1 (grey) or 3 (RGB), neither side is 0.
    ///
    /// # Errors
    /// [`FrameError::WrongShape`] where the numbers do not fit together.
    pub fn new(
        width: usize,
        height: usize,
        channels: usize,
        pixels: Vec<u8>,
    ) -> Result<Self, FrameError> {
        let fits = width > 0
            && height > 0
            && matches!(channels, 1 | 3)
            && width
                .checked_mul(height)
                .and_then(|n| n.checked_mul(channels))
                == Some(pixels.len());
        if !fits {
            return Err(FrameError::WrongShape {
                width,
                height,
                channels,
                samples: pixels.len(),
            });
        }
        Ok(Self {
            width,
            height,
            channels,
            pixels,
        })
    }

    /// A grey frame from a function of (x, y).
    ///
    /// # Panics
    /// If a side is 0.
    pub fn from_fn(width: usize, height: usize, sample: impl Fn(usize, usize) -> u8) -> Self {
        assert!(width > 0 && height > 0, "a frame has pixels");
        let pixels = (0..width * height)
            .map(|i| sample(i % width, i / width))
            .collect();
        Self {
            width,
            height,
            channels: 1,
            pixels,
        }
    }

    /// Makes it a frame of that shape, which its samples then have to fit; a side of 0 becomes 1.
    pub(crate) fn reshape(&mut self, width: usize, height: usize, channels: usize) -> &mut [u8] {
        (self.width, self.height) = (width.max(1), height.max(1));
        self.channels = channels;
        self.pixels.resize(self.width * self.height * channels, 0);
        &mut self.pixels
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 (grey) or 3 (RGB).
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The samples, row-major, channels interleaved.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The same, to draw on.
    #[cfg(feature = "device")]
    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The grey level of a pixel (Rec. 601 luma).
    ///
    /// # Panics
    /// If it lies beyond the frame.
    pub fn level(&self, x: usize, y: usize) -> u8 {
        let at = y * self.width + x;
        match self.channels {
            1 => self.pixels[at],
            _ => luma(&self.pixels[3 * at..]),
        }
    }

    /// This frame in grey (Rec. 601 luma).
    pub fn to_grey(&self) -> Cow<'_, Frame> {
        self.with_channels(1)
    }

    /// This frame in RGB.
    pub fn to_rgb(&self) -> Cow<'_, Frame> {
        self.with_channels(3)
    }

    fn with_channels(&self, channels: usize) -> Cow<'_, Frame> {
        if self.channels == channels {
            return Cow::Borrowed(self);
        }
        let mut converted = Self::default();
        self.in_channels(channels, &mut converted);
        Cow::Owned(converted)
    }

    /// This frame in grey (1) or RGB (3): itself where it is so, else in `memory`.
    pub(crate) fn in_channels<'a>(&'a self, channels: usize, memory: &'a mut Frame) -> &'a Frame {
        if self.channels == channels {
            return self;
        }
        let converted = memory.reshape(self.width, self.height, channels);
        if channels == 1 {
            for (to, from) in converted.iter_mut().zip(self.pixels.chunks_exact(3)) {
                *to = luma(from);
            }
        } else {
            for (to, &from) in converted.chunks_exact_mut(3).zip(&self.pixels) {
                to.fill(from);
            }
        }
        memory
    }

    /// This frame as a PNG file's bytes.
    ///
    /// # Errors
    /// What the encoder said (out of memory is the only cause left).
    pub fn to_png(&self) -> Result<Vec<u8>, FrameError> {
        let color = if self.channels == 1 {
            image::ExtendedColorType::L8
        } else {
            image::ExtendedColorType::Rgb8
        };
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        image::ImageEncoder::write_image(
            encoder,
            &self.pixels,
            self.width as u32,
            self.height as u32,
            color,
        )
        .map_err(|error| FrameError::Undecodable {
            name: "PNG".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(bytes)
    }
}

/// Rec. 601 luma of the red, green and blue that `pixel` begins with.
pub(crate) fn luma(pixel: &[u8]) -> u8 {
    ((luma_thousandths([pixel[0], pixel[1], pixel[2]]) + 500) / 1000) as u8
}

/// Rec. 601 luma of red, green and blue, in thousandths of a level: 0 to 255,000.
pub(crate) fn luma_thousandths(rgb: [u8; 3]) -> u32 {
    let [r, g, b] = rgb.map(u32::from);
    r * 299 + g * 587 + b * 114
}
