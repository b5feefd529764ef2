//! Measures a model file as the device would use it: its own preprocessing, model and gallery. An
//! episode is a gallery: enroll the support, identify the queries. Knows nothing of how the model was trained.

use onelook_edge::device::config::Config;
use onelook_edge::device::eye::{Care, Eye, Trouble};
use onelook_edge::gallery::Gallery;
use onelook_edge::gallery::head::Head;
use onelook_edge::model::{Model, ModelError};
use onelook_edge::picture::frame::Frame;
use rayon::prelude::*;
use serde::Serialize;

use crate::augment::camera::{self, Session};
use crate::data::runs::Run;
use crate::data::{Class, Dataset};
use crate::measure::metrics;
use crate::measure::trials::{self, TrialSpec};

/// One-shot classification, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// What was measured.
    pub protocol: String,
    /// Trials.
    pub trials: u64,
    /// Answered right; a tie is wrong.
    pub correct: u64,
    /// correct / trials.
    pub accuracy: f64,
    /// Wilson's 95 % interval of the accuracy.
    pub ci95: [f64; 2],
    /// The same by run or by group.
    pub parts: Vec<Part>,
}

/// One run or group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Trials.
    pub trials: u64,
    /// Answered right.
    pub correct: u64,
}

/// Verification of pairs, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verification {
    pub(crate) protocol: String,
    pub(crate) trials: u64,
    /// Decided right at the threshold.
    pub(crate) correct: u64,
    pub(crate) accuracy: f64,
    /// Wilson's 95 % interval of the accuracy.
    pub(crate) ci95: [f64; 2],
    /// A pair is accepted where p is at least this.
    pub(crate) threshold: f32,
    pub(crate) eer: Option<f64>,
    /// FNMR where the threshold is set for a FMR.
    pub(crate) fnmr_at_fmr: FnmrAtFmr,
}

/// FNMR at two FMRs; none where the pairs are too few to tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct FnmrAtFmr {
    #[serde(rename = "1e-2")]
    pub(crate) hundredth: Option<f64>,
    #[serde(rename = "1e-3")]
    pub(crate) thousandth: Option<f64>,
}

/// p of genuine and of impostor pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairScores {
    /// Of pairs that show the same class.
    pub genuine: Vec<f32>,
    /// Of pairs that do not.
    pub impostor: Vec<f32>,
}

/// How the simulated camera photographs what is measured.
#[derive(Clone, Copy, Debug)]
pub struct CameraOptions {
    /// The disturbances and their strength.
    pub session: Session,
    /// Seed of everything random.
    pub seed: u64,
    /// Photographs of one picture at most: the device takes another where it finds no mark or its gates refuse the
    /// last. 1 takes the first one as it is, without gates.
    pub looks: u64,
}

/// Embeddings by group, class and picture; an empty one of a photograph in which the device finds
/// no mark.
pub type Embeddings = Vec<Vec<Vec<Vec<f32>>>>;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A picture shows nothing.
    #[error("{source_name}: nothing is drawn here; take it out of the data")]
    Blank {
        /// The picture.
        source_name: String,
    },
    /// The data does not allow what was asked for.
    #[error("{0}")]
    Impossible(String),
}

/// The official one-shot runs: each is a gallery of its support, and each query is identified.
/// Through a camera, a picture in which the device finds no mark is no support and no right answer.
///
/// # Errors
/// `Model` or `Blank`.
pub fn runs(
    model: &Model,
    runs: &[Run],
    camera: Option<CameraOptions>,
) -> Result<Accuracy, EvalError> {
    let mut parts = Vec::new();
    for (number, run) in (0..).zip(runs) {
        let frames: Vec<(&Frame, String)> = run
            .support
            .iter()
            .chain(run.queries.iter().map(|(frame, _)| frame))
            .enumerate()
            .map(|(i, frame)| (frame, format!("{}, picture {}", run.name, i + 1)))
            .collect();
        let embeddings = match camera {
            // No two runs are photographed alike.
            Some(options) => embed_photographs(
                model,
                &frames,
                CameraOptions {
                    seed: options.seed.wrapping_add(number << 32),
                    ..options
                },
            )?,
            None => embed_frames(model, &frames)?,
        };
        let (support, queries) = embeddings.split_at(run.support.len());
        let mut gallery = Gallery::default();
        for (i, embedding) in support.iter().enumerate().filter(|(_, e)| !e.is_empty()) {
            gallery.enroll(&i.to_string(), embedding.clone());
        }
        let right = queries.iter().zip(&run.queries);
        let correct = right
            .filter(|(query, _)| !query.is_empty())
            .filter(|(query, (_, answer))| names(&gallery, query, model.head(), *answer))
            .count();
        parts.push(Part {
            name: run.name.clone(),
            trials: queries.len() as u64,
            correct: correct as u64,
        });
    }
    Ok(accuracy(
        format!("{}{}", runs_protocol(runs), through(camera)),
        parts,
    ))
}

