//! A training run: steps, validation, checkpoints, stop and resume. Knows the run's folder and the
//! network: nothing of ONNX (`distill` opens the models that teach) or of test data.

pub mod distill;
pub mod loss;
mod photographs;
pub mod sampler;

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdamWConfig, GradientsParams, LearningRate, ModuleOptimizer, Optimizer, OptimizerRecord,
    SgdConfig,
};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, DeviceKind, DeviceType, Tensor, TensorData};
use onelook_edge::gallery::head::Head;
use onelook_edge::vision::preprocess::patch;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Decay, Objective, OptimizerSpec, Recipe};
use crate::data::{Dataset, split};
use crate::measure::trials::{self, Trial};
use crate::network::burn::Twin;
use crate::network::cpu::Layers;
use crate::random::{Purpose, stream};
use crate::train::distill::{TeacherError, Teachers};
use loss::{Loss, Softmax};
use sampler::{Batch, Labels, Sampler};

/// Pictures embedded at once where nothing is learned.
const EMBED_BATCH: usize = 128;
/// Steps after which `minutes` becomes a number of epochs.
const MEASURED_STEPS: u64 = 30;
/// Photographs after which it is known how long all will take.
const TIMED_PHOTOGRAPHS: usize = 256;
/// Steps after which the moving average of the weights takes a step.
const AVERAGED_STEPS: u64 = 10;
/// Steps that share a row of `steps.csv`.
const LOGGED_STEPS: u64 = 50;
/// The first line of a checkpoint file.
const MAGIC: &[u8] = b"onelook checkpoint 2\n";

/// Where the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compute {
    /// A GPU where there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU (Burn wgpu).
    Gpu,
    /// wgpu on a software Vulkan: slow, to test the GPU path without a GPU.
    SoftwareGpu,
}

/// What a run is asked to do.
pub struct Order {
    /// The recipe.
    pub recipe: Recipe,
    /// What the data is called, so that a later command can open it again.
    pub data_source: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The run's folder.
    pub out: PathBuf,
    /// Where to compute.
    pub compute: Compute,
    /// Epochs instead of the recipe's.
    pub epochs: Option<usize>,
    /// Train for about so long instead: the number of epochs follows from the rate measured over
    /// the first steps.
    pub minutes: Option<f64>,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Model files that spread the smoothed share of the labels.
    pub teachers: Vec<PathBuf>,
}

