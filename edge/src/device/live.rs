//! The running loop, one turn at a time: a frame is looked at and compared, what is shown is decided over several
//! frames, and while it runs classes are learned and forgotten. `run` feeds it. Knows a [`Device`] and frames:
//! nothing of cameras, sockets or screens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::device::config::Config;
use crate::device::eye::{Care, Stopwatch, Trouble, milliseconds};
use crate::device::obey::Unconfirmed;
use crate::device::steady::{Evidence, Nearness, Shown, Steady};
use crate::device::teach::Lesson;
use crate::event::{self, Event, Health, Stages};
use crate::gallery::Gallery;
use crate::gallery::decide::{self, Decision, FpirError};
use crate::model::ModelError;
use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::picture::pool::Pool;
use crate::picture::roi::Roi;
use crate::vision::quality::Flaw;

/// The medians of the health report are over this number of frames, the last ones.
const TIMED_FRAMES: usize = 256;
/// How often the gallery is looked at for what another program changed.
const REFRESH: Duration = Duration::from_secs(1);

/// Why the loop cannot begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error(transparent)]
    Fpir(#[from] FpirError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(
        "--roi {roi}: ends beyond the frame of {width}x{height}; give a box within it, or another --size"
    )]
    RoiBeyondFrame {
        roi: Roi,
        /// Of the frame, in pixels.
        width: usize,
        /// Of the frame, in pixels.
        height: usize,
    },
}

/// What a turn of the loop begins with.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A frame, and how long it took to decode.
    Frame {
        frame: &'a Arc<Frame>,
        decode: Duration,
    },
    /// A frame that is not to be decided or learned by: frozen, or black.
    Unusable,
    /// No frame came.
    Nothing,
}

/// What was found in a frame.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Which frame it is, from 0.
    pub number: u64,
    /// Where the thing is, in pixels of the frame.
    pub bounds: Option<Bounds>,
    /// What is wrong with it, where it is not decided by.
    pub flaw: Option<Flaw>,
    /// What this frame says by itself; `None` where it shows nothing, or nothing clear.
    pub decision: Option<Decision>,
    pub stages: Stages,
}

/// What was learned last.
pub(super) struct Lately {
    pub(super) frame: Arc<Frame>,
    /// In pixels of the frame.
    pub(super) bounds: Option<Bounds>,
    pub(super) words: String,
    pub(super) at: Instant,
}

/// A device before a camera.
pub struct Live {
    pub(super) device: Device,
    pub(super) config: Config,
    pub(super) roi: Option<Roi>,

    pub(super) steady: Steady,
    /// Of the newest frame that voted for what is shown.
    pub(super) voted: Option<Decision>,
    pub(super) lesson: Option<Lesson>,
    pub(super) unconfirmed: Option<Unconfirmed>,
    pub(super) lately: Option<Lately>,

    frames: u64,
    flawed: u64,
    times: VecDeque<Stages>,
    pub(super) events: Vec<Event>,
    refreshed: Option<Instant>,

    /// What the guide box cuts out.
    parts: Pool<Frame>,
}

impl Live {
    /// # Errors
    /// The gallery is too large for the target FPIR.
    pub fn new(mut device: Device, config: Config, roi: Option<Roi>) -> Result<Self, LiveError> {
        device.kept_threshold()?;
        device.index();
        Ok(Self {
            steady: Steady::new(config.decide.clone()),
            device,
            config,
            roi,
            voted: None,
            lesson: None,
            unconfirmed: None,
            lately: None,
            frames: 0,
            flawed: 0,
            times: VecDeque::with_capacity(TIMED_FRAMES),
            events: Vec::new(),
            refreshed: None,
            parts: Pool::default(),
        })
    }

    pub fn gallery(&self) -> &Gallery {
        self.device.gallery()
    }

    /// What happened since this was asked last.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// One turn of the loop: takes what came, and does what is due by `now`. What was found, where a frame came.
    ///
    /// # Errors
    /// The network cannot be run, or the very first frame is smaller than the guide box.
    pub fn turn(&mut self, input: Input, now: Instant) -> Result<Option<Finding>, LiveError> {
        let finding = match input {
            Input::Frame { frame, decode } => Some(self.see(frame, decode)?),
            Input::Unusable => {
                self.pass_over();
                None
            }
            Input::Nothing => None,
        };
        self.end_what_is_over(now);
        self.refresh(now);
        Ok(finding)
    }

