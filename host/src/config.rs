//! What a run is: the network, its input, its objective and its schedule, as a TOML file says it.
//! Parsed once, strictly; knows nothing of files of pictures or of tensors.

use std::path::{Path, PathBuf};

use onelook_edge::vision::preprocess::{Crop, InputSpec, Scaling};
use serde::{Deserialize, Serialize};

use crate::network::spec::NetworkSpec;

/// The presets that come with the program, by name.
pub const PRESETS: [(&str, &str); 4] = [
    ("compact", include_str!("../presets/compact.toml")),
    ("minimal", include_str!("../presets/minimal.toml")),
    ("koch", include_str!("../presets/koch.toml")),
    ("koch35", include_str!("../presets/koch35.toml")),
];

/// A whole recipe: everything that, with data and seed, makes a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the recipe is called.
    pub name: String,
    /// How a picture becomes input.
    pub input: InputSpec,
    /// The twin.
    pub network: NetworkSpec,
    /// Which classes and drawers train and which validate.
    pub split: Split,
    /// What a step looks at and what it minimises.
    pub objective: Objective,
    /// How the weights follow.
    pub optimizer: OptimizerSpec,
    /// For how long.
    pub schedule: Schedule,
    /// How training pictures are distorted.
    pub augment: Augment,
    /// How the best weights are picked.
    pub validation: Validation,
}

/// Which classes and drawers are held out. Groups are drawn by the seed, by equal chance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// How many groups validate; where the data has a single group, how many tenths of its classes do.
    pub validation_groups: usize,
    /// Drawers that train, this many from the start of each class; all where absent.
    pub train_drawers: Option<usize>,
    /// Drawers that validate, this many after those that train; all where absent.
    pub validation_drawers: Option<usize>,
}

/// What a step looks at and what it minimises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Objective {
    /// All pairs of a batch of classes x pictures: balanced cross-entropy of p, plus
    /// `softmax_weight` times a softmax over negated distances.
    AllPairs {
        /// Classes in a batch.
        classes: usize,
        /// Pictures of each class in a batch.
        pictures: usize,
        /// The share of batches whose classes come from one group, 0 to 1, of those that are not of
        /// composites.
        within_group: f64,
        /// The share of batches whose classes are made for them, 0 to 1: each is two classes of one group, drawn
        /// over each other by the same drawer where pictures of a class are in the order of the drawers.
        #[serde(default)]
        composites: f64,
        /// Whether a class turned by 90, 180 or 270 degrees counts as three further classes.
        turns_as_classes: bool,
        /// Weight of the softmax term.
        softmax_weight: f32,
        /// Label smoothing of the softmax term (Szegedy et al. 2016, section 7), 0 to below 1: spread
        /// evenly, or as the models find that `train --teacher` names.
        #[serde(default)]
        smoothing: f32,
    },
    /// Koch et al. 2015, section 3.1: cross-entropy on same and different pairs, half and half.
    Pairs {
        /// Pairs that exist before distortion, drawn once by the seed.
        pairs: usize,
        /// Distorted copies of each pair beside the pair itself.
        copies: usize,
        /// Pairs in a batch.
        batch: usize,
    },
}

/// How the weights follow the gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum OptimizerSpec {
    /// AdamW (Loshchilov and Hutter 2019).
    AdamW {
        /// Highest learning rate.
        learning_rate: f64,
        /// Decoupled weight decay.
        weight_decay: f32,
        /// Learning rate of alpha and b, as a multiple.
        head_rate: f64,
    },
    /// Koch et al. 2015, section 3.2: per-layer rate, momentum that rises from 0.5, L2.
    Momentum {
        /// One entry for each layer with weights: the blocks, the linear layer, the head.
        layers: Vec<LayerRates>,
        /// Epochs over which momentum rises linearly from 0.5 to the layer's own.
        momentum_epochs: usize,
    },
}

/// How one layer learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRates {
    /// Learning rate in the first epoch.
    pub learning_rate: f64,
    /// Momentum at the end of the rise, 0 to 1.
    pub momentum: f64,
    /// lambda of the penalty lambda |w|^2.
    pub l2: f32,
}

