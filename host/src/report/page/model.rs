//! What the model is: its formula, its input, its layers, its origin.

use maud::{Markup, html};
use onelook_edge::vision::preprocess::{Crop, Scaling};

use super::super::figures::Example;
use super::super::html::{LONGEST_LIST, image, missing, name_list, table};
use super::super::layers::Layer;
use super::super::text::{grouped, label, percent, probability};
use super::super::{Finding, ModelFigures, Report};

pub(super) fn section(report: &Report) -> Markup {
    let model = &report.model;
    let dims = grouped(model.dims as u64);
    html! {
        h2 { "What it is" }
        p {
            "Two pictures go through the " strong { "same" } " network. Each comes out as " (dims) " numbers, its "
            strong { "embedding" } ". The more the two lists of numbers differ, dimension by dimension, the less alike "
            "the pictures are taken to be:"
        }
        p.nowrap { code { "p = sigmoid(b - Σ αⱼ |xⱼ - yⱼ|)" } }
        p {
            "p, from 0 to 1, is its estimate of the probability that both show the same class. To learn a class is to "
            "keep the embedding of one picture of it: nothing is trained on the device. This file's b is "
            (format!("{:.3}", model.bias)) ", so two equal pictures give p\u{a0}=\u{a0}"
            (probability(1.0 / (1.0 + (-model.bias).exp()))) "; " (grouped(model.used_dims as u64)) " of its " (dims)
            " weights α are not zero."
        }
        h3 { "What it sees" }
        p { (sight(model)) }
        @if !report.examples.is_empty() {
            div.looks { @for example in &report.examples { (look(example)) } }
        }
        h3 { "Its layers" }
        @match (&model.parameters, &model.multiply_adds) {
            (Finding::Done(parameters), Finding::Done(multiply_adds)) => {
                p {
                    (grouped(*parameters)) " weights, " (grouped(*multiply_adds)) " multiply-adds for a picture. Every "
                    "convolution is followed by a ReLU and, where the side shrinks, by a maximum over neighbouring "
                    "pixels."
                }
                figure.wide {
                    (stages(model))
                    details { summary { "Layer by layer" } (layer_table(&model.layers)) }
                }
            }
            (Finding::Not { not_measured }, _) | (_, Finding::Not { not_measured }) => { (missing(not_measured)) }
        }
        h3 { "Where it comes from" }
        (facts(report))
    }
}

/// How a picture becomes input, in words.
fn sight(model: &ModelFigures) -> String {
    let input = &model.input;
    let colours = if input.channels == 1 {
        "grey"
    } else {
        "colour"
    };
    let side = input.side_px;
    let looks = match input.crop {
        Crop::Mark { margin } => format!(
            "It finds the mark in the picture, takes the square around it with {} of its side added at \
             either end, and reduces that to {side} by {side} {colours} pixels",
            percent(f64::from(margin))
        ),
        Crop::Frame => format!(
            "It takes the whole picture, made square with the colour of its border, as {side} by {side} \
             {colours} pixels"
        ),
    };
    let scaling = match input.scaling {
        Scaling::InkIsOne => "paper becomes 0 and ink 1, whichever of them is darker",
        Scaling::Unit => "0 is dark and 1 is bright",
    };
    format!("{looks}; {scaling}.")
}

fn look(example: &Example) -> Markup {
    let name = format!("{}, {}", example.group, example.class);
    html! {
        div {
            (image(&example.picture, &name, ""))
            div.arrow aria-hidden="true" { "↓" }
            (image(&example.patch, "the same as the network sees it", "patch"))
            (label(example))
        }
    }
}

fn facts(report: &Report) -> Markup {
    let model = &report.model;
    let from = &model.provenance;
    html! {
        dl.facts {
            dt { "File" }
            dd { (grouped(model.bytes)) " bytes; id " code { (model.id) } }
            dt { "Trained on" }
            dd {
                (from.data) ": " (grouped(from.trained_on[0])) " classes, " (grouped(from.trained_on[1]))
                " pictures; SHA-256 " code { (from.data_sha256) }
            }
            dt { "Held out" }
            dd { (held_out(report)) }
            dt { "Recipe" }
            dd {
                (from.recipe) ", seed " (from.seed) "; the weights of epoch " (from.epoch[0]) " of " (from.epoch[1])
            }
            dt { "Made by" }
            dd { (from.program) " on " (from.device) }
            dt { "Licence" }
            dd { (from.licence) }
            @for score in &model.scores {
                dt { "Score in its card" }
                dd { (percent(score.correct as f64 / score.trials.max(1) as f64)) " of " (score.protocol) }
            }
        }
    }
}

