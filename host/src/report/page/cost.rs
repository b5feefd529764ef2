//! What a picture costs, and what 8 bits cost.

use maud::{Markup, html};

use super::super::html::{missing, table};
use super::super::text::{bytes, grouped, percent};
use super::super::{Finding, Milliseconds, Quantisation, Report};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        h2 { "What it costs" }
        dl.facts { @for (name, value) in rows(report) { dt { (name) } dd.num { (value) } } }
        @match &report.cost {
            Finding::Done(cost) => {
                p {
                    "Times are of " (grouped(cost.pictures as u64)) " single pictures one after another on one core of "
                    "the machine that made this page (" (cost.machine) "); other programs may have run beside it. They "
                    "are the only figures here that change from one making to the next."
                }
            }
            Finding::Not { not_measured } => { (missing(not_measured)) }
        }
        h3 { "What 8 bits cost" }
        @match &report.quantisation {
            Finding::Done(found) => { (quantisation_table(report, found)) }
            Finding::Not { not_measured } => { (missing(not_measured)) }
        }
    }
}

/// What each thing costs.
fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let model = &report.model;
    let mut rows = vec![("File", format!("{} bytes", grouped(model.bytes)))];
    for (name, count) in [
        ("Weights", &model.parameters),
        ("Multiply-adds for a picture", &model.multiply_adds),
    ] {
        if let Finding::Done(count) = count {
            rows.push((name, grouped(*count)));
        }
    }
    rows.push((
        "Memory for an enrolled picture",
        format!("{} bytes of embedding", grouped(4 * model.dims as u64)),
    ));
    if let Finding::Done(cost) = &report.cost {
        let cell = |time: &Milliseconds| {
            let Milliseconds { median, p99 } = time;
            format!("median {median:.3}\u{a0}ms, p99 {p99:.3}\u{a0}ms")
        };
        rows.push(("Finding the mark, making the patch", cell(&cost.patch)));
        rows.push(("The network", cell(&cost.embed)));
    }
    rows
}

fn quantisation_table(report: &Report, found: &Quantisation) -> Markup {
    let rate = |rate: Option<f64>| rate.map_or("–".to_owned(), percent);
    let ms = |time: Option<Milliseconds>| {
        time.map_or("–".to_owned(), |time| {
            format!("{:.3}\u{a0}ms", time.median)
        })
    };
    let own = match &report.cost {
        Finding::Done(cost) => Some(cost.embed),
        Finding::Not { .. } => None,
    };
    let points = |a: f64, b: f64| format!("{:+.2} points", 100.0 * (b - a));
    let ways = match &report.identification {
        Finding::Done(found) => found.headline.ways,
        Finding::Not { .. } => 0,
    };
    let rows = vec![
        vec![
            format!("{ways}-way one-shot accuracy"),
            percent(found.f32_accuracy),
            percent(found.accuracy),
            points(found.f32_accuracy, found.accuracy),
        ],
        vec![
            "Equal error rate".to_owned(),
            rate(found.f32_eer),
            rate(found.eer),
            found
                .f32_eer
                .zip(found.eer)
                .map_or("–".to_owned(), |(a, b)| points(a, b)),
        ],
        vec![
            "File".to_owned(),
            bytes(found.f32_bytes),
            bytes(report.model.bytes),
            format!(
                "{:.1} times smaller",
                found.f32_bytes as f64 / report.model.bytes.max(1) as f64
            ),
        ],
        vec![
            "The network, median".to_owned(),
            ms(found.f32_embed),
            ms(own),
            found.f32_embed.zip(own).map_or("–".to_owned(), |(a, b)| {
                format!("{:.1} times faster", a.median / b.median.max(1e-9))
            }),
        ],
    ];
    html! {
        p { "The run's best weights in 32-bit floats against this file, on the same trials and the same pairs." }
        (table(&["", "f32", "This file", "Difference"], rows))
    }
}
