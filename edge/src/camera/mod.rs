//! Where frames come from. A [`Source`] is opened into a [`Camera`], and a camera gives the newest
//! good [`Frame`] or says what is wrong with it. Knows bytes, pictures and time: nothing of what they show.
//!
//! A live source (a camera, a stream, a child, a server, or files with a rate) is read on a thread of
//! its own, which keeps only the newest picture: capture never waits for the reader. Decoding and
//! judging happen in [`Camera::newest`], on the caller's thread, so a picture that is not asked for costs
//! no decoding. A source that breaks, ends or goes silent is opened again, ever less eagerly. Files
//! without a rate are read in the caller's thread, every picture in order: the same files give the same
//! frames.
//!
//! What is promised of a frame: it is whole. A JPEG had all its parts and as many coded blocks as its
//! size needs ([`crate::picture::jpeg`]), a raw picture all its bytes; its size is that of the stream, which is
//! believed at the second picture and another one at its third in a row. What is not whole is counted, skipped and
//! never shown. A bit that flips inside coded data and still decodes is beyond any reader.

mod capture;
mod child;
#[cfg(test)]
#[path = "tests/faults.rs"]
mod faults;
mod files;
mod http;
mod judge;
mod mjpeg;
pub(crate) mod nodes;
mod raw;
mod source;
#[cfg(feature = "v4l2")]
pub(crate) mod v4l2;
mod y4m;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ChildStdout;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capture::{
    AtEnd, Capture, CodedPicture, Message, OpenStream, Patient, Picture, Pictures, Report, Sizes,
    Slot,
};
use child::Child;
use judge::{Judge, Verdict};
use y4m::Y4m;

use crate::picture::frame::{Frame, FrameError};
use crate::picture::pool::Pool;

pub use mjpeg::MotionJpeg;
pub use raw::{Layout, Raw};
pub use source::{Address, Program, Source, SourceError};

/// What is asked of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Width and height in pixels: for a V4L2 camera, which may answer with another size.
    pub size: Option<(usize, usize)>,
    /// Frames a second, above 0: asked of a V4L2 camera; files are then played at this rate, and
    /// dropped like a camera's where the reader is slower.
    pub fps: Option<f64>,
    /// Files begin again when they end.
    pub looped: bool,
    /// Frames in grey: decoding is faster without colour. A grey source is grey anyway.
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
pub enum Glance {
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

/// How a camera is. Frames come while it is live, frozen or black: a screen may show them; a frozen
/// or black one is nothing to decide or learn from.
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
    /// The source broke, ended or went silent.
    Lost {
        /// What happened.
        why: String,
        /// Until the next try; none where there will be none.
        again: Option<Duration>,
    },
}

/// What became of the pictures so far. `captured` is the sum of the next three and of what
/// waits: the newest, and pictures whose size is not believed yet.
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
/// Every [`CameraError`] but `Damaged`.
pub fn open(source: &Source, wanted: &Wanted) -> Result<Camera, CameraError> {
    source.refuse_what_it_has_no_use_for(wanted)?;
    let name = source.to_string();
    let broken = |source| CameraError::Broken {
        name: name.clone(),
        source,
    };
    let patience = &wanted.patience;
    let feed = match source {
        Source::Files(path) => files::feed(path, wanted)?,
        Source::MjpegStdin | Source::Y4mStdin => {
            let y4m = *source == Source::Y4mStdin;
            let input = io::stdin().as_fd().try_clone_to_owned().map_err(broken)?;
            Feed::Live(standard_input(input.into(), y4m, patience).map_err(broken)?)
        }
        Source::Exec(program) => {
            let first = Child::start(program).map_err(|source| CameraError::NotStarted {
                command: program.name.clone(),
                source,
            })?;
            Feed::Live(child_output(program.clone(), first, patience).map_err(broken)?)
        }
        Source::Http(address) => {
            let address = address.clone();
            let open = move |slot: &Arc<Slot>| http::open(&address, slot);
            Feed::Live(Capture::start(patience, AtEnd::Again, open).map_err(broken)?)
        }
        #[cfg(feature = "v4l2")]
        Source::V4l2(device) => Feed::Live(v4l2::capture(device.clone(), wanted).map_err(broken)?),
        #[cfg(not(feature = "v4l2"))]
        Source::V4l2(_) => return Err(CameraError::WithoutV4l2 { source_name: name }),
    };
    let live = !matches!(source, Source::Files(_));
    Ok(Camera::new(name, feed, live, wanted))
}

