//! Writes the page: one HTML file that loads nothing, in words that a newcomer can follow. Knows a
//! finished [`Report`]; measures nothing. Every string that comes from data goes through
//! [`escape`].

use onelook_edge::model::Precision;
use onelook_edge::vision::preprocess::{Crop, Scaling};

use super::figures::{
    Accuracy, Confusion, Det, HardPair, Hardest, Identification, Measured, PointMeasured, Shown,
};
use super::html::{
    big, bytes, chance, duration, escape, grouped, image, interval, label, missing, missing_html,
    percent, probability, share_cells, short, table,
};
use super::layers::Layer;
use super::plots::{
    accuracy_chart, accuracy_figure, det_figure, gauge, histogram_figure, loss_figure,
    open_set_figure, reliability_figures, stages,
};
use super::{Cost, Milliseconds, Quantisation, Report};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn html(report: &Report) -> String {
    let sections = [
        ("model", "The model", model_section(report)),
        ("training", "Training", training_section(report)),
        ("one-look", "One look", identification_section(report)),
        ("same", "Same or not", verification_section(report)),
        ("strangers", "Strangers", open_set_section(report)),
        ("failures", "Failures", hardest_section(report)),
        ("cost", "Cost", cost_section(report)),
        ("method", "Method", method_section(report)),
    ];
    let mut contents = String::new();
    let mut body = String::new();
    for (id, name, section) in sections {
        contents += &format!("<li><a href=\"#{id}\">{name}</a></li>");
        body += &format!("<section id={id}>{section}</section>\n");
    }
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: a report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<div class=frame>\n\
         {opening}<nav aria-label=Contents><ol>{contents}</ol></nav>\n<main>\n{body}</main>\n\
         <footer>Made by {program}, seed {seed}. Every figure is also in <code>onelook report --json</code>. \
         This page loads nothing and runs no script.</footer>\n</div>\n</body>\n</html>\n",
        name = escape(&report.model.name),
        opening = opening(report),
        program = escape(&report.program),
        seed = report.seed,
    )
}

fn opening(report: &Report) -> String {
    let mut lead = format!(
        "A twin network that learns a new class from one picture, measured on {} classes that it never trained on.",
        grouped(report.data.classes as u64)
    );
    let mut tiles = Vec::new();
    if let Measured::Done(found) = &report.identification {
        let Accuracy { ways, right, .. } = found.headline;
        lead = format!(
            "It is shown <strong>one picture</strong> of each of {ways} classes that it has never met. \
             Of 100 further pictures it then names <strong>{:.0}</strong> rightly, where chance would name {}.",
            100.0 * right.share,
            chance(ways)
        );
        tiles.push((
            big(&percent(right.share)),
            format!(
                "right, {ways}-way one-shot{}; 95&nbsp;% interval {}",
                if found.headline.within_group {
                    " within a group"
                } else {
                    ""
                },
                interval(right.ci95)
            ),
        ));
    }
    if let Measured::Done(found) = &report.verification {
        let interval = found.any.eer_ci95.map(interval);
        tiles.push((
            big(&percent(found.any.eer)),
            format!(
                "equal error rate of any two pictures{}",
                interval.map_or(String::new(), |ends| format!("; interval {ends}"))
            ),
        ));
    }
    tiles.push((
        big(&bytes(report.model.bytes)),
        format!(
            "the whole file, {}",
            match report.model.precision {
                Precision::F32 => "32-bit floats",
                Precision::Int8 => "8-bit integers",
            }
        ),
    ));
    if let Measured::Done(count) = report.model.multiply_adds {
        tiles.push((big(&short(count)), "multiply-adds for a picture".to_owned()));
    }
    if let Measured::Done(cost) = &report.cost {
        tiles.push((
            big(&format!(
                "{:.2}\u{a0}ms",
                cost.patch.median + cost.embed.median
            )),
            "for a picture, on one core of the machine that made this page".to_owned(),
        ));
    }
    let tiles: String = tiles
        .iter()
        .map(|(number, words)| format!("<div class=tile><b>{number}</b><span>{words}</span></div>"))
        .collect();
    format!(
        "<header><p class=eyebrow>Model report</p><h1>{}</h1><p class=lead>{lead}</p></header>\n\
         <div class=tiles>{tiles}</div>\n",
        escape(&report.model.name)
    )
}

