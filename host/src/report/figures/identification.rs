//! Which class is it? Random trials as `onelook eval` draws them, answered from the distances.

use super::held::{HeldOutSet, Place};
use super::intervals::share;
use super::{GroupAccuracy, IdentificationFigures, Share, TRIALS, TrialAccuracy};
use crate::measure::trials::{self, TrialSpec};

/// Ways that are tried, and then all classes, at most [`MOST_WAYS`], which memory bears.
const WAYS: [usize; 6] = [2, 5, 10, 20, 50, 100];
const MOST_WAYS: usize = 500;
/// Shots that are tried.
const SHOTS: [usize; 5] = [1, 2, 3, 5, 10];

impl HeldOutSet<'_> {
    /// Accuracy of random trials, by ways, shots and group.
    ///
    /// # Errors
    /// In words, where no trial can be made.
    pub(crate) fn identification(&self) -> Result<IdentificationFigures, String> {
        let grouped = self.has_groups() && self.most_ways(1, true) > 1;
        let scopes: &[bool] = if grouped { &[true, false] } else { &[false] };
        let spec = |ways: usize, shots: usize, within_group: bool| TrialSpec {
            ways,
            shots,
            trials: TRIALS,
            within_group,
        };
        let main_ways = self.most_ways(1, grouped).min(20);
        if main_ways < 2 {
            return Err("A trial needs two held-out classes, each of two pictures.".to_owned());
        }
        let (headline, tally) = self.accuracy(spec(main_ways, 1, grouped))?;
        let mut groups = Vec::new();
        for (number, group) in self.data.groups.iter().enumerate() {
            let own = |(place, counts): (&Place, &[u64; 2])| {
                if place.group == number {
                    *counts
                } else {
                    [0, 0]
                }
            };
            let own: Vec<[u64; 2]> = self.classes.iter().zip(&tally).map(own).collect();
            if grouped && own.iter().any(|[trials, _]| *trials > 0) {
                groups.push(GroupAccuracy {
                    name: group.name.clone(),
                    classes: group.classes.len(),
                    right: self.share(&own),
                });
            }
        }
        let (mut by_ways, mut by_shots) = (Vec::new(), Vec::new());
        for &within in scopes {
            let most = self.most_ways(1, within).min(MOST_WAYS);
            // Within groups no further than all groups of the headline go along.
            let smallest = groups.iter().map(|group| group.classes).min();
            let most = match smallest {
                Some(smallest) if within => smallest.max(main_ways).min(most),
                _ => most,
            };
            let mut ways: Vec<usize> = WAYS.into_iter().filter(|&ways| ways <= most).collect();
            if !within && !ways.contains(&most) {
                ways.push(most);
            }
            for ways in ways {
                by_ways.push(self.accuracy(spec(ways, 1, within))?.0);
            }
            for shots in SHOTS {
                if self.most_ways(shots, within) >= main_ways {
                    by_shots.push(self.accuracy(spec(main_ways, shots, within))?.0);
                }
            }
        }
        Ok(IdentificationFigures {
            headline,
            groups,
            ways: by_ways,
            shots: by_shots,
        })
    }

    /// The share that is right in trials like those of `other`, which were of the same data.
    ///
    /// # Errors
    /// In words, where no trial can be made.
    pub(crate) fn accuracy_like(&self, other: &TrialAccuracy) -> Result<f64, String> {
        let tally = self.tally(TrialSpec {
            ways: other.ways,
            shots: other.shots,
            trials: TRIALS,
            within_group: other.within_group,
        })?;
        Ok(self.share(&tally).share)
    }

    fn accuracy(&self, spec: TrialSpec) -> Result<(TrialAccuracy, Vec<[u64; 2]>), String> {
        let tally = self.tally(spec)?;
        let mut groups: Vec<usize> = self
            .classes
            .iter()
            .zip(&tally)
            .filter(|(_, [trials, _])| *trials > 0)
            .map(|(place, _)| place.group)
            .collect();
        groups.dedup();
        let accuracy = TrialAccuracy {
            ways: spec.ways,
            shots: spec.shots,
            within_group: spec.within_group,
            groups: groups.len(),
            right: self.share(&tally),
        };
        Ok((accuracy, tally))
    }

    /// By class of the query: how many trials, and how many were right.
    fn tally(&self, spec: TrialSpec) -> Result<Vec<[u64; 2]>, String> {
        let mut tally = vec![[0, 0]; self.classes.len()];
        let mut offsets = vec![Vec::new(); self.data.groups.len()];
        for (number, place) in self.classes.iter().enumerate() {
            offsets[place.group].push(number);
        }
        for trial in trials::trials(self.data, spec, self.seed)? {
            let number = |way: usize| {
                let (group, class) = trial.classes[way];
                offsets[group][class]
            };
            let answer = number(trial.answer);
            let query = self.classes[answer].first + trial.query;
            let nearest = |way: usize| {
                let first = self.classes[number(way)].first;
                let support = trial.support[way].iter();
                support
                    .map(|picture| self.distance(first + picture, query))
                    .fold(f32::INFINITY, f32::min)
            };
            let own = nearest(trial.answer);
            let mut others = (0..trial.classes.len()).filter(|&way| way != trial.answer);
            tally[answer][0] += 1;
            // A tie is wrong, as in `eval`.
            tally[answer][1] += u64::from(others.all(|way| nearest(way) > own));
        }
        Ok(tally)
    }

    /// `tally` is by class.
    pub(super) fn share(&self, tally: &[[u64; 2]]) -> Share {
        let classes = self.classes.iter().zip(tally);
        let met = classes.filter(|(_, [trials, _])| *trials > 0);
        let pictures = met.map(|(place, _)| place.count as u64).sum();
        share(tally, pictures, self.seed)
    }

    /// Most ways that a trial of `shots` can have.
    fn most_ways(&self, shots: usize, within_group: bool) -> usize {
        let usable = |group: usize| {
            let classes = self.classes.iter();
            classes
                .filter(|place| place.group == group && place.count > shots)
                .count()
        };
        let groups = (0..self.data.groups.len()).map(usable);
        if within_group {
            groups.max().unwrap_or(0)
        } else {
            groups.sum()
        }
    }
}
