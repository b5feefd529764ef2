//! Which pictures a step looks at: seeded batches of classes or of pairs, distorted and turned
//! into network input. A batch is a function of recipe, data, seed and step alone, so a run can
//! stop and go on anywhere. Knows nothing of networks or devices.

use std::sync::{Arc, Mutex, PoisonError};

use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::preprocess::{InputSpec, Patch, patch};
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::photographs::{Photographer, TrainingPicture};
use crate::augment;
use crate::config::{Augment, Objective, Recipe};
use crate::data::{self, Dataset};
use crate::random::{Purpose, stream};

/// The marks of a composite are moved against each other by at most this share of the first picture's sides, either
/// way.
const REACH: f32 = 0.5;
/// In each of its pictures they are moved by at most this share more.
const UNSTEADY: f32 = 0.04;

/// Photographs between two reports of how many there are.
const AT_ONCE: usize = 64;

/// Network input and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// [pictures, channels, side, side] row-major.
    pub patches: Vec<f32>,
    /// What the rows show.
    pub labels: Labels,
}

/// What the rows of a batch show.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// The class of each row.
    Classes(Vec<usize>),
    /// Pairs of rows and whether they show the same class.
    Pairs(Vec<(usize, usize, bool)>),
}

/// Draws the batches of a run.
pub struct Sampler {
    groups: Vec<Group>,
    input: InputSpec,
    augment: Augment,
    photographer: Option<Photographer>,
    objective: Objective,
    seed: u64,
    /// The order of all copies of all pairs in the epoch that was last asked for.
    order: Mutex<(u64, Arc<[u32]>)>,
}

/// The classes of a group.
struct Group {
    classes: Vec<Class>,
}

/// A training class.
struct Class {
    pictures: Vec<TrainingPicture>,
}

impl Sampler {
    /// A sampler of the training part; pictures that are blank to `recipe.input` must be gone.
    ///
    /// # Errors
    /// In words, where there is too little to learn from.
    pub fn new(train: &Dataset, recipe: &Recipe, seed: u64) -> Result<Self, String> {
        let mut numbers = 0..;
        let mut picture =
            |frame: &Frame| TrainingPicture::new(frame.clone(), numbers.next().unwrap_or_default());
        let mut class = |of: &data::Class| Class {
            pictures: of.pictures.iter().map(|p| picture(&p.frame)).collect(),
        };
        let groups: Vec<Group> = train
            .groups
            .iter()
            .map(|group| Group {
                classes: group.classes.iter().map(&mut class).collect(),
            })
            .collect();
        let classes: usize = groups.iter().map(|g| g.classes.len()).sum();
        if classes < 2 {
            return Err(format!(
                "{classes} class to train on; a twin needs at least 2, beside those that validate"
            ));
        }
        Ok(Self {
            groups,
            input: recipe.input.clone(),
            augment: recipe.augment.clone(),
            photographer: recipe
                .augment
                .camera
                .map(|camera| Photographer::new(camera, recipe.input.clone(), seed)),
            objective: recipe.objective.clone(),
            seed,
            order: Mutex::default(),
        })
    }

    /// Steps in an epoch of pairs; `None` where the schedule says.
    pub fn steps_per_epoch(&self) -> Option<usize> {
        match self.objective {
            Objective::AllPairs { .. } => None,
            Objective::Pairs {
                pairs,
                copies,
                batch,
            } => Some((pairs * (1 + copies)).div_ceil(batch)),
        }
    }

    /// The batch of a step, counted from 0. Threads may draw batches side by side.
    pub fn batch(&self, step: u64) -> Batch {
        match self.objective {
            Objective::AllPairs {
                classes,
                pictures,
                within_group,
                composites,
                turns_as_classes,
                ..
            } => {
                let mut rng = stream(self.seed, Purpose::Batch, step);
                // How all classes of a batch stand, in quarter turns: a character that is turned is another character.
                let turns = match turns_as_classes {
                    true => rng.random_range(0..4),
                    false => 0,
                };
                // Where a share is 0 no number is drawn for it, and batches are what they are without it.
                if composites > 0.0
                    && rng.random_bool(composites.min(1.0))
                    && let Some(batch) = self.composite_batch(&mut rng, classes, pictures, turns)
                {
                    return batch;
                }
                let picked = self.classes(&mut rng, classes, within_group);
                self.class_batch(&mut rng, &picked, pictures, turns)
            }
            Objective::Pairs {
                pairs,
                copies,
                batch,
            } => self.pair_batch(step, pairs, copies, batch),
        }
    }

