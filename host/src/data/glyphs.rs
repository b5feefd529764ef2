//! Invents alphabets and draws them by hand: the built-in data set, made of a seed and nothing else.
//! Knows nothing of files, networks or real scripts.
//!
//! A group is an alphabet with a style (straight or round, its favourite strokes, perhaps a stem that most of
//! its characters share). A class is a character: one to four pen strokes. A drawer has a hand (slant, size, pen,
//! tremor), the same in every alphabet, and never draws a character twice alike.

use std::f32::consts::{PI, TAU};

use onelook_edge::picture::frame::Frame;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::data::{Class, Dataset, Group, Picture};

/// Width and height of every drawing, in pixels, as in Omniglot.
pub const SIDE_PX: usize = 105;

/// How many characters to invent, and how many people draw each of them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlyphsSpec {
    /// Alphabets.
    pub groups: usize,
    /// Characters an alphabet.
    pub classes_per_group: usize,
    /// Drawings a character, each by another hand.
    pub drawers: usize,
    /// Another seed invents other alphabets and other hands.
    pub seed: u64,
}

impl Default for GlyphsSpec {
    /// 12 alphabets of 20 characters by 20 drawers, seed 1: 4,800 pictures, 53 MB in memory.
    fn default() -> Self {
        Self {
            groups: 12,
            classes_per_group: 20,
            drawers: 20,
            seed: 1,
        }
    }
}

/// The whole data set, named `glyphs`: groups `glyphs-01` and on, classes `glyph-001` and on, drawers 1 and on.
/// Black ink (0) on white (255), grey at the edges of a stroke. The same spec gives the same bytes
/// on the same machine; on another, sines may differ in their last bit.
///
/// A spec with a larger number of anything holds the smaller one: the drawings they share are equal.
/// A number of 0 gives a data set without groups.
pub fn draw(spec: &GlyphsSpec) -> Dataset {
    let mut groups = Vec::new();
    let empty = spec.classes_per_group == 0 || spec.drawers == 0;
    for group in 0..if empty { 0 } else { spec.groups } {
        let group_name = format!("glyphs-{:02}", group + 1);
        let mut classes = Vec::new();
        for (class, character) in alphabet(spec.seed, group, spec.classes_per_group)
            .iter()
            .enumerate()
        {
            let name = format!("glyph-{:03}", class + 1);
            let pictures = (1..=spec.drawers).map(|drawer| Picture {
                source: format!("{group_name}/{name}/{:04}_{drawer:02}.png", class + 1),
                drawer: u32::try_from(drawer).ok(),
                frame: write(character, spec.seed, group, class, drawer),
            });
            classes.push(Class {
                pictures: pictures.collect(),
                name,
            });
        }
        classes.sort_by(|a, b| a.name.cmp(&b.name));
        groups.push(Group {
            name: group_name,
            classes,
        });
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Dataset {
        name: "glyphs".to_owned(),
        groups,
        skipped: Vec::new(),
    }
}

/// One drawing of [`draw`], [`SIDE_PX`] square and grey: `group` and `class` count from 0, `drawer` from 1.
/// Invents the classes before it too, for no two may look alike: to draw many, use [`draw`].
pub fn glyph(seed: u64, group: usize, class: usize, drawer: usize) -> Frame {
    let alphabet = alphabet(seed, group, class + 1);
    write(&alphabet[class], seed, group, class, drawer)
}

/// (x, y) in a box from -0.5 to 0.5, y down.
type Point = [f32; 2];
/// The path of the pen: two points or more, about [`STEP`] apart.
type Stroke = Vec<Point>;

/// 1.5 pixels where a character is 75 pixels tall.
const STEP: f32 = 0.02;

// ---- Inventing ----

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Line,
    Corner,
    Zigzag,
    Curve,
    Bow,
    Ring,
    Hook,
    Wave,
    Dot,
}

