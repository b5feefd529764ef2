//! The paths of a pen: straight, curved, sampled in even steps, and measures of them. Knows nothing of chance.

/// (x, y) in a box from -0.5 to 0.5, y down.
pub(super) type Point = [f32; 2];
/// The path of the pen: two points or more, about [`STEP`] apart.
pub(super) type Stroke = Vec<Point>;

/// 1.5 pixels where a character is 75 pixels tall.
pub(super) const STEP: f32 = 0.02;

/// Straight from node to node.
pub(super) fn polyline(nodes: &[Point]) -> Stroke {
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
pub(super) fn spline(nodes: &[Point]) -> Stroke {
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
pub(super) fn sampled(path: impl Fn(f32) -> Point) -> Stroke {
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

pub(super) fn bounds(strokes: &[Stroke]) -> (Point, Point) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in strokes.iter().flatten() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    (low, high)
}

pub(super) fn distance(a: Point, b: Point) -> f32 {
    ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt()
}

pub(super) fn length(stroke: &[Point]) -> f32 {
    stroke
        .windows(2)
        .map(|pair| distance(pair[0], pair[1]))
        .sum()
}

pub(super) fn nearest(point: &Point, among: &[Point]) -> f32 {
    let squared = |other: &Point| (point[0] - other[0]).powi(2) + (point[1] - other[1]).powi(2);
    among.iter().map(squared).fold(f32::MAX, f32::min).sqrt()
}

pub(super) fn to_segment(point: Point, from: Point, to: Point) -> f32 {
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
pub(super) fn turn(a: Point, b: Point, c: Point) -> f32 {
    let (first, second) = ([b[0] - a[0], b[1] - a[1]], [c[0] - b[0], c[1] - b[1]]);
    let cross = first[0] * second[1] - first[1] * second[0];
    let dot = first[0] * second[0] + first[1] * second[1];
    cross.atan2(dot).abs()
}
