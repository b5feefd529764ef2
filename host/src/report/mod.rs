//! Makes the report of a model: one page, and the same figures as JSON. Opens the model as the
//! device would and measures it on what it never trained on. `figures` measures and `layers` takes
//! the network apart; `chart` draws, `plots` are the charts, and `page` tells it all with the pieces
//! of `html`. Opens no test data.

pub mod chart;
pub mod figures;
pub mod html;
pub mod layers;
pub mod page;
pub mod plots;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use onelook_edge::gallery::head::Head;
use onelook_edge::model::{
    self, Card, Model, ModelError, OperatingPoint, Precision, Provenance, Score,
};
use onelook_edge::vision::preprocess::{InputSpec, patch};
use serde::Serialize;

use crate::data::{Dataset, split};
use crate::export::graph::{self, Weights};
use crate::measure::eval::{self, EvalError};
use crate::train::checkpoint::best_twin;
use crate::train::run::{self, Progress, RunFile};
use figures::{Hardest, Held, Identification, Measured, OpenSet, Shown, Verification};
use layers::Layer;

/// Pictures that are timed, at most.
const TIMED_PICTURES: usize = 500;
/// Pictures that show what the network sees.
const SHOWN_PICTURES: usize = 6;

/// Everything on the page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The program that measured.
    pub program: String,
    /// Seed of everything random.
    pub seed: u64,
    /// What the file is.
    pub model: ModelFigures,
    /// What it was measured on.
    pub data: DataFigures,
    /// How it learned.
    pub training: Measured<Training>,
    /// Which class is it?
    pub identification: Measured<Identification>,
    /// Same class or not?
    pub verification: Measured<Verification>,
    /// Which class is it, or none?
    pub open_set: Measured<Vec<OpenSet>>,
    /// Where it goes wrong.
    pub hardest: Hardest,
    /// What a picture costs, here.
    pub cost: Measured<Cost>,
    /// What 8 bits cost.
    pub quantisation: Measured<Quantisation>,
    /// Pictures as a person and as the network sees them.
    pub examples: Vec<Shown>,
}

/// What a model file is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFigures {
    /// What people call it.
    pub name: String,
    /// SHA-256 of network and card.
    pub id: String,
    /// Size of the file.
    pub bytes: u64,
    /// The arithmetic of the network.
    pub precision: Precision,
    /// How a picture becomes input.
    pub input: InputSpec,
    /// Numbers in an embedding.
    pub dims: usize,
    /// b of the head.
    pub bias: f32,
    /// Dimensions whose alpha is not 0.
    pub used_dims: usize,
    /// Weights, biases, alpha and b.
    pub parameters: Measured<u64>,
    /// Multiply-adds for one picture.
    pub multiply_adds: Measured<u64>,
    /// First to last; empty where the graph is another program's.
    pub layers: Vec<Layer>,
    /// The card's thresholds.
    pub operating_points: Vec<OperatingPoint>,
    /// The threshold that the device takes.
    pub default_point: String,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// What the card says that it scored.
    pub scores: Vec<Score>,
}

/// What was measured on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataFigures {
    /// The data's name.
    pub name: String,
    /// Held-out groups in it.
    pub groups: Vec<GroupFigures>,
    /// Their classes.
    pub classes: usize,
    /// Their pictures.
    pub pictures: usize,
    /// What the card calls held out and the data has not.
    pub missing: Vec<String>,
    /// Pictures that were left out: unreadable, or blank to this model.
    pub skipped: Vec<String>,
    /// Whether only the first pictures of each class were measured; see [`figures::MOST_PICTURES`].
    pub is_shortened: bool,
}

/// A held-out group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupFigures {
    /// Its name.
    pub name: String,
    /// Its classes.
    pub classes: usize,
    /// Its pictures.
    pub pictures: usize,
}

/// The run's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Training {
    /// By epoch.
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights the file has.
    pub chosen: u64,
    /// Ways and trials of the validation.
    pub validation: [usize; 2],
}

/// A line of `log.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u64,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Share of training pairs on the right side of p = 0.5.
    pub pair_accuracy: f64,
    /// One-shot accuracy on held-out classes.
    pub validation_accuracy: f64,
    /// At its end.
    pub learning_rate: f64,
    /// Since the start of the run.
    pub seconds: f64,
}

