//! `onelook camera`: shows what the simulated camera makes of some pictures.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onelook_edge::vision::locate;
use onelook_edge::whole;
use rand::seq::SliceRandom;

use super::session::SessionArgs;
use super::{Failure, open_data};
use crate::augment::camera::{self, Session};
use crate::random::{Purpose, stream};

#[derive(Args)]
pub(super) struct CameraArgs {
    /// A data set, as in `train`
    #[arg(long, default_value = "glyphs")]
    data: String,
    /// The folder to write the photographs to, as PNG
    #[arg(long)]
    out: PathBuf,
    /// How many pictures, drawn from the data by the seed
    #[arg(long, default_value_t = 12)]
    pictures: usize,
    /// What is photographed, and how badly
    #[command(flatten)]
    session: SessionArgs,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(args: &CameraArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let session = args.session.session()?.unwrap_or(Session::Everything(1.0));
    let data = open_data(&args.data)?;
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let mut frames: Vec<_> = classes
        .flat_map(|class| class.pictures.iter().map(|picture| &picture.frame))
        .collect();
    frames.shuffle(&mut stream(args.seed, Purpose::Batch, 0));
    frames.truncate(args.pictures);
    let (mut found, mut taken) = (0, 0);
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{:?}: {error}", args.out))?;
    let look = |shot: camera::Shot| {
        let mark = locate::mark(&shot.frame);
        let overlap = mark.map_or(0.0, |mark| mark.bounds.overlap(&shot.bounds));
        Some((shot.frame.to_png(), overlap))
    };
    let seen = camera::photographs(&frames, session, args.seed, 1, look);
    for (number, shot) in seen.into_iter().enumerate() {
        let Some((png, overlap)) = shot else { continue };
        let path = args.out.join(format!("{number:04}.png"));
        whole::write(&path, &png?).map_err(|error| format!("{path:?}: {error}"))?;
        found += usize::from(overlap >= camera::FOUND);
        taken += 1;
        writeln!(out, "{}  overlap {overlap:.2}", path.display())?;
    }
    writeln!(
        out,
        "{found} of {taken} marks found (box overlap at least {})",
        camera::FOUND
    )?;
    Ok(ExitCode::SUCCESS)
}
