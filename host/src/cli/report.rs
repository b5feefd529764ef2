//! `onelook report`: makes the page that tells the whole story of a model.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onelook_edge::model::Model;
use onelook_edge::whole;

use super::{Failure, held_out, open_data};
use crate::report;

#[derive(Args)]
pub(super) struct ReportArgs {
    /// The model file
    #[arg(long, value_name = "M.onnx")]
    model: PathBuf,
    /// A data set, as in `train`: what the model never trained on is taken from it
    #[arg(long)]
    data: String,
    /// The page to write
    #[arg(long, value_name = "PAGE.html")]
    out: PathBuf,
    /// The folder of the run, for the training curve and the weights in f32
    #[arg(long)]
    run: Option<PathBuf>,
    /// Seed of trials, galleries and intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also print every figure, as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let model = Model::load(&args.model)?;
    let data = open_data(&args.data)?;
    let names = &model.card().provenance.validation;
    let mut skipped = data.skipped.clone();
    skipped.retain(|skipped| {
        let mut folders = skipped.source.split('/');
        folders.any(|folder| names.iter().any(|name| name == folder))
    });
    let (mut data, _) = held_out(data, model.card())?;
    data.skipped = skipped;
    let report = report::measure(&args.model, data, args.run.as_deref(), args.seed)?;
    let page = report::page::html(&report);
    whole::write(&args.out, page.as_bytes()).map_err(|error| format!("{:?}: {error}", args.out))?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{}: {} bytes", args.out.display(), page.len())?;
    }
    Ok(ExitCode::SUCCESS)
}