// ---- The model ----

fn model_section(report: &Report) -> String {
    let model = &report.model;
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
    let mut out = format!(
        "<h2>What it is</h2>\
         <p>Two pictures go through the <strong>same</strong> network. Each comes out as {dims} numbers, its \
         <strong>embedding</strong>. The more the two lists of numbers differ, dimension by dimension, the less \
         alike the pictures are taken to be:</p>\
         <p class=nowrap><code>p = sigmoid(b - Σ αⱼ |xⱼ - yⱼ|)</code></p>\
         <p>p, from 0 to 1, is its estimate of the probability that both show the same class. To learn a class is to keep the embedding of one \
         picture of it: nothing is trained on the device. This file's b is {bias:.3}, so two equal pictures give \
         p&nbsp;=&nbsp;{top}; {used} of its {dims} weights α are not zero.</p>",
        dims = grouped(model.dims as u64),
        bias = model.bias,
        top = probability(1.0 / (1.0 + (-model.bias).exp())),
        used = grouped(model.used_dims as u64),
    );
    out += &format!("<h3>What it sees</h3><p>{looks}; {scaling}.</p>");
    if !report.examples.is_empty() {
        let looks: String = report.examples.iter().map(look).collect();
        out += &format!("<div class=looks>{looks}</div>");
    }
    out += "<h3>Its layers</h3>";
    match (&model.parameters, &model.multiply_adds) {
        (Measured::Done(parameters), Measured::Done(multiply_adds)) => {
            out += &format!(
                "<p>{} weights, {} multiply-adds for a picture. Every convolution is followed by a ReLU and, where \
                 the side shrinks, by a maximum over neighbouring pixels.</p><figure class=wide>{}<details>\
                 <summary>Layer by layer</summary>{}</details></figure>",
                grouped(*parameters),
                grouped(*multiply_adds),
                stages(model),
                layer_table(&model.layers)
            );
        }
        (Measured::Not { not_measured }, _) | (_, Measured::Not { not_measured }) => {
            out += &missing(not_measured);
        }
    }
    out += "<h3>Where it comes from</h3>";
    out += &facts(report);
    out
}

fn look(shown: &Shown) -> String {
    format!(
        "<div>{}<div class=arrow aria-hidden=true>↓</div>{}{}</div>",
        image(
            &shown.picture,
            &format!("{}, {}", shown.group, shown.class),
            ""
        ),
        image(&shown.patch, "the same as the network sees it", "patch"),
        escape(&label(shown))
    )
}

fn facts(report: &Report) -> String {
    let model = &report.model;
    let from = &model.provenance;
    let held: Vec<String> = from.validation.iter().map(|name| escape(name)).collect();
    let rows = [
        (
            "File",
            format!(
                "{} bytes; id <code>{}</code>",
                grouped(model.bytes),
                escape(&model.id)
            ),
        ),
        (
            "Trained on",
            format!(
                "{}: {} classes, {} pictures; SHA-256 <code>{}</code>",
                escape(&from.data),
                grouped(from.trained_on[0]),
                grouped(from.trained_on[1]),
                escape(&from.data_sha256)
            ),
        ),
        (
            "Held out",
            format!(
                "{}: these picked the epoch and set the thresholds, and never trained",
                held.join(", ")
            ),
        ),
        (
            "Recipe",
            format!(
                "{}, seed {}; the weights of epoch {} of {}",
                escape(&from.recipe),
                from.seed,
                from.epoch[0],
                from.epoch[1]
            ),
        ),
        (
            "Made by",
            format!("{} on {}", escape(&from.program), escape(&from.device)),
        ),
        ("Licence", escape(&from.licence)),
    ];
    let mut rows: String = rows
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>"))
        .collect();
    for score in &model.scores {
        rows += &format!(
            "<dt>Score in its card</dt><dd>{} of {}</dd>",
            percent(score.correct as f64 / score.trials.max(1) as f64),
            escape(&score.protocol)
        );
    }
    format!("<dl class=facts>{rows}</dl>")
}