/// What the characters of an alphabet have in common.
struct Style {
    columns: usize,
    rows: usize,
    /// The strokes it is made of, the favourite first.
    shapes: [Shape; 4],
    /// Of 1, 2, 3 and 4 strokes; any scale.
    stroke_weights: [f32; 4],
    /// How likely a stroke begins on another one, 0 to 1.
    joined: f32,
    /// A first stroke that this share of the characters begin with.
    stem: Option<(Point, Point, f32)>,
}

/// The first `count` characters of an alphabet.
fn alphabet(seed: u64, group: usize, count: usize) -> Vec<Vec<Stroke>> {
    let style = invent_style(&mut stream(seed, [1, group, 0, 0]));
    let mut characters: Vec<Vec<Stroke>> = Vec::new();
    let mut prints: Vec<Vec<Point>> = Vec::new();
    for class in 0..count {
        let rng = &mut stream(seed, [2, group, class, 0]);
        // Where an alphabet runs full, ever smaller differences have to do.
        let mut least = 0.11;
        let (character, print) = loop {
            let character = invent_character(rng, &style);
            let print: Vec<Point> = character.concat().into_iter().step_by(2).collect();
            least -= 0.0005;
            if least < 0.0 {
                break (character, print);
            }
            if is_plain(&character) || is_tangled(&character) {
                continue;
            }
            if prints
                .iter()
                .all(|other| difference(&print, other) >= least)
            {
                break (character, print);
            }
        };
        characters.push(character);
        prints.push(print);
    }
    characters
}

fn invent_style(rng: &mut ChaCha8Rng) -> Style {
    use Shape::*;
    let straight = [Line, Corner, Zigzag, Line, Corner, Hook];
    let round = [Curve, Bow, Ring, Wave, Curve, Bow, Hook];
    let roundness = [0.15, 0.5, 0.85][below(rng, 3)];
    let shapes = [(); 4].map(|()| {
        if unit(rng) < roundness {
            round[below(rng, round.len())]
        } else {
            straight[below(rng, straight.len())]
        }
    });
    let stem = match below(rng, 5) {
        0 => Some(([-0.25, -0.45], [-0.25, 0.45])),
        1 => Some(([0.25, -0.45], [0.25, 0.45])),
        2 => Some(([-0.4, -0.4], [0.4, -0.4])),
        _ => None,
    };
    let busy = unit(rng);
    Style {
        columns: 2 + below(rng, 2),
        rows: 3 + below(rng, 2),
        shapes,
        stroke_weights: [0.4 - 0.3 * busy, 1.0, 0.6 + busy, 0.2 + 0.6 * busy],
        joined: between(rng, 0.5, 0.95),
        stem: stem.map(|(from, to)| (from, to, between(rng, 0.4, 0.9))),
    }
}

fn invent_character(rng: &mut ChaCha8Rng, style: &Style) -> Vec<Stroke> {
    let mut strokes: Vec<Stroke> = Vec::new();
    let mut count = 1 + weighted(rng, &style.stroke_weights);
    if let Some((from, to, share)) = style.stem
        && unit(rng) < share
    {
        strokes.push(polyline(&[from, to]));
        count = count.max(2);
    }
    for _ in 0..50 {
        if strokes.len() == count {
            break;
        }
        let shape = if strokes.len() + 1 == count && count > 1 && unit(rng) < 0.1 {
            Shape::Dot
        } else {
            style.shapes[weighted(rng, &[4.0, 3.0, 2.0, 1.0])]
        };
        let start = if !strokes.is_empty() && shape != Shape::Dot && unit(rng) < style.joined {
            // Joints are where people make them: at the ends and the middle.
            let other = &strokes[below(rng, strokes.len())];
            other[(other.len() - 1) * below(rng, 3) / 2]
        } else {
            node(rng, style)
        };
        let stroke = invent_stroke(rng, style, shape, start);
        // A stroke that runs along another one is not seen.
        let hidden = strokes.iter().any(|other| {
            let near = stroke.iter().filter(|point| nearest(point, other) < 0.1);
            near.count() * 5 > stroke.len() * 2
        });
        if !hidden {
            strokes.push(stroke);
        }
    }
    fit(&mut strokes);
    strokes
}

