//! Makes a model file of a run: folds, quantises, calibrates and measures on validation data, writes, reopens it
//! as the device would, and leaves a file that agrees with the trainer or none. Knows runs and
//! model files; opens no test data.

pub(crate) mod calibrate;
pub(crate) mod graph;
pub(crate) mod quantize;

use std::path::PathBuf;

use onelook_edge::model::{
    self, Calibration, Card, FORMAT, Model, ModelError, OperatingPoint, Precision, Provenance,
    Score,
};
use onelook_edge::vision::preprocess::patch;
use onelook_edge::whole;
use rand::seq::SliceRandom;
use serde::Serialize;

use crate::data::{Dataset, Skipped};
use crate::measure::eval::{self, Accuracy, Embeddings, EvalError, Rule};
use crate::measure::points::{self, Pairs, Points};
use crate::measure::trials::TrialSpec;
use crate::network::burn::Twin;
use crate::random::{Purpose, stream};
use crate::train::TrainError;
use crate::train::checkpoint::best_twin;
use crate::train::run::{self, Progress, RunData, RunFile};
use crate::train::validate::burn_embeddings;
use graph::Weights;
use quantize::QuantizeError;

/// The largest difference of an f32 file's embeddings from Burn's, as a share of their largest number.
pub const F32_BOUND: f32 = 1e-4;
/// The largest mean difference of an int8 file's embeddings from Burn's, as a share of their mean size.
pub const INT8_BOUND: f32 = 0.1;
/// Pictures that set the 8-bit ranges.
const CALIBRATION_PICTURES: usize = 512;
/// Validation trials behind the score of a file.
const TRIALS: usize = 5000;
/// Pictures on which the file is compared with Burn.
const COMPARED_PICTURES: usize = 256;

/// What is asked for.
pub struct Order {
    /// The run's folder.
    pub run: PathBuf,
    /// The model file to write.
    pub out: PathBuf,
    /// The arithmetic of the file.
    pub precision: Precision,
    /// Also write the whole twin here.
    pub pair: Option<PathBuf>,
    /// The model's name.
    pub name: String,
    /// The licence of the weights.
    pub licence: String,
}

/// What was written, and how it compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Pictures that took no part, and why.
    pub skipped: Vec<Skipped>,
    /// Size of the model file.
    pub bytes: usize,
    /// What the file says of itself.
    pub card: Card,
    /// From Burn's embeddings: see [`F32_BOUND`] and [`INT8_BOUND`].
    pub difference: f32,
    /// The file on the validation trials.
    pub accuracy: Accuracy,
    /// The same weights in f32 on the same trials.
    pub f32_accuracy: Accuracy,
}

/// The run that made a model, as it is kept beside the file.
#[derive(Serialize)]
struct RunRecord<'a> {
    /// The command after `train`.
    export: String,
    progress: &'a Progress,
    run: &'a RunFile,
}

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] TrainError),
    /// What was made cannot be measured.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// What was made cannot be opened.
    #[error("what was made cannot be opened: {0}")]
    Model(#[from] ModelError),
    /// The data is not the one of the run.
    #[error(
        "{data}: not the data that the run was trained on (its pictures differ); name that with --data"
    )]
    OtherData {
        /// What its name is.
        data: String,
    },
    /// The file does not agree with the trainer.
    #[error(
        "{out:?} was not written: its embeddings differ from Burn's by {difference:.3}, more than \
         {bound}; export with --precision f32, or calibrate with more typical pictures"
    )]
    Disagrees {
        /// The file.
        out: PathBuf,
        /// What was measured.
        difference: f32,
        /// What is allowed.
        bound: f32,
    },
    /// The network cannot be quantised.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The network or the data cannot be exported.
    #[error("{0}")]
    Impossible(String),
    /// The file cannot be written.
    #[error("{path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Writes the model file, and beside it `.run.toml` with the run that made it. `data` is the run's;
