//! Finds the drawn or printed mark in a picture: the sheet it stands on, where its ink is, and how
//! bright ink and paper are under the light that falls there. Knows grey levels only: nothing of
//! networks, identities or cameras.

use crate::frame::Frame;

/// Ink and paper must differ by this many grey levels (of 255); in a scene, where strokes are blurred,
/// by 0.6 of it in the mean. Else the picture is blank.
pub const MIN_CONTRAST: f32 = 24.0;

/// Finding a mark needs no more detail than this; larger pictures are averaged down first.
const SEARCH_SIDE_PX: usize = 320;

/// A patch of ink with less than this share of all the ink is dirt, not a stroke.
const SPECK_SHARE: f64 = 0.005;

/// In a scene a stroke is narrower than this share of the picture's shorter side.
const STROKE_SHARE: f32 = 0.2;

/// Where a picture is of two levels alone, its paper spreads by less than this share of their
/// distance.
const PLAIN_SPREAD: f32 = 0.12;

/// Paper is never taken for darker than this: noise would then be ink.
const DARKEST: u8 = 8;

/// A card seen at an angle still fills so much of the least rectangle around it.
const CARD_SQUARENESS: f32 = 0.82;

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
    /// How much of a place is ink, 0 (paper) to 1: light that falls unevenly changes paper and ink
    /// alike. `level` is 0 to 255 at (x, y) in pixels of the picture.
    pub fn ink(&self, level: f32, x: f32, y: f32) -> f32 {
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
}

impl Paper {
    /// The level at (x, y) in pixels of the picture, 1 to 255.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let rows = self.levels.len() / self.columns;
        let place = |v: f32, count: usize| {
            let v = (v / self.cell_px - 0.5).clamp(0.0, (count - 1) as f32);
            let low = (v as usize).min(count.saturating_sub(2));
            (low, (low + 1).min(count - 1), v - low as f32)
        };
        let (left, right, fx) = place(x, self.columns);
        let (top, bottom, fy) = place(y, rows);
        let row = |y: usize| {
            let (a, b) = (
                self.levels[y * self.columns + left],
                self.levels[y * self.columns + right],
            );
            a + (b - a) * fx
        };
        row(top) + (row(bottom) - row(top)) * fy
    }

    /// The mean level, 1 to 255.
    pub fn mean(&self) -> f32 {
        self.mean
    }
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
    patches: Patches,
    ends: Vec<(u16, u16)>,
    scene: Scene,
    found: Option<Mark>,
    /// Of a mark that is gone.
    levels: Vec<f32>,
}

/// The mark in `frame`, dark on light or light on dark; `None` where there is nothing but paper.
///
/// A picture of two levels alone is paper and ink. Any other is a scene, in which a mark is made
/// of strokes: what is narrow, unlike the even ground to both sides of it.
pub fn mark(frame: &Frame) -> Option<Mark> {
    let mut scratch = Scratch::default();
    mark_in(frame, &mut scratch);
    scratch.found
}

/// The same in memory that is there already: from the second picture of a size on, nothing is allocated.
pub fn mark_in<'a>(frame: &Frame, scratch: &'a mut Scratch) -> Option<&'a Mark> {
    if let Some(last) = scratch.found.take() {
        scratch.levels = last.paper.levels;
    }
    let grey = frame.in_channels(1, &mut scratch.grey);
    let factor = grey.width().max(grey.height()).div_ceil(SEARCH_SIDE_PX);
    let view = View {
        width: grey.width().div_ceil(factor),
        height: grey.height().div_ceil(factor),
        levels: averaged_down(grey, factor, &mut scratch.small),
    };
    let Scratch {
        patches,
        ends,
        scene,
        ..
    } = scratch;
    let Found {
        bounds: [left, top, right, bottom],
        paper,
        ink_to_paper,
    } = view.found(patches, ends, scene)?;
    let mut levels = std::mem::take(&mut scratch.levels);
    levels.clear();
    let (cell_px, columns) = match paper {
        Ground::Even(level) => {
            levels.push(level);
            (1.0, 1)
        }
        Ground::Below(polarity) => {
            let ground = &scratch.scene.grounds[polarity as usize];
            levels.extend(ground.iter().map(|&v| f32::from(v.max(DARKEST))));
            (1.0, view.width)
        }
    };
    let scale = factor as f32;
    let (x, y) = (left as f32 * scale, top as f32 * scale);
    scratch.found = Some(Mark {
        bounds: Bounds {
            x,
            y,
            width: ((right + 1) as f32 * scale).min(frame.width() as f32) - x,
            height: ((bottom + 1) as f32 * scale).min(frame.height() as f32) - y,
        },
        paper: Paper {
            cell_px: cell_px * scale,
            columns,
            mean: levels.iter().sum::<f32>() / levels.len() as f32,
            levels,
        },
        ink_to_paper,
    });
    scratch.found.as_ref()
}

