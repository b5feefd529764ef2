//! A drawn mark as a cheap camera at 640x480 would see it, seeded: pen on a card or a sheet, on a
//! desk with things around, under uneven light, tilted, out of focus, moving, noisy, compressed.
//! Trains models and measures them. Knows frames and random numbers: nothing of networks or labels.

mod lens;
mod scene;

use std::fmt;

use image::codecs::jpeg::JpegEncoder;
use onelook_edge::picture::bounds::Bounds;
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::locate;
use rand::{Rng, RngExt};
use rayon::prelude::*;

use lens::{defocused, moved, normal};
use scene::Scene;

use crate::random::{Purpose, stream};

/// Width of what the camera sends, in pixels.
pub const WIDTH: usize = 640;
/// Height of what the camera sends, in pixels.
pub const HEIGHT: usize = 480;

/// A mark is found where its box overlaps the true one by at least this much (Jaccard).
pub const FOUND: f32 = 0.7;

/// One thing that comes between a mark and its picture; its strength is 0 (none) to 1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    /// The card is tilted, by up to 30 degrees.
    Perspective,
    /// The card is turned, by up to 20 degrees.
    Rotation,
    /// The mark is small, down to a fifth of the picture's height, and off the centre.
    Placement,
    /// The card ends near the mark, on a desk with other things on it.
    Surroundings,
    /// Paper that is not white or smooth, and may be ruled.
    Paper,
    /// Ink that is coloured or pale, down to half of the paper's contrast.
    Pen,
    /// Thicker or thinner strokes.
    Thickness,
    /// Light on a dark card.
    Inversion,
    /// Dim light that falls off across the picture.
    Light,
    /// The soft shadow of something across the mark.
    Shadow,
    /// Out of focus, by up to 4 pixels.
    Defocus,
    /// Moving during the exposure, by up to 14 pixels.
    Motion,
    /// Sensor noise with a standard deviation of up to 14 levels.
    Noise,
    /// Wrong colour, by up to a quarter in red and blue.
    WhiteBalance,
    /// JPEG quality, down to 20.
    Compression,
}

use Disturbance as D;

impl Disturbance {
    /// All of them.
    pub const ALL: [Self; 15] = [
        D::Perspective,
        D::Rotation,
        D::Placement,
        D::Surroundings,
        D::Paper,
        D::Pen,
        D::Thickness,
        D::Inversion,
        D::Light,
        D::Shadow,
        D::Defocus,
        D::Motion,
        D::Noise,
        D::WhiteBalance,
        D::Compression,
    ];
}

/// How strong each disturbance is, 0 to 1, in the order of [`Disturbance::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions([f32; Disturbance::ALL.len()]);

impl Conditions {
    /// A dark mark that fills half of a white sheet, straight ahead, in focus.
    pub const IDEAL: Self = Self([0.0; Disturbance::ALL.len()]);

    /// Nothing but this.
    pub fn alone(disturbance: Disturbance, strength: f32) -> Self {
        let mut conditions = Self::IDEAL;
        conditions.0[disturbance as usize] = strength.clamp(0.0, 1.0);
        conditions
    }

    /// Everything at once, each somewhere from 0 to `most`; one card in four is dark.
    pub fn drawn(most: f32, rng: &mut impl Rng) -> Self {
        let mut conditions = Self::IDEAL;
        for strength in &mut conditions.0 {
            *strength = most.clamp(0.0, 1.0) * rng.random::<f32>();
        }
        if rng.random::<f32>() > 0.25 {
            conditions.0[D::Inversion as usize] = 0.0;
        }
        conditions
    }

    fn of(&self, disturbance: Disturbance) -> f32 {
        self.0[disturbance as usize]
    }
}

/// What the camera sent, and where the mark truly is.
pub struct Shot {
    /// RGB, [`WIDTH`] x [`HEIGHT`], through JPEG.
    pub frame: Frame,
    /// The box around the mark.
    pub bounds: Bounds,
}

/// `drawing` under `conditions`; `None` where nothing is drawn on it. Strengths say how much, `rng`
/// which way.
pub fn photograph(drawing: &Frame, conditions: &Conditions, rng: &mut impl Rng) -> Option<Shot> {
    let mark = locate::mark(drawing)?;
    let scene = Scene::drawn(drawing, &mark, conditions, rng);
    let mut planes = scene.render();
    let defocus = 4.0 * conditions.of(D::Defocus);
    if defocus > 0.0 {
        for plane in &mut planes {
            defocused(plane, defocus);
        }
    }
    let motion = 14.0 * conditions.of(D::Motion);
    let direction = rng.random_range(0.0..std::f32::consts::TAU);
    if motion >= 1.0 {
        for plane in &mut planes {
            *plane = moved(plane, motion, direction);
        }
    }
    let white_balance = 0.25 * conditions.of(D::WhiteBalance);
    let gains = [
        rng.random_range(-1.0f32..1.0),
        0.0,
        rng.random_range(-1.0f32..1.0),
    ]
    .map(|gain| 1.0 + white_balance * gain);
    // Even a good sensor is not silent.
    let deviation = 1.0 + 13.0 * conditions.of(D::Noise);
    let mut state = rng.random::<u64>();
    let mut pixels = vec![0u8; WIDTH * HEIGHT * 3];
    for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        for channel in 0..3 {
            let level = planes[channel][i] * gains[channel] + deviation * normal(&mut state);
            pixel[channel] = (level + 0.5) as u8;
        }
    }
    let quality = 95.0 - 75.0 * conditions.of(D::Compression);
    let mut jpeg = Vec::new();
    let encoded = JpegEncoder::new_with_quality(&mut jpeg, quality as u8).encode(
        &pixels,
        WIDTH as u32,
        HEIGHT as u32,
        image::ExtendedColorType::Rgb8,
    );
    encoded.ok()?;
    Some(Shot {
        frame: Frame::decode(&jpeg, "the simulated camera").ok()?,
        bounds: scene.bounds,
    })
}

/// Under what conditions many pictures are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Session {
    /// Every disturbance at once, each from none to this strength: see [`Conditions::drawn`].
    Everything(f32),
    /// One disturbance alone, at this strength.
    Alone(Disturbance, f32),
}

impl fmt::Display for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Session::Everything(most) => write!(out, "everything up to {most}"),
            Session::Alone(disturbance, strength) => write!(out, "{disturbance:?} at {strength}"),
        }
    }
}

/// What `of` makes of the photographs of `drawings`, in their order, on all cores; where it makes
/// nothing of one, of another photograph of the same drawing, up to `looks` in all. A photograph
/// depends on the drawing, `seed`, the drawing's place and how many were taken of it before.
pub fn photographs<T: Send>(
    drawings: &[&Frame],
    session: Session,
    seed: u64,
    looks: u64,
    of: impl Fn(Shot) -> Option<T> + Sync,
) -> Vec<Option<T>> {
    let one = |(number, drawing): (usize, &&Frame)| {
        (0..looks).find_map(|look| {
            let index = number as u64 | look << 40;
            let mut rng = stream(seed, Purpose::Photographs, index);
            let conditions = match session {
                Session::Everything(most) => Conditions::drawn(most, &mut rng),
                Session::Alone(disturbance, strength) => Conditions::alone(disturbance, strength),
            };
            of(photograph(drawing, &conditions, &mut rng)?)
        })
    };
    drawings.par_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests;
