use super::scene::{FOCAL_PX, LARGEST_PX, inverted, multiplied, projection};
use super::*;
use crate::augment::turned;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// An L of 5 px strokes, 60 high and 40 wide, in a picture of 105.
fn ell() -> Frame {
    Frame::from_fn(105, 105, |x, y| {
        let bar = (30..35).contains(&x) && (20..80).contains(&y);
        let foot = (30..70).contains(&x) && (75..80).contains(&y);
        if bar || foot { 0 } else { 255 }
    })
}

fn shot(conditions: &Conditions) -> Shot {
    photograph(&ell(), conditions, &mut ChaCha8Rng::seed_from_u64(7)).unwrap()
}

#[test]
fn an_undisturbed_mark_is_upright_in_the_middle_at_its_size() {
    let Shot { frame, bounds } = shot(&Conditions::IDEAL);
    assert_eq!((frame.width(), frame.height()), (WIDTH, HEIGHT));
    // 60 px of drawing are 250 px.
    let scale = LARGEST_PX / 60.0;
    assert!((bounds.height - 60.0 * scale).abs() < 0.1, "{bounds:?}");
    assert!((bounds.width - 40.0 * scale).abs() < 0.1, "{bounds:?}");
    assert!((bounds.x + bounds.width / 2.0 - 320.0).abs() < scale);
    let found = locate::mark(&frame).unwrap().bounds;
    assert!(found.overlap(&bounds) > 0.95, "{found:?} {bounds:?}");
    // The foot of the L is at the lower right, the corner opposite to it is paper.
    let at = |x: f32, y: f32| frame.pixels()[(y as usize * WIDTH + x as usize) * 3];
    let (right, bottom) = (bounds.x + bounds.width, bounds.y + bounds.height);
    assert!(at(right - 2.0 * scale, bottom - 2.0 * scale) < 80);
    assert!(at(right - 2.0 * scale, bounds.y + 2.0 * scale) > 180);
}

#[test]
fn a_tilted_square_has_the_corners_of_a_pinhole_camera() {
    // A unit square, 100 px long, tilted by 30 degrees about the vertical axis: its right edge
    // is nearer or farther by sin 30 / 2 = 0.25 of a distance of 5.54.
    let tilted = projection(0.0, 30f32.to_radians(), std::f32::consts::FRAC_PI_2, 100.0);
    let corner = |u: f32, v: f32| {
        let at = |row: &[f32; 3]| row[0] * u + row[1] * v + row[2];
        [
            at(&tilted[0]) / at(&tilted[2]),
            at(&tilted[1]) / at(&tilted[2]),
        ]
    };
    let (x, depth) = (0.5 * 30f32.to_radians().cos(), 0.25);
    for side in [-1.0f32, 1.0] {
        let [px, py] = corner(side * 0.5, 0.5);
        let near = 5.54 - side * depth;
        let expected = [side * x * FOCAL_PX / near, 0.5 * FOCAL_PX / near];
        assert!((px - expected[0]).abs() < 1e-3, "{px} {expected:?}");
        assert!((py - expected[1]).abs() < 1e-3, "{py} {expected:?}");
    }
}

#[test]
fn the_inverse_of_a_projection_brings_every_place_back() {
    let ahead = projection(0.3, 0.5, 1.1, 180.0);
    let back = multiplied(inverted(ahead), ahead);
    for (i, row) in back.iter().enumerate() {
        for (j, v) in row.iter().enumerate() {
            let expected = back[0][0] * f32::from(u8::from(i == j));
            assert!((v - expected).abs() < 1e-3 * back[0][0].abs(), "{back:?}");
        }
    }
}

#[test]
fn blur_spreads_a_point_and_keeps_its_light() {
    let mut plane = vec![0.0; WIDTH * HEIGHT];
    plane[200 * WIDTH + 300] = 81.0;
    // Radius 2 is a box of 3 twice: 1 2 3 2 1 / 9 in each direction.
    defocused(&mut plane, 2.0);
    let row: Vec<f32> = (297..=303).map(|x| plane[200 * WIDTH + x]).collect();
    for (found, by_hand) in row.iter().zip([0.0, 3.0, 6.0, 9.0, 6.0, 3.0, 0.0]) {
        assert!((found - by_hand).abs() < 1e-3, "{row:?}");
    }
    let mut line = vec![0.0; WIDTH * HEIGHT];
    line[200 * WIDTH + 300] = 5.0;
    let streak = moved(&line, 4.0, 0.0);
    let row: Vec<f32> = (297..=303).map(|x| streak[200 * WIDTH + x]).collect();
    for (found, by_hand) in row.iter().zip([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]) {
        assert!((found - by_hand).abs() < 1e-5, "{row:?}");
    }
}

#[test]
fn noise_has_mean_0_and_deviation_1() {
    let mut state = 3;
    let draws: Vec<f64> = (0..40_000).map(|_| f64::from(normal(&mut state))).collect();
    let mean = draws.iter().sum::<f64>() / 40_000.0;
    let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 40_000.0;
    // Five standard errors: 5 / 200, and 5 x sqrt(2) / 200.
    assert!(mean.abs() < 0.025, "{mean}");
    assert!((variance - 1.0).abs() < 0.036, "{variance}");
}

#[test]
fn every_disturbance_changes_the_picture_and_the_seed_decides_how() {
    let ideal = shot(&Conditions::IDEAL).frame;
    for disturbance in Disturbance::ALL {
        let conditions = Conditions::alone(disturbance, 1.0);
        let (one, two) = (shot(&conditions).frame, shot(&conditions).frame);
        assert_eq!(one, two, "{disturbance:?}");
        assert_ne!(one, ideal, "{disturbance:?}");
    }
}

#[test]
fn photographs_do_not_depend_on_how_many_there_are() {
    let (a, b) = (ell(), turned(&ell(), 1));
    let pixels = |shot: Shot| Some(shot.frame.pixels().to_vec());
    let session = Session::Everything(0.5);
    let both = photographs(&[&a, &b, &a], session, 5, 1, pixels);
    let first = photographs(&[&a], session, 5, 1, pixels);
    assert_eq!(both[0], first[0]);
    assert_ne!(both[0], both[2]);
    let blank = Frame::from_fn(9, 9, |_, _| 255);
    assert_eq!(photographs(&[&blank], session, 5, 3, pixels), [None]);
}

#[test]
fn what_is_made_nothing_of_is_photographed_again_as_often_as_asked_for() {
    let drawing = ell();
    let session = Session::Everything(0.5);
    let taken = std::sync::Mutex::new(Vec::new());
    let third = |looks| {
        taken.lock().unwrap().clear();
        let answer = photographs(&[&drawing], session, 5, looks, |shot| {
            let mut taken = taken.lock().unwrap();
            taken.push(shot.frame.pixels().to_vec());
            (taken.len() == 3).then_some(3)
        });
        (answer, taken.lock().unwrap().clone())
    };
    let (answer, two) = third(2);
    assert_eq!((answer, two.len()), (vec![None], 2));
    let (answer, three) = third(9);
    assert_eq!((answer, three.len()), (vec![Some(3)], 3));
    assert_eq!(three[..2], two);
    assert!(three[0] != three[1] && three[1] != three[2]);
}
