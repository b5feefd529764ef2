//! A drawn mark as a cheap camera at 640x480 would see it, seeded: pen on a card or a sheet, on a
//! desk with things around, under uneven light, tilted, out of focus, moving, noisy, compressed.
//! Trains models and measures them. Knows frames and random numbers: nothing of networks or labels.

use std::fmt;

use image::codecs::jpeg::JpegEncoder;
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::locate::{self, Bounds};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::floor;
use crate::random::{Purpose, stream};

/// Width of what the camera sends, in pixels.
pub const WIDTH: usize = 640;
/// Height of what the camera sends, in pixels.
pub const HEIGHT: usize = 480;

/// Focal length in pixels: 60 degrees across the width.
const FOCAL_PX: f32 = 554.0;
/// The longer side of the mark where nothing makes it smaller, in pixels.
const LARGEST_PX: f32 = 250.0;
/// The mark keeps so far from the edge of the picture, in pixels.
const EDGE_PX: f32 = 14.0;
/// A mark is found where its box overlaps the true one by so much (Jaccard).
pub const FOUND: f32 = 0.7;

/// Side of the tile of random numbers that textures are made of; a power of two.
const TILE: usize = 128;

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

type Colour = [f32; 3];

/// What stands in front of the camera. The plane of the card has its origin in the middle of the
/// mark, whose longer side is 1; brightness is 0 to 1 as the camera encodes it.
struct Scene {
    ink: Ink,
    /// From picture to card: homogeneous rows.
    to_plane: [[f32; 3]; 3],
    /// The card's half sides; infinite for a sheet that fills the picture.
    card: [f32; 2],
    paper: Colour,
    pen: Colour,
    paper_texture: f32,
    /// (lines a unit, contrast)
    ruling: (f32, f32),
    desk: Colour,
    desk_texture: f32,
    things: Vec<Thing>,
    tile: Vec<f32>,
    light: Light,
    bounds: Bounds,
}

/// The drawing's ink, 0 to 1, made smooth so that it can be enlarged.
struct Ink {
    side: [usize; 2],
    cover: Vec<f32>,
    /// Of the drawing's pixels: the middle of the mark, and how many make one unit.
    centre: [f32; 2],
    per_unit: f32,
    /// How much of a pixel must be ink to count as ink, and over what range that is soft.
    threshold: f32,
}

/// Something else on the desk.
struct Thing {
    centre: [f32; 2],
    half: [f32; 2],
    /// (cosine, sine)
    turn: [f32; 2],
    round: bool,
    colour: Colour,
}

struct Light {
    exposure: f32,
    /// Change across a pixel.
    slope: [f32; 2],
    vignette: f32,
    /// Normal of the shadow's edge, its distance from the origin and its softness, in pixels.
    shadow: ([f32; 2], f32, f32),
    shadow_depth: f32,
}

impl Scene {
    fn drawn(
        drawing: &Frame,
        mark: &locate::Mark,
        conditions: &Conditions,
        rng: &mut impl Rng,
    ) -> Self {
        let sign = |rng: &mut dyn Rng| {
            if rng.next_u32() & 1 == 0 {
                1.0
            } else {
                -1.0f32
            }
        };
        let thickness = conditions.of(D::Thickness) * sign(rng);
        let ink = Ink::of(drawing, mark, thickness);

        let rotation = 20.0 * conditions.of(D::Rotation) * sign(rng);
        let tilt = 30.0 * conditions.of(D::Perspective);
        let axis = rng.random_range(0.0..std::f32::consts::TAU);
        let placement = conditions.of(D::Placement);
        let size = LARGEST_PX * (1.0 - 0.6 * placement);
        let ahead = projection(rotation.to_radians(), tilt.to_radians(), axis, size);
        let half = {
            let longest = mark.bounds.width.max(mark.bounds.height);
            [mark.bounds.width, mark.bounds.height].map(|side| 0.5 * side / longest)
        };
        let [left, top, right, bottom] = seen(&ahead, corners(half));
        let room = |low: f32, high: f32, side: usize| {
            let (least, most) = (EDGE_PX - low, side as f32 - EDGE_PX - high);
            let middle = (least + most) / 2.0;
            (middle, (most - least).max(0.0) / 2.0)
        };
        let mut shift = [room(left, right, WIDTH), room(top, bottom, HEIGHT)]
            .map(|(middle, reach)| middle + placement * reach * rng.random_range(-1.0f32..1.0));
        // Straight ahead where nothing is disturbed.
        if placement == 0.0 {
            shift = [WIDTH as f32 / 2.0, HEIGHT as f32 / 2.0];
        }
        let shifted = multiplied(
            [[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]], [0.0, 0.0, 1.0]],
            ahead,
        );
        let [left, top, right, bottom] = seen(&shifted, ink.places());
        let bounds = Bounds {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        };

