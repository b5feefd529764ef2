//! One twin and the head, in Burn: pictures in, embeddings out, weights as plain numbers for the export and for
//! `cpu`, whose gradient it hands to an optimizer. Knows tensors: nothing of data, schedules or files.

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::optim::GradientsParams;
use burn::store::RecordError;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{DataError, Device, Tensor, TensorData};
use onelook_edge::gallery::head::Head;
use onelook_edge::vision::preprocess::InputSpec;
use rand::{Rng, RngExt};

use super::cpu::{self, BlockWeights, LinearWeights, Moments, Weights};
use super::plain::{Norm, PlainBlock, PlainLinear, PlainTwin};
use super::spec::{Block, Init, NetworkSpec, ShapeError};

/// The least scale of a batch normalisation: a positive one can be folded past the pooling.
const LEAST_SCALE: f32 = 1e-3;

/// A dimension that weighs no more than this share of the heaviest hardly weighs.
const FAINT: f64 = 1.0 / 500.0;

/// Why a device gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No numbers.
    #[error("it gave no numbers: {0:?}")]
    Numbers(DataError),
    /// No record of the weights or of the optimizer.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// One of the two equal twins, and the head that compares their embeddings.
#[derive(Module, Debug)]
pub struct Twin {
    blocks: Vec<ConvBlock>,
    linear: Option<Linear>,
    alpha: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct ConvBlock {
    weight: Param<Tensor<4>>,
    /// Absent before a batch normalisation, which has its own.
    bias: Option<Param<Tensor<1>>>,
    norm: Option<BatchNorm>,
    padding: usize,
    pool: usize,
}

#[derive(Module, Debug)]
struct Linear {
    /// [inputs, units]
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Twin {
    /// A twin with fresh weights: the same ones on every device for the same `rng`.
    ///
    /// # Errors
    /// Where the layers do not fit the input.
    pub fn new(
        spec: &NetworkSpec,
        input: &InputSpec,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self, ShapeError> {
        let shapes = spec.shapes(input)?;
        let mut ids = (1..).map(ParamId::from);
        let mut id = || ids.next().unwrap_or_default();
        let mut blocks = Vec::new();
        for (block, &(channels, _)) in spec.blocks.iter().zip(&shapes.planes) {
            let shape = [block.filters, channels, block.kernel, block.kernel];
            let fan_in = channels * block.kernel * block.kernel;
            let (weight_deviation, (bias_mean, bias_deviation)) = match spec.init {
                Init::He => ((2.0 / fan_in as f32).sqrt(), (0.0, 0.0)),
                Init::Koch => (0.01, (0.5, 0.01)),
            };
            let weight = normal(shape, 0.0, weight_deviation, rng, device);
            let bias = normal([block.filters], bias_mean, bias_deviation, rng, device);
            let norm = block.batch_norm.then(|| {
                let norm = BatchNormConfig::new(block.filters)
                    .with_epsilon(f64::from(cpu::EPSILON))
                    .init(device);
                BatchNorm {
                    gamma: Param::initialized(id(), norm.gamma.val()),
                    beta: Param::initialized(id(), norm.beta.val()),
                    ..norm
                }
            });
            blocks.push(ConvBlock {
                weight: Param::initialized(id(), weight),
                bias: (!block.batch_norm).then(|| Param::initialized(id(), bias)),
                norm,
                padding: block.padding,
                pool: block.pool,
            });
        }
        let flat: usize = shapes
            .planes
            .last()
            .map_or(0, |(channels, side)| channels * side * side);
        let linear = spec.linear_sigmoid.map(|units| {
            let (deviation, (bias_mean, bias_deviation)) = match spec.init {
                Init::He => ((2.0 / flat as f32).sqrt(), (0.0, 0.0)),
                Init::Koch => (0.2, (0.5, 0.01)),
            };
            let weight = normal([flat, units], 0.0, deviation, rng, device);
            let bias = normal([units], bias_mean, bias_deviation, rng, device);
            Linear {
                weight: Param::initialized(id(), weight),
                bias: Param::initialized(id(), bias),
            }
        });
        // He: the mean distance of fresh embeddings comes to about b.
        let (alpha_mean, alpha_deviation, b) = match spec.init {
            Init::He => (8.0 / shapes.embedding as f32, 0.0, 4.0),
            Init::Koch => (0.0, 0.2, 0.0),
        };
        let alpha = normal([shapes.embedding], alpha_mean, alpha_deviation, rng, device);
        let bias = normal([1], b, 0.0, rng, device);
        Ok(Self {
            blocks,
            linear,
            alpha: Param::initialized(id(), alpha),
            bias: Param::initialized(id(), bias),
        }
        .with_gradients())
    }

    fn with_gradients(self) -> Self {
        self.set_require_grad(true)
    }

    /// Embeddings [batch, dims] of pictures [batch, channels, side, side].
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let mut x = pictures;
        for block in &self.blocks {
            let options = ConvOptions::new([1, 1], [block.padding; 2], [1, 1], 1);
            let bias = block.bias.as_ref().map(Param::val);
            x = conv2d(x, block.weight.val(), bias, options);
            if block.pool > 1 {
                x = max_pool2d(x, MaxPoolOptions::new([block.pool; 2]));
            }
            if let Some(norm) = &block.norm {
                x = norm.forward(x);
            }
            x = relu(x);
        }
        let flat = x.flatten(1, 3);
        match &self.linear {
            Some(linear) => {
                sigmoid(flat.matmul(linear.weight.val()) + linear.bias.val().unsqueeze())
            }
            None => flat,
        }
    }

    /// Where its weights are.
    pub fn device(&self) -> Device {
        self.alpha.val().device()
    }

    /// The head as plain numbers. Waits for the device.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn head(&self) -> Result<Head, DeviceError> {
        Ok(Head {
            alpha: numbers(self.alpha.val())?,
            bias: numbers(self.bias.val())?.first().copied().unwrap_or(0.0),
        })
    }

