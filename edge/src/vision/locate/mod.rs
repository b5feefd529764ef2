//! Finds the drawn or printed mark in a picture: the sheet it stands on, where its ink is, and how
//! bright ink and paper are under the light that falls there. Knows grey levels only: nothing of
//! networks, identities or cameras.

use crate::picture::frame::Frame;

mod sheet;

use sheet::{CELL, Sheets};

/// Ink and paper must differ by this many grey levels (of 255); on a sheet in a scene, where strokes are
/// blurred, by 0.6 of it in the mean. Else the picture is blank.
const MIN_CONTRAST: f32 = 24.0;

/// Finding a mark needs no more detail than this; larger pictures are averaged down first.
const SEARCH_SIDE_PX: usize = 320;

/// A patch of ink with less than this share of all the ink is dirt, not a stroke.
const SPECK_SHARE: f64 = 0.005;

/// Where a picture is of two levels alone, its paper spreads by less than this share of their
/// distance.
const PLAIN_SPREAD: f32 = 0.12;

/// Paper is never taken for darker than this: noise would then be ink.
const DARKEST: u8 = 8;

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

/// The brightness of a sheet under the light that falls on it: means over squares, interpolated.
#[derive(Clone, Debug, PartialEq)]
pub struct Paper {
    cell_px: f32,
    columns: usize,
    /// Row-major, 1 to 255.
    levels: Vec<f32>,
    mean: f32,
    row_px: f32,
    /// Where in each row the sheet begins, and where it ends, in units of a row's height; of no rows, it is everywhere.
    ends: Vec<(u16, u16)>,
}

impl Paper {
    /// The level at (x, y) in pixels of the picture, 1 to 255.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        interpolated(&self.levels, self.columns, self.cell_px, x, y)
    }

    /// Whether (x, y), in pixels of the picture, is on the sheet.
    fn holds(&self, x: f32, y: f32) -> bool {
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
fn interpolated(levels: &[f32], columns: usize, cell_px: f32, x: f32, y: f32) -> f32 {
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

/// A box in picture coordinates: pixel (x, y) covers x..x+1, y..y+1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Above 0.
    pub width: f32,
    /// Above 0.
    pub height: f32,
}

impl Bounds {
    /// Around the places of a box [left, top, right, bottom], ends included.
    fn of([left, top, right, bottom]: [usize; 4]) -> Self {
        Self {
            x: left as f32,
            y: top as f32,
            width: (right - left + 1) as f32,
            height: (bottom - top + 1) as f32,
        }
    }

    /// The square about the same centre whose side is the longer side and `margin` of it more at
    /// either end. It may reach beyond the picture.
    pub fn square(&self, margin: f32) -> Bounds {
        let side = self.width.max(self.height) * (1.0 + 2.0 * margin);
        Bounds {
            x: self.x + (self.width - side) / 2.0,
            y: self.y + (self.height - side) / 2.0,
            width: side,
            height: side,
        }
    }

    /// What two boxes share, over what they cover together (Jaccard), 0 to 1.
    pub fn overlap(&self, other: &Bounds) -> f32 {
        let along = |a: f32, a_size: f32, b: f32, b_size: f32| {
            ((a + a_size).min(b + b_size) - a.max(b)).max(0.0)
        };
        let shared = along(self.x, self.width, other.x, other.width)
            * along(self.y, self.height, other.y, other.height);
        shared / (self.width * self.height + other.width * other.height - shared)
    }
}

/// The memory that [`mark_in`] works in.
#[derive(Debug, Default)]
pub struct Scratch {
    grey: Frame,
    small: Vec<u8>,
    rows: Vec<u16>,
    smooth: Vec<u8>,
    patches: Patches,
    sheets: Sheets,
    found: Option<Mark>,
    /// Of a mark that is gone.
    levels: Vec<f32>,
    ends: Vec<(u16, u16)>,
}

/// The mark in `frame`, dark on light or light on dark; `None` where there is nothing but paper.
///
/// A picture of two levels alone is paper and ink. In any other one a mark is what even ground goes all
/// around: a sheet, or the picture's own.
pub fn mark(frame: &Frame) -> Option<Mark> {
    let mut scratch = Scratch::default();
    mark_in(frame, &mut scratch);
    scratch.found
}

/// The same in memory that is there already: from the second picture of a size on, nothing is allocated.
pub fn mark_in<'a>(frame: &Frame, scratch: &'a mut Scratch) -> Option<&'a Mark> {
    if let Some(last) = scratch.found.take() {
        (scratch.levels, scratch.ends) = (last.paper.levels, last.paper.ends);
    }
    let Scratch {
        grey,
        small,
        rows,
        smooth,
        patches,
        sheets,
        found: kept,
        levels,
        ends,
    } = scratch;
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
    patches.make_room(view.width, view.height);
    let two_levels = view.two_levels(patches);
    let is_clear = two_levels.as_ref().is_some_and(|found| found.is_clear);
    let on_sheet = (!is_clear).then(|| {
        view.smooth_into(rows, smooth);
        let found = sheets.search(view.levels, smooth, view.width, patches)?;
        // In a picture that a program drew nothing but a card is taken for a sheet.
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

/// The picture that is searched.
struct View<'a> {
    width: usize,
    height: usize,
    levels: &'a [u8],
}

/// A mark in a picture of two levels.
struct TwoLevels {
    /// [left, top, right, bottom], ends included.
    bounds: [usize; 4],
    paper: f32,
    ink: f32,
    /// No camera gives levels this pure: a program drew it.
    is_pure: bool,
    /// Nothing else can be meant: thin strokes that stand together and are no things, or pure ones.
    is_clear: bool,
}

/// Which way ink differs from its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polarity {
    DarkInk,
    LightInk,
}

