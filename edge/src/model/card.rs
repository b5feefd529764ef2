//! The card of a model file: what it says of itself, and what in it can be. Knows numbers and words: nothing of
//! networks.

use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ModelError, file};
use crate::gallery::decide::TailPoint;
use crate::gallery::head::Head;
use crate::vision::preprocess::InputSpec;

/// The card's version; another one is refused.
pub const FORMAT: u32 = 2;

const MAX_DIMS: usize = 1 << 16;

/// What a model file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// [`FORMAT`].
    pub format: u32,
    /// What people call it.
    pub name: String,
    /// The arithmetic of the network.
    pub precision: Precision,
    /// How a picture becomes input.
    pub input: InputSpec,
    /// How two embeddings are compared; calibrated.
    pub head: Head,
    /// How the head was calibrated, and how well.
    pub calibration: Calibration,
    /// Thresholds on p with the error rates that were measured at them, on validation data.
    pub operating_points: Vec<OperatingPoint>,
    /// The name of the operating point that is used where none is asked for.
    pub default_point: String,
    /// The upper tail of impostor scores on validation data, thresholds rising: what turns a
    /// target FPIR into a threshold. Empty where validation had too few pairs.
    pub impostor_tail: Vec<TailPoint>,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// What this very file scored.
    pub scores: Vec<Score>,
}

impl Card {
    /// The card in the bytes of a model file, whose network is neither checked nor planned.
    ///
    /// # Errors
    /// `NotOnnx`, `Foreign`, `OtherFormat` and `Damaged`, of a file of that name.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, ModelError> {
        let (file, _) = file::read_file(&Bytes::copy_from_slice(bytes), name)?;
        file::read_card(file::card_text(&file, name)?, name)
    }

    /// Whether its numbers can be.
    pub(super) fn check(&self) -> Result<(), CardError> {
        let input = self.input.check();
        input.map_err(|reason| CardError::Input(reason.to_string()))?;
        let Head { alpha, bias } = &self.head;
        if alpha.is_empty() || alpha.len() > MAX_DIMS {
            return Err(CardError::Dims(alpha.len()));
        }
        if !bias.is_finite() || !alpha.iter().all(|a| a.is_finite()) {
            return Err(CardError::HeadNotFinite);
        }
        let Calibration { scale, offset, .. } = self.calibration;
        if !(scale > 0.0 && scale.is_finite() && offset.is_finite()) {
            return Err(CardError::Calibration { scale, offset });
        }
        let points = &self.operating_points;
        if let Some(point) = points.iter().find(|p| {
            !(0.0..=1.0).contains(&p.threshold) || !p.fmr.is_finite() || !p.fnmr.is_finite()
        }) {
            return Err(CardError::NoRate(point.name.clone()));
        }
        if points.iter().all(|point| point.name != self.default_point) {
            return Err(CardError::NoDefaultPoint(self.default_point.clone()));
        }
        let open = |value: f64| value > 0.0 && value < 1.0;
        let tail = &self.impostor_tail;
        let rises = tail
            .windows(2)
            .all(|two| two[0].threshold < two[1].threshold && two[0].fmr_upper > two[1].fmr_upper);
        let inside = |point: &TailPoint| open(point.threshold.into()) && open(point.fmr_upper);
        if !rises || !tail.iter().all(inside) {
            return Err(CardError::Tail);
        }
        Ok(())
    }
}

/// The arithmetic of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// 8-bit weights and activations.
    Int8,
}

/// How p became a probability: logit(p) = scale * trained logit + offset (Platt 1999), folded into
/// the head. Genuine and impostor pairs count alike, so p is right where both are equally likely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Factor of the trained logit, above 0; 1 where it was left alone.
    pub scale: f64,
    /// What was added; 0 where it was left alone.
    pub offset: f64,
    /// How the errors below were measured.
    pub protocol: String,
    /// Expected calibration error of the trained head, 0 to 1.
    pub ece_before: f64,
    /// Expected calibration error of the calibrated head, 0 to 1.
    pub ece: f64,
    /// The same for pairs within one part (group) alone, of the part where it is highest.
    pub ece_worst_part: f64,
    /// The calibrated head, from low p to high.
    pub reliability: Vec<ReliabilityBin>,
}

/// Pairs of about the same p.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityBin {
    /// Share of all pairs, genuine and impostor ones weighing a half each, 0 to 1.
    pub share: f64,
    /// Mean p of its pairs.
    pub p: f64,
    /// Share of its pairs that is genuine, 0 to 1: equal to p where p is calibrated.
    pub genuine: f64,
}

/// A threshold and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// `eer`, `fmr_1e-2`, `fmr_1e-3` or `fmr_1e-4`.
    pub name: String,
    /// A pair is accepted where p >= this, 0 to 1.
    pub threshold: f32,
    /// Share of impostor pairs accepted, 0 to 1.
    pub fmr: f64,
    /// Its 95 % interval over resampled classes: [low, high].
    pub fmr_ci95: [f64; 2],
    /// Share of genuine pairs rejected, 0 to 1.
    pub fnmr: f64,
    /// Its 95 % interval over resampled classes: [low, high].
    pub fnmr_ci95: [f64; 2],
    /// Genuine pairs measured.
    pub genuine_pairs: u64,
    /// Impostor pairs measured.
    pub impostor_pairs: u64,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Program and version.
    pub program: String,
    /// What computed.
    pub device: String,
    /// The recipe's name.
    pub recipe: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The epoch whose weights these are, and how many there were.
    pub epoch: [u64; 2],
    /// The data's name.
    pub data: String,
    /// SHA-256 over names and samples of the pictures that trained and validated.
    pub data_sha256: String,
    /// Classes and pictures that trained.
    pub trained_on: [u64; 2],
    /// Groups (of flat data: classes) that only validated.
    pub validation: Vec<String>,
    /// Licence of the weights.
    pub licence: String,
}

/// A result of the file that it stands in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// How it was measured.
    pub protocol: String,
    /// Right answers.
    pub correct: u64,
    /// Of how many.
    pub trials: u64,
}

/// Why a card cannot be read, or is not written.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// It is not the JSON of a card.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// In words, what is wrong with the input.
    #[error("{0}")]
    Input(String),
    /// The head has no numbers, or too many.
    #[error("a head of {0} numbers")]
    Dims(usize),
    /// A number of the head is not finite.
    #[error("the head is not finite")]
    HeadNotFinite,
    /// The scale is not above 0, or one of both is not finite.
    #[error("calibrated by {scale} and {offset}")]
    Calibration {
        /// The factor of the trained logit.
        scale: f64,
        /// What was added.
        offset: f64,
    },
    /// The threshold or a rate of the operating point of this name is none.
    #[error("operating point {0:?} is no rate")]
    NoRate(String),
    /// There is no operating point of the default one's name.
    #[error("no operating point {0:?}")]
    NoDefaultPoint(String),
    /// Thresholds must rise, rates fall, and all lie between 0 and 1.
    #[error("the tail of impostor scores does not fall")]
    Tail,
}
