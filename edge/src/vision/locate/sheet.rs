//! Marks that a sheet encloses: even ground goes all around strokes, and ends where the sheet does or
//! the picture. Finds every such ground and what it encloses, under several notions of what is even, and
//! says which is most likely the mark that is meant. Knows grey levels alone.

use super::{
    Bounds, DARKEST, MIN_CONTRAST, Patch, Patches, Polarity, around, interpolated, reached_by,
    unlikeness,
};

/// Ground is even where the lightest level in a square of 3x3 is less than this, of 256, times the
/// darkest. A sheet in noise and a pale stroke ask for different ones.
const EVEN: [u32; 6] = [280, 292, 304, 320, 360, 415];
/// The levels of a sheet are means over squares of so many places.
pub(super) const CELL: usize = 12;
/// A sheet has at least one of so many places of the picture...
const LEAST_SHARE: usize = 300;
/// ... and encloses at least so many.
const LEAST_ENCLOSED: u32 = 20;
/// So many of the largest are looked at, under each notion of even.
const MOST_SHEETS: usize = 10;
/// So many patches of one sheet may be strokes, the heaviest.
const MOST_PATCHES: usize = 64;
/// So many clusters of them may be a mark.
const MOST_CLUSTERS: usize = 8;
/// Patches of one cluster are no farther apart than so much of the longer side of both...
const APART: f32 = 0.5;
/// ... or, if one pen may have drawn them, so much.
const ALIKE_APART: f32 = 1.0;
/// Of 255: what is less unlike its sheet is texture.
const TEXTURE: u8 = 26;
/// Of 255: a mark is at least so unlike its sheet.
const LEAST_CONTRAST: u32 = 31;
/// A mark is at least so many places of ink.
const LEAST_INK: u32 = 12;
/// A patch with less than this share of the heaviest one's mass is dirt.
const DIRT_SHARE: f32 = 0.01;
/// Boxes that overlap so much are of the same thing.
const SAME: f32 = 0.8;
/// What is less likely is no mark.
const LEAST_LIKELY: f32 = 1.5;

/// What may be the mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// [left, top, right, bottom], ends included.
    pub bounds: [usize; 4],
    pub ink_to_paper: f32,
    /// Mean level of its sheet.
    pub mean: f32,
    /// How much of the least convex shape around it the sheet fills with all that is in it, 0 to 1.
    pub convex: f32,
    /// Its sheet, of all that were looked at.
    sheet: usize,
    likely: f32,
}

/// Even ground that was looked at.
#[derive(Debug)]
struct Sheet {
    /// Its number, of all that were looked at.
    nth: usize,
    left: usize,
    top: usize,
    /// One beyond.
    right: usize,
    /// One beyond.
    bottom: usize,
    /// Its mean level.
    mean: f32,
    /// How much of the least convex shape around it it fills with all that is in it, 0 to 1: a sheet has no bays, and
    /// paper around a stroke that runs out of it has.
    convex: f32,
    /// The share of the picture's border that it reaches.
    border: f32,
}

/// What speaks for a mark, beside its sheet.
struct Signs {
    /// Sum of squared contrasts, each 0 to 1.
    mass: f32,
    /// The side of the largest square of ink, by the longer side of the mark.
    thick: f32,
    /// The share of its mass that is solid, 0 to 1.
    solid: f32,
    /// Its shorter side by its longer one.
    aspect: f32,
    /// Distance from the edge of the sheet, by the longer side of the mark.
    apart: f32,
}

impl Sheet {
    /// Log odds of a mark on it beside the other candidates, fitted (multinomial logit) on 24,000 photographs by the
    /// simulated camera of background alphabets that do not validate, half at full strength, a quarter each at half of
    /// it and at full strength on paper without an edge: much ink, in thin strokes, neither a line nor things that lie
    /// together, on a sheet without bays, from whose edge it stands apart; a desk reaches the border. The candidates, and
    /// how often each was found, were those of the notions of even 292, 320 and 415.
    fn likely(&self, mark: Signs) -> f32 {
        1.1 * (1.0 + mark.mass).ln()
            - 2.7 * (1.02 - self.convex.min(1.0)).ln()
            - 12.8 * (mark.thick - 0.15).max(0.0)
            - 4.0 * mark.solid.sqrt()
            + 1.8 * mark.aspect
            + 5.4 * (mark.apart + 0.02).min(0.4).ln()
            - 6.2 * self.border
    }

