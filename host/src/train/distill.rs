//! Finished models that teach a run: how far they find the pictures of a batch from each other (Hinton, Vinyals
//! and Dean 2015). Knows model files, network input and distances: nothing of labels, layers or Burn.

use std::path::PathBuf;

use onelook_edge::model::{Model, ModelError};
use onelook_edge::vision::preprocess::{InputSpec, Patch};
use rayon::prelude::*;

use crate::train::loss;

/// The models that teach a run; none in most.
#[derive(Default)]
pub struct Teachers {
    models: Vec<Model>,
}

/// Why a model cannot teach a run.
#[derive(Debug, thiserror::Error)]
pub enum TeacherError {
    /// It cannot be opened, or gives no embedding.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It sees something else.
    #[error(
        "{path:?}: made for another input than the recipe's; a teacher must have the recipe's [input]"
    )]
    OtherInput {
        /// The model file.
        path: PathBuf,
    },
    /// It may know what the run holds out.
    #[error(
        "{path:?}: trained on other pictures than this run trains on, so it may know what validates here; \
         a teacher must have the same data, --seed and [split]"
    )]
    OtherData {
        /// The model file.
        path: PathBuf,
    },
}

impl Teachers {
    /// The models in these files, for a run that sees `input` and whose pictures have this SHA-256.
    ///
    /// # Errors
    /// Every [`TeacherError`].
    pub fn open(paths: &[PathBuf], input: &InputSpec, sha256: &str) -> Result<Self, TeacherError> {
        let open = |path: &PathBuf| {
            let model = Model::load(path)?;
            let refused = |error: fn(PathBuf) -> TeacherError| Err(error(path.clone()));
            if model.card().input != *input {
                return refused(|path| TeacherError::OtherInput { path });
            }
            if model.card().provenance.data_sha256 != sha256 {
                return refused(|path| TeacherError::OtherData { path });
            }
            Ok(model)
        };
        Ok(Self {
            models: paths.iter().map(open).collect::<Result<_, _>>()?,
        })
    }

    /// Their ids, as [`Model::id`].
    pub fn ids(&self) -> Vec<String> {
        let ids = self.models.iter().map(|model| model.id().to_owned());
        ids.collect()
    }

    /// The mean, over the teachers, of how far each picture of `patches` [count, channels, side, side] is from
    /// each, as their heads had it before it was calibrated: [count, count]; none without teachers.
    ///
    /// # Errors
    /// `Model`.
    pub fn distances(&self, patches: &[f32]) -> Result<Option<Vec<f64>>, TeacherError> {
        let mut mean: Option<Vec<f64>> = None;
        for model in &self.models {
            let pictures = patches.par_chunks(model.card().input.len());
            let embeddings = pictures.map_init(
                || model.memory(),
                |scratch, picture| {
                    let embedding = model.embed_in(scratch, &Patch(picture.to_vec()));
                    embedding.map(<[f32]>::to_vec)
                },
            );
            let embeddings: Vec<Vec<f32>> = embeddings.collect::<Result<_, _>>()?;
            let share = 1.0 / (model.card().calibration.scale * self.models.len() as f64);
            let found = loss::distances(&embeddings.concat(), model.head());
            let mean = mean.get_or_insert_with(|| vec![0.0; found.len()]);
            for (mean, found) in mean.iter_mut().zip(found) {
                *mean += share * found;
            }
        }
        Ok(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_head_before_it_was_calibrated_and_their_mean_over_teachers() {
        let path = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/omniglot/model.onnx"
        ));
        let model = Model::load(&path).expect("the shipped model");
        let card = model.card();
        let teachers = |times: usize| {
            let paths = vec![path.clone(); times];
            let opened = Teachers::open(&paths, &card.input, &card.provenance.data_sha256);
            opened.expect("teachers")
        };
        // Three patches of noise.
        let size = card.input.len();
        let noise = (0..3 * size).map(|n| (n * n % 251) as f32 / 250.0);
        let patches: Vec<f32> = noise.collect();
        let embeddings: Vec<Vec<f32>> = patches
            .chunks(size)
            .map(|patch| model.embed(&Patch(patch.to_vec())).expect("an embedding"))
            .collect();
        let found = teachers(1).distances(&patches).expect("distances");
        let found = found.expect("of a teacher");
        for (i, x) in embeddings.iter().enumerate() {
            for (k, y) in embeddings.iter().enumerate() {
                // logit = scale * trained logit + offset.
                let trained = f64::from(card.head.distance(x, y)) / card.calibration.scale;
                let difference = (found[i * 3 + k] - trained).abs();
                assert!(difference <= 1e-6 * trained, "{i} {k}: {difference}");
            }
        }
        assert!(found[1] > 0.0);
        assert_eq!(
            teachers(2).distances(&patches).expect("distances"),
            Some(found)
        );
        assert_eq!(teachers(0).distances(&patches).expect("distances"), None);
    }
}
