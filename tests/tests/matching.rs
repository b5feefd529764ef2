//! On embeddings of real pictures, a search by the index answers what comparing everything answers.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;
use std::path::Path;

use onelook::data::labels;
use onelook::measure::eval;
use onelook_edge::gallery::Gallery;
use onelook_edge::model::Model;
use onelook_tests::shared_data;

const LOOKS: usize = 6;
const ENROLLED: usize = 4;

#[test]
fn the_index_answers_as_comparing_everything_does_for_every_probe_of_real_pictures() {
    let Some(data) = shared_data() else { return };
    let mut data = labels::open(&data.join("omniglot/images_background.zip")).unwrap();
    for group in &mut data.groups {
        for class in &mut group.classes {
            class.pictures.truncate(LOOKS);
        }
    }
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/omniglot/model.onnx");
    let model = Model::load(Path::new(shipped)).unwrap();
    let groups = eval::embed_all(&model, &data).unwrap();
    let classes: Vec<&Vec<Vec<f32>>> = groups.iter().flatten().collect();
    // One template a class, each template a class of its own, and several templates a class.
    let one = |class: usize, look: usize| (look == 0).then(|| class.to_string());
    let each = |class: usize, look: usize| Some(format!("{class} {look}"));
    let all = |class: usize, _: usize| Some(class.to_string());
    let rules: [&dyn Fn(usize, usize) -> Option<String>; 3] = [&one, &each, &all];
    for rule in rules {
        let mut plain = Gallery::default();
        for (class, looks) in classes.iter().enumerate() {
            for (number, look) in looks.iter().take(ENROLLED).enumerate() {
                if let Some(name) = rule(class, number) {
                    plain.enroll(&name, look.clone());
                }
            }
        }
        let mut indexed = plain.clone();
        indexed.index(model.head(), NonZeroUsize::MIN);
        assert!(plain.len() > 900 && indexed.index_bytes() > 0);
        let mut probes = 0;
        for probe in classes.iter().copied().flatten() {
            let expected = plain.nearest(probe, model.head());
            assert_eq!(indexed.nearest(probe, model.head()), expected);
            probes += 1;
        }
        println!(
            "{} classes, {probes} probes, all answers the same",
            plain.len()
        );
    }
}
