//! What the tests that cross crates share: small data, small recipes, runs made of them, and the
//! programs as a person calls them. The facts themselves are in `tests/`.

#![allow(clippy::unwrap_used)] // only tests call this

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use onelook::config::Recipe;
use onelook::data::Dataset;
use onelook::data::glyphs::{self, GlyphsSpec};
use onelook::export;
use onelook::train::device::Compute;
use onelook::train::run::RunData;
use onelook::train::{self, Ending, Order, TrainError};
use onelook_edge::model::Precision;

/// A 16 x 16 network with batch normalisation, all pairs of a batch, AdamW.
pub const TINY: &str = include_str!("../fixtures/tiny.toml");
/// Koch's kind in small: no normalisation, a sigmoid layer, given pairs, momentum.
pub const TINY_KOCH: &str = include_str!("../fixtures/tiny-koch.toml");

/// Three invented alphabets of eight characters by six hands.
pub fn small_data() -> Dataset {
    glyphs::draw(&GlyphsSpec {
        groups: 3,
        classes_per_group: 8,
        drawers: 6,
        seed: 5,
    })
}

/// A recipe of this text.
pub fn recipe(text: &str) -> Recipe {
    Recipe::parse(text, Path::new("the test's recipe")).unwrap()
}

/// An order for a run on the CPU with seed 3.
pub fn order(recipe: Recipe, out: &Path) -> Order {
    Order {
        recipe,
        data_source: "small".to_owned(),
        seed: 3,
        out: out.to_owned(),
        compute: Compute::Cpu,
        epochs: None,
        minutes: None,
        resume: false,
        teachers: Vec::new(),
    }
}

/// Trains on the small data until done or until `stop` is set.
pub fn train(order: &Order, stop: &AtomicBool) -> Result<Ending, TrainError> {
    let data = RunData::of(small_data(), &order.recipe, order.seed);
    train::train(order, &data, stop)
}

/// A finished run in `out`.
pub fn finished_run(text: &str, out: &Path) {
    let ending = train(&order(recipe(text), out), &AtomicBool::new(false));
    assert!(matches!(ending, Ok(Ending::Finished(_))), "{ending:?}");
}

/// A tiny model of this precision in `folder`, trained on the small data.
pub fn tiny_model(folder: &Path, precision: Precision) -> PathBuf {
    let run = folder.join("run");
    finished_run(TINY, &run);
    let out = folder.join("tiny.onnx");
    let order = export::Order {
        run,
        out: out.clone(),
        precision,
        pair: None,
        name: "tiny <b>".to_owned(),
        licence: "none & nothing".to_owned(),
    };
    export::export(&order, small_data(), None).unwrap();
    out
}

/// What a program answered.
pub struct Answer {
    /// Exit code; none where it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a program with these arguments.
pub fn call(program: &str, args: &[&str]) -> Answer {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(args).output().unwrap();
    Answer {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// `ONELOOK_DATA`, or the folder beside the repository; says so where there is none.
pub fn shared_data() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let data =
        std::env::var_os("ONELOOK_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !data.is_dir() {
        println!("skipped: no real data (set ONELOOK_DATA to the folder that holds it)");
        return None;
    }
    Some(data)
}