fn layer_table(layers: &[Layer]) -> String {
    let all: u64 = layers.iter().map(|layer| layer.multiply_adds).sum();
    let rows = layers.iter().map(|layer| {
        let name = match layer.kernel {
            1 => layer.kind.clone(),
            kernel => format!("{} {kernel} × {kernel}", layer.kind),
        };
        vec![
            escape(&name),
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
        rows.collect(),
    )
}

// ---- Training ----

fn training_section(report: &Report) -> String {
    let heading = "<h2>How it learned</h2>";
    let training = match &report.training {
        Measured::Done(training) => training,
        Measured::Not { not_measured } => return format!("{heading}{}", missing(not_measured)),
    };
    let Some(last) = training.epochs.last() else {
        return heading.to_owned();
    };
    let [ways, trials] = training.validation;
    let chosen = training
        .epochs
        .iter()
        .find(|epoch| epoch.epoch == training.chosen);
    let chosen_words = chosen.map_or_else(
        || "The chosen epoch is not in the log.".to_owned(),
        |epoch| {
            format!(
                "The file has the weights of <strong>epoch {}</strong>, the best of {} on validation ({}).",
                epoch.epoch,
                training.epochs.len(),
                percent(epoch.validation_accuracy)
            )
        },
    );
    format!(
        "{heading}<p>After each epoch the network was tried on the held-out classes: {trials} trials of {ways} ways, \
         one shot. {chosen_words} The run took {}.</p><div class=pair>{}{}</div>",
        duration(last.seconds),
        loss_figure(training),
        accuracy_figure(training)
    )
}

// ---- One look ----

fn identification_section(report: &Report) -> String {
    let heading = "<h2>Which one is it?</h2>";
    let found = match &report.identification {
        Measured::Done(found) => found,
        Measured::Not { not_measured } => return format!("{heading}{}", missing(not_measured)),
    };
    let Accuracy {
        ways,
        right,
        within_group,
        ..
    } = found.headline;
    let scope = if within_group {
        "The classes of a group were made to go together, as the letters of an alphabet are, so within a group the \
         choice is the harder one."
    } else {
        "The data has one group, so classes are drawn from all of it."
    };
    let groups = if found.groups.len() > 1 {
        group_table(found)
    } else {
        String::new()
    };
    format!(
        "{heading}<p>A trial enrols one picture (one <strong>shot</strong>) of each of some classes (the \
         <strong>ways</strong>) and asks which of them a further picture shows. An answer is always given; a tie \
         counts as wrong. With {ways} ways it is right in <strong>{}</strong> of {} random trials. {scope}</p>\
         <div class=pair>{}{}</div>{groups}",
        percent(right.share),
        grouped(right.of),
        accuracy_chart(
            &found.ways,
            |accuracy| accuracy.ways,
            "By ways",
            "One picture enrolled of each class. Bars: 95 % intervals.",
            "classes to choose from",
            true,
        ),
        accuracy_chart(
            &found.shots,
            |accuracy| accuracy.shots,
            "By shots",
            &format!("{ways} classes to choose from. Bars: 95 % intervals."),
            "pictures enrolled of each class",
            false,
        ),
    )
}

fn group_table(found: &Identification) -> String {
    let rows = found.groups.iter().map(|group| {
        let [count, of, share, ends] = share_cells(&group.right);
        let classes = group.classes.to_string();
        let name = escape(&group.name);
        vec![name, share, gauge(&group.right), ends, count, of, classes]
    });
    let ends = || found.groups.iter().map(|group| group.right.ci95);
    let highest_low = ends().map(|ends| ends[0]).fold(0.0, f64::max);
    let lowest_high = ends().map(|ends| ends[1]).fold(1.0, f64::min);
    let words = if highest_low > lowest_high {
        "Groups differ by more than chance explains. What yet another group would give is as open as they are unlike."
    } else {
        "Their intervals overlap: these groups do not differ by more than chance may explain."
    };
    format!(
        "<h3>By group, {}-way one-shot</h3><p>{words}</p>{}",
        found.headline.ways,
        table(
            &[
                "Group",
                "Share",
                "0 to 100 %",
                "95 % interval",
                "Right",
                "Trials",
                "Classes"
            ],
            rows.collect(),
        )
    )
}

// ---- Same or not ----

fn verification_section(report: &Report) -> String {
    let heading = "<h2>Same class, or not?</h2>";
    let found = match &report.verification {
        Measured::Done(found) => found,
        Measured::Not { not_measured } => return format!("{heading}{}", missing(not_measured)),
    };
    let Det {
        genuine_pairs,
        impostor_pairs,
        eer,
        ..
    } = found.any;
    let near = found.within_group.as_ref().map_or(String::new(), |near| {
        format!(" (two classes of one group: {})", percent(near.eer))
    });
    format!(
        "{heading}<p>Two pictures are accepted as the same class where p reaches a threshold. A <strong>false \
         match</strong> accepts two classes as one (rate FMR), a <strong>false non-match</strong> rejects two \
         pictures of one class (rate FNMR); a higher threshold trades the first for the second. Over all {} genuine \
         and {} impostor pairs of the held-out pictures the two rates meet at <strong>{}</strong>{near}.</p>\
         <div class=pair>{}{}</div><h3>The thresholds in the file</h3>{}{}",
        grouped(genuine_pairs),
        grouped(impostor_pairs),
        percent(eer),
        det_figure(found),
        histogram_figure(found),
        point_table(&found.points),
        reliability_figures(&found.reliability),
    )
}

fn point_table(points: &[PointMeasured]) -> String {
    let rows = points.iter().map(|point| {
        let with = |rate: f64, ends: Option<[f64; 2]>| {
            ends.map_or(percent(rate), |ends| {
                format!("{} <small>({})</small>", percent(rate), interval(ends))
            })
        };
        vec![
            format!(
                "<code>{}</code>{}",
                escape(&point.name),
                if point.is_default {
                    ", the default"
                } else {
                    ""
                }
            ),
            format!("{:.4}", point.threshold),
            with(point.fmr, point.fmr_ci95),
            point.fmr_within_group.map_or("–".to_owned(), percent),
            with(point.fnmr, point.fnmr_ci95),
            format!("{} / {}", percent(point.card[0]), percent(point.card[1])),
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
        rows.collect(),
    )
}

// ---- Strangers ----

fn open_set_section(report: &Report) -> String {
    let heading = "<h2>And if it is nobody?</h2>";
    let found = match &report.open_set {
        Measured::Done(found) => found,
        Measured::Not { not_measured } => return format!("{heading}{}", missing(not_measured)),
    };
    let names: Vec<&str> = found
        .first()
        .map(|size| size.rates.iter().map(|rates| rates.name.as_str()).collect())
        .unwrap_or_default();
    let charts = [
        (
            "Strangers who are named (FPIR)",
            "Share of pictures of classes that are not enrolled for which somebody is named.",
            true,
        ),
        (
            "Enrolled ones who are missed (FNIR)",
            "Share of pictures of enrolled classes that are rejected or named wrongly.",
            false,
        ),
    ]
    .map(|(title, subtitle, is_fpir)| open_set_figure(found, &names, title, subtitle, is_fpir));
    format!(
        "{heading}<p>A device does not only choose: it may say \"unknown\". The more classes are enrolled, the more \
         chances a stranger has to resemble one. Galleries of each size were drawn at random from the held-out \
         classes, one picture enrolled of each, classes of any group.</p><div class=pair>{}{}</div>",
        charts[0], charts[1]
    )
}

// ---- Failures ----

fn hardest_section(report: &Report) -> String {
    let Hardest {
        false_matches,
        false_non_matches,
        confusions,
        confusion_galleries,
    } = &report.hardest;
    let mut out = "<h2>Where it goes wrong</h2><p>The worst of the held-out pairs, for the eye to judge: some are \
                   alike, some are the network's fault. Large is the part of the picture that it looked at, small is what it saw.</p>"
        .to_owned();
    out += "<h3>Two classes taken for one</h3>";
    if false_matches.is_empty() {
        out += &missing("There are no two held-out classes.");
    } else {
        out += &format!(
            "<p>The highest p between different classes, one pair for each two classes.</p>{}",
            sheet(false_matches)
        );
    }
    out += "<h3>One class taken for two</h3>";
    if false_non_matches.is_empty() {
        out += &missing("No held-out class has two pictures.");
    } else {
        out += &format!(
            "<p>The lowest p between two pictures of one class, one pair for each class.</p>{}",
            sheet(false_non_matches)
        );
    }
    out += "<h3>The most confused classes</h3>";
    if confusions.is_empty() {
        out += &missing("No class was taken for another.");
    } else {
        let rows: String = confusions.iter().map(confused).collect();
        out += &format!(
            "<p>All {} held-out classes are enrolled by one random picture each, {confusion_galleries} times over, and \
             every other picture is looked for. Beside each class: how many of its pictures were named as the other of \
             the pair.</p><ul class=\"sheet wide\">{rows}</ul>",
            grouped(report.data.classes as u64)
        );
    }
    out
}

fn sheet(pairs: &[HardPair]) -> String {
    let cards: String = pairs
        .iter()
        .map(|pair| {
            let side = |shown: &Shown| {
                format!(
                    "<div class=side>{}{}</div>",
                    image(&shown.picture, &label(shown), ""),
                    image(&shown.patch, "as the network sees it", "patch")
                )
            };
            let (a, b) = (label(&pair.a), label(&pair.b));
            let words = if a == b {
                format!("<span>{}</span>", escape(&a))
            } else {
                format!("<span>{}</span><span>{}</span>", escape(&a), escape(&b))
            };
            format!(
                "<li class=card title=\"{} and {}\"><div class=two>{}{}</div><b>p = {}</b>{words}</li>",
                escape(&pair.a.source),
                escape(&pair.b.source),
                side(&pair.a),
                side(&pair.b),
                probability(pair.p)
            )
        })
        .collect();
    format!("<ul class=sheet>{cards}</ul>")
}

fn confused(confusion: &Confusion) -> String {
    let row = |shown: &[Shown], count: u64, of: u64| {
        let images: String = shown
            .iter()
            .map(|shown| image(&shown.picture, &label(shown), ""))
            .collect();
        format!(
            "<div class=three>{images}</div><div><b>{}</b> of {}<span>{}</span></div>",
            percent(count as f64 / of.max(1) as f64),
            grouped(of),
            escape(&shown.first().map_or(String::new(), label))
        )
    };
    format!(
        "<li class=\"card confused\">{}{}</li>",
        row(&confusion.a, confusion.a_as_b, confusion.a_probes),
        row(&confusion.b, confusion.b_as_a, confusion.b_probes)
    )
}

// ---- Cost ----

fn cost_section(report: &Report) -> String {
    let model = &report.model;
    let mut rows = vec![("File".to_owned(), format!("{} bytes", grouped(model.bytes)))];
    for (name, count) in [
        ("Weights", &model.parameters),
        ("Multiply-adds for a picture", &model.multiply_adds),
    ] {
        if let Measured::Done(count) = count {
            rows.push((name.to_owned(), grouped(*count)));
        }
    }
    rows.push((
        "Memory for an enrolled picture".to_owned(),
        format!("{} bytes of embedding", grouped(4 * model.dims as u64)),
    ));
    let mut out = "<h2>What it costs</h2>".to_owned();
    let mut timing = String::new();
    match &report.cost {
        Measured::Done(Cost {
            machine,
            pictures,
            patch,
            embed,
        }) => {
            let cell = |time: &Milliseconds| {
                format!(
                    "median {:.3}&nbsp;ms, p99 {:.3}&nbsp;ms",
                    time.median, time.p99
                )
            };
            rows.push(("Finding the mark, making the patch".to_owned(), cell(patch)));
            rows.push(("The network".to_owned(), cell(embed)));
            timing = format!(
                "<p>Times are of {} single pictures one after another on one core of the machine that made this page \
                 ({}); other programs may have run beside it. They are the only figures here that change from one \
                 making to the next.</p>",
                grouped(*pictures as u64),
                escape(machine)
            );
        }
        Measured::Not { not_measured } => timing += &missing(not_measured),
    }
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd class=num>{value}</dd>"))
        .collect();
    out += &format!("<dl class=facts>{rows}</dl>{timing}<h3>What 8 bits cost</h3>");
    match &report.quantisation {
        Measured::Done(found) => out += &quantisation_table(report, found),
        Measured::Not { not_measured } => out += &missing(not_measured),
    }
    out
}

fn quantisation_table(report: &Report, found: &Quantisation) -> String {
    let rate = |rate: Option<f64>| rate.map_or("–".to_owned(), percent);
    let ms = |time: Option<Milliseconds>| {
        time.map_or("–".to_owned(), |time| {
            format!("{:.3}\u{a0}ms", time.median)
        })
    };
    let own = match &report.cost {
        Measured::Done(cost) => Some(cost.embed),
        Measured::Not { .. } => None,
    };
    let points = |a: f64, b: f64| format!("{:+.2} points", 100.0 * (b - a));
    let ways = match &report.identification {
        Measured::Done(found) => found.headline.ways,
        Measured::Not { .. } => 0,
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
    format!(
        "<p>The run's best weights in 32-bit floats against this file, on the same trials and the same pairs.</p>{}",
        table(&["", "f32", "This file", "Difference"], rows)
    )
}

// ---- Method ----

fn method_section(report: &Report) -> String {
    let data = &report.data;
    let groups: Vec<String> = data
        .groups
        .iter()
        .map(|group| {
            format!(
                "{} ({} classes, {} pictures)",
                escape(&group.name),
                grouped(group.classes as u64),
                grouped(group.pictures as u64)
            )
        })
        .collect();
    let mut notes = String::new();
    if !data.missing.is_empty() {
        let names: Vec<String> = data.missing.iter().map(|name| escape(name)).collect();
        notes += &missing_html(&format!(
            "The data lacks what the card also calls held out: {}.",
            names.join(", ")
        ));
    }
    if !data.skipped.is_empty() {
        let first: Vec<String> = data
            .skipped
            .iter()
            .take(5)
            .map(|name| escape(name))
            .collect();
        notes += &missing_html(&format!(
            "{} pictures were left out, unreadable or blank to this model: {}{}.",
            grouped(data.skipped.len() as u64),
            first.join(", "),
            if data.skipped.len() > 5 {
                " and more"
            } else {
                ""
            }
        ));
    }
    if data.is_shortened {
        notes += &missing_html(&format!(
            "Only the first pictures of each class were measured, {} in all.",
            grouped(data.pictures as u64)
        ));
    }
    format!(
        "<h2>How this was measured</h2><ul>\
         <li>On {data_name}, by the groups (of flat data: the classes) that the model's card calls held out: {groups}. \
         {classes} classes, {pictures} pictures. Held out is told by name; the pictures are trusted to be those of the \
         training.</li>\
         <li>These held-out classes also picked the epoch and set the thresholds, so every figure leans a little to the \
         good side. The final word is a test that had no say in either: <code>onelook eval --runs</code>.</li>\
         <li>Every picture is embedded once, by the device's own code, and every figure comes from the distances between \
         these embeddings. Accuracies are of 10,000 random trials, as <code>onelook eval</code> draws them, seed {seed}.</li>\
         <li>Pairs and trials that share a class are not independent. Intervals are of 95&nbsp;%, from redraws of the \
         classes with replacement (pairs of two classes weigh the product of their counts); shares take the wider of \
         that and Wilson's, where trials with the same pictures count once. They tell of other classes from the same groups, not of other groups.</li>\
         <li>FPIR counts pictures of classes that are not enrolled for which any is named; FNIR counts pictures of \
         enrolled classes that are rejected or named wrongly; a tie names nobody.</li></ul>{notes}",
        data_name = escape(&data.name),
        groups = if groups.is_empty() {
            "none".to_owned()
        } else {
            groups.join(", ")
        },
        classes = grouped(data.classes as u64),
        pictures = grouped(data.pictures as u64),
        seed = report.seed,
    )
}
