//! The comparison: every runtime over the same pictures in one process, in turn, so that whatever else the machine
//! does hits them alike; then processes of each, for their memory and the time to the first decision.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use onelook_edge::camera::MotionJpeg;
use onelook_edge::clip::CLIP;
use onelook_edge::gallery::head::Head;
use onelook_edge::kernel::Isa;
use onelook_edge::kernel::conv::Gemm;
use onelook_edge::model::onnx::{Graph, Node, Size, Tensor, ValueInfo};
use onelook_edge::model::{self, Card, Engine, INPUT, Model, OUTPUT, Precision};
use onelook_edge::vision::preprocess;
use serde_json::{Value, json};

use crate::runtime::{Embed, Runtime};
use crate::{Failure, twin};

/// The runtimes of others, which take both files: that in 8 bits and its twin in f32.
const OTHERS: [Runtime; 3] = [Runtime::Own(Engine::Tract), Runtime::Ort, Runtime::Rten];

/// Times that every engine embeds every picture.
const ROUNDS: usize = 50;
/// Processes that are started of every engine.
const STARTS: usize = 9;
/// Side of the square matrices of floats that a plain product is measured with.
const GEMM_SIDE: usize = 256;
/// An engine that has taken as long as this has shown what it takes.
const ENOUGH_SECS: f64 = 3.0;

/// A runtime with a file, and what was measured.
struct Subject<'a> {
    runtime: Runtime,
    precision: Precision,
    bytes: &'a [u8],
    path: &'a Path,
    embed: Embed,
    /// Seconds a picture.
    times: Vec<f64>,
    /// Seconds from process start to the first decision.
    starts: Vec<f64>,
    resident_bytes: Option<u64>,
    /// Largest difference from the first subject of the same arithmetic, over the largest number.
    apart: f32,
}

/// Measures the model in `bytes`, the file `name`, and prints what comes of it. ONNX Runtime and rten may use
/// `threads` threads each; kernels and tract use one.
///
/// # Errors
/// In words: the model or a runtime cannot be opened, or a line not be written.
pub fn run(
    bytes: &[u8],
    name: &str,
    threads: usize,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let model = Model::from_bytes(bytes, name)?;
    let card = model.card();
    let pictures = pictures(&model)?;
    let folder = tempfile::tempdir()?;
    let (own_path, twin_path) = (
        folder.path().join("own.onnx"),
        folder.path().join("f32.onnx"),
    );
    std::fs::write(&own_path, bytes)?;

    let twin = twin::file(bytes, card)?;
    let mut files = vec![(card.precision, bytes, own_path.as_path())];
    if let Some(twin) = &twin {
        std::fs::write(&twin_path, twin)?;
        files.push((Precision::F32, twin, &twin_path));
    }

    let mut subjects = Vec::new();
    let mut refusals = Vec::new();
    let kernels = model.layers().map_or(Vec::new(), |_| {
        // The scalar twin is there to define, not to compete.
        let others = Isa::here().filter(|isa| *isa != Isa::SCALAR);
        let others = others.map(Engine::Kernels);
        let others = others.filter(|engine| model.engine() != *engine);
        let others = others.map(Runtime::Own);
        [Runtime::Own(model.engine())]
            .into_iter()
            .chain(others)
            .collect()
    });
    for (precision, bytes, path) in files {
        let own = if precision == card.precision {
            kernels.as_slice()
        } else {
            &[]
        };
        for runtime in own.iter().chain(&OTHERS) {
            match runtime.open(bytes.to_vec(), card, threads) {
                Ok(embed) => subjects.push(Subject {
                    runtime: *runtime,
                    precision,
                    bytes,
                    path,
                    embed,
                    times: Vec::new(),
                    starts: Vec::new(),
                    resident_bytes: None,
                    apart: 0.0,
                }),
                // A runtime that refuses one file may take the other.
                Err(failure) => refusals.push((*runtime, precision, failure.to_string())),
            }
        }
    }
    let mut gemms = gemms(&model, threads)?;
    compare(&mut subjects, &pictures)?;
    measure(&mut subjects, &mut gemms, &pictures)?;
    for _ in 0..STARTS {
        for subject in &mut subjects {
            if subject.starts.iter().sum::<f64>() < ENOUGH_SECS {
                start(subject)?;
            }
        }
    }

    let macs = model
        .layers()
        .map(|layers| layers.iter().map(|layer| layer.shape().macs()).sum());
    let report = Report {
        model: &model,
        pictures: pictures.len(),
        macs,
        threads,
        subjects,
        gemms,
        refusals,
    };
    if as_json {
        writeln!(out, "{}", report.json())?;
    } else {
        report.table(out)?;
    }
    Ok(())
}

