//! The command line of `onelook`: arguments in, exit code out. The work is in the library.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::Recipe;
use crate::dataset::{self, Dataset};
use crate::glyphs::{self, GlyphsSpec};
use crate::train::{self, Compute, Ending};

/// An error for the person at the terminal.
pub type Failure = Box<dyn std::error::Error>;

/// Train, evaluate, quantise and export the twin network that onelook-edge runs.
#[derive(Parser)]
#[command(name = "onelook", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a twin network
    Train(TrainArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
struct TrainArgs {
    /// A folder or zip of class folders (class/picture or group/class/picture), Omniglot as
    /// published, or the built-in `glyphs`
    #[arg(long, default_value = "glyphs")]
    data: String,
    /// `compact`, `koch`, or a recipe of your own
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
    /// Train for about so long: the number of epochs follows from the rate of the first steps
    #[arg(long)]
    minutes: Option<f64>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the run in RUN
    #[arg(long)]
    resume: bool,
}

/// Runs the command line; errors are printed once, exit code 2.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Train(args) => train_command(args),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "onelook", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn train_command(args: TrainArgs) -> Result<ExitCode, Failure> {
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
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let out = order.out.display();
    match train::train(&order, data, &stop)? {
        Ending::Finished(progress) => eprintln!(
            "finished: best validation {:.2} % after epoch {}; next: onelook export --run {out} --out model.onnx",
            100.0 * progress.best_accuracy,
            progress.best_epoch
        ),
        Ending::Stopped(progress) => eprintln!(
            "stopped after step {} of {}; go on with the same command and --resume",
            progress.step, progress.total_steps
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// The data set of that name (`glyphs`) or at that path.
pub fn open_data(source: &str) -> Result<Dataset, Failure> {
    if source == "glyphs" {
        return Ok(glyphs::draw(&GlyphsSpec::default()));
    }
    Ok(dataset::open(Path::new(source))?)
}
