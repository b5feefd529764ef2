//! Cameras of Video4Linux, through nokhwa. Chooses what to ask for, brings a camera out of whatever state
//! it was left in, and takes raw buffers: nothing is decoded here.
//!
//! nokhwa refuses a camera whose current rate is a fraction or whose current format it does not know, so
//! a good state is set before by `v4l`, on which nokhwa itself stands. It blocks for ever on a camera
//! that sends nothing, so the first picture is awaited with `v4l`, and before every other one a second handle
//! on the device is asked whether there is one. It does
//! not tell how many bytes of a buffer are new, so a JPEG that ends where the one before it in the same
//! buffer ended is refused: it may be cut, with the rest of the older one behind it. A short picture of
//! raw samples can be told by the driver alone; uvcvideo drops it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nokhwa::Camera;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use rustix::event::PollFlags;
use v4l::buffer::Type;
use v4l::capability::Flags;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::Wanted;
use super::capture::{AtEnd, Capture, CodedPicture, OpenStream, Sizes, Slot, readable};
use super::nodes::{LISTED, listed};
use super::raw::{Layout, Raw};
use crate::picture::jpeg;

/// What is asked for where the options say nothing else: enough for a mark, cheap to look at.
const SIZE: (usize, usize) = (640, 480);
const FPS: f64 = 30.0;
/// How many ways to run a camera are tried.
const MOST_TRIES: usize = 8;
const POLL: Duration = Duration::from_millis(50);

/// Asks a device which pictures it gives, such as `YUYV 640x480 at 30, 15`; none where it gives none of a kind that this
/// program reads.
///
/// # Errors
/// What the system said; it is no capture device.
pub fn formats(device: &Path) -> io::Result<Vec<String>> {
    let handle = Device::with_path(device)?;
    let about = handle.query_caps()?;
    if !about.capabilities.contains(Flags::VIDEO_CAPTURE) {
        return Err(io::Error::other("it gives no pictures"));
    }
    let mut formats: Vec<String> = Vec::new();
    for mode in modes(&handle)? {
        let begin = format!(
            "{} {}x{} at ",
            name_of(mode.format),
            mode.size.0,
            mode.size.1
        );
        match formats.last_mut().filter(|last| last.starts_with(&begin)) {
            Some(last) => last.push_str(&format!(", {}", mode.fps)),
            None => formats.push(format!("{begin}{}", mode.fps)),
        }
    }
    Ok(formats)
}

/// The devices there are, by number.
pub fn devices() -> Vec<PathBuf> {
    let numbers = listed(Path::new(LISTED)).into_iter();
    numbers
        .map(|(number, _)| PathBuf::from(format!("/dev/video{number}")))
        .collect()
}

/// Starts to read a camera; none is the first one that gives pictures.
///
/// # Errors
/// The system has no thread left. That there is no camera is a state, not an error.
pub(super) fn capture(device: Option<PathBuf>, wanted: &Wanted) -> io::Result<Capture> {
    let wanted = wanted.clone();
    Capture::start(&wanted.patience.clone(), AtEnd::Again, move |slot| {
        let device = match &device {
            // Names that last are links.
            Some(device) => device.canonicalize().map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{}: {error}; is it plugged in?", device.display()),
                )
            })?,
            None => first_camera()?,
        };
        open(&device, &wanted, slot).map_err(|error| {
            let way_out = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; put the user into the group video: usermod -aG video USER"
                }
                io::ErrorKind::ResourceBusy => "; another program uses it",
                _ => "",
            };
            io::Error::new(
                error.kind(),
                format!("{}: {error}{way_out}", device.display()),
            )
        })
    })
}

fn first_camera() -> io::Result<PathBuf> {
    let mut last = "no camera is plugged in".to_owned();
    for device in devices() {
        match formats(&device) {
            Ok(formats) if !formats.is_empty() => return Ok(device),
            Ok(_) => last = format!("{}: no format that this program reads", device.display()),
            Err(error) => last = format!("{}: {error}", device.display()),
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, last))
}

/// One way to run a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mode {
    format: FrameFormat,
    /// In pixels.
    size: (u32, u32),
    /// Frames a second.
    fps: u32,
}

/// What nokhwa and this program both read, cheapest to decode first.
const FORMATS: [(FrameFormat, &[u8; 4]); 5] = [
    (FrameFormat::YUYV, b"YUYV"),
    (FrameFormat::NV12, b"NV12"),
    (FrameFormat::MJPEG, b"MJPG"),
    (FrameFormat::RAWRGB, b"RGB3"),
    (FrameFormat::RAWBGR, b"BGR3"),
];

