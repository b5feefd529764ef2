//! Reads YUV4MPEG2, the raw video that ffmpeg, gst-launch-1.0 and others write: a line that says the
//! size, then for every picture a line and its samples. What is not so ends it: no later picture can
//! be found for certain.

use std::io::{self, BufRead, Read};

use super::capture::CodedPicture;
use super::raw::{Layout, Raw};
use crate::picture::frame::MAX_PIXELS;
use crate::picture::pool::Pool;

/// How every stream begins.
pub(super) const MAGIC: &[u8] = b"YUV4MPEG2";
const MOST_HEADER_BYTES: u64 = 1024;

/// The pictures of a YUV4MPEG2 stream.
pub(super) struct Y4m<R> {
    stream: R,
    layout: Layout,
    width: usize,
    height: usize,
    full_range: bool,
    count: u64,
    ended: bool,
    line: Vec<u8>,
    pictures: Pool<Vec<u8>>,
}

impl<R: BufRead> Y4m<R> {
    /// Reads the stream's header.
    ///
    /// # Errors
    /// `InvalidData` in words where it is none, or of a kind that is not read.
    pub(super) fn new(mut stream: R) -> io::Result<Self> {
        let mut line = Vec::new();
        let header = next_line(&mut stream, &mut line)?
            .unwrap_or_default()
            .to_owned();
        let mut words = header.split(' ');
        if words.next().map(str::as_bytes) != Some(MAGIC) {
            return Err(invalid(
                "no YUV4MPEG2 stream: its first line is another".to_owned(),
            ));
        }
        let (mut width, mut height, mut full_range) = (None, None, false);
        let mut layout = Layout::Planes(2, 2);
        for word in words.filter(|word| !word.is_empty()) {
            let (tag, value) = word.split_at_checked(1).unwrap_or_default();
            match tag {
                "W" => width = value.parse::<usize>().ok(),
                "H" => height = value.parse::<usize>().ok(),
                "C" => layout = layout_of(value)?,
                "X" => full_range |= value == "COLORRANGE=FULL",
                // Rate, interlacing, aspect: nothing to a single picture.
                _ => {}
            }
        }
        let (Some(width @ 1..), Some(height @ 1..)) = (width, height) else {
            return Err(invalid(format!("no width and height in {header:?}")));
        };
        if width
            .checked_mul(height)
            .is_none_or(|pixels| pixels as u64 > MAX_PIXELS)
        {
            let most = MAX_PIXELS / 1_000_000;
            return Err(invalid(format!(
                "{width}x{height} is more than {most} megapixels"
            )));
        }
        Ok(Self {
            stream,
            layout,
            width,
            height,
            full_range,
            count: 0,
            ended: false,
            line,
            pictures: Pool::default(),
        })
    }

    /// Width and height of every picture, in pixels.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn picture(&mut self) -> io::Result<Option<CodedPicture>> {
        let Some(header) = next_line(&mut self.stream, &mut self.line)? else {
            return Ok(None);
        };
        self.count += 1;
        if header != "FRAME" && !header.starts_with("FRAME ") {
            let count = self.count;
            return Err(invalid(format!(
                "picture {count} does not begin with FRAME: bytes are missing"
            )));
        }
        let size = self.layout.bytes(self.width, self.height, self.width);
        let stream = &mut self.stream;
        let (bytes, read) = self.pictures.fill(|bytes| {
            bytes.clear();
            stream.take(size as u64).read_to_end(bytes)
        });
        read?;
        if bytes.len() < size {
            self.ended = true;
            let count = self.count;
            return Ok(Some(CodedPicture::Damaged(format!(
                "picture {count} is cut off"
            ))));
        }
        Ok(Some(CodedPicture::Raw(Raw {
            layout: self.layout,
            width: self.width,
            height: self.height,
            stride: self.width,
            full_range: self.full_range,
            bytes,
        })))
    }
}

impl<R: BufRead> Iterator for Y4m<R> {
    type Item = io::Result<CodedPicture>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let picture = self.picture();
        self.ended |= !matches!(picture, Ok(Some(_)));
        picture.transpose()
    }
}

