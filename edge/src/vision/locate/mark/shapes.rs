//! The plain geometry of the search: hulls, squares, clusters, extremes and gaps in a grid. Knows places and
//! boxes: nothing of sheets.

use super::around;
use super::blobs::Blob;

/// At most this many clusters of blobs are told apart.
pub(super) const MOST_CLUSTERS: usize = 8;
/// Blobs of one cluster are no farther apart than this share of the longer side of both.
const APART: f32 = 0.5;
/// The same for blobs that one pen may have drawn.
const ALIKE_APART: f32 = 1.0;

/// Numbers blobs by what stands near to what; how many clusters there are, up to [`MOST_CLUSTERS`].
pub(super) fn cluster(blobs: &mut [Blob]) -> usize {
    const NONE: usize = usize::MAX;
    for blob in &mut *blobs {
        blob.cluster = NONE;
    }
    let mut count = 0;
    while let Some(seed) = blobs.iter().position(|blob| blob.cluster == NONE)
        && count < MOST_CLUSTERS
    {
        blobs[seed].cluster = count;
        let mut all = blobs[seed].bounds;
        let first = blobs[seed];
        let near = |all, blob: &Blob| {
            let apart = if are_alike(&first, blob) {
                ALIKE_APART
            } else {
                APART
            };
            blob.cluster == NONE && are_near(all, blob.bounds, apart)
        };
        while let Some(next) = blobs.iter().position(|blob| near(all, blob)) {
            blobs[next].cluster = count;
            all = around(all, blobs[next].bounds);
        }
        count += 1;
    }
    count
}

/// Whether two blobs may be strokes of one pen: as dark and as thick.
fn are_alike(a: &Blob, b: &Blob) -> bool {
    let within = |factor: f32, a: f32, b: f32| a.max(b) <= factor * a.min(b);
    let contrast = |blob: &Blob| (blob.mass / blob.area as f32).sqrt();
    within(1.2, contrast(a), contrast(b)) && within(1.6, a.thick.into(), b.thick.into())
}

/// Whether the gap between two boxes is at most `apart` of the longer side of both.
fn are_near(a: [usize; 4], b: [usize; 4], apart: f32) -> bool {
    let gap = |i: usize| a[i].max(b[i]).saturating_sub(a[i + 2].min(b[i + 2]));
    let side = |r: [usize; 4]| (r[2] - r[0] + 1).max(r[3] - r[1] + 1);
    gap(0).max(gap(1)) as f32 <= apart * side(a).max(side(b)) as f32
}

/// Side of the largest square of ink in a box [left, top, right, bottom], ends included.
pub(super) fn largest_square(
    [left, top, right, bottom]: [usize; 4],
    ink: impl Fn(usize, usize) -> bool,
    memory: &mut Vec<u16>,
) -> u16 {
    // Of the largest square that ends at each place of a row.
    memory.clear();
    memory.resize(right - left + 2, 0);
    let mut largest = 0;
    for y in top..=bottom {
        let mut above_left = 0;
        for x in left..=right {
            let (before, above) = (memory[x - left], memory[x - left + 1]);
            let own = if ink(x, y) {
                1 + before.min(above).min(above_left)
            } else {
                0
            };
            memory[x - left + 1] = own;
            above_left = above;
            largest = largest.max(own);
        }
    }
    largest
}

/// Means of cells, from sums over `weights` places; a cell without places takes the mean of those around it, or
/// else `mean`.
pub(super) fn fill_in(cells: &mut [f32], weights: &mut [f32], columns: usize, mean: f32) {
    for (cell, weight) in cells.iter_mut().zip(&mut *weights) {
        if *weight >= 4.0 {
            *cell /= *weight;
            *weight = 1.0;
        } else {
            (*cell, *weight) = (mean, 0.0);
        }
    }
    let lines = cells.len() / columns;
    // What is filled in a pass counts from the next one on.
    for pass in 1..columns.max(lines) {
        let mut missing = false;
        for at in 0..cells.len() {
            if weights[at] > 0.0 {
                continue;
            }
            let (x, y) = (at % columns, at / columns);
            let (mut sum, mut count) = (0.0, 0.0);
            for line in y.saturating_sub(1)..(y + 2).min(lines) {
                for near in
                    line * columns + x.saturating_sub(1)..line * columns + (x + 2).min(columns)
                {
                    if weights[near] > 0.0 && weights[near] <= pass as f32 {
                        sum += cells[near];
                        count += 1.0;
                    }
                }
            }
            if count > 0.0 {
                cells[at] = sum / count;
                weights[at] = (pass + 1) as f32;
            } else {
                missing = true;
            }
        }
        if !missing {
            break;
        }
    }
}

