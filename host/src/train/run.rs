//! The folder of a run: what it says of itself, where it stands, and the data that it was made of. Knows nothing of
//! networks.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::TrainError;
use crate::config::Recipe;
use crate::data::{Dataset, Skipped, split};

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

impl Progress {
    /// Notes the validation accuracy at the end of an epoch; whether it is the best so far. Patience runs out where it
    /// has not been for `patience` epochs.
    pub(super) fn note_accuracy(&mut self, accuracy: f64, patience: Option<usize>) -> bool {
        let epoch = self.step / self.steps_per_epoch;
        let is_best = accuracy > self.best_accuracy || epoch == 1;
        if is_best {
            self.best_accuracy = accuracy;
            self.best_epoch = epoch;
        } else if patience.is_some_and(|patience| epoch - self.best_epoch >= patience as u64) {
            self.exhausted = true;
        }
        is_best
    }
}

/// The data of a run: what trains, what validates.
pub struct RunData {
    /// Training part.
    pub train: Dataset,
    /// Classes that training never sees.
    pub validation: Dataset,
    /// Pictures that take no part, and why.
    pub skipped: Vec<Skipped>,
    /// As in [`RunFile`].
    pub sha256: String,
}

impl RunData {
    /// Splits `data` as the recipe and seed say, without pictures in which the recipe finds nothing.
    pub fn of(mut data: Dataset, recipe: &Recipe, seed: u64) -> Self {
        let mut skipped = std::mem::take(&mut data.skipped);
        skipped.extend(split::drop_blank(&mut data, &recipe.input));
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
        Self {
            train,
            validation,
            skipped,
            sha256: onelook_edge::model::hex(&hash.finalize()),
        }
    }
}

/// What `run.toml` of a run's folder says.
///
/// # Errors
/// `File` or `Damaged`.
pub fn read(folder: &Path) -> Result<RunFile, TrainError> {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).map_err(file_error(&path))?;
    toml::from_str(&text).map_err(|error| TrainError::Damaged {
        path,
        reason: error.to_string(),
    })
}

pub(super) fn write(folder: &Path, run: &RunFile) -> Result<(), TrainError> {
    let text = toml::to_string(run).map_err(TrainError::Unwritable)?;
    write_whole(&folder.join("run.toml"), text.as_bytes())
}

/// The weights with the best validation.
pub(super) fn best_path(folder: &Path) -> PathBuf {
    folder.join("best.checkpoint")
}

/// All that the next step depends on.
pub(super) fn last_path(folder: &Path) -> PathBuf {
    folder.join("last.checkpoint")
}

/// Names of what validates: groups, or the classes of the single group of a flat folder.
pub(super) fn validation_names(validation: &Dataset) -> Vec<String> {
    match validation.groups.as_slice() {
        [only] if only.name == validation.name => only
            .classes
            .iter()
            .map(|class| class.name.clone())
            .collect(),
        groups => groups.iter().map(|group| group.name.clone()).collect(),
    }
}

pub(super) fn file_error(path: &Path) -> impl Fn(std::io::Error) -> TrainError + use<> {
    let path = path.to_owned();
    move |source| TrainError::File {
        path: path.clone(),
        source,
    }
}

pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    onelook_edge::whole::write(path, bytes).map_err(file_error(path))
}