    /// Its levels, of those of all sheets of a picture of this size.
    fn levels<'a>(&self, all: &'a [f32], height: usize, width: usize) -> Levels<'a> {
        let columns = width.div_ceil(CELL);
        let count = columns * height.div_ceil(CELL);
        Levels {
            cells: &all[self.nth * count..][..count],
            columns,
        }
    }
}

/// The level of a sheet anywhere.
struct Levels<'a> {
    cells: &'a [f32],
    columns: usize,
}

impl Levels<'_> {
    fn at(&self, x: usize, y: usize) -> f32 {
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        interpolated(self.cells, self.columns, CELL as f32, x, y)
    }
}

/// The memory in which sheets are searched.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    lightest: Vec<u8>,
    darkest: Vec<u8>,
    division: Division,
    /// Labels of sheets, the largest first.
    largest: Vec<u32>,
    /// How unlike the sheet is what lies in it, -255 to 255; above 0 where it is darker.
    unlike: Vec<i16>,
    /// By cell, of one sheet after the other.
    levels: Vec<f32>,
    /// By row, of one sheet after the other: where it begins, and one beyond where it ends.
    ends: Vec<(u16, u16)>,
    weights: Vec<f32>,
    hull: Vec<[f32; 2]>,
    candidates: Vec<Candidate>,
}

impl Sheets {
    /// The most likely mark in a picture, whose levels are given as they are and smoothed; of equal ones the
    /// first that was found.
    pub(super) fn search(
        &mut self,
        levels: &[u8],
        smooth: &[u8],
        width: usize,
        patches: &mut Patches,
    ) -> Option<Candidate> {
        let height = smooth.len() / width;
        extremes(smooth, width, u8::max, &mut self.lightest);
        extremes(smooth, width, u8::min, &mut self.darkest);
        self.unlike.clear();
        self.unlike.resize(smooth.len(), 0);
        self.hull.clear();
        self.hull.reserve(2 * height);
        self.levels.clear();
        self.levels
            .reserve(EVEN.len() * MOST_SHEETS * width.div_ceil(CELL) * height.div_ceil(CELL));
        self.ends.clear();
        self.ends.reserve(EVEN.len() * MOST_SHEETS * height);
        self.candidates.clear();
        self.candidates
            .reserve(EVEN.len() * MOST_SHEETS * 2 * (MOST_CLUSTERS + 1));
        for even in EVEN {
            let Self {
                lightest,
                darkest,
                division,
                largest,
                ..
            } = &mut *self;
            division.divide(width, height, |at| {
                let (light, dark) = (lightest[at].max(DARKEST), darkest[at].max(DARKEST));
                256 * u32::from(light) < even * u32::from(dark)
            });
            let parts = &division.parts;
            largest.clear();
            largest.reserve(LEAST_SHARE);
            largest.extend((0..).zip(parts).filter_map(|(label, part)| {
                let is_sheet = part.is_even
                    && part.area as usize * LEAST_SHARE >= smooth.len()
                    && part.filled >= part.area + LEAST_ENCLOSED;
                is_sheet.then_some(label)
            }));
            largest.sort_unstable_by_key(|&label| {
                (std::cmp::Reverse(parts[label as usize].area), label)
            });
            for nth in 0..self.largest.len().min(MOST_SHEETS) {
                self.enclosed(self.largest[nth], [levels, smooth], width, patches);
            }
        }
        let candidates = &self.candidates;
        let mut best: Option<Candidate> = None;
        for candidate in candidates {
            let own = Bounds::of(candidate.bounds);
            // What is found under many notions of even is no accident of one.
            let same = |other: &&Candidate| own.overlap(&Bounds::of(other.bounds)) > SAME;
            let found = candidates.iter().filter(same).count() as f32;
            let likely = candidate.likely + 0.95 * found.ln();
            if best.map_or(likely >= LEAST_LIKELY, |best| likely > best.likely) {
                best = Some(Candidate {
                    likely,
                    ..*candidate
                });
            }
        }
        best
    }

    /// The levels of a candidate's sheet, so many cells of [`CELL`] places, row by row.
    pub(super) fn levels(&self, of: &Candidate, cells: usize) -> &[f32] {
        &self.levels[of.sheet * cells..][..cells]
    }

    /// Where in each of so many rows a candidate's sheet begins, and one beyond where it ends.
    pub(super) fn ends(&self, of: &Candidate, rows: usize) -> &[(u16, u16)] {
        &self.ends[of.sheet * rows..][..rows]
    }