fn invent_stroke(rng: &mut ChaCha8Rng, style: &Style, shape: Shape, start: Point) -> Stroke {
    let mut nodes = vec![start];
    let more = match shape {
        Shape::Line | Shape::Bow | Shape::Hook | Shape::Wave => 1,
        Shape::Corner => 2,
        Shape::Curve => 2 + below(rng, 2),
        Shape::Zigzag => 3,
        Shape::Ring | Shape::Dot => 0,
    };
    for _ in 0..more {
        // A way off, and not back where the pen came from.
        let mut next = node(rng, style);
        for _ in 0..20 {
            let far = distance(nodes[nodes.len() - 1], next) > 0.3;
            let new = nodes.iter().all(|&node| distance(node, next) > 0.2);
            let sharp = nodes.len() > 1
                && turn(nodes[nodes.len() - 2], nodes[nodes.len() - 1], next) > 0.8 * PI;
            if far && new && !sharp {
                break;
            }
            next = node(rng, style);
        }
        nodes.push(next);
    }
    let end = nodes[nodes.len() - 1];
    let along = [end[0] - start[0], end[1] - start[1]];
    let across = [-along[1], along[0]];
    let at = |forward: f32, sideways: f32| {
        [0, 1].map(|axis| start[axis] + forward * along[axis] + sideways * across[axis])
    };
    let side = if below(rng, 2) == 0 { 1.0 } else { -1.0 };
    match shape {
        Shape::Line | Shape::Corner | Shape::Zigzag => polyline(&nodes),
        Shape::Curve => spline(&nodes),
        Shape::Bow => {
            let depth = side * between(rng, 0.3, 0.6);
            sampled(|t| at(0.5 - 0.5 * (PI * t).cos(), depth * (PI * t).sin()))
        }
        Shape::Wave => {
            let depth = side * between(rng, 0.15, 0.25);
            let turns = [1.0, 1.5, 2.0][below(rng, 3)];
            sampled(|t| at(t, depth * (TAU * turns * t).sin()))
        }
        Shape::Hook => {
            let radius = side * between(rng, 0.14, 0.22);
            let curl = between(rng, 1.0, 1.5) * PI;
            let mut stroke = polyline(&[start, at(0.8, 0.0)]);
            stroke.extend(sampled(|t| {
                at(
                    0.8 + radius.abs() * (curl * t).sin(),
                    radius * (1.0 - (curl * t).cos()),
                )
            }));
            stroke
        }
        Shape::Ring => {
            let (radius, tall) = (between(rng, 0.12, 0.25), between(rng, 0.8, 1.25));
            let first = below(rng, 4) as f32 * PI / 2.0;
            // The ring passes through its start, on one of four sides of it.
            let centre = [
                start[0] - radius * first.cos(),
                start[1] - radius * tall * first.sin(),
            ];
            sampled(|t| {
                let angle = first + side * TAU * t;
                [
                    centre[0] + radius * angle.cos(),
                    centre[1] + radius * tall * angle.sin(),
                ]
            })
        }
        Shape::Dot => {
            let radius = 0.025;
            sampled(|t| {
                [
                    start[0] + radius * (TAU * t).cos(),
                    start[1] + radius * (TAU * t).sin(),
                ]
            })
        }
    }
}

/// A crossing of the alphabet's grid.
fn node(rng: &mut ChaCha8Rng, style: &Style) -> Point {
    let (column, row) = (below(rng, style.columns), below(rng, style.rows));
    let x = column as f32 / (style.columns - 1) as f32 - 0.5;
    let y = row as f32 / (style.rows - 1) as f32 - 0.5;
    [0.8 * x, 0.9 * y]
}

