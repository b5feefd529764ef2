//! What a frame costs in allocations once the device runs: a search none.

#![allow(clippy::unwrap_used)] // the helpers are a test's, too

use std::num::NonZeroUsize;

use onelook_edge::camera::MotionJpeg;
use onelook_edge::demo::CLIP;
use onelook_edge::gallery::Gallery;
use onelook_edge::model::Model;
use onelook_edge::preprocess;

const MODEL: &[u8] = include_bytes!("../../models/omniglot.onnx");

#[test]
fn a_search_of_a_large_gallery_allocates_nothing_whether_indexed_or_not() {
    let model = Model::from_bytes(MODEL, "shipped").unwrap();
    let spec = &model.card().input;
    let mut frames = MotionJpeg::new(CLIP, "clip");
    let patch = preprocess::patch(&frames.next().unwrap().unwrap(), spec).unwrap();
    let probe = model.embed(&patch).unwrap();
    let mut gallery = Gallery::default();
    for class in 0..1000usize {
        let moved = |(j, x): (usize, &f32)| x + ((class * 31 + j * 7) % 97) as f32 / 97.0;
        let template = probe.iter().enumerate().map(moved).collect();
        // Some of two templates.
        gallery.enroll(&(class % 900).to_string(), template);
    }
    for _ in 0..2 {
        let used = allocation_counter::measure(|| {
            assert!(gallery.nearest(&probe, model.head()).is_some());
        });
        assert_eq!(used.count_total, 0, "{used:?}");
        gallery.index(model.head(), NonZeroUsize::MIN);
    }
    assert!(gallery.index_bytes() > 0);
}
