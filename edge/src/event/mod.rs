//! What the running loop reports: one JSON object a line on standard output. Fields are only ever added.
//! Knows words and numbers: nothing of frames, models or sockets.
//!
//! Every event has `event` (its kind) and `t_s` (seconds since the start, by a clock that is never set).
//! Those of a frame have `frame` (how many frames were looked at before it).
//!
//! | event | when | fields |
//! |---|---|---|
//! | `decision` | what is shown changed | `shown`: `match`, `unknown`, `nothing`; `name`; `p` and `runner_up` of the frame that decided, 0 to 1 (an `unknown` with `p` from `threshold` on is as near to another class, or known not to be the nearest); `threshold`; `box`: [x, y, width, height] in pixels of the frame; `frames` from the first that showed it to this one |
//! | `enrolled` | a class was learned | `name`, `templates` of it now, `box`, `quality` (see below), `frames` that it was taken from, `after_s` the command |
//! | `refused` | it was not | `name`, `reason` (see below), `words` for people; for `look_alike` also `like` and `p` |
//! | `changed` | a class was changed otherwise | `change`: `not`, `forgotten`, `renamed`, `undone`, with `name`, and `to` where it was renamed; `reloaded`: another program changed the gallery |
//! | `camera` | the camera's state changed | `state`: `opening`, `opened`, `live`, `frozen`, `black`, `stalled`, `lost`, `ended`; `words` for people |
//! | `warning` | something failed that does not stop the program | `about`: `systemd`, `screen`, `button`, `gallery`, `threshold`, `camera`; `words` for people |
//! | `health` | every `health.every_secs` | `uptime_s`, `fps`, `frames`, `stages_ms` (medians of the last frames: `decode`, `locate`, `judge`, `patch`, `embed`, `match`, `draw`), `resident_bytes`, `classes`, `templates`, `camera` (`captured`, `shown`, `damaged`, `dropped`, `reopened`), `flawed` (frames not decided by), `events_lost` |
//!
//! `quality`: `blur_px`, `contrast`, `clipped`, `scale`, `is_cut_off` ([`crate::vision::quality::Quality`]).
//! `reason` of what was not enrolled: `nothing_shown`, `cut_off`, `too_small`, `too_faint`, `clipped`,
//! `blurred`, `look_alike`, `fpir` (the gallery would be too large for the target), `no_frame`, `store`. Answers on the control socket have these, and
//! `bad_command`, `bad_name`, `no_such_class`, `class_exists`, `nothing_to_undo`, `nothing_to_confirm`,
//! `in_progress`, `busy`, `ended`, `no_answer`.

mod lines;
#[cfg(feature = "device")]
pub(crate) mod systemd;

use std::fs;

use serde::Serialize;

pub use lines::{Events, Reporter};

use crate::picture::bounds::Bounds;
use crate::vision::quality::Quality;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs)] // the table above tells every field
pub enum Event {
    Decision {
        frame: u64,
        shown: &'static str,
        name: Option<String>,
        p: Option<f32>,
        runner_up: Option<f32>,
        threshold: f32,
        #[serde(rename = "box")]
        bounds: Option<[f32; 4]>,
        frames: usize,
    },
    Enrolled {
        frame: u64,
        name: String,
        templates: usize,
        #[serde(rename = "box")]
        bounds: Option<[f32; 4]>,
        quality: Option<Quality>,
        frames: usize,
        after_s: f64,
    },
    Refused {
        name: String,
        reason: &'static str,
        words: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        like: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        p: Option<f32>,
    },
    Changed {
        change: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    Camera {
        state: &'static str,
        words: String,
    },
    Warning {
        about: &'static str,
        words: String,
    },
    Health(Health),
}

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)] // the table above tells every field
pub struct Health {
    pub uptime_s: f64,
    pub fps: f64,
    pub frames: u64,
    pub stages_ms: Stages,
    pub resident_bytes: u64,
    pub classes: usize,
    pub templates: usize,
    pub camera: CameraCounts,
    pub flawed: u64,
    pub events_lost: u64,
}

/// How long the steps of a frame took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stages {
    /// Bytes to pixels.
    pub decode: f64,
    /// Where the mark is.
    pub locate: f64,
    /// Whether the look is good enough.
    pub judge: f64,
    /// Pixels to network input.
    pub patch: f64,
    /// The network.
    pub embed: f64,
    /// The nearest classes.
    #[serde(rename = "match")]
    pub matching: f64,
    /// The overlay, and the screens.
    pub draw: f64,
}

impl Stages {
    /// Their names, in the order of [`Stages::values`].
    pub const NAMES: [&str; 7] = [
        "decode", "locate", "judge", "patch", "embed", "match", "draw",
    ];

    /// In order.
    pub fn values(&self) -> [f64; 7] {
        [
            self.decode,
            self.locate,
            self.judge,
            self.patch,
            self.embed,
            self.matching,
            self.draw,
        ]
    }

    /// From the frame to the embedding, in milliseconds.
    pub fn look(&self) -> f64 {
        self.locate + self.judge + self.patch + self.embed
    }

    /// The median of each step; zeros of none.
    pub fn medians<'a>(frames: impl IntoIterator<Item = &'a Stages>) -> Stages {
        let frames: Vec<[f64; 7]> = frames.into_iter().map(Stages::values).collect();
        let median = |step: usize| {
            let mut column: Vec<f64> = frames.iter().map(|row| row[step]).collect();
            column.sort_by(f64::total_cmp);
            column.get(column.len() / 2).copied().unwrap_or_default()
        };
        Stages {
            decode: median(0),
            locate: median(1),
            judge: median(2),
            patch: median(3),
            embed: median(4),
            matching: median(5),
            draw: median(6),
        }
    }
}

/// What became of the camera's pictures: see [`crate::camera::Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct CameraCounts {
    pub captured: u64,
    pub shown: u64,
    pub damaged: u64,
    pub dropped: u64,
    pub reopened: u64,
}

/// A box as events have it.
pub fn numbers(bounds: Bounds) -> [f32; 4] {
    [bounds.x, bounds.y, bounds.width, bounds.height]
}

/// Memory of this process that lies in the machine's, in bytes; none where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_each_step_is_its_own() {
        let of = |embed, draw| Stages {
            embed,
            draw,
            ..Stages::default()
        };
        let medians = Stages::medians(&[of(1.0, 9.0), of(5.0, 2.0), of(2.0, 3.0)]);
        assert_eq!((medians.embed, medians.draw), (2.0, 3.0));
        assert_eq!(Stages::medians([]), Stages::default());
    }
}
