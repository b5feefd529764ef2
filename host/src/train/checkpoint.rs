//! A run's beginning, its checkpoints and how it goes on from them. Knows the run's folder and Burn's records.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device};
use sha2::{Digest, Sha256};

use super::optimizer::optimizer;
use super::run::{self, Progress, RunFile, best_path, file_error, last_path, write_whole};
use super::sampler::Sampler;
use super::step::{Learner, cpu_layers};
use super::{Order, TrainError};
use crate::config::Recipe;
use crate::network::burn::{DeviceError, Twin};
use crate::random::{Purpose, stream};

/// The first line of a checkpoint file.
const MAGIC: &[u8] = b"onelook checkpoint 2\n";

/// A run in a folder that holds none.
pub(super) fn begin(
    order: &Order,
    file: &RunFile,
    sampler: &Sampler,
    device: &Device,
) -> Result<Learner, TrainError> {
    let run_path = order.out.join("run.toml");
    if run_path.exists() {
        return Err(TrainError::Occupied {
            path: order.out.clone(),
        });
    }
    fs::create_dir_all(&order.out).map_err(file_error(&order.out))?;
    run::write(&order.out, file)?;
    fresh(order, sampler, device)
}

/// A run before its first step.
fn fresh(order: &Order, sampler: &Sampler, device: &Device) -> Result<Learner, TrainError> {
    let device = device.clone().autodiff();
    let recipe = &order.recipe;
    let twin = Twin::new(
        &recipe.network,
        &recipe.input,
        &mut stream(order.seed, Purpose::Init, 0),
        &device,
    )?;
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
    Ok(Learner {
        twin,
        average,
        optimizer,
        layers: cpu_layers(recipe, &device)?,
        device,
        progress,
    })
}

/// The run that the folder holds, where it stands.
pub(super) fn resume(
    order: &Order,
    file: &RunFile,
    sampler: &Sampler,
    device: &Device,
) -> Result<Learner, TrainError> {
    let found = run::read(&order.out)?;
    let differs = |what: &str| TrainError::OtherRun {
        path: order.out.clone(),
        what: what.to_owned(),
    };
    if found.recipe != file.recipe {
        return Err(differs("the recipe"));
    }
    if found.seed != file.seed {
        return Err(differs("the seed"));
    }
    if found.data_sha256 != file.data_sha256 {
        return Err(differs("the data"));
    }
    if found.teachers != file.teachers {
        let had = match found.teachers.as_slice() {
            [] => "none".to_owned(),
            ids => format!("{} in this order", ids.join(", ")),
        };
        return Err(differs(&format!("--teacher (the run had {had})")));
    }
    let path = last_path(&order.out);
    // Where there is none, it was killed before its first checkpoint.
    let learner = if path.exists() {
        Learner::load(&path, &order.recipe, device)?
    } else {
        fresh(order, sampler, device)?
    };
    if let Some(epochs) = order.epochs
        && epochs as u64 * learner.progress.steps_per_epoch != learner.progress.total_steps
    {
        return Err(differs("the number of epochs"));
    }
    if !found.device.ends_with(&file.device) {
        let device = format!("{}, then {}", found.device, file.device);
        run::write(&order.out, &RunFile { device, ..found })?;
    }
    Ok(learner)
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
    let learner = Learner::load(&path, &run.recipe, &Device::flex())?;
    Ok((learner.best(), learner.progress))
}

impl Learner {
    /// All that the next step depends on, or with `best_only` what [`best_twin`] reads.
    pub(super) fn save(&self, path: &Path, best_only: bool) -> Result<(), TrainError> {
        let failed = |source| TrainError::Device(DeviceError::Record(source));
        let progress = serde_json::to_vec(&self.progress).map_err(|source| TrainError::File {
            path: path.to_owned(),
            source: source.into(),
        })?;
        let record = |twin: Twin| twin.into_record().into_bytes().map_err(failed);
        let mut parts = vec![progress];
        if best_only {
            parts.push(record(self.best())?.to_vec());
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
    pub(super) fn load(path: &Path, recipe: &Recipe, device: &Device) -> Result<Self, TrainError> {
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
                .map_err(|error| damaged(&error.to_string()))?;
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
            layers: cpu_layers(recipe, &device).map_err(|error| damaged(&error.to_string()))?,
            device,
            progress,
        })
    }
}
