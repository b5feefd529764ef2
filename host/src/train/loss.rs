//! What training minimises, and its exact gradient, on plain numbers. Knows embeddings and class
//! labels: nothing of layers, devices or pictures. The network gets the gradient, so no
//! batch x batch x dims tensor is ever made.

use onelook_edge::gallery::head::Head;
use rayon::prelude::*;

/// A loss and its derivatives.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// The loss itself.
    pub value: f32,
    /// d value / d embeddings, laid out as the embeddings.
    pub embeddings: Vec<f32>,
    /// d value / d alpha.
    pub alpha: Vec<f32>,
    /// d value / d b.
    pub bias: f32,
    /// The share of pairs on the right side of p = 0.5, genuine and impostor pairs weighing the
    /// same.
    pub accuracy: f32,
}

/// The softmax term of [`all_pairs`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax<'a> {
    /// Its weight beside the cross-entropy of p; 0 for none.
    pub weight: f32,
    /// The share of a label that is not the partner's alone, 0 to below 1.
    pub smoothing: f32,
    /// How far a teacher finds the pictures from each other, [count, count]: it then spreads that share, by
    /// its own softmax; without, it is spread evenly.
    pub teacher: Option<&'a [f64]>,
}

/// Mean cross-entropy of p over pairs (Koch et al. 2015, section 3.2, with the minus
/// sign that the print lost).
///
/// `embeddings` is [pictures, dims] row-major, `pairs` names two rows and whether they show the
/// same class.
///
/// # Panics
/// If a row does not exist or there is no pair.
pub fn pairs(embeddings: &[f32], head: &Head, pairs: &[(usize, usize, bool)]) -> Loss {
    assert!(!pairs.is_empty(), "a loss needs pairs");
    let share = 1.0 / pairs.len() as f64;
    let of = |same: bool| pairs.iter().filter(|pair| pair.2 == same).count();
    let (genuine, impostor) = (of(true), of(false));
    let mut gradient = Gradient::new(embeddings.len(), head);
    let mut value = 0.0;
    let mut accuracy = 0.0;
    for &(i, k, same) in pairs {
        let distance = head.distance(row(embeddings, head, i), row(embeddings, head, k));
        let z = f64::from(head.bias - distance);
        value += share * cross_entropy(z, same);
        let slope = share * (sigmoid(z) - f64::from(u8::from(same)));
        gradient.bias += slope;
        gradient.add(embeddings, head, i, k, -slope as f32);
        accuracy += right(z, same, genuine, impostor);
    }
    gradient.into_loss(value, accuracy)
}

/// Over all pairs of a batch: the cross-entropy of p, genuine and impostor pairs weighing the
/// same, plus `softmax.weight` times the mean over genuine (anchor, partner) of a softmax over
/// negated distances to the partner and the impostors, its labels smoothed (Szegedy et al. 2016,
/// section 7): -log(e^-d(partner) / (e^-d(partner) + sum over impostors of e^-d)) +
/// smoothing (mean of all these d - d(partner)). With a teacher the mean is weighted by the softmax of the
/// teacher's negated distances over the same pictures, its soft targets (Hinton et al. 2015, section 2, at
/// temperature 1).
///
/// `embeddings` is [classes.len(), dims] row-major; equal numbers in `classes` are one class. All
/// cores compute; the result does not depend on how many they are.
///
/// # Panics
/// If there is no genuine or no impostor pair, or if there are not as many rows as classes.
pub fn all_pairs(embeddings: &[f32], head: &Head, classes: &[usize], softmax: Softmax) -> Loss {
    let count = classes.len();
    let distances = distances(embeddings, head);
    assert_eq!(distances.len(), count * count, "a row a class");
    let (mut genuine, mut impostor) = (0usize, 0usize);
    for i in 0..count {
        for k in i + 1..count {
            if classes[i] == classes[k] {
                genuine += 1;
            } else {
                impostor += 1;
            }
        }
    }
    assert!(
        genuine > 0 && impostor > 0,
        "a batch needs both kinds of pairs"
    );

    // d value / d distance, half of it at [i, k] and half at [k, i].
    let mut slopes = vec![0.0f64; count * count];
    let (mut bias, mut value, mut accuracy) = (0.0, 0.0, 0.0);
    for i in 0..count {
        for k in i + 1..count {
            let same = classes[i] == classes[k];
            let share = 0.5 / if same { genuine } else { impostor } as f64;
            let z = f64::from(head.bias) - distances[i * count + k];
            value += share * cross_entropy(z, same);
            let slope = share * (sigmoid(z) - f64::from(u8::from(same)));
            bias += slope;
            slopes[i * count + k] -= slope;
            accuracy += right(z, same, genuine, impostor);
        }
    }
    let share = f64::from(softmax.weight) / (2 * genuine) as f64;
    let smoothing = f64::from(softmax.smoothing);
    for i in 0..count {
        let row = &distances[i * count..][..count];
        let others =
            |same: bool| (0..count).filter(move |&k| k != i && (classes[k] == classes[i]) == same);
        let nearest = least(row, i);
        let impostors: f64 = others(false).map(|k| (nearest - row[k]).exp()).sum();
        // How the smoothed share is spread, but for a factor.
        let targets: Vec<f64> = match softmax.teacher {
            Some(teacher) => {
                let row = &teacher[i * count..][..count];
                let nearest = least(row, i);
                row.iter().map(|d| (nearest - d).exp()).collect()
            }
            None => vec![1.0; count],
        };
        let to_impostors: f64 = others(false).map(|k| targets[k] * row[k]).sum();
        let of_impostors: f64 = others(false).map(|k| targets[k]).sum();
        let (mut over_partners, mut over_targets) = (0.0, 0.0);
        for partner in others(true) {
            let own = (nearest - row[partner]).exp();
            let all = own + impostors;
            let target = targets[partner];
            let mean = (target * row[partner] + to_impostors) / (target + of_impostors);
            value += share * (all.ln() - (nearest - row[partner]));
            value += share * smoothing * (mean - row[partner]);
            slopes[i * count + partner] +=
                share * (1.0 - own / all - smoothing * (1.0 - target / (target + of_impostors)));
            over_partners += 1.0 / all;
            over_targets += 1.0 / (target + of_impostors);
        }
        for k in others(false) {
            let pull = (nearest - row[k]).exp() * over_partners;
            slopes[i * count + k] -= share * (pull - smoothing * targets[k] * over_targets);
        }
    }

    let dims = head.alpha.len();
    let mut gradient = vec![0.0f32; embeddings.len()];
    // Sums over a fixed number of rows at a time, so that the order of additions is always the same.
    const ROWS: usize = 8;
    let mut alphas = vec![0.0f32; count.div_ceil(ROWS) * dims];
    let parts = gradient
        .par_chunks_mut(ROWS * dims)
        .zip(alphas.par_chunks_mut(dims));
    parts.enumerate().for_each(|(part, (gradient, alpha))| {
        for (n, gradient) in gradient.chunks_mut(dims).enumerate() {
            let i = part * ROWS + n;
            let x = row(embeddings, head, i);
            for k in (0..count).filter(|&k| k != i) {
                let slope = (slopes[i * count + k] + slopes[k * count + i]) as f32;
                let y = row(embeddings, head, k);
                for j in 0..dims {
                    gradient[j] += slope * sign(x[j] - y[j]);
                }
                if k > i {
                    for j in 0..dims {
                        alpha[j] += slope * (x[j] - y[j]).abs();
                    }
                }
            }
            for (gradient, &alpha) in gradient.iter_mut().zip(&head.alpha) {
                *gradient *= alpha;
            }
        }
    });
    let mut alpha = vec![0.0f32; dims];
    for part in alphas.chunks(dims) {
        for (alpha, &part) in alpha.iter_mut().zip(part) {
            *alpha += part;
        }
    }
    Loss {
        value: value as f32,
        embeddings: gradient,
        alpha,
        bias: bias as f32,
        accuracy: accuracy as f32,
    }
}