/// What the demonstration shows, as the model sees it.
fn pictures(model: &Model) -> Result<Vec<Vec<f32>>, Failure> {
    let frames = MotionJpeg::new(CLIP, "the demonstration's clip");
    let patch = |frame: Result<_, _>| -> Result<Vec<f32>, Failure> {
        Ok(preprocess::patch(&frame?, &model.card().input)?.0)
    };
    frames.map(patch).collect()
}

/// How far the embeddings of the subjects are from those of the first one of the same arithmetic; that
/// warms them up, too.
fn compare(subjects: &mut [Subject], pictures: &[Vec<f32>]) -> Result<(), Failure> {
    let mut references: Vec<(Precision, Vec<f32>)> = Vec::new();
    for subject in subjects {
        let mut numbers = Vec::new();
        for picture in pictures {
            numbers.extend((subject.embed)(picture)?);
        }
        let mut found = references.iter();
        if let Some((_, reference)) = found.find(|(precision, _)| *precision == subject.precision) {
            let pairs = reference.iter().zip(&numbers);
            let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            subject.apart = most / reference.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        } else {
            references.push((subject.precision, numbers));
        }
    }
    Ok(())
}

/// The share of times that the median is not below.
const MEDIAN: f64 = 0.5;

/// What `share` of the times do not exceed; none where there are none.
fn quantile(times: &[f64], share: f64) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = ((sorted.len() as f64 * share).ceil() as usize).max(1);
    sorted.get(place - 1).copied()
}

/// A plain product of matrices.
struct Product {
    runtime: Runtime,
    precision: Precision,
    macs: f64,
    run: Box<dyn FnMut() -> Result<(), String>>,
    times: Vec<f64>,
}

impl Product {
    /// Multiply-adds a second.
    fn rate(&self) -> f64 {
        quantile(&self.times, MEDIAN).map_or(0.0, |median| self.macs / median)
    }
}

/// Products in 8 bits by every kernel, and in floats by the others.
fn gemms(model: &Model, threads: usize) -> Result<Vec<Product>, Failure> {
    let mut gemms = Vec::new();
    for isa in Isa::here() {
        let mut gemm = Gemm::new(isa);
        gemms.push(Product {
            runtime: Runtime::Own(Engine::Kernels(isa)),
            precision: Precision::Int8,
            macs: gemm.macs() as f64,
            run: Box::new(move || {
                std::hint::black_box(gemm.run());
                Ok(())
            }),
            times: Vec::new(),
        });
    }
    let (bytes, card) = gemm_file(model.card())?;
    for runtime in &OTHERS {
        let Ok(mut embed) = runtime.open(bytes.clone(), &card, threads) else {
            continue;
        };
        let picture = vec![0.5; GEMM_SIDE * GEMM_SIDE];
        gemms.push(Product {
            runtime: *runtime,
            precision: Precision::F32,
            macs: (GEMM_SIDE * GEMM_SIDE * GEMM_SIDE) as f64,
            run: Box::new(move || embed(&picture).map(|_| ())),
            times: Vec::new(),
        });
    }
    Ok(gemms)
}

