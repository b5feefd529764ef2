//! Turns a trained twin into 8-bit integers: scales, rounded weights, and what they cost. Knows
//! weights and activations: nothing of files, ONNX or data sets.
//!
//! One scale a tensor, because that is the form that the device's runtime fuses into one integer
//! kernel. So that one scale suits all channels, they are first made alike (cross-layer
//! equalisation, Nagel et al. 2019, section 4.1): ReLU and pooling commute with a positive factor,
//! and the head's alpha takes up the factor of the last layer.

use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use onelook_edge::vision::preprocess::InputSpec;

use crate::network::burn::{DeviceError, numbers};
use crate::network::plain::PlainTwin;
use crate::network::spec::{Block, NetworkSpec, ShapeError};

/// The integer that stands for 0 after a ReLU: saturation at the lowest integer is the ReLU.
pub const ZERO: i8 = i8::MIN;
/// Sweeps over the layers while equalising; it has settled by then.
const SWEEPS: usize = 20;
/// Logits beyond this make no difference after a sigmoid.
const LOGIT_LIMIT: f32 = 8.0;
const BATCH: usize = 64;

/// A twin in 8-bit integers.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedTwin {
    /// Input x is round(x / `input_scale`) + [`ZERO`].
    pub input_scale: f32,
    /// Convolutions; the last of a twin with a sigmoid layer is that layer, as wide as its input.
    pub layers: Vec<QuantizedLayer>,
    /// Whether a sigmoid follows the last layer, with no ReLU before it.
    pub sigmoid: bool,
    /// The last output q of channel c is (q - zero) x `output_scales[c]`.
    pub output_scales: Vec<f32>,
}

/// A convolution whose output is requantised, then pooled.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedLayer {
    /// The layer's description.
    pub spec: Block,
    /// Input channels.
    pub channels: usize,
    /// [filters, channels, kernel, kernel], -127 to 127; zero is 0.
    pub weight: Vec<i8>,
    /// A weight is q x this.
    pub weight_scale: f32,
    /// `[filters]`, in units of input scale x weight scale.
    pub bias: Vec<i32>,
    /// An output is (q - `output_zero`) x this.
    pub output_scale: f32,
    /// [`ZERO`] after a ReLU, 0 before a sigmoid.
    pub output_zero: i8,
}

/// Why a twin cannot be quantised.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The network does not fit its input.
    #[error(transparent)]
    ShapeError(#[from] ShapeError),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] DeviceError),
}

