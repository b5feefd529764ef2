//! Draws a character as one hand does this time, in ink. Knows nothing of how characters are invented.

use std::f32::consts::TAU;

use onelook_edge::picture::frame::Frame;
use rand_chacha::ChaCha8Rng;

use super::SIDE_PX;
use super::chance::*;
use super::lines::*;

/// One drawing of a character: its strokes as this hand moves this time, in ink.
pub(super) fn write(
    character: &[Stroke],
    seed: u64,
    group: usize,
    class: usize,
    drawer: usize,
) -> Frame {
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
pub(super) fn ink(strokes: &[Stroke], radius_px: f32) -> Frame {
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
