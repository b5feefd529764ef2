//! The thread that reads a live source, and the slot in which it leaves the newest picture. Opens the
//! source again when it breaks, ends or goes silent. Knows pictures as they came: decodes nothing.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::raw::Raw;
use super::{Counts, Patience};

/// A picture as it came.
pub(super) struct Picture {
    /// Which one of the source it is, from 0.
    pub sequence: u64,
    /// When its last byte had come.
    pub taken: Instant,
    pub coded: CodedPicture,
}

/// What stands for a picture before it is decoded.
pub(super) enum CodedPicture {
    /// A sequential JPEG, as cameras send it.
    Jpeg(Arc<Vec<u8>>),
    /// A picture file's bytes, and what to call it.
    File(Vec<u8>, String),
    /// Samples.
    Raw(Raw),
    /// What was to be a picture, and why it is none.
    Damaged(String),
}

/// Pictures as they come; an error ends the source.
pub(super) type Pictures = Box<dyn Iterator<Item = io::Result<CodedPicture>>>;

/// A source that has been opened.
pub(super) struct OpenStream {
    /// What it is, for people.
    pub what: String,
    pub sizes: Sizes,
    pub pictures: Pictures,
}

/// What is known of the sizes of a source's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Width and height that the source announced.
    Announced(usize, usize),
    /// One for all, until a new one is confirmed.
    Steady,
    /// Every picture has its own.
    Any,
}

/// What happened to the source.
pub(super) enum Report {
    Opened {
        what: String,
        sizes: Sizes,
    },
    Lost {
        why: String,
        again: Option<Duration>,
    },
}

/// The next thing that a source has to say.
pub(super) enum Message {
    Report(Report),
    Picture(Picture),
    /// Not within the time given.
    Nothing,
    Ended,
}

/// Reports that wait to be read, at most; older ones give way.
const MOST_REPORTS: usize = 16;
/// A reader looks up this often to see whether it should stop.
const POLL: Duration = Duration::from_millis(50);
/// How long a camera that is closed waits for its thread, and for its child to be gone.
const PARTING: Duration = Duration::from_millis(800);

/// Where the reading thread and the looking thread meet.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    newest: Option<Picture>,
    reports: VecDeque<Report>,
    counts: Counts,
    last_damage: Option<String>,
    /// When the reader loses patience; never, where it is none.
    deadline: Option<Instant>,
    /// The camera is closed.
    stopped: bool,
    /// What comes is no good: open the source again.
    useless: bool,
    ended: bool,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here is left half-changed by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the reader until then for its next picture.
    fn expect(&self, within: Option<Duration>) {
        self.state().deadline = within.map(|within| Instant::now() + within);
    }

    /// Leaves a picture; whether the camera is still open.
    fn put(&self, coded: CodedPicture) -> bool {
        let mut state = self.state();
        let sequence = state.counts.captured;
        state.counts.captured += 1;
        if let CodedPicture::Damaged(why) = coded {
            state.counts.damaged += 1;
            state.last_damage = Some(why);
        } else {
            let picture = Picture {
                sequence,
                taken: Instant::now(),
                coded,
            };
            state.counts.dropped += u64::from(state.newest.replace(picture).is_some());
        }
        self.changed.notify_all();
        !state.stopped
    }

    fn report(&self, report: Report) {
        let mut state = self.state();
        if matches!(report, Report::Lost { .. }) {
            state.counts.dropped += u64::from(state.newest.take().is_some());
        }
        if state.reports.len() == MOST_REPORTS {
            state.reports.pop_front();
        }
        state.reports.push_back(report);
        self.changed.notify_all();
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// Waits, but not longer than the camera is open.
    pub(super) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state();
        while !state.stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether to read on.
    ///
    /// # Errors
    /// `TimedOut` where nothing came for too long, `BrokenPipe` where the camera is closed.
    pub(super) fn go_on(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.stopped {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if std::mem::take(&mut state.useless) {
            return Err(io::Error::other("nothing whole came"));
        }
        if state
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no picture came in time",
            ));
        }
        Ok(())
    }
}

/// Bytes of a pipe or a socket, for no longer than the slot is patient.
pub(super) struct Patient<R> {
    inner: R,
    slot: Arc<Slot>,
}

