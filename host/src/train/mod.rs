//! A training run: draws batches (`sampler`, `photographs`), steps (`step`, `loss`, `optimizer`, `distill`),
//! validates (`validate`), keeps checkpoints (`checkpoint`, `run`) and says how far it is (`log`), on one
//! `device`, until it is done or stopped. Knows nothing of ONNX (`distill` opens the models that teach) or of test
//! data.

pub mod checkpoint;
pub mod device;
pub(crate) mod distill;
mod log;
pub(crate) mod loss;
mod optimizer;
mod photographs;
pub mod run;
pub mod sampler;
mod step;
pub mod validate;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use crate::config::{Objective, Recipe};
use crate::measure::trials;
use crate::network::burn::DeviceError;
use crate::network::spec::ShapeError;
use device::Compute;
use distill::{TeacherError, Teachers};
use log::{Log, MEASURED_STEPS, Pace};
use run::{Progress, RunData, RunFile, best_path, last_path};
use sampler::{Batch, Sampler};

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
    /// Train for about this many minutes instead: the number of epochs follows from the rate measured over the first
    /// steps.
    pub minutes: Option<f64>,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Model files that spread the smoothed share of the labels.
    pub teachers: Vec<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// All epochs are done, or patience ran out.
    Finished(Progress),
    /// `stop` was set; `--resume` goes on.
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
    /// The network does not fit its input.
    #[error(transparent)]
    ShapeError(#[from] ShapeError),
    /// The run cannot be written down as TOML.
    #[error("the run cannot be written down: {0}")]
    Unwritable(#[from] toml::ser::Error),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] DeviceError),
}

/// Trains, or goes on training, until done or until `stop` is set. `data` is that of the order's recipe and seed.
///
/// # Errors
/// Every [`TrainError`]; what the folder held before is kept.
pub fn train(order: &Order, data: &RunData, stop: &AtomicBool) -> Result<Ending, TrainError> {
    let device = device::open(order.compute)?;
    let RunData {
        train,
        validation,
        sha256,
        ..
    } = data;
    let sampler =
        Sampler::new(train, &order.recipe, order.seed).map_err(TrainError::Unlearnable)?;
    let trials = trials::trials(validation, order.recipe.validation.into(), order.seed)
        .map_err(|reason| TrainError::Unlearnable(format!("the validation part: {reason}")))?;
    let teachers = Teachers::open(&order.teachers, &order.recipe.input, sha256)?;
    if !order.teachers.is_empty() {
        can_be_taught(&order.recipe).map_err(TrainError::Unlearnable)?;
    }
    let file = RunFile {
        data: order.data_source.clone(),
        data_sha256: sha256.clone(),
        seed: order.seed,
        device: device.name,
        validation: run::validation_names(validation),
        train_classes: train.classes(),
        train_pictures: train.pictures(),
        teachers: teachers.ids(),
        recipe: order.recipe.clone(),
    };
    let mut learner = if order.resume {
        checkpoint::resume(order, &file, &sampler, &device.device)?
    } else {
        checkpoint::begin(order, &file, &sampler, &device.device)?
    };
    let session = Instant::now();
    let mut log = Log::open(order, &learner.progress)?;
    log.note(&format!(
        "{}: {} classes, {} pictures; validating on {} classes in {} trials of {} ways",
        file.device,
        file.train_classes,
        file.train_pictures,
        validation.classes(),
        trials.len(),
        trials[0].classes.len(),
    ));
    let first = learner.progress.step;
    // Later than that the checkpoint knows the number of epochs.
    let minutes = order.minutes.filter(|_| first < MEASURED_STEPS);
    let most = match minutes {
        Some(_) => u64::MAX,
        None => learner.progress.total_steps,
    };
    let left = match learner.progress.exhausted {
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
    let photograph_minutes = session.elapsed().as_secs_f64() / 60.0;
    let mut pace = Pace::new(
        minutes.map(|all| (all - photograph_minutes).max(0.0)),
        first,
    );
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
        while !learner.progress.exhausted && learner.progress.step < learner.progress.total_steps {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let thread = (learner.progress.step - first) as usize % threads;
            let Ok(batch) = receivers[thread].recv() else {
                return Err(TrainError::Unlearnable("the sampler stopped".to_owned()));
            };
            let pictures = batch.patches.len() / order.recipe.input.len();
            let loss = learner.step(batch, &order.recipe, &teachers)?;
            if !loss.value.is_finite() {
                return Err(TrainError::Unlearnable(format!(
                    "the loss is {} at step {}; lower the learning rate",
                    loss.value, learner.progress.step
                )));
            }
            pace.count(pictures);
            if let Some(epochs) = pace.epochs(&learner.progress) {
                learner.progress.total_steps = epochs * learner.progress.steps_per_epoch;
                log.note(&format!(
                    "in {:.1} minutes there is time for {epochs} epochs at this rate",
                    order.minutes.unwrap_or_default()
                ));
            }
            log.step(&learner.progress, &pace, loss.value)?;
            if learner
                .progress
                .step
                .is_multiple_of(learner.progress.steps_per_epoch)
            {
                let accuracy = learner.validate(validation, &trials, &order.recipe)?;
                learner.progress.seconds += pace.lap(&session);
                let patience = order.recipe.schedule.patience;
                let is_best = learner.progress.note_accuracy(accuracy, patience);
                log.epoch(
                    &learner.progress,
                    &pace,
                    accuracy,
                    learner.rate(&order.recipe),
                )?;
                learner.progress.loss_sum = 0.0;
                learner.progress.accuracy_sum = 0.0;
                if is_best {
                    learner.save(&best_path(&order.out), true)?;
                }
                learner.save(&last_path(&order.out), false)?;
            }
        }
        Ok(())
    })?;
    let done = learner.progress.exhausted || learner.progress.step >= learner.progress.total_steps;
    if done {
        return Ok(Ending::Finished(learner.progress));
    }
    learner.progress.seconds += pace.lap(&session);
    learner.save(&last_path(&order.out), false)?;
    Ok(Ending::Stopped(learner.progress))
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
