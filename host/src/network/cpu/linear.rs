//! The fully connected sigmoid layer, forward and back. Knows nothing of pictures.

use rayon::prelude::*;

use super::product::{Matrix, product};
use super::{LinearWeights, Pass, transposed};

/// Units or inputs of a linear layer that one thread takes at a time.
const UNITS: usize = 64;

impl LinearWeights {
    /// sigmoid(flat x weight + bias), [count, units].
    pub(super) fn forward(&self, flat: &[f32]) -> Vec<f32> {
        let units = self.bias.len();
        let inputs = self.weight.len() / units;
        let count = flat.len() / inputs;
        let flat = Matrix::rows(flat, inputs);
        let weight = Matrix::rows(&self.weight, units);
        let parts: Vec<Vec<f32>> = (0..units.div_ceil(UNITS))
            .into_par_iter()
            .map(|part| {
                let some = UNITS.min(units - part * UNITS);
                let mut sums = vec![0.0; count * some];
                product(&mut sums, flat, weight.columns(part * UNITS, some), false);
                sums
            })
            .collect();
        let mut embeddings = vec![0.0; count * units];
        for (part, sums) in parts.iter().enumerate() {
            let some = sums.len() / count;
            let bias = &self.bias[part * UNITS..][..some];
            for (row, sums) in embeddings
                .chunks_exact_mut(units)
                .zip(sums.chunks_exact(some))
            {
                let row = &mut row[part * UNITS..][..some];
                for ((unit, sum), bias) in row.iter_mut().zip(sums).zip(bias) {
                    *unit = 1.0 / (1.0 + (-(sum + bias)).exp());
                }
            }
        }
        embeddings
    }

    /// The gradients of its weights and of its input, [count, inputs].
    pub(super) fn backward(&self, pass: &Pass, gradient: &[f32]) -> (LinearWeights, Vec<f32>) {
        let units = self.bias.len();
        let inputs = self.weight.len() / units;
        let of_sums: Vec<f32> = gradient
            .iter()
            .zip(&pass.embeddings)
            .map(|(g, y)| g * y * (1.0 - y))
            .collect();
        let mut bias = vec![0.0f64; units];
        for row in of_sums.chunks_exact(units) {
            for (bias, g) in bias.iter_mut().zip(row) {
                *bias += f64::from(*g);
            }
        }
        let (flat, of_sums) = (
            Matrix::rows(&pass.flat, inputs),
            Matrix::rows(&of_sums, units),
        );
        let mut weight = vec![0.0; self.weight.len()];
        // [inputs, count], so that each thread writes rows of its own.
        let mut of_input = vec![0.0; pass.flat.len()];
        weight
            .par_chunks_mut(UNITS * units)
            .zip(of_input.par_chunks_mut(UNITS * pass.count))
            .zip(self.weight.par_chunks(UNITS * units))
            .enumerate()
            .for_each(|(part, ((of_weight, of_input), weight))| {
                let some = weight.len() / units;
                let flat = flat.columns(part * UNITS, some).transposed();
                product(of_weight, flat, of_sums, false);
                let weight = Matrix::rows(weight, units);
                product(of_input, weight, of_sums.transposed(), false);
            });
        let bias = bias.into_iter().map(|sum| sum as f32).collect();
        let of_input = transposed(&of_input, inputs, pass.count);
        (LinearWeights { weight, bias }, of_input)
    }
}
