//! Large galleries on disk, and searches of them against the rate at which this machine reads memory: both are timed
//! turn by turn, so that whatever else it does meanwhile slows both.
//!
//! Classes are made up as the model would see them. Marks are drawn at random, each twice in
//! different hands; a class lies between two marks, and its template and probe are apart from there
//! by what two drawings of a mark are apart.

use std::error::Error;
use std::fmt;
use std::fs;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use serde::Serialize;

use super::Spread;
use crate::gallery::Gallery;
use crate::gallery::store::{Kind, Store, Template};
use crate::model::Model;
use crate::picture::frame::Frame;
use crate::vision::preprocess;

const MARKS: usize = 1000;
const PROBES: usize = 100;
/// What is read to measure memory: far beyond any cache.
const READ_BYTES: usize = 256 << 20;
/// Rounds of one read and as many searches as make about a read.
const ROUNDS: usize = 15;

/// The largest gallery that is written to disk.
const MOST_KEPT: usize = 100_000;
const KEPT_AT_ONCE: usize = 5_000;
const CROP_BYTES: usize = 600;
const ENROLLMENTS: usize = 21;

/// What a gallery on disk costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kept {
    /// Classes of one template and a crop each.
    pub classes: usize,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Reading it into memory, in milliseconds, median.
    pub open_ms: f64,
    /// Enrolling one more template, on the disk when it is done, in milliseconds, median.
    pub enroll_ms: f64,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{} classes on disk: {:.1} MB, opened in {:.1} ms, one more enrolled in {:.1} ms",
            self.classes,
            self.file_bytes as f64 / 1e6,
            self.open_ms,
            self.enroll_ms
        )
    }
}

/// Keeps a gallery of `classes` classes in a temporary file; `None` beyond what is worth the disk.
///
/// # Errors
/// The disk's.
pub fn keep(model: &Model, classes: usize) -> Result<Option<Kept>, Box<dyn Error>> {
    if classes > MOST_KEPT {
        return Ok(None);
    }
    let mut random = Random(classes as u64);
    let mut template = |class: usize| Template {
        name: class.to_string(),
        embedding: (0..model.dims()).map(|_| random.unit()).collect(),
        crop_png: (0..CROP_BYTES).map(|_| random.next() as u8).collect(),
        kind: Kind::Genuine,
    };
    let folder = tempfile::tempdir()?;
    let store = Store::at(folder.path().join("gallery.redb"));
    for first in (0..classes).step_by(KEPT_AT_ONCE) {
        let last = classes.min(first + KEPT_AT_ONCE);
        let templates: Vec<Template> = (first..last).map(&mut template).collect();
        store.enroll(model.id(), &templates)?;
    }
    let file_bytes = fs::metadata(store.path())?.len();
    let (mut opens, mut enrolls) = (Vec::new(), Vec::new());
    for more in 0..ENROLLMENTS {
        let one = [template(classes + more)];
        let started = Instant::now();
        store.enroll(model.id(), &one)?;
        enrolls.push(started.elapsed().as_secs_f64());
        if more % 7 == 0 {
            let started = Instant::now();
            black_box(store.gallery(model.id(), model.dims())?);
            opens.push(started.elapsed().as_secs_f64());
        }
    }
    let median = |times| Spread::of(times).map_or(0.0, |spread| spread.median * 1e3);
    Ok(Some(Kept {
        classes,
        file_bytes,
        open_ms: median(opens),
        enroll_ms: median(enrolls),
    }))
}

/// The columns of [`Searched`], for people.
pub const HEADINGS: &str =
    "  classes  threads    bytes read  ms a probe     p99  probes/s    GB/s  memory GB/s  share";

/// What searching a gallery costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Searched {
    /// Classes of one template each.
    pub classes: usize,
    /// Threads that a search could use.
    pub threads: usize,
    /// Bytes of the index, which each search reads.
    pub bytes: usize,
    /// Median time of a search, in milliseconds.
    pub ms: f64,
    /// What 99 of 100 searches do not exceed, in milliseconds.
    pub p99_ms: f64,
    /// 1 over the median time.
    pub probes_per_sec: f64,
    /// Bytes of the index over the median time.
    pub bytes_per_sec: f64,
    /// At which as many threads read memory and add it up, median.
    pub memory_bytes_per_sec: f64,
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{:>9}  {:>7}  {:>12}  {:>10.4}  {:>6.3}  {:>8.0}  {:>6.1}  {:>11.1}  {:>5.2}",
            self.classes,
            self.threads,
            self.bytes,
            self.ms,
            self.p99_ms,
            self.probes_per_sec,
            self.bytes_per_sec / 1e9,
            self.memory_bytes_per_sec / 1e9,
            self.bytes_per_sec / self.memory_bytes_per_sec
        )
    }
}