    /// Adds what a sheet encloses: its dark ink and its light ink.
    fn enclosed(
        &mut self,
        label: u32,
        [sharp, smooth]: [&[u8]; 2],
        width: usize,
        memory: &mut Patches,
    ) {
        self.division.look_inside(label);
        let sheet = self.measured(label, smooth, width);
        let histograms = self.compared(&sheet, smooth, width);
        for polarity in [Polarity::DarkInk, Polarity::LightInk] {
            let histogram = &histograms[polarity as usize];
            if histogram.iter().sum::<u32>() < LEAST_INK {
                continue;
            }
            let contrast = reached_by(histogram, 10);
            let Some(contrast) = contrast.filter(|contrast| *contrast >= LEAST_CONTRAST) else {
                continue;
            };
            self.add_marks(&sheet, (polarity, contrast), sharp, width, memory);
        }
        for y in sheet.top..sheet.bottom {
            for (start, end) in self.division.enclosed(y) {
                self.unlike[y * width..][start..end].fill(0);
            }
        }
    }

    /// Keeps a sheet's levels and ends, and says what else it is.
    fn measured(&mut self, label: u32, smooth: &[u8], width: usize) -> Sheet {
        let Self {
            division,
            levels,
            ends,
            weights,
            hull,
            ..
        } = self;
        let height = smooth.len() / width;
        let (columns, lines) = (width.div_ceil(CELL), height.div_ceil(CELL));
        let nth = ends.len() / height;
        ends.resize((nth + 1) * height, (0, 0));
        let ends = &mut ends[nth * height..];
        levels.resize((nth + 1) * columns * lines, 0.0);
        let cells = &mut levels[nth * columns * lines..];
        weights.clear();
        weights.resize(cells.len(), 0.0);
        let (mut left, mut top, mut right, mut bottom) = (width, height, 0, 0);
        let mut border = 0;
        for y in 0..height {
            for run in division.row(y).iter().filter(|run| run.label == label) {
                let (start, end) = run.ends();
                let first = if ends[y].1 == 0 { run.start } else { ends[y].0 };
                ends[y] = (first, run.end);
                (left, right) = (left.min(start), right.max(end));
                (top, bottom) = (top.min(y), y + 1);
                for (x, level) in (start..).zip(&smooth[y * width..][start..end]) {
                    let cell = y / CELL * columns + x / CELL;
                    cells[cell] += f32::from(*level);
                    weights[cell] += 1.0;
                }
                if y == 0 || y + 1 == height {
                    border += end - start;
                }
                border += usize::from(start == 0) + usize::from(end == width);
            }
        }
        let Part { area, filled, .. } = division.parts[label as usize];
        let mean = cells.iter().sum::<f32>() / area as f32;
        fill_in(cells, weights, columns, mean);
        for level in &mut *cells {
            *level = level.max(f32::from(DARKEST));
        }
        Sheet {
            nth,
            left,
            top,
            right,
            bottom,
            mean,
            convex: filled as f32 / hull_area(ends, hull),
            border: border as f32 / (2 * (width + height)) as f32,
        }
    }

    /// Keeps how unlike a sheet is what lies in it; of what is darker, then of what is lighter, how many places
    /// are how unlike.
    fn compared(&mut self, sheet: &Sheet, smooth: &[u8], width: usize) -> [[u32; 256]; 2] {
        let levels = sheet.levels(&self.levels, smooth.len() / width, width);
        let mut histograms = [[0u32; 256]; 2];
        for y in sheet.top..sheet.bottom {
            for (start, end) in self.division.enclosed(y) {
                for x in start..end {
                    let (here, paper) = (smooth[y * width + x], levels.at(x, y) as u8);
                    let difference = unlikeness(here, paper);
                    let is_light = here > paper;
                    let sign = if is_light { -1 } else { 1 };
                    self.unlike[y * width + x] = i16::from(difference) * sign;
                    if difference >= TEXTURE {
                        histograms[usize::from(is_light)][usize::from(difference)] += 1;
                    }
                }
            }
        }
        histograms
    }

