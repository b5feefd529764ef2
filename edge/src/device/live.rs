//! The running loop: a frame comes, the thing in it is found, judged, embedded and compared, a decision
//! is made over several frames, drawn and reported; and while it runs, classes are learned and forgotten.
//! [`Live`] does it for one frame and one command at a time; [`crate::run`] feeds it.
//!
//! What a command changes is on the disk before it is answered, and in force from the next frame on.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::control::{Command, Refusal, Reply, Request};
use crate::device::config::Config;
use crate::device::steady::{Evidence, Nearness, Shown, Steady};
use crate::device::teach::{Aim, Lesson, Look, Trouble};
use crate::event::{self, Event, Health, Stages};
use crate::gallery::Gallery;
use crate::gallery::decide::{self, Decision, FpirError};
use crate::gallery::head::Head;
use crate::gallery::store::{self, Store, StoreError, Template};
use crate::model::{self, Model, ModelError};
use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::picture::pool::Pool;
use crate::screen::overlay::{Sight, Tone};
use crate::vision::locate::{self, Mark};
use crate::vision::preprocess::{self, Patch};
use crate::vision::quality::{self, Flaw, Quality};

/// Longest side of the crop that is kept of an enrolled picture: enough for any compact model.
pub const CROP_SIDE_PX: usize = 256;
/// So many changes can be undone.
const UNDOABLE: usize = 32;
/// The medians of the health report are over so many frames.
const TIMED_FRAMES: usize = 256;

/// A guide box: the part of every frame that is looked at, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roi {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Above 0.
    pub width: usize,
    /// Above 0.
    pub height: usize,
}

impl FromStr for Roi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[x, y, width, height]) if width > 0 && height > 0 => Ok(Self {
                x,
                y,
                width,
                height,
            }),
            _ => {
                Err("give the box as x,y,width,height in pixels, such as 80,60,160,120".to_owned())
            }
        }
    }
}

impl fmt::Display for Roi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.x, self.y, self.width, self.height)
    }
}

impl Roi {
    /// Puts the part of `frame` inside the box into `part`; `None` where the box ends beyond the frame.
    fn cut(&self, frame: &Frame, part: &mut Frame) -> Option<()> {
        let (right, bottom) = (
            self.x.checked_add(self.width)?,
            self.y.checked_add(self.height)?,
        );
        if right > frame.width() || bottom > frame.height() {
            return None;
        }
        let channels = frame.channels();
        let rows = frame.pixels().chunks_exact(frame.width() * channels);
        let part = part.reshape(self.width, self.height, channels);
        for (to, row) in part
            .chunks_exact_mut(self.width * channels)
            .zip(rows.skip(self.y))
        {
            to.copy_from_slice(&row[self.x * channels..right * channels]);
        }
        Some(())
    }
}

/// What sets the threshold on p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// An operating point.
    Fixed(f32),
    /// A target FPIR: the threshold follows from the size of the gallery.
    Fpir(f64),
}

impl Threshold {
    /// The threshold for a gallery.
    ///
    /// # Errors
    /// Where the model cannot carry the target in so large a gallery.
    pub fn of(&self, model: &Model, gallery: &Gallery) -> Result<f32, FpirError> {
        self.over(model, gallery.comparisons())
    }

    fn over(&self, model: &Model, comparisons: f64) -> Result<f32, FpirError> {
        match *self {
            Threshold::Fixed(threshold) => Ok(threshold),
            Threshold::Fpir(fpir) => {
                decide::threshold_for_fpir(&model.card().impostor_tail, fpir, comparisons)
            }
        }
    }
}

/// Why the loop cannot begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The gallery.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target FPIR.
    #[error(transparent)]
    Fpir(#[from] FpirError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The guide box.
    #[error(
        "--roi {roi}: ends beyond the frame of {width}x{height}; give a box within it, or another --size"
    )]
    RoiBeyondFrame {
        /// What was asked for.
        roi: Roi,
        /// Of the frame, in pixels.
        width: usize,
        /// Of the frame, in pixels.
        height: usize,
    },
}

