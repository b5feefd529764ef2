//! The field's figures, on plain numbers: intervals, error rates, thresholds. Scores are p, higher
//! is more alike; a score on the threshold is accepted. Knows nothing of models or data.

/// The 95 % interval of a share (Wilson 1927): [low, high], each 0 to 1; [0, 1] of no trials.
pub(crate) fn wilson(correct: u64, trials: u64) -> [f64; 2] {
    if trials == 0 {
        return [0.0, 1.0];
    }
    const Z: f64 = 1.959_963_984_540_054;
    let n = trials as f64;
    let share = correct as f64 / n;
    let centre = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    [
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    ]
}

/// False match rate: the share of impostor scores that `threshold` accepts; 0 of none.
pub(crate) fn fmr(impostor: &[f32], threshold: f32) -> f64 {
    share(impostor, |score| score >= threshold)
}

/// False non-match rate: the share of genuine scores that `threshold` rejects; 0 of none.
pub(crate) fn fnmr(genuine: &[f32], threshold: f32) -> f64 {
    share(genuine, |score| score < threshold)
}

fn share(scores: &[f32], counts: impl Fn(f32) -> bool) -> f64 {
    let counted = scores.iter().filter(|&&score| counts(score)).count();
    counted as f64 / scores.len().max(1) as f64
}

/// The lowest threshold whose FMR is at most `rate`, above 0.
///
/// `None` where there are fewer than 3 / `rate` impostor scores: with none accepted, a rate as low
/// as `rate` could then not be told at 95 % (rule of three, Hanley and Lippman-Hand 1983).
pub(crate) fn threshold_at_fmr(impostor: &[f32], rate: f64) -> Option<f32> {
    let allowed = (rate * impostor.len() as f64) as usize;
    if (impostor.len() as f64) < 3.0 / rate {
        return None;
    }
    let mut falling = impostor.to_vec();
    falling.sort_by(|a, b| b.total_cmp(a));
    // Just above the first score that must not be accepted.
    falling.get(allowed).map(|score| score.next_up())
}

/// The equal error rate: (rate, threshold) where FMR and FNMR are nearest to one another, the rate
/// being their mean; of equals the lowest threshold. `None` without scores of both kinds.
pub(crate) fn eer(genuine: &[f32], impostor: &[f32]) -> Option<(f64, f32)> {
    let sorted = |scores: &[f32]| {
        let mut scores = scores.to_vec();
        scores.sort_by(f32::total_cmp);
        scores
    };
    let (genuine, impostor) = (sorted(genuine), sorted(impostor));
    if genuine.is_empty() || impostor.is_empty() {
        return None;
    }
    let mut best: Option<(f64, f64, f32)> = None;
    for &threshold in genuine.iter().chain(&impostor) {
        let below = |scores: &[f32]| scores.partition_point(|&score| score < threshold);
        let fnmr = below(&genuine) as f64 / genuine.len() as f64;
        let fmr = 1.0 - below(&impostor) as f64 / impostor.len() as f64;
        let (gap, rate) = ((fmr - fnmr).abs(), (fmr + fnmr) / 2.0);
        if best.is_none_or(|(least, _, at)| gap < least || (gap == least && threshold < at)) {
            best = Some((gap, rate, threshold));
        }
    }
    best.map(|(_, rate, threshold)| (rate, threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_koch_is_that_of_the_facts() {
        // 368 of 400: 88.9 to 94.3 (Wilson).
        let [low, high] = wilson(368, 400);
        assert!(
            (low - 0.8892).abs() < 5e-4 && (high - 0.9427).abs() < 5e-4,
            "{low} {high}"
        );
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        assert!((wilson(10, 10)[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_score_on_the_threshold_is_accepted() {
        assert_eq!(fmr(&[0.1, 0.5, 0.9], 0.5), 2.0 / 3.0);
        assert_eq!(fnmr(&[0.1, 0.5, 0.9], 0.5), 1.0 / 3.0);
    }

    #[test]
    fn the_threshold_accepts_no_more_impostors_than_allowed() {
        // 30 impostor scores 0.00 to 0.29; one in ten may pass: 0.27, 0.28, 0.29.
        let impostor: Vec<f32> = (0..30).map(|i| i as f32 / 100.0).collect();
        let threshold = threshold_at_fmr(&impostor, 0.1).unwrap();
        assert_eq!(threshold, 0.26f32.next_up());
        assert_eq!(fmr(&impostor, threshold), 0.1);
        assert_eq!(threshold_at_fmr(&impostor[1..], 0.1), None);
        // Many equal scores: all or none of them.
        let equal = [0.5; 40];
        assert_eq!(fmr(&equal, threshold_at_fmr(&equal, 0.1).unwrap()), 0.0);
    }

    #[test]
    fn the_equal_error_rate_by_hand() {
        // At 0.4: 1 of 4 genuine below, 1 of 4 impostors at or above.
        let (genuine, impostor) = ([0.3, 0.6, 0.7, 0.9], [0.1, 0.2, 0.25, 0.4]);
        assert_eq!(eer(&genuine, &impostor), Some((0.25, 0.4)));
        // Apart: no errors from just above the impostors' best to the genuines' least.
        assert_eq!(eer(&[0.8, 0.9], &[0.1, 0.2]), Some((0.0, 0.8)));
        assert_eq!(eer(&[], &[0.1]), None);
    }
}
