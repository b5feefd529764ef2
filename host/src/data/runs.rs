//! The official Omniglot one-shot runs. A run is whole or an error: scores on a part cannot be compared.

use std::path::Path;

use onelook_edge::picture::frame::Frame;

use super::DatasetError;
use super::container::{self, Container, Entry};

/// The file that makes a folder a run.
pub(super) const RUN_LABELS: &str = "class_labels.txt";

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

/// Reads the official one-shot runs, `all_runs.zip` or its folder, sorted by name.
///
/// Each run is a folder of `training/` (the support), `test/` (the queries) and `class_labels.txt`, whose lines
/// name a test picture and the training picture of the same character. Every picture must be there and whole,
/// and every test picture must have one label. How many runs there are is for the caller to check: Omniglot has
/// 20, of 20 classes and 20 queries each.
///
/// # Errors
/// `Unreadable`, `NotAZip`, `NoRuns`, and `DamagedRun` for anything missing, broken or ambiguous.
pub fn open(path: &Path) -> Result<Vec<Run>, DatasetError> {
    let mut container = Container::open(path)?;
    let entries = container.list()?;
    let mut runs = Vec::new();
    for labels in entries.iter().filter(|entry| entry.file_name == RUN_LABELS) {
        let damaged = |entry: &str, reason: &str| DatasetError::DamagedRun {
            path: path.to_owned(),
            entry: entry.to_owned(),
            reason: reason.to_owned(),
        };
        let name = labels
            .folders
            .last()
            .cloned()
            .unwrap_or_else(|| container::name_of(path));
        let pictures_in = |folder: &str| -> Vec<Entry> {
            let within = [labels.folders.as_slice(), &[folder.to_owned()]].concat();
            let inside = entries
                .iter()
                .filter(|entry| entry.is_picture() && entry.folders == within);
            inside.cloned().collect()
        };
        let (support, tests) = (pictures_in("training"), pictures_in("test"));

        let bytes = container
            .read(labels)
            .map_err(|reason| damaged(&labels.source, &reason))?;
        let text = String::from_utf8(bytes).map_err(|_| damaged(&labels.source, "is not text"))?;
        let mut answers = vec![None; tests.len()];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let place = |among: &[Entry], folder: &str, label: &str| {
                among
                    .iter()
                    .position(|entry| label == format!("{name}/{folder}/{}", entry.file_name))
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
        for ((test, answer), frame) in tests
            .iter()
            .zip(answers)
            .zip(container::decode_all(path, &tests)?)
        {
            let frame = frame.map_err(|reason| damaged(&test.source, &reason))?;
            queries.push((
                frame,
                answer.ok_or_else(|| damaged(&test.source, "has no label"))?,
            ));
        }
        let mut frames = Vec::new();
        for (entry, frame) in support.iter().zip(container::decode_all(path, &support)?) {
            frames.push(frame.map_err(|reason| damaged(&entry.source, &reason))?);
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
