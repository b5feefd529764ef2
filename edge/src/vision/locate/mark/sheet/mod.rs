//! Marks that a sheet encloses: even ground goes all around strokes, and ends where the sheet does or
//! the picture. Finds every such ground and what it encloses, under several notions of what is even, and
//! says which is most likely the mark that is meant. Knows grey levels alone.

mod division;
mod signs;

use super::blobs::{Blob, Blobs};
use super::paper::interpolated;
use super::shapes::{MOST_CLUSTERS, cluster, extremes, fill_in, hull_area, largest_square};
use super::{MIN_CONTRAST, around};
use crate::picture::bounds::Bounds;
use division::{Division, Part};
use signs::Signs;

/// Ground is even where the lightest level in a square of 3x3 is less than this, of 256, times the
/// darkest. A sheet in noise and a pale stroke ask for different ones.
const EVEN: [u32; 6] = [280, 292, 304, 320, 360, 415];
/// Paper is never taken for darker than this: noise would then be ink.
const DARKEST: u8 = 8;
/// Side of the squares over which a sheet's levels are averaged, in places.
pub(super) const CELL: usize = 12;
/// A sheet covers at least one in this many places of the picture.
const LEAST_SHARE: usize = 300;
/// A sheet encloses at least this many places.
const LEAST_ENCLOSED: u32 = 20;
/// At most this many sheets, the largest, are searched under each notion of even.
const MOST_SHEETS: usize = 10;
/// At most this many blobs of one sheet, the heaviest, are taken for strokes.
const MOST_BLOBS: usize = 64;
/// Of 255: what is less unlike its sheet is texture.
const TEXTURE: u8 = 26;
/// Of 255: a mark is at least this unlike its sheet.
const LEAST_CONTRAST: u32 = 31;
/// A mark has at least this many places of ink.
const LEAST_INK: u32 = 12;
/// A blob with less than this share of the heaviest one's mass is dirt.
const DIRT_SHARE: f32 = 0.01;
/// Boxes that overlap by more than this are of the same thing.
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

impl Sheet {
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
        blobs: &mut Blobs,
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
                self.enclosed(self.largest[nth], [levels, smooth], width, blobs);
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

    /// The levels of a candidate's sheet: `cells` squares of [`CELL`] places a side, row by row.
    pub(super) fn levels(&self, of: &Candidate, cells: usize) -> &[f32] {
        &self.levels[of.sheet * cells..][..cells]
    }

    /// Where in each of `rows` rows a candidate's sheet begins, and one beyond where it ends.
    pub(super) fn ends(&self, of: &Candidate, rows: usize) -> &[(u16, u16)] {
        &self.ends[of.sheet * rows..][..rows]
    }

    /// Adds what a sheet encloses: its dark ink and its light ink.
    fn enclosed(
        &mut self,
        label: u32,
        [sharp, smooth]: [&[u8]; 2],
        width: usize,
        memory: &mut Blobs,
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

    /// Adds the ink of a polarity, whose full contrast is given of 255: all that is there, and each cluster of it.
    fn add_marks(
        &mut self,
        sheet: &Sheet,
        (polarity, contrast): (Polarity, u32),
        sharp: &[u8],
        width: usize,
        memory: &mut Blobs,
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
        let Blobs {
            blobs,
            places,
            squares,
            ..
        } = memory;
        for blob in &mut *blobs {
            let places = blob.places(places).iter();
            let contrasts = places.map(|place| contrast_at(place.x.into(), place.y.into()));
            blob.mass = contrasts.map(|c| (f32::from(c) / 255.0).powi(2)).sum();
        }
        let most = blobs.iter().map(|blob| blob.mass).fold(0.0, f32::max);
        blobs.retain(|blob| blob.mass > DIRT_SHARE * most);
        blobs.sort_unstable_by(|a, b| b.mass.total_cmp(&a.mass).then(a.first.cmp(&b.first)));
        blobs.truncate(MOST_BLOBS);
        let ink = |x: usize, y: usize| contrast_at(x, y) >= least;
        for blob in &mut *blobs {
            blob.thick = largest_square(blob.bounds, ink, squares);
        }
        let clusters = cluster(blobs);
        let all = (clusters > 1).then_some(None);
        for which in all.into_iter().chain((0..clusters).map(Some)) {
            let members = || {
                let is_member = |blob: &&Blob| which.is_none_or(|which| blob.cluster == which);
                blobs.iter().filter(is_member)
            };
            let Some(bounds) = members().map(|blob| blob.bounds).reduce(around) else {
                continue;
            };
            let (mut inked, mut under) = (0.0, 0.0);
            for place in members().flat_map(|blob| blob.places(places)) {
                let (x, y) = (left + usize::from(place.x), top + usize::from(place.y));
                inked += f32::from(sharp[y * width + x]);
                under += levels.at(x, y);
            }
            let count = members().map(|blob| blob.area).sum::<usize>() as f32;
            if (inked - under).abs() < 0.6 * MIN_CONTRAST * count {
                continue;
            }
            let [l, t, r, b] = bounds;
            let (across, down) = (r - l + 1, b - t + 1);
            let side = across.max(down) as f32;
            let mass: f32 = members().map(|blob| blob.mass).sum();
            let solid: f32 = members().map(Blob::solid_mass).sum();
            let thick = members().map(|blob| blob.thick).max().unwrap_or(0);
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

/// Which way ink differs from its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polarity {
    DarkInk,
    LightInk,
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

/// How unlike two levels are, 0 to 255: their difference as a share of the lighter one, rounded down.
fn unlikeness(a: u8, b: u8) -> u8 {
    // No quotient of such small integers is so near to the next integer that f32 would reach it.
    (255.0 * f32::from(a.abs_diff(b)) / f32::from(a.max(b).max(1))) as u8
}