/// Moves a character into the middle, its longer side 1.
fn fit(strokes: &mut [Stroke]) {
    let (low, high) = bounds(strokes);
    let scale = 1.0 / (high[0] - low[0]).max(high[1] - low[1]).max(0.3);
    for point in strokes.iter_mut().flatten() {
        for axis in 0..2 {
            point[axis] = scale * (point[axis] - (low[axis] + high[axis]) / 2.0);
        }
    }
}

/// Nothing but a straight line, with or without a dot: slant, which is the drawer's, would decide what it is.
fn is_plain(character: &[Stroke]) -> bool {
    let bend = |stroke: &Stroke| {
        let chord = distance(stroke[0], stroke[stroke.len() - 1]);
        length(stroke) > 0.3 && length(stroke) > 1.08 * chord
    };
    let strokes = character.iter().filter(|stroke| length(stroke) > 0.3);
    strokes.count() < 2 && !character.iter().any(bend)
}

/// More ink than a hand puts into one character.
fn is_tangled(character: &[Stroke]) -> bool {
    character.iter().map(|stroke| length(stroke)).sum::<f32>() > 4.2
}

/// Mean distance from the points of each to the nearest point of the other, the larger of both ways.
fn difference(a: &[Point], b: &[Point]) -> f32 {
    let one_way = |from: &[Point], to: &[Point]| {
        from.iter().map(|point| nearest(point, to)).sum::<f32>() / from.len() as f32
    };
    one_way(a, b).max(one_way(b, a))
}

// ---- Drawing ----

/// One drawing of a character: its strokes as this hand moves this time, in ink.
fn write(character: &[Stroke], seed: u64, group: usize, class: usize, drawer: usize) -> Frame {
    let hand = &mut stream(seed, [3, drawer, 0, 0]);
    let rng = &mut stream(seed, [4, group, class, drawer]);

    let sloppiness = between(hand, 0.4, 1.0);
    let slant = between(hand, -0.25, 0.3) + between(rng, -0.06, 0.06);
    let wide = between(hand, 0.8, 1.2) * between(rng, 0.93, 1.07);
    let size_px = between(hand, 52.0, 86.0) * between(rng, 0.9, 1.1);
    let pen_px = between(hand, 2.2, 4.0);
    let tilt = between(hand, -0.08, 0.08) + between(rng, -0.07, 0.07);
    let tremor = between(hand, 0.0, 0.008);
    let rounding = below(hand, 4);

    // The sheet is pulled about a little, differently in every drawing.
    let pulls = [(); 3].map(|()| {
        let reach = 0.05 * sloppiness;
        let pull = [between(rng, -reach, reach), between(rng, -reach, reach)];
        let (wave, direction) = (between(rng, 2.0, 6.0), between(rng, 0.0, TAU));
        (
            pull,
            [wave * direction.cos(), wave * direction.sin()],
            between(rng, 0.0, TAU),
        )
    });
    let mut strokes = Vec::new();
    for path in character {
        let mut stroke = reshape(rng, path, sloppiness, tremor);
        for _ in 0..rounding {
            smooth(&mut stroke);
        }
        for point in &mut stroke {
            let [x, y] = *point;
            let mut moved = [x, y];
            for (pull, wave, phase) in &pulls {
                let amount = (wave[0] * x + wave[1] * y + phase).sin();
                moved[0] += pull[0] * amount;
                moved[1] += pull[1] * amount;
            }
            let [x, y] = [wide * (moved[0] - slant * moved[1]), moved[1]];
            *point = [
                x * tilt.cos() - y * tilt.sin(),
                x * tilt.sin() + y * tilt.cos(),
            ];
        }
        strokes.push(stroke);
    }

    let (low, high) = bounds(&strokes);
    let room_px = SIDE_PX as f32 - 10.0;
    let scale = size_px.min(room_px / (high[0] - low[0]).max(high[1] - low[1]));
    let middle = SIDE_PX as f32 / 2.0;
    let centre = [0, 1].map(|axis| {
        let spare = ((room_px - scale * (high[axis] - low[axis])) / 2.0).max(0.0);
        middle + between(rng, -9.0, 9.0).clamp(-spare, spare)
    });
    for point in strokes.iter_mut().flatten() {
        for axis in 0..2 {
            point[axis] = centre[axis] + scale * (point[axis] - (low[axis] + high[axis]) / 2.0);
        }
    }
    ink(&strokes, pen_px / 2.0)
}

