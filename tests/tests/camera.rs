//! Marks as the simulated camera sees them, through the device's own locating and the trainer's
//! commands.

#![allow(clippy::unwrap_used)]

use std::fs;

use onelook::augment::camera::{FOUND, Session, photographs};
use onelook::train::sampler::Sampler;
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::locate;
use onelook_tests::{TINY, call, recipe, small_data};
use serde_json::Value;

const TRAINER: &str = env!("CARGO_BIN_EXE_trainer");

#[test]
fn the_device_finds_nine_marks_of_ten_on_a_desk() {
    let data = small_data();
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let drawings: Vec<&Frame> = classes
        .flat_map(|class| class.pictures.iter().take(4).map(|picture| &picture.frame))
        .collect();
    assert_eq!(drawings.len(), 96);
    let overlaps = photographs(&drawings, Session::Everything(0.5), 1, 1, |shot| {
        Some(locate::mark(&shot.frame)?.bounds.overlap(&shot.bounds))
    });
    let found = overlaps
        .iter()
        .flatten()
        .filter(|&&overlap| overlap >= FOUND)
        .count();
    assert!(found >= 87, "{found} of 96");
}

/// The tiny recipe, which sees half of its pictures through the camera.
fn seen() -> String {
    let seen = TINY.replace(
        "[augment]\n",
        "[augment]\ncamera = { share = 0.5, strength = 0.5 }\n",
    );
    assert_ne!(seen, TINY);
    seen
}

#[test]
fn a_batch_is_the_same_whether_its_photographs_were_taken_before_it_or_for_it() {
    let (data, recipe) = (small_data(), recipe(&seen()));
    let sampler = || Sampler::new(&data, &recipe, 3).unwrap();
    let (before, without) = (sampler(), sampler());
    before.take_photographs(|_, _| true);
    for step in 0..3 {
        assert_eq!(before.batch(step), without.batch(step));
    }
}

#[test]
fn a_model_is_trained_and_measured_through_the_camera() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (run, model, preset) = (path("run"), path("tiny.onnx"), path("seen.toml"));
    fs::write(&preset, seen()).unwrap();
    let done = |args: &[&str]| {
        let answer = call(TRAINER, args);
        assert_eq!(answer.code, Some(0), "{args:?}: {}", answer.err);
        answer.out
    };
    done(&[
        "train", "--preset", &preset, "--epochs", "1", "--device", "cpu", "--out", &run,
    ]);
    done(&["export", "--run", &run, "--out", &model]);
    let eval = |more: &[&str]| -> Value {
        let mut args = vec![
            "eval",
            "--model",
            &model,
            "--data",
            "glyphs",
            "--held-out",
            "--trials",
            "500",
            "--json",
        ];
        args.extend(more);
        serde_json::from_str(&done(&args)).unwrap()
    };
    let (straight, through) = (eval(&[]), eval(&["--camera", "0.5"]));
    assert_eq!(through, eval(&["--camera", "0.5"]));
    assert_ne!(straight["correct"], through["correct"]);
    let protocol = through["protocol"].as_str().unwrap();
    assert!(
        protocol.ends_with("through the simulated camera: everything up to 0.5, seed 1"),
        "{protocol}"
    );
    // Far above the 5 % of chance, though the network is tiny and hardly trained.
    assert!(through["accuracy"].as_f64().unwrap() > 0.1, "{through}");
}

#[test]
fn photographs_are_written_and_a_strength_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("shots");
    let out = out.to_str().unwrap();
    let answer = call(
        TRAINER,
        &["camera", "--pictures", "2", "--out", out, "--camera", "0.3"],
    );
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(answer.out.contains("of 2 marks found"), "{}", answer.out);
    let frame = Frame::load(&folder.path().join("shots/0001.png")).unwrap();
    assert_eq!((frame.width(), frame.height()), (640, 480));
    let answer = call(TRAINER, &["camera", "--out", out, "--camera", "1.5"]);
    assert_eq!(answer.code, Some(2));
    assert!(
        answer.err.contains("--camera 1.5: must be 0 to 1"),
        "{}",
        answer.err
    );
}
