//! Where the picture and what was decided are shown: the Linux framebuffer, a folder of PNGs, motion
//! JPEG for a browser, a small panel on a bus, nowhere. Knows pictures and what is written over them,
//! nothing of how it was decided.
//!
//! A place that fails (a full disk, a pulled plug) is reported once, tried again, and never stops the
//! frames. Slow ones have a thread of their own, and the newest picture wins. The PNG folder is written
//! at once instead: every picture of a clip is in it.

mod folder;
mod framebuffer;
mod mjpeg;
pub mod overlay;
#[cfg(feature = "panels")]
mod panel;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::control::button::Line;
use crate::device::sight::Sight;
use crate::picture::frame::Frame;

/// How long a place that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How many pictures a PNG folder keeps where nothing else is said.
const KEPT: usize = 1000;

/// A place to show pictures, as `--screen` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `none`: nowhere.
    None,
    /// `fb:/dev/fb0`: the Linux framebuffer.
    Framebuffer(PathBuf),
    /// `png:FOLDER[,keep=1000]`: a file a picture, the newest `keep` of them.
    Png {
        /// Made where it is missing.
        folder: PathBuf,
        /// At least 1.
        keep: usize,
    },
    /// `mjpeg:[ADDRESS:]PORT`: a page for a browser, by itself on this machine alone.
    Mjpeg(SocketAddr),
    /// `ssd1306:/dev/i2c-1[,address=0x3c][,rotate=180]`: a monochrome panel of 128x64 on I2C.
    Ssd1306 {
        /// The bus.
        bus: PathBuf,
        /// 7 bits.
        address: u8,
        /// Upside down.
        flipped: bool,
    },
    /// `st7789:/dev/spidev0.0,dc=LINE[,reset=LINE][,light=LINE][,size=240x240][,rotate=90][,mhz=32]`: a
    /// colour panel on SPI.
    St7789 {
        /// The bus and its chip select.
        bus: PathBuf,
        /// Tells data from commands.
        dc: Line,
        /// Resets the panel; by a command where it is not wired.
        reset: Option<Line>,
        /// The backlight, switched on.
        light: Option<Line>,
        /// Width and height of the panel before it is turned, in pixels: at most 240 and 320.
        size_px: (u16, u16),
        /// Clockwise: 0, 90, 180 or 270.
        degrees: u16,
        /// The bus's clock.
        mhz: u32,
    },
}

/// Why a place cannot be named, opened or written to.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// The text names no place.
    #[error(
        "{text:?}: {reason}; a screen is one of none, fb:/dev/fb0, png:FOLDER[,keep=1000], \
         mjpeg:[ADDRESS:]PORT, ssd1306:/dev/i2c-1[,address=0x3c][,rotate=180], \
         st7789:/dev/spidev0.0,dc=LINE[,reset=LINE][,light=LINE][,size=240x240][,rotate=90][,mhz=32]"
    )]
    Text {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program was built without it.
    #[error("{screen}: this program was built without panels; build it with `--features panels`")]
    NotBuilt {
        /// What was asked for.
        screen: String,
    },
    /// A file, a device or a port cannot be opened or written to.
    #[error("{screen}: {doing}: {source}")]
    Io {
        /// What was asked for.
        screen: String,
        /// What was done when it failed.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else than it should be, or does not answer.
    #[error("{screen}: {reason}")]
    Unfit {
        /// What was asked for.
        screen: String,
        /// In words, with the way out.
        reason: String,
    },
}

/// What changed about a screen, said once.
#[derive(Debug)]
pub enum Report {
    /// It shows nothing any more; it is tried again.
    Failed(ScreenError),
    /// It shows pictures again.
    Recovered(Target),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Failed(error) => error.fmt(f),
            Report::Recovered(target) => write!(f, "{target}: shows pictures again"),
        }
    }
}

