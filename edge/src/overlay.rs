//! Draws what was decided over a picture: the box, the name, p as a bar with the threshold in it.
//! Draws on any embedded-graphics target; knows nothing of cameras, files or models.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};

use crate::decide::Decision;
use crate::frame::Frame;
use crate::locate::Bounds;

/// What is drawn over a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Where the mark is, in pixels of the target.
    pub bounds: Option<Bounds>,
    /// What is said of it.
    pub label: String,
    /// In which colour.
    pub tone: Tone,
    /// p of the nearest class and the threshold, each 0 to 1.
    pub p: Option<(f32, f32)>,
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
    /// How a decision at `threshold` is shown.
    pub fn of(decision: &Decision, bounds: Option<Bounds>, threshold: f32) -> Self {
        let (label, tone, p) = match decision {
            Decision::Match { name, p, .. } => (name.clone(), Tone::Match, Some(*p)),
            Decision::Unknown { best, .. } => {
                let p = best.as_ref().map(|(_, p)| *p);
                ("unknown".to_owned(), Tone::Unknown, p)
            }
        };
        Self {
            bounds,
            label,
            tone,
            p: p.map(|p| (p, threshold)),
        }
    }
}

/// Draws `sight` on `target`: the box where it is, name and bar on a band along the lower edge.
///
/// # Errors
/// What the target says.
pub fn draw<D>(target: &mut D, sight: &Sight) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let size = target.bounding_box().size;
    let color = D::Color::from(sight.tone.color());
    if let Some(bounds) = sight.bounds {
        let corner = Point::new(bounds.x.floor() as i32 - 3, bounds.y.floor() as i32 - 3);
        let across = Size::new(
            bounds.width.ceil() as u32 + 6,
            bounds.height.ceil() as u32 + 6,
        );
        Rectangle::new(corner, across)
            .into_styled(PrimitiveStyle::with_stroke(color, 2))
            .draw(target)?;
    }

    let font = font(size.height);
    let band_height = font.character_size.height + 6;
    let top = size.height.saturating_sub(band_height) as i32;
    let black = D::Color::from(Rgb888::BLACK);
    Rectangle::new(Point::new(0, top), Size::new(size.width, band_height))
        .into_styled(PrimitiveStyle::with_fill(black))
        .draw(target)?;

    // The bar has the right third; the name has what is left, and is cut where it is longer.
    let bar_width = size.width / 3;
    let room = (size.width - bar_width).saturating_sub(12) / font.character_size.width.max(1);
    let label: String = sight.label.chars().take(room as usize).collect();
    let style = MonoTextStyle::new(font, color);
    Text::with_baseline(&label, Point::new(4, top + 3), style, Baseline::Top).draw(target)?;
    let Some((p, threshold)) = sight.p else {
        return Ok(());
    };
    let bar = Rectangle::new(
        Point::new((size.width - bar_width) as i32 - 4, top + 4),
        Size::new(bar_width, band_height - 8),
    );
    let along = |share: f32| (share.clamp(0.0, 1.0) * bar_width as f32).round() as u32;
    Rectangle::new(bar.top_left, Size::new(along(p), bar.size.height))
        .into_styled(PrimitiveStyle::with_fill(color))
        .draw(target)?;
    bar.into_styled(PrimitiveStyle::with_stroke(color, 1))
        .draw(target)?;
    let tick = Point::new(bar.top_left.x + along(threshold) as i32, top + 1);
    let white = D::Color::from(Rgb888::WHITE);
    Rectangle::new(tick, Size::new(2, band_height - 2))
        .into_styled(PrimitiveStyle::with_fill(white))
        .draw(target)
}

fn font(target_height: u32) -> &'static MonoFont<'static> {
    match target_height {
        0..120 => &FONT_6X10,
        120..400 => &FONT_8X13,
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
    /// A copy of `frame` in colour.
    pub fn over(frame: &Frame) -> Self {
        Self {
            width: frame.width(),
            height: frame.height(),
            pixels: frame.to_rgb().pixels().to_vec(),
        }
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

    fn drawn(sight: &Sight) -> Frame {
        let mut canvas = Canvas::over(&Frame::from_fn(240, 100, |_, _| 200));
        let Ok(()) = draw(&mut canvas, sight);
        canvas.into_frame()
    }

    fn at(frame: &Frame, x: usize, y: usize) -> [u8; 3] {
        let at = (y * frame.width() + x) * 3;
        [0, 1, 2].map(|c| frame.pixels()[at + c])
    }

    const GREEN: [u8; 3] = [60, 220, 90];

    #[test]
    fn a_match_has_a_box_a_name_and_a_bar_as_long_as_p() {
        let decision = Decision::Match {
            name: "cup".to_owned(),
            p: 0.75,
            runner_up: None,
        };
        let bounds = Bounds {
            x: 50.0,
            y: 20.0,
            width: 30.0,
            height: 10.0,
        };
        let frame = drawn(&Sight::of(&decision, Some(bounds), 0.5));
        // The stroke is centred on an edge three pixels outside of the bounds.
        assert_eq!(at(&frame, 47, 20), GREEN);
        assert_eq!(at(&frame, 55, 25), [200; 3]);
        // Band 84..100; bar from 156, 80 wide: full up to 216, threshold at 196.
        assert_eq!(at(&frame, 160, 92), GREEN);
        assert_eq!(at(&frame, 214, 92), GREEN);
        assert_eq!(at(&frame, 220, 92), [0; 3]);
        assert_eq!(at(&frame, 196, 92), [255; 3]);
        let name = (4..22).flat_map(|x| (87..97).map(move |y| (x, y)));
        assert!(
            name.clone()
                .filter(|&(x, y)| at(&frame, x, y) == GREEN)
                .count()
                > 20
        );
    }

    #[test]
    fn what_lies_outside_of_the_picture_is_cut_off() {
        let bounds = Bounds {
            x: -50.0,
            y: -20.0,
            width: 3000.0,
            height: 1000.0,
        };
        let frame = drawn(&Sight {
            bounds: Some(bounds),
            label: "a name that is much longer than the picture is wide".repeat(3),
            tone: Tone::Nothing,
            p: None,
        });
        assert_eq!((frame.width(), frame.height()), (240, 100));
        assert_eq!(at(&frame, 236, 92), [0; 3]);
    }
}
