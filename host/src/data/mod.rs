//! Reads labelled pictures from a folder or a zip: groups of classes of pictures, sorted, broken pictures
//! named and left out; and the official Omniglot one-shot runs, where nothing may be left out.
//! Knows nothing of training, networks, scores or where the data came from. Writes no file.
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

pub mod glyphs;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use onelook_edge::picture::decode::EXTENSIONS;
use onelook_edge::picture::frame::{Frame, MAX_FILE_BYTES};
use zip::ZipArchive;

const RUN_LABELS: &str = "class_labels.txt";

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

/// Classes that belong together and are told apart hardest: an alphabet, a shelf.
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

/// One official one-shot run: tell which support picture shows the character of each query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run's folder, such as `run01`.
    pub name: String,
    /// One picture a class, sorted by path (`training/class01.png` first).
    pub support: Vec<Frame>,
    /// Sorted by path (`test/item01.png` first); the number is the place of the right answer in `support`.
    pub queries: Vec<(Frame, usize)>,
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
    /// Evaluation runs were given where a set of classes belongs.
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

/// Reads every labelled picture of a folder or a zip. Same data, same result, in whatever order it is stored.
///
/// Pictures are files named `.png`, `.jpg`, `.jpeg`, `.bmp`, `.pgm`, `.ppm` or `.pnm` in any case. Hidden files
/// and folders, `__MACOSX` and linked folders are passed over. A picture that cannot be decoded, or is over
/// [`MAX_FILE_BYTES`], is listed in [`Dataset::skipped`]. All pictures are held in memory as decoded.
///
/// # Errors
/// Every [`DatasetError`] but `NoRuns` and `DamagedRun`.
pub fn open(path: &Path) -> Result<Dataset, DatasetError> {
    let found = Container::open(path)?.list()?;
    if let Some(labels) = found.iter().find(|found| found.file_name == RUN_LABELS) {
        return Err(DatasetError::RunsNotClasses {
            path: path.to_owned(),
            labels: labels.source.clone(),
        });
    }
    let zip = first_zip(path, &found);
    let pictures: Vec<Found> = found.into_iter().filter(Found::is_picture).collect();
    if pictures.is_empty() {
        let path = path.to_owned();
        return Err(match zip {
            Some(zip) => DatasetError::OnlyAZip { path, zip },
            None => DatasetError::NoPictures { path },
        });
    }

    let name = name_of(path);
    let shared = shared_folders(&pictures);
    let one_folder = pictures.iter().all(|found| found.folders.len() == shared);
    let unlabelled = |found: &Found| !one_folder && found.folders.len() == shared;
    let dropped = if one_folder {
        shared.saturating_sub(1)
    } else {
        shared
    };
    let (strays, pictures): (Vec<Found>, Vec<Found>) = pictures.into_iter().partition(unlabelled);

    let beside = "stands beside the class folders and has no label; move it into one of them";
    let mut skipped: Vec<Skipped> = strays
        .into_iter()
        .map(|found| Skipped {
            source: found.source,
            reason: beside.to_owned(),
        })
        .collect();
    let mut groups: BTreeMap<String, BTreeMap<String, Vec<Picture>>> = BTreeMap::new();
    let frames = decode_all(path, &pictures)?;
    for (found, frame) in pictures.into_iter().zip(frames) {
        let frame = match frame {
            Ok(frame) => frame,
            Err(reason) => {
                let source = found.source;
                skipped.push(Skipped { source, reason });
                continue;
            }
        };
        let (group, class) = match &found.folders[dropped..] {
            [] => (name.clone(), name.clone()),
            [class] => (name.clone(), class.clone()),
            [group, class @ ..] => (group.clone(), class.join("/")),
        };
        let picture = Picture {
            drawer: drawer(&found.file_name),
            source: found.source,
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

/// Reads the official one-shot runs, `all_runs.zip` or its folder, sorted by name.
///
/// Each run is a folder of `training/` (the support), `test/` (the queries) and `class_labels.txt`, whose lines
/// name a test picture and the training picture of the same character. Every picture must be there and whole,
/// and every test picture must have one label. How many runs there are is for the caller to check: Omniglot has
/// 20, of 20 classes and 20 queries each.
///
/// # Errors
/// `Unreadable`, `NotAZip`, `NoRuns`, and `DamagedRun` for anything missing, broken or ambiguous.
pub fn open_runs(path: &Path) -> Result<Vec<Run>, DatasetError> {
    let mut container = Container::open(path)?;
    let found = container.list()?;
    let mut runs = Vec::new();
    for labels in found.iter().filter(|found| found.file_name == RUN_LABELS) {
        let damaged = |entry: &str, reason: &str| DatasetError::DamagedRun {
            path: path.to_owned(),
            entry: entry.to_owned(),
            reason: reason.to_owned(),
        };
        let name = labels
            .folders
            .last()
            .cloned()
            .unwrap_or_else(|| name_of(path));
        let pictures_in = |folder: &str| -> Vec<Found> {
            let within = [labels.folders.as_slice(), &[folder.to_owned()]].concat();
            let inside = found
                .iter()
                .filter(|found| found.is_picture() && found.folders == within);
            inside.cloned().collect()
        };
        let (support, tests) = (pictures_in("training"), pictures_in("test"));

        let bytes = container
            .read(labels)
            .map_err(|reason| damaged(&labels.source, &reason))?;
        let text = String::from_utf8(bytes).map_err(|_| damaged(&labels.source, "is not text"))?;
        let mut answers = vec![None; tests.len()];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let place = |among: &[Found], folder: &str, label: &str| {
                among
                    .iter()
                    .position(|found| label == format!("{name}/{folder}/{}", found.file_name))
            };
            let Some((test, training)) = line.split_once(char::is_whitespace) else {
                return Err(damaged(
                    &labels.source,
                    &format!("{line:?} is not two paths"),
                ));
            };
            let answer = place(&support, "training", training.trim_start());
            let (Some(test), Some(answer)) = (place(&tests, "test", test), answer) else {
                return Err(damaged(
                    &labels.source,
                    &format!("{line:?} names a picture that is not there"),
                ));
            };
            if answers[test].replace(answer).is_some() {
                return Err(damaged(&tests[test].source, "has two labels"));
            }
        }
        if tests.is_empty() {
            return Err(damaged(&labels.source, "labels no picture"));
        }

        let mut queries = Vec::new();
        for ((test, answer), frame) in tests.iter().zip(answers).zip(decode_all(path, &tests)?) {
            let frame = frame.map_err(|reason| damaged(&test.source, &reason))?;
            queries.push((
                frame,
                answer.ok_or_else(|| damaged(&test.source, "has no label"))?,
            ));
        }
        let mut frames = Vec::new();
        for (found, frame) in support.iter().zip(decode_all(path, &support)?) {
            frames.push(frame.map_err(|reason| damaged(&found.source, &reason))?);
        }
        runs.push(Run {
            name,
            support: frames,
            queries,
        });
    }
    if runs.is_empty() {
        return Err(DatasetError::NoRuns {
            path: path.to_owned(),
        });
    }
    runs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(runs)
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
        let (held, kept) = self
            .groups
            .into_iter()
            .partition(|group| held_out.contains(&group.name));
        let held_out = Dataset {
            name: self.name.clone(),
            groups: held,
            skipped: Vec::new(),
        };
        let rest = Dataset {
            name: self.name,
            groups: kept,
            skipped: self.skipped,
        };
        (rest, held_out)
    }
}

/// A file within the data.
#[derive(Clone, Debug)]
struct Found {
    source: String,
    folders: Vec<String>,
    file_name: String,
    /// How the folder or zip itself knows it: a name may be no UTF-8 on disk.
    path: PathBuf,
}

impl Found {
    /// Nothing where a part of the path is hidden or is what macOS adds to a zip.
    fn new(source: String, parts: Vec<String>, path: PathBuf) -> Option<Self> {
        let mut folders = parts;
        if folders.iter().any(|part| is_hidden(part)) {
            return None;
        }
        let file_name = folders.pop()?;
        Some(Self {
            source,
            folders,
            file_name,
            path,
        })
    }

    fn is_picture(&self) -> bool {
        let extension = self
            .file_name
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension);
        EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    }
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || part == "__MACOSX"
}

