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
mod target;
mod worker;

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::device::sight::Sight;
use crate::picture::frame::Frame;
use worker::Worker;

pub use target::{PanelTarget, Target};

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
            Target::Panel(panel) => Way::Thread(Worker::start(target, panel::open(panel)?)?),
            #[cfg(not(feature = "panels"))]
            Target::Panel(_) => {
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

#[cfg(test)]
mod tests;