/// What was seen in a frame.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which frame it is, from 0.
    pub number: u64,
    /// Where the thing is, in pixels of the frame.
    pub bounds: Option<Bounds>,
    /// What is wrong with it, where it is not decided by.
    pub flaw: Option<Flaw>,
    /// What this frame says by itself; `None` where it shows nothing, or nothing clear.
    pub decision: Option<Decision>,
    /// How long it took.
    pub stages: Stages,
}

/// What was learned last.
struct Taken {
    frame: Arc<Frame>,
    /// In pixels of the frame.
    bounds: Option<Bounds>,
    words: String,
    at: Instant,
}

/// A class that looks like another one, until it is confirmed.
struct Held {
    look: Look,
    name: String,
    frames: usize,
    started: Instant,
    like: String,
    until: Instant,
}

/// A change, as far as it takes to undo it.
enum Change {
    /// A template of this class was added.
    Enrolled(String),
    /// A negative template of this class was added.
    Not(String),
    /// These were a class.
    Forgotten(Vec<Template>),
    /// A class was renamed.
    Renamed { from: String, to: String },
}

/// All that the loop knows.
pub struct Live {
    model: Model,
    store: Store,
    config: Config,
    roi: Option<Roi>,
    by: Threshold,

    gallery: Gallery,
    threshold: f32,
    steady: Steady,
    /// Of the newest frame that voted for what is shown.
    voted: Option<Decision>,
    lesson: Option<Lesson>,
    held: Option<Held>,
    changes: VecDeque<Change>,
    taken: Option<Taken>,

    frames: u64,
    flawed: u64,
    times: VecDeque<Stages>,
    events: Vec<Event>,

    /// What the guide box cuts out.
    parts: Pool<Frame>,
    scratch: Scratch,
}

/// The memory in which frames are looked at, so that no frame costs an allocation.
struct Scratch {
    view: Frame,
    locate: locate::Scratch,
    judge: quality::Scratch,
    within: preprocess::Scratch,
    patch: Patch,
    network: model::Scratch,
}

/// A thing that was found, judged and embedded.
struct Looked<'a> {
    frame: Arc<Frame>,
    mark: Option<&'a Mark>,
    quality: Quality,
    embedding: &'a [f32],
}

impl Looked<'_> {
    fn keep(self, number: u64) -> Look {
        Look {
            number,
            frame: self.frame,
            mark: self.mark.cloned(),
            quality: self.quality,
            embedding: self.embedding.to_vec(),
        }
    }
}

impl Live {
    /// Opens the gallery.
    ///
    /// # Errors
    /// What is wrong with the gallery, and a target FPIR that it is too large for.
    pub fn open(
        model: Model,
        store: Store,
        config: Config,
        by: Threshold,
        roi: Option<Roi>,
    ) -> Result<Self, LiveError> {
        let gallery = opened(&store, &model)?;
        let threshold = by.of(&model, &gallery)?;
        Ok(Self {
            steady: Steady::new(config.decide.clone()),
            parts: Pool::default(),
            scratch: Scratch {
                view: Frame::default(),
                locate: locate::Scratch::default(),
                judge: quality::Scratch::default(),
                within: preprocess::Scratch::default(),
                patch: Patch::default(),
                network: model.scratch(),
            },
            model,
            store,
            config,
            roi,
            by,
            gallery,
            threshold,
            voted: None,
            lesson: None,
            held: None,
            changes: VecDeque::new(),
            taken: None,
            frames: 0,
            flawed: 0,
            times: VecDeque::with_capacity(TIMED_FRAMES),
            events: Vec::new(),
        })
    }

    /// The threshold on p as it is now, 0 to 1.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// What is shown, over the last frames.
    pub fn shown(&self) -> &Shown {
        self.steady.shown()
    }