/// Searches a gallery of `classes` classes on one thread, and on `threads` where that is more.
///
/// # Errors
/// In words: the model sees nothing in a drawn mark, cannot be run, or has no index.
pub fn search(
    model: &Model,
    classes: usize,
    threads: NonZeroUsize,
) -> Result<Vec<Searched>, Box<dyn Error>> {
    let mut random = Random(classes as u64);
    let mut marks = Vec::new();
    for _ in 0..MARKS {
        let mark = Mark::new(&mut random);
        let mut looks = [Vec::new(), Vec::new()];
        for look in &mut looks {
            let patch = preprocess::patch(&mark.drawn(&mut random), &model.card().input)?;
            *look = model.embed(&patch)?;
        }
        marks.push(looks);
    }
    let mut look = |centre: &Centre| centre.look(&marks, &mut random);
    let mut gallery = Gallery::default();
    let mut probes = Vec::new();
    let mut seeds = Random(!classes as u64);
    let every = (2 * classes / PROBES).max(1);
    for class in 0..classes {
        let centre = Centre::new(&mut seeds);
        gallery.enroll(&class.to_string(), look(&centre));
        if class % every == 0 {
            // One of the class, and one of a stranger.
            probes.push(look(&centre));
            probes.push(look(&Centre::new(&mut seeds)));
        }
    }
    let mut counts = vec![NonZeroUsize::MIN];
    counts.extend((threads > NonZeroUsize::MIN).then_some(threads));
    let words: Vec<u64> = (0..READ_BYTES as u64 / 8).collect();
    let mut rows = Vec::new();
    for threads in counts {
        gallery.index(model.head(), threads);
        let bytes = gallery.index_bytes();
        if bytes == 0 {
            return Err("no index: the gallery is empty, or an alpha of the model below 0".into());
        }
        let (mut searches, mut reads) = (Vec::new(), Vec::new());
        let mut probe = probes.iter().cycle();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            black_box(read(&words, threads));
            reads.push(started.elapsed().as_secs_f64());
            for probe in probe.by_ref().take((READ_BYTES / bytes).clamp(2, 100)) {
                let started = Instant::now();
                black_box(gallery.nearest(black_box(probe), model.head()));
                searches.push(started.elapsed().as_secs_f64());
            }
        }
        let (Some(took), Some(read)) = (Spread::of(searches), Spread::of(reads)) else {
            continue;
        };
        rows.push(Searched {
            classes,
            threads: threads.get(),
            bytes,
            ms: took.median * 1e3,
            p99_ms: took.p99 * 1e3,
            probes_per_sec: 1.0 / took.median,
            bytes_per_sec: bytes as f64 / took.median,
            memory_bytes_per_sec: READ_BYTES as f64 / read.median,
        });
    }
    Ok(rows)
}

/// Adds all of it up, each thread a part.
fn read(words: &[u64], threads: NonZeroUsize) -> u64 {
    let sum = |part: &[u64]| {
        part.iter()
            .fold(0, |sum: u64, word| sum.wrapping_add(*word))
    };
    if threads == NonZeroUsize::MIN {
        return sum(words);
    }
    thread::scope(|scope| {
        let parts = words.chunks(words.len().div_ceil(threads.get()));
        let sums: Vec<_> = parts.map(|part| scope.spawn(move || sum(part))).collect();
        let sums = sums.into_iter().filter_map(|sum| sum.join().ok());
        sums.fold(0, u64::wrapping_add)
    })
}

/// Where the looks of a class are about: between two marks.
struct Centre {
    marks: [usize; 2],
    /// Of the second mark, 0 to 1.
    share: f32,
}

impl Centre {
    fn new(random: &mut Random) -> Self {
        Self {
            marks: [random.below(MARKS), random.below(MARKS)],
            share: random.unit(),
        }
    }

    fn look(&self, marks: &[[Vec<f32>; 2]], random: &mut Random) -> Vec<f32> {
        let [a, b] = self.marks.map(|mark| &marks[mark][0]);
        let [one, other] = &marks[random.below(MARKS)];
        let numbers = a.iter().zip(b).zip(one.iter().zip(other));
        numbers
            .map(|((a, b), (one, other))| a + self.share * (b - a) + (one - other))
            .collect()
    }
}

/// A polyline in a unit square.
struct Mark(Vec<[f32; 2]>);

impl Mark {
    fn new(random: &mut Random) -> Self {
        let corners = 4 + random.below(4);
        let corner = |_| [0.2 + 0.6 * random.unit(), 0.2 + 0.6 * random.unit()];
        Self((0..corners).map(corner).collect())
    }

    /// Dark on light, each corner moved a little.
    fn drawn(&self, random: &mut Random) -> Frame {
        const SIDE_PX: usize = 64;
        let moved = |[x, y]: &[f32; 2]| {
            [
                x + 0.08 * random.unit() - 0.04,
                y + 0.08 * random.unit() - 0.04,
            ]
        };
        let corners: Vec<[f32; 2]> = self.0.iter().map(moved).collect();
        Frame::from_fn(SIDE_PX, SIDE_PX, |x, y| {
            let at = [x, y].map(|place| (place as f32 + 0.5) / SIDE_PX as f32);
            let near = |line: &[[f32; 2]]| distance(at, line[0], line[1]) < 0.025;
            if corners.windows(2).any(near) {
                20
            } else {
                235
            }
        })
    }
}

/// From a point to the line between two others.
fn distance([x, y]: [f32; 2], [ax, ay]: [f32; 2], [bx, by]: [f32; 2]) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let length = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
    let along = (((x - ax) * dx + (y - ay) * dy) / length).clamp(0.0, 1.0);
    (x - ax - along * dx).hypot(y - ay - along * dy)
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}
