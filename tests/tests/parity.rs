//! Burn, ONNX Runtime, tract and our kernels agree on every kind of file that `export` writes: the device takes
//! its kernels for int8 and tract for f32.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use onelook::data::Dataset;
use onelook::export::{self, Order};
use onelook::train::checkpoint::best_twin;
use onelook::train::run;
use onelook::train::validate::burn_embeddings;
use onelook_edge::camera::MotionJpeg;
use onelook_edge::clip::CLIP;
use onelook_edge::kernel::Isa;
use onelook_edge::model::{Engine, INPUT, Model, OUTPUT, Precision};
use onelook_edge::vision::preprocess::{Patch, patch};
use onelook_tests::{TINY, TINY_KOCH, finished_run, small_data};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;

struct Made {
    run: PathBuf,
    file: PathBuf,
    pair: PathBuf,
    model: Model,
}

fn make(folder: &Path, recipe: &str, precision: Precision) -> Made {
    let run = folder.join("run");
    if !run.exists() {
        finished_run(recipe, &run);
    }
    let name = format!("{precision:?}");
    let (file, pair) = (
        folder.join(format!("{name}.onnx")),
        folder.join(format!("{name}-pair.onnx")),
    );
    let order = Order {
        run: run.clone(),
        out: file.clone(),
        precision,
        pair: Some(pair.clone()),
        name,
        licence: "none".to_owned(),
    };
    export::export(&order, small_data(), None).unwrap();
    let model = Model::load(&file).unwrap();
    Made {
        run,
        file,
        pair,
        model,
    }
}

/// Every fifth picture.
fn patches(model: &Model) -> Vec<Patch> {
    let data = small_data();
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let pictures = classes.flat_map(|class| &class.pictures).step_by(5);
    pictures
        .map(|picture| patch(&picture.frame, &model.card().input).unwrap())
        .collect()
}

fn burn(made: &Made, data: &Dataset) -> Vec<Vec<f32>> {
    let run = run::read(&made.run).unwrap();
    let (twin, _) = best_twin(&made.run, &run).unwrap();
    let embeddings = burn_embeddings(&twin, data, &run.recipe.input).unwrap();
    embeddings
        .into_iter()
        .flatten()
        .flatten()
        .step_by(5)
        .collect()
}

fn embedded(model: &Model, patches: &[Patch]) -> Vec<Vec<f32>> {
    let embed = |patch: &Patch| model.embed(patch).unwrap();
    patches.iter().map(embed).collect()
}

/// Largest difference over the largest number.
fn apart(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = || a.iter().flatten().zip(b.iter().flatten());
    let most = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    most / pairs().map(|(a, _)| a.abs()).fold(0.0, f32::max)
}

/// A session of the library that `ORT_DYLIB_PATH` names; says so where there is none.
fn onnx_runtime(file: &Path) -> Option<Session> {
    let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
        println!("skipped: no ONNX Runtime (set ORT_DYLIB_PATH to libonnxruntime.so)");
        return None;
    };
    // The library is loaded once a process.
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| ort::init_from(library).unwrap().build().unwrap());
    let mut builder = Session::builder(environment).unwrap();
    Some(builder.commit_from_file(file).unwrap())
}

fn batch(model: &Model, patches: &[Patch]) -> Tensor<f32> {
    let input = &model.card().input;
    let shape = [patches.len(), input.channels, input.side_px, input.side_px];
    let numbers: Vec<f32> = patches.iter().flat_map(|patch| patch.0.clone()).collect();
    Tensor::from_array((shape, numbers)).unwrap()
}

/// The embeddings of ONNX Runtime from the model's file, all patches in one batch.
fn runtime(file: &Path, model: &Model, patches: &[Patch]) -> Option<Vec<Vec<f32>>> {
    let mut session = onnx_runtime(file)?;
    let image = batch(model, patches);
    let outputs = session.run(ort::inputs![INPUT => image]).unwrap();
    let (_, numbers) = outputs[OUTPUT].try_extract_tensor::<f32>().unwrap();
    let rows = numbers.chunks_exact(model.dims());
    Some(rows.map(<[f32]>::to_vec).collect())
}

