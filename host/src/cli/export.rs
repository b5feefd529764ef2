//! `onelook export`: turns a run into a model file.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onelook_edge::model::Precision;

use super::inspect::print_points;
use super::{Failure, open_data};
use crate::export;
use crate::train::run;

#[derive(Args)]
pub(super) struct ExportArgs {
    /// The folder of the run
    #[arg(long)]
    run: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "M.onnx")]
    out: PathBuf,
    /// The arithmetic of the file
    #[arg(long, value_enum, default_value = "int8")]
    precision: PrecisionArg,
    /// Where the run's data is now, if it has moved
    #[arg(long)]
    data: Option<String>,
    /// Pictures that set the 8-bit ranges; the run's training pictures otherwise
    #[arg(long, value_name = "DATA")]
    calibrate: Option<String>,
    /// Also write the whole twin (`a`, `b` -> `p_same`) for other runtimes
    #[arg(long, value_name = "FILE")]
    pair: Option<PathBuf>,
    /// The model's name; that of the file otherwise
    #[arg(long)]
    name: Option<String>,
    /// The licence of the weights
    #[arg(long, default_value = "MIT OR Apache-2.0")]
    licence: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PrecisionArg {
    F32,
    Int8,
}

pub(super) fn run(args: ExportArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let run = run::read(&args.run)?;
    let data = open_data(args.data.as_deref().unwrap_or(&run.data))?;
    let calibration = args.calibrate.as_deref().map(open_data).transpose()?;
    let stem = args
        .out
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let order = export::Order {
        run: args.run,
        out: args.out,
        precision: match args.precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Int8 => Precision::Int8,
        },
        pair: args.pair,
        name: args.name.or(stem).unwrap_or_else(|| "model".to_owned()),
        licence: args.licence,
    };
    let report = export::export(&order, data, calibration)?;
    for skipped in &report.skipped {
        eprintln!("skipped {}: {}", skipped.source, skipped.reason);
    }
    writeln!(out, "{}: {} bytes", order.out.display(), report.bytes)?;
    match report.card.precision {
        Precision::F32 => writeln!(
            out,
            "embeddings differ from Burn's by at most {:.1e} of their largest number (bound {:.0e})",
            report.difference,
            export::F32_BOUND
        )?,
        Precision::Int8 => writeln!(
            out,
            "embeddings differ from Burn's by {:.2} % in the mean (bound {:.0} %)",
            100.0 * report.difference,
            100.0 * export::INT8_BOUND
        )?,
    }
    writeln!(
        out,
        "validation, {}: f32 {:.2} %, this file {:.2} %, lost {:.2} points",
        report.accuracy.protocol,
        100.0 * report.f32_accuracy.accuracy,
        100.0 * report.accuracy.accuracy,
        100.0 * (report.f32_accuracy.accuracy - report.accuracy.accuracy)
    )?;
    print_points(&report.card, out)?;
    Ok(ExitCode::SUCCESS)
}
