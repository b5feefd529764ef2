//! A picture in memory and the one way in for encoded pictures. Knows nothing of cameras, models or identities.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageError, ImageReader, Limits};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::picture::jpeg;

/// The largest encoded picture that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// The largest picture that is decoded, in pixels.
pub const MAX_PIXELS: u64 = 32_000_000;
/// What file names end in that are taken for pictures in a folder, in small letters.
pub const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "pgm", "ppm", "pnm"];

/// Row-major pixels, one byte a sample, channels interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
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
    /// One black pixel, for whoever has a picture put there.
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

    /// Reads and decodes a picture file.
    ///
    /// # Errors
    /// Every [`FrameError`] but `WrongShape`, naming the file.
    pub fn load(path: &Path) -> Result<Self, FrameError> {
        let unreadable = |source| FrameError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        File::open(path)
            .map_err(unreadable)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(FrameError::TooManyBytes {
                path: path.to_owned(),
            });
        }
        Self::decode(&bytes, &path.display().to_string())
    }

    /// Decodes an encoded picture; `name` stands in errors. Alpha is laid over white. A JPEG must be
    /// whole ([`crate::picture::jpeg`]), but what a progressive one lacks inside a scan is not told.
    ///
    /// # Errors
    /// [`FrameError::Undecodable`] or [`FrameError::TooManyPixels`].
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, FrameError> {
        let undecodable = |reason: String| FrameError::Undecodable {
            name: name.to_owned(),
            reason,
        };
        if bytes.starts_with(&[0xff, 0xd8]) {
            let outline = jpeg::outline(bytes).map_err(|flaw| undecodable(flaw.to_string()))?;
            if outline.walked {
                let mut frame = Self::default();
                frame.read_outlined(bytes, &outline, &name, false)?;
                return Ok(frame);
            }
        }
        let reader = || {
            ImageReader::new(Cursor::new(bytes))
                .with_guessed_format()
                .map_err(|error| undecodable(error.to_string()))
        };
        let (width, height) = reader()?
            .into_dimensions()
            .map_err(|error| undecodable(error.to_string()))?;
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(FrameError::TooManyPixels {
                name: name.to_owned(),
            });
        }
        let mut decoder = reader()?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(16 * MAX_PIXELS);
        decoder.limits(limits);
        let picture = decoder.decode().map_err(|error| match error {
            ImageError::Limits(_) => FrameError::TooManyPixels {
                name: name.to_owned(),
            },
            other => undecodable(other.to_string()),
        })?;
        Self::from_picture(&picture).map_err(|_| undecodable("it has no pixels".to_owned()))
    }

    /// Decodes a sequential JPEG, which is what cameras send, and refuses one that is not whole
    /// ([`crate::picture::jpeg`]). In `grey` it takes the picture's luma and spares the rest; colour otherwise,
    /// where the picture has it. `name` stands in errors.
    ///
    /// # Errors
    /// [`FrameError::Undecodable`] or [`FrameError::TooManyPixels`].
    pub fn decode_jpeg(bytes: &[u8], name: impl Display, grey: bool) -> Result<Self, FrameError> {
        let mut frame = Self::default();
        frame.read_jpeg(bytes, name, grey)?;
        Ok(frame)
    }

    /// The same into this frame's memory: the luma of a picture that is no larger than another one
    /// before it is decoded without an allocation. After an error one black pixel is left.
    ///
    /// # Errors
    /// As [`Frame::decode_jpeg`].
    pub fn read_jpeg(
        &mut self,
        bytes: &[u8],
        name: impl Display,
        grey: bool,
    ) -> Result<(), FrameError> {
        let read = self.read_any_jpeg(bytes, &name, grey);
        if read.is_err() {
            self.reshape(1, 1, 1).fill(0);
        }
        read
    }

    fn read_any_jpeg(
        &mut self,
        bytes: &[u8],
        name: &dyn Display,
        grey: bool,
    ) -> Result<(), FrameError> {
        let undecodable = |reason: String| FrameError::Undecodable {
            name: name.to_string(),
            reason,
        };
        let outline = if grey {
            jpeg::luma(bytes, MAX_PIXELS, &mut self.pixels)
        } else {
            jpeg::outline(bytes)
        };
        let outline = outline.map_err(|flaw| undecodable(flaw.to_string()))?;
        if !outline.walked {
            return Err(undecodable(
                "it is progressive: nobody can tell whether it is whole".to_owned(),
            ));
        }
        if outline.has_luma {
            self.reshape(outline.width, outline.height, 1);
            return Ok(());
        }
        self.read_outlined(bytes, &outline, name, grey)
    }

    fn read_outlined(
        &mut self,
        bytes: &[u8],
        outline: &jpeg::Outline,
        name: &dyn Display,
        grey: bool,
    ) -> Result<(), FrameError> {
        let undecodable = |reason: String| FrameError::Undecodable {
            name: name.to_string(),
            reason,
        };
        let (width, height) = (outline.width, outline.height);
        if width as u64 * height as u64 > MAX_PIXELS {
            return Err(FrameError::TooManyPixels {
                name: name.to_string(),
            });
        }
        let bytes = &bytes[..outline.bytes];
        let bytes = if outline.without_tables {
            Cow::Owned(jpeg::with_standard_tables(bytes))
        } else {
            Cow::Borrowed(bytes)
        };
        let mut decoder = JpegDecoder::new(ZCursor::new(&bytes[..]));
        decoder
            .decode_headers()
            .map_err(|error| undecodable(error.to_string()))?;
        let to_luma = match decoder.input_colorspace() {
            Some(ColorSpace::Luma) => true,
            Some(ColorSpace::YCbCr) => grey,
            _ => false,
        };
        let (channels, colors) = if to_luma {
            (1, ColorSpace::Luma)
        } else {
            (3, ColorSpace::RGB)
        };
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(width)
            .set_max_height(height)
            .jpeg_set_out_colorspace(colors);
        // Headers are read a second time: the color space must be known before.
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes[..]), options);
        let pixels = self.reshape(width, height, channels);
        decoder
            .decode_into(pixels)
            .map_err(|error| undecodable(error.to_string()))?;
        if grey && channels == 3 {
            *self = self.to_grey().into_owned();
        }
        Ok(())
    }

    /// Makes it a frame of that shape, which its samples then have to fit; a side of 0 becomes 1.
    pub(crate) fn reshape(&mut self, width: usize, height: usize, channels: usize) -> &mut [u8] {
        (self.width, self.height) = (width.max(1), height.max(1));
        self.channels = channels;
        self.pixels.resize(self.width * self.height * channels, 0);
        &mut self.pixels
    }

    fn from_picture(picture: &DynamicImage) -> Result<Self, FrameError> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let over_white = |sample: u8, alpha: u8| {
            let (sample, alpha) = (u32::from(sample), u32::from(alpha));
            ((sample * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        let color = picture.color();
        let (channels, pixels) = match (color.has_color(), color.has_alpha()) {
            (false, false) => (1, picture.to_luma8().into_raw()),
            (true, false) => (3, picture.to_rgb8().into_raw()),
            (false, true) => {
                let pixels = picture.to_luma_alpha8();
                (1, pixels.pixels().map(|p| over_white(p[0], p[1])).collect())
            }
            (true, true) => {
                let pixels = picture.to_rgba8();
                let rgb = pixels
                    .pixels()
                    .flat_map(|p| [0, 1, 2].map(|c| over_white(p[c], p[3])));
                (3, rgb.collect())
            }
        };
        Self::new(width, height, channels, pixels)
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
    let [r, g, b] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
    ((r * 299 + g * 587 + b * 114 + 500) / 1000) as u8
}
