//! Where the luma of a walked picture goes. Knows blocks and places: nothing of codes.

use crate::kernel::idct::Transform;

/// Where luma goes.
pub(super) struct Luma<'a> {
    pub(super) most_pixels: u64,
    pub(super) transform: Transform,
    pub(super) levels: &'a mut Vec<u8>,
    pub(super) is_whole: bool,
}

impl Luma<'_> {
    /// Puts a block at its place, without what lies beyond the picture.
    #[inline]
    pub(super) fn put(
        &mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        coefficients: &[i32; 64],
        is_flat: bool,
    ) {
        if x >= width || y >= height {
            return;
        }
        let block = if is_flat {
            // What the transform makes of it.
            [((coefficients[0] + 4 + 8 * 128) >> 3).clamp(0, 255) as u8; 64]
        } else {
            (self.transform)(coefficients)
        };
        let rows = self.levels.chunks_exact_mut(width).skip(y);
        for (row, levels) in rows.zip(block.as_chunks::<8>().0) {
            match row[x..].first_chunk_mut::<8>() {
                Some(row) => *row = *levels,
                None => row[x..].copy_from_slice(&levels[..width - x]),
            }
        }
    }
}
