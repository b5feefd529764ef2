//! Makes p a probability: Platt scaling (Platt 1999) of the trained logit b - sum alpha |x - y|,
//! fitted on validation pairs with genuine and impostor pairs weighing a half each, and folded into
//! the head, so that the device needs nothing more. How far p is from the share of genuine pairs is
//! measured on pairs of classes that the fit did not see. Plain numbers: knows no models or data.

use onelook_edge::gallery::head::Head;
use onelook_edge::model::{Calibration, ReliabilityBin};

use crate::measure::points::{Pair, Pairs};

/// Bins of equal width in p.
pub const BINS: usize = 15;
/// Steps of Newton's method, at most; a dozen do.
const STEPS: usize = 100;

/// logit(p) = scale * trained logit + offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platt {
    /// Above 0, so that order is kept.
    pub scale: f64,
    /// Added to the logit.
    pub offset: f64,
}

impl Platt {
    /// Leaves p as it is.
    pub const IDENTITY: Self = Self {
        scale: 1.0,
        offset: 0.0,
    };

    /// The head whose p is calibrated.
    pub fn fold(self, head: &Head) -> Head {
        let alpha = head.alpha.iter();
        Head {
            alpha: alpha.map(|a| (f64::from(*a) * self.scale) as f32).collect(),
            bias: (f64::from(head.bias) * self.scale + self.offset) as f32,
        }
    }
}

/// Fits `Platt` to logits of genuine and of impostor pairs, each kind weighing a half.
///
/// Newton's method with halved steps on the cross entropy (Lin, Lin and Weng 2007), towards Platt's
/// targets, which are just short of 0 and 1, so that scores without overlap have a finite fit. Where
/// there is nothing to fit (a kind is missing, all logits are equal, order would turn) it is
/// [`Platt::IDENTITY`].
pub fn fit(genuine: &[f64], impostor: &[f64]) -> Platt {
    if genuine.is_empty() || impostor.is_empty() {
        return Platt::IDENTITY;
    }
    let (positive, negative) = (genuine.len() as f64, impostor.len() as f64);
    let kinds = [
        (genuine, (positive + 1.0) / (positive + 2.0), 0.5 / positive),
        (impostor, 1.0 / (negative + 2.0), 0.5 / negative),
    ];
    let loss = |fit: Platt| -> f64 {
        let of_kind = |&(logits, target, weight): &(&[f64], f64, f64)| {
            let each = logits.iter().map(|logit| {
                let z = fit.scale * logit + fit.offset;
                // ln(1 + e^z) - target z, without overflow.
                z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
            });
            weight * each.sum::<f64>()
        };
        kinds.iter().map(of_kind).sum()
    };
    let mut fit = Platt::IDENTITY;
    let mut least = loss(fit);
    for _ in 0..STEPS {
        let (mut slope, mut curve) = ([0.0; 2], [0.0; 3]);
        for (logits, target, weight) in kinds {
            for logit in logits {
                let p = 1.0 / (1.0 + (-(fit.scale * logit + fit.offset)).exp());
                let (first, second) = (weight * (p - target), weight * p * (1.0 - p));
                slope = [slope[0] + first * logit, slope[1] + first];
                curve = [
                    curve[0] + second * logit * logit,
                    curve[1] + second * logit,
                    curve[2] + second,
                ];
            }
        }
        // A ridge too small to be seen keeps the determinant above 0.
        let [aa, ab, bb] = [curve[0] + 1e-12, curve[1], curve[2] + 1e-12];
        let determinant = aa * bb - ab * ab;
        let step = [
            (bb * slope[0] - ab * slope[1]) / determinant,
            (aa * slope[1] - ab * slope[0]) / determinant,
        ];
        let downhill = step[0] * slope[0] + step[1] * slope[1];
        let halved = (0..40).map(|halvings| 0.5f64.powi(halvings));
        let better = halved
            .map(|share| {
                let next = Platt {
                    scale: fit.scale - share * step[0],
                    offset: fit.offset - share * step[1],
                };
                (next, loss(next), share)
            })
            .find(|(_, found, share)| *found <= least - 1e-4 * share * downhill);
        let Some((next, found, _)) = better else {
            break;
        };
        let gained = least - found;
        (fit, least) = (next, found);
        if gained < 1e-13 {
            break;
        }
    }
    let sound = fit.scale > 0.0 && fit.scale.is_finite() && fit.offset.is_finite();
    if sound { fit } else { Platt::IDENTITY }
}

