//! What the folder of a run adds to a report: how the model learned, and its weights in f32 to compare with.

use std::fs;
use std::path::Path;

use onelook_edge::model::{self, Card, Model, Precision};

use super::cost;
use super::figures::HeldOutSet;
use super::{Epoch, Finding, IdentificationFigures, Quantisation, Training, VerificationFigures};
use crate::data::Dataset;
use crate::export::graph::{self, Weights};
use crate::measure::{eval, metrics};
use crate::train::checkpoint::best_twin;
use crate::train::run::{self, Progress, RunFile};

/// The run in `folder`, if it is the one that made the model of this card.
pub(super) fn open(folder: &Path, card: &Card) -> Result<RunFile, String> {
    let run = run::read(folder).map_err(|error| sentence(&error))?;
    let from = &card.provenance;
    if (&run.data_sha256, run.seed, &run.recipe.name)
        != (&from.data_sha256, from.seed, &from.recipe)
        || run.recipe.input != card.input
    {
        return Err(format!(
            "The run in {} did not make this model: its data, seed or recipe differ from the model's.",
            folder.display()
        ));
    }
    Ok(run)
}

fn sentence(error: &dyn std::error::Error) -> String {
    format!("The run cannot be read: {error}.")
}

pub(super) fn read_log(folder: &Path, run: &RunFile, card: &Card) -> Result<Training, String> {
    let path = folder.join("log.csv");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("The run's log cannot be read: {}: {error}.", path.display()))?;
    let epochs: Option<Vec<Epoch>> = text.lines().skip(1).map(epoch).collect();
    match epochs {
        Some(epochs) if !epochs.is_empty() => Ok(Training {
            epochs,
            chosen: card.provenance.epoch[0],
            validation: [run.recipe.validation.ways, run.recipe.validation.trials],
        }),
        _ => Err(format!(
            "The run's log {} holds no epochs that can be read.",
            path.display()
        )),
    }
}

fn epoch(line: &str) -> Option<Epoch> {
    let (epoch, numbers) = line.split_once(',')?;
    let numbers: Vec<f64> = numbers
        .split(',')
        .map(|number| number.parse().ok().filter(|v: &f64| v.is_finite()))
        .collect::<Option<_>>()?;
    let [
        loss,
        pair_accuracy,
        validation_accuracy,
        learning_rate,
        seconds,
    ] = numbers[..]
    else {
        return None;
    };
    Some(Epoch {
        epoch: epoch.parse().ok()?,
        loss,
        pair_accuracy,
        validation_accuracy,
        learning_rate,
        seconds,
    })
}

/// The run's weights in f32 on the same trials and pairs.
pub(super) fn against_f32(
    folder: &Path,
    run: &RunFile,
    card: &Card,
    data: &Dataset,
    seed: u64,
    identification: &Finding<IdentificationFigures>,
    verification: &Finding<VerificationFigures>,
) -> Result<Quantisation, String> {
    let Finding::Done(identification) = identification else {
        return Err("There are no trials to compare on.".to_owned());
    };
    let (twin, Progress { best_epoch, .. }) =
        best_twin(folder, run).map_err(|error| sentence(&error))?;
    if best_epoch != card.provenance.epoch[0] {
        return Err(format!(
            "The run has gone on since: its best epoch is {best_epoch}, the model's {}.",
            card.provenance.epoch[0]
        ));
    }
    let plain = twin.plain(&run.recipe.network);
    let plain = plain.map_err(|error| sentence(&error))?;
    let card = Card {
        precision: Precision::F32,
        head: plain.head.clone(),
        ..card.clone()
    };
    let graph = graph::twin(Weights::F32(&plain), &card.input, card.head.alpha.len());
    let bytes = model::encode(graph, Some(&card)).map_err(|error| error.to_string())?;
    let model = Model::from_bytes(&bytes, "the f32 weights").map_err(|error| error.to_string())?;
    let embeddings = eval::embed_all(&model, data).map_err(|error| error.to_string())?;
    let held = HeldOutSet::new(data, &embeddings, model.head(), seed);
    let scores = held.pair_scores(false);
    Ok(Quantisation {
        f32_bytes: bytes.len() as u64,
        f32_accuracy: held.accuracy_like(&identification.headline)?,
        accuracy: identification.headline.right.share,
        f32_eer: metrics::eer(&scores.genuine, &scores.impostor).map(|(rate, _)| rate),
        eer: match verification {
            Finding::Done(verification) => Some(verification.any.eer),
            Finding::Not { .. } => None,
        },
        f32_embed: cost::time(&model, data).ok().map(|cost| cost.embed),
    })
}