/// Milliseconds for one picture, on one core of the machine that made the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The processor, as the system calls it.
    pub machine: String,
    /// Pictures timed.
    pub pictures: usize,
    /// Finding the mark and making the patch.
    pub patch: Milliseconds,
    /// The network.
    pub embed: Milliseconds,
}

/// Of many measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Milliseconds {
    /// The middle one.
    pub median: f64,
    /// One in a hundred is slower.
    pub p99: f64,
}

/// The file against the same weights in f32.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantisation {
    /// Size of the f32 file.
    pub f32_bytes: u64,
    /// Headline accuracy in f32: the same trials.
    pub f32_accuracy: f64,
    /// And of the file.
    pub accuracy: f64,
    /// Equal error rate in f32: the same pairs.
    pub f32_eer: Option<f64>,
    /// And of the file.
    pub eer: Option<f64>,
    /// Milliseconds of the network in f32.
    pub f32_embed: Option<Milliseconds>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error("{path:?}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The model cannot be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The pictures cannot be embedded.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

/// Measures the model file at `path` on `data`, which is what it never trained on. `run` is the
/// folder of the run that made it.
///
/// # Errors
/// Every [`ReportError`]. What the data is too small for, and a run that is not there or not the
/// model's, is told in the report instead.
pub fn measure(
    path: &Path,
    mut data: Dataset,
    run: Option<&Path>,
    seed: u64,
) -> Result<Report, ReportError> {
    let bytes = fs::read(path).map_err(|source| ReportError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let model = Model::from_bytes(&bytes, &path.display().to_string())?;
    let card = model.card();
    let mut skipped = std::mem::take(&mut data.skipped);
    skipped.extend(split::drop_blank(&mut data, &card.input));
    let is_shortened = figures::shorten(&mut data);
    let data = data;

    let embeddings = eval::embed_all(&model, &data)?;
    let held = Held::new(&data, &embeddings, model.head(), seed);
    let identification = Measured::from(held.identification());
    let verification =
        Measured::from(held.verification(&card.operating_points, &card.default_point));
    let run = match run {
        Some(folder) => open_run(folder, card).map(|run| (folder, run)),
        None => Err("The folder of the run was not given: name it with --run.".to_owned()),
    };
    let training = match &run {
        Ok((folder, run)) => read_log(folder, run, card),
        Err(reason) => Err(reason.clone()),
    };
    let cost = time(&model, &data);
    let quantisation = match &run {
        _ if card.precision == Precision::F32 => {
            Err("This file computes in f32: nothing was quantised.".to_owned())
        }
        Ok((folder, run)) => against_f32(
            folder,
            run,
            card,
            &data,
            seed,
            &identification,
            &verification,
        ),
        Err(reason) => Err(reason.clone()),
    };
    let missing = card.provenance.validation.iter().filter(|name| {
        let mut groups = data.groups.iter();
        !groups.any(|g| g.name == **name || g.classes.iter().any(|class| class.name == **name))
    });
    Ok(Report {
        program: concat!("onelook ", env!("CARGO_PKG_VERSION")).to_owned(),
        seed,
        model: model_figures(&model, &bytes),
        data: DataFigures {
            name: data.name.clone(),
            groups: data
                .groups
                .iter()
                .map(|group| GroupFigures {
                    name: group.name.clone(),
                    classes: group.classes.len(),
                    pictures: group.classes.iter().map(|c| c.pictures.len()).sum(),
                })
                .collect(),
            classes: data.classes(),
            pictures: data.pictures(),
            missing: missing.cloned().collect(),
            skipped: skipped.into_iter().map(|skipped| skipped.source).collect(),
            is_shortened,
        },
        training: training.into(),
        open_set: held.open_set(&card.operating_points).into(),
        hardest: held.hardest(&card.input),
        identification,
        verification,
        cost: cost.into(),
        quantisation: quantisation.into(),
        examples: examples(&data, &card.input),
    })
}

fn model_figures(model: &Model, bytes: &[u8]) -> ModelFigures {
    let card = model.card();
    let layers = match model::graph(bytes) {
        Some(graph) => layers::layers(&graph, &card.input),
        None => Err("the file has no network".to_owned()),
    };
    let Head { alpha, bias } = &card.head;
    let sum = |of: fn(&Layer) -> u64, head: usize| {
        let total = layers
            .as_ref()
            .map(|layers| layers.iter().map(of).sum::<u64>());
        total.map(|total| total + head as u64).map_err(Clone::clone)
    };
    ModelFigures {
        name: card.name.clone(),
        id: model.id().to_owned(),
        bytes: bytes.len() as u64,
        precision: card.precision,
        input: card.input.clone(),
        dims: model.dims(),
        bias: *bias,
        used_dims: alpha.iter().filter(|alpha| **alpha != 0.0).count(),
        parameters: sum(|layer| layer.parameters, alpha.len() + 1).into(),
        multiply_adds: sum(|layer| layer.multiply_adds, 0).into(),
        layers: layers.unwrap_or_default(),
        operating_points: card.operating_points.clone(),
        default_point: card.default_point.clone(),
        provenance: card.provenance.clone(),
        scores: card.scores.clone(),
    }
}

/// The run in `folder`, if it is the one that made the model of this card.
fn open_run(folder: &Path, card: &Card) -> Result<RunFile, String> {
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

fn read_log(folder: &Path, run: &RunFile, card: &Card) -> Result<Training, String> {
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

/// Times single pictures one after another, spread over the data.
fn time(model: &Model, data: &Dataset) -> Result<Cost, String> {
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let pictures: Vec<_> = classes.flat_map(|class| &class.pictures).collect();
    let step = pictures.len().div_ceil(TIMED_PICTURES).max(1);
    let (mut patches, mut embeds) = (Vec::new(), Vec::new());
    let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    for picture in pictures.iter().step_by(step) {
        let start = Instant::now();
        let Ok(patch) = patch(&picture.frame, &model.card().input) else {
            continue;
        };
        patches.push(milliseconds(start));
        let start = Instant::now();
        model.embed(&patch).map_err(|error| error.to_string())?;
        embeds.push(milliseconds(start));
    }
    let pictures = embeds.len();
    match (middle(patches), middle(embeds)) {
        (Some(patch), Some(embed)) => Ok(Cost {
            machine: machine(),
            pictures,
            patch,
            embed,
        }),
        _ => Err("There is no picture to time.".to_owned()),
    }
}

fn middle(mut times: Vec<f64>) -> Option<Milliseconds> {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (part * times.len().saturating_sub(1) as f64).ceil() as usize;
        times.get(place).copied()
    };
    Some(Milliseconds {
        median: at(0.5)?,
        p99: at(0.99)?,
    })
}

/// The processor, as Linux names it; its kind elsewhere.
fn machine() -> String {
    let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = listed.lines().filter_map(|line| line.split_once(':'));
    let name = names.find(|(key, _)| key.trim() == "model name");
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

/// The run's weights in f32 on the same trials and pairs.
fn against_f32(
    folder: &Path,
    run: &RunFile,
    card: &Card,
    data: &Dataset,
    seed: u64,
    identification: &Measured<Identification>,
    verification: &Measured<Verification>,
) -> Result<Quantisation, String> {
    let Measured::Done(identification) = identification else {
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
    let held = Held::new(data, &embeddings, model.head(), seed);
    let scores = held.pair_scores(false);
    Ok(Quantisation {
        f32_bytes: bytes.len() as u64,
        f32_accuracy: held.accuracy_like(&identification.headline)?,
        accuracy: identification.headline.right.share,
        f32_eer: crate::measure::metrics::eer(&scores.genuine, &scores.impostor)
            .map(|(rate, _)| rate),
        eer: match verification {
            Measured::Done(verification) => Some(verification.any.eer),
            Measured::Not { .. } => None,
        },
        f32_embed: time(&model, data).ok().map(|cost| cost.embed),
    })
}

/// A picture of each of a few classes, spread over the groups.
fn examples(data: &Dataset, input: &InputSpec) -> Vec<Shown> {
    let most = data.groups.iter().map(|group| group.classes.len()).max();
    let turns = (0..most.unwrap_or(0)).flat_map(|class| {
        let groups = data.groups.iter();
        groups.filter_map(move |group| Some((group, group.classes.get(class)?)))
    });
    turns
        .filter_map(|(group, class)| {
            let picture = class.pictures.first()?;
            Some(figures::show(picture, &group.name, &class.name, input))
        })
        .take(SHOWN_PICTURES)
        .collect()
}
