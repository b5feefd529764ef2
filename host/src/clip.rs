//! Draws the clip that `onelook-edge demo` plays: invented signs on paper under uneven light, as a
//! camera held above them would send it. Knows glyphs and JPEG: nothing of models.

use image::codecs::jpeg::JpegEncoder;
use onelook_edge::clip::SHOWN;
use onelook_edge::picture::frame::Frame;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::{Affine, warp};
use crate::data::glyphs;

/// The signs: (group, class) of the built-in glyphs.
const SIGNS: [(usize, usize); 3] = [(0, 0), (1, 3), (2, 5)];
const WIDTH: usize = 320;
const HEIGHT: usize = 240;
/// JPEG quality, 1 to 100.
const QUALITY: u8 = 75;

/// The clip in motion JPEG, the same bytes for the same seed.
///
/// # Errors
/// What the JPEG encoder says.
pub fn draw(seed: u64) -> Result<Vec<u8>, image::ImageError> {
    let mut clip = Vec::new();
    let frames = SHOWN.iter().flat_map(|&(sign, frames)| vec![sign; frames]);
    for (number, sign) in frames.enumerate() {
        let frame = shot(seed, sign, number);
        JpegEncoder::new_with_quality(&mut clip, QUALITY).encode(
            frame.pixels(),
            WIDTH as u32,
            HEIGHT as u32,
            image::ExtendedColorType::L8,
        )?;
    }
    Ok(clip)
}

/// One frame: every one is another drawing, by another hand, at another place.
fn shot(seed: u64, sign: usize, number: usize) -> Frame {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number as u64);
    let (group, class) = SIGNS[sign];
    let glyph = glyphs::glyph(seed, group, class, 1 + number % 20);
    let turn = rng.random_range(-0.12f32..0.12);
    let lean = rng.random_range(-0.08f32..0.08);
    let tilted = Affine {
        matrix: [[turn.cos(), lean - turn.sin()], [turn.sin(), turn.cos()]],
        shift_px: [0.0, 0.0],
    };
    let glyph = warp(&glyph, &tilted);
    let scale = rng.random_range(1.3f32..1.7);
    let left = rng.random_range(20.0..WIDTH as f32 - 20.0 - 105.0 * scale);
    let top = rng.random_range(10.0..HEIGHT as f32 - 10.0 - 105.0 * scale);
    let (light_x, light_y) = (
        rng.random_range(-0.2f32..0.2),
        rng.random_range(-0.15f32..0.15),
    );
    let noise: Vec<f32> = (0..WIDTH * HEIGHT)
        .map(|_| (0..3).map(|_| rng.random_range(-4.0f32..4.0)).sum())
        .collect();
    Frame::from_fn(WIDTH, HEIGHT, |x, y| {
        let (gx, gy) = ((x as f32 - left) / scale, (y as f32 - top) / scale);
        let paper = sampled(&glyph, gx, gy) / 255.0;
        let (u, v) = (
            x as f32 / WIDTH as f32 - 0.5,
            y as f32 / HEIGHT as f32 - 0.5,
        );
        let light = 1.0 + light_x * u + light_y * v;
        let level = (50.0 + 155.0 * paper) * light + noise[y * WIDTH + x];
        level.clamp(0.0, 255.0) as u8
    })
}

/// The grey level of `frame` at a point between its pixels; paper beyond it.
fn sampled(frame: &Frame, x: f32, y: f32) -> f32 {
    let at = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < frame.width() as f32 && y < frame.height() as f32;
        if inside {
            f32::from(frame.pixels()[y as usize * frame.width() + x as usize])
        } else {
            255.0
        }
    };
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let upper = at(left, top) * (1.0 - fx) + at(left + 1.0, top) * fx;
    let lower = at(left, top + 1.0) * (1.0 - fx) + at(left + 1.0, top + 1.0) * fx;
    upper * (1.0 - fy) + lower * fy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_that_ships_is_the_one_drawn_here() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../edge/demo/clip.mjpeg");
        assert!(draw(1).unwrap() == std::fs::read(shipped).unwrap());
    }
}
