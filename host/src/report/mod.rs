//! The report of a model: one page, and the same figures as JSON. Opens the model as the device would and measures it
//! on what it never trained on. `figures` measures, `layers` takes the network apart, `cost` times it and `run` reads
//! the folder that it comes from; `page` tells it all, a file a section, with the pieces of `html`, the numbers of
//! `text` and the drawings of `chart`. Opens no test data.

mod chart;
mod cost;
mod figures;
mod html;
mod layers;
pub mod page;
mod run;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use onelook_edge::gallery::head::Head;
use onelook_edge::model::{self, Model, ModelError, OperatingPoint, Precision, Provenance, Score};
use onelook_edge::vision::preprocess::InputSpec;
use serde::Serialize;

use crate::data::{Dataset, split};
use crate::measure::eval::{self, EvalError};
use figures::{
    Example, Hardest, HeldOutSet, IdentificationFigures, OpenSetFigures, VerificationFigures,
};
use layers::Layer;

/// Pictures that show what the network sees.
const SHOWN_PICTURES: usize = 6;

/// A figure, or the sentence that says why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Finding<T> {
    Done(T),
    Not {
        /// Why, and what to do.
        not_measured: String,
    },
}

impl<T> From<Result<T, String>> for Finding<T> {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(done) => Self::Done(done),
            Err(not_measured) => Self::Not { not_measured },
        }
    }
}

/// Everything on the page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub(crate) program: String,
    /// Seed of everything random.
    pub(crate) seed: u64,
    pub(crate) model: ModelFigures,
    pub(crate) data: DataFigures,
    pub(crate) training: Finding<Training>,
    pub(crate) identification: Finding<IdentificationFigures>,
    pub(crate) verification: Finding<VerificationFigures>,
    pub(crate) open_set: Finding<Vec<OpenSetFigures>>,
    pub(crate) hardest: Hardest,
    /// What a picture costs, here.
    pub(crate) cost: Finding<Cost>,
    /// What 8 bits cost.
    pub(crate) quantisation: Finding<Quantisation>,
    /// Pictures as a person and as the network sees them.
    pub(crate) examples: Vec<Example>,
}

/// What a model file is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ModelFigures {
    pub(crate) name: String,
    /// SHA-256 of network and card.
    pub(crate) id: String,
    pub(crate) bytes: u64,
    pub(crate) precision: Precision,
    /// How a picture becomes input.
    pub(crate) input: InputSpec,
    pub(crate) dims: usize,
    pub(crate) bias: f32,
    /// Dimensions whose alpha is not 0.
    pub(crate) used_dims: usize,
    /// Weights, biases, alpha and b.
    pub(crate) parameters: Finding<u64>,
    /// Multiply-adds for one picture.
    pub(crate) multiply_adds: Finding<u64>,
    /// First to last; empty where the graph is another program's.
    pub(crate) layers: Vec<Layer>,
    /// The card's thresholds.
    pub(crate) operating_points: Vec<OperatingPoint>,
    /// The threshold that the device takes.
    pub(crate) default_point: String,
    pub(crate) provenance: Provenance,
    /// What the card says that it scored.
    pub(crate) scores: Vec<Score>,
}

/// What was measured on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DataFigures {
    pub(crate) name: String,
    pub(crate) groups: Vec<GroupFigures>,
    pub(crate) classes: usize,
    pub(crate) pictures: usize,
    /// What the card calls held out and the data has not.
    pub(crate) missing: Vec<String>,
    /// Pictures that were left out: unreadable, or blank to this model.
    pub(crate) skipped: Vec<String>,
    /// Whether only the first pictures of each class were measured, because there are more than 4,000.
    pub(crate) is_shortened: bool,
}

/// A held-out group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct GroupFigures {
    pub(crate) name: String,
    pub(crate) classes: usize,
    pub(crate) pictures: usize,
}

/// The run's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Training {
    pub(crate) epochs: Vec<Epoch>,
    /// The epoch whose weights the file has.
    pub(crate) chosen: u64,
    /// Ways and trials of the validation.
    pub(crate) validation: [usize; 2],
}

/// A line of `log.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Epoch {
    pub(crate) epoch: u64,
    /// Mean loss of its steps.
    pub(crate) loss: f64,
    /// Share of training pairs on the right side of p = 0.5.
    pub(crate) pair_accuracy: f64,
    /// One-shot accuracy on held-out classes.
    pub(crate) validation_accuracy: f64,
    pub(crate) learning_rate: f64,
    /// Since the start of the run.
    pub(crate) seconds: f64,
}

/// Milliseconds for one picture, on one core of the machine that made the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// The processor, as the system calls it.
    pub(crate) machine: String,
    pub(crate) pictures: usize,
    /// Finding the mark and making the patch.
    pub(crate) patch: Milliseconds,
    pub(crate) embed: Milliseconds,
}

/// Of many measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Milliseconds {
    pub(crate) median: f64,
    /// One in a hundred is slower.
    pub(crate) p99: f64,
}

/// The file against the same weights in f32.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Quantisation {
    pub(crate) f32_bytes: u64,
    /// Headline accuracy in f32: the same trials.
    pub(crate) f32_accuracy: f64,
    pub(crate) accuracy: f64,
    /// Equal error rate in f32: the same pairs.
    pub(crate) f32_eer: Option<f64>,
    pub(crate) eer: Option<f64>,
    /// Milliseconds of the network in f32.
    pub(crate) f32_embed: Option<Milliseconds>,
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
    /// The folder of the run is not there.
    #[error("{0:?}: there is no such folder; name the folder of the run, or leave out --run")]
    NoRun(PathBuf),
}

/// Measures the model file at `path` on `data`, which is what it never trained on. `run` is the
/// folder of the run that made it.
///
/// # Errors
/// Every [`ReportError`]. What the data is too small for, and a run that is damaged or not the model's, is told in the
/// report instead.
pub fn measure(
    path: &Path,
    mut data: Dataset,
    run: Option<&Path>,
    seed: u64,
) -> Result<Report, ReportError> {
    if let Some(folder) = run.filter(|folder| !folder.is_dir()) {
        return Err(ReportError::NoRun(folder.to_owned()));
    }
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
    let held = HeldOutSet::new(&data, &embeddings, model.head(), seed);
    let identification = Finding::from(held.identification());
    let verification =
        Finding::from(held.verification(&card.operating_points, &card.default_point));
    let run = match run {
        Some(folder) => run::open(folder, card).map(|run| (folder, run)),
        None => Err("The folder of the run was not given: name it with --run.".to_owned()),
    };
    let training = match &run {
        Ok((folder, run)) => run::read_log(folder, run, card),
        Err(reason) => Err(reason.clone()),
    };
    let cost = cost::time(&model, &data);
    let quantisation = match &run {
        _ if card.precision == Precision::F32 => {
            Err("This file computes in f32: nothing was quantised.".to_owned())
        }
        Ok((folder, run)) => run::against_f32(
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

/// A picture of each of a few classes, spread over the groups.
fn examples(data: &Dataset, input: &InputSpec) -> Vec<Example> {
    let most = data.groups.iter().map(|group| group.classes.len()).max();
    let turns = (0..most.unwrap_or(0)).flat_map(|class| {
        let groups = data.groups.iter();
        groups.filter_map(move |group| Some((group, group.classes.get(class)?)))
    });
    turns
        .filter_map(|(group, class)| {
            let picture = class.pictures.first()?;
            Some(figures::example_of(
                picture,
                &group.name,
                &class.name,
                input,
            ))
        })
        .take(SHOWN_PICTURES)
        .collect()
}
