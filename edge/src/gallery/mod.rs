//! The enrolled classes in memory, searched exactly: which class is nearest to a probe?
//! Knows embeddings and names: nothing of pictures, files or thresholds.

pub mod decide;
pub mod head;
pub(crate) mod search;
pub mod store;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::gallery::head::{Head, Limit};
use crate::gallery::search::{Index, NearestTwo, Scored};

/// From this number of classes on, an index rules most of them out before the others are compared in full.
const INDEX_FROM: usize = 256;
/// A probe must be nearer to a class than to what that is not by more than this, in the log odds of p:
/// two looks at the same thing differ by less, and the second was said to be no such thing.
const REJECTION_LEAD: f32 = 1.0;

/// Classes by name, each with the embeddings of its templates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gallery {
    /// In the order of their enrollment.
    classes: Vec<Class>,
    /// By name.
    numbers: HashMap<Arc<str>, usize>,
    index: Option<Index>,
    /// By class: what it is not.
    negatives: HashMap<String, Vec<Vec<f32>>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Class {
    name: Arc<str>,
    /// How many there are.
    count: usize,
    /// Their embeddings, one after the other.
    templates: Vec<f32>,
    /// Their mean; empty where a single one is its own.
    mean: Vec<f32>,
}

/// How many independent comparisons a class of `templates` counts as, where strangers are concerned: their square
/// root, for templates of one class are alike (measured, five of the shipped model let strangers in as 1.6 would).
pub fn weight(templates: usize) -> f64 {
    (templates as f64).sqrt()
}

/// An enrolled class as a probe sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The class.
    pub name: &'a Arc<str>,
    /// Weighted L1 distance to the class: see [`Gallery::distance_to`].
    pub distance: f32,
}

/// The two nearest classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest<'a> {
    /// The nearest class; of a tie the one enrolled first.
    pub best: Candidate<'a>,
    /// The nearest other class, where there is one.
    pub runner_up: Option<Candidate<'a>>,
    /// Whether something that the best class is known not to be is nearer, as near, or farther by
    /// odds of less than e: then it is no answer.
    pub is_rejected: bool,
}

impl Nearest<'_> {
    /// Whether another class is exactly as near as the best: then no answer is right.
    pub fn is_tie(&self) -> bool {
        self.runner_up
            .is_some_and(|other| other.distance <= self.best.distance)
    }
}

impl Gallery {
    /// Adds a template to the class `name`, which is made where it is new. The cost does not grow
    /// with the number of classes, but for an index that is made anew at each doubling.
    ///
    /// # Panics
    /// If the embedding has another length than those before it.
    pub fn enroll(&mut self, name: &str, embedding: Vec<f32>) {
        let number = match self.numbers.get(name) {
            Some(&number) => {
                self.classes[number].add(&embedding);
                number
            }
            None => {
                let name: Arc<str> = name.into();
                self.numbers.insert(Arc::clone(&name), self.classes.len());
                self.classes.push(Class {
                    name,
                    count: 1,
                    templates: embedding,
                    mean: Vec::new(),
                });
                self.classes.len() - 1
            }
        };
        if let Some(mut index) = self.index.take() {
            let class = &self.classes[number];
            index.set(number, class.mean(), class.spread(index.head()));
            self.index = if index.is_outgrown() {
                self.indexed(index.head(), index.threads())
            } else {
                Some(index)
            };
        }
    }

    /// Makes [`Gallery::nearest`] fast under `head` in a large gallery, from now on: the answers stay
    /// the same. A search uses at most `threads` threads, where that pays. An alpha below 0 has no index.
    ///
    /// # Panics
    /// If the embeddings have another length than `head.alpha`.
    pub fn index(&mut self, head: &Head, threads: NonZeroUsize) {
        self.index = self.indexed(head, threads);
    }

    fn indexed(&self, head: &Head, threads: NonZeroUsize) -> Option<Index> {
        let classes = self.classes.iter();
        Index::new(
            head,
            threads,
            classes.map(|class| (class.mean(), class.spread(head))),
        )
    }

    /// The bytes that a search reads of every class: 0 without an index.
    pub fn index_bytes(&self) -> usize {
        self.index.as_ref().map_or(0, Index::bytes)
    }

    /// Adds a negative template to the class `name`: a look that was taken for it and is not of it.
    pub fn reject(&mut self, name: &str, embedding: Vec<f32>) {
        let negatives = self.negatives.entry(name.to_owned()).or_default();
        negatives.push(embedding);
    }

    /// How many negative templates the class `name` has.
    pub fn negatives_of(&self, name: &str) -> usize {
        self.negatives.get(name).map_or(0, Vec::len)
    }

    /// How many templates there are, without negative ones.
    pub fn templates(&self) -> usize {
        self.classes.iter().map(|class| class.count).sum()
    }

