//! The demonstration: a clip that ships with the program, seen by the loop that a camera is seen by.
//! Two classes are enrolled from one frame each and recognised later; a third one is unknown.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::camera::MotionJpeg;
use crate::cli::Failure;
use crate::cli::open::Common;
use crate::clip::{CLIP, NAMES, SHOWN};
use crate::device::Device;
use crate::device::command::{Command, Request};
use crate::device::config::Config;
use crate::device::live::{Input, Live};
use crate::device::threshold::Threshold;
use crate::event::{self, Event, Health, Stages};
use crate::gallery::decide::Decision;
use crate::gallery::store::Store;
use crate::model::Model;
use crate::picture::frame::Frame;
use crate::screen::overlay::Canvas;
use crate::whole;

/// Every frame shows another drawing: so each decides, and is learned, by itself.
const EACH_BY_ITSELF: &str = "\
[decide]
window = 1
needed = 1
patience = 1
[teach]
good_frames = 1
";

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

/// The verb: annotated pictures go into `folder`, or into a new one among the temporary files.
pub(super) fn run(
    folder: Option<PathBuf>,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let folder = match folder {
        Some(folder) => folder,
        None => tempfile::Builder::new()
            .prefix("onelook-demo-")
            .tempdir()?
            .keep(),
    };
    let model = common.load_model()?;
    let threshold = common.threshold(&model)?.over(&model, NAMES.len() as f64)?;
    play(&model, threshold, &folder, common.json, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Plays the clip through `model`, unknown below `threshold` (on p, 0 to 1); annotated pictures go
/// into `folder`, a line a frame to `out`, which is a JSON object where `as_json`.
///
/// # Errors
/// In words: a picture or a line cannot be written, or a sign cannot be learned.
pub fn play(
    model: &Model,
    threshold: f32,
    folder: &Path,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<Tally, Box<dyn std::error::Error>> {
    fs::create_dir_all(folder).map_err(|error| format!("{folder:?}: {error}"))?;
    let away = tempfile::tempdir()?;
    let config = Config::over_shipped(EACH_BY_ITSELF)?;
    let device = Device::open(
        model.clone(),
        Store::at(away.path().join("gallery")),
        Threshold::Fixed(threshold),
        config.quality.enroll,
    )?;
    let mut live = Live::new(device, config, None)?;
    let mut tally = Tally::default();
    let mut times: Vec<Stages> = Vec::new();
    if !as_json {
        writeln!(
            out,
            "{}: unknown below p = {threshold:.3}",
            model.card().name
        )?;
        writeln!(
            out,
            "frame  {:<16}  p      {}",
            "decision",
            Stages::NAMES.join("  ")
        )?;
    }

    let mut camera = MotionJpeg::new(CLIP, "the demonstration's clip");
    let signs = SHOWN.iter().flat_map(|&(sign, frames)| vec![sign; frames]);
    for (number, sign) in signs.enumerate() {
        let started = Instant::now();
        let Some(frame) = camera.next() else { break };
        let frame = Arc::new(frame?);
        let name = NAMES.get(sign).copied();
        let is_first = name.is_some_and(|name| live.gallery().templates_of(name) == 0);
        if is_first {
            let enroll = Command::Enroll {
                name: name.map(str::to_owned),
                even_if_alike: false,
            };
            live.obey(Request::unanswered(enroll), &Health::default(), started);
        }
        let input = Input::Frame {
            frame: &frame,
            decode: started.elapsed(),
        };
        let found = live.turn(input, Instant::now())?.unwrap_or_default();
        let drawn = Instant::now();
        let learned = live.just_learned(drawn).filter(|_| is_first);
        let (sight, decision) = if let Some((_, sight)) = learned {
            let decision = sight.label.clone();
            (sight, decision)
        } else if is_first {
            return Err(why_not(live.events()).into());
        } else {
            tally.count(name, found.decision.as_ref());
            (live.sight(&found), said(found.decision.as_ref()))
        };
        let p = sight.p.map(|(p, _)| p);
        let picture = Canvas::showing(&frame, &sight).into_frame();
        let stages = Stages {
            draw: drawn.elapsed().as_secs_f64() * 1e3,
            ..found.stages
        };
        if as_json {
            let line = json!({
                "frame": number,
                "decision": decision,
                "p": p,
                "box": sight.bounds.map(event::numbers),
                "stages_ms": stages,
            });
            writeln!(out, "{line}")?;
        } else {
            let columns = Stages::NAMES.iter().zip(stages.values());
            let columns: Vec<String> = columns
                .map(|(stage, ms)| format!("{ms:>width$.2}", width = stage.len()))
                .collect();
            let p = p.map_or(String::new(), |p| format!("{p:.3}"));
            writeln!(
                out,
                "{number:>5}  {decision:<16}  {p:<5}  {}",
                columns.join("  ")
            )?;
        }
        times.push(stages);
        save(folder, number, &picture)?;
    }

    if as_json {
        let Tally {
            known,
            recognised,
            strange,
            unknown,
        } = tally;
        let line = json!({
            "known": known,
            "recognised": recognised,
            "strange": strange,
            "unknown": unknown,
            "pictures": folder,
        });
        writeln!(out, "{line}")?;
        return Ok(tally);
    }
    let medians: Vec<String> = Stages::NAMES
        .iter()
        .zip(Stages::medians(&times).values())
        .map(|(stage, ms)| format!("{stage} {ms:.2}"))
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
    fn count(&mut self, shown: Option<&str>, decision: Option<&Decision>) {
        let named = match decision {
            Some(Decision::Match { name, .. }) => Some(&**name),
            Some(Decision::Unknown { .. }) | None => None,
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

fn said(decision: Option<&Decision>) -> String {
    match decision {
        Some(Decision::Match { name, .. }) => format!("match {name}"),
        Some(Decision::Unknown { .. }) => "unknown".to_owned(),
        None => "nothing".to_owned(),
    }
}

/// Why a sign was not learned.
fn why_not(events: Vec<Event>) -> String {
    let words = events.into_iter().find_map(|event| match event {
        Event::Refused { name, words, .. } => Some(format!("{name} was not learned: {words}")),
        _ => None,
    });
    words.unwrap_or_else(|| "a sign was not learned".to_owned())
}

fn save(folder: &Path, number: usize, picture: &Frame) -> Result<(), Box<dyn std::error::Error>> {
    let path = folder.join(format!("frame-{number:03}.png"));
    whole::write(&path, &picture.to_png()?).map_err(|error| format!("{path:?}: {error}").into())
}
