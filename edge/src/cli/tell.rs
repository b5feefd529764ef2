//! `tell --control SOCKET COMMAND...`: sends a command to a running program.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::cli::{Failure, REJECTED};
use crate::control::socket;

pub(super) const LONG_ABOUT: &str = "\
Send a command to a program that runs with --control: enroll [NAME], enroll! NAME, confirm, undo, not [NAME],
forget NAME, rename A B, list, status, quit. Prints the JSON object that comes back; exit code 1 where the
command was refused.";

#[derive(Args)]
pub(super) struct TellArgs {
    /// Its socket
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// The command and its names
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
}

pub(super) fn run(
    TellArgs { control, words }: &TellArgs,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    // A word of the shell with a space in it is one name, unless it is the last.
    let quoted = |word: &String| match word.contains(char::is_whitespace) {
        true => Value::from(word.as_str()).to_string(),
        false => word.clone(),
    };
    let said: Vec<String> = words.iter().map(quoted).collect();
    let answer = socket::tell(control, &said.join(" ")).map_err(|error| {
        format!(
            "{control:?}: {error}; is `onelook-edge run --control {}` there?",
            control.display()
        )
    })?;
    writeln!(out, "{answer}")?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(match answer["ok"].as_bool() {
        Some(true) => ExitCode::SUCCESS,
        _ => ExitCode::from(REJECTED),
    })
}