    /// The classes.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// What happened since this was asked last.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Looks at a frame; `decode` is how long it took to decode.
    ///
    /// # Errors
    /// The network cannot be run, or the very first frame is smaller than the guide box.
    pub fn see(&mut self, frame: &Arc<Frame>, decode: Duration) -> Result<Seen, LiveError> {
        let number = self.frames;
        self.frames += 1;
        let mut stages = Stages {
            decode: milliseconds(decode),
            ..Stages::default()
        };
        let mut seen = Seen {
            number,
            bounds: None,
            flaw: None,
            decision: None,
            stages,
        };
        let Self {
            model,
            config,
            roi,
            gallery,
            steady,
            parts,
            scratch,
            ..
        } = self;
        let watch = Stopwatch::start();
        let gates = &config.quality.decide;
        let looked = match part(frame, *roi, parts, number)? {
            Some(part) => look(part, model, gates, scratch, watch, &mut seen, &mut stages)?,
            None => Err(Trouble::NothingShown),
        };
        if let Some(bounds) = &mut seen.bounds {
            *bounds = in_frame(*roi, *bounds);
        }
        self.flawed += u64::from(seen.flaw.is_some());
        let mut watch = Stopwatch::start();
        let head = model.head();
        let nearest = match &looked {
            Ok(looked) => gallery.nearest(looked.embedding, head),
            Err(_) => None,
        };
        let limit = limit(head, self.threshold);
        let evidence = match &looked {
            Ok(_) => Evidence::Look(nearest.filter(|nearest| !nearest.is_rejected).map(
                |nearest| Nearness {
                    name: nearest.best.name,
                    above: limit - nearest.best.distance,
                    lead: nearest.runner_up.map_or(f32::INFINITY, |other| {
                        other.distance - nearest.best.distance
                    }),
                },
            )),
            Err(_) => Evidence::None,
        };
        let is_changed = steady.see(evidence);
        if looked.is_ok() {
            seen.decision = Some(decide::identify(nearest, head, self.threshold));
        }
        if self.steady.is_supported() {
            self.voted.clone_from(&seen.decision);
        }
        stages.matching = watch.lap();
        seen.stages = stages;
        // What a lesson keeps is a copy.
        let look = self
            .lesson
            .is_some()
            .then(|| looked.map(|looked| looked.keep(number)));
        if is_changed {
            self.report_decision(&seen);
        }
        if let Some(look) = look {
            self.learn(look);
        }
        Ok(seen)
    }

    /// A frame that is not to be decided or learned by: frozen, or black.
    pub fn pass_over(&mut self) {
        let seen = Seen {
            number: self.frames,
            bounds: None,
            flaw: None,
            decision: None,
            stages: Stages::default(),
        };
        self.frames += 1;
        if self.steady.see(Evidence::None) {
            self.report_decision(&seen);
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
            classes: self.gallery.len(),
            templates: self.gallery.templates(),
            ..Health::default()
        }
    }

    /// What is drawn over the frame that was seen last: p of what is shown, not of a frame that says
    /// something else.
    pub fn sight(&self, seen: &Seen) -> Sight {
        let (p, _) = self.shown_p();
        // What is as near to another class, or known not to be the nearest, is unknown for another reason than p.
        let is_why =
            |p: &f32| *p < self.threshold || matches!(self.steady.shown(), Shown::Match(_));
        let p = p.filter(is_why);
        let (label, tone) = match (self.steady.shown(), seen.flaw) {
            (Shown::Match(name), _) => (name.to_string(), Tone::Match),
            (Shown::Unknown, _) => ("unknown".to_owned(), Tone::Unknown),
            (Shown::Nothing, Some(flaw)) => (flaw.to_string(), Tone::Nothing),
            (Shown::Nothing, None) => (String::new(), Tone::Nothing),
        };
        let guide = self.roi.map(|roi| Bounds {
            x: roi.x as f32,
            y: roi.y as f32,
            width: roi.width as f32,
            height: roi.height as f32,
        });
        let state = match (&self.lesson, &self.held) {
            (Some(lesson), _) => format!("{}: hold still", lesson.aim.name()),
            (None, Some(held)) => format!("like {}: again to keep", held.like),
            (None, None) => String::new(),
        };
        Sight {
            bounds: seen.bounds.or(guide),
            p: p.map(|p| (p, self.threshold)),
            state,
            ..Sight::saying(&label, tone)
        }
    }