/// A file that every runtime opens as it does a model, and that is one product of matrices.
fn gemm_file(card: &Card) -> Result<(Vec<u8>, Card), Failure> {
    let mut card = card.clone();
    card.precision = Precision::F32;
    card.input.channels = 1;
    card.input.side_px = GEMM_SIDE;
    card.head = Head {
        alpha: vec![0.0; GEMM_SIDE * GEMM_SIDE],
        bias: 0.0,
    };
    let side = GEMM_SIDE as i64;
    let values: Vec<f32> = (0..GEMM_SIDE * GEMM_SIDE)
        .map(|i| (i % 7) as f32 / 7.0)
        .collect();
    let shape = |dims: &[i64]| dims.iter().map(|dim| Size::Fixed(*dim)).collect::<Vec<_>>();
    let graph = Graph {
        name: "product".to_owned(),
        node: vec![
            Node::new("MatMul", &[INPUT, "right"], "product", []),
            Node::new("Flatten", &["product"], OUTPUT, []),
        ],
        initializer: vec![Tensor::floats("right", &[side, side], &values)],
        input: vec![ValueInfo::floats(INPUT, shape(&[1, 1, side, side]))],
        output: vec![ValueInfo::floats(OUTPUT, shape(&[1, side * side]))],
    };
    Ok((model::encode(graph, Some(&card))?, card))
}

/// Times every picture with every subject, and the products between.
fn measure(
    subjects: &mut [Subject],
    gemms: &mut [Product],
    pictures: &[Vec<f32>],
) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        for picture in pictures {
            for subject in &mut *subjects {
                if subject.times.iter().sum::<f64>() > ENOUGH_SECS {
                    continue;
                }
                let started = Instant::now();
                let embedding = (subject.embed)(picture)?;
                let time = started.elapsed().as_secs_f64();
                std::hint::black_box(embedding);
                subject.times.push(time);
            }
        }
        for gemm in &mut *gemms {
            (gemm.run)()?;
            let started = Instant::now();
            (gemm.run)()?;
            gemm.times.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Starts a process of this program that makes one decision with the subject.
fn start(subject: &mut Subject) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--model").arg(subject.path);
    command.args(["once", &subject.runtime.to_string()]);
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let time = started.elapsed().as_secs_f64();
    if !child.wait()?.success() {
        return Err(format!("{}: its process failed", subject.runtime).into());
    }
    subject.starts.push(time);
    subject.resident_bytes = line.trim().parse().ok();
    Ok(())
}

struct Report<'a> {
    model: &'a Model,
    pictures: usize,
    /// None where the layers are not known.
    macs: Option<u64>,
    threads: usize,
    subjects: Vec<Subject<'a>>,
    gemms: Vec<Product>,
    refusals: Vec<(Runtime, Precision, String)>,
}

