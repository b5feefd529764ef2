use super::*;
use embedded_graphics::mock_display::MockDisplay;
use embedded_graphics::pixelcolor::BinaryColor;

const GREEN: [u8; 3] = [60, 220, 90];

fn at(frame: &Frame, x: usize, y: usize) -> [u8; 3] {
    let at = (y * frame.width() + x) * 3;
    [0, 1, 2].map(|c| frame.pixels()[at + c])
}

/// A sheet with an L on it: a stroke down, a shorter one to the right.
fn scene() -> Frame {
    Frame::from_fn(640, 480, |x, y| {
        let down = (300..316).contains(&x) && (120..280).contains(&y);
        let right = (300..380).contains(&x) && (264..280).contains(&y);
        if down || right { 30 } else { 210 }
    })
}

fn on_the_l(label: &str, tone: Tone, p: Option<(f32, f32)>) -> Sight {
    let bounds = Bounds {
        x: 300.0,
        y: 120.0,
        width: 80.0,
        height: 160.0,
    };
    Sight {
        bounds: Some(bounds),
        p,
        fps: Some(24.6),
        ..Sight::saying(label, tone)
    }
}

/// Compares with the picture of that name in `tests/fixtures/overlay`. After a change that was meant, look at
/// the picture that the failure names and copy it there.
fn is_as_the_picture(drawn: &Frame, name: &str) {
    let file = format!("../tests/fixtures/overlay/{name}.png");
    let kept = Frame::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&file));
    if kept.is_ok_and(|kept| *kept.to_rgb() == *drawn.to_rgb()) {
        return;
    }
    let now = std::env::temp_dir().join(format!("onelook-overlay-{name}.png"));
    std::fs::write(&now, drawn.to_png().unwrap()).unwrap();
    panic!("{file} is another picture than what is drawn now: {now:?}");
}

/// A 128x64 panel that knows no colours, lit pixels white.
fn on_a_panel(sight: &Sight) -> Frame {
    struct Panel([bool; 128 * 64]);
    impl OriginDimensions for Panel {
        fn size(&self) -> Size {
            Size::new(128, 64)
        }
    }
    impl DrawTarget for Panel {
        type Color = BinaryColor;
        type Error = Infallible;
        fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
            &mut self,
            pixels: I,
        ) -> Result<(), Infallible> {
            for Pixel(Point { x, y }, color) in pixels {
                if (0..128).contains(&x) && (0..64).contains(&y) {
                    self.0[(y * 128 + x) as usize] = color.is_on();
                }
            }
            Ok(())
        }
    }
    let mut panel = Panel([true; 128 * 64]);
    let Ok(()) = draw_words(&mut panel, sight);
    Frame::from_fn(128, 64, |x, y| if panel.0[y * 128 + x] { 255 } else { 0 })
}

#[test]
fn a_monochrome_panel_of_128x64_shows_words_and_the_bar() {
    let sight = on_the_l("cup", Tone::Match, Some((0.97, 0.906)));
    is_as_the_picture(&on_a_panel(&sight), "128x64-match");
    let sight = Sight {
        state: "camera lost, again in 4 s".to_owned(),
        ..on_the_l(
            "a name that fits in no font",
            Tone::Unknown,
            Some((0.2, 0.906)),
        )
    };
    is_as_the_picture(&on_a_panel(&sight), "128x64-unknown");
}

#[test]
fn a_square_of_240_shows_the_picture_between_the_words() {
    let sight = Sight {
        state: "live".to_owned(),
        ..on_the_l("cup", Tone::Match, Some((0.992_787, 0.906)))
    };
    let canvas = Canvas::fitted(&scene(), &sight, (240, 240));
    is_as_the_picture(&canvas.into_frame(), "240x240-match");
    let sight = Sight {
        state: "hold still: blurred".to_owned(),
        bounds: None,
        ..on_the_l("nothing shown", Tone::Nothing, None)
    };
    let canvas = Canvas::fitted(&scene(), &sight, (240, 240));
    is_as_the_picture(&canvas.into_frame(), "240x240-nothing");
}

#[test]
fn a_picture_of_640x480_keeps_its_pixels_between_the_words() {
    let sight = Sight {
        state: "live".to_owned(),
        ..on_the_l("unknown", Tone::Unknown, Some((0.5, 0.906)))
    };
    let drawn = Canvas::showing(&scene(), &sight).into_frame();
    // Paper and ink as they were, in the box.
    assert_eq!(at(&drawn, 350, 200), [210; 3]);
    assert_eq!(at(&drawn, 308, 200), [30; 3]);
    is_as_the_picture(&drawn, "640x480-unknown");
}

#[test]
fn the_bar_is_as_long_as_p_and_the_mark_stands_at_the_threshold() {
    let sight = on_the_l("cup", Tone::Match, Some((0.75, 0.5)));
    let drawn = Canvas::showing(&Frame::from_fn(208, 120, |_, _| 200), &sight).into_frame();
    // Band 80..120; bar from 4, 200 wide, rows 105..116: full up to 154, mark at 104 and 105.
    assert_eq!(at(&drawn, 20, 110), GREEN);
    assert_eq!(at(&drawn, 152, 110), GREEN);
    assert_eq!(at(&drawn, 156, 110), [0; 3]);
    for y in [105, 110, 115] {
        let across = [102, 103, 104, 105, 106, 107].map(|x| at(&drawn, x, y)[0]);
        let beside = if y == 110 { 60 } else { 0 };
        assert_eq!(across, [beside, 0, 255, 255, 0, beside], "row {y}");
    }
}

