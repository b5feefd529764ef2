//! Why a gallery cannot be read or changed. Each error names the gallery and the way out. Knows what redb and
//! the system say: nothing of what was asked for.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::Store;
use super::tables::FORMAT;

/// Why a gallery cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("{path:?}: {source}; see to the disk or its permissions, then try again")]
    File {
        /// The gallery.
        path: PathBuf,
        /// What the system said; a full disk among it.
        source: io::Error,
    },
    /// Enrolled with another model.
    #[error(
        "{path:?}: enrolled with model {}, but {} is loaded; load that model, or move the gallery \
         to this one with `gallery reembed`",
        short(found),
        short(loaded)
    )]
    OtherModel {
        /// The gallery.
        path: PathBuf,
        /// The id of the model that it was enrolled with.
        found: String,
        /// The id of the one that is loaded.
        loaded: String,
    },
    /// No gallery, or one that does not hold together.
    #[error(
        "{path:?}: not a gallery, or damaged ({source}); it was left as it is: restore a copy, or \
         name another file with --gallery and enroll again"
    )]
    Damaged {
        /// The gallery.
        path: PathBuf,
        /// What is wrong.
        source: Damage,
    },
    /// A gallery that another version of the program wrote.
    #[error(
        "{path:?}: a gallery of format {found}, but this program reads format {FORMAT}; it was left as it \
         is: use the program that wrote it, whose `gallery export` gives pictures to import here"
    )]
    OtherFormat {
        /// The gallery.
        path: PathBuf,
        /// The format that it states.
        found: String,
    },
    /// Another program holds it.
    #[error("{path:?}: in use by another program; end that one, or name another gallery")]
    Busy {
        /// The gallery.
        path: PathBuf,
    },
    /// No such class.
    #[error("{path:?}: no class {name:?}; see `gallery list`")]
    NoSuchClass {
        /// The gallery.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// The class is there already.
    #[error("{path:?}: a class {name:?} is there already; remove it first, or take another name")]
    ClassExists {
        /// The gallery.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// Another program changed it while it was being moved.
    #[error("{path:?}: was changed meanwhile; run the same command again")]
    Changed {
        /// The gallery.
        path: PathBuf,
    },
    /// A name that cannot be shown, or be that of a folder.
    #[error("{name:?}: not a name for a class: {reason}")]
    BadName {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What is wrong with a gallery's bytes.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The first bytes are those of another kind of file.
    #[error("it does not begin as one")]
    Beginning,
    /// A page is cut, or its seal does not hold.
    #[error(transparent)]
    Page(io::Error),
    /// redb cannot read what the pages hold, or a row is none of ours.
    #[error(transparent)]
    Tables(Box<redb::Error>),
    /// Reading made redb panic.
    #[error("its pages contradict one another")]
    Contradiction,
    /// It states no format.
    #[error("it names no format")]
    NoFormat,
    /// It states no model.
    #[error("it names no model")]
    NoModel,
    /// Embeddings must be of one size.
    #[error("embeddings of two sizes")]
    TwoSizes,
    /// Embeddings must be of the size that the model gives.
    #[error("its embeddings are not of its model")]
    OtherSize,
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

impl Store {
    pub(super) fn no_such_class(&self, name: &str) -> StoreError {
        StoreError::NoSuchClass {
            path: self.path.clone(),
            name: name.to_owned(),
        }
    }

    pub(super) fn class_exists(&self, name: &str) -> StoreError {
        StoreError::ClassExists {
            path: self.path.clone(),
            name: name.to_owned(),
        }
    }

    pub(super) fn check_model(&self, found: &str, loaded: &str) -> Result<(), StoreError> {
        if found == loaded {
            return Ok(());
        }
        Err(StoreError::OtherModel {
            path: self.path.clone(),
            found: found.to_owned(),
            loaded: loaded.to_owned(),
        })
    }

    pub(super) fn file_error(&self, source: io::Error) -> StoreError {
        StoreError::File {
            path: self.path.clone(),
            source,
        }
    }

    pub(super) fn damaged(&self, source: Damage) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            source,
        }
    }

    pub(super) fn check_format(&self, found: Option<&str>) -> Result<(), StoreError> {
        match found {
            Some(FORMAT) => Ok(()),
            Some(other) => Err(StoreError::OtherFormat {
                path: self.path.clone(),
                found: other.to_owned(),
            }),
            None => Err(self.damaged(Damage::NoFormat)),
        }
    }

    pub(super) fn error(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::Io(source) => match source.kind() {
                // What redb says of a file that ends too early.
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
                    self.damaged(Damage::Page(source))
                }
                _ => self.file_error(source),
            },
            redb::Error::DatabaseAlreadyOpen => StoreError::Busy {
                path: self.path.clone(),
            },
            other => self.damaged(Damage::Tables(other.into())),
        }
    }
}
