//! Which pictures a step looks at: seeded batches of classes or of pairs, distorted and turned
//! into network input. A batch is a function of recipe, data, seed and step alone, so a run can
//! stop and go on anywhere. Knows nothing of networks or devices.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::locate;
use onelook_edge::vision::preprocess::{Crop, InputSpec, Patch, cleaned, patch};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::augment;
use crate::augment::camera::{self, Conditions};
use crate::config::{Augment, CameraShare, Objective, Recipe, Validation};
use crate::data::{self, Dataset, Skipped};

/// The marks of a composite are moved against each other by up to so much of the first picture's sides, either way,
const REACH: f32 = 0.5;
/// and in each of its pictures by up to so much more.
const UNSTEADY: f32 = 0.04;

/// Photographs that are taken before anybody is told how many there are.
const AT_ONCE: usize = 64;

/// What random numbers are for; each use has a stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first weights.
    Init = 1,
    /// Which groups validate.
    Split,
    /// What a step looks at.
    Batch,
    /// The order of pairs in an epoch.
    Order,
    /// Which pairs there are.
    Pairs,
    /// How a copy of a pair is distorted.
    Distortion,
    /// Trials of one-shot classification.
    Trials,
    /// Pairs to verify.
    Verification,
    /// Which pictures set 8-bit ranges.
    Calibration,
    /// Which classes a resample draws.
    Bootstrap,
    /// Galleries and probes of open-set identification.
    OpenSet,
    /// What the simulated camera does to a training picture.
    Camera,
    /// What it does to a picture that is measured.
    Photographs,
    /// Galleries in which a report counts confusions.
    Confusions = 0x4003,
}

/// The random numbers for one purpose and index.
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 48) | index);
    rng
}

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
    objective: Objective,
    seed: u64,
    /// The order of all copies of all pairs in the epoch that was last asked for.
    order: Mutex<(u64, Arc<[u32]>)>,
}

/// How all classes of a batch stand: a character that is turned or mirrored is another character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pose {
    /// Quarter turns, clockwise.
    turns: u8,
    /// Seen in a mirror, before it is turned.
    mirrored: bool,
}

/// The classes of a group.
struct Group {
    classes: Vec<Class>,
}

/// A training class.
struct Class {
    pictures: Vec<Picture>,
    /// The mean of its patches, where batches of hard classes are asked for, else empty.
    mean: Vec<f32>,
}

/// A training picture.
struct Picture {
    frame: Frame,
    /// Its place among all training pictures.
    number: u64,
    /// What the device would cut out of the one photograph that the simulated camera takes of it,
    /// when it is first asked for; none where the device does not find the mark.
    photograph: OnceLock<Option<Frame>>,
}

/// Splits data into what trains and what validates.
///
/// Groups are drawn by the seed; of a single group, classes are: `validation_groups` tenths of
/// them, at least one. The validation part holds classes that training never sees.
pub fn split(data: Dataset, recipe: &Recipe, seed: u64) -> (Dataset, Dataset) {
    let mut rng = stream(seed, Purpose::Split, 0);
    let mut data = data;
    if data.groups.len() == 1 {
        // A flat folder: each class stands in for a group while the lot is drawn.
        let group = data.groups.remove(0);
        let count = group.classes.len();
        let held = (count * recipe.split.validation_groups).div_ceil(10);
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        let held_out = &order[..held.clamp(1, count.max(2) - 1).min(count)];
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (i, class) in group.classes.into_iter().enumerate() {
            if held_out.contains(&i) {
                validation.push(class);
            } else {
                train.push(class);
            }
        }
        let part = |classes| Dataset {
            name: data.name.clone(),
            groups: vec![data::Group {
                name: group.name.clone(),
                classes,
            }],
            skipped: Vec::new(),
        };
        let (train, validation) = (part(train), part(validation));
        return by_drawer(train, validation, recipe);
    }
    let mut names: Vec<String> = data.groups.iter().map(|g| g.name.clone()).collect();
    names.shuffle(&mut rng);
    let held = recipe
        .split
        .validation_groups
        .clamp(1, names.len().max(2) - 1);
    names.truncate(held);
    let (train, validation) = data.split(&names);
    by_drawer(train, validation, recipe)
}