/// Groups pairs by p into [`BINS`] of equal width, genuine and impostor pairs weighing a half each;
/// bins without pairs are left out. Of (p, whether genuine).
pub fn reliability(scores: &[(f64, bool)]) -> Vec<ReliabilityBin> {
    let genuine = scores.iter().filter(|(_, genuine)| *genuine).count();
    // Of no pairs of a kind there is no weight, and it is not asked for.
    let weight = |is_genuine: bool| match is_genuine {
        true => 0.5 / genuine as f64,
        false => 0.5 / (scores.len() - genuine) as f64,
    };
    let mut sums = [[0.0; 3]; BINS];
    for &(p, is_genuine) in scores {
        let bin = &mut sums[((p * BINS as f64) as usize).min(BINS - 1)];
        let weight = weight(is_genuine);
        bin[0] += weight;
        bin[1] += weight * p;
        bin[2] += weight * f64::from(u8::from(is_genuine));
    }
    let filled = sums.iter().filter(|[share, ..]| *share > 0.0);
    filled
        .map(|&[share, p, genuine]| ReliabilityBin {
            share,
            p: p / share,
            genuine: genuine / share,
        })
        .collect()
}

/// Expected calibration error: the mean over all pairs of how far the p of their bin is from its
/// share of genuine pairs (Naeini, Cooper and Hauskrecht 2015), 0 to 1.
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> f64 {
    bins.iter()
        .map(|bin| bin.share * (bin.p - bin.genuine).abs())
        .sum()
}