fn standard_input(input: File, y4m: bool, patience: &Patience) -> io::Result<Capture> {
    let mut input = Some(input);
    Capture::start(patience, AtEnd::Over, move |slot| {
        let input = input.take().ok_or(io::ErrorKind::UnexpectedEof)?;
        let stream = BufReader::with_capacity(1 << 16, Patient::new(input, slot));
        let (sizes, pictures): (_, Pictures) = if y4m {
            let pictures = Y4m::new(stream)?;
            let (width, height) = pictures.size();
            (Sizes::Announced(width, height), Box::new(pictures))
        } else {
            let mut pictures = MotionJpeg::new(stream, "standard input");
            let pictures = std::iter::from_fn(move || pictures.next_coded());
            (Sizes::Steady, Box::new(pictures))
        };
        Ok(OpenStream {
            what: "standard input".to_owned(),
            sizes,
            pictures,
        })
    })
}

fn child_output(
    program: Program,
    first: (Child, ChildStdout),
    patience: &Patience,
) -> io::Result<Capture> {
    let mut first = Some(first);
    Capture::start(patience, AtEnd::Again, move |slot| {
        let (mut child, output) = match first.take() {
            Some(running) => running,
            None => Child::start(&program)?,
        };
        let stream = BufReader::with_capacity(1 << 16, Patient::new(output, slot));
        let (sizes, mut pictures) = match files::stream(stream) {
            Ok(opened) => opened,
            Err(error) => return Err(with_last_words(error, &mut child)),
        };
        Ok(OpenStream {
            what: program.words().collect::<Vec<_>>().join(" "),
            sizes,
            pictures: Box::new(std::iter::from_fn(move || match pictures.next() {
                None => Some(Err(child.end())),
                Some(Err(error)) => Some(Err(with_last_words(error, &mut child))),
                coded => coded,
            })),
        })
    })
}

fn with_last_words(error: io::Error, child: &mut Child) -> io::Error {
    // The camera is closed: its last words are not waited for.
    if error.kind() == io::ErrorKind::BrokenPipe {
        return error;
    }
    io::Error::new(error.kind(), format!("{error}; {}", child.end()))
}

/// Where pictures come from, before they are judged.
enum Feed {
    Live(Capture),
    InOrder(files::InOrder),
}

/// An open source. Dropped, it ends its thread and its child within a second.
pub struct Camera {
    name: String,
    feed: Feed,
    grey: bool,
    frames: Pool<Frame>,
    judge: Judge,
    /// Good frames that are not handed out yet.
    ready: VecDeque<Shot>,
    shown: u64,
    /// Pictures that came whole out of their container and were no good all the same.
    damaged: u64,
    dropped: u64,
    last_damage: Option<String>,
}

/// How often a camera that is waited for looks whether it has stalled.
const POLL: Duration = Duration::from_millis(50);

impl Camera {
    /// Only what is `live` may stall, freeze or go black.
    fn new(name: String, feed: Feed, live: bool, wanted: &Wanted) -> Self {
        Self {
            name,
            judge: Judge::new(&wanted.patience, live, Instant::now()),
            feed,
            grey: wanted.grey,
            frames: Pool::default(),
            ready: VecDeque::new(),
            shown: 0,
            damaged: 0,
            dropped: 0,
            last_damage: None,
        }
    }

    /// The source, as it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is, as of the last call of [`Camera::newest`].
    pub fn state(&self) -> &CameraState {
        self.judge.state()
    }

    /// What became of its pictures.
    pub fn counts(&self) -> Counts {
        let counts = match &self.feed {
            Feed::Live(capture) => capture.counts(),
            Feed::InOrder(files) => files.counts,
        };
        Counts {
            shown: self.shown,
            damaged: counts.damaged + self.damaged,
            dropped: counts.dropped + self.dropped,
            ..counts
        }
    }

    /// What was wrong with the last picture that was skipped as damaged.
    pub fn last_damage(&self) -> Option<&str> {
        self.last_damage.as_deref()
    }

