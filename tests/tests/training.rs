//! A run can be stopped and resumed, refuses what is damaged, and learns the same on every device.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onelook::train::checkpoint::best_twin;
use onelook::train::{Ending, Order, TrainError, run};
use onelook_edge::model::{Model, Precision};
use onelook_tests::{TINY, TINY_KOCH, finished_run, order, recipe, tiny_model, train};

/// The log without the seconds, which no seed decides.
fn log(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("log.csv")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| line.rsplit_once(',').unwrap().0.to_owned())
        .collect()
}

fn stopped_and_resumed_equals_unbroken(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    finished_run(text, &whole);

    let mut order = order(recipe(text), &broken);
    let stop = AtomicBool::new(false);
    let ending = std::thread::scope(|scope| {
        // As Ctrl-C would, somewhere after the first epoch.
        scope.spawn(|| {
            let begun = |run: &Path| fs::read_to_string(run.join("log.csv")).unwrap_or_default();
            while begun(&broken).lines().count() < 3 && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let ending = train(&order, &stop);
        stop.store(true, Ordering::Relaxed);
        ending.unwrap()
    });
    assert!(matches!(ending, Ending::Stopped(_)), "{ending:?}");
    order.resume = true;
    let ending = train(&order, &AtomicBool::new(false)).unwrap();
    assert!(matches!(ending, Ending::Finished(_)), "{ending:?}");

    assert_eq!(log(&broken), log(&whole));
    let weights = |run: &Path| {
        let file = run::read(run).unwrap();
        let (twin, progress) = best_twin(run, &file).unwrap();
        (
            twin.plain(&file.recipe.network).unwrap(),
            progress.best_epoch,
        )
    };
    assert_eq!(weights(&broken), weights(&whole));
}

#[test]
fn a_run_that_was_stopped_and_resumed_ends_in_the_weights_of_an_unbroken_one() {
    stopped_and_resumed_equals_unbroken(&TINY.replace("epochs = 12", "epochs = 60"));
}

#[test]
fn so_does_one_with_momentum_that_rises_by_the_epoch() {
    stopped_and_resumed_equals_unbroken(&TINY_KOCH.replace("\nepochs = 6", "\nepochs = 40"));
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    finished_run(TINY, &run);
    let checkpoint = run.join("last.checkpoint");
    let whole = fs::read(&checkpoint).unwrap();
    let mut order = order(recipe(TINY), &run);
    order.resume = true;
    let cut = whole[..whole.len() / 2].to_vec();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [cut, flipped, b"something else".to_vec()] {
        fs::write(&checkpoint, &damaged).unwrap();
        let error = train(&order, &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(error, TrainError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("last.checkpoint"), "{error}");
        assert_eq!(fs::read(&checkpoint).unwrap(), damaged);
    }
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    finished_run(TINY, &whole);
    fs::create_dir(&killed).unwrap();
    fs::copy(whole.join("run.toml"), killed.join("run.toml")).unwrap();
    let mut order = order(recipe(TINY), &killed);
    order.resume = true;
    let ending = train(&order, &AtomicBool::new(false)).unwrap();
    assert!(matches!(ending, Ending::Finished(_)), "{ending:?}");
    assert_eq!(log(&killed), log(&whole));
}

#[test]
fn a_run_is_neither_overwritten_nor_resumed_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    finished_run(TINY, &run);
    let again = |change: &dyn Fn(&mut Order)| {
        let mut order = order(recipe(TINY), &run);
        change(&mut order);
        let error = train(&order, &AtomicBool::new(false));
        error.unwrap_err().to_string()
    };
    assert!(again(&|_| {}).contains("already holds a run"));
    let seed = again(&|order| {
        order.resume = true;
        order.seed = 4;
    });
    assert!(seed.contains("the seed differs"), "{seed}");
    let rate = again(&|order| {
        order.resume = true;
        order.recipe = recipe(&TINY.replace("5e-3", "6e-3"));
    });
    assert!(rate.contains("the recipe differs"), "{rate}");
}

#[test]
fn a_teacher_changes_what_is_learned_and_must_know_no_more_than_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = tiny_model(folder.path(), Precision::Int8);
    let smoothed = TINY.replace(
        "softmax_weight = 1.0",
        "softmax_weight = 1.0\nsmoothing = 0.5",
    );
    let taught = |text: &str, run: &str, change: &dyn Fn(&mut Order)| {
        let mut order = order(recipe(text), &folder.path().join(run));
        order.teachers = vec![teacher.clone()];
        change(&mut order);
        train(&order, &AtomicBool::new(false))
    };
    let error = |text: &str, change: &dyn Fn(&mut Order)| {
        let error = taught(text, "refused", change).unwrap_err().to_string();
        assert!(!folder.path().join("refused").exists());
        error
    };
    taught(&smoothed, "taught", &|_| {}).unwrap();
    let run = run::read(&folder.path().join("taught")).unwrap();
    assert_eq!(run.teachers, [Model::load(&teacher).unwrap().id()]);
    finished_run(&smoothed, &folder.path().join("alone"));
    assert_ne!(
        log(&folder.path().join("taught")),
        log(&folder.path().join("alone"))
    );

    let unmixed = error(TINY, &|_| {});
    assert!(unmixed.contains("objective.smoothing is 0"), "{unmixed}");
    // By another seed other classes validate, which this teacher was trained on.
    let elsewhere = error(&smoothed, &|order| order.seed = 4);
    assert!(
        elsewhere.contains("trained on other pictures"),
        "{elsewhere}"
    );
    let larger = error(&smoothed.replace("side_px = 16", "side_px = 20"), &|_| {});
    assert!(larger.contains("another input"), "{larger}");
    let gone = error(&smoothed, &|order| {
        order.teachers = vec!["gone.onnx".into()]
    });
    assert!(gone.contains("gone.onnx"), "{gone}");
    let without = taught(&smoothed, "taught", &|order| {
        order.resume = true;
        order.teachers.clear();
    });
    let without = without.unwrap_err().to_string();
    assert!(without.contains("--teacher (the run had"), "{without}");
}

/// The Vulkan driver that needs no GPU, where Mesa is installed.
fn lavapipe() -> Option<String> {
    let found = fs::read_dir("/usr/share/vulkan/icd.d").ok()?;
    let mut names = found.filter_map(|entry| entry.ok()?.path().to_str().map(str::to_owned));
    names.find(|name| name.contains("lvp_icd"))
}

#[test]
fn a_gpu_learns_what_the_cpu_learns() {
    let Some(driver) = lavapipe() else {
        println!("skipped: no software Vulkan (install mesa-vulkan-drivers)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiny.toml");
    let text = TINY
        .replace("epochs = 12", "epochs = 3")
        .replace("steps_per_epoch = 4", "steps_per_epoch = 1")
        .replace("warmup_steps = 4", "warmup_steps = 1");
    fs::write(&file, text).unwrap();
    let losses = |device: &str| -> Vec<f64> {
        let run = folder.path().join(device);
        let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
            .args([
                "train", "--data", "glyphs", "--device", device, "--seed", "3",
            ])
            .arg("--preset")
            .arg(&file)
            .arg("--out")
            .arg(&run)
            .env("VK_ICD_FILENAMES", &driver)
            .env("CUBECL_AUTOTUNE_LEVEL", "0")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let rows = log(&run).split_off(1);
        let loss = |row: &String| row.split(',').nth(1).unwrap().parse().unwrap();
        rows.iter().map(loss).collect()
    };
    let (cpu, gpu) = (losses("cpu"), losses("software-gpu"));
    assert_eq!(cpu.len(), 3);
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        // Float additions in another order: the third loss carries two steps of it.
        assert!((cpu - gpu).abs() < 2e-3 * cpu.abs(), "{cpu} {gpu}");
    }
    println!("losses on the CPU {cpu:?}, on the GPU {gpu:?}");

    // Left to choose, the program does not take a GPU that is the CPU in disguise.
    losses("auto");
    let run = run::read(&folder.path().join("auto")).unwrap();
    assert!(run.device.starts_with("CPU"), "{}", run.device);
}
