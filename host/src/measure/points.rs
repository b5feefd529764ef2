//! Sets thresholds on pairs of validation pictures and says how sure they are: error rates with
//! intervals from resampled classes, and the upper tail of impostor scores that the device turns a
//! target FPIR into a threshold with. Plain numbers and embeddings: knows no models or files.
//!
//! Pairs that share a class are not independent, so classes are what is resampled, with replacement,
//! and a pair counts as often as both of its classes were drawn together (subsets bootstrap; Bolle,
//! Ratha and Pankanti 2004). Pairs are counted by pair of classes once, so a resample costs no more
//! than there are pairs of classes with an error.

use onelook_edge::gallery::decide::TailPoint;
use onelook_edge::gallery::head::Head;
use onelook_edge::model::OperatingPoint;
use rand::RngExt;

use crate::measure::eval::PairScores;
use crate::measure::metrics;
use crate::random::{Purpose, stream};

/// Resamples behind an interval.
pub(crate) const RESAMPLES: usize = 1000;
/// Pictures whose pairs are compared, at most.
const PICTURES: usize = 4000;
/// False match rates of the tail, as far as the number of pairs carries them.
const TAIL: [f64; 19] = [
    0.5, 0.2, 0.1, 5e-2, 2e-2, 1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6,
    2e-6, 1e-6, 5e-7,
];

/// Two pictures, compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// The classes they show, counted over all groups, the lower one first.
    pub(crate) classes: [u32; 2],
    /// Weighted L1 distance of their embeddings.
    pub(crate) distance: f32,
}

impl Pair {
    /// Whether both show the same class.
    pub(crate) fn is_genuine(&self) -> bool {
        self.classes[0] == self.classes[1]
    }
}

/// Pictures of several classes, every two compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    /// Pictures of each class.
    pub(crate) pictures: Vec<usize>,
    /// Every two of them.
    pub(crate) list: Vec<Pair>,
}

impl Pairs {
    /// Compares every two pictures, genuine within a class and impostor between any two classes;
    /// where there are many, of equally many pictures of each class.
    pub(crate) fn of(classes: &[&Vec<Vec<f32>>], head: &Head) -> Self {
        let classes = &classes[..classes.len().min(PICTURES / 2)];
        let share = (PICTURES / classes.len().max(1)).max(2);
        let taken = classes
            .iter()
            .map(|pictures| &pictures[..pictures.len().min(share)]);
        let embeddings: Vec<(u32, &Vec<f32>)> = (0..)
            .zip(taken.clone())
            .flat_map(|(class, pictures)| pictures.iter().map(move |p| (class, p)))
            .collect();
        let mut list = Vec::with_capacity(embeddings.len() * embeddings.len() / 2);
        for (i, (class, a)) in embeddings.iter().enumerate() {
            list.extend(embeddings[i + 1..].iter().map(|(other, b)| Pair {
                classes: [*class, *other],
                distance: head.distance(a, b),
            }));
        }
        Self {
            pictures: taken.map(<[_]>::len).collect(),
            list,
        }
    }

    /// p of each pair as `p` has it.
    pub(crate) fn scores(&self, p: impl Fn(&Pair) -> f32) -> PairScores {
        let of_kind = |genuine: bool| {
            let kind = self.list.iter().filter(|pair| pair.is_genuine() == genuine);
            kind.map(&p).collect()
        };
        PairScores {
            genuine: of_kind(true),
            impostor: of_kind(false),
        }
    }

    /// How many of the pairs that `counts` there are of each two classes; those of none left out.
    fn count(&self, counts: impl Fn(&Pair) -> bool) -> Vec<([usize; 2], f64)> {
        let classes = self.pictures.len();
        let mut table = vec![0u32; classes * classes];
        for pair in self.list.iter().filter(|pair| counts(pair)) {
            table[pair.classes[0] as usize * classes + pair.classes[1] as usize] += 1;
        }
        let found = table.iter().enumerate().filter(|(_, count)| **count > 0);
        found
            .map(|(at, count)| ([at / classes, at % classes], f64::from(*count)))
            .collect()
    }

