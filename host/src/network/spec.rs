//! The layers of a network as a recipe names them, and the shapes that they give. Knows nothing of weights.

use onelook_edge::vision::preprocess::InputSpec;
use serde::{Deserialize, Serialize};

/// The most weights that a block may have.
const MOST_WEIGHTS: usize = 1 << 28;

/// The layers of one twin, from picture to embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Convolutions, first to last.
    pub blocks: Vec<Block>,
    /// Units of a fully connected sigmoid layer after the blocks; without it their output is the
    /// embedding.
    pub linear_sigmoid: Option<usize>,
    /// Whether alpha is kept >= 0, so that the head's distance is a metric.
    pub alpha_non_negative: bool,
    /// Where the weights start.
    pub init: Init,
}

/// Convolution (stride 1), maximum over pool x pool, batch normalisation where asked, ReLU. The default has no size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Output channels.
    pub filters: usize,
    /// Side of the square filter.
    pub kernel: usize,
    /// Zeros around the input, at each edge.
    pub padding: usize,
    /// Side and stride of the pooling; 1 for none.
    pub pool: usize,
    /// Normalises each channel over the batch (Ioffe and Szegedy 2015). Its scale is kept
    /// positive, so that it can be folded into the convolution before the pooling.
    pub batch_norm: bool,
}

impl Block {
    /// The side of what its convolution makes of pictures of this side; none where the filter is larger.
    pub fn convolved(&self, side: usize) -> Option<usize> {
        (side + 2 * self.padding + 1).checked_sub(self.kernel)
    }
}

/// Where the weights start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Normal with variance 2 / fan-in (He et al. 2015), biases 0, every alpha equal.
    He,
    /// Koch et al. 2015, section 3.2: convolutions N(0, 0.01), biases N(0.5, 0.01), fully
    /// connected N(0, 0.2).
    Koch,
}

/// What flows between the layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// (channels, side) before the first block and after each.
    pub planes: Vec<(usize, usize)>,
    /// Numbers in an embedding.
    pub embedding: usize,
}

/// Why layers do not fit their input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// No convolution.
    #[error("network.blocks is empty")]
    Empty,
    /// A number that must not be 0.
    #[error("block {block}: filters, kernel and pool are at least 1")]
    Zero {
        /// Counted from 0.
        block: usize,
    },
    /// More zeros around the picture than picture.
    #[error("block {block}: padding is at most the side of the input, {side}")]
    Padding {
        /// Counted from 0.
        block: usize,
        /// In pixels.
        side: usize,
    },
    /// Too large for memory.
    #[error("block {block}: more than {MOST_WEIGHTS} weights")]
    Weights {
        /// Counted from 0.
        block: usize,
    },
    /// A filter that is larger than what it looks at.
    #[error("block {block}: nothing is left of the picture")]
    Nothing {
        /// Counted from 0.
        block: usize,
    },
    /// No units.
    #[error("linear_sigmoid is at least 1, or absent")]
    Linear,
}

impl NetworkSpec {
    /// What flows between the layers for this input.
    ///
    /// # Errors
    /// Every [`ShapeError`].
    pub fn shapes(&self, input: &InputSpec) -> Result<Shapes, ShapeError> {
        if self.blocks.is_empty() {
            return Err(ShapeError::Empty);
        }
        let mut planes = vec![(input.channels, input.side_px)];
        let mut side = input.side_px;
        for (block, spec) in self.blocks.iter().enumerate() {
            if spec.filters == 0 || spec.kernel == 0 || spec.pool == 0 {
                return Err(ShapeError::Zero { block });
            }
            if spec.padding > input.side_px {
                return Err(ShapeError::Padding {
                    block,
                    side: input.side_px,
                });
            }
            let channels = planes[block].0;
            let weights = [channels, spec.kernel, spec.kernel];
            let weights = weights
                .iter()
                .try_fold(spec.filters, |n, &by| n.checked_mul(by));
            if weights.is_none_or(|weights| weights > MOST_WEIGHTS) {
                return Err(ShapeError::Weights { block });
            }
            side = spec.convolved(side).map_or(0, |side| side / spec.pool);
            if side == 0 {
                return Err(ShapeError::Nothing { block });
            }
            planes.push((spec.filters, side));
        }
        if self.linear_sigmoid == Some(0) {
            return Err(ShapeError::Linear);
        }
        let flat = planes
            .last()
            .map_or(0, |(channels, side)| channels * side * side);
        Ok(Shapes {
            planes,
            embedding: self.linear_sigmoid.unwrap_or(flat),
        })
    }
}