impl Report<'_> {
    /// The fastest plain product of that arithmetic, and who made it. A kernel is measured by its own.
    fn peak(&self, precision: Precision, runtime: Option<Runtime>) -> Option<(Runtime, f64)> {
        let rates = self.gemms.iter().filter(|gemm| gemm.precision == precision);
        let rates = rates.map(|gemm| (gemm.runtime, gemm.rate()));
        let own = rates
            .clone()
            .find(|(by, _)| Some(*by) == runtime && precision == Precision::Int8);
        own.or(rates.max_by(|a, b| a.1.total_cmp(&b.1)))
    }

    /// Seconds a picture of the faster of ONNX Runtime's two, what all others are compared with.
    fn reference(&self) -> Option<f64> {
        let ort = self
            .subjects
            .iter()
            .filter(|subject| subject.runtime == Runtime::Ort);
        let medians = ort.filter_map(|subject| quantile(&subject.times, MEDIAN));
        medians.min_by(f64::total_cmp)
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.subjects.iter().filter_map(|subject| {
            let median = quantile(&subject.times, MEDIAN)?;
            let rate = self.macs.map(|macs| macs as f64 / median);
            let peak = self.peak(subject.precision, Some(subject.runtime));
            Some(Row {
                engine: subject.runtime.to_string(),
                precision: subject.precision,
                median,
                p99: quantile(&subject.times, 0.99)?,
                of_ort: self.reference().map(|reference| median / reference),
                rate,
                share: rate.zip(peak).map(|(rate, (_, peak))| rate / peak),
                file_bytes: subject.bytes.len(),
                resident_bytes: subject.resident_bytes,
                start: quantile(&subject.starts, MEDIAN)?,
                apart: subject.apart,
            })
        })
    }

    fn table(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Self {
            model,
            pictures,
            threads,
            ..
        } = self;
        let macs = self.macs.map_or(String::new(), |macs| {
            format!("{:.2} M multiply-adds, ", macs as f64 / 1e6)
        });
        let s = if *threads == 1 { "" } else { "s" };
        writeln!(
            out,
            "{}: {macs}{pictures} pictures in {ROUNDS} rounds, {threads} thread{s}; runs on {}",
            model.card().name,
            model.engine(),
        )?;
        for precision in [Precision::Int8, Precision::F32] {
            if let Some((runtime, rate)) = self.peak(precision, None) {
                let name = name(precision);
                let rate = rate / 1e9;
                writeln!(
                    out,
                    "plain {name} product of matrices: {rate:.1} GMAC/s ({runtime})"
                )?;
            }
        }
        writeln!(
            out,
            "{:<12} {:>4}  {:>9} {:>9}  {:>6}  {:>6} {:>7}  {:>8}  {:>11}  {:>17}  {:>10}",
            "engine",
            "type",
            "median us",
            "p99 us",
            "of ort",
            "GMAC/s",
            "of GEMM",
            "file KB",
            "resident MB",
            "first decision ms",
            "difference"
        )?;
        let some = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        for row in self.rows() {
            writeln!(
                out,
                "{:<12} {:>4}  {:>9.1} {:>9.1}  {:>6}  {:>6} {:>7}  {:>8.1}  {:>11}  {:>17.1}  {:>10.0e}",
                row.engine,
                name(row.precision),
                row.median * 1e6,
                row.p99 * 1e6,
                some(row.of_ort, 2),
                some(row.rate.map(|rate| rate / 1e9), 1),
                some(row.share.map(|share| share * 100.0), 0) + "%",
                row.file_bytes as f64 / 1e3,
                some(row.resident_bytes.map(|bytes| bytes as f64 / 1e6), 1),
                row.start * 1e3,
                row.apart,
            )?;
        }
        for (runtime, precision, why) in &self.refusals {
            writeln!(out, "not measured: {runtime} {}: {why}", name(*precision))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let engines: Vec<Value> = self
            .rows()
            .map(|row| {
                json!({
                    "engine": row.engine,
                    "type": name(row.precision),
                    "median_us": row.median * 1e6,
                    "p99_us": row.p99 * 1e6,
                    "of_ort": row.of_ort,
                    "gmacs_per_s": row.rate.map(|rate| rate / 1e9),
                    "share_of_gemm": row.share,
                    "file_bytes": row.file_bytes,
                    "resident_bytes": row.resident_bytes,
                    "first_decision_ms": row.start * 1e3,
                    "difference": row.apart,
                })
            })
            .collect();
        let gemms: Vec<Value> = self
            .gemms
            .iter()
            .map(|gemm| {
                json!({
                    "engine": gemm.runtime.to_string(),
                    "type": name(gemm.precision),
                    "gmacs_per_s": gemm.rate() / 1e9,
                })
            })
            .collect();
        let refused: Vec<Value> = self
            .refusals
            .iter()
            .map(|(runtime, precision, why)| {
                json!({ "engine": runtime.to_string(), "type": name(*precision), "why": why })
            })
            .collect();
        json!({
            "model": self.model.card().name,
            "runs_on": self.model.engine().to_string(),
            "macs": self.macs,
            "pictures": self.pictures,
            "rounds": ROUNDS,
            "threads": self.threads,
            "gemm": gemms,
            "engines": engines,
            "not_measured": refused,
        })
    }
}

struct Row {
    engine: String,
    precision: Precision,
    /// Seconds.
    median: f64,
    /// Seconds.
    p99: f64,
    /// The median over that of ONNX Runtime's better file.
    of_ort: Option<f64>,
    rate: Option<f64>,
    share: Option<f64>,
    file_bytes: usize,
    resident_bytes: Option<u64>,
    /// Seconds.
    start: f64,
    apart: f32,
}

fn name(precision: Precision) -> &'static str {
    match precision {
        Precision::Int8 => "int8",
        Precision::F32 => "f32",
    }
}
