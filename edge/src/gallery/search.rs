//! Which of many classes can be the nearest to a probe? Each class is a row of bytes, and from the
//! sum of absolute differences of two rows follows a bound on the distance of the class that is
//! proven: a class that it rules out is neither the best nor the runner-up. Knows numbers
//! only: nothing of names or files.
//!
//! Dimension j of an embedding x is kept as u = alpha_j x_j (alpha >= 0), so that the weighted L1 is
//! a plain one, and coded as the byte c nearest to (u - origin_j) / step. What coding took from a row,
//! the sum of |u - origin_j - step c|, is measured when it is made. By the triangle inequality two rows
//! are at least step * sum |c - c'| apart, less what coding took from both; a dimension that is left
//! out only lowers the bound.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::gallery::head::Head;
use crate::kernel::{
    self, Isa,
    sad::{self, sad},
};

/// Of a larger embedding the dimensions that vary most are coded.
const MOST_DIMS: usize = 1024;
/// Rows whose sums are made at once.
const BLOCK: usize = 1024;
/// Sums that are looked at together: in most groups no class is near enough.
const GROUP: usize = 32;
/// Bytes of rows for each thread: below two times this a search stays on one thread.
const BYTES_A_THREAD: usize = 8 << 20;
/// A factor above what f32 may round in a distance of up to 2^16 dimensions, with twice the room.
const ROUNDING: f32 = 1.001;

/// The classes of a gallery as bytes, under one head.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    head: Head,
    threads: NonZeroUsize,
    isa: Isa,
    /// How a dimension is coded, of those that are: their number and origin.
    dims: Vec<(usize, f32)>,
    step: f32,
    /// Bytes a row: a multiple of what the kernel takes, the last ones 0.
    width: usize,
    /// By class.
    rows: Vec<u8>,
    /// By class: by how much it may be nearer than its row says.
    slack: Vec<f32>,
    /// How many classes there were when origins and step were chosen.
    fitted_to: usize,
}

/// A class and its distance to a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The class, numbered in order of enrollment.
    pub class: usize,
    /// Its distance.
    pub distance: f32,
}

/// The two nearest of the classes seen so far; of a tie the ones enrolled first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NearestTwo {
    /// The nearest.
    pub best: Option<Scored>,
    /// The nearest of the others.
    pub runner_up: Option<Scored>,
}

impl NearestTwo {
    /// Sees another class.
    pub fn see(&mut self, new: Scored) {
        let nearer = |than: &Scored| {
            new.distance < than.distance
                || (new.distance == than.distance && new.class < than.class)
        };
        if self.best.as_ref().is_none_or(nearer) {
            self.runner_up = self.best.replace(new);
        } else if self.runner_up.as_ref().is_none_or(nearer) {
            self.runner_up = Some(new);
        }
    }
}

