//! A step of training: embed, compare, follow the gradient; and the weights that come of it. Knows the network and the
//! loss: nothing of files or data sets.

use burn::module::Module;
use burn::optim::{GradientsParams, LearningRate, ModuleOptimizer};
use burn::tensor::Device;
use onelook_edge::gallery::head::Head;

use super::TrainError;
use super::distill::Teachers;
use super::loss::{self, Loss, Softmax};
use super::optimizer::optimizer;
use super::run::Progress;
use super::sampler::{Batch, Labels};
use crate::config::{Decay, Objective, OptimizerSpec, Recipe};
use crate::network::burn::{Twin, numbers, pictures};
use crate::network::cpu::Layers;
use crate::network::spec::ShapeError;

/// Steps after which the moving average of the weights takes a step.
const AVERAGED_STEPS: u64 = 10;

/// A network in training, with all that the next step depends on.
pub(super) struct Learner {
    pub(super) twin: Twin,
    /// The moving average of the twin's weights, where the recipe asks for one.
    pub(super) average: Option<Twin>,
    pub(super) optimizer: ModuleOptimizer,
    pub(super) device: Device,
    /// What computes on the CPU; none where Burn does, on a GPU.
    pub(super) layers: Option<Layers>,
    pub(super) progress: Progress,
}

impl Learner {
    /// One step: embed, compare, follow the gradient.
    pub(super) fn step(
        &mut self,
        batch: Batch,
        recipe: &Recipe,
        teachers: &Teachers,
    ) -> Result<Loss, TrainError> {
        let epoch = self.progress.step / self.progress.steps_per_epoch;
        if self
            .progress
            .step
            .is_multiple_of(self.progress.steps_per_epoch)
            && matches!(recipe.optimizer, OptimizerSpec::Momentum { .. })
        {
            let record = self.optimizer.to_record();
            self.optimizer = optimizer(&self.twin, recipe, epoch).load_record(record);
        }
        let head = self.twin.head()?;
        let Batch { patches, labels } = batch;
        let teaching = teachers.distances(&patches)?;
        let compare = |embeddings: &[f32]| {
            compare(
                embeddings,
                &head,
                &labels,
                &recipe.objective,
                teaching.as_deref(),
            )
        };
        let (loss, gradients) = match &self.layers {
            Some(layers) => {
                let weights = self.twin.weights()?;
                let pass = layers.forward(&weights, &patches);
                let loss = compare(pass.embeddings());
                let gradient = layers.backward(&weights, &pass, &loss.embeddings);
                self.twin.track_moments(pass.moments());
                let gradients = self.twin.gradients(gradient, loss.alpha.clone(), loss.bias);
                (loss, gradients)
            }
            None => {
                let embeddings = self
                    .twin
                    .forward(pictures(patches, &recipe.input, &self.device));
                let plain = numbers(embeddings.clone())?;
                let loss = compare(&plain);
                let gradients = self
                    .twin
                    .surrogate(
                        embeddings,
                        loss.embeddings.clone(),
                        loss.alpha.clone(),
                        loss.bias,
                    )
                    .backward();
                let gradients = GradientsParams::from_grads(gradients, &self.twin);
                (loss, gradients)
            }
        };
        let twin = self
            .optimizer
            .step(self.rate(recipe), self.twin.clone(), gradients);
        self.twin = twin.project(recipe.network.alpha_non_negative);
        if self.progress.step.is_multiple_of(AVERAGED_STEPS)
            && let (Some(keep), Some(average)) = (recipe.schedule.average, self.average.take())
        {
            // The first steps are forgotten sooner.
            let step = self.progress.step as f64;
            let keep = keep.min((1.0 + step) / (10.0 + step));
            let share = 1.0 - keep.powf(AVERAGED_STEPS as f64);
            self.average = Some(average.moved_toward(&self.twin.valid(), share));
        }
        self.progress.step += 1;
        self.progress.loss_sum += f64::from(loss.value);
        self.progress.accuracy_sum += f64::from(loss.accuracy);
        Ok(loss)
    }

    /// The learning rate of the next step; for per-layer rates a factor upon them.
    pub(super) fn rate(&self, recipe: &Recipe) -> LearningRate {
        let base = match recipe.optimizer {
            OptimizerSpec::AdamW { learning_rate, .. } => learning_rate,
            OptimizerSpec::Momentum { .. } => 1.0,
        };
        let Progress {
            step,
            total_steps,
            steps_per_epoch,
            ..
        } = self.progress;
        base * match recipe.schedule.decay {
            Decay::Exponential { factor } => factor.powf((step / steps_per_epoch) as f64),
            Decay::Cosine { warmup_steps } if step < warmup_steps as u64 => {
                (step + 1) as f64 / warmup_steps as f64
            }
            Decay::Cosine { warmup_steps } => {
                let done = (step - warmup_steps as u64) as f64
                    / total_steps.saturating_sub(warmup_steps as u64).max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
        }
    }

    /// The weights that validate and are exported.
    pub(super) fn best(&self) -> Twin {
        match &self.average {
            Some(average) => average.clone().without_faint_dimensions(),
            None => self.twin.valid(),
        }
    }
}

/// Our own layers, where the device is the CPU.
pub(super) fn cpu_layers(recipe: &Recipe, device: &Device) -> Result<Option<Layers>, ShapeError> {
    let on_cpu = device.clone().inner() == Device::flex();
    on_cpu
        .then(|| Layers::new(&recipe.network, &recipe.input))
        .transpose()
}

/// The loss of a batch; `teacher` is how far the teachers find its pictures from each other.
fn compare(
    embeddings: &[f32],
    head: &Head,
    labels: &Labels,
    objective: &Objective,
    teacher: Option<&[f64]>,
) -> Loss {
    match (labels, objective) {
        (Labels::Pairs(pairs), _) => loss::pairs(embeddings, head, pairs),
        (Labels::Classes(classes), objective) => {
            let (weight, smoothing) = match objective {
                Objective::AllPairs {
                    softmax_weight,
                    smoothing,
                    ..
                } => (*softmax_weight, *smoothing),
                Objective::Pairs { .. } => (0.0, 0.0),
            };
            let softmax = Softmax {
                weight,
                smoothing,
                teacher,
            };
            loss::all_pairs(embeddings, head, classes, softmax)
        }
    }
}
