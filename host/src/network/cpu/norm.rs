//! What stands behind a convolution: batch normalisation or a bias, and the ReLU, forward and back. Knows nothing of
//! filters.

use rayon::prelude::*;

use super::{BlockPass, BlockWeights, EPSILON, Layer, Moments, PICTURES};

/// Places of a channel whose sums one thread takes at a time.
const PLACES: usize = 2048;

impl Layer {
    /// Normalisation or bias, then ReLU.
    pub(super) fn activate(
        &self,
        weights: &BlockWeights,
        moments: Option<&Moments>,
        x: &[f32],
    ) -> Vec<f32> {
        let (scale, shift): (Vec<f32>, Vec<f32>) = match (&weights.scale, moments) {
            (Some(scale), Some(moments)) => {
                let scales = scale.iter().zip(&moments.variance);
                let scale: Vec<f32> = scales.map(|(s, v)| s / (v + EPSILON).sqrt()).collect();
                let parts = weights.shift.iter().zip(&scale).zip(&moments.mean);
                let shift = parts.map(|((b, s), m)| b - s * m).collect();
                (scale, shift)
            }
            _ => (vec![1.0; self.filters], weights.shift.clone()),
        };
        let mut y = vec![0.0; x.len()];
        let part = PICTURES * self.pooled * self.pooled * self.filters;
        y.par_chunks_mut(part)
            .zip(x.par_chunks(part))
            .for_each(|(y, x)| {
                let rows = y
                    .chunks_exact_mut(self.filters)
                    .zip(x.chunks_exact(self.filters));
                for (y, x) in rows {
                    for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(&scale).zip(&shift) {
                        // Unlike `max`, lets through what is no number: a run that fails must be seen to.
                        let z = x * scale + shift;
                        *y = if z < 0.0 { 0.0 } else { z };
                    }
                }
            });
        y
    }

    /// Turns the gradient of what the block gave, `output`, into that of what it pooled, and gives those of
    /// the scale and the shift (Ioffe and Szegedy 2015, section 3).
    pub(super) fn activate_backward(
        &self,
        weights: &BlockWeights,
        pass: &BlockPass,
        output: &[f32],
        gradient: &mut [f32],
    ) -> (Option<Vec<f32>>, Vec<f32>) {
        let filters = self.filters;
        let part = PICTURES * self.pooled * self.pooled * filters;
        // Normalised x = x * slope + offset.
        let (slope, offset): (Vec<f32>, Vec<f32>) = match &pass.moments {
            Some(Moments { mean, variance }) => {
                let slope: Vec<f32> = variance
                    .iter()
                    .map(|v| 1.0 / (v + EPSILON).sqrt())
                    .collect();
                let offset = mean.iter().zip(&slope).map(|(m, s)| -m * s).collect();
                (slope, offset)
            }
            None => (vec![0.0; filters], vec![0.0; filters]),
        };
        let sums: Vec<[Vec<f64>; 2]> = gradient
            .par_chunks_mut(part)
            .zip(output.par_chunks(part))
            .zip(pass.pooled.par_chunks(part))
            .map(|((gradient, output), x)| {
                let mut sums = [vec![0.0f64; filters], vec![0.0; filters]];
                let [of_gradient, of_product] = &mut sums;
                let rows = gradient
                    .chunks_exact_mut(filters)
                    .zip(output.chunks_exact(filters))
                    .zip(x.chunks_exact(filters));
                for ((gradient, output), x) in rows {
                    for c in 0..filters {
                        let g = if output[c] > 0.0 { gradient[c] } else { 0.0 };
                        gradient[c] = g;
                        of_gradient[c] += f64::from(g);
                        of_product[c] += f64::from(g * (x[c] * slope[c] + offset[c]));
                    }
                }
                sums
            })
            .collect();
        let [of_gradient, of_product] = [0, 1].map(|which| {
            let mut all = vec![0.0f64; filters];
            for sums in &sums {
                for (all, part) in all.iter_mut().zip(&sums[which]) {
                    *all += part;
                }
            }
            all
        });
        let narrow = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect::<Vec<f32>>();
        let Some(scale) = &weights.scale else {
            return (None, narrow(&of_gradient));
        };
        // d x = scale slope (g - mean g - normalised x mean (g normalised x)) = g a + x b + c.
        let values = (gradient.len() / filters) as f64;
        let of_x: Vec<[f32; 3]> = (0..filters)
            .map(|c| {
                let a = scale[c] * slope[c];
                let (mean, mean_product) = (
                    (of_gradient[c] / values) as f32,
                    (of_product[c] / values) as f32,
                );
                let b = -a * mean_product * slope[c];
                [a, b, -a * (mean + mean_product * offset[c])]
            })
            .collect();
        gradient
            .par_chunks_mut(part)
            .zip(pass.pooled.par_chunks(part))
            .for_each(|(gradient, x)| {
                let rows = gradient
                    .chunks_exact_mut(filters)
                    .zip(x.chunks_exact(filters));
                for (gradient, x) in rows {
                    for ((g, x), [a, b, c]) in gradient.iter_mut().zip(x).zip(&of_x) {
                        *g = *g * a + x * b + c;
                    }
                }
            });
        (Some(narrow(&of_product)), narrow(&of_gradient))
    }
}

/// Mean and variance of each channel.
pub(super) fn moments(x: &[f32], channels: usize) -> Moments {
    // A part is whole runs of all channels, whatever their number.
    let parts = x.par_chunks(channels * PLACES).map(|x| {
        let (mut sum, mut square) = (vec![0.0f64; channels], vec![0.0f64; channels]);
        for run in x.chunks_exact(channels) {
            for ((sum, square), &x) in sum.iter_mut().zip(&mut square).zip(run) {
                let x = f64::from(x);
                *sum += x;
                *square += x * x;
            }
        }
        (sum, square)
    });
    let parts: Vec<_> = parts.collect();
    let values = (x.len() / channels) as f64;
    let mut all = Moments {
        mean: Vec::new(),
        variance: Vec::new(),
    };
    for channel in 0..channels {
        let mean = parts.iter().map(|part| part.0[channel]).sum::<f64>() / values;
        let square = parts.iter().map(|part| part.1[channel]).sum::<f64>() / values;
        all.mean.push(mean as f32);
        all.variance.push((square - mean * mean).max(0.0) as f32);
    }
    all
}
