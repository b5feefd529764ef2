//! The command line of `onelook`: arguments in, exit code out. One file a verb, each with its arguments and what it
//! prints; the work is in the library.

mod camera;
mod demo_clip;
mod eval;
mod export;
mod inspect;
mod report;
mod session;
mod train;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use onelook_edge::model::Card;

use crate::data::glyphs::{self, GlyphsSpec};
use crate::data::{Dataset, labels};

/// Exit code of a run that was told to stop, as shells have it.
const STOPPED: u8 = 130;

/// An error for the person at the terminal.
type Failure = Box<dyn std::error::Error>;

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
    Train(train::TrainArgs),
    /// Measure a model file through the device's own code
    Eval(eval::EvalArgs),
    /// Turn a run into a model file for onelook-edge and any other ONNX runtime
    Export(export::ExportArgs),
    /// Make the page that tells the whole story of a model, in figures and pictures
    Report(report::ReportArgs),
    /// Print everything that a model file says of itself
    Inspect(inspect::InspectArgs),
    /// Show what the simulated camera makes of some pictures
    Camera(camera::CameraArgs),
    /// Draw the clip that `onelook-edge demo` plays
    #[command(hide = true)]
    DemoClip(demo_clip::DemoClipArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line; errors are printed once, exit code 2.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(Cli::parse(), &mut out) {
        Ok(code) => code,
        // The reader of standard output is gone: it ended on purpose, and needs no message.
        Err(failure) if is_broken_pipe(&failure) => ExitCode::from(2),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(failure: &Failure) -> bool {
    failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: Cli, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    onelook_edge::kernel::chosen()?;
    match cli.command {
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args, out),
        Command::Export(args) => export::run(args, out),
        Command::Report(args) => report::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out),
        Command::Camera(args) => camera::run(&args, out),
        Command::DemoClip(args) => demo_clip::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "onelook", &mut script);
            out.write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The data set of that name (`glyphs`) or at that path.
fn open_data(source: &str) -> Result<Dataset, Failure> {
    if source == "glyphs" {
        return Ok(glyphs::draw(&GlyphsSpec::default()));
    }
    Ok(labels::open(Path::new(source))?)
}

/// The part of `data` that the model never trained on, by the names in its card, and the rest.
fn held_out(data: Dataset, card: &Card) -> Result<(Dataset, Dataset), Failure> {
    let names = &card.provenance.validation;
    let (rest, held) = if let [only] = data.groups.as_slice() {
        let part = |held: bool| {
            let mut group = only.clone();
            group
                .classes
                .retain(|class| names.contains(&class.name) == held);
            Dataset {
                name: data.name.clone(),
                groups: vec![group],
                skipped: Vec::new(),
            }
        };
        (part(false), part(true))
    } else {
        data.split(names)
    };
    if held.classes() == 0 {
        return Err(format!(
            "none of the model's held-out groups ({}) is in the data",
            listed(names)
        )
        .into());
    }
    Ok((held, rest))
}

/// A share in per cent with its interval.
fn percent(share: f64, ci95: [f64; 2]) -> String {
    let [low, high] = ci95.map(|end| 100.0 * end);
    format!("{:.2} % ({low:.2} to {high:.2})", 100.0 * share)
}

/// Names by commas; of more than 40, the first few and a count of the others.
fn listed(names: &[String]) -> String {
    if names.len() <= 40 {
        return names.join(", ");
    }
    let (first, others) = names.split_at(5);
    format!("{} and {} others", first.join(", "), others.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundreds_of_names_are_a_few_and_a_count() {
        let names: Vec<String> = (1..=839).map(|i| format!("c{i}")).collect();
        assert_eq!(listed(&names), "c1, c2, c3, c4, c5 and 834 others");
        assert_eq!(listed(&names[..2]), "c1, c2");
        assert_eq!(listed(&names[..40]), names[..40].join(", "));
    }
}
