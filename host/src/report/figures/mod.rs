//! Measures what the report says: every figure comes from one embedding of the held-out pictures
//! and the distances between all of them. Knows nothing of pages or charts, and of training nothing.
//!
//! # Intervals
//! Pairs and trials that share a class are not independent, so 95 % intervals are percentiles over
//! seeded redraws of the classes, with replacement (Bolle, Ratha and Pankanti 2004, the subsets
//! bootstrap; pairs of two classes weigh the product of their counts, Snijders and Borgatti 1999).
//! The interval of a share is the wider of that and Wilson's, for no error in a few classes is no
//! proof; and there no more trials count than pictures that can be looked for, however often a
//! random trial took them (for strangers: than pictures times the classes that they may be taken for).

mod hardest;
mod held;
mod identification;
mod intervals;
mod open_set;
mod reliability;
mod verification;

#[cfg(test)]
mod tests;

pub(super) use hardest::example_of;
pub(super) use held::{HeldOutSet, shorten};
use serde::Serialize;

/// Random trials behind each accuracy, as in `onelook eval`.
const TRIALS: usize = 10_000;

/// A share of something that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Share {
    pub(crate) count: u64,
    pub(crate) of: u64,
    /// count / of; 0 of none.
    pub(crate) share: f64,
    /// 95 % interval; see the module.
    pub(crate) ci95: [f64; 2],
}

/// One-shot or few-shot accuracy of random trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct TrialAccuracy {
    pub(crate) ways: usize,
    /// Pictures enrolled of each.
    pub(crate) shots: usize,
    /// Whether the classes of a trial come from one group.
    pub(crate) within_group: bool,
    /// Groups that have enough classes.
    pub(crate) groups: usize,
    /// Answered right; a tie is wrong.
    pub(crate) right: Share,
}

/// Accuracy within one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct GroupAccuracy {
    pub(crate) name: String,
    pub(crate) classes: usize,
    pub(crate) right: Share,
}

/// Which class is it? One answer is always given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct IdentificationFigures {
    /// The accuracy that heads the page: 20 ways (or what there is), one shot, within groups
    /// where there are several.
    pub(crate) headline: TrialAccuracy,
    /// By group, in the trials of the headline; empty where there is one group.
    pub(crate) groups: Vec<GroupAccuracy>,
    /// One shot, by ways.
    pub(crate) ways: Vec<TrialAccuracy>,
    /// The headline's ways, by shots.
    pub(crate) shots: Vec<TrialAccuracy>,
}

/// Error rates at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct DetPoint {
    /// Accepted where p is at least this.
    pub(crate) threshold: f32,
    pub(crate) fmr: f64,
    pub(crate) fnmr: f64,
}

/// The 95 % interval of the FNMR where the threshold is set for a FMR.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct BandPoint {
    pub(crate) fmr: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Detection error trade-off (Martin et al. 1997).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Det {
    pub(crate) genuine_pairs: u64,
    pub(crate) impostor_pairs: u64,
    /// Equal error rate, its threshold and its interval.
    pub(crate) eer: f64,
    pub(crate) eer_threshold: f32,
    /// Absent of fewer than three classes.
    pub(crate) eer_ci95: Option<[f64; 2]>,
    /// By rising threshold.
    pub(crate) points: Vec<DetPoint>,
    /// By falling FMR; empty of fewer than three classes.
    pub(crate) band: Vec<BandPoint>,
}

/// An operating point of the card, measured on these pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PointRates {
    pub(crate) name: String,
    /// Whether the device takes it where none is asked for.
    pub(crate) is_default: bool,
    /// Accepted where p is at least this.
    pub(crate) threshold: f32,
    /// False match rate of any two classes.
    pub(crate) fmr: f64,
    pub(crate) fmr_ci95: Option<[f64; 2]>,
    /// False match rate of two classes of one group; absent of one group.
    pub(crate) fmr_within_group: Option<f64>,
    pub(crate) fnmr: f64,
    pub(crate) fnmr_ci95: Option<[f64; 2]>,
    /// What the card says of it: FMR, FNMR.
    pub(crate) card: [f64; 2],
}

/// A bar of two histograms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Bar {
    /// Log-odds ln(p / (1 - p)) at the left edge.
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) genuine: u64,
    pub(crate) impostor: u64,
}

/// A bin of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Bin {
    /// p at the lower edge, which belongs to it.
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) genuine: u64,
    pub(crate) impostor: u64,
    /// Mean p, genuine and impostor weighing equally in all; absent where it is empty.
    pub(crate) mean_p: Option<f64>,
    /// Weighted share that is genuine; absent where it is empty.
    pub(crate) observed: Option<f64>,
    /// Its interval; absent where it is empty or of fewer than three classes.
    pub(crate) observed_ci95: Option<[f64; 2]>,
}

/// Whether p means what it says, where genuine and impostor are equally likely beforehand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Reliability {
    /// Expected calibration error: mean |mean p - observed| over the bins, by weight.
    pub(crate) ece: f64,
    /// Ten bins of equal width.
    pub(crate) bins: Vec<Bin>,
}

/// Same class, or not?
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct VerificationFigures {
    /// Impostors of any two classes.
    pub(crate) any: Det,
    /// Impostors of one group; absent of one group.
    pub(crate) within_group: Option<Det>,
    pub(crate) points: Vec<PointRates>,
    pub(crate) histogram: Vec<Bar>,
    pub(crate) reliability: Reliability,
}

/// Open-set identification at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OpenSetRates {
    pub(crate) name: String,
    pub(crate) threshold: f32,
    /// False positive identification rate: strangers for whom any class is named.
    pub(crate) fpir: Share,
    /// False negative identification rate: enrolled ones who are rejected or named wrongly.
    pub(crate) fnir: Share,
}

/// Open-set identification in galleries of one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OpenSetFigures {
    /// Enrolled classes, one picture each.
    pub(crate) gallery: usize,
    /// At each of the card's thresholds.
    pub(crate) rates: Vec<OpenSetRates>,
}

/// A picture to show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Example {
    pub(crate) group: String,
    pub(crate) class: String,
    pub(crate) source: String,
    /// The part of the picture that is looked at, as a PNG file.
    #[serde(skip)]
    pub(crate) picture: Vec<u8>,
    /// What the network sees, as a PNG file; dark ink on white where ink is 1.
    #[serde(skip)]
    pub(crate) patch: Vec<u8>,
}

/// A pair on the wrong side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HardPair {
    pub(crate) p: f32,
    pub(crate) a: Example,
    pub(crate) b: Example,
}

/// Two classes that are taken for one another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Confusion {
    pub(crate) a: Vec<Example>,
    pub(crate) b: Vec<Example>,
    /// Pictures of the one that were named as the other.
    pub(crate) a_as_b: u64,
    pub(crate) a_probes: u64,
    pub(crate) b_as_a: u64,
    pub(crate) b_probes: u64,
}

/// Where it goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Hardest {
    /// Two classes that look alike to it, the highest p first; one pair for each two classes.
    pub(crate) false_matches: Vec<HardPair>,
    /// One class that does not look alike to it, the lowest p first; one pair for each class.
    pub(crate) false_non_matches: Vec<HardPair>,
    /// The most confused classes where all are enrolled, one picture each.
    pub(crate) confusions: Vec<Confusion>,
    pub(crate) confusion_galleries: usize,
}
