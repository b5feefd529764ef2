//! Same class, or not? The trade-off of both errors, the scores of pairs, and the file's thresholds.

use maud::{Markup, html};

use super::super::chart::{Axis, Chart, Scale};
use super::super::figures::{Det, PointRates, VerificationFigures};
use super::super::html::{figure, key, missing, table};
use super::super::text::{grouped, interval, percent, probability};
use super::super::{Finding, Report};
use super::reliability;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        h2 { "Same class, or not?" }
        @match &report.verification {
            Finding::Done(found) => { (pairs(found)) }
            Finding::Not { not_measured } => { (missing(not_measured)) }
        }
    }
}

fn pairs(found: &VerificationFigures) -> Markup {
    let Det {
        genuine_pairs,
        impostor_pairs,
        eer,
        ..
    } = found.any;
    html! {
        p {
            "Two pictures are accepted as the same class where p reaches a threshold. A " strong { "false match" }
            " accepts two classes as one (rate FMR), a " strong { "false non-match" }
            " rejects two pictures of one class (rate FNMR); a higher threshold trades the first for the second. Over "
            "all " (grouped(genuine_pairs)) " genuine and " (grouped(impostor_pairs))
            " impostor pairs of the held-out pictures the two rates meet at " strong { (percent(eer)) }
            @if let Some(near) = &found.within_group {
                " (two classes of one group: " (percent(near.eer)) ")"
            }
            "."
        }
        div.pair { (det_figure(found)) (histogram_figure(found)) }
        h3 { "The thresholds in the file" }
        (point_table(&found.points))
        (reliability::figures(&found.reliability))
    }
}

fn point_table(points: &[PointRates]) -> Markup {
    let rows = points.iter().map(|point| {
        let with = |rate: f64, ends: Option<[f64; 2]>| {
            html! {
                (percent(rate))
                @if let Some(ends) = ends { " " small { "(" (interval(ends)) ")" } }
            }
        };
        vec![
            html! { code { (point.name) } @if point.is_default { ", the default" } },
            html! { (format!("{:.4}", point.threshold)) },
            with(point.fmr, point.fmr_ci95),
            html! { (point.fmr_within_group.map_or("–".to_owned(), percent)) },
            with(point.fnmr, point.fnmr_ci95),
            html! { (percent(point.card[0])) " / " (percent(point.card[1])) },
        ]
    });
    table(
        &[
            "Operating point",
            "Accept from p",
            "FMR (95 % interval)",
            "FMR, same group",
            "FNMR (95 % interval)",
            "Card: FMR / FNMR",
        ],
        rows,
    )
}

/// The trade-off of both errors, with bands and thresholds.
fn det_figure(found: &VerificationFigures) -> Markup {
    const NAMED: [(f64, &str); 11] = [
        (1e-6, "0.0001"),
        (1e-5, "0.001"),
        (1e-4, "0.01"),
        (1e-3, "0.1"),
        (0.01, "1"),
        (0.05, "5"),
        (0.2, "20"),
        (0.5, "50"),
        (0.8, "80"),
        (0.95, "95"),
        (0.99, "99"),
    ];
    let axis = |label: &str, low: f64, high: f64| Axis {
        label: label.to_owned(),
        scale: Scale::Deviate,
        low,
        high,
        ticks: NAMED
            .iter()
            .filter(|(rate, _)| (low..=high).contains(rate))
            .map(|(rate, name)| (*rate, (*name).to_owned()))
            .collect(),
    };
    // Thirty errors behind a rate tell it within 30 % (rule of 30, Doddington et al. 2000).
    let of_thirty = |pairs: u64| (30.0 / pairs.max(1) as f64).clamp(1e-6, 0.05);
    let least = of_thirty(found.any.impostor_pairs);
    let within = |det: &Det| -> Vec<(f64, f64)> {
        let least = of_thirty(det.impostor_pairs);
        let points = det.points.iter().map(|point| (point.fmr, point.fnmr));
        points
            .filter(|(fmr, _)| (least..=0.5).contains(fmr))
            .collect()
    };
    let curve = within(&found.any);
    let near = found.within_group.as_ref().map(within).unwrap_or_default();
    let (mut low, mut high) = (0.05f64, 0.5f64);
    for (_, fnmr) in curve.iter().chain(&near) {
        low = low.min(*fnmr);
        high = high.max(*fnmr);
    }
    let low = low.max(of_thirty(found.any.genuine_pairs));
    let high = (high + 0.005).min(0.995);
    let x = axis("false matches, % of impostor pairs", least, 0.5);
    let y = axis("false non-matches, % of genuine pairs", low, high);
    let mut chart = Chart::new("Detection error trade-off", 400.0, x, y);
    let equal: Vec<(f64, f64)> = (0..=40)
        .map(|i| low.max(least) * (0.5 / low.max(least)).powf(f64::from(i) / 40.0))
        .map(|rate| (rate, rate))
        .collect();
    chart.line("plain thin", &equal);
    let mut keys = vec![("blue", "impostors of any class")];
    for (det, class) in [
        (Some(&found.any), "blue"),
        (found.within_group.as_ref(), "orange"),
    ] {
        let band = det.into_iter().flat_map(|det| &det.band);
        let band: Vec<(f64, f64, f64)> = band
            .filter(|point| {
                let least = det.map_or(least, |det| of_thirty(det.impostor_pairs));
                (least..=0.5).contains(&point.fmr)
            })
            .map(|point| (point.fmr, point.low, point.high))
            .collect();
        if !band.is_empty() {
            chart.band(class, &band);
        }
    }
    if !near.is_empty() {
        chart.line("orange dashed", &near);
        keys.push(("orange dashed", "impostors of the same group"));
    }
    chart.line("blue", &curve);
    keys.push(("plain thin", "equal errors"));
    for point in &found.points {
        if !(least..=0.5).contains(&point.fmr) {
            continue;
        }
        let note = format!(
            "{}: p >= {:.4}, FMR {}, FNMR {}",
            point.name,
            point.threshold,
            percent(point.fmr),
            percent(point.fnmr)
        );
        chart.dot("blue", (point.fmr, point.fnmr), &note);
        // The ring of the equal error rate is named already.
        if point.name != "eer" {
            let name = point_name(&point.name);
            chart.words((point.fmr, point.fnmr), &name);
        }
    }
    chart.dot(
        "blue open",
        (found.any.eer, found.any.eer),
        &format!("equal error rate {}", percent(found.any.eer)),
    );
    let name = format!("EER {}", percent(found.any.eer));
    chart.words((found.any.eer, found.any.eer), &name);
    let sets = [
        ("any class", Some(&found.any)),
        ("same group", found.within_group.as_ref()),
    ];
    let mut rows = Vec::new();
    for (name, det) in sets {
        for point in det.into_iter().flat_map(|det| &det.band) {
            let nearest = det.into_iter().flat_map(|det| &det.points).min_by(|a, b| {
                let apart = |fmr: f64| (fmr.max(1e-12) / point.fmr).ln().abs();
                apart(a.fmr).total_cmp(&apart(b.fmr))
            });
            let Some(nearest) = nearest else { continue };
            rows.push(vec![
                name.to_owned(),
                percent(nearest.fmr),
                percent(nearest.fnmr),
                format!("{:.4}", nearest.threshold),
                interval([point.low, point.high]),
            ]);
        }
    }
    let numbers = table(
        &[
            "Impostors",
            "FMR",
            "FNMR",
            "Threshold on p",
            "FNMR, 95 % interval",
        ],
        rows,
    );
    figure(
        "Trade-off (DET curve)",
        "Axes by normal deviate, from where 30 errors stand behind a rate. Shaded: 95 % band.",
        &key(&keys),
        chart,
        &numbers,
    )
}