/// The samples of a colour tag. What comes after 420 only says where chroma was taken.
fn layout_of(colors: &str) -> io::Result<Layout> {
    match colors {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(Layout::Planes(2, 2)),
        "422" => Ok(Layout::Planes(2, 1)),
        "411" => Ok(Layout::Planes(4, 1)),
        "444" => Ok(Layout::Planes(1, 1)),
        "mono" => Ok(Layout::Grey),
        _ => Err(invalid(format!(
            "colours {colors:?} are not read; write 420, 422, 444 or mono in 8 bits"
        ))),
    }
}

/// A line without its end, in the memory of `line`; none at the end of the stream.
fn next_line<'a>(stream: &mut impl BufRead, line: &'a mut Vec<u8>) -> io::Result<Option<&'a str>> {
    line.clear();
    stream.take(MOST_HEADER_BYTES).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(invalid(
            "a line that should say what follows has no end".to_owned(),
        ));
    }
    std::str::from_utf8(line)
        .map(Some)
        .map_err(|_| invalid("a line that should say what follows is no text".to_owned()))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(stream: &[u8]) -> String {
        match Y4m::new(stream) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        }
    }

    /// What comes out: a picture's samples, `damaged`, or an error.
    fn read(stream: &[u8]) -> Vec<Result<Vec<u8>, String>> {
        Y4m::new(stream)
            .unwrap()
            .map(|coded| match coded {
                Ok(CodedPicture::Raw(raw)) => Ok(raw.to_frame(true).unwrap().pixels().to_vec()),
                Ok(CodedPicture::Damaged(_)) => Err("damaged".to_owned()),
                Ok(_) => Err("another kind".to_owned()),
                Err(error) => Err(error.to_string()),
            })
            .collect()
    }

    #[test]
    fn pictures_come_in_order_in_every_layout() {
        let mono = b"YUV4MPEG2 W2 H1 F30:1 Ip A1:1 Cmono\nFRAME\n\x10\xebFRAME Ip\n\xeb\x10";
        assert_eq!(read(mono), [Ok(vec![16, 235]), Ok(vec![235, 16])]);
        for (colors, chroma) in [
            ("", 2),
            (" C420jpeg", 2),
            (" C422", 2),
            (" C411", 2),
            (" C444", 4),
        ] {
            let head = format!("YUV4MPEG2 W2 H1{colors} XCOLORRANGE=FULL\nFRAME\n");
            let stream = [head.as_bytes(), &[16, 235], &vec![128; chroma]].concat();
            assert_eq!(read(&stream), [Ok(vec![16, 235])], "{colors}");
        }
    }

    #[test]
    fn a_cut_picture_is_damaged_and_a_lost_byte_ends_the_stream() {
        let cut = b"YUV4MPEG2 W2 H1 Cmono\nFRAME\n\x10\xebFRAME\n\x10";
        assert_eq!(read(cut), [Ok(vec![16, 235]), Err("damaged".to_owned())]);
        let short = read(b"YUV4MPEG2 W2 H1 Cmono\nFRAME\n\x10FRAME\n\x10\x10FRAME\n\x10\x10");
        assert_eq!(short.len(), 2);
        assert!(
            short[1]
                .as_ref()
                .unwrap_err()
                .contains("picture 2 does not begin with FRAME")
        );
    }

    #[test]
    fn a_header_that_cannot_be_is_refused_in_words() {
        assert!(refused(b"").contains("no YUV4MPEG2"));
        assert!(refused(b"YUV4MPEG W2 H1\n").contains("no YUV4MPEG2"));
        assert!(refused(b"YUV4MPEG2 W2\n").contains("no width and height"));
        assert!(refused(b"YUV4MPEG2 W0 H2\n").contains("no width and height"));
        assert!(refused(b"YUV4MPEG2 W99999999 H99999999\n").contains("megapixels"));
        assert!(refused(b"YUV4MPEG2 W18446744073709551615 H3\n").contains("megapixels"));
        assert!(refused(b"YUV4MPEG2 W2 H1 C420p10\n").contains("8 bits"));
        assert!(refused(&[b'Y'; 5000]).contains("has no end"));
    }
}
