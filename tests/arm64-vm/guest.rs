//! What the virtual machine has instead of hardware and systemd, in one program without dependencies:
//!
//! - `guest camera CLIP`: a USB camera. One end of a socket pair goes to the kernel's virtual host controller
//!   (vhci_hcd), which takes it for a USB/IP line; on the other end this program is a UVC device with one bulk
//!   endpoint that plays the motion JPEG in CLIP. It obeys lines on standard input:
//!   `show FIRST LAST` (frames from 0, again and again), `stall`, `garbage`, `cut` (pictures without
//!   their second half), `unplug`, `plug`. It says `camera: ...` when it has obeyed.
//! - `guest manager WATCHDOG COMMAND...`: the service manager. Runs COMMAND with a `NOTIFY_SOCKET`, says `manager: ...`
//!   for what comes, and pats the WATCHDOG device for each WATCHDOG=1, as systemd does.

use std::collections::VecDeque;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

const WIDTH: u16 = 320;
const HEIGHT: u16 = 240;
const FRAMES_PER_SECOND: u32 = 10;
/// In the units of UVC, 100 nanoseconds.
const FRAME_INTERVAL: u32 = 10_000_000 / FRAMES_PER_SECOND;
const MAX_FRAME_BYTES: u32 = 1 << 20;
/// The kernel asks for 32 packets of 512 bytes at once: a transfer is a payload.
const PAYLOAD_BYTES: usize = 16384;
const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
const PORT: u32 = 0;
const HIGH_SPEED: u32 = 3;

// USB/IP.
const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMITTED: u32 = 3;
const UNLINKED: u32 = 4;
const STALLED: i32 = -32;
const RESET: i32 = -104;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["camera", clip] => camera(clip),
        ["manager", watchdog, command @ ..] if !command.is_empty() => manager(watchdog, command),
        _ => Err(io::Error::other(
            "guest camera CLIP | guest manager WATCHDOG COMMAND...",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn manager(watchdog: &str, command: &[&str]) -> io::Result<()> {
    let socket = "/run/notify";
    let _ = fs::remove_file(socket);
    let notices = UnixDatagram::bind(socket)?;
    let mut device = OpenOptions::new().write(true).open(watchdog)?;
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", "4000000")
        .spawn()?;
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = notices.recv(&mut buffer) {
            for line in String::from_utf8_lossy(&buffer[..length]).lines() {
                if line == "WATCHDOG=1" {
                    let _ = device.write_all(b"alive");
                }
                println!("manager: {line}");
            }
        }
    });
    let status = child.wait()?;
    println!("manager: ended, {status}");
    Ok(())
}

/// What the camera does with its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Show { first: usize, last: usize },
    Stall,
    Garbage,
    Cut,
}

/// What the threads of the camera share.
struct Body {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mood: Mood,
    /// Sequence numbers and lengths of the transfers that the kernel waits for.
    asked: VecDeque<(u32, usize)>,
    /// The line, while plugged in.
    line: Option<UnixStream>,
    /// Rises with every start of a stream: what is left of an older frame is not sent.
    streams: u32,
}

