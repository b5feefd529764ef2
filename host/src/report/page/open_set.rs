//! And if it is a stranger? Both error rates by size of the gallery.

use maud::{Markup, html};

use super::super::chart::{Axis, Chart, Scale};
use super::super::figures::{OpenSetFigures, Share};
use super::super::html::{figure, key, missing, table};
use super::super::text::{interval, percent, plain, share_cells};
use super::super::{Finding, Report};
use super::verification::point_name;

/// Colours of the card's thresholds, in their order, and how their lines are drawn.
const POINT_CLASSES: [&str; 4] = ["green", "blue", "orange dashed", "purple dotted"];

pub(super) fn section(report: &Report) -> Markup {
    html! {
        h2 { "And if it is a stranger?" }
        @match &report.open_set {
            Finding::Done(found) => { (galleries(found)) }
            Finding::Not { not_measured } => { (missing(not_measured)) }
        }
    }
}

fn galleries(found: &[OpenSetFigures]) -> Markup {
    let names: Vec<&str> = found
        .first()
        .map(|size| size.rates.iter().map(|rates| rates.name.as_str()).collect())
        .unwrap_or_default();
    let strangers = open_set_figure(
        found,
        &names,
        "Strangers who are named (FPIR)",
        "Share of pictures of classes that are not enrolled for which a class is named.",
        true,
    );
    let missed = open_set_figure(
        found,
        &names,
        "Enrolled ones who are missed (FNIR)",
        "Share of pictures of enrolled classes that are rejected or named wrongly.",
        false,
    );
    html! {
        p {
            "A device does not only choose: it may say \"unknown\". The more classes are enrolled, the more chances a "
            "stranger has to resemble one. Galleries of each size were drawn at random from the held-out classes, one "
            "picture enrolled of each, classes of any group."
        }
        div.pair { (strangers) (missed) }
    }
}

/// One error rate by gallery size, a line for each threshold.
fn open_set_figure(
    sizes: &[OpenSetFigures],
    names: &[&str],
    title: &str,
    subtitle: &str,
    is_fpir: bool,
) -> Markup {
    let pick = |size: &OpenSetFigures, point: usize| -> Option<Share> {
        let rates = size.rates.get(point)?;
        Some(if is_fpir { rates.fpir } else { rates.fnir })
    };
    let shares = || {
        sizes
            .iter()
            .flat_map(|size| (0..names.len()).filter_map(move |point| pick(size, point)))
    };
    let last = sizes.last().map_or(1, |size| size.gallery) as f64;
    let x = Axis {
        label: "enrolled classes".to_owned(),
        scale: Scale::Log,
        low: 0.88,
        high: 1.14 * last.max(2.0),
        ticks: sizes
            .iter()
            .map(|size| (size.gallery as f64, size.gallery.to_string()))
            .collect(),
    };
    let y = if is_fpir {
        let least = shares().filter(|share| share.share > 0.0);
        let least = least.map(|share| share.share).fold(0.1, f64::min);
        let low = 10f64.powf(least.log10().floor());
        let decades = (-9..=0).map(|power| 10f64.powi(power));
        Axis {
            label: "FPIR, %, by logarithm".to_owned(),
            scale: Scale::Log,
            low: 0.999 * low,
            high: 1.0,
            ticks: decades
                .filter(|rate| *rate > 0.99 * low)
                .map(|rate| (rate, plain(100.0 * rate)))
                .collect(),
        }
    } else {
        Axis::percent("FNIR, %", 0.0, 1.0)
    };
    let mut chart = Chart::new(&format!("{title} by gallery size"), 330.0, x, y);
    let mut keys = Vec::new();
    for (point, name) in names.iter().enumerate() {
        let class = POINT_CLASSES[point % POINT_CLASSES.len()];
        let points: Vec<(f64, Share)> = sizes
            .iter()
            .filter_map(|size| Some((size.gallery as f64, pick(size, point)?)))
            .collect();
        let line: Vec<(f64, f64)> = points.iter().map(|(x, share)| (*x, share.share)).collect();
        chart.line(class, &line);
        for (x, share) in points {
            chart.interval(class, x, share.ci95);
            let note = format!(
                "{name}, {x} enrolled: {}, interval {}",
                percent(share.share),
                interval(share.ci95)
            );
            chart.dot(class, (x, share.share), &note);
        }
        let threshold = sizes.first().and_then(|size| size.rates.get(point));
        keys.push((
            class,
            format!(
                "{}, p ≥ {:.3}",
                point_name(name),
                threshold.map_or(0.0, |rates| rates.threshold)
            ),
        ));
    }
    let rows = sizes.iter().flat_map(|size| {
        let rows = names.iter().enumerate();
        rows.filter_map(|(point, name)| {
            let mut row = vec![html! { (size.gallery) }, html! { code { (name) } }];
            let cells = share_cells(&pick(size, point)?);
            row.extend(cells.map(|cell| html! { (cell) }));
            Some(row)
        })
    });
    let numbers = table(
        &[
            "Enrolled",
            "Point",
            "Wrong",
            "Probes",
            "Rate",
            "95 % interval",
        ],
        rows,
    );
    let keys: Vec<(&str, &str)> = keys
        .iter()
        .map(|(class, name)| (*class, name.as_str()))
        .collect();
    figure(title, subtitle, &key(&keys), chart, &numbers)
}
