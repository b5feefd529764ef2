//! Draws what was decided: the box, the name, p as a bar with the threshold in it, the state and the
//! frame rate. Draws on any embedded-graphics target; knows nothing of cameras, files or models.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::imageops;
use image::{ImageBuffer, Rgb};

use crate::gallery::decide::Decision;
use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;

/// What is drawn over a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Where the mark is, in pixels of the picture.
    pub bounds: Option<Bounds>,
    /// What is said of it.
    pub label: String,
    /// In which colour.
    pub tone: Tone,
    /// p of the nearest class and the threshold, each 0 to 1.
    pub p: Option<(f32, f32)>,
    /// How things stand with the camera, or with what is being learned; empty where nothing is to be said.
    pub state: String,
    /// Frames decided in a second.
    pub fps: Option<f32>,
}

/// The colour of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Recognised: green.
    Match,
    /// Unknown: amber.
    Unknown,
    /// Just enrolled: blue.
    Enrolled,
    /// Nothing to see: grey.
    Nothing,
}

impl Tone {
    // Each is bright enough to be "on" where a panel knows no colours.
    fn color(self) -> Rgb888 {
        match self {
            Tone::Match => Rgb888::new(60, 220, 90),
            Tone::Unknown => Rgb888::new(255, 170, 40),
            Tone::Enrolled => Rgb888::new(90, 170, 255),
            Tone::Nothing => Rgb888::new(150, 150, 150),
        }
    }
}

impl Sight {
    /// Only words.
    pub fn saying(label: &str, tone: Tone) -> Self {
        Self {
            bounds: None,
            label: label.to_owned(),
            tone,
            p: None,
            state: String::new(),
            fps: None,
        }
    }

    /// How a decision at `threshold` is shown.
    pub fn of(decision: &Decision, bounds: Option<Bounds>, threshold: f32) -> Self {
        let (label, tone, p) = match decision {
            Decision::Match { name, p, .. } => (&**name, Tone::Match, Some(*p)),
            Decision::Unknown { best, .. } => {
                let p = best.as_ref().map(|(_, p)| *p);
                ("unknown", Tone::Unknown, p)
            }
        };
        Self {
            bounds,
            p: p.map(|p| (p, threshold)),
            ..Self::saying(label, tone)
        }
    }
}

/// Draws `sight` over the picture on `target`: the box where it is, state and frame rate on a strip along
/// the upper edge, name, p and bar on a band along the lower one. The rest is left as it is.
///
/// # Errors
/// What the target says.
pub fn draw<D>(target: &mut D, sight: &Sight) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let Size { width, height } = target.bounding_box().size;
    let color = sight.tone.color();
    if let Some(bounds) = sight.bounds {
        let corner = Point::new(bounds.x.floor() as i32 - 3, bounds.y.floor() as i32 - 3);
        let across = Size::new(
            bounds.width.ceil() as u32 + 6,
            bounds.height.ceil() as u32 + 6,
        );
        Rectangle::new(corner, across)
            .into_styled(PrimitiveStyle::with_stroke(color.into(), 2))
            .draw(target)?;
    }
    let font = small_font(height);
    if !sight.state.is_empty() || sight.fps.is_some() {
        let strip = Size::new(width, font.character_size.height + 4);
        fill(target, Rectangle::new(Point::zero(), strip), Rgb888::BLACK)?;
        draw_state(target, sight, font)?;
    }

    let bar_height = if sight.p.is_some() { 16 } else { 0 };
    let band_height = 24 + bar_height;
    let top = height.saturating_sub(band_height) as i32;
    fill(
        target,
        Rectangle::new(Point::new(0, top), Size::new(width, band_height)),
        Rgb888::BLACK,
    )?;
    let mut name_row = Rectangle::new(
        Point::new(4, top + 2),
        Size::new(width.saturating_sub(8), 20),
    );
    if let Some(p_and_threshold) = sight.p {
        let digits = digits(p_and_threshold.0);
        let row = top + 2 + (20 - font.character_size.height as i32) / 2;
        write_right(target, &digits, (width as i32 - 4, row), font, color)?;
        let taken = font.character_size.width * (digits.len() as u32 + 1);
        name_row.size.width = name_row.size.width.saturating_sub(taken);
        draw_bar(
            target,
            Rectangle::new(
                Point::new(4, top + 25),
                Size::new(width.saturating_sub(8), 11),
            ),
            p_and_threshold,
            color,
        )?;
    }
    draw_name(target, &sight.label, name_row, color)
}