fn code_of(format: FrameFormat) -> FourCC {
    let code = FORMATS.iter().find(|(known, _)| *known == format);
    FourCC::new(code.map_or(b"MJPG", |(_, code)| code))
}

fn name_of(format: FrameFormat) -> String {
    code_of(format).to_string()
}

/// Every whole rate at every size in every known format; of steps, the ends and what is usual.
fn modes(handle: &Device) -> io::Result<Vec<Mode>> {
    let mut modes = Vec::new();
    let offered = handle.enum_formats()?;
    for (format, code) in FORMATS {
        let code = FourCC::new(code);
        if !offered.iter().any(|offer| offer.fourcc == code) {
            continue;
        }
        for size in handle.enum_framesizes(code).unwrap_or_default() {
            let sizes = match size.size {
                FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
                FrameSizeEnum::Stepwise(steps) => {
                    let usual = [(320, 240), (640, 480), (1280, 720), (1920, 1080)];
                    let fits = |&(width, height): &(u32, u32)| {
                        (steps.min_width..=steps.max_width).contains(&width)
                            && (steps.min_height..=steps.max_height).contains(&height)
                    };
                    usual.into_iter().filter(fits).collect()
                }
            };
            for (width, height) in sizes {
                let intervals = handle
                    .enum_frameintervals(code, width, height)
                    .unwrap_or_default();
                let rates = intervals
                    .iter()
                    .flat_map(|interval| match &interval.interval {
                        FrameIntervalEnum::Discrete(one) => whole_rate(one).into_iter().collect(),
                        FrameIntervalEnum::Stepwise(_) => vec![15, 30],
                    });
                let mut rates: Vec<u32> = rates.collect();
                if intervals.is_empty() {
                    rates.push(30);
                }
                modes.extend(rates.into_iter().map(|fps| Mode {
                    format,
                    size: (width, height),
                    fps,
                }));
            }
        }
    }
    Ok(modes)
}

/// Frames a second, where that is a whole number.
fn whole_rate(interval: &Fraction) -> Option<u32> {
    let (seconds, frames) = (interval.numerator, interval.denominator);
    (seconds > 0 && frames > 0 && frames % seconds == 0).then(|| frames / seconds)
}

/// The best first: near the size that is asked for, rather above than below, fast enough, cheap to decode.
fn by_preference(mut modes: Vec<Mode>, size: (usize, usize), fps: f64) -> Vec<Mode> {
    let rank = |mode: &Mode| {
        let (width, height) = (mode.size.0 as usize, mode.size.1 as usize);
        let (asked, given) = (size.0 * size.1, width * height);
        let smaller = width < size.0 || height < size.1;
        let too_slow = f64::from(mode.fps) < fps;
        let off = (f64::from(mode.fps) - fps).abs() as u64;
        let decoding = FORMATS
            .iter()
            .position(|(format, _)| *format == mode.format);
        (smaller, asked.abs_diff(given), too_slow, off, decoding)
    };
    modes.sort_by_key(rank);
    modes
}