/// The stroke as it comes out this time: shifted, bent, longer or shorter, trembling.
fn reshape(rng: &mut ChaCha8Rng, path: &[Point], sloppiness: f32, tremor: f32) -> Stroke {
    let last = (path.len() - 1) as f32;
    let shift = [(); 2].map(|()| 0.05 * sloppiness * (unit(rng) + unit(rng) - 1.0));
    let bends =
        [(); 4].map(|()| [(); 2].map(|()| 0.08 * sloppiness * (unit(rng) + unit(rng) - 1.0)));
    let shake = [(); 2].map(|()| (between(rng, 2.0, 5.0), between(rng, 0.0, TAU)));
    let length = length(path);
    let grow = between(rng, 0.88, 1.12);
    let centre =
        [0, 1].map(|axis| path.iter().map(|point| point[axis]).sum::<f32>() / path.len() as f32);
    let mut stroke: Stroke = path
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let t = index as f32 / last;
            let knot = (3.0 * t).min(2.999);
            let (left, part) = (knot as usize, knot.fract());
            let ease = part * part * (3.0 - 2.0 * part);
            [0, 1].map(|axis| {
                let bend = bends[left][axis] * (1.0 - ease) + bends[left + 1][axis] * ease;
                let (wave, phase) = shake[axis];
                let shaken = tremor * (TAU * wave * length * t + phase).sin();
                centre[axis] + grow * (point[axis] - centre[axis]) + shift[axis] + bend + shaken
            })
        })
        .collect();
    // The pen is put down early or late, lifted early or late: by up to 3 steps.
    for _ in 0..2 {
        stroke.reverse();
        let steps = below(rng, 7);
        let end = stroke.len() - 1;
        if end < 12 {
            continue;
        }
        if steps <= 3 {
            stroke.truncate(end + 1 - steps);
        } else {
            let step = [0, 1].map(|axis| stroke[end][axis] - stroke[end - 1][axis]);
            for more in 1..=(steps - 3) {
                stroke.push([0, 1].map(|axis| stroke[end][axis] + more as f32 * step[axis]));
            }
        }
    }
    stroke
}

/// Rounds corners off, the ends stay.
fn smooth(stroke: &mut Stroke) {
    let before = stroke.clone();
    for (index, three) in before.windows(3).enumerate() {
        stroke[index + 1] =
            [0, 1].map(|axis| (three[0][axis] + three[1][axis] + three[2][axis]) / 3.0);
    }
}

/// Black strokes of this radius on white; a pixel half covered is grey.
fn ink(strokes: &[Stroke], radius_px: f32) -> Frame {
    let mut coverage = vec![0.0f32; SIDE_PX * SIDE_PX];
    let reach = radius_px + 1.0;
    let pixels = |a: f32, b: f32| {
        let low = (a.min(b) - reach).max(0.0) as usize;
        let high = (a.max(b) + reach).max(0.0) as usize;
        low.min(SIDE_PX)..(high + 1).min(SIDE_PX)
    };
    for stroke in strokes {
        for pair in stroke.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            for y in pixels(from[1], to[1]) {
                for x in pixels(from[0], to[0]) {
                    let away = to_segment([x as f32 + 0.5, y as f32 + 0.5], from, to);
                    let covered = (radius_px + 0.5 - away).clamp(0.0, 1.0);
                    let pixel = &mut coverage[y * SIDE_PX + x];
                    *pixel = pixel.max(covered);
                }
            }
        }
    }
    Frame::from_fn(SIDE_PX, SIDE_PX, |x, y| {
        (255.0 * (1.0 - coverage[y * SIDE_PX + x])).round() as u8
    })
}

