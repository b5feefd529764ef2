//! `identify IMAGE|FOLDER...`: which class does each picture show (1:N), if any?

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::open::{Common, shown, warn};
use crate::cli::{FAILED, Failure};
use crate::device::config::Config;
use crate::device::eye::Care;
use crate::gallery::decide::Decision;
use crate::picture::files;

#[derive(Args)]
pub(super) struct IdentifyArgs {
    /// Pictures, or folders of pictures
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
}

pub(super) fn run(
    IdentifyArgs { images }: IdentifyArgs,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let mut device = common.open(&Config::over_shipped("")?)?;
    if device.gallery().is_empty() {
        let path = device.store().path();
        warn(&format_args!(
            "no class is enrolled in {path:?}: all is unknown"
        ));
    }
    let threshold = device.kept_threshold()?;
    device.index();
    let mut failed = false;
    for image in files::pictures(&images)? {
        match device.look_at(&image, Care::None) {
            Ok(look) => {
                let decision = device.identify(&look.embedding);
                print(
                    &image,
                    &decision,
                    threshold,
                    look.stages.look(),
                    common,
                    out,
                )?;
            }
            // One bad picture does not keep the others from their answer.
            Err(failure) => {
                failed = true;
                let _ = writeln!(io::stderr(), "error: {failure}");
                if common.json {
                    let error = failure.to_string();
                    let line = json!({ "image": image.display().to_string(), "error": error });
                    writeln!(out, "{line}")?;
                }
            }
        }
    }
    Ok(if failed {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn print(
    image: &Path,
    decision: &Decision,
    threshold: f32,
    embed_ms: f64,
    common: &Common,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (word, name, p, runner_up) = match decision {
        Decision::Match { name, p, runner_up } => ("match", Some(&**name), Some(*p), *runner_up),
        Decision::Unknown { best, runner_up } => {
            let p = best.as_ref().map(|(_, p)| *p);
            ("unknown", None, p, *runner_up)
        }
    };
    let line = json!({
        "image": image.display().to_string(),
        "decision": word,
        "name": name,
        "p": p,
        "runner_up": runner_up,
        "threshold": threshold,
        "fpir": common.fpir(),
        "embed_ms": embed_ms,
    });
    common.print(out, line, || {
        let name = name.map_or(String::new(), |name| format!(" {name}"));
        let p = p.map_or(String::new(), |p| format!(", p {}", shown(p)));
        let next = runner_up.map_or(String::new(), |p| format!(", next {}", shown(p)));
        let accepted = common.accepted_from(threshold);
        format!("{}: {word}{name}{p}{next} ({accepted})", image.display())
    })
}
