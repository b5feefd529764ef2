//! What an embedding costs: the device's kernels, tract and other runtimes over the same pictures in
//! one process, in turn, so that whatever else the machine does hits them alike.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Spread, twin};
use crate::camera::MotionJpeg;
use crate::clip::CLIP;
use crate::gallery::Gallery;
use crate::gallery::decide::identify;
use crate::gallery::head::Head;
use crate::kernel::Isa;
use crate::kernel::conv::{self, Gemm, Layer, Plane};
use crate::model::onnx::{Graph, Node, Size, Tensor, ValueInfo};
use crate::model::{self, Card, Engine, INPUT, Model, OUTPUT, Precision};
use crate::vision::preprocess::{self, Patch};

type Failure = Box<dyn std::error::Error>;

/// A picture [channels, side, side] in, its embedding out; in words, why not.
pub type Embed = Box<dyn FnMut(&[f32]) -> Result<Vec<f32>, String>>;

/// Times that every engine embeds every picture.
const ROUNDS: usize = 50;
/// Processes that are started of every engine.
const STARTS: usize = 9;
/// Side of the square matrices of floats that a plain product is measured with.
const GEMM_SIDE: usize = 256;
/// An engine that has taken as long as this has shown what it takes.
const ENOUGH_SECS: f64 = 3.0;

/// What computes embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// The device's own.
    Own(Engine),
    /// ONNX Runtime.
    Ort,
    /// rten.
    Rten,
}

impl Runtime {
    /// The one of that name: `tract`, `ort`, `rten` or that of a set of instructions.
    ///
    /// # Errors
    /// In words, where there is none here.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "ort" => Ok(Self::Ort),
            "rten" => Ok(Self::Rten),
            "tract" => Ok(Self::Own(Engine::Tract)),
            _ => match Isa::named(name) {
                Ok(isa) => Ok(Self::Own(Engine::Kernels(isa))),
                Err(_) => Err(format!("no runtime {name:?}; there are ort and rten")),
            },
        }
    }

    /// Opens the file for pictures of the shape that `card` says.
    fn open(self, bytes: Vec<u8>, card: &Card, threads: usize) -> Result<Embed, Failure> {
        if let Self::Own(engine) = self {
            let model = Model::on(engine, bytes, "the model")?;
            let mut memory = model.scratch();
            let mut patch = Patch(Vec::new());
            return Ok(Box::new(move |picture| {
                patch.0.clear();
                patch.0.extend_from_slice(picture);
                let embedding = model.embed_in(&mut memory, &patch);
                embedding
                    .map(<[f32]>::to_vec)
                    .map_err(|error| error.to_string())
            }));
        }
        self.open_peer(bytes, card, threads)
    }

    #[cfg(feature = "peers")]
    fn open_peer(self, bytes: Vec<u8>, card: &Card, threads: usize) -> Result<Embed, Failure> {
        let side = card.input.side_px;
        let shape = [1, card.input.channels, side, side];
        let peer = match self {
            Self::Rten => {
                // A file of before has packed lists, which rten refuses.
                let graph = model::graph(&bytes).ok_or("no ONNX file")?;
                super::peers::rten(model::encode(graph, None)?, shape, threads)
            }
            _ => super::peers::onnx_runtime(&bytes, shape, threads),
        };
        Ok(peer?)
    }

    #[cfg(not(feature = "peers"))]
    fn open_peer(self, _: Vec<u8>, _: &Card, _: usize) -> Result<Embed, Failure> {
        Err(format!("{self}: not in this program").into())
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Own(engine) => engine.fmt(f),
            Self::Ort => f.write_str("ort"),
            Self::Rten => f.write_str("rten"),
        }
    }
}

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

