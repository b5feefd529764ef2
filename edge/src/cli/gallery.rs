//! `gallery ...`: looks after the enrolled classes.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::open::Common;
use crate::device::Device;
use crate::device::archive::{self, ArchiveError};
use crate::device::config::Config;

#[derive(Subcommand)]
pub(super) enum GalleryCommand {
    /// List the classes and how many templates each has
    List,
    /// Forget a class
    Remove {
        /// The class
        name: String,
    },
    /// Give a class another name
    Rename {
        /// The class
        from: String,
        /// Its new name
        to: String,
    },
    /// Write every crop as a picture, a folder a class: for a copy, another device or training
    Export {
        /// The folder to make
        folder: PathBuf,
    },
    /// Enroll every picture of a folder of class folders, all or none
    Import {
        /// The folder
        folder: PathBuf,
    },
    /// Move a gallery of another model to this one, from the crops that it keeps
    Reembed,
    /// Read every page and crop of the gallery, and say whether all of it is whole
    Check,
}

pub(super) fn run(
    command: GalleryCommand,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let store = common.store();
    let path = store.path().display();
    let open = || common.open(&Config::over_shipped("")?);
    let open_existing = || -> Result<Device, Failure> {
        if !store.path().exists() {
            return Err(ArchiveError::NoGallery(store.path().to_owned()).into());
        }
        open()
    };
    match command {
        GalleryCommand::List => {
            let classes = open()?.classes();
            for class in &classes {
                let (name, templates) = (&class.name, class.templates);
                let line = json!({ "name": name, "templates": templates });
                common.print(out, line, || format!("{templates:>5}  {name}"))?;
            }
            if classes.is_empty() && !common.json {
                writeln!(out, "no class is enrolled in {path}")?;
            }
        }
        GalleryCommand::Remove { name } => {
            let templates = open_existing()?.forget(&name)?.templates;
            let line = json!({ "removed": name, "templates": templates });
            common.print(out, line, || format!("removed {name}"))?;
        }
        GalleryCommand::Rename { from, to } => {
            open_existing()?.rename(&from, &to)?;
            let line = json!({ "renamed": from, "to": to });
            common.print(out, line, || format!("renamed {from} to {to}"))?;
        }
        GalleryCommand::Export { folder } => {
            let pictures = archive::export(&store, &folder)?;
            common.print(out, json!({ "exported": pictures }), || {
                format!("{pictures} pictures in {}", folder.display())
            })?;
        }
        GalleryCommand::Import { folder } => {
            let templates = open()?.import(&folder)?;
            common.print(out, json!({ "imported": templates }), || {
                format!("enrolled {templates} pictures in {path}")
            })?;
        }
        GalleryCommand::Check => {
            let templates = archive::check(&store)?;
            common.print(out, json!({ "whole": templates }), || {
                format!("{templates} templates in {path}, all of them whole")
            })?;
        }
        GalleryCommand::Reembed => {
            let model = common.load_model()?;
            let name = model.card().name.clone();
            let templates = archive::reembed(model, &store)?;
            common.print(out, json!({ "reembedded": templates }), || {
                format!("{templates} templates in {path} are of {name} now")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