    /// How many classes are enrolled.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether no class is enrolled.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The classes in the order of their enrollment.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|class| &*class.name)
    }

    /// How many templates the class `name` has; 0 where it is not enrolled.
    pub fn templates_of(&self, name: &str) -> usize {
        self.class(name).map_or(0, |class| class.count)
    }

    fn class(&self, name: &str) -> Option<&Class> {
        Some(&self.classes[*self.numbers.get(name)?])
    }

    /// How many independent comparisons a search counts as, where strangers are concerned: the sum of
    /// [`weight`] over the classes.
    pub fn comparisons(&self) -> f64 {
        self.classes.iter().map(|class| weight(class.count)).sum()
    }

    /// [`Gallery::comparisons`], if the class `name` had `more` templates than it has.
    pub fn comparisons_with(&self, name: &str, more: usize) -> f64 {
        let now = self.templates_of(name);
        self.comparisons() - weight(now) + weight(now + more)
    }

    /// The distance of `probe` to the class `name`: the mean of its distance to the nearest
    /// template and of that to the mean of all templates, which for one template are the same.
    /// `None` where the class is not enrolled.
    ///
    /// The nearest alone trusts one template too much, the mean alone blurs a class that is drawn
    /// in two ways: `onelook eval --shots 5 --rule ...` compares.
    ///
    /// # Panics
    /// As [`Head::distance`].
    pub fn distance_to(&self, name: &str, probe: &[f32], head: &Head) -> Option<f32> {
        Some(self.class(name)?.distance(probe, head))
    }

    /// The classes within `limit` of `probe` that the probe is not known not to be, in the order of their enrollment.
    /// Compares with every class in full.
    ///
    /// # Panics
    /// As [`Head::distance`].
    pub fn within(&self, probe: &[f32], head: &Head, limit: Limit) -> Vec<Candidate<'_>> {
        let candidates = self.classes.iter().map(|class| Candidate {
            name: &class.name,
            distance: class.distance(probe, head),
        });
        candidates
            .filter(|candidate| limit.accepts(candidate.distance))
            .filter(|candidate| !self.is_rejected(*candidate, probe, head))
            .collect()
    }

    /// Whether something that the class is known not to be is nearer than it, as near, or farther by less than
    /// [`REJECTION_LEAD`].
    fn is_rejected(&self, candidate: Candidate, probe: &[f32], head: &Head) -> bool {
        let negatives = self.negatives.get(&**candidate.name).into_iter().flatten();
        let mut distances = negatives.map(|negative| head.distance(negative, probe));
        distances.any(|distance| distance <= candidate.distance + REJECTION_LEAD)
    }

    /// The two classes nearest to `probe`; `None` where the gallery is empty.
    ///
    /// # Panics
    /// As [`Head::distance`].
    pub fn nearest(&self, probe: &[f32], head: &Head) -> Option<Nearest<'_>> {
        let scored = |class: usize| Scored {
            class,
            distance: self.classes[class].distance(probe, head),
        };
        let nearest = match &self.index {
            Some(index) if self.len() >= INDEX_FROM && index.head().alpha == head.alpha => {
                index.search(probe, |class| scored(class).distance)
            }
            _ => {
                let mut nearest = NearestTwo::default();
                (0..self.len()).for_each(|class| nearest.see(scored(class)));
                nearest
            }
        };
        let candidate = |scored: Scored| Candidate {
            name: &self.classes[scored.class].name,
            distance: scored.distance,
        };
        let best = candidate(nearest.best?);
        Some(Nearest {
            best,
            runner_up: nearest.runner_up.map(candidate),
            is_rejected: self.is_rejected(best, probe, head),
        })
    }
}

impl Class {
    fn add(&mut self, embedding: &[f32]) {
        assert_eq!(
            embedding.len(),
            self.mean().len(),
            "an embedding of the same model"
        );
        if self.mean.is_empty() {
            self.mean.clone_from(&self.templates);
        }
        self.count += 1;
        let count = self.count as f32;
        for (mean, value) in self.mean.iter_mut().zip(embedding) {
            *mean += (value - *mean) / count;
        }
        self.templates.extend(embedding);
    }

    fn mean(&self) -> &[f32] {
        if self.mean.is_empty() {
            &self.templates
        } else {
            &self.mean
        }
    }

    fn templates(&self) -> impl Iterator<Item = &[f32]> {
        self.templates.chunks_exact(self.mean().len().max(1))
    }

    /// How far from the mean a template may be: the largest of their distances to it.
    fn spread(&self, head: &Head) -> f32 {
        if self.count == 1 {
            return 0.0;
        }
        let distances = self.templates().map(|t| head.distance(t, self.mean()));
        distances.fold(0.0, f32::max)
    }

    fn distance(&self, probe: &[f32], head: &Head) -> f32 {
        let distances = self.templates().map(|t| head.distance(t, probe));
        let nearest = distances.fold(f32::INFINITY, f32::min);
        if self.count == 1 {
            return nearest;
        }
        (nearest + head.distance(&self.mean, probe)) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        Head {
            alpha: vec![1.0, 10.0],
            bias: 0.0,
        }
    }

    fn gallery(templates: &[(&str, [f32; 2])]) -> Gallery {
        let mut gallery = Gallery::default();
        for (name, embedding) in templates {
            gallery.enroll(name, embedding.to_vec());
        }
        gallery
    }