/// Measures the model in `bytes`, the file `name`, and prints what comes of it. `against` are other runtimes, which may
/// use `threads` threads each; kernels and tract use one.
///
/// # Errors
/// In words: the model or a runtime cannot be opened, or a line not be written.
pub fn run(
    bytes: &[u8],
    name: &str,
    against: &[Runtime],
    threads: usize,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if !cfg!(feature = "peers") && !against.is_empty() {
        let what = "was built without other runtimes; build it with `--features peers`";
        return Err(format!("--against: this program {what}").into());
    }
    let model = Model::from_bytes(bytes, name)?;
    let card = model.card();
    let pictures = pictures(&model)?;
    let folder = tempfile::tempdir()?;
    let (own_path, twin_path) = (
        folder.path().join("own.onnx"),
        folder.path().join("f32.onnx"),
    );
    std::fs::write(&own_path, bytes)?;

    let twin = in_floats(bytes, card)?;
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
        let tract = [Runtime::Own(Engine::Tract)];
        for runtime in own.iter().chain(&tract).chain(against) {
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
                // A peer that refuses one file may take the other.
                Err(failure) => refusals.push((*runtime, precision, failure.to_string())),
            }
        }
    }
    let mut gemms = gemms(&model, against, threads)?;
    let layers = model.layers().unwrap_or_default();
    let mut convolutions: Vec<_> = layers.iter().map(Convolution::new).collect();
    compare(&mut subjects, &pictures)?;
    measure(&mut subjects, &mut gemms, &mut convolutions, &pictures)?;
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
        convolutions,
        refusals,
    };
    if as_json {
        writeln!(out, "{}", report.json())?;
    } else {
        report.table(out)?;
    }
    Ok(())
}

/// The file of the same network in f32; none where it is not one in 8 bits as `onelook export` writes it.
fn in_floats(bytes: &[u8], card: &Card) -> Result<Option<Vec<u8>>, Failure> {
    let twin = match card.precision {
        Precision::Int8 => model::graph(bytes).and_then(|graph| twin::f32_twin(&graph)),
        Precision::F32 => None,
    };
    let card = Card {
        precision: Precision::F32,
        ..card.clone()
    };
    let encoded = twin.map(|graph| model::encode(graph, Some(&card)));
    Ok(encoded.transpose()?)
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
        let spread = Spread::of(self.times.clone());
        spread.map_or(0.0, |spread| self.macs / spread.median)
    }
}

/// A layer of the model by itself, its numbers in the nearest cache, as those of a plain product are.
struct Convolution<'a> {
    layer: &'a Layer,
    from: Plane,
    to: Plane,
    memory: conv::LayerMemory,
    /// Seconds a run.
    times: Vec<f64>,
}

impl<'a> Convolution<'a> {
    /// So many runs are timed at once that a clock can tell them.
    const REPEATS: usize = 10;

    fn new(layer: &'a Layer) -> Self {
        Self {
            layer,
            from: layer.input(),
            to: layer.output(),
            memory: conv::LayerMemory::default(),
            times: Vec::new(),
        }
    }

    fn run(&mut self) {
        self.layer.run(&self.from, &mut self.memory, &mut self.to);
        std::hint::black_box(&self.to);
    }

    fn measure(&mut self) {
        self.run();
        let started = Instant::now();
        for _ in 0..Self::REPEATS {
            self.run();
        }
        let time = started.elapsed().as_secs_f64();
        self.times.push(time / Self::REPEATS as f64);
    }

    fn secs(&self) -> f64 {
        Spread::of(self.times.clone()).map_or(0.0, |spread| spread.median)
    }

    /// Such as `3x3, 32 to 64 channels, 16x16`.
    fn words(&self) -> String {
        let shape = self.layer.shape();
        format!(
            "{0}x{0}, {1} to {2} channels, {3}x{3}",
            shape.kernel,
            shape.channels,
            shape.filters,
            shape.conv_side()
        )
    }
}

