//! The one way in for encoded pictures: what the bytes of a file or of a camera become. Refuses what is cut, damaged
//! or too large. Knows nothing of where the bytes come from.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageError, ImageReader, Limits};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::kernel;
use crate::picture::frame::{Frame, FrameError, MAX_FILE_BYTES, MAX_PIXELS};
use crate::picture::jpeg;

/// What file names end in that are taken for pictures in a folder, in small letters.
pub const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "pgm", "ppm", "pnm"];

/// Whether a file of that name is taken for a picture in a folder.
pub fn is_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

impl Frame {
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
    /// [`FrameError::Undecodable`] or [`FrameError::TooManyPixels`]; [`FrameError::Kernel`] for luma, where the
    /// environment asks for kernels that are not here.
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
            jpeg::luma(kernel::chosen()?, bytes, MAX_PIXELS, &mut self.pixels)
        } else {
            jpeg::outline(bytes)
        };
        let outline = outline.map_err(|flaw| undecodable(flaw.to_string()))?;
        if !outline.walked {
            return Err(undecodable(
                "it is progressive: whether it is whole cannot be told".to_owned(),
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
}