/// `calibration` sets the 8-bit ranges instead of its training part.
///
/// # Errors
/// Every [`ExportError`]; the model file is then as it was.
pub fn export(
    order: &Order,
    data: Dataset,
    calibration: Option<Dataset>,
) -> Result<Summary, ExportError> {
    if order.pair.as_ref() == Some(&order.out) {
        return Err(ExportError::Impossible(
            "--pair and --out name the same file".to_owned(),
        ));
    }
    let run = run::read(&order.run)?;
    let data_name = data.name.clone();
    let data = RunData::of(data, &run.recipe, run.seed);
    if data.sha256 != run.data_sha256 {
        return Err(ExportError::OtherData { data: data_name });
    }
    let (twin, progress) = best_twin(&order.run, &run)?;
    let (spec, input) = (&run.recipe.network, &run.recipe.input);
    let plain = twin.plain(spec).map_err(TrainError::from)?;
    let dims = plain.head.alpha.len();
    let draft = Card {
        format: FORMAT,
        name: order.name.clone(),
        precision: Precision::F32,
        input: input.clone(),
        head: plain.head.clone(),
        calibration: Calibration {
            scale: 1.0,
            offset: 0.0,
            protocol: "draft".to_owned(),
            ece_before: 0.0,
            ece: 0.0,
            ece_worst_part: 0.0,
            reliability: Vec::new(),
        },
        operating_points: vec![OperatingPoint {
            name: "draft".to_owned(),
            threshold: 0.5,
            fmr: 0.0,
            fmr_ci95: [0.0, 1.0],
            fnmr: 0.0,
            fnmr_ci95: [0.0, 1.0],
            genuine_pairs: 0,
            impostor_pairs: 0,
        }],
        default_point: "draft".to_owned(),
        impostor_tail: Vec::new(),
        provenance: provenance(order, &run, &progress, &data.train.name),
        scores: Vec::new(),
    };

    let quantized = match order.precision {
        Precision::F32 => None,
        Precision::Int8 => {
            let patches = typical(calibration.as_ref().unwrap_or(&data.train), &run)?;
            let twin = quantize::quantize(&plain, spec, input, &patches);
            Some(twin?)
        }
    };
    let weights = match &quantized {
        Some(twin) => Weights::Int8(twin),
        None => Weights::F32(&plain),
    };
    let encode = |weights: Weights, card: &Card| {
        model::encode(graph::twin(weights, input, dims), Some(card))
            .map_err(|error| ExportError::Impossible(error.to_string()))
    };
    let open = |bytes: &[u8]| Model::from_bytes(bytes, "the exported model");
    let f32_model = open(&encode(Weights::F32(&plain), &draft)?)?;
    let made = open(&encode(weights, &draft)?)?;

    let difference = difference(&made, order.precision, &twin, &data.validation, &run)?;
    let bound = match order.precision {
        Precision::F32 => F32_BOUND,
        Precision::Int8 => INT8_BOUND,
    };
    // Not-a-number is not within the bound either.
    if difference.is_nan() || difference > bound {
        return Err(ExportError::Disagrees {
            out: order.out.clone(),
            difference,
            bound,
        });
    }

    let embeddings = eval::embed_all(&made, &data.validation)?;
    let trials = TrialSpec {
        trials: TRIALS,
        ..run.recipe.validation.into()
    };
    let accuracy = eval::trials(
        &embeddings,
        made.head(),
        &data.validation,
        trials,
        Rule::Device,
        run.seed,
    )?;
    let f32_embeddings = eval::embed_all(&f32_model, &data.validation)?;
    let f32_accuracy = eval::trials(
        &f32_embeddings,
        made.head(),
        &data.validation,
        trials,
        Rule::Device,
        run.seed,
    )?;
    let classes: Vec<_> = embeddings.iter().flatten().collect();
    let pairs = Pairs::of(&classes, made.head());
    let (head, calibration) = calibrate::calibrate(&pairs, made.head(), &parts(&data.validation));
    // Compared anew, as the folded head rounds.
    let pairs = Pairs::of(&classes, &head);
    let Points {
        operating: operating_points,
        tail: impostor_tail,
    } = points::set(&pairs, &head, run.seed);
    let default_point = default_point(&operating_points)
        .ok_or_else(|| ExportError::Impossible("validation gives no pairs".to_owned()))?;
    let card = Card {
        precision: order.precision,
        head,
        calibration,
        operating_points,
        default_point,
        impostor_tail,
        scores: vec![Score {
            protocol: format!("validation: {}", accuracy.protocol),
            correct: accuracy.correct,
            trials: accuracy.trials,
        }],
        ..draft
    };

    let bytes = encode(weights, &card)?;
    open(&bytes)?;
    let write = |path: &PathBuf, bytes: &[u8]| {
        whole::write(path, bytes).map_err(|source| ExportError::File {
            path: path.clone(),
            source,
        })
    };
    if let Some(path) = &order.pair {
        let graph = graph::pair(weights, input, &card.head);
        write(
            path,
            &model::encode(graph, None)
                .map_err(|error| ExportError::Impossible(error.to_string()))?,
        )?;
    }
    let record = toml::to_string(&RunRecord {
        export: format!("onelook export --precision {:?}", order.precision).to_lowercase(),
        progress: &progress,
        run: &run,
    });
    let record = record.map_err(TrainError::from)?;
    write(&order.out.with_extension("run.toml"), record.as_bytes())?;
    write(&order.out, &bytes)?;
    Ok(Summary {
        skipped: data.skipped,
        bytes: bytes.len(),
        card,
        difference,
        accuracy,
        f32_accuracy,
    })
}

