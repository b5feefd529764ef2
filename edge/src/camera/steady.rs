//! Judges what comes of a source: which sizes to believe, and whether it is live, frozen, black or
//! stalled. Pure: time is told to it.

use std::sync::Arc;
use std::time::Instant;

use super::capture::Sizes;
use super::{CameraState, Patience, Shot};
use crate::picture::frame::Frame;

/// A level that noise and a badly set black reach in the dark, of 255.
const DARK: u8 = 32;
/// One sample in so many may be brighter, and it is dark all the same.
const BRIGHT_ONE_IN: usize = 1000;
/// So many pictures in a row make a size the stream's at its beginning.
const BEGUN: usize = 2;
/// So many make another size the stream's: damage may well hit the same bits twice.
const CHANGED: usize = 3;
/// So many samples are looked at.
const SAMPLES: usize = 10_000;

/// What there is to show after a frame.
#[derive(Default)]
pub(super) struct Verdict {
    /// Those before it, the older first, that were held until its size was confirmed.
    pub held: Vec<Shot>,
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
    held: Vec<Shot>,
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
            held: Vec::new(),
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
    /// were held.
    pub(super) fn opened(&mut self, what: String, sizes: Sizes, now: Instant) -> u64 {
        self.sizes = sizes;
        self.believed = match sizes {
            Sizes::Announced(width, height) => Some((width, height)),
            Sizes::Steady | Sizes::Any => None,
        };
        self.forget(now);
        self.state = CameraState::Opened { what };
        std::mem::take(&mut self.held).len() as u64
    }

