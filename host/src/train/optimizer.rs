//! The optimizer that a recipe asks for, in Burn. Knows parameters and rates: nothing of losses.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, LearningRate, ModuleOptimizer, Optimizer, SgdConfig};
use burn::tensor::{Device, Tensor};

use crate::config::{OptimizerSpec, Recipe};
use crate::network::burn::Twin;

/// The optimizer of a recipe in a given epoch, without any state.
pub(super) fn optimizer(twin: &Twin, recipe: &Recipe, epoch: u64) -> ModuleOptimizer {
    let layers = twin.layers();
    match &recipe.optimizer {
        OptimizerSpec::AdamW {
            weight_decay,
            head_rate,
            ..
        } => {
            let adam = |weight_decay: f32| {
                AdamWConfig::new()
                    .with_weight_decay(weight_decay)
                    .with_epsilon(1e-8)
                    .build()
            };
            let head = layers.last().cloned().unwrap_or_default();
            ModuleOptimizer::from(adam(*weight_decay)).with_group(
                ParamGroup::from_ids(head),
                AtRate {
                    inner: adam(0.0),
                    rate: *head_rate,
                },
                None,
            )
        }
        OptimizerSpec::Momentum {
            layers: rates,
            momentum_epochs,
        } => {
            let risen = (epoch as f64 / (*momentum_epochs).max(1) as f64).min(1.0);
            let start = ModuleOptimizer::from(SgdConfig::new().build());
            layers
                .into_iter()
                .zip(rates)
                .fold(start, |all, (ids, layer)| {
                    let momentum = 0.5 + (layer.momentum - 0.5) * risen;
                    let sgd = SgdConfig::new()
                        .with_momentum(Some(
                            MomentumConfig::new()
                                .with_momentum(momentum)
                                .with_dampening(0.0),
                        ))
                        // The gradient of lambda |w|^2 is 2 lambda w.
                        .with_weight_decay(Some(WeightDecayConfig {
                            penalty: 2.0 * layer.l2,
                        }))
                        .build();
                    let layer = AtRate {
                        inner: sgd,
                        rate: layer.learning_rate,
                    };
                    all.with_group(ParamGroup::from_ids(ids), layer, None)
                })
        }
    }
}

/// An optimizer whose learning rate is multiplied.
#[derive(Clone)]
struct AtRate<O> {
    inner: O,
    rate: f64,
}

impl<O: Optimizer> Optimizer for AtRate<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.inner.step(rate * self.rate, tensor, gradient, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        O::to_device(state, device)
    }
}
