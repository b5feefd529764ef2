//! Judges what comes of a source: which sizes to believe, and whether it is live, frozen, black or
//! stalled. Pure: time is told to it.

use std::sync::Arc;
use std::time::Instant;

use super::capture::Sizes;
use super::{CameraState, Patience, Shot};
use crate::picture::frame::{Frame, luma_thousandths};

/// A level that noise and a badly set black reach in the dark, of 255.
const DARK: u8 = 32;
/// A dark picture has at most one brighter sample among this many.
const BRIGHT_ONE_IN: usize = 1000;
/// Pictures in a row that make a size the stream's at its beginning.
const TO_BEGIN: usize = 2;
/// Pictures in a row that make another size the stream's: damage may well hit the same bits twice.
const TO_CHANGE: usize = 3;
/// How many samples are looked at.
const SAMPLES: usize = 10_000;

/// What there is to show after a frame.
#[derive(Default)]
pub(super) struct Verdict {
    /// The frames before it, the older first, that waited until its size was confirmed.
    pub confirmed: Vec<Shot>,
    pub show: Option<Shot>,
    /// Why frames are not shown: of a size that nothing confirmed.
    pub refused: Vec<String>,
    pub state: Option<CameraState>,
}

/// What is known of a source.
pub(super) struct Judge {
    patience: Patience,
    /// Still or black pictures are what files are of.
    live: bool,
    sizes: Sizes,
    believed: Option<(usize, usize)>,
    /// Of another size than is believed, all of the same.
    waiting: Vec<Shot>,
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
            waiting: Vec::new(),
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

    /// The source was opened: what was known of the one before is void. Returns how many frames
    /// waited.
    pub(super) fn opened(&mut self, what: String, sizes: Sizes, now: Instant) -> u64 {
        self.sizes = sizes;
        self.believed = match sizes {
            Sizes::Announced(width, height) => Some((width, height)),
            Sizes::Steady | Sizes::Any => None,
        };
        self.forget(now);
        self.state = CameraState::Opened { what };
        std::mem::take(&mut self.waiting).len() as u64
    }

    /// The source is gone. Returns how many frames waited.
    pub(super) fn lost(&mut self, state: CameraState, now: Instant) -> u64 {
        self.forget(now);
        self.state = state;
        std::mem::take(&mut self.waiting).len() as u64
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
        let size = size_of(&shot);
        let mut verdict = Verdict::default();
        if self.sizes == Sizes::Any || self.believed == Some(size) {
            verdict.refused = self.refuse_waiting();
        } else if matches!(self.sizes, Sizes::Announced(..)) {
            verdict.refused.push(self.unlike(size));
            return verdict;
        } else {
            if self
                .waiting
                .first()
                .is_some_and(|shot| size_of(shot) != size)
            {
                verdict.refused = self.refuse_waiting();
            }
            let confirmed = if self.believed.is_some() {
                TO_CHANGE
            } else {
                TO_BEGIN
            };
            if self.waiting.len() + 1 < confirmed {
                self.waiting.push(shot);
                return verdict;
            }
            self.believed = Some(size);
            verdict.confirmed = std::mem::take(&mut self.waiting);
        }
        verdict.state = self.good(&shot.frame, size, now);
        verdict.show = Some(shot);
        verdict
    }

    /// The stream is at its end: a single frame has nothing to be unlike.
    pub(super) fn ended(&mut self, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        if self.believed.is_some() {
            verdict.refused = self.refuse_waiting();
        } else if let Some(shot) = self.waiting.pop() {
            verdict.state = self.good(&shot.frame, size_of(&shot), now);
            verdict.show = Some(shot);
        }
        verdict
    }

    fn refuse_waiting(&mut self) -> Vec<String> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting
            .iter()
            .map(|shot| self.unlike(size_of(shot)))
            .collect()
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

    /// What came was no good: the frames that wait have none like them right after them. Returns how many.
    pub(super) fn damaged(&mut self, why: String) -> u64 {
        self.trouble = Some(why);
        std::mem::take(&mut self.waiting).len() as u64
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

    /// Pictures come, and none was good for a while: opening the source again may help.
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

fn size_of(shot: &Shot) -> (usize, usize) {
    (shot.frame.width(), shot.frame.height())
}

/// Whether hardly a sample is bright.
fn is_dark(frame: &Frame) -> bool {
    let channels = frame.channels();
    let pixels = frame.width() * frame.height();
    let step = (pixels / SAMPLES).max(1);
    let is_bright = |pixel: &[u8]| match *pixel {
        // A level between DARK and the next one is dark.
        [r, g, b] => luma_thousandths([r, g, b]) >= 1000 * (u32::from(DARK) + 1),
        _ => pixel.first().is_some_and(|&level| level > DARK),
    };
    let (mut samples, mut bright) = (0, 0);
    for pixel in frame.pixels().chunks_exact(channels).step_by(step) {
        samples += 1;
        bright += usize::from(is_bright(pixel));
    }
    bright * BRIGHT_ONE_IN <= samples
}

#[cfg(test)]
mod tests;
