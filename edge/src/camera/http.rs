//! Asks a server for its motion JPEG stream and takes the pictures out of the answer: plain HTTP/1.1,
//! whole parts by their length, others by their content. Knows no pictures.
//!
//! A client of its own, because the socket must be polled: a camera that goes silent is noticed within
//! [`Patience`](super::Patience), and a closed one ends its thread at once, which clients that own their
//! socket do not let a caller do. Heads and chunk sizes are read by `httparse`. Encryption, passwords and
//! redirections are left to curl by `exec:`.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use super::capture::{CodedPicture, OpenStream, Patient, Pictures, Sizes, Slot};
use super::mjpeg::MotionJpeg;
use super::source::Address;
use crate::picture::frame::MAX_FILE_BYTES;
use crate::picture::pool::Pool;

const MOST_LINE_BYTES: u64 = 8192;
const MOST_HEADER_LINES: usize = 64;
const PART: &[u8] = b"HTTP/1.1 200 OK";
/// To connect, and to take the request.
const MOST_CONNECTING: Duration = Duration::from_secs(5);

/// Connects, asks and reads the answer's head.
///
/// # Errors
/// In words: no server, another answer than a stream.
pub(super) fn open(address: &Address, slot: &Arc<Slot>) -> io::Result<OpenStream> {
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
    Ok(OpenStream {
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
        if !status.starts_with(b"HTTP/1.") {
            return Err(invalid("the server does not speak HTTP/1".to_owned()));
        }
        let mut head = Self {
            content_type: "no content type".to_owned(),
            chunked: false,
        };
        let mut location = None;
        let (code, reason) = headers(answer, status, |name, value| {
            if name.eq_ignore_ascii_case("content-type") {
                head.content_type = value.into_owned();
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.chunked |= value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("location") {
                location = Some(value.into_owned());
            }
        })?;
        let way_out = match (code, location) {
            (200, _) => return Ok(head),
            (401, _) => {
                "; it wants a password: exec:\"curl -sN --anyauth -u USER:PASSWORD ADDRESS\""
                    .to_owned()
            }
            (_, Some(location)) => format!("; it is at {location}"),
            _ => String::new(),
        };
        let answer = format!("{code} {reason}");
        let answer = answer.trim_end();
        Err(invalid(format!("the server answers {answer}{way_out}")))
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

/// Reads the lines of a head after its first, `status`, up to the empty one, and gives each name and value; the code
/// and its reason. Lines that are no header are left out: cameras write such.
fn headers(
    stream: &mut impl BufRead,
    status: Vec<u8>,
    mut give: impl FnMut(&str, Cow<str>),
) -> io::Result<(u16, String)> {
    let mut head = status;
    for lines in 0.. {
        head.extend(b"\r\n");
        let line = line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            break;
        }
        if lines == MOST_HEADER_LINES {
            return Err(invalid("the head goes on for ever".to_owned()));
        }
        head.extend(line);
    }
    head.extend(b"\r\n");
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADER_LINES];
    let mut parsed = httparse::Response::new(&mut headers);
    httparse::ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .parse_response(&mut parsed, &head)
        .map_err(|error| invalid(format!("the head is not understood: {error}")))?;
    for header in parsed.headers.iter() {
        give(
            header.name,
            String::from_utf8_lossy(header.value.trim_ascii()),
        );
    }
    let reason = parsed.reason.unwrap_or_default().to_owned();
    Ok((parsed.code.unwrap_or_default(), reason))
}

/// A line without its end and the blanks before that; none at the end of the stream.
fn line(stream: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(MOST_LINE_BYTES).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(invalid("a line of the head has no end".to_owned()));
    }
    line.truncate(line.trim_ascii_end().len());
    Ok(Some(line))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The parts of a `multipart/x-mixed-replace` answer.
struct Multipart<R> {
    body: MotionJpeg<R>,
    boundary: Vec<u8>,
    /// The first part was looked for: what stands before it belongs to no part.
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

    fn part(&mut self) -> io::Result<Option<CodedPicture>> {
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
        // A part has no status line: with one before it, it is read by the same rules as an answer.
        headers(self.body.stream(), PART.to_vec(), |name, value| {
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse::<u64>());
            }
        })?;
        let Some(length) = length else {
            return self.body.next_coded().transpose();
        };
        let Ok(length) = length else {
            return Ok(Some(damaged("a length that is no number")));
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
        Ok(Some(CodedPicture::Jpeg(bytes)))
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
    type Item = io::Result<CodedPicture>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.part().transpose()
    }
}

fn damaged(why: &str) -> CodedPicture {
    CodedPicture::Damaged(why.to_owned())
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
        if self.begun && line(&mut self.inner)?.as_deref() != Some(b"") {
            return Err(invalid("a chunk is longer than it says".to_owned()));
        }
        self.begun = true;
        let mut head = line(&mut self.inner)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let begins = head.first().is_some_and(u8::is_ascii_hexdigit);
        head.extend(b"\r\n");
        self.left = match httparse::parse_chunk_size(&head) {
            Ok(httparse::Status::Complete((_, length))) if begins => length,
            _ => return Err(invalid("a chunk does not begin with its length".to_owned())),
        };
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
mod tests;
