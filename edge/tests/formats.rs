//! What this version's files say to later ones: the gallery and the model kept in `fixtures/format-2` are read as they
//! were when they were written. `FORMATS.md` draws both.
//!
//! The gallery holds pictures of the demonstration clip, imported by the program from a folder of them:
//!
//! ```text
//! pictures/.not/alpha/1.jpg      frame 11 of demo/clip.mjpeg, counted from 0
//! pictures/alpha/1.jpg, 2.jpg    frames 0 and 2
//! pictures/beta/1.jpg            frame 1
//! pictures/gamma/1.jpg           frame 10
//!
//! onelook-edge --gallery gallery.redb gallery import pictures
//! ```
//!
//! Its like in a later format is made from the crops that it keeps: `gallery export` by this version, `gallery import` by
//! the later one.
//!
//! A new format gets a folder of its own, and what is here stays: a fixture is never written anew. The model is the
//! shipped one as long as that has this format; with the first model of another format it becomes a file here.

#![allow(clippy::unwrap_used)] // what opens a fixture is a test's, too

use std::fs;
use std::path::{Path, PathBuf};

use onelook_edge::gallery::store::{Kind, Store};
use onelook_edge::model::{Card, Engine, Model, Precision, SHIPPED};
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::preprocess::{Crop, Scaling, patch};

/// The id of the model that the gallery was enrolled with.
const MODEL_ID: &str = "63ecf7c48b75f045c7a3e0c53599acc333ed09e4f7ac31c32f92139485cfe392";
const DIMS: usize = 640;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A copy that a test may change.
fn gallery() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery.redb");
    fs::copy(fixture("tests/fixtures/format-2/gallery.redb"), &path).unwrap();
    (folder, Store::at(path))
}

#[test]
fn a_gallery_of_format_2_holds_what_was_enrolled() {
    let (_folder, store) = gallery();
    let before = fs::read(store.path()).unwrap();
    let contents = store.contents().unwrap().unwrap();
    assert_eq!(contents.model_id, MODEL_ID);
    let rows: Vec<(&str, Kind)> = contents
        .templates
        .iter()
        .map(|template| (&*template.name, template.kind))
        .collect();
    assert_eq!(
        rows,
        [
            ("alpha", Kind::Negative),
            ("alpha", Kind::Genuine),
            ("alpha", Kind::Genuine),
            ("beta", Kind::Genuine),
            ("gamma", Kind::Genuine),
        ]
    );
    for template in &contents.templates {
        assert_eq!(template.embedding.len(), DIMS);
        let crop = Frame::decode(&template.crop_png, "a crop").unwrap();
        assert!((32..=256).contains(&crop.width().max(crop.height())));
    }
    let gallery = store.gallery(MODEL_ID, DIMS).unwrap();
    let classes: Vec<_> = gallery
        .names()
        .map(|name| (name, gallery.templates_of(name), gallery.negatives_of(name)))
        .collect();
    assert_eq!(classes, [("alpha", 2, 1), ("beta", 1, 0), ("gamma", 1, 0)]);
    assert!(fs::read(store.path()).unwrap() == before);
}

#[test]
fn an_embedding_of_a_gallery_of_format_2_has_the_numbers_it_was_made_of() {
    let (_folder, store) = gallery();
    let contents = store.contents().unwrap().unwrap();
    let embedding = &contents.templates[3].embedding;
    let at = |places: &[usize]| -> Vec<f32> { places.iter().map(|&i| embedding[i]).collect() };
    assert_eq!(
        at(&[0, 1, 2, 3, 4, 6, 12, 639]),
        [
            0.892_595_2,
            0.714_076_1,
            0.733_911_6,
            0.158_683_58,
            0.0,
            0.465_026_94,
            0.957_240_7,
            1.782_778_7
        ]
    );
    let sum: f64 = embedding.iter().map(|v| f64::from(*v)).sum();
    assert!((sum - 372.471_587_007_865_3).abs() < 1e-6, "{sum}");
}