    /// Adds the ink of a polarity, whose full contrast is so much of 255: all that is there, and each cluster of it.
    fn add_marks(
        &mut self,
        sheet: &Sheet,
        (polarity, contrast): (Polarity, u32),
        sharp: &[u8],
        width: usize,
        memory: &mut Patches,
    ) {
        let Self {
            unlike,
            levels,
            candidates,
            ..
        } = self;
        let Sheet {
            left,
            top,
            right,
            bottom,
            ..
        } = *sheet;
        let levels = sheet.levels(levels, sharp.len() / width, width);
        // Ink is what is nearer to the level of full contrast than to that of paper.
        let least = match polarity {
            Polarity::DarkInk => contrast.div_ceil(2),
            Polarity::LightInk => (255 * contrast).div_ceil(510 - contrast),
        } as i16;
        let contrast_at = |x: usize, y: usize| {
            let darker = unlike[(top + y) * width + left + x];
            match polarity {
                Polarity::DarkInk => darker,
                Polarity::LightInk => -darker,
            }
        };
        memory.find(right - left, bottom - top, |y, ink| {
            for (x, ink) in ink.iter_mut().enumerate() {
                *ink = u8::from(contrast_at(x, y) >= least);
            }
        });
        let Patches {
            patches,
            places,
            squares,
            ..
        } = memory;
        for patch in &mut *patches {
            let places = patch.places(places).iter();
            let contrasts = places.map(|place| contrast_at(place.x.into(), place.y.into()));
            patch.mass = contrasts.map(|c| (f32::from(c) / 255.0).powi(2)).sum();
        }
        let most = patches.iter().map(|patch| patch.mass).fold(0.0, f32::max);
        patches.retain(|patch| patch.mass > DIRT_SHARE * most);
        patches.sort_unstable_by(|a, b| b.mass.total_cmp(&a.mass).then(a.first.cmp(&b.first)));
        patches.truncate(MOST_PATCHES);
        let ink = |x: usize, y: usize| contrast_at(x, y) >= least;
        for patch in &mut *patches {
            patch.thick = largest_square(patch.bounds, ink, squares);
        }
        let clusters = cluster(patches);
        let all = (clusters > 1).then_some(None);
        for which in all.into_iter().chain((0..clusters).map(Some)) {
            let members = || {
                let is_member = |patch: &&Patch| which.is_none_or(|which| patch.cluster == which);
                patches.iter().filter(is_member)
            };
            let Some(bounds) = members().map(|patch| patch.bounds).reduce(around) else {
                continue;
            };
            let (mut inked, mut under) = (0.0, 0.0);
            for place in members().flat_map(|patch| patch.places(places)) {
                let (x, y) = (left + usize::from(place.x), top + usize::from(place.y));
                inked += f32::from(sharp[y * width + x]);
                under += levels.at(x, y);
            }
            let count = members().map(|patch| patch.area).sum::<usize>() as f32;
            if (inked - under).abs() < 0.6 * MIN_CONTRAST * count {
                continue;
            }
            let [l, t, r, b] = bounds;
            let (across, down) = (r - l + 1, b - t + 1);
            let side = across.max(down) as f32;
            let mass: f32 = members().map(|patch| patch.mass).sum();
            let solid: f32 = members().map(Patch::solid_mass).sum();
            let thick = members().map(|patch| patch.thick).max().unwrap_or(0);
            let apart = l.min(t).min(right - left - 1 - r).min(bottom - top - 1 - b);
            candidates.push(Candidate {
                bounds: [left + l, top + t, left + r, top + b],
                ink_to_paper: inked / under,
                mean: sheet.mean,
                convex: sheet.convex,
                sheet: sheet.nth,
                likely: sheet.likely(Signs {
                    mass,
                    thick: f32::from(thick) / side,
                    solid: solid / mass,
                    aspect: across.min(down) as f32 / side,
                    apart: apart as f32 / side,
                }),
            });
        }
    }
}

/// Places in a row that are all even, or all not.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u16,
    /// One beyond the last.
    end: u16,
    label: u32,
}

impl Run {
    fn ends(&self) -> (usize, usize) {
        (self.start.into(), self.end.into())
    }
}

/// A connected part of the picture: even ground (4-connected) or what is uneven (8-connected).
#[derive(Clone, Copy, Debug)]
struct Part {
    is_even: bool,
    /// The first of those that it is joined with, or one that leads there. Only the first counts.
    first: u32,
    /// What it lies in; its label is lower.
    around: u32,
    /// Places.
    area: u32,
    /// With all that lies in it.
    filled: u32,
    /// Whether it lies in the sheet that is looked at.
    is_inside: bool,
}

/// Label of what lies beyond the picture, and of everything uneven that reaches there.
const OUTSIDE: u32 = 0;