/// For how long, and how the learning rate falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Most epochs.
    pub epochs: usize,
    /// Steps in an epoch; for pairs it follows from their number.
    pub steps_per_epoch: Option<usize>,
    /// How the learning rate falls.
    pub decay: Decay,
    /// Stop after this many epochs without a better validation.
    pub patience: Option<usize>,
    /// The weights that validate and are exported are an exponential moving average over the steps
    /// (Polyak and Juditsky 1992): each step it keeps this share of itself, 0 to below 1 (it moves
    /// every tenth step, by as much as ten steps would).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Decay {
    /// Rises linearly over `warmup_steps`, then falls along a half cosine to nothing.
    Cosine {
        /// Steps of the rise.
        warmup_steps: usize,
    },
    /// Times `factor` each epoch.
    Exponential {
        /// Above 0, at most 1.
        factor: f64,
    },
}

/// How training pictures are distorted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Rotation, shear, scale, shift.
    pub affine: Option<AffineRanges>,
    /// Some pictures are seen by the simulated camera, before all other distortion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraShare>,
}

/// Ranges of a random affine distortion; each component is used with `probability` (Koch et al.
/// 2015, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffineRanges {
    /// The largest rotation, either way.
    pub rotation_degrees: f32,
    /// The largest shear along x and along y, either way.
    pub shear: f32,
    /// Least factor of scale, along x and along y.
    pub scale_low: f32,
    /// Greatest factor of scale.
    pub scale_high: f32,
    /// The largest shift along x and along y, either way.
    pub shift_px: f32,
    /// 0 to 1.
    pub probability: f64,
}

/// How many training pictures the simulated camera sees, and how badly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraShare {
    /// The share of the pictures of batches that are not of composites, 0 to 1.
    pub share: f64,
    /// Every disturbance is somewhere from none to this, 0 to 1.
    pub strength: f32,
}

