//! Where it goes wrong: the pairs on the wrong side, the classes taken for one another, and their pictures.

use std::collections::BTreeMap;

use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::keepsake::keepsake;
use onelook_edge::vision::preprocess::{InputSpec, Scaling, patch};
use rand::RngExt;

use super::held::HeldOutSet;
use super::{Confusion, Example, HardPair, Hardest};
use crate::data::Picture;
use crate::random::{Purpose, stream};

/// Examples in each list.
const EXAMPLES: usize = 12;
/// Rows of confused classes.
const CONFUSIONS: usize = 8;
/// Galleries of one template a class in which confusions are counted.
const CONFUSION_GALLERIES: usize = 20;

impl HeldOutSet<'_> {
    /// The pairs on the wrong side, and the classes that are taken for one another.
    pub(crate) fn hardest(&self, input: &InputSpec) -> Hardest {
        let pair = |(distance, a, b): (f32, usize, usize)| HardPair {
            p: self.head.probability(distance),
            a: self.example(a, input),
            b: self.example(b, input),
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
        let mut named = BTreeMap::<(usize, usize), u64>::new();
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
            some.map(|picture| self.example(picture, input)).collect()
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

    /// The least distance of `probe` to any of `templates` (class, picture), and whose that is;
    /// none of a tie.
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

    fn example(&self, picture: usize, input: &InputSpec) -> Example {
        let place = self.classes[self.owner[picture]];
        let group = &self.data.groups[place.group];
        let class = &group.classes[place.class];
        example_of(
            &class.pictures[picture - place.first],
            &group.name,
            &class.name,
            input,
        )
    }
}

/// A picture as a person and as the network sees it; empty where it cannot be drawn.
pub(crate) fn example_of(
    picture: &Picture,
    group: &str,
    class: &str,
    input: &InputSpec,
) -> Example {
    let limit_px = if picture.frame.channels() == 1 {
        96
    } else {
        72
    };
    let kept = keepsake(&picture.frame, input, limit_px);
    Example {
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
