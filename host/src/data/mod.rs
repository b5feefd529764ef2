//! Labelled pictures: groups of classes of pictures, sorted, broken pictures named and left out, from a folder or a zip
//! (`labels`) or invented (`glyphs`), parted into what trains and what validates (`split`); and the official
//! Omniglot one-shot runs (`runs`), where nothing may be left out. Knows nothing of networks, scores or where the
//! data came from. Writes no file.

mod container;
pub mod glyphs;
pub mod labels;
pub mod runs;
pub(crate) mod split;

use std::path::PathBuf;

use onelook_edge::picture::frame::Frame;

use runs::RUN_LABELS;

/// Labelled pictures. No group, class or list of pictures in it is empty, however it was split,
/// though a side of [`Dataset::split`] may have no groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The folder's name, or the zip's without its extension.
    pub name: String,
    /// Sorted by name, no name twice.
    pub groups: Vec<Group>,
    /// What looked like a picture and could not be used, sorted by source.
    pub skipped: Vec<Skipped>,
}

/// Classes that belong together and are hardest to tell apart: an alphabet, a shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The outermost folder that is a label, or the data set's name where there is one level only.
    pub name: String,
    /// Sorted by name, no name twice.
    pub classes: Vec<Class>,
}

/// Pictures of the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The folders below the group, joined with `/`; unique within its group only.
    pub name: String,
    /// Sorted by drawer, then by source.
    pub pictures: Vec<Picture>,
}

/// One picture of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The path within the data, with `/`.
    pub source: String,
    /// Who drew it, where the file is named as in Omniglot: four digits, `_`, the drawer in two digits.
    pub drawer: Option<u32>,
    /// As decoded: any size, grey or RGB.
    pub frame: Frame,
}

/// A picture that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The path within the data, with `/`.
    pub source: String,
    /// One sentence; it may name the source again.
    pub reason: String,
}

/// Why a data set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder cannot be opened or listed.
    #[error("{path:?}: cannot be read: {source}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no zip archive, or a damaged one.
    #[error(
        "{path:?}: neither a folder nor a whole zip archive ({reason}); give a folder of class folders, \
         or fetch the archive again"
    )]
    NotAZip {
        /// The file that was asked for.
        path: PathBuf,
        /// What the zip reader said.
        reason: String,
    },
    /// The folder has a zip in it and no pictures.
    #[error("{path:?}: no pictures in this folder, but an archive; give {zip:?} itself")]
    OnlyAZip {
        /// The folder that was asked for.
        path: PathBuf,
        /// The zip to give in its place.
        zip: PathBuf,
    },
    /// There is no picture at all.
    #[error(
        "{path:?}: no pictures; give a folder or a zip with one folder of PNG, JPEG, BMP, PGM or PPM pictures \
         for each class"
    )]
    NoPictures {
        /// The folder or zip that was asked for.
        path: PathBuf,
    },
    /// There are pictures, but none could be used.
    #[error(
        "{path:?}: none of its {count} pictures can be used; the first: {source_name}: {reason}"
    )]
    AllSkipped {
        /// The folder or zip that was asked for.
        path: PathBuf,
        /// How many were left out.
        count: usize,
        /// The first of them.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Evaluation runs where a set of classes belongs.
    #[error(
        "{path:?}: holds one-shot runs ({labels}), and runs are opened by the final evaluation alone; \
         give a folder or zip of class folders without them"
    )]
    RunsNotClasses {
        /// The folder or zip that was asked for.
        path: PathBuf,
        /// The file that gives the runs away.
        labels: String,
    },
    /// There is no run at all.
    #[error(
        "{path:?}: no one-shot runs (no runNN/{RUN_LABELS}); give Omniglot's all_runs.zip or its folder"
    )]
    NoRuns {
        /// The folder or zip that was asked for.
        path: PathBuf,
    },
    /// A run is incomplete or damaged. Runs are all or nothing: scores on a part cannot be compared.
    #[error("{path:?}: {entry}: {reason}; fetch Omniglot's all_runs.zip again")]
    DamagedRun {
        /// The folder or zip that was asked for.
        path: PathBuf,
        /// The file within it.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Dataset {
    /// How many pictures there are in all classes; the skipped ones do not count.
    pub fn pictures(&self) -> usize {
        let classes = self.groups.iter().flat_map(|group| &group.classes);
        classes.map(|class| class.pictures.len()).sum()
    }

    /// How many classes there are in all groups.
    pub fn classes(&self) -> usize {
        self.groups.iter().map(|group| group.classes.len()).sum()
    }

    /// Splits by group: first the groups whose names are not in `held_out`, then those that are.
    ///
    /// Both sides keep the data set's name and order; the skipped pictures go with the first. A name that is no
    /// group's holds nothing out: where the names come from a person, compare the second side with them.
    pub fn split(self, held_out: &[String]) -> (Dataset, Dataset) {
        let (validating, training) = self
            .groups
            .into_iter()
            .partition(|group| held_out.contains(&group.name));
        let held_out = Dataset {
            name: self.name.clone(),
            groups: validating,
            skipped: Vec::new(),
        };
        let rest = Dataset {
            name: self.name,
            groups: training,
            skipped: self.skipped,
        };
        (rest, held_out)
    }
}

#[cfg(test)]
mod tests;