fn f32_agrees(recipe: &str) {
    let folder = tempfile::tempdir().unwrap();
    let made = make(folder.path(), recipe, Precision::F32);
    assert_eq!(made.model.engine(), Engine::Tract);
    let patches = patches(&made.model);
    let tract = embedded(&made.model, &patches);
    let burn = apart(&burn(&made, &small_data()), &tract);
    println!("f32: tract is {burn:.1e} from Burn");
    assert!(burn < 1e-4, "{burn}");
    if let Some(runtime) = runtime(&made.file, &made.model, &patches) {
        let runtime = apart(&runtime, &tract);
        println!("f32: tract is {runtime:.1e} from ONNX Runtime");
        assert!(runtime < 1e-4, "{runtime}");
    }
}

fn int8_agrees(recipe: &str) {
    let folder = tempfile::tempdir().unwrap();
    let made = make(folder.path(), recipe, Precision::Int8);
    assert_eq!(made.model.card().precision, Precision::Int8);
    assert_ne!(made.model.engine(), Engine::Tract);
    let patches = patches(&made.model);
    let kernels = embedded(&made.model, &patches);
    let burn = apart(&burn(&made, &small_data()), &kernels);
    println!("int8: our kernels are {burn:.1e} from Burn");
    assert!(burn < 0.15, "{burn}");
    let tract = Model::on(Engine::Tract, fs::read(&made.file).unwrap(), "int8").unwrap();
    let tract = apart(&embedded(&tract, &patches), &kernels);
    println!("int8: our kernels are {tract:.1e} from tract");
    // The same integers, but for a rounding here and there.
    assert!(tract < 0.02, "{tract}");
    if let Some(runtime) = runtime(&made.file, &made.model, &patches) {
        let runtime = apart(&runtime, &kernels);
        println!("int8: our kernels are {runtime:.1e} from ONNX Runtime");
        assert!(runtime < 1e-6, "{runtime}");
    }
}

#[test]
fn f32_of_the_compact_kind() {
    f32_agrees(TINY);
}

#[test]
fn f32_of_kochs_kind() {
    f32_agrees(TINY_KOCH);
}

#[test]
fn int8_of_the_compact_kind() {
    int8_agrees(TINY);
}

#[test]
fn int8_of_kochs_kind() {
    int8_agrees(TINY_KOCH);
}

/// The invented drawings and what the demonstration's camera saw.
#[test]
fn every_kernel_gives_the_shipped_files_numbers_as_onnx_runtime_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/omniglot/model.onnx");
    let model = Model::load(&file).unwrap();
    let mut patches = patches(&model);
    let clip = MotionJpeg::new(CLIP, "clip");
    let seen = clip.map(|frame| patch(&frame.unwrap(), &model.card().input).unwrap());
    patches.extend(seen);
    let Some(expected) = runtime(&file, &model, &patches) else {
        return;
    };
    for isa in Isa::here() {
        let bytes = fs::read(&file).unwrap();
        let model = Model::on(Engine::Kernels(isa), bytes, "shipped").unwrap();
        let found = embedded(&model, &patches);
        assert!(
            found == expected,
            "{isa} is {:e} apart",
            apart(&found, &expected)
        );
    }
}

#[test]
fn the_whole_twin_gives_the_p_of_the_devices_head() {
    let folder = tempfile::tempdir().unwrap();
    for (recipe, precision) in [(TINY, Precision::F32), (TINY, Precision::Int8)] {
        let made = make(folder.path(), recipe, precision);
        let Some(mut session) = onnx_runtime(&made.pair) else {
            return;
        };
        let patches = patches(&made.model);
        let (first, second) = patches.split_at(patches.len() / 2);
        let count = first.len().min(second.len());
        let (a, b) = (
            batch(&made.model, &first[..count]),
            batch(&made.model, &second[..count]),
        );
        let outputs = session.run(ort::inputs!["a" => a, "b" => b]).unwrap();
        let (shape, found) = outputs["p_same"].try_extract_tensor::<f32>().unwrap();
        assert_eq!(shape[..], [count as i64, 1]);
        let head = made.model.head();
        for ((a, b), found) in first.iter().zip(second).zip(found) {
            let distance =
                head.distance(&made.model.embed(a).unwrap(), &made.model.embed(b).unwrap());
            let expected = head.probability(distance);
            assert!((expected - found).abs() < 0.02, "{expected} {found}");
        }
    }
}
