//! How good the weights are: embeddings of a data set, and one-shot trials on the validation part. Knows the network
//! and pictures: nothing of steps or files.

use burn::tensor::Device;
use onelook_edge::vision::preprocess::{InputSpec, patch};
use rayon::prelude::*;

use super::TrainError;
use super::step::Learner;
use crate::config::Recipe;
use crate::data::Dataset;
use crate::measure::trials::Trial;
use crate::network::burn::{Twin, numbers, pictures};

/// Pictures embedded at once where nothing is learned.
const EMBED_BATCH: usize = 128;

impl Learner {
    /// Share of one-shot trials answered right, 0 to 1; a tie counts as wrong.
    pub(super) fn validate(
        &self,
        validation: &Dataset,
        trials: &[Trial],
        recipe: &Recipe,
    ) -> Result<f64, TrainError> {
        let twin = self.best();
        let head = twin.head()?;
        let embeddings = match &self.layers {
            Some(layers) => {
                let weights = twin.plain(&recipe.network)?.weights();
                let embed = |patches: Vec<f32>| {
                    Ok(layers.forward(&weights, &patches).embeddings().to_vec())
                };
                embed_all(validation, &recipe.input, embed)?
            }
            None => burn_embeddings(&twin, validation, &recipe.input)?,
        };
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
}

/// Embeddings `[group][class][picture]` of a data set, as Burn computes them on the twin's device.
///
/// # Errors
/// `Device`.
pub fn burn_embeddings(
    twin: &Twin,
    data: &Dataset,
    input: &InputSpec,
) -> Result<Vec<Vec<Vec<Vec<f32>>>>, TrainError> {
    let device: Device = twin.device();
    embed_all(data, input, |patches| {
        Ok(numbers(twin.forward(pictures(patches, input, &device)))?)
    })
}

/// Embeddings `[group][class][picture]` of a data set; `embed` makes them of patches, one after another.
fn embed_all(
    data: &Dataset,
    input: &InputSpec,
    mut embed: impl FnMut(Vec<f32>) -> Result<Vec<f32>, TrainError>,
) -> Result<Vec<Vec<Vec<Vec<f32>>>>, TrainError> {
    let frames: Vec<_> = data
        .groups
        .iter()
        .flat_map(|group| &group.classes)
        .flat_map(|class| &class.pictures)
        .map(|picture| &picture.frame)
        .collect();
    let mut rows = Vec::with_capacity(frames.len());
    for frames in frames.chunks(EMBED_BATCH) {
        let patches = frames.par_iter().map(|frame| patch(frame, input));
        let blank = || vec![0.0; input.len()];
        let patches: Vec<Vec<f32>> = patches
            .map(|patch| patch.map_or_else(|_| blank(), |patch| patch.0))
            .collect();
        let embeddings = embed(patches.concat())?;
        let dims = embeddings.len() / frames.len();
        rows.extend(embeddings.chunks_exact(dims).map(<[f32]>::to_vec));
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
