//! Writes the page: one HTML file that loads nothing, in words that a newcomer can follow. Knows a
//! finished [`Report`]; measures nothing. Every string that comes from data goes through [`escape`].

use onelook_edge::model::Precision;
use onelook_edge::preprocess::{Crop, Scaling};

use super::chart::{Axis, Chart, Scale, round_ticks};
use super::figures::{
    Accuracy, Confusion, Det, HardPair, Hardest, Identification, Measured, OpenSet, PointMeasured,
    Reliability, Share, Shown, Verification,
};
use super::layers::Layer;
use super::{Cost, Milliseconds, ModelFigures, Quantisation, Report, Training};

const STYLE: &str = include_str!("page.css");
/// Colours of the card's thresholds, in their order, and how their lines are drawn.
const POINT_CLASSES: [&str; 4] = ["green", "blue", "orange dashed", "purple dotted"];

/// `text` as it must stand in HTML, in an attribute too.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

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
         <p>p is the probability that both show the same class. To learn a class is to keep the embedding of one \
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

/// The network as a row of shrinking planes.
fn stages(model: &ModelFigures) -> String {
    const HEIGHT: f64 = 132.0;
    let whole = model.input.side_px as f64;
    let mut stages = vec![(model.input.channels, model.input.side_px)];
    stages.extend(
        model
            .layers
            .iter()
            .map(|layer| (layer.outputs, layer.pooled_px)),
    );
    let width = 920.0 / (stages.len() + 1) as f64;
    let mut body = String::new();
    for (i, (channels, side)) in stages.iter().enumerate() {
        let size = (70.0 * *side as f64 / whole).clamp(7.0, 70.0);
        let sheets = ((*channels as f64).log2().ceil() as usize).clamp(1, 7);
        let (middle, floor) = (width * (i as f64 + 0.5), 92.0);
        for sheet in (0..sheets).rev() {
            let offset = 3.0 * (sheet as f64 - (sheets - 1) as f64 / 2.0);
            body += &format!(
                "<rect class=plane x={:.1} y={:.1} width={size:.1} height={size:.1} rx=1.5 />",
                middle - size / 2.0 + offset,
                floor - size - 3.0 * sheet as f64,
            );
        }
        let below = if *side > 1 {
            format!("{side} × {side}")
        } else {
            "numbers".to_owned()
        };
        body += &format!(
            "<text x={middle:.1} y=112 text-anchor=middle>{below}</text>\
             <text x={middle:.1} y=128 text-anchor=middle>× {}</text>",
            grouped(*channels as u64)
        );
    }
    let middle = width * (stages.len() as f64 + 0.5);
    body += &format!(
        "<rect class=vector x={:.1} y=14 width=9 height=78 rx=2 />\
         <text x={middle:.1} y=112 text-anchor=middle>embedding</text>\
         <text x={middle:.1} y=128 text-anchor=middle>{} numbers</text>",
        middle - 4.5,
        grouped(model.dims as u64)
    );
    let title = "The planes between the layers, from the picture to the embedding";
    format!(
        "<div class=scroll><svg style=\"min-width:34rem\" viewBox=\"0 0 920 {HEIGHT}\" role=img aria-label=\"{title}\">\
         <title>{title}</title>{body}</svg></div>"
    )
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

fn epochs_axis(training: &Training) -> Axis {
    let last = training.epochs.last().map_or(1, |epoch| epoch.epoch) as f64;
    let first = training.epochs.first().map_or(0, |epoch| epoch.epoch) as f64;
    let first = if first < last { first } else { 0.0 };
    let ticks = round_ticks(first, last, 6);
    let whole = ticks.into_iter().filter(|tick| tick.fract() == 0.0);
    Axis {
        label: "epoch".to_owned(),
        scale: Scale::Linear,
        low: first,
        high: last,
        ticks: whole.map(|tick| (tick, format!("{tick}"))).collect(),
    }
}

fn loss_figure(training: &Training) -> String {
    let losses = || training.epochs.iter().map(|epoch| epoch.loss);
    let high = losses().fold(0.0, f64::max).max(1e-6);
    let y = Axis {
        label: "mean loss of the epoch".to_owned(),
        scale: Scale::Linear,
        low: 0.0,
        high: 1.04 * high,
        ticks: round_ticks(0.0, high, 5)
            .into_iter()
            .map(|tick| (tick, plain(tick)))
            .collect(),
    };
    let mut chart = Chart::new("Training loss by epoch", 280.0, epochs_axis(training), y);
    let points: Vec<(f64, f64)> = training
        .epochs
        .iter()
        .map(|epoch| (epoch.epoch as f64, epoch.loss))
        .collect();
    mark_chosen(&mut chart, training);
    chart.line("blue", &points);
    figure("Loss", "On distorted training pictures.", "", chart, None)
}

fn accuracy_figure(training: &Training) -> String {
    let all = || {
        training
            .epochs
            .iter()
            .flat_map(|epoch| [epoch.pair_accuracy, epoch.validation_accuracy])
    };
    let low = (all().fold(1.0, f64::min) * 20.0).floor() / 20.0;
    let y = percent_axis("right, %", low.clamp(0.0, 0.95), 1.0);
    let mut chart = Chart::new(
        "Validation and pair accuracy by epoch",
        280.0,
        epochs_axis(training),
        y,
    );
    mark_chosen(&mut chart, training);
    let points = |of: fn(&super::Epoch) -> f64| -> Vec<(f64, f64)> {
        let epochs = training.epochs.iter();
        epochs
            .map(|epoch| (epoch.epoch as f64, of(epoch)))
            .collect()
    };
    chart.line("orange dashed", &points(|epoch| epoch.pair_accuracy));
    chart.line("blue", &points(|epoch| epoch.validation_accuracy));
    for epoch in &training.epochs {
        if epoch.epoch == training.chosen {
            let note = format!(
                "epoch {}: {}",
                epoch.epoch,
                percent(epoch.validation_accuracy)
            );
            let place = (epoch.epoch as f64, epoch.validation_accuracy);
            chart.dot("blue", place, &note);
        }
    }
    let rows = training.epochs.iter().map(|epoch| {
        vec![
            epoch.epoch.to_string(),
            format!("{:.4}", epoch.loss),
            percent(epoch.pair_accuracy),
            percent(epoch.validation_accuracy),
            format!("{:.2e}", epoch.learning_rate),
            format!("{:.0}", epoch.seconds),
        ]
    });
    let numbers = table(
        &[
            "Epoch",
            "Loss",
            "Pairs",
            "Validation",
            "Learning rate",
            "Seconds",
        ],
        rows.collect(),
    );
    figure(
        "Accuracy",
        "On held-out classes, and on the pairs of the training batches at p = 0.5.",
        &key(&[
            ("blue", "validation, one-shot"),
            ("orange dashed", "training pairs"),
        ]),
        chart,
        Some(numbers),
    )
}

fn mark_chosen(chart: &mut Chart, training: &Training) {
    let last = training.epochs.last().map_or(0, |epoch| epoch.epoch);
    chart.upright(
        training.chosen as f64,
        &format!("epoch {}, chosen", training.chosen),
        2 * training.chosen > last,
        0,
    );
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
        "Within a group the choice is hardest: its classes were made to go together, as the letters of an alphabet \
         are. Across groups it is easier."
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

fn accuracy_chart(
    accuracies: &[Accuracy],
    along: fn(&Accuracy) -> usize,
    title: &str,
    subtitle: &str,
    x_label: &str,
    with_chance: bool,
) -> String {
    let low = accuracies
        .iter()
        .map(|accuracy| accuracy.right.ci95[0])
        .fold(1.0, f64::min);
    let low = if with_chance {
        0.0
    } else {
        ((low * 20.0).floor() / 20.0 - 0.05).clamp(0.0, 0.9)
    };
    let mut places: Vec<usize> = accuracies.iter().map(along).collect();
    places.sort_unstable();
    places.dedup();
    let mut named: Vec<usize> = Vec::new();
    for &place in &places {
        if named
            .last()
            .is_none_or(|last| place as f64 > 1.25 * *last as f64)
        {
            named.push(place);
        }
    }
    let (first, last) = (
        places.first().copied().unwrap_or(1) as f64,
        places.last().copied().unwrap_or(1) as f64,
    );
    let x = Axis {
        label: x_label.to_owned(),
        scale: Scale::Log,
        low: first / 1.12,
        high: last * 1.12,
        ticks: named
            .iter()
            .map(|place| (*place as f64, place.to_string()))
            .collect(),
    };
    let mut chart = Chart::new(
        &format!("Accuracy {}", title.to_lowercase()),
        300.0,
        x,
        percent_axis("right, %", low, 1.0),
    );
    if with_chance {
        let steps = (0..=40).map(|i| first * (last / first).powf(f64::from(i) / 40.0));
        let chance: Vec<(f64, f64)> = steps.map(|ways| (ways, 1.0 / ways)).collect();
        chart.line("plain thin", &chance);
    }
    let mut keys = Vec::new();
    for (within, class, name) in [
        (false, "orange dashed", "any classes"),
        (true, "blue", "within a group"),
    ] {
        let some: Vec<&Accuracy> = accuracies
            .iter()
            .filter(|accuracy| accuracy.within_group == within)
            .collect();
        if some.is_empty() {
            continue;
        }
        keys.insert(0, (class, name));
        let points: Vec<(f64, f64)> = some
            .iter()
            .map(|accuracy| (along(accuracy) as f64, accuracy.right.share))
            .collect();
        chart.line(class, &points);
        for (accuracy, &point) in some.iter().zip(&points) {
            chart.interval(class, point.0, accuracy.right.ci95);
            let note = format!(
                "{name}, {} ways, {} shots: {}, interval {}",
                accuracy.ways,
                accuracy.shots,
                percent(accuracy.right.share),
                interval(accuracy.right.ci95)
            );
            chart.dot(class, point, &note);
        }
    }
    if with_chance {
        keys.push(("plain thin", "chance"));
    }
    let rows = accuracies.iter().map(|accuracy| {
        let mut row = vec![
            if accuracy.within_group {
                "within a group"
            } else {
                "any"
            }
            .to_owned(),
            accuracy.ways.to_string(),
            accuracy.shots.to_string(),
            accuracy.groups.to_string(),
        ];
        row.extend(share_cells(&accuracy.right));
        row
    });
    let numbers = table(
        &[
            "Classes",
            "Ways",
            "Shots",
            "Groups",
            "Right",
            "Trials",
            "Share",
            "95 % interval",
        ],
        rows.collect(),
    );
    figure(title, subtitle, &key(&keys), chart, Some(numbers))
}

fn group_table(found: &Identification) -> String {
    let rows = found.groups.iter().map(|group| {
        let mut row = vec![
            escape(&group.name),
            group.classes.to_string(),
            format!(
                "<span class=gauge><i style=\"width:{:.1}%\"></i></span>",
                100.0 * group.right.share
            ),
        ];
        row.extend(share_cells(&group.right));
        row
    });
    format!(
        "<h3>By group, {}-way one-shot</h3><p>Groups differ far more than chance explains: what another group would \
         give is as uncertain as they are unlike.</p>{}",
        found.headline.ways,
        table(
            &[
                "Group",
                "Classes",
                "",
                "Right",
                "Trials",
                "Share",
                "95 % interval"
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

fn det_figure(found: &Verification) -> String {
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
    let least = (3.0 / found.any.impostor_pairs as f64).clamp(1e-6, 0.01);
    let within = |det: &Det| -> Vec<(f64, f64)> {
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
    let (low, high) = (0.7 * low.max(1e-4), (high + 0.005).min(0.995));
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
            .filter(|point| (least..=0.5).contains(&point.fmr))
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
        chart.words(
            (point.fmr, point.fnmr),
            (-9.0, 14.0),
            &point_name(&point.name),
        );
    }
    chart.dot(
        "blue open",
        (found.any.eer, found.any.eer),
        &format!("equal error rate {}", percent(found.any.eer)),
    );
    chart.words(
        (found.any.eer, found.any.eer),
        (10.0, -6.0),
        &format!("EER {}", percent(found.any.eer)),
    );
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
        "Axes by normal deviate. Shaded: 95 % band of other classes of this kind.",
        &key(&keys),
        chart,
        Some(numbers),
    )
}

fn histogram_figure(found: &Verification) -> String {
    let bars = &found.histogram;
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return missing("All pairs have one score: there is no histogram.");
    };
    const NAMED: [(f64, &str); 9] = [
        (1e-6, "1e-6"),
        (1e-4, "1e-4"),
        (0.01, "0.01"),
        (0.1, "0.1"),
        (0.5, "0.5"),
        (0.9, "0.9"),
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
    let y = percent_axis("pairs of the kind in each bar, %", 0.0, 1.25 * high);
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
    let mut points: Vec<&PointMeasured> = found.points.iter().collect();
    points.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    for (row, point) in points.into_iter().enumerate() {
        let threshold = f64::from(point.threshold).clamp(1e-9, 1.0 - 1e-9);
        chart.upright(odds(threshold), &point_name(&point.name), true, row);
    }
    let rows = bars.iter().filter(|bar| bar.genuine + bar.impostor > 0);
    let rows = rows.map(|bar| {
        let p = |odds: f64| probability(1.0 / (1.0 + (-odds as f32).exp()));
        vec![
            format!("{} to {}", p(bar.low), p(bar.high)),
            grouped(bar.genuine),
            grouped(bar.impostor),
        ]
    });
    figure(
        "Scores",
        "Where genuine and impostor pairs lie, each kind as shares of its own; upright lines are the file's thresholds.",
        &key(&[("blue", "genuine"), ("orange", "impostor, any class")]),
        chart,
        Some(table(&["p", "Genuine", "Impostor"], rows.collect())),
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

fn reliability_figures(reliability: &Reliability) -> String {
    let p_axis = || percent_axis("p, %", 0.0, 1.0);
    let mut chart = Chart::new(
        "Reliability: share that is genuine by p",
        320.0,
        p_axis(),
        percent_axis("genuine among pairs of that p, %", 0.0, 1.0),
    );
    chart.line("plain thin", &[(0.0, 0.0), (1.0, 1.0)]);
    let points: Vec<(f64, f64)> = reliability
        .bins
        .iter()
        .filter_map(|bin| Some((bin.mean_p?, bin.observed?)))
        .collect();
    chart.line("blue", &points);
    for bin in &reliability.bins {
        if let (Some(mean), Some(observed)) = (bin.mean_p, bin.observed) {
            if let Some(ends) = bin.observed_ci95 {
                chart.interval("blue", mean, ends);
            }
            let note = format!("mean p {}: {} genuine", percent(mean), percent(observed));
            chart.dot("blue", (mean, observed), &note);
        }
    }
    let most = reliability
        .bins
        .iter()
        .map(|bin| bin.genuine.max(bin.impostor))
        .max();
    let high = 10f64.powf((most.unwrap_or(1).max(10) as f64).log10().ceil());
    let decades = (0..).map(|power| 10f64.powi(power));
    let y = Axis {
        label: "pairs in each bin, by logarithm".to_owned(),
        scale: Scale::Log,
        low: 0.7,
        high,
        ticks: decades
            .take_while(|count| *count <= high)
            .map(|count| (count, grouped(count as u64)))
            .collect(),
    };
    let mut counts = Chart::new("Pairs in each bin of p", 320.0, p_axis(), y);
    for bin in &reliability.bins {
        let middle = (bin.low + bin.high) / 2.0;
        for (class, from, to, count) in [
            ("blue", bin.low + 0.008, middle - 0.002, bin.genuine),
            ("orange", middle + 0.002, bin.high - 0.008, bin.impostor),
        ] {
            if count > 0 {
                counts.bar(class, [from, to], 0.7, count as f64);
            }
        }
    }
    let rows = reliability.bins.iter().map(|bin| {
        let cell = |rate: Option<f64>| rate.map_or("–".to_owned(), percent);
        vec![
            format!("{:.1} to {:.1}", bin.low, bin.high),
            grouped(bin.genuine),
            grouped(bin.impostor),
            cell(bin.mean_p),
            cell(bin.observed),
            bin.observed_ci95.map_or("–".to_owned(), interval),
        ]
    });
    let numbers = table(
        &[
            "p",
            "Genuine",
            "Impostor",
            "Mean p",
            "Genuine share",
            "95 % interval",
        ],
        rows.collect(),
    );
    format!(
        "<h3>Does p mean what it says?</h3><p>Where genuine and impostor pairs are equally likely beforehand, of pairs \
         at p&nbsp;=&nbsp;0.8 four in five should be genuine. On average p is off by <strong>{:.1} points</strong> \
         (expected calibration error, ten bins). All genuine pairs together weigh as much as all impostor pairs here; \
         where strangers are more frequent than that, the same p means less.</p><div class=pair>{}{}</div>",
        100.0 * reliability.ece,
        figure(
            "Reliability",
            "On the diagonal p is right; below it is too sure, above too shy. Bars: 95 % intervals.",
            "",
            chart,
            Some(numbers),
        ),
        figure(
            "Pairs behind it",
            "Few pairs lie in the middle: there the diagram knows least.",
            &key(&[("blue", "genuine"), ("orange", "impostor")]),
            counts,
            None,
        )
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

fn open_set_figure(
    sizes: &[OpenSet],
    names: &[&str],
    title: &str,
    subtitle: &str,
    is_fpir: bool,
) -> String {
    let pick = |size: &OpenSet, point: usize| -> Option<Share> {
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
        percent_axis("FNIR, %", 0.0, 1.0)
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
            let mut row = vec![
                size.gallery.to_string(),
                format!("<code>{}</code>", escape(name)),
                size.galleries.to_string(),
            ];
            row.extend(share_cells(&pick(size, point)?));
            Some(row)
        })
    });
    let numbers = table(
        &[
            "Enrolled",
            "Point",
            "Galleries",
            "Wrong",
            "Probes",
            "Rate",
            "95 % interval",
        ],
        rows.collect(),
    );
    let keys: Vec<(&str, &str)> = keys
        .iter()
        .map(|(class, name)| (*class, name.as_str()))
        .collect();
    figure(title, subtitle, &key(&keys), chart, Some(numbers))
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
             every other picture is looked for. Numbers are how often one was named as the other.</p>{rows}",
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
    let side = |shown: &[Shown]| {
        let images: String = shown
            .iter()
            .map(|shown| image(&shown.picture, &label(shown), ""))
            .collect();
        let name = shown.first().map_or(String::new(), label);
        format!(
            "<div><div class=three>{images}</div><p>{}</p></div>",
            escape(&name)
        )
    };
    let times = |arrow: &str, count: u64, of: u64| {
        format!(
            "<b>{arrow} {count}</b><span class=nowrap>of {}, {}</span>",
            grouped(of),
            percent(count as f64 / of.max(1) as f64)
        )
    };
    format!(
        "<div class=confused>{}<div class=times>{}<br>{}</div>{}</div>",
        side(&confusion.a),
        times("→", confusion.a_as_b, confusion.a_probes),
        times("←", confusion.b_as_a, confusion.b_probes),
        side(&confusion.b)
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
         that and Wilson's. They tell of other classes from the same groups, not of other groups.</li>\
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

// ---- Pieces ----

fn figure(title: &str, subtitle: &str, key: &str, chart: Chart, numbers: Option<String>) -> String {
    let numbers = numbers.map_or(String::new(), |table| {
        format!("<details><summary>Numbers</summary>{table}</details>")
    });
    format!(
        "<figure><figcaption><b>{title}</b>{subtitle}</figcaption>{key}{}{numbers}</figure>",
        chart.finish()
    )
}

/// What lines of a chart mean; classes and names.
fn key(lines: &[(&str, &str)]) -> String {
    let lines: String = lines
        .iter()
        .map(|(class, name)| {
            format!(
                "<li><svg viewBox=\"0 0 26 12\" aria-hidden=true><path class=\"line {class}\" d=\"M2 6H24\" /></svg>{}</li>",
                escape(name)
            )
        })
        .collect();
    format!("<ul class=key>{lines}</ul>")
}

/// A table whose cells are HTML; all but the first column are numbers.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head: String = head
        .iter()
        .map(|name| format!("<th scope=col>{name}</th>"))
        .collect();
    let rows: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr>{cells}</tr>")
        })
        .collect();
    format!(
        "<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn share_cells(share: &Share) -> [String; 4] {
    [
        grouped(share.count),
        grouped(share.of),
        percent(share.share),
        interval(share.ci95),
    ]
}

fn missing(sentence: &str) -> String {
    missing_html(&escape(sentence))
}

fn missing_html(sentence: &str) -> String {
    format!("<p class=missing>{sentence}</p>")
}

/// A picture that travels in the page; nothing where there is none.
fn image(png: &[u8], alt: &str, class: &str) -> String {
    if png.is_empty() {
        return String::new();
    }
    format!(
        "<img class=\"{class}\" alt=\"{}\" src=\"data:image/png;base64,{}\">",
        escape(alt),
        base64(png)
    )
}

fn label(shown: &Shown) -> String {
    if shown.group == shown.class {
        shown.class.clone()
    } else {
        format!("{} / {}", shown.group, shown.class)
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let all = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let is_padding = digit > three.len();
            let value = (all >> (18 - 6 * digit)) as usize % 64;
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[value])
            });
        }
    }
    text
}

fn percent_axis(label: &str, low: f64, high: f64) -> Axis {
    Axis {
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

/// The name of an operating point, in words where it is one of the program's own.
fn point_name(name: &str) -> String {
    match name {
        "eer" => "equal errors",
        "fmr_1e-2" => "1 in 100",
        "fmr_1e-3" => "1 in 1,000",
        "fmr_1e-4" => "1 in 10,000",
        other => other,
    }
    .to_owned()
}

/// What guessing would name of 100.
fn chance(ways: usize) -> String {
    plain((1000.0 / ways.max(1) as f64).round() / 10.0)
}

/// A share as a percentage, finer where it is small.
fn percent(share: f64) -> String {
    let rate = 100.0 * share;
    let digits = match rate.abs() {
        0.0 => 0,
        rate if rate < 0.001 => 5,
        rate if rate < 0.01 => 4,
        rate if rate < 0.1 => 3,
        rate if rate < 1.0 => 2,
        _ => 1,
    };
    format!("{rate:.digits$}\u{a0}%")
}

/// The ends of an interval of a share.
fn interval([low, high]: [f64; 2]) -> String {
    let low = percent(low);
    let low = low.trim_end_matches(['\u{a0}', '%']);
    format!("{low} to {}", percent(high))
}

/// p with the digits that tell it from 0 and 1.
fn probability(p: f32) -> String {
    if p == 0.0 || p == 1.0 {
        format!("{p}")
    } else if p < 0.001 {
        format!("{p:.1e}")
    } else if p > 0.9995 {
        format!("{p:.6}")
    } else {
        format!("{p:.3}")
    }
}

/// A number without needless digits.
fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 12.1 million.
fn short(number: u64) -> String {
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{:.0}\u{a0}thousand", number as f64 / 1e3),
        _ => format!("{:.1}\u{a0}million", number as f64 / 1e6),
    }
}

fn bytes(number: u64) -> String {
    match number {
        0..1_000_000 => format!("{:.0}\u{a0}kB", number as f64 / 1e3),
        _ => format!("{:.1}\u{a0}MB", number as f64 / 1e6),
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} seconds"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

/// A number with its unit set smaller.
fn big(text: &str) -> String {
    match text.split_once('\u{a0}') {
        Some((number, unit)) => format!("{number}<small>\u{a0}{unit}</small>"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_html_is_escaped() {
        assert_eq!(escape("<b a='1'>\"&"), "&lt;b a=&#39;1&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn the_test_vectors_of_rfc_4648() {
        let vectors = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, text) in vectors.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), *text);
        }
    }

    #[test]
    fn numbers_as_they_are_read() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(percent(0.864), "86.4\u{a0}%");
        assert_eq!(percent(0.000_123), "0.012\u{a0}%");
        assert_eq!(interval([0.857, 0.87]), "85.7 to 87.0\u{a0}%");
        assert_eq!(
            (plain(20.0), plain(0.001)),
            ("20".to_owned(), "0.001".to_owned())
        );
        assert_eq!((chance(20), chance(3)), ("5".to_owned(), "33.3".to_owned()));
        assert_eq!(probability(0.97), "0.970");
    }
}
