//! `onelook demo-clip`: draws the clip that `onelook-edge demo` plays.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onelook_edge::whole;

use super::Failure;
use crate::clip;

#[derive(Args)]
pub(super) struct DemoClipArgs {
    /// The motion JPEG file to write
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn run(args: &DemoClipArgs) -> Result<ExitCode, Failure> {
    let path = &args.out;
    whole::write(path, &clip::draw(1)?).map_err(|error| format!("{path:?}: {error}"))?;
    Ok(ExitCode::SUCCESS)
}