impl fmt::Display for Target {
    /// What it is and where; the rest of what it was given is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::None => f.write_str("none"),
            Target::Framebuffer(device) => write!(f, "fb:{}", device.display()),
            Target::Png { folder, .. } => write!(f, "png:{}", folder.display()),
            Target::Mjpeg(address) => write!(f, "mjpeg:{address}"),
            Target::Ssd1306 { bus, .. } => write!(f, "ssd1306:{}", bus.display()),
            Target::St7789 { bus, .. } => write!(f, "st7789:{}", bus.display()),
        }
    }
}

impl FromStr for Target {
    type Err = ScreenError;

    fn from_str(text: &str) -> Result<Self, ScreenError> {
        parse(text).map_err(|reason| ScreenError::Text {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Target, String> {
    if text == "none" {
        return Ok(Target::None);
    }
    let (kind, rest) = text.split_once(':').ok_or("names no kind of screen")?;
    let place = |what: &str| match rest.split(',').next() {
        Some(place) if !place.is_empty() => Ok(PathBuf::from(place)),
        _ => Err(format!("names no {what}")),
    };
    match kind {
        "fb" if rest.is_empty() => Err("names no device".to_owned()),
        "fb" => Ok(Target::Framebuffer(PathBuf::from(rest))),
        "png" => {
            // A folder's name may have a comma in it.
            let (folder, keep) = match rest.rsplit_once(",keep=") {
                Some((folder, keep)) => (folder, keep.parse().ok().filter(|keep| *keep > 0)),
                None => (rest, Some(KEPT)),
            };
            if folder.is_empty() {
                return Err("names no folder".to_owned());
            }
            Ok(Target::Png {
                folder: PathBuf::from(folder),
                keep: keep.ok_or("keep is a number of pictures, at least 1")?,
            })
        }
        "mjpeg" => {
            let address = match rest.parse::<u16>() {
                Ok(port) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
                Err(_) => rest.parse().map_err(|_| {
                    "names no port such as 8080, nor an address and a port such as 127.0.0.1:8080"
                }),
            };
            Ok(Target::Mjpeg(address?))
        }
        "ssd1306" => {
            let bus = place("bus")?;
            let (mut address, mut flipped) = (0x3c, false);
            for (key, value) in options(rest)? {
                match (key, value) {
                    ("address", value) => {
                        address = seven_bits(value).ok_or("address is 0x08 to 0x77")?;
                    }
                    ("rotate", "0") => flipped = false,
                    ("rotate", "180") => flipped = true,
                    _ => return Err(format!("\"{key}={value}\" is not known")),
                }
            }
            Ok(Target::Ssd1306 {
                bus,
                address,
                flipped,
            })
        }
        "st7789" => {
            let bus = place("bus")?;
            let (mut dc, mut reset, mut light) = (None, None, None);
            let (mut size_px, mut degrees, mut mhz) = ((240, 240), 0, 32);
            for (key, value) in options(rest)? {
                match (key, value) {
                    ("dc", line) => dc = Some(line.parse()?),
                    ("reset", line) => reset = Some(line.parse()?),
                    ("light", line) => light = Some(line.parse()?),
                    ("size", size) => {
                        size_px = panel_size(size).ok_or("size is at most 240x320")?;
                    }
                    ("rotate", "0") => degrees = 0,
                    ("rotate", "90") => degrees = 90,
                    ("rotate", "180") => degrees = 180,
                    ("rotate", "270") => degrees = 270,
                    ("mhz", value) => {
                        let value = value.parse().ok().filter(|mhz| (1..=125).contains(mhz));
                        mhz = value.ok_or("mhz is 1 to 125")?;
                    }
                    _ => return Err(format!("\"{key}={value}\" is not known")),
                }
            }
            Ok(Target::St7789 {
                bus,
                dc: dc.ok_or("dc=LINE is missing")?,
                reset,
                light,
                size_px,
                degrees,
                mhz,
            })
        }
        _ => Err(format!("{kind:?} is no kind of screen")),
    }
}

/// What follows the first comma, as keys and values.
fn options(rest: &str) -> Result<Vec<(&str, &str)>, String> {
    let parts = rest.split(',').skip(1);
    parts
        .map(|part| part.split_once('=').ok_or(format!("{part:?} is not known")))
        .collect()
}

fn seven_bits(text: &str) -> Option<u8> {
    let address = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    // The other ones are the bus's own.
    address.filter(|address| (0x08..=0x77).contains(address))
}

fn panel_size(text: &str) -> Option<(u16, u16)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str, most: u16| text.parse().ok().filter(|side| (1..=most).contains(side));
    Some((side(width, 240)?, side(height, 320)?))
}

/// A place where one picture at a time is shown.
trait Place: Send {
    /// Shows `frame` with `sight` (in the frame's pixels) over it. After an error the next call finds
    /// a place that may be whole again.
    fn show(&mut self, frame: &Frame, sight: &Sight) -> Result<(), ScreenError>;

    /// What stands there must not be taken for what is: nothing follows.
    fn end(&mut self) {}
}

/// An open screen.
pub struct Screen {
    target: Target,
    way: Way,
}

enum Way {
    Nowhere,
    AtOnce {
        place: Box<dyn Place>,
        failing: bool,
    },
    Thread(Worker),
}

impl Screen {
    /// Opens `target`.
    ///
    /// # Errors
    /// Where it is not there, may not be used, or is something else.
    pub fn open(target: &Target) -> Result<Self, ScreenError> {
        let way = match target {
            Target::None => Way::Nowhere,
            Target::Png { folder, keep } => Way::AtOnce {
                place: Box::new(folder::Folder::open(target, folder, *keep)?),
                failing: false,
            },
            Target::Framebuffer(device) => {
                let place = framebuffer::Framebuffer::open(target, device)?;
                Way::Thread(Worker::start(target, Box::new(place))?)
            }
            Target::Mjpeg(address) => {
                let place = mjpeg::Server::open(target, *address)?;
                Way::Thread(Worker::start(target, Box::new(place))?)
            }
            #[cfg(feature = "panels")]
            Target::Ssd1306 { .. } | Target::St7789 { .. } => {
                Way::Thread(Worker::start(target, panel::open(target)?)?)
            }
            #[cfg(not(feature = "panels"))]
            Target::Ssd1306 { .. } | Target::St7789 { .. } => {
                return Err(ScreenError::NotBuilt {
                    screen: target.to_string(),
                });
            }
        };
        Ok(Self {
            target: target.clone(),
            way,
        })
    }

    /// Shows `frame` with `sight` (in the frame's pixels) over it, and says what changed about the
    /// screen since it was last asked. What a slow screen has not shown by the next call, it never
    /// shows.
    pub fn show(&mut self, frame: &Arc<Frame>, sight: &Sight) -> Option<Report> {
        match &mut self.way {
            Way::Nowhere => None,
            Way::AtOnce { place, failing } => {
                let shown = place.show(frame, sight);
                change(&self.target, failing, shown)
            }
            Way::Thread(worker) => worker.show(frame, sight),
        }
    }
}

/// What `shown` changes about a screen that was `failing` or not.
fn change(target: &Target, failing: &mut bool, shown: Result<(), ScreenError>) -> Option<Report> {
    let was = *failing;
    *failing = shown.is_err();
    match shown {
        Ok(()) if was => Some(Report::Recovered(target.clone())),
        Err(error) if !was => Some(Report::Failed(error)),
        _ => None,
    }
}

/// A thread that shows the newest picture.
struct Worker {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner hand each other.
#[derive(Default)]
struct Desk {
    papers: Mutex<Papers>,
    changed: Condvar,
}

#[derive(Default)]
struct Papers {
    next: Option<(Arc<Frame>, Sight)>,
    report: Option<Report>,
    closed: bool,
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        // Every change is whole: a thread that died has left nothing halved.
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next picture; none once the desk is closed.
    fn take(&self) -> Option<(Arc<Frame>, Sight)> {
        let idle = |papers: &mut Papers| papers.next.is_none() && !papers.closed;
        let mut papers = self
            .changed
            .wait_while(self.papers(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        if papers.closed {
            return None;
        }
        papers.next.take()
    }

    /// Waits, but not longer than the desk is open.
    fn rest(&self, time: Duration) {
        let open = |papers: &mut Papers| !papers.closed;
        drop(self.changed.wait_timeout_while(self.papers(), time, open));
    }
}

impl Worker {
    fn start(target: &Target, mut place: Box<dyn Place>) -> Result<Self, ScreenError> {
        let desk = Arc::new(Desk::default());
        let (theirs, name) = (desk.clone(), target.clone());
        let work = move || {
            let mut failing = false;
            while let Some((frame, sight)) = theirs.take() {
                let shown = place.show(&frame, &sight);
                if let Some(report) = change(&name, &mut failing, shown) {
                    theirs.papers().report = Some(report);
                }
                if failing {
                    theirs.rest(RETRY);
                }
            }
            place.end();
        };
        let thread = thread::Builder::new()
            .name("screen".to_owned())
            .spawn(work)
            .map_err(|source| ScreenError::Io {
                screen: target.to_string(),
                doing: "no thread for it".to_owned(),
                source,
            })?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    fn show(&self, frame: &Arc<Frame>, sight: &Sight) -> Option<Report> {
        let mut papers = self.desk.papers();
        papers.next = Some((frame.clone(), sight.clone()));
        self.desk.changed.notify_one();
        papers.report.take()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.desk.papers().closed = true;
        self.desk.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that is not in a report.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sight::Tone;
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn parsed(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn a_screen_is_named_by_its_kind_and_its_place() {
        assert_eq!(parsed("none"), Target::None);
        let device = PathBuf::from("/dev/fb1");
        assert_eq!(parsed("fb:/dev/fb1"), Target::Framebuffer(device));
        let folder = |folder: &str, keep| Target::Png {
            folder: PathBuf::from(folder),
            keep,
        };
        assert_eq!(parsed("png:a,b"), folder("a,b", 1000));
        assert_eq!(parsed("png:a,b,keep=7"), folder("a,b", 7));
        let here = Target::Mjpeg(SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(parsed("mjpeg:8080"), here);
        let everywhere = Target::Mjpeg(SocketAddr::from(([0, 0, 0, 0], 8080)));
        assert_eq!(parsed("mjpeg:0.0.0.0:8080"), everywhere);
    }

    #[test]
    fn a_panel_is_named_with_its_wiring() {
        let panel = |address, flipped| Target::Ssd1306 {
            bus: PathBuf::from("/dev/i2c-1"),
            address,
            flipped,
        };
        assert_eq!(parsed("ssd1306:/dev/i2c-1"), panel(0x3c, false));
        let turned = "ssd1306:/dev/i2c-1,address=0x3d,rotate=180";
        assert_eq!(parsed(turned), panel(0x3d, true));
        let named = |name: &str| Line::Named(name.to_owned());
        let expected = Target::St7789 {
            bus: PathBuf::from("/dev/spidev0.1"),
            dc: named("GPIO25"),
            reset: Some(named("GPIO27")),
            light: Some(Line::At {
                chip: PathBuf::from("/dev/gpiochip0"),
                offset: 24,
            }),
            size_px: (240, 320),
            degrees: 90,
            mhz: 62,
        };
        let written = "st7789:/dev/spidev0.1,dc=GPIO25,reset=GPIO27,light=gpiochip0:24,\
                       size=240x320,rotate=90,mhz=62";
        assert_eq!(parsed(written), expected);
    }

    #[test]
    fn what_is_no_screen_is_refused_with_what_is_one() {
        for (text, reason) in [
            ("", "names no kind of screen"),
            ("hdmi:1", "\"hdmi\" is no kind of screen"),
            ("fb:", "names no device"),
            ("png:", "names no folder"),
            ("png:a,keep=0", "keep is a number of pictures"),
            ("mjpeg:", "names no port"),
            ("mjpeg:70000", "names no port"),
            ("ssd1306:", "names no bus"),
            ("ssd1306:/dev/i2c-1,address=0x78", "address is 0x08 to 0x77"),
            ("ssd1306:/dev/i2c-1,rotate=90", "\"rotate=90\" is not known"),
            (
                "ssd1306:/dev/i2c-1,upside-down",
                "\"upside-down\" is not known",
            ),
            ("st7789:/dev/spidev0.0", "dc=LINE is missing"),
            ("st7789:/dev/spidev0.0,dc=", "names no line"),
            (
                "st7789:/dev/spidev0.0,dc=a,size=241x240",
                "size is at most 240x320",
            ),
            ("st7789:/dev/spidev0.0,dc=a,mhz=0", "mhz is 1 to 125"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.contains("fb:/dev/fb0"), "{error}");
        }
    }

    #[cfg(not(feature = "panels"))]
    #[test]
    fn a_panel_that_was_not_built_says_how_to_build_it() {
        let error = Screen::open(&parsed("ssd1306:/dev/i2c-1")).err().unwrap();
        assert!(error.to_string().contains("--features panels"), "{error}");
    }

    #[test]
    fn a_framebuffer_that_is_not_there_is_an_error_at_the_start() {
        let error = Screen::open(&parsed("fb:/dev/fb987")).err().unwrap();
        assert!(
            error.to_string().contains("is it a framebuffer?"),
            "{error}"
        );
    }

    /// A place that says what it is given, and answers when and what it is told to.
    struct Bench {
        given: Sender<String>,
        answers: Receiver<Result<(), ScreenError>>,
    }

    impl Place for Bench {
        fn show(&mut self, _: &Frame, sight: &Sight) -> Result<(), ScreenError> {
            let _ = self.given.send(sight.label.clone());
            self.answers.recv().unwrap_or(Ok(()))
        }

        fn end(&mut self) {
            let _ = self.given.send("end".to_owned());
        }
    }

    #[test]
    fn a_slow_screen_holds_nobody_up_shows_the_newest_picture_and_speaks_once() {
        let worker; // named first, dropped last: where the test fails, its thread waits for no answer
        let (given, was_given) = channel();
        let (answer, answers) = channel();
        let place = Box::new(Bench { given, answers });
        worker = Worker::start(&Target::None, place).unwrap();
        let frame = Arc::new(Frame::from_fn(1, 1, |_, _| 0));
        let show = |label: &str| worker.show(&frame, &Sight::saying(label, Tone::Nothing));
        let broken = || ScreenError::Unfit {
            screen: Target::None.to_string(),
            reason: "broken".to_owned(),
        };
        assert!(show("1").is_none());
        assert_eq!(was_given.recv().unwrap(), "1");
        // It has not answered yet, and we are here.
        for label in ["2", "3", "4"] {
            assert!(show(label).is_none());
        }
        answer.send(Err(broken())).unwrap();
        assert_eq!(was_given.recv().unwrap(), "4");
        let report = show("5");
        assert!(matches!(report, Some(Report::Failed(_))), "{report:?}");
        answer.send(Err(broken())).unwrap();
        assert_eq!(was_given.recv().unwrap(), "5");
        // Twice broken is said once.
        assert!(show("6").is_none());
        answer.send(Ok(())).unwrap();
        assert_eq!(was_given.recv().unwrap(), "6");
        let report = show("7");
        assert!(matches!(report, Some(Report::Recovered(_))), "{report:?}");
        answer.send(Ok(())).unwrap();
        assert_eq!(was_given.recv().unwrap(), "7");
        assert!(show("8").is_none());
        answer.send(Ok(())).unwrap();
        answer.send(Ok(())).unwrap();
        drop(worker);
        let rest: Vec<String> = was_given.iter().collect();
        assert_eq!(rest.last().unwrap(), "end");
    }
}