        let pen = conditions.of(D::Pen);
        let worn = conditions.of(D::Paper);
        let tint: Colour = [0.0, rng.random_range(0.0..0.06), rng.random_range(0.0..0.2)];
        let white = 0.95 - 0.25 * worn * rng.random::<f32>();
        let light_paper = tint.map(|less| white - worn * less);
        let hues: [Colour; 4] = [
            [0.08, 0.08, 0.1],
            [0.1, 0.15, 0.55],
            [0.6, 0.1, 0.12],
            [0.1, 0.35, 0.15],
        ];
        let hue = hues[rng.random_range(0..hues.len())];
        let colourful = if rng.random_bool(0.5) { pen } else { 0.0 };
        let dark_pen: Colour = std::array::from_fn(|c| {
            let ink = 0.08 + (hue[c] - 0.08) * colourful;
            ink + 0.5 * pen * (light_paper[c] - ink).max(0.0)
        });
        let inversion = conditions.of(D::Inversion);
        let board: Colour = {
            let dark = 0.1 + 0.25 * inversion;
            [0.0, rng.random_range(0.0..0.08), rng.random_range(0.0..0.1)].map(|more| dark + more)
        };
        let (paper, pen) = if inversion > 0.0 {
            let chalk = 0.95 - 0.4 * pen;
            (board, [chalk; 3])
        } else {
            (light_paper, dark_pen)
        };

        let surroundings = conditions.of(D::Surroundings);
        let card = if surroundings > 0.0 {
            let margin = 0.9 - 0.65 * surroundings;
            half.map(|half| half + margin * rng.random_range(0.85..1.25))
        } else {
            [f32::INFINITY; 2]
        };
        let grey = rng.random_range(0.12f32..0.85);
        let desk = std::array::from_fn(|_| (grey + rng.random_range(-0.1..0.1)).clamp(0.05, 0.95));
        let things = (0..(8.0 * surroundings).round() as usize)
            .filter_map(|_| Thing::drawn(card, rng))
            .collect();

