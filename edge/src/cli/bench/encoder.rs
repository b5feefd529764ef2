//! What an embedding costs on this machine: every kernel that runs here over the same pictures, in turn, so that
//! whatever else the machine does hits them alike. What other runtimes take is measured in `tests/rivals`.

use std::io::Write;
use std::time::Instant;

use serde_json::{Value, json};

use super::Spread;
use crate::camera::MotionJpeg;
use crate::clip::CLIP;
use crate::event;
use crate::gallery::Gallery;
use crate::gallery::decide::identify;
use crate::kernel::Isa;
use crate::kernel::conv::{self, Gemm, Layer, Plane};
use crate::model::{self, Engine, Model, Precision};
use crate::vision::preprocess::{self, Patch};

type Failure = Box<dyn std::error::Error>;

/// Times that every engine embeds every picture.
const ROUNDS: usize = 50;
/// Times that every engine opens the model and makes its first decision.
const STARTS: usize = 9;
/// An engine that has taken as long as this has shown what it takes.
const ENOUGH_SECS: f64 = 3.0;

/// The model on an engine, and what was measured.
struct Subject {
    model: Model,
    memory: model::NetworkMemory,
    /// Seconds a picture.
    times: Vec<f64>,
    /// Seconds from the bytes of the file to the first decision.
    starts: Vec<f64>,
    /// Largest difference from the first subject, over the largest number.
    apart: f32,
}

impl Subject {
    fn on(engine: Engine, bytes: &[u8]) -> Result<Self, Failure> {
        let model = Model::on(engine, bytes.to_vec(), "the model")?;
        Ok(Self {
            memory: model.memory(),
            model,
            times: Vec::new(),
            starts: Vec::new(),
            apart: 0.0,
        })
    }

    fn embed(&mut self, patch: &Patch) -> Result<&[f32], Failure> {
        Ok(self.model.embed_in(&mut self.memory, patch)?)
    }
}

/// Measures the model in `bytes`, the file `name`, and prints what comes of it. One thread is used.
///
/// # Errors
/// The model cannot be opened, or a line not be written.
pub fn run(bytes: &[u8], name: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let model = Model::from_bytes(bytes, name)?;
    let patches = patches(&model)?;
    let mut subjects = vec![Subject::on(model.engine(), bytes)?];
    let mut products = Vec::new();
    if model.layers().is_some() {
        for isa in Isa::here() {
            products.push(Product::by(isa)?);
            // The scalar twin is there to define, not to compete.
            let engine = Engine::Kernels(isa);
            if isa != Isa::SCALAR && engine != model.engine() {
                subjects.push(Subject::on(engine, bytes)?);
            }
        }
    }
    let layers = model.layers().unwrap_or_default();
    let mut convolutions: Vec<_> = layers.iter().map(Convolution::new).collect();
    compare(&mut subjects, &patches)?;
    measure(&mut subjects, &mut products, &mut convolutions, &patches)?;
    for _ in 0..STARTS {
        for subject in &mut subjects {
            if subject.starts.iter().sum::<f64>() < ENOUGH_SECS {
                let started = Instant::now();
                decide(subject.model.engine(), bytes)?;
                subject.starts.push(started.elapsed().as_secs_f64());
            }
        }
    }

    let macs = model.layers().map(|layers| {
        let macs = layers.iter().map(|layer| layer.shape().macs());
        macs.sum()
    });
    let report = Report {
        model: &model,
        file_bytes: bytes.len(),
        pictures: patches.len(),
        macs,
        subjects,
        products,
        convolutions,
        resident_bytes: event::resident_bytes(),
    };
    if as_json {
        writeln!(out, "{}", report.json())?;
    } else {
        report.table(out)?;
    }
    Ok(())
}

/// What the demonstration shows, as the model sees it.
fn patches(model: &Model) -> Result<Vec<Patch>, Failure> {
    let frames = MotionJpeg::new(CLIP, "the demonstration's clip");
    let patch = |frame: Result<_, _>| -> Result<Patch, Failure> {
        Ok(preprocess::patch(&frame?, &model.card().input)?)
    };
    frames.map(patch).collect()
}