/// The official runs under a distance between pictures, lower is more alike.
pub fn baseline_runs(name: &str, distance: fn(&Frame, &Frame) -> f32, runs: &[Run]) -> Accuracy {
    let parts = runs.iter().map(|run| {
        let correct = run.queries.iter().filter(|(query, answer)| {
            let own = distance(&run.support[*answer], query);
            let mut others = run.support.iter().enumerate();
            others.all(|(i, support)| i == *answer || distance(support, query) > own)
        });
        Part {
            name: run.name.clone(),
            trials: run.queries.len() as u64,
            correct: correct.count() as u64,
        }
    });
    accuracy(format!("{name}: {}", runs_protocol(runs)), parts.collect())
}

fn runs_protocol(runs: &[Run]) -> String {
    let ways = runs.first().map_or(0, |run| run.support.len());
    format!(
        "{} official runs, {ways}-way 1-shot within alphabet",
        runs.len()
    )
}

/// Whether the gallery's one nearest class is number `answer`.
fn names(gallery: &Gallery, query: &[f32], head: &Head, answer: usize) -> bool {
    gallery
        .nearest(query, head)
        .is_some_and(|nearest| !nearest.is_tie() && **nearest.best.name == *answer.to_string())
}

/// How the templates of a class make one distance to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Rule {
    /// As the device does: half the nearest template, half the mean embedding
    Device,
    /// The nearest template
    Nearest,
    /// The mean embedding
    MeanEmbedding,
    /// The mean of the distances
    MeanDistance,
    /// -ln of the mean of e^-distance
    SoftMinimum,
}

impl Rule {
    /// The distance of `probe` to the class of `templates`, of which there is at least one.
    fn distance(self, templates: &[&Vec<f32>], probe: &[f32], head: &Head) -> f32 {
        let each = templates
            .iter()
            .map(|template| head.distance(template, probe));
        let count = templates.len() as f32;
        match self {
            Rule::Device => {
                let mut gallery = Gallery::default();
                for template in templates {
                    gallery.enroll("", (*template).clone());
                }
                gallery
                    .distance_to("", probe, head)
                    .unwrap_or(f32::INFINITY)
            }
            Rule::Nearest => each.fold(f32::INFINITY, f32::min),
            Rule::MeanDistance => each.sum::<f32>() / count,
            Rule::MeanEmbedding => {
                let column = |j: usize| templates.iter().map(|t| t[j]).sum::<f32>() / count;
                let mean: Vec<f32> = (0..probe.len()).map(column).collect();
                head.distance(&mean, probe)
            }
            Rule::SoftMinimum => {
                let least = each.clone().fold(f32::INFINITY, f32::min);
                let sum: f32 = each.map(|distance| (least - distance).exp()).sum();
                least - (sum / count).ln()
            }
        }
    }
}

/// Every picture of `data`, embedded.
///
/// # Errors
/// `Model` or `Blank`.
pub fn embed_all(model: &Model, data: &Dataset) -> Result<Embeddings, EvalError> {
    embed_as(model, data, None)
}

/// Every picture of `data`, embedded; through a camera where there is one.
///
/// # Errors
/// `Model` or `Blank`.
pub(crate) fn embed_as(
    model: &Model,
    data: &Dataset,
    camera: Option<CameraOptions>,
) -> Result<Embeddings, EvalError> {
    let frames: Vec<(&Frame, String)> = data
        .groups
        .iter()
        .flat_map(|group| &group.classes)
        .flat_map(|class| &class.pictures)
        .map(|picture| (&picture.frame, picture.source.clone()))
        .collect();
    let rows = match camera {
        Some(options) => embed_photographs(model, &frames, options)?,
        None => embed_frames(model, &frames)?,
    };
    let mut rows = rows.into_iter();
    let mut class = |class: &Class| rows.by_ref().take(class.pictures.len()).collect();
    let groups = data.groups.iter();
    Ok(groups
        .map(|group| group.classes.iter().map(&mut class).collect())
        .collect())
}

