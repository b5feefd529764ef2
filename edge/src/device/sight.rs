//! What is to be shown over a picture, in words and numbers. Knows nothing of pixels, fonts or screens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::live::{Finding, Live};
use crate::device::steady::Shown;
use crate::gallery::decide::Decision;
use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;

/// What is shown over a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Where the mark is, in pixels of the picture.
    pub bounds: Option<Bounds>,
    /// What is said of it.
    pub label: String,
    /// In which colour.
    pub tone: Tone,
    /// p of the nearest class and the threshold, each 0 to 1.
    pub p: Option<(f32, f32)>,
    /// How things stand with the camera, or with what is being learned; empty where nothing is to be said.
    pub state: String,
    /// Frames decided in a second.
    pub fps: Option<f32>,
}

/// The colour of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Recognised: green.
    Match,
    /// Unknown: amber.
    Unknown,
    /// Just enrolled: blue.
    Enrolled,
    /// Nothing to see: grey.
    Nothing,
}

impl Sight {
    /// Only words.
    pub fn saying(label: &str, tone: Tone) -> Self {
        Self {
            bounds: None,
            label: label.to_owned(),
            tone,
            p: None,
            state: String::new(),
            fps: None,
        }
    }
}

impl Live {
    /// What is drawn over the frame that was looked at last: p of what is shown, not of a frame that says something
    /// else.
    pub fn sight(&self, finding: &Finding) -> Sight {
        let threshold = self.device.threshold();
        let (p, _) = self.shown_p();
        // What is as near to another class, or known not to be the nearest, is unknown for another reason than p.
        let is_why = |p: &f32| *p < threshold || matches!(self.steady.shown(), Shown::Match(_));
        let p = p.filter(is_why);
        let (label, tone) = match (self.steady.shown(), finding.flaw) {
            (Shown::Match(name), _) => (name.to_string(), Tone::Match),
            (Shown::Unknown, _) => ("unknown".to_owned(), Tone::Unknown),
            (Shown::Nothing, Some(flaw)) => (flaw.to_string(), Tone::Nothing),
            (Shown::Nothing, None) => (String::new(), Tone::Nothing),
        };
        let guide = self.roi.map(|roi| roi.bounds());
        let state = match (&self.lesson, &self.unconfirmed) {
            (Some(lesson), _) => format!("{}: hold still", lesson.aim.name()),
            (None, Some(waiting)) => format!("like {}: again to keep", waiting.like),
            (None, None) => String::new(),
        };
        Sight {
            bounds: finding.bounds.or(guide),
            p: p.map(|p| (p, threshold)),
            state,
            ..Sight::saying(&label, tone)
        }
    }

    /// What was learned in the last moments, and how that is drawn: shown instead of what is seen.
    pub fn just_learned(&self, now: Instant) -> Option<(&Arc<Frame>, Sight)> {
        let show = Duration::from_millis(self.config.teach.show_ms);
        let lately = self.lately.as_ref()?;
        if now.duration_since(lately.at) >= show {
            return None;
        }
        let sight = Sight {
            bounds: lately.bounds,
            ..Sight::saying(&lately.words, Tone::Enrolled)
        };
        Some((&lately.frame, sight))
    }

    /// p and that of the next class, of the newest frame that voted for what is shown.
    pub(super) fn shown_p(&self) -> (Option<f32>, Option<f32>) {
        let is_shown = *self.steady.shown() != Shown::Nothing;
        match self.voted.as_ref().filter(|_| is_shown) {
            Some(Decision::Match { p, runner_up, .. }) => (Some(*p), *runner_up),
            Some(Decision::Unknown { best, runner_up }) => {
                (best.as_ref().map(|(_, p)| *p), *runner_up)
            }
            None => (None, None),
        }
    }
}
