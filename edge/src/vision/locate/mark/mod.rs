//! Finds the drawn or printed mark in a picture: the sheet it stands on, where its ink is, and how
//! bright ink and paper are under the light that falls there. Knows grey levels only: nothing of
//! networks, identities or cameras.

mod blobs;
mod paper;
mod shapes;
mod sheet;
mod two_levels;
mod view;

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;
use blobs::Blobs;
pub use paper::Paper;
use sheet::{CELL, Sheets};
use two_levels::TwoLevels;
use view::{View, averaged_down};

/// Ink and paper must differ by this many grey levels (of 255); on a sheet in a scene, where strokes are
/// blurred, by 0.6 of it in the mean. Else the picture is blank.
const MIN_CONTRAST: f32 = 24.0;

/// Finding a mark needs no more detail than this; larger pictures are averaged down first.
const SEARCH_SIDE_PX: usize = 320;

/// A mark in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The tight box around the ink, in pixels of the picture.
    pub bounds: Bounds,
    /// What it stands on.
    pub paper: Paper,
    /// How bright ink is beside the paper around it: below 1 for dark ink, above for light.
    pub ink_to_paper: f32,
}

impl Mark {
    /// How much of a place is ink, 0 (paper, and what lies beyond it) to 1: light that falls unevenly
    /// changes paper and ink alike. `level` is 0 to 255 at (x, y) in pixels of the picture.
    pub fn ink(&self, level: f32, x: f32, y: f32) -> f32 {
        if !self.paper.holds(x, y) {
            return 0.0;
        }
        ((level / self.paper.at(x, y) - 1.0) / (self.ink_to_paper - 1.0)).clamp(0.0, 1.0)
    }
}

/// The memory that [`mark_in`] works in.
#[derive(Debug, Default)]
pub struct SearchMemory {
    grey: Frame,
    small: Vec<u8>,
    rows: Vec<u16>,
    smooth: Vec<u8>,
    blobs: Blobs,
    sheets: Sheets,
    found: Option<Mark>,
    /// Of the last mark, to be filled again.
    levels: Vec<f32>,
    ends: Vec<(u16, u16)>,
}

/// The mark in `frame`, dark on light or light on dark; `None` where there is nothing but paper.
///
/// A picture of two levels alone is paper and ink. In any other one a mark is what even ground goes all
/// around: a sheet, or the picture's own.
pub fn mark(frame: &Frame) -> Option<Mark> {
    let mut memory = SearchMemory::default();
    mark_in(frame, &mut memory);
    memory.found
}

/// The same in memory that is there already: from the second picture of a size on, nothing is allocated.
pub fn mark_in<'a>(frame: &Frame, memory: &'a mut SearchMemory) -> Option<&'a Mark> {
    if let Some(last) = memory.found.take() {
        (memory.levels, memory.ends) = (last.paper.levels, last.paper.ends);
    }
    let SearchMemory {
        grey,
        small,
        rows,
        smooth,
        blobs,
        sheets,
        found: kept,
        levels,
        ends,
    } = memory;
    let grey = frame.in_channels(1, grey);
    let factor = grey.width().max(grey.height()).div_ceil(SEARCH_SIDE_PX);
    let view = View {
        width: grey.width().div_ceil(factor),
        height: grey.height().div_ceil(factor),
        levels: averaged_down(grey, factor, small),
    };
    let scale = factor as f32;
    let bounds = |[left, top, right, bottom]: [usize; 4]| {
        let (x, y) = (left as f32 * scale, top as f32 * scale);
        Bounds {
            x,
            y,
            width: ((right + 1) as f32 * scale).min(frame.width() as f32) - x,
            height: ((bottom + 1) as f32 * scale).min(frame.height() as f32) - y,
        }
    };
    blobs.make_room(view.width, view.height);
    let two_levels = view.two_levels(blobs);
    let is_clear = two_levels.as_ref().is_some_and(|found| found.is_clear);
    let on_sheet = (!is_clear).then(|| {
        view.smooth_into(rows, smooth);
        let found = sheets.search(view.levels, smooth, view.width, blobs)?;
        // In a picture that a program drew, only a card counts as a sheet.
        let is_card = |pure: &TwoLevels| {
            found.convex > 0.95 && (found.mean - pure.ink).abs() < (found.mean - pure.paper).abs()
        };
        let pure = two_levels.as_ref().filter(|found| found.is_pure);
        pure.is_none_or(is_card).then_some(found)
    });
    levels.clear();
    ends.clear();
    let (paper_mean, cell_px, columns, found, ink_to_paper) = if let Some(mark) = on_sheet.flatten()
    {
        let (columns, lines) = (view.width.div_ceil(CELL), view.height.div_ceil(CELL));
        levels.extend(sheets.levels(&mark, columns * lines));
        ends.extend(sheets.ends(&mark, view.height));
        (
            mark.mean,
            CELL as f32 * scale,
            columns,
            mark.bounds,
            mark.ink_to_paper,
        )
    } else {
        let found = two_levels?;
        levels.push(found.paper);
        (found.paper, 1.0, 1, found.bounds, found.ink / found.paper)
    };
    Some(kept.insert(Mark {
        bounds: bounds(found),
        paper: Paper {
            cell_px,
            columns,
            levels: std::mem::take(levels),
            mean: paper_mean,
            row_px: scale,
            ends: std::mem::take(ends),
        },
        ink_to_paper,
    }))
}

/// The smallest box [left, top, right, bottom] around two boxes, ends included.
fn around(a: [usize; 4], b: [usize; 4]) -> [usize; 4] {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

#[cfg(test)]
mod tests;
