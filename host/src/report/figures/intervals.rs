//! How sure a figure is: shares and rates over redraws of the classes. The draws are those behind the thresholds of a
//! model's card.

use super::Share;
use crate::measure::metrics;
use crate::measure::points;

/// Redraws behind the interval of a rate, for which all pairs are counted again in each.
const REDRAWS: usize = 300;
/// Fewer classes than this say nothing of other classes.
const LEAST_CLASSES: usize = 3;

/// How often each of `classes` is drawn, in each redraw; none of too few classes.
pub(super) fn redraws(classes: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut draws = draws(classes, seed);
    draws.truncate(REDRAWS);
    draws
}

fn draws(classes: usize, seed: u64) -> Vec<Vec<u32>> {
    if classes < LEAST_CLASSES {
        return Vec::new();
    }
    points::draws(classes, seed)
}

/// A share of counts by class, [of, count] each; `distinct` trials tell something new.
pub(super) fn share(tally: &[[u64; 2]], distinct: u64, seed: u64) -> Share {
    let sum = |which: usize| tally.iter().map(|counts| counts[which]).sum::<u64>();
    let (of, count) = (sum(0), sum(1));
    let share = count as f64 / of.max(1) as f64;
    let told = of.min(distinct);
    let wilson = metrics::wilson((share * told as f64).round() as u64, told);
    let classes: Vec<&[u64; 2]> = tally.iter().filter(|counts| counts[0] > 0).collect();
    let in_draw = |times: &Vec<u32>| {
        let sum = |which: usize| -> u64 {
            let drawn = times.iter().zip(&classes);
            drawn.map(|(t, counts)| u64::from(*t) * counts[which]).sum()
        };
        sum(1) as f64 / sum(0).max(1) as f64
    };
    let redrawn = draws(classes.len(), seed).iter().map(in_draw).collect();
    let [low, high] = percentiles(redrawn).unwrap_or(wilson);
    Share {
        count,
        of,
        share,
        ci95: [low.min(wilson[0]), high.max(wilson[1])],
    }
}

/// The 2.5th and 97.5th percentile; none of fewer than forty numbers.
pub(super) fn percentiles(mut values: Vec<f64>) -> Option<[f64; 2]> {
    if values.len() < 40 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[(part * (values.len() - 1) as f64).round() as usize];
    Some([at(0.025), at(0.975)])
}
