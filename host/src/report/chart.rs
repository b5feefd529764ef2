//! Draws charts as inline SVG, coloured by the page's style sheet. Knows numbers, axes and words; nothing of models.
//!
//! Our own, for a DET curve needs an axis that is spaced by the normal deviate, which plotters does not have, and the
//! page's style sheet colours the lines, in the dark as well.

use maud::{Markup, html};

use super::text::plain;

/// Width of every chart in its own units, which are pixels where the page is wide enough.
pub(super) const WIDTH: f64 = 460.0;

/// How an axis spaces its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// Evenly in the logarithm; numbers are above 0.
    Log,
    /// Evenly in the normal deviate; numbers are above 0 and below 1.
    Deviate,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// What it shows, and in what unit.
    pub(super) label: String,
    /// How it spaces its numbers.
    pub(super) scale: Scale,
    /// The number at its start.
    pub(super) low: f64,
    /// The number at its end.
    pub(super) high: f64,
    /// Numbers that are named.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Shares, named by their percentages.
    pub(super) fn percent(label: &str, low: f64, high: f64) -> Self {
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            low,
            high,
            ticks: round_ticks(low, high, 5)
                .into_iter()
                .map(|tick| (tick, plain(100.0 * tick)))
                .collect(),
        }
    }

    /// Place between the ends, 0 to 1; what lies beyond is moved to the end.
    fn place(&self, value: f64) -> f64 {
        let along = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).ln(),
            Scale::Deviate => deviate(value),
        };
        let (low, high) = (along(self.low), along(self.high));
        let place = (along(value.clamp(self.low, self.high)) - low) / (high - low);
        if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// A chart in the making.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    title: String,
    height: f64,
    left: f64,
    body: Vec<Markup>,
}

const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 46.0;

/// A coordinate with the digits that a screen shows.
fn px(place: f64) -> String {
    format!("{place:.1}")
}

