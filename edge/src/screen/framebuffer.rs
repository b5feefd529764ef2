//! The Linux framebuffer, written as the file it is: 16 bits a pixel (5, 6, 5: red highest) or 32 (blue
//! first). Its geometry is read from `/sys/class/graphics`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use embedded_graphics::pixelcolor::raw::ToBytes;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888, RgbColor};

use super::{Place, ScreenError, Target};
use crate::device::sight::Sight;
use crate::picture::frame::Frame;
use crate::screen::overlay::Canvas;

/// From twice this height on, in pixels, everything is drawn smaller and blown up: the words would be
/// too small to read from afar.
const WORDS_FOR_PX: usize = 480;
/// More than any screen has: 16384 x 16384 pixels.
const MAX_SIDE_PX: usize = 16384;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Rgb565,
    Xrgb8888,
}

impl Depth {
    fn bytes(self) -> usize {
        match self {
            Depth::Rgb565 => 2,
            Depth::Xrgb8888 => 4,
        }
    }
}

/// How pixels lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    width: usize,
    height: usize,
    depth: Depth,
    /// Bytes from a row to the next.
    stride: usize,
}

impl Geometry {
    /// From `virtual_size`, `bits_per_pixel` and `stride` in a folder of `/sys/class/graphics`.
    fn read(folder: &Path) -> Result<Self, String> {
        let line = |name: &str| {
            let path = folder.join(name);
            let text = fs::read_to_string(&path);
            let text = text.map_err(|error| format!("{path:?}: {error}; is it a framebuffer?"))?;
            Ok::<_, String>(text.trim().to_owned())
        };
        let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
        let odd = |name: &str, text: &str| format!("{:?} says {text:?}", folder.join(name));
        let size = line("virtual_size")?;
        let sides = size.split_once(',');
        let sides = sides.and_then(|(width, height)| Some((number(width)?, number(height)?)));
        let (width, height) = sides
            .filter(|&(width, height)| width <= MAX_SIDE_PX && height <= MAX_SIDE_PX)
            .ok_or_else(|| odd("virtual_size", &size))?;
        let bits = line("bits_per_pixel")?;
        let depth = match bits.as_str() {
            "16" => Depth::Rgb565,
            "32" => Depth::Xrgb8888,
            _ => {
                return Err(format!(
                    "{bits} bits a pixel; set it to 16 or 32 (`fbset -depth 32`)"
                ));
            }
        };
        let text = line("stride")?;
        let stride = number(&text)
            .filter(|stride| (width * depth.bytes()..=MAX_SIDE_PX * 4).contains(stride))
            .ok_or_else(|| odd("stride", &text))?;
        Ok(Self {
            width,
            height,
            depth,
            stride,
        })
    }
}

pub struct Framebuffer {
    target: Target,
    file: File,
    geometry: Geometry,
    /// A whole screen.
    bytes: Vec<u8>,
}

impl Framebuffer {
    pub fn open(target: &Target, device: &Path) -> Result<Self, ScreenError> {
        let name = device.file_name().unwrap_or_default();
        Self::with_geometry(target, device, &Path::new("/sys/class/graphics").join(name))
    }

    fn with_geometry(target: &Target, device: &Path, folder: &Path) -> Result<Self, ScreenError> {
        let geometry = Geometry::read(folder).map_err(|reason| ScreenError::Unfit {
            screen: target.to_string(),
            reason,
        })?;
        let file = OpenOptions::new().write(true).open(device);
        let file = file.map_err(|source| ScreenError::Io {
            screen: target.to_string(),
            doing: "cannot be opened (the user must be in the group video)".to_owned(),
            source,
        })?;
        Ok(Self {
            target: target.clone(),
            file,
            geometry,
            bytes: vec![0; geometry.stride * geometry.height],
        })
    }

    fn write(&self) -> Result<(), ScreenError> {
        let failed = |source: io::Error| ScreenError::Io {
            screen: self.target.to_string(),
            doing: "cannot be written".to_owned(),
            source,
        };
        self.file.write_all_at(&self.bytes, 0).map_err(failed)
    }
}

impl Place for Framebuffer {
    fn show(&mut self, frame: &Frame, sight: &Sight) -> Result<(), ScreenError> {
        let Geometry {
            width,
            height,
            depth,
            stride,
        } = self.geometry;
        let blown_up = (height / WORDS_FOR_PX).max(1);
        let drawn = (width.div_ceil(blown_up), height.div_ceil(blown_up));
        let canvas = Canvas::fitted(frame, sight, drawn);
        for (y, row) in self.bytes.chunks_exact_mut(stride).enumerate() {
            if y % blown_up != 0 {
                continue;
            }
            let pixels = canvas.pixels()[y / blown_up * drawn.0 * 3..].chunks_exact(3);
            let mut places = row[..width * depth.bytes()].chunks_exact_mut(depth.bytes());
            for pixel in pixels.take(drawn.0) {
                let color = Rgb888::new(pixel[0], pixel[1], pixel[2]);
                for place in places.by_ref().take(blown_up) {
                    match depth {
                        Depth::Rgb565 => {
                            place.copy_from_slice(&Rgb565::from(color).to_le_bytes());
                        }
                        Depth::Xrgb8888 => {
                            place.copy_from_slice(&[color.b(), color.g(), color.r(), 0]);
                        }
                    }
                }
            }
        }
        // Rows between are as the row above them.
        for y in (0..height).filter(|y| y % blown_up != 0) {
            self.bytes
                .copy_within((y - 1) * stride..y * stride, y * stride);
        }
        self.write()
    }

