//! The command line of `onelook-edge`: arguments in, exit code out. One file a verb; the work is in the library.

pub(crate) mod bench;
pub mod demo;
pub(crate) mod doctor;
mod enroll;
mod gallery;
mod identify;
mod open;
mod run;
mod tell;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::open::Common;
use crate::kernel;

const REJECTED: u8 = 1;
const NEEDS_ATTENTION: u8 = 1;
const FAILED: u8 = 2;

type Failure = Box<dyn std::error::Error>;

/// Teach a camera a new class from one look, on the device, offline.
///
/// A class is enrolled from one picture of it. `verify` asks whether a picture shows a given
/// class, `identify` asks which class it shows, and "unknown" is an answer. Try `onelook-edge demo`.
#[derive(Parser)]
#[command(name = "onelook-edge", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    /// See it work: a clip, two classes learned from a frame each, a stranger refused
    Demo {
        /// The folder for annotated pictures; a new one among the temporary files otherwise
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Watch a camera: decide over several frames, show it, learn new classes when told to
    Run(Box<run::RunArgs>),
    /// Send a command to a program that runs with --control
    #[command(long_about = tell::LONG_ABOUT)]
    Tell(tell::TellArgs),
    /// Learn a class from one picture; more pictures of it are more templates
    Enroll(enroll::EnrollArgs),
    /// Ask whether a picture shows a class (exit code 0 accepted, 1 rejected, 2 error)
    Verify(verify::VerifyArgs),
    /// Ask which enrolled class each picture shows, or "unknown"
    Identify(identify::IdentifyArgs),
    /// Look at cameras, processor, disk, model and gallery, and say what to do about each trouble (exit
    /// code 0 all is well, 1 something needs attention)
    Doctor,
    /// Look after the gallery of enrolled classes
    Gallery {
        #[command(subcommand)]
        command: gallery::GalleryCommand,
    },
    /// Measure what an embedding costs on this machine, or with --classes what a search of made-up galleries does
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line; errors are printed once, exit code 2.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match dispatch(Cli::parse(), &mut out) {
        Ok(code) => code,
        // Nothing reads the output any more, so nothing is written; but the answer has not been given.
        Err(failure) if is_broken_pipe(&failure) => ExitCode::from(FAILED),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_broken_pipe(failure: &Failure) -> bool {
    failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn dispatch(Cli { command, common }: Cli, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    // A wrong name of kernels is refused before anything is done; `doctor` finds it among the others.
    if !matches!(command, Command::Doctor | Command::Completions { .. }) {
        kernel::chosen()?;
    }
    match command {
        Command::Demo { out: folder } => demo::run(folder, &common, out),
        Command::Run(args) => run::run(&args, &common, out),
        Command::Tell(args) => tell::run(&args, out),
        Command::Enroll(args) => enroll::run(args, &common, out),
        Command::Verify(args) => verify::run(args, &common, out),
        Command::Identify(args) => identify::run(args, &common, out),
        Command::Doctor => Ok(doctor::run(&common, out)?),
        Command::Gallery { command } => gallery::run(command, &common, out),
        Command::Bench(args) => bench::run(args, &common, out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "onelook-edge", &mut script);
            out.write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