impl Chart {
    /// An empty chart of this height; `title` is what it shows, for readers who cannot see it.
    pub(super) fn new(title: &str, height: f64, x: Axis, y: Axis) -> Self {
        let widest = y.ticks.iter().map(|(_, name)| name.chars().count()).max();
        let left = 14.0 + 7.4 * widest.unwrap_or(0) as f64;
        let mut chart = Self {
            x,
            y,
            title: title.to_owned(),
            height,
            left,
            body: Vec::new(),
        };
        let axes = chart.axes();
        chart.body.push(axes);
        chart
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.left + self.x.place(x) * (WIDTH - self.left - RIGHT),
            self.height - BOTTOM - self.y.place(y) * (self.height - BOTTOM - TOP),
        )
    }

    fn axes(&self) -> Markup {
        let (right, bottom) = (WIDTH - RIGHT, self.height - BOTTOM);
        html! {
            @for (value, name) in &self.y.ticks {
                @let (_, y) = self.at(self.x.low, *value);
                line.grid x1=(px(self.left)) x2=(px(right)) y1=(px(y)) y2=(px(y)) {}
                text.tick x=(px(self.left - 6.0)) y=(px(y + 4.0)) text-anchor="end" { (name) }
            }
            @for (value, name) in &self.x.ticks {
                @let (x, _) = self.at(*value, self.y.low);
                line.grid x1=(px(x)) x2=(px(x)) y1=(TOP) y2=(px(bottom)) {}
                text.tick x=(px(x)) y=(px(bottom + 17.0)) text-anchor="middle" { (name) }
            }
            line.base x1=(px(self.left)) x2=(px(right)) y1=(px(bottom)) y2=(px(bottom)) {}
            text.axis x=(px(right)) y=(px(self.height - 8.0)) text-anchor="end" { (self.x.label) }
            text.axis x="0" y="12" { (self.y.label) }
        }
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (x, y) in points {
            let (x, y) = self.at(x, y);
            path += &format!("{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
        }
        path
    }

    /// A line through points; `class` colours it.
    pub(super) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let path = self.path(points.iter().copied());
        self.body
            .push(html! { path class={ "line " (class) } d=(path) {} });
    }

    /// The area between two lines: (x, low, high).
    pub(super) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let low = points.iter().map(|&(x, low, _)| (x, low));
        let high = points.iter().rev().map(|&(x, _, high)| (x, high));
        let path = self.path(low.chain(high));
        self.body
            .push(html! { path class={ "band " (class) } d={ (path) "Z" } {} });
    }

    /// The area from `base` up to a line.
    pub(super) fn area(&mut self, class: &str, base: f64, points: &[(f64, f64)]) {
        let band: Vec<(f64, f64, f64)> = points.iter().map(|&(x, y)| (x, base, y)).collect();
        self.band(class, &band);
        self.line(class, points);
    }

    /// A dot that shows `note` under the pointer.
    pub(super) fn dot(&mut self, class: &str, (x, y): (f64, f64), note: &str) {
        let (x, y) = self.at(x, y);
        self.body.push(html! {
            circle class={ "dot " (class) } cx=(px(x)) cy=(px(y)) r="4" { title { (note) } }
        });
    }

    /// An upright interval.
    pub(super) fn interval(&mut self, class: &str, x: f64, [low, high]: [f64; 2]) {
        let ((x, low), (_, high)) = (self.at(x, low), self.at(x, high));
        self.body.push(html! {
            line class={ "whisker " (class) } x1=(px(x)) x2=(px(x)) y1=(px(low)) y2=(px(high)) {}
        });
    }

    /// A bar from `base` to `y` between two places on the x axis.
    pub(super) fn bar(&mut self, class: &str, [from, to]: [f64; 2], base: f64, y: f64) {
        let ((left, bottom), (right, top)) = (self.at(from, base), self.at(to, y));
        let (width, height) = (px(right - left), px(bottom - top));
        self.body.push(html! {
            rect class={ "bar " (class) } x=(px(left)) y=(px(top)) width=(width) height=(height) {}
        });
    }

    /// Words to the lower left of a point; to its upper right where the axis is too near.
    pub(super) fn words(&mut self, (x, y): (f64, f64), words: &str) {
        let (x, y) = self.at(x, y);
        let is_left = x - 9.0 - 6.5 * words.chars().count() as f64 > self.left;
        let (x, y, anchor) = if is_left {
            (x - 9.0, y + 14.0, "end")
        } else {
            (x + 9.0, y - 6.0, "start")
        };
        self.body
            .push(html! { text.note x=(px(x)) y=(px(y)) text-anchor=(anchor) { (words) } });
    }

    /// An upright line across the chart at `x`, named at its top; none where the axis ends before.
    pub(super) fn upright(&mut self, x: f64, words: &str, is_left: bool, row: usize) {
        if !self.x.holds(x) {
            return;
        }
        let ((x, top), (_, bottom)) = (self.at(x, self.y.high), self.at(x, self.y.low));
        let (anchor, aside) = if is_left {
            ("end", -5.0)
        } else {
            ("start", 5.0)
        };
        let below = top + 11.0 + 16.0 * row as f64;
        self.body.push(html! {
            line.mark x1=(px(x)) x2=(px(x)) y1=(px(top)) y2=(px(bottom)) {}
            text.note x=(px(x + aside)) y=(px(below)) text-anchor=(anchor) { (words) }
        });
    }

    /// The whole drawing.
    pub(super) fn finish(self) -> Markup {
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (self.height) } role="img" aria-label=(self.title) {
                title { (self.title) }
                @for part in &self.body { (part) }
            }
        }
    }
}

/// Round numbers from `low` to `high`, at most `most` of them and one.
pub(super) fn round_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 100.0) as usize;
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

/// The standard normal deviate below which a share `p` lies (Acklam's rational approximation,
/// relative error 1.2e-9); p is moved into 1e-9 to 1 - 1e-9.
pub(super) fn deviate(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let polynomial = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, f| sum * x + f);
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    };
    if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviates_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_964),
            (0.001, -3.090_232),
            (0.999_9, 3.719_016),
        ] {
            assert!((deviate(p) - z).abs() < 1e-6, "{p}: {}", deviate(p));
        }
        assert!(deviate(0.0).is_finite() && deviate(1.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(round_ticks(0.0, 40.0, 4), [0.0, 10.0, 20.0, 30.0, 40.0]);
        let found = round_ticks(0.81, 0.866, 4);
        assert!(found.iter().all(|t| (0.81..=0.866).contains(t)) && found.len() >= 3);
        assert_eq!(round_ticks(3.0, 3.0, 4), [3.0]);
    }

    #[test]
    fn words_are_escaped_and_what_lies_beyond_the_axes_stays_inside() {
        let axis = |label: &str| Axis {
            label: label.to_owned(),
            scale: Scale::Linear,
            low: 0.0,
            high: 1.0,
            ticks: vec![(0.5, "half".to_owned())],
        };
        let mut chart = Chart::new("<a> & \"b\"", 200.0, axis("x"), axis("y"));
        chart.dot("blue", (7.0, -3.0), "<script>");
        let svg = chart.finish().into_string();
        assert!(svg.contains("&lt;a&gt; &amp; &quot;b&quot;") && svg.contains("&lt;script&gt;"));
        assert!(svg.contains("cx=\"446.0\" cy=\"154.0\""), "{svg}");
    }
}
