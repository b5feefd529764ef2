//! Writes the page: one HTML file that loads nothing, in words that a newcomer can follow; a file a section, each with
//! its charts. Knows a finished [`Report`]; measures nothing.

mod cost;
mod hardest;
mod identification;
mod method;
mod model;
mod open_set;
mod reliability;
mod training;
mod verification;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use onelook_edge::model::Precision;

use super::html::big;
use super::text::{bytes, chance, grouped, interval, percent, short};
use super::{Finding, Report};

const STYLE: PreEscaped<&str> = PreEscaped(include_str!("page.css"));

/// The whole page.
pub fn html(report: &Report) -> String {
    let sections = [
        ("model", "The model", model::section(report)),
        ("training", "Training", training::section(report)),
        ("one-look", "One look", identification::section(report)),
        ("same", "Same or not", verification::section(report)),
        ("strangers", "Strangers", open_set::section(report)),
        ("failures", "Failures", hardest::section(report)),
        ("cost", "Cost", cost::section(report)),
        ("method", "Method", method::section(report)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (report.model.name) ": a report" }
                style { (STYLE) }
            }
            body {
                div.frame {
                    (opening(report))
                    nav aria-label="Contents" {
                        ol { @for (id, name, _) in &sections { li { a href={ "#" (id) } { (name) } } } }
                    }
                    main { @for (id, _, section) in &sections { section id=(id) { (section) } } }
                    footer {
                        "Made by " (report.program) ", seed " (report.seed) ". Every figure is also in "
                        code { "onelook report --json" } ". This page loads nothing and runs no script."
                    }
                }
            }
        }
    };
    page.into_string()
}

/// The name, the main figure in a sentence, and the figures in tiles.
fn opening(report: &Report) -> Markup {
    let identification = match &report.identification {
        Finding::Done(found) => Some(&found.headline),
        Finding::Not { .. } => None,
    };
    html! {
        header {
            p.eyebrow { "Model report" }
            h1 { (report.model.name) }
            p.lead {
                @if let Some(found) = identification {
                    "It is shown " strong { "one picture" } " of each of " (found.ways)
                    " classes that it has never met. Of 100 further pictures it then names "
                    strong { (format!("{:.0}", 100.0 * found.right.share)) }
                    " rightly, where chance would name " (chance(found.ways)) "."
                } @else {
                    "A twin network that learns a new class from one picture, measured on "
                    (grouped(report.data.classes as u64)) " classes that it never trained on."
                }
            }
        }
        div.tiles {
            @for (number, words) in tiles(report) {
                div.tile { b { (big(&number)) } span { (words) } }
            }
        }
    }
}

/// Numbers and what they are.
fn tiles(report: &Report) -> Vec<(String, String)> {
    let mut tiles = Vec::new();
    if let Finding::Done(found) = &report.identification {
        let found = &found.headline;
        let scope = if found.within_group {
            " within a group"
        } else {
            ""
        };
        tiles.push((
            percent(found.right.share),
            format!(
                "right, {}-way one-shot{scope}; 95\u{a0}% interval {}",
                found.ways,
                interval(found.right.ci95)
            ),
        ));
    }
    if let Finding::Done(found) = &report.verification {
        let ends = found.any.eer_ci95.map(interval);
        let ends = ends.map_or(String::new(), |ends| format!("; interval {ends}"));
        tiles.push((
            percent(found.any.eer),
            format!("equal error rate of any two pictures{ends}"),
        ));
    }
    let arithmetic = match report.model.precision {
        Precision::F32 => "32-bit floats",
        Precision::Int8 => "8-bit integers",
    };
    tiles.push((
        bytes(report.model.bytes),
        format!("the whole file, {arithmetic}"),
    ));
    if let Finding::Done(count) = report.model.multiply_adds {
        tiles.push((short(count), "multiply-adds for a picture".to_owned()));
    }
    if let Finding::Done(cost) = &report.cost {
        tiles.push((
            format!("{:.2}\u{a0}ms", cost.patch.median + cost.embed.median),
            "for a picture, on one core of the machine that made this page".to_owned(),
        ));
    }
    tiles
}
