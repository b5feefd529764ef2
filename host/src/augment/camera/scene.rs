//! What stands in front of the simulated camera: ink on a card, a desk, things and light, and the projection of it all
//! into the picture. Knows nothing of lens and sensor.

use onelook_edge::picture::bounds::Bounds;
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::locate;
use rand::{Rng, RngExt};

use super::{Conditions, D, HEIGHT, WIDTH};
use crate::augment::floor;

/// Focal length in pixels: 60 degrees across the width.
pub(super) const FOCAL_PX: f32 = 554.0;
/// The longer side of the mark where nothing makes it smaller, in pixels.
pub(super) const LARGEST_PX: f32 = 250.0;
/// The least distance of the mark from the edge of the picture, in pixels.
const EDGE_PX: f32 = 14.0;
/// Side of the tile of random numbers that textures are made of; a power of two.
const TILE: usize = 128;

type Colour = [f32; 3];

/// What stands in front of the camera. The plane of the card has its origin in the middle of the
/// mark, whose longer side is 1; brightness is 0 to 1 as the camera encodes it.
pub(super) struct Scene {
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
    pub(super) bounds: Bounds,
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
    pub(super) fn drawn(
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
    pub(super) fn render(&self) -> [Vec<f32>; 3] {
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
pub(super) fn projection(rotation: f32, tilt: f32, axis: f32, size: f32) -> [[f32; 3]; 3] {
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

pub(super) fn multiplied(a: [[f32; 3]; 3], b: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// By cofactors; the card is never seen edge on, so there is an inverse.
pub(super) fn inverted(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |i: usize, j: usize| {
        let (r, s) = ((i + 1) % 3, (i + 2) % 3);
        let (c, d) = ((j + 1) % 3, (j + 2) % 3);
        m[r][c] * m[s][d] - m[r][d] * m[s][c]
    };
    let determinant: f32 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| minor(j, i) / determinant))
}