/// Opens the model and makes one decision, as a device does after it was switched on: a class is learned from each
/// of the first two frames of the demonstration, and the third is named.
fn decide(engine: Engine, bytes: &[u8]) -> Result<(), Failure> {
    let Subject {
        model, mut memory, ..
    } = Subject::on(engine, bytes)?;
    let mut gallery = Gallery::default();
    for (number, frame) in MotionJpeg::new(CLIP, "the clip").take(3).enumerate() {
        let patch = preprocess::patch(&frame?, &model.card().input)?;
        let probe = model.embed_in(&mut memory, &patch)?;
        if number < 2 {
            gallery.enroll(&number.to_string(), probe.to_vec());
        } else {
            let nearest = gallery.nearest(probe, model.head());
            std::hint::black_box(identify(nearest, model.head(), model.head().limit(0.5)));
        }
    }
    Ok(())
}

/// How far the embeddings of the subjects are from those of the first one; that warms them up, too.
fn compare(subjects: &mut [Subject], patches: &[Patch]) -> Result<(), Failure> {
    let mut reference: Option<Vec<f32>> = None;
    for subject in subjects {
        let mut numbers = Vec::new();
        for patch in patches {
            numbers.extend_from_slice(subject.embed(patch)?);
        }
        if let Some(reference) = &reference {
            let pairs = reference.iter().zip(&numbers);
            let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            subject.apart = most / reference.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        } else {
            reference = Some(numbers);
        }
    }
    Ok(())
}

/// A plain product of matrices in 8 bits.
struct Product {
    isa: Isa,
    gemm: Gemm,
    times: Vec<f64>,
}

impl Product {
    fn by(isa: Isa) -> Result<Self, Failure> {
        Ok(Self {
            isa,
            gemm: Gemm::new(isa),
            times: Vec::new(),
        })
    }

    fn measure(&mut self) {
        std::hint::black_box(self.gemm.run());
        let started = Instant::now();
        std::hint::black_box(self.gemm.run());
        self.times.push(started.elapsed().as_secs_f64());
    }

    /// Multiply-adds a second.
    fn rate(&self) -> f64 {
        let spread = Spread::of(self.times.clone());
        spread.map_or(0.0, |spread| self.gemm.macs() as f64 / spread.median)
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
    /// How many runs are timed at once: enough for the clock to tell them apart.
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

/// Times every picture with every subject, and the products and the layers between.
fn measure(
    subjects: &mut [Subject],
    products: &mut [Product],
    convolutions: &mut [Convolution],
    patches: &[Patch],
) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        for patch in patches {
            for subject in &mut *subjects {
                if subject.times.iter().sum::<f64>() > ENOUGH_SECS {
                    continue;
                }
                let started = Instant::now();
                std::hint::black_box(subject.embed(patch)?);
                let time = started.elapsed().as_secs_f64();
                subject.times.push(time);
            }
        }
        products.iter_mut().for_each(Product::measure);
        convolutions.iter_mut().for_each(Convolution::measure);
    }
    Ok(())
}

struct Report<'a> {
    model: &'a Model,
    file_bytes: usize,
    pictures: usize,
    /// None where the layers are not known.
    macs: Option<u64>,
    subjects: Vec<Subject>,
    products: Vec<Product>,
    convolutions: Vec<Convolution<'a>>,
    /// Of this process, after all of it.
    resident_bytes: Option<u64>,
}

struct Row {
    engine: Engine,
    spread: Spread,
    /// Multiply-adds a second.
    rate: Option<f64>,
    /// Of the rate of a plain product by the same kernel.
    share: Option<f64>,
    /// Seconds from the bytes of the file to the first decision.
    start: f64,
    apart: f32,
}

