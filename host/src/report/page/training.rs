//! How the model learned: loss and accuracy by epoch.

use maud::{Markup, html};

use super::super::chart::{Axis, Chart, Scale, round_ticks};
use super::super::html::{figure, key, missing, table};
use super::super::text::{duration, percent, plain};
use super::super::{Epoch, Finding, Report, Training};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        h2 { "How it learned" }
        @match &report.training {
            Finding::Done(training) => { (curves(training)) }
            Finding::Not { not_measured } => { (missing(not_measured)) }
        }
    }
}

fn curves(training: &Training) -> Markup {
    let seconds = training.epochs.last().map_or(0.0, |last| last.seconds);
    let [ways, trials] = training.validation;
    let mut epochs = training.epochs.iter();
    let chosen = epochs.find(|epoch| epoch.epoch == training.chosen);
    html! {
        p {
            "After each epoch the network was tried on the held-out classes: " (trials) " trials of " (ways)
            " ways, one shot. "
            @if let Some(epoch) = chosen {
                "The file has the weights of " strong { "epoch " (epoch.epoch) } ", the best of "
                (training.epochs.len()) " on validation (" (percent(epoch.validation_accuracy)) ")."
            } @else {
                "The chosen epoch is not in the log."
            }
            " The run took " (duration(seconds)) "."
        }
        div.pair { (loss_figure(training)) (accuracy_figure(training)) }
    }
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
fn loss_figure(training: &Training) -> Markup {
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
        &table(&["Epoch", "Loss", "Learning rate", "Seconds"], rows),
    )
}

/// Both accuracies by epoch.
fn accuracy_figure(training: &Training) -> Markup {
    let all = || {
        training
            .epochs
            .iter()
            .flat_map(|epoch| [epoch.pair_accuracy, epoch.validation_accuracy])
    };
    let low = (all().fold(1.0, f64::min) * 20.0).floor() / 20.0;
    let y = Axis::percent("right, %", low.clamp(0.0, 0.95), 1.0);
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
    let numbers = table(&["Epoch", "Pairs", "Validation"], rows);
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