    /// The source is gone. Returns how many frames were held.
    pub(super) fn lost(&mut self, state: CameraState, now: Instant) -> u64 {
        self.forget(now);
        self.state = state;
        std::mem::take(&mut self.held).len() as u64
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
            verdict.refused = self.refuse_held();
        } else if matches!(self.sizes, Sizes::Announced(..)) {
            verdict.refused.push(self.unlike(size));
            return verdict;
        } else {
            if self.held.first().is_some_and(|held| size_of(held) != size) {
                verdict.refused = self.refuse_held();
            }
            let confirmed = if self.believed.is_some() {
                CHANGED
            } else {
                BEGUN
            };
            if self.held.len() + 1 < confirmed {
                self.held.push(shot);
                return verdict;
            }
            self.believed = Some(size);
            verdict.held = std::mem::take(&mut self.held);
        }
        verdict.state = self.good(&shot.frame, size, now);
        verdict.show = Some(shot);
        verdict
    }

    /// The stream is at its end: a single frame has nothing to be unlike.
    pub(super) fn ended(&mut self, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        if self.believed.is_some() {
            verdict.refused = self.refuse_held();
        } else if let Some(held) = self.held.pop() {
            verdict.state = self.good(&held.frame, size_of(&held), now);
            verdict.show = Some(held);
        }
        verdict
    }

    fn refuse_held(&mut self) -> Vec<String> {
        let held = std::mem::take(&mut self.held);
        held.iter().map(|held| self.unlike(size_of(held))).collect()
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

    /// What came was no good: what was held has none like it right after it. Returns how many.
    pub(super) fn damaged(&mut self, why: String) -> u64 {
        self.trouble = Some(why);
        std::mem::take(&mut self.held).len() as u64
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

fn size_of(shot: &Shot) -> (usize, usize) {
    (shot.frame.width(), shot.frame.height())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Told {
        judge: Judge,
        start: Instant,
    }

    impl Told {
        fn of(sizes: Sizes) -> Self {
            let start = Instant::now();
            let mut judge = Judge::new(&Patience::default(), true, start);
            judge.opened("a camera".to_owned(), sizes, start);
            Self { judge, start }
        }

        fn at(&self, seconds: f64) -> Instant {
            self.start + Duration::from_secs_f64(seconds)
        }

        fn whole(&mut self, seconds: f64, frame: Frame) -> Verdict {
            let now = self.at(seconds);
            let shot = Shot {
                frame: Arc::new(frame),
                sequence: 0,
                taken: now,
                decoding: Duration::ZERO,
            };
            self.judge.whole(shot, now)
        }
    }

    fn count(verdict: &Verdict) -> usize {
        verdict.held.len() + usize::from(verdict.show.is_some())
    }

    /// Bright, of an edge that tells it from others.
    fn picture(width: usize, height: usize, edge: usize) -> Frame {
        Frame::from_fn(width, height, |x, _| if x < edge { 90 } else { 200 })
    }

    fn live(width: usize, height: usize) -> Option<CameraState> {
        Some(CameraState::Live { width, height })
    }

    #[test]
    fn a_size_is_believed_at_the_second_picture_and_another_at_its_third() {
        let mut told = Told::of(Sizes::Steady);
        assert!(told.whole(0.0, picture(8, 6, 1)).show.is_none());
        let second = told.whole(0.1, picture(8, 6, 2));
        assert_eq!((count(&second), second.state), (2, live(8, 6)));
        for number in 1..3 {
            let other = told.whole(0.2, picture(8, 5, number));
            assert!(other.show.is_none() && other.refused.is_empty());
        }
        let back = told.whole(0.3, picture(8, 6, 4));
        assert_eq!(count(&back), 1);
        assert_eq!(back.refused, ["a picture of 8x5 in a stream of 8x6"; 2]);
        told.whole(0.4, picture(4, 4, 1));
        told.whole(0.5, picture(4, 5, 1));
        assert!(told.whole(0.6, picture(4, 5, 2)).show.is_none());
        let changed = told.whole(0.7, picture(4, 5, 3));
        assert_eq!((count(&changed), changed.state), (3, live(4, 5)));
    }

    #[test]
    fn an_announced_size_stands_and_a_single_picture_at_the_end_is_shown() {
        let mut told = Told::of(Sizes::Announced(8, 6));
        assert_eq!(told.whole(0.0, picture(8, 6, 1)).state, live(8, 6));
        for time in [0.1, 0.2, 0.3] {
            let other = told.whole(time, picture(4, 4, 1));
            assert!(other.show.is_none() && other.refused.len() == 1);
        }
        let mut single = Told::of(Sizes::Steady);
        assert!(single.whole(0.0, picture(8, 6, 1)).show.is_none());
        let now = single.at(0.1);
        assert_eq!(count(&single.judge.ended(now)), 1);
    }

    #[test]
    fn the_same_picture_for_three_seconds_is_frozen_until_another_comes() {
        let mut told = Told::of(Sizes::Announced(8, 6));
        told.whole(0.0, picture(8, 6, 1));
        assert_eq!(told.whole(0.1, picture(8, 6, 1)).state, None);
        assert_eq!(told.whole(3.0, picture(8, 6, 1)).state, None);
        let frozen = told.whole(3.1, picture(8, 6, 1));
        assert_eq!(
            (frozen.state.clone(), count(&frozen)),
            (Some(CameraState::Frozen), 1)
        );
        assert_eq!(told.whole(3.2, picture(8, 6, 1)).state, None);
        assert_eq!(told.whole(3.3, picture(8, 6, 2)).state, live(8, 6));
    }

    #[test]
    fn two_seconds_of_darkness_are_black_and_say_more_than_frozen() {
        let mut told = Told::of(Sizes::Announced(40, 50));
        // One sample in a thousand is bright: two of 2,000.
        let dark = |bright: usize| {
            Frame::from_fn(
                40,
                50,
                move |x, y| if y * 40 + x < bright { 255 } else { 32 },
            )
        };
        told.whole(0.0, dark(2));
        assert_eq!(told.whole(1.9, dark(2)).state, None);
        assert_eq!(told.whole(2.0, dark(2)).state, Some(CameraState::Black));
        assert_eq!(told.whole(9.0, dark(2)).state, None);
        assert_eq!(told.whole(9.1, dark(3)).state, live(40, 50));
    }

    #[test]
    fn silence_is_a_stall_with_what_came_instead() {
        let mut told = Told::of(Sizes::Announced(8, 6));
        assert_eq!(told.judge.idle(told.at(9.9)), None);
        told.whole(0.0, picture(8, 6, 1));
        assert_eq!(told.judge.idle(told.at(1.9)), None);
        let why = "no picture for 2.0 s".to_owned();
        assert_eq!(
            told.judge.idle(told.at(2.0)),
            Some(CameraState::Stalled { why })
        );
        assert_eq!(told.judge.idle(told.at(3.0)), None);
        assert_eq!(told.whole(3.5, picture(8, 6, 2)).state, live(8, 6));
        told.judge.damaged("it is cut off".to_owned());
        let why = "no whole picture for 2.5 s: it is cut off".to_owned();
        assert_eq!(
            told.judge.idle(told.at(6.0)),
            Some(CameraState::Stalled { why })
        );
        assert!(!told.judge.is_hopeless(told.at(7.4)));
        assert!(told.judge.is_hopeless(told.at(7.5)));
    }
}
