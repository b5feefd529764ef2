//! The picture in which a mark is searched: its grey levels, averaged down, and means and histograms of them.

use crate::picture::frame::Frame;

/// The picture that is searched.
pub(super) struct View<'a> {
    pub width: usize,
    pub height: usize,
    pub levels: &'a [u8],
}

impl View<'_> {
    pub(super) fn border(&self) -> impl Iterator<Item = usize> + use<> {
        let (width, height) = (self.width, self.height);
        (0..width)
            .flat_map(move |x| [x, (height - 1) * width + x])
            .chain((0..height).flat_map(move |y| [y * width, y * width + width - 1]))
    }

    /// The 3x3 binomial mean; the edge is repeated.
    pub(super) fn smooth_into(&self, rows: &mut Vec<u16>, out: &mut Vec<u8>) {
        let (width, height) = (self.width, self.height);
        rows.clear();
        rows.resize(self.levels.len(), 0);
        for (out, row) in rows
            .chunks_exact_mut(width)
            .zip(self.levels.chunks_exact(width))
        {
            let of = |left: u8, own: u8, right: u8| {
                u16::from(left) + 2 * u16::from(own) + u16::from(right)
            };
            let (last, before) = (row[width - 1], row[width.saturating_sub(2)]);
            out[0] = of(row[0], row[0], row[1.min(width - 1)]);
            for (out, near) in out.iter_mut().skip(1).zip(row.windows(3)) {
                *out = of(near[0], near[1], near[2]);
            }
            if width > 1 {
                out[width - 1] = of(before, last, last);
            }
        }
        out.clear();
        for y in 0..height {
            let above = &rows[y.saturating_sub(1) * width..][..width];
            let own = &rows[y * width..][..width];
            let below = &rows[(y + 1).min(height - 1) * width..][..width];
            let near = above.iter().zip(own).zip(below);
            out.extend(
                near.map(|((above, own), below)| ((above + 2 * own + below + 8) / 16) as u8),
            );
        }
    }
}

/// Means of `factor` x `factor` blocks; the last row and column may average fewer pixels.
pub(super) fn averaged_down<'a>(
    grey: &'a Frame,
    factor: usize,
    memory: &'a mut Vec<u8>,
) -> &'a [u8] {
    if factor <= 1 {
        return grey.pixels();
    }
    let (width, height) = (grey.width(), grey.height());
    memory.clear();
    if factor == 2 && width.is_multiple_of(2) && height.is_multiple_of(2) {
        for rows in grey.pixels().chunks_exact(2 * width) {
            let (above, below) = rows.split_at(width);
            let (above, below) = (above.as_chunks::<2>().0, below.as_chunks::<2>().0);
            memory.extend(above.iter().zip(below).map(|(a, b)| {
                let sum = [a[0], a[1], b[0], b[1]].map(u16::from).iter().sum::<u16>();
                ((sum + 2) / 4) as u8
            }));
        }
        return memory;
    }
    for by in 0..height.div_ceil(factor) {
        for bx in 0..width.div_ceil(factor) {
            let rows = by * factor..height.min((by + 1) * factor);
            let columns = bx * factor..width.min((bx + 1) * factor);
            let count = (rows.len() * columns.len()) as u32;
            let sum: u32 = rows
                .flat_map(|y| &grey.pixels()[y * width..][columns.clone()])
                .map(|&v| u32::from(v))
                .sum();
            memory.push(((sum + count / 2) / count) as u8);
        }
    }
    memory
}

pub(super) fn histogram(levels: &[u8]) -> [u32; 256] {
    // Four histograms: with one, equal levels in a row would wait for one counter.
    let mut counts = [[0u32; 256]; 4];
    let (fours, rest) = levels.as_chunks::<4>();
    for four in fours {
        for (counts, &level) in counts.iter_mut().zip(four) {
            counts[usize::from(level)] += 1;
        }
    }
    for &level in rest {
        counts[0][usize::from(level)] += 1;
    }
    std::array::from_fn(|level| counts.iter().map(|counts| counts[level]).sum())
}