/// Products in 8 bits by every kernel, and in floats by tract and the peers.
fn gemms(model: &Model, against: &[Runtime], threads: usize) -> Result<Vec<Product>, Failure> {
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
    let runtimes = [Runtime::Own(Engine::Tract)];
    for runtime in runtimes.iter().chain(against) {
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

/// Times every picture with every subject, and the products and the layers between.
fn measure(
    subjects: &mut [Subject],
    gemms: &mut [Product],
    convolutions: &mut [Convolution],
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
        for convolution in &mut *convolutions {
            convolution.measure();
        }
    }
    Ok(())
}

/// Starts a process of this program that makes one decision with the subject.
fn start(subject: &mut Subject) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--model").arg(subject.path);
    command.args(["bench", "--first-decision", &subject.runtime.to_string()]);
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

/// Makes one decision with `runtime`, as a device does after it was switched on: a class is learned
/// from each of the first two frames of the demonstration, and the third is named, then embedded
/// `again` so many times for whoever counts instructions; where `as_f32` by the same network in f32. Prints the resident
/// memory in bytes, or nothing where the system does not tell.
///
/// # Errors
/// In words: the model cannot be opened, or a line not be written.
pub fn first_decision(
    bytes: Vec<u8>,
    runtime: Runtime,
    as_f32: bool,
    again: usize,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let card = Card::read(&bytes, "the model")?;
    let bytes = match as_f32 {
        true => in_floats(&bytes, &card)?
            .ok_or("the model is not one in 8 bits as `export` writes it")?,
        false => bytes,
    };
    let mut embed = runtime.open(bytes, &card, 1)?;
    let mut gallery = Gallery::default();
    for (number, frame) in MotionJpeg::new(CLIP, "the clip").take(3).enumerate() {
        let patch = preprocess::patch(&frame?, &card.input)?;
        let probe = embed(&patch.0)?;
        match number {
            0 | 1 => gallery.enroll(&number.to_string(), probe),
            _ => {
                let nearest = gallery.nearest(&probe, &card.head);
                std::hint::black_box(identify(nearest, &card.head, card.head.limit(0.5)));
                for _ in 0..again {
                    std::hint::black_box(embed(&patch.0)?);
                }
            }
        }
    }
    writeln!(
        out,
        "{}",
        super::resident_bytes().map_or(String::new(), |n| n.to_string())
    )?;
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
    convolutions: Vec<Convolution<'a>>,
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

    /// What of a plain product on the same kernels so many multiply-adds in so many seconds are.
    fn of_own_peak(&self, macs: u64, secs: f64) -> Option<f64> {
        let own = Runtime::Own(self.model.engine());
        let (_, peak) = self.peak(self.model.card().precision, Some(own))?;
        Some(macs as f64 / secs / peak)
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.subjects.iter().filter_map(|subject| {
            let spread = Spread::of(subject.times.clone())?;
            let rate = self.macs.map(|macs| macs as f64 / spread.median);
            let peak = self.peak(subject.precision, Some(subject.runtime));
            Some(Row {
                engine: subject.runtime.to_string(),
                precision: subject.precision,
                spread,
                rate,
                share: rate.zip(peak).map(|(rate, (_, peak))| rate / peak),
                file_bytes: subject.bytes.len(),
                resident_bytes: subject.resident_bytes,
                start: Spread::of(subject.starts.clone())?.median,
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
            "{:<12} {:>4}  {:>9} {:>9}  {:>6} {:>7}  {:>8}  {:>11}  {:>17}  {:>10}",
            "engine",
            "type",
            "median us",
            "p99 us",
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
                "{:<12} {:>4}  {:>9.1} {:>9.1}  {:>6} {:>7}  {:>8.1}  {:>11}  {:>17.1}  {:>10.0e}",
                row.engine,
                name(row.precision),
                row.spread.median * 1e6,
                row.spread.p99 * 1e6,
                some(row.rate.map(|rate| rate / 1e9), 1),
                some(row.share.map(|share| share * 100.0), 0) + "%",
                row.file_bytes as f64 / 1e3,
                some(row.resident_bytes.map(|bytes| bytes as f64 / 1e6), 1),
                row.start * 1e3,
                row.apart,
            )?;
        }
        let percent = |share: Option<f64>| some(share.map(|share| share * 100.0), 0) + "%";
        let mut together = 0.0;
        for convolution in &self.convolutions {
            let (secs, macs) = (convolution.secs(), convolution.layer.shape().macs());
            together += secs;
            writeln!(
                out,
                "{:<38} {:>6.1} us  {:>5} of GEMM",
                convolution.words(),
                secs * 1e6,
                percent(self.of_own_peak(macs, secs))
            )?;
        }
        if let Some(macs) = self.macs {
            writeln!(
                out,
                "{:<38} {:>6.1} us  {:>5} of GEMM",
                format!("the layers alone, by {}", model.engine()),
                together * 1e6,
                percent(self.of_own_peak(macs, together))
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
                    "median_us": row.spread.median * 1e6,
                    "p99_us": row.spread.p99 * 1e6,
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
        let layers: Vec<Value> = self
            .convolutions
            .iter()
            .map(|convolution| {
                let (secs, macs) = (convolution.secs(), convolution.layer.shape().macs());
                json!({
                    "layer": convolution.words(),
                    "macs": macs,
                    "median_us": secs * 1e6,
                    "share_of_gemm": self.of_own_peak(macs, secs),
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
            "layers": layers,
            "not_measured": refused,
        })
    }
}

struct Row {
    engine: String,
    precision: Precision,
    spread: Spread,
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