fn by_drawer(mut train: Dataset, mut validation: Dataset, recipe: &Recipe) -> (Dataset, Dataset) {
    let first = recipe.split.train_drawers;
    let then = recipe.split.validation_drawers;
    for class in train.groups.iter_mut().flat_map(|g| &mut g.classes) {
        class.pictures.truncate(first.unwrap_or(usize::MAX));
    }
    for class in validation.groups.iter_mut().flat_map(|g| &mut g.classes) {
        if let Some(then) = then {
            let from = first
                .unwrap_or(0)
                .min(class.pictures.len().saturating_sub(then));
            class.pictures.drain(..from);
            class.pictures.truncate(then);
        }
    }
    (train, validation)
}

/// Takes out pictures in which `input` finds nothing, and says which.
pub fn drop_blank(data: &mut Dataset, input: &InputSpec) -> Vec<Skipped> {
    let classes = data.groups.par_iter_mut().flat_map(|g| &mut g.classes);
    let skipped: Vec<Vec<Skipped>> = classes
        .map(|class| {
            let mut skipped = Vec::new();
            class
                .pictures
                .retain(|picture| match patch(&picture.frame, input) {
                    Ok(_) => true,
                    Err(blank) => {
                        skipped.push(Skipped {
                            source: picture.source.clone(),
                            reason: blank.to_string(),
                        });
                        false
                    }
                });
            skipped
        })
        .collect();
    for group in &mut data.groups {
        group.classes.retain(|class| !class.pictures.is_empty());
    }
    data.groups.retain(|group| !group.classes.is_empty());
    skipped.into_iter().flatten().collect()
}

