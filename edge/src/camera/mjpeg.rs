//! Finds the pictures of a motion JPEG stream, such as `rpicam-vid --codec mjpeg -o -` writes or a clip
//! file holds. Knows where a picture begins and ends, and not whether it is whole.

use std::io::{self, BufRead};
use std::sync::Arc;

use super::CameraError;
use super::capture::CodedPicture;
use crate::picture::frame::{Frame, MAX_FILE_BYTES};
use crate::picture::pool::Pool;

const START: [u8; 2] = [0xff, 0xd8];
const END_OF_PICTURE: u8 = 0xd9;

/// The pictures of a motion JPEG stream, one after another. What stands between them is passed
/// over; a damaged one is an error, and the next call gives the next one.
pub struct MotionJpeg<R> {
    stream: R,
    name: String,
    count: u64,
    ended: bool,
    /// The start of the next picture cut the last one off, and is read already.
    begun: bool,
    pictures: Pool<Vec<u8>>,
}

impl<R: BufRead> MotionJpeg<R> {
    /// Reads from `stream`; `name` stands in errors.
    pub fn new(stream: R, name: &str) -> Self {
        Self {
            stream,
            name: name.to_owned(),
            count: 0,
            ended: false,
            begun: false,
            pictures: Pool::default(),
        }
    }

    /// The stream, for what else it holds.
    pub(super) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next picture, undecoded.
    pub(super) fn next_coded(&mut self) -> Option<io::Result<CodedPicture>> {
        match self.next_picture() {
            Ok(Some(bytes)) if bytes.len() as u64 > MAX_FILE_BYTES => {
                let most = MAX_FILE_BYTES >> 20;
                Some(Ok(CodedPicture::Damaged(format!(
                    "a picture of more than {most} MiB"
                ))))
            }
            Ok(Some(bytes)) => Some(Ok(CodedPicture::Jpeg(bytes))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The next picture's bytes, from its first marker to its last; `None` at the stream's end.
    /// A picture that the end cuts off comes as it is.
    fn next_picture(&mut self) -> io::Result<Option<Arc<Vec<u8>>>> {
        let mut pictures = std::mem::take(&mut self.pictures);
        let (picture, found) = pictures.fill(|picture| self.read_picture(picture));
        self.pictures = pictures;
        Ok(found?.then_some(picture))
    }

    fn read_picture(&mut self, picture: &mut Vec<u8>) -> io::Result<bool> {
        picture.clear();
        // To the start of a picture: ff d8, then the ff of its next marker.
        let mut last = if self.begun { START } else { [0, 0] };
        self.begun = false;
        loop {
            let Some(byte) = self.byte()? else {
                return Ok(false);
            };
            if last == START && byte == 0xff {
                break;
            }
            last = [last[1], byte];
        }
        picture.extend([0xff, 0xd8, 0xff]);
        // From marker to marker: a thumbnail inside a segment has an end mark of its own.
        while let Some(marker) = self.byte()? {
            picture.push(marker);
            if picture.len() as u64 > MAX_FILE_BYTES {
                break;
            }
            match marker {
                END_OF_PICTURE => break,
                0xff => continue,
                0xd8 => {
                    self.begun = true;
                    picture.truncate(picture.len() - 2);
                    break;
                }
                0x01 | 0xd0..=0xd7 => {}
                _ => {
                    let (Some(high), Some(low)) = (self.byte()?, self.byte()?) else {
                        break;
                    };
                    picture.extend([high, low]);
                    for _ in 2..u16::from_be_bytes([high, low]) {
                        picture.extend(self.byte()?);
                    }
                }
            }
            if !self.copy_to_marker(picture)? {
                break;
            }
        }
        Ok(true)
    }

    /// Copies coded data up to the ff of a marker that is neither stuffing nor a restart; whether
    /// there is one.
    fn copy_to_marker(&mut self, picture: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let here = self.stream.fill_buf()?;
            let marker = here.iter().position(|&byte| byte == 0xff);
            let copied = marker.map_or(here.len(), |at| at + 1);
            picture.extend_from_slice(&here[..copied]);
            self.stream.consume(copied);
            if copied == 0 || picture.len() as u64 > MAX_FILE_BYTES {
                return Ok(false);
            }
            if marker.is_some() {
                match self.stream.fill_buf()?.first() {
                    Some(0x00 | 0xd0..=0xd7) => {}
                    Some(_) => return Ok(true),
                    None => return Ok(false),
                }
            }
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.stream.fill_buf()?.first().copied();
        if byte.is_some() {
            self.stream.consume(1);
        }
        Ok(byte)
    }
}

impl<R: BufRead> Iterator for MotionJpeg<R> {
    type Item = Result<Frame, CameraError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.next_picture() {
            Ok(Some(bytes)) => {
                self.count += 1;
                let name = format!("{}, picture {}", self.name, self.count);
                Some(Frame::decode(&bytes, &name).map_err(CameraError::from))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(source) => {
                self.ended = true;
                let name = self.name.clone();
                Some(Err(CameraError::Broken { name, source }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

    fn jpeg(level: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90)
            .encode(&[level; 24 * 16], 24, 16, ExtendedColorType::L8)
            .unwrap();
        bytes
    }

    /// A picture with another whole picture in a comment segment, as cameras keep thumbnails.
    fn with_thumbnail(level: u8) -> Vec<u8> {
        let (outer, inner) = (jpeg(level), jpeg(0));
        let length = ((inner.len() + 2) as u16).to_be_bytes();
        [&outer[..2], &[0xff, 0xfe], &length, &inner, &outer[2..]].concat()
    }

    fn levels(stream: &[u8]) -> Vec<Option<u8>> {
        MotionJpeg::new(stream, "clip")
            .map(|frame| Some(frame.ok()?.pixels()[0]))
            .collect()
    }

    #[test]
    fn pictures_come_in_order_whatever_stands_between_them() {
        let stream = [
            jpeg(10),
            jpeg(100),
            b"--boundary\r\n\xff\xd8x".to_vec(),
            jpeg(200),
        ]
        .concat();
        assert_eq!(levels(&stream), [Some(10), Some(100), Some(200)]);
    }

    #[test]
    fn a_thumbnail_does_not_end_the_picture_around_it() {
        let stream = [with_thumbnail(100), jpeg(200)].concat();
        assert_eq!(levels(&stream), [Some(100), Some(200)]);
    }

    #[test]
    fn a_cut_picture_is_an_error_and_a_damaged_one_does_not_stop_the_next() {
        let whole = jpeg(100);
        assert_eq!(levels(&whole[..whole.len() - 5]), [None]);
        let cut = [&whole[..whole.len() - 5], &jpeg(200)].concat();
        assert_eq!(levels(&cut), [None, Some(200)]);
        let mut damaged = jpeg(50);
        damaged[4..8].fill(0);
        let found = levels(&[damaged, jpeg(200), jpeg(7)].concat());
        assert_eq!(found.last(), Some(&Some(7)));
        assert!(found.contains(&None));
    }

    #[test]
    fn nothing_is_no_picture() {
        assert_eq!(levels(b""), []);
        assert_eq!(levels(&[0xff; 100]), []);
    }
}
