//! The verification head of the twin network: p = sigmoid(b - sum_j alpha_j |x_j - y_j|)
//! (Koch et al. 2015, section 3.1, with the sign of alpha turned and a bias added), and the one rule of
//! acceptance: p >= threshold.
//! Plain numbers: knows nothing of pictures, networks or names.

use serde::{Deserialize, Serialize};

/// The learned weights of the comparison of two embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// One weight a dimension. Where all are >= 0, [`Head::distance`] is a metric.
    pub alpha: Vec<f32>,
    /// b: the score of two equal embeddings is sigmoid(b).
    pub bias: f32,
}

impl Head {
    /// Weighted L1 distance sum_j alpha_j |x_j - y_j|; lower is more alike.
    ///
    /// # Panics
    /// If `x` or `y` has another length than `alpha`.
    pub fn distance(&self, x: &[f32], y: &[f32]) -> f32 {
        let dims = self.alpha.len();
        assert!(
            x.len() == dims && y.len() == dims,
            "embeddings of {} and {} numbers under a head of {dims}",
            x.len(),
            y.len()
        );
        // Eight running sums: the order of additions is fixed, and the compiler can use wide registers.
        const LANES: usize = 8;
        let mut sums = [0.0f32; LANES];
        let whole = dims - dims % LANES;
        for ((a, x), y) in self.alpha[..whole]
            .chunks_exact(LANES)
            .zip(x[..whole].chunks_exact(LANES))
            .zip(y[..whole].chunks_exact(LANES))
        {
            for lane in 0..LANES {
                sums[lane] += a[lane] * (x[lane] - y[lane]).abs();
            }
        }
        for j in whole..dims {
            sums[j - whole] += self.alpha[j] * (x[j] - y[j]).abs();
        }
        sums.iter().sum()
    }

    /// The probability that two embeddings at this distance show the same class, 0 to 1.
    pub fn probability(&self, distance: f32) -> f32 {
        1.0 / (1.0 + (distance - self.bias).exp())
    }

    /// The limit for a threshold on p: a distance is within it exactly where its
    /// [`probability`](Self::probability) is at least `threshold`.
    pub fn limit(&self, threshold: f32) -> Limit {
        // Where every p is on the threshold or above, and where none is.
        if threshold <= 0.0 {
            return Limit(f32::INFINITY);
        }
        if threshold > 1.0 || threshold.is_nan() {
            return Limit(f32::NEG_INFINITY);
        }
        let is_accepted = |distance: f32| self.probability(distance) >= threshold;
        // b - logit(threshold), but for rounding; where that is infinite, p is at its end soon enough.
        let near = (f64::from(self.bias) - logit(f64::from(threshold))) as f32;
        let near = near.clamp(self.bias - 200.0, self.bias + 200.0);
        let reach = |sign: f32| (0..).map(move |power| near + sign * 2f32.powi(power - 20));
        let ends = |distance: &f32| distance.is_infinite();
        let within = reach(-1.0).find(|d| is_accepted(*d) || ends(d));
        let beyond = reach(1.0).find(|d| !is_accepted(*d) || ends(d));
        let (mut within, mut beyond) = (
            within.unwrap_or(f32::NEG_INFINITY),
            beyond.unwrap_or(f32::INFINITY),
        );
        loop {
            let middle = within / 2.0 + beyond / 2.0;
            if middle <= within || middle >= beyond {
                return Limit(within);
            }
            if is_accepted(middle) {
                within = middle;
            } else {
                beyond = middle;
            }
        }
    }
}

/// The largest distance that is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit(f32);

impl Limit {
    /// Whether a class at this distance is accepted; one on the limit is.
    pub fn accepts(self, distance: f32) -> bool {
        distance <= self.0
    }
}

/// The log odds of p, ln(p / (1 - p)); infinite at 0 and 1.
pub(crate) fn logit(p: f64) -> f64 {
    p.ln() - (-p).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(alpha: &[f32], bias: f32) -> Head {
        Head {
            alpha: alpha.to_vec(),
            bias,
        }
    }

    #[test]
    fn the_distance_weighs_each_dimension() {
        let head = head(&[1.0, 0.5, 0.0, 2.0, 1.0, 1.0, 1.0, 1.0, 10.0], 0.0);
        let x = [1.0, 2.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25];
        let y = [3.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0];
        // 2 + 0.5 + 0 + 1 + 2.5
        assert_eq!(head.distance(&x, &y), 6.0);
        assert_eq!(head.distance(&y, &x), 6.0);
        assert_eq!(head.distance(&x, &x), 0.0);
    }

    #[test]
    fn the_probability_falls_with_distance_through_one_half_at_the_bias() {
        let head = head(&[1.0], 3.0);
        assert_eq!(head.probability(3.0), 0.5);
        // 1 / (1 + e^-3) and 1 / (1 + e^7)
        assert!((head.probability(0.0) - 0.952_574_1).abs() < 1e-6);
        assert!((head.probability(10.0) - 9.110_512e-4).abs() < 1e-9);
        assert_eq!(head.probability(f32::MAX), 0.0);
    }
    #[test]
    fn a_distance_is_within_the_limit_exactly_where_p_is_on_the_threshold_or_above() {
        for bias in [3.0, 0.0, -7.5, 31.25] {
            let head = head(&[1.0], bias);
            for threshold in [1e-30, 1e-4, 0.1, 0.5, 0.906, 0.9999, 0.999_999_9, 1.0] {
                let limit = head.limit(threshold);
                let Limit(at) = limit;
                let mut distance = at;
                for _ in 0..100 {
                    distance = distance.next_down();
                }
                for _ in 0..200 {
                    let is_accepted = head.probability(distance) >= threshold;
                    assert_eq!(
                        limit.accepts(distance),
                        is_accepted,
                        "{distance} {threshold}"
                    );
                    distance = distance.next_up();
                }
                assert!((head.probability(at) - threshold).abs() <= 2e-5 * threshold);
            }
        }
        // At threshold 0 all is accepted; no p reaches 2, or what is no number.
        assert!(head(&[1.0], 3.0).limit(0.0).accepts(f32::MAX));
        for threshold in [2.0, f32::NAN] {
            assert!(!head(&[1.0], 3.0).limit(threshold).accepts(-f32::MAX));
        }
    }
}
