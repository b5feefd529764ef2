//! Asks a server for its motion JPEG stream and takes the pictures out of the answer: plain HTTP/1.1,
//! whole parts by their length, others by their content. Knows no pictures.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use super::capture::{Coded, Opened, Patient, Pictures, Sizes, Slot};
use super::mjpeg::MotionJpeg;
use super::source::Address;
use crate::picture::frame::MAX_FILE_BYTES;
use crate::picture::pool::Pool;

const MOST_LINE_BYTES: u64 = 8192;
const MOST_HEADER_LINES: usize = 64;
/// To connect, and to take the request.
const MOST_CONNECTING: Duration = Duration::from_secs(5);

/// Connects, asks and reads the answer's head.
///
/// # Errors
/// In words: no server, another answer than a stream.
pub(super) fn open(address: &Address, slot: &Arc<Slot>) -> io::Result<Opened> {
    let mut stream = connect(address)?;
    stream.set_write_timeout(Some(MOST_CONNECTING))?;
    // In one piece: a server may answer and hang up after its first line.
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: onelook-edge\r\nAccept: multipart/x-mixed-replace, */*\r\n\
         Connection: close\r\n\r\n",
        address.path,
        address.authority()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::with_capacity(1 << 16, Patient::new(stream, slot));
    let head = Head::read(&mut answer)?;
    let pictures: Pictures = if head.chunked {
        head.pictures(BufReader::with_capacity(1 << 16, Chunked::new(answer)))?
    } else {
        head.pictures(answer)?
    };
    Ok(Opened {
        what: format!("{address}: {}", head.content_type),
        sizes: Sizes::Steady,
        pictures,
    })
}

fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for place in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, MOST_CONNECTING) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What the head of an answer says.
struct Head {
    content_type: String,
    chunked: bool,
}

impl Head {
    fn read(answer: &mut impl BufRead) -> io::Result<Self> {
        let status = line(answer)?.unwrap_or_default();
        let (version, code) = status.split_once(' ').unwrap_or_default();
        if !version.starts_with("HTTP/1.") {
            return Err(invalid("the server does not speak HTTP/1".to_owned()));
        }
        let mut head = Self {
            content_type: "no content type".to_owned(),
            chunked: false,
        };
        let mut location = None;
        for (name, value) in headers(answer)? {
            match name.as_str() {
                "content-type" => head.content_type = value,
                "transfer-encoding" => head.chunked |= value.eq_ignore_ascii_case("chunked"),
                "location" => location = Some(value),
                _ => {}
            }
        }
        if code.starts_with("200") {
            return Ok(head);
        }
        let way_out = match (code.get(..3), location) {
            (Some("401"), _) => {
                "; it wants a password: exec:\"curl -sN --anyauth -u USER:PASSWORD ADDRESS\""
                    .to_owned()
            }
            (_, Some(location)) => format!("; it is at {location}"),
            _ => String::new(),
        };
        Err(invalid(format!("the server answers {code}{way_out}")))
    }

    fn pictures(&self, body: impl BufRead + 'static) -> io::Result<Pictures> {
        let mut parts = self.content_type.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with("multipart/") {
            let boundary = parts.find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("boundary")
                    .then(|| value.trim().trim_matches('"'))
            });
            let boundary = boundary.filter(|boundary| !boundary.is_empty());
            let boundary = boundary.ok_or_else(|| {
                invalid(format!(
                    "the server names no boundary in {:?}",
                    self.content_type
                ))
            })?;
            return Ok(Box::new(Multipart::new(body, boundary)));
        }
        if kind.starts_with("text/") {
            return Err(invalid(format!(
                "the server sends {kind}, which is no stream of pictures"
            )));
        }
        let mut pictures = MotionJpeg::new(body, "stream");
        Ok(Box::new(std::iter::from_fn(move || pictures.next_coded())))
    }
}

/// Names in small letters and values, up to the empty line.
fn headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(headers);
        }
        if headers.len() == MOST_HEADER_LINES {
            return Err(invalid("the head goes on for ever".to_owned()));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// A line without its end; none at the end of the stream.
fn line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(MOST_LINE_BYTES).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(invalid("a line of the head has no end".to_owned()));
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The parts of a `multipart/x-mixed-replace` answer.
struct Multipart<R> {
    body: MotionJpeg<R>,
    boundary: Vec<u8>,
    /// What stands before the first part is nobody's.
    begun: bool,
    /// The line that begins a part has been read.
    at_part: bool,
    ended: bool,
    parts: Pool<Vec<u8>>,
}

impl<R: BufRead> Multipart<R> {
    fn new(body: R, boundary: &str) -> Self {
        Self {
            body: MotionJpeg::new(body, "stream"),
            // Some servers name it with the dashes that stand before it.
            boundary: boundary.trim_start_matches('-').as_bytes().to_vec(),
            begun: false,
            at_part: false,
            ended: false,
            parts: Pool::default(),
        }
    }

    fn part(&mut self) -> io::Result<Option<Coded>> {
        if !std::mem::take(&mut self.at_part) {
            let first = !std::mem::replace(&mut self.begun, true);
            match self.find_boundary()? {
                None => return Ok(None),
                // Once for all strays in a row; the part after them is the next.
                Some(Strays(true)) if !first => {
                    self.at_part = true;
                    return Ok(Some(damaged(
                        "bytes between two pictures, or a length that is too short",
                    )));
                }
                Some(_) => {}
            }
        }
        let mut length = None;
        for (name, value) in headers(self.body.stream())? {
            if name == "content-length" {
                match value.parse::<u64>() {
                    Ok(bytes) => length = Some(bytes),
                    Err(_) => return Ok(Some(damaged("a length that is no number"))),
                }
            }
        }
        let Some(length) = length else {
            return self.body.next_coded().transpose();
        };
        if length > MAX_FILE_BYTES {
            return Ok(Some(damaged("a picture that is too large")));
        }
        let body = self.body.stream();
        let (bytes, read) = self.parts.fill(|bytes| {
            bytes.clear();
            body.take(length).read_to_end(bytes)
        });
        read?;
        if (bytes.len() as u64) < length {
            self.ended = true;
            return Ok(Some(damaged("the stream ends within a picture")));
        }
        let padding = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
        let end = bytes
            .iter()
            .rposition(|byte| !padding(byte))
            .map_or(0, |at| at + 1);
        if !bytes.starts_with(&[0xff, 0xd8]) || !bytes[..end].ends_with(&[0xff, 0xd9]) {
            return Ok(Some(damaged(
                "a part that is no JPEG from its first byte to its last",
            )));
        }
        Ok(Some(Coded::Jpeg(bytes)))
    }

    /// Reads up to and over the line that begins a part; none at the end.
    fn find_boundary(&mut self) -> io::Result<Option<Strays>> {
        let mut strays = false;
        loop {
            let mut line = Vec::new();
            self.body
                .stream()
                .take(MOST_LINE_BYTES)
                .read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(None);
            }
            let line = line.trim_ascii_end();
            let dashes = line.iter().take_while(|&&byte| byte == b'-').count();
            match line[dashes..].strip_prefix(&self.boundary[..]) {
                Some(b"") => return Ok(Some(Strays(strays))),
                Some(b"--") => return Ok(None),
                _ => strays |= !line.is_empty(),
            }
        }
    }
}

/// Whether something stood before a part that has no place there.
struct Strays(bool);

impl<R: BufRead> Iterator for Multipart<R> {
    type Item = io::Result<Coded>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.part().transpose()
    }
}

fn damaged(why: &str) -> Coded {
    Coded::Damaged(why.to_owned())
}

/// A body that comes in chunks, each after a line with its length.
struct Chunked<R> {
    inner: R,
    /// Bytes of this chunk that are not read yet.
    left: u64,
    begun: bool,
    ended: bool,
}

impl<R: BufRead> Chunked<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: 0,
            begun: false,
            ended: false,
        }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        // A line end closes the chunk before.
        if self.begun && line(&mut self.inner)?.as_deref() != Some("") {
            return Err(invalid("a chunk is longer than it says".to_owned()));
        }
        self.begun = true;
        let head = line(&mut self.inner)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = head.split(';').next().unwrap_or_default().trim();
        self.left = u64::from_str_radix(length, 16)
            .map_err(|_| invalid("a chunk does not begin with its length".to_owned()))?;
        self.ended = self.left == 0;
        Ok(())
    }
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            self.next_chunk()?;
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head's complaint, or what the pictures of an answer are: their bytes, or `damaged`.
    fn answered(answer: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let answer = answer.to_vec();
        let mut answer = BufReader::new(io::Cursor::new(answer));
        let head = Head::read(&mut answer).map_err(|error| error.to_string())?;
        let pictures = if head.chunked {
            head.pictures(BufReader::with_capacity(3, Chunked::new(answer)))
        } else {
            head.pictures(answer)
        };
        let pictures = pictures.map_err(|error| error.to_string())?;
        let mut seen = Vec::new();
        for coded in pictures {
            match coded {
                Ok(Coded::Jpeg(bytes)) => seen.push(bytes.to_vec()),
                Ok(Coded::Damaged(_)) => seen.push(b"damaged".to_vec()),
                Ok(_) => seen.push(b"another kind".to_vec()),
                // It ends a source.
                Err(error) => {
                    seen.push(error.to_string().into_bytes());
                    break;
                }
            }
        }
        Ok(seen)
    }

    fn multipart(body: &[u8]) -> Vec<Vec<u8>> {
        let head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n";
        answered(&[head, body].concat()).unwrap()
    }

    /// What frames a picture, and a tag inside to know it by.
    fn picture(tag: u8) -> Vec<u8> {
        vec![0xff, 0xd8, 0xff, 0xfe, 0, 3, tag, 0xff, 0xd9]
    }

    fn part(length: usize, tag: u8) -> Vec<u8> {
        let head = format!("--b\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), &picture(tag), b"\r\n"].concat()
    }

    #[test]
    fn parts_come_in_order_with_and_without_a_length() {
        let without = [b"--b\r\n\r\n", &picture(2)[..], b"\r\n"].concat();
        let body = [
            b"preamble\r\n".to_vec(),
            part(9, 1),
            without,
            part(9, 3),
            b"--b--\r\n".to_vec(),
        ];
        assert_eq!(multipart(&body.concat()), [1, 2, 3].map(picture));
    }

    #[test]
    fn a_length_that_lies_costs_its_picture_and_not_the_one_after_the_next() {
        let damaged = b"damaged".to_vec();
        let short = [part(5, 1), part(9, 2)].concat();
        assert_eq!(
            multipart(&short),
            [damaged.clone(), damaged.clone(), picture(2)]
        );
        let long = [part(15, 1), part(9, 2), part(9, 3)].concat();
        let seen = multipart(&long);
        assert_eq!(seen.last(), Some(&picture(3)));
        assert!(!seen.contains(&picture(1)));
        let cut = [part(9, 1), part(900, 2)].concat();
        assert_eq!(multipart(&cut), [picture(1), damaged.clone()]);
        let huge = [part(usize::MAX, 1), part(9, 2)].concat();
        assert_eq!(multipart(&huge), [damaged.clone(), damaged, picture(2)]);
    }

    #[test]
    fn a_boundary_may_be_quoted_or_carry_its_dashes() {
        for name in ["b", "\"b\"", "--b"] {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-TYPE: Multipart/x; Boundary={name}\r\n\r\n");
            assert_eq!(
                answered(&[head.as_bytes(), &part(9, 1)].concat()).unwrap(),
                [picture(1)]
            );
        }
    }

    #[test]
    fn chunks_are_put_together() {
        let head =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: image/jpeg\r\n\r\n";
        let (one, two) = (picture(1), picture(2));
        let body = [
            b"4\r\n",
            &one[..4],
            b"\r\n5;x\r\n",
            &one[4..],
            b"\r\n9\r\n",
            &two,
            b"\r\n0\r\n\r\n",
        ];
        assert_eq!(
            answered(&[head, &body.concat()[..]].concat()).unwrap(),
            [one, two]
        );
        let broken = answered(&[&head[..], b"9\r\n", &picture(1), b"xx\r\n"].concat()).unwrap();
        assert_eq!(broken.len(), 2);
        assert_eq!(broken[0], picture(1));
        assert!(String::from_utf8_lossy(&broken[1]).contains("chunk"));
    }

    #[test]
    fn an_answer_that_is_no_stream_is_an_error_with_a_way_out() {
        let refused = |answer: &[u8]| answered(answer).unwrap_err();
        assert!(refused(b"").contains("does not speak HTTP"));
        assert!(refused(b"SSH-2.0\r\n").contains("does not speak HTTP"));
        assert!(refused(b"HTTP/1.1 401 No\r\n\r\n").contains("curl"));
        assert!(
            refused(b"HTTP/1.1 302 Found\r\nLocation: http://b/\r\n\r\n")
                .ends_with("it is at http://b/")
        );
        assert!(
            refused(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n").contains("text/html")
        );
        assert!(
            refused(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x\r\n\r\n")
                .contains("no boundary")
        );
        assert!(refused(b"HTTP/1.1 200 OK\r\nA: b").contains("no end"));
        let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n".repeat(1000)].concat();
        assert!(refused(&endless).contains("for ever"));
    }
}