#[test]
fn a_gallery_of_format_2_can_still_be_changed() {
    let (_folder, store) = gallery();
    store.rename(MODEL_ID, "gamma", "delta").unwrap();
    let taken = store.remove(MODEL_ID, "beta").unwrap();
    store.enroll(MODEL_ID, &taken).unwrap();
    store.take_back(MODEL_ID, "alpha", Kind::Negative).unwrap();
    let contents = store.contents().unwrap().unwrap();
    let names: Vec<&str> = contents.templates.iter().map(|t| &*t.name).collect();
    assert_eq!(names, ["alpha", "alpha", "delta", "beta"]);
}

#[test]
fn a_model_of_format_2_says_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::copy(fixture("models/omniglot/model.onnx"), &path).unwrap();
    let model = Model::load(&path).unwrap();
    assert_eq!((model.id(), model.dims()), (MODEL_ID, DIMS));
    assert!(matches!(model.engine(), Engine::Kernels(_)));
    let card = model.card();
    assert_eq!((card.format, &*card.name), (2, "omniglot"));
    assert_eq!(card.precision, Precision::Int8);
    assert_eq!((card.input.channels, card.input.side_px), (1, 32));
    assert_eq!(card.input.crop, Crop::Mark { margin: 0.08 });
    assert_eq!(card.input.scaling, Scaling::InkIsOne);
    assert_eq!(card.head.alpha[..3], [0.0, 0.0, 0.141_604_47]);
    assert_eq!(card.head.bias, 15.306_045);
    assert_eq!(card.calibration.scale, 1.326_651_421_080_259_4);
    assert_eq!(card.calibration.offset, 1.511_229_519_127_568_9);
    assert_eq!(card.calibration.ece, 0.003_564_659_711_717_921);
    assert_eq!(card.calibration.reliability.len(), 15);
    let points = card.operating_points.iter();
    let points: Vec<(&str, f32)> = points.map(|p| (&*p.name, p.threshold)).collect();
    assert_eq!(
        points,
        [
            ("eer", 0.504_688_14),
            ("fmr_1e-2", 0.898_832_2),
            ("fmr_1e-3", 0.996_156),
            ("fmr_1e-4", 0.999_630_5),
        ]
    );
    assert_eq!(card.operating_points[1].genuine_pairs, 24_320);
    assert_eq!(card.operating_points[1].fmr, 0.01);
    assert_eq!(card.default_point, "fmr_1e-2");
    assert_eq!(card.impostor_tail.len(), 18);
    assert_eq!(card.impostor_tail[0].threshold, 0.003_092_713_2);
    assert_eq!(card.provenance.program, "onelook 0.1.0");
    assert_eq!((card.provenance.seed, card.provenance.epoch), (1, [40, 40]));
    assert_eq!(card.provenance.trained_on, [836, 16_720]);
    assert_eq!(card.provenance.validation.len(), 5);
    assert_eq!(card.provenance.licence, "MIT OR Apache-2.0");
    assert_eq!(
        (card.scores[0].correct, card.scores[0].trials),
        (4446, 5000)
    );
    assert_eq!(&Card::read(SHIPPED, "shipped").unwrap(), card);
}

#[test]
fn a_crop_of_a_gallery_of_format_2_is_still_of_its_class() {
    let (_folder, store) = gallery();
    let model = Model::from_bytes(SHIPPED, "shipped").unwrap();
    let gallery = store.gallery(model.id(), model.dims()).unwrap();
    for template in store.contents().unwrap().unwrap().templates {
        let crop = Frame::decode(&template.crop_png, "a crop").unwrap();
        let probe = model.embed(&patch(&crop, &model.card().input).unwrap());
        let nearest = gallery.nearest(&probe.unwrap(), model.head()).unwrap();
        let expected = match template.kind {
            Kind::Genuine => &*template.name,
            // It was taken for alpha, and is of gamma.
            Kind::Negative => "gamma",
        };
        assert_eq!(&**nearest.best.name, expected);
    }
}