/// The parts of a picture, and what lies in what.
#[derive(Debug, Default)]
struct Division {
    runs: Vec<Run>,
    /// The first run of each row, and the number of runs.
    rows: Vec<usize>,
    /// By label.
    parts: Vec<Part>,
}

impl Division {
    fn row(&self, y: usize) -> &[Run] {
        &self.runs[self.rows[y]..self.rows[y + 1]]
    }

    /// The ends of what in row `y` lies in the sheet that is looked at.
    fn enclosed(&self, y: usize) -> impl Iterator<Item = (usize, usize)> {
        let inside = |run: &&Run| self.parts[run.label as usize].is_inside;
        self.row(y).iter().filter(inside).map(Run::ends)
    }

    /// Divides a picture of `width` x `height` places by which of them, counted row by row, are even.
    fn divide(&mut self, width: usize, height: usize, is_even: impl Fn(usize) -> bool) {
        let Self { runs, rows, parts } = self;
        runs.clear();
        runs.reserve(width * height);
        rows.clear();
        rows.reserve(height + 1);
        parts.clear();
        parts.reserve(width * height + 1);
        let part = |is_even, label, around| Part {
            is_even,
            first: label,
            around,
            area: 0,
            filled: 0,
            is_inside: false,
        };
        parts.push(part(false, OUTSIDE, OUTSIDE));
        for y in 0..height {
            let above = rows.last().copied().unwrap_or(0)..runs.len();
            rows.push(runs.len());
            let (mut start, mut over) = (0, above.start);
            while start < width {
                let kind = is_even(y * width + start);
                let more = (start + 1..width).find(|x| is_even(y * width + x) != kind);
                let end = more.unwrap_or(width);
                let at_border = y == 0 || y + 1 == height || start == 0 || end == width;
                let mut label = (!kind && at_border).then_some(OUTSIDE);
                // What is uneven is connected across corners, too.
                let reach = usize::from(!kind);
                while over < above.end && runs[over].ends().1 < start {
                    over += 1;
                }
                let mut next = over;
                while next < above.end && runs[next].ends().0 <= end {
                    let (first, last) = runs[next].ends();
                    let other = runs[next].label;
                    let touches = first < end + reach && start < last + reach;
                    if touches && parts[other as usize].is_even == kind {
                        label = Some(match label {
                            Some(label) => joined(parts, label, other),
                            None => first_of(parts, other),
                        });
                    }
                    next += 1;
                }
                let label = label.unwrap_or_else(|| {
                    let new = parts.len() as u32;
                    // What lies above the first place of a part is of the part around it.
                    let mut near = runs[over..above.end].iter();
                    let around = near.find(|run| run.ends().1 > start);
                    parts.push(part(kind, new, around.map_or(OUTSIDE, |run| run.label)));
                    new
                });
                parts[label as usize].area += (end - start) as u32;
                runs.push(Run {
                    start: start as u16,
                    end: end as u16,
                    label,
                });
                start = end;
            }
        }
        rows.push(runs.len());
        // The first of those that are joined counts for all.
        for label in (1..parts.len()).rev() {
            let first = first_of(parts, label as u32) as usize;
            if first != label {
                parts[first].area += std::mem::take(&mut parts[label].area);
            }
        }
        for label in (1..parts.len()).rev() {
            let around = parts[label].around;
            let around = first_of(parts, around);
            parts[label].around = around;
            parts[label].filled += parts[label].area;
            if parts[label].first as usize == label {
                parts[around as usize].filled += parts[label].filled;
            }
        }
        for run in runs {
            run.label = first_of(parts, run.label);
        }
    }

    /// Looks at what lies in a sheet.
    fn look_inside(&mut self, sheet: u32) {
        for label in 0..self.parts.len() {
            let around = self.parts[label].around;
            self.parts[label].is_inside = label > sheet as usize
                && (around == sheet || self.parts[around as usize].is_inside);
        }
    }
}

/// The first of those that a part is joined with.
fn first_of(parts: &mut [Part], label: u32) -> u32 {
    let mut first = label;
    loop {
        let next = parts[first as usize].first;
        if next == first {
            return first;
        }
        // The way is shorter for who comes next.
        let further = parts[next as usize].first;
        parts[first as usize].first = further;
        first = next;
    }
}

/// Joins two parts; the first of both.
fn joined(parts: &mut [Part], a: u32, b: u32) -> u32 {
    let (a, b) = (first_of(parts, a), first_of(parts, b));
    parts[a.max(b) as usize].first = a.min(b);
    a.min(b)
}