    #[test]
    fn the_nearest_template_and_the_mean_of_them_count_by_half() {
        let gallery = gallery(&[("a", [0.0, 0.0]), ("b", [9.0, 0.0]), ("a", [4.0, 0.0])]);
        assert_eq!(gallery.len(), 2);
        assert!((gallery.comparisons() - (1.0 + 2f64.sqrt())).abs() < 1e-12);
        let nearest = gallery.nearest(&[5.0, 0.0], &head()).unwrap();
        // From 5 to 4 is 1, to the mean of 0 and 4 it is 3.
        assert_eq!((&**nearest.best.name, nearest.best.distance), ("a", 2.0));
        let other = nearest.runner_up.unwrap();
        assert_eq!((&**other.name, other.distance), ("b", 4.0));
        assert!(!nearest.is_tie());
        // One more for a class of two, and a new class.
        let with = |name: &str, more| gallery.comparisons_with(name, more);
        assert!((with("a", 1) - (1.0 + 3f64.sqrt())).abs() < 1e-12);
        assert!((with("c", 4) - (3.0 + 2f64.sqrt())).abs() < 1e-12);
        // Of 0, 4 and 7 the nearest to 5 is 1 away, their mean of 11/3 is 4/3 away.
        let mut gallery = gallery;
        gallery.enroll("a", vec![7.0, 0.0]);
        let distance = gallery.distance_to("a", &[5.0, 0.0], &head()).unwrap();
        assert!(
            (distance - (1.0 + 4.0 / 3.0) / 2.0).abs() < 1e-6,
            "{distance}"
        );
    }

    #[test]
    fn the_runner_up_is_another_class_in_whatever_order_they_came() {
        for order in [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]] {
            let place = |name: &str| match name {
                "a" => [1.0, 0.0],
                "b" => [2.0, 0.0],
                _ => [9.0, 0.0],
            };
            let gallery = gallery(&order.map(|name| (name, place(name))));
            let nearest = gallery.nearest(&[0.0, 0.0], &head()).unwrap();
            assert_eq!(&**nearest.best.name, "a");
            assert_eq!(&**nearest.runner_up.unwrap().name, "b");
        }
    }

    #[test]
    fn two_classes_at_one_distance_are_a_tie_and_two_templates_of_one_class_are_not() {
        let tie = gallery(&[("a", [1.0, 0.0]), ("b", [-1.0, 0.0])]);
        assert!(tie.nearest(&[0.0, 0.0], &head()).unwrap().is_tie());
        let same = gallery(&[("a", [1.0, 0.0]), ("a", [-1.0, 0.0])]);
        assert!(!same.nearest(&[0.0, 0.0], &head()).unwrap().is_tie());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn an_index_changes_no_answer(
            looks in prop::collection::vec((0..700usize, 0..9u8, 0.0..1.0f32), 600..1200),
            indexed_at in 0..600usize,
            probe in prop::collection::vec(0.0..9.0f32, 2),
            threads in 1..4usize,
        ) {
            let (mut plain, mut indexed) = (Gallery::default(), Gallery::default());
            for (at, (class, x, y)) in looks.iter().enumerate() {
                if at == indexed_at {
                    indexed.index(&head(), NonZeroUsize::new(threads).unwrap());
                }
                for gallery in [&mut plain, &mut indexed] {
                    gallery.enroll(&class.to_string(), vec![f32::from(*x), *y]);
                }
            }
            prop_assert!(indexed.len() >= INDEX_FROM && indexed.index_bytes() > 0);
            for probe in [&probe[..], &[f32::from(looks[0].1), looks[0].2]] {
                prop_assert_eq!(indexed.nearest(probe, &head()), plain.nearest(probe, &head()));
            }
        }
    }

    #[test]
    fn what_a_class_is_known_not_to_be_rejects_it_where_that_is_nearer() {
        let mut gallery = gallery(&[("a", [0.0, 0.0]), ("b", [9.0, 0.0])]);
        gallery.reject("a", vec![4.0, 0.0]);
        let nearest = |x| gallery.nearest(&[x, 0.0], &head()).unwrap();
        assert!(!nearest(1.25).is_rejected);
        // 1.5 and 2.5: nearer by the lead and no more is a tie, and that is broken against us.
        assert!(nearest(1.5).is_rejected && nearest(4.0).is_rejected);
        let within = |x: f32| gallery.within(&[x, 0.0], &head(), head().limit(0.01)).len();
        assert_eq!((within(1.25), within(1.5)), (1, 0));
        // It is no reason against another class, however near.
        let other = nearest(5.0);
        assert_eq!((&**other.best.name, other.is_rejected), ("b", false));
        assert_eq!(
            (gallery.negatives_of("a"), gallery.negatives_of("b")),
            (1, 0)
        );
        assert_eq!((gallery.templates_of("a"), gallery.templates()), (1, 2));
    }

    #[test]
    fn an_empty_gallery_knows_nobody() {
        assert_eq!(Gallery::default().nearest(&[0.0, 0.0], &head()), None);
        assert_eq!(
            Gallery::default().distance_to("a", &[0.0, 0.0], &head()),
            None
        );
    }
}