/// What the card calls held out: groups, or the classes of data without groups.
fn held_out(report: &Report) -> Markup {
    let names = &report.model.provenance.validation;
    let said = "these picked the epoch and set the thresholds, and never trained";
    let are_groups = report
        .data
        .groups
        .iter()
        .any(|group| names.contains(&group.name));
    let noun = if are_groups { "groups" } else { "classes" };
    html! {
        @if names.len() > LONGEST_LIST {
            (grouped(names.len() as u64)) " " (noun) ": " (said) (name_list(names, noun))
        } @else {
            (name_list(names, noun)) ": " (said)
        }
    }
}

fn layer_table(layers: &[Layer]) -> Markup {
    let all: u64 = layers.iter().map(|layer| layer.multiply_adds).sum();
    let rows = layers.iter().map(|layer| {
        let name = match layer.kernel {
            1 => layer.kind.clone(),
            kernel => format!("{} {kernel} × {kernel}", layer.kind),
        };
        vec![
            name,
            grouped(layer.inputs as u64),
            grouped(layer.outputs as u64),
            format!("{0} × {0}", layer.side_px),
            format!("{0} × {0}", layer.pooled_px),
            grouped(layer.parameters),
            grouped(layer.multiply_adds),
            percent(layer.multiply_adds as f64 / all.max(1) as f64),
        ]
    });
    table(
        &[
            "Layer",
            "Channels in",
            "Channels out",
            "Side",
            "After pooling",
            "Weights",
            "Multiply-adds",
            "Of all",
        ],
        rows,
    )
}

/// The network as a row of shrinking planes.
fn stages(model: &ModelFigures) -> Markup {
    const STAGES_WIDTH: f64 = 640.0;
    const FLOOR: f64 = 92.0;
    let whole = model.input.side_px as f64;
    let mut stages = vec![(model.input.channels, model.input.side_px)];
    let layers = model.layers.iter();
    stages.extend(layers.map(|layer| (layer.outputs, layer.pooled_px)));
    let width = STAGES_WIDTH / (stages.len() + 1) as f64;
    let middle = |stage: usize| width * (stage as f64 + 0.5);
    let px = |place: f64| format!("{place:.1}");
    let size = |side: usize| (70.0 * side as f64 / whole).clamp(7.0, 70.0);
    let sheets = |channels: usize| ((channels as f64).log2().ceil() as usize).clamp(1, 7);
    // The left upper corner of a sheet, the hindmost of which is up and to the right.
    let corner = |stage: usize, (channels, side): (usize, usize), sheet: usize| {
        let offset = 3.0 * (sheet as f64 - (sheets(channels) - 1) as f64 / 2.0);
        let left = middle(stage) - size(side) / 2.0 + offset;
        (px(left), px(FLOOR - size(side) - 3.0 * sheet as f64))
    };
    let title = "The planes between the layers, from the picture to the embedding";
    let end = middle(stages.len());
    html! {
        svg.stages viewBox={ "0 0 " (STAGES_WIDTH) " 138" } role="img" aria-label=(title) {
            title { (title) }
            @for (i, &(channels, side)) in stages.iter().enumerate() {
                @for sheet in (0..sheets(channels)).rev() {
                    @let (x, y) = corner(i, (channels, side), sheet);
                    @let size = px(size(side));
                    rect.plane x=(x) y=(y) width=(size) height=(size) rx="1.5" {}
                }
                text x=(px(middle(i))) y="112" text-anchor="middle" {
                    @if side > 1 { (side) " × " (side) } @else { "numbers" }
                }
                text x=(px(middle(i))) y="132" text-anchor="middle" { "× " (grouped(channels as u64)) }
            }
            rect.vector x=(px(end - 4.5)) y="14" width="9" height="78" rx="2" {}
            text x=(px(end)) y="112" text-anchor="middle" { "embedding" }
            text x=(px(end)) y="132" text-anchor="middle" { "× " (grouped(model.dims as u64)) }
        }
    }
}
