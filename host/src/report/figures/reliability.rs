//! Whether p means what it says: the share of pairs of each p that is genuine.

use super::intervals::percentiles;
use super::verification::Rates;
use super::{Bin, Reliability};
use crate::measure::eval::PairScores;

/// Bins of p in the reliability diagram.
pub(super) const BINS: usize = 10;

pub(super) fn reliability(scores: &PairScores, grid: &[f32], redrawn: &[Rates]) -> Reliability {
    let place = |p: f32| {
        let edges = (1..BINS).map(|edge| edge as f32 / BINS as f32);
        edges.take_while(|edge| p >= *edge).count()
    };
    let weight = |scores: &[f32]| 1.0 / (2 * scores.len()).max(1) as f64;
    let weights = [weight(&scores.genuine), weight(&scores.impostor)];
    let mut counts = [[0u64; 2]; BINS];
    let mut sums = [0.0f64; BINS];
    for (kind, scores) in [&scores.genuine, &scores.impostor].into_iter().enumerate() {
        for &p in scores {
            counts[place(p)][kind] += 1;
            sums[place(p)] += weights[kind] * f64::from(p);
        }
    }
    let mut ece = 0.0;
    let bins = (0..BINS).map(|bin| {
        let [genuine, impostor] = counts[bin];
        let (g, i) = (genuine as f64 * weights[0], impostor as f64 * weights[1]);
        let is_empty = genuine + impostor == 0;
        let (mean, observed) = (sums[bin] / (g + i), g / (g + i));
        if !is_empty {
            ece += (g + i) * (mean - observed).abs();
        }
        let edge = |edge: usize| {
            let p = edge as f32 / BINS as f32;
            grid.iter().position(|threshold| *threshold == p)
        };
        let shares = redrawn.iter().filter_map(|rates| {
            let below = |rates: &[f64], at: usize, first: f64, last: f64| match at {
                0 => Some(first),
                BINS => Some(last),
                _ => Some(rates[edge(at)?]),
            };
            let genuine =
                below(&rates.fnmr, bin + 1, 0.0, 1.0)? - below(&rates.fnmr, bin, 0.0, 1.0)?;
            let impostor =
                below(&rates.fmr, bin, 1.0, 0.0)? - below(&rates.fmr, bin + 1, 1.0, 0.0)?;
            (genuine + impostor > 0.0).then(|| genuine / (genuine + impostor))
        });
        Bin {
            low: bin as f64 / BINS as f64,
            high: (bin + 1) as f64 / BINS as f64,
            genuine,
            impostor,
            mean_p: (!is_empty).then_some(mean),
            observed: (!is_empty).then_some(observed),
            observed_ci95: if is_empty {
                None
            } else {
                percentiles(shares.collect())
            },
        }
    });
    let bins = bins.collect();
    Reliability { ece, bins }
}
