//! Judges what comes of a source: which sizes to believe, and whether it is live, frozen, black or
//! stalled. Pure: time is told to it.

use std::sync::Arc;
use std::time::Instant;

use super::capture::Sizes;
use super::{CameraState, Patience, Shot};
use crate::frame::Frame;

/// A level that noise and a badly set black reach in the dark, of 255.
const DARK: u8 = 32;
/// One sample in so many may be brighter, and it is dark all the same.
const BRIGHT_ONE_IN: usize = 1000;
/// So many samples are looked at.
const SAMPLES: usize = 10_000;

/// What there is to show after a frame.
#[derive(Default)]
pub(super) struct Verdict {
    /// The older first; the one before this was held until its size was confirmed.
    pub show: Vec<Shot>,
    /// A frame that was held for its size, which nobody confirmed.
    pub refused: Option<String>,
    pub state: Option<CameraState>,
}

/// What is known of a source.
pub(super) struct Judge {
    patience: Patience,
    /// Still or black pictures are what files are of.
    live: bool,
    sizes: Sizes,
    believed: Option<(usize, usize)>,
    held: Option<Shot>,
    last: Option<Arc<Frame>>,
    same_since: Option<Instant>,
    black_since: Option<Instant>,
    good_at: Instant,
    /// What was wrong with what came since the last good frame.
    trouble: Option<String>,
    state: CameraState,
}

impl Judge {
    pub(super) fn new(patience: &Patience, live: bool, now: Instant) -> Self {
        Self {
            patience: patience.clone(),
            live,
            sizes: Sizes::Steady,
            believed: None,
            held: None,
            last: None,
            same_since: None,
            black_since: None,
            good_at: now,
            trouble: None,
            state: CameraState::Opening,
        }
    }

    pub(super) fn state(&self) -> &CameraState {
        &self.state
    }

    /// The source was opened: what was known of the one before is void. What was held is given back.
    pub(super) fn opened(&mut self, what: String, sizes: Sizes, now: Instant) -> Option<Shot> {
        self.sizes = sizes;
        self.believed = match sizes {
            Sizes::Announced(width, height) => Some((width, height)),
            Sizes::Steady | Sizes::Any => None,
        };
        self.forget(now);
        self.state = CameraState::Opened { what };
        self.held.take()
    }

    /// The source is gone. What was held is given back.
    pub(super) fn lost(&mut self, state: CameraState, now: Instant) -> Option<Shot> {
        self.forget(now);
        self.state = state;
        self.held.take()
    }

    fn forget(&mut self, now: Instant) {
        self.last = None;
        self.same_since = None;
        self.black_since = None;
        self.good_at = now;
        self.trouble = None;
    }

    /// A whole frame came.
    pub(super) fn whole(&mut self, shot: Shot, now: Instant) -> Verdict {
        let size = (shot.frame.width(), shot.frame.height());
        let mut verdict = Verdict::default();
        let held = self.held.take();
        let held_size = held
            .as_ref()
            .map(|held| (held.frame.width(), held.frame.height()));
        if self.sizes == Sizes::Any || self.believed == Some(size) {
            verdict.refused = held_size.map(|held| self.unlike(held));
        } else if held_size == Some(size) {
            self.believed = Some(size);
            verdict.show.extend(held);
        } else if matches!(self.sizes, Sizes::Announced(..)) {
            verdict.refused = Some(self.unlike(size));
            return verdict;
        } else {
            // Neither is confirmed; the later one may be.
            verdict.refused = held_size.map(|held| self.unlike(held));
            self.held = Some(shot);
            return verdict;
        }
        verdict.state = self.good(&shot.frame, size, now);
        verdict.show.push(shot);
        verdict
    }

    /// The stream is at its end: a single frame has nothing to be unlike.
    pub(super) fn ended(&mut self, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        if let Some(held) = self.held.take() {
            let size = (held.frame.width(), held.frame.height());
            if self.believed.is_none() {
                verdict.state = self.good(&held.frame, size, now);
                verdict.show.push(held);
            } else {
                verdict.refused = Some(self.unlike(size));
            }
        }
        verdict
    }

    fn unlike(&self, (width, height): (usize, usize)) -> String {
        match self.believed {
            Some((w, h)) => format!("a picture of {width}x{height} in a stream of {w}x{h}"),
            None => format!("a picture of {width}x{height}, and none like it after it"),
        }
    }

    fn good(
        &mut self,
        frame: &Arc<Frame>,
        size: (usize, usize),
        now: Instant,
    ) -> Option<CameraState> {
        self.good_at = now;
        self.trouble = None;
        let mut state = CameraState::Live {
            width: size.0,
            height: size.1,
        };
        if self.live {
            let since = |was: Option<Instant>, still: bool| still.then(|| was.unwrap_or(now));
            let same = self.last.as_ref().is_some_and(|last| last == frame);
            self.same_since = since(self.same_since, same);
            self.black_since = since(self.black_since, is_dark(frame));
            self.last = Some(Arc::clone(frame));
            let longer =
                |since: Option<Instant>, limit| since.is_some_and(|since| now - since >= limit);
            // A dead sensor sends the same black: black says more.
            if longer(self.black_since, self.patience.black) {
                state = CameraState::Black;
            } else if longer(self.same_since, self.patience.frozen) {
                state = CameraState::Frozen;
            }
        }
        self.turn(state)
    }

    /// What came was no good.
    pub(super) fn damaged(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// How it is without a good frame until now.
    pub(super) fn idle(&mut self, now: Instant) -> Option<CameraState> {
        let limit = match self.state {
            CameraState::Live { .. } | CameraState::Frozen | CameraState::Black => {
                self.patience.stalled
            }
            CameraState::Opened { .. } => self.patience.first,
            CameraState::Opening | CameraState::Stalled { .. } | CameraState::Lost { .. } => {
                return None;
            }
        };
        let silent = now.saturating_duration_since(self.good_at);
        if !self.live || silent < limit {
            return None;
        }
        let seconds = silent.as_secs_f64();
        let why = match &self.trouble {
            Some(trouble) => format!("no whole picture for {seconds:.1} s: {trouble}"),
            None => format!("no picture for {seconds:.1} s"),
        };
        self.turn(CameraState::Stalled { why })
    }

    /// Pictures come, and none was good for so long that opening the source again may help.
    pub(super) fn is_hopeless(&self, now: Instant) -> bool {
        self.trouble.is_some() && now.saturating_duration_since(self.good_at) >= self.patience.lost
    }

    /// It was opened again for being hopeless: not so soon once more.
    pub(super) fn hope(&mut self, now: Instant) {
        self.good_at = now;
    }

    fn turn(&mut self, state: CameraState) -> Option<CameraState> {
        if self.state == state {
            return None;
        }
        self.state = state.clone();
        Some(state)
    }
}

/// Whether hardly a sample is bright.
fn is_dark(frame: &Frame) -> bool {
    let channels = frame.channels();
    let pixels = frame.width() * frame.height();
    let step = (pixels / SAMPLES).max(1);
    let luma = |pixel: &[u8]| match *pixel {
        [r, g, b] => (u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000,
        _ => pixel.first().map_or(0, |&level| u32::from(level)),
    };
    let (mut seen, mut bright) = (0, 0);
    for pixel in frame.pixels().chunks_exact(channels).step_by(step) {
        seen += 1;
        bright += usize::from(luma(pixel) > u32::from(DARK));
    }
    bright * BRIGHT_ONE_IN <= seen
}
