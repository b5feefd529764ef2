//! Says yes, no or "unknown": an open-set decision from distances and a threshold, and the threshold
//! that keeps strangers out of a gallery of a given size. Knows nothing of pictures or files.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::gallery::Nearest;
use crate::gallery::head::{Head, Limit, logit};

/// The answer of an identification (1:N, open set).
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The probe is of this class.
    Match {
        /// The class.
        name: Arc<str>,
        /// p of the best class, at least the threshold.
        p: f32,
        /// p of the next class, where there is one.
        runner_up: Option<f32>,
    },
    /// The probe is of no enrolled class, of two at once, or known not to be of the nearest.
    Unknown {
        /// The nearest class and its p, where any is enrolled.
        best: Option<(Arc<str>, f32)>,
        /// p of the next class, where there is one.
        runner_up: Option<f32>,
    },
}

/// Identifies: the best class where it is within `limit`. A tie is broken against us: two classes
/// at the same distance are "unknown", and so is what is as near to something that the class is not.
pub fn identify(nearest: Option<Nearest>, head: &Head, limit: Limit) -> Decision {
    let Some(nearest) = nearest else {
        return Decision::Unknown {
            best: None,
            runner_up: None,
        };
    };
    let p = head.probability(nearest.best.distance);
    let runner_up = nearest.runner_up.map(|c| head.probability(c.distance));
    let name = Arc::clone(nearest.best.name);
    if limit.accepts(nearest.best.distance) && !nearest.is_tie() && !nearest.is_rejected {
        Decision::Match { name, p, runner_up }
    } else {
        Decision::Unknown {
            best: Some((name, p)),
            runner_up,
        }
    }
}

/// A point of the upper tail of impostor scores: how often two pictures of different classes reach
/// a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailPoint {
    /// A pair is accepted where p >= this, above 0 and below 1.
    pub threshold: f32,
    /// False match rate: share of validation's impostor pairs accepted, 0 to 1.
    pub fmr: f64,
    /// What the false match rate stays under for 97.5 % of resamples of the classes, 0 to 1.
    pub fmr_upper: f64,
}

/// Why there is no threshold for a target FPIR.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FpirError {
    /// The model carries no tail.
    #[error(
        "the model was validated on too few pairs to promise any FPIR; use --point, or export it \
         with more validation classes"
    )]
    NoEvidence,
    /// The tail ends before the rate that is needed.
    #[error(
        "FPIR {fpir} over {comparisons:.1} comparisons needs an FMR of {needed:.1e}, and the model's \
         validation pairs carry no less than {carried:.1e}: ask for an FPIR of at least {least:.1e}; \
         {fpir} is carried for at most {most} classes"
    )]
    OutOfReach {
        /// The FPIR that was asked for.
        fpir: f64,
        /// What a search of the gallery counts as, see [`crate::gallery::Gallery::comparisons`].
        comparisons: f64,
        /// The FMR that it needs.
        needed: f64,
        /// The lowest FMR that the tail carries.
        carried: f64,
        /// The lowest FPIR that it carries over this number of comparisons.
        least: f64,
        /// The most classes of one template for which it carries the FPIR that was asked for.
        most: usize,
    },
}

/// False positive identification rate: the chance that a probe of no enrolled class is taken for
/// one, where each of `comparisons` accepts it by itself with the chance `fmr`:
/// 1 - (1 - fmr)^comparisons (ISO/IEC 19795-1, comparisons taken as independent).
pub fn fpir(fmr: f64, comparisons: f64) -> f64 {
    -(comparisons * (-fmr).ln_1p()).exp_m1()
}

