//! One look at a frame: the thing is found, judged, cut out and embedded. Everything that looks does it by this: the
//! running loop, the command line, re-embedding, the trainer's evaluation. Knows frames and a model: nothing of
//! classes or files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::Stages;
use crate::model::{self, Model, ModelError};
use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use crate::vision::keepsake;
use crate::vision::locate::Thing;
use crate::vision::locate::{self, Mark};
use crate::vision::preprocess::{self, Blank, CutMemory, InputSpec, Patch};
use crate::vision::quality::{self, Flaw, Gates, JudgeMemory, Quality};

/// Longest side of the crop that is kept of an enrolled picture, in pixels: enough for any compact model.
pub const CROP_SIDE_PX: usize = 256;

/// A model with the memory that it looks in: from the second frame of a size on, a look allocates nothing.
pub struct Eye {
    model: Model,
    view: Frame,
    locate: locate::SearchMemory,
    judge: JudgeMemory,
    cut: CutMemory,
    patch: Patch,
    network: model::NetworkMemory,
}

/// What is done about how good a look is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Care<'a> {
    /// It is not measured.
    None,
    /// It is measured.
    Measure,
    /// It is measured, and a look that does not pass is not embedded.
    Require(&'a Gates),
}

/// What a look at a frame gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look<'a> {
    /// What was found; `None` where the frame shows nothing.
    pub thing: Option<Thing<'a>>,
    /// How good the look is, where that was measured.
    pub quality: Option<Quality>,
    /// The embedding, `model.dims()` numbers, or why there is none.
    pub embedding: Result<&'a [f32], Trouble>,
    /// How long finding, judging, cutting and embedding took, in milliseconds; the rest is 0.
    pub stages: Stages,
}

/// Why there is no embedding of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No frame came, or none that can be used.
    #[error("no frame came: see to the camera")]
    NoFrame,
    /// It shows nothing that the model looks for.
    #[error("nothing is shown: hold it before the camera")]
    NothingShown,
    /// It is not good enough.
    #[error(transparent)]
    Flawed(#[from] Flaw),
}

impl Trouble {
    /// One stable word.
    pub fn reason(self) -> &'static str {
        match self {
            Trouble::NoFrame => "no_frame",
            Trouble::NothingShown => "nothing_shown",
            Trouble::Flawed(Flaw::CutOff) => "cut_off",
            Trouble::Flawed(Flaw::TooSmall) => "too_small",
            Trouble::Flawed(Flaw::TooFaint) => "too_faint",
            Trouble::Flawed(Flaw::Clipped) => "clipped",
            Trouble::Flawed(Flaw::Blurred) => "blurred",
        }
    }
}

impl Eye {
    pub fn new(model: Model) -> Self {
        Self {
            view: Frame::default(),
            locate: locate::SearchMemory::default(),
            judge: JudgeMemory::default(),
            cut: CutMemory::default(),
            patch: Patch::default(),
            network: model.memory(),
            model,
        }
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Finds, judges, cuts out and embeds what `frame` shows.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn look(&mut self, frame: &Frame, care: Care) -> Result<Look<'_>, ModelError> {
        let Self {
            model,
            view,
            locate,
            judge,
            cut,
            patch,
            network,
        } = self;
        let spec = &model.card().input;
        let mut look = Look {
            thing: None,
            quality: None,
            embedding: Err(Trouble::NothingShown),
            stages: Stages::default(),
        };
        let mut watch = Stopwatch::start();
        // Once, not at every step.
        let view = match spec.channels {
            1 => frame.in_channels(1, view),
            _ => frame,
        };
        let found = preprocess::find(view, spec, locate);
        look.stages.locate = watch.lap();
        let Ok(thing) = found else {
            return Ok(look);
        };
        look.thing = Some(thing);
        if care != Care::None {
            look.quality = quality::of_in(view, thing, spec, judge);
            look.stages.judge = watch.lap();
            let Some(quality) = look.quality else {
                return Ok(look);
            };
            if let Care::Require(gates) = care
                && let Some(flaw) = gates.flaw(&quality)
            {
                look.embedding = Err(Trouble::Flawed(flaw));
                return Ok(look);
            }
        }
        let made = preprocess::patch_in(view, thing, spec, cut, patch);
        look.stages.patch = watch.lap();
        if made.is_err() {
            return Ok(look);
        }
        look.embedding = Ok(model.embed_in(network, patch)?);
        look.stages.embed = watch.lap();
        Ok(look)
    }
}

impl Look<'_> {
    /// Where the thing is, in pixels of the frame; `None` where nothing was found, or the whole picture was looked at.
    pub fn bounds(&self) -> Option<Bounds> {
        self.thing.and_then(Thing::bounds)
    }

    /// A copy that can be kept, of the look at `frame`.
    ///
    /// # Errors
    /// Why there is no embedding.
    pub fn snapshot(&self, number: u64, frame: &Arc<Frame>) -> Result<Snapshot, Trouble> {
        let embedding = self.embedding?.to_vec();
        Ok(Snapshot {
            number,
            frame: Arc::clone(frame),
            mark: match self.thing {
                Some(Thing::Mark(mark)) => Some(mark.clone()),
                Some(Thing::Whole) | None => None,
            },
            quality: self.quality,
            stages: self.stages,
            embedding,
        })
    }
}

/// A look that is kept, to be learned.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which frame it is.
    pub number: u64,
    /// What was looked at: of a frame with a guide box, what is in the box.
    pub frame: Arc<Frame>,
    mark: Option<Mark>,
    /// How good it is, where that was measured.
    pub quality: Option<Quality>,
    pub stages: Stages,
    /// As the model gave it.
    pub embedding: Vec<f32>,
}

impl Snapshot {
    fn thing(&self) -> Thing<'_> {
        self.mark.as_ref().map_or(Thing::Whole, Thing::Mark)
    }

    /// Where the thing is, in pixels of the frame.
    pub fn bounds(&self) -> Option<Bounds> {
        self.thing().bounds()
    }

    /// The crop that is kept of it.
    ///
    /// # Errors
    /// [`Blank`], never for a model that the snapshot was made by.
    pub(crate) fn crop(&self, spec: &InputSpec) -> Result<Frame, Blank> {
        keepsake::of(&self.frame, self.thing(), spec, CROP_SIDE_PX)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Milliseconds between laps.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let lap = milliseconds(now.duration_since(self.0));
        self.0 = now;
        lap
    }
}

#[cfg(test)]
impl Snapshot {
    /// One that shows nothing, for tests of what is made of looks.
    pub(crate) fn of_nothing(number: u64, embedding: Vec<f32>, quality: Quality) -> Self {
        Self {
            number,
            frame: Arc::new(Frame::from_fn(1, 1, |_, _| 0)),
            mark: None,
            quality: Some(quality),
            stages: Stages::default(),
            embedding,
        }
    }
}
