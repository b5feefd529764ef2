use super::hand::ink;
use super::lines::*;
use super::*;

fn small(seed: u64) -> GlyphsSpec {
    GlyphsSpec {
        groups: 3,
        classes_per_group: 10,
        drawers: 4,
        seed,
    }
}

fn frames(data: &Dataset) -> Vec<&Frame> {
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    classes
        .flat_map(|class| &class.pictures)
        .map(|picture| &picture.frame)
        .collect()
}

#[test]
fn the_same_spec_draws_the_same_bytes_and_another_seed_others() {
    let (first, again, other) = (draw(&small(5)), draw(&small(5)), draw(&small(6)));
    assert_eq!(first, again);
    for (a, b) in frames(&first).into_iter().zip(frames(&other)) {
        assert_ne!(a, b);
    }
}

#[test]
fn a_drawing_does_not_depend_on_how_many_others_there_are() {
    let (few, many) = (
        draw(&GlyphsSpec {
            groups: 2,
            classes_per_group: 3,
            drawers: 2,
            seed: 9,
        }),
        draw(&small(9)),
    );
    for (group, more) in few.groups.iter().zip(&many.groups) {
        for (class, more) in group.classes.iter().zip(&more.classes) {
            assert_eq!(class.pictures[..], more.pictures[..2]);
        }
    }
    assert_eq!(
        glyph(9, 1, 2, 2),
        few.groups[1].classes[2].pictures[1].frame
    );
}

#[test]
fn groups_classes_and_drawers_are_named_from_1_and_sorted() {
    let data = draw(&GlyphsSpec {
        groups: 101,
        classes_per_group: 2,
        drawers: 3,
        seed: 1,
    });
    assert_eq!(
        (data.groups.len(), data.classes(), data.pictures()),
        (101, 202, 606)
    );
    assert_eq!(data.groups[0].name, "glyphs-01");
    assert!(data.groups.is_sorted_by(|a, b| a.name < b.name));
    let class = &data.groups[0].classes[1];
    assert_eq!(class.name, "glyph-002");
    let drawers: Vec<Option<u32>> = class
        .pictures
        .iter()
        .map(|picture| picture.drawer)
        .collect();
    assert_eq!(drawers, [Some(1), Some(2), Some(3)]);
    assert_eq!(class.pictures[2].source, "glyphs-01/glyph-002/0002_03.png");
}

#[test]
fn nothing_to_draw_is_no_group() {
    for (groups, classes_per_group, drawers) in [(0, 2, 2), (2, 0, 2), (2, 2, 0)] {
        assert_eq!(
            draw(&GlyphsSpec {
                groups,
                classes_per_group,
                drawers,
                seed: 1
            })
            .groups,
            []
        );
    }
}

#[test]
fn every_drawing_is_1_to_20_percent_ink_inside_a_white_border_of_2_pixels() {
    for seed in [1, 2, 3] {
        for frame in frames(&draw(&small(seed))) {
            assert_eq!(
                (frame.width(), frame.height(), frame.channels()),
                (105, 105, 1)
            );
            let dark = |&(_, &sample): &(usize, &u8)| sample < 128;
            let ink = frame.pixels().iter().enumerate().filter(dark).count();
            assert!((110..=2205).contains(&ink), "{ink} of 11025 pixels");
            assert!(frame.pixels().contains(&0));
            for (index, &sample) in frame.pixels().iter().enumerate() {
                let (x, y) = (index % 105, index / 105);
                let border = !(2..103).contains(&x) || !(2..103).contains(&y);
                assert!(!border || sample == 255, "ink at {x}, {y}");
            }
        }
    }
}

/// Darkness in 12 x 12 cells of the box around the ink.
fn cells(frame: &Frame) -> Vec<f32> {
    let dark: Vec<(usize, usize)> = (0..105 * 105)
        .filter(|&index| frame.pixels()[index] < 128)
        .map(|index| (index % 105, index / 105))
        .collect();
    let left = dark.iter().map(|&(x, _)| x).min().unwrap();
    let top = dark.iter().map(|&(_, y)| y).min().unwrap();
    let side = dark
        .iter()
        .map(|&(x, y)| (x - left).max(y - top))
        .max()
        .unwrap()
        + 1;
    let mut cells = vec![0.0; 144];
    for (x, y) in &dark {
        cells[(y - top) * 12 / side * 12 + (x - left) * 12 / side] += 1.0 / dark.len() as f32;
    }
    cells
}

#[test]
fn characters_are_told_apart_across_drawers_by_plain_pixels_in_over_half_where_chance_is_1_of_20() {
    let data = draw(&GlyphsSpec {
        groups: 6,
        classes_per_group: 20,
        drawers: 4,
        seed: 1,
    });
    let (mut right, mut asked) = (0, 0);
    for group in &data.groups {
        for (first, second) in [(0, 1), (2, 3)] {
            let known: Vec<Vec<f32>> = group
                .classes
                .iter()
                .map(|class| cells(&class.pictures[first].frame))
                .collect();
            for (class, drawn) in group.classes.iter().enumerate() {
                let probe = cells(&drawn.pictures[second].frame);
                let away = |known: &Vec<f32>| {
                    known
                        .iter()
                        .zip(&probe)
                        .map(|(a, b)| (a - b).abs())
                        .sum::<f32>()
                };
                let best =
                    (0..known.len()).min_by(|&a, &b| away(&known[a]).total_cmp(&away(&known[b])));
                asked += 1;
                right += usize::from(best == Some(class));
            }
        }
    }
    assert_eq!(asked, 240);
    assert!(right > 120, "{right} of {asked}");
}

#[test]
fn a_crowded_alphabet_still_comes_to_an_end() {
    let data = draw(&GlyphsSpec {
        groups: 1,
        classes_per_group: 150,
        drawers: 1,
        seed: 1,
    });
    assert_eq!(data.classes(), 150);
}

#[test]
fn ink_covers_what_is_within_the_radius() {
    // From (10, 20) to (30, 20) with radius 2: rows 18 to 21 are within 1.5, rows 17 and 22 are 2.5 away.
    let frame = ink(&[vec![[10.0, 20.0], [30.0, 20.0]]], 2.0);
    let sample = |x: usize, y: usize| frame.pixels()[y * 105 + x];
    assert_eq!(
        [16, 17, 18, 19, 20, 21, 22].map(|y| sample(15, y)),
        [255, 255, 0, 0, 0, 0, 255]
    );
    // Left of the end: pixel 8 is 1.58 from it, so 0.92 of it is covered; pixel 7 is 2.55 from it.
    assert_eq!(
        (sample(8, 20), sample(7, 20), sample(35, 20)),
        (21, 255, 255)
    );
    // With radius 1.25, row 18 is a quarter covered: 0.75 x 255 = 191.25.
    let thin = ink(&[vec![[10.0, 20.0], [30.0, 20.0]]], 1.25);
    assert_eq!(thin.pixels()[18 * 105 + 15], 191);
}

#[test]
fn a_spline_passes_through_its_nodes_and_its_steps_are_short() {
    let nodes = [[0.0, 0.0], [0.4, 0.1], [0.2, 0.5]];
    let stroke = spline(&nodes);
    for node in &nodes {
        assert!(nearest(node, &stroke) < STEP, "{node:?}");
    }
    assert!(
        stroke
            .windows(2)
            .all(|pair| distance(pair[0], pair[1]) < 2.0 * STEP)
    );
}
