//! The command line of `onelook`: arguments in, exit code out. The work is in the library.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, CommandFactory, Parser, Subcommand};

use onelook_edge::model::{Card, Model, Precision};
use onelook_edge::vision::locate;
use onelook_edge::whole;
use rand::seq::SliceRandom;
use serde_json::json;

use crate::augment::camera::{self, Disturbance, Session};
use crate::clip;
use crate::config::Recipe;
use crate::data::glyphs::{self, GlyphsSpec};
use crate::data::runs::{self, Run};
use crate::data::{Dataset, labels, split};
use crate::export;
use crate::measure::eval::{self, Accuracy, Rule, Seen, Verification};
use crate::measure::openset::{self, Kept, OpenSet};
use crate::measure::oracle;
use crate::measure::trials::TrialSpec;
use crate::random::{Purpose, stream};
use crate::report;
use crate::train::device::Compute;
use crate::train::run::{self, RunData};
use crate::train::{self, Ending};

/// Exit code of a run that was told to stop, as shells have it.
const STOPPED: u8 = 130;

/// An error for the person at the terminal.
pub type Failure = Box<dyn std::error::Error>;

/// Train, evaluate, quantise and export the twin network that onelook-edge runs.
#[derive(Parser)]
#[command(name = "onelook", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a twin network
    Train(TrainArgs),
    /// Measure a model file through the device's own code
    Eval(EvalArgs),
    /// Turn a run into a model file for onelook-edge and any other ONNX runtime
    Export(ExportArgs),
    /// Make the page that tells the whole story of a model, in figures and pictures
    Report(ReportArgs),
    /// Print everything that a model file says of itself
    Inspect {
        /// The model file
        model: PathBuf,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show what the simulated camera makes of some pictures
    Camera(CameraArgs),
    /// Draw the clip that `onelook-edge demo` plays
    #[command(hide = true)]
    DemoClip {
        /// The motion JPEG file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
struct TrainArgs {
    /// A folder or zip of class folders (class/picture or group/class/picture), Omniglot as
    /// published, or the built-in `glyphs`
    #[arg(long, default_value = "glyphs")]
    data: String,
    /// `compact`, `minimal`, `koch`, or a recipe of your own
    #[arg(long, default_value = "compact", value_name = "PRESET|FILE.toml")]
    preset: String,
    /// The folder for the run: recipe, log and checkpoints
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Where to compute; `auto` takes a GPU where there is one
    #[arg(long, value_enum, default_value = "auto")]
    device: Compute,
    /// Epochs, instead of the recipe's
    #[arg(long, conflicts_with = "minutes")]
    epochs: Option<usize>,
    /// Train for about so long, photographs included: the number of epochs, at least one, follows from the rate of
    /// the first steps
    #[arg(long)]
    minutes: Option<f64>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the run in RUN
    #[arg(long)]
    resume: bool,
    /// A model of the same data, --seed, split and input that says how the smoothed share of the labels is spread; may
    /// be given several times
    #[arg(long = "teacher", value_name = "M.onnx")]
    teachers: Vec<PathBuf>,
}

#[derive(Args)]
struct EvalArgs {
    /// The model file
    #[arg(long, required_unless_present = "baseline")]
    model: Option<PathBuf>,
    /// Official runs (all_runs.zip or its folder): 20 x 20 within-alphabet one-shot trials
    #[arg(long, conflicts_with_all = ["data", "pairs", "ways", "shots", "rule", "trials", "within_group", "open_set"], required_unless_present = "data")]
    runs: Option<PathBuf>,
    /// A published distance on the official runs instead of a model, to check the harness
    #[arg(long, value_enum, requires = "runs", conflicts_with_all = ["model", "camera", "disturbance"])]
    baseline: Option<Baseline>,
    /// A data set, as in `train`
    #[arg(long)]
    data: Option<String>,
    /// Only the groups or classes that the model was validated on and never trained on
    #[arg(long, requires = "data", requires = "model")]
    held_out: bool,
    /// Classes in a trial
    #[arg(long, default_value_t = 20)]
    ways: usize,
    /// Pictures enrolled of each class
    #[arg(long, default_value_t = 1)]
    shots: usize,
    /// How several pictures of a class are compared
    #[arg(long, value_enum, default_value = "device")]
    rule: Rule,
    /// Random trials
    #[arg(long, default_value_t = 10_000)]
    trials: usize,
    /// Identify with strangers among the probes instead: FPIR and FNIR against gallery size
    #[arg(long, requires = "data", requires = "model", conflicts_with_all = ["ways", "within_group", "pairs", "rule", "camera", "disturbance"])]
    open_set: bool,
    /// Set the thresholds for target FPIRs on some groups and measure them on the others
    #[arg(long, requires = "open_set")]
    cross_fit: bool,
    #[command(flatten)]
    session: SessionArgs,
    /// Take a photograph again in which the device finds no mark or which its gates refuse, up to
    /// so many in all, as a device does in front of somebody; without, the first counts as it is
    #[arg(long, value_name = "N", requires = "camera", value_parser = clap::value_parser!(u64).range(2..=100))]
    looks: Option<u64>,
    /// The official runs through the simulated camera: every disturbance alone at a third, two
    /// thirds and all of its strength; all together; and that with up to 5 looks
    #[arg(long, requires = "runs", requires = "model", conflicts_with_all = ["camera", "disturbance"])]
    camera_table: bool,
    /// Draw the classes of a trial, or the two of an impostor pair, from one group
    #[arg(long)]
    within_group: bool,
    /// Verify so many random pairs, half of them genuine, instead of trials
    #[arg(long, conflicts_with_all = ["ways", "shots", "rule", "trials", "camera", "disturbance"])]
    pairs: Option<usize>,
    /// Seed of the trials or pairs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Baseline {
    /// Modified Hausdorff distance of the inked points
    Hausdorff,
    /// Nearest neighbour on pixels
    Pixels,
}

#[derive(Args)]
struct CameraArgs {
    /// A data set, as in `train`
    #[arg(long, default_value = "glyphs")]
    data: String,
    /// The folder to write the photographs to, as PNG
    #[arg(long)]
    out: PathBuf,
    /// How many pictures, drawn from the data by the seed
    #[arg(long, default_value_t = 12)]
    pictures: usize,
    /// What is photographed, and how badly
    #[command(flatten)]
    session: SessionArgs,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct SessionArgs {
    /// See every picture through the simulated camera, all disturbances from none to this strength,
    /// 0 to 1
    #[arg(long, value_name = "STRENGTH")]
    camera: Option<f32>,
    /// Only this disturbance, at the strength of --camera, or else at 1
    #[arg(long, value_enum)]
    disturbance: Option<Disturbance>,
}

impl SessionArgs {
    fn session(&self) -> Result<Option<Session>, Failure> {
        if self.camera.is_none() && self.disturbance.is_none() {
            return Ok(None);
        }
        let strength = self.camera.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&strength) {
            return Err(format!("--camera {strength}: must be 0 to 1").into());
        }
        Ok(Some(match self.disturbance {
            Some(disturbance) => Session::Alone(disturbance, strength),
            None => Session::Everything(strength),
        }))
    }
}

#[derive(Args)]
struct ReportArgs {
    /// The model file
    #[arg(long, value_name = "M.onnx")]
    model: PathBuf,
    /// A data set, as in `train`: what the model never trained on is taken from it
    #[arg(long)]
    data: String,
    /// The page to write
    #[arg(long, value_name = "PAGE.html")]
    out: PathBuf,
    /// The folder of the run, for the training curve and the weights in f32
    #[arg(long)]
    run: Option<PathBuf>,
    /// Seed of trials, galleries and intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also print every figure, as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ExportArgs {
    /// The folder of the run
    #[arg(long)]
    run: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "M.onnx")]
    out: PathBuf,
    /// The arithmetic of the file
    #[arg(long, value_enum, default_value = "int8")]
    precision: PrecisionArg,
    /// Where the run's data is now, if it has moved
    #[arg(long)]
    data: Option<String>,
    /// Pictures that set the 8-bit ranges; the run's training pictures otherwise
    #[arg(long, value_name = "DATA")]
    calibrate: Option<String>,
    /// Also write the whole twin (`a`, `b` -> `p_same`) for other runtimes
    #[arg(long, value_name = "FILE")]
    pair: Option<PathBuf>,
    /// The model's name; that of the file otherwise
    #[arg(long)]
    name: Option<String>,
    /// The licence of the weights
    #[arg(long, default_value = "MIT OR Apache-2.0")]
    licence: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PrecisionArg {
    F32,
    Int8,
}

/// Runs the command line; errors are printed once, exit code 2.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(Cli::parse(), &mut out) {
        Ok(code) => code,
        // Nobody reads on, so nobody is told.
        Err(failure) if is_broken_pipe(&failure) => ExitCode::from(2),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(failure: &Failure) -> bool {
    failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: Cli, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    onelook_edge::kernel::chosen()?;
    match cli.command {
        Command::Train(args) => train_command(args),
        Command::Eval(args) => eval_command(args, out),
        Command::Export(args) => export_command(args, out),
        Command::Report(args) => report_command(&args, out),
        Command::Inspect { model, json } => inspect(&model, json, out),
        Command::Camera(args) => camera_command(&args, out),
        Command::DemoClip { out: path } => {
            whole::write(&path, &clip::draw(1)?).map_err(|error| format!("{path:?}: {error}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "onelook", &mut script);
            out.write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn train_command(args: TrainArgs) -> Result<ExitCode, Failure> {
    if let Some(minutes) = args.minutes
        && !(minutes > 0.0 && minutes.is_finite())
    {
        return Err(format!("--minutes {minutes}: must be above 0").into());
    }
    if args.epochs == Some(0) {
        return Err("--epochs 0: must be at least 1".into());
    }
    let recipe = Recipe::open(&args.preset)?;
    let data = open_data(&args.data)?;
    let order = train::Order {
        recipe,
        data_source: args.data,
        seed: args.seed,
        out: args.out,
        compute: args.device,
        epochs: args.epochs,
        minutes: args.minutes,
        resume: args.resume,
        teachers: args.teachers,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let out = order.out.display();
    let data = RunData::of(data, &order.recipe, order.seed);
    for skipped in &data.skipped {
        eprintln!("skipped {}: {}", skipped.source, skipped.reason);
    }
    match train::train(&order, &data, &stop)? {
        Ending::Finished(progress) => eprintln!(
            "finished: best validation {:.2} % after epoch {}; next: onelook export --run {out} --out model.onnx",
            100.0 * progress.best_accuracy,
            progress.best_epoch
        ),
        Ending::Stopped(progress) => {
            eprintln!(
                "stopped after step {} of {}; go on with the same command and --resume",
                progress.step, progress.total_steps
            );
            return Ok(ExitCode::from(STOPPED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn eval_command(args: EvalArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if args.trials == 0 || args.pairs == Some(0) {
        return Err("there must be at least one trial or pair".into());
    }
    let model = args.model.as_deref().map(Model::load).transpose()?;
    let camera = args.session.session()?.map(|session| Seen {
        session,
        seed: args.seed,
        looks: args.looks.unwrap_or(1),
    });
    if let Some(path) = &args.runs {
        let runs = runs::open(path)?;
        if let Some(model) = model.as_ref().filter(|_| args.camera_table) {
            return camera_table(model, &runs, args.seed, args.json, out);
        }
        let accuracy = match (model, args.baseline) {
            (Some(model), _) => eval::runs(&model, &runs, camera)?,
            (None, Some(Baseline::Hausdorff)) => eval::baseline_runs(
                "modified Hausdorff distance",
                oracle::modified_hausdorff,
                &runs,
            ),
            (None, _) => eval::baseline_runs("pixels", oracle::pixel_distance, &runs),
        };
        return print_accuracy(&accuracy, args.json, out);
    }
    let (Some(model), Some(source)) = (model, &args.data) else {
        return Err("--data needs --model".into());
    };
    let mut data = open_data(source)?;
    let mut trained = None;
    if args.held_out {
        let (unseen, seen) = held_out(data, model.card())?;
        (data, trained) = (unseen, Some(seen));
    }
    let blank = split::drop_blank(&mut data, &model.card().input);
    for skipped in data.skipped.iter().chain(&blank) {
        eprintln!("skipped {}: {}", skipped.source, skipped.reason);
    }
    let embeddings = eval::embed_as(&model, &data, camera)?;
    if args.open_set {
        let spec = openset::Spec {
            shots: args.shots,
            searches: args.trials,
            seed: args.seed,
        };
        if args.cross_fit {
            let rows = openset::cross_fit(&embeddings, model.head(), spec)?;
            return print_cross_fit(&rows, args.json, out);
        }
        let mut trained = trained.filter(|trained| trained.classes() > 0);
        let fill = match &mut trained {
            Some(trained) => {
                split::drop_blank(trained, &model.card().input);
                eval::embed_all(&model, trained)?.concat()
            }
            None => Vec::new(),
        };
        let result = openset::measure(model.card(), &embeddings.concat(), &fill, spec)?;
        return print_open_set(&result, args.json, out);
    }
    if let Some(pairs) = args.pairs {
        let scope = if args.within_group {
            "within group"
        } else {
            "across groups"
        };
        let protocol = format!(
            "verification of {pairs} random pairs, impostors {scope}, seed {}, {}",
            args.seed, data.name
        );
        let scores = eval::pair_scores(
            &embeddings,
            model.head(),
            &data,
            pairs,
            args.within_group,
            args.seed,
        )?;
        let threshold = model.operating_point(Some("eer"))?.threshold;
        let result = eval::verification(&scores, threshold, protocol);
        return print_verification(&result, args.json, out);
    }
    let spec = TrialSpec {
        ways: args.ways,
        shots: args.shots,
        trials: args.trials,
        within_group: args.within_group,
    };
    let mut accuracy = eval::trials(&embeddings, model.head(), &data, spec, args.rule, args.seed)?;
    accuracy.protocol += &eval::through(camera);
    print_accuracy(&accuracy, args.json, out)
}

/// The official runs under each disturbance, under all, and under all with several looks.
fn camera_table(
    model: &Model,
    runs: &[Run],
    seed: u64,
    json: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    const STRENGTHS: [f32; 3] = [1.0 / 3.0, 2.0 / 3.0, 1.0];
    const LOOKS: u64 = 5;
    if !json {
        let header = "alone";
        writeln!(
            out,
            "{header:<15} {:>8.2} {:>8.2} {:>8.2}",
            STRENGTHS[0], STRENGTHS[1], STRENGTHS[2]
        )?;
    }
    let alone = Disturbance::ALL.map(|disturbance| {
        let sessions = STRENGTHS.map(|strength| Session::Alone(disturbance, strength));
        (format!("{disturbance:?}"), sessions, 1)
    });
    let together = [("all together", 1), ("... in 5 looks", LOOKS)];
    let together = together.map(|(name, looks)| {
        let sessions = STRENGTHS.map(Session::Everything);
        (name.to_owned(), sessions, looks)
    });
    for (name, sessions, looks) in alone.into_iter().chain(together) {
        if !json {
            write!(out, "{name:<15}")?;
        }
        for session in sessions {
            let seen = Seen {
                session,
                seed,
                looks,
            };
            let found = eval::runs(model, runs, Some(seen))?;
            if json {
                writeln!(out, "{}", serde_json::to_string(&found)?)?;
            } else {
                write!(out, " {:6.2} %", 100.0 * found.accuracy)?;
                out.flush()?;
            }
        }
        if !json {
            writeln!(out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn camera_command(args: &CameraArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let session = args.session.session()?.unwrap_or(Session::Everything(1.0));
    let data = open_data(&args.data)?;
    let classes = data.groups.iter().flat_map(|group| &group.classes);
    let mut frames: Vec<_> = classes
        .flat_map(|class| class.pictures.iter().map(|picture| &picture.frame))
        .collect();
    frames.shuffle(&mut stream(args.seed, Purpose::Batch, 0));
    frames.truncate(args.pictures);
    let (mut found, mut taken) = (0, 0);
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{:?}: {error}", args.out))?;
    let look = |shot: camera::Shot| {
        let mark = locate::mark(&shot.frame);
        let overlap = mark.map_or(0.0, |mark| mark.bounds.overlap(&shot.bounds));
        Some((shot.frame.to_png(), overlap))
    };
    let seen = camera::photographs(&frames, session, args.seed, 1, look);
    for (number, shot) in seen.into_iter().enumerate() {
        let Some((png, overlap)) = shot else { continue };
        let path = args.out.join(format!("{number:04}.png"));
        whole::write(&path, &png?).map_err(|error| format!("{path:?}: {error}"))?;
        found += usize::from(overlap >= camera::FOUND);
        taken += 1;
        writeln!(out, "{}  overlap {overlap:.2}", path.display())?;
    }
    writeln!(
        out,
        "{found} of {taken} marks found (box overlap at least {})",
        camera::FOUND
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The part of `data` that the model never trained on, by the names in its card, and the rest.
fn held_out(data: Dataset, card: &Card) -> Result<(Dataset, Dataset), Failure> {
    let names = &card.provenance.validation;
    let (rest, held) = if let [only] = data.groups.as_slice() {
        let part = |held: bool| {
            let mut group = only.clone();
            group
                .classes
                .retain(|class| names.contains(&class.name) == held);
            Dataset {
                name: data.name.clone(),
                groups: vec![group],
                skipped: Vec::new(),
            }
        };
        (part(false), part(true))
    } else {
        data.split(names)
    };
    if held.classes() == 0 {
        return Err(format!(
            "none of the model's held-out groups ({}) is in the data",
            names.join(", ")
        )
        .into());
    }
    Ok((held, rest))
}

fn print_accuracy(result: &Accuracy, json: bool, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if json {
        writeln!(out, "{}", serde_json::to_string(result)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}", result.protocol)?;
    for part in &result.parts {
        writeln!(
            out,
            "  {:<40} {:>6} / {:<6} {:6.2} %",
            part.name,
            part.correct,
            part.trials,
            100.0 * part.correct as f64 / part.trials as f64
        )?;
    }
    writeln!(
        out,
        "{} of {} right: {:.2} % (95 % interval {:.2} to {:.2})",
        result.correct,
        result.trials,
        100.0 * result.accuracy,
        100.0 * result.ci95[0],
        100.0 * result.ci95[1]
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A share in per cent with its interval.
fn percent(share: f64, ci95: [f64; 2]) -> String {
    let [low, high] = ci95.map(|end| 100.0 * end);
    format!("{:.2} % ({low:.2} to {high:.2})", 100.0 * share)
}

fn print_open_set(result: &OpenSet, json: bool, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if json {
        writeln!(out, "{}", serde_json::to_string(result)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}", result.protocol)?;
    writeln!(
        out,
        "gallery  trained on  threshold              FPIR                       FNIR"
    )?;
    for row in &result.rows {
        writeln!(
            out,
            "{:>7}  {:>10}  {:<10} {:.6}   {:<25}  {}",
            row.gallery,
            row.trained,
            row.setting,
            row.threshold,
            percent(row.fpir, row.fpir_ci95),
            percent(row.fnir, row.fnir_ci95)
        )?;
    }
    for reason in &result.out_of_reach {
        writeln!(out, "out of reach: {reason}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_cross_fit(rows: &[Kept], json: bool, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if json {
        writeln!(out, "{}", serde_json::to_string(rows)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "thresholds for a target FPIR, set on some groups and measured on the others"
    )?;
    writeln!(
        out,
        "gallery  target  FPIR: mean     most  kept in splits   FNIR: mean"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:>7}  {:>6}  {:>8.2} %  {:>6.2} %  {:>5} of {:<5}    {:>8.2} %",
            row.gallery,
            row.target,
            100.0 * row.mean_fpir,
            100.0 * row.most_fpir,
            row.kept,
            row.splits,
            100.0 * row.mean_fnir
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_verification(
    result: &Verification,
    json: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if json {
        writeln!(out, "{}", serde_json::to_string(result)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let percent = |rate: Option<f64>| {
        rate.map_or("too few pairs".to_owned(), |rate| {
            format!("{:.2} %", 100.0 * rate)
        })
    };
    writeln!(out, "{}", result.protocol)?;
    writeln!(
        out,
        "{} of {} right at p >= {:.4}: {:.2} % (95 % interval {:.2} to {:.2})",
        result.correct,
        result.trials,
        result.threshold,
        100.0 * result.accuracy,
        100.0 * result.ci95[0],
        100.0 * result.ci95[1]
    )?;
    writeln!(out, "equal error rate     {}", percent(result.eer))?;
    writeln!(
        out,
        "FNMR at FMR 1e-2     {}",
        percent(result.fnmr_at_fmr.hundredth)
    )?;
    writeln!(
        out,
        "FNMR at FMR 1e-3     {}",
        percent(result.fnmr_at_fmr.thousandth)
    )?;
    Ok(ExitCode::SUCCESS)
}

fn export_command(args: ExportArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let run = run::read(&args.run)?;
    let data = open_data(args.data.as_deref().unwrap_or(&run.data))?;
    let calibration = args.calibrate.as_deref().map(open_data).transpose()?;
    let stem = args
        .out
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let order = export::Order {
        run: args.run,
        out: args.out,
        precision: match args.precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Int8 => Precision::Int8,
        },
        pair: args.pair,
        name: args.name.or(stem).unwrap_or_else(|| "model".to_owned()),
        licence: args.licence,
    };
    let report = export::export(&order, data, calibration)?;
    for skipped in &report.skipped {
        eprintln!("skipped {}: {}", skipped.source, skipped.reason);
    }
    writeln!(out, "{}: {} bytes", order.out.display(), report.bytes)?;
    match report.card.precision {
        Precision::F32 => writeln!(
            out,
            "embeddings differ from Burn's by at most {:.1e} of their largest number (bound {:.0e})",
            report.difference,
            export::F32_BOUND
        )?,
        Precision::Int8 => writeln!(
            out,
            "embeddings differ from Burn's by {:.2} % in the mean (bound {:.0} %)",
            100.0 * report.difference,
            100.0 * export::INT8_BOUND
        )?,
    }
    writeln!(
        out,
        "validation, {}: f32 {:.2} %, this file {:.2} %, lost {:.2} points",
        report.accuracy.protocol,
        100.0 * report.f32_accuracy.accuracy,
        100.0 * report.accuracy.accuracy,
        100.0 * (report.f32_accuracy.accuracy - report.accuracy.accuracy)
    )?;
    print_points(&report.card, out)?;
    Ok(ExitCode::SUCCESS)
}

fn report_command(args: &ReportArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let model = Model::load(&args.model)?;
    let data = open_data(&args.data)?;
    let names = &model.card().provenance.validation;
    let mut skipped = data.skipped.clone();
    skipped.retain(|skipped| {
        let mut folders = skipped.source.split('/');
        folders.any(|folder| names.iter().any(|name| name == folder))
    });
    let (mut data, _) = held_out(data, model.card())?;
    data.skipped = skipped;
    let report = report::measure(&args.model, data, args.run.as_deref(), args.seed)?;
    let page = report::page::html(&report);
    whole::write(&args.out, page.as_bytes()).map_err(|error| format!("{:?}: {error}", args.out))?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{}: {} bytes", args.out.display(), page.len())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_points(card: &Card, out: &mut dyn Write) -> io::Result<()> {
    let calibration = &card.calibration;
    writeln!(
        out,
        "p calibrated by scale {:.4}, offset {:.4}: expected calibration error {:.2} %, before \
         {:.2} %; within the worst part {:.2} %",
        calibration.scale,
        calibration.offset,
        100.0 * calibration.ece,
        100.0 * calibration.ece_before,
        100.0 * calibration.ece_worst_part
    )?;
    writeln!(out, "  {}", calibration.protocol)?;
    writeln!(out, "thresholds on p, from validation pairs:")?;
    for point in &card.operating_points {
        writeln!(
            out,
            "  {:<9} p >= {:.4}  FMR {:.4} % ({:.4} to {:.4})  FNMR {}",
            point.name,
            point.threshold,
            100.0 * point.fmr,
            100.0 * point.fmr_ci95[0],
            100.0 * point.fmr_ci95[1],
            percent(point.fnmr, point.fnmr_ci95)
        )?;
    }
    if let Some(point) = card.operating_points.first() {
        writeln!(
            out,
            "  from {} genuine, {} impostor pairs; 95 % intervals over resampled classes",
            point.genuine_pairs, point.impostor_pairs
        )?;
    }
    match card.impostor_tail.last() {
        Some(last) => writeln!(
            out,
            "a target FPIR (`onelook-edge --fpir`) is carried down to {:.1e} for each enrolled class",
            last.fmr_upper
        ),
        None => writeln!(out, "too few pairs to promise any FPIR"),
    }
}

fn inspect(path: &Path, as_json: bool, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let model = Model::load(path)?;
    let card = model.card();
    let bytes = std::fs::metadata(path)?.len();
    if as_json {
        let all = json!({ "id": model.id(), "bytes": bytes, "card": card });
        writeln!(out, "{all}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let from = &card.provenance;
    writeln!(out, "{} ({bytes} bytes, id {})", card.name, model.id())?;
    writeln!(
        out,
        "precision   {:?}, format {}",
        card.precision, card.format
    )?;
    writeln!(
        out,
        "input       {} x {side} x {side}, {:?}, {:?}",
        card.input.channels,
        card.input.crop,
        card.input.scaling,
        side = card.input.side_px
    )?;
    writeln!(
        out,
        "embedding   {} numbers; p = sigmoid({:.4} - sum alpha |x - y|), alpha {:.4} to {:.4}",
        model.dims(),
        card.head.bias,
        card.head
            .alpha
            .iter()
            .copied()
            .fold(f32::INFINITY, f32::min),
        card.head
            .alpha
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max)
    )?;
    for bin in &card.calibration.reliability {
        writeln!(
            out,
            "reliability p {:.3}: genuine {:.3} ({:.2} % of pairs)",
            bin.p,
            bin.genuine,
            100.0 * bin.share
        )?;
    }
    print_points(card, out)?;
    writeln!(
        out,
        "made by     {} on {}, recipe {}, seed {}, epoch {} of {}",
        from.program, from.device, from.recipe, from.seed, from.epoch[0], from.epoch[1]
    )?;
    writeln!(
        out,
        "trained on  {} ({} classes, {} pictures; sha256 {})",
        from.data, from.trained_on[0], from.trained_on[1], from.data_sha256
    )?;
    writeln!(out, "held out    {}", from.validation.join(", "))?;
    writeln!(out, "licence     {}", from.licence)?;
    for score in &card.scores {
        writeln!(
            out,
            "score       {:.2} % of {}",
            100.0 * score.correct as f64 / score.trials as f64,
            score.protocol
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The data set of that name (`glyphs`) or at that path.
pub fn open_data(source: &str) -> Result<Dataset, Failure> {
    if source == "glyphs" {
        return Ok(glyphs::draw(&GlyphsSpec::default()));
    }
    Ok(labels::open(Path::new(source))?)
}