impl Index {
    /// Codes every class, given in order as its mean embedding and the largest distance of one of its
    /// templates to that. `None` where an alpha is below 0: then no bound holds; and where
    /// [`kernel::chosen`] refuses, which programs do before.
    ///
    /// # Panics
    /// If an embedding has another length than `head.alpha`.
    pub fn new<'a>(
        head: &Head,
        threads: NonZeroUsize,
        classes: impl Iterator<Item = (&'a [f32], f32)> + Clone,
    ) -> Option<Self> {
        if !head.alpha.iter().all(|alpha| *alpha >= 0.0) {
            return None;
        }
        let isa = kernel::chosen().ok()?;
        let mut ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; head.alpha.len()];
        let mut fitted_to = 0;
        for (mean, _) in classes.clone() {
            assert_eq!(mean.len(), head.alpha.len(), "an embedding of the head");
            for (([low, high], alpha), x) in ranges.iter_mut().zip(&head.alpha).zip(mean) {
                *low = low.min(alpha * x);
                *high = high.max(alpha * x);
            }
            fitted_to += 1;
        }
        let span = |j: usize| ranges[j][1] - ranges[j][0];
        let widest = (0..ranges.len()).map(span).fold(0.0, f32::max);
        let step = if widest > 0.0 && widest.is_finite() {
            widest / 255.0
        } else {
            1.0
        };
        // What spans less than a step would be the same byte everywhere.
        let mut varying: Vec<usize> = (0..ranges.len()).filter(|&j| span(j) >= step).collect();
        varying.sort_by(|&a, &b| span(b).total_cmp(&span(a)));
        varying.truncate(MOST_DIMS);
        varying.sort_unstable();
        let dims: Vec<(usize, f32)> = varying.into_iter().map(|j| (j, ranges[j][0])).collect();
        let mut index = Self {
            head: head.clone(),
            threads,
            isa,
            step,
            width: dims.len().max(1).next_multiple_of(sad::LANES),
            rows: Vec::new(),
            slack: Vec::new(),
            dims,
            fitted_to,
        };
        for (class, (mean, spread)) in classes.enumerate() {
            index.set(class, mean, spread);
        }
        Some(index)
    }

    /// What it was made under.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many threads a search may use.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// Whether the classes are more than twice those that origins and step were chosen for.
    pub fn is_outgrown(&self) -> bool {
        self.slack.len() > 2 * self.fitted_to
    }

    /// Bytes that a search reads.
    pub fn bytes(&self) -> usize {
        self.rows.len() + size_of_val(&self.slack[..])
    }

    /// Codes the class of this number, a known one or the next.
    ///
    /// # Panics
    /// If there are classes before it that were not coded, or the embedding is none of the head.
    pub fn set(&mut self, class: usize, mean: &[f32], spread: f32) {
        assert!(class <= self.slack.len(), "class {class} in its turn");
        if class == self.slack.len() {
            self.rows.resize(self.rows.len() + self.width, 0);
            self.slack.push(0.0);
        }
        let mut row = std::mem::take(&mut self.rows);
        let taken = self.code(mean, &mut row[class * self.width..][..self.width]);
        self.rows = row;
        // A class of several templates is half its nearest one and half its mean. The nearest is
        // nearer than the mean by no more than lies between the two.
        self.slack[class] = upper(taken + spread * ROUNDING / 2.0);
    }

    /// Codes an embedding; what that took from it.
    fn code(&self, embedding: &[f32], row: &mut [u8]) -> f32 {
        assert_eq!(
            embedding.len(),
            self.head.alpha.len(),
            "an embedding of the head"
        );
        let step = f64::from(self.step);
        let mut taken = 0.0;
        for (&(j, origin), byte) in self.dims.iter().zip(row) {
            let u = f64::from(self.head.alpha[j]) * f64::from(embedding[j]) - f64::from(origin);
            *byte = (u / step).round() as u8; // the nearest of 0 to 255
            taken += (u - f64::from(*byte) * step).abs();
        }
        upper(taken as f32)
    }

    /// The two classes nearest to `probe`, whose `distance` is asked for where a bound alone does not
    /// rule them out. It must be, but for f32's rounding, that of the class that was coded: the mean
    /// of the weighted L1 to its nearest template and that to its mean.
    ///
    /// # Panics
    /// If `probe` has another length than the head.
    pub fn search(&self, probe: &[f32], distance: impl Fn(usize) -> f32 + Sync) -> NearestTwo {
        let mut bytes = [0; MOST_DIMS];
        let bytes = &mut bytes[..self.width];
        let taken = self.code(probe, bytes);
        let search = Search {
            index: self,
            probe: bytes,
            taken,
            enough: AtomicU32::new(f32::INFINITY.to_bits()),
            distance,
        };
        let classes = self.slack.len();
        let threads = (self.rows.len() / BYTES_A_THREAD).clamp(1, self.threads.get());
        let share = classes.div_ceil(threads).max(1);
        let part = |thread: usize| thread * share..classes.min((thread + 1) * share);
        if threads == 1 {
            return search.scan(0..classes);
        }
        thread::scope(|scope| {
            let search = &search;
            let others: Vec<_> = (1..threads)
                .map(|thread| {
                    let part = part(thread);
                    let spawned = thread::Builder::new().spawn_scoped(scope, {
                        let part = part.clone();
                        move || search.scan(part)
                    });
                    spawned.map_err(|_| part)
                })
                .collect();
            let mut nearest = search.scan(part(0));
            for other in others {
                let found = match other {
                    Ok(running) => running.join().unwrap_or_else(|panic| resume_unwind(panic)),
                    // The system gives no thread: this one does it.
                    Err(part) => search.scan(part),
                };
                for scored in [found.best, found.runner_up].into_iter().flatten() {
                    nearest.see(scored);
                }
            }
            nearest
        })
    }
}