/// Fills `target` with the words and the bar of `sight` alone, for panels that are too small for a
/// picture: made for 128x64 pixels, in colour or without.
///
/// # Errors
/// What the target says.
pub fn draw_words<D>(target: &mut D, sight: &Sight) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let Size { width, height } = target.bounding_box().size;
    let color = sight.tone.color();
    let font = &FONT_6X10;
    target.clear(Rgb888::BLACK.into())?;
    draw_state(target, sight, font)?;
    let name_row = Rectangle::new(Point::new(1, 12), Size::new(width.saturating_sub(2), 20));
    draw_name(target, &sight.label, name_row, color)?;
    let Some((p, threshold)) = sight.p else {
        return Ok(());
    };
    let bar = Rectangle::new(Point::new(0, 36), Size::new(width, 12));
    draw_bar(target, bar, (p, threshold), color)?;
    let row = height as i32 - 10;
    write_left(target, &format!("p {}", digits(p)), (1, row), font, color)?;
    let from = format!("from {}", digits(threshold));
    write_right(target, &from, (width as i32 - 1, row), font, Rgb888::WHITE)
}

/// State left and frame rate right, along the upper edge.
fn draw_state<D>(target: &mut D, sight: &Sight, font: &MonoFont<'_>) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let width = target.bounding_box().size.width;
    let fps = sight.fps.map_or(String::new(), |fps| match fps {
        ..10.0 => format!("{fps:.1} fps"),
        _ => format!("{fps:.0} fps"),
    });
    let taken = font.character_size.width * (fps.len() as u32 + 1);
    let state = cut(&sight.state, font, width.saturating_sub(taken));
    write_left(target, &state, (1, 1), font, Rgb888::WHITE)?;
    write_right(target, &fps, (width as i32 - 1, 1), font, Rgb888::WHITE)
}

/// The name in the largest font in which it fits the row, cut where it fits in none.
fn draw_name<D>(target: &mut D, name: &str, row: Rectangle, color: Rgb888) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let room = row.size.width;
    let fits =
        |font: &&MonoFont<'_>| name.chars().count() as u32 * font.character_size.width <= room;
    let font = [&FONT_10X20, &FONT_8X13]
        .into_iter()
        .find(fits)
        .unwrap_or(&FONT_6X10);
    let down = (row.size.height as i32 - font.character_size.height as i32) / 2;
    let at = (row.top_left.x, row.top_left.y + down);
    write_left(target, &cut(name, font, room), at, font, color)
}

/// p as a bar, full at 1, and a mark across it where the threshold is.
fn draw_bar<D>(
    target: &mut D,
    bar: Rectangle,
    (p, threshold): (f32, f32),
    color: Rgb888,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let Size { width, height } = bar.size;
    let along = |share: f32| (share.clamp(0.0, 1.0) * width as f32).round() as u32;
    // The mark stands out above and below, so the bar is a little lower than its place.
    let body = Rectangle::new(
        bar.top_left + Point::new(0, 2),
        Size::new(width, height - 4),
    );
    fill(
        target,
        Rectangle::new(body.top_left, Size::new(along(p), body.size.height)),
        color,
    )?;
    body.into_styled(PrimitiveStyle::with_stroke(color.into(), 1))
        .draw(target)?;
    // Black beside it, so that it shows on a full bar of one colour, too.
    let x = bar.top_left.x + (along(threshold) as i32).min(width as i32 - 2);
    let halo = Rectangle::new(Point::new(x - 1, bar.top_left.y), Size::new(4, height));
    fill(target, halo, Rgb888::BLACK)?;
    let mark = Rectangle::new(Point::new(x, bar.top_left.y), Size::new(2, height));
    fill(target, mark, Rgb888::WHITE)
}

fn fill<D>(target: &mut D, area: Rectangle, color: Rgb888) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    target.fill_solid(&area, color.into())
}

fn write_left<D>(
    target: &mut D,
    words: &str,
    (left, top): (i32, i32),
    font: &MonoFont<'_>,
    color: Rgb888,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let style = MonoTextStyle::new(font, color.into());
    Text::with_baseline(words, Point::new(left, top), style, Baseline::Top).draw(target)?;
    Ok(())
}