    /// p and that of the next class, of the newest frame that voted for what is shown.
    fn shown_p(&self) -> (Option<f32>, Option<f32>) {
        match self
            .voted
            .as_ref()
            .filter(|_| *self.shown() != Shown::Nothing)
        {
            Some(Decision::Match { p, runner_up, .. }) => (Some(*p), *runner_up),
            Some(Decision::Unknown { best, runner_up }) => {
                (best.as_ref().map(|(_, p)| *p), *runner_up)
            }
            None => (None, None),
        }
    }

    /// What was learned in the last moments, and how that is drawn: shown instead of what is seen.
    pub fn just_taken(&self, now: Instant) -> Option<(&Arc<Frame>, Sight)> {
        let show = Duration::from_millis(self.config.teach.show_ms);
        let taken = self.taken.as_ref()?;
        if now.duration_since(taken.at) >= show {
            return None;
        }
        let sight = Sight {
            bounds: taken.bounds,
            ..Sight::saying(&taken.words, Tone::Enrolled)
        };
        Some((&taken.frame, sight))
    }

    fn report_decision(&mut self, seen: &Seen) {
        let (shown, name) = match self.steady.shown() {
            Shown::Nothing => ("nothing", None),
            Shown::Match(name) => ("match", Some(name.to_string())),
            Shown::Unknown => ("unknown", None),
        };
        let is_shown = shown != "nothing";
        let (p, runner_up) = self.shown_p();
        self.events.push(Event::Decision {
            frame: seen.number,
            shown,
            name,
            p,
            runner_up,
            threshold: self.threshold,
            bounds: seen.bounds.filter(|_| is_shown).map(event::numbers),
            frames: if is_shown { self.steady.took() } else { 0 },
        });
    }

    /// Does what a command says, or begins to; whoever waits for it is answered when it is done.
    /// Whether the program shall go on.
    pub fn obey(&mut self, request: Request, health: &Health) -> bool {
        match request.command.clone() {
            Command::Enroll {
                name,
                even_if_alike,
            } => self.enroll(request, name, even_if_alike),
            Command::Not { name } => self.begin_not(request, name),
            Command::Confirm => match self.held.take() {
                Some(held) => self.keep(held, request),
                None => request.answer(refused(
                    "nothing_to_confirm",
                    "nothing waits to be confirmed; enroll first",
                )),
            },
            Command::Undo => {
                let reply = self.undo();
                request.answer(reply);
            }
            Command::Forget { name } => {
                let reply = self.forget(&name);
                request.answer(reply);
            }
            Command::Rename { from, to } => {
                let reply = self.rename(&from, &to);
                request.answer(reply);
            }
            Command::List => {
                let classes: Vec<_> = self.gallery.names().map(|name| self.listed(name)).collect();
                request.answer(Ok(json!({ "classes": classes })));
            }
            Command::Status => {
                let (shown, name) = match self.steady.shown() {
                    Shown::Nothing => ("nothing", None),
                    Shown::Match(name) => ("match", Some(&**name)),
                    Shown::Unknown => ("unknown", None),
                };
                request.answer(Ok(json!({
                    "shown": shown,
                    "name": name,
                    "threshold": self.threshold,
                    "gallery": self.store.path(),
                    "health": health,
                })));
            }
            Command::Quit => {
                request.answer(Ok(json!({ "ending": true })));
                return false;
            }
        }
        true
    }

    fn listed(&self, name: &str) -> serde_json::Value {
        json!({
            "name": name,
            "templates": self.gallery.templates_of(name),
            "negatives": self.gallery.negatives_of(name),
        })
    }

    fn enroll(&mut self, request: Request, name: Option<String>, even_if_alike: bool) {
        // The second press of a button that has one meaning.
        let confirmed = |held: &mut Held| name.as_ref().is_none_or(|name| *name == held.name);
        if let Some(held) = self.held.take_if(confirmed) {
            return self.keep(held, request);
        }
        self.held = None;
        let name = name.unwrap_or_else(|| self.free_name());
        if let Err(error) = store::check_name(&name) {
            return request.answer(refused("bad_name", error));
        }
        self.begin(
            Aim::Enroll {
                name,
                even_if_alike,
            },
            request,
        );
    }

