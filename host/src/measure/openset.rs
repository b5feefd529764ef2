//! Open-set identification, measured: how often a stranger is taken for an enrolled class, and how
//! often an enrolled one is not named, against the size of the gallery and the threshold. Galleries
//! are drawn at random and searched with the device's own `Gallery` and `identify`. Plain
//! embeddings: knows no files or pictures.
//!
//! In the terms of ISO/IEC 19795-1, with one name given at most: a *mated* probe shows an enrolled
//! class, in a picture that is not enrolled; a *non-mated* one shows a class that is not enrolled.
//! FPIR is the share of non-mated probes for which any class is named; FNIR is the share of mated
//! probes for which the right one is not, because nothing is named or because another class is.

use onelook_edge::gallery::decide::{self, Decision, TailPoint};
use onelook_edge::gallery::head::Head;
use onelook_edge::gallery::{self, Gallery};
use onelook_edge::model::Card;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::measure::points::{self, Pairs};
use crate::random::{Purpose, stream};

/// Sizes of galleries, classes, as far as the data goes.
pub(crate) const SIZES: [usize; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
pub(crate) const TARGETS: [f64; 3] = [0.1, 0.05, 0.01];
/// Probes of each kind that one gallery is searched with.
const PROBES: usize = 20;

/// A class: the embeddings of its pictures.
pub(crate) type ClassEmbeddings = Vec<Vec<f32>>;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SearchSpec {
    /// Pictures enrolled of each class.
    pub(crate) shots: usize,
    /// Mated searches at each size, and as many non-mated ones.
    pub(crate) searches: usize,
    /// Seed of the draws.
    pub(crate) seed: u64,
}

/// A probe, searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Search {
    /// The class it shows.
    pub(crate) class: usize,
    /// Whether that is enrolled.
    pub(crate) mated: bool,
    /// Whether the class named is that one.
    pub(crate) right: bool,
    /// p of the class named; 0 for a tie, which names none.
    pub(crate) p: f32,
}

/// Error rates at one size and threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OpenSetRow {
    /// Classes enrolled.
    pub(crate) gallery: usize,
    /// How many of them the model was trained on; probes never are of these.
    pub(crate) trained: usize,
    /// What set the threshold: an operating point, a target FPIR by the card's tail, or `swept`,
    /// the target FPIR met by these very searches.
    pub(crate) setting: String,
    /// A class is named where its p >= this.
    pub(crate) threshold: f32,
    /// Share of non-mated probes that are named.
    pub(crate) fpir: f64,
    /// Its 95 % interval over resampled classes.
    pub(crate) fpir_ci95: [f64; 2],
    /// Share of mated probes that are not named right.
    pub(crate) fnir: f64,
    /// Its 95 % interval over resampled classes.
    pub(crate) fnir_ci95: [f64; 2],
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OpenSet {
    /// How.
    pub(crate) protocol: String,
    /// By size, then by setting.
    pub(crate) rows: Vec<OpenSetRow>,
    /// Targets that the card cannot carry, and why.
    pub(crate) out_of_reach: Vec<String>,
}

/// Searches galleries of `size` classes. Of `known` classes at most four fifths are enrolled, the
/// rest are strangers; a gallery that needs more is filled up with `trained` ones, which no probe
/// shows.
///
/// # Errors
/// In words, where there are too few classes or pictures.
pub(crate) fn searches(
    known: &[ClassEmbeddings],
    trained: &[ClassEmbeddings],
    head: &Head,
    size: usize,
    spec: SearchSpec,
) -> Result<Vec<Search>, String> {
    let shots = spec.shots.max(1);
    let usable = |classes: &[ClassEmbeddings]| -> Vec<usize> {
        let several = (0..classes.len()).filter(|&class| classes[class].len() > shots);
        several.collect()
    };
    let (mut own, mut fill) = (usable(known), usable(trained));
    let enrolled = size.min(most_enrolled(own.len()));
    if enrolled == 0 || size - enrolled > fill.len() {
        return Err(format!(
            "{} unseen and {} trained classes of more than {shots} pictures make no gallery of {size} with strangers left",
            own.len(),
            fill.len()
        ));
    }
    let mut found = Vec::new();
    for draw in 0..spec.searches.div_ceil(PROBES) {
        let mut rng = stream(spec.seed, Purpose::OpenSet, draw as u64);
        own.shuffle(&mut rng);
        fill.shuffle(&mut rng);
        let mut gallery = Gallery::default();
        let mut enroll = |name: String, class: &ClassEmbeddings, rng: &mut ChaCha8Rng| {
            let mut pictures: Vec<usize> = (0..class.len()).collect();
            pictures.shuffle(rng);
            for &picture in &pictures[..shots] {
                gallery.enroll(&name, class[picture].clone());
            }
            pictures.split_off(shots)
        };
        let left: Vec<Vec<usize>> = own[..enrolled]
            .iter()
            .map(|&class| enroll(class.to_string(), &known[class], &mut rng))
            .collect();
        for &class in &fill[..size - enrolled] {
            enroll(format!("trained {class}"), &trained[class], &mut rng);
        }
        for probe in 0..2 * PROBES {
            let mated = probe % 2 == 0;
            let (class, picture) = if mated {
                let at = rng.random_range(0..enrolled);
                (own[at], left[at][rng.random_range(0..left[at].len())])
            } else {
                let class = own[rng.random_range(enrolled..own.len())];
                (class, rng.random_range(0..known[class].len()))
            };
            let nearest = gallery.nearest(&known[class][picture], head);
            let (right, p) = match decide::identify(nearest, head, head.limit(0.0)) {
                Decision::Match { name, p, .. } => (*name == *class.to_string(), p),
                Decision::Unknown { .. } => (false, 0.0),
            };
            found.push(Search {
                class,
                mated,
                right,
                p,
            });
        }
    }
    Ok(found)
}

