//! Finds the drawn or printed mark in a picture: the sheet it stands on, where its ink is, and how
//! bright ink and paper are under the light that falls there. Knows grey levels only: nothing of
//! networks, identities or cameras.

use std::borrow::Cow;
use std::rc::Rc;

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
        self.levels.iter().sum::<f32>() / self.levels.len() as f32
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

/// The mark in `frame`, dark on light or light on dark; `None` where there is nothing but paper.
///
/// A picture of two levels alone is paper and ink. Any other is a scene, in which a mark is made
/// of strokes: what is narrow, unlike the even ground to both sides of it.
pub fn mark(frame: &Frame) -> Option<Mark> {
    let grey = frame.to_grey();
    let factor = grey.width().max(grey.height()).div_ceil(SEARCH_SIDE_PX);
    let small = averaged_down(&grey, factor);
    let view = View {
        width: small.width(),
        height: small.height(),
        levels: small.pixels(),
    };
    let Found {
        bounds: [left, top, right, bottom],
        paper,
        ink_to_paper,
    } = view.found()?;
    let scale = factor as f32;
    let (x, y) = (left as f32 * scale, top as f32 * scale);
    Some(Mark {
        bounds: Bounds {
            x,
            y,
            width: ((right + 1) as f32 * scale).min(grey.width() as f32) - x,
            height: ((bottom + 1) as f32 * scale).min(grey.height() as f32) - y,
        },
        paper: Paper {
            cell_px: paper.cell_px * scale,
            ..paper
        },
        ink_to_paper,
    })
}

/// The picture that is searched.
struct View<'a> {
    width: usize,
    height: usize,
    levels: &'a [u8],
}

/// A mark in a view: [left, top, right, bottom], ends included.
struct Found {
    bounds: [usize; 4],
    paper: Paper,
    ink_to_paper: f32,
}

/// Which way ink differs from its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polarity {
    DarkInk,
    LightInk,
}