/// Where the files are.
enum Container {
    Folder(PathBuf),
    Zip(ZipArchive<BufReader<File>>),
}

impl Container {
    fn open(path: &Path) -> Result<Self, DatasetError> {
        let unreadable = |source| DatasetError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let not_a_zip = |reason: String| DatasetError::NotAZip {
            path: path.to_owned(),
            reason,
        };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        // Opening a pipe would wait for ever.
        if !metadata.is_file() {
            return Err(not_a_zip("not a plain file".to_owned()));
        }
        let file = BufReader::new(File::open(path).map_err(unreadable)?);
        let archive = ZipArchive::new(file).map_err(|error| not_a_zip(error.to_string()))?;
        Ok(Self::Zip(archive))
    }

    /// Every file that is not hidden, sorted by source.
    fn list(&self) -> Result<Vec<Found>, DatasetError> {
        let mut found = match self {
            Self::Folder(root) => list_folder(root)?,
            Self::Zip(archive) => list_zip(archive),
        };
        found.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(found)
    }

    /// The file's bytes, or why there are none. Reads no more than [`MAX_FILE_BYTES`], whatever a zip claims.
    fn read(&mut self, found: &Found) -> Result<Vec<u8>, String> {
        match self {
            Self::Folder(root) => {
                let file = File::open(root.join(&found.path)).map_err(|error| error.to_string())?;
                read_bounded(file)
            }
            Self::Zip(archive) => {
                let entry = archive
                    .by_name(&found.source)
                    .map_err(|error| error.to_string())?;
                read_bounded(entry)
            }
        }
    }
}

