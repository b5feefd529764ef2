//! What a picture costs on this machine: the clock, and the name of the processor.

use std::fs;
use std::time::Instant;

use onelook_edge::model::Model;
use onelook_edge::vision::preprocess::patch;

use super::{Cost, Milliseconds};
use crate::data::Dataset;

/// Pictures that are timed, at most.
const TIMED_PICTURES: usize = 500;

/// Times single pictures one after another, spread over the data.
pub(super) fn time(model: &Model, data: &Dataset) -> Result<Cost, String> {
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let pictures: Vec<_> = classes.flat_map(|class| &class.pictures).collect();
    let step = pictures.len().div_ceil(TIMED_PICTURES).max(1);
    let (mut patches, mut embeds) = (Vec::new(), Vec::new());
    let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    for picture in pictures.iter().step_by(step) {
        let start = Instant::now();
        let Ok(patch) = patch(&picture.frame, &model.card().input) else {
            continue;
        };
        patches.push(milliseconds(start));
        let start = Instant::now();
        model.embed(&patch).map_err(|error| error.to_string())?;
        embeds.push(milliseconds(start));
    }
    let pictures = embeds.len();
    match (middle(patches), middle(embeds)) {
        (Some(patch), Some(embed)) => Ok(Cost {
            machine: machine(),
            pictures,
            patch,
            embed,
        }),
        _ => Err("There is no picture to time.".to_owned()),
    }
}

fn middle(mut times: Vec<f64>) -> Option<Milliseconds> {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (part * times.len().saturating_sub(1) as f64).ceil() as usize;
        times.get(place).copied()
    };
    Some(Milliseconds {
        median: at(0.5)?,
        p99: at(0.99)?,
    })
}

/// The processor, as Linux names it; its kind elsewhere.
fn machine() -> String {
    let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = listed.lines().filter_map(|line| line.split_once(':'));
    let name = names.find(|(key, _)| key.trim() == "model name");
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
