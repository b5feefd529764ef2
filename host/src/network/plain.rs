//! The weights of a twin as plain numbers. Knows nothing of how they were trained.

use onelook_edge::gallery::head::Head;

use super::cpu::{BlockWeights, LinearWeights, Weights, transposed};
use super::spec::Block;

/// The weights of a twin as plain numbers, with everything folded in that the device does not do apart.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainTwin {
    /// Convolutions, each followed by ReLU and its pooling.
    pub blocks: Vec<PlainBlock>,
    pub linear: Option<PlainLinear>,
    pub head: Head,
}

/// A convolution of stride 1, ReLU, maximum over pool x pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainBlock {
    /// The layer's description, without what is folded into the weights.
    pub spec: Block,
    pub channels: usize,
    /// [filters, channels, kernel, kernel]
    pub weight: Vec<f32>,
    /// `[filters]`
    pub bias: Vec<f32>,
}

/// A fully connected layer, then a sigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainLinear {
    /// [units, inputs]
    pub weight: Vec<f32>,
    /// `[units]`
    pub bias: Vec<f32>,
}

impl PlainTwin {
    /// The same weights for the layers of `cpu`, which then normalise nothing.
    pub fn weights(&self) -> Weights {
        let block = |block: &PlainBlock| BlockWeights {
            weight: block.weight.clone(),
            scale: None,
            shift: block.bias.clone(),
        };
        let linear = |linear: &PlainLinear| {
            let units = linear.bias.len();
            LinearWeights {
                weight: transposed(&linear.weight, units, linear.weight.len() / units),
                bias: linear.bias.clone(),
            }
        };
        Weights {
            blocks: self.blocks.iter().map(block).collect(),
            linear: self.linear.as_ref().map(linear),
        }
    }
}

/// A batch normalisation, one number for each filter.
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
    pub(super) epsilon: f32,
}

impl Norm {
    /// Makes the convolution before it do what both did. A pooling between them changes nothing where the scale is
    /// positive.
    pub(super) fn fold(&self, weight: &mut [f32], bias: &mut [f32]) {
        let per_filter = weight.len() / bias.len();
        for (f, weights) in weight.chunks_exact_mut(per_filter).enumerate() {
            let scale = self.scale[f] / (self.variance[f] + self.epsilon).sqrt();
            for w in weights {
                *w *= scale;
            }
            bias[f] = self.shift[f] + (bias[f] - self.mean[f]) * scale;
        }
    }
}