fn read_bounded(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut bounded = reader.take(MAX_FILE_BYTES + 1);
    bounded
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!(
            "larger than {} MiB; make it smaller",
            MAX_FILE_BYTES >> 20
        ));
    }
    Ok(bytes)
}

fn list_folder(root: &Path) -> Result<Vec<Found>, DatasetError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = root.join(&folder);
        let unreadable = |source| DatasetError::Unreadable {
            path: here.clone(),
            source,
        };
        for entry in fs::read_dir(&here).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                if !is_hidden(&entry.file_name().to_string_lossy()) {
                    folders.push(path);
                }
                continue;
            }
            // A linked folder may lead back to itself. A dead link stays, to be named when it is read.
            let linked = || fs::metadata(entry.path()).map_or(true, |target| target.is_file());
            if kind.is_file() || (kind.is_symlink() && linked()) {
                let parts: Vec<String> = path
                    .iter()
                    .map(|part| part.to_string_lossy().into_owned())
                    .collect();
                found.extend(Found::new(parts.join("/"), parts, path));
            }
        }
    }
    Ok(found)
}

fn list_zip(archive: &ZipArchive<BufReader<File>>) -> Vec<Found> {
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let Some(Ok(name)) = archive.name_for_index(index) else {
            continue;
        };
        if name.ends_with(['/', '\\']) {
            continue;
        }
        // Only names, never paths to write to: `..` and a leading `/` mean nothing here.
        let parts = name
            .split(['/', '\\'])
            .filter(|part| !matches!(*part, "" | "." | ".."));
        let parts = parts.map(str::to_owned).collect();
        found.extend(Found::new(name.to_string(), parts, PathBuf::from(&*name)));
    }
    found
}

