//! What ships with the project does what the README says of it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use onelook::data::runs;
use onelook::measure::eval;
use onelook::measure::oracle;
use onelook_edge::cli::demo::{self, Tally};
use onelook_edge::model::{Model, Precision};
use onelook_tests::shared_data;

fn shipped() -> (PathBuf, Model) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/omniglot/model.onnx");
    let model = Model::load(&path).unwrap();
    (path, model)
}

#[test]
fn the_demonstration_recognises_both_classes_and_refuses_the_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    let (_, model) = shipped();
    let threshold = model.operating_point(None).unwrap().threshold;
    let tally = demo::play(&model, threshold, folder.path(), false, &mut out).unwrap();
    let all = Tally {
        known: 14,
        recognised: 14,
        strange: 6,
        unknown: 6,
    };
    assert_eq!(tally, all, "{}", String::from_utf8_lossy(&out));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 22);
}

#[test]
fn the_model_is_int8_of_425_kb_with_its_run_beside_it_and_saw_no_evaluation_alphabet() {
    let (path, model) = shipped();
    let card = model.card();
    assert_eq!(card.precision, Precision::Int8);
    assert!(fs::metadata(&path).unwrap().len() < 450_000);
    let run = fs::read_to_string(path.with_extension("run.toml")).unwrap();
    assert!(run.contains(&card.provenance.data_sha256));
    assert_eq!(card.provenance.data, "images_background");
    // 30 background alphabets less those that validate; the ten of the runs are not among the 30.
    assert_eq!(card.provenance.validation.len(), 5);
    assert_eq!(card.provenance.trained_on, [836, 16_720]);
}

#[test]
fn the_model_scores_what_the_paper_scored_on_the_official_runs() {
    let Some(data) = shared_data() else { return };
    let runs = runs::open(&data.join("omniglot/all_runs.zip")).unwrap();
    let found = eval::runs(&shipped().1, &runs, None).unwrap();
    assert_eq!(found.trials, 400);
    assert!(found.correct >= 368, "{} of 400", found.correct);
}

/// run01 is one of the official runs (MIT, see its licence beside it); its two counts of right
/// answers were worked apart from this program, with NumPy.
#[test]
fn the_harness_agrees_with_two_published_distances() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/run01.zip");
    let run = runs::open(&fixture).unwrap();
    let hausdorff = |runs: &[_]| eval::baseline_runs("", oracle::modified_hausdorff, runs).correct;
    let pixels = |runs: &[_]| eval::baseline_runs("", oracle::pixel_distance, runs).correct;
    assert_eq!((hausdorff(&run), pixels(&run)), (11, 7));

    let Some(data) = shared_data() else { return };
    let runs = runs::open(&data.join("omniglot/all_runs.zip")).unwrap();
    // 38.75 % of 400 wrong; 19.0 % right.
    assert_eq!((400 - hausdorff(&runs), pixels(&runs)), (155, 76));
}
