//! Motion JPEG for a browser: `/` is a page with the picture, `/stream` the picture itself. Each client
//! has a thread and takes the newest picture when it is ready for one; the frames do not wait for it.
//!
//! Everyone who reaches the port sees what the camera sees: unless an address is given, that is this machine alone.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::{Place, ScreenError, Target};
use crate::device::sight::Sight;
use crate::picture::frame::Frame;
use crate::screen::overlay::Canvas;

/// Clients at once; the next one is refused in words.
const MAX_CLIENTS: usize = 8;
/// The longest request that is read, in bytes.
const MAX_REQUEST_BYTES: usize = 8192;
/// A client that sends or takes nothing for this long is dropped.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this time the last picture is sent again, so that a broken connection is noticed at both ends.
const REPEAT: Duration = Duration::from_secs(1);
const JPEG_QUALITY: u8 = 80;

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>onelook</title>\
<style>html,body{height:100%;margin:0;background:#000}\
img{width:100%;height:100%;object-fit:contain}</style>\
<img src=\"/stream\" alt=\"what the camera sees\"></html>\n";

/// What the clients share.
#[derive(Default)]
struct Wall {
    newest: Mutex<Newest>,
    changed: Condvar,
    /// Connected.
    clients: AtomicUsize,
    /// Of these, waiting for pictures.
    watching: AtomicUsize,
}

#[derive(Default)]
struct Newest {
    /// Counts the pictures; 0 before the first.
    number: u64,
    jpeg: Arc<Vec<u8>>,
    closed: bool,
}

impl Wall {
    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A newer picture than the one of this `number`, or the same one after a while; none where there
    /// is none yet.
    fn after(&self, number: u64) -> Option<(u64, Arc<Vec<u8>>)> {
        let old = |newest: &mut Newest| newest.number == number && !newest.closed;
        let waited = self.changed.wait_timeout_while(self.newest(), REPEAT, old);
        let (newest, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (newest.number > 0).then(|| (newest.number, newest.jpeg.clone()))
    }
}

pub struct Server {
    target: Target,
    address: SocketAddr,
    wall: Arc<Wall>,
}

impl Server {
    pub fn open(target: &Target, address: SocketAddr) -> Result<Self, ScreenError> {
        let failed = |doing: &str, source: io::Error| ScreenError::Io {
            screen: target.to_string(),
            doing: doing.to_owned(),
            source,
        };
        let listener = TcpListener::bind(address)
            .map_err(|error| failed("cannot be listened on (give another port)", error))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed("cannot be listened on", error))?;
        let wall = Arc::new(Wall::default());
        let theirs = wall.clone();
        thread::Builder::new()
            .name("mjpeg".to_owned())
            .spawn(move || accept(&listener, &theirs))
            .map_err(|error| failed("no thread for it", error))?;
        Ok(Self {
            target: target.clone(),
            address,
            wall,
        })
    }
}

impl Place for Server {
    fn show(&mut self, frame: &Frame, sight: &Sight) -> Result<(), ScreenError> {
        if self.wall.watching.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let picture = Canvas::showing(frame, sight).into_frame();
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
            .write_image(
                picture.pixels(),
                picture.width() as u32,
                picture.height() as u32,
                ExtendedColorType::Rgb8,
            )
            .map_err(|error| ScreenError::Unfit {
                screen: self.target.to_string(),
                reason: error.to_string(),
            })?;
        let mut newest = self.wall.newest();
        newest.number += 1;
        newest.jpeg = Arc::new(jpeg);
        drop(newest);
        self.wall.changed.notify_all();
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.wall.newest().closed = true;
        self.wall.changed.notify_all();
        // Wakes the thread that waits for clients; where it cannot, the program's end does.
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(match own.ip() {
                IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
                IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            });
        }
        let _ = TcpStream::connect_timeout(&own, Duration::from_millis(100));
    }
}