/// A layer in floating point on the way there.
struct FloatLayer {
    spec: Block,
    channels: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl FloatLayer {
    /// The largest weight of each filter.
    fn reach_out(&self) -> Vec<f32> {
        let per_filter = self.weight.len() / self.spec.filters;
        self.weight.chunks_exact(per_filter).map(largest).collect()
    }

    /// The largest weight upon each input channel.
    fn reach_in(&self) -> Vec<f32> {
        let taps = self.spec.kernel * self.spec.kernel;
        let mut reach = vec![0.0f32; self.channels];
        for (i, w) in self.weight.iter().enumerate() {
            let channel = i / taps % self.channels;
            reach[channel] = reach[channel].max(w.abs());
        }
        reach
    }

    /// Divides each filter's output by its factor.
    fn divide_out(&mut self, factors: &[f32]) {
        let per_filter = self.weight.len() / self.spec.filters;
        for (weights, factor) in self.weight.chunks_exact_mut(per_filter).zip(factors) {
            for w in weights {
                *w /= factor;
            }
        }
        for (bias, factor) in self.bias.iter_mut().zip(factors) {
            *bias /= factor;
        }
    }

    /// Expects each input channel divided by its factor.
    fn multiply_in(&mut self, factors: &[f32]) {
        let taps = self.spec.kernel * self.spec.kernel;
        for (i, w) in self.weight.iter_mut().enumerate() {
            *w *= factors[i / taps % self.channels];
        }
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, v| most.max(v.abs()))
}

/// Quantises `twin` with the ranges that `patches` ([pictures, channels, side, side]) show.
///
/// # Errors
/// Where the network does not fit its input or the device fails.
pub fn quantize(
    twin: &PlainTwin,
    spec: &NetworkSpec,
    input: &InputSpec,
    patches: &[f32],
) -> Result<QuantizedTwin, QuantizeError> {
    let shapes = spec.shapes(input)?;
    let mut layers: Vec<FloatLayer> = twin
        .blocks
        .iter()
        .map(|block| FloatLayer {
            spec: block.spec,
            channels: block.channels,
            weight: block.weight.clone(),
            bias: block.bias.clone(),
        })
        .collect();
    if let (Some(linear), Some(&(channels, side))) = (&twin.linear, shapes.planes.last()) {
        layers.push(FloatLayer {
            spec: Block {
                filters: linear.bias.len(),
                kernel: side,
                padding: 0,
                pool: 1,
                ..Block::default()
            },
            channels,
            weight: linear.weight.clone(),
            bias: linear.bias.clone(),
        });
    }
    let sigmoid = twin.linear.is_some();
    let undo = equalize(&mut layers, &twin.head.alpha, sigmoid);

    let input_scale = 1.0 / 255.0; // input is 0 to 1
    let mut quantized: Vec<QuantizedLayer> = Vec::new();
    let mut activations = patches.to_vec();
    let mut planes = (input.channels, input.side_px);
    let mut scale = input_scale;
    for (i, layer) in layers.iter().enumerate() {
        let before_sigmoid = sigmoid && i + 1 == layers.len();
        activations = forward(layer, &activations, &mut planes, !before_sigmoid)?;
        let (output_scale, output_zero) = if before_sigmoid {
            (largest(&activations).clamp(1e-6, LOGIT_LIMIT) / 127.0, 0)
        } else {
            (best_scale(&activations, 255.0), ZERO)
        };
        let weight_scale = best_scale(&layer.weight, 127.0);
        let unit = f64::from(scale) * f64::from(weight_scale);
        quantized.push(QuantizedLayer {
            spec: layer.spec,
            channels: layer.channels,
            weight: layer
                .weight
                .iter()
                .map(|w| (w / weight_scale).round_ties_even().clamp(-127.0, 127.0) as i8)
                .collect(),
            weight_scale,
            bias: layer
                .bias
                .iter()
                .map(|b| (f64::from(*b) / unit).round_ties_even() as i32)
                .collect(),
            output_scale,
            output_zero,
        });
        scale = output_scale;
    }
    Ok(QuantizedTwin {
        input_scale,
        layers: quantized,
        sigmoid,
        output_scales: undo.iter().map(|factor| factor * scale).collect(),
    })
}

/// Makes the channels between layers alike without changing what the twin computes, but for one
/// positive factor on each channel of the last output; those factors.
fn equalize(layers: &mut [FloatLayer], alpha: &[f32], sigmoid: bool) -> Vec<f32> {
    let last = layers.len() - 1;
    let mut undo = vec![1.0; layers[last].spec.filters];
    for _ in 0..SWEEPS {
        for i in 0..last {
            let (before, after) = layers.split_at_mut(i + 1);
            let factors = balance(&before[i].reach_out(), &after[0].reach_in());
            before[i].divide_out(&factors);
            after[0].multiply_in(&factors);
        }
        if sigmoid {
            continue;
        }
        // The head weighs the last channels as a further layer would.
        let per_channel = alpha.len() / undo.len();
        let heard = alpha.chunks_exact(per_channel).zip(&undo);
        let heard: Vec<f32> = heard.map(|(a, undo)| largest(a) * undo).collect();
        let factors = balance(&layers[last].reach_out(), &heard);
        layers[last].divide_out(&factors);
        for (undo, factor) in undo.iter_mut().zip(&factors) {
            *undo *= factor;
        }
    }
    undo
}

/// The factors by which outputs are divided so that what a channel is made of reaches as far as
/// what is made of it (Nagel et al. 2019, eq. 11); 1 where either is nothing.
fn balance(out: &[f32], into: &[f32]) -> Vec<f32> {
    out.iter()
        .zip(into)
        .map(|(&out, &into)| {
            if out > 1e-9 && into > 1e-9 {
                (out / into).sqrt().clamp(1e-2, 1e2)
            } else {
                1.0
            }
        })
        .collect()
}

/// The scale with the least squared error when values are rounded to `steps` levels of it, those
/// beyond being clipped: from the largest value downwards.
fn best_scale(values: &[f32], steps: f32) -> f32 {
    let most = largest(values).max(1e-9);
    let mut best = (f64::INFINITY, most / steps);
    for part in (40..=100).step_by(2) {
        let scale = most * part as f32 / 100.0 / steps;
        let error: f64 = values
            .iter()
            .map(|v| {
                let q = (v.abs() / scale).round_ties_even().min(steps);
                f64::from(v.abs() - q * scale).powi(2)
            })
            .sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    best.1
}

/// One layer over many pictures; `planes` is (channels, side) of what goes in, then of what comes
/// out.
fn forward(
    layer: &FloatLayer,
    input: &[f32],
    planes: &mut (usize, usize),
    with_relu: bool,
) -> Result<Vec<f32>, DeviceError> {
    let device = Device::flex();
    let (channels, side) = *planes;
    let Block {
        filters,
        kernel,
        padding,
        pool,
        ..
    } = layer.spec;
    let weight = TensorData::new(layer.weight.clone(), [filters, channels, kernel, kernel]);
    let weight = Tensor::<4>::from_data(weight, &device);
    let bias = Tensor::<1>::from_data(TensorData::new(layer.bias.clone(), [filters]), &device);
    let mut out = Vec::new();
    for pictures in input.chunks(BATCH * channels * side * side) {
        let count = pictures.len() / (channels * side * side);
        let x = TensorData::new(pictures.to_vec(), [count, channels, side, side]);
        let options = ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
        let x = Tensor::<4>::from_data(x, &device);
        let mut x = conv2d(x, weight.clone(), Some(bias.clone()), options);
        if with_relu {
            x = relu(x);
        }
        if pool > 1 {
            x = max_pool2d(x, MaxPoolOptions::new([pool; 2]));
        }
        planes.1 = x.dims()[2];
        out.extend(numbers(x)?);
    }
    planes.0 = filters;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(filters: usize, channels: usize, weight: &[f32]) -> FloatLayer {
        FloatLayer {
            spec: Block {
                filters,
                kernel: 1,
                padding: 0,
                pool: 1,
                ..Block::default()
            },
            channels,
            weight: weight.to_vec(),
            bias: vec![0.5; filters],
        }
    }

    #[test]
    fn equalising_changes_no_output_but_by_the_factors_that_it_names() {
        let make = || {
            [
                layer(2, 1, &[8.0, 0.25]),
                layer(2, 2, &[0.1, 3.0, -0.2, 1.0]),
            ]
        };
        let run = |layers: &[FloatLayer]| {
            let mut planes = (1, 1);
            layers.iter().fold(vec![0.7, 2.0], |numbers, layer| {
                let mut here = planes;
                let out = forward(layer, &numbers, &mut here, true).unwrap();
                planes = here;
                out
            })
        };
        let (plain, mut equal) = (make(), make());
        let undo = equalize(&mut equal, &[1.0, 4.0], false);
        for (i, (a, b)) in run(&plain).iter().zip(run(&equal)).enumerate() {
            assert!(
                (a - b * undo[i % 2]).abs() < 1e-4 * a.abs().max(1.0),
                "{a} {b}"
            );
        }
        let reach = equal[0].reach_out();
        assert!((reach[0] / reach[1]).max(reach[1] / reach[0]) < 8.0 / 0.25 / 2.0);
    }

    #[test]
    fn a_scale_covers_the_values_and_clips_a_far_stray() {
        let values: Vec<f32> = (0..=255).map(|i| i as f32 / 255.0).collect();
        assert!((best_scale(&values, 255.0) - 1.0 / 255.0).abs() < 1e-6);
        let mut stray = values.repeat(40);
        stray.push(2.0);
        assert!(best_scale(&stray, 15.0) < 1.7 / 15.0);
    }
}
