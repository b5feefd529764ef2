//! Parts a data set into what trains and what validates, by seed, and takes out what shows nothing. Knows the recipe's
//! `[split]` and `[input]`: nothing of batches or networks.

use onelook_edge::vision::preprocess::{InputSpec, patch};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::{Dataset, Group, Skipped};
use crate::config::Split;
use crate::random::{Purpose, stream};

/// Splits data into what trains and what validates.
///
/// Groups are drawn by the seed; of a single group, classes are: `validation_groups` tenths of
/// them, at least one. The validation part holds classes that training never sees.
pub fn split(data: Dataset, spec: &Split, seed: u64) -> (Dataset, Dataset) {
    let mut rng = stream(seed, Purpose::Split, 0);
    let mut data = data;
    if data.groups.len() == 1 {
        // A flat folder: each class stands in for a group while the lot is drawn.
        let group = data.groups.remove(0);
        let count = group.classes.len();
        let validating = (count * spec.validation_groups).div_ceil(10);
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        let held_out = &order[..validating.clamp(1, count.max(2) - 1).min(count)];
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
            groups: vec![Group {
                name: group.name.clone(),
                classes,
            }],
            skipped: Vec::new(),
        };
        let (train, validation) = (part(train), part(validation));
        return by_drawer(train, validation, spec);
    }
    let mut names: Vec<String> = data.groups.iter().map(|g| g.name.clone()).collect();
    names.shuffle(&mut rng);
    let validating = spec.validation_groups.clamp(1, names.len().max(2) - 1);
    names.truncate(validating);
    let (train, validation) = data.split(&names);
    by_drawer(train, validation, spec)
}

fn by_drawer(mut train: Dataset, mut validation: Dataset, spec: &Split) -> (Dataset, Dataset) {
    let first = spec.train_drawers;
    let then = spec.validation_drawers;
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