fn accept(listener: &TcpListener, wall: &Arc<Wall>) {
    loop {
        let client = listener.accept();
        if wall.newest().closed {
            return;
        }
        let Ok((client, _)) = client else {
            // Out of descriptors, or the client left at once: not in a tight circle.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let timed = client
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| client.set_write_timeout(Some(PATIENCE)));
        if timed.is_err() {
            continue;
        }
        if wall.clients.fetch_add(1, Ordering::Relaxed) >= MAX_CLIENTS {
            wall.clients.fetch_sub(1, Ordering::Relaxed);
            let _ = answer(
                &client,
                "503 Service Unavailable",
                "text/plain",
                "all seats are taken\n",
            );
            continue;
        }
        let theirs = wall.clone();
        let serving = move || {
            // A client that goes is no error.
            let _ = serve(&client, &theirs);
            theirs.clients.fetch_sub(1, Ordering::Relaxed);
        };
        if thread::Builder::new()
            .name("mjpeg client".to_owned())
            .spawn(serving)
            .is_err()
        {
            wall.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn serve(client: &TcpStream, wall: &Wall) -> io::Result<()> {
    let Some(request) = read_request(client)? else {
        return answer(client, "400 Bad Request", "text/plain", "no request\n");
    };
    let mut lines = request.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next(), words.next().unwrap_or_default());
    let host = lines.filter_map(|line| line.split_once(':'));
    let host = host
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .next();
    if !host.is_none_or(is_own_name) {
        return answer(client, "403 Forbidden", "text/plain", "ask by address\n");
    }
    match (method, path) {
        (Some("GET"), "/") => answer(client, "200 OK", "text/html", PAGE),
        (Some("GET"), "/stream") => {
            wall.watching.fetch_add(1, Ordering::Relaxed);
            let streamed = stream(client, wall);
            wall.watching.fetch_sub(1, Ordering::Relaxed);
            streamed
        }
        (Some("GET"), _) => answer(client, "404 Not Found", "text/plain", "see / or /stream\n"),
        _ => answer(client, "405 Method Not Allowed", "text/plain", "GET only\n"),
    }
}

/// The lines up to the empty one; none where they are not text, too long or too slow.
fn read_request(mut client: &TcpStream) -> io::Result<Option<String>> {
    let started = Instant::now();
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = client.read(&mut buffer)?;
        request.extend(&buffer[..read]);
        if read == 0 || request.len() > MAX_REQUEST_BYTES || started.elapsed() > PATIENCE {
            return Ok(None);
        }
    }
    Ok(String::from_utf8(request).ok())
}

/// Whether a request was made for this machine by a name that no stranger can own, or by an address. A web page
/// elsewhere whose own name leads here (DNS rebinding) must not read what the camera sees.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok() || !name.contains('.') || name.ends_with(".local")
}

fn answer(mut client: &TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    );
    client.write_all((head + body).as_bytes())
}