    /// `class-3` where two are there, or the next one that is free.
    fn free_name(&self) -> String {
        let mut numbers = self.gallery.len() + 1..;
        let name = |number: usize| format!("class-{number}");
        let is_free = |number: &usize| self.gallery.templates_of(&name(*number)) == 0;
        name(numbers.find(is_free).unwrap_or_default())
    }

    fn begin_not(&mut self, request: Request, name: Option<String>) {
        let shown = match self.steady.shown() {
            Shown::Match(name) => Some(name.to_string()),
            Shown::Nothing | Shown::Unknown => None,
        };
        let Some(name) = name.or(shown) else {
            return request.answer(refused(
                "nothing_shown",
                "what is shown is taken for no class; say `not NAME`",
            ));
        };
        if self.gallery.templates_of(&name) == 0 {
            return request.answer(self.no_such_class(&name));
        }
        self.begin(Aim::Not { name }, request);
    }

    fn begin(&mut self, aim: Aim, request: Request) {
        if self.lesson.is_some() {
            let words = "another class is being learned; it takes less than a second";
            return request.answer(refused("in_progress", words));
        }
        self.lesson = Some(Lesson::new(aim, request, Instant::now()));
    }

    /// Gives the lesson its frame, and ends it where it is over.
    fn learn(&mut self, look: Result<Look, Trouble>) {
        let Some(lesson) = &mut self.lesson else {
            return;
        };
        let gates = &self.config.quality.enroll;
        lesson.see(look.and_then(|look| match gates.flaw(&look.quality) {
            Some(flaw) => Err(Trouble::Flawed(flaw)),
            None => Ok(look),
        }));
        self.tick(Instant::now());
    }

    /// Ends what is over by now, frame or no frame.
    pub fn tick(&mut self, now: Instant) {
        self.held.take_if(|held| held.until <= now);
        let rules = &self.config.teach;
        let Some(mut lesson) = self.lesson.take_if(|lesson| lesson.is_over(rules, now)) else {
            return;
        };
        let (head, limit) = (self.model.head(), limit(self.model.head(), self.threshold));
        let alike = |x: &[f32], y: &[f32]| head.distance(x, y) <= limit;
        let look = match lesson.taken(alike) {
            Ok(look) => look,
            Err(trouble) => {
                let reply = self.refuse(lesson.aim.name(), trouble.reason(), trouble);
                return lesson.request.answer(reply);
            }
        };
        let Lesson {
            aim,
            request,
            started,
            frames,
            ..
        } = lesson;
        match aim {
            Aim::Enroll {
                name,
                even_if_alike,
            } => {
                let like = self.look_alike(&name, &look.embedding);
                match like.filter(|_| !even_if_alike) {
                    Some((like, p)) => {
                        let words = format!(
                            "{name} looks like {like} (p {p:.3}): they will be taken for one another;                              say it again, or `confirm`, to keep it"
                        );
                        self.events.push(Event::Refused {
                            name: name.clone(),
                            reason: "look_alike".to_owned(),
                            words: words.clone(),
                            like: Some(like.clone()),
                            p: Some(p),
                        });
                        self.held = Some(Held {
                            look,
                            name,
                            frames,
                            started,
                            like,
                            until: now + Duration::from_secs(self.config.teach.confirm_secs),
                        });
                        request.answer(refused("look_alike", words));
                    }
                    None => {
                        let reply = self.commit(&look, &name, frames, started);
                        request.answer(reply);
                    }
                }
            }
            Aim::Not { name } => {
                let reply = self.commit_not(&look, &name);
                request.answer(reply);
            }
        }
    }

    /// Another class that the embedding would be accepted as, and p.
    fn look_alike(&self, name: &str, embedding: &[f32]) -> Option<(String, f32)> {
        let head = self.model.head();
        let nearest = self.gallery.nearest(embedding, head)?;
        let best = (!nearest.is_rejected).then_some(nearest.best);
        let mut others = best.into_iter().chain(nearest.runner_up);
        let other = others.find(|candidate| **candidate.name != *name)?;
        let p = head.probability(other.distance);
        decide::accepts(p, self.threshold).then(|| (other.name.to_string(), p))
    }

