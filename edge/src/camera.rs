//! Where frames come from. A [`Source`] is opened into a [`Camera`], and a camera gives the newest
//! good [`Frame`] or says what is wrong with it. Knows bytes, pictures and time: nothing of what they show.
//!
//! A live source (a camera, a stream, a child, a server, or files with a rate) is read on a thread of
//! its own, which keeps only the newest picture: capture never waits for whoever looks. Decoding and
//! judging happen in [`Camera::newest`], on the caller's thread, so a picture that nobody looks at costs
//! no decoding. A source that breaks, ends or goes silent is opened again, ever less eagerly. Files
//! without a rate are read in the caller's thread, every picture in order: the same files give the same
//! frames.
//!
//! What is promised of a frame: it is whole. A JPEG had all its parts and as many coded blocks as its
//! size needs ([`crate::jpeg`]), a raw picture all its bytes; its size is that of the stream, where a new
//! size is believed at the third picture in a row that has it. What is not whole is counted, skipped and
//! never shown. A bit that flips inside coded data and still decodes is beyond any reader.

mod capture;
mod child;
mod files;
mod http;
mod mjpeg;
mod raw;
mod source;
mod steady;
#[cfg(feature = "v4l2")]
pub mod v4l2;
mod y4m;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::frame::{Frame, FrameError};

pub use mjpeg::MotionJpeg;
pub use source::{Source, SourceError};

/// What is asked of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Width and height in pixels: for a V4L2 camera, which may answer with another size.
    pub size: Option<(usize, usize)>,
    /// Frames a second, above 0: asked of a V4L2 camera; files are then played at this rate, and
    /// dropped like a camera's where nobody keeps up.
    pub fps: Option<f64>,
    /// Files begin again when they end.
    pub looped: bool,
    /// Frames in grey: decoding is faster where nobody needs colour. A grey source is grey anyway.
    pub grey: bool,
    /// When to lose patience.
    pub patience: Patience,
}

/// How long until a source is given up or reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Patience {
    /// From opening to the first picture: cameras take seconds to start.
    pub first: Duration,
    /// Without a good frame: [`CameraState::Stalled`].
    pub stalled: Duration,
    /// Without a picture: opened again. Longer than `stalled`.
    pub lost: Duration,
    /// The same picture, sample for sample: [`CameraState::Frozen`].
    pub frozen: Duration,
    /// Nothing but black: [`CameraState::Black`].
    pub black: Duration,
    /// Until the first try to open again; every further try waits twice as long...
    pub again: Duration,
    /// ... up to this.
    pub again_most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            stalled: Duration::from_secs(2),
            lost: Duration::from_secs(4),
            frozen: Duration::from_secs(3),
            black: Duration::from_secs(2),
            again: Duration::from_millis(250),
            again_most: Duration::from_secs(4),
        }
    }
}

/// What a camera answers.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A good frame, the newest there is; of files without a rate the next one.
    Frame(Shot),
    /// The camera's state changed; it comes before the frame that changed it.
    State(CameraState),
    /// Neither, for as long as one was willing to wait.
    Nothing,
    /// The files are played, or the stream on standard input is at its end; so it is from then on.
    Ended,
}

/// A good frame.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The pixels.
    pub frame: Arc<Frame>,
    /// Which picture of the source it is, from 0; pictures that were dropped or damaged count.
    pub sequence: u64,
    /// When its last byte had come.
    pub taken: Instant,
    /// How long decoding took.
    pub decoding: Duration,
}

/// How a camera is. Frames come while it is live, frozen or black: a screen may show them, and
/// nobody should decide or learn from a frozen or black one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraState {
    /// Asked for, and nothing came of it yet.
    Opening,
    /// Open, without a frame yet; in words what it is and what it agreed to, and where that is not
    /// what was asked for.
    Opened {
        /// For people, such as `/dev/video0: HD Webcam, 640x480 YUYV at 30/s (1280x720 was asked for)`.
        what: String,
    },
    /// Good frames of this size come. Another size is another state.
    Live {
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
    },
    /// The same picture comes again and again.
    Frozen,
    /// Black pictures come: a cap on the lens, or a dead sensor.
    Black,
    /// Nothing good came for a while; the source is open all the same.
    Stalled {
        /// Silence, or what is wrong with what comes.
        why: String,
    },
    /// The source broke, ended or went silent, and is opened again.
    Lost {
        /// What happened.
        why: String,
        /// Until the next try.
        again: Duration,
    },
}

/// What became of the pictures so far. `captured` is the sum of the next three, and one more while
/// a picture waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pictures that came, good or not.
    pub captured: u64,
    /// Handed out as frames.
    pub shown: u64,
    /// Skipped: cut, damaged, or of another size than the stream's.
    pub damaged: u64,
    /// Skipped for a newer one.
    pub dropped: u64,
    /// How often the source was opened again.
    pub reopened: u64,
}

/// Why a source cannot be opened, or a picture is not shown.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// An option that this source has no use for.
    #[error("{option} is for {meant}; leave it out with {source_name}")]
    NotForThis {
        /// The option.
        option: &'static str,
        /// What it is for.
        meant: &'static str,
        /// The source.
        source_name: String,
    },
    /// A file or folder that cannot be read.
    #[error("{path:?}: {source}")]
    Unreadable {
        /// It.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder that holds no pictures.
    #[error("{path:?}: {reason}")]
    NoPictures {
        /// It.
        path: PathBuf,
        /// What is there instead, and what to do.
        reason: String,
    },
    /// A command that cannot be started.
    #[error("exec:{command}: {source}; is it installed, and on the path?")]
    NotStarted {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// This program was built without V4L2.
    #[error(
        "{source_name}: this onelook-edge was built without cameras; install libclang-dev, then build it with \
         --features v4l2, or give exec:COMMAND with a command that writes motion JPEG"
    )]
    WithoutV4l2 {
        /// The source.
        source_name: String,
    },
    /// The stream broke.
    #[error("{name}: {source}")]
    Broken {
        /// The stream.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// One picture is damaged; the next one may be good.
    #[error(transparent)]
    Damaged(#[from] FrameError),
}

/// Opens `source`. What cannot heal by waiting is an error: a wrong option, a missing file or program.
/// What can (a camera that is not plugged in, a server that is not up) is a state of the camera.
///
/// # Errors
/// Every [`CameraError`] but `Damaged` and `Broken`.
pub fn open(source: &Source, wanted: &Wanted) -> Result<Camera, CameraError> {
    source.refuse_what_it_has_no_use_for(wanted)?;
    let feed = match source {
        Source::Files(path) => files::feed(path, wanted)?,
        Source::MjpegStdin | Source::Y4mStdin => Feed::Live(Capture::of_stdin(source, wanted)?),
        Source::Exec(words) => Feed::Live(Capture::of_child(words, wanted)?),
        Source::Http(address) => Feed::Live(Capture::of_server(address, wanted)),
        #[cfg(feature = "v4l2")]
        Source::V4l2(device) => Feed::Live(v4l2::capture(device.clone(), wanted)),
        #[cfg(not(feature = "v4l2"))]
        Source::V4l2(_) => {
            return Err(CameraError::WithoutV4l2 {
                source_name: source.to_string(),
            });
        }
    };
    Ok(Camera::new(source.to_string(), feed, wanted))
}
