//! Invents an alphabet: a style, and characters in it of which no two look alike. Knows nothing of hands and ink.

use std::f32::consts::{PI, TAU};

use rand_chacha::ChaCha8Rng;

use super::chance::*;
use super::lines::*;

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
pub(super) fn alphabet(seed: u64, group: usize, count: usize) -> Vec<Vec<Stroke>> {
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
