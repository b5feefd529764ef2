use std::path::Path;

use super::*;
use crate::config::CameraShare;
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
        let there = |picture: &&TrainingPicture| picture.is_photographed();
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