impl View<'_> {
    /// The mark in a picture of two levels: they are the classes of its histogram (Otsu 1979), and
    /// the paper is the one that the picture's border shows. `None` where there are more levels,
    /// or both at the border.
    fn two_levels(&self, memory: &mut Patches) -> Option<TwoLevels> {
        let levels = two_classes(self.levels)?;
        let contrast = levels.light - levels.dark;
        if contrast < MIN_CONTRAST {
            return None;
        }
        let border = self.border().filter(|&at| self.levels[at] > levels.split);
        let (light, all) = (border.count(), 2 * (self.width + self.height));
        let dark_on_light = 2 * light >= all;
        let unlike = if dark_on_light { all - light } else { light };
        let [dark_spread, light_spread] = levels.spread;
        // A stroke may then run along the border.
        let is_pure = dark_spread.max(light_spread) < 0.03 * contrast;
        let spread = if dark_on_light {
            light_spread
        } else {
            dark_spread
        };
        if spread > PLAIN_SPREAD * contrast || (16 * unlike > all && !is_pure) {
            return None;
        }
        let is_ink = |level: u8| (level <= levels.split) == dark_on_light;
        memory.find(self.width, self.height, |y, ink| {
            let row = &self.levels[y * self.width..];
            for (ink, &v) in ink.iter_mut().zip(row) {
                *ink = u8::from(is_ink(v));
            }
        });
        let Patches {
            patches, squares, ..
        } = memory;
        // What runs out of a photograph is what lies around the sheet.
        if !is_pure && patches.iter().any(|patch| !patch.is_cut) {
            patches.retain(|patch| !patch.is_cut);
        }
        let all: usize = patches.iter().map(|patch| patch.area).sum();
        let least = (all as f64 * SPECK_SHARE) as usize;
        patches.retain(|patch| patch.area >= least);
        let bounds = patches.iter().map(|patch| patch.bounds).reduce(around)?;
        let [left, top, right, bottom] = bounds;
        let (across, down) = (right - left + 1, bottom - top + 1);
        let is_solid = 5 * all > 2 * across * down;
        let is_clear = !is_solid
            && (is_pure
                || unlike == 0 && {
                    let (mut thick, mut solid) = (0, 0.0);
                    for patch in &mut *patches {
                        let ink = |x: usize, y: usize| is_ink(self.levels[y * self.width + x]);
                        patch.thick = sheet::largest_square(patch.bounds, ink, squares);
                        patch.mass = patch.area as f32;
                        thick = thick.max(usize::from(patch.thick));
                        solid += patch.solid_mass();
                    }
                    20 * thick <= 3 * across.max(down)
                        && 2.0 * solid <= all as f32
                        && sheet::cluster(patches) == 1
                });
        let (paper, ink) = if dark_on_light {
            (levels.light, levels.dark)
        } else {
            (levels.dark, levels.light)
        };
        Some(TwoLevels {
            bounds,
            paper: paper.max(1.0),
            ink,
            is_pure,
            is_clear,
        })
    }

    fn border(&self) -> impl Iterator<Item = usize> + use<> {
        let (width, height) = (self.width, self.height);
        (0..width)
            .flat_map(move |x| [x, (height - 1) * width + x])
            .chain((0..height).flat_map(move |y| [y * width, y * width + width - 1]))
    }

    /// The 3x3 binomial mean; the edge is repeated.
    fn smooth_into(&self, rows: &mut Vec<u16>, out: &mut Vec<u8>) {
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

/// A place in a view.
#[derive(Clone, Copy, Debug)]
struct Place {
    x: u16,
    y: u16,
}

impl Place {
    /// No view is larger than [`SEARCH_SIDE_PX`].
    fn at(x: usize, y: usize) -> Self {
        Self {
            x: x as u16,
            y: y as u16,
        }
    }
}

/// The 8-connected patches of ink in a view.
#[derive(Debug, Default)]
struct Patches {
    /// Where ink is that no patch has yet, 1 or 0, with a margin of one place around the view.
    ink: Vec<u8>,
    patches: Vec<Patch>,
    /// Of one patch after the other.
    places: Vec<Place>,
    /// For [`sheet::largest_square`].
    squares: Vec<u16>,
}

impl Patches {
    /// Has memory for all that may be found in a picture of that size, or in a part of it.
    fn make_room(&mut self, width: usize, height: usize) {
        let Self {
            ink,
            patches,
            places,
            squares,
        } = self;
        ink.clear();
        ink.reserve((width + 2) * (height + 2));
        places.clear();
        places.reserve(width * height);
        // One in every square of four places.
        patches.clear();
        patches.reserve(width.div_ceil(2) * height.div_ceil(2));
        squares.clear();
        squares.reserve(width + 1);
    }

    /// Finds them in row-major order; `fill` says for every row where ink is.
    fn find(&mut self, width: usize, height: usize, fill: impl Fn(usize, &mut [u8])) {
        let Self {
            ink,
            patches,
            places,
            ..
        } = self;
        let stride = width + 2;
        ink.clear();
        ink.resize(stride * (height + 2), 0);
        for (y, row) in ink
            .chunks_exact_mut(stride)
            .skip(1)
            .take(height)
            .enumerate()
        {
            fill(y, &mut row[1..=width]);
        }
        places.clear();
        patches.clear();
        let mut searched = 0;
        while let Some(start) = next_ink(ink, searched) {
            searched = start + 1;
            let first = places.len();
            ink[start] = 0;
            places.push(Place::at(start % stride - 1, start / stride - 1));
            let (mut low, mut high) = ([u16::MAX; 2], [0; 2]);
            let mut next = first;
            while let Some(&Place { x, y }) = places.get(next) {
                next += 1;
                (low, high) = (
                    [low[0].min(x), low[1].min(y)],
                    [high[0].max(x), high[1].max(y)],
                );
                for (down, ny) in (y..y + 3).enumerate() {
                    let above_left = (usize::from(y) + down) * stride + usize::from(x);
                    for (nx, ink) in (x..x + 3).zip(&mut ink[above_left..above_left + 3]) {
                        if *ink != 0 {
                            *ink = 0;
                            // Counted from the margin.
                            places.push(Place {
                                x: nx - 1,
                                y: ny - 1,
                            });
                        }
                    }
                }
            }
            let [left, top, right, bottom] = [low[0], low[1], high[0], high[1]].map(usize::from);
            patches.push(Patch {
                first,
                area: places.len() - first,
                bounds: [left, top, right, bottom],
                is_cut: left == 0 || top == 0 || right + 1 == width || bottom + 1 == height,
                mass: 0.0,
                thick: 0,
                cluster: 0,
            });
        }
    }
}

fn next_ink(ink: &[u8], mut from: usize) -> Option<usize> {
    while ink
        .get(from..from + 16)
        .is_some_and(|some| *some == [0; 16])
    {
        from += 16;
    }
    Some(from + ink[from..].iter().position(|&ink| ink != 0)?)
}

/// A connected patch of ink.
#[derive(Clone, Copy, Debug)]
struct Patch {
    /// Among all places.
    first: usize,
    area: usize,
    /// [left, top, right, bottom], ends included.
    bounds: [usize; 4],
    /// Whether it reaches the border of the picture.
    is_cut: bool,
    /// Area, weighed by the square of the contrast, 0 to 1.
    mass: f32,
    /// Side of the largest square within it.
    thick: u16,
    /// Which one of those that stand near to one another.
    cluster: usize,
}

impl Patch {
    fn places<'a>(&self, all: &'a [Place]) -> &'a [Place] {
        &all[self.first..self.first + self.area]
    }

    /// What its largest square has of its mass: little of a stroke, much of a thing.
    fn solid_mass(&self) -> f32 {
        self.mass * f32::from(self.thick).powi(2) / self.area as f32
    }
}