    fn see(&mut self, frame: &Arc<Frame>, decode: Duration) -> Result<Finding, LiveError> {
        let number = self.frames;
        self.frames += 1;
        let part = part(frame, self.roi, &mut self.parts, number)?;
        let Device {
            model,
            eye,
            gallery,
            limit,
            ..
        } = &mut self.device;
        let care = Care::Require(&self.config.quality.decide);
        let look = match &part {
            Some(part) => Some(eye.look(part, care)?),
            None => None,
        };
        let embedding = look.map_or(Err(Trouble::NothingShown), |look| look.embedding);
        let bounds = look.and_then(|look| look.bounds());
        let mut finding = Finding {
            number,
            bounds: bounds.map(|bounds| self.roi.map_or(bounds, |roi| roi.in_frame(bounds))),
            flaw: match embedding {
                Err(Trouble::Flawed(flaw)) => Some(flaw),
                _ => None,
            },
            decision: None,
            stages: Stages {
                decode: milliseconds(decode),
                ..look.map_or(Stages::default(), |look| look.stages)
            },
        };
        let mut watch = Stopwatch::start();
        let head = model.head();
        let nearest = embedding
            .ok()
            .and_then(|probe| gallery.nearest(probe, head));
        let evidence = match embedding {
            Ok(_) => Evidence::Look(nearest.filter(|nearest| !nearest.is_rejected).map(
                |nearest| Nearness {
                    name: nearest.best.name,
                    is_accepted: limit.accepts(nearest.best.distance),
                    lead: nearest.runner_up.map_or(f32::INFINITY, |other| {
                        other.distance - nearest.best.distance
                    }),
                },
            )),
            Err(_) => Evidence::None,
        };
        let is_changed = self.steady.see(evidence);
        if embedding.is_ok() {
            finding.decision = Some(decide::identify(nearest, head, *limit));
        }
        finding.stages.matching = watch.lap();
        // A lesson keeps a copy.
        let snapshot = self.lesson.is_some().then(|| match (&look, &part) {
            (Some(look), Some(part)) => look.snapshot(number, part),
            _ => Err(Trouble::NothingShown),
        });
        self.flawed += u64::from(finding.flaw.is_some());
        if self.steady.is_supported() {
            self.voted.clone_from(&finding.decision);
        }
        if is_changed {
            self.report_decision(&finding);
        }
        if let Some(snapshot) = snapshot {
            self.learn(snapshot);
        }
        Ok(finding)
    }

    fn pass_over(&mut self) {
        let number = self.frames;
        self.frames += 1;
        if self.steady.see(Evidence::None) {
            self.report_decision(&Finding {
                number,
                ..Finding::default()
            });
        }
        self.learn(Err(Trouble::NoFrame));
    }

    /// Takes down how long a frame took.
    pub fn timed(&mut self, stages: Stages) {
        if self.times.len() == TIMED_FRAMES {
            self.times.pop_front();
        }
        self.times.push_back(stages);
    }

    /// How it goes, as far as is known here.
    pub fn health(&self) -> Health {
        Health {
            frames: self.frames,
            flawed: self.flawed,
            stages_ms: Stages::medians(&self.times),
            classes: self.gallery().len(),
            templates: self.gallery().templates(),
            ..Health::default()
        }
    }

    fn report_decision(&mut self, finding: &Finding) {
        let (shown, name) = self.shown();
        let is_shown = *self.steady.shown() != Shown::Nothing;
        let (p, runner_up) = self.shown_p();
        self.events.push(Event::Decision {
            frame: finding.number,
            shown,
            name,
            p,
            runner_up,
            threshold: self.device.threshold(),
            bounds: finding.bounds.filter(|_| is_shown).map(event::numbers),
            frames: if is_shown { self.steady.took() } else { 0 },
        });
    }

    /// What is shown in one stable word, and the class.
    pub(super) fn shown(&self) -> (&'static str, Option<String>) {
        match self.steady.shown() {
            Shown::Nothing => ("nothing", None),
            Shown::Match(name) => ("match", Some(name.to_string())),
            Shown::Unknown => ("unknown", None),
        }
    }

    /// Takes over what another program has changed in the gallery, once a second.
    fn refresh(&mut self, now: Instant) {
        let last = *self.refreshed.get_or_insert(now);
        if now.duration_since(last) < REFRESH {
            return;
        }
        self.refreshed = Some(now);
        match self.device.refresh() {
            Ok(false) => {}
            Ok(true) => {
                self.decide_anew();
                self.events.push(Event::Changed {
                    change: "reloaded",
                    name: None,
                    to: None,
                });
                if let Err(error) = self.device.kept_threshold() {
                    self.warn("threshold", error.to_string());
                }
            }
            Err(error) => self.warn("gallery", error.to_string()),
        }
    }

    fn warn(&mut self, about: &'static str, words: String) {
        self.events.push(Event::Warning { about, words });
    }

    /// Classes have gone or changed their names: what was shown must be decided anew.
    pub(super) fn decide_anew(&mut self) {
        if *self.steady.shown() == Shown::Nothing {
            return;
        }
        self.steady = Steady::new(self.config.decide.clone());
        self.report_decision(&Finding {
            number: self.frames.saturating_sub(1),
            ..Finding::default()
        });
    }
}

/// What of `frame`, the one of that number, is looked at; `None` where that is not all in it.
///
/// # Errors
/// The very first frame is smaller than the guide box.
fn part(
    frame: &Arc<Frame>,
    roi: Option<Roi>,
    parts: &mut Pool<Frame>,
    number: u64,
) -> Result<Option<Arc<Frame>>, LiveError> {
    let Some(roi) = roi else {
        return Ok(Some(Arc::clone(frame)));
    };
    let (part, cut) = parts.fill(|part| roi.cut(frame, part));
    if cut.is_none() && number == 0 {
        return Err(LiveError::RoiBeyondFrame {
            roi,
            width: frame.width(),
            height: frame.height(),
        });
    }
    Ok(cut.map(|()| part))
}
