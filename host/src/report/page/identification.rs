//! Which class is it? Accuracy by ways, by shots and by group.

use maud::{Markup, html};

use super::super::chart::{Axis, Chart, Scale};
use super::super::figures::{IdentificationFigures, Share, TrialAccuracy};
use super::super::html::{LONGEST_LIST, figure, key, missing, table};
use super::super::text::{grouped, interval, percent, share_cells};
use super::super::{Finding, Report};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        h2 { "Which one is it?" }
        @match &report.identification {
            Finding::Done(found) => { (trials(found)) }
            Finding::Not { not_measured } => { (missing(not_measured)) }
        }
    }
}

fn trials(found: &IdentificationFigures) -> Markup {
    let TrialAccuracy {
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
    let by_ways = accuracy_chart(
        &found.ways,
        |accuracy| accuracy.ways,
        "By ways",
        "One picture enrolled of each class. Bars: 95 % intervals.",
        "classes to choose from",
        true,
    );
    let by_shots = accuracy_chart(
        &found.shots,
        |accuracy| accuracy.shots,
        "By shots",
        &format!("{ways} classes to choose from. Bars: 95 % intervals."),
        "pictures enrolled of each class",
        false,
    );
    html! {
        p {
            "A trial enrols one picture (one " strong { "shot" } ") of each of some classes (the " strong { "ways" }
            ") and asks which of them a further picture shows. An answer is always given; a tie counts as wrong. With "
            (ways) " ways it is right in " strong { (percent(right.share)) } " of " (grouped(right.of))
            " random trials. " (scope)
        }
        div.pair { (by_ways) (by_shots) }
        @if found.groups.len() > 1 { (group_table(found)) }
    }
}

fn group_table(found: &IdentificationFigures) -> Markup {
    let rows = found.groups.iter().map(|group| {
        let [count, of, share, ends] = share_cells(&group.right);
        vec![
            html! { (group.name) },
            html! { (share) },
            gauge(&group.right),
            html! { (ends) },
            html! { (count) },
            html! { (of) },
            html! { (group.classes) },
        ]
    });
    let ends = || found.groups.iter().map(|group| group.right.ci95);
    let highest_low = ends().map(|ends| ends[0]).fold(0.0, f64::max);
    let lowest_high = ends().map(|ends| ends[1]).fold(1.0, f64::min);
    let words = if highest_low > lowest_high {
        "Groups differ by more than chance explains. What yet another group would give is as open as they are unlike."
    } else {
        "Their intervals overlap: these groups do not differ by more than chance may explain."
    };
    let rows = table(
        &[
            "Group",
            "Share",
            "0 to 100 %",
            "95 % interval",
            "Right",
            "Trials",
            "Classes",
        ],
        rows,
    );
    let count = found.groups.len();
    html! {
        h3 { "By group, " (found.headline.ways) "-way one-shot" }
        p { (words) }
        @if count > LONGEST_LIST {
            details { summary { (count) " groups" } (rows) }
        } @else {
            (rows)
        }
    }
}

/// Accuracy along ways or shots, within groups and of any classes.
fn accuracy_chart(
    accuracies: &[TrialAccuracy],
    along: fn(&TrialAccuracy) -> usize,
    title: &str,
    subtitle: &str,
    x_label: &str,
    with_chance: bool,
) -> Markup {
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
        Axis::percent("right, %", low, 1.0),
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
        let some: Vec<&TrialAccuracy> = accuracies
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
        rows,
    );
    figure(title, subtitle, &key(&keys), chart, &numbers)
}

/// A share and its interval between 0 and 1.
fn gauge(share: &Share) -> Markup {
    let place = |share: f64| format!("{:.1}", 4.0 + 132.0 * share);
    let [low, high] = share.ci95.map(place);
    html! {
        svg.gauge viewBox="0 0 140 14" aria-hidden="true" {
            line.grid x1="4" x2="136" y1="7" y2="7" {}
            line.whisker.blue x1=(low) x2=(high) y1="7" y2="7" {}
            circle.dot.blue cx=(place(share.share)) cy="7" r="3.4" {}
        }
    }
}