fn stream(mut client: &TcpStream, wall: &Wall) -> io::Result<()> {
    client.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=picture\r\n\
          Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
    )?;
    let mut seen = wall.newest().number;
    while !wall.newest().closed {
        let Some((number, jpeg)) = wall.after(seen) else {
            continue;
        };
        seen = number;
        let length = jpeg.len();
        let head =
            format!("--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        // In one piece: two small writes would wait for each other's acknowledgement.
        let part = [head.as_bytes(), &jpeg, b"\r\n"].concat();
        client.write_all(&part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Screen;
    use super::*;
    use crate::device::sight::Tone;

    fn open() -> Server {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Server::open(&Target::Mjpeg(address), address).unwrap()
    }

    fn ask(server: &Server, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(server.address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    fn answered(server: &Server, request: &str) -> String {
        let mut text = String::new();
        ask(server, request).read_to_string(&mut text).unwrap();
        text
    }

    fn grey(level: u8) -> Frame {
        Frame::from_fn(160, 130, |_, _| level)
    }

    fn silent() -> Sight {
        Sight::saying("", Tone::Nothing)
    }

    /// Bytes up to and with `end`.
    fn up_to(mut client: &TcpStream, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
        bytes
    }

    fn next_picture(mut client: &TcpStream) -> Frame {
        let head = String::from_utf8(up_to(client, b"\r\n\r\n")).unwrap();
        let length = head.split("Content-Length: ").nth(1).unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        let mut jpeg = vec![0; length];
        client.read_exact(&mut jpeg).unwrap();
        assert_eq!(up_to(client, b"\r\n"), b"\r\n");
        Frame::decode(&jpeg, "streamed").unwrap()
    }

    fn wait_for_watchers(server: &Server, count: usize) {
        while server.wall.watching.load(Ordering::Relaxed) != count {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_browser_gets_a_page_and_what_is_not_there_is_not_found() {
        let server = open();
        let page = answered(&server, "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.contains("<img src=\"/stream\""), "{page}");
        for (request, status) in [
            ("GET /else HTTP/1.1\r\n\r\n", "404"),
            ("POST / HTTP/1.1\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\nhost: evil.example:80\r\n\r\n", "403"),
            ("\r\n\r\n", "405"),
        ] {
            let answer = answered(&server, request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{request}: {answer}"
            );
        }
    }

    #[test]
    fn a_request_without_an_end_is_refused() {
        let server = open();
        let endless = "GET / HTTP/1.1\r\n".to_owned() + &"A: b\r\n".repeat(2000);
        let mut client = TcpStream::connect(server.address).unwrap();
        // It may be refused, and the rest thrown away, before all is sent.
        let _ = client.write_all(endless.as_bytes());
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }

    #[test]
    fn a_client_sees_the_pictures_that_are_shown_and_the_last_one_again() {
        let mut server = open();
        let client = ask(&server, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = String::from_utf8(up_to(&client, b"\r\n\r\n")).unwrap();
        assert!(
            head.contains("multipart/x-mixed-replace; boundary=picture"),
            "{head}"
        );
        for level in [40, 90, 90] {
            // The third is the second, repeated.
            if level == 40 || server.wall.newest().number == 1 {
                server.show(&grey(level), &silent()).unwrap();
            }
            let seen = next_picture(&client);
            assert_eq!((seen.width(), seen.height()), (160, 130));
            let middle = seen.to_grey().pixels()[60 * 160 + 80];
            assert!(middle.abs_diff(level) <= 2, "{middle}, shown {level}");
        }
    }

    #[test]
    fn a_client_that_reads_nothing_holds_up_nobody() {
        let mut server = open();
        let request = "GET /stream HTTP/1.1\r\n\r\n";
        let (_deaf, client) = (ask(&server, request), ask(&server, request));
        wait_for_watchers(&server, 2);
        up_to(&client, b"\r\n\r\n");
        // Noise that fills the deaf one's buffers many times over.
        let noise =
            |seed: usize| Frame::from_fn(640, 480, |x, y| (x * y * 31 + x * 7 + y * seed) as u8);
        for seed in 0..40 {
            server.show(&noise(seed), &silent()).unwrap();
            assert_eq!(next_picture(&client).width(), 640);
        }
    }

    #[test]
    fn the_seats_are_counted_and_are_free_again_once_left() {
        let server = open();
        let request = "GET /stream HTTP/1.1\r\n\r\n";
        let seated: Vec<TcpStream> = (0..MAX_CLIENTS).map(|_| ask(&server, request)).collect();
        wait_for_watchers(&server, MAX_CLIENTS);
        let mut client = TcpStream::connect(server.address).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        drop(seated);
        let mut server = server;
        let mut level = 0;
        while server.wall.clients.load(Ordering::Relaxed) > 0 {
            level = u8::wrapping_add(level, 1);
            server.show(&grey(level), &silent()).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        assert!(answered(&server, "GET / HTTP/1.1\r\n\r\n").contains("200 OK"));
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_at_the_start() {
        let server = open();
        let target = Target::Mjpeg(server.address);
        let error = Screen::open(&target).err().unwrap().to_string();
        assert!(error.contains("give another port"), "{error}");
    }

    #[test]
    fn names_that_a_stranger_can_own_are_told_from_our_own() {
        for own in [
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]:80",
            "[::1]",
            "localhost:80",
            "pi.local",
            "pi",
        ] {
            assert!(is_own_name(own), "{own}");
        }
        for strange in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
            assert!(!is_own_name(strange), "{strange}");
        }
    }
}
