//! Same class, or not? Error rates of all pairs by threshold, and the histograms of their scores.

use onelook_edge::model::OperatingPoint;
use rayon::prelude::*;

use super::held::HeldOutSet;
use super::intervals::{percentiles, redraws};
use super::reliability::{BINS, reliability};
use super::{BandPoint, Bar, Det, DetPoint, PointRates, VerificationFigures};
use crate::measure::eval::PairScores;
use crate::measure::metrics;

/// Bars of the score histograms.
const BARS: usize = 60;

impl HeldOutSet<'_> {
    /// Error rates of all pairs.
    ///
    /// # Errors
    /// In words, where there are no pairs of either kind.
    pub(crate) fn verification(
        &self,
        points: &[OperatingPoint],
        default_point: &str,
    ) -> Result<VerificationFigures, String> {
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
        let draws = redraws(self.classes.len(), self.seed);
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
            PointRates {
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
        Ok(VerificationFigures {
            points: points.collect(),
            histogram: self.histogram(),
            reliability: reliability(&scores, &grid, &redrawn),
            any,
            within_group,
        })
    }

    /// For every two pictures the number of thresholds that accept them.
    pub(super) fn bins(&self, grid: &[f32]) -> Vec<u16> {
        let bin = |&distance: &f32| {
            let p = self.head.probability(distance);
            u16::try_from(grid.partition_point(|threshold| *threshold <= p)).unwrap_or(u16::MAX)
        };
        self.distances.iter().map(bin).collect()
    }

    /// Rates at each threshold where each class counts as often as `times` says; none where no pair is left.
    pub(super) fn rates(
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
}

/// Rates at each threshold of a grid.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    pub(super) fmr: Vec<f64>,
    pub(super) fnmr: Vec<f64>,
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