    /// FMR in each draw of classes, where the impostor pairs `accepted` are counted by classes.
    fn fmr_in(&self, draws: &[Vec<u32>], accepted: &[([usize; 2], f64)]) -> Vec<f64> {
        let in_draw = |times: &Vec<u32>| {
            let drawn = times.iter().zip(&self.pictures);
            let pictures: Vec<f64> = drawn.map(|(t, n)| f64::from(*t) * *n as f64).collect();
            let all: f64 = pictures.iter().sum();
            // A class that was drawn twice makes no impostor pairs with itself.
            let impostor = (all * all - pictures.iter().map(|n| n * n).sum::<f64>()) / 2.0;
            let each = accepted.iter();
            let wrong = each.map(|([a, b], count)| f64::from(times[*a] * times[*b]) * count);
            wrong.sum::<f64>() / impostor.max(1.0)
        };
        draws.iter().map(in_draw).collect()
    }

    /// FNMR in each draw of classes, where the genuine pairs `rejected` are counted by class.
    fn fnmr_in(&self, draws: &[Vec<u32>], rejected: &[([usize; 2], f64)]) -> Vec<f64> {
        let in_draw = |times: &Vec<u32>| {
            let of_class =
                |(t, n): (&u32, &usize)| f64::from(*t) * (n * n.saturating_sub(1) / 2) as f64;
            let genuine: f64 = times.iter().zip(&self.pictures).map(of_class).sum();
            let wrong = rejected
                .iter()
                .map(|([a, _], count)| f64::from(times[*a]) * count);
            wrong.sum::<f64>() / genuine.max(1.0)
        };
        draws.iter().map(in_draw).collect()
    }
}

/// How often each class is drawn, for each of [`RESAMPLES`] draws of as many classes as there are.
pub(crate) fn draws(classes: usize, seed: u64) -> Vec<Vec<u32>> {
    let draw = |n: usize| {
        let mut rng = stream(seed, Purpose::Bootstrap, n as u64);
        let mut times = vec![0; classes];
        for _ in 0..classes {
            times[rng.random_range(0..classes)] += 1;
        }
        times
    };
    (0..RESAMPLES).map(draw).collect()
}

/// The 95 % interval of a rate that was resampled, by percentiles: [low, high].
///
/// Where no error was seen among `units` independent ones, resamples show none either; the upper end
/// is then 3 / `units` (rule of three, Hanley and Lippman-Hand 1983).
pub(crate) fn interval(mut resampled: Vec<f64>, units: usize) -> [f64; 2] {
    resampled.sort_by(f64::total_cmp);
    let at = |share: f64| resampled.get((share * resampled.len() as f64) as usize);
    match (at(0.025), at(0.975), resampled.last()) {
        (Some(low), Some(high), Some(most)) if *most > 0.0 => [*low, *high],
        _ => [0.0, (3.0 / units.max(1) as f64).min(1.0)],
    }
}

/// Thresholds and what they cost.
pub(crate) struct Points {
    /// What the number of pairs can carry of EER and FMR 1e-2, 1e-3, 1e-4.
    pub(crate) operating: Vec<OperatingPoint>,
    /// The upper tail of impostor scores.
    pub(crate) tail: Vec<TailPoint>,
}