// ---- Lines ----

/// Straight from node to node.
fn polyline(nodes: &[Point]) -> Stroke {
    let mut stroke = vec![nodes[0]];
    for pair in nodes.windows(2) {
        let steps = (distance(pair[0], pair[1]) / STEP).ceil().max(1.0);
        for step in 1..=steps as usize {
            let t = step as f32 / steps;
            stroke.push([0, 1].map(|axis| pair[0][axis] + t * (pair[1][axis] - pair[0][axis])));
        }
    }
    stroke
}

/// A curve through every node (Catmull-Rom).
fn spline(nodes: &[Point]) -> Stroke {
    let spans = nodes.len() - 1;
    sampled(|t| {
        let whole = (t * spans as f32).min(spans as f32 - 0.001);
        let (span, u) = (whole as usize, whole.fract());
        let [before, from] = [span.saturating_sub(1), span].map(|index| nodes[index]);
        let [to, after] = [span + 1, (span + 2).min(spans)].map(|index| nodes[index]);
        [0, 1].map(|axis| {
            let (a, b, c, d) = (before[axis], from[axis], to[axis], after[axis]);
            0.5 * (2.0 * b
                + (c - a) * u
                + (2.0 * a - 5.0 * b + 4.0 * c - d) * u * u
                + (3.0 * b - a - 3.0 * c + d) * u * u * u)
        })
    })
}

/// The path of a point as t goes from 0 to 1, in even steps.
fn sampled(path: impl Fn(f32) -> Point) -> Stroke {
    let rough: Stroke = (0..=200).map(|index| path(index as f32 / 200.0)).collect();
    let mut stroke = vec![rough[0]];
    for &point in &rough {
        if distance(point, stroke[stroke.len() - 1]) >= STEP {
            stroke.push(point);
        }
    }
    stroke.push(rough[200]);
    stroke
}

fn bounds(strokes: &[Stroke]) -> (Point, Point) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in strokes.iter().flatten() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    (low, high)
}

fn distance(a: Point, b: Point) -> f32 {
    ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt()
}

fn length(stroke: &[Point]) -> f32 {
    stroke
        .windows(2)
        .map(|pair| distance(pair[0], pair[1]))
        .sum()
}

fn nearest(point: &Point, among: &[Point]) -> f32 {
    let squared = |other: &Point| (point[0] - other[0]).powi(2) + (point[1] - other[1]).powi(2);
    among.iter().map(squared).fold(f32::MAX, f32::min).sqrt()
}