fn open(device: &Path, wanted: &Wanted, slot: &Arc<Slot>) -> io::Result<OpenStream> {
    let number = device
        .to_str()
        .and_then(|device| device.strip_prefix("/dev/video")?.parse().ok())
        .ok_or_else(|| io::Error::other("its name is not /dev/video and a number"))?;
    let (size, fps) = (wanted.size.unwrap_or(SIZE), wanted.fps.unwrap_or(FPS));
    let (name, modes) = {
        let handle = Device::with_path(device)?;
        (handle.query_caps()?.card, modes(&handle)?)
    };
    let modes = by_preference(modes, size, fps);
    let mut last = io::Error::other(
        "no format at a whole rate that this program reads; a raw sensor needs its own program: exec:\"rpicam-vid ...\"",
    );
    for mode in modes.into_iter().take(MOST_TRIES) {
        slot.go_on()?;
        let stride = match settle(device, mode) {
            Ok(stride) => stride,
            Err(error) => {
                last = error;
                continue;
            }
        };
        quietly(|| await_picture(device, slot))?;
        // Its drop may panic, where the driver misbehaves; so may the rest.
        match quietly(|| start(number, mode)) {
            Ok(camera) => {
                let (width, height) = (mode.size.0 as usize, mode.size.1 as usize);
                let mut what = format!(
                    "{}: {name}, {width}x{height} {} at {}/s",
                    device.display(),
                    name_of(mode.format),
                    mode.fps
                );
                let other_size = wanted.size.filter(|&size| size != (width, height));
                let other_rate = wanted
                    .fps
                    .filter(|&fps| (fps - f64::from(mode.fps)).abs() > 0.5);
                let asked = [
                    other_size.map(|(width, height)| format!("{width}x{height}")),
                    other_rate.map(|fps| format!("{fps}/s")),
                ];
                let asked: Vec<String> = asked.into_iter().flatten().collect();
                if !asked.is_empty() {
                    what.push_str(&format!(" ({} was asked for)", asked.join(" at ")));
                }
                // A handle that reads nothing: it is only asked whether there is something.
                let bell = File::open(device)?;
                return Ok(OpenStream {
                    what,
                    sizes: Sizes::Announced(width, height),
                    pictures: Box::new(Buffers {
                        camera: Some(camera),
                        bell,
                        slot: Arc::clone(slot),
                        mode,
                        stride,
                        begun: false,
                        before: HashMap::new(),
                    }),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sets a mode whatever the state before was; bytes from a row to the next one. A USB camera
/// belongs to the handle that sets its mode until that is closed: so it is closed here, and the mode stays.
fn settle(device: &Path, mode: Mode) -> io::Result<usize> {
    let handle = Device::with_path(device)?;
    let code = code_of(mode.format);
    let set = handle.set_format(&Format::new(mode.size.0, mode.size.1, code))?;
    if set.fourcc != code || (set.width, set.height) != mode.size {
        return Err(io::Error::other(format!(
            "it gives {}x{} {} where {}x{} {code} was set",
            set.width, set.height, set.fourcc, mode.size.0, mode.size.1
        )));
    }
    // What has no rate to set keeps its own.
    if let Ok(now) = handle.set_params(&Parameters::with_fps(mode.fps))
        && whole_rate(&now.interval).is_none()
    {
        return Err(io::Error::other(format!(
            "it runs at {} frames a second, which is no whole number",
            f64::from(now.interval.denominator) / f64::from(now.interval.numerator.max(1))
        )));
    }
    Ok(set.stride as usize)
}

/// Runs a camera until its first picture is there, in the mode that was set, and closes it.
///
/// # Errors
/// No picture came in time, or what the system said.
fn await_picture(device: &Path, slot: &Slot) -> io::Result<()> {
    let handle = Device::with_path(device)?;
    let mut stream = Stream::new(&handle, Type::VideoCapture)?;
    stream.set_timeout(POLL);
    match stream.next() {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
        Err(error) => return Err(error),
    }
    let ready = PollFlags::IN.bits() as i16;
    while stream.handle().poll(ready, POLL.as_millis() as i32)? == 0 {
        slot.go_on()?;
    }
    Ok(())
}

fn start(number: u32, mode: Mode) -> io::Result<Camera> {
    let exact = CameraFormat::new_from(mode.size.0, mode.size.1, mode.format, mode.fps);
    let formats = [mode.format];
    let request = RequestedFormat::with_formats(RequestedFormatType::Exact(exact), &formats);
    let failed = |error: nokhwa::NokhwaError| io::Error::other(error.to_string());
    let mut camera = Camera::new(CameraIndex::Index(number), request).map_err(failed)?;
    camera.open_stream().map_err(failed)?;
    Ok(camera)
}

/// What nokhwa does, with its panics as errors.
fn quietly<T>(what: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|_| {
        Err(io::Error::other(
            "the camera's driver gave something unexpected",
        ))
    })
}

/// A camera's raw buffers as they come.
struct Buffers {
    camera: Option<Camera>,
    bell: File,
    slot: Arc<Slot>,
    mode: Mode,
    stride: usize,
    /// nokhwa makes the camera run when it is asked for the first picture: until then there is nothing to poll.
    begun: bool,
    /// What every buffer held when it came last, by its place in memory.
    before: HashMap<usize, Vec<u8>>,
}

impl Buffers {
    fn picture(&mut self) -> io::Result<CodedPicture> {
        while std::mem::replace(&mut self.begun, true) && !readable(&self.bell, POLL)? {
            self.slot.go_on()?;
        }
        let camera = self.camera.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let (place, bytes) = quietly(|| {
            let buffer = camera
                .frame_raw()
                .map_err(|error| io::Error::other(error.to_string()))?;
            Ok((buffer.as_ptr() as usize, buffer.into_owned()))
        })?;
        let layout = match self.mode.format {
            FrameFormat::YUYV => Layout::Yuyv,
            FrameFormat::NV12 => Layout::Nv12,
            FrameFormat::GRAY => Layout::Grey,
            FrameFormat::RAWRGB => Layout::Rgb,
            FrameFormat::RAWBGR => Layout::Bgr,
            FrameFormat::MJPEG => {
                let coded = new_jpeg(&bytes, self.before.get(&place));
                self.before.insert(place, bytes);
                return Ok(coded);
            }
        };
        let (width, height) = (self.mode.size.0 as usize, self.mode.size.1 as usize);
        Ok(CodedPicture::Raw(Raw {
            layout,
            width,
            height,
            stride: self.stride.max(layout.row(width)),
            full_range: false,
            bytes: Arc::new(bytes),
        }))
    }
}

impl Iterator for Buffers {
    type Item = io::Result<CodedPicture>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.picture())
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let camera = self.camera.take();
        let _ = quietly(|| {
            drop(camera);
            Ok(())
        });
    }
}

/// The JPEG that a buffer begins with, unless it may end in what the buffer held before.
fn new_jpeg(bytes: &[u8], before: Option<&Vec<u8>>) -> CodedPicture {
    let outline = match jpeg::outline(bytes) {
        Ok(outline) => outline,
        Err(flaw) => return CodedPicture::Damaged(flaw.to_string()),
    };
    let end = outline.bytes;
    let old_end = before.and_then(|before| before.get(..end));
    if old_end.is_some_and(|old| old.ends_with(&[0xff, 0xd9]) && *old != bytes[..end]) {
        return CodedPicture::Damaged(
            "it ends where the one before it did, so it may be cut".to_owned(),
        );
    }
    CodedPicture::Jpeg(Arc::new(bytes[..end].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = include_bytes!("../../tests/fixtures/grey.jpg");

    #[test]
    fn the_mode_nearest_to_what_is_asked_for_comes_first() {
        let mode = |format, size, fps| Mode { format, size, fps };
        let camera = vec![
            mode(FrameFormat::YUYV, (640, 480), 30),
            mode(FrameFormat::YUYV, (1280, 720), 10),
            mode(FrameFormat::MJPEG, (640, 480), 30),
            mode(FrameFormat::MJPEG, (640, 480), 60),
            mode(FrameFormat::MJPEG, (1280, 720), 30),
            mode(FrameFormat::YUYV, (320, 240), 30),
        ];
        let first = |size, fps| by_preference(camera.clone(), size, fps)[0];
        assert_eq!(first((640, 480), 30.0), camera[0]);
        assert_eq!(first((640, 480), 60.0), camera[3]);
        assert_eq!(first((1280, 720), 30.0), camera[4]);
        assert_eq!(first((800, 600), 30.0), camera[4]);
        assert_eq!(first((4000, 3000), 30.0), camera[4]);
        assert_eq!(first((1, 1), 5.0), camera[5]);
    }

    #[test]
    fn a_rate_is_whole_or_none() {
        assert_eq!(whole_rate(&Fraction::new(1, 30)), Some(30));
        assert_eq!(whole_rate(&Fraction::new(333, 9990)), Some(30));
        assert_eq!(whole_rate(&Fraction::new(1001, 30_000)), None);
        assert_eq!(whole_rate(&Fraction::new(2, 15)), None);
        assert_eq!(whole_rate(&Fraction::new(0, 15)), None);
        assert_eq!(whole_rate(&Fraction::new(1, 0)), None);
    }

    #[test]
    fn a_jpeg_that_may_end_in_an_older_one_is_refused() {
        let mut buffer = [ONE, &[0; 100]].concat();
        assert!(matches!(new_jpeg(&buffer, None), CodedPicture::Jpeg(bytes) if **bytes == *ONE));
        // The same picture again may be cut or not: it is the same.
        assert!(matches!(
            new_jpeg(&buffer, Some(&buffer.clone())),
            CodedPicture::Jpeg(_)
        ));
        let old = buffer.clone();
        let middle = ONE.len() / 2;
        buffer[20] ^= 1;
        assert!(matches!(
            new_jpeg(&buffer, Some(&old)),
            CodedPicture::Damaged(_)
        ));
        let mut shorter = old.clone();
        shorter[ONE.len() - 1] = 0;
        assert!(matches!(
            new_jpeg(&old, Some(&shorter)),
            CodedPicture::Jpeg(_)
        ));
        buffer[middle..].fill(0);
        assert!(matches!(
            new_jpeg(&buffer, Some(&old)),
            CodedPicture::Damaged(_)
        ));
    }
}