/// Sets thresholds under `head`, with which `pairs` were compared; `seed` resamples the classes.
pub(crate) fn set(pairs: &Pairs, head: &Head, seed: u64) -> Points {
    let p = |pair: &Pair| head.probability(pair.distance);
    let scores = pairs.scores(p);
    let classes = pairs.pictures.len();
    let draws = draws(classes, seed);
    let fmr_ci95 = |threshold: f32| {
        let accepted = pairs.count(|pair| !pair.is_genuine() && p(pair) >= threshold);
        let units = classes * classes.saturating_sub(1) / 2;
        interval(pairs.fmr_in(&draws, &accepted), units)
    };
    let fnmr_ci95 = |threshold: f32| {
        let rejected = pairs.count(|pair| pair.is_genuine() && p(pair) < threshold);
        interval(pairs.fnmr_in(&draws, &rejected), classes)
    };
    let PairScores { genuine, impostor } = &scores;
    let point = |name: &str, threshold: f32| OperatingPoint {
        name: name.to_owned(),
        threshold,
        fmr: metrics::fmr(impostor, threshold),
        fmr_ci95: fmr_ci95(threshold),
        fnmr: metrics::fnmr(genuine, threshold),
        fnmr_ci95: fnmr_ci95(threshold),
        genuine_pairs: genuine.len() as u64,
        impostor_pairs: impostor.len() as u64,
    };
    let equal = metrics::eer(genuine, impostor).map(|(_, threshold)| point("eer", threshold));
    let rates = [("fmr_1e-2", 1e-2), ("fmr_1e-3", 1e-3), ("fmr_1e-4", 1e-4)];
    let set = rates.iter().filter_map(|(name, rate)| {
        let threshold = metrics::threshold_at_fmr(impostor, *rate)?;
        // Where impostors reach p = 1 there is no such threshold.
        (threshold <= 1.0).then(|| point(name, threshold))
    });
    let mut tail: Vec<TailPoint> = Vec::new();
    for rate in TAIL {
        let Some(threshold) = metrics::threshold_at_fmr(impostor, rate) else {
            break;
        };
        let [_, upper] = fmr_ci95(threshold);
        let fmr_upper = upper.max(3.0 / impostor.len() as f64);
        let stricter = tail
            .last()
            .is_none_or(|last| threshold > last.threshold && fmr_upper < last.fmr_upper);
        if stricter && threshold > 0.0 && threshold < 1.0 && fmr_upper < 1.0 {
            tail.push(TailPoint {
                threshold,
                fmr: metrics::fmr(impostor, threshold),
                fmr_upper,
            });
        }
    }
    Points {
        operating: equal.into_iter().chain(set).collect(),
        tail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            alpha: vec![1.0],
            bias: 2.0,
        }
    }

    /// Classes on a line, some nearer than others, with 3, 1, 2, 4 and 2 pictures.
    fn classes() -> Vec<Vec<Vec<f32>>> {
        let class = |places: &[f32]| places.iter().map(|x| vec![*x]).collect();
        vec![
            class(&[0.0, 0.5, 1.1]),
            class(&[3.0]),
            class(&[3.9, 6.1]),
            class(&[6.0, 6.2, 6.7, 9.0]),
            class(&[9.1, 12.0]),
        ]
    }

    /// The rates of a resample with every drawn copy of a picture written out: two copies of a
    /// class are two columns of a table, and no pair is made between them.
    fn brute_force(times: &[u32], threshold: f32) -> [f64; 2] {
        let mut copies: Vec<(usize, Vec<f32>)> = Vec::new();
        for (class, pictures) in classes().iter().enumerate() {
            for _ in 0..times[class] {
                copies.push((class, pictures.iter().map(|p| p[0]).collect()));
            }
        }
        let p = |a: f32, b: f32| head().probability((a - b).abs());
        let (mut accepted, mut impostor, mut rejected, mut genuine) = (0, 0, 0, 0);
        for (i, (class, pictures)) in copies.iter().enumerate() {
            for (k, a) in pictures.iter().enumerate() {
                for b in &pictures[k + 1..] {
                    genuine += 1;
                    rejected += usize::from(p(*a, *b) < threshold);
                }
                for (_, others) in copies[i + 1..].iter().filter(|(other, _)| other != class) {
                    for b in others {
                        impostor += 1;
                        accepted += usize::from(p(*a, *b) >= threshold);
                    }
                }
            }
        }
        [
            accepted as f64 / f64::max(f64::from(impostor), 1.0),
            rejected as f64 / f64::max(genuine as f64, 1.0),
        ]
    }

    #[test]
    fn counting_by_classes_resamples_as_writing_every_pair_out_does() {
        let held = classes();
        let pairs = Pairs::of(&held.iter().collect::<Vec<_>>(), &head());
        // 12 pictures make 66 pairs, of them 3 + 0 + 1 + 6 + 1 genuine.
        assert_eq!(pairs.list.len(), 66);
        assert_eq!(pairs.scores(|_| 0.0).genuine.len(), 11);
        let draws = draws(held.len(), 1);
        let threshold = 0.6;
        let p = |pair: &Pair| head().probability(pair.distance);
        let accepted = pairs.count(|pair| !pair.is_genuine() && p(pair) >= threshold);
        let rejected = pairs.count(|pair| pair.is_genuine() && p(pair) < threshold);
        let fmr = pairs.fmr_in(&draws, &accepted);
        let fnmr = pairs.fnmr_in(&draws, &rejected);
        let expected: Vec<[f64; 2]> = draws.iter().map(|t| brute_force(t, threshold)).collect();
        for (n, [expected_fmr, expected_fnmr]) in expected.iter().enumerate() {
            assert!((fmr[n] - expected_fmr).abs() < 1e-12, "{n}: {}", fmr[n]);
            assert!((fnmr[n] - expected_fnmr).abs() < 1e-12, "{n}: {}", fnmr[n]);
        }
        // And the interval is that of the same resamples: the 26th and the 976th of a thousand.
        let mut sorted: Vec<f64> = expected.iter().map(|[fmr, _]| *fmr).collect();
        sorted.sort_by(f64::total_cmp);
        let [low, high] = interval(fmr, 1);
        assert!((low - sorted[25]).abs() < 1e-12 && (high - sorted[975]).abs() < 1e-12);
        assert!(low < high);
    }

    #[test]
    fn where_no_error_is_seen_the_rule_of_three_bounds_it() {
        assert_eq!(interval(vec![0.0; 1000], 60), [0.0, 0.05]);
        assert_eq!(interval(vec![0.0; 1000], 2), [0.0, 1.0]);
        assert_eq!(interval(Vec::new(), 0), [0.0, 1.0]);
    }

    #[test]
    fn the_tail_rises_in_threshold_falls_in_its_bound_and_ends_where_the_pairs_do() {
        let place = |class: usize, picture: usize| {
            vec![vec![(class * 7 % 31) as f32 + picture as f32 * 0.7]]
        };
        let held: Vec<Vec<Vec<f32>>> = (0..30)
            .map(|class| (0..4).flat_map(|picture| place(class, picture)).collect())
            .collect();
        let pairs = Pairs::of(&held.iter().collect::<Vec<_>>(), &head());
        let impostor = pairs.list.iter().filter(|pair| !pair.is_genuine()).count();
        assert_eq!(impostor, 30 * 29 / 2 * 16);
        let points = set(&pairs, &head(), 1);
        assert!(points.tail.len() > 3, "{:?}", points.tail);
        for two in points.tail.windows(2) {
            assert!(two[0].threshold < two[1].threshold, "{two:?}");
            assert!(two[0].fmr_upper > two[1].fmr_upper, "{two:?}");
        }
        for point in &points.tail {
            assert!(point.fmr <= point.fmr_upper, "{point:?}");
            // Rule of three: 6960 pairs carry 4.3e-4.
            assert!(point.fmr_upper >= 3.0 / 6960.0, "{point:?}");
        }
        for point in &points.operating {
            assert!(point.fmr_ci95[0] <= point.fmr && point.fmr <= point.fmr_ci95[1]);
            assert!(point.fnmr_ci95[0] <= point.fnmr && point.fnmr <= point.fnmr_ci95[1]);
        }
        let names: Vec<&str> = points.operating.iter().map(|p| p.name.as_str()).collect();
        assert!(
            names.contains(&"fmr_1e-2") && !names.contains(&"fmr_1e-4"),
            "{names:?}"
        );
    }
}
