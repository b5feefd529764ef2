//! Measures what the report says: every figure comes from one embedding of the held-out pictures
//! and the distances between all of them. Knows nothing of pages or charts, and of training nothing.
//!
//! # Intervals
//! Pairs and trials that share a class are not independent, so 95 % intervals are percentiles over
//! seeded redraws of the classes, with replacement (Bolle, Ratha and Pankanti 2004, the subsets
//! bootstrap; pairs of two classes weigh the product of their counts, Snijders and Borgatti 1999).
//! The interval of a share is the wider of that and Wilson's, for no error in a few classes is no
//! proof; and there no more trials count than pictures that can be looked for, however often a
//! random trial took them (for strangers: than pictures times the classes that they may be taken for).

use onelook_edge::gallery::head::Head;
use onelook_edge::model::OperatingPoint;
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::keepsake::keepsake;
use onelook_edge::vision::preprocess::{InputSpec, patch};
use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::Dataset;
use crate::measure::eval::{Embeddings, PairScores};
use crate::measure::metrics;
use crate::measure::openset::{self, Search};
use crate::measure::trials::{self, TrialSpec};
use crate::random::{Purpose, stream};

/// Pictures that are measured at most, shared out among the classes.
pub const MOST_PICTURES: usize = 4000;
/// Random trials behind each accuracy, as in `onelook eval`.
const TRIALS: usize = 10_000;
/// Ways that are tried, and then all classes, as far as memory bears so many trials.
const WAYS: [usize; 6] = [2, 5, 10, 20, 50, 100];
const MOST_WAYS: usize = 500;
/// Shots that are tried.
const SHOTS: [usize; 5] = [1, 2, 3, 5, 10];
/// Redraws of the classes behind an interval.
const REDRAWS: usize = 300;
/// Fewer classes than this say nothing of other classes.
const LEAST_CLASSES: usize = 3;
/// Examples in each list.
const EXAMPLES: usize = 12;
/// Rows of confused classes.
const CONFUSIONS: usize = 8;
/// Galleries of one template a class in which confusions are counted.
const CONFUSION_GALLERIES: usize = 20;
/// Bins of p in the reliability diagram.
const BINS: usize = 10;
/// Bars of the score histograms.
const BARS: usize = 60;

/// A figure, or the sentence that says why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Measured<T> {
    /// It was measured.
    Done(T),
    /// It was not.
    Not {
        /// Why, and what to do.
        not_measured: String,
    },
}

impl<T> From<Result<T, String>> for Measured<T> {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(done) => Self::Done(done),
            Err(not_measured) => Self::Not { not_measured },
        }
    }
}

/// A share of something that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// How many counted.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// count / of; 0 of none.
    pub share: f64,
    /// 95 % interval; see the module.
    pub ci95: [f64; 2],
}

/// One-shot or few-shot accuracy of random trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Classes to choose from.
    pub ways: usize,
    /// Pictures enrolled of each.
    pub shots: usize,
    /// Whether the classes of a trial come from one group.
    pub within_group: bool,
    /// Groups that have enough classes.
    pub groups: usize,
    /// Answered right; a tie is wrong.
    pub right: Share,
}

/// Accuracy within one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupAccuracy {
    /// The group.
    pub name: String,
    /// Its classes.
    pub classes: usize,
    /// Answered right.
    pub right: Share,
}

/// Which class is it? One answer is always given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identification {
    /// The accuracy that heads the page: 20 ways (or what there is), one shot, within groups
    /// where there are several.
    pub headline: Accuracy,
    /// By group, in the trials of the headline; empty where there is one group.
    pub groups: Vec<GroupAccuracy>,
    /// One shot, by ways.
    pub ways: Vec<Accuracy>,
    /// The headline's ways, by shots.
    pub shots: Vec<Accuracy>,
}

/// Error rates at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DetPoint {
    /// Accepted where p is at least this.
    pub threshold: f32,
    /// False match rate.
    pub fmr: f64,
    /// False non-match rate.
    pub fnmr: f64,
}

/// The 95 % interval of the FNMR where the threshold is set for a FMR.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BandPoint {
    /// False match rate.
    pub fmr: f64,
    /// Lower end of the FNMR.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Detection error trade-off (Martin et al. 1997).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Det {
    /// Genuine pairs.
    pub genuine_pairs: u64,
    /// Impostor pairs.
    pub impostor_pairs: u64,
    /// Equal error rate, its threshold and its interval.
    pub eer: f64,
    /// The threshold there.
    pub eer_threshold: f32,
    /// Absent of fewer than three classes.
    pub eer_ci95: Option<[f64; 2]>,
    /// By rising threshold.
    pub points: Vec<DetPoint>,
    /// By falling FMR; empty of fewer than three classes.
    pub band: Vec<BandPoint>,
}

/// An operating point of the card, measured on these pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PointMeasured {
    /// Its name in the card.
    pub name: String,
    /// Whether the device takes it where none is asked for.
    pub is_default: bool,
    /// Accepted where p is at least this.
    pub threshold: f32,
    /// False match rate of any two classes.
    pub fmr: f64,
    /// Its interval; absent of fewer than three classes.
    pub fmr_ci95: Option<[f64; 2]>,
    /// False match rate of two classes of one group; absent of one group.
    pub fmr_within_group: Option<f64>,
    /// False non-match rate.
    pub fnmr: f64,
    /// Its interval; absent of fewer than three classes.
    pub fnmr_ci95: Option<[f64; 2]>,
    /// What the card says of it: FMR, FNMR.
    pub card: [f64; 2],
}