        let light = conditions.of(D::Light);
        let toward = rng.random_range(0.0..std::f32::consts::TAU);
        let shadow = conditions.of(D::Shadow);
        let edge = rng.random_range(0.0..std::f32::consts::TAU);
        let normal = [edge.cos(), edge.sin()];
        let through = [
            bounds.x + bounds.width * rng.random_range(0.2..0.8),
            bounds.y + bounds.height * rng.random_range(0.2..0.8),
        ];
        Self {
            ink,
            to_plane: inverted(shifted),
            card,
            paper,
            pen,
            paper_texture: 0.01 + 0.05 * worn,
            ruling: (
                rng.random_range(4.0..9.0),
                if rng.random_bool(0.5) {
                    0.07 * worn
                } else {
                    0.0
                },
            ),
            desk,
            desk_texture: 0.02 + 0.2 * surroundings * rng.random::<f32>(),
            things,
            tile: (0..TILE * TILE)
                .map(|_| rng.random_range(-1.0f32..1.0))
                .collect(),
            light: Light {
                exposure: 1.0 - 0.3 * light * rng.random::<f32>(),
                slope: [toward.cos(), toward.sin()].map(|c| 0.55 * light * c / WIDTH as f32),
                vignette: 0.3 * light,
                shadow: (
                    normal,
                    normal[0] * through[0] + normal[1] * through[1],
                    rng.random_range(12.0..80.0),
                ),
                shadow_depth: 0.55 * shadow,
            },
            bounds,
        }
    }

    /// Three planes of levels, 0 to 255, row-major.
    fn render(&self) -> [Vec<f32>; 3] {
        let mut planes = std::array::from_fn(|_| Vec::with_capacity(WIDTH * HEIGHT));
        let m = &self.to_plane;
        // How much of a unit a pixel is wide: the card's edge is soft over one pixel.
        let pixel = 1.0 / (self.bounds.width.max(self.bounds.height));
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let at = |row: &[f32; 3]| row[0] * px + row[1] * py + row[2];
                let w = at(&m[2]);
                let (u, v) = (at(&m[0]) / w, at(&m[1]) / w);
                let beyond = (u.abs() - self.card[0]).max(v.abs() - self.card[1]);
                let on_card = (0.5 - beyond / pixel).clamp(0.0, 1.0);
                let grain = self.texture(px * 0.4, py * 0.4);
                let mut colour = [0.0; 3];
                if on_card > 0.0 {
                    let cover = self.ink.at(u, v);
                    let line = v * self.ruling.0 + 0.4;
                    let ruled = if line - (floor(line) as f32) < 0.06 {
                        1.0 - self.ruling.1
                    } else {
                        1.0
                    };
                    let grained = ruled * (1.0 + self.paper_texture * grain);
                    colour = std::array::from_fn(|c| {
                        let paper = self.paper[c] * grained;
                        paper + (self.pen[c] - paper) * cover
                    });
                }
                if on_card < 1.0 {
                    let coarse = self.texture(u * 3.0 + 40.0, v * 17.0 + 40.0);
                    // The card lies on the desk: a thin shadow along its edge.
                    let contact = 1.0 - 0.25 * (1.0 - beyond / 0.02).clamp(0.0, 1.0);
                    let desk = self
                        .things
                        .iter()
                        .find(|thing| thing.covers(u, v))
                        .map_or(self.desk, |thing| thing.colour);
                    let grained = 1.0 + self.desk_texture * (coarse + 0.3 * grain);
                    let share = contact * grained * (1.0 - on_card);
                    for (colour, desk) in colour.iter_mut().zip(desk) {
                        *colour = *colour * on_card + desk * share;
                    }
                }
                let light = 255.0 * self.light.at(px, py);
                for (plane, c) in planes.iter_mut().zip(colour) {
                    plane.push((c * light).clamp(0.0, 255.0));
                }
            }
        }
        planes
    }

    /// Smooth random numbers, -1 to 1.
    fn texture(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (floor(x), floor(y));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let at = |dx: i32, dy: i32| {
            let column = (left + dx) as usize % TILE;
            let row = (top + dy) as usize % TILE;
            self.tile[row * TILE + column]
        };
        let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
        let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
        upper + (lower - upper) * fy
    }
}

impl Ink {
    fn of(drawing: &Frame, mark: &locate::Mark, thickness: f32) -> Self {
        let grey = drawing.to_grey();
        let side = [grey.width(), grey.height()];
        let mut cover: Vec<f32> = (0..)
            .zip(grey.pixels())
            .map(|(i, &v)| {
                let (x, y) = (i % side[0], i / side[0]);
                mark.ink(f32::from(v), x as f32 + 0.5, y as f32 + 0.5)
            })
            .collect();
        let Bounds {
            x,
            y,
            width,
            height,
        } = mark.bounds;
        // A thick pen: strokes grow by a fortieth of the mark to either side.
        let grow = thickness * width.max(height) / 40.0;
        for _ in 0..grow.round().max(0.0) as usize {
            cover = grown(&cover, side[0]);
        }
        let cover = smoothed(&cover, side[0]);
        // A stroke of one pixel is never all ink, but must not vanish.
        let most = cover.iter().copied().fold(0.0, f32::max);
        Self {
            side,
            cover,
            centre: [x + width / 2.0, y + height / 2.0],
            per_unit: width.max(height),
            threshold: (0.42 - 0.14 * thickness).min(0.6 * most),
        }
    }

