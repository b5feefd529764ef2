//! `onelook eval`: measures a model file through the device's own code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onelook_edge::model::Model;

use super::session::SessionArgs;
use super::{Failure, held_out, open_data, percent};
use crate::augment::camera::{Disturbance, Session};
use crate::data::runs::{self, Run};
use crate::data::split;
use crate::measure::eval::{self, Accuracy, CameraOptions, Rule, Verification};
use crate::measure::openset::{self, CrossFitRow, OpenSet};
use crate::measure::oracle;
use crate::measure::trials::TrialSpec;

#[derive(Args)]
pub(super) struct EvalArgs {
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
    /// N in all, as a device does in front of a person; without, the first counts as it is
    #[arg(long, value_name = "N", requires = "camera", value_parser = clap::value_parser!(u64).range(2..=100))]
    looks: Option<u64>,
    /// The official runs through the simulated camera: every disturbance alone at a third, two
    /// thirds and all of its strength; all together; and that with up to 5 looks
    #[arg(long, requires = "runs", requires = "model", conflicts_with_all = ["camera", "disturbance"])]
    camera_table: bool,
    /// Draw the classes of a trial, or the two of an impostor pair, from one group
    #[arg(long)]
    within_group: bool,
    /// Verify this many random pairs, half of them genuine, instead of trials
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

pub(super) fn run(args: EvalArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if args.trials == 0 || args.pairs == Some(0) {
        return Err("there must be at least one trial or pair".into());
    }
    let model = args.model.as_deref().map(Model::load).transpose()?;
    let camera = args.session.session()?.map(|session| CameraOptions {
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
        let spec = openset::SearchSpec {
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
            let options = CameraOptions {
                session,
                seed,
                looks,
            };
            let found = eval::runs(model, runs, Some(options))?;
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

fn print_cross_fit(
    rows: &[CrossFitRow],
    json: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
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