/// As [`Gallery::comparisons`] has it.
fn comparisons(classes: usize, shots: usize) -> f64 {
    classes as f64 * gallery::weight(shots)
}

/// How many of `classes` may be enrolled: a fifth of them, and one at least, stay strangers.
pub(crate) fn most_enrolled(classes: usize) -> usize {
    classes.saturating_sub((classes / 5).max(1))
}

/// FPIR at `threshold`.
pub(crate) fn fpir(searches: &[Search], threshold: f32) -> f64 {
    share(searches, |s| !s.mated, |s| s.p >= threshold)
}

/// FNIR at `threshold`.
pub(crate) fn fnir(searches: &[Search], threshold: f32) -> f64 {
    share(searches, |s| s.mated, |s| !s.right || s.p < threshold)
}

fn share(
    searches: &[Search],
    of: impl Fn(&Search) -> bool,
    wrong: impl Fn(&Search) -> bool,
) -> f64 {
    let kind = searches.iter().filter(|search| of(search));
    let (mut all, mut errors) = (0usize, 0usize);
    for search in kind {
        all += 1;
        errors += usize::from(wrong(search));
    }
    errors as f64 / all.max(1) as f64
}

/// The lowest threshold at which `searches` have a FPIR of at most `rate`.
fn swept(searches: &[Search], rate: f64) -> f32 {
    let strangers = searches.iter().filter(|search| !search.mated);
    let mut falling: Vec<f32> = strangers.map(|search| search.p).collect();
    falling.sort_by(|a, b| b.total_cmp(a));
    let allowed = (rate * falling.len() as f64) as usize;
    falling.get(allowed).map_or(0.0, |p| p.next_up())
}

/// Measures every size of [`SIZES`] that the data allows, at the operating points of `card` and at
/// the thresholds that it gives for [`TARGETS`].
///
/// # Errors
/// In words, where not even one class can be enrolled.
pub(crate) fn measure(
    card: &Card,
    known: &[ClassEmbeddings],
    trained: &[ClassEmbeddings],
    spec: SearchSpec,
) -> Result<OpenSet, String> {
    let shots = spec.shots.max(1);
    let usable = |classes: &[ClassEmbeddings]| classes.iter().filter(|c| c.len() > shots).count();
    let most = most_enrolled(usable(known)) + usable(trained);
    let draws = points::draws(known.len(), spec.seed);
    let (mut rows, mut out_of_reach) = (Vec::new(), Vec::new());
    let mut sizes: Vec<usize> = SIZES.map(|size| size.min(most.max(1))).to_vec();
    sizes.dedup();
    for size in sizes {
        let found = searches(known, trained, &card.head, size, spec)?;
        let points = card.operating_points.iter();
        let mut settings: Vec<(String, f32)> =
            points.map(|p| (p.name.clone(), p.threshold)).collect();
        for target in TARGETS {
            let comparisons = comparisons(size, shots);
            match decide::threshold_for_fpir(&card.impostor_tail, target, comparisons) {
                Ok(threshold) => settings.push((format!("fpir {target}"), threshold)),
                Err(error) => out_of_reach.push(error.to_string()),
            }
            settings.push((format!("swept {target}"), swept(&found, target)));
        }
        rows.extend(settings.into_iter().map(|(setting, threshold)| OpenSetRow {
            gallery: size,
            trained: size.saturating_sub(most_enrolled(usable(known))),
            setting,
            threshold,
            fpir: fpir(&found, threshold),
            fpir_ci95: interval(&found, &draws, |s| !s.mated, |s| s.p >= threshold),
            fnir: fnir(&found, threshold),
            fnir_ci95: interval(&found, &draws, |s| s.mated, |s| !s.right || s.p < threshold),
        }));
    }
    Ok(OpenSet {
        protocol: format!(
            "open-set identification, {shots}-shot, {} mated and as many non-mated searches a size, \
             seed {}; FPIR: non-mated probes named; FNIR: mated probes not named right",
            spec.searches.div_ceil(PROBES) * PROBES,
            spec.seed
        ),
        rows,
        out_of_reach,
    })
}

