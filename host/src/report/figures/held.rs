//! The held-out pictures, numbered, and the distance of every two: what all figures are counted from.

use onelook_edge::gallery::head::Head;
use rayon::prelude::*;

use crate::data::Dataset;
use crate::measure::eval::{Embeddings, PairScores};

/// Pictures that are measured at most, shared out among the classes.
const MOST_PICTURES: usize = 4000;

/// Shortens `data` to [`MOST_PICTURES`], every class alike; whether anything was left out.
pub(crate) fn shorten(data: &mut Dataset) -> bool {
    let before = data.pictures();
    if before <= MOST_PICTURES {
        return false;
    }
    let share = (MOST_PICTURES / data.classes().max(1)).max(2);
    let mut left = MOST_PICTURES;
    for group in &mut data.groups {
        for class in &mut group.classes {
            class.pictures.truncate(share.min(left));
            left -= class.pictures.len();
        }
        group.classes.retain(|class| !class.pictures.is_empty());
    }
    data.groups.retain(|group| !group.classes.is_empty());
    data.pictures() < before
}

/// The held-out pictures, numbered, and the distance of every two.
pub(crate) struct HeldOutSet<'a> {
    pub(super) data: &'a Dataset,
    pub(super) embeddings: &'a Embeddings,
    /// By class: group, class within it, number of its first picture, how many it has.
    pub(super) classes: Vec<Place>,
    /// The class of each picture.
    pub(super) owner: Vec<usize>,
    /// pictures x pictures.
    pub(super) distances: Vec<f32>,
    pub(super) head: &'a Head,
    pub(super) seed: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) group: usize,
    pub(super) class: usize,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl<'a> HeldOutSet<'a> {
    /// The distances of all pictures of `data`, which was embedded as `embeddings`.
    pub(crate) fn new(
        data: &'a Dataset,
        embeddings: &'a Embeddings,
        head: &'a Head,
        seed: u64,
    ) -> Self {
        let rows: Vec<&[f32]> = embeddings
            .iter()
            .flatten()
            .flatten()
            .map(Vec::as_slice)
            .collect();
        let mut classes = Vec::new();
        let mut owner = Vec::new();
        for (group, found) in data.groups.iter().enumerate() {
            for (class, found) in found.classes.iter().enumerate() {
                let (first, count) = (owner.len(), found.pictures.len());
                owner.extend(std::iter::repeat_n(classes.len(), count));
                classes.push(Place {
                    group,
                    class,
                    first,
                    count,
                });
            }
        }
        let count = rows.len();
        let mut distances = vec![0.0; count * count];
        let lines = distances.par_chunks_mut(count.max(1)).zip(&rows);
        lines.for_each(|(line, a)| {
            for (distance, b) in line.iter_mut().zip(&rows) {
                *distance = head.distance(a, b);
            }
        });
        Self {
            data,
            embeddings,
            classes,
            owner,
            distances,
            head,
            seed,
        }
    }

    pub(super) fn distance(&self, a: usize, b: usize) -> f32 {
        self.distances[a * self.owner.len() + b]
    }

    pub(super) fn p(&self, a: usize, b: usize) -> f32 {
        self.head.probability(self.distance(a, b))
    }

    pub(super) fn same_group(&self, a: usize, b: usize) -> bool {
        self.classes[a].group == self.classes[b].group
    }

    /// Whether "within a group" differs from "any two classes".
    pub(super) fn has_groups(&self) -> bool {
        self.data.groups.len() > 1 && self.data.groups.iter().any(|g| g.classes.len() > 1)
    }

    /// p of every pair of pictures; the impostors of one group only where so asked.
    pub(crate) fn pair_scores(&self, within_group: bool) -> PairScores {
        let mut scores = PairScores::default();
        for a in 0..self.owner.len() {
            for b in a + 1..self.owner.len() {
                let (c, d) = (self.owner[a], self.owner[b]);
                if c == d {
                    scores.genuine.push(self.p(a, b));
                } else if !within_group || self.same_group(c, d) {
                    scores.impostor.push(self.p(a, b));
                }
            }
        }
        scores
    }
}