/// Where both kinds of pairs score.
fn histogram_figure(found: &VerificationFigures) -> Markup {
    let bars = &found.histogram;
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return missing("All pairs have one score: there is no histogram.");
    };
    const NAMED: [(f64, &str); 9] = [
        (1e-10, "1e-10"),
        (1e-8, "1e-8"),
        (1e-6, "1e-6"),
        (1e-4, "1e-4"),
        (0.01, "0.01"),
        (0.5, "0.5"),
        (0.99, "0.99"),
        (0.9999, "0.9999"),
        (0.999_999, "1-1e-6"),
    ];
    let odds = |p: f64| (p / (1.0 - p)).ln();
    let all = [
        bars.iter().map(|bar| bar.genuine).sum::<u64>(),
        bars.iter().map(|bar| bar.impostor).sum::<u64>(),
    ];
    let part = |count: u64, kind: usize| count as f64 / all[kind].max(1) as f64;
    let high = bars
        .iter()
        .flat_map(|bar| [part(bar.genuine, 0), part(bar.impostor, 1)])
        .fold(0.0, f64::max);
    let x = Axis {
        label: "p, spaced by its log-odds".to_owned(),
        scale: Scale::Linear,
        low: first.low,
        high: last.high,
        ticks: NAMED
            .iter()
            .map(|(p, name)| (odds(*p), (*name).to_owned()))
            .filter(|(place, _)| (first.low..=last.high).contains(place))
            .collect(),
    };
    let y = Axis::percent("% of the kind's pairs in each bar", 0.0, 1.25 * high);
    let mut chart = Chart::new("Scores of genuine and impostor pairs", 400.0, x, y);
    for (kind, class) in [(1, "orange"), (0, "blue")] {
        let points: Vec<(f64, f64)> = bars
            .iter()
            .flat_map(|bar| {
                let count = if kind == 0 { bar.genuine } else { bar.impostor };
                [(bar.low, part(count, kind)), (bar.high, part(count, kind))]
            })
            .collect();
        chart.area(class, 0.0, &points);
    }
    let mut points: Vec<&PointRates> = found.points.iter().collect();
    points.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    for (row, point) in points.into_iter().enumerate() {
        let threshold = f64::from(point.threshold).clamp(1e-9, 1.0 - 1e-9);
        chart.upright(odds(threshold), &point_name(&point.name), true, row);
    }
    let rows = bars.iter().filter(|bar| bar.genuine + bar.impostor > 0);
    let rows = rows.map(|bar| {
        let p = |odds: f64| probability(1.0 / (1.0 + (-odds as f32).exp()));
        vec![
            if bar.low == first.low {
                format!("up to {}", p(bar.high))
            } else {
                format!("{} to {}", p(bar.low), p(bar.high))
            },
            grouped(bar.genuine),
            grouped(bar.impostor),
        ]
    });
    figure(
        "Scores",
        "Where genuine and impostor pairs lie, each kind as shares of its own; upright lines are the file's thresholds.",
        &key(&[("blue", "genuine"), ("orange", "impostor, any class")]),
        chart,
        &table(&["p", "Genuine", "Impostor"], rows),
    )
}

/// The name of an operating point, in words where it is one of the program's own.
pub(super) fn point_name(name: &str) -> String {
    match name {
        "eer" => "equal errors",
        "fmr_1e-2" => "1 in 100",
        "fmr_1e-3" => "1 in 1,000",
        "fmr_1e-4" => "1 in 10,000",
        other => other,
    }
    .to_owned()
}
