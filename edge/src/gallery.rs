//! The enrolled classes in memory, searched exactly: which class is nearest to a probe?
//! Knows embeddings and names: nothing of pictures, files or thresholds.

use std::collections::BTreeMap;

use crate::head::Head;

/// Classes by name, each with the embeddings of its templates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gallery {
    classes: Vec<Class>,
    /// By class: what it is not.
    negatives: BTreeMap<String, Vec<Vec<f32>>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Class {
    name: String,
    templates: Vec<Vec<f32>>,
    mean: Vec<f32>,
}

/// An enrolled class as a probe sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The class.
    pub name: &'a str,
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
    /// Whether something that the best class is known not to be is as near, or nearer: then it is no
    /// answer.
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
    /// Adds a template to the class `name`, which is made where it is new.
    pub fn enroll(&mut self, name: &str, embedding: Vec<f32>) {
        match self.classes.iter_mut().find(|class| class.name == name) {
            Some(class) => class.add(embedding),
            None => self.classes.push(Class {
                name: name.to_owned(),
                mean: embedding.clone(),
                templates: vec![embedding],
            }),
        }
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
        self.classes.iter().map(|class| class.name.as_str())
    }

    /// How many templates the class `name` has; 0 where it is not enrolled.
    pub fn templates_of(&self, name: &str) -> usize {
        let class = self.classes.iter().find(|class| class.name == name);
        class.map_or(0, |class| class.templates.len())
    }

    /// How many independent comparisons a search counts as, where strangers are concerned: a class
    /// of k templates as the square root of k, for templates of one class are alike (measured, five
    /// of the shipped model let strangers in as 1.6 would).
    pub fn comparisons(&self) -> f64 {
        let templates = self.classes.iter().map(|class| class.templates.len());
        templates.map(|templates| (templates as f64).sqrt()).sum()
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
        let class = self.classes.iter().find(|class| class.name == name)?;
        Some(class.distance(probe, head))
    }

    /// The two classes nearest to `probe`; `None` where the gallery is empty.
    ///
    /// # Panics
    /// As [`Head::distance`].
    pub fn nearest(&self, probe: &[f32], head: &Head) -> Option<Nearest<'_>> {
        let mut nearest: Option<Nearest> = None;
        for class in &self.classes {
            let candidate = Candidate {
                name: &class.name,
                distance: class.distance(probe, head),
            };
            nearest = Some(match nearest {
                None => Nearest {
                    best: candidate,
                    runner_up: None,
                    is_rejected: false,
                },
                Some(so_far) if candidate.distance < so_far.best.distance => Nearest {
                    best: candidate,
                    runner_up: Some(so_far.best),
                    is_rejected: false,
                },
                Some(so_far)
                    if so_far
                        .runner_up
                        .is_none_or(|other| candidate.distance < other.distance) =>
                {
                    Nearest {
                        runner_up: Some(candidate),
                        ..so_far
                    }
                }
                Some(so_far) => so_far,
            });
        }
        let mut nearest = nearest?;
        let negatives = self.negatives.get(nearest.best.name).into_iter().flatten();
        let mut distances = negatives.map(|negative| head.distance(negative, probe));
        nearest.is_rejected = distances.any(|distance| distance <= nearest.best.distance);
        Some(nearest)
    }
}

impl Class {
    fn add(&mut self, embedding: Vec<f32>) {
        let count = (self.templates.len() + 1) as f32;
        for (mean, value) in self.mean.iter_mut().zip(&embedding) {
            *mean += (value - *mean) / count;
        }
        self.templates.push(embedding);
    }

    fn distance(&self, probe: &[f32], head: &Head) -> f32 {
        let distances = self.templates.iter().map(|t| head.distance(t, probe));
        let nearest = distances.fold(f32::INFINITY, f32::min);
        if self.templates.len() == 1 {
            return nearest;
        }
        (nearest + head.distance(&self.mean, probe)) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((nearest.best.name, nearest.best.distance), ("a", 2.0));
        let other = nearest.runner_up.unwrap();
        assert_eq!((other.name, other.distance), ("b", 4.0));
        assert!(!nearest.is_tie());
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
            assert_eq!(nearest.best.name, "a");
            assert_eq!(nearest.runner_up.unwrap().name, "b");
        }
    }

    #[test]
    fn two_classes_at_one_distance_are_a_tie_and_two_templates_of_one_class_are_not() {
        let tie = gallery(&[("a", [1.0, 0.0]), ("b", [-1.0, 0.0])]);
        assert!(tie.nearest(&[0.0, 0.0], &head()).unwrap().is_tie());
        let same = gallery(&[("a", [1.0, 0.0]), ("a", [-1.0, 0.0])]);
        assert!(!same.nearest(&[0.0, 0.0], &head()).unwrap().is_tie());
    }

    #[test]
    fn what_a_class_is_known_not_to_be_rejects_it_where_that_is_nearer() {
        let mut gallery = gallery(&[("a", [0.0, 0.0]), ("b", [9.0, 0.0])]);
        gallery.reject("a", vec![4.0, 0.0]);
        let nearest = |x| gallery.nearest(&[x, 0.0], &head()).unwrap();
        assert!(!nearest(1.9).is_rejected);
        // Half way is a tie, and that is broken against us.
        assert!(nearest(2.0).is_rejected && nearest(4.0).is_rejected);
        // It is no reason against another class, however near.
        assert_eq!(
            (nearest(5.0).best.name, nearest(5.0).is_rejected),
            ("b", false)
        );
        assert_eq!(
            (gallery.negatives_of("a"), gallery.negatives_of("b")),
            (1, 0)
        );
        assert_eq!(gallery.templates_of("a"), 1);
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