/// How the best weights are picked: within-group one-shot trials on held-out classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Classes in a trial.
    pub ways: usize,
    /// Trials; the same ones each time.
    pub trials: usize,
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Neither a preset nor a file that can be read.
    #[error("{path:?}: neither a preset ({presets}) nor a file that can be read: {source}")]
    Unreadable {
        /// What was asked for.
        path: PathBuf,
        /// The presets there are.
        presets: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, or not a recipe.
    #[error("{path:?}: not a recipe: {reason}")]
    Malformed {
        /// What was read.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// Its parts do not fit together.
    #[error("recipe {name:?}: {reason}")]
    Impossible {
        /// The recipe.
        name: String,
        /// What does not fit.
        reason: String,
    },
}

impl Recipe {
    /// The preset of that name, or else the recipe in that file.
    ///
    /// # Errors
    /// Every [`RecipeError`].
    pub fn open(preset_or_path: &str) -> Result<Self, RecipeError> {
        let path = Path::new(preset_or_path);
        match PRESETS.iter().find(|(name, _)| *name == preset_or_path) {
            Some((_, text)) => Self::parse(text, path),
            None => {
                let text =
                    std::fs::read_to_string(path).map_err(|source| RecipeError::Unreadable {
                        path: path.to_owned(),
                        presets: PRESETS.map(|(name, _)| name).join(", "),
                        source,
                    })?;
                Self::parse(&text, path)
            }
        }
    }

    /// A recipe from TOML; `path` stands in errors.
    ///
    /// # Errors
    /// `Malformed` or `Impossible`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text).map_err(|error| RecipeError::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        recipe.check().map_err(|reason| RecipeError::Impossible {
            name: recipe.name.clone(),
            reason,
        })?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), String> {
        self.input.check()?;
        let shapes = self
            .network
            .shapes(&self.input)
            .map_err(|error| error.to_string())?;
        let layers = self.network.blocks.len() + usize::from(self.network.linear_sigmoid.is_some());
        match &self.optimizer {
            OptimizerSpec::Momentum { layers: rates, .. } if rates.len() != layers + 1 => {
                return Err(format!(
                    "optimizer.layers has {} entries for {layers} layers and the head",
                    rates.len()
                ));
            }
            _ => {}
        }
        match self.objective {
            Objective::AllPairs {
                classes, pictures, ..
            } if classes < 2 || pictures < 2 => {
                return Err("a batch needs at least 2 classes of 2 pictures".to_owned());
            }
            Objective::AllPairs { .. } if self.schedule.steps_per_epoch.is_none_or(|n| n == 0) => {
                return Err("schedule.steps_per_epoch is missing".to_owned());
            }
            Objective::Pairs { pairs, batch, .. } if batch < 2 || pairs < batch => {
                return Err("there must be at least one batch of at least 2 pairs".to_owned());
            }
            _ => {}
        }
        let share = |name: &str, share: f64| match share {
            0.0..=1.0 => Ok(()),
            _ => Err(format!("{name} must be 0 to 1, not {share}")),
        };
        let needs_marks = |name: &str| match (self.input.crop, self.input.scaling) {
            (Crop::Mark { .. }, Scaling::InkIsOne) => Ok(()),
            _ => Err(format!("{name} needs crop = mark and scaling = ink_is_one")),
        };
        match self.objective {
            Objective::AllPairs {
                within_group,
                composites,
                smoothing,
                ..
            } => {
                share("objective.within_group", within_group)?;
                share("objective.composites", composites)?;
                if composites > 0.0 {
                    needs_marks("objective.composites")?;
                }
                if !(0.0..1.0).contains(&smoothing) {
                    return Err(format!(
                        "objective.smoothing must be 0 to below 1, not {smoothing}"
                    ));
                }
            }
            Objective::Pairs { pairs, copies, .. } => {
                let all = copies.checked_add(1).and_then(|n| n.checked_mul(pairs));
                if all.is_none_or(|all| all > u32::MAX as usize) {
                    return Err("objective.pairs x (1 + copies) must be below 2^32".to_owned());
                }
            }
        }
        if let Some(camera) = &self.augment.camera {
            share("augment.camera.share", camera.share)?;
            share("augment.camera.strength", f64::from(camera.strength))?;
            needs_marks("augment.camera")?;
        }
        if [self.split.train_drawers, self.split.validation_drawers].contains(&Some(0)) {
            return Err("split: drawers must be at least 1, or absent for all".to_owned());
        }
        if self
            .schedule
            .average
            .is_some_and(|keep| !(0.0..1.0).contains(&keep))
        {
            return Err("schedule.average must be 0 to below 1".to_owned());
        }
        if self.schedule.epochs == 0 {
            return Err("schedule.epochs must be at least 1".to_owned());
        }
        if self.validation.ways < 2 || self.validation.trials == 0 {
            return Err("validation needs at least 2 ways and a trial".to_owned());
        }
        if shapes.embedding > 1 << 16 {
            return Err(format!("an embedding of {} numbers", shapes.embedding));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_koch_preset_has_the_shapes_of_the_paper() {
        let koch = Recipe::open("koch").unwrap();
        let shapes = koch.network.shapes(&koch.input).unwrap();
        assert_eq!(
            shapes.planes,
            [(1, 105), (64, 48), (128, 21), (128, 9), (256, 6)]
        );
        assert_eq!(shapes.embedding, 4096);
    }

    #[test]
    fn every_preset_survives_a_round_trip_through_toml() {
        for (name, _) in PRESETS {
            let recipe = Recipe::open(name).unwrap();
            let text = toml::to_string(&recipe).unwrap();
            assert_eq!(Recipe::parse(&text, Path::new("again")).unwrap(), recipe);
        }
    }

    #[test]
    fn an_unknown_field_and_an_impossible_layer_are_named() {
        let (_, compact) = PRESETS[0];
        let refused = |recipe: &str, named: &str| {
            let error = Recipe::parse(recipe, Path::new("x.toml")).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        };
        let share = "within_group = 0.7";
        let composites = "composites = 0.3";
        let groups = "validation_groups = 5";
        let drawers = "validation_groups = 5\ntrain_drawers = 0";
        for (right, wrong, named) in [
            ("side_px", "side_pixels", "side_pixels"),
            (share, "within_group = nan", "within_group"),
            (composites, "composites = -0.1", "composites must be"),
            (groups, drawers, "drawers"),
            ("filters = 96", "filters = 20_000_000", "weights"),
            ("pool = 2", "pool = 2, skip = true", "`skip`"),
            (
                share,
                "within_group = 0.7\nhard_classes = 0.1",
                "`hard_classes`",
            ),
            ("[augment]", "[augment]\nelastic = {}", "`elastic`"),
            ("[augment]", "[augment]\nthickness = 0.0", "`thickness`"),
            ("side_px = 32", "side_px = 8", "nothing is left"),
        ] {
            refused(&compact.replace(right, wrong), named);
        }
        let unit = compact.replace("scaling = \"ink_is_one\"", "scaling = \"unit\"");
        refused(&unit, "composites needs crop = mark");
        let without = unit.replace("composites = 0.3\n", "");
        refused(&without, "camera needs crop = mark");
    }
}