    fn keep(&mut self, held: Held, request: Request) {
        let reply = self.commit(&held.look, &held.name, held.frames, held.started);
        request.answer(reply);
    }

    fn template(&self, look: &Look, name: &str, kind: store::Kind) -> Result<Template, String> {
        let spec = &self.model.card().input;
        let crop = preprocess::keepsake(&look.frame, spec, CROP_SIDE_PX);
        let crop = crop.map_err(|blank| blank.to_string())?;
        Ok(Template {
            name: name.to_owned(),
            embedding: look.embedding.clone(),
            crop_png: crop.to_png().map_err(|error| error.to_string())?,
            kind,
        })
    }

    fn commit(&mut self, look: &Look, name: &str, frames: usize, started: Instant) -> Reply {
        let before = self.gallery.templates_of(name) as f64;
        let grown = self.gallery.comparisons() - before.sqrt() + (before + 1.0).sqrt();
        let threshold = match self.by.over(&self.model, grown) {
            Ok(threshold) => threshold,
            Err(error) => return self.refuse(name, "fpir", error),
        };
        let template = match self.template(look, name, store::Kind::Genuine) {
            Ok(template) => template,
            Err(words) => return self.refuse(name, "nothing_shown", words),
        };
        let enrolled = std::slice::from_ref(&template);
        if let Err(error) = self.store.enroll(self.model.id(), enrolled) {
            return self.refuse(name, "store", error);
        }
        self.gallery.enroll(name, template.embedding);
        self.threshold = threshold;
        self.steady.restart();
        self.changed(Change::Enrolled(name.to_owned()));
        let bounds = look.mark.as_ref().map(|mark| mark.bounds);
        self.taken = Some(Taken {
            frame: Arc::clone(&look.frame),
            bounds,
            words: format!("learned {name}"),
            at: Instant::now(),
        });
        let templates = self.gallery.templates_of(name);
        let after_s = started.elapsed().as_secs_f64();
        let bounds = bounds.map(|bounds| event::numbers(in_frame(self.roi, bounds)));
        self.events.push(Event::Enrolled {
            frame: look.number,
            name: name.to_owned(),
            templates,
            bounds,
            quality: look.quality,
            frames,
            after_s,
        });
        Ok(json!({
            "enrolled": name,
            "templates": templates,
            "box": bounds,
            "quality": look.quality,
            "frames": frames,
            "after_s": after_s,
        }))
    }

    fn commit_not(&mut self, look: &Look, name: &str) -> Reply {
        let template = match self.template(look, name, store::Kind::Negative) {
            Ok(template) => template,
            Err(words) => return self.refuse(name, "nothing_shown", words),
        };
        // It may have been forgotten meanwhile.
        if self.gallery.templates_of(name) == 0 {
            return self.no_such_class(name);
        }
        let negative = std::slice::from_ref(&template);
        if let Err(error) = self.store.enroll(self.model.id(), negative) {
            return self.refuse(name, "store", error);
        }
        self.gallery.reject(name, template.embedding);
        self.steady.restart();
        self.changed(Change::Not(name.to_owned()));
        self.report_change("not", name, None);
        let negatives = self.gallery.negatives_of(name);
        Ok(json!({ "not": name, "negatives": negatives }))
    }

