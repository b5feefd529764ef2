//! `onelook train`: trains a twin network, or goes on with a run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use super::{Failure, STOPPED, open_data};
use crate::config::Recipe;
use crate::train::device::Compute;
use crate::train::run::RunData;
use crate::train::{self, Ending};

#[derive(Args)]
pub(super) struct TrainArgs {
    /// A folder or zip of class folders (class/picture or group/class/picture), Omniglot as
    /// published, or the built-in `glyphs`
    #[arg(long, default_value = "glyphs")]
    data: String,
    /// `compact`, `minimal`, `koch`, or a recipe of your own
    #[arg(long, default_value = "compact", value_name = "PRESET|FILE.toml")]
    preset: String,
    /// The folder for the run: recipe, log and checkpoints
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Where to compute; `auto` takes a GPU where there is one
    #[arg(long, value_enum, default_value = "auto")]
    device: Compute,
    /// Epochs, instead of the recipe's
    #[arg(long, conflicts_with = "minutes")]
    epochs: Option<usize>,
    /// Train for about this many minutes, photographs included: the number of epochs, at least one, follows from the
    /// rate of the first steps
    #[arg(long)]
    minutes: Option<f64>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the run in RUN
    #[arg(long)]
    resume: bool,
    /// A model of the same data, --seed, split and input that says how the smoothed share of the labels is spread; may
    /// be given several times
    #[arg(long = "teacher", value_name = "M.onnx")]
    teachers: Vec<PathBuf>,
}

pub(super) fn run(args: TrainArgs) -> Result<ExitCode, Failure> {
    if let Some(minutes) = args.minutes
        && !(minutes > 0.0 && minutes.is_finite())
    {
        return Err(format!("--minutes {minutes}: must be above 0").into());
    }
    if args.epochs == Some(0) {
        return Err("--epochs 0: must be at least 1".into());
    }
    let recipe = Recipe::open(&args.preset)?;
    let data = open_data(&args.data)?;
    let order = train::Order {
        recipe,
        data_source: args.data,
        seed: args.seed,
        out: args.out,
        compute: args.device,
        epochs: args.epochs,
        minutes: args.minutes,
        resume: args.resume,
        teachers: args.teachers,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let out = order.out.display();
    let data = RunData::of(data, &order.recipe, order.seed);
    for skipped in &data.skipped {
        eprintln!("skipped {}: {}", skipped.source, skipped.reason);
    }
    match train::train(&order, &data, &stop)? {
        Ending::Finished(progress) => eprintln!(
            "finished: best validation {:.2} % after epoch {}; next: onelook export --run {out} --out model.onnx",
            100.0 * progress.best_accuracy,
            progress.best_epoch
        ),
        Ending::Stopped(progress) => {
            eprintln!(
                "stopped after step {} of {}; go on with the same command and --resume",
                progress.step, progress.total_steps
            );
            return Ok(ExitCode::from(STOPPED));
        }
    }
    Ok(ExitCode::SUCCESS)
}