    /// The newest good frame that was not handed out yet; of files without a rate the next. Waits up
    /// to `wait` for it, or for a change of state, which it tells first.
    pub fn newest(&mut self, wait: Duration) -> Glance {
        let until = Instant::now() + wait;
        loop {
            if let Some(shot) = self.ready.pop_front() {
                self.shown += 1;
                return Glance::Frame(shot);
            }
            let left = until.saturating_duration_since(Instant::now());
            let message = match &mut self.feed {
                Feed::Live(capture) => capture.take(left.min(POLL)),
                Feed::InOrder(files) => files.take(),
            };
            let now = Instant::now();
            let verdict = match message {
                Message::Report(report) => return Glance::State(self.report(report, now)),
                Message::Picture(picture) => {
                    match decode(&picture, &self.name, self.grey, &mut self.frames) {
                        Ok(shot) => self.judge.whole(shot, now),
                        Err(error) => {
                            self.refuse(error.to_string());
                            Verdict::default()
                        }
                    }
                }
                Message::Nothing => Verdict::default(),
                Message::Ended => {
                    let verdict = self.judge.ended(now);
                    if verdict.show.is_none() {
                        self.apply(verdict);
                        return Glance::Ended;
                    }
                    verdict
                }
            };
            let turned = verdict.state.clone();
            self.apply(verdict);
            if let Some(state) = turned.or_else(|| self.idle(now)) {
                return Glance::State(state);
            }
            if self.ready.is_empty() && now >= until {
                return Glance::Nothing;
            }
        }
    }

    fn report(&mut self, report: Report, now: Instant) -> CameraState {
        let waiting = match report {
            Report::Opened { what, sizes } => self.judge.opened(what, sizes, now),
            Report::Lost { why, again } => self.judge.lost(CameraState::Lost { why, again }, now),
        };
        self.dropped += waiting;
        self.judge.state().clone()
    }

    fn apply(&mut self, verdict: Verdict) {
        for why in verdict.refused {
            self.refuse(why);
        }
        self.ready.extend(verdict.confirmed);
        self.ready.extend(verdict.show);
        if matches!(self.feed, Feed::Live(_)) && self.ready.len() > 1 {
            self.dropped += self.ready.len() as u64 - 1;
            self.ready.drain(..self.ready.len() - 1);
        }
    }

    fn refuse(&mut self, why: String) {
        self.damaged += 1 + self.judge.damaged(why.clone());
        self.last_damage = Some(why);
    }

    /// How it is where no good frame came.
    fn idle(&mut self, now: Instant) -> Option<CameraState> {
        if !self.ready.is_empty() {
            return None;
        }
        let containers = match &mut self.feed {
            Feed::Live(capture) => capture.last_damage(),
            Feed::InOrder(files) => files.last_damage.take(),
        };
        if let Some(why) = containers {
            self.damaged += self.judge.damaged(why.clone());
            self.last_damage = Some(why);
        }
        if let Feed::Live(capture) = &self.feed
            && self.judge.is_hopeless(now)
        {
            capture.give_up();
            self.judge.hope(now);
        }
        self.judge.idle(now)
    }
}

fn decode(
    picture: &Picture,
    name: &str,
    grey: bool,
    frames: &mut Pool<Frame>,
) -> Result<Shot, FrameError> {
    let started = Instant::now();
    let (frame, read) = match &picture.coded {
        CodedPicture::Jpeg(bytes) => {
            let name = format_args!("{name}, picture {}", picture.sequence);
            frames.fill(|frame| frame.read_jpeg(bytes, name, grey))
        }
        CodedPicture::File(bytes, name) => {
            let frame = Frame::decode(bytes, name)?;
            let frame = if grey {
                frame.to_grey().into_owned()
            } else {
                frame
            };
            (Arc::new(frame), Ok(()))
        }
        CodedPicture::Raw(raw) => frames.fill(|frame| raw.read_into(frame, grey)),
        CodedPicture::Damaged(why) => {
            return Err(FrameError::Undecodable {
                name: name.to_owned(),
                reason: why.clone(),
            });
        }
    };
    read?;
    Ok(Shot {
        frame,
        sequence: picture.sequence,
        taken: picture.taken,
        decoding: started.elapsed(),
    })
}