impl<R: Read + AsFd> Patient<R> {
    pub(super) fn new(inner: R, slot: &Arc<Slot>) -> Self {
        Self {
            inner,
            slot: Arc::clone(slot),
        }
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.slot.go_on()?;
            if readable(&self.inner, POLL)? {
                return self.inner.read(buffer);
            }
        }
    }
}

/// Whether there is something to read, or an end or error to learn of, within a time below a second.
pub(super) fn readable(what: &impl AsFd, within: Duration) -> io::Result<bool> {
    let within = Timespec {
        tv_sec: 0,
        tv_nsec: within.subsec_nanos().into(),
    };
    let mut asked = [PollFd::new(what, PollFlags::IN)];
    match poll(&mut asked, Some(&within)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A source that is read on a thread of its own.
pub(super) struct Capture {
    slot: Arc<Slot>,
    thread: JoinHandle<()>,
}

/// What becomes of a source that ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// It is opened again; its silence counts as an end.
    Again,
    /// That was it. It may be silent for as long as it likes.
    Over,
}

impl Capture {
    /// Starts the thread, which opens the source by `open`, reads it, and so on.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(
        patience: &Patience,
        at_end: AtEnd,
        open: impl FnMut(&Arc<Slot>) -> io::Result<OpenStream> + Send + 'static,
    ) -> io::Result<Self> {
        let slot = Arc::new(Slot::default());
        let (theirs, patience) = (Arc::clone(&slot), patience.clone());
        let thread = thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || {
                read(&theirs, &patience, at_end, open);
                theirs.end();
            })?;
        Ok(Self { slot, thread })
    }

    /// What the source has to say: reports before pictures, of these the newest, the end last.
    pub(super) fn take(&mut self, wait: Duration) -> Message {
        let until = Instant::now() + wait;
        let mut state = self.slot.state();
        loop {
            if let Some(report) = state.reports.pop_front() {
                return Message::Report(report);
            }
            if let Some(picture) = state.newest.take() {
                return Message::Picture(picture);
            }
            if state.ended {
                return Message::Ended;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Message::Nothing;
            }
            (state, _) = self
                .slot
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the source opened again: what comes is no good.
    pub(super) fn give_up(&self) {
        self.slot.state().useless = true;
    }

    /// Of what the thread saw; nothing is shown here.
    pub(super) fn counts(&self) -> Counts {
        self.slot.state().counts
    }

    /// What was wrong with the last picture that came damaged out of its container, once.
    pub(super) fn last_damage(&self) -> Option<String> {
        self.slot.state().last_damage.take()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.slot.state().stopped = true;
        self.slot.changed.notify_all();
        // It looks up every POLL; a system call that holds it longer holds up nothing else.
        let until = Instant::now() + PARTING;
        while !self.thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Opens and reads, until the camera is closed or the source is over.
fn read(
    slot: &Arc<Slot>,
    patience: &Patience,
    at_end: AtEnd,
    mut open: impl FnMut(&Arc<Slot>) -> io::Result<OpenStream>,
) {
    let reopens = at_end == AtEnd::Again;
    let within = |time: Duration| reopens.then_some(time);
    let mut again = patience.again;
    loop {
        slot.expect(within(patience.first));
        let mut lived = Duration::ZERO;
        let why = match open(slot) {
            Err(error) => error.to_string(),
            Ok(OpenStream {
                what,
                sizes,
                mut pictures,
            }) => {
                slot.report(Report::Opened { what, sizes });
                let mut first = None;
                loop {
                    match pictures.next() {
                        Some(Ok(coded)) => {
                            lived = first.get_or_insert_with(Instant::now).elapsed();
                            slot.expect(within(patience.lost));
                            if !slot.put(coded) {
                                return;
                            }
                        }
                        Some(Err(error)) => break error.to_string(),
                        None if reopens => break "it ended".to_owned(),
                        None => return,
                    }
                    if let Err(error) = slot.go_on() {
                        break error.to_string();
                    }
                }
            }
        };
        if slot.stopped() {
            return;
        }
        if lived >= patience.again_most {
            again = patience.again;
        }
        slot.report(Report::Lost {
            why,
            again: reopens.then_some(again),
        });
        if !reopens {
            return;
        }
        slot.sleep(again);
        if slot.stopped() {
            return;
        }
        again = (2 * again).min(patience.again_most);
        slot.state().counts.reopened += 1;
    }
}
