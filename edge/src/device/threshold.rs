//! What sets the threshold on p: an operating point, or a rate at which strangers may be taken for an enrolled class.

use crate::gallery::decide::{self, FpirError};
use crate::model::Model;

/// What sets the threshold on p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// An operating point: p, 0 to 1.
    Fixed(f32),
    /// A target FPIR, above 0 and below 1: the threshold follows from the size of the gallery.
    Fpir(f64),
}

impl Threshold {
    /// The threshold for a gallery whose search counts as this number of `comparisons`: see
    /// [`crate::gallery::Gallery::comparisons`].
    ///
    /// # Errors
    /// Where the model cannot carry the target in so large a gallery.
    pub fn over(self, model: &Model, comparisons: f64) -> Result<f32, FpirError> {
        match self {
            Threshold::Fixed(threshold) => Ok(threshold),
            Threshold::Fpir(fpir) => {
                decide::threshold_for_fpir(&model.card().impostor_tail, fpir, comparisons)
            }
        }
    }

    /// The strictest threshold that the model has evidence for: what holds where a target is out of reach.
    pub(crate) fn strictest(model: &Model) -> f32 {
        model
            .card()
            .impostor_tail
            .last()
            .map_or(1.0, |point| point.threshold)
    }

    /// The target FPIR, where there is one.
    pub fn fpir(self) -> Option<f64> {
        match self {
            Threshold::Fixed(_) => None,
            Threshold::Fpir(fpir) => Some(fpir),
        }
    }
}