/// Numbers patches by what stands near to what; how many clusters there are, up to [`MOST_CLUSTERS`].
pub(super) fn cluster(patches: &mut [Patch]) -> usize {
    const NONE: usize = usize::MAX;
    for patch in &mut *patches {
        patch.cluster = NONE;
    }
    let mut count = 0;
    while let Some(seed) = patches.iter().position(|patch| patch.cluster == NONE)
        && count < MOST_CLUSTERS
    {
        patches[seed].cluster = count;
        let mut all = patches[seed].bounds;
        let first = patches[seed];
        let near = |all, patch: &Patch| {
            let apart = if are_alike(&first, patch) {
                ALIKE_APART
            } else {
                APART
            };
            patch.cluster == NONE && are_near(all, patch.bounds, apart)
        };
        while let Some(next) = patches.iter().position(|patch| near(all, patch)) {
            patches[next].cluster = count;
            all = around(all, patches[next].bounds);
        }
        count += 1;
    }
    count
}

/// Whether two patches may be strokes of one pen: as dark and as thick.
fn are_alike(a: &Patch, b: &Patch) -> bool {
    let within = |factor: f32, a: f32, b: f32| a.max(b) <= factor * a.min(b);
    let contrast = |patch: &Patch| (patch.mass / patch.area as f32).sqrt();
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
fn fill_in(cells: &mut [f32], weights: &mut [f32], columns: usize, mean: f32) {
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
fn hull_area(rows: &[(u16, u16)], hull: &mut Vec<[f32; 2]>) -> f32 {
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
fn extremes(levels: &[u8], width: usize, of: impl Fn(u8, u8) -> u8 + Copy, out: &mut Vec<u8>) {
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

    /// `#` is uneven.
    fn divided(picture: &[&str]) -> Division {
        let width = picture[0].len();
        let cells: Vec<u8> = picture.iter().flat_map(|row| row.bytes()).collect();
        let mut division = Division::default();
        division.divide(width, picture.len(), |at| cells[at] != b'#');
        division
    }

    #[test]
    fn parts_know_what_they_lie_in_and_how_much_lies_in_them() {
        let mut division = divided(&[
            "..........",
            ".########.",
            ".#......#.",
            ".#.##.#.#.",
            ".#.#.##.#.",
            ".#.####.#.",
            ".#......#.",
            ".########.",
            "..........",
        ]);
        let label = |division: &Division, x: usize, y: usize| {
            let found = |run: &&Run| (run.ends().0..run.ends().1).contains(&x);
            division.row(y).iter().find(found).unwrap().label
        };
        let part = |division: &Division, x, y| division.parts[label(division, x, y) as usize];
        let [desk, edge, card, stroke, counter] =
            [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)].map(|(x, y)| part(&division, x, y));
        // All that is drawn touches across corners, the counter and the card do not.
        assert_eq!(
            [desk, edge, card, stroke, counter].map(|p| p.area),
            [34, 26, 19, 10, 1]
        );
        assert_eq!(
            [desk, edge, card, stroke, counter].map(|p| p.filled),
            [90, 56, 30, 11, 1]
        );
        let around = [edge, card, stroke, counter].map(|part| part.around);
        let expected = [(0, 0), (1, 1), (2, 2), (3, 3)].map(|(x, y)| label(&division, x, y));
        assert_eq!(around, expected);
        assert_eq!(desk.around, OUTSIDE);
        division.look_inside(label(&division, 2, 2));
        assert_eq!(
            division.enclosed(4).collect::<Vec<_>>(),
            [(3, 4), (4, 5), (5, 7)]
        );
        assert_eq!(division.enclosed(0).count(), 0);
    }

    #[test]
    fn what_is_joined_late_is_one_part_and_what_reaches_the_border_is_outside() {
        let division = divided(&[".....", ".#.#.", ".#.#.", ".###.", "....#"]);
        // A U, which touches the corner below it.
        assert!(
            division
                .row(1)
                .iter()
                .filter(|run| run.ends().0 % 2 == 1)
                .all(|run| run.label == OUTSIDE)
        );
        let division = divided(&[".....", ".#.#.", ".#.#.", ".###.", "....."]);
        let u = division.row(1)[1].label;
        assert_eq!(division.row(1)[3].label, u);
        assert_eq!(division.parts[u as usize].area, 7);
        assert_eq!(division.parts[division.row(0)[0].label as usize].filled, 25);
    }

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