    /// The weights below the head as plain numbers. Waits for the device.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn weights(&self) -> Result<Weights, DeviceError> {
        let block = |block: &ConvBlock| {
            let scale = block.norm.as_ref().map(|norm| numbers(norm.gamma.val()));
            let shift = block.norm.as_ref().map(|norm| &norm.beta);
            let shift = shift.or(block.bias.as_ref());
            let shift = shift.map(|shift| numbers(shift.val()));
            Ok(BlockWeights {
                weight: numbers(block.weight.val())?,
                scale: scale.transpose()?,
                shift: shift.transpose()?.unwrap_or_default(),
            })
        };
        let linear = |linear: &Linear| {
            Ok::<_, DeviceError>(LinearWeights {
                weight: numbers(linear.weight.val())?,
                bias: numbers(linear.bias.val())?,
            })
        };
        Ok(Weights {
            blocks: self
                .blocks
                .iter()
                .map(block)
                .collect::<Result<_, DeviceError>>()?,
            linear: self.linear.as_ref().map(linear).transpose()?,
        })
    }

    /// A gradient of [`Self::weights`] and of the head, for an optimizer of this twin.
    ///
    /// # Panics
    /// If it is that of another twin.
    pub fn gradients(&self, gradient: Weights, alpha: Vec<f32>, bias: f32) -> GradientsParams {
        fn register<const D: usize>(
            all: &mut GradientsParams,
            param: &Param<Tensor<D>>,
            gradient: Vec<f32>,
        ) {
            let value = param.val();
            let gradient = on_device(gradient, value.dims(), &value.device().inner());
            all.register(param.id, gradient);
        }
        let mut all = GradientsParams::new();
        assert_eq!(self.blocks.len(), gradient.blocks.len(), "blocks");
        for (block, gradient) in self.blocks.iter().zip(gradient.blocks) {
            register(&mut all, &block.weight, gradient.weight);
            if let Some(bias) = &block.bias {
                register(&mut all, bias, gradient.shift);
            } else if let Some(norm) = &block.norm {
                register(&mut all, &norm.beta, gradient.shift);
                let scale = gradient.scale.unwrap_or_default();
                register(&mut all, &norm.gamma, scale);
            }
        }
        if let (Some(linear), Some(gradient)) = (&self.linear, gradient.linear) {
            register(&mut all, &linear.weight, gradient.weight);
            register(&mut all, &linear.bias, gradient.bias);
        }
        register(&mut all, &self.alpha, alpha);
        register(&mut all, &self.bias, vec![bias]);
        all
    }