impl Body {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn camera(clip: &str) -> io::Result<()> {
    let frames = pictures(&fs::read(clip)?);
    if frames.is_empty() {
        return Err(io::Error::other("no pictures in the clip"));
    }
    let last = frames.len() - 1;
    let body = Arc::new(Body {
        state: Mutex::new(State {
            mood: Mood::Show { first: 0, last },
            asked: VecDeque::new(),
            line: None,
            streams: 0,
        }),
        changed: Condvar::new(),
    });
    let player = body.clone();
    thread::spawn(move || play(&player, &frames));
    plug(&body)?;
    for command in io::stdin().lines() {
        let command = command?;
        let words: Vec<&str> = command.split_whitespace().collect();
        let number = |text: &str| text.parse::<usize>().ok().filter(|frame| *frame <= last);
        let mood = match words.as_slice() {
            ["show", first, end] => match (number(first), number(end)) {
                (Some(first), Some(last)) if first <= last => Some(Mood::Show { first, last }),
                _ => None,
            },
            ["stall"] => Some(Mood::Stall),
            ["garbage"] => Some(Mood::Garbage),
            ["cut"] => Some(Mood::Cut),
            ["unplug"] => {
                unplug(&body);
                println!("camera: unplugged");
                continue;
            }
            ["plug"] => {
                plug(&body)?;
                continue;
            }
            _ => None,
        };
        match mood {
            Some(mood) => {
                body.state().mood = mood;
                body.changed.notify_all();
                println!("camera: {command}");
            }
            None => println!("camera: {command:?} is not known"),
        }
    }
    Ok(())
}

/// The clip's pictures, from start mark to end mark.
fn pictures(clip: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut start = None;
    for at in 1..clip.len() {
        match (&clip[at - 1..=at], start) {
            ([0xff, 0xd8], None) => start = Some(at - 1),
            ([0xff, 0xd9], Some(from)) => {
                found.push(clip[from..=at].to_vec());
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Hands the kernel an end of a new line; a thread answers on the other one.
fn plug(body: &Arc<Body>) -> io::Result<()> {
    let (ours, kernels) = UnixStream::pair()?;
    let reader = ours.try_clone()?;
    {
        let mut state = body.state();
        state.line = Some(ours);
        state.asked.clear();
        state.streams += 1;
    }
    let answering = body.clone();
    thread::spawn(move || {
        // A line that is cut ends here.
        let _ = answer(&answering, reader);
    });
    let order = format!("{PORT} {} 65537 {HIGH_SPEED}", kernels.as_raw_fd());
    fs::write(format!("{CONTROLLER}/attach"), order)?;
    println!("camera: plugged in");
    Ok(())
}

fn unplug(body: &Body) {
    let mut state = body.state();
    if let Some(line) = state.line.take() {
        let _ = line.shutdown(std::net::Shutdown::Both);
    }
    state.asked.clear();
    state.streams += 1;
    body.changed.notify_all();
}

/// Reads what the kernel asks for, and answers all but the pictures.
fn answer(body: &Body, mut line: UnixStream) -> io::Result<()> {
    loop {
        let mut head = [0; 48];
        line.read_exact(&mut head)?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (command, number, inward, endpoint) = (word(0), word(4), word(12) == 1, word(16));
        if command == UNLINK {
            let mut state = body.state();
            let wanted = word(20);
            let before = state.asked.len();
            state.asked.retain(|(asked, _)| *asked != wanted);
            let status = if state.asked.len() < before { RESET } else { 0 };
            reply(&mut state, UNLINKED, number, status, 0, &[])?;
            continue;
        }
        if command != SUBMIT {
            return Err(io::Error::other("not USB/IP"));
        }
        let length = word(24) as usize;
        let mut data = vec![0; if inward { 0 } else { length }];
        line.read_exact(&mut data)?;
        if endpoint == 1 {
            body.state().asked.push_back((number, length));
            body.changed.notify_all();
            continue;
        }
        let setup: [u8; 8] = head[40..48].try_into().unwrap();
        let mut state = body.state();
        match control(setup) {
            Some(_) if !inward => {
                // Commit: a stream begins.
                if setup[..4] == [0x21, 0x01, 0x00, 0x02] {
                    state.streams += 1;
                    println!("camera: a stream begins");
                }
                reply(&mut state, SUBMITTED, number, 0, length, &[])?;
            }
            Some(answer) => {
                let answer = &answer[..answer.len().min(length)];
                reply(&mut state, SUBMITTED, number, 0, answer.len(), answer)?;
            }
            None => reply(&mut state, SUBMITTED, number, STALLED, 0, &[])?,
        }
    }
}

/// Writes one answer, whole: the lock on the state keeps others from the line.
fn reply(
    state: &mut State,
    command: u32,
    number: u32,
    status: i32,
    length: usize,
    data: &[u8],
) -> io::Result<()> {
    let Some(line) = &mut state.line else {
        return Ok(());
    };
    let mut bytes = vec![0; 48];
    bytes[0..4].copy_from_slice(&command.to_be_bytes());
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    bytes[20..24].copy_from_slice(&status.to_be_bytes());
    bytes[24..28].copy_from_slice(&(length as u32).to_be_bytes());
    bytes.extend(data);
    line.write_all(&bytes)
}

/// The answer to a request on the control endpoint; none where the device does not know it. What is
/// only to be done is answered by nothing.
fn control(setup: [u8; 8]) -> Option<Vec<u8>> {
    let [kind, request, value, selector, ..] = setup;
    match (kind, request, selector) {
        (0x80, 0x06, 1) => Some(device_descriptor()),
        (0x80, 0x06, 2) => Some(configuration_descriptor()),
        (0x80, 0x06, 3) => string_descriptor(value),
        (0x80, 0x08, _) => Some(vec![1]),
        (0x80..=0x82, 0x00, _) => Some(vec![0, 0]),
        (0x81, 0x0a, _) => Some(vec![0]),
        // SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE, SET_FEATURE.
        (0x00, 0x09, _) | (0x01, 0x0b, _) | (0x00..=0x02, 0x01 | 0x03, _) => Some(Vec::new()),
        // Probe and commit: there is one format, whatever is asked for.
        (0x21, 0x01, 1 | 2) => Some(Vec::new()),
        (0xa1, 0x81..=0x84 | 0x87, 1 | 2) if setup[4] == 1 => Some(streaming_parameters()),
        (0xa1, 0x85, 1 | 2) if setup[4] == 1 => Some(vec![26, 0]),
        (0xa1, 0x86, 1 | 2) if setup[4] == 1 => Some(vec![3]),
        _ => None,
    }
}

fn device_descriptor() -> Vec<u8> {
    // USB 2.0, several functions, 64 bytes on the control endpoint, a vendor for tests, two strings,
    // one configuration.
    vec![
        18, 1, 0, 2, 0xef, 2, 1, 64, 0x09, 0x12, 0x01, 0x00, 0, 1, 1, 2, 0, 1,
    ]
}

fn string_descriptor(number: u8) -> Option<Vec<u8>> {
    let text = match number {
        0 => return Some(vec![4, 3, 0x09, 0x04]),
        1 => "onelook",
        2 => "test camera",
        _ => return None,
    };
    let mut bytes = vec![2 + 2 * text.len() as u8, 3];
    bytes.extend(text.bytes().flat_map(|byte| [byte, 0]));
    Some(bytes)
}

/// UVC 1.0: a camera, where its pictures go, and one format of one size at one rate.
fn configuration_descriptor() -> Vec<u8> {
    let camera = [
        [17, 0x24, 0x02, 1, 0x01, 0x02, 0, 0].as_slice(),
        &[0, 0, 0, 0, 0, 0, 2, 0, 0],
    ]
    .concat();
    let output = [9, 0x24, 0x03, 2, 0x01, 0x01, 0, 1, 0];
    let [low, high] = (13 + camera.len() as u16 + output.len() as u16).to_le_bytes();
    let control_header = [
        13, 0x24, 0x01, 0x00, 0x01, low, high, 0x80, 0x8d, 0x5b, 0, 1, 1,
    ];

    let format = [11, 0x24, 0x06, 1, 1, 1, 1, 0, 0, 0, 0];
    let mut frame = vec![30, 0x24, 0x07, 1, 0];
    frame.extend(WIDTH.to_le_bytes());
    frame.extend(HEIGHT.to_le_bytes());
    for number in [1_000_000, 100_000_000, MAX_FRAME_BYTES, FRAME_INTERVAL] {
        frame.extend(number.to_le_bytes());
    }
    frame.push(1);
    frame.extend(FRAME_INTERVAL.to_le_bytes());
    let colours = [6, 0x24, 0x0d, 1, 1, 4];
    let streaming = 14 + format.len() + frame.len() + colours.len();
    let [low, high] = (streaming as u16).to_le_bytes();
    let streaming_header = [14, 0x24, 0x01, 1, low, high, 0x81, 0, 2, 0, 0, 0, 1, 0];

    let mut all = vec![9, 2, 0, 0, 2, 1, 0, 0x80, 50];
    all.extend([8, 11, 0, 2, 0x0e, 0x03, 0, 0]); // both interfaces are one function
    all.extend([9, 4, 0, 0, 0, 0x0e, 0x01, 0, 0]);
    all.extend(control_header);
    all.extend(camera);
    all.extend(output);
    all.extend([9, 4, 1, 0, 1, 0x0e, 0x02, 0, 0]);
    all.extend(streaming_header);
    all.extend(format);
    all.extend(frame);
    all.extend(colours);
    all.extend([7, 5, 0x81, 2, 0x00, 0x02, 0]); // bulk, inward, 512 bytes a packet
    let [low, high] = (all.len() as u16).to_le_bytes();
    all[2..4].copy_from_slice(&[low, high]);
    all
}

fn streaming_parameters() -> Vec<u8> {
    let mut bytes = vec![1, 0, 1, 1];
    bytes.extend(FRAME_INTERVAL.to_le_bytes());
    bytes.extend([0; 10]);
    bytes.extend(MAX_FRAME_BYTES.to_le_bytes());
    bytes.extend((PAYLOAD_BYTES as u32).to_le_bytes());
    bytes
}

/// Sends a frame at each tick of the clock, as long as somebody asks for frames.
fn play(body: &Body, frames: &[Vec<u8>]) {
    let (mut count, mut toggle) = (0_usize, 0_u8);
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = Instant::now();
    loop {
        let idle = |state: &mut State| state.asked.is_empty() || state.mood == Mood::Stall;
        let state = body.changed.wait_while(body.state(), idle).unwrap();
        let (mood, stream) = (state.mood, state.streams);
        drop(state);
        let frame = match mood {
            Mood::Show { first, last } => frames[first + count % (last - first + 1)].clone(),
            Mood::Cut => {
                let whole = &frames[count % frames.len()];
                whole[..whole.len() / 2].to_vec()
            }
            Mood::Garbage => (0..5000)
                .map(|_| {
                    noise ^= noise << 13;
                    noise ^= noise >> 7;
                    noise ^= noise << 17;
                    noise as u8
                })
                .collect(),
            Mood::Stall => continue,
        };
        count += 1;
        toggle ^= 1;
        let chunks = frame.chunks(PAYLOAD_BYTES - 2);
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            let waiting = |state: &mut State| state.asked.is_empty() && state.streams == stream;
            let mut state = body.changed.wait_while(body.state(), waiting).unwrap();
            if state.streams != stream {
                break;
            }
            let Some((number, length)) = state.asked.pop_front() else {
                break;
            };
            // End of header, end of frame, and which of two frames it is.
            let end = if index == last { 0x02 } else { 0 };
            let payload = [&[2, 0x80 | end | toggle], chunk].concat();
            let payload = &payload[..payload.len().min(length)];
            if reply(&mut state, SUBMITTED, number, 0, payload.len(), payload).is_err() {
                break;
            }
        }
        next = (next + Duration::from_secs(1) / FRAMES_PER_SECOND).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