/// One result for each of `found`, in its order. Every thread opens the container for itself.
fn decode_all(path: &Path, found: &[Found]) -> Result<Vec<Result<Frame, String>>, DatasetError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = found.len().div_ceil(threads).max(1);
    let decode = |share: &[Found]| {
        let mut container = Container::open(path)?;
        let frames = share.iter().map(|found| {
            let bytes = container.read(found)?;
            Frame::decode(&bytes, &found.source).map_err(|error| error.to_string())
        });
        Ok(frames.collect::<Vec<_>>())
    };
    thread::scope(|scope| {
        let running: Vec<_> = found
            .chunks(share)
            .map(|share| scope.spawn(move || decode(share)))
            .collect();
        let mut frames = Vec::with_capacity(found.len());
        for thread in running {
            match thread.join() {
                Ok(part) => frames.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(frames)
    })
}

/// How many leading folders all pictures have in common.
fn shared_folders(pictures: &[Found]) -> usize {
    let Some((first, others)) = pictures.split_first() else {
        return 0;
    };
    others.iter().fold(first.folders.len(), |shared, other| {
        let pairs = first.folders.iter().zip(&other.folders).take(shared);
        pairs.take_while(|(a, b)| a == b).count()
    })
}

/// The drawer of `0709_17.png` is 17; any other pattern (a phone's `20240131_120000.jpg`) names no drawer.
fn drawer(file_name: &str) -> Option<u32> {
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

/// The folder's name or the zip's without extension; for `.` and the like, that of the folder it stands for.
fn name_of(path: &Path) -> String {
    let whole = match path.file_name() {
        Some(_) => path.to_owned(),
        None => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    };
    let name = if whole.is_dir() {
        whole.file_name()
    } else {
        whole.file_stem()
    };
    name.map_or_else(
        || "data".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The zip directly in the folder that is most likely meant: Omniglot's training set, or else the first.
fn first_zip(path: &Path, found: &[Found]) -> Option<PathBuf> {
    let is_zip = |found: &&Found| {
        found.folders.is_empty()
            && found.file_name.to_ascii_lowercase().ends_with(".zip")
            && path.is_dir()
    };
    let zips: Vec<&Found> = found.iter().filter(is_zip).collect();
    let omniglot = zips
        .iter()
        .find(|zip| zip.file_name == "images_background.zip");
    omniglot.or(zips.first()).map(|zip| path.join(&zip.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// A lopsided PGM of 2 x 1 whose first sample tells it from others.
    fn pgm(sample: u8) -> Vec<u8> {
        [b"P5 2 1 255\n".as_slice(), &[sample, 7]].concat()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("pets");
        fs::create_dir(&root).unwrap();
        for (name, bytes) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        (temp, root)
    }

    fn zipped(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("pets.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        (temp, path)
    }

    /// `group/class:source source`, a line a class.
    fn outline(data: &Dataset) -> Vec<String> {
        let mut lines = Vec::new();
        for group in &data.groups {
            for class in &group.classes {
                let sources: Vec<&str> = class.pictures.iter().map(|p| p.source.as_str()).collect();
                lines.push(format!(
                    "{}|{}: {}",
                    group.name,
                    class.name,
                    sources.join(" ")
                ));
            }
        }
        lines
    }

    fn outline_of(names: &[&str]) -> Vec<String> {
        let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, pgm(1))).collect();
        let ((_a, folder), (_b, zip)) = (folder(&files), zipped(&files));
        let (from_folder, from_zip) = (open(&folder).unwrap(), open(&zip).unwrap());
        assert_eq!(from_folder, from_zip);
        outline(&from_folder)
    }

    #[test]
    fn one_level_is_one_group_named_like_the_data() {
        let lines = outline_of(&["dog/1.pgm", "cat/2.PGM", "cat/1.pgm"]);
        assert_eq!(
            lines,
            ["pets|cat: cat/1.pgm cat/2.PGM", "pets|dog: dog/1.pgm"]
        );
    }

    #[test]
    fn two_levels_are_groups_of_classes() {
        let lines = outline_of(&["b/y/1.pgm", "a/x/1.pgm", "a/w/1.pgm"]);
        assert_eq!(
            lines,
            ["a|w: a/w/1.pgm", "a|x: a/x/1.pgm", "b|y: b/y/1.pgm"]
        );
    }

    #[test]
    fn folders_that_all_pictures_share_are_no_label() {
        let lines = outline_of(&["top/in/a/x/1.pgm", "top/in/b/x/1.pgm"]);
        assert_eq!(lines, ["a|x: top/in/a/x/1.pgm", "b|x: top/in/b/x/1.pgm"]);
    }

    #[test]
    fn a_single_class_folder_is_one_class() {
        assert_eq!(outline_of(&["top/cat/1.pgm"]), ["pets|cat: top/cat/1.pgm"]);
        assert_eq!(outline_of(&["1.pgm", "2.pgm"]), ["pets|pets: 1.pgm 2.pgm"]);
    }

    #[test]
    fn levels_may_be_mixed_and_deep_folders_are_joined() {
        let lines = outline_of(&["emoji/1.pgm", "a/x/1.pgm", "a/old/x/1.pgm"]);
        assert_eq!(
            lines,
            [
                "a|old/x: a/old/x/1.pgm",
                "a|x: a/x/1.pgm",
                "pets|emoji: emoji/1.pgm"
            ]
        );
    }

    #[test]
    fn a_picture_beside_the_class_folders_is_skipped_by_name() {
        let (_temp, zip) = zipped(&[
            ("top/sheet.pgm", pgm(1)),
            ("top/cat/1.pgm", pgm(2)),
            ("top/dog/1.pgm", pgm(3)),
        ]);
        let data = open(&zip).unwrap();
        assert_eq!(data.classes(), 2);
        assert_eq!(data.skipped.len(), 1);
        assert_eq!(data.skipped[0].source, "top/sheet.pgm");
    }

    #[test]
    fn pictures_are_sorted_by_drawer_then_by_path() {
        let lines = outline_of(&["x/0002_01.pgm", "x/0001_02.pgm", "x/0001_01.pgm", "x/z.pgm"]);
        assert_eq!(
            lines,
            ["pets|x: x/z.pgm x/0001_01.pgm x/0002_01.pgm x/0001_02.pgm"]
        );
    }

    #[test]
    fn only_omniglots_file_names_tell_the_drawer() {
        assert_eq!(drawer("0709_17.png"), Some(17));
        assert_eq!(drawer("0709_01.PNG"), Some(1));
        for other in [
            "20240131_120000.jpg",
            "0709_+1.png",
            "709_17.png",
            "0709_17_2.png",
            "0709-17.png",
            "0709_17",
        ] {
            assert_eq!(drawer(other), None, "{other}");
        }
    }

    #[test]
    fn a_broken_picture_is_named_and_skipped() {
        let files = [
            ("cat/1.pgm", pgm(9)),
            ("cat/2.png", b"no picture".to_vec()),
            ("dog/1.pgm", pgm(8)),
        ];
        let ((_a, folder), (_b, zip)) = (folder(&files), zipped(&files));
        for path in [folder, zip] {
            let data = open(&path).unwrap();
            assert_eq!((data.pictures(), data.classes()), (2, 2));
            assert_eq!(data.skipped.len(), 1);
            assert_eq!(data.skipped[0].source, "cat/2.png");
            assert!(
                data.skipped[0].reason.contains("not a whole PNG"),
                "{}",
                data.skipped[0].reason
            );
            assert_eq!(data.groups[0].classes[0].pictures[0].frame.pixels(), [9, 7]);
        }
    }

    #[test]
    fn pictures_that_are_all_broken_are_an_error_that_names_the_first() {
        let (_temp, root) = folder(&[("cat/2.png", vec![]), ("cat/1.png", vec![])]);
        let message = open(&root).unwrap_err().to_string();
        assert!(
            message.contains("none of its 2 pictures") && message.contains("cat/1.png"),
            "{message}"
        );
    }

    #[test]
    fn the_order_in_the_zip_changes_nothing() {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for number in 0..30u8 {
            let broken = number % 7 == 0;
            let name = format!(
                "g{}/c{}/{:04}_{:02}.pgm",
                number % 2,
                number % 3,
                number,
                30 - number
            );
            files.push((name, if broken { vec![number] } else { pgm(number) }));
        }
        let borrowed = |files: &[(String, Vec<u8>)]| -> Dataset {
            let files: Vec<(&str, Vec<u8>)> = files
                .iter()
                .map(|(name, bytes)| (name.as_str(), bytes.clone()))
                .collect();
            let (_temp, zip) = zipped(&files);
            open(&zip).unwrap()
        };
        let forward = borrowed(&files);
        files.reverse();
        files.swap(3, 17);
        assert_eq!(forward, borrowed(&files));
        assert_eq!((forward.pictures(), forward.skipped.len()), (25, 5));
    }

    #[test]
    fn hidden_files_other_files_and_macos_leftovers_are_passed_over() {
        let lines = outline_of(&[
            "cat/1.pgm",
            "cat/.2.pgm",
            ".git/3.pgm",
            "__MACOSX/cat/._1.pgm",
            "cat/notes.txt",
            "dog/1.jpeg.pgm",
            "dog/pgm",
        ]);
        assert_eq!(lines, ["pets|cat: cat/1.pgm", "pets|dog: dog/1.jpeg.pgm"]);
    }

    #[test]
    fn zip_names_that_climb_are_only_names() {
        let (_temp, zip) = zipped(&[
            ("../../cat/1.pgm", pgm(1)),
            ("/dog/1.pgm", pgm(2)),
            ("emu\\1.pgm", pgm(3)),
        ]);
        let lines = outline(&open(&zip).unwrap());
        assert_eq!(
            lines,
            [
                "pets|cat: ../../cat/1.pgm",
                "pets|dog: /dog/1.pgm",
                "pets|emu: emu\\1.pgm"
            ]
        );
    }

    #[test]
    fn a_zip_entry_that_swells_is_cut_off_and_skipped() {
        let swollen = vec![0; MAX_FILE_BYTES as usize + 1];
        let (_temp, zip) = zipped(&[("cat/1.pgm", pgm(1)), ("cat/2.pgm", swollen)]);
        assert!(fs::metadata(&zip).unwrap().len() < 100_000);
        let data = open(&zip).unwrap();
        assert_eq!(data.pictures(), 1);
        assert_eq!(
            data.skipped[0].reason,
            "larger than 32 MiB; make it smaller"
        );
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_not_followed_and_dead_links_are_named() {
        let (_temp, root) = folder(&[("cat/1.pgm", pgm(1))]);
        std::os::unix::fs::symlink(&root, root.join("cat/again")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("cat/2.pgm")).unwrap();
        std::os::unix::fs::symlink(root.join("cat/1.pgm"), root.join("cat/3.pgm")).unwrap();
        let data = open(&root).unwrap();
        assert_eq!(outline(&data), ["pets|cat: cat/1.pgm cat/3.pgm"]);
        assert_eq!(data.skipped[0].source, "cat/2.pgm");
    }

    #[test]
    fn a_folder_with_only_a_zip_is_an_error_that_names_the_zip() {
        let (_temp, root) = folder(&[
            ("all_runs.zip", vec![]),
            ("images_background.zip", vec![]),
            ("LICENSE", vec![]),
        ]);
        let message = open(&root).unwrap_err().to_string();
        assert!(
            message.contains("pets/images_background.zip\" itself"),
            "{message}"
        );
    }

    #[test]
    fn no_pictures_is_an_error_that_tells_what_to_give() {
        for files in [vec![], vec![("cat/notes.txt", vec![1])]] {
            let ((_a, folder), (_b, zip)) = (folder(&files), zipped(&files));
            for path in [folder, zip] {
                let message = open(&path).unwrap_err().to_string();
                assert!(message.contains("give a folder or a zip"), "{message}");
            }
        }
    }

    #[test]
    fn what_is_neither_folder_nor_zip_is_refused() {
        let (_temp, root) = folder(&[("cut.zip", b"PK\x03\x04 cut".to_vec())]);
        assert!(matches!(
            open(&root.join("cut.zip")),
            Err(DatasetError::NotAZip { .. })
        ));
        assert!(matches!(
            open(&root.join("none")),
            Err(DatasetError::Unreadable { .. })
        ));
    }

    #[test]
    fn a_zip_cut_anywhere_or_with_a_byte_changed_does_not_panic() {
        let (temp, zip) = zipped(&[("cat/1.pgm", pgm(1)), ("dog/1.pgm", pgm(2))]);
        let whole = fs::read(&zip).unwrap();
        let damaged = temp.path().join("damaged.zip");
        for place in 0..whole.len() {
            fs::write(&damaged, &whole[..place]).unwrap();
            assert!(open(&damaged).is_err(), "cut at {place}");
            let mut changed = whole.clone();
            changed[place] ^= 0xff;
            fs::write(&damaged, changed).unwrap();
            let _ = open(&damaged);
        }
    }

    #[test]
    fn a_split_holds_whole_groups_out() {
        let (_temp, zip) = zipped(&[
            ("a/x/1.pgm", pgm(1)),
            ("b/x/1.pgm", pgm(2)),
            ("c/x/1.png", vec![]),
            ("c/y/1.pgm", pgm(4)),
        ]);
        let (rest, held_out) = open(&zip)
            .unwrap()
            .split(&["b".to_owned(), "nobody".to_owned()]);
        assert_eq!(outline(&rest), ["a|x: a/x/1.pgm", "c|y: c/y/1.pgm"]);
        assert_eq!(outline(&held_out), ["b|x: b/x/1.pgm"]);
        assert_eq!((rest.skipped.len(), held_out.skipped.len()), (1, 0));
    }

    const LABELS: &str = "run07/test/item01.pgm run07/training/class02.pgm\r\nrun07/test/item02.pgm run07/training/class01.pgm\n";

    fn run_files() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("all/run07/training/class02.pgm", pgm(12)),
            ("all/run07/training/class01.pgm", pgm(11)),
            ("all/run07/test/item02.pgm", pgm(22)),
            ("all/run07/test/item01.pgm", pgm(21)),
            ("all/run07/class_labels.txt", LABELS.into()),
        ]
    }

    #[test]
    fn a_run_knows_the_right_answer_of_each_query() {
        let ((_a, folder), (_b, zip)) = (folder(&run_files()), zipped(&run_files()));
        for path in [folder, zip] {
            let runs = open_runs(&path).unwrap();
            assert_eq!(runs.len(), 1);
            assert_eq!(runs[0].name, "run07");
            let support: Vec<u8> = runs[0]
                .support
                .iter()
                .map(|frame| frame.pixels()[0])
                .collect();
            let queries: Vec<(u8, usize)> = runs[0]
                .queries
                .iter()
                .map(|(frame, right)| (frame.pixels()[0], *right))
                .collect();
            assert_eq!(support, [11, 12]);
            assert_eq!(queries, [(21, 1), (22, 0)]);
        }
    }

    #[test]
    fn a_run_with_anything_missing_or_broken_is_an_error_that_names_it() {
        for (index, named) in [
            (0, "class_labels.txt"),
            (2, "class_labels.txt"),
            (4, "no one-shot runs"),
        ] {
            let mut files = run_files();
            files.remove(index);
            let (_temp, zip) = zipped(&files);
            let message = open_runs(&zip).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
        for (index, bytes, named) in [
            (1, b"x".to_vec(), "training/class01.pgm"),
            (3, b"x".to_vec(), "test/item01.pgm"),
            (4, LABELS[..50].into(), "test/item02.pgm: has no label"),
            (
                4,
                [LABELS, LABELS].concat().into(),
                "test/item01.pgm: has two labels",
            ),
            (4, b"run07/test/item01.pgm".to_vec(), "is not two paths"),
            (4, vec![0xff], "is not text"),
        ] {
            let mut files = run_files();
            files[index].1 = bytes;
            let (_temp, zip) = zipped(&files);
            let message = open_runs(&zip).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn runs_are_refused_as_a_set_of_classes() {
        let (_temp, zip) = zipped(&run_files());
        let message = open(&zip).unwrap_err().to_string();
        assert!(
            message.contains("opened by the final evaluation alone"),
            "{message}"
        );
    }

    /// `ONELOOK_DATA`, or the folder beside the repository.
    fn shared_data() -> Option<PathBuf> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
        let data =
            std::env::var_os("ONELOOK_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
        if !data.is_dir() {
            println!("skipped: no ../shared/data");
            return None;
        }
        Some(data)
    }

    #[test]
    fn the_published_sets_have_their_published_counts() {
        let Some(data) = shared_data() else { return };
        for (file, groups, classes, pictures) in [
            ("omniglot/images_background.zip", 30, 964, 19_280),
            ("omniglot/images_background_small1.zip", 5, 136, 2_720),
            ("omniglot/images_background_small2.zip", 5, 156, 3_120),
            ("signatures.zip", 1, 60, 2_400),
            ("grocery.zip", 1, 81, 2_936),
            ("emblems.zip", 1, 4, 8_038),
        ] {
            let set = open(&data.join(file)).unwrap();
            assert_eq!(
                (set.groups.len(), set.classes(), set.pictures()),
                (groups, classes, pictures),
                "{file}"
            );
            assert_eq!(set.skipped, [], "{file}");
            if file.starts_with("omniglot") {
                for class in set.groups.iter().flat_map(|group| &group.classes) {
                    let drawers: Vec<u32> = class
                        .pictures
                        .iter()
                        .filter_map(|picture| picture.drawer)
                        .collect();
                    assert_eq!(drawers, (1..=20).collect::<Vec<u32>>());
                }
            }
        }
    }

    #[test]
    fn omniglot_unpacked_is_omniglot_zipped() {
        let Some(data) = shared_data() else { return };
        let zip = data.join("omniglot/images_background_small1.zip");
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("images_background_small1");
        ZipArchive::new(File::open(&zip).unwrap())
            .unwrap()
            .extract(&folder)
            .unwrap();
        assert_eq!(open(&folder).unwrap(), open(&zip).unwrap());
        // One level further in: the same labels, though the sources are shorter.
        let inner = open(&folder.join("images_background_small1")).unwrap();
        assert_eq!(
            (inner.groups.len(), inner.classes(), inner.pictures()),
            (5, 136, 2_720)
        );
        assert_eq!(inner.groups[0].name, "Balinese");
    }

    #[test]
    fn the_official_runs_are_20_of_20() {
        let Some(data) = shared_data() else { return };
        let runs = open_runs(&data.join("omniglot/all_runs.zip")).unwrap();
        assert_eq!(runs.len(), 20);
        assert_eq!(
            (runs[0].name.as_str(), runs[19].name.as_str()),
            ("run01", "run20")
        );
        for run in &runs {
            assert_eq!((run.support.len(), run.queries.len()), (20, 20));
            let mut answers: Vec<usize> = run.queries.iter().map(|(_, right)| *right).collect();
            answers.sort_unstable();
            assert_eq!(answers, (0..20).collect::<Vec<usize>>(), "{}", run.name);
        }
        // run01/test/item01.png shows the character of class08.
        assert_eq!(runs[0].queries[0].1, 7);
        assert!(open(&data.join("omniglot/all_runs.zip")).is_err());
    }
}