/// The picture that is searched.
struct View<'a> {
    width: usize,
    height: usize,
    levels: &'a [u8],
}

/// A mark in a view.
struct Found {
    /// [left, top, right, bottom], ends included.
    bounds: [usize; 4],
    paper: Ground,
    ink_to_paper: f32,
}

/// The level of paper.
enum Ground {
    /// The same everywhere.
    Even(f32),
    /// The scene's ground for that ink.
    Below(Polarity),
}

/// Which way ink differs from its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polarity {
    DarkInk,
    LightInk,
}

impl View<'_> {
    fn found(
        &self,
        patches: &mut Patches,
        ends: &mut Vec<(u16, u16)>,
        scene: &mut Scene,
    ) -> Option<Found> {
        match self.plain(patches, ends) {
            // A card is as plain as a mark; then what is drawn on it is meant.
            Some((plain, true)) => {
                let [left, top, right, bottom] = plain.bounds;
                let (dx, dy) = ((right - left) / 20 + 1, (bottom - top) / 20 + 1);
                let on_card = |found: &Found| {
                    found.bounds[0] > left + dx
                        && found.bounds[1] > top + dy
                        && found.bounds[2] + dx < right
                        && found.bounds[3] + dy < bottom
                };
                Some(self.scene(scene).filter(on_card).unwrap_or(plain))
            }
            Some((plain, false)) => Some(plain),
            None => self.scene(scene),
        }
    }

    /// The mark in a picture of two levels: they are the classes of its histogram (Otsu 1979), and
    /// the paper is the one that the picture's border shows. `None` where there are more levels,
    /// or both at the border. Also whether the mark may be a card, seen whole: it is as square.
    fn plain(&self, memory: &mut Patches, ends: &mut Vec<(u16, u16)>) -> Option<(Found, bool)> {
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
        // No camera gives two levels this pure: a stroke may then run along the border.
        let is_drawing = dark_spread.max(light_spread) < 0.03 * contrast;
        let spread = if dark_on_light {
            light_spread
        } else {
            dark_spread
        };
        if spread > PLAIN_SPREAD * contrast || (16 * unlike > all && !is_drawing) {
            return None;
        }
        memory.find(self.width, self.height, |y, ink| {
            let row = &self.levels[y * self.width..];
            for (ink, &v) in ink.iter_mut().zip(row) {
                *ink = u8::from((v <= levels.split) == dark_on_light);
            }
        });
        let Patches {
            patches, places, ..
        } = memory;
        // What runs out of a photograph is what lies around the sheet.
        if !is_drawing && patches.iter().any(|patch| !patch.is_cut) {
            patches.retain(|patch| !patch.is_cut);
        }
        let all: usize = patches.iter().map(|patch| patch.area).sum();
        let least = (all as f64 * SPECK_SHARE) as usize;
        let strokes = patches.iter().filter(|patch| patch.area >= least);
        let bounds = strokes.map(|patch| patch.bounds).reduce(around)?;
        let largest = patches.iter().max_by_key(|patch| patch.area)?;
        let may_be_card = largest.squareness(places, ends) > CARD_SQUARENESS;
        let (paper, ink) = if dark_on_light {
            (levels.light, levels.dark)
        } else {
            (levels.dark, levels.light)
        };
        let paper = paper.max(1.0);
        let found = Found {
            bounds,
            paper: Ground::Even(paper),
            ink_to_paper: ink / paper,
        };
        Some((found, may_be_card))
    }

    /// The mark in a scene.
    fn scene(&self, scene: &mut Scene) -> Option<Found> {
        self.smooth_into(&mut scene.rows, &mut scene.smooth);
        scene.groups.clear();
        self.strokes(Polarity::DarkInk, scene);
        self.strokes(Polarity::LightInk, scene);
        let groups = &scene.groups;
        let best = groups
            .iter()
            .filter(|group| {
                let is_card = |other: &Group| !other.is_hole && group.holds(other);
                let is_hole_of = |other: &Group| group.is_hole && other.holds(group);
                !groups
                    .iter()
                    .any(|other| is_card(other) || is_hole_of(other))
            })
            .max_by(|a, b| a.likely.total_cmp(&b.likely))?;
        Some(Found {
            bounds: best.bounds,
            paper: Ground::Below(best.polarity),
            ink_to_paper: best.ink_to_paper,
        })
    }

    /// Adds what may be marks of one polarity.
    fn strokes(&self, polarity: Polarity, scene: &mut Scene) {
        let (width, height) = (self.width, self.height);
        let Scene {
            smooth,
            grounds,
            unlike,
            edge,
            windows,
            patches: memory,
            stands,
            flood,
            groups,
            ..
        } = scene;
        let narrow = ((width.min(height) as f32 * STROKE_SHARE) as usize).max(3);
        // The ground: what stays where all that is narrow and of the ink's brightness is taken away.
        let ground = &mut grounds[polarity as usize];
        windows.smoothed_over(smooth, width, narrow, polarity, ground);
        // How unlike its ground a place is, 0 to 255: of ink that takes all the light, 255.
        unlike.clear();
        unlike.extend(smooth.iter().zip(&*ground).map(|(&a, &b)| unlikeness(a, b)));
        // The grain of wood or paper is not ink; strokes are but a small part of a picture.
        let histogram = histogram(unlike);
        let mut below = 0;
        let grain = (0..256).find(|&v| {
            below += histogram[v];
            4 * below as usize >= 3 * unlike.len()
        });
        let least = (2 * grain.unwrap_or(0)).clamp(26, 90) as u8;
        // Where the ground has an edge of its own, strokes must stand out from that.
        windows.range(ground, width, 5, edge);
        memory.find(width, height, |y, ink| {
            let row = y * width..(y + 1) * width;
            let (smooth, ground) = (&smooth[row.clone()], &ground[row.clone()]);
            let (unlike, edge) = (&unlike[row.clone()], &edge[row]);
            for (x, ink) in ink.iter_mut().enumerate() {
                let difference = smooth[x].abs_diff(ground[x]);
                let is_ink = (unlike[x] >= least)
                    & (difference >= (MIN_CONTRAST / 2.0) as u8)
                    & (5 * u16::from(difference) >= 4 * u16::from(edge[x]));
                *ink = u8::from(is_ink);
            }
        });
        let Patches {
            patches, places, ..
        } = memory;
        patches.retain(|patch| !patch.is_cut);
        for patch in &mut *patches {
            patch.weigh(places, width, unlike, ground);
        }
        let most = patches.iter().map(|patch| patch.mass).fold(0.0, f32::max);
        patches.retain(|patch| patch.mass > 0.004 * most && patch.area >= 4);
        // Of equal ones the first that was found.
        patches.sort_unstable_by(|a, b| b.mass.total_cmp(&a.mass).then(a.first.cmp(&b.first)));
        patches.truncate(MOST_PATCHES);
        self.group(patches, ground, stands);
        for stand in &*stands {
            let group = Members {
                patches,
                places,
                first: stand.first,
            };
            groups.extend(self.judged(group, polarity, smooth, ground, unlike, flood));
        }
    }

    /// Finds the patches that stand together on one ground.
    fn group(&self, patches: &mut [Patch], ground: &[u8], stands: &mut Vec<Stand>) {
        stands.clear();
        stands.reserve(MOST_PATCHES);
        stands.extend(patches.iter().enumerate().map(|(number, patch)| Stand {
            bounds: patch.bounds,
            ground: patch.ground,
            area: patch.area as f32,
            first: number,
            last: number,
        }));
        let mut a = 0;
        while a < stands.len() {
            let near = |b: &usize| self.together(stands[a], stands[*b], ground);
            match (a + 1..stands.len()).find(near) {
                Some(b) => {
                    let other = stands.swap_remove(b);
                    patches[stands[a].last].next = Some(other.first);
                    stands[a] = stands[a].joined(other);
                    // What was too far from the smaller group may be near to this one.
                    a = 0;
                }
                None => a += 1,
            }
        }
    }

    /// Whether two boxes of ink are of one mark: near to one another, or with even ground between.
    fn together(&self, a: Stand, b: Stand, ground: &[u8]) -> bool {
        let alike = |a: f32, b: f32| a.min(b) / a.max(b).max(0.01);
        let grounds = alike(a.ground, b.ground);
        let (a, b) = (a.bounds, b.bounds);
        let gap = |i: usize| {
            let (low, high) = (a[i].max(b[i]), a[i + 2].min(b[i + 2]));
            low.saturating_sub(high)
        };
        let side = |r: [usize; 4]| (r[2] - r[0] + 1).max(r[3] - r[1] + 1);
        let (gap, size) = (gap(0).max(gap(1)), side(a).max(side(b)));
        if 6 * gap <= size && grounds > 0.4 {
            return true;
        }
        // Dots may be far apart, for what they are.
        let dots = 12 * size < self.width.min(self.height);
        let far = 5 * gap > 2 * size;
        if far && !(dots && 4 * gap < self.width.min(self.height)) {
            return false;
        }
        // The ground between may lie in a shadow that begins softly, but have no edge.
        let middle = |r: [usize; 4]| ((r[0] + r[2]) as f32 / 2.0, (r[1] + r[3]) as f32 / 2.0);
        let ((ax, ay), (bx, by)) = (middle(a), middle(b));
        let steps = ((bx - ax).hypot(by - ay) as usize).max(1);
        let level = |i: usize| {
            let t = i as f32 / steps as f32;
            let (x, y) = (ax + (bx - ax) * t, ay + (by - ay) * t);
            f32::from(ground[y as usize * self.width + x as usize].max(1))
        };
        let soft = (3..=steps).all(|i| alike(level(i), level(i - 3)) > 0.85);
        let darkest = || (0..=steps).map(level).fold(f32::INFINITY, f32::min);
        let lightest = || (0..=steps).map(level).fold(0.0, f32::max);
        soft && alike(darkest(), lightest()) > 0.45
    }

    /// Whether the ground around a box ends before the picture does: a card, seen whole.
    fn on_card(&self, bounds: [usize; 4], ground: &[u8], paper: f32, flood: &mut Flood) -> bool {
        let (width, height) = (self.width, self.height);
        let [left, top, right, bottom] = bounds;
        let mut alike = [false; 256];
        for (level, alike) in (0u8..=255).zip(&mut alike) {
            let level = f32::from(level);
            *alike = level > 0.55 * paper && 0.55 * level < paper;
        }
        let Flood { seen, stack } = flood;
        seen.clear();
        seen.resize(ground.len(), false);
        stack.clear();
        stack.reserve(ground.len());
        for y in top..=bottom {
            for x in [left, right] {
                let at = y * width + x;
                if alike[usize::from(ground[at])] && !std::mem::replace(&mut seen[at], true) {
                    stack.push(Place::at(x, y));
                }
            }
        }
        while let Some(place) = stack.pop() {
            let (x, y) = (usize::from(place.x), usize::from(place.y));
            if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
                return false;
            }
            let at = y * width + x;
            let level = u32::from(ground[at]);
            for (next, x, y) in [
                (at - 1, x - 1, y),
                (at + 1, x + 1, y),
                (at - width, x, y - 1),
                (at + width, x, y + 1),
            ] {
                let there = ground[next];
                let step = level.abs_diff(u32::from(there));
                if !seen[next] && 30 * step <= level + 30 && alike[usize::from(there)] {
                    seen[next] = true;
                    stack.push(Place::at(x, y));
                }
            }
        }
        true
    }

    /// A group of patches as a mark, and how likely it is the one that is meant.
    fn judged(
        &self,
        group: Members,
        polarity: Polarity,
        smooth: &[u8],
        ground: &[u8],
        unlike: &[u8],
        flood: &mut Flood,
    ) -> Option<Group> {
        let (width, height) = (self.width, self.height);
        let at = |place: &Place| usize::from(place.y) * width + usize::from(place.x);
        let mut histogram = [0u32; 256];
        for place in group.places() {
            histogram[unlike[at(place)] as usize] += 1;
        }
        let contrast = reached_by(&histogram, 10)?;
        // Ink is what is nearer to full contrast than to paper.
        let is_ink = |place: &&Place| 2 * u32::from(unlike[at(place)]) >= contrast;
        let (mut bounds, mut count) = (None, 0.0f32);
        let (mut inked, mut under) = (0.0, 0.0);
        let mut papers = [0u32; 256];
        let mut difference = 0.0;
        for place in group.places().filter(is_ink) {
            let (x, y) = (usize::from(place.x), usize::from(place.y));
            let at = at(place);
            bounds = Some(bounds.map_or([x, y, x, y], |all| around(all, [x, y, x, y])));
            inked += f32::from(smooth[at]);
            let paper = ground[at].max(DARKEST);
            under += f32::from(paper);
            papers[usize::from(paper)] += 1;
            difference += f32::from(smooth[at].abs_diff(ground[at]));
            count += 1.0;
        }
        let bounds = bounds?;
        if difference / count < 0.6 * MIN_CONTRAST {
            return None;
        }
        // Around a mark there is paper: what a dark stroke encloses is no light mark.
        let [left, top, right, bottom] = bounds;
        let out = 6 + (right - left).max(bottom - top) / 8;
        let ring = [
            left.saturating_sub(out),
            top.saturating_sub(out),
            (right + out).min(width - 1),
            (bottom + out).min(height - 1),
        ];
        let along_x = (ring[0]..=ring[2]).flat_map(|x| [(x, ring[1]), (x, ring[3])]);
        let along_y = (ring[1]..=ring[3]).flat_map(|y| [(ring[0], y), (ring[2], y)]);
        let paper = (under / count).max(1.0);
        // In a shadow and out of it there are two.
        let lightest = reached_by(&papers, 10)? as f32;
        papers.reverse();
        let darkest = 255.0 - reached_by(&papers, 10)? as f32;
        // A shadow leaves so much of the light; what is darker yet is another thing.
        let in_two_lights = (0.4..0.6).contains(&(darkest / lightest));
        let (darkest, lightest) = if in_two_lights {
            (darkest, lightest)
        } else {
            (paper, paper)
        };
        let (mut alike, mut all) = (0, 0);
        for (x, y) in along_x.chain(along_y) {
            let level = f32::from(smooth[y * width + x]);
            alike += u32::from(level > 0.6 * darkest && 0.6 * level < lightest);
            all += 1;
        }
        if 10 * alike < 6 * all {
            return None;
        }
        let (w, h) = (width as f32, height as f32);
        let (dx, dy) = (
            ((left + right + 1) as f32 - w) / w,
            ((top + bottom + 1) as f32 - h) / h,
        );
        let off_centre = ((dx * dx + dy * dy) / 2.0).sqrt().min(1.0);
        let size = ((right - left).max(bottom - top) as f32 / h).min(0.5);
        let mass: f32 = group.patches().map(|patch| patch.mass).sum();
        let (across, down) = (right - left + 1, bottom - top + 1);
        let is_long = across.max(down) * 2 > 5 * across.min(down);
        let is_hole = 10 * count as usize > 7 * across * down && !is_long;
        let card = if self.on_card(bounds, ground, paper, flood) {
            2.0
        } else {
            1.0
        };
        let likely = mass.sqrt() * size.sqrt() * (1.0 - 0.7 * off_centre) * card;
        Some(Group {
            bounds,
            likely,
            is_hole,
            ink: inked / count,
            paper,
            ink_to_paper: inked / under,
            polarity,
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

/// So many of the heaviest patches of one polarity may be a mark.
const MOST_PATCHES: usize = 64;

/// The memory in which a scene is searched.
#[derive(Debug, Default)]
struct Scene {
    rows: Vec<u16>,
    smooth: Vec<u8>,
    /// By polarity.
    grounds: [Vec<u8>; 2],
    unlike: Vec<u8>,
    edge: Vec<u8>,
    windows: Windows,
    patches: Patches,
    stands: Vec<Stand>,
    flood: Flood,
    groups: Vec<Group>,
}

/// The memory in which [`View::on_card`] goes from place to place.
#[derive(Debug, Default)]
struct Flood {
    seen: Vec<bool>,
    stack: Vec<Place>,
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

/// Where ink stands.
#[derive(Clone, Copy, Debug)]
struct Stand {
    /// [left, top, right, bottom], ends included.
    bounds: [usize; 4],
    /// Mean level of the ground under it.
    ground: f32,
    /// Places.
    area: f32,
    /// Its patches, each of which knows the next.
    first: usize,
    last: usize,
}

impl Stand {
    fn joined(self, other: Self) -> Self {
        let area = self.area + other.area;
        Self {
            bounds: around(self.bounds, other.bounds),
            ground: (self.ground * self.area + other.ground * other.area) / area,
            area,
            first: self.first,
            last: other.last,
        }
    }
}

/// The patches of a [`Stand`].
#[derive(Clone, Copy)]
struct Members<'a> {
    patches: &'a [Patch],
    places: &'a [Place],
    first: usize,
}

impl<'a> Members<'a> {
    fn patches(self) -> impl Iterator<Item = &'a Patch> {
        let first = self.patches.get(self.first);
        std::iter::successors(first, move |patch| self.patches.get(patch.next?))
    }

    fn places(self) -> impl Iterator<Item = &'a Place> {
        self.patches()
            .flat_map(move |patch| patch.places(self.places))
    }
}

/// Patches of ink that may be a mark.
#[derive(Debug)]
struct Group {
    /// [left, top, right, bottom], ends included.
    bounds: [usize; 4],
    /// How likely it is meant, by size, place and contrast.
    likely: f32,
    /// One patch that fills its box and is not long: paper within a ring looks like that.
    is_hole: bool,
    /// Mean levels of the ink and of the ground under it.
    ink: f32,
    paper: f32,
    ink_to_paper: f32,
    polarity: Polarity,
}

impl Group {
    /// Whether `other` is within it and takes its ink for paper: drawn on a card that is small
    /// enough to be a mark on its desk, or else what shines between strokes and through a ring.
    fn holds(&self, other: &Group) -> bool {
        let (own, inner) = (self.bounds, other.bounds);
        let along = |i: usize| {
            let shared = (own[i + 2].min(inner[i + 2]) + 1).saturating_sub(own[i].max(inner[i]));
            shared as f32 / (inner[i + 2] - inner[i] + 1) as f32
        };
        let side = |r: [usize; 4]| (r[2] - r[0]).max(r[3] - r[1]);
        let (darker, lighter) = (self.ink.min(other.paper), self.ink.max(other.paper));
        (self.ink < self.paper) != (other.ink < other.paper)
            && along(0) * along(1) > 0.5
            && side(own) > side(inner)
            && 4 * side(inner) > side(own)
            && darker > 0.6 * lighter
            && other.likely > 0.08 * self.likely
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
}

impl Patches {
    /// Finds them in row-major order; `fill` says for every row where ink is.
    fn find(&mut self, width: usize, height: usize, fill: impl Fn(usize, &mut [u8])) {
        let Self {
            ink,
            patches,
            places,
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
        places.reserve(width * height);
        patches.clear();
        // One in every square of four places.
        patches.reserve(width.div_ceil(2) * height.div_ceil(2));
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
                ground: 0.0,
                mass: 0.0,
                next: None,
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
    /// Mean level of the ground under it.
    ground: f32,
    /// Area, weighed by the square of the contrast.
    mass: f32,
    /// The next one that stands with it.
    next: Option<usize>,
}

impl Patch {
    fn places<'a>(&self, all: &'a [Place]) -> &'a [Place] {
        &all[self.first..self.first + self.area]
    }

    /// The share of the least rectangle around it, turned as needed, that it fills with what it
    /// encloses from left and right, 0 to 1.
    fn squareness(&self, places: &[Place], ends: &mut Vec<(u16, u16)>) -> f32 {
        let [_, top, _, bottom] = self.bounds;
        ends.clear();
        ends.reserve(SEARCH_SIDE_PX);
        ends.resize(bottom - top + 1, (u16::MAX, 0));
        for &Place { x, y } in self.places(places) {
            let (first, last) = &mut ends[usize::from(y) - top];
            (*first, *last) = ((*first).min(x), (*last).max(x));
        }
        let filled: usize = ends
            .iter()
            .map(|&(first, last)| usize::from(last + 1 - first))
            .sum();
        const DIRECTIONS: usize = 18;
        let rectangle = |direction: usize| {
            let angle = std::f32::consts::FRAC_PI_2 * direction as f32 / DIRECTIONS as f32;
            let (c, s) = (angle.cos(), angle.sin());
            let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
            for (y, &(first, last)) in ends.iter().enumerate() {
                for x in [f32::from(first), f32::from(last)] {
                    let y = y as f32;
                    for (i, v) in [x * c + y * s, y * c - x * s].into_iter().enumerate() {
                        (low[i], high[i]) = (low[i].min(v), high[i].max(v));
                    }
                }
            }
            (high[0] - low[0] + 1.0) * (high[1] - low[1] + 1.0)
        };
        let least = (0..DIRECTIONS).map(rectangle).fold(f32::INFINITY, f32::min);
        filled as f32 / least
    }

    fn weigh(&mut self, places: &[Place], width: usize, unlike: &[u8], ground: &[u8]) {
        let (mut mass, mut sum) = (0.0, 0);
        for place in self.places(places) {
            let at = usize::from(place.y) * width + usize::from(place.x);
            mass += (f32::from(unlike[at]) / 255.0).powi(2);
            sum += u32::from(ground[at]);
        }
        self.mass = mass;
        self.ground = sum as f32 / self.area as f32;
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

/// Extremes over windows about every place, and the memory for them.
#[derive(Debug, Default)]
struct Windows {
    line: Vec<u8>,
    next_line: Vec<u8>,
    plane: Vec<u8>,
    next_plane: Vec<u8>,
    between: Vec<u8>,
}

impl Windows {
    /// Closing with a square: dark things narrower than `side` take the brightness around them. For
    /// light ink opening, which does so with light things.
    fn smoothed_over(
        &mut self,
        levels: &[u8],
        width: usize,
        side: usize,
        ink: Polarity,
        out: &mut Vec<u8>,
    ) {
        let mut between = std::mem::take(&mut self.between);
        match ink {
            Polarity::DarkInk => {
                self.extreme(levels, width, side, u8::max, 0, &mut between);
                self.extreme(&between, width, side, u8::min, 255, out);
            }
            Polarity::LightInk => {
                self.extreme(levels, width, side, u8::min, 255, &mut between);
                self.extreme(&between, width, side, u8::max, 0, out);
            }
        }
        self.between = between;
    }

    /// The difference between the lightest and the darkest level within `reach` of a place.
    fn range(&mut self, levels: &[u8], width: usize, reach: usize, out: &mut Vec<u8>) {
        let side = 2 * reach + 1;
        let mut dark = std::mem::take(&mut self.between);
        self.extreme(levels, width, side, u8::min, 255, &mut dark);
        self.extreme(levels, width, side, u8::max, 0, out);
        for (light, dark) in out.iter_mut().zip(&dark) {
            *light -= dark;
        }
        self.between = dark;
    }

    /// The extreme over a square of `side`, made odd, about each place, rows then columns.
    fn extreme(
        &mut self,
        levels: &[u8],
        width: usize,
        side: usize,
        of: impl Fn(u8, u8) -> u8 + Copy,
        least: u8,
        out: &mut Vec<u8>,
    ) {
        let Self {
            line,
            next_line,
            plane,
            next_plane,
            ..
        } = self;
        let (reach, height) = (side / 2, levels.len() / width);
        let window = 2 * reach + 1;
        let all = |memory: &mut Vec<u8>, length: usize| {
            memory.clear();
            memory.resize(length, least);
        };
        all(line, width + 2 * reach);
        all(next_line, width + 2 * reach);
        all(plane, width * (height + 2 * reach));
        all(next_plane, width * (height + 2 * reach));
        let rows = plane.chunks_exact_mut(width).skip(reach);
        for (row, out) in levels.chunks_exact(width).zip(rows) {
            line[..reach].fill(least);
            line[reach..reach + width].copy_from_slice(row);
            line[reach + width..].fill(least);
            running(line, next_line, 1, window, of, out);
        }
        out.resize(levels.len(), 0);
        running(plane, next_plane, width, window, of, out);
    }
}

/// The running extreme of `window` values, `step` apart from one another: from those of one value, of
/// four, of sixteen and so on. `values` and `memory` are overwritten.
fn running(
    values: &mut Vec<u8>,
    memory: &mut Vec<u8>,
    step: usize,
    window: usize,
    of: impl Fn(u8, u8) -> u8,
    out: &mut [u8],
) {
    let fours = |from: &[u8], places: [usize; 4], to: &mut [u8]| {
        let [a, b, c, d] = places.map(|place| &from[place..][..to.len()]);
        for (i, to) in to.iter_mut().enumerate() {
            *to = of(of(a[i], b[i]), of(c[i], d[i]));
        }
    };
    let (mut spanned, mut length) = (1, values.len());
    while 4 * spanned < window {
        length -= 3 * spanned * step;
        let places = [0, 1, 2, 3].map(|i| i * spanned * step);
        fours(values, places, &mut memory[..length]);
        std::mem::swap(values, memory);
        spanned *= 4;
    }
    // They may overlap.
    let places = [0, 1, 2, 3].map(|i| (i * spanned).min(window - spanned) * step);
    fours(values, places, out);
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

    /// The L three times as large and further in, on a card from (40, 20) to (260, 200), on a
    /// darker desk: what is seen at a place, as a share of full light.
    fn on_a_desk(ink: f32, card: f32, desk: f32, light: impl Fn(f32, f32) -> f32) -> Frame {
        Frame::from_fn(320, 240, |x, y| {
            let stroke = x >= 90 && y >= 50 && ell((x - 90) / 3 + 10, (y - 50) / 3 + 5);
            let shade = if stroke {
                ink
            } else if (40..260).contains(&x) && (20..200).contains(&y) {
                card
            } else {
                desk
            };
            (255.0 * shade * light(x as f32, y as f32)) as u8
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

    fn found_at(frame: &Frame, expected: &Bounds) {
        let found = mark(frame).unwrap().bounds;
        assert!(found.overlap(expected) > 0.85, "{found:?}");
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
    fn closing_fills_what_is_narrower_than_its_square_and_nothing_else() {
        // A dark bar 3 wide and a dark field 8 wide on light ground.
        let line = [9, 9, 1, 1, 1, 9, 9, 9, 9, 2, 2, 2, 2, 2, 2, 2, 2, 9, 9, 9];
        let frame: Vec<u8> = line.repeat(12);
        let mut closed = Vec::new();
        let mut windows = Windows::default();
        windows.smoothed_over(&frame, line.len(), 5, Polarity::DarkInk, &mut closed);
        assert_eq!(closed[5 * 20..][2..5], [9, 9, 9]);
        assert_eq!(closed[5 * 20..][9..17], [2; 8]);
        // The running extreme against the plain one.
        let noise: Vec<u8> = (0..97u32).map(|i| (i * i * 31 % 251) as u8).collect();
        let mut found = Vec::new();
        for side in [1, 3, 8, 9, 31] {
            windows.extreme(&noise, 97, side, u8::max, 0, &mut found);
            for (i, v) in found.iter().enumerate() {
                let reach = side / 2;
                let window = &noise[i.saturating_sub(reach)..(i + reach + 1).min(97)];
                assert_eq!(Some(v), window.iter().max());
            }
        }
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
            let stroke = x >= 90 && y >= 50 && ell((x - 90) / 3 + 10, (y - 50) / 3 + 5);
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