/// What a run's folder says of itself (`run.toml`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Where the pictures came from.
    pub data: String,
    /// SHA-256 over names and samples of the pictures that train and validate.
    pub data_sha256: String,
    /// Seed of everything random.
    pub seed: u64,
    /// What computed; of a run that went on elsewhere, all of it, in turn.
    pub device: String,
    /// Groups (of flat data: classes) that only validate.
    pub validation: Vec<String>,
    /// Classes that train.
    pub train_classes: usize,
    /// Pictures that train.
    pub train_pictures: usize,
    /// Ids of the models that taught it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<String>,
    /// The recipe.
    pub recipe: Recipe,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Sum of the losses of the epoch so far.
    pub loss_sum: f64,
    /// Sum of the pair accuracies of the epoch so far.
    pub accuracy_sum: f64,
    /// The best validation accuracy, 0 to 1.
    pub best_accuracy: f64,
    /// The epoch after which it was measured, counted from 1; 0 for none.
    pub best_epoch: u64,
    /// Whether patience ran out.
    pub exhausted: bool,
    /// Seconds spent training.
    pub seconds: f64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// All epochs are done, or patience ran out.
    Finished(Progress),
    /// It was told to stop; `--resume` goes on.
    Stopped(Progress),
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file of the run cannot be read or written.
    #[error("{path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder already holds a run.
    #[error("{path:?} already holds a run; go on with --resume, or name another folder")]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds another run than the one asked for.
    #[error("{path:?}: {what} differs from the run there; resume with what it was begun with")]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// A checkpoint or run file is damaged or of another kind.
    #[error("{path:?}: damaged ({reason}); restore it, or train again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No such device.
    #[error("no GPU was found that wgpu can use; train with --device cpu")]
    NoGpu,
    /// A teacher cannot teach this run.
    #[error(transparent)]
    Teacher(#[from] TeacherError),
    /// The data or the recipe cannot be learned from.
    #[error("{0}")]
    Unlearnable(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}

/// The data of a run: what trains, what validates.
pub struct RunData {
    /// Training part.
    pub train: Dataset,
    /// Classes that training never sees.
    pub validation: Dataset,
    /// As in [`RunFile`].
    pub sha256: String,
}

/// Splits `data` as the recipe and seed say, without pictures in which the recipe finds nothing.
/// Says on standard error which those were.
pub fn run_data(mut data: Dataset, recipe: &Recipe, seed: u64) -> RunData {
    let blank = split::drop_blank(&mut data, &recipe.input);
    for skipped in data.skipped.iter().chain(&blank) {
        eprintln!("skipped {}: {}", skipped.source, skipped.reason);
    }
    let (train, validation) = split::split(data, &recipe.split, seed);
    let mut hash = Sha256::new();
    for (part, name) in [(&train, "train"), (&validation, "validation")] {
        hash.update(name);
        for group in &part.groups {
            for class in &group.classes {
                for picture in &class.pictures {
                    hash.update(format!("\n{}/{}/", group.name, class.name));
                    hash.update(picture.frame.pixels());
                }
            }
        }
    }
    RunData {
        train,
        validation,
        sha256: hex(&hash.finalize()),
    }
}

/// Trains, or goes on training, until done or until `stop` is set.
///
/// # Errors
/// Every [`TrainError`]; what the folder held before is kept.
pub fn train(order: &Order, data: Dataset, stop: &AtomicBool) -> Result<Ending, TrainError> {
    let device = open_device(order.compute)?;
    let data = run_data(data, &order.recipe, order.seed);
    let RunData {
        train,
        validation,
        sha256,
    } = &data;
    let sampler = Sampler::new(train, &order.recipe, order.seed).map_err(unlearnable)?;
    let trials = trials::trials(validation, order.recipe.validation.into(), order.seed)
        .map_err(|reason| unlearnable(format!("the validation part: {reason}")))?;
    let teachers = Teachers::open(&order.teachers, &order.recipe.input, sha256)?;
    if !order.teachers.is_empty() {
        can_be_taught(&order.recipe).map_err(unlearnable)?;
    }
    let run = RunFile {
        data: order.data_source.clone(),
        data_sha256: sha256.clone(),
        seed: order.seed,
        device: device.name,
        validation: validation_names(validation),
        train_classes: train.classes(),
        train_pictures: train.pictures(),
        teachers: teachers.ids(),
        recipe: order.recipe.clone(),
    };
    let mut state = if order.resume {
        resume(order, &run, &sampler, &device.device)?
    } else {
        begin(order, &run, &sampler, &device.device)?
    };
    let session = Instant::now();
    let mut log = Log::open(order, &state.progress)?;
    log.note(&format!(
        "{}: {} classes, {} pictures; validating on {} classes in {} trials of {} ways",
        run.device,
        run.train_classes,
        run.train_pictures,
        validation.classes(),
        trials.len(),
        trials[0].classes.len(),
    ));
    let first = state.progress.step;
    // Later than that the checkpoint knows the number of epochs.
    let minutes = order.minutes.filter(|_| first < MEASURED_STEPS);
    let most = match minutes {
        Some(_) => u64::MAX,
        None => state.progress.total_steps,
    };
    let left = match state.progress.exhausted {
        true => 0,
        false => most.saturating_sub(first),
    };
    if sampler.asks_for_most_photographs(left) {
        log.note("taking a photograph of every picture with the simulated camera");
        sampler.take_photographs(|taken, all| {
            log.photographs(taken, all, &session, minutes);
            !stop.load(Ordering::Relaxed)
        });
    }
    let taken_minutes = session.elapsed().as_secs_f64() / 60.0;
    let mut pace = Pace::new(minutes.map(|all| (all - taken_minutes).max(0.0)), first);
    // Each thread draws every n-th batch, and they are taken in turn.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let receivers: Vec<mpsc::Receiver<Batch>> = (0..threads as u64)
            .map(|thread| {
                let (sender, receiver) = mpsc::sync_channel(1);
                let sampler = &sampler;
                scope.spawn(move || {
                    for step in (first + thread..most).step_by(threads) {
                        if sender.send(sampler.batch(step)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        while !state.progress.exhausted && state.progress.step < state.progress.total_steps {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let thread = (state.progress.step - first) as usize % threads;
            let Ok(batch) = receivers[thread].recv() else {
                return Err(unlearnable("the sampler stopped".to_owned()));
            };
            let pictures = batch.patches.len() / order.recipe.input.len();
            let loss = state.step(batch, &order.recipe, &teachers)?;
            if !loss.value.is_finite() {
                return Err(unlearnable(format!(
                    "the loss is {} at step {}; lower the learning rate",
                    loss.value, state.progress.step
                )));
            }
            pace.count(pictures);
            if let Some(epochs) = pace.epochs(&state.progress) {
                state.progress.total_steps = epochs * state.progress.steps_per_epoch;
                log.note(&format!(
                    "in {:.1} minutes there is time for {epochs} epochs at this rate",
                    order.minutes.unwrap_or_default()
                ));
            }
            log.step(&state.progress, &pace, loss.value)?;
            if state
                .progress
                .step
                .is_multiple_of(state.progress.steps_per_epoch)
            {
                let accuracy = state.validate(validation, &trials, &order.recipe)?;
                state.progress.seconds += pace.lap(&session);
                let epoch = state.progress.step / state.progress.steps_per_epoch;
                let better = accuracy > state.progress.best_accuracy || epoch == 1;
                if better {
                    state.progress.best_accuracy = accuracy;
                    state.progress.best_epoch = epoch;
                } else if order
                    .recipe
                    .schedule
                    .patience
                    .is_some_and(|patience| epoch - state.progress.best_epoch >= patience as u64)
                {
                    state.progress.exhausted = true;
                }
                log.epoch(&state.progress, &pace, accuracy, state.rate(&order.recipe))?;
                state.progress.loss_sum = 0.0;
                state.progress.accuracy_sum = 0.0;
                if better {
                    state.save(&best_path(&order.out), true)?;
                }
                state.save(&last_path(&order.out), false)?;
            }
        }
        Ok(())
    })?;
    let done = state.progress.exhausted || state.progress.step >= state.progress.total_steps;
    if done {
        return Ok(Ending::Finished(state.progress));
    }
    state.progress.seconds += pace.lap(&session);
    state.save(&last_path(&order.out), false)?;
    Ok(Ending::Stopped(state.progress))
}

/// The loss of a batch, in which the teachers find the pictures so far from each other.
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

/// Whether a teacher changes anything; if not, in words.
fn can_be_taught(recipe: &Recipe) -> Result<(), String> {
    let untaught = match recipe.objective {
        Objective::Pairs { .. } => "objective.kind is not \"all_pairs\"",
        Objective::AllPairs {
            softmax_weight: 0.0,
            ..
        } => "objective.softmax_weight is 0",
        Objective::AllPairs { smoothing: 0.0, .. } => "objective.smoothing is 0",
        Objective::AllPairs { .. } => return Ok(()),
    };
    Err(format!(
        "recipe {:?}: a teacher spreads the smoothed share of the softmax term's labels, and {untaught}; change that, \
         or leave --teacher out",
        recipe.name
    ))
}

fn unlearnable(reason: String) -> TrainError {
    TrainError::Unlearnable(reason)
}

/// Names of what validates: groups, or the classes of the single group of a flat folder.
fn validation_names(validation: &Dataset) -> Vec<String> {
    match validation.groups.as_slice() {
        [only] if only.name == validation.name => only
            .classes
            .iter()
            .map(|class| class.name.clone())
            .collect(),
        groups => groups.iter().map(|group| group.name.clone()).collect(),
    }
}

struct OpenDevice {
    device: Device,
    name: String,
}

fn open_device(compute: Compute) -> Result<OpenDevice, TrainError> {
    let cpu = || OpenDevice {
        device: Device::flex(),
        name: "CPU".to_owned(),
    };
    let gpu = || {
        // A machine without any Vulkan at all may panic inside. One with a software Vulkan alone
        // lists that, which is slower than the CPU itself.
        let found = std::panic::catch_unwind(|| {
            let software = Device::wgpu(DeviceKind::Cpu);
            let mut listed = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter();
            listed.find(|device| *device != software)
        });
        let device = found.ok().flatten()?;
        let name = format!("GPU (Burn wgpu, {device:?})");
        Some(OpenDevice { device, name })
    };
    match compute {
        Compute::Cpu => Ok(cpu()),
        Compute::Gpu => gpu().ok_or(TrainError::NoGpu),
        Compute::Auto => Ok(gpu().unwrap_or_else(cpu)),
        Compute::SoftwareGpu => Ok(OpenDevice {
            device: Device::wgpu(DeviceKind::Cpu),
            name: "software GPU (Burn wgpu)".to_owned(),
        }),
    }
}

/// A network in training, with all that the next step depends on.
struct State {
    twin: Twin,
    /// The moving average of the twin's weights, where the recipe asks for one.
    average: Option<Twin>,
    optimizer: ModuleOptimizer,
    device: Device,
    /// What computes on the CPU; none where Burn does, on a GPU.
    layers: Option<Layers>,
    progress: Progress,
}

fn begin(
    order: &Order,
    run: &RunFile,
    sampler: &Sampler,
    device: &Device,
) -> Result<State, TrainError> {
    let run_path = order.out.join("run.toml");
    if run_path.exists() {
        return Err(TrainError::Occupied {
            path: order.out.clone(),
        });
    }
    fs::create_dir_all(&order.out).map_err(file_error(&order.out))?;
    write_run(&order.out, run)?;
    fresh(order, sampler, device)
}

fn write_run(folder: &Path, run: &RunFile) -> Result<(), TrainError> {
    let text = toml::to_string(run).map_err(|error| unlearnable(error.to_string()))?;
    write_whole(&folder.join("run.toml"), text.as_bytes())
}

/// A run before its first step.
fn fresh(order: &Order, sampler: &Sampler, device: &Device) -> Result<State, TrainError> {
    let device = device.clone().autodiff();
    let recipe = &order.recipe;
    let twin = Twin::new(
        &recipe.network,
        &recipe.input,
        &mut stream(order.seed, Purpose::Init, 0),
        &device,
    )
    .map_err(unlearnable)?;
    let steps_per_epoch = sampler
        .steps_per_epoch()
        .or(recipe.schedule.steps_per_epoch)
        .unwrap_or(1) as u64;
    let epochs = order.epochs.unwrap_or(recipe.schedule.epochs) as u64;
    let progress = Progress {
        steps_per_epoch,
        total_steps: epochs * steps_per_epoch,
        ..Progress::default()
    };
    let optimizer = optimizer(&twin, recipe, 0);
    let average = recipe.schedule.average.map(|_| twin.valid());
    Ok(State {
        twin,
        average,
        optimizer,
        layers: cpu_layers(recipe, &device).map_err(unlearnable)?,
        device,
        progress,
    })
}

/// Our own layers, where the device is the CPU.
fn cpu_layers(recipe: &Recipe, device: &Device) -> Result<Option<Layers>, String> {
    let on_cpu = device.clone().inner() == Device::flex();
    on_cpu
        .then(|| Layers::new(&recipe.network, &recipe.input))
        .transpose()
}

fn resume(
    order: &Order,
    run: &RunFile,
    sampler: &Sampler,
    device: &Device,
) -> Result<State, TrainError> {
    let found = read_run(&order.out)?;
    let differs = |what: &str| TrainError::OtherRun {
        path: order.out.clone(),
        what: what.to_owned(),
    };
    if found.recipe != run.recipe {
        return Err(differs("the recipe"));
    }
    if found.seed != run.seed {
        return Err(differs("the seed"));
    }
    if found.data_sha256 != run.data_sha256 {
        return Err(differs("the data"));
    }
    if found.teachers != run.teachers {
        let had = match found.teachers.as_slice() {
            [] => "none".to_owned(),
            ids => format!("{} in this order", ids.join(", ")),
        };
        return Err(differs(&format!("--teacher (the run had {had})")));
    }
    let path = last_path(&order.out);
    // Where there is none, it was killed before its first checkpoint.
    let state = if path.exists() {
        State::load(&path, &order.recipe, device)?
    } else {
        fresh(order, sampler, device)?
    };
    if let Some(epochs) = order.epochs
        && epochs as u64 * state.progress.steps_per_epoch != state.progress.total_steps
    {
        return Err(differs("the number of epochs"));
    }
    if !found.device.ends_with(&run.device) {
        let device = format!("{}, then {}", found.device, run.device);
        write_run(&order.out, &RunFile { device, ..found })?;
    }
    Ok(state)
}

/// What `run.toml` of a run's folder says.
///
/// # Errors
/// `File` or `Damaged`.
pub fn read_run(folder: &Path) -> Result<RunFile, TrainError> {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).map_err(file_error(&path))?;
    toml::from_str(&text).map_err(|error| TrainError::Damaged {
        path,
        reason: error.to_string(),
    })
}

/// The weights of a run with the best validation (or, where no epoch is done, the last), and where
/// the run stood.
///
/// # Errors
/// `File` or `Damaged`.
pub fn best_twin(folder: &Path, run: &RunFile) -> Result<(Twin, Progress), TrainError> {
    let best = best_path(folder);
    let path = if best.exists() {
        best
    } else {
        last_path(folder)
    };
    let state = State::load(&path, &run.recipe, &Device::flex())?;
    Ok((state.judged(), state.progress))
}

fn best_path(folder: &Path) -> PathBuf {
    folder.join("best.checkpoint")
}

fn last_path(folder: &Path) -> PathBuf {
    folder.join("last.checkpoint")
}

impl State {
    /// One step: embed, compare, follow the gradient.
    fn step(
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
        let head = self.twin.head().map_err(TrainError::Device)?;
        let Batch { patches, labels } = batch;
        let taught = teachers.distances(&patches)?;
        let compare = |embeddings: &[f32]| {
            compare(
                embeddings,
                &head,
                &labels,
                &recipe.objective,
                taught.as_deref(),
            )
        };
        let (loss, gradients) = match &self.layers {
            Some(layers) => {
                let weights = self.twin.weights().map_err(TrainError::Device)?;
                let pass = layers.forward(&weights, &patches);
                let loss = compare(pass.embeddings());
                let gradient = layers.backward(&weights, &pass, &loss.embeddings);
                self.twin.observe(pass.moments());
                let gradients = self.twin.gradients(gradient, loss.alpha.clone(), loss.bias);
                (loss, gradients)
            }
            None => {
                let seen = pictures(patches, recipe, &self.device);
                let embeddings = self.twin.forward(seen);
                let plain = embeddings
                    .clone()
                    .into_data()
                    .try_into_vec::<f32>()
                    .map_err(|error| TrainError::Device(format!("{error:?}")))?;
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
            self.average = Some(average.follow(&self.twin.valid(), share));
        }
        self.progress.step += 1;
        self.progress.loss_sum += f64::from(loss.value);
        self.progress.accuracy_sum += f64::from(loss.accuracy);
        Ok(loss)
    }

    /// The learning rate of the next step; for per-layer rates a factor upon them.
    fn rate(&self, recipe: &Recipe) -> LearningRate {
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
    fn judged(&self) -> Twin {
        match &self.average {
            Some(average) => average.clone().without_faint_dimensions(),
            None => self.twin.valid(),
        }
    }

    /// Share of one-shot trials answered right, 0 to 1; a tie counts as wrong.
    fn validate(
        &self,
        validation: &Dataset,
        trials: &[Trial],
        recipe: &Recipe,
    ) -> Result<f64, TrainError> {
        let twin = self.judged();
        let head = twin.head().map_err(TrainError::Device)?;
        let embeddings = embed_all(&twin, validation, recipe)?;
        let at = |(g, c): (usize, usize), picture: usize| &embeddings[g][c][picture];
        let right = trials.iter().filter(|trial| {
            let query = at(trial.classes[trial.answer], trial.query);
            let distance = |way: usize| {
                let support = trial.support[way].iter();
                support
                    .map(|&picture| head.distance(at(trial.classes[way], picture), query))
                    .fold(f32::INFINITY, f32::min)
            };
            let answer = distance(trial.answer);
            (0..trial.classes.len()).all(|way| way == trial.answer || distance(way) > answer)
        });
        Ok(right.count() as f64 / trials.len() as f64)
    }

    /// All that the next step depends on, or with `judged_only` what [`best_twin`] reads.
    fn save(&self, path: &Path, judged_only: bool) -> Result<(), TrainError> {
        let failed = |error: burn::store::RecordError| TrainError::Device(error.to_string());
        let progress = serde_json::to_vec(&self.progress)
            .map_err(|error| TrainError::Device(error.to_string()))?;
        let record = |twin: Twin| twin.into_record().into_bytes().map_err(failed);
        let mut parts = vec![progress];
        if judged_only {
            parts.push(record(self.judged())?.to_vec());
        } else {
            parts.push(record(self.twin.valid())?.to_vec());
            parts.push(self.optimizer.into_bytes().map_err(failed)?.to_vec());
            if let Some(average) = &self.average {
                parts.push(record(average.clone())?.to_vec());
            }
        }
        let mut body = Vec::new();
        for part in &parts {
            body.extend((part.len() as u64).to_le_bytes());
            body.extend(part);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(Sha256::digest(&body));
        bytes.extend(body);
        write_whole(path, &bytes)
    }

    /// Burn panics on a record that does not fit, so nothing reaches it before the checksum holds.
    fn load(path: &Path, recipe: &Recipe, device: &Device) -> Result<Self, TrainError> {
        let damaged = |reason: &str| TrainError::Damaged {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let bytes = fs::read(path).map_err(file_error(path))?;
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| damaged("not a checkpoint of this version"))?;
        let (digest, body) = rest
            .split_at_checked(32)
            .ok_or_else(|| damaged("it is cut short"))?;
        if Sha256::digest(body)[..] != *digest {
            return Err(damaged("its checksum does not hold"));
        }
        let mut body = body;
        let mut part = || {
            let (length, rest) = body.split_first_chunk::<8>()?;
            let (part, rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
            body = rest;
            Some(part)
        };
        let (Some(progress), Some(record)) = (part(), part()) else {
            return Err(damaged("it is cut short"));
        };
        let (optimizer_record, average) = (part(), part());
        let progress: Progress =
            serde_json::from_slice(progress).map_err(|error| damaged(&error.to_string()))?;
        let device = device.clone().autodiff();
        let twin = |record: &[u8]| -> Result<Twin, TrainError> {
            let mut rng = stream(0, Purpose::Init, 0);
            let twin = Twin::new(&recipe.network, &recipe.input, &mut rng, &device)
                .map_err(|reason| damaged(&reason))?;
            let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(record.to_vec()))
                .map_err(|error| damaged(&error.to_string()))?;
            twin.try_load_record(record)
                .map_err(|error| damaged(&error.to_string()))
        };
        let (twin, average) = (twin(record)?, average.map(twin).transpose()?);
        let epoch = progress.step.saturating_sub(1) / progress.steps_per_epoch.max(1);
        let mut optimizer = optimizer(&twin, recipe, epoch);
        if let Some(record) = optimizer_record {
            let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(record.to_vec()))
                .map_err(|error| damaged(&error.to_string()))?;
            optimizer = optimizer.load_record(record);
        }
        Ok(Self {
            twin,
            average: average.map(|average| average.valid()),
            optimizer,
            layers: cpu_layers(recipe, &device).map_err(|reason| damaged(&reason))?,
            device,
            progress,
        })
    }
}

/// Embeddings `[group][class][picture]` of a data set.
///
/// # Errors
/// `Device`.
pub fn embed_all(
    twin: &Twin,
    data: &Dataset,
    recipe: &Recipe,
) -> Result<Vec<Vec<Vec<Vec<f32>>>>, TrainError> {
    let device = twin.device();
    let frames: Vec<_> = data
        .groups
        .iter()
        .flat_map(|group| &group.classes)
        .flat_map(|class| &class.pictures)
        .map(|picture| &picture.frame)
        .collect();
    let mut rows = Vec::with_capacity(frames.len());
    for frames in frames.chunks(EMBED_BATCH) {
        let seen = frames.par_iter().map(|frame| patch(frame, &recipe.input));
        let blank = || vec![0.0; recipe.input.len()];
        let patches: Vec<Vec<f32>> = seen
            .map(|patch| patch.map_or_else(|_| blank(), |patch| patch.0))
            .collect();
        let patches = patches.concat();
        let embeddings = twin.forward(pictures(patches, recipe, &device));
        let dims = embeddings.dims()[1];
        let numbers = embeddings
            .into_data()
            .try_into_vec::<f32>()
            .map_err(|error| TrainError::Device(format!("{error:?}")))?;
        rows.extend(numbers.chunks_exact(dims).map(<[f32]>::to_vec));
    }
    let mut rows = rows.into_iter();
    Ok(data
        .groups
        .iter()
        .map(|group| {
            let classes = group.classes.iter();
            classes
                .map(|class| rows.by_ref().take(class.pictures.len()).collect())
                .collect()
        })
        .collect())
}

fn pictures(patches: Vec<f32>, recipe: &Recipe, device: &Device) -> Tensor<4> {
    let input = &recipe.input;
    let count = patches.len() / input.len();
    let shape = [count, input.channels, input.side_px, input.side_px];
    Tensor::from_data(TensorData::new(patches, shape), device)
}

/// The optimizer of a recipe in a given epoch, without any state.
fn optimizer(twin: &Twin, recipe: &Recipe, epoch: u64) -> ModuleOptimizer {
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

/// How fast the run goes, and the number of epochs that fit into the minutes asked for.
struct Pace {
    minutes: Option<f64>,
    begun: Instant,
    first_step: u64,
    measured: Option<Instant>,
    pictures: usize,
    lapped: f64,
}

impl Pace {
    fn new(minutes: Option<f64>, step: u64) -> Self {
        Self {
            minutes,
            begun: Instant::now(),
            first_step: step,
            measured: None,
            pictures: 0,
            lapped: 0.0,
        }
    }

    fn count(&mut self, pictures: usize) {
        self.pictures += pictures;
    }

    fn pictures_per_second(&self) -> f64 {
        self.pictures as f64 / self.begun.elapsed().as_secs_f64()
    }

    fn seconds_left(&self, progress: &Progress) -> f64 {
        let steps = (progress.step - self.first_step).max(1) as f64;
        let left = progress.total_steps.saturating_sub(progress.step) as f64;
        self.begun.elapsed().as_secs_f64() / steps * left
    }

    /// Seconds since the last call.
    fn lap(&mut self, session: &Instant) -> f64 {
        let now = session.elapsed().as_secs_f64();
        let lap = now - self.lapped;
        self.lapped = now;
        lap
    }

    /// After the measured steps, the epochs that fit into the minutes; once.
    fn epochs(&mut self, progress: &Progress) -> Option<u64> {
        let minutes = self.minutes?;
        // The first steps warm caches and, on a GPU, compile shaders.
        let taken = progress.step - self.first_step;
        if taken < MEASURED_STEPS / 3 {
            return None;
        }
        let since = *self.measured.get_or_insert_with(Instant::now);
        if taken < MEASURED_STEPS {
            return None;
        }
        self.minutes = None;
        let per_step = since.elapsed().as_secs_f64() / (MEASURED_STEPS - MEASURED_STEPS / 3) as f64;
        // A twentieth is left for validation and checkpoints.
        let steps = 0.95 * 60.0 * minutes / per_step;
        Some(((steps / progress.steps_per_epoch as f64).round() as u64).max(1))
    }
}

/// Progress for a person: one living line on a terminal, a line an epoch otherwise. `log.csv` has
/// a row an epoch, `steps.csv` the mean loss of every [`LOGGED_STEPS`] steps.
struct Log {
    epochs: PathBuf,
    steps: PathBuf,
    live: bool,
    shown: Instant,
    /// Whether it was said that photographs take long.
    warned: bool,
    /// Sum of the losses since the last row of `steps`, and how many they are.
    losses: (f64, u64),
}

impl Log {
    const EPOCHS: &str = "epoch,loss,pair_accuracy,validation_accuracy,learning_rate,seconds\n";
    const STEPS: &str = "step,loss,pictures_per_second\n";

    /// On resume, rows after the checkpoint are dropped: they will be written again.
    fn open(order: &Order, progress: &Progress) -> Result<Self, TrainError> {
        let (epochs, steps) = (order.out.join("log.csv"), order.out.join("steps.csv"));
        for (path, header, rows) in [
            (
                &epochs,
                Self::EPOCHS,
                progress.step / progress.steps_per_epoch.max(1),
            ),
            (&steps, Self::STEPS, progress.step / LOGGED_STEPS),
        ] {
            let kept: String = match fs::read_to_string(path) {
                Ok(text) if order.resume => text
                    .lines()
                    .skip(1)
                    .take(rows as usize)
                    .map(|line| format!("{line}\n"))
                    .collect(),
                _ => String::new(),
            };
            write_whole(path, format!("{header}{kept}").as_bytes())?;
        }
        Ok(Self {
            epochs,
            steps,
            live: std::io::stderr().is_terminal(),
            shown: Instant::now(),
            warned: false,
            losses: (0.0, 0),
        })
    }

    fn step(&mut self, progress: &Progress, pace: &Pace, loss: f32) -> Result<(), TrainError> {
        self.losses.0 += f64::from(loss);
        self.losses.1 += 1;
        if progress.step.is_multiple_of(LOGGED_STEPS) {
            let (sum, count) = std::mem::take(&mut self.losses);
            let (step, rate) = (progress.step, pace.pictures_per_second());
            append(
                &self.steps,
                &format!("{step},{:.6},{rate:.0}\n", sum / count as f64),
            )?;
        }
        self.line(progress, pace, loss);
        Ok(())
    }

    fn note(&self, text: &str) {
        eprintln!("{}{text}", if self.live { "\r\x1b[K" } else { "" });
    }

    /// How far the photographs are; once, if they will take more than half of the `minutes` asked for.
    fn photographs(&mut self, taken: usize, all: usize, begun: &Instant, minutes: Option<f64>) {
        let each = begun.elapsed().as_secs_f64() / taken.max(1) as f64;
        let in_all = each * all as f64;
        if taken >= TIMED_PHOTOGRAPHS
            && !self.warned
            && minutes.is_some_and(|minutes| in_all > 30.0 * minutes)
        {
            self.warned = true;
            self.note(&format!(
                "the photographs alone take about {}, and an epoch follows; --preset minimal takes none",
                clock(in_all)
            ));
        }
        if self.is_due() {
            let left = clock(each * (all - taken) as f64);
            eprint!("\r\x1b[Kphotograph {taken}/{all}  {left} left");
        }
    }

    /// Whether the living line is to be written anew.
    fn is_due(&mut self) -> bool {
        let due = self.live && self.shown.elapsed().as_millis() >= 300;
        if due {
            self.shown = Instant::now();
        }
        due
    }

    fn line(&mut self, progress: &Progress, pace: &Pace, loss: f32) {
        if !self.is_due() {
            return;
        }
        let epoch = progress.step / progress.steps_per_epoch + 1;
        eprint!(
            "\r\x1b[Kepoch {epoch}/{} step {}/{}  loss {loss:.4}  {:.0} pictures/s  best {:.1} %  {} left",
            progress.total_steps / progress.steps_per_epoch,
            progress.step % progress.steps_per_epoch,
            progress.steps_per_epoch,
            pace.pictures_per_second(),
            100.0 * progress.best_accuracy,
            clock(pace.seconds_left(progress)),
        );
    }

    fn epoch(
        &mut self,
        progress: &Progress,
        pace: &Pace,
        accuracy: f64,
        rate: f64,
    ) -> Result<(), TrainError> {
        let steps = progress.steps_per_epoch as f64;
        let epoch = progress.step / progress.steps_per_epoch;
        let (loss, pairs) = (progress.loss_sum / steps, progress.accuracy_sum / steps);
        let row = format!(
            "{epoch},{loss:.6},{pairs:.6},{accuracy:.6},{rate:.8},{:.1}\n",
            progress.seconds
        );
        append(&self.epochs, &row)?;
        self.note(&format!(
            "epoch {epoch}/{}  loss {loss:.4}  pairs {:.1} %  validation {:.1} %  {:.0} pictures/s  {} left",
            progress.total_steps / progress.steps_per_epoch,
            100.0 * pairs,
            100.0 * accuracy,
            pace.pictures_per_second(),
            clock(pace.seconds_left(progress)),
        ));
        Ok(())
    }
}

fn append(path: &Path, row: &str) -> Result<(), TrainError> {
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(row.as_bytes()))
        .map_err(file_error(path))
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> TrainError + use<> {
    let path = path.to_owned();
    move |source| TrainError::File {
        path: path.clone(),
        source,
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    onelook_edge::whole::write(path, bytes).map_err(file_error(path))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
