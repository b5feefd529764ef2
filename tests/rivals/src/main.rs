//! The device's kernels beside tract, ONNX Runtime and rten: what an embedding of one model takes with each, in time,
//! memory and to the first decision. The README's table of speed is made by
//!
//! ```text
//! ORT_DYLIB_PATH=.../libonnxruntime.so cargo run --release --bin rivals --features rten
//! ```
//!
//! A crate of its own, without the trainer: `tests/arm64/run` builds it for another processor and counts the
//! instructions of `rivals once`.

mod compare;
mod once;
#[cfg(feature = "ort")]
mod onnx_runtime;
#[cfg(feature = "rten")]
mod rten;
mod runtime;
mod twin;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use onelook_edge::model;
use runtime::Runtime;

/// The model that ships with the device.
const SHIPPED: &[u8] = include_bytes!("../../../models/omniglot/model.onnx");

type Failure = Box<dyn std::error::Error>;

/// Measure the device's kernels beside tract, ONNX Runtime (from the library that ORT_DYLIB_PATH names) and rten
/// (where this program was built with `--features rten`), in turn over the same pictures.
#[derive(Parser)]
#[command(name = "rivals", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The model, a file made by `onelook export`; the shipped one otherwise
    #[arg(long, global = true, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Threads that ONNX Runtime and rten may use each; kernels and tract use one
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: usize,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make one decision with one runtime, and print the resident memory in bytes: the process that is timed
    Once(Once),
}

#[derive(Args)]
struct Once {
    /// `tract`, `ort`, `rten`, or a set of instructions, such as `avx2` or `scalar`
    #[arg(value_parser = Runtime::named)]
    runtime: Runtime,
    /// How often the last picture is embedded again, for counting instructions
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    again: usize,
    /// With the same network in f32
    #[arg(long)]
    in_floats: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let (bytes, name) = match &cli.model {
        Some(path) => (model::read(path)?, path.display().to_string()),
        None => (SHIPPED.to_vec(), "the shipped model".to_owned()),
    };
    let mut out = io::stdout().lock();
    match cli.command {
        Some(Command::Once(once)) => once::run(bytes, &once, &mut out),
        None => compare::run(&bytes, &name, cli.threads, cli.json, &mut out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        super::Cli::command().debug_assert();
    }
}
