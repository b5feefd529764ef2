//! A folder of numbered PNGs, each whole or not at all, and never more than the limit.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Place, ScreenError, Target};
use crate::device::sight::Sight;
use crate::picture::frame::Frame;
use crate::screen::overlay::Canvas;
use crate::whole;

/// Pictures go to `frame-000000.png`, `frame-000001.png`, ... and the oldest go first. What an earlier
/// run left counts as its own.
pub struct Folder {
    target: Target,
    folder: PathBuf,
    keep: usize,
    /// Numbers of the pictures that are there, ascending.
    there: VecDeque<u64>,
    next: u64,
}

impl Folder {
    pub fn open(target: &Target, folder: &Path, keep: usize) -> Result<Self, ScreenError> {
        let failed = |doing: &str, source: io::Error| ScreenError::Io {
            screen: target.to_string(),
            doing: doing.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(|error| failed("cannot be made", error))?;
        let entries = fs::read_dir(folder).map_err(|error| failed("cannot be listed", error))?;
        let mut there: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| number(entry.file_name().to_str()?))
            .collect();
        there.sort_unstable();
        let next = there.last().map_or(0, |last| last.saturating_add(1));
        Ok(Self {
            target: target.clone(),
            folder: folder.to_owned(),
            keep,
            there: there.into(),
            next,
        })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(name(number))
    }
}

fn name(number: u64) -> String {
    format!("frame-{number:06}.png")
}

/// The number in a name of ours.
fn number(file: &str) -> Option<u64> {
    let digits = file.strip_prefix("frame-")?.strip_suffix(".png")?;
    let number = digits.parse().ok()?;
    (name(number) == file).then_some(number)
}

impl Place for Folder {
    fn show(&mut self, frame: &Frame, sight: &Sight) -> Result<(), ScreenError> {
        let failed = |doing: String, source: io::Error| ScreenError::Io {
            screen: self.target.to_string(),
            doing,
            source,
        };
        let name = name(self.next);
        // Room first: on a full disk the new picture may need the old one's place.
        while self.there.len() >= self.keep {
            let Some(oldest) = self.there.pop_front() else {
                break;
            };
            match fs::remove_file(self.path(oldest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.there.push_front(oldest);
                    return Err(failed("an old picture cannot be removed".to_owned(), error));
                }
                _ => {}
            }
        }
        let picture = Canvas::showing(frame, sight).into_frame();
        let bytes = picture.to_png().map_err(|error| ScreenError::Unfit {
            screen: self.target.to_string(),
            reason: error.to_string(),
        })?;
        let written = whole::write(&self.folder.join(&name), &bytes);
        written.map_err(|error| failed(format!("{name} cannot be written"), error))?;
        self.there.push_back(self.next);
        self.next = self.next.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Report, Screen};
    use super::*;
    use crate::device::sight::Tone;
    use std::sync::Arc;

    fn grey(level: u8) -> Arc<Frame> {
        Arc::new(Frame::from_fn(40, 130, |_, _| level))
    }

    fn sight() -> Sight {
        Sight::saying("", Tone::Nothing)
    }

    fn listed(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_newest_pictures_stay_and_numbers_go_on_in_the_next_run() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a,b");
        let target: Target = format!("png:{},keep=3", folder.display()).parse().unwrap();
        let mut screen = Screen::open(&target).unwrap();
        for level in 0..5 {
            assert!(screen.show(&grey(level), &sight()).is_none());
        }
        let expected = ["frame-000002.png", "frame-000003.png", "frame-000004.png"];
        assert_eq!(listed(&folder), expected);
        // Not ours: it stays, and does not count.
        fs::write(folder.join("frame-7.png"), "mine").unwrap();
        let mut screen = Screen::open(&target).unwrap();
        screen.show(&grey(200), &sight());
        let expected = [
            "frame-000003.png",
            "frame-000004.png",
            "frame-000005.png",
            "frame-7.png",
        ];
        assert_eq!(listed(&folder), expected);
        let newest = Frame::load(&folder.join("frame-000005.png")).unwrap();
        assert_eq!((newest.width(), newest.height()), (40, 130));
        assert_eq!(newest.pixels()[..3], [200; 3]);
    }

    #[test]
    fn a_folder_that_vanishes_is_reported_once_and_so_is_its_return() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("shots");
        let target: Target = format!("png:{}", folder.display()).parse().unwrap();
        let mut screen = Screen::open(&target).unwrap();
        assert!(screen.show(&grey(1), &sight()).is_none());
        fs::remove_dir_all(&folder).unwrap();
        let report = screen.show(&grey(2), &sight());
        assert!(matches!(&report, Some(Report::Failed(_))), "{report:?}");
        let words = report.unwrap().to_string();
        assert!(
            words.contains("frame-000001.png cannot be written"),
            "{words}"
        );
        assert!(screen.show(&grey(3), &sight()).is_none());
        fs::create_dir(&folder).unwrap();
        let report = screen.show(&grey(4), &sight());
        assert!(matches!(report, Some(Report::Recovered(_))), "{report:?}");
        assert_eq!(listed(&folder), ["frame-000001.png"]);
    }

    #[test]
    fn a_file_in_the_folders_place_is_an_error_at_the_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let target: Target = format!("png:{}", file.path().display()).parse().unwrap();
        let error = Screen::open(&target).err().unwrap().to_string();
        assert!(error.contains("cannot be made"), "{error}");
    }
}
