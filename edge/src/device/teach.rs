//! Learning from what is shown: of the next good frames the best is taken. Knows looks and how good they are, and
//! the request that waits for the end: nothing of galleries or files.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::device::command::Request;
use crate::device::eye::{Snapshot, Trouble};

/// How classes are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The best of this number of good frames is taken, 1 to 100...
    pub good_frames: usize,
    /// ... or of those that came in this time, 1 to 60,000.
    pub within_ms: u64,
    /// How long a class that looks like another one waits for its confirmation, 1 to 600.
    pub confirm_secs: u64,
    /// How long what was learned is shown, up to 60,000.
    pub show_ms: u64,
}

impl Rules {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let within = |name, value: u64, limits: std::ops::RangeInclusive<u64>| {
            if limits.contains(&value) {
                return Ok(());
            }
            let (least, most) = limits.into_inner();
            Err(format!("{name} must be {least} to {most}, not {value}"))
        };
        within("good_frames", self.good_frames as u64, 1..=100)?;
        within("within_ms", self.within_ms, 1..=60_000)?;
        within("confirm_secs", self.confirm_secs, 1..=600)?;
        within("show_ms", self.show_ms, 0..=60_000)
    }
}

/// What a lesson is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The thing is of the class.
    Enroll {
        /// The class.
        name: String,
        /// Also where it looks like another class.
        even_if_alike: bool,
    },
    /// The thing is not of the class.
    Not {
        /// The class.
        name: String,
    },
}

impl Aim {
    /// The class.
    pub fn name(&self) -> &str {
        match self {
            Aim::Enroll { name, .. } | Aim::Not { name } => name,
        }
    }
}

/// A lesson: from the command to the frame that is taken.
#[derive(Debug)]
pub struct Lesson {
    /// What it is for.
    pub aim: Aim,
    /// Who waits for it.
    pub request: Request,
    /// When the command came.
    pub started: Instant,
    /// Frames that were looked at.
    pub frames: usize,
    good: Vec<Snapshot>,
    trouble: Trouble,
}

impl Lesson {
    /// Begins with the next frame.
    pub fn new(aim: Aim, request: Request, now: Instant) -> Self {
        Self {
            aim,
            request,
            started: now,
            frames: 0,
            good: Vec::new(),
            trouble: Trouble::NoFrame,
        }
    }

    /// Takes the next frame, or why it cannot be taken.
    pub fn see(&mut self, look: Result<Snapshot, Trouble>) {
        self.frames += 1;
        match look {
            Ok(look) => self.good.push(look),
            Err(trouble) => self.trouble = trouble,
        }
    }

    /// Whether no more frames are waited for.
    pub fn is_over(&self, rules: &Rules, now: Instant) -> bool {
        self.good.len() >= rules.good_frames
            || now.duration_since(self.started) >= Duration::from_millis(rules.within_ms)
    }

    /// The sharpest of the good frames that show what most of them show; `alike` tells whether two
    /// embeddings are of one thing. Otherwise what was wrong with the last frame.
    ///
    /// # Errors
    /// The trouble, where no frame was good.
    pub fn best(&mut self, alike: impl Fn(&[f32], &[f32]) -> bool) -> Result<Snapshot, Trouble> {
        let good = std::mem::take(&mut self.good);
        let agreeing: Vec<usize> = good
            .iter()
            .map(|look| {
                let others = good.iter();
                let agree = |other: &&Snapshot| alike(&look.embedding, &other.embedding);
                others.filter(agree).count()
            })
            .collect();
        let most = agreeing.iter().copied().max().unwrap_or_default();
        let with_most = good.into_iter().zip(agreeing);
        with_most
            .filter(|(_, agreeing)| *agreeing == most)
            .map(|(look, _)| look)
            .min_by(|a, b| blur(a).total_cmp(&blur(b)))
            .ok_or(self.trouble)
    }
}

/// A look that was not measured is as blurred as can be.
fn blur(look: &Snapshot) -> f32 {
    look.quality
        .map_or(f32::INFINITY, |quality| quality.blur_px)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::command::Command;
    use crate::vision::quality::{Flaw, Quality};

    const RULES: Rules = Rules {
        good_frames: 3,
        within_ms: 500,
        confirm_secs: 5,
        show_ms: 0,
    };

    fn look(number: u64, x: f32, blur_px: f32) -> Snapshot {
        let quality = Quality {
            blur_px,
            contrast: 100.0,
            clipped: 0.0,
            scale: 1.0,
            is_cut_off: false,
        };
        Snapshot::of_nothing(number, vec![x], quality)
    }

    fn lesson(now: Instant) -> Lesson {
        let aim = Aim::Not {
            name: "a".to_owned(),
        };
        Lesson::new(aim, Request::unanswered(Command::Undo), now)
    }

    fn near(x: &[f32], y: &[f32]) -> bool {
        (x[0] - y[0]).abs() < 1.0
    }

    #[test]
    fn the_sharpest_frame_is_taken_of_those_that_show_what_most_do() {
        let now = Instant::now();
        let mut lesson = lesson(now);
        for look in [look(1, 0.0, 2.0), look(2, 9.0, 0.5), look(3, 0.1, 1.0)] {
            assert!(!lesson.is_over(&RULES, now));
            lesson.see(Ok(look));
        }
        assert!(lesson.is_over(&RULES, now));
        assert_eq!(lesson.best(near).unwrap().number, 3);
    }

    #[test]
    fn bad_frames_are_waited_out_and_one_good_one_is_enough_at_the_end() {
        let now = Instant::now();
        let mut lesson = lesson(now);
        for _ in 0..50 {
            lesson.see(Err(Trouble::Flawed(Flaw::Blurred)));
        }
        assert!(!lesson.is_over(&RULES, now + Duration::from_millis(499)));
        lesson.see(Ok(look(7, 0.0, 2.0)));
        assert!(lesson.is_over(&RULES, now + Duration::from_millis(500)));
        assert_eq!((lesson.best(near).unwrap().number, lesson.frames), (7, 51));
    }

    #[test]
    fn without_a_good_frame_the_last_trouble_is_told() {
        let mut lesson = lesson(Instant::now());
        assert_eq!(lesson.best(near).unwrap_err(), Trouble::NoFrame);
        lesson.see(Err(Trouble::NothingShown));
        lesson.see(Err(Trouble::Flawed(Flaw::TooSmall)));
        let trouble = lesson.best(near).unwrap_err();
        assert_eq!(trouble.reason(), "too_small");
        assert_eq!(trouble.to_string(), "too small: come closer");
    }
}
