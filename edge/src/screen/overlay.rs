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

use crate::device::sight::{Sight, Tone};
use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;

// Each is bright enough to be "on" where a panel knows no colours.
fn color(tone: Tone) -> Rgb888 {
    match tone {
        Tone::Match => Rgb888::new(60, 220, 90),
        Tone::Unknown => Rgb888::new(255, 170, 40),
        Tone::Enrolled => Rgb888::new(90, 170, 255),
        Tone::Nothing => Rgb888::new(150, 150, 150),
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
    let color = color(sight.tone);
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
    let color = color(sight.tone);
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
    /// In colour.
    frame: Frame,
}

impl Canvas {
    /// A copy of `frame` in colour, with `sight` drawn over it.
    pub fn showing(frame: &Frame, sight: &Sight) -> Self {
        let mut canvas = Self {
            frame: frame.to_rgb().into_owned(),
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
        let mut fitted = Frame::default();
        let pixels = fitted.reshape(width, height, 3);
        pixels.fill(0);
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
        let mut canvas = Self { frame: fitted };
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
        self.frame.pixels()
    }

    /// The picture as it is now.
    pub fn into_frame(self) -> Frame {
        self.frame
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.frame.width() as u32, self.frame.height() as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        let (width, height) = (self.frame.width(), self.frame.height());
        let samples = self.frame.pixels_mut();
        for Pixel(Point { x, y }, color) in pixels {
            let inside = (0..width as i32).contains(&x) && (0..height as i32).contains(&y);
            if inside {
                let at = (y as usize * width + x as usize) * 3;
                samples[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