    /// The corners on the card of all that is inked.
    fn places(&self) -> impl Iterator<Item = [f32; 2]> {
        let inked = (0..)
            .zip(&self.cover)
            .filter(|(_, cover)| **cover > self.threshold);
        inked.flat_map(|(i, _)| {
            let along = |v: usize, centre: f32| (v as f32 - centre) / self.per_unit;
            let (x, y) = (i % self.side[0], i / self.side[0]);
            [(0, 0), (1, 0), (1, 1), (0, 1)]
                .map(|(dx, dy)| [along(x + dx, self.centre[0]), along(y + dy, self.centre[1])])
        })
    }

    /// How much of this place on the card is ink, 0 to 1.
    fn at(&self, u: f32, v: f32) -> f32 {
        let x = u * self.per_unit + self.centre[0] - 0.5;
        let y = v * self.per_unit + self.centre[1] - 0.5;
        if !(x > -1.0 && y > -1.0 && x < self.side[0] as f32 && y < self.side[1] as f32) {
            return 0.0;
        }
        let (left, top) = (floor(x), floor(y));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let at = |dx: i32, dy: i32| {
            let (column, row) = (left + dx, top + dy);
            let inside = (0..self.side[0] as i32).contains(&column)
                && (0..self.side[1] as i32).contains(&row);
            if inside {
                self.cover[row as usize * self.side[0] + column as usize]
            } else {
                0.0
            }
        };
        let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
        let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
        let cover = upper + (lower - upper) * fy;
        ((cover - self.threshold) / 0.3 + 0.5).clamp(0.0, 1.0)
    }
}

/// The 3x3 maximum.
fn grown(cover: &[f32], width: usize) -> Vec<f32> {
    around(cover, width, |window| {
        window.into_iter().flatten().fold(0.0, f32::max)
    })
}

/// The 3x3 binomial mean.
fn smoothed(cover: &[f32], width: usize) -> Vec<f32> {
    let weights = [0.25, 0.5, 0.25];
    around(cover, width, |window| {
        (0..9)
            .map(|i| weights[i / 3] * weights[i % 3] * window[i / 3][i % 3])
            .sum()
    })
}

/// Each place from the 3x3 places around it; beyond the edge stands 0.
fn around(plane: &[f32], width: usize, of: impl Fn([[f32; 3]; 3]) -> f32) -> Vec<f32> {
    let height = plane.len() / width;
    let at = |x: usize, y: usize| {
        // One was added to both, so that they can be before the first.
        if (1..=width).contains(&x) && (1..=height).contains(&y) {
            plane[(y - 1) * width + x - 1]
        } else {
            0.0
        }
    };
    let window = |i: usize| {
        let (x, y) = (i % width, i / width);
        of([0, 1, 2].map(|dy| [0, 1, 2].map(|dx| at(x + dx, y + dy))))
    };
    (0..plane.len()).map(window).collect()
}

impl Thing {
    /// Somewhere around a card of these half sides; `None` where it would lie on the card.
    fn drawn(card: [f32; 2], rng: &mut impl Rng) -> Option<Self> {
        let centre = [0, 1].map(|_| rng.random_range(-2.2f32..2.2));
        let half = [0, 1].map(|_| rng.random_range(0.03f32..0.45));
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        let round = rng.random_bool(0.4);
        let colour = [0, 1, 2].map(|_| rng.random_range(0.05f32..0.95));
        let reach = half[0].hypot(half[1]);
        let apart = (0..2).any(|i| centre[i].abs() - reach > card[i] + 0.05);
        apart.then_some(Self {
            centre,
            half,
            turn: [angle.cos(), angle.sin()],
            round,
            colour,
        })
    }