/// `right` is the first column that stays free.
fn write_right<D>(
    target: &mut D,
    words: &str,
    (right, top): (i32, i32),
    font: &MonoFont<'_>,
    color: Rgb888,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let style = MonoTextStyle::new(font, color.into());
    let place = TextStyleBuilder::new()
        .alignment(Alignment::Right)
        .baseline(Baseline::Top)
        .build();
    Text::with_text_style(words, Point::new(right - 1, top), style, place).draw(target)?;
    Ok(())
}

/// `words` on one line of `room` pixels; what is cut off leaves two dots.
fn cut(words: &str, font: &MonoFont<'_>, room: u32) -> String {
    let room = (room / font.character_size.width) as usize;
    // A line break would draw over the rows below.
    let line = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    if words.chars().count() <= room {
        return line.collect();
    }
    line.take(room.saturating_sub(2))
        .chain("..".chars())
        .take(room)
        .collect()
}

/// p for people; near 1 the decimals that tell are further back.
fn digits(p: f32) -> String {
    let decimals = if p < 0.99 { 3 } else { 5 };
    format!("{p:.decimals$}")
}

fn small_font(target_height: u32) -> &'static MonoFont<'static> {
    match target_height {
        0..200 => &FONT_6X10,
        200..400 => &FONT_8X13,
        _ => &FONT_10X20,
    }
}

/// A picture that can be drawn on.
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A copy of `frame` in colour, with `sight` drawn over it.
    pub fn showing(frame: &Frame, sight: &Sight) -> Self {
        let mut canvas = Self {
            width: frame.width(),
            height: frame.height(),
            pixels: frame.to_rgb().pixels().to_vec(),
        };
        let Ok(()) = draw(&mut canvas, sight);
        canvas
    }

    /// `frame` as large as it fits into `width` x `height` pixels, in its middle, black around it,
    /// with `sight` (in the frame's own pixels) drawn over it. Words keep their size: they are
    /// made for eyes, not for the frame.
    ///
    /// # Panics
    /// If a side is 0.
    pub fn fitted(frame: &Frame, sight: &Sight, (width, height): (usize, usize)) -> Self {
        assert!(width > 0 && height > 0, "a canvas has pixels");
        if (frame.width(), frame.height()) == (width, height) {
            return Self::showing(frame, sight);
        }
        let scale =
            (width as f32 / frame.width() as f32).min(height as f32 / frame.height() as f32);
        let scaled =
            |side: usize, most: usize| ((side as f32 * scale).round() as usize).clamp(1, most);
        let inner = (scaled(frame.width(), width), scaled(frame.height(), height));
        let (left, top) = ((width - inner.0) / 2, (height - inner.1) / 2);
        let mut pixels = vec![0; width * height * 3];
        // Means of what a pixel covers, not the nearest one: a pen stroke is few pixels wide.
        let rgb = frame.to_rgb();
        let view = ImageBuffer::<Rgb<u8>, &[u8]>::from_raw(
            frame.width() as u32,
            frame.height() as u32,
            rgb.pixels(),
        );
        if let Some(view) = view {
            let small = imageops::thumbnail(&view, inner.0 as u32, inner.1 as u32);
            for (y, row) in small.as_raw().chunks_exact(inner.0 * 3).enumerate() {
                let at = ((top + y) * width + left) * 3;
                pixels[at..at + row.len()].copy_from_slice(row);
            }
        }
        let mut canvas = Self {
            width,
            height,
            pixels,
        };
        let bounds = sight.bounds.map(|bounds| Bounds {
            x: bounds.x * scale + left as f32,
            y: bounds.y * scale + top as f32,
            width: bounds.width * scale,
            height: bounds.height * scale,
        });
        let sight = Sight {
            bounds,
            ..sight.clone()
        };
        let Ok(()) = draw(&mut canvas, &sight);
        canvas
    }

    /// RGB, row-major, three bytes a pixel.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The picture as it is now.
    pub fn into_frame(self) -> Frame {
        match Frame::new(self.width, self.height, 3, self.pixels) {
            Ok(frame) => frame,
            Err(_) => unreachable!("drawing does not change the size"),
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(Point { x, y }, color) in pixels {
            let inside =
                (0..self.width as i32).contains(&x) && (0..self.height as i32).contains(&y);
            if inside {
                let at = (y as usize * self.width + x as usize) * 3;
                self.pixels[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}
