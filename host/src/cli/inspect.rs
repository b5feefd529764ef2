//! `onelook inspect`: prints everything that a model file says of itself.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onelook_edge::model::{Card, Model};
use serde_json::json;

use super::{Failure, listed, percent};

#[derive(Args)]
pub(super) struct InspectArgs {
    /// The model file
    model: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InspectArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let model = Model::load(&args.model)?;
    let card = model.card();
    let bytes = std::fs::metadata(&args.model)?.len();
    if args.json {
        let all = json!({ "id": model.id(), "bytes": bytes, "card": card });
        writeln!(out, "{all}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let from = &card.provenance;
    writeln!(out, "{} ({bytes} bytes, id {})", card.name, model.id())?;
    writeln!(
        out,
        "precision   {:?}, format {}",
        card.precision, card.format
    )?;
    writeln!(
        out,
        "input       {} x {side} x {side}, {:?}, {:?}",
        card.input.channels,
        card.input.crop,
        card.input.scaling,
        side = card.input.side_px
    )?;
    writeln!(
        out,
        "embedding   {} numbers; p = sigmoid({:.4} - sum alpha |x - y|), alpha {:.4} to {:.4}",
        model.dims(),
        card.head.bias,
        card.head
            .alpha
            .iter()
            .copied()
            .fold(f32::INFINITY, f32::min),
        card.head
            .alpha
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max)
    )?;
    for bin in &card.calibration.reliability {
        writeln!(
            out,
            "reliability p {:.3}: genuine {:.3} ({:.2} % of pairs)",
            bin.p,
            bin.genuine,
            100.0 * bin.share
        )?;
    }
    print_points(card, out)?;
    writeln!(
        out,
        "made by     {} on {}, recipe {}, seed {}, epoch {} of {}",
        from.program, from.device, from.recipe, from.seed, from.epoch[0], from.epoch[1]
    )?;
    writeln!(
        out,
        "trained on  {} ({} classes, {} pictures; sha256 {})",
        from.data, from.trained_on[0], from.trained_on[1], from.data_sha256
    )?;
    writeln!(out, "held out    {}", listed(&from.validation))?;
    writeln!(out, "licence     {}", from.licence)?;
    for score in &card.scores {
        writeln!(
            out,
            "score       {:.2} % of {}",
            100.0 * score.correct as f64 / score.trials as f64,
            score.protocol
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a card says of p and of its thresholds.
pub(super) fn print_points(card: &Card, out: &mut dyn Write) -> io::Result<()> {
    let calibration = &card.calibration;
    writeln!(
        out,
        "p calibrated by scale {:.4}, offset {:.4}: expected calibration error {:.2} %, before \
         {:.2} %; within the worst part {:.2} %",
        calibration.scale,
        calibration.offset,
        100.0 * calibration.ece,
        100.0 * calibration.ece_before,
        100.0 * calibration.ece_worst_part
    )?;
    writeln!(out, "  {}", calibration.protocol)?;
    writeln!(out, "thresholds on p, from validation pairs:")?;
    for point in &card.operating_points {
        writeln!(
            out,
            "  {:<9} p >= {:.4}  FMR {:.4} % ({:.4} to {:.4})  FNMR {}",
            point.name,
            point.threshold,
            100.0 * point.fmr,
            100.0 * point.fmr_ci95[0],
            100.0 * point.fmr_ci95[1],
            percent(point.fnmr, point.fnmr_ci95)
        )?;
    }
    if let Some(point) = card.operating_points.first() {
        writeln!(
            out,
            "  from {} genuine, {} impostor pairs; 95 % intervals over resampled classes",
            point.genuine_pairs, point.impostor_pairs
        )?;
    }
    match card.impostor_tail.last() {
        Some(last) => writeln!(
            out,
            "a target FPIR (`onelook-edge --fpir`) is carried down to {:.1e} for each enrolled class",
            last.fmr_upper
        ),
        None => writeln!(out, "too few pairs to promise any FPIR"),
    }
}
