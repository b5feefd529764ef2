//! All of a gallery at once: written out as pictures, read in again, moved to another model, checked. All or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::device::Device;
use crate::device::answer::Refusal;
use crate::device::eye::{Care, Eye, Snapshot, Trouble};
use crate::gallery::store::{Contents, Kind, Store, StoreError, Template};
use crate::model::{Model, ModelError};
use crate::picture::files::{self, FolderError};
use crate::picture::frame::{Frame, FrameError};
use crate::vision::preprocess::Blank;
use crate::whole;

/// The folder of what classes are not, in an exported gallery: no class can be called so.
const NEGATIVES: &str = ".not";

/// Why a gallery was not written out, read in, moved or checked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{0:?}: no gallery there yet; enroll a class first")]
    NoGallery(PathBuf),
    #[error("{0:?}: is there already; name a new folder")]
    FolderExists(PathBuf),
    #[error("{path:?}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{0:?}: its name is not UTF-8; rename it")]
    NameNotUtf8(PathBuf),
    #[error("{0:?}: no class folders with pictures; give a folder such as `gallery export` makes")]
    NoClasses(PathBuf),
    /// A picture shows nothing that the model looks for.
    #[error("{}: {Blank}", .0.display())]
    BlankPicture(PathBuf),
    /// A crop shows nothing that the new model looks for.
    #[error(
        "a crop of {0}: {Blank}; remove {0} under the gallery's own model, then enroll it again"
    )]
    BlankCrop(String),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Writes every crop at `store`, of whatever model, as a PNG into the new `folder`: a folder a class, and `.not` with
/// a folder a class for negative templates. The number of pictures.
///
/// # Errors
/// No gallery, a folder that is there already, or what is wrong with either disk.
pub fn export(store: &Store, folder: &Path) -> Result<usize, ArchiveError> {
    let contents = existing(store)?;
    if folder.exists() {
        return Err(ArchiveError::FolderExists(folder.to_owned()));
    }
    let templates = contents.map_or(Vec::new(), |contents| contents.templates);
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Filled beside its place, then moved there.
    let filling = tempfile::Builder::new()
        .prefix(".export-")
        .tempdir_in(parent)
        .map_err(write_error(parent))?;
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for template in &templates {
        let class = match template.kind {
            Kind::Genuine => filling.path().join(&template.name),
            Kind::Negative => filling.path().join(NEGATIVES).join(&template.name),
        };
        let count = counts.entry(class.clone()).or_default();
        *count += 1;
        fs::create_dir_all(&class).map_err(write_error(&class))?;
        let path = class.join(format!("{count:04}.png"));
        whole::write(&path, &template.crop_png).map_err(write_error(&path))?;
    }
    whole::readable_by_all(filling.path()).map_err(write_error(folder))?;
    fs::rename(filling.path(), folder).map_err(write_error(folder))?;
    fs::File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(write_error(parent))?;
    Ok(templates.len())
}

/// Reads every page and crop at `store`. The number of templates, all of them whole.
///
/// # Errors
/// No gallery, or what is damaged.
pub fn check(store: &Store) -> Result<usize, ArchiveError> {
    Ok(existing(store)?.map_or(0, |contents| contents.templates.len()))
}

/// Moves the gallery at `store`, of whatever model, to `model`, from the crops that it keeps. The number of templates.
///
/// # Errors
/// No gallery, a crop that shows nothing to this model, or what is wrong with the disk.
pub fn reembed(model: Model, store: &Store) -> Result<usize, ArchiveError> {
    let Some(contents) = existing(store)? else {
        return Ok(0);
    };
    let mut eye = Eye::new(model);
    let mut templates = contents.templates.clone();
    for template in &mut templates {
        let name = &template.name;
        let crop = Frame::decode(&template.crop_png, &format!("a crop of {name}"))?;
        let look = eye.look(&crop, Care::None)?;
        let embedding = look.embedding;
        let embedding = embedding.map_err(|_| ArchiveError::BlankCrop(name.clone()))?;
        template.embedding = embedding.to_vec();
    }
    store.replace(&contents, eye.model().id(), &templates)?;
    Ok(templates.len())
}

impl Device {
    /// Looks at a picture that was named.
    ///
    /// # Errors
    /// It cannot be read, shows nothing, or the network cannot be run.
    pub fn look_at(&mut self, path: &Path, care: Care) -> Result<Snapshot, ArchiveError> {
        let frame = Arc::new(Frame::load(path)?);
        let look = self.look(&frame, care)?;
        look.snapshot(0, &frame).map_err(|trouble| match trouble {
            Trouble::NothingShown => ArchiveError::BlankPicture(path.to_owned()),
            other => ArchiveError::Refused(other.into()),
        })
    }

    /// Enrolls every picture of a folder of class folders, such as [`export`] makes; objects to nothing but blank
    /// pictures, for it is what a gallery held. The number of templates.
    ///
    /// # Errors
    /// No class folders, a picture that cannot be read or shows nothing, or what is wrong with the disk.
    pub fn import(&mut self, folder: &Path) -> Result<usize, ArchiveError> {
        let mut classes: Vec<(PathBuf, Kind)> = Vec::new();
        for class in files::entries(folder)? {
            if class.file_name().is_some_and(|name| name == NEGATIVES) {
                let negatives = files::entries(&class)?.into_iter();
                classes.extend(negatives.map(|class| (class, Kind::Negative)));
            } else {
                classes.push((class, Kind::Genuine));
            }
        }
        let mut templates: Vec<Template> = Vec::new();
        for (class, kind) in classes {
            let Some(name) = class.file_name().and_then(|name| name.to_str()) else {
                return Err(ArchiveError::NameNotUtf8(class));
            };
            if !class.is_dir() {
                continue;
            }
            for picture in files::pictures(std::slice::from_ref(&class))? {
                let look = self.look_at(&picture, Care::None)?;
                templates.push(self.template(&look, name, kind)?);
            }
        }
        if templates.is_empty() {
            return Err(ArchiveError::NoClasses(folder.to_owned()));
        }
        self.store.enroll(self.model().id(), &templates)?;
        self.reload()?;
        Ok(templates.len())
    }
}

fn existing(store: &Store) -> Result<Option<Contents>, ArchiveError> {
    if !store.path().exists() {
        return Err(ArchiveError::NoGallery(store.path().to_owned()));
    }
    Ok(store.contents()?)
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::Write { path, source }
}