/// The threshold on p at which a stranger is taken for an enrolled class at the rate `fpir` (above 0,
/// below 1) or less often, in a gallery whose search counts as this number of `comparisons`; an
/// empty gallery counts as one, that of its first template.
///
/// Inverts [`fpir()`] with the upper bounds of `tail`, whose thresholds rise and whose bounds fall;
/// between two points logit(p) is linear in ln(FMR). A rate above the tail gets its first threshold.
///
/// # Errors
/// Where the tail cannot carry so low a rate in so large a gallery; it says what it can.
pub fn threshold_for_fpir(
    tail: &[TailPoint],
    fpir: f64,
    comparisons: f64,
) -> Result<f32, FpirError> {
    let (Some(first), Some(last)) = (tail.first(), tail.last()) else {
        return Err(FpirError::NoEvidence);
    };
    let comparisons = comparisons.max(1.0);
    let needed = -((-fpir).ln_1p() / comparisons).exp_m1();
    if needed >= first.fmr_upper {
        return Ok(first.threshold);
    }
    let Some(at) = tail.iter().position(|point| point.fmr_upper <= needed) else {
        let carried = last.fmr_upper;
        return Err(FpirError::OutOfReach {
            fpir,
            comparisons,
            needed,
            carried,
            least: self::fpir(carried, comparisons),
            most: ((-fpir).ln_1p() / (-carried).ln_1p()) as usize,
        });
    };
    let (loose, strict) = (&tail[at - 1], &tail[at]);
    let logit = |point: &TailPoint| logit(f64::from(point.threshold));
    let share = (loose.fmr_upper / needed).ln() / (loose.fmr_upper / strict.fmr_upper).ln();
    let between = logit(loose) + share * (logit(strict) - logit(loose));
    Ok((1.0 / (1.0 + (-between).exp())) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::Gallery;

    /// Thresholds 1/2, 9/10 and 99/100 (logits 0, ln 9, ln 99) at bounds of 0.1, 0.01 and 0.0001.
    fn tail() -> Vec<TailPoint> {
        let point = |(threshold, fmr_upper)| TailPoint {
            threshold,
            fmr: fmr_upper / 2.0,
            fmr_upper,
        };
        [(0.5, 0.1), (0.9, 0.01), (0.99, 0.0001)]
            .map(point)
            .to_vec()
    }

    #[test]
    fn the_chances_of_all_comparisons_together_make_the_fpir() {
        assert_eq!(fpir(0.1, 0.0), 0.0);
        assert!((fpir(0.1, 1.0) - 0.1).abs() < 1e-15);
        // 1 - 0.9^3
        assert!((fpir(0.1, 3.0) - 0.271).abs() < 1e-15);
        // Too small for 1 - x to tell: 1e-18 a thousand times.
        assert!((fpir(1e-18, 1000.0) - 1e-15).abs() < 1e-20);
    }

    #[test]
    fn a_target_fpir_becomes_the_threshold_of_the_fmr_that_it_needs() {
        let at = |fpir, comparisons| threshold_for_fpir(&tail(), fpir, comparisons).unwrap();
        assert!((at(0.01, 1.0) - 0.9).abs() < 1e-6);
        assert!((at(0.01, 0.0) - 0.9).abs() < 1e-6);
        // 1 - 0.99^2 over two comparisons is 0.01 for each.
        assert!((at(0.0199, 2.0) - 0.9).abs() < 1e-6);
        // Half way in ln(FMR) from 0.01 to 0.0001: half way in logit, odds sqrt(9 * 99) = 29.85.
        assert!((at(0.001, 1.0) - 29.8496 / 30.8496).abs() < 1e-6);
        // The tail begins at 0.1: looser is not known.
        assert_eq!(at(0.5, 1.0), 0.5);
    }

    #[test]
    fn the_threshold_rises_with_every_enrollment() {
        let (mut gallery, mut before) = (Gallery::default(), 0.0);
        for enrolled in 0..100 {
            // A new class, then a second template for it.
            gallery.enroll(&(enrolled / 2).to_string(), vec![0.0]);
            let now = threshold_for_fpir(&tail(), 0.05, gallery.comparisons()).unwrap();
            assert!(now > before, "template {enrolled}: {now}, before {before}");
            before = now;
        }
    }

    #[test]
    fn what_the_tail_cannot_carry_is_refused_with_what_it_can() {
        let error = threshold_for_fpir(&tail(), 0.001, 50.0).unwrap_err();
        let FpirError::OutOfReach { least, most, .. } = error else {
            panic!("{error}")
        };
        // 1 - 0.9999^50 = 0.004988; ten templates of 0.0001 make 0.0009995, eleven are too many.
        assert!((least - 0.004_987_8).abs() < 1e-6, "{least}");
        assert_eq!(most, 10);
        assert!(threshold_for_fpir(&tail(), least * 1.001, 50.0).is_ok());
        assert!(threshold_for_fpir(&tail(), 0.001, most as f64).is_ok());
        assert_eq!(
            threshold_for_fpir(&[], 0.1, 1.0),
            Err(FpirError::NoEvidence)
        );
    }

    fn decide(templates: &[(&str, f32)], threshold: f32) -> Decision {
        let head = Head {
            alpha: vec![1.0],
            bias: 2.0,
        };
        let mut gallery = Gallery::default();
        for (name, x) in templates {
            gallery.enroll(name, vec![*x]);
        }
        identify(gallery.nearest(&[0.0], &head), &head, head.limit(threshold))
    }

    #[test]
    fn the_best_class_is_named_on_and_above_the_threshold() {
        let expected = Decision::Match {
            name: "a".into(),
            p: 0.5,
            runner_up: None,
        };
        assert_eq!(decide(&[("a", 2.0)], 0.5), expected);
    }

    #[test]
    fn below_the_threshold_the_answer_is_unknown() {
        let expected = Decision::Unknown {
            best: Some(("a".into(), 0.5)),
            runner_up: None,
        };
        assert_eq!(decide(&[("a", 2.0)], 0.500_001), expected);
    }

    #[test]
    fn two_classes_at_one_distance_are_unknown_however_near() {
        let decision = decide(&[("a", 0.0), ("b", 0.0)], 0.1);
        assert!(matches!(decision, Decision::Unknown { best: Some(_), .. }));
    }

    #[test]
    fn an_empty_gallery_answers_unknown() {
        let nobody = Decision::Unknown {
            best: None,
            runner_up: None,
        };
        assert_eq!(decide(&[], 0.0), nobody);
    }
}