impl View<'_> {
    fn found(&self) -> Option<Found> {
        match self.plain() {
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
                Some(self.scene().filter(on_card).unwrap_or(plain))
            }
            Some((plain, false)) => Some(plain),
            None => self.scene(),
        }
    }

    /// The mark in a picture of two levels: they are the classes of its histogram (Otsu 1979), and
    /// the paper is the one that the picture's border shows. `None` where there are more levels,
    /// or both at the border. Also whether the mark may be a card, seen whole: it is as square.
    fn plain(&self) -> Option<(Found, bool)> {
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
        let ink: Vec<bool> = self
            .levels
            .iter()
            .map(|&v| (v <= levels.split) == dark_on_light)
            .collect();
        let mut patches = self.patches(&ink);
        // What runs out of a photograph is what lies around the sheet.
        if !is_drawing && patches.iter().any(|patch| !patch.is_cut) {
            patches.retain(|patch| !patch.is_cut);
        }
        let all: usize = patches.iter().map(|patch| patch.area).sum();
        let least = (all as f64 * SPECK_SHARE) as usize;
        let strokes = patches.iter().filter(|patch| patch.area >= least);
        let bounds = strokes.map(|patch| patch.bounds).reduce(around)?;
        let largest = patches.iter().max_by_key(|patch| patch.area)?;
        let may_be_card = largest.squareness(self.width) > CARD_SQUARENESS;
        let (paper, ink) = if dark_on_light {
            (levels.light, levels.dark)
        } else {
            (levels.dark, levels.light)
        };
        let paper = paper.max(1.0);
        let found = Found {
            bounds,
            paper: Paper {
                cell_px: 1.0,
                columns: 1,
                levels: vec![paper],
            },
            ink_to_paper: ink / paper,
        };
        Some((found, may_be_card))
    }

    /// The mark in a scene.
    fn scene(&self) -> Option<Found> {
        let smooth = self.smoothed();
        let mut groups = self.strokes(&smooth, Polarity::DarkInk);
        groups.extend(self.strokes(&smooth, Polarity::LightInk));
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
            paper: Paper {
                cell_px: 1.0,
                columns: self.width,
                levels: best
                    .ground
                    .iter()
                    .map(|&v| f32::from(v.max(DARKEST)))
                    .collect(),
            },
            ink_to_paper: best.ink_to_paper,
        })
    }

    /// What may be marks of one polarity.
    fn strokes(&self, smooth: &[u8], polarity: Polarity) -> Vec<Group> {
        let (width, height) = (self.width, self.height);
        let narrow = ((width.min(height) as f32 * STROKE_SHARE) as usize).max(3);
        // The ground: what stays where all that is narrow and of the ink's brightness is taken away.
        let ground: Rc<[u8]> = match polarity {
            Polarity::DarkInk => closed(smooth, width, narrow),
            Polarity::LightInk => negated(&closed(&negated(smooth), width, narrow)),
        }
        .into();
        // How unlike its ground a place is, 0 to 255: of ink that takes all the light, 255.
        let unlike: Vec<u8> = smooth
            .iter()
            .zip(ground.iter())
            .map(|(&level, &ground)| {
                let (level, ground) = (u32::from(level), u32::from(ground));
                (255 * level.abs_diff(ground) / level.max(ground).max(1)) as u8
            })
            .collect();
        // The grain of wood or paper is not ink; strokes are but a small part of a picture.
        let mut histogram = [0u32; 256];
        for &v in &unlike {
            histogram[v as usize] += 1;
        }
        let mut below = 0;
        let grain = (0..256).find(|&v| {
            below += histogram[v];
            4 * below as usize >= 3 * unlike.len()
        });
        let least = (2 * grain.unwrap_or(0)).clamp(26, 90) as u8;
        // Where the ground has an edge of its own, strokes must stand out from that.
        let edge = range(&ground, width, 5);
        let faint: Vec<bool> = (0..smooth.len())
            .map(|at| {
                let difference = smooth[at].abs_diff(ground[at]);
                unlike[at] >= least
                    && f32::from(difference) >= MIN_CONTRAST / 2.0
                    && 5 * u32::from(difference) >= 4 * u32::from(edge[at])
            })
            .collect();
        let mut patches: Vec<Patch> = self
            .patches(&faint)
            .into_iter()
            .filter(|patch| !patch.is_cut)
            .collect();
        for patch in &mut patches {
            patch.weigh(&unlike, &ground);
        }
        let most = patches.iter().map(|patch| patch.mass).fold(0.0, f32::max);
        patches.retain(|patch| patch.mass > 0.004 * most && patch.area >= 4);
        patches.sort_by(|a, b| b.mass.total_cmp(&a.mass));
        patches.truncate(64);
        let groups = self.groups(&patches, &ground);
        groups
            .into_iter()
            .filter_map(|group| self.judged(&group, smooth, &ground, &unlike))
            .collect()
    }

    /// Patches that stand together on one ground.
    fn groups<'p>(&self, patches: &'p [Patch], ground: &[u8]) -> Vec<Vec<&'p Patch>> {
        let mut groups: Vec<(Stand, Vec<&Patch>)> = patches
            .iter()
            .map(|patch| {
                let stand = Stand {
                    bounds: patch.bounds,
                    ground: patch.ground,
                    area: patch.area as f32,
                };
                (stand, vec![patch])
            })
            .collect();
        let mut a = 0;
        while a < groups.len() {
            let near = |b: &usize| self.together(groups[a].0, groups[*b].0, ground);
            match (a + 1..groups.len()).find(near) {
                Some(b) => {
                    let (stand, members) = groups.swap_remove(b);
                    groups[a].0 = groups[a].0.joined(stand);
                    groups[a].1.extend(members);
                    // What was too far from the smaller group may be near to this one.
                    a = 0;
                }
                None => a += 1,
            }
        }
        groups.into_iter().map(|(_, members)| members).collect()
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
        let line: Vec<f32> = (0..=steps)
            .map(|i| {
                let t = i as f32 / steps as f32;
                let (x, y) = (ax + (bx - ax) * t, ay + (by - ay) * t);
                f32::from(ground[y as usize * self.width + x as usize].max(1))
            })
            .collect();
        let soft = (3..line.len()).all(|i| alike(line[i], line[i - 3]) > 0.85);
        let darkest = line.iter().copied().fold(f32::INFINITY, f32::min);
        let lightest = line.iter().copied().fold(0.0, f32::max);
        soft && alike(darkest, lightest) > 0.45
    }

    /// Whether the ground around a box ends before the picture does: a card, seen whole.
    fn on_card(&self, bounds: [usize; 4], ground: &[u8], paper: f32) -> bool {
        let (width, height) = (self.width, self.height);
        let [left, top, right, bottom] = bounds;
        let alike = |at: usize| {
            let level = f32::from(ground[at]);
            level > 0.55 * paper && 0.55 * level < paper
        };
        let mut seen = vec![false; ground.len()];
        let mut stack: Vec<usize> = (top..=bottom)
            .flat_map(|y| [y * width + left, y * width + right])
            .filter(|&at| alike(at))
            .collect();
        while let Some(at) = stack.pop() {
            if seen[at] {
                continue;
            }
            seen[at] = true;
            let (x, y) = (at % width, at / width);
            if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
                return false;
            }
            let level = ground[at];
            for next in [at - 1, at + 1, at - width, at + width] {
                let step = level.abs_diff(ground[next]);
                if !seen[next] && 30 * u32::from(step) <= u32::from(level) + 30 && alike(next) {
                    stack.push(next);
                }
            }
        }
        true
    }

    /// A group of patches as a mark, and how likely it is the one that is meant.
    fn judged(
        &self,
        group: &[&Patch],
        smooth: &[u8],
        ground: &Rc<[u8]>,
        unlike: &[u8],
    ) -> Option<Group> {
        let (width, height) = (self.width, self.height);
        let mut histogram = [0u32; 256];
        for at in group.iter().flat_map(|patch| &patch.places) {
            histogram[unlike[*at] as usize] += 1;
        }
        let contrast = reached_by(&histogram, 10)?;
        // Ink is what is nearer to full contrast than to paper.
        let is_ink = |at: usize| 2 * u32::from(unlike[at]) >= contrast;
        let (mut bounds, mut count) = (None, 0.0f32);
        let (mut inked, mut under) = (0.0, 0.0);
        let mut papers = [0u32; 256];
        let mut difference = 0.0;
        for &at in group
            .iter()
            .flat_map(|patch| &patch.places)
            .filter(|&&at| is_ink(at))
        {
            let (x, y) = (at % width, at / width);
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
        let mass: f32 = group.iter().map(|patch| patch.mass).sum();
        let (across, down) = (right - left + 1, bottom - top + 1);
        let is_long = across.max(down) * 2 > 5 * across.min(down);
        let is_hole = 10 * count as usize > 7 * across * down && !is_long;
        let card = if self.on_card(bounds, ground, paper) {
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
            ground: Rc::clone(ground),
        })
    }

    fn border(&self) -> impl Iterator<Item = usize> + use<> {
        let (width, height) = (self.width, self.height);
        (0..width)
            .flat_map(move |x| [x, (height - 1) * width + x])
            .chain((0..height).flat_map(move |y| [y * width, y * width + width - 1]))
    }

    /// The 3x3 binomial mean; the edge is repeated.
    fn smoothed(&self) -> Vec<u8> {
        let (width, height) = (self.width, self.height);
        let mut rows = vec![0u16; self.levels.len()];
        for (out, row) in rows
            .chunks_exact_mut(width)
            .zip(self.levels.chunks_exact(width))
        {
            for x in 0..width {
                let (left, right) = (row[x.saturating_sub(1)], row[(x + 1).min(width - 1)]);
                out[x] = u16::from(left) + 2 * u16::from(row[x]) + u16::from(right);
            }
        }
        let mut out = vec![0; rows.len()];
        for y in 0..height {
            let above = &rows[y.saturating_sub(1) * width..][..width];
            let own = &rows[y * width..][..width];
            let below = &rows[(y + 1).min(height - 1) * width..][..width];
            for x in 0..width {
                out[y * width + x] = ((above[x] + 2 * own[x] + below[x] + 8) / 16) as u8;
            }
        }
        out
    }

    /// The 8-connected patches of ink.
    fn patches(&self, ink: &[bool]) -> Vec<Patch> {
        let (width, height) = (self.width, self.height);
        let mut seen = vec![false; ink.len()];
        let mut patches = Vec::new();
        for start in 0..ink.len() {
            if !ink[start] || seen[start] {
                continue;
            }
            seen[start] = true;
            let mut places = vec![start];
            let mut bounds = [start % width, start / width, start % width, start / width];
            let mut is_cut = false;
            let mut next = 0;
            while next < places.len() {
                let (x, y) = (places[next] % width, places[next] / width);
                next += 1;
                bounds = around(bounds, [x, y, x, y]);
                is_cut |= x == 0 || y == 0 || x + 1 == width || y + 1 == height;
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        let at = ny * width + nx;
                        if ink[at] && !seen[at] {
                            seen[at] = true;
                            places.push(at);
                        }
                    }
                }
            }
            patches.push(Patch {
                area: places.len(),
                bounds,
                is_cut,
                ground: 0.0,
                mass: 0.0,
                places,
            });
        }
        patches
    }
}