    /// What Burn found the gradient of [`Self::weights`] to be.
    #[cfg(test)]
    pub fn plain_gradients(&self, of: &GradientsParams) -> Weights {
        fn one<const D: usize>(of: &GradientsParams, param: &Param<Tensor<D>>) -> Vec<f32> {
            let tensor = of.get::<D>(param.id).expect("a gradient");
            numbers(tensor).expect("numbers")
        }
        let block = |block: &ConvBlock| {
            let norm = block.norm.as_ref();
            BlockWeights {
                weight: one(of, &block.weight),
                scale: norm.map(|norm| one(of, &norm.gamma)),
                shift: match (norm, &block.bias) {
                    (None, Some(bias)) => one(of, bias),
                    (norm, _) => one(of, &norm.expect("a normalisation").beta),
                },
            }
        };
        Weights {
            blocks: self.blocks.iter().map(block).collect(),
            linear: self.linear.as_ref().map(|linear| LinearWeights {
                weight: one(of, &linear.weight),
                bias: one(of, &linear.bias),
            }),
        }
    }

    /// Moves the running mean and variance of each normalisation toward those of a batch, as Burn does on its
    /// own way forward.
    pub fn track_moments<'a>(&self, moments: impl Iterator<Item = Option<&'a Moments>>) {
        let device = self.device().inner();
        for (block, moments) in self.blocks.iter().zip(moments) {
            if let (Some(norm), Some(moments)) = (&block.norm, moments) {
                for (running, of_batch) in [
                    (&norm.running_mean, &moments.mean),
                    (&norm.running_var, &moments.variance),
                ] {
                    let of_batch = on_device(of_batch.clone(), [of_batch.len()], &device);
                    running.update(mix(running.value_sync(), of_batch, norm.momentum));
                }
            }
        }
    }

    /// A scalar with the gradient asked for: sum(embeddings x g) + sum(alpha x g) + b x g.
    pub fn surrogate(
        &self,
        embeddings: Tensor<2>,
        embedding_gradient: Vec<f32>,
        alpha_gradient: Vec<f32>,
        bias_gradient: f32,
    ) -> Tensor<1> {
        let device = embeddings.device().inner();
        let toward = on_device(embedding_gradient, embeddings.dims(), &device);
        let dims = alpha_gradient.len();
        let alpha = on_device(alpha_gradient, [dims], &device);
        let bias = on_device(vec![bias_gradient], [1], &device);
        (embeddings * Tensor::from_inner(toward)).sum()
            + (self.alpha.val() * Tensor::from_inner(alpha)).sum()
            + (self.bias.val() * Tensor::from_inner(bias)).sum()
    }

    /// Puts the weights back where they belong after a step: the scales of batch normalisations
    /// are positive and, where asked, alpha is not negative.
    pub fn project(mut self, alpha_non_negative: bool) -> Self {
        if alpha_non_negative {
            self.alpha = clamped(self.alpha, 0.0);
        }
        for block in &mut self.blocks {
            if let Some(norm) = &mut block.norm {
                norm.gamma = clamped(norm.gamma.clone(), LEAST_SCALE);
            }
        }
        self
    }

    /// Moves each weight and running statistic by `share` of the way to that of `newer`, a twin of
    /// the same layers on the same device: after every step, an exponential moving average.
    pub fn moved_toward(mut self, newer: &Self, share: f64) -> Self {
        for (block, newer) in self.blocks.iter_mut().zip(&newer.blocks) {
            block.weight = mixed(&block.weight, &newer.weight, share);
            if let (Some(bias), Some(newer)) = (&mut block.bias, &newer.bias) {
                *bias = mixed(bias, newer, share);
            }
            if let (Some(norm), Some(newer)) = (&mut block.norm, &newer.norm) {
                norm.gamma = mixed(&norm.gamma, &newer.gamma, share);
                norm.beta = mixed(&norm.beta, &newer.beta, share);
                for (old, new) in [
                    (&mut norm.running_mean, &newer.running_mean),
                    (&mut norm.running_var, &newer.running_var),
                ] {
                    *old = RunningState::new(mix(old.value_sync(), new.value_sync(), share));
                }
            }
        }
        if let (Some(linear), Some(newer)) = (&mut self.linear, &newer.linear) {
            linear.weight = mixed(&linear.weight, &newer.weight, share);
            linear.bias = mixed(&linear.bias, &newer.bias, share);
        }
        self.alpha = mixed(&self.alpha, &newer.alpha, share);
        self.bias = mixed(&self.bias, &newer.bias, share);
        self
    }

    /// Without the dimensions that hardly weigh, a five-hundredth of the heaviest or less: training
    /// drives their alpha toward 0 and an average never gets there, but the device need not keep them.
    pub fn without_faint_dimensions(mut self) -> Self {
        let alpha = self.alpha.val();
        let least = alpha.clone().abs().max() * FAINT;
        let weighed = alpha.clone().abs().greater(least).float();
        self.alpha = Param::initialized(self.alpha.id, alpha * weighed);
        self
    }

    /// The parameters of each layer (blocks, linear, head), for per-layer rates.
    pub fn layers(&self) -> Vec<Vec<ParamId>> {
        let mut layers = Vec::new();
        for block in &self.blocks {
            let mut ids = vec![block.weight.id];
            ids.extend(block.bias.as_ref().map(|bias| bias.id));
            if let Some(norm) = &block.norm {
                ids.extend([norm.gamma.id, norm.beta.id]);
            }
            layers.push(ids);
        }
        if let Some(linear) = &self.linear {
            layers.push(vec![linear.weight.id, linear.bias.id]);
        }
        layers.push(vec![self.alpha.id, self.bias.id]);
        layers
    }

    /// The weights as plain numbers, batch normalisations folded into their convolutions.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn plain(&self, spec: &NetworkSpec) -> Result<PlainTwin, DeviceError> {
        let mut blocks = Vec::new();
        for (block, &spec) in self.blocks.iter().zip(&spec.blocks) {
            let [filters, channels, _, _] = block.weight.val().dims();
            let mut weight = numbers(block.weight.val())?;
            let mut bias = match &block.bias {
                Some(bias) => numbers(bias.val())?,
                None => vec![0.0; filters],
            };
            if let Some(norm) = &block.norm {
                let norm = Norm {
                    scale: numbers(norm.gamma.val())?,
                    shift: numbers(norm.beta.val())?,
                    mean: numbers(norm.running_mean.value_sync())?,
                    variance: numbers(norm.running_var.value_sync())?,
                    epsilon: norm.epsilon as f32,
                };
                norm.fold(&mut weight, &mut bias);
            }
            let spec = Block {
                batch_norm: false,
                ..spec
            };
            blocks.push(PlainBlock {
                spec,
                channels,
                weight,
                bias,
            });
        }
        let linear = match &self.linear {
            Some(linear) => Some(PlainLinear {
                weight: numbers(linear.weight.val().transpose())?,
                bias: numbers(linear.bias.val())?,
            }),
            None => None,
        };
        Ok(PlainTwin {
            blocks,
            linear,
            head: self.head()?,
        })
    }
}

