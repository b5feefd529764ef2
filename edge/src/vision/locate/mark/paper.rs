//! The brightness of paper under the light that falls on it. Knows nothing of ink.

/// The brightness of a sheet under the light that falls on it: means over squares, interpolated.
#[derive(Clone, Debug, PartialEq)]
pub struct Paper {
    pub(super) cell_px: f32,
    pub(super) columns: usize,
    /// Row-major, 1 to 255.
    pub(super) levels: Vec<f32>,
    pub(super) mean: f32,
    pub(super) row_px: f32,
    /// Where in each row the sheet begins, and where it ends, in units of a row's height. Empty where
    /// it is everywhere.
    pub(super) ends: Vec<(u16, u16)>,
}

impl Paper {
    /// The level at (x, y) in pixels of the picture, 1 to 255.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        interpolated(&self.levels, self.columns, self.cell_px, x, y)
    }

    /// Whether (x, y), in pixels of the picture, is on the sheet.
    pub(super) fn holds(&self, x: f32, y: f32) -> bool {
        let (column, row) = (x / self.row_px, y / self.row_px);
        self.ends.is_empty()
            || row >= 0.0
                && self.ends.get(row as usize).is_some_and(|&(start, end)| {
                    (f32::from(start)..f32::from(end)).contains(&column)
                })
    }

    /// The mean level, 1 to 255.
    pub fn mean(&self) -> f32 {
        self.mean
    }
}

/// Between the middles of squares, row by row, at (x, y).
pub(super) fn interpolated(levels: &[f32], columns: usize, cell_px: f32, x: f32, y: f32) -> f32 {
    let rows = levels.len() / columns;
    let place = |v: f32, count: usize| {
        let v = (v / cell_px - 0.5).clamp(0.0, (count - 1) as f32);
        let low = (v as usize).min(count.saturating_sub(2));
        (low, (low + 1).min(count - 1), v - low as f32)
    };
    let (left, right, fx) = place(x, columns);
    let (top, bottom, fy) = place(y, rows);
    let row = |y: usize| {
        let (a, b) = (levels[y * columns + left], levels[y * columns + right]);
        a + (b - a) * fx
    };
    row(top) + (row(bottom) - row(top)) * fy
}