/// A bar of two histograms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Log-odds ln(p / (1 - p)) at the left edge.
    pub low: f64,
    /// And at the right.
    pub high: f64,
    /// Genuine pairs in it.
    pub genuine: u64,
    /// Impostor pairs in it.
    pub impostor: u64,
}

/// A bin of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// p at the lower edge, which belongs to it.
    pub low: f64,
    /// p at the upper edge.
    pub high: f64,
    /// Genuine pairs in it.
    pub genuine: u64,
    /// Impostor pairs in it.
    pub impostor: u64,
    /// Mean p, genuine and impostor weighing equally in all; absent where it is empty.
    pub mean_p: Option<f64>,
    /// Weighted share that is genuine; absent where it is empty.
    pub observed: Option<f64>,
    /// Its interval; absent where it is empty or of fewer than three classes.
    pub observed_ci95: Option<[f64; 2]>,
}

/// Whether p means what it says, where genuine and impostor are equally likely beforehand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Expected calibration error: mean |mean p - observed| over the bins, by weight.
    pub ece: f64,
    /// Ten bins of equal width.
    pub bins: Vec<Bin>,
}

/// Same class, or not?
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Impostors of any two classes.
    pub any: Det,
    /// Impostors of one group; absent of one group.
    pub within_group: Option<Det>,
    /// The card's thresholds.
    pub points: Vec<PointMeasured>,
    /// Scores of pairs.
    pub histogram: Vec<Bar>,
    /// Calibration of p.
    pub reliability: Reliability,
}

/// Open-set identification at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenSetRates {
    /// The operating point.
    pub name: String,
    /// Its threshold.
    pub threshold: f32,
    /// False positive identification rate: strangers for whom somebody is named.
    pub fpir: Share,
    /// False negative identification rate: enrolled ones who are rejected or named wrongly.
    pub fnir: Share,
}

/// Open-set identification in galleries of one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenSet {
    /// Enrolled classes, one picture each.
    pub gallery: usize,
    /// At each of the card's thresholds.
    pub rates: Vec<OpenSetRates>,
}

/// A picture to show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Its group.
    pub group: String,
    /// Its class.
    pub class: String,
    /// The path within the data.
    pub source: String,
    /// The part of the picture that is looked at, as a PNG file.
    #[serde(skip)]
    pub picture: Vec<u8>,
    /// What the network sees, as a PNG file; dark ink on white where ink is 1.
    #[serde(skip)]
    pub patch: Vec<u8>,
}

/// A pair on the wrong side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HardPair {
    /// Its score.
    pub p: f32,
    /// One picture.
    pub a: Shown,
    /// The other.
    pub b: Shown,
}

/// Two classes that are taken for one another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// Pictures of one.
    pub a: Vec<Shown>,
    /// Pictures of the other.
    pub b: Vec<Shown>,
    /// Pictures of the one that were named as the other.
    pub a_as_b: u64,
    /// Of how many.
    pub a_probes: u64,
    /// The other way about.
    pub b_as_a: u64,
    /// Of how many.
    pub b_probes: u64,
}

/// Where it goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hardest {
    /// Two classes that look alike to it, the highest p first; one pair for each two classes.
    pub false_matches: Vec<HardPair>,
    /// One class that does not look alike to it, the lowest p first; one pair for each class.
    pub false_non_matches: Vec<HardPair>,
    /// The most confused classes where all are enrolled, one picture each.
    pub confusions: Vec<Confusion>,
    /// Galleries behind the confusions.
    pub confusion_galleries: usize,
}

/// The held-out pictures, numbered, and the distance of every two.
pub struct Held<'a> {
    data: &'a Dataset,
    embeddings: &'a Embeddings,
    /// By class: group, class within it, number of its first picture, how many it has.
    classes: Vec<Place>,
    /// The class of each picture.
    owner: Vec<usize>,
    /// pictures x pictures.
    distances: Vec<f32>,
    head: &'a Head,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Place {
    group: usize,
    class: usize,
    first: usize,
    count: usize,
}

