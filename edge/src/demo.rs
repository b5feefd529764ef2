//! The demonstration: a clip that ships with the program, seen by the code that a camera will use.
//! Two classes are enrolled from one frame each and recognised later; a third one is unknown.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::camera::MotionJpeg;
use crate::decide::{Decision, identify};
use crate::frame::Frame;
use crate::gallery::Gallery;
use crate::model::Model;
use crate::overlay::{Canvas, Sight, Tone};
use crate::preprocess;
use crate::whole;

/// 320 x 240 motion JPEG, drawn by `onelook demo-clip`: every frame another hand's drawing.
pub const CLIP: &[u8] = include_bytes!("../demo/clip.mjpeg");
/// What the clip shows, in turn: (sign, frames).
pub const SHOWN: [(usize, usize); 8] = [
    (0, 1),
    (1, 1),
    (0, 4),
    (1, 4),
    (2, 4),
    (1, 3),
    (0, 3),
    (2, 2),
];
/// What the signs are enrolled as, when they are first seen; the last sign never is.
pub const NAMES: [&str; 2] = ["alpha", "beta"];

const STAGES: [&str; 6] = ["decode", "locate", "patch", "embed", "match", "draw"];

/// What came of a demonstration, frames counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Showed an enrolled class.
    pub known: usize,
    /// Of these, named right.
    pub recognised: usize,
    /// Showed the stranger.
    pub strange: usize,
    /// Of these, called unknown.
    pub unknown: usize,
}

/// Plays the clip through `model`, unknown below `threshold` (on p, 0 to 1); annotated pictures go
/// into `folder`, a line a frame to `out`.
///
/// # Errors
/// In words: a picture or a line cannot be written, or the model looks at something else than marks.
pub fn run(
    model: &Model,
    threshold: f32,
    folder: &Path,
    out: &mut dyn Write,
) -> Result<Tally, Box<dyn std::error::Error>> {
    fs::create_dir_all(folder).map_err(|error| format!("{folder:?}: {error}"))?;
    let spec = &model.card().input;
    let mut gallery = Gallery::default();
    let mut tally = Tally::default();
    let mut times: Vec<[f64; 6]> = Vec::new();
    writeln!(
        out,
        "{}: unknown below p = {threshold:.3}",
        model.card().name
    )?;
    writeln!(
        out,
        "frame  {:<16}  p      {}",
        "decision",
        STAGES.join("  ")
    )?;

    let mut camera = MotionJpeg::new(CLIP, "the demonstration's clip");
    let signs = SHOWN.iter().flat_map(|&(sign, frames)| vec![sign; frames]);
    for (number, sign) in signs.enumerate() {
        let mut watch = Stopwatch::start();
        let Some(frame) = camera.next() else { break };
        let frame = frame?;
        let decode = watch.lap();
        let mark = preprocess::find(&frame, spec)?;
        let locate = watch.lap();
        let patch = preprocess::patch_at(&frame, mark.as_ref(), spec)?;
        let cut = watch.lap();
        let probe = model.embed(&patch)?;
        let embed = watch.lap();
        let decision = identify(
            gallery.nearest(&probe, model.head()),
            model.head(),
            threshold,
        );
        let matching = watch.lap();

        let bounds = mark.map(|mark| mark.bounds);
        let name = NAMES.get(sign).copied();
        let first_seen = name.filter(|name| gallery.templates_of(name) == 0);
        let (sight, words) = if let Some(name) = first_seen {
            gallery.enroll(name, probe);
            let label = format!("learned {name}");
            let sight = Sight {
                bounds,
                ..Sight::saying(&label, Tone::Enrolled)
            };
            (sight, label)
        } else {
            tally.count(name, &decision);
            let sight = Sight::of(&decision, bounds, threshold);
            let p = sight.p.map_or(String::new(), |(p, _)| format!("{p:.3}"));
            (sight, format!("{:<16}  {p}", said(&decision)))
        };
        watch.lap();
        let picture = draw(&frame, &sight);
        let drawing = watch.lap();
        let stages = [decode, locate, cut, embed, matching, drawing];
        let columns = STAGES.iter().zip(stages);
        let columns: Vec<String> = columns
            .map(|(stage, ms)| format!("{ms:>width$.2}", width = stage.len()))
            .collect();
        writeln!(out, "{number:>5}  {words:<23}  {}", columns.join("  "))?;
        times.push(stages);
        save(folder, number, &picture)?;
    }

    let medians: Vec<String> = (0..STAGES.len())
        .map(|stage| {
            let mut column: Vec<f64> = times.iter().map(|row| row[stage]).collect();
            column.sort_by(f64::total_cmp);
            let median = column.get(column.len() / 2).copied().unwrap_or_default();
            format!("{} {median:.2}", STAGES[stage])
        })
        .collect();
    writeln!(out, "median milliseconds: {}", medians.join(", "))?;
    writeln!(
        out,
        "{} of {} frames of enrolled classes recognised, {} of {} frames of a stranger called unknown",
        tally.recognised, tally.known, tally.unknown, tally.strange
    )?;
    writeln!(out, "pictures: {}", folder.display())?;
    Ok(tally)
}

impl Tally {
    /// `shown` is the class in the frame, none for the stranger.
    fn count(&mut self, shown: Option<&str>, decision: &Decision) {
        let named = match decision {
            Decision::Match { name, .. } => Some(name.as_str()),
            Decision::Unknown { .. } => None,
        };
        if shown.is_none() {
            self.strange += 1;
            self.unknown += usize::from(named.is_none());
        } else {
            self.known += 1;
            self.recognised += usize::from(named == shown);
        }
    }
}

fn said(decision: &Decision) -> String {
    match decision {
        Decision::Match { name, .. } => format!("match {name}"),
        Decision::Unknown { .. } => "unknown".to_owned(),
    }
}

fn draw(frame: &Frame, sight: &Sight) -> Frame {
    Canvas::showing(frame, sight).into_frame()
}

fn save(folder: &Path, number: usize, picture: &Frame) -> Result<(), Box<dyn std::error::Error>> {
    let path = folder.join(format!("frame-{number:03}.png"));
    whole::write(&path, &picture.to_png()?).map_err(|error| format!("{path:?}: {error}").into())
}

/// Milliseconds between laps.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let lap = now.duration_since(self.0).as_secs_f64() * 1e3;
        self.0 = now;
        lap
    }
}
