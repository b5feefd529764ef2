//! Seeded one-shot trials and pairs to verify, drawn from a data set. Knows which pictures: nothing of scores or models.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::config::Validation;
use crate::data::Dataset;
use crate::random::{Purpose, stream};

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