    fn end(&mut self) {
        self.bytes.fill(0);
        // The program ends: there is no one left to report to.
        let _ = self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sight::Tone;

    /// A folder with the geometry of an invented framebuffer, and the framebuffer.
    fn invented(size: &str, bits: &str, stride: &str, bytes: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("virtual_size", size),
            ("bits_per_pixel", bits),
            ("stride", stride),
        ] {
            fs::write(folder.path().join(name), format!("{text}\n")).unwrap();
        }
        fs::write(folder.path().join("fb"), vec![0xee; bytes]).unwrap();
        folder
    }

    fn opened(folder: &tempfile::TempDir) -> Result<Framebuffer, ScreenError> {
        let device = folder.path().join("fb");
        let target = Target::Framebuffer(device.clone());
        Framebuffer::with_geometry(&target, &device, folder.path())
    }

    fn orange() -> Frame {
        let pixels = [255, 128, 8].repeat(20 * 10);
        Frame::new(20, 10, 3, pixels).unwrap()
    }

    #[test]
    fn colours_are_as_the_depth_wants_them_and_rows_as_far_apart_as_the_stride() {
        let silent = Sight::saying("", Tone::Nothing);
        // 40 x 140, the picture from row 60 to row 80. 31 << 11 | 32 << 5 | 1 = 0xfc01; blue first.
        for (bits, stride, expected) in [
            ("16", 90, vec![0x01, 0xfc]),
            ("32", 170, vec![8, 128, 255, 0]),
        ] {
            let folder = invented("40,140", bits, &stride.to_string(), stride * 140 + 5);
            let mut place = opened(&folder).unwrap();
            place.show(&orange(), &silent).unwrap();
            let bytes = fs::read(folder.path().join("fb")).unwrap();
            let depth = expected.len();
            let at = |x: usize, y: usize| bytes[y * stride + x * depth..][..depth].to_vec();
            assert_eq!(at(0, 59), vec![0; depth]);
            assert_eq!(at(0, 60), expected);
            assert_eq!(at(39, 79), expected);
            assert_eq!(at(0, 80), vec![0; depth]);
            // Beyond the last row nothing is written, nor does the file shrink.
            assert_eq!(&bytes[stride * 140..], [0xee; 5]);
            place.end();
            let bytes = fs::read(folder.path().join("fb")).unwrap();
            assert!(bytes[..stride * 140].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn a_large_screen_shows_large_words() {
        // 963 x 961: drawn at 482 x 481, each pixel twice, the last column once.
        let folder = invented("963,961", "16", "1926", 0);
        let mut place = opened(&folder).unwrap();
        let frame = Frame::from_fn(482, 481, |x, y| (x + y) as u8);
        let sight = Sight::saying("cup", Tone::Match);
        place.show(&frame, &sight).unwrap();
        let bytes = fs::read(folder.path().join("fb")).unwrap();
        assert_eq!(bytes.len(), 1926 * 961);
        let at = |x: usize, y: usize| [bytes[y * 1926 + x * 2], bytes[y * 1926 + x * 2 + 1]];
        let canvas = Canvas::showing(&frame, &sight).into_frame();
        for (x, y) in [(0, 0), (3, 5), (962, 2), (10, 940), (11, 960), (14, 951)] {
            let pixel = &canvas.pixels()[(y / 2 * 482 + x / 2) * 3..][..3];
            let color = Rgb565::from(Rgb888::new(pixel[0], pixel[1], pixel[2]));
            assert_eq!(at(x, y), color.to_le_bytes(), "{x}, {y}");
        }
    }

    #[test]
    fn a_geometry_that_cannot_be_is_refused_by_name() {
        for (size, bits, stride, expected) in [
            ("640,480", "8", "640", "8 bits a pixel"),
            ("640", "32", "2560", "virtual_size\" says \"640\""),
            ("0,480", "32", "2560", "virtual_size\" says \"0,480\""),
            ("99999,480", "32", "400000", "virtual_size\""),
            ("640,480", "32", "2559", "stride\" says \"2559\""),
            ("640,480", "32", "99999999999", "stride\""),
        ] {
            let folder = invented(size, bits, stride, 0);
            let error = opened(&folder).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let nothing = tempfile::tempdir().unwrap();
        let error = opened(&nothing).err().unwrap().to_string();
        assert!(error.contains("is it a framebuffer?"), "{error}");
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_end() {
        let folder = invented("40,30", "32", "160", 0);
        fs::remove_file(folder.path().join("fb")).unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("fb")).unwrap();
        let mut place = opened(&folder).unwrap();
        let silent = Sight::saying("", Tone::Nothing);
        for _ in 0..2 {
            let error = place.show(&orange(), &silent).unwrap_err().to_string();
            assert!(error.contains("cannot be written"), "{error}");
        }
        place.end();
    }
}