/// What the device sees in a frame: the one place where a measured picture becomes an embedding.
fn embedding(
    eye: &mut Eye,
    frame: &Frame,
    care: Care,
) -> Result<Result<Vec<f32>, Trouble>, ModelError> {
    Ok(eye.look(frame, care)?.embedding.map(<[f32]>::to_vec))
}

/// Embeddings of the frames in order, on all cores; a frame that shows nothing is an error.
fn embed_frames(model: &Model, frames: &[(&Frame, String)]) -> Result<Vec<Vec<f32>>, EvalError> {
    let one = |eye: &mut Eye, (frame, source): &(&Frame, String)| {
        embedding(eye, frame, Care::None)?.map_err(|_| EvalError::Blank {
            source_name: source.clone(),
        })
    };
    // All, so that of several blank pictures always the first is named.
    let rows: Vec<_> = frames
        .par_iter()
        .map_init(|| Eye::new(model.clone()), one)
        .collect();
    rows.into_iter().collect()
}

/// Embeddings of photographs of the frames, in order; empty where no photograph shows anything.
fn embed_photographs(
    model: &Model,
    frames: &[(&Frame, String)],
    options: CameraOptions,
) -> Result<Vec<Vec<f32>>, EvalError> {
    let CameraOptions {
        session,
        seed,
        looks,
    } = options;
    let drawings: Vec<&Frame> = frames.iter().map(|(frame, _)| *frame).collect();
    let gates = match looks {
        1 => None,
        _ => Some(
            Config::over_shipped("")
                .map_err(EvalError::Impossible)?
                .quality
                .decide,
        ),
    };
    let rows = camera::photographs(&drawings, session, seed, looks, |shot| {
        let care = gates.as_ref().map_or(Care::None, Care::Require);
        match embedding(&mut Eye::new(model.clone()), &shot.frame, care) {
            Ok(embedding) => embedding.ok().map(Ok),
            Err(error) => Some(Err(error)),
        }
    });
    let rows = rows.into_iter().map(|row| row.unwrap_or(Ok(Vec::new())));
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a protocol says of the camera; nothing where there is none.
pub(crate) fn through(camera: Option<CameraOptions>) -> String {
    camera.map_or(String::new(), |options| {
        let looks = match options.looks {
            1 => String::new(),
            looks => format!(", up to {looks} looks until the device's gates let one pass"),
        };
        format!(
            ", through the simulated camera: {}, seed {}{looks}",
            options.session, options.seed
        )
    })
}

/// Random trials, seeded; see `trials::trials`. The class nearest by `rule` is the answer.
///
/// # Errors
/// `Impossible`.
pub(crate) fn trials(
    embeddings: &Embeddings,
    head: &Head,
    data: &Dataset,
    spec: TrialSpec,
    rule: Rule,
    seed: u64,
) -> Result<Accuracy, EvalError> {
    let trials = trials::trials(data, spec, seed).map_err(EvalError::Impossible)?;
    let mut parts: Vec<Part> = Vec::new();
    for trial in &trials {
        let (g, c) = trial.classes[trial.answer];
        let query = &embeddings[g][c][trial.query];
        let classes = trial.classes.iter().zip(&trial.support);
        let distances: Vec<f32> = classes
            .map(|(&(g, c), support)| {
                let pictures = support.iter().map(|&picture| &embeddings[g][c][picture]);
                let found: Vec<_> = pictures.filter(|picture| !picture.is_empty()).collect();
                if query.is_empty() || found.is_empty() {
                    return f32::INFINITY;
                }
                rule.distance(&found, query, head)
            })
            .collect();
        let own = distances[trial.answer];
        let mut others = distances.iter().enumerate();
        let right =
            own.is_finite() && others.all(|(way, distance)| way == trial.answer || *distance > own);
        let name = if spec.within_group {
            data.groups[g].name.as_str()
        } else {
            "all"
        };
        let part = match parts.iter().position(|part| part.name == name) {
            Some(at) => &mut parts[at],
            None => {
                parts.push(Part {
                    name: name.to_owned(),
                    trials: 0,
                    correct: 0,
                });
                let last = parts.len() - 1;
                &mut parts[last]
            }
        };
        part.trials += 1;
        part.correct += u64::from(right);
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    let by_rule = match rule {
        Rule::Device => String::new(),
        other => format!(", by {other:?}"),
    };
    let protocol = format!(
        "{} random trials, {}-way {}-shot {}, seed {seed}, {}{by_rule}",
        trials.len(),
        trials.first().map_or(0, |trial| trial.classes.len()),
        spec.shots.max(1),
        if spec.within_group {
            "within group"
        } else {
            "across groups (unstructured)"
        },
        data.name
    );
    Ok(accuracy(protocol, parts))
}

/// p of random pairs, seeded; see `trials::verification_pairs`.
///
/// # Errors
/// `Impossible`.
pub(crate) fn pair_scores(
    embeddings: &Embeddings,
    head: &Head,
    data: &Dataset,
    pairs: usize,
    within_group: bool,
    seed: u64,
) -> Result<PairScores, EvalError> {
    let pairs = trials::verification_pairs(data, pairs, within_group, seed)
        .map_err(EvalError::Impossible)?;
    let mut scores = PairScores::default();
    for (a, b, same) in pairs {
        let at = |[g, c, picture]: [usize; 3]| &embeddings[g][c][picture];
        let p = head.probability(head.distance(at(a), at(b)));
        if same {
            scores.genuine.push(p);
        } else {
            scores.impostor.push(p);
        }
    }
    Ok(scores)
}

/// Pairs accepted where p is at least `threshold`, and the error rates over all thresholds.
pub(crate) fn verification(scores: &PairScores, threshold: f32, protocol: String) -> Verification {
    let PairScores { genuine, impostor } = scores;
    let accepted = |scores: &[f32]| scores.iter().filter(|&&p| p >= threshold).count();
    let correct = (accepted(genuine) + impostor.len() - accepted(impostor)) as u64;
    let trials = (genuine.len() + impostor.len()) as u64;
    let fnmr_at = |rate| {
        let threshold = metrics::threshold_at_fmr(impostor, rate)?;
        Some(metrics::fnmr(genuine, threshold))
    };
    Verification {
        protocol,
        trials,
        correct,
        accuracy: correct as f64 / trials.max(1) as f64,
        ci95: metrics::wilson(correct, trials),
        threshold,
        eer: metrics::eer(genuine, impostor).map(|(rate, _)| rate),
        fnmr_at_fmr: FnmrAtFmr {
            hundredth: fnmr_at(1e-2),
            thousandth: fnmr_at(1e-3),
        },
    }
}

fn accuracy(protocol: String, parts: Vec<Part>) -> Accuracy {
    let trials = parts.iter().map(|part| part.trials).sum();
    let correct = parts.iter().map(|part| part.correct).sum();
    Accuracy {
        protocol,
        trials,
        correct,
        accuracy: correct as f64 / u64::max(trials, 1) as f64,
        ci95: metrics::wilson(correct, trials),
        parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_at_the_threshold() {
        let scores = PairScores {
            genuine: vec![0.9, 0.5, 0.2],
            impostor: vec![0.5, 0.1, 0.1, 0.1],
        };
        let found = verification(&scores, 0.5, "by hand".to_owned());
        // 0.9 and 0.5 accepted, three impostors rejected.
        assert_eq!((found.correct, found.trials), (5, 7));
        assert_eq!(found.fnmr_at_fmr.hundredth, None);
    }

    #[test]
    fn a_tie_is_a_wrong_answer() {
        let same = |_: &Frame, _: &Frame| 1.0;
        let frame = Frame::from_fn(2, 2, |_, _| 0);
        let run = Run {
            name: "run01".to_owned(),
            support: vec![frame.clone(), frame.clone()],
            queries: vec![(frame, 0)],
        };
        assert_eq!(baseline_runs("constant", same, &[run]).correct, 0);
    }
}