fn provenance(order: &Order, run: &RunFile, progress: &Progress, data: &str) -> Provenance {
    Provenance {
        program: concat!("onelook ", env!("CARGO_PKG_VERSION")).to_owned(),
        device: run.device.clone(),
        recipe: run.recipe.name.clone(),
        seed: run.seed,
        epoch: [
            progress.best_epoch,
            progress.total_steps / progress.steps_per_epoch.max(1),
        ],
        data: data.to_owned(),
        data_sha256: run.data_sha256.clone(),
        trained_on: [run.train_classes as u64, run.train_pictures as u64],
        validation: run.validation.clone(),
        licence: order.licence.clone(),
    }
}

/// Patches of pictures drawn by the run's seed, [pictures, channels, side, side].
fn typical(data: &Dataset, run: &RunFile) -> Result<Vec<f32>, ExportError> {
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let mut pictures: Vec<_> = classes.flat_map(|class| &class.pictures).collect();
    pictures.shuffle(&mut stream(run.seed, Purpose::Calibration, 0));
    let patches: Vec<f32> = pictures
        .iter()
        .filter_map(|picture| patch(&picture.frame, &run.recipe.input).ok())
        .take(CALIBRATION_PICTURES)
        .flat_map(|patch| patch.0)
        .collect();
    if patches.is_empty() {
        return Err(ExportError::Impossible(
            "no picture to calibrate with".to_owned(),
        ));
    }
    Ok(patches)
}

/// How far the file's embeddings are from Burn's: for f32 the largest difference over the largest
/// number, for int8 the mean difference over the mean number.
fn difference(
    made: &Model,
    precision: Precision,
    twin: &Twin,
    validation: &Dataset,
    run: &RunFile,
) -> Result<f32, ExportError> {
    let mut some = validation.clone();
    let share = COMPARED_PICTURES.div_ceil(some.classes().max(1));
    for class in some.groups.iter_mut().flat_map(|group| &mut group.classes) {
        class.pictures.truncate(share);
    }
    let ours = eval::embed_all(made, &some)?;
    let burns = burn_embeddings(twin, &some, &run.recipe.input)?;
    let flat = |embeddings: Embeddings| -> Vec<f32> {
        embeddings
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .collect()
    };
    let (ours, burns) = (flat(ours), flat(burns));
    let apart = ours.iter().zip(&burns).map(|(a, b)| (a - b).abs());
    let size = burns.iter().map(|b| b.abs());
    Ok(match precision {
        Precision::F32 => {
            let most = |most: f32, v: f32| if v.is_nan() || v > most { v } else { most };
            apart.fold(0.0, most) / size.fold(f32::MIN_POSITIVE, most)
        }
        Precision::Int8 => {
            let sum = |values: &mut dyn Iterator<Item = f32>| values.map(f64::from).sum::<f64>();
            (sum(&mut { apart }) / sum(&mut { size }).max(f64::MIN_POSITIVE)) as f32
        }
    })
}

/// Which part of the data each class is in, for measuring on other parts than were fitted to: its
/// group, or of a single group every fifth class.
fn parts(data: &Dataset) -> Vec<usize> {
    if let [only] = data.groups.as_slice() {
        return (0..only.classes.len()).map(|class| class % 5).collect();
    }
    let groups = data.groups.iter().enumerate();
    groups
        .flat_map(|(part, group)| group.classes.iter().map(move |_| part))
        .collect()
}

/// One false match in a hundred impostor pairs, where the pairs can tell.
fn default_point(points: &[OperatingPoint]) -> Option<String> {
    let named = |name: &str| points.iter().find(|point| point.name == name);
    let point = named("fmr_1e-2").or(named("eer"))?;
    Some(point.name.clone())
}