impl Sampler {
    /// A sampler of the training part; pictures that are blank to `recipe.input` must be gone.
    ///
    /// # Errors
    /// In words, where there is too little to learn from.
    pub fn new(train: &Dataset, recipe: &Recipe, seed: u64) -> Result<Self, String> {
        let mut numbers = 0..;
        let mut picture = |frame: &Frame| Picture {
            frame: frame.clone(),
            number: numbers.next().unwrap_or_default(),
            photograph: OnceLock::new(),
        };
        let mut class = |of: &data::Class| Class {
            pictures: of.pictures.iter().map(|p| picture(&p.frame)).collect(),
            mean: Vec::new(),
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
        let mut sampler = Self {
            groups,
            input: recipe.input.clone(),
            augment: recipe.augment.clone(),
            objective: recipe.objective.clone(),
            seed,
            order: Mutex::default(),
        };
        if matches!(recipe.objective, Objective::AllPairs { hard_classes, .. } if hard_classes > 0.0)
        {
            let classes = sampler.groups.par_iter_mut().flat_map(|g| &mut g.classes);
            classes.for_each(|class| class.mean = mean_patch(&class.pictures, &recipe.input));
        }
        Ok(sampler)
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
                hard_classes,
                turns_as_classes,
                mirrors_as_classes,
                ..
            } => {
                let mut rng = stream(self.seed, Purpose::Batch, step);
                let pose = Pose {
                    turns: if turns_as_classes {
                        rng.random_range(0..4)
                    } else {
                        0
                    },
                    mirrored: mirrors_as_classes && rng.random_bool(0.5),
                };
                // Where a share is 0 no number is drawn for it, and batches are what they are without it.
                if composites > 0.0
                    && rng.random_bool(composites.min(1.0))
                    && let Some(batch) = self.composite_batch(&mut rng, classes, pictures, pose)
                {
                    return batch;
                }
                let picked = if hard_classes > 0.0 && rng.random_bool(hard_classes.min(1.0)) {
                    self.hard_classes(&mut rng, classes)
                } else {
                    self.classes(&mut rng, classes, within_group)
                };
                self.class_batch(&mut rng, &picked, pictures, pose)
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

    /// A class drawn by chance and those most like it.
    fn hard_classes(&self, rng: &mut ChaCha8Rng, classes: usize) -> Vec<&Class> {
        let all: Vec<&Class> = self.groups.iter().flat_map(|g| &g.classes).collect();
        let drawn = all[rng.random_range(0..all.len())];
        let apart = |class: &Class| -> f32 {
            let parts = class.mean.iter().zip(&drawn.mean);
            parts.map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let mut by_distance: Vec<_> = all.into_iter().map(|c| (apart(c), c)).collect();
        by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
        let nearest = by_distance.into_iter().take(classes);
        nearest.map(|(_, class)| class).collect()
    }

    /// Classes x `pictures` rows. Classes of one batch share a pose, so no drawing meets its own
    /// turned twin, which for a round or crossed character would be no other class at all.
    fn class_batch(
        &self,
        rng: &mut ChaCha8Rng,
        classes: &[&Class],
        pictures: usize,
        pose: Pose,
    ) -> Batch {
        let mut patches = Vec::new();
        let mut labels = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            for drawing in drawings(class.pictures.len(), pictures, rng) {
                let frame = self.seen(&class.pictures[drawing], rng);
                patches.extend(self.distorted(frame, pose, rng).0);
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
        pose: Pose,
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
                let (first, second) = (&first[drawer].frame, &second[drawer].frame);
                let more = place(rng, UNSTEADY);
                let sides = [first.width(), first.height()];
                let [right, down] =
                    [0, 1].map(|axis| ((of_class[axis] + more[axis]) * sides[axis] as f32) as i32);
                let frame = augment::overlaid(first, second, right, down);
                patches.extend(self.distorted(&frame, pose, rng).0);
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
        let mut kept = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != epoch || kept.1.len() != total {
            let mut order: Vec<u32> = (0..total as u32).collect();
            order.shuffle(&mut stream(self.seed, Purpose::Order, epoch));
            *kept = (epoch, order.into());
        }
        kept.1.clone()
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
                    0 => straight(&picture.frame, &self.input).0,
                    _ => {
                        let frame = self.seen(picture, &mut rng);
                        self.distorted(frame, Pose::default(), &mut rng).0
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
    fn pair(&self, n: usize) -> (&Picture, &Picture, bool) {
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

    /// Whether so many batches ask for as many photographs as there are pictures, or more.
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

    fn pictures(&self) -> impl Iterator<Item = &Picture> {
        let classes = self.groups.iter().flat_map(|group| &group.classes);
        classes.flat_map(|class| &class.pictures)
    }

    /// Takes the photographs that batches will ask for before any does, as many at a time as keep all cores busy, for as
    /// long as `go_on` says so, which is told how many are taken and how many there are to take. A batch that asks
    /// for one that is not there takes it then.
    pub fn take_photographs(&self, mut go_on: impl FnMut(usize, usize) -> bool) {
        let Some(camera) = self.augment.camera else {
            return;
        };
        let pictures: Vec<&Picture> = self.pictures().collect();
        let mut taken = 0;
        for some in pictures.chunks(AT_ONCE) {
            if !go_on(taken, pictures.len()) {
                return;
            }
            some.par_iter().for_each(|picture| {
                self.photograph_of(picture, camera);
            });
            taken += some.len();
        }
    }

    fn photograph_of<'a>(&self, picture: &'a Picture, camera: CameraShare) -> Option<&'a Frame> {
        let taken = picture
            .photograph
            .get_or_init(|| self.photographed(picture, camera));
        taken.as_ref()
    }

    /// What the device would cut out of a photograph, paper white and ink black, wide and fine
    /// enough to be distorted and cut out once more.
    fn photographed(&self, picture: &Picture, camera: CameraShare) -> Option<Frame> {
        let Crop::Mark { margin } = self.input.crop else {
            return None;
        };
        let mut rng = stream(self.seed, Purpose::Camera, picture.number);
        let conditions = Conditions::drawn(camera.strength, &mut rng);
        let shot = camera::photograph(&picture.frame, &conditions, &mut rng)?;
        let mark = locate::mark(&shot.frame)?;
        if mark.bounds.overlap(&shot.bounds) < camera::FOUND {
            return None;
        }
        let side = 2 * self.input.side_px;
        let cut_out = cleaned(&shot.frame, &mark, margin + 0.1, side).ok()?;
        // It will be cut out once more, and must then show the same.
        let longest =
            mark.bounds.width.max(mark.bounds.height) / mark.bounds.square(margin + 0.1).width;
        let again = locate::mark(&cut_out)?.bounds;
        let agrees = again.width.max(again.height) / (longest * side as f32);
        (0.8..1.25).contains(&agrees).then_some(cut_out)
    }

    /// The picture, or in its share of cases what the simulated camera makes of it.
    fn seen<'a>(&self, picture: &'a Picture, rng: &mut ChaCha8Rng) -> &'a Frame {
        let camera = self.augment.camera;
        let seen = camera.filter(|camera| rng.random_bool(camera.share.clamp(0.0, 1.0)));
        let photograph = seen.and_then(|camera| self.photograph_of(picture, camera));
        photograph.unwrap_or(&picture.frame)
    }

    /// A posed and distorted patch; where distortion loses the mark, the straight one.
    fn distorted(&self, frame: &Frame, pose: Pose, rng: &mut ChaCha8Rng) -> Patch {
        let turned = augment::posed(frame, pose.turns, pose.mirrored);
        let mut shown = augment::distort(&turned, &self.augment, rng);
        if self.augment.thickness > 0.0 {
            let amount = rng.random_range(-self.augment.thickness..=self.augment.thickness);
            shown = augment::thicken(&shown, amount);
        }
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

/// The mean of the patches of the pictures as they are, [channels, side, side].
fn mean_patch(pictures: &[Picture], input: &InputSpec) -> Vec<f32> {
    let mut mean = vec![0.0; input.len()];
    for picture in pictures {
        for (sum, x) in mean.iter_mut().zip(straight(&picture.frame, input).0) {
            *sum += x / pictures.len() as f32;
        }
    }
    mean
}

/// A one-shot trial on a data set: which classes of which group, and which pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// (group, class) of each way.
    pub classes: Vec<(usize, usize)>,
    /// The pictures enrolled for each way.
    pub support: Vec<Vec<usize>>,
    /// Which way the query is of.
    pub answer: usize,
    /// The query's picture.
    pub query: usize,
}

/// What random trials are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialSpec {
    /// Classes in a trial.
    pub ways: usize,
    /// Pictures enrolled of each.
    pub shots: usize,
    /// How many trials.
    pub trials: usize,
    /// Whether all classes of a trial come from one group; groups then take turns.
    pub within_group: bool,
}

impl From<Validation> for TrialSpec {
    fn from(validation: Validation) -> Self {
        Self {
            ways: validation.ways,
            shots: 1,
            trials: validation.trials,
            within_group: true,
        }
    }
}

/// Seeded random trials: the query's picture is none of those enrolled.
///
/// Classes with too few pictures take no part. A group with fewer classes than `ways` takes no
/// part within groups; where no group has enough, `ways` is what the largest has.
///
/// # Errors
/// In words, where no trial can be made.
pub fn trials(data: &Dataset, spec: TrialSpec, seed: u64) -> Result<Vec<Trial>, String> {
    let shots = spec.shots.max(1);
    let usable: Vec<Vec<(usize, usize)>> = data
        .groups
        .iter()
        .enumerate()
        .map(|(g, group)| {
            let classes = group.classes.iter().enumerate();
            classes
                .filter(|(_, class)| class.pictures.len() > shots)
                .map(|(c, _)| (g, c))
                .collect()
        })
        .collect();
    let pools: Vec<Vec<(usize, usize)>> = if spec.within_group {
        usable
    } else {
        vec![usable.concat()]
    };
    let largest = pools.iter().map(Vec::len).max().unwrap_or(0);
    let ways = spec.ways.min(largest);
    if ways < 2 {
        return Err(format!(
            "no group has 2 classes of more than {shots} pictures: no trial can be made"
        ));
    }
    let pools: Vec<_> = pools
        .into_iter()
        .filter(|pool| pool.len() >= ways)
        .collect();
    let trial = |n: usize| {
        let mut rng = stream(seed, Purpose::Trials, n as u64);
        let mut classes = pools[n % pools.len()].clone();
        let (classes, _) = classes.partial_shuffle(&mut rng, ways);
        let classes = classes.to_vec();
        let answer = rng.random_range(0..ways);
        let mut query = 0;
        let support = (0..ways)
            .map(|way| {
                let (g, c) = classes[way];
                let mut pictures: Vec<usize> =
                    (0..data.groups[g].classes[c].pictures.len()).collect();
                let (drawn, _) = pictures.partial_shuffle(&mut rng, shots + 1);
                if way == answer {
                    query = drawn[shots];
                }
                drawn[..shots].to_vec()
            })
            .collect();
        Trial {
            classes,
            support,
            answer,
            query,
        }
    };
    Ok((0..spec.trials).map(trial).collect())
}

/// Two pictures as (group, class, picture), and whether they show the same class.
pub type VerificationPair = ([usize; 3], [usize; 3], bool);

/// Seeded pairs to verify: half genuine (two pictures of a class), half impostor (two classes, of
/// one group where `within_group`), classes by equal chance.
///
/// # Errors
/// In words, where no such pair exists.
pub fn verification_pairs(
    data: &Dataset,
    count: usize,
    within_group: bool,
    seed: u64,
) -> Result<Vec<VerificationPair>, String> {
    let classes: Vec<(usize, usize)> = data
        .groups
        .iter()
        .enumerate()
        .flat_map(|(g, group)| (0..group.classes.len()).map(move |c| (g, c)))
        .collect();
    let pictures = |(g, c): (usize, usize)| data.groups[g].classes[c].pictures.len();
    let several: Vec<_> = classes
        .iter()
        .copied()
        .filter(|&c| pictures(c) > 1)
        .collect();
    let with_others: Vec<_> = classes
        .iter()
        .copied()
        .filter(|&(g, _)| !within_group || data.groups[g].classes.len() > 1)
        .collect();
    if several.is_empty() || with_others.is_empty() || classes.len() < 2 {
        return Err("verification needs 2 classes, and one of 2 pictures".to_owned());
    }
    let pair = |n: usize| {
        let mut rng = stream(seed, Purpose::Verification, n as u64);
        if n.is_multiple_of(2) {
            let (g, c) = several[rng.random_range(0..several.len())];
            let count = pictures((g, c));
            let first = rng.random_range(0..count);
            let second = (first + rng.random_range(1..count)) % count;
            return ([g, c, first], [g, c, second], true);
        }
        let (g, c) = with_others[rng.random_range(0..with_others.len())];
        let (h, d) = loop {
            let other = if within_group {
                (g, rng.random_range(0..data.groups[g].classes.len()))
            } else {
                classes[rng.random_range(0..classes.len())]
            };
            if other != (g, c) {
                break other;
            }
        };
        let first = rng.random_range(0..pictures((g, c)));
        let second = rng.random_range(0..pictures((h, d)));
        ([g, c, first], [h, d, second], false)
    };
    Ok((0..count).map(pair).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::glyphs::{self, GlyphsSpec};

    /// `compact` with these changes, its pictures shown as they are.
    fn undistorted(changes: &[(&str, &str)]) -> Recipe {
        let mut recipe = crate::config::PRESETS[0].1.to_owned();
        for (was, is) in changes {
            recipe = recipe.replace(was, is);
        }
        let mut recipe = Recipe::parse(&recipe, Path::new("undistorted")).expect("a recipe");
        recipe.augment.affine = None;
        recipe.augment.camera = None;
        recipe
    }

    #[test]
    fn a_batch_of_hard_classes_is_one_and_what_looks_like_it() {
        let recipe = undistorted(&[
            ("classes = 32", "classes = 2"),
            ("composites = 0.3", "hard_classes = 1.0"),
        ]);
        let mut data = glyphs::draw(&GlyphsSpec {
            groups: 2,
            classes_per_group: 10,
            drawers: 4,
            seed: 5,
        });
        // The other group has the same classes: nothing is as much like one of them.
        data.groups[1].classes = data.groups[0].classes.clone();
        let sampler = Sampler::new(&data, &recipe, 3).expect("enough to learn");
        for step in 0..50 {
            let batch = sampler.batch(step);
            let rows = batch.patches.chunks_exact(recipe.input.len());
            let mut rows: Vec<Vec<u32>> = rows
                .map(|row| row.iter().map(|x| x.to_bits()).collect())
                .collect();
            let mut second = rows.split_off(4);
            rows.sort();
            second.sort();
            assert_eq!(rows, second);
            let picked = sampler.hard_classes(&mut stream(3, Purpose::Batch, step), 2);
            assert!(!std::ptr::eq(picked[0], picked[1]));
        }
    }

    #[test]
    fn a_composite_is_one_class_of_a_group_drawn_over_another() {
        let recipe = undistorted(&[
            ("turns_as_classes = true", "turns_as_classes = false"),
            ("pictures = 4", "pictures = 2"),
            ("composites = 0.3", "composites = 1.0"),
        ]);
        let mut data = glyphs::draw(&GlyphsSpec {
            groups: 2,
            classes_per_group: 2,
            drawers: 1,
            seed: 5,
        });
        data.groups[1].classes.truncate(1);
        let only = &data.groups[0].classes;
        let [first, second] = [0, 1].map(|class| &only[class].pictures[0].frame);
        let sampler = Sampler::new(&data, &recipe, 3).expect("enough to learn");
        let batch = sampler.batch(0);
        // A over B and B over A, in two pictures each.
        assert_eq!(batch.labels, Labels::Classes(vec![0, 0, 1, 1]));
        let mut rows: Vec<&[f32]> = batch.patches.chunks_exact(recipe.input.len()).collect();
        assert!((1..4).all(|row| rows[row] != rows[0]));
        let reach = ((REACH + UNSTEADY) * first.width() as f32) as i32;
        for right in -reach..=reach {
            for down in -reach..=reach {
                let patch = straight(
                    &augment::overlaid(first, second, right, down),
                    &recipe.input,
                );
                rows.retain(|row| *row != patch.0);
            }
        }
        assert_eq!(rows.len(), 0);
    }

    #[test]
    fn photographs_are_taken_of_all_pictures_until_told_otherwise() {
        let (_, compact) = crate::config::PRESETS[0];
        let mut recipe = Recipe::parse(compact, Path::new("compact")).expect("a recipe");
        recipe.augment.camera = Some(CameraShare {
            share: 0.5,
            strength: 0.1,
        });
        let data = glyphs::draw(&GlyphsSpec {
            groups: 2,
            classes_per_group: 8,
            drawers: 5,
            seed: 5,
        });
        let sampler = |recipe: &Recipe| Sampler::new(&data, recipe, 3).expect("enough to learn");
        let taken = |sampler: &Sampler| {
            let there = |picture: &&Picture| picture.photograph.get().is_some();
            sampler.pictures().filter(there).count()
        };
        let all = sampler(&recipe);
        all.take_photographs(|_, _| true);
        assert_eq!(taken(&all), 80);
        let some = sampler(&recipe);
        some.take_photographs(|taken, _| taken == 0);
        assert_eq!(taken(&some), AT_ONCE);

        // Half of the 0.7 of the batches that are not composites: 44.8 of 128 pictures, so two batches ask for 80.
        assert!(!all.asks_for_most_photographs(1) && all.asks_for_most_photographs(2));
        recipe.objective = Objective::Pairs {
            pairs: 100,
            copies: 0,
            batch: 10,
        };
        assert!(!sampler(&recipe).asks_for_most_photographs(u64::MAX));
        recipe.augment.camera = None;
        let without = sampler(&recipe);
        without.take_photographs(|_, _| true);
        assert_eq!(taken(&without), 0);
    }
}