    fn changed(&mut self, change: Change) {
        if self.changes.len() == UNDOABLE {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    fn report_change(&mut self, change: &'static str, name: &str, to: Option<&str>) {
        self.events.push(Event::Changed {
            change,
            name: Some(name.to_owned()),
            to: to.map(str::to_owned),
        });
    }

    fn undo(&mut self) -> Reply {
        if let Some(held) = self.held.take() {
            return Ok(json!({ "undone": "enroll", "name": held.name }));
        }
        let Some(change) = self.changes.pop_back() else {
            return refused("nothing_to_undo", "nothing was changed since the start");
        };
        let id = self.model.id();
        let (what, name, done) = match &change {
            Change::Enrolled(name) => {
                let done = self.store.take_back(id, name, store::Kind::Genuine);
                ("enroll", name.clone(), done)
            }
            Change::Not(name) => {
                let done = self.store.take_back(id, name, store::Kind::Negative);
                ("not", name.clone(), done)
            }
            Change::Forgotten(templates) => {
                let name = templates.first().map(|t| t.name.clone());
                let done = self.store.enroll(id, templates);
                ("forget", name.unwrap_or_default(), done)
            }
            Change::Renamed { from, to } => {
                ("rename", from.clone(), self.store.rename(id, to, from))
            }
        };
        if let Err(error) = done.and_then(|()| self.reload()) {
            let refusal = self.store_refusal(&error);
            self.changes.push_back(change);
            return Err(refusal);
        }
        self.taken = None;
        self.report_change("undone", &name, None);
        Ok(json!({ "undone": what, "name": name }))
    }

    fn forget(&mut self, name: &str) -> Reply {
        let forgotten = match self.store.remove(self.model.id(), name) {
            Ok(forgotten) => forgotten,
            Err(error) => return Err(self.store_refusal(&error)),
        };
        if let Err(error) = self.reload() {
            return Err(self.store_refusal(&error));
        }
        let templates = forgotten.len();
        self.changed(Change::Forgotten(forgotten));
        self.report_change("forgotten", name, None);
        Ok(json!({ "forgotten": name, "templates": templates }))
    }

    fn rename(&mut self, from: &str, to: &str) -> Reply {
        let renamed = self.store.rename(self.model.id(), from, to);
        if let Err(error) = renamed.and_then(|()| self.reload()) {
            return Err(self.store_refusal(&error));
        }
        self.changed(Change::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        self.report_change("renamed", from, Some(to));
        Ok(json!({ "renamed": from, "to": to }))
    }

    /// Takes over what another program has changed in the gallery, if any has; what was changed here
    /// before cannot be undone then.
    ///
    /// # Errors
    /// What is wrong with the gallery now; what was known of it still holds.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        if !self.store.is_changed_elsewhere() {
            return Ok(());
        }
        self.reload()?;
        self.changes.clear();
        self.events.push(Event::Changed {
            change: "reloaded",
            name: None,
            to: None,
        });
        Ok(())
    }

    /// Takes over what is on the disk; what was shown must be decided anew.
    fn reload(&mut self) -> Result<(), StoreError> {
        self.gallery = opened(&self.store, &self.model)?;
        // Fewer classes are never beyond a target that more of them were within.
        self.threshold = self
            .by
            .of(&self.model, &self.gallery)
            .unwrap_or(self.threshold);
        if self.steady.shown() != &Shown::Nothing {
            self.steady = Steady::new(self.config.decide.clone());
            let seen = Seen {
                number: self.frames.saturating_sub(1),
                bounds: None,
                flaw: None,
                decision: None,
                stages: Stages::default(),
            };
            self.report_decision(&seen);
        }
        Ok(())
    }

    fn no_such_class(&self, name: &str) -> Reply {
        Err(self.store_refusal(&StoreError::NoSuchClass {
            path: self.store.path().to_owned(),
            name: name.to_owned(),
        }))
    }

    fn store_refusal(&self, error: &StoreError) -> Refusal {
        let reason = match error {
            StoreError::NoSuchClass { .. } => "no_such_class",
            StoreError::ClassExists { .. } => "class_exists",
            StoreError::BadName { .. } => "bad_name",
            _ => "store",
        };
        Refusal {
            reason: reason.to_owned(),
            words: error.to_string(),
        }
    }

    /// Reports that a class was not learned, and why.
    fn refuse(&mut self, name: &str, reason: &str, words: impl fmt::Display) -> Reply {
        let refusal = Refusal {
            reason: reason.to_owned(),
            words: words.to_string(),
        };
        self.events.push(Event::Refused {
            name: name.to_owned(),
            reason: refusal.reason.clone(),
            words: refusal.words.clone(),
            like: None,
            p: None,
        });
        Err(refusal)
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

/// Finds, judges and embeds what `frame` shows.
fn look<'a>(
    frame: Arc<Frame>,
    model: &Model,
    gates: &quality::Gates,
    scratch: &'a mut Scratch,
    mut watch: Stopwatch,
    seen: &mut Seen,
    stages: &mut Stages,
) -> Result<Result<Looked<'a>, Trouble>, LiveError> {
    let nothing = Ok(Err(Trouble::NothingShown));
    let Scratch {
        view,
        locate,
        judge,
        within,
        patch,
        network,
    } = scratch;
    let spec = &model.card().input;
    // Once, not at every step.
    let view = match spec.channels {
        1 => frame.in_channels(1, view),
        _ => &*frame,
    };
    let found = preprocess::find_in(view, spec, locate);
    stages.locate = watch.lap();
    let Ok(mark) = found else {
        return nothing;
    };
    seen.bounds = mark.map(|mark| mark.bounds);
    let judged = quality::of_in(view, mark, spec, judge);
    stages.judge = watch.lap();
    let Some(quality) = judged else {
        return nothing;
    };
    seen.flaw = gates.flaw(&quality);
    if let Some(flaw) = seen.flaw {
        return Ok(Err(Trouble::Flawed(flaw)));
    }
    let made = preprocess::patch_in(view, mark, spec, within, patch);
    stages.patch = watch.lap();
    if made.is_err() {
        return nothing;
    }
    let embedding = model.embed_in(network, patch)?;
    stages.embed = watch.lap();
    Ok(Ok(Looked {
        frame,
        mark,
        quality,
        embedding,
    }))
}

/// Bounds in what was looked at, as they are in the frame.
fn in_frame(roi: Option<Roi>, bounds: Bounds) -> Bounds {
    roi.map_or(bounds, |roi| Bounds {
        x: bounds.x + roi.x as f32,
        y: bounds.y + roi.y as f32,
        ..bounds
    })
}

fn opened(store: &Store, model: &Model) -> Result<Gallery, StoreError> {
    let mut gallery = store.gallery(model.id(), model.dims())?;
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    gallery.index(model.head(), threads);
    Ok(gallery)
}

fn refused(reason: &str, words: impl fmt::Display) -> Reply {
    Err(Refusal {
        reason: reason.to_owned(),
        words: words.to_string(),
    })
}

/// The distance at which p is `threshold`.
fn limit(head: &Head, threshold: f32) -> f32 {
    let p = f64::from(threshold);
    (f64::from(head.bias) - (p.ln() - (-p).ln_1p())) as f32
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Milliseconds between laps.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let lap = milliseconds(now.duration_since(self.0));
        self.0 = now;
        lap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_box_cuts_its_part_of_every_channel() {
        let pixels = (0..4 * 3 * 3).map(|i| i as u8).collect();
        let frame = Frame::new(4, 3, 3, pixels).unwrap();
        let roi: Roi = "1,1,2,2".parse().unwrap();
        let mut part = Frame::default();
        roi.cut(&frame, &mut part).unwrap();
        assert_eq!((part.width(), part.height(), part.channels()), (2, 2, 3));
        // Rows of 12: from the second row's second pixel on.
        let expected = [15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32];
        assert_eq!(part.pixels(), expected);
        let beyond: Roi = "2,1,3,1".parse().unwrap();
        assert_eq!(beyond.cut(&frame, &mut part), None);
    }

    #[test]
    fn a_guide_box_is_four_numbers() {
        for wrong in ["", "1,2,3", "1,2,3,4,5", "1,2,0,4", "-1,2,3,4", "a,b,c,d"] {
            assert!(wrong.parse::<Roi>().is_err(), "{wrong}");
        }
        assert_eq!(
            "80,60,160,120".parse::<Roi>().unwrap().to_string(),
            "80,60,160,120"
        );
    }

    #[test]
    fn the_distance_of_the_threshold_is_where_p_is_on_it() {
        let head = Head {
            alpha: vec![1.0],
            bias: 3.0,
        };
        for threshold in [0.1, 0.5, 0.906, 0.9999] {
            let p = head.probability(limit(&head, threshold));
            assert!((p - threshold).abs() < 1e-5, "{p}, {threshold}");
        }
        assert_eq!(limit(&head, 1.0), f32::NEG_INFINITY);
        assert_eq!(limit(&head, 0.0), f32::INFINITY);
    }
}