fn to_segment(point: Point, from: Point, to: Point) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let dot = (point[0] - from[0]) * along[0] + (point[1] - from[1]) * along[1];
    let t = if length > 0.0 {
        (dot / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    distance(point, [from[0] + t * along[0], from[1] + t * along[1]])
}

/// By how much a pen turns in `b`, 0 (straight on) to pi (back).
fn turn(a: Point, b: Point, c: Point) -> f32 {
    let (first, second) = ([b[0] - a[0], b[1] - a[1]], [c[0] - b[0], c[1] - b[1]]);
    let cross = first[0] * second[1] - first[1] * second[0];
    let dot = first[0] * second[0] + first[1] * second[1];
    cross.atan2(dot).abs()
}

// ---- Chance ----

/// An own stream of chance for each purpose and place, so that no drawing depends on how many others there are.
fn stream(seed: u64, place: [usize; 4]) -> ChaCha8Rng {
    let mixed = place.iter().fold(seed, |state, &number| {
        // SplitMix64 (Steele, Lea and Flood 2014).
        let mut z = (state ^ number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    ChaCha8Rng::seed_from_u64(mixed)
}

/// 0 to 1, without 1. Made here of plain bits: a newer `rand` must not redraw the data set.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * unit(rng)
}

/// 0 to `count`, without `count`.
fn below(rng: &mut ChaCha8Rng, count: usize) -> usize {
    ((u64::from(rng.next_u32()) * count as u64) >> 32) as usize
}

/// An index, as likely as its weight.
fn weighted(rng: &mut ChaCha8Rng, weights: &[f32]) -> usize {
    let mut left = unit(rng) * weights.iter().sum::<f32>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    weights.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(seed: u64) -> GlyphsSpec {
        GlyphsSpec {
            groups: 3,
            classes_per_group: 10,
            drawers: 4,
            seed,
        }
    }

    fn frames(data: &Dataset) -> Vec<&Frame> {
        let classes = data.groups.iter().flat_map(|group| &group.classes);
        classes
            .flat_map(|class| &class.pictures)
            .map(|picture| &picture.frame)
            .collect()
    }

    #[test]
    fn the_same_spec_draws_the_same_bytes_and_another_seed_others() {
        let (first, again, other) = (draw(&small(5)), draw(&small(5)), draw(&small(6)));
        assert_eq!(first, again);
        for (a, b) in frames(&first).into_iter().zip(frames(&other)) {
            assert_ne!(a, b);
        }
    }

    #[test]
    fn a_drawing_does_not_depend_on_how_many_others_there_are() {
        let (few, many) = (
            draw(&GlyphsSpec {
                groups: 2,
                classes_per_group: 3,
                drawers: 2,
                seed: 9,
            }),
            draw(&small(9)),
        );
        for (group, more) in few.groups.iter().zip(&many.groups) {
            for (class, more) in group.classes.iter().zip(&more.classes) {
                assert_eq!(class.pictures[..], more.pictures[..2]);
            }
        }
        assert_eq!(
            glyph(9, 1, 2, 2),
            few.groups[1].classes[2].pictures[1].frame
        );
    }

    #[test]
    fn groups_classes_and_drawers_are_named_from_1_and_sorted() {
        let data = draw(&GlyphsSpec {
            groups: 101,
            classes_per_group: 2,
            drawers: 3,
            seed: 1,
        });
        assert_eq!(
            (data.groups.len(), data.classes(), data.pictures()),
            (101, 202, 606)
        );
        assert_eq!(data.groups[0].name, "glyphs-01");
        assert!(data.groups.is_sorted_by(|a, b| a.name < b.name));
        let class = &data.groups[0].classes[1];
        assert_eq!(class.name, "glyph-002");
        let drawers: Vec<Option<u32>> = class
            .pictures
            .iter()
            .map(|picture| picture.drawer)
            .collect();
        assert_eq!(drawers, [Some(1), Some(2), Some(3)]);
        assert_eq!(class.pictures[2].source, "glyphs-01/glyph-002/0002_03.png");
    }

    #[test]
    fn nothing_to_draw_is_no_group() {
        for (groups, classes_per_group, drawers) in [(0, 2, 2), (2, 0, 2), (2, 2, 0)] {
            assert_eq!(
                draw(&GlyphsSpec {
                    groups,
                    classes_per_group,
                    drawers,
                    seed: 1
                })
                .groups,
                []
            );
        }
    }

    #[test]
    fn every_drawing_is_1_to_20_percent_ink_inside_a_white_border_of_2_pixels() {
        for seed in [1, 2, 3] {
            for frame in frames(&draw(&small(seed))) {
                assert_eq!(
                    (frame.width(), frame.height(), frame.channels()),
                    (105, 105, 1)
                );
                let dark = |&(_, &sample): &(usize, &u8)| sample < 128;
                let ink = frame.pixels().iter().enumerate().filter(dark).count();
                assert!((110..=2205).contains(&ink), "{ink} of 11025 pixels");
                assert!(frame.pixels().contains(&0));
                for (index, &sample) in frame.pixels().iter().enumerate() {
                    let (x, y) = (index % 105, index / 105);
                    let border = !(2..103).contains(&x) || !(2..103).contains(&y);
                    assert!(!border || sample == 255, "ink at {x}, {y}");
                }
            }
        }
    }

    /// Darkness in 12 x 12 cells of the box around the ink.
    fn cells(frame: &Frame) -> Vec<f32> {
        let dark: Vec<(usize, usize)> = (0..105 * 105)
            .filter(|&index| frame.pixels()[index] < 128)
            .map(|index| (index % 105, index / 105))
            .collect();
        let left = dark.iter().map(|&(x, _)| x).min().unwrap();
        let top = dark.iter().map(|&(_, y)| y).min().unwrap();
        let side = dark
            .iter()
            .map(|&(x, y)| (x - left).max(y - top))
            .max()
            .unwrap()
            + 1;
        let mut cells = vec![0.0; 144];
        for (x, y) in &dark {
            cells[(y - top) * 12 / side * 12 + (x - left) * 12 / side] += 1.0 / dark.len() as f32;
        }
        cells
    }

    #[test]
    fn characters_are_told_apart_across_drawers_by_plain_pixels_in_over_half_where_chance_is_1_of_20()
     {
        let data = draw(&GlyphsSpec {
            groups: 6,
            classes_per_group: 20,
            drawers: 4,
            seed: 1,
        });
        let (mut right, mut asked) = (0, 0);
        for group in &data.groups {
            for (first, second) in [(0, 1), (2, 3)] {
                let known: Vec<Vec<f32>> = group
                    .classes
                    .iter()
                    .map(|class| cells(&class.pictures[first].frame))
                    .collect();
                for (class, drawn) in group.classes.iter().enumerate() {
                    let probe = cells(&drawn.pictures[second].frame);
                    let away = |known: &Vec<f32>| {
                        known
                            .iter()
                            .zip(&probe)
                            .map(|(a, b)| (a - b).abs())
                            .sum::<f32>()
                    };
                    let best = (0..known.len())
                        .min_by(|&a, &b| away(&known[a]).total_cmp(&away(&known[b])));
                    asked += 1;
                    right += usize::from(best == Some(class));
                }
            }
        }
        assert_eq!(asked, 240);
        assert!(right > 120, "{right} of {asked}");
    }

    #[test]
    fn a_crowded_alphabet_still_comes_to_an_end() {
        let data = draw(&GlyphsSpec {
            groups: 1,
            classes_per_group: 150,
            drawers: 1,
            seed: 1,
        });
        assert_eq!(data.classes(), 150);
    }

    #[test]
    fn ink_covers_what_is_within_the_radius() {
        // From (10, 20) to (30, 20) with radius 2: rows 18 to 21 are within 1.5, rows 17 and 22 are 2.5 away.
        let frame = ink(&[vec![[10.0, 20.0], [30.0, 20.0]]], 2.0);
        let sample = |x: usize, y: usize| frame.pixels()[y * 105 + x];
        assert_eq!(
            [16, 17, 18, 19, 20, 21, 22].map(|y| sample(15, y)),
            [255, 255, 0, 0, 0, 0, 255]
        );
        // Left of the end: pixel 8 is 1.58 from it, so 0.92 of it is covered; pixel 7 is 2.55 from it.
        assert_eq!(
            (sample(8, 20), sample(7, 20), sample(35, 20)),
            (21, 255, 255)
        );
        // With radius 1.25, row 18 is a quarter covered: 0.75 x 255 = 191.25.
        let thin = ink(&[vec![[10.0, 20.0], [30.0, 20.0]]], 1.25);
        assert_eq!(thin.pixels()[18 * 105 + 15], 191);
    }

    #[test]
    fn a_spline_passes_through_its_nodes_and_its_steps_are_short() {
        let nodes = [[0.0, 0.0], [0.4, 0.1], [0.2, 0.5]];
        let stroke = spline(&nodes);
        for node in &nodes {
            assert!(nearest(node, &stroke) < STEP, "{node:?}");
        }
        assert!(
            stroke
                .windows(2)
                .all(|pair| distance(pair[0], pair[1]) < 2.0 * STEP)
        );
    }
}
