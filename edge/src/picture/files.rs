//! Which pictures there are: names of files and what is in a folder. Knows paths only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::picture::decode::is_picture_name;

/// A folder that holds no picture, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{path:?}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{0:?}: no PNG, JPEG, BMP, PGM or PPM pictures in it")]
    NoPictures(PathBuf),
}

/// The pictures themselves, and in place of a folder those in it, sorted by name.
///
/// # Errors
/// A folder cannot be read, or has no pictures.
pub fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FolderError> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        found.extend(
            entries(path)?
                .into_iter()
                .filter(|entry| is_picture_name(entry)),
        );
        if found.len() == before {
            return Err(FolderError::NoPictures(path.clone()));
        }
    }
    Ok(found)
}

/// What is in a folder, sorted by name.
///
/// # Errors
/// It cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unreadable = |source| FolderError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut entries = fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    entries.sort();
    Ok(entries)
}