/// Where ink stands.
#[derive(Clone, Copy)]
struct Stand {
    /// [left, top, right, bottom], ends included.
    bounds: [usize; 4],
    /// Mean level of the ground under it.
    ground: f32,
    /// Places.
    area: f32,
}

impl Stand {
    fn joined(self, other: Self) -> Self {
        let area = self.area + other.area;
        Self {
            bounds: around(self.bounds, other.bounds),
            ground: (self.ground * self.area + other.ground * other.area) / area,
            area,
        }
    }
}

/// Patches of ink that may be a mark.
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
    /// The level of the ground everywhere.
    ground: Rc<[u8]>,
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

/// A connected patch of ink.
struct Patch {
    places: Vec<usize>,
    area: usize,
    bounds: [usize; 4],
    /// Whether it reaches the border of the picture.
    is_cut: bool,
    /// Mean level of the ground under it.
    ground: f32,
    /// Area, weighed by the square of the contrast.
    mass: f32,
}

impl Patch {
    /// The share of the least rectangle around it, turned as needed, that it fills with what it
    /// encloses from left and right, 0 to 1.
    fn squareness(&self, width: usize) -> f32 {
        let [_, top, _, bottom] = self.bounds;
        let mut ends = vec![(usize::MAX, 0); bottom - top + 1];
        for at in &self.places {
            let (first, last) = &mut ends[at / width - top];
            (*first, *last) = ((*first).min(at % width), (*last).max(at % width));
        }
        let filled: usize = ends.iter().map(|(first, last)| last + 1 - first).sum();
        const DIRECTIONS: usize = 18;
        let rectangle = |direction: usize| {
            let angle = std::f32::consts::FRAC_PI_2 * direction as f32 / DIRECTIONS as f32;
            let (c, s) = (angle.cos(), angle.sin());
            let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
            for (y, &(first, last)) in ends.iter().enumerate() {
                for x in [first as f32, last as f32] {
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

    fn weigh(&mut self, unlike: &[u8], ground: &[u8]) {
        let square = |&at: &usize| (f32::from(unlike[at]) / 255.0).powi(2);
        self.mass = self.places.iter().map(square).sum();
        let sum: u32 = self.places.iter().map(|&at| u32::from(ground[at])).sum();
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

fn negated(levels: &[u8]) -> Vec<u8> {
    levels.iter().map(|&v| 255 - v).collect()
}

/// Closing with a square: dark things narrower than `side` take the brightness around them.
fn closed(levels: &[u8], width: usize, side: usize) -> Vec<u8> {
    let lightest = extreme(levels, width, side, u8::max, 0);
    extreme(&lightest, width, side, u8::min, 255)
}

/// The difference between the lightest and the darkest level within `reach` of a place.
fn range(levels: &[u8], width: usize, reach: usize) -> Vec<u8> {
    let side = 2 * reach + 1;
    let light = extreme(levels, width, side, u8::max, 0);
    let dark = extreme(levels, width, side, u8::min, 255);
    light
        .iter()
        .zip(&dark)
        .map(|(light, dark)| light - dark)
        .collect()
}

/// The extreme over a square of `side`, made odd, about each place, rows then columns.
fn extreme(levels: &[u8], width: usize, side: usize, of: fn(u8, u8) -> u8, least: u8) -> Vec<u8> {
    let height = levels.len() / width;
    let reach = side / 2;
    let mut rows = vec![0; levels.len()];
    for (row, out) in levels.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        sliding(row.len(), reach, |i| row[i], |i, v| out[i] = v, of, least);
    }
    let mut out = vec![0; levels.len()];
    for x in 0..width {
        sliding(
            height,
            reach,
            |y| rows[y * width + x],
            |y, v| out[y * width + x] = v,
            of,
            least,
        );
    }
    out
}

/// The running extreme of a line over `reach` places to either side, in three operations a place
/// whatever the reach (van Herk 1992; Gil and Werman 1993).
fn sliding(
    count: usize,
    reach: usize,
    at: impl Fn(usize) -> u8,
    mut put: impl FnMut(usize, u8),
    of: fn(u8, u8) -> u8,
    least: u8,
) {
    let window = 2 * reach + 1;
    let padded = (count + 2 * reach).div_ceil(window) * window;
    let source = |i: usize| match i.checked_sub(reach) {
        Some(i) if i < count => at(i),
        _ => least,
    };
    let mut forward = vec![least; padded];
    let mut backward = vec![least; padded];
    for i in 0..padded {
        let v = source(i);
        forward[i] = if i.is_multiple_of(window) {
            v
        } else {
            of(forward[i - 1], v)
        };
        let j = padded - 1 - i;
        let v = source(j);
        backward[j] = if (j + 1).is_multiple_of(window) {
            v
        } else {
            of(backward[j + 1], v)
        };
    }
    for i in 0..count {
        put(i, of(backward[i], forward[i + window - 1]));
    }
}

/// Means of `factor` x `factor` blocks; the last row and column may average fewer pixels.
fn averaged_down<'a>(grey: &'a Frame, factor: usize) -> Cow<'a, Frame> {
    if factor <= 1 {
        return Cow::Borrowed(grey);
    }
    let (width, height) = (grey.width(), grey.height());
    Cow::Owned(Frame::from_fn(
        width.div_ceil(factor),
        height.div_ceil(factor),
        |bx, by| {
            let rows = by * factor..height.min((by + 1) * factor);
            let columns = bx * factor..width.min((bx + 1) * factor);
            let count = (rows.len() * columns.len()) as u32;
            let sum: u32 = rows
                .flat_map(|y| &grey.pixels()[y * width..][columns.clone()])
                .map(|&v| u32::from(v))
                .sum();
            ((sum + count / 2) / count) as u8
        },
    ))
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
    let mut histogram = [0u64; 256];
    for &v in pixels {
        histogram[v as usize] += 1;
    }
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
        let closed = closed(&frame, line.len(), 5);
        assert_eq!(closed[5 * 20..][2..5], [9, 9, 9]);
        assert_eq!(closed[5 * 20..][9..17], [2; 8]);
        // The running extreme against the plain one.
        let noise: Vec<u8> = (0..97u32).map(|i| (i * i * 31 % 251) as u8).collect();
        let mut found = vec![0; noise.len()];
        sliding(97, 4, |i| noise[i], |i, v| found[i] = v, u8::max, 0);
        for (i, v) in found.iter().enumerate() {
            let window = &noise[i.saturating_sub(4)..(i + 5).min(97)];
            assert_eq!(Some(v), window.iter().max());
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
