//! A folder or a zip as a list of files, read within bounds and decoded on all cores. Knows nothing of labels.

use std::fs;
use std::io::{BufReader, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use onelook_edge::picture::decode::EXTENSIONS;
use onelook_edge::picture::frame::{Frame, MAX_FILE_BYTES};
use zip::ZipArchive;

use super::DatasetError;

/// A file within the data.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) source: String,
    pub(super) folders: Vec<String>,
    pub(super) file_name: String,
    /// How the folder or zip itself knows it: a name may be no UTF-8 on disk.
    pub(super) path: PathBuf,
}

impl Entry {
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

    pub(super) fn is_picture(&self) -> bool {
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
pub(super) enum Container {
    Folder(PathBuf),
    Zip(ZipArchive<BufReader<fs::File>>),
}

impl Container {
    pub(super) fn open(path: &Path) -> Result<Self, DatasetError> {
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
        let file = BufReader::new(fs::File::open(path).map_err(unreadable)?);
        let archive = ZipArchive::new(file).map_err(|error| not_a_zip(error.to_string()))?;
        Ok(Self::Zip(archive))
    }

    /// Every file that is not hidden, sorted by source.
    pub(super) fn list(&self) -> Result<Vec<Entry>, DatasetError> {
        let mut found = match self {
            Self::Folder(root) => list_folder(root)?,
            Self::Zip(archive) => list_zip(archive),
        };
        found.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(found)
    }

    /// The file's bytes, or why there are none. Reads no more than [`MAX_FILE_BYTES`], whatever a zip claims.
    pub(super) fn read(&mut self, file: &Entry) -> Result<Vec<u8>, String> {
        match self {
            Self::Folder(root) => {
                let opened = fs::File::open(root.join(&file.path));
                read_bounded(opened.map_err(|error| error.to_string())?)
            }
            Self::Zip(archive) => {
                let entry = archive
                    .by_name(&file.source)
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

fn list_folder(root: &Path) -> Result<Vec<Entry>, DatasetError> {
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
                found.extend(Entry::new(parts.join("/"), parts, path));
            }
        }
    }
    Ok(found)
}

fn list_zip(archive: &ZipArchive<BufReader<fs::File>>) -> Vec<Entry> {
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
        found.extend(Entry::new(name.to_string(), parts, PathBuf::from(&*name)));
    }
    found
}

/// One result for each of `files`, in their order. Every thread opens the container for itself.
pub(super) fn decode_all(
    path: &Path,
    files: &[Entry],
) -> Result<Vec<Result<Frame, String>>, DatasetError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(threads).max(1);
    let decode = |share: &[Entry]| {
        let mut container = Container::open(path)?;
        let frames = share.iter().map(|file| {
            let bytes = container.read(file)?;
            Frame::decode(&bytes, &file.source).map_err(|error| error.to_string())
        });
        Ok(frames.collect::<Vec<_>>())
    };
    thread::scope(|scope| {
        let running: Vec<_> = files
            .chunks(share)
            .map(|share| scope.spawn(move || decode(share)))
            .collect();
        let mut frames = Vec::with_capacity(files.len());
        for thread in running {
            match thread.join() {
                Ok(part) => frames.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(frames)
    })
}

/// The folder's name or the zip's without extension; for `.` and the like, that of the folder it stands for.
pub(super) fn name_of(path: &Path) -> String {
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
