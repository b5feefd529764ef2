use super::*;

/// An L: a bar of 3 x 12 at (10, 5) and a foot of 8 x 3 at (10, 17).
fn ell(x: usize, y: usize) -> bool {
    ((10..13).contains(&x) && (5..17).contains(&y))
        || ((10..18).contains(&x) && (17..20).contains(&y))
}

const ELL: Bounds = Bounds {
    x: 10.0,
    y: 5.0,
    width: 8.0,
    height: 15.0,
};

#[test]
fn dark_ink_on_light_paper_is_found_with_its_levels() {
    let frame = Frame::from_fn(40, 30, |x, y| if ell(x, y) { 20 } else { 220 });
    let mark = mark(&frame).unwrap();
    assert_eq!((mark.bounds, mark.paper.mean()), (ELL, 220.0));
    assert_eq!(mark.ink_to_paper, 20.0 / 220.0);
    // Half of the way from 220 to 20.
    assert!((mark.ink(120.0, 3.0, 4.0) - 0.5).abs() < 1e-6);
}

#[test]
fn light_ink_on_dark_paper_is_found_with_its_levels() {
    let frame = Frame::from_fn(40, 30, |x, y| if ell(x, y) { 200 } else { 30 });
    let mark = mark(&frame).unwrap();
    assert_eq!((mark.bounds, mark.paper.mean()), (ELL, 30.0));
    assert!((mark.ink_to_paper - 200.0 / 30.0).abs() < 1e-5);
}

#[test]
fn a_speck_does_not_stretch_the_box_and_a_dot_does() {
    let speck = |x, y| (x, y) == (60, 60);
    let dot = |x: usize, y: usize| (60..62).contains(&x) && (60..62).contains(&y);
    let bar = |x: usize, y: usize| (10..30).contains(&x) && (10..40).contains(&y);
    let with = |extra: &dyn Fn(usize, usize) -> bool| {
        let frame = Frame::from_fn(
            80,
            80,
            |x, y| {
                if bar(x, y) || extra(x, y) { 0 } else { 255 }
            },
        );
        mark(&frame).unwrap().bounds
    };
    // 600 px of ink: dirt is below 3 px.
    assert_eq!(with(&speck).width, 20.0);
    assert_eq!(with(&dot).width, 52.0);
}

#[test]
fn blank_paper_and_faint_paper_hold_no_mark() {
    assert_eq!(mark(&Frame::from_fn(20, 20, |_, _| 255)), None);
    let faint = Frame::from_fn(20, 20, |x, _| if x == 9 { 230 } else { 250 });
    assert_eq!(mark(&faint), None);
}

#[test]
fn a_picture_of_any_size_is_searched() {
    let mut memory = SearchMemory::default();
    for size in 1..200 {
        let (width, height) = (size % 14 + 1, size / 14 + 1);
        let noise =
            |x: usize, y: usize| (((x * 7919 + y * 104_729 + size * 31) * 2_654_435) >> 9) as u8;
        let frame = Frame::from_fn(width, height, noise);
        let first = mark(&frame);
        if let Some(Mark { bounds, .. }) = &first {
            assert!(bounds.x + bounds.width <= width as f32);
            assert!(bounds.y + bounds.height <= height as f32);
        }
        assert_eq!(first.as_ref(), mark_in(&frame, &mut memory));
    }
}

#[test]
fn a_large_picture_is_searched_in_its_own_coordinates() {
    let frame = Frame::from_fn(1280, 1280, |x, y| {
        if (400..600).contains(&x) && (200..900).contains(&y) {
            0
        } else {
            255
        }
    });
    let bounds = mark(&frame).unwrap().bounds;
    assert_eq!((bounds.x, bounds.y), (400.0, 200.0));
    assert_eq!((bounds.width, bounds.height), (200.0, 700.0));
}

/// The L three times as large, with its corner at (left, top).
fn large_ell(x: usize, y: usize, left: usize, top: usize) -> bool {
    x >= left && y >= top && ell((x - left) / 3 + 10, (y - top) / 3 + 5)
}

/// That L at (90, 50), on a card from (40, 20) to (260, 200), on a
/// darker desk: what is seen at a place, as a share of full light.
fn on_a_desk(ink: f32, card: f32, desk: f32, light: impl Fn(f32, f32) -> f32) -> Frame {
    Frame::from_fn(320, 240, |x, y| {
        let shade = if large_ell(x, y, 90, 50) {
            ink
        } else if (40..260).contains(&x) && (20..200).contains(&y) {
            card
        } else {
            desk
        };
        // The noise of a camera: without any it would be a drawing.
        let grain = ((x * 7 + y * 13) % 9) as f32;
        (255.0 * shade * light(x as f32, y as f32) + grain) as u8
    })
}

/// The box of the L there.
fn expected() -> Bounds {
    Bounds {
        x: 90.0,
        y: 50.0,
        width: 24.0,
        height: 45.0,
    }
}

fn is_it(mark: &Mark, expected: &Bounds) -> bool {
    mark.bounds.overlap(expected) > 0.85
}

fn found_at(frame: &Frame, expected: &Bounds) {
    let found = mark(frame).unwrap();
    assert!(is_it(&found, expected), "{:?}", found.bounds);
}

#[test]
fn a_mark_on_a_card_is_the_ink_and_not_the_card() {
    let even = |_: f32, _: f32| 1.0;
    found_at(&on_a_desk(0.1, 0.9, 0.4, even), &expected());
    // A dark card on a light desk, and a light one on a dark desk.
    found_at(&on_a_desk(0.9, 0.15, 0.6, even), &expected());
    found_at(&on_a_desk(0.1, 0.9, 0.05, even), &expected());
}