/// The distance of each row of `embeddings` [count, dims] from each, [count, count]. All cores compute.
pub fn distances(embeddings: &[f32], head: &Head) -> Vec<f64> {
    let count = embeddings.len() / head.alpha.len();
    let mut distances = vec![0.0f64; count * count];
    let rows = distances.par_chunks_mut(count).enumerate();
    rows.for_each(|(i, distances)| {
        let x = row(embeddings, head, i);
        for (k, distance) in distances.iter_mut().enumerate().skip(i + 1) {
            *distance = f64::from(head.distance(x, row(embeddings, head, k)));
        }
    });
    for i in 0..count {
        for k in i + 1..count {
            distances[k * count + i] = distances[i * count + k];
        }
    }
    distances
}

/// The least of the distances of picture `own` from all others.
fn least(distances: &[f64], own: usize) -> f64 {
    let others = distances.iter().enumerate().filter(|(k, _)| *k != own);
    others.fold(f64::INFINITY, |least, (_, &d)| least.min(d))
}

struct Gradient {
    embeddings: Vec<f32>,
    alpha: Vec<f32>,
    bias: f64,
}

impl Gradient {
    fn new(numbers: usize, head: &Head) -> Self {
        Self {
            embeddings: vec![0.0; numbers],
            alpha: vec![0.0; head.alpha.len()],
            bias: 0.0,
        }
    }

    /// Adds `slope` times the gradient of the distance of rows `i` and `k`, `i` not `k`.
    fn add(&mut self, embeddings: &[f32], head: &Head, i: usize, k: usize, slope: f32) {
        if i == k {
            return;
        }
        let dims = head.alpha.len();
        let (low, high) = (i.min(k), i.max(k));
        let (x, y) = (row(embeddings, head, low), row(embeddings, head, high));
        let (before, after) = self.embeddings.split_at_mut(high * dims);
        let (gx, gy) = (&mut before[low * dims..][..dims], &mut after[..dims]);
        for j in 0..dims {
            let difference = x[j] - y[j];
            let pull = slope * head.alpha[j] * sign(difference);
            gx[j] += pull;
            gy[j] -= pull;
            self.alpha[j] += slope * difference.abs();
        }
    }

    fn into_loss(self, value: f64, accuracy: f64) -> Loss {
        Loss {
            value: value as f32,
            embeddings: self.embeddings,
            alpha: self.alpha,
            bias: self.bias as f32,
            accuracy: accuracy as f32,
        }
    }
}

fn sign(difference: f32) -> f32 {
    f32::from(i8::from(difference > 0.0) - i8::from(difference < 0.0))
}

fn row<'a>(embeddings: &'a [f32], head: &Head, i: usize) -> &'a [f32] {
    let dims = head.alpha.len();
    &embeddings[i * dims..][..dims]
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// -log p for a genuine pair, -log(1 - p) for an impostor pair, p = sigmoid(z), without overflow.
fn cross_entropy(z: f64, same: bool) -> f64 {
    let against = if same { -z } else { z };
    against.max(0.0) + (-against.abs()).exp().ln_1p()
}

/// What one pair adds to the balanced accuracy at p = 0.5.
fn right(z: f64, same: bool, genuine: usize, impostor: usize) -> f64 {
    let kinds = usize::from(genuine > 0) + usize::from(impostor > 0);
    let of_kind = if same { genuine } else { impostor };
    f64::from(u8::from((z >= 0.0) == same)) / (of_kind * kinds) as f64
}

#[cfg(test)]
mod tests;
