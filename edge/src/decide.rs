//! Says yes, no or "unknown": an open-set decision from distances and a threshold.
//! Knows nothing of pictures or files.

use crate::gallery::Nearest;
use crate::head::Head;

/// The answer of an identification (1:N, open set).
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The probe is of this class.
    Match {
        /// The class.
        name: String,
        /// p of the best class, at least the threshold.
        p: f32,
        /// p of the next class, where there is one.
        runner_up: Option<f32>,
    },
    /// The probe is of no enrolled class, or of two at once.
    Unknown {
        /// The nearest class and its p, where any is enrolled.
        best: Option<(String, f32)>,
        /// p of the next class, where there is one.
        runner_up: Option<f32>,
    },
}

/// Identifies: the best class where its p >= `threshold`. A tie is broken against us: two classes
/// at the same distance are "unknown".
pub fn identify(nearest: Option<Nearest>, head: &Head, threshold: f32) -> Decision {
    let Some(nearest) = nearest else {
        return Decision::Unknown {
            best: None,
            runner_up: None,
        };
    };
    let p = head.probability(nearest.best.distance);
    let runner_up = nearest.runner_up.map(|c| head.probability(c.distance));
    let name = nearest.best.name.to_owned();
    if p >= threshold && !nearest.is_tie() {
        Decision::Match { name, p, runner_up }
    } else {
        Decision::Unknown {
            best: Some((name, p)),
            runner_up,
        }
    }
}

/// Verifies (1:1): a score on the threshold is accepted.
pub fn accepts(p: f32, threshold: f32) -> bool {
    p >= threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::Gallery;

    fn decide(templates: &[(&str, f32)], threshold: f32) -> Decision {
        let head = Head {
            alpha: vec![1.0],
            bias: 2.0,
        };
        let mut gallery = Gallery::default();
        for (name, x) in templates {
            gallery.enroll(name, vec![*x]);
        }
        identify(gallery.nearest(&[0.0], &head), &head, threshold)
    }

    #[test]
    fn the_best_class_is_named_on_and_above_the_threshold() {
        let expected = Decision::Match {
            name: "a".to_owned(),
            p: 0.5,
            runner_up: None,
        };
        assert_eq!(decide(&[("a", 2.0)], 0.5), expected);
    }

    #[test]
    fn below_the_threshold_the_answer_is_unknown() {
        let expected = Decision::Unknown {
            best: Some(("a".to_owned(), 0.5)),
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