/// At least `value`, in spite of rounding; where it is no number, infinity, so that no class is ruled out.
fn upper(value: f32) -> f32 {
    if value.is_finite() {
        value * ROUNDING
    } else {
        f32::INFINITY
    }
}

/// One search, by all its threads.
struct Search<'a, D> {
    index: &'a Index,
    probe: &'a [u8],
    /// What coding took from the probe.
    taken: f32,
    /// The bits of a distance that two classes are within: a class farther away is neither of the nearest two.
    /// (Those of floats of 0 or more are in the order of the floats.)
    enough: AtomicU32,
    distance: D,
}

impl<D: Fn(usize) -> f32> Search<'_, D> {
    fn scan(&self, classes: Range<usize>) -> NearestTwo {
        let Index {
            isa,
            step,
            width,
            rows,
            ..
        } = self.index;
        let mut nearest = NearestTwo::default();
        let mut sums = [0; BLOCK];
        for first in classes.clone().step_by(BLOCK) {
            let sums = &mut sums[..BLOCK.min(classes.end - first)];
            let rows = &rows[first * width..][..sums.len() * width];
            sad(*isa, self.probe, rows, sums);
            let slack = &self.index.slack[first..];
            for (group, (sums, slack)) in sums.chunks(GROUP).zip(slack.chunks(GROUP)).enumerate() {
                // No sum is beyond 2^18, so it is the same as i32, which converts faster.
                let near = |(&sum, &slack): (&u32, &f32), limit: f32| {
                    sum as i32 as f32 * step <= limit + slack
                };
                let limit = self.limit();
                let any = sums
                    .iter()
                    .zip(slack)
                    .fold(false, |any, row| any | near(row, limit));
                if !any {
                    continue;
                }
                for (i, row) in sums.iter().zip(slack).enumerate() {
                    if near(row, self.limit()) {
                        let class = first + group * GROUP + i;
                        let distance = (self.distance)(class);
                        nearest.see(Scored { class, distance });
                        if let Some(second) = nearest.runner_up {
                            // Not a number is above all: it changes nothing.
                            let second = second.distance.max(0.0).to_bits();
                            self.enough.fetch_min(second, Ordering::Relaxed);
                        }
                    }
                }
            }
        }
        nearest
    }

    /// What step times a sum, less the slack, may be for a class that can still be among the nearest two; a step
    /// more, so that rounding rules out no class at distance 0.
    fn limit(&self) -> f32 {
        let enough = f32::from_bits(self.enough.load(Ordering::Relaxed));
        upper(enough + self.taken + self.index.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    fn index(head: &Head, classes: &[(Vec<f32>, f32)]) -> Index {
        let classes = classes.iter().map(|(mean, spread)| (&mean[..], *spread));
        Index::new(head, ONE, classes).unwrap()
    }

    #[test]
    fn of_a_tie_the_classes_enrolled_first_are_nearest_in_whatever_order_they_are_seen() {
        let scored = [(2, 5.0), (1, 5.0), (3, 4.0), (0, 5.0), (4, 4.0)];
        let mut nearest = NearestTwo::default();
        for (class, distance) in scored {
            nearest.see(Scored { class, distance });
        }
        let found = [nearest.best, nearest.runner_up].map(|scored| scored.unwrap().class);
        assert_eq!(found, [3, 4]);
    }

    #[test]
    fn dimensions_that_do_not_count_take_no_bytes() {
        let head = Head {
            alpha: vec![0.0, 2.0, 1e-6],
            bias: 0.0,
        };
        let classes = [(vec![9.0, 0.0, 1.0], 0.0), (vec![-9.0, 1.0, 2.0], 0.0)];
        let index = index(&head, &classes);
        // The middle one spans 0 to 2 in 255 steps; the last one less than a step.
        assert_eq!(index.dims, [(1, 0.0)]);
        assert_eq!(index.rows[..2], [0, 0]);
        assert_eq!(index.rows[index.width..][..2], [255, 0]);
    }

    #[test]
    fn an_alpha_below_0_has_no_bound() {
        let head = Head {
            alpha: vec![1.0, -0.1],
            bias: 0.0,
        };
        assert_eq!(Index::new(&head, ONE, std::iter::empty()), None);
    }

    #[test]
    fn few_of_many_classes_are_compared_in_full() {
        let head = Head {
            alpha: vec![1.0; 64],
            bias: 0.0,
        };
        let class = |i: usize| -> Vec<f32> {
            (0..64)
                .map(|j| ((i * 7919 + j * 104_729) % 10_007) as f32)
                .collect()
        };
        let classes: Vec<(Vec<f32>, f32)> = (0..5000).map(|i| (class(i), 0.0)).collect();
        let index = index(&head, &classes);
        let compared = AtomicU32::new(0);
        let probe = class(4321);
        let nearest = index.search(&probe, |class| {
            compared.fetch_add(1, Ordering::Relaxed);
            head.distance(&classes[class].0, &probe)
        });
        let best = Scored {
            class: 4321,
            distance: 0.0,
        };
        assert_eq!(nearest.best, Some(best));
        assert!(compared.into_inner() < 100);
    }

    #[test]
    fn many_threads_find_what_one_finds() {
        let head = Head {
            alpha: vec![1.0; 2],
            bias: 0.0,
        };
        // Three threads' worth; many at equal distances, the nearest two on either side of a seam.
        let count = 3 * BYTES_A_THREAD / sad::LANES + 5;
        let seam = count.div_ceil(3);
        let mut classes: Vec<[f32; 2]> = (0..count)
            .map(|i| [((i * 7919) % 1009) as f32, 300.0])
            .collect();
        let of = |classes: &[[f32; 2]], threads| {
            let rows = classes.iter().map(|class| (&class[..], 0.0));
            let index = Index::new(&head, NonZeroUsize::new(threads).unwrap(), rows).unwrap();
            let probe = [500.0, 0.0];
            index.search(&probe, |class| head.distance(&classes[class], &probe))
        };
        assert_eq!(of(&classes, 3), of(&classes, 1));
        for class in [seam, seam - 1] {
            classes[class] = [500.0, 1.0];
        }
        let found = of(&classes, 3);
        assert_eq!(found, of(&classes, 1));
        let found = [found.best, found.runner_up].map(|scored| scored.unwrap().class);
        assert_eq!(found, [seam - 1, seam]);
    }

    /// Numbers as embeddings have them, and those that are beyond what the index was fitted to.
    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![
            8 => (0..40u8).prop_map(|n| f32::from(n) / 8.0),
            8 => 0.0..5.0f32,
            1 => -1e4..1e4f32,
            1 => Just(f32::MAX),
        ]
    }

    proptest! {
        #[test]
        fn no_class_is_ruled_out_that_is_nearest(
            alpha in prop::collection::vec(prop_oneof![Just(0.0), 0.0..2.0f32], 1..40),
            seeds in prop::collection::vec(prop::collection::vec(number(), 40), 1..60),
            fitted in 0..60usize,
            probe in prop::collection::vec(number(), 40),
        ) {
            let dims = alpha.len();
            let head = Head { alpha, bias: 0.0 };
            let classes: Vec<(Vec<f32>, f32)> =
                seeds.iter().map(|seed| (seed[..dims].to_vec(), 0.0)).collect();
            let mut index = index(&head, &classes[..fitted.min(classes.len())]);
            for (class, (mean, spread)) in classes.iter().enumerate().skip(fitted) {
                index.set(class, mean, *spread);
            }
            let probe = &probe[..dims];
            let distance = |class: usize| head.distance(&classes[class].0, probe);
            let mut all = NearestTwo::default();
            for class in 0..classes.len() {
                all.see(Scored { class, distance: distance(class) });
            }
            prop_assert_eq!(index.search(probe, distance), all);
        }
    }
}
