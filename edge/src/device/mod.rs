//! Everything that a device can be asked, and what it does all day. Every door enters here: the command line, the
//! socket, keys, a button. Knows frames, a model and a gallery: nothing of cameras, sockets or screens. Time is told
//! to it, never asked for.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@self`] | [`Device`]: a model with its gallery and its threshold; who is it, is it this one, which are there |
//! | [`change`] | enroll, not, forget, rename, undo: on the disk before they are answered |
//! | [`archive`] | export, import, re-embed, check: all of a gallery at once |
//! | [`eye`] | one look at a frame: found, judged, cut out, embedded |
//! | [`threshold`] | what sets the threshold on p |
//! | [`answer`], [`command`] | what is asked, answered and refused, in types |
//! | [`live`], `steady` | the same over the frames of a camera: decisions over time |
//! | `obey`, `teach` | what a command does meanwhile, and learning from what is shown |
//! | [`sight`] | what is shown of it |
//! | [`config`] | its numbers |

pub mod answer;
pub mod archive;
pub mod change;
pub mod command;
pub mod config;
pub mod eye;
pub mod live;
mod obey;
pub mod sight;
pub(crate) mod steady;
pub(crate) mod teach;
pub mod threshold;

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::device::answer::{Class, Refusal, Verified};
use crate::device::change::Change;
use crate::device::eye::{Care, Eye, Look};
use crate::device::threshold::Threshold;
use crate::gallery::Gallery;
use crate::gallery::decide::{self, Decision, FpirError};
use crate::gallery::head::Limit;
use crate::gallery::store::{Store, StoreError};
use crate::model::{Model, ModelError};
use crate::picture::frame::Frame;
use crate::vision::quality::Gates;

/// A model, the gallery of what it was taught, and the threshold between them.
pub struct Device {
    model: Model,
    eye: Eye,
    store: Store,
    by: Threshold,
    /// What a look must be like to be enrolled.
    gates: Gates,

    gallery: Gallery,
    /// Whether many searches are to come.
    is_indexed: bool,
    threshold: f32,
    limit: Limit,
    /// Why the target FPIR cannot be kept, where it cannot.
    out_of_reach: Option<FpirError>,
    /// The last ones, the newest at the back.
    changes: VecDeque<Change>,
}

impl Device {
    /// Opens the gallery at `store`, which may be empty. A look that does not pass `gates` is objected to when it is
    /// enrolled.
    ///
    /// # Errors
    /// What is wrong with the gallery; that it is of another model among it.
    pub fn open(
        model: Model,
        store: Store,
        by: Threshold,
        gates: Gates,
    ) -> Result<Self, StoreError> {
        let mut device = Self {
            gallery: Gallery::default(),
            is_indexed: false,
            threshold: 1.0,
            limit: model.head().limit(1.0),
            eye: Eye::new(model.clone()),
            model,
            store,
            by,
            gates,
            out_of_reach: None,
            changes: VecDeque::new(),
        };
        device.reload()?;
        Ok(device)
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// The threshold on p, 0 to 1. Where the target FPIR is out of reach, the strictest one that the model has
    /// evidence for.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// The largest distance that is accepted: the threshold as distances have it.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// The threshold, where it keeps what was asked for.
    ///
    /// # Errors
    /// The gallery is too large for the target FPIR.
    pub fn kept_threshold(&self) -> Result<f32, FpirError> {
        self.out_of_reach.clone().map_or(Ok(self.threshold), Err)
    }

    /// Makes [`Device::identify`] fast in a large gallery, from now on; the answers stay the same. It costs a pass over
    /// all templates, which one search is not worth.
    pub fn index(&mut self) {
        self.is_indexed = true;
        self.gallery.index(self.model.head(), threads());
    }

    /// Looks at a frame.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn look(&mut self, frame: &Frame, care: Care) -> Result<Look<'_>, ModelError> {
        self.eye.look(frame, care)
    }

    /// Which class is it, if any (1:N)?
    pub fn identify(&self, embedding: &[f32]) -> Decision {
        let head = self.model().head();
        decide::identify(self.gallery.nearest(embedding, head), head, self.limit)
    }

    /// Is it of this class (1:1)?
    ///
    /// # Errors
    /// No such class, or the target FPIR is out of reach.
    pub fn verify(&self, name: &str, embedding: &[f32]) -> Result<Verified, Refusal> {
        let head = self.model().head();
        let distance = self
            .gallery
            .distance_to(name, embedding, head)
            .ok_or_else(|| self.no_such_class(name))?;
        Ok(Verified {
            threshold: self.kept_threshold().map_err(Refusal::Fpir)?,
            is_accepted: self.limit.accepts(distance),
            p: head.probability(distance),
        })
    }

    /// The classes in the order of their enrollment.
    pub fn classes(&self) -> Vec<Class> {
        let class = |name: &str| Class {
            name: name.to_owned(),
            templates: self.gallery.templates_of(name),
            negatives: self.gallery.negatives_of(name),
        };
        self.gallery.names().map(class).collect()
    }

    /// `class-3` where two are there, or the next one that is free.
    pub fn free_name(&self) -> String {
        let mut numbers = self.gallery.len() + 1..;
        let name = |number: usize| format!("class-{number}");
        let is_free = |number: &usize| self.gallery.templates_of(&name(*number)) == 0;
        name(numbers.find(is_free).unwrap_or_default())
    }

    /// Takes over what another program has changed in the gallery, if any has; what was changed here before cannot be
    /// undone then. Whether there was something.
    ///
    /// # Errors
    /// What is wrong with the gallery now; what was known of it still holds.
    pub fn refresh(&mut self) -> Result<bool, StoreError> {
        if !self.store.is_changed_elsewhere() {
            return Ok(false);
        }
        self.reload()?;
        self.changes.clear();
        Ok(true)
    }

    /// Takes over what is on the disk.
    fn reload(&mut self) -> Result<(), StoreError> {
        let model = &self.model;
        let mut gallery = self.store.gallery(model.id(), model.dims())?;
        if self.is_indexed {
            gallery.index(model.head(), threads());
        }
        self.gallery = gallery;
        self.set_threshold();
        Ok(())
    }

    /// To be called after every change of the gallery.
    fn set_threshold(&mut self) {
        let model = &self.model;
        match self.by.over(model, self.gallery.comparisons()) {
            Ok(threshold) => {
                self.threshold = threshold;
                self.out_of_reach = None;
            }
            Err(error) => {
                self.threshold = Threshold::strictest(model);
                self.out_of_reach = Some(error);
            }
        }
        self.limit = model.head().limit(self.threshold);
    }

    fn no_such_class(&self, name: &str) -> Refusal {
        Refusal::Store(StoreError::NoSuchClass {
            path: self.store.path().to_owned(),
            name: name.to_owned(),
        })
    }
}

/// How many threads a search may use.
fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests;