/// What one of `share` of all counted levels reaches; `None` of none.
fn reached_by(histogram: &[u32; 256], share: u32) -> Option<u32> {
    let all: u32 = histogram.iter().sum();
    let mut above = 0;
    (0..256u32).rev().find(|&level| {
        above += histogram[level as usize];
        above > 0 && above * share >= all
    })
}

fn histogram(levels: &[u8]) -> [u32; 256] {
    // Four at once: the same level in a row would wait for itself.
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

/// How unlike two levels are, 0 to 255: their difference as a share of the lighter one, rounded down.
fn unlikeness(a: u8, b: u8) -> u8 {
    // No quotient of such small integers is so near to the next integer that f32 would reach it.
    (255.0 * f32::from(a.abs_diff(b)) / f32::from(a.max(b).max(1))) as u8
}

/// Means of `factor` x `factor` blocks; the last row and column may average fewer pixels.
fn averaged_down<'a>(grey: &'a Frame, factor: usize, memory: &'a mut Vec<u8>) -> &'a [u8] {
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

struct TwoClasses {
    /// The highest level of the dark class.
    split: u8,
    dark: f32,
    light: f32,
    /// Standard deviations of the two.
    spread: [f32; 2],
}

/// The split of the histogram with the largest between-class variance (Otsu 1979, eq. 18); of
/// equal ones the lowest. `None` where all levels are the same.
fn two_classes(pixels: &[u8]) -> Option<TwoClasses> {
    let histogram = histogram(pixels);
    let total = pixels.len() as f64;
    let moment = |power: i32| -> f64 {
        (0..256)
            .map(|v| (v as f64).powi(power) * histogram[v] as f64)
            .sum()
    };
    let (total_sum, total_squares) = (moment(1), moment(2));
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let mut best: Option<(f64, TwoClasses)> = None;
    for split in 0..255u8 {
        count += histogram[split as usize] as f64;
        sum += f64::from(split) * histogram[split as usize] as f64;
        squares += f64::from(split).powi(2) * histogram[split as usize] as f64;
        if count == 0.0 || count == total {
            continue;
        }
        let dark = sum / count;
        let light = (total_sum - sum) / (total - count);
        let between = count * (total - count) * (light - dark) * (light - dark);
        if best.as_ref().is_none_or(|(most, _)| between > *most) {
            best = Some((
                between,
                TwoClasses {
                    split,
                    dark: dark as f32,
                    light: light as f32,
                    spread: [
                        (squares / count - dark * dark).max(0.0).sqrt() as f32,
                        ((total_squares - squares) / (total - count) - light * light)
                            .max(0.0)
                            .sqrt() as f32,
                    ],
                },
            ));
        }
    }
    best.map(|(_, classes)| classes)
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
mod tests {
    use super::*;

    /// An L: a bar of 3 x 12 at (10, 5) and a foot of 8 x 3 at (10, 17).
    fn ell(x: usize, y: usize) -> bool {
        ((10..13).contains(&x) && (5..17).contains(&y))
            || ((10..18).contains(&x) && (17..20).contains(&y))
    }

    const ELL: Bounds = Bounds {
        x: 10.0,
        y: 5.0,
        width: 8.0,
        height: 15.0,
    };

    #[test]
    fn dark_ink_on_light_paper_is_found_with_its_levels() {
        let frame = Frame::from_fn(40, 30, |x, y| if ell(x, y) { 20 } else { 220 });
        let mark = mark(&frame).unwrap();
        assert_eq!((mark.bounds, mark.paper.mean()), (ELL, 220.0));
        assert_eq!(mark.ink_to_paper, 20.0 / 220.0);
        // Half of the way from 220 to 20.
        assert!((mark.ink(120.0, 3.0, 4.0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn light_ink_on_dark_paper_is_found_with_its_levels() {
        let frame = Frame::from_fn(40, 30, |x, y| if ell(x, y) { 200 } else { 30 });
        let mark = mark(&frame).unwrap();
        assert_eq!((mark.bounds, mark.paper.mean()), (ELL, 30.0));
        assert!((mark.ink_to_paper - 200.0 / 30.0).abs() < 1e-5);
    }

    #[test]
    fn a_speck_does_not_stretch_the_box_and_a_dot_does() {
        let speck = |x, y| (x, y) == (60, 60);
        let dot = |x: usize, y: usize| (60..62).contains(&x) && (60..62).contains(&y);
        let bar = |x: usize, y: usize| (10..30).contains(&x) && (10..40).contains(&y);
        let with = |extra: &dyn Fn(usize, usize) -> bool| {
            let frame = Frame::from_fn(
                80,
                80,
                |x, y| {
                    if bar(x, y) || extra(x, y) { 0 } else { 255 }
                },
            );
            mark(&frame).unwrap().bounds
        };
        // 600 px of ink: dirt is below 3 px.
        assert_eq!(with(&speck).width, 20.0);
        assert_eq!(with(&dot).width, 52.0);
    }

    #[test]
    fn blank_paper_and_faint_paper_hold_no_mark() {
        assert_eq!(mark(&Frame::from_fn(20, 20, |_, _| 255)), None);
        let faint = Frame::from_fn(20, 20, |x, _| if x == 9 { 230 } else { 250 });
        assert_eq!(mark(&faint), None);
    }

    #[test]
    fn a_picture_of_any_size_is_searched() {
        let mut scratch = Scratch::default();
        for size in 1..200 {
            let (width, height) = (size % 14 + 1, size / 14 + 1);
            let noise = |x: usize, y: usize| {
                (((x * 7919 + y * 104_729 + size * 31) * 2_654_435) >> 9) as u8
            };
            let frame = Frame::from_fn(width, height, noise);
            let first = mark(&frame);
            if let Some(Mark { bounds, .. }) = &first {
                assert!(bounds.x + bounds.width <= width as f32);
                assert!(bounds.y + bounds.height <= height as f32);
            }
            assert_eq!(first.as_ref(), mark_in(&frame, &mut scratch));
        }
    }

    #[test]
    fn a_large_picture_is_searched_in_its_own_coordinates() {
        let frame = Frame::from_fn(1280, 1280, |x, y| {
            if (400..600).contains(&x) && (200..900).contains(&y) {
                0
            } else {
                255
            }
        });
        let bounds = mark(&frame).unwrap().bounds;
        assert_eq!((bounds.x, bounds.y), (400.0, 200.0));
        assert_eq!((bounds.width, bounds.height), (200.0, 700.0));
    }

    #[test]
    fn the_square_is_centred_with_its_margin() {
        let square = ELL.square(0.1);
        assert_eq!((square.width, square.height), (18.0, 18.0));
        assert_eq!((square.x, square.y), (5.0, 3.5));
    }

    /// The L three times as large, with its corner at (left, top).
    fn large_ell(x: usize, y: usize, left: usize, top: usize) -> bool {
        x >= left && y >= top && ell((x - left) / 3 + 10, (y - top) / 3 + 5)
    }

    /// That L at (90, 50), on a card from (40, 20) to (260, 200), on a
    /// darker desk: what is seen at a place, as a share of full light.
    fn on_a_desk(ink: f32, card: f32, desk: f32, light: impl Fn(f32, f32) -> f32) -> Frame {
        Frame::from_fn(320, 240, |x, y| {
            let shade = if large_ell(x, y, 90, 50) {
                ink
            } else if (40..260).contains(&x) && (20..200).contains(&y) {
                card
            } else {
                desk
            };
            // The noise of a camera: without any it would be a drawing.
            let grain = ((x * 7 + y * 13) % 9) as f32;
            (255.0 * shade * light(x as f32, y as f32) + grain) as u8
        })
    }

    /// The box of the L there.
    fn expected() -> Bounds {
        Bounds {
            x: 90.0,
            y: 50.0,
            width: 24.0,
            height: 45.0,
        }
    }

    fn is_it(mark: &Mark, expected: &Bounds) -> bool {
        mark.bounds.overlap(expected) > 0.85
    }

    fn found_at(frame: &Frame, expected: &Bounds) {
        let found = mark(frame).unwrap();
        assert!(is_it(&found, expected), "{:?}", found.bounds);
    }

    #[test]
    fn a_mark_on_a_card_is_the_ink_and_not_the_card() {
        let even = |_: f32, _: f32| 1.0;
        found_at(&on_a_desk(0.1, 0.9, 0.4, even), &expected());
        // A dark card on a light desk, and a light one on a dark desk.
        found_at(&on_a_desk(0.9, 0.15, 0.6, even), &expected());
        found_at(&on_a_desk(0.1, 0.9, 0.05, even), &expected());
    }

    #[test]
    fn uneven_light_and_a_shadow_across_the_mark_do_not_move_it() {
        let slanted = |x: f32, y: f32| 1.0 - 0.5 * x / 320.0 - 0.2 * y / 240.0;
        found_at(&on_a_desk(0.1, 0.9, 0.4, slanted), &expected());
        let shadow = |_: f32, y: f32| 1.0 - 0.5 * ((y - 60.0) / 20.0).clamp(0.0, 1.0);
        let frame = on_a_desk(0.1, 0.9, 0.4, shadow);
        found_at(&frame, &expected());
        // Paper and ink are told apart in the light and in the shadow alike.
        let mark = mark(&frame).unwrap();
        for (x, y, is_ink) in [(95, 55, 1.0), (105, 55, 0.0), (95, 85, 1.0), (125, 85, 0.0)] {
            let level = f32::from(frame.pixels()[y * 320 + x]);
            let ink = mark.ink(level, x as f32 + 0.5, y as f32 + 0.5);
            assert!((ink - is_ink).abs() < 0.15, "{ink} at {x}, {y}");
        }
    }

    #[test]
    fn a_hard_and_deep_shadow_through_the_mark_does_not_cut_it() {
        // It leaves 0.45 of the light and begins within four pixels, across and along the L.
        let shade = |v: f32| 1.0 - 0.55 * (v / 4.0).clamp(0.0, 1.0);
        found_at(
            &on_a_desk(0.1, 0.9, 0.4, |_, y| shade(y - 70.0)),
            &expected(),
        );
        found_at(
            &on_a_desk(0.1, 0.9, 0.4, |x, y| shade(x + y - 170.0)),
            &expected(),
        );
    }

    #[test]
    fn what_runs_out_of_the_picture_and_what_lies_on_the_desk_is_no_mark() {
        let mut frame = on_a_desk(0.1, 0.9, 0.4, |_, _| 1.0);
        let mut pixels = frame.pixels().to_vec();
        for y in 0..240 {
            for x in 0..320 {
                let pencil = (285..300).contains(&x) && (60..110).contains(&y);
                let cable = y < 12 && x > 150 || x < 6;
                if pencil || cable {
                    pixels[y * 320 + x] = 30;
                }
            }
        }
        frame = Frame::new(320, 240, 1, pixels).unwrap();
        found_at(&frame, &expected());
    }

    #[test]
    fn things_that_lie_together_on_the_desk_are_no_mark() {
        let shades = [0.05, 0.15, 0.4, 0.6, 0.8, 0.95];
        let (mut scenes, mut found) = (0, 0);
        for [card, ink, desk, thing] in
            (0..6usize.pow(4)).map(|i| [i, i / 6, i / 36, i / 216].map(|i| shades[i % 6]))
        {
            let apart = |a: f32, b: f32, least: f32| (a - b).abs() > least;
            if !(apart(card, ink, 0.24) && apart(card, desk, 0.14) && apart(thing, desk, 0.19)) {
                continue;
            }
            // Four squares beside a card with 14 pixels of margin.
            let things = [(30, 30, 22), (75, 45, 26), (45, 85, 24), (100, 90, 22)];
            let scene = Frame::from_fn(320, 240, |x, y| {
                let shade = if large_ell(x, y, 205, 135) {
                    ink
                } else if (191..243).contains(&x) && (121..194).contains(&y) {
                    card
                } else if things.iter().any(|&(left, top, side)| {
                    (left..left + side).contains(&x) && (top..top + side).contains(&y)
                }) {
                    thing
                } else {
                    desk
                };
                (240.0 * shade) as u8 + ((x * 7 + y * 13) % 9) as u8
            });
            let expected = Bounds {
                x: 205.0,
                y: 135.0,
                ..expected()
            };
            scenes += 1;
            found += usize::from(mark(&scene).is_some_and(|mark| is_it(&mark, &expected)));
        }
        assert!(10 * found >= 9 * scenes, "{found} of {scenes}");
    }

    #[test]
    fn boxes_overlap_by_what_they_share() {
        let wide = Bounds { width: 16.0, ..ELL };
        assert_eq!(ELL.overlap(&ELL), 1.0);
        // 8 x 15 of 16 x 15.
        assert_eq!(ELL.overlap(&wide), 0.5);
        assert_eq!(ELL.overlap(&Bounds { x: 90.0, ..ELL }), 0.0);
    }

    #[test]
    fn a_bold_ring_is_the_mark_and_what_shines_through_it_is_not() {
        let ring = |x: usize, y: usize| {
            let (dx, dy) = (x.abs_diff(155), y.abs_diff(115));
            dx.max(dy) <= 35 && dx.max(dy) > 21
        };
        let even = Frame::from_fn(320, 240, |x, y| if ring(x, y) { 20 } else { 220 });
        let shaded = Frame::from_fn(320, 240, |x, y| {
            let shade = if ring(x, y) { 0.1 } else { 0.9 };
            (255.0 * shade * (1.0 - x as f32 / 640.0)) as u8
        });
        let expected = Bounds {
            x: 120.0,
            y: 80.0,
            width: 71.0,
            height: 71.0,
        };
        found_at(&even, &expected);
        found_at(&shaded, &expected);
    }

    #[test]
    fn the_corner_of_a_desk_is_no_ink() {
        let frame = Frame::from_fn(320, 240, |x, y| {
            let corner = x + y < 15;
            let stroke = large_ell(x, y, 90, 50);
            // The grain of paper, so that no one takes it for a drawing.
            let grain = ((x * 7 + y * 13) % 23) as u8;
            if corner || stroke {
                20 + grain
            } else {
                210 + grain
            }
        });
        found_at(&frame, &expected());
    }
}
