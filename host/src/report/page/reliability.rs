//! Does p mean what it says? The reliability diagram, and the pairs behind it.

use maud::{Markup, html};

use super::super::chart::{Axis, Chart, Scale};
use super::super::figures::{Bin, Reliability};
use super::super::html::{figure, key, table};
use super::super::text::{abbreviated, grouped, interval, percent};

/// Whether p means what it says, and the pairs behind it.
pub(super) fn figures(reliability: &Reliability) -> Markup {
    let p_axis = || Axis::percent("p, %", 0.0, 1.0);
    let mut chart = Chart::new(
        "Reliability: share that is genuine by p",
        320.0,
        p_axis(),
        Axis::percent("genuine among pairs of that p, %", 0.0, 1.0),
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
    let shares = table(&["p", "Mean p", "Genuine share", "95 % interval"], shares);
    let pairs = reliability
        .bins
        .iter()
        .map(|bin| vec![range(bin), grouped(bin.genuine), grouped(bin.impostor)]);
    let pairs = table(&["p", "Genuine", "Impostor"], pairs);
    let diagram = figure(
        "Reliability",
        "On the diagonal p is right; below it is too sure, above too shy. Bars: 95 % intervals.",
        &key(&[("blue", "measured"), ("plain thin", "as it says")]),
        chart,
        &shares,
    );
    let behind = figure(
        "Pairs behind it",
        "Where a bin holds few pairs, the diagram knows little.",
        &key(&[("blue", "genuine"), ("orange", "impostor")]),
        counts,
        &pairs,
    );
    html! {
        h3 { "Does p mean what it says?" }
        p {
            "Where genuine and impostor pairs are equally likely beforehand, of pairs at p\u{a0}=\u{a0}0.8 four in five "
            "should be genuine. On average p is off by "
            strong { (format!("{:.1} points", 100.0 * reliability.ece)) }
            " (expected calibration error, ten bins). All genuine pairs together weigh as much as all impostor pairs "
            "here; where strangers are more frequent than that, the same p means less."
        }
        div.pair { (diagram) (behind) }
    }
}