#[test]
fn a_fitted_picture_is_centred_and_its_box_moves_with_it() {
    // 40x10 into 160x160: four times as large, from row 60 to row 100.
    let frame = Frame::from_fn(40, 10, |_, _| 200);
    let bounds = Bounds {
        x: 10.0,
        y: 2.0,
        width: 5.0,
        height: 3.0,
    };
    let sight = Sight {
        bounds: Some(bounds),
        ..Sight::saying("", Tone::Match)
    };
    let drawn = Canvas::fitted(&frame, &sight, (160, 160)).into_frame();
    assert_eq!(at(&drawn, 80, 59), [0; 3]);
    assert_eq!(at(&drawn, 80, 60), [200; 3]);
    assert_eq!(at(&drawn, 80, 99), [200; 3]);
    assert_eq!(at(&drawn, 80, 100), [0; 3]);
    // The bounds are 40..60 and 68..80 now; the stroke runs three pixels outside.
    assert_eq!(at(&drawn, 37, 70), GREEN);
    assert_eq!(at(&drawn, 45, 65), GREEN);
    assert_eq!(at(&drawn, 50, 74), [200; 3]);
}

#[test]
fn what_lies_outside_of_the_picture_is_cut_off() {
    let bounds = Bounds {
        x: -50.0,
        y: -20.0,
        width: 3000.0,
        height: 1000.0,
    };
    let sight = Sight {
        bounds: Some(bounds),
        state: "words\nand words ".repeat(30),
        ..Sight::saying(&"a long name ".repeat(30), Tone::Nothing)
    };
    for (width, height) in [(240, 150), (1, 1), (3, 200), (200, 3)] {
        let frame = Frame::from_fn(width, height, |_, _| 200);
        let drawn = Canvas::showing(&frame, &sight).into_frame();
        assert_eq!((drawn.width(), drawn.height()), (width, height));
    }
}

#[test]
fn any_target_of_embedded_graphics_will_do() {
    let mut display = MockDisplay::<Rgb888>::new();
    display.set_allow_overdraw(true);
    display.set_allow_out_of_bounds_drawing(true);
    draw_words(&mut display, &Sight::saying("l", Tone::Match)).unwrap();
    draw(&mut display, &Sight::saying("l", Tone::Match)).unwrap();
    let lit = display.affected_area();
    assert!(!lit.is_zero_sized());
}

#[test]
fn three_quarters_of_p_and_a_threshold_at_the_half() {
    let mut display = MockDisplay::<BinaryColor>::new();
    display.set_allow_overdraw(true);
    let bar = Rectangle::new(Point::zero(), Size::new(20, 11));
    let Ok(()) = draw_bar(&mut display, bar, (0.75, 0.5), color(Tone::Match));
    display.assert_pattern(&[
        "         .##.       ",
        "         .##.       ",
        "#########.##.#######",
        "#########.##.##    #",
        "#########.##.##    #",
        "#########.##.##    #",
        "#########.##.##    #",
        "#########.##.##    #",
        "#########.##.#######",
        "         .##.       ",
        "         .##.       ",
    ]);
}

/// Every fourth pixel in both directions: `#` lit, `.` black, a blank where nothing was drawn.
fn in_small(display: &MockDisplay<BinaryColor>) -> Vec<String> {
    let sign = |x, y| match display.get_pixel(Point::new(x, y)) {
        Some(BinaryColor::On) => '#',
        Some(BinaryColor::Off) => '.',
        None => ' ',
    };
    let row = |y| (0..64).step_by(4).map(|x| sign(x, y)).collect();
    (0..64).step_by(4).map(row).collect()
}

#[test]
fn the_box_stands_in_the_picture_and_the_band_below_it() {
    let mut display = MockDisplay::<BinaryColor>::new();
    display.set_allow_overdraw(true);
    display.set_allow_out_of_bounds_drawing(true);
    // Its stroke of two pixels lies on 15 and 16 at the left, on 7 and 8 at the top.
    let bounds = Bounds {
        x: 19.0,
        y: 11.0,
        width: 26.0,
        height: 10.0,
    };
    let sight = Sight {
        bounds: Some(bounds),
        ..Sight::saying("", Tone::Match)
    };
    let Ok(()) = draw(&mut display, &sight);
    let blank = " ".repeat(16);
    let mut expected = vec![blank.clone(); 10];
    expected[2] = "    #########   ".to_owned();
    for row in &mut expected[3..6] {
        *row = "    #       #   ".to_owned();
    }
    expected[6] = "    #########   ".to_owned();
    // 24 pixels without a bar.
    expected.extend(vec![".".repeat(16); 6]);
    assert_eq!(in_small(&display), expected);
}