/// Calibrates `head` on all `pairs`, and measures it crosswise: a pair is judged by a fit to the
/// pairs that touch no class of the part that its first class is in. `part_of` says which part of
/// the data each class is in: its group, where there are several.
pub fn calibrate(pairs: &Pairs, head: &Head, part_of: &[usize]) -> (Head, Calibration) {
    let pairs = &pairs.list;
    let logit = |pair: &Pair| f64::from(head.bias) - f64::from(pair.distance);
    let fit_to = |used: &dyn Fn(&Pair) -> bool| {
        let of_kind = |genuine: bool| -> Vec<f64> {
            let kind = pairs.iter().filter(|pair| pair.is_genuine() == genuine);
            kind.filter(|pair| used(pair)).map(logit).collect()
        };
        fit(&of_kind(true), &of_kind(false))
    };
    let parts_of = |pair: &Pair| pair.classes.map(|class| part_of[class as usize]);
    let parts = part_of.iter().max().map_or(0, |last| last + 1);
    let fits: Vec<Platt> = (0..parts)
        .map(|part| fit_to(&|pair| !parts_of(pair).contains(&part)))
        .collect();
    let score = |fit: Platt, pair: &Pair| {
        let p = 1.0 / (1.0 + (-(fit.scale * logit(pair) + fit.offset)).exp());
        (p, pair.is_genuine())
    };
    let before: Vec<_> = pairs.iter().map(|p| score(Platt::IDENTITY, p)).collect();
    let after: Vec<_> = pairs
        .iter()
        .map(|pair| score(fits[parts_of(pair)[0]], pair))
        .collect();
    let within = (0..parts).map(|part| {
        let judged = pairs.iter().zip(&after);
        let inside = judged.filter(|(pair, _)| parts_of(pair) == [part, part]);
        let scores: Vec<_> = inside.map(|(_, score)| *score).collect();
        expected_calibration_error(&reliability(&scores))
    });
    let ece_worst_part = within.fold(0.0, f64::max);
    let bins = reliability(&after);
    let fit = fit_to(&|_| true);
    let calibration = Calibration {
        scale: fit.scale,
        offset: fit.offset,
        protocol: format!(
            "validation pairs, genuine and impostor at equal odds, {BINS} bins, fitted on all but \
             one of {parts} parts and measured on that"
        ),
        ece_before: expected_calibration_error(&reliability(&before)),
        ece: expected_calibration_error(&bins),
        ece_worst_part,
        reliability: bins,
    };
    (fit.fold(head), calibration)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits whose odds, genuine to impostor, are those of Platt(scale, offset) at each point of a
    /// grid, as counts.
    fn drawn(scale: f64, offset: f64) -> (Vec<f64>, Vec<f64>) {
        let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
        for i in -30..=30 {
            let logit = f64::from(i) / 10.0;
            let p = 1.0 / (1.0 + (-(scale * logit + offset)).exp());
            let count = (10_000.0 * p).round() as usize;
            genuine.extend(std::iter::repeat_n(logit, count));
            impostor.extend(std::iter::repeat_n(logit, 10_000 - count));
        }
        (genuine, impostor)
    }

    #[test]
    fn the_fit_finds_the_scale_and_offset_that_drew_the_scores() {
        // Symmetric about 0, so both kinds are equally many and weigh what they count.
        let (genuine, impostor) = drawn(2.0, 0.0);
        let found = fit(&genuine, &impostor);
        assert!((found.scale - 2.0).abs() < 2e-3, "{found:?}");
        assert!(found.offset.abs() < 1e-3, "{found:?}");
        // Of unequal numbers the weights take the prior odds out of the offset.
        let (genuine, impostor) = drawn(0.5, 1.0);
        let prior = (genuine.len() as f64 / impostor.len() as f64).ln();
        let found = fit(&genuine, &impostor);
        assert!((found.scale - 0.5).abs() < 2e-3, "{found:?}");
        assert!((found.offset - (1.0 - prior)).abs() < 2e-3, "{found:?}");
        // Shifted logits shift the offset alone.
        let shifted = |logits: &[f64]| -> Vec<f64> { logits.iter().map(|l| l + 7.0).collect() };
        let moved = fit(&shifted(&genuine), &shifted(&impostor));
        assert!((moved.scale - found.scale).abs() < 1e-5, "{moved:?}");
        assert!((moved.offset - (found.offset - 7.0 * found.scale)).abs() < 1e-4);
    }

    #[test]
    fn scores_that_cannot_be_fitted_leave_the_head_or_stay_finite() {
        assert_eq!(fit(&[], &[1.0]), Platt::IDENTITY);
        assert_eq!(fit(&[1.0], &[]), Platt::IDENTITY);
        // Order would turn.
        assert_eq!(fit(&[-1.0, -2.0, 0.5], &[1.0, 2.0, -0.5]), Platt::IDENTITY);
        for (genuine, impostor) in [
            (vec![1.0, 2.0], vec![-1.0, -2.0]),
            (vec![3.0; 5], vec![3.0; 9]),
            (vec![1e6, 2e6], vec![-1e6]),
            (vec![f64::NAN], vec![0.0]),
        ] {
            let found = fit(&genuine, &impostor);
            assert!(found.scale > 0.0 && found.scale.is_finite(), "{found:?}");
            assert!(found.offset.is_finite(), "{found:?}");
        }
    }

    #[test]
    fn the_folded_head_gives_the_calibrated_p() {
        let head = Head {
            alpha: vec![1.0, 0.5],
            bias: 3.0,
        };
        let platt = Platt {
            scale: 2.0,
            offset: -1.0,
        };
        let folded = platt.fold(&head);
        assert_eq!((folded.alpha, folded.bias), (vec![2.0, 1.0], 5.0));
    }

    #[test]
    fn the_calibration_error_by_hand() {
        // Two genuine pairs weigh 1/4 each, four impostors 1/8 each. Bins of 1/15:
        // p 0.9 (bin 13): one genuine, one impostor: share 3/8, genuine 2/3, error 0.9 - 2/3;
        // p 0.01 (bin 0): three impostors: share 3/8, error 0.01;
        // p 1 (the last bin): one genuine: share 1/4, error 0.
        let scores = [
            (0.9, true),
            (0.9, false),
            (0.01, false),
            (0.01, false),
            (0.01, false),
            (1.0, true),
        ];
        let bins = reliability(&scores);
        assert_eq!(bins.len(), 3);
        assert!((bins[1].share - 0.375).abs() < 1e-12);
        assert!((bins[1].genuine - 2.0 / 3.0).abs() < 1e-12);
        let expected = 0.375 * (0.9 - 2.0 / 3.0) + 0.375 * 0.01;
        assert!((expected_calibration_error(&bins) - expected).abs() < 1e-12);
    }
}
