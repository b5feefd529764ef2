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
//! | `health` | every `health.every_secs` | `uptime_s`, `fps`, `frames`, `stages_ms` (medians of the last frames: `decode`, `locate`, `judge`, `patch`, `embed`, `match`, `draw`), `resident_bytes`, `classes`, `templates`, `camera` (`captured`, `shown`, `damaged`, `dropped`, `reopened`), `flawed` (frames not decided by), `events_lost` |
//!
//! `quality`: `blur_px`, `contrast`, `clipped`, `scale`, `is_cut_off` ([`crate::vision::quality::Quality`]).
//! `reason` of what was not enrolled: `nothing_shown`, `cut_off`, `too_small`, `too_faint`, `clipped`,
//! `blurred`, `look_alike`, `no_frame`, `store`. Answers on the control socket have these, and
//! `bad_command`, `bad_name`, `no_such_class`, `class_exists`, `nothing_to_undo`, `nothing_to_confirm`,
//! `in_progress`, `busy`, `ended`, `no_answer`.

#[cfg(feature = "device")]
pub mod systemd;

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::vision::locate::Bounds;
use crate::vision::quality::Quality;

/// So many events wait for a reader who is slow; later ones are lost, and counted.
const WAITING: usize = 1024;

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
        quality: Quality,
        frames: usize,
        after_s: f64,
    },
    Refused {
        name: String,
        reason: String,
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

/// Writes events on a thread of its own: a reader that does not read stalls no frame.
#[derive(Debug)]
pub struct Events {
    started: Instant,
    lines: Option<SyncSender<String>>,
    lost: u64,
    written: Receiver<io::Result<()>>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event,
    t_s: f64,
}

impl Events {
    /// Events go to `out`.
    pub fn to(mut out: impl Write + Send + 'static) -> Self {
        let (lines, to_write) = sync_channel::<String>(WAITING);
        let (done, written) = sync_channel(1);
        thread::spawn(move || {
            // One write a line: nobody reads half of one.
            let write = |line: String| out.write_all(line.as_bytes()).and_then(|()| out.flush());
            // Who asks gets the first error, or that all was written.
            let _ = done.send(to_write.into_iter().try_for_each(write));
        });
        Self {
            started: Instant::now(),
            lines: Some(lines),
            lost: 0,
            written,
        }
    }

    /// Seconds since the start.
    pub fn now_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// How many were lost because nobody read.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Reports something.
    ///
    /// # Errors
    /// What the system said of an earlier one: the reader went away, or the disk is full.
    pub fn report(&mut self, event: &Event) -> io::Result<()> {
        let t_s = (1e3 * self.now_s()).round() / 1e3;
        let mut line = serde_json::to_string(&Line { event, t_s })?;
        line.push('\n');
        let Some(lines) = &self.lines else {
            return Ok(());
        };
        match lines.try_send(line) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.lost += 1;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => self.written.recv().unwrap_or(Ok(())),
        }
    }

    /// Waits until all is written, at most so long; whether it is.
    pub fn flush(mut self, patience: Duration) -> bool {
        self.lines = None;
        matches!(self.written.recv_timeout(patience), Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was written, a write at a time; waits before each while it is held.
    #[derive(Clone, Default)]
    struct Reader {
        writes: Arc<Mutex<Vec<String>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.writes.lock().unwrap().push(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn camera(words: &str) -> Event {
        Event::Camera {
            state: "live",
            words: words.to_owned(),
        }
    }

    #[test]
    fn an_event_is_a_line_with_its_kind_its_fields_and_the_time() {
        let reader = Reader::default();
        let mut events = Events::to(reader.clone());
        events.report(&camera("a\nb")).unwrap();
        events
            .report(&Event::Decision {
                frame: 7,
                shown: "match",
                name: Some("cup".to_owned()),
                p: Some(0.95),
                runner_up: None,
                threshold: 0.9,
                bounds: Some([1.0, 2.0, 3.5, 4.0]),
                frames: 3,
            })
            .unwrap();
        events.report(&Event::Health(Health::default())).unwrap();
        assert!(events.flush(Duration::from_secs(10)));
        let written = reader.writes.lock().unwrap().clone();
        assert!(
            written[0].starts_with(r#"{"event":"camera","state":"live","words":"a\nb","t_s":"#)
        );
        let expected = concat!(
            r#"{"event":"decision","frame":7,"shown":"match","name":"cup","p":0.95,"runner_up":null,"#,
            r#""threshold":0.9,"box":[1.0,2.0,3.5,4.0],"frames":3,"t_s":"#
        );
        assert!(written[1].starts_with(expected), "{}", written[1]);
        assert!(written[2].contains(r#""match":0.0"#) && written[2].contains(r#""camera":{"#));
        assert!(written.iter().all(|line| line.ends_with("}\n")));
    }

    #[test]
    fn a_reader_who_does_not_read_loses_events_and_stalls_nobody() {
        let reader = Reader::default();
        let held = reader.writes.lock().unwrap();
        let mut events = Events::to(reader.clone());
        for number in 0..3 * WAITING {
            events.report(&camera(&number.to_string())).unwrap();
        }
        let lost = events.lost() as usize;
        // What waits, and the one that is being written.
        assert!((2 * WAITING - 1..=2 * WAITING).contains(&lost), "{lost}");
        drop(held);
        assert!(events.flush(Duration::from_secs(10)));
        assert_eq!(reader.writes.lock().unwrap().len(), 3 * WAITING - lost);
    }

    #[test]
    fn a_reader_who_went_away_is_an_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut events = Events::to(Gone);
        let error = (0..1_000_000).find_map(|_| {
            thread::yield_now();
            events.report(&camera("")).err()
        });
        assert_eq!(error.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

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