/// The 95 % interval of a share over resamples of the classes that probes show.
fn interval(
    searches: &[Search],
    draws: &[Vec<u32>],
    of: impl Fn(&Search) -> bool,
    wrong: impl Fn(&Search) -> bool,
) -> [f64; 2] {
    let classes = draws.first().map_or(0, Vec::len);
    let mut counts = vec![[0.0; 2]; classes];
    for search in searches.iter().filter(|search| of(search)) {
        counts[search.class][0] += 1.0;
        counts[search.class][1] += f64::from(u8::from(wrong(search)));
    }
    let in_draw = |times: &Vec<u32>| {
        let sum = |which: usize| -> f64 {
            let drawn = times.iter().zip(&counts);
            drawn.map(|(t, count)| f64::from(*t) * count[which]).sum()
        };
        sum(1) / sum(0).max(1.0)
    };
    points::interval(draws.iter().map(in_draw).collect(), classes)
}

/// How a target FPIR is kept on groups of classes that did not set the threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CrossFitRow {
    /// Classes enrolled.
    pub(crate) gallery: usize,
    pub(crate) target: f64,
    /// Ways of splitting the groups that carried the target and had classes enough for the gallery.
    pub(crate) splits: usize,
    /// Of these, those whose FPIR is at most the target.
    pub(crate) kept: usize,
    /// Mean FPIR over the splits.
    pub(crate) mean_fpir: f64,
    pub(crate) most_fpir: f64,
    /// Mean FNIR over the splits.
    pub(crate) mean_fnir: f64,
}