    fn covers(&self, u: f32, v: f32) -> bool {
        let (du, dv) = (u - self.centre[0], v - self.centre[1]);
        let along = (du * self.turn[0] + dv * self.turn[1]) / self.half[0];
        let across = (dv * self.turn[0] - du * self.turn[1]) / self.half[1];
        if self.round {
            along * along + across * across < 1.0
        } else {
            along.abs().max(across.abs()) < 1.0
        }
    }
}

impl Light {
    /// Brightness at a place of the picture, as a factor.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - WIDTH as f32 / 2.0, y - HEIGHT as f32 / 2.0);
        let gradient = 1.0 + self.slope[0] * dx + self.slope[1] * dy;
        let vignette = 1.0 - self.vignette * (dx * dx + dy * dy) / 160_000.0;
        let (normal, offset, softness) = self.shadow;
        let inside = (normal[0] * x + normal[1] * y - offset) / softness;
        let shade = 1.0 - self.shadow_depth * (inside + 0.5).clamp(0.0, 1.0);
        self.exposure * gradient * vignette * shade
    }
}

/// From the card's plane to the picture, the mark's middle at the origin and its longer side
/// `size` pixels long: a pinhole camera over a plane that is turned, then tilted about an axis.
fn projection(rotation: f32, tilt: f32, axis: f32, size: f32) -> [[f32; 3]; 3] {
    let (c, s) = (rotation.cos(), rotation.sin());
    let (ac, as_) = (axis.cos(), axis.sin());
    let (tc, ts) = (tilt.cos(), tilt.sin());
    // About the unit axis (ac, as, 0) (Rodrigues), the two columns that a plane needs.
    let tilted = |u: f32, v: f32| {
        let along = u * ac + v * as_;
        let across = v * ac - u * as_;
        [
            along * ac - across * tc * as_,
            along * as_ + across * tc * ac,
            across * ts,
        ]
    };
    let (first, second) = (tilted(c, s), tilted(-s, c));
    let distance = FOCAL_PX / size;
    [
        [FOCAL_PX * first[0], FOCAL_PX * second[0], 0.0],
        [FOCAL_PX * first[1], FOCAL_PX * second[1], 0.0],
        [first[2], second[2], distance],
    ]
}

/// [left, top, right, bottom] in the picture of places on the card.
fn seen(projection: &[[f32; 3]; 3], places: impl IntoIterator<Item = [f32; 2]>) -> [f32; 4] {
    let nowhere = [
        f32::INFINITY,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
    ];
    places.into_iter().fold(nowhere, |bounds, [u, v]| {
        let at = |row: &[f32; 3]| row[0] * u + row[1] * v + row[2];
        let w = at(&projection[2]);
        let (x, y) = (at(&projection[0]) / w, at(&projection[1]) / w);
        [
            bounds[0].min(x),
            bounds[1].min(y),
            bounds[2].max(x),
            bounds[3].max(y),
        ]
    })
}

/// The corners of a box about the origin.
fn corners(half: [f32; 2]) -> [[f32; 2]; 4] {
    [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)].map(|(u, v)| [u * half[0], v * half[1]])
}

fn multiplied(a: [[f32; 3]; 3], b: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// By cofactors; the card is never seen edge on, so there is an inverse.
fn inverted(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |i: usize, j: usize| {
        let (r, s) = ((i + 1) % 3, (i + 2) % 3);
        let (c, d) = ((j + 1) % 3, (j + 2) % 3);
        m[r][c] * m[s][d] - m[r][d] * m[s][c]
    };
    let determinant: f32 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| minor(j, i) / determinant))
}

