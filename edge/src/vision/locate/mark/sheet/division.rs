//! A picture divided into connected parts, even ground and what is uneven, and what lies in what. Knows which
//! places are even: nothing of levels.

/// Places in a row that are all even, or all not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub start: u16,
    /// One beyond the last.
    pub end: u16,
    pub label: u32,
}

impl Run {
    pub(super) fn ends(&self) -> (usize, usize) {
        (self.start.into(), self.end.into())
    }
}

/// A connected part of the picture: even ground (4-connected) or what is uneven (8-connected).
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub is_even: bool,
    /// Of the parts joined with it, the one with the lowest label, or a part on the way there.
    first: u32,
    /// What it lies in; its label is lower.
    pub around: u32,
    /// Places.
    pub area: u32,
    /// Places of it and of all parts that lie in it.
    pub filled: u32,
    /// Whether it lies in the sheet that is looked at.
    pub is_inside: bool,
}

/// Label of what lies beyond the picture, and of everything uneven that reaches there.
pub(super) const OUTSIDE: u32 = 0;

/// The parts of a picture, and what lies in what.
#[derive(Debug, Default)]
pub(super) struct Division {
    runs: Vec<Run>,
    /// The first run of each row, and the number of runs.
    rows: Vec<usize>,
    /// By label.
    pub parts: Vec<Part>,
}

impl Division {
    pub(super) fn row(&self, y: usize) -> &[Run] {
        &self.runs[self.rows[y]..self.rows[y + 1]]
    }

    /// The ends of what in row `y` lies in the sheet that is looked at.
    pub(super) fn enclosed(&self, y: usize) -> impl Iterator<Item = (usize, usize)> {
        let inside = |run: &&Run| self.parts[run.label as usize].is_inside;
        self.row(y).iter().filter(inside).map(Run::ends)
    }

    /// Divides a picture of `width` x `height` places by which of them, counted row by row, are even.
    pub(super) fn divide(&mut self, width: usize, height: usize, is_even: impl Fn(usize) -> bool) {
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
                    // The place above the first place of a part belongs to the part around it.
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
        // The part that stands for others gets their area.
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
    pub(super) fn look_inside(&mut self, sheet: u32) {
        for label in 0..self.parts.len() {
            let around = self.parts[label].around;
            self.parts[label].is_inside = label > sheet as usize
                && (around == sheet || self.parts[around as usize].is_inside);
        }
    }
}

/// The lowest label of the parts joined with `label`: that part stands for all.
fn first_of(parts: &mut [Part], label: u32) -> u32 {
    let mut first = label;
    loop {
        let next = parts[first as usize].first;
        if next == first {
            return first;
        }
        // Path halving: the chain that the next search follows is shorter.
        let further = parts[next as usize].first;
        parts[first as usize].first = further;
        first = next;
    }
}

/// Joins two parts; the label that stands for both.
fn joined(parts: &mut [Part], a: u32, b: u32) -> u32 {
    let (a, b) = (first_of(parts, a), first_of(parts, b));
    parts[a.max(b) as usize].first = a.min(b);
    a.min(b)
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
}
