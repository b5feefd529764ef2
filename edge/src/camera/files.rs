//! Pictures from files: a folder of them in the order of their names, or a clip; once or again and again,
//! all in order or at a rate.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::capture::{
    AtEnd, Capture, CodedPicture, Message, OpenStream, Picture, Pictures, Report, Sizes, Slot,
};
use super::mjpeg::MotionJpeg;
use super::y4m::{self, Y4m};
use super::{CameraError, Counts, Feed, Wanted};
use crate::picture::decode::is_picture_name;
use crate::picture::frame::MAX_FILE_BYTES;

/// What holds pictures, as often as one likes.
#[derive(Clone)]
enum Reel {
    /// Picture files.
    Folder(Arc<[PathBuf]>),
    Clip(PathBuf),
}

impl Reel {
    fn play(&self) -> io::Result<(Sizes, Pictures)> {
        match self {
            Self::Folder(paths) => {
                let paths = Arc::clone(paths);
                let pictures = (0..paths.len()).map(move |at| Ok(picture_file(&paths[at])));
                Ok((Sizes::Any, Box::new(pictures)))
            }
            Self::Clip(path) => stream(BufReader::with_capacity(1 << 16, File::open(path)?)),
        }
    }
}

/// The pictures of a stream of motion JPEG or YUV4MPEG2, told by its first byte.
///
/// # Errors
/// A YUV4MPEG2 header that is not understood, or what the system said.
pub(super) fn stream(mut stream: impl BufRead + 'static) -> io::Result<(Sizes, Pictures)> {
    if stream.fill_buf()?.first() == y4m::MAGIC.first() {
        let pictures = Y4m::new(stream)?;
        let (width, height) = pictures.size();
        return Ok((Sizes::Announced(width, height), Box::new(pictures)));
    }
    let mut pictures = MotionJpeg::new(stream, "stream");
    Ok((
        Sizes::Steady,
        Box::new(std::iter::from_fn(move || pictures.next_coded())),
    ))
}

fn picture_file(path: &Path) -> CodedPicture {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => CodedPicture::Damaged(format!("{name}: {error}")),
        Ok(length) if length as u64 > MAX_FILE_BYTES => {
            CodedPicture::Damaged(format!("{name}: larger than {} MiB", MAX_FILE_BYTES >> 20))
        }
        Ok(_) => CodedPicture::File(bytes, name),
    }
}

/// Opens a folder, a clip or a picture.
///
/// # Errors
/// It cannot be read, or holds no pictures.
pub(super) fn feed(path: &Path, wanted: &Wanted) -> Result<Feed, CameraError> {
    let unreadable = |source| CameraError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let no_pictures = |reason: String| CameraError::NoPictures {
        path: path.to_owned(),
        reason,
    };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        if is_picture_name(path) {
            return play(
                Reel::Folder([path.to_owned()].into()),
                &path.display().to_string(),
                wanted,
            );
        }
        let mut begin = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(16).read_to_end(&mut begin).map_err(unreadable)?;
        if !begin.starts_with(&[0xff, 0xd8]) && !begin.starts_with(y4m::MAGIC) {
            return Err(no_pictures(
                "neither motion JPEG nor YUV4MPEG2; convert it, such as by `ffmpeg -i FILE -c:v mjpeg -q:v 3 clip.mjpeg`"
                    .to_owned(),
            ));
        }
        return play(
            Reel::Clip(path.to_owned()),
            &path.display().to_string(),
            wanted,
        );
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_picture_name(&path) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(no_pictures(
            "no PNG, JPEG, BMP, PGM or PPM pictures in it".to_owned(),
        ));
    }
    play(
        Reel::Folder(paths.into()),
        &path.display().to_string(),
        wanted,
    )
}

fn play(reel: Reel, name: &str, wanted: &Wanted) -> Result<Feed, CameraError> {
    let broken = |source| CameraError::Broken {
        name: name.to_owned(),
        source,
    };
    // Once here, so that what cannot be played at all is an error at once.
    let (sizes, first) = reel.play().map_err(broken)?;
    let what = match &reel {
        Reel::Folder(paths) => format!("{name}: {} pictures", paths.len()),
        Reel::Clip(_) => format!("{name}: a clip"),
    };
    let looped = wanted.looped;
    let Some(fps) = wanted.fps else {
        let pictures = Box::new(Rounds::new(first, reel, looped));
        return Ok(Feed::InOrder(InOrder::new(what, sizes, pictures)));
    };
    drop(first);
    let interval = Duration::from_secs_f64(1.0 / fps.clamp(1e-3, 1e4));
    let open = move |slot: &Arc<Slot>| {
        let (sizes, first) = reel.play()?;
        let pictures = Rounds::new(first, reel.clone(), looped);
        let (slot, started) = (Arc::clone(slot), Instant::now());
        let paced = pictures.zip(0u32..).map(move |(coded, number)| {
            let due = started + interval.saturating_mul(number);
            slot.sleep(due.saturating_duration_since(Instant::now()));
            coded
        });
        Ok(OpenStream {
            what: what.clone(),
            sizes,
            pictures: Box::new(paced),
        })
    };
    let capture = Capture::start(&wanted.patience, AtEnd::Over, open).map_err(broken)?;
    Ok(Feed::Live(capture))
}

/// A reel's pictures, once or round after round; a round without any is the last.
struct Rounds {
    pictures: Pictures,
    reel: Reel,
    looped: bool,
    any: bool,
}

impl Rounds {
    fn new(first: Pictures, reel: Reel, looped: bool) -> Self {
        Self {
            pictures: first,
            reel,
            looped,
            any: false,
        }
    }
}

impl Iterator for Rounds {
    type Item = io::Result<CodedPicture>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(coded) = self.pictures.next() {
                self.any = true;
                return Some(coded);
            }
            if !self.looped || !std::mem::take(&mut self.any) {
                return None;
            }
            match self.reel.play() {
                Ok((_, pictures)) => self.pictures = pictures,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Files that are read in the caller's thread, every picture in order.
pub(super) struct InOrder {
    opened: Option<Report>,
    /// None when they are at their end.
    pictures: Option<Pictures>,
    pub(super) counts: Counts,
    pub(super) last_damage: Option<String>,
}

impl InOrder {
    pub(super) fn new(what: String, sizes: Sizes, pictures: Pictures) -> Self {
        Self {
            opened: Some(Report::Opened { what, sizes }),
            pictures: Some(pictures),
            counts: Counts::default(),
            last_damage: None,
        }
    }

    pub(super) fn take(&mut self) -> Message {
        if let Some(report) = self.opened.take() {
            return Message::Report(report);
        }
        match self.pictures.as_mut().and_then(Iterator::next) {
            Some(Ok(coded)) => {
                let sequence = self.counts.captured;
                self.counts.captured += 1;
                if let CodedPicture::Damaged(why) = coded {
                    self.counts.damaged += 1;
                    self.last_damage = Some(why);
                    return Message::Nothing;
                }
                Message::Picture(Picture {
                    sequence,
                    taken: Instant::now(),
                    coded,
                })
            }
            Some(Err(error)) => {
                self.pictures = None;
                Message::Report(Report::Lost {
                    why: error.to_string(),
                    again: None,
                })
            }
            None => {
                self.pictures = None;
                Message::Ended
            }
        }
    }
}
