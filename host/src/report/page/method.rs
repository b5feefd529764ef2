//! How this was measured: the data, the protocol, and what was left out.

use maud::{Markup, html};

use super::super::html::{missing, name_list};
use super::super::text::grouped;
use super::super::{DataFigures, Report};

pub(super) fn section(report: &Report) -> Markup {
    let data = &report.data;
    html! {
        h2 { "How this was measured" }
        ul {
            li {
                "On " (data.name) ", by the groups (of flat data: the classes) that the model's card calls held out: "
                (groups(data)) ". " (grouped(data.classes as u64)) " classes, " (grouped(data.pictures as u64))
                " pictures. Held out is told by name; the pictures are trusted to be those of the training."
            }
            li {
                "These held-out classes also picked the epoch and set the thresholds, so every figure leans a little to "
                "the good side. The final word is a test that had no say in either: " code { "onelook eval --runs" } "."
            }
            li {
                "Every picture is embedded once, by the device's own code, and every figure comes from the distances "
                "between these embeddings. Accuracies are of 10,000 random trials, as " code { "onelook eval" }
                " draws them, seed " (report.seed) "."
            }
            li {
                "Pairs and trials that share a class are not independent. Intervals are of 95\u{a0}%, from redraws of the "
                "classes with replacement (pairs of two classes weigh the product of their counts); shares take the wider "
                "of that and Wilson's, where trials with the same pictures count once. They tell of other classes from "
                "the same groups, not of other groups."
            }
            li {
                "FPIR counts pictures of classes that are not enrolled for which any is named; FNIR counts pictures of "
                "enrolled classes that are rejected or named wrongly; a tie names no class."
            }
        }
        (notes(data))
    }
}

/// The held-out groups and their sizes.
fn groups(data: &DataFigures) -> Markup {
    let groups: Vec<String> = data
        .groups
        .iter()
        .map(|group| {
            format!(
                "{} ({} classes, {} pictures)",
                group.name,
                grouped(group.classes as u64),
                grouped(group.pictures as u64)
            )
        })
        .collect();
    html! {
        @if groups.is_empty() { "none" } @else { (name_list(&groups, "groups")) }
    }
}

/// What the figures lack.
fn notes(data: &DataFigures) -> Markup {
    let more = if data.skipped.len() > 5 {
        " and more"
    } else {
        ""
    };
    html! {
        @if !data.missing.is_empty() {
            div.missing {
                "The data lacks what the card also calls held out: " (name_list(&data.missing, "names")) "."
            }
        }
        @if !data.skipped.is_empty() {
            (missing(&format!(
                "{} pictures were left out, unreadable or blank to this model: {}{more}.",
                grouped(data.skipped.len() as u64),
                data.skipped[..data.skipped.len().min(5)].join(", ")
            )))
        }
        @if data.is_shortened {
            (missing(&format!(
                "Only the first pictures of each class were measured, {} in all.",
                grouped(data.pictures as u64)
            )))
        }
    }
}
