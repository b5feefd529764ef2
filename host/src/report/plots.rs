//! The charts of the report, each with its key and the numbers behind it. Knows a finished report's
//! parts; measures nothing.

use super::chart::{Axis, Chart, Scale, round_ticks};
use super::figures::{
    Accuracy, Bin, Det, OpenSet, PointMeasured, Reliability, Share, Verification,
};
use super::html::{
    abbreviated, escape, figure, grouped, interval, key, missing, percent, plain, probability,
    share_cells, table,
};
use super::{Epoch, ModelFigures, Training};

/// Colours of the card's thresholds, in their order, and how their lines are drawn.
const POINT_CLASSES: [&str; 4] = ["green", "blue", "orange dashed", "purple dotted"];

/// The network as a row of shrinking planes.
pub fn stages(model: &ModelFigures) -> String {
    const STAGES_WIDTH: f64 = 640.0;
    let whole = model.input.side_px as f64;
    let mut stages = vec![(model.input.channels, model.input.side_px)];
    stages.extend(
        model
            .layers
            .iter()
            .map(|layer| (layer.outputs, layer.pooled_px)),
    );
    let width = STAGES_WIDTH / (stages.len() + 1) as f64;
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
             <text x={middle:.1} y=132 text-anchor=middle>× {}</text>",
            grouped(*channels as u64)
        );
    }
    let middle = width * (stages.len() as f64 + 0.5);
    body += &format!(
        "<rect class=vector x={:.1} y=14 width=9 height=78 rx=2 />\
         <text x={middle:.1} y=112 text-anchor=middle>embedding</text>\
         <text x={middle:.1} y=132 text-anchor=middle>× {}</text>",
        middle - 4.5,
        grouped(model.dims as u64)
    );
    let title = "The planes between the layers, from the picture to the embedding";
    format!(
        "<svg class=stages viewBox=\"0 0 {STAGES_WIDTH} 138\" role=img aria-label=\"{title}\">\
         <title>{title}</title>{body}</svg>"
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

/// Loss by epoch.
pub fn loss_figure(training: &Training) -> String {
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
    let rows = training.epochs.iter().map(|epoch| {
        vec![
            epoch.epoch.to_string(),
            format!("{:.4}", epoch.loss),
            format!("{:.2e}", epoch.learning_rate),
            format!("{:.0}", epoch.seconds),
        ]
    });
    figure(
        "Loss",
        "On distorted training pictures.",
        &key(&[("blue", "training loss")]),
        chart,
        &table(
            &["Epoch", "Loss", "Learning rate", "Seconds"],
            rows.collect(),
        ),
    )
}

/// Both accuracies by epoch.
pub fn accuracy_figure(training: &Training) -> String {
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
    let points = |of: fn(&Epoch) -> f64| -> Vec<(f64, f64)> {
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
            percent(epoch.pair_accuracy),
            percent(epoch.validation_accuracy),
        ]
    });
    let numbers = table(&["Epoch", "Pairs", "Validation"], rows.collect());
    figure(
        "Accuracy",
        "On held-out classes, and on the pairs of the training batches at p = 0.5.",
        &key(&[
            ("blue", "validation, one-shot"),
            ("orange dashed", "training pairs"),
        ]),
        chart,
        &numbers,
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

/// Accuracy along ways or shots, within groups and of any classes.
pub fn accuracy_chart(
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
    for &place in places.iter().rev() {
        if named
            .last()
            .is_none_or(|next| place as f64 * 1.35 < *next as f64)
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
    figure(title, subtitle, &key(&keys), chart, &numbers)
}

/// A share and its interval between 0 and 1.
pub fn gauge(share: &Share) -> String {
    let place = |share: f64| 4.0 + 132.0 * share;
    format!(
        "<svg class=gauge viewBox=\"0 0 140 14\" aria-hidden=true><line class=grid x1=4 x2=136 y1=7 y2=7 />\
         <line class=\"whisker blue\" x1={:.1} x2={:.1} y1=7 y2=7 /><circle class=\"dot blue\" cx={:.1} cy=7 r=3.4 /></svg>",
        place(share.ci95[0]),
        place(share.ci95[1]),
        place(share.share)
    )
}

/// The trade-off of both errors, with bands and thresholds.
pub fn det_figure(found: &Verification) -> String {
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
pub fn histogram_figure(found: &Verification) -> String {
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
    let y = percent_axis("% of the kind's pairs in each bar", 0.0, 1.25 * high);
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
        &table(&["p", "Genuine", "Impostor"], rows.collect()),
    )
}

/// Whether p means what it says, and the pairs behind it.
pub fn reliability_figures(reliability: &Reliability) -> String {
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
            .map(|count| (count, abbreviated(count)))
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
    let range = |bin: &Bin| format!("{:.1} to {:.1}", bin.low, bin.high);
    let shares = reliability.bins.iter().map(|bin| {
        let cell = |rate: Option<f64>| rate.map_or("–".to_owned(), percent);
        let ends = bin.observed_ci95.map_or("–".to_owned(), interval);
        vec![range(bin), cell(bin.mean_p), cell(bin.observed), ends]
    });
    let shares = table(
        &["p", "Mean p", "Genuine share", "95 % interval"],
        shares.collect(),
    );
    let pairs = reliability
        .bins
        .iter()
        .map(|bin| vec![range(bin), grouped(bin.genuine), grouped(bin.impostor)]);
    let pairs = table(&["p", "Genuine", "Impostor"], pairs.collect());
    format!(
        "<h3>Does p mean what it says?</h3><p>Where genuine and impostor pairs are equally likely beforehand, of pairs \
         at p&nbsp;=&nbsp;0.8 four in five should be genuine. On average p is off by <strong>{:.1} points</strong> \
         (expected calibration error, ten bins). All genuine pairs together weigh as much as all impostor pairs here; \
         where strangers are more frequent than that, the same p means less.</p><div class=pair>{}{}</div>",
        100.0 * reliability.ece,
        figure(
            "Reliability",
            "On the diagonal p is right; below it is too sure, above too shy. Bars: 95 % intervals.",
            &key(&[("blue", "measured"), ("plain thin", "as it says")]),
            chart,
            &shares,
        ),
        figure(
            "Pairs behind it",
            "Where a bin holds few pairs, the diagram knows little.",
            &key(&[("blue", "genuine"), ("orange", "impostor")]),
            counts,
            &pairs,
        )
    )
}

/// One error rate by gallery size, a line for each threshold.
pub fn open_set_figure(
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
            ];
            row.extend(share_cells(&pick(size, point)?));
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
        rows.collect(),
    );
    let keys: Vec<(&str, &str)> = keys
        .iter()
        .map(|(class, name)| (*class, name.as_str()))
        .collect();
    figure(title, subtitle, &key(&keys), chart, &numbers)
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