impl Report<'_> {
    /// The rate of these multiply-adds in these seconds, as a share of the plain product of that engine.
    fn share(&self, engine: Engine, macs: u64, secs: f64) -> Option<f64> {
        let mut products = self.products.iter();
        let own = products.find(|product| engine == Engine::Kernels(product.isa))?;
        Some(macs as f64 / secs / own.rate())
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.subjects.iter().filter_map(|subject| {
            let engine = subject.model.engine();
            let spread = Spread::of(subject.times.clone())?;
            Some(Row {
                engine,
                spread,
                rate: self.macs.map(|macs| macs as f64 / spread.median),
                share: self
                    .macs
                    .and_then(|macs| self.share(engine, macs, spread.median)),
                start: Spread::of(subject.starts.clone())?.median,
                apart: subject.apart,
            })
        })
    }

    fn table(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let some = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let percent = |share: Option<f64>| some(share.map(|share| share * 100.0), 0) + "%";
        let macs = self.macs.map_or(String::new(), |macs| {
            format!("{:.2} M multiply-adds, ", macs as f64 / 1e6)
        });
        writeln!(
            out,
            "{}: {} in a file of {:.1} KB, {macs}{} pictures in {ROUNDS} rounds, one thread; runs on {}",
            self.model.card().name,
            name(self.model.card().precision),
            self.file_bytes as f64 / 1e3,
            self.pictures,
            self.model.engine(),
        )?;
        for product in &self.products {
            let rate = product.rate() / 1e9;
            let isa = product.isa;
            writeln!(out, "plain product of matrices: {rate:.1} GMAC/s ({isa})")?;
        }
        writeln!(
            out,
            "{:<12}  {:>9} {:>9}  {:>6} {:>7}  {:>17}  {:>10}",
            "engine", "median us", "p99 us", "GMAC/s", "of GEMM", "first decision ms", "difference"
        )?;
        for row in self.rows() {
            writeln!(
                out,
                "{:<12}  {:>9.1} {:>9.1}  {:>6} {:>7}  {:>17.1}  {:>10.0e}",
                row.engine.to_string(),
                row.spread.median * 1e6,
                row.spread.p99 * 1e6,
                some(row.rate.map(|rate| rate / 1e9), 1),
                percent(row.share),
                row.start * 1e3,
                row.apart,
            )?;
        }
        let engine = self.model.engine();
        let mut together = 0.0;
        let mut line = |what: String, macs: u64, secs: f64| {
            let share = percent(self.share(engine, macs, secs));
            let us = secs * 1e6;
            writeln!(out, "{what:<38} {us:>6.1} us  {share:>5} of GEMM")
        };
        for convolution in &self.convolutions {
            let secs = convolution.secs();
            together += secs;
            line(convolution.words(), convolution.layer.shape().macs(), secs)?;
        }
        if let Some(macs) = self.macs {
            line(format!("the layers alone, by {engine}"), macs, together)?;
        }
        if let Some(bytes) = self.resident_bytes {
            writeln!(out, "resident at the end: {:.1} MB", bytes as f64 / 1e6)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let precision = name(self.model.card().precision);
        let engines: Vec<Value> = self
            .rows()
            .map(|row| {
                json!({
                    "engine": row.engine.to_string(),
                    "type": precision,
                    "median_us": row.spread.median * 1e6,
                    "p99_us": row.spread.p99 * 1e6,
                    "gmacs_per_s": row.rate.map(|rate| rate / 1e9),
                    "share_of_gemm": row.share,
                    "file_bytes": self.file_bytes,
                    "first_decision_ms": row.start * 1e3,
                    "difference": row.apart,
                })
            })
            .collect();
        let gemms: Vec<Value> = self
            .products
            .iter()
            .map(|product| {
                json!({
                    "engine": product.isa.to_string(),
                    "type": name(Precision::Int8),
                    "gmacs_per_s": product.rate() / 1e9,
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
                    "share_of_gemm": self.share(self.model.engine(), macs, secs),
                })
            })
            .collect();
        json!({
            "model": self.model.card().name,
            "runs_on": self.model.engine().to_string(),
            "macs": self.macs,
            "pictures": self.pictures,
            "rounds": ROUNDS,
            "threads": 1,
            "resident_bytes": self.resident_bytes,
            "gemm": gemms,
            "engines": engines,
            "layers": layers,
        })
    }
}

fn name(precision: Precision) -> &'static str {
    match precision {
        Precision::Int8 => "int8",
        Precision::F32 => "f32",
    }
}
