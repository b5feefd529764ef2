//! Where it goes wrong: the worst pairs and the most confused classes, as pictures.

use maud::{Markup, html};

use super::super::Report;
use super::super::figures::{Confusion, Example, HardPair, Hardest};
use super::super::html::{image, missing};
use super::super::text::{grouped, label, percent, probability};

pub(super) fn section(report: &Report) -> Markup {
    let Hardest {
        false_matches,
        false_non_matches,
        confusions,
        confusion_galleries,
    } = &report.hardest;
    html! {
        h2 { "Where it goes wrong" }
        p {
            "The worst of the held-out pairs, for the eye to judge: some are alike, some are the network's fault. Large "
            "is the part of the picture that it looked at, small is what it saw."
        }
        h3 { "Two classes taken for one" }
        @if false_matches.is_empty() {
            (missing("There are no two held-out classes."))
        } @else {
            p { "The highest p between different classes, one pair for each two classes." }
            (sheet(false_matches))
        }
        h3 { "One class taken for two" }
        @if false_non_matches.is_empty() {
            (missing("No held-out class has two pictures."))
        } @else {
            p { "The lowest p between two pictures of one class, one pair for each class." }
            (sheet(false_non_matches))
        }
        h3 { "The most confused classes" }
        @if confusions.is_empty() {
            (missing("No class was taken for another."))
        } @else {
            p {
                "All " (grouped(report.data.classes as u64)) " held-out classes are enrolled by one random picture each, "
                (confusion_galleries) " times over, and every other picture is looked for. Beside each class: how many "
                "of its pictures were named as the other of the pair."
            }
            ul.sheet.wide { @for confusion in confusions { (confused(confusion)) } }
        }
    }
}

fn sheet(pairs: &[HardPair]) -> Markup {
    html! {
        ul.sheet { @for pair in pairs { (card(pair)) } }
    }
}

fn card(pair: &HardPair) -> Markup {
    let side = |example: &Example| {
        html! {
            div.side {
                (image(&example.picture, &label(example), ""))
                (image(&example.patch, "as the network sees it", "patch"))
            }
        }
    };
    let (a, b) = (label(&pair.a), label(&pair.b));
    html! {
        li.card title={ (pair.a.source) " and " (pair.b.source) } {
            div.two { (side(&pair.a)) (side(&pair.b)) }
            b { "p = " (probability(pair.p)) }
            span { (a) }
            @if a != b { span { (b) } }
        }
    }
}

fn confused(confusion: &Confusion) -> Markup {
    let row = |examples: &[Example], count: u64, of: u64| {
        html! {
            div.three { @for example in examples { (image(&example.picture, &label(example), "")) } }
            div {
                b { (percent(count as f64 / of.max(1) as f64)) } " of " (grouped(of))
                span { (examples.first().map_or(String::new(), label)) }
            }
        }
    };
    html! {
        li.card.confused {
            (row(&confusion.a, confusion.a_as_b, confusion.a_probes))
            (row(&confusion.b, confusion.b_as_a, confusion.b_probes))
        }
    }
}
