//! A screen on a thread of its own: the newest picture wins, and the frames never wait. Knows no kind of screen.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Place, Report, ScreenError, Target, change};
use crate::device::sight::Sight;
use crate::picture::frame::Frame;

/// How long a place that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// A thread that shows the newest picture.
pub(super) struct Worker {
    target: Target,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    /// It was reported that the thread ended.
    end_reported: bool,
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
    pub(super) fn start(target: &Target, mut place: Box<dyn Place>) -> Result<Self, ScreenError> {
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
            target: target.clone(),
            desk,
            thread: Some(thread),
            end_reported: false,
        })
    }

    /// Leaves the picture for the thread; what changed about the screen since the last call.
    pub(super) fn show(&mut self, frame: &Arc<Frame>, sight: &Sight) -> Option<Report> {
        let mut papers = self.desk.papers();
        papers.next = Some((frame.clone(), sight.clone()));
        self.desk.changed.notify_one();
        papers.report.take().or_else(|| {
            // As long as the desk is open, only a panic ends the thread.
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let newly = ended && !std::mem::replace(&mut self.end_reported, ended);
            newly.then(|| {
                Report::Failed(ScreenError::Unfit {
                    screen: self.target.to_string(),
                    reason: "its thread ended by a fault of this program; it shows nothing until the program \
                             starts again"
                        .to_owned(),
                })
            })
        })
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