/// Area of the convex hull of a part (Andrew 1979), given where it begins in each row and one beyond where it ends.
pub(super) fn hull_area(rows: &[(u16, u16)], hull: &mut Vec<[f32; 2]>) -> f32 {
    let mut area = 0.0;
    for side in [-1.0, 1.0] {
        hull.clear();
        for (y, &(first, end)) in rows.iter().enumerate().filter(|(_, row)| row.0 < row.1) {
            let x = f32::from(if side < 0.0 { first } else { end });
            for y in [y as f32, (y + 1) as f32] {
                while let [.., a, b] = hull.as_slice()
                    && side * ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) < 0.0
                {
                    hull.pop();
                }
                hull.push([x, y]);
            }
        }
        let trapezia = hull.windows(2).map(|ends| {
            let [[ax, ay], [bx, by]] = [ends[0], ends[1]];
            (ax + bx) / 2.0 * (by - ay)
        });
        area += side * trapezia.sum::<f32>();
    }
    area
}

/// The extreme over a square of 3x3 about each place; beyond the edge is nothing.
pub(super) fn extremes(
    levels: &[u8],
    width: usize,
    of: impl Fn(u8, u8) -> u8 + Copy,
    out: &mut Vec<u8>,
) {
    let height = levels.len() / width;
    out.clear();
    out.resize(levels.len(), 0);
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let row = |y: usize| &levels[y * width..][..width];
        let near = row(y.saturating_sub(1))
            .iter()
            .zip(row(y))
            .zip(row((y + 1).min(height - 1)));
        for (out, ((above, own), below)) in out.iter_mut().zip(near) {
            *out = of(of(*above, *own), *below);
        }
        let mut before = out[0];
        for x in 0..width {
            let (own, after) = (out[x], out[(x + 1).min(width - 1)]);
            out[x] = of(of(before, own), after);
            before = own;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_of_a_square_is_the_square_and_bays_are_filled() {
        let mut memory = Vec::new();
        let square = [[(0, 0); 3], [(2, 12); 3], [(2, 12); 3], [(0, 0); 3]].concat();
        assert_eq!(hull_area(&square, &mut memory), 60.0);
        // A right triangle of steps: half of 6 x 6, and half of every step but the first.
        let steps: Vec<_> = (0..6).map(|y| (0, y + 1)).collect();
        assert_eq!(hull_area(&steps, &mut memory), 18.0 + 3.0 + 2.5);
        let bay = [(0, 10), (0, 10), (4, 6), (0, 0), (0, 10), (0, 10)];
        assert_eq!(hull_area(&bay, &mut memory), 60.0);
    }

    #[test]
    fn extremes_and_squares_are_those_of_a_search_of_all() {
        let (width, height) = (17, 11);
        let noise: Vec<u8> = (0..(width * height) as u32)
            .map(|i| (i * i * 31 % 251) as u8)
            .collect();
        let mut found = Vec::new();
        extremes(&noise, width, u8::max, &mut found);
        for (i, found) in found.iter().enumerate() {
            let (x, y) = (i % width, i / width);
            let near = (y.saturating_sub(1)..(y + 2).min(height))
                .flat_map(|y| (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| (x, y)));
            assert_eq!(Some(*found), near.map(|(x, y)| noise[y * width + x]).max());
        }
        let ink = |x: usize, y: usize| noise[y * width + x] < 210;
        let is_square = |x: usize, y: usize, side: usize| {
            (y..y + side).all(|y| (x..x + side).all(|x| x < width && y < height && ink(x, y)))
        };
        let largest = (0..=height)
            .rev()
            .find(|&side| (0..height).any(|y| (0..width).any(|x| is_square(x, y, side))));
        assert_eq!(
            largest,
            Some(largest_square([0, 0, width - 1, height - 1], ink, &mut Vec::new()).into())
        );
    }

    #[test]
    fn cells_without_places_take_what_is_around_them() {
        let mut cells = [40.0, 0.0, 0.0, 200.0];
        fill_in(&mut cells, &mut [4.0, 0.0, 0.0, 10.0], 4, 99.0);
        assert_eq!(cells, [10.0, 10.0, 20.0, 20.0]);
    }
}