/// Two passes of a box in each direction, which together reach `radius` to either side.
fn defocused(plane: &mut [f32], radius: f32) {
    let half = radius / 2.0;
    for _ in 0..2 {
        let mut turned = transposed(plane, WIDTH);
        box_mean(&mut turned, HEIGHT, half);
        plane.copy_from_slice(&transposed(&turned, HEIGHT));
        box_mean(plane, WIDTH, half);
    }
}

/// Rows of `width` numbers as columns.
fn transposed(plane: &[f32], width: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let mut turned = vec![0.0; plane.len()];
    // Square by square, so that neither side leaves the cache.
    const SQUARE: usize = 16;
    for top in (0..height).step_by(SQUARE) {
        for left in (0..width).step_by(SQUARE) {
            for y in top..height.min(top + SQUARE) {
                for x in left..width.min(left + SQUARE) {
                    turned[x * height + y] = plane[y * width + x];
                }
            }
        }
    }
    turned
}

/// The mean over `half` lines to either side, fractions counted; a line is `size` numbers, and the
/// first and the last are repeated.
fn box_mean(lines: &mut [f32], size: usize, half: f32) {
    let whole = half as isize;
    let part = half - whole as f32;
    let share = 1.0 / (2.0 * half + 1.0);
    let source = lines.to_vec();
    let last = (source.len() / size) as isize - 1;
    let line = |i: isize| &source[i.clamp(0, last) as usize * size..][..size];
    let mut sum = vec![0.0; size];
    for i in -whole..=whole {
        for (sum, v) in sum.iter_mut().zip(line(i)) {
            *sum += v;
        }
    }
    for (i, out) in (0..).zip(lines.chunks_exact_mut(size)) {
        let (leaving, before, next) = (line(i - whole), line(i - whole - 1), line(i + whole + 1));
        for x in 0..size {
            out[x] = share * (sum[x] + part * (before[x] + next[x]));
            sum[x] += next[x] - leaving[x];
        }
    }
}

/// The mean along a line of `length` pixels.
fn moved(plane: &[f32], length: f32, direction: f32) -> Vec<f32> {
    let steps = length.ceil().max(1.0) as isize;
    let share = 1.0 / (steps + 1) as f32;
    let mut out = vec![0.0; plane.len()];
    for i in 0..=steps {
        let along = (i as f32 / steps as f32 - 0.5) * length;
        let [dx, dy] = [direction.cos(), direction.sin()].map(|c| (along * c).round() as isize);
        for (y, row) in (0..).zip(out.chunks_exact_mut(WIDTH)) {
            let sy = (y + dy).clamp(0, HEIGHT as isize - 1) as usize;
            let source = &plane[sy * WIDTH..][..WIDTH];
            // Beyond an end stands what is there.
            let shift = dx.unsigned_abs().min(WIDTH - 1);
            let (inner, outer) = if dx < 0 {
                let (outer, inner) = row.split_at_mut(shift);
                (
                    inner.iter_mut().zip(&source[..WIDTH - shift]),
                    (outer, source[0]),
                )
            } else {
                let (inner, outer) = row.split_at_mut(WIDTH - shift);
                (
                    inner.iter_mut().zip(&source[shift..]),
                    (outer, source[WIDTH - 1]),
                )
            };
            for (v, s) in inner {
                *v += share * s;
            }
            for v in outer.0 {
                *v += share * outer.1;
            }
        }
    }
    out
}

/// Nearly normal numbers with deviation 1, quickly: the sum of four bytes of splitmix64 (Steele,
/// Lea and Flood 2014).
fn normal(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let sum: u32 = (0..4).map(|i| (z >> (8 * i)) as u32 & 255).sum();
    // Four times the variance (256^2 - 1) / 12 of a byte.
    (sum as f32 - 510.0) / 147.8
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
mod tests {
    use super::*;
    use crate::augment::posed;
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
        let (a, b) = (ell(), posed(&ell(), 1, false));
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
}
