use onelook_edge::gallery::head::Head;
use onelook_edge::model::OperatingPoint;
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::preprocess::InputSpec;

use super::intervals::share;
use super::reliability::reliability;
use super::*;
use crate::data::{Class, Dataset, Group, Picture};
use crate::measure::eval::{self, Embeddings, PairScores};
use crate::measure::metrics;
use crate::measure::trials::TrialSpec;

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
    let held = HeldOutSet::new(&data, &embeddings, &head, 3);
    let found = held.identification().unwrap();
    assert!(found.headline.within_group && found.headline.ways == 2);
    for accuracy in found.ways.iter().chain(&found.shots) {
        let spec = TrialSpec {
            ways: accuracy.ways,
            shots: accuracy.shots,
            trials: TRIALS,
            within_group: accuracy.within_group,
        };
        let other = eval::trials(&embeddings, &head, &data, spec, eval::Rule::Device, 3).unwrap();
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
    let held = HeldOutSet::new(&data, &embeddings, &head, 3);
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
    let held = HeldOutSet::new(&data, &embeddings, &head, 1);
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
    // Far apart: no class is mistaken; a distance of 1 gives p 0.73.
    let (data, embeddings) = embedded(&[&[&[0.0, 1.0], &[50.0, 51.0], &[90.0, 91.0]]]);
    let held = HeldOutSet::new(&data, &embeddings, &head, 1);
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
    let held = HeldOutSet::new(&data, &embeddings, &head, 1);
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
    let held = HeldOutSet::new(&data, &embeddings, &head, 1);
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
        let held = HeldOutSet::new(&data, &embeddings, &head, 1);
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
