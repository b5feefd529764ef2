//! Two published distances between drawings, to check the harness that measures a model: their
//! scores on the official runs are known. Knows pictures only.

use onelook_edge::picture::frame::Frame;

/// Modified Hausdorff distance (Dubuisson and Jain 1994, eq. 6 and d22) of the inked points, each
/// set centred on its mean, in pixels. Ink is darker than 128. Infinite where one has no ink.
pub fn modified_hausdorff(a: &Frame, b: &Frame) -> f32 {
    let (a, b) = (inked(a), inked(b));
    if a.is_empty() || b.is_empty() {
        return f32::INFINITY;
    }
    let one_way = |from: &[[f32; 2]], to: &[[f32; 2]]| {
        let nearest = from.iter().map(|p| {
            to.iter()
                .map(|q| (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2))
                .fold(f32::INFINITY, f32::min)
                .sqrt()
        });
        nearest.sum::<f32>() / from.len() as f32
    };
    one_way(&a, &b).max(one_way(&b, &a))
}

fn inked(frame: &Frame) -> Vec<[f32; 2]> {
    let grey = frame.to_grey();
    let mut points: Vec<[f32; 2]> = grey
        .pixels()
        .iter()
        .enumerate()
        .filter(|(_, v)| **v < 128)
        .map(|(i, _)| [(i % grey.width()) as f32, (i / grey.width()) as f32])
        .collect();
    let count = points.len().max(1) as f32;
    let mean = [0, 1].map(|axis| points.iter().map(|p| p[axis]).sum::<f32>() / count);
    for point in &mut points {
        *point = [point[0] - mean[0], point[1] - mean[1]];
    }
    points
}

/// Sum of absolute differences of the grey levels; infinite between pictures of two sizes.
pub fn pixel_distance(a: &Frame, b: &Frame) -> f32 {
    let (a, b) = (a.to_grey(), b.to_grey());
    if (a.width(), a.height()) != (b.width(), b.height()) {
        return f32::INFINITY;
    }
    let differences = a.pixels().iter().zip(b.pixels());
    differences
        .map(|(a, b)| u32::from(a.abs_diff(*b)))
        .sum::<u32>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distances_of_two_lines_by_hand() {
        let dots = |at: &'static [(usize, usize)]| {
            Frame::from_fn(9, 5, move |x, y| if at.contains(&(x, y)) { 0 } else { 255 })
        };
        // Centred: -1, 0, 1 and -2, 2 along x. To the pair: (1 + 2 + 1) / 3; back: (1 + 1) / 2.
        let (three, two) = (dots(&[(1, 1), (2, 1), (3, 1)]), dots(&[(4, 3), (8, 3)]));
        assert_eq!(modified_hausdorff(&three, &two), 4.0 / 3.0);
        assert_eq!(modified_hausdorff(&two, &three), 4.0 / 3.0);
        assert_eq!(pixel_distance(&three, &two), 5.0 * 255.0);
        assert_eq!(modified_hausdorff(&three, &dots(&[])), f32::INFINITY);
    }
}
