//! `verify NAME IMAGE`: does the picture show the class (1:1)?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::open::{Common, shown};
use crate::cli::{Failure, REJECTED};
use crate::device::config::Config;
use crate::device::eye::Care;

#[derive(Args)]
pub(super) struct VerifyArgs {
    /// The class
    name: String,
    /// The picture
    image: PathBuf,
}

pub(super) fn run(
    VerifyArgs { name, image }: VerifyArgs,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let mut device = common.open(&Config::over_shipped("")?)?;
    let look = device.look_at(&image, Care::None)?;
    let verified = device.verify(&name, &look.embedding)?;
    let decision = if verified.is_accepted {
        "accepted"
    } else {
        "rejected"
    };
    let line = json!({
        "image": image.display().to_string(),
        "decision": decision,
        "name": name,
        "p": verified.p,
        "threshold": verified.threshold,
        "fpir": common.fpir(),
        "embed_ms": look.stages.look(),
    });
    common.print(out, line, || {
        format!(
            "{}: {decision} as {name}, p {} ({})",
            image.display(),
            shown(verified.p),
            common.accepted_from(verified.threshold)
        )
    })?;
    Ok(if verified.is_accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REJECTED)
    })
}