#[test]
fn uneven_light_and_a_shadow_across_the_mark_do_not_move_it() {
    let slanted = |x: f32, y: f32| 1.0 - 0.5 * x / 320.0 - 0.2 * y / 240.0;
    found_at(&on_a_desk(0.1, 0.9, 0.4, slanted), &expected());
    let shadow = |_: f32, y: f32| 1.0 - 0.5 * ((y - 60.0) / 20.0).clamp(0.0, 1.0);
    let frame = on_a_desk(0.1, 0.9, 0.4, shadow);
    found_at(&frame, &expected());
    // Paper and ink are told apart in the light and in the shadow alike.
    let mark = mark(&frame).unwrap();
    for (x, y, is_ink) in [(95, 55, 1.0), (105, 55, 0.0), (95, 85, 1.0), (125, 85, 0.0)] {
        let level = f32::from(frame.pixels()[y * 320 + x]);
        let ink = mark.ink(level, x as f32 + 0.5, y as f32 + 0.5);
        assert!((ink - is_ink).abs() < 0.15, "{ink} at {x}, {y}");
    }
}

#[test]
fn a_hard_and_deep_shadow_through_the_mark_does_not_cut_it() {
    // It leaves 0.45 of the light and begins within four pixels, across and along the L.
    let shade = |v: f32| 1.0 - 0.55 * (v / 4.0).clamp(0.0, 1.0);
    found_at(
        &on_a_desk(0.1, 0.9, 0.4, |_, y| shade(y - 70.0)),
        &expected(),
    );
    found_at(
        &on_a_desk(0.1, 0.9, 0.4, |x, y| shade(x + y - 170.0)),
        &expected(),
    );
}

#[test]
fn what_runs_out_of_the_picture_and_what_lies_on_the_desk_is_no_mark() {
    let mut frame = on_a_desk(0.1, 0.9, 0.4, |_, _| 1.0);
    let mut pixels = frame.pixels().to_vec();
    for y in 0..240 {
        for x in 0..320 {
            let pencil = (285..300).contains(&x) && (60..110).contains(&y);
            let cable = y < 12 && x > 150 || x < 6;
            if pencil || cable {
                pixels[y * 320 + x] = 30;
            }
        }
    }
    frame = Frame::new(320, 240, 1, pixels).unwrap();
    found_at(&frame, &expected());
}

#[test]
fn things_that_lie_together_on_the_desk_are_no_mark() {
    let shades = [0.05, 0.15, 0.4, 0.6, 0.8, 0.95];
    let (mut scenes, mut found) = (0, 0);
    for [card, ink, desk, thing] in
        (0..6usize.pow(4)).map(|i| [i, i / 6, i / 36, i / 216].map(|i| shades[i % 6]))
    {
        let apart = |a: f32, b: f32, least: f32| (a - b).abs() > least;
        if !(apart(card, ink, 0.24) && apart(card, desk, 0.14) && apart(thing, desk, 0.19)) {
            continue;
        }
        // Four squares beside a card with 14 pixels of margin.
        let things = [(30, 30, 22), (75, 45, 26), (45, 85, 24), (100, 90, 22)];
        let scene = Frame::from_fn(320, 240, |x, y| {
            let shade = if large_ell(x, y, 205, 135) {
                ink
            } else if (191..243).contains(&x) && (121..194).contains(&y) {
                card
            } else if things.iter().any(|&(left, top, side)| {
                (left..left + side).contains(&x) && (top..top + side).contains(&y)
            }) {
                thing
            } else {
                desk
            };
            (240.0 * shade) as u8 + ((x * 7 + y * 13) % 9) as u8
        });
        let expected = Bounds {
            x: 205.0,
            y: 135.0,
            ..expected()
        };
        scenes += 1;
        found += usize::from(mark(&scene).is_some_and(|mark| is_it(&mark, &expected)));
    }
    assert!(10 * found >= 9 * scenes, "{found} of {scenes}");
}

#[test]
fn a_bold_ring_is_the_mark_and_what_shines_through_it_is_not() {
    let ring = |x: usize, y: usize| {
        let (dx, dy) = (x.abs_diff(155), y.abs_diff(115));
        dx.max(dy) <= 35 && dx.max(dy) > 21
    };
    let even = Frame::from_fn(320, 240, |x, y| if ring(x, y) { 20 } else { 220 });
    let shaded = Frame::from_fn(320, 240, |x, y| {
        let shade = if ring(x, y) { 0.1 } else { 0.9 };
        (255.0 * shade * (1.0 - x as f32 / 640.0)) as u8
    });
    let expected = Bounds {
        x: 120.0,
        y: 80.0,
        width: 71.0,
        height: 71.0,
    };
    found_at(&even, &expected);
    found_at(&shaded, &expected);
}

#[test]
fn the_corner_of_a_desk_is_no_ink() {
    let frame = Frame::from_fn(320, 240, |x, y| {
        let corner = x + y < 15;
        let stroke = large_ell(x, y, 90, 50);
        // The grain of paper, so that no one takes it for a drawing.
        let grain = ((x * 7 + y * 13) % 23) as u8;
        if corner || stroke {
            20 + grain
        } else {
            210 + grain
        }
    });
    found_at(&frame, &expected());
}