/// Sets thresholds for [`TARGETS`] on some groups and measures them on the others, for every two
/// groups against the rest, both ways round; of more than six groups, for neighbours alone.
///
/// # Errors
/// In words, where there are fewer than four groups.
pub(crate) fn cross_fit(
    groups: &[Vec<ClassEmbeddings>],
    head: &Head,
    spec: SearchSpec,
) -> Result<Vec<CrossFitRow>, String> {
    if groups.len() < 4 {
        return Err(format!(
            "{} groups: crosswise measuring takes two groups and at least two others",
            groups.len()
        ));
    }
    let mut halves: Vec<(Vec<ClassEmbeddings>, Vec<TailPoint>)> = Vec::new();
    let every_two =
        (1..groups.len()).flat_map(|second| (0..second).map(move |first| [first, second]));
    let neighbours = (1..groups.len())
        .step_by(2)
        .map(|second| [second - 1, second]);
    let twos: Vec<[usize; 2]> = match groups.len() {
        ..=6 => every_two.collect(),
        _ => neighbours.collect(),
    };
    for two in twos {
        for inside in [true, false] {
            let chosen = groups.iter().enumerate();
            let classes: Vec<ClassEmbeddings> = chosen
                .filter(|(at, _)| two.contains(at) == inside)
                .flat_map(|(_, group)| group.clone())
                .collect();
            let pairs = Pairs::of(&classes.iter().collect::<Vec<_>>(), head);
            let tail = points::set(&pairs, head, spec.seed).tail;
            halves.push((classes, tail));
        }
    }
    let mut rows = Vec::new();
    for size in SIZES {
        let mut measured: Vec<Vec<[f64; 2]>> = vec![Vec::new(); TARGETS.len()];
        for two in halves.chunks(2) {
            for (set, other) in [(&two[0], &two[1]), (&two[1], &two[0])] {
                if size > most_enrolled(other.0.len()) {
                    continue;
                }
                let found = searches(&other.0, &[], head, size, spec)?;
                for (target, measured) in TARGETS.iter().zip(&mut measured) {
                    let comparisons = comparisons(size, spec.shots.max(1));
                    if let Ok(at) = decide::threshold_for_fpir(&set.1, *target, comparisons) {
                        measured.push([fpir(&found, at), fnir(&found, at)]);
                    }
                }
            }
        }
        for (target, measured) in TARGETS.into_iter().zip(measured) {
            let splits = measured.len();
            let mean = |which: usize| {
                measured.iter().map(|m| m[which]).sum::<f64>() / splits.max(1) as f64
            };
            if splits > 0 {
                rows.push(CrossFitRow {
                    gallery: size,
                    target,
                    splits,
                    kept: measured.iter().filter(|[fpir, _]| *fpir <= target).count(),
                    mean_fpir: mean(0),
                    most_fpir: measured.iter().map(|[fpir, _]| *fpir).fold(0.0, f64::max),
                    mean_fnir: mean(1),
                });
            }
        }
    }
    Ok(rows)
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

    fn search(mated: bool, right: bool, p: f32) -> Search {
        Search {
            class: 0,
            mated,
            right,
            p,
        }
    }

    #[test]
    fn rates_by_hand() {
        let found = [
            search(true, true, 0.9),
            search(true, true, 0.4),
            search(true, false, 0.8),
            search(true, true, 0.5),
            search(false, false, 0.5),
            search(false, false, 0.2),
        ];
        // At 0.5 a mated probe is rejected and one is named wrongly; one stranger is named.
        assert_eq!(fnir(&found, 0.5), 0.5);
        assert_eq!(fpir(&found, 0.5), 0.5);
        // A threshold that lets no probe in still leaves the wrong name an error, not two.
        assert_eq!((fnir(&found, 0.95), fpir(&found, 0.95)), (1.0, 0.0));
        assert_eq!(swept(&found, 0.5), 0.2f32.next_up());
        assert_eq!(fpir(&found, swept(&found, 0.1)), 0.0);
    }

    #[test]
    fn probes_show_what_they_are_said_to_and_are_never_enrolled_themselves() {
        // Ten classes far apart, three pictures each: a mated probe is named right at p near 0.85,
        // a stranger never comes near, and an enrolled picture would have p 0.88.
        let class = |class: usize| {
            (0..3).map(move |picture| vec![class as f32 * 100.0 + picture as f32 * 0.25])
        };
        let known: Vec<ClassEmbeddings> = (0..10).map(|c| class(c).collect()).collect();
        let spec = SearchSpec {
            shots: 1,
            searches: 400,
            seed: 1,
        };
        let found = searches(&known, &[], &head(), 8, spec).unwrap();
        assert_eq!(found.len(), 800);
        for search in &found {
            if search.mated {
                assert!(
                    search.right && search.p > 0.8 && search.p < 0.87,
                    "{search:?}"
                );
            } else {
                assert!(!search.right && search.p < 1e-3, "{search:?}");
            }
        }
        let mated = found.iter().filter(|search| search.mated).count();
        assert_eq!(mated, 400);
        // Two of ten stay strangers; a ninth comes from the trained ones, or there is none.
        assert!(searches(&known, &[], &head(), 9, spec).is_err());
        let trained: Vec<ClassEmbeddings> = (20..22).map(|c| class(c).collect()).collect();
        let filled = searches(&known, &trained, &head(), 10, spec).unwrap();
        assert!(filled.iter().all(|search| search.class < 10));
        assert!(searches(&known[..1], &[], &head(), 1, spec).is_err());
    }

    #[test]
    fn crosswise_thresholds_are_measured_on_every_two_groups_against_the_others() {
        let class =
            |at: usize| (0..3).map(move |picture| vec![(at * 3) as f32 + picture as f32 * 0.3]);
        let group = |g: usize| {
            (0..8)
                .map(|c| class((g * 8 + c) * 5 % 37).collect())
                .collect()
        };
        let groups: Vec<Vec<ClassEmbeddings>> = (0..4).map(group).collect();
        let spec = SearchSpec {
            shots: 1,
            searches: 200,
            seed: 1,
        };
        let rows = cross_fit(&groups, &head(), spec).unwrap();
        // Two of 4 groups are chosen in 6 ways, and measured both ways round.
        let first = rows.iter().find(|row| row.gallery == 1).unwrap();
        assert_eq!(first.splits, 12);
        for row in &rows {
            assert!(
                row.kept <= row.splits && row.mean_fpir <= row.most_fpir,
                "{row:?}"
            );
            // 16 classes on a side, a fifth of them strangers.
            assert!(row.gallery <= 10, "{row:?}");
        }
        assert!(cross_fit(&groups[..3], &head(), spec).is_err());
    }
}
