//! Reads labelled pictures from a folder or a zip. Knows nothing of how the container stores them.
//!
//! # How folders become labels
//! A picture's folders name its class. Folders that all pictures share are no label and are dropped
//! (`images_background/`); only where all pictures stand in one folder, that folder is kept, as the one class.
//! Of the folders that are left:
//!
//! | folders left | group | class |
//! |---|---|---|
//! | `cat/` | the data set's name | `cat` |
//! | `Greek/character01/` | `Greek` | `character01` |
//! | `Greek/old/character01/`, or deeper | `Greek` | `old/character01` |
//! | none, and no folders beside it | the data set's name | the data set's name |
//! | none, beside class folders | no label: the picture is listed as skipped | |
//!
//! So levels may be mixed, and a folder whose pictures stand directly in it is a class even if it is a group too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::container::{self, Container, Entry};
use super::runs::RUN_LABELS;
use super::{Class, Dataset, DatasetError, Group, Picture, Skipped};

/// Reads every labelled picture of a folder or a zip. Same data, same result, in whatever order it is stored.
///
/// Pictures are files named `.png`, `.jpg`, `.jpeg`, `.bmp`, `.pgm`, `.ppm` or `.pnm` in any case. Hidden files
/// and folders, `__MACOSX` and linked folders are passed over. A picture that cannot be decoded, or is over
/// `MAX_FILE_BYTES`, is listed in [`Dataset::skipped`]. All pictures stay in memory as decoded.
///
/// # Errors
/// Every [`DatasetError`] but `NoRuns` and `DamagedRun`.
pub fn open(path: &Path) -> Result<Dataset, DatasetError> {
    let entries = Container::open(path)?.list()?;
    if let Some(labels) = entries.iter().find(|entry| entry.file_name == RUN_LABELS) {
        return Err(DatasetError::RunsNotClasses {
            path: path.to_owned(),
            labels: labels.source.clone(),
        });
    }
    let zip = first_zip(path, &entries);
    let pictures: Vec<Entry> = entries.into_iter().filter(Entry::is_picture).collect();
    if pictures.is_empty() {
        let path = path.to_owned();
        return Err(match zip {
            Some(zip) => DatasetError::OnlyAZip { path, zip },
            None => DatasetError::NoPictures { path },
        });
    }

    let name = container::name_of(path);
    let shared = shared_folders(&pictures);
    let one_folder = pictures.iter().all(|entry| entry.folders.len() == shared);
    let unlabelled = |entry: &Entry| !one_folder && entry.folders.len() == shared;
    let dropped = if one_folder {
        shared.saturating_sub(1)
    } else {
        shared
    };
    let (strays, pictures): (Vec<Entry>, Vec<Entry>) = pictures.into_iter().partition(unlabelled);

    let beside = "stands beside the class folders and has no label; move it into one of them";
    let mut skipped: Vec<Skipped> = strays
        .into_iter()
        .map(|entry| Skipped {
            source: entry.source,
            reason: beside.to_owned(),
        })
        .collect();
    let mut groups: BTreeMap<String, BTreeMap<String, Vec<Picture>>> = BTreeMap::new();
    let frames = container::decode_all(path, &pictures)?;
    for (entry, frame) in pictures.into_iter().zip(frames) {
        let frame = match frame {
            Ok(frame) => frame,
            Err(reason) => {
                let source = entry.source;
                skipped.push(Skipped { source, reason });
                continue;
            }
        };
        let (group, class) = match &entry.folders[dropped..] {
            [] => (name.clone(), name.clone()),
            [class] => (name.clone(), class.clone()),
            [group, class @ ..] => (group.clone(), class.join("/")),
        };
        let picture = Picture {
            drawer: drawer(&entry.file_name),
            source: entry.source,
            frame,
        };
        groups
            .entry(group)
            .or_default()
            .entry(class)
            .or_default()
            .push(picture);
    }
    skipped.sort_by(|a, b| a.source.cmp(&b.source));
    if groups.is_empty()
        && let Some(first) = skipped.first()
    {
        return Err(DatasetError::AllSkipped {
            path: path.to_owned(),
            count: skipped.len(),
            source_name: first.source.clone(),
            reason: first.reason.clone(),
        });
    }
    let class = |(name, mut pictures): (String, Vec<Picture>)| {
        pictures.sort_by(|a, b| (a.drawer, &a.source).cmp(&(b.drawer, &b.source)));
        Class { name, pictures }
    };
    let group = |(name, classes): (String, BTreeMap<String, Vec<Picture>>)| Group {
        name,
        classes: classes.into_iter().map(class).collect(),
    };
    let groups = groups.into_iter().map(group).collect();
    Ok(Dataset {
        name,
        groups,
        skipped,
    })
}

/// How many leading folders all pictures have in common.
fn shared_folders(pictures: &[Entry]) -> usize {
    let Some((first, others)) = pictures.split_first() else {
        return 0;
    };
    others.iter().fold(first.folders.len(), |shared, other| {
        let pairs = first.folders.iter().zip(&other.folders).take(shared);
        pairs.take_while(|(a, b)| a == b).count()
    })
}

/// The drawer of `0709_17.png` is 17; any other pattern (a phone's `20240131_120000.jpg`) names no drawer.
pub(super) fn drawer(file_name: &str) -> Option<u32> {
    let (stem, _) = file_name.rsplit_once('.')?;
    let (character, drawer) = stem.split_once('_')?;
    let digits = |part: &str, count: usize| {
        part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if digits(character, 4) && digits(drawer, 2) {
        drawer.parse().ok()
    } else {
        None
    }
}

/// The zip directly in the folder that is most likely meant: Omniglot's training set, or else the first.
fn first_zip(path: &Path, entries: &[Entry]) -> Option<PathBuf> {
    let is_zip = |entry: &&Entry| {
        entry.folders.is_empty()
            && entry.file_name.to_ascii_lowercase().ends_with(".zip")
            && path.is_dir()
    };
    let zips: Vec<&Entry> = entries.iter().filter(is_zip).collect();
    let omniglot = zips
        .iter()
        .find(|zip| zip.file_name == "images_background.zip");
    omniglot.or(zips.first()).map(|zip| path.join(&zip.path))
}