    /// The classes of a batch, of one group with a chance of `within_group`.
    fn classes(&self, rng: &mut ChaCha8Rng, classes: usize, within_group: f64) -> Vec<&Class> {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.shuffle(rng);
        let mut picked: Vec<&Class> = Vec::new();
        if rng.random_bool(within_group.clamp(0.0, 1.0)) {
            // One group after another until the batch is full: mostly the first alone.
            for &group in &order {
                let mut of_group: Vec<_> = self.groups[group].classes.iter().collect();
                of_group.shuffle(rng);
                picked.extend(of_group);
                if picked.len() >= classes {
                    break;
                }
            }
        } else {
            picked.extend(self.groups.iter().flat_map(|g| &g.classes));
            picked.shuffle(rng);
        }
        picked.truncate(classes);
        picked
    }

    /// Classes x `pictures` rows. Classes of one batch share a turn, so no drawing meets its own
    /// turned twin, which for a round or crossed character would be no other class at all.
    fn class_batch(
        &self,
        rng: &mut ChaCha8Rng,
        classes: &[&Class],
        pictures: usize,
        turns: u8,
    ) -> Batch {
        let mut patches = Vec::new();
        let mut labels = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            for drawing in drawings(class.pictures.len(), pictures, rng) {
                let frame = self.shown(&class.pictures[drawing], rng);
                patches.extend(self.distorted(frame, turns, rng).0);
                labels.push(label);
            }
        }
        Batch {
            patches,
            labels: Labels::Classes(labels),
        }
    }

    /// Up to `classes` x `pictures` rows of classes that are two classes of a group each, one drawn over the other; in
    /// half of the batches all are moved alike. `None` where no group has two.
    fn composite_batch(
        &self,
        rng: &mut ChaCha8Rng,
        classes: usize,
        pictures: usize,
        turns: u8,
    ) -> Option<Batch> {
        let of_several = self.groups.iter().filter(|g| g.classes.len() > 1);
        let of_several: Vec<&Group> = of_several.collect();
        let group = &of_several.choose(rng)?.classes;
        let pairs = (0..group.len()).flat_map(|a| (0..group.len()).map(move |b| (a, b)));
        let mut pairs: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
        let (pairs, _) = pairs.partial_shuffle(rng, classes);
        let place = |rng: &mut ChaCha8Rng, reach: f32| {
            [0, 1].map(|_: usize| rng.random_range(-reach..=reach))
        };
        let alike = rng.random_bool(0.5).then(|| place(rng, REACH));
        let mut patches = Vec::new();
        let mut labels = Vec::new();
        for (label, &(first, second)) in pairs.iter().enumerate() {
            let of_class = alike.unwrap_or_else(|| place(rng, REACH));
            let (first, second) = (&group[first].pictures, &group[second].pictures);
            for drawer in drawings(first.len().min(second.len()), pictures, rng) {
                let (first, second) = (first[drawer].frame(), second[drawer].frame());
                let more = place(rng, UNSTEADY);
                let sides = [first.width(), first.height()];
                let [right, down] =
                    [0, 1].map(|axis| ((of_class[axis] + more[axis]) * sides[axis] as f32) as i32);
                let frame = augment::overlaid(first, second, right, down);
                patches.extend(self.distorted(&frame, turns, rng).0);
                labels.push(label);
            }
        }
        Some(Batch {
            patches,
            labels: Labels::Classes(labels),
        })
    }

    /// All copies of all pairs in the order in which an epoch takes them.
    fn epoch_order(&self, epoch: u64, total: usize) -> Arc<[u32]> {
        let mut last = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != epoch || last.1.len() != total {
            let mut order: Vec<u32> = (0..total as u32).collect();
            order.shuffle(&mut stream(self.seed, Purpose::Order, epoch));
            *last = (epoch, order.into());
        }
        last.1.clone()
    }

    fn pair_batch(&self, step: u64, pairs: usize, copies: usize, batch: usize) -> Batch {
        let total = pairs * (1 + copies);
        let steps = total.div_ceil(batch) as u64;
        let order = self.epoch_order(step / steps, total);
        let from = (step % steps) as usize * batch;
        let (mut left, mut right, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for &entry in &order[from..total.min(from + batch)] {
            let (pair, copy) = (entry as usize / (1 + copies), entry as usize % (1 + copies));
            let (a, b, is_same) = self.pair(pair);
            let mut rng = stream(self.seed, Purpose::Distortion, u64::from(entry));
            for (side, picture) in [(&mut left, a), (&mut right, b)] {
                side.extend(match copy {
                    0 => straight(picture.frame(), &self.input).0,
                    _ => {
                        let frame = self.shown(picture, &mut rng);
                        self.distorted(frame, 0, &mut rng).0
                    }
                });
            }
            same.push(is_same);
        }
        let count = same.len();
        left.append(&mut right);
        Batch {
            patches: left,
            labels: Labels::Pairs((0..count).map(|i| (i, count + i, same[i])).collect()),
        }
    }

    /// The n-th pair: groups in turn, so that each has its share; same and different in turn.
    fn pair(&self, n: usize) -> (&TrainingPicture, &TrainingPicture, bool) {
        let mut rng = stream(self.seed, Purpose::Pairs, n as u64);
        let same = (n / self.groups.len()).is_multiple_of(2);
        let group = &self.groups[n % self.groups.len()];
        let class = rng.random_range(0..group.classes.len());
        let pictures = &group.classes[class].pictures;
        let first = rng.random_range(0..pictures.len());
        if same {
            // Of a class with one picture the pair is that picture twice.
            let step = if pictures.len() > 1 {
                rng.random_range(1..pictures.len())
            } else {
                0
            };
            let second = (first + step) % pictures.len();
            return (&pictures[first], &pictures[second], true);
        }
        let other = if group.classes.len() > 1 {
            let step = rng.random_range(1..group.classes.len());
            &group.classes[(class + step) % group.classes.len()]
        } else {
            let step = rng.random_range(1..self.groups.len().max(2));
            let other = &self.groups[(n + step) % self.groups.len()];
            &other.classes[rng.random_range(0..other.classes.len())]
        };
        (
            &pictures[first],
            &other.pictures[rng.random_range(0..other.pictures.len())],
            false,
        )
    }

    /// Whether this many batches ask for at least as many photographs as there are pictures.
    pub fn asks_for_most_photographs(&self, batches: u64) -> bool {
        let share = self.augment.camera.map_or(0.0, |camera| camera.share);
        let distorted = match self.objective {
            Objective::AllPairs {
                classes,
                pictures,
                composites,
                ..
            } => (classes * pictures) as f64 * (1.0 - composites),
            // The pairs themselves are shown as they are, their copies distorted.
            Objective::Pairs { batch, copies, .. } => {
                (2 * batch * copies) as f64 / (1 + copies) as f64
            }
        };
        let asked = batches as f64 * distorted * share;
        asked > 0.0 && asked >= self.pictures().count() as f64
    }

    fn pictures(&self) -> impl Iterator<Item = &TrainingPicture> {
        let classes = self.groups.iter().flat_map(|group| &group.classes);
        classes.flat_map(|class| &class.pictures)
    }

    /// Takes the photographs of all pictures, on all cores, while `go_on` answers yes; its arguments are how many are
    /// taken and how many there are in all. A batch takes a photograph itself that is still missing.
    pub fn take_photographs(&self, mut go_on: impl FnMut(usize, usize) -> bool) {
        let Some(photographer) = &self.photographer else {
            return;
        };
        let pictures: Vec<&TrainingPicture> = self.pictures().collect();
        let mut taken = 0;
        for some in pictures.chunks(AT_ONCE) {
            if !go_on(taken, pictures.len()) {
                return;
            }
            some.par_iter().for_each(|picture| {
                photographer.photograph_of(picture);
            });
            taken += some.len();
        }
    }

    /// The picture, or in its share of cases the photograph of it.
    fn shown<'a>(&self, picture: &'a TrainingPicture, rng: &mut ChaCha8Rng) -> &'a Frame {
        match &self.photographer {
            Some(photographer) => photographer.shown(picture, rng),
            None => picture.frame(),
        }
    }

    /// A turned and distorted patch; where distortion loses the mark, the straight one.
    fn distorted(&self, frame: &Frame, turns: u8, rng: &mut ChaCha8Rng) -> Patch {
        let turned = augment::turned(frame, turns);
        let shown = augment::distort(&turned, &self.augment, rng);
        patch(&shown, &self.input).unwrap_or_else(|_| straight(&turned, &self.input))
    }
}

/// Which of `count` drawings a batch shows: `pictures` of them by chance, or all and then the same again, as
/// each is distorted anew.
fn drawings(
    count: usize,
    pictures: usize,
    rng: &mut ChaCha8Rng,
) -> impl Iterator<Item = usize> + use<> {
    let mut drawings: Vec<usize> = (0..count).collect();
    drawings.shuffle(rng);
    drawings.into_iter().cycle().take(pictures)
}

/// The patch of a picture as it is, blank where there is nothing in it.
fn straight(frame: &Frame, input: &InputSpec) -> Patch {
    patch(frame, input).unwrap_or_else(|_| Patch(vec![0.0; input.len()]))
}

#[cfg(test)]
mod tests;
