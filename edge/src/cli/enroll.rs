//! `enroll NAME IMAGE...`: a class from the pictures that are named.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::open::{Common, shown, warn};
use crate::device::answer::Objection;
use crate::device::change::Insistence;
use crate::device::config::Config;
use crate::device::eye::Care;
use crate::gallery::store;

#[derive(Args)]
pub(super) struct EnrollArgs {
    /// The class
    name: String,
    /// Pictures of it: PNG, JPEG, BMP, PGM or PPM
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
}

pub(super) fn run(
    EnrollArgs { name, images }: EnrollArgs,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    store::check_name(&name)?;
    let mut device = common.open(&Config::over_shipped("")?)?;
    let looks = images
        .iter()
        .map(|image| device.look_at(image, Care::Measure))
        .collect::<Result<Vec<_>, _>>()?;
    let enrolled = device.enroll(&name, &looks, Insistence::Anyway)?;
    let threshold = device.threshold();
    let mut alike: Vec<Value> = Vec::new();
    for objection in &enrolled.passed {
        match objection {
            Objection::LookAlike { like, p, .. } => {
                alike.push(json!({ "name": like, "p": p }));
                warn(&format_args!(
                    "{name:?} looks like {like:?} (p {}, accepted from {}): they will be taken for one another",
                    shown(*p),
                    shown(threshold)
                ));
            }
            Objection::Flawed(flaw) => warn(&format_args!("{name:?}: {flaw}")),
            // It is enrolled all the same: another target will do.
            Objection::Fpir(error) => warn(error),
        }
    }
    let kept = device.kept_threshold().ok();
    let gallery = device.store().path();
    let line = json!({
        "enrolled": name,
        "templates": enrolled.added,
        "look_alikes": alike,
        "gallery": gallery,
        "threshold": kept,
        "fpir": common.fpir(),
    });
    common.print(out, line, || {
        let count = enrolled.added;
        let s = if count == 1 { "" } else { "s" };
        let accepted = match (kept, common.fpir()) {
            (Some(threshold), Some(_)) => format!(", {}", common.accepted_from(threshold)),
            _ => String::new(),
        };
        format!(
            "enrolled {name} from {count} picture{s} in {}{accepted}",
            gallery.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