fn on_device<const D: usize>(numbers: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

fn mix<const D: usize>(old: Tensor<D>, new: Tensor<D>, share: f64) -> Tensor<D> {
    old.clone() + (new - old) * share
}

fn mixed<const D: usize>(
    old: &Param<Tensor<D>>,
    new: &Param<Tensor<D>>,
    share: f64,
) -> Param<Tensor<D>> {
    Param::initialized(old.id, mix(old.val(), new.val(), share))
}

fn clamped(param: Param<Tensor<1>>, least: f32) -> Param<Tensor<1>> {
    let (id, value, _) = param.consume();
    let autodiff = value.device().is_autodiff();
    let value = if autodiff {
        Tensor::from_inner(value.inner().clamp_min(least)).require_grad()
    } else {
        value.clamp_min(least)
    };
    Param::initialized(id, value)
}

/// What is in a tensor. Waits for the device.
///
/// # Errors
/// Where the device fails.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, DeviceError> {
    let numbers = tensor.into_data().try_into_vec::<f32>();
    numbers.map_err(DeviceError::Numbers)
}

/// Patches, one after another, as pictures [batch, channels, side, side] on a device.
pub fn pictures(patches: Vec<f32>, input: &InputSpec, device: &Device) -> Tensor<4> {
    let count = patches.len() / input.len();
    let shape = [count, input.channels, input.side_px, input.side_px];
    on_device(patches, shape, device)
}

/// Normal numbers (Box and Muller 1958), made here so that every device starts from the same.
fn normal<const D: usize>(
    shape: [usize; D],
    mean: f32,
    deviation: f32,
    rng: &mut impl Rng,
    device: &Device,
) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| {
            if deviation == 0.0 {
                return mean;
            }
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            let angle = std::f64::consts::TAU * rng.random::<f64>();
            mean + deviation * (radius * angle.cos()) as f32
        })
        .collect();
    on_device(values, shape, device)
}

#[cfg(test)]
mod tests;