/// Shortens `data` to [`MOST_PICTURES`], every class alike; whether anything was left out.
pub fn shorten(data: &mut Dataset) -> bool {
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

impl<'a> Held<'a> {
    /// The distances of all pictures of `data`, which was embedded as `embeddings`.
    pub fn new(data: &'a Dataset, embeddings: &'a Embeddings, head: &'a Head, seed: u64) -> Self {
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

    fn distance(&self, a: usize, b: usize) -> f32 {
        self.distances[a * self.owner.len() + b]
    }

    fn p(&self, a: usize, b: usize) -> f32 {
        self.head.probability(self.distance(a, b))
    }

    fn same_group(&self, a: usize, b: usize) -> bool {
        self.classes[a].group == self.classes[b].group
    }

    /// Whether "within a group" differs from "any two classes".
    fn has_groups(&self) -> bool {
        self.data.groups.len() > 1 && self.data.groups.iter().any(|g| g.classes.len() > 1)
    }

    fn shown(&self, picture: usize, input: &InputSpec) -> Shown {
        let place = self.classes[self.owner[picture]];
        let group = &self.data.groups[place.group];
        let class = &group.classes[place.class];
        show(
            &class.pictures[picture - place.first],
            &group.name,
            &class.name,
            input,
        )
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
    fn share(&self, tally: &[[u64; 2]]) -> Share {
        let classes = self.classes.iter().zip(tally);
        let met = classes.filter(|(_, [trials, _])| *trials > 0);
        let pictures = met.map(|(place, _)| place.count as u64).sum();
        share(tally, pictures, self.seed)
    }

    fn accuracy(&self, spec: TrialSpec) -> Result<(Accuracy, Vec<[u64; 2]>), String> {
        let tally = self.tally(spec)?;
        let mut groups: Vec<usize> = self
            .classes
            .iter()
            .zip(&tally)
            .filter(|(_, [trials, _])| *trials > 0)
            .map(|(place, _)| place.group)
            .collect();
        groups.dedup();
        let accuracy = Accuracy {
            ways: spec.ways,
            shots: spec.shots,
            within_group: spec.within_group,
            groups: groups.len(),
            right: self.share(&tally),
        };
        Ok((accuracy, tally))
    }

    /// The share that is right in trials like those of `other`, which were of the same data.
    ///
    /// # Errors
    /// In words, where no trial can be made.
    pub fn accuracy_like(&self, other: &Accuracy) -> Result<f64, String> {
        let tally = self.tally(TrialSpec {
            ways: other.ways,
            shots: other.shots,
            trials: TRIALS,
            within_group: other.within_group,
        })?;
        Ok(self.share(&tally).share)
    }

    /// Most ways that a trial of so many shots can have.
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

    /// Accuracy of random trials, by ways, shots and group.
    ///
    /// # Errors
    /// In words, where no trial can be made.
    pub fn identification(&self) -> Result<Identification, String> {
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
        Ok(Identification {
            headline,
            groups,
            ways: by_ways,
            shots: by_shots,
        })
    }

    /// p of every pair of pictures; the impostors of one group only where so asked.
    pub fn pair_scores(&self, within_group: bool) -> PairScores {
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

    /// Error rates of all pairs.
    ///
    /// # Errors
    /// In words, where there are no pairs of either kind.
    pub fn verification(
        &self,
        points: &[OperatingPoint],
        default_point: &str,
    ) -> Result<Verification, String> {
        let scores = self.pair_scores(false);
        let near = self
            .has_groups()
            .then(|| self.pair_scores(true))
            .filter(|near| !near.impostor.is_empty());
        let Some(eer) = metrics::eer(&scores.genuine, &scores.impostor) else {
            return Err(
                "Pairs need two held-out classes, and one of them two pictures.".to_owned(),
            );
        };
        let near_eer = near
            .as_ref()
            .and_then(|near| metrics::eer(&near.genuine, &near.impostor));
        let edges = (1..BINS).map(|edge| edge as f32 / BINS as f32);
        let fixed: Vec<f32> = points
            .iter()
            .map(|point| point.threshold)
            .chain(edges)
            .chain([eer.1])
            .chain(near_eer.map(|(_, threshold)| threshold))
            .collect();
        let mut grid = grid(&scores, &fixed);
        if let Some(near) = &near {
            grid.extend(self::grid(near, &[]));
        }
        grid.sort_by(f32::total_cmp);
        grid.dedup();

        let bins = self.bins(&grid);
        let draws = self.redraws();
        let any = self.det(&scores, &grid, &bins, &draws, false, eer);
        let within_group = near
            .as_ref()
            .zip(near_eer)
            .map(|(near, eer)| self.det(near, &grid, &bins, &draws, true, eer).0);
        let (any, redrawn) = any;
        let points = points.iter().map(|point| {
            let interval = |pick: &dyn Fn(&Rates, usize) -> f64| {
                let at = grid.iter().position(|t| *t == point.threshold)?;
                percentiles(redrawn.iter().map(|rates| pick(rates, at)).collect())
            };
            PointMeasured {
                name: point.name.clone(),
                is_default: point.name == default_point,
                threshold: point.threshold,
                fmr: metrics::fmr(&scores.impostor, point.threshold),
                fmr_ci95: interval(&|rates, at| rates.fmr[at]),
                fmr_within_group: near
                    .as_ref()
                    .map(|near| metrics::fmr(&near.impostor, point.threshold)),
                fnmr: metrics::fnmr(&scores.genuine, point.threshold),
                fnmr_ci95: interval(&|rates, at| rates.fnmr[at]),
                card: [point.fmr, point.fnmr],
            }
        });
        Ok(Verification {
            points: points.collect(),
            histogram: self.histogram(),
            reliability: reliability(&scores, &grid, &redrawn),
            any,
            within_group,
        })
    }

    /// For every two pictures the number of thresholds that accept them.
    fn bins(&self, grid: &[f32]) -> Vec<u16> {
        let bin = |&distance: &f32| {
            let p = self.head.probability(distance);
            u16::try_from(grid.partition_point(|threshold| *threshold <= p)).unwrap_or(u16::MAX)
        };
        self.distances.iter().map(bin).collect()
    }

    /// How often each class is drawn, in each redraw; none of too few classes.
    fn redraws(&self) -> Vec<Vec<u32>> {
        let count = self.classes.len();
        if count < LEAST_CLASSES {
            return Vec::new();
        }
        let redraw = |n: usize| {
            let mut rng = stream(self.seed, Purpose::ReportClasses, n as u64);
            let mut times = vec![0; count];
            for _ in 0..count {
                times[rng.random_range(0..count)] += 1;
            }
            times
        };
        (0..REDRAWS).map(redraw).collect()
    }

    /// Rates at each threshold where each class counts so many times; none where no pair is left.
    fn rates(
        &self,
        bins: &[u16],
        thresholds: usize,
        times: &[u32],
        within_group: bool,
    ) -> Option<Rates> {
        let pictures = self.owner.len();
        let (mut genuine, mut impostor) = (vec![0u64; thresholds + 1], vec![0u64; thresholds + 1]);
        for (c, place) in self.classes.iter().enumerate() {
            if times[c] == 0 {
                continue;
            }
            for a in place.first..place.first + place.count {
                let line = &bins[a * pictures..][..pictures];
                for &bin in &line[a + 1..place.first + place.count] {
                    genuine[usize::from(bin)] += u64::from(times[c]);
                }
                for (d, other) in self.classes.iter().enumerate().skip(c + 1) {
                    let weight = u64::from(times[c]) * u64::from(times[d]);
                    if weight == 0 || (within_group && other.group != place.group) {
                        continue;
                    }
                    for &bin in &line[other.first..other.first + other.count] {
                        impostor[usize::from(bin)] += weight;
                    }
                }
            }
        }
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        let (all_genuine, all_impostor) = (total(&genuine), total(&impostor));
        if all_genuine == 0 || all_impostor == 0 {
            return None;
        }
        let mut rates = Rates::default();
        let (mut rejected, mut accepted) = (0, all_impostor);
        for bin in 0..thresholds {
            rejected += genuine[bin];
            accepted -= impostor[bin];
            rates.fnmr.push(rejected as f64 / all_genuine as f64);
            rates.fmr.push(accepted as f64 / all_impostor as f64);
        }
        Some(rates)
    }

    fn det(
        &self,
        scores: &PairScores,
        grid: &[f32],
        bins: &[u16],
        draws: &[Vec<u32>],
        within_group: bool,
        (eer, eer_threshold): (f64, f32),
    ) -> (Det, Vec<Rates>) {
        let rates_of = |times: &Vec<u32>| self.rates(bins, grid.len(), times, within_group);
        let redrawn: Vec<Rates> = draws.par_iter().filter_map(rates_of).collect();
        let points: Vec<DetPoint> = match rates_of(&vec![1; self.classes.len()]) {
            Some(rates) => grid
                .iter()
                .zip(rates.fmr.iter().zip(&rates.fnmr))
                .map(|(&threshold, (&fmr, &fnmr))| DetPoint {
                    threshold,
                    fmr,
                    fnmr,
                })
                .collect(),
            None => Vec::new(),
        };
        let least = 3.0 / scores.impostor.len() as f64;
        let band = (4..)
            .map(|step| 10f64.powf(-f64::from(step) / 12.0))
            .take_while(|&fmr| fmr >= least)
            .filter_map(|fmr| {
                let at = redrawn.iter().map(|rates| rates.fnmr_at(fmr)).collect();
                percentiles(at).map(|[low, high]| BandPoint { fmr, low, high })
            });
        let det = Det {
            genuine_pairs: scores.genuine.len() as u64,
            impostor_pairs: scores.impostor.len() as u64,
            eer,
            eer_threshold,
            eer_ci95: percentiles(redrawn.iter().map(Rates::eer).collect()),
            points,
            band: band.collect(),
        };
        (det, redrawn)
    }

    /// Both histograms over the log-odds of p, which is bias - distance.
    fn histogram(&self) -> Vec<Bar> {
        let bias = f64::from(self.head.bias);
        let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
        for a in 0..self.owner.len() {
            for b in a + 1..self.owner.len() {
                let same = self.owner[a] == self.owner[b];
                let odds = bias - f64::from(self.distance(a, b));
                if same { &mut genuine } else { &mut impostor }.push(odds);
            }
        }
        let all = || genuine.iter().chain(&impostor).copied();
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        // The furthest impostors would squeeze the rest: one in 500 goes into the first bar.
        impostor.sort_by(f64::total_cmp);
        let low = impostor.get(impostor.len() / 500).copied();
        let low = low
            .unwrap_or(high)
            .min(genuine.iter().copied().fold(high, f64::min));
        if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) {
            return Vec::new();
        }
        let width = (high - low) / BARS as f64;
        let mut bars: Vec<Bar> = (0..BARS)
            .map(|i| Bar {
                low: low + i as f64 * width,
                high: low + (i + 1) as f64 * width,
                genuine: 0,
                impostor: 0,
            })
            .collect();
        let place = |odds: f64| (((odds - low) / width).max(0.0) as usize).min(BARS - 1);
        for odds in genuine {
            bars[place(odds)].genuine += 1;
        }
        for odds in impostor {
            bars[place(odds)].impostor += 1;
        }
        bars
    }

    /// Open-set identification at each of `points`, by gallery size, searched as `onelook eval --open-set` does, but
    /// without classes that trained.
    ///
    /// # Errors
    /// In words, where no gallery leaves a stranger.
    pub fn open_set(&self, points: &[OperatingPoint]) -> Result<Vec<OpenSet>, String> {
        let known = self.embeddings.concat();
        let usable = known.iter().filter(|pictures| pictures.len() > 1).count();
        let most = openset::most_enrolled(usable);
        if most == 0 {
            return Err(
                "A gallery needs a held-out class of two pictures, and another such class for a stranger."
                    .to_owned(),
            );
        }
        let sizes = openset::SIZES.into_iter().filter(|&size| size <= most);
        sizes
            .map(|size| self.open_set_of(&known, size, points))
            .collect()
    }

    fn open_set_of(
        &self,
        known: &[openset::Class],
        gallery: usize,
        points: &[OperatingPoint],
    ) -> Result<OpenSet, String> {
        let spec = openset::Spec {
            shots: 1,
            searches: TRIALS,
            seed: self.seed,
        };
        let searches = openset::searches(known, &[], self.head, gallery, spec)?;
        let tally = |mated: bool, is_wrong: &dyn Fn(&Search) -> bool| {
            let mut tally = vec![[0u64, 0u64]; known.len()];
            for search in searches.iter().filter(|search| search.mated == mated) {
                tally[search.class][0] += 1;
                tally[search.class][1] += u64::from(is_wrong(search));
            }
            tally
        };
        let combinations = self.owner.len() * self.classes.len().saturating_sub(1);
        let rates = points.iter().map(|point| {
            let accepts = |search: &Search| search.p >= point.threshold;
            let strange = tally(false, &accepts);
            let mated = tally(true, &|search| !search.right || !accepts(search));
            OpenSetRates {
                name: point.name.clone(),
                threshold: point.threshold,
                fpir: share(&strange, combinations as u64, self.seed),
                fnir: self.share(&mated),
            }
        });
        Ok(OpenSet {
            gallery,
            rates: rates.collect(),
        })
    }

    /// The least distance of `probe` to any of `templates` (class, picture), and whose that is;
    /// nobody's of a tie.
    fn nearest(&self, templates: &[(usize, usize)], probe: usize) -> (f32, Option<usize>) {
        let mut nearest = (f32::INFINITY, None);
        for &(class, template) in templates {
            let distance = self.distance(template, probe);
            if distance < nearest.0 {
                nearest = (distance, Some(class));
            } else if distance == nearest.0 {
                nearest.1 = None;
            }
        }
        nearest
    }

    /// The pairs on the wrong side, and the classes that are taken for one another.
    pub fn hardest(&self, input: &InputSpec) -> Hardest {
        let pair = |(distance, a, b): (f32, usize, usize)| HardPair {
            p: self.head.probability(distance),
            a: self.shown(a, input),
            b: self.shown(b, input),
        };
        let (mut matches, mut non_matches) = (Vec::new(), Vec::new());
        for (c, place) in self.classes.iter().enumerate() {
            let own = place.first..place.first + place.count;
            let mut furthest: Option<(f32, usize, usize)> = None;
            for a in own.clone() {
                for b in a + 1..own.end {
                    let distance = self.distance(a, b);
                    if furthest.is_none_or(|(most, ..)| distance > most) {
                        furthest = Some((distance, a, b));
                    }
                }
            }
            non_matches.extend(furthest);
            for other in &self.classes[c + 1..] {
                let mut nearest: Option<(f32, usize, usize)> = None;
                for a in own.clone() {
                    for b in other.first..other.first + other.count {
                        let distance = self.distance(a, b);
                        if nearest.is_none_or(|(least, ..)| distance < least) {
                            nearest = Some((distance, a, b));
                        }
                    }
                }
                matches.extend(nearest);
            }
        }
        matches.sort_by(|a, b| a.0.total_cmp(&b.0));
        non_matches.sort_by(|a, b| b.0.total_cmp(&a.0));
        Hardest {
            false_matches: matches.into_iter().take(EXAMPLES).map(pair).collect(),
            false_non_matches: non_matches.into_iter().take(EXAMPLES).map(pair).collect(),
            confusions: self.confusions(input),
            confusion_galleries: CONFUSION_GALLERIES,
        }
    }

    fn confusions(&self, input: &InputSpec) -> Vec<Confusion> {
        let count = self.classes.len();
        let mut named = std::collections::BTreeMap::<(usize, usize), u64>::new();
        let mut probes = vec![0u64; count];
        for n in 0..CONFUSION_GALLERIES {
            let mut rng = stream(self.seed, Purpose::ReportConfusions, n as u64);
            let templates: Vec<(usize, usize)> = self
                .classes
                .iter()
                .enumerate()
                .map(|(c, place)| (c, place.first + rng.random_range(0..place.count.max(1))))
                .collect();
            for probe in 0..self.owner.len() {
                let class = self.owner[probe];
                if templates[class].1 == probe {
                    continue;
                }
                probes[class] += 1;
                if let Some(other) = self.nearest(&templates, probe).1
                    && other != class
                {
                    *named.entry((class, other)).or_default() += 1;
                }
            }
        }
        let times = |from, to| named.get(&(from, to)).copied().unwrap_or(0);
        let mut pairs: Vec<(u64, usize, usize)> = named
            .keys()
            .map(|&(c, d)| (c.min(d), c.max(d)))
            .map(|(c, d)| (times(c, d) + times(d, c), c, d))
            .collect();
        pairs.sort_by(|a, b| (b.0, a.1, a.2).cmp(&(a.0, b.1, b.2)));
        pairs.dedup();
        let pictures = |class: usize| {
            let place = self.classes[class];
            let some = place.first..place.first + place.count.min(3);
            some.map(|picture| self.shown(picture, input)).collect()
        };
        let confusion = |(_, c, d): (u64, usize, usize)| Confusion {
            a: pictures(c),
            b: pictures(d),
            a_as_b: times(c, d),
            a_probes: probes[c],
            b_as_a: times(d, c),
            b_probes: probes[d],
        };
        pairs.into_iter().take(CONFUSIONS).map(confusion).collect()
    }
}

/// A picture as a person and as the network sees it; empty where it cannot be drawn.
pub fn show(picture: &crate::data::Picture, group: &str, class: &str, input: &InputSpec) -> Shown {
    let limit_px = if picture.frame.channels() == 1 {
        96
    } else {
        72
    };
    let kept = keepsake(&picture.frame, input, limit_px);
    Shown {
        group: group.to_owned(),
        class: class.to_owned(),
        source: picture.source.clone(),
        picture: kept
            .ok()
            .and_then(|frame| frame.to_png().ok())
            .unwrap_or_default(),
        patch: patch_png(&picture.frame, input).unwrap_or_default(),
    }
}

fn patch_png(frame: &Frame, input: &InputSpec) -> Option<Vec<u8>> {
    use onelook_edge::vision::preprocess::Scaling;
    let numbers = patch(frame, input).ok()?.0;
    let plane = input.side_px * input.side_px;
    let sample = |i: usize| {
        let v = numbers[i % input.channels * plane + i / input.channels];
        let v = match input.scaling {
            Scaling::InkIsOne => 1.0 - v,
            Scaling::Unit => v,
        };
        (255.0 * v).round().clamp(0.0, 255.0) as u8
    };
    let pixels = (0..numbers.len()).map(sample).collect();
    Frame::new(input.side_px, input.side_px, input.channels, pixels)
        .ok()?
        .to_png()
        .ok()
}

/// Rates at each threshold of a grid.
#[derive(Clone, Debug, Default)]
struct Rates {
    fmr: Vec<f64>,
    fnmr: Vec<f64>,
}

impl Rates {
    /// FNMR where FMR is `rate`, between thresholds along a line.
    fn fnmr_at(&self, rate: f64) -> f64 {
        let at = self.fmr.partition_point(|&fmr| fmr > rate);
        let last = |rates: &[f64]| rates.last().copied().unwrap_or(0.0);
        if at == self.fmr.len() {
            return last(&self.fnmr);
        }
        if at == 0 {
            return self.fnmr[0];
        }
        let (high, low) = (self.fmr[at - 1], self.fmr[at]);
        let part = (high - rate) / (high - low).max(f64::MIN_POSITIVE);
        self.fnmr[at - 1] + part * (self.fnmr[at] - self.fnmr[at - 1])
    }

    /// The mean of FMR and FNMR where they are nearest to one another.
    fn eer(&self) -> f64 {
        let rates = self.fmr.iter().zip(&self.fnmr);
        let nearest = rates.min_by(|a, b| (a.0 - a.1).abs().total_cmp(&(b.0 - b.1).abs()));
        nearest.map_or(0.0, |(fmr, fnmr)| (fmr + fnmr) / 2.0)
    }
}

/// Thresholds at which both error rates are sampled evenly in their logarithm, and `fixed`.
fn grid(scores: &PairScores, fixed: &[f32]) -> Vec<f32> {
    let mut grid = fixed.to_vec();
    let mut impostor = scores.impostor.clone();
    impostor.sort_by(|a, b| b.total_cmp(a));
    let mut genuine = scores.genuine.clone();
    genuine.sort_by(f32::total_cmp);
    for sorted in [impostor, genuine] {
        for step in 0.. {
            let rank = 10f64.powf(-f64::from(step) / 24.0) * sorted.len() as f64;
            let Some(score) = sorted.get((rank as usize).saturating_sub(1)) else {
                break;
            };
            grid.push(*score);
            if rank < 1.0 {
                break;
            }
        }
    }
    grid
}

fn reliability(scores: &PairScores, grid: &[f32], redrawn: &[Rates]) -> Reliability {
    let place = |p: f32| {
        let edges = (1..BINS).map(|edge| edge as f32 / BINS as f32);
        edges.take_while(|edge| p >= *edge).count()
    };
    let weight = |scores: &[f32]| 1.0 / (2 * scores.len()).max(1) as f64;
    let weights = [weight(&scores.genuine), weight(&scores.impostor)];
    let mut counts = [[0u64; 2]; BINS];
    let mut sums = [0.0f64; BINS];
    for (kind, scores) in [&scores.genuine, &scores.impostor].into_iter().enumerate() {
        for &p in scores {
            counts[place(p)][kind] += 1;
            sums[place(p)] += weights[kind] * f64::from(p);
        }
    }
    let mut ece = 0.0;
    let bins = (0..BINS).map(|bin| {
        let [genuine, impostor] = counts[bin];
        let (g, i) = (genuine as f64 * weights[0], impostor as f64 * weights[1]);
        let is_empty = genuine + impostor == 0;
        let (mean, observed) = (sums[bin] / (g + i), g / (g + i));
        if !is_empty {
            ece += (g + i) * (mean - observed).abs();
        }
        let edge = |edge: usize| {
            let p = edge as f32 / BINS as f32;
            grid.iter().position(|threshold| *threshold == p)
        };
        let shares = redrawn.iter().filter_map(|rates| {
            let below = |rates: &[f64], at: usize, first: f64, last: f64| match at {
                0 => Some(first),
                BINS => Some(last),
                _ => Some(rates[edge(at)?]),
            };
            let genuine =
                below(&rates.fnmr, bin + 1, 0.0, 1.0)? - below(&rates.fnmr, bin, 0.0, 1.0)?;
            let impostor =
                below(&rates.fmr, bin, 1.0, 0.0)? - below(&rates.fmr, bin + 1, 1.0, 0.0)?;
            (genuine + impostor > 0.0).then(|| genuine / (genuine + impostor))
        });
        Bin {
            low: bin as f64 / BINS as f64,
            high: (bin + 1) as f64 / BINS as f64,
            genuine,
            impostor,
            mean_p: (!is_empty).then_some(mean),
            observed: (!is_empty).then_some(observed),
            observed_ci95: if is_empty {
                None
            } else {
                percentiles(shares.collect())
            },
        }
    });
    let bins = bins.collect();
    Reliability { ece, bins }
}

/// A share of counts by class, [of, count] each; `distinct` trials tell something new.
fn share(tally: &[[u64; 2]], distinct: u64, seed: u64) -> Share {
    let sum = |which: usize| tally.iter().map(|counts| counts[which]).sum::<u64>();
    let (of, count) = (sum(0), sum(1));
    let share = count as f64 / of.max(1) as f64;
    let told = of.min(distinct);
    let wilson = metrics::wilson((share * told as f64).round() as u64, told);
    let classes: Vec<&[u64; 2]> = tally.iter().filter(|counts| counts[0] > 0).collect();
    let redraw = |n: usize| {
        let mut rng = stream(seed, Purpose::ReportShares, n as u64);
        let mut total = [0, 0];
        for _ in 0..classes.len() {
            let drawn = classes[rng.random_range(0..classes.len())];
            total = [total[0] + drawn[0], total[1] + drawn[1]];
        }
        total[1] as f64 / total[0].max(1) as f64
    };
    let redrawn = if classes.len() < LEAST_CLASSES {
        Vec::new()
    } else {
        (0..2 * REDRAWS).map(redraw).collect()
    };
    let [low, high] = percentiles(redrawn).unwrap_or(wilson);
    Share {
        count,
        of,
        share,
        ci95: [low.min(wilson[0]), high.max(wilson[1])],
    }
}

/// The 2.5th and 97.5th percentile; none of fewer than forty numbers.
fn percentiles(mut values: Vec<f64>) -> Option<[f64; 2]> {
    if values.len() < 40 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[(part * (values.len() - 1) as f64).round() as usize];
    Some([at(0.025), at(0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Class, Group, Picture};
    use crate::measure::eval;

    /// Groups of classes of pictures, each embedded as one number.
    fn embedded(groups: &[&[&[f32]]]) -> (Dataset, Embeddings) {
        let picture = |_: &f32| Picture {
            source: "a.png".to_owned(),
            drawer: None,
            frame: Frame::from_fn(9, 9, |x, y| if x == 4 || y == 2 { 0 } else { 255 }),
        };
        let class = |(c, pictures): (usize, &&[f32])| Class {
            name: format!("class{c}"),
            pictures: pictures.iter().map(picture).collect(),
        };
        let group = |(g, classes): (usize, &&[&[f32]])| Group {
            name: format!("group{g}"),
            classes: classes.iter().enumerate().map(class).collect(),
        };
        let data = Dataset {
            name: "by hand".to_owned(),
            groups: groups.iter().enumerate().map(group).collect(),
            skipped: Vec::new(),
        };
        let numbers = |classes: &&[&[f32]]| {
            let class = |pictures: &&[f32]| pictures.iter().map(|&x| vec![x]).collect();
            classes.iter().map(class).collect()
        };
        (data, groups.iter().map(numbers).collect())
    }

    fn head() -> Head {
        Head {
            alpha: vec![1.0],
            bias: 2.0,
        }
    }

    fn point(name: &str, threshold: f32) -> OperatingPoint {
        OperatingPoint {
            name: name.to_owned(),
            threshold,
            fmr: 0.0,
            fmr_ci95: [0.0; 2],
            fnmr: 0.0,
            fnmr_ci95: [0.0; 2],
            genuine_pairs: 0,
            impostor_pairs: 0,
        }
    }

    const UNEVEN: &[&[&[f32]]] = &[
        &[&[0.0, 0.4, 3.0], &[2.5, 2.6], &[9.0]],
        &[&[0.1, 5.0], &[7.0, 7.5, 6.0, 2.0]],
    ];

    #[test]
    fn accuracies_are_those_of_eval() {
        let (data, embeddings) = embedded(UNEVEN);
        let head = head();
        let held = Held::new(&data, &embeddings, &head, 3);
        let found = held.identification().unwrap();
        assert!(found.headline.within_group && found.headline.ways == 2);
        for accuracy in found.ways.iter().chain(&found.shots) {
            let spec = TrialSpec {
                ways: accuracy.ways,
                shots: accuracy.shots,
                trials: TRIALS,
                within_group: accuracy.within_group,
            };
            let other =
                eval::trials(&embeddings, &head, &data, spec, eval::Rule::Device, 3).unwrap();
            assert_eq!(
                (accuracy.right.count, accuracy.right.of),
                (other.correct, other.trials)
            );
        }
        let by_group: u64 = found.groups.iter().map(|group| group.right.count).sum();
        assert_eq!(by_group, found.headline.right.count);
    }

    #[test]
    fn the_curve_goes_through_the_rates_of_metrics() {
        let (data, embeddings) = embedded(UNEVEN);
        let head = head();
        let held = Held::new(&data, &embeddings, &head, 3);
        let points = [point("a", 0.5), point("b", 0.8)];
        let found = held.verification(&points, "b").unwrap();
        // 3 + 1 + 0 + 1 + 6 of the 66 pairs of 12 pictures; of one group 3 x 2 + 3 + 2 and 2 x 4.
        assert_eq!(
            (found.any.genuine_pairs, found.any.impostor_pairs),
            (11, 55)
        );
        assert_eq!(found.within_group.as_ref().unwrap().impostor_pairs, 11 + 8);
        let scores = held.pair_scores(false);
        for at in &found.any.points {
            let fmr = metrics::fmr(&scores.impostor, at.threshold);
            let fnmr = metrics::fnmr(&scores.genuine, at.threshold);
            assert!((at.fmr - fmr).abs() < 1e-12 && (at.fnmr - fnmr).abs() < 1e-12);
        }
        assert_eq!(
            found.points[1].fmr,
            metrics::fmr(&scores.impostor, found.points[1].threshold)
        );
        assert!(found.points[1].is_default && !found.points[0].is_default);
        let pairs = |of: fn(&Bin) -> u64| found.reliability.bins.iter().map(of).sum::<u64>();
        assert_eq!(
            (pairs(|bin| bin.genuine), pairs(|bin| bin.impostor)),
            (11, 55)
        );
        let bars = |of: fn(&Bar) -> u64| found.histogram.iter().map(of).sum::<u64>();
        assert_eq!(
            (bars(|bar| bar.genuine), bars(|bar| bar.impostor)),
            (11, 55)
        );
    }

    #[test]
    fn a_class_drawn_twice_counts_as_two() {
        let (data, embeddings) = embedded(&[&[&[0.0, 1.0], &[5.0, 7.0], &[9.0]]]);
        let head = head();
        let held = Held::new(&data, &embeddings, &head, 1);
        let grid = [0.5];
        let rates = |times: &[u32]| held.rates(&held.bins(&grid), 1, times, false);
        // p reaches 0.5 where the distance is at most 2: 0-1 and 5-7, and 7-9 of two classes.
        let plain = rates(&[1, 1, 1]).unwrap();
        assert_eq!((plain.fmr[0], plain.fnmr[0]), (1.0 / 8.0, 0.0));
        // Pairs of the second and third class count 1 x 2, of the first and third 2 x 2.
        let drawn = rates(&[2, 1, 2]).unwrap();
        assert_eq!(drawn.fmr[0], 2.0 / (4.0 * 2.0 + 2.0 * 4.0 + 2.0 * 2.0));
        assert!(rates(&[0, 0, 3]).is_none());
    }

    #[test]
    fn strangers_and_ties_in_galleries_by_hand() {
        let points = [point("low", 0.5), point("high", 0.95)];
        let head = head();
        // Far apart: nobody is mistaken; a distance of 1 gives p 0.73.
        let (data, embeddings) = embedded(&[&[&[0.0, 1.0], &[50.0, 51.0], &[90.0, 91.0]]]);
        let held = Held::new(&data, &embeddings, &head, 1);
        let found = held.open_set(&points).unwrap();
        assert_eq!(
            found.iter().map(|size| size.gallery).collect::<Vec<_>>(),
            [1, 2]
        );
        for size in &found {
            let [low, high] = &size.rates[..] else {
                panic!()
            };
            assert_eq!((low.fpir.share, low.fnir.share), (0.0, 0.0));
            assert_eq!((high.fpir.share, high.fnir.share), (0.0, 1.0));
        }
        // All alike: a stranger is always named, but of two that are as near neither is.
        let (data, embeddings) = embedded(&[&[&[1.0, 1.0], &[1.0, 1.0], &[1.0, 1.0]]]);
        let held = Held::new(&data, &embeddings, &head, 1);
        let found = held.open_set(&points[..1]).unwrap();
        let rates = |at: usize| (found[at].rates[0].fpir.share, found[at].rates[0].fnir.share);
        assert_eq!((rates(0), rates(1)), ((1.0, 0.0), (0.0, 1.0)));
    }

    #[test]
    fn the_calibration_error_by_hand() {
        let scores = PairScores {
            genuine: vec![0.95, 0.95, 0.95, 0.15],
            impostor: vec![0.15, 0.95],
        };
        let found = reliability(&scores, &[], &[]);
        // Weights 1/8 and 1/4: at 0.95 three eighths of five eighths are genuine, at 0.15 one of three.
        let expected = 0.625 * (0.95 - 0.6) + 0.375 * (1.0 / 3.0 - 0.15);
        assert!((found.ece - expected).abs() < 1e-6, "{}", found.ece);
        assert_eq!(found.bins[9].observed, Some(0.6));
        assert_eq!((found.bins[1].genuine, found.bins[1].impostor), (1, 1));
        assert_eq!(found.bins[5].mean_p, None);
    }

    #[test]
    fn the_hardest_pairs_lead_their_lists() {
        let (data, embeddings) = embedded(UNEVEN);
        let head = head();
        let held = Held::new(&data, &embeddings, &head, 1);
        let input = InputSpec {
            channels: 1,
            side_px: 8,
            crop: onelook_edge::vision::preprocess::Crop::Frame,
            scaling: onelook_edge::vision::preprocess::Scaling::Unit,
        };
        let found = held.hardest(&input);
        // 0.0 and 0.1 of two groups; 7.5 and 2.0 of one class.
        let first = &found.false_matches[0];
        assert_eq!(first.p, head.probability(0.1));
        assert_eq!((&*first.a.group, &*first.b.group), ("group0", "group1"));
        assert_eq!(found.false_non_matches[0].p, head.probability(5.5));
        assert_eq!(found.false_non_matches.len(), 4);
        assert!(found.false_matches.is_sorted_by(|a, b| a.p >= b.p));
        assert!(!first.a.picture.is_empty() && !first.a.patch.is_empty());
    }

    #[test]
    fn where_there_is_too_little_a_sentence_says_so() {
        let head = head();
        let few: [&[&[&[f32]]]; 3] = [&[], &[&[&[0.0, 1.0]]], &[&[&[0.0], &[1.0]]]];
        for groups in few {
            let (data, embeddings) = embedded(groups);
            let held = Held::new(&data, &embeddings, &head, 1);
            assert!(held.identification().is_err());
            assert!(held.verification(&[point("a", 0.5)], "a").is_err());
            assert!(held.open_set(&[point("a", 0.5)]).is_err());
        }
    }

    #[test]
    fn an_interval_holds_the_share_and_is_wider_where_classes_differ() {
        let even = share(&[[100, 50]; 8], 800, 1);
        let uneven = share(&[[100, 100], [100, 0]].repeat(4), 800, 1);
        assert_eq!((even.share, uneven.share), (0.5, 0.5));
        let width = |share: Share| share.ci95[1] - share.ci95[0];
        assert!(width(uneven) > 3.0 * width(even), "{uneven:?} {even:?}");
        assert_eq!(share(&[], 0, 1).ci95, [0.0, 1.0]);
        // A thousand trials with the same ten pictures are ten.
        let few = share(&[[500, 500]; 2], 10, 1);
        assert_eq!(few.ci95, metrics::wilson(10, 10));
    }
}
