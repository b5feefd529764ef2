//! The command line of `onelook-edge`: arguments in, exit code out. The work is in the library.

#![allow(clippy::print_stderr)] // errors of a command, for the person who typed it

pub mod bench;
pub mod demo;
pub mod doctor;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::{Value, json};

use crate::camera::{self, Source, Wanted};
use crate::control::button::Button;
use crate::control::keys::Keys;
use crate::control::{self, Control, Request};
use crate::device::config::{self, Config};
use crate::device::live::{CROP_SIDE_PX, Live, Roi, Threshold};
use crate::event::Events;
use crate::gallery::Gallery;
use crate::gallery::decide::{self, Decision, FpirError};
use crate::gallery::store::{self, Kind, Store, StoreError, Template};
use crate::model::{self, Model};
use crate::picture::frame::{EXTENSIONS, Frame};
use crate::run::{self, RunError};
use crate::screen::{Screen, Target};
use crate::vision::preprocess::{self, Blank, InputSpec};
use crate::whole;
use bench::encoder;

/// The model that ships with the program.
const SHIPPED: &[u8] = include_bytes!("../../models/omniglot/model.onnx");
/// The folder of what classes are not, in an exported gallery: no class can be called so.
const NEGATIVES: &str = ".not";
/// So many commands wait for the running loop.
const COMMANDS: usize = 32;
/// Between being told to end and ending unasked.
const LAST_MOMENT: Duration = Duration::from_millis(900);
const REJECTED: u8 = 1;
const NEEDS_ATTENTION: u8 = 1;
const FAILED: u8 = 2;

type Failure = Box<dyn std::error::Error>;

/// Teach a camera a new class from one look, on the device, offline.
///
/// A class is enrolled from one picture of it. `verify` asks whether a picture shows a given
/// class, `identify` asks which class it shows, and "unknown" is an answer. Try `onelook-edge demo`.
#[derive(Parser)]
#[command(name = "onelook-edge", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// The model, a file made by `onelook export`; the one for drawn characters that ships with
    /// the program otherwise
    #[arg(long, global = true, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The gallery of enrolled classes; a file of yours in your data folder otherwise
    #[arg(long, global = true, value_name = "PATH")]
    gallery: Option<PathBuf>,
    /// The operating point that sets the threshold (`eer`, `fmr_1e-2`, `fmr_1e-3`, ...); the
    /// model's own choice otherwise
    #[arg(long, global = true, value_name = "NAME")]
    point: Option<String>,
    /// Instead of an operating point, the rate at which strangers may be taken for an enrolled
    /// class (FPIR, above 0, below 1): the threshold then follows from the size of the gallery
    #[arg(long, global = true, value_name = "RATE", value_parser = rate, conflicts_with = "point")]
    fpir: Option<f64>,
    /// A JSON object a line instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// See it work: a clip, two classes learned from a frame each, a stranger refused
    Demo {
        /// The folder for annotated pictures; a new one among the temporary files otherwise
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Watch a camera: decide over several frames, show it, learn new classes when told to
    Run(Box<RunArgs>),
    /// Send a command to a program that runs with --control
    #[command(long_about = TELL)]
    Tell {
        /// Its socket
        #[arg(long, value_name = "PATH")]
        control: PathBuf,
        /// The command and its names
        #[arg(required = true, value_name = "WORD")]
        words: Vec<String>,
    },
    /// Learn a class from one picture; more pictures of it are more templates
    Enroll {
        /// The class
        name: String,
        /// Pictures of it: PNG, JPEG, BMP, PGM or PPM
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
    },
    /// Ask whether a picture shows a class (exit code 0 accepted, 1 rejected, 2 error)
    Verify {
        /// The class
        name: String,
        /// The picture
        image: PathBuf,
    },
    /// Ask which enrolled class each picture shows, or "unknown"
    Identify {
        /// Pictures, or folders of pictures
        #[arg(required = true, value_name = "IMAGE|FOLDER")]
        images: Vec<PathBuf>,
    },
    /// Look at cameras, processor, disk, model and gallery, and say what to do about each trouble (exit
    /// code 0 all is well, 1 something needs attention)
    Doctor,
    /// Look after the gallery of enrolled classes
    Gallery {
        #[command(subcommand)]
        command: GalleryCommand,
    },
    /// Measure what an embedding costs on this machine, or with --classes what searching and keeping a gallery does
    Bench {
        /// Make up galleries of these sizes and search them, such as 1000,10000,1000000
        #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
        classes: Vec<NonZeroUsize>,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const TELL: &str = "\
Send a command to a program that runs with --control: enroll [NAME], enroll! NAME, confirm, undo, not [NAME],
forget NAME, rename A B, list, status, quit. Prints the JSON object that comes back; exit code 1 where the
command was refused.";

#[derive(Args)]
struct RunArgs {
    /// Where frames come from: auto, v4l2:/dev/videoN, mjpeg:-, y4m:-, exec:COMMAND,
    /// http://HOST/PATH, or the path of a clip or a folder of pictures
    #[arg(long, required_unless_present = "print_config")]
    source: Option<Source>,
    /// Look at this part of every frame alone, in pixels
    #[arg(long, value_name = "X,Y,W,H")]
    roi: Option<Roi>,
    /// The size that a camera is asked for
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(usize, usize)>,
    /// The rate that a camera is asked for, or that files are played at
    #[arg(long, value_name = "FRAMES", value_parser = frames_a_second)]
    fps: Option<f64>,
    /// Play files over and over
    #[arg(long = "loop")]
    looped: bool,
    /// Where to show it: fb:/dev/fb0, png:FOLDER, mjpeg:PORT, ssd1306:..., st7789:...; as often as
    /// there are screens
    #[arg(long = "screen", value_name = "SCREEN")]
    screens: Vec<Target>,
    /// Take commands on a socket at this path; `onelook-edge tell` sends them
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// A button on a GPIO line, such as GPIO17: a press learns what is shown, a second one keeps it
    /// where it looks like another class
    #[arg(long, value_name = "LINE")]
    button: Option<Button>,
    /// How to decide and learn, as TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what --config may say, as it is by itself, and end
    #[arg(long)]
    print_config: bool,
}

#[derive(Subcommand)]
enum GalleryCommand {
    /// List the classes and how many templates each has
    List,
    /// Forget a class
    Remove {
        /// The class
        name: String,
    },
    /// Give a class another name
    Rename {
        /// The class
        from: String,
        /// Its new name
        to: String,
    },
    /// Write every crop as a picture, a folder a class: for a copy, another device or training
    Export {
        /// The folder to make
        folder: PathBuf,
    },
    /// Enroll every picture of a folder of class folders, all or none
    Import {
        /// The folder
        folder: PathBuf,
    },
    /// Move a gallery of another model to this one, from the crops that it keeps
    Reembed,
    /// Read every page and crop of the gallery, and say whether all of it is whole
    Check,
}

/// Runs the command line; errors are printed once, exit code 2.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(Cli::parse(), &mut out) {
        Ok(code) => code,
        // Nobody reads on, so nobody is told; but unsaid is not accepted.
        Err(failure) if is_broken_pipe(&failure) => ExitCode::from(FAILED),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_broken_pipe(failure: &Failure) -> bool {
    failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: Cli, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "onelook-edge", &mut script);
        out.write_all(&script)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Doctor = cli.command {
        return Ok(doctor(&cli.common, out)?);
    }
    if let Command::Bench { classes } = &cli.command
        && classes.is_empty()
    {
        let (bytes, name) = match &cli.common.model {
            Some(path) => (model::read(path)?, path.display().to_string()),
            None => (SHIPPED.to_vec(), "the shipped model".to_owned()),
        };
        encoder::run(&bytes, &name, cli.common.json, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Tell { control, words } = &cli.command {
        return tell(control, words, out);
    }
    if let Command::Run(args) = &cli.command
        && args.print_config
    {
        write!(out, "{}", config::SHIPPED)?;
        return Ok(ExitCode::SUCCESS);
    }
    let device = Device::open(cli.common)?;
    match cli.command {
        Command::Demo { out: folder } => device.demo(folder, out),
        Command::Enroll { name, images } => device.enroll(&name, &images, out),
        Command::Verify { name, image } => device.verify(&name, &image, out),
        Command::Identify { images } => device.identify(&images, out),
        Command::Gallery { command } => device.gallery(command, out),
        Command::Bench { classes } => device.bench(&classes, out),
        Command::Run(args) => device.run(&args, out),
        Command::Tell { .. } | Command::Completions { .. } | Command::Doctor => {
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn tell(control: &Path, words: &[String], out: &mut dyn Write) -> Result<ExitCode, Failure> {
    // A word of the shell with a space in it is one name, unless it is the last.
    let quoted = |word: &String| match word.contains(char::is_whitespace) {
        true => Value::from(word.as_str()).to_string(),
        false => word.clone(),
    };
    let said: Vec<String> = words.iter().map(quoted).collect();
    let answer = control::tell(control, &said.join(" ")).map_err(|error| {
        format!(
            "{control:?}: {error}; is `onelook-edge run --control {}` there?",
            control.display()
        )
    })?;
    writeln!(out, "{answer}")?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(match answer["ok"].as_bool() {
        Some(true) => ExitCode::SUCCESS,
        _ => ExitCode::from(REJECTED),
    })
}

/// Before anything is opened: that it does not open is what it is for.
fn doctor(common: &Common, out: &mut dyn Write) -> io::Result<ExitCode> {
    let (model, bytes) = match &common.model {
        Some(path) => (
            Model::load(path),
            fs::metadata(path).map(|about| about.len()).ok(),
        ),
        None => (
            Model::from_bytes(SHIPPED, "the shipped model"),
            Some(SHIPPED.len() as u64),
        ),
    };
    let gallery = common.gallery.clone().unwrap_or_else(default_gallery);
    let findings = doctor::examine(&model, bytes, &gallery);
    for finding in &findings {
        if common.json {
            writeln!(out, "{}", json!(finding))?;
        } else {
            writeln!(out, "{finding}")?;
        }
    }
    let well = findings.iter().all(|finding| finding.well);
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_ATTENTION)
    })
}

/// What every command works with.
struct Device {
    model: Model,
    store: Store,
    /// Of the operating point.
    fixed_threshold: f32,
    /// The target that sets the threshold instead.
    fpir: Option<f64>,
    json: bool,
}

/// A picture, embedded.
struct Look {
    frame: Frame,
    embedding: Vec<f32>,
    embed_ms: f64,
}

impl Device {
    fn open(common: Common) -> Result<Self, Failure> {
        let model = match &common.model {
            Some(path) => Model::load(path)?,
            None => Model::from_bytes(SHIPPED, "the shipped model")?,
        };
        let fixed_threshold = model.operating_point(common.point.as_deref())?.threshold;
        let store = Store::at(common.gallery.unwrap_or_else(default_gallery));
        Ok(Self {
            model,
            store,
            fixed_threshold,
            fpir: common.fpir,
            json: common.json,
        })
    }

    /// The threshold on p for a gallery whose search counts as so many comparisons.
    fn threshold(&self, comparisons: f64) -> Result<f32, FpirError> {
        let tail = &self.model.card().impostor_tail;
        self.fpir.map_or(Ok(self.fixed_threshold), |fpir| {
            decide::threshold_for_fpir(tail, fpir, comparisons)
        })
    }

    fn look(&self, path: &Path) -> Result<Look, Failure> {
        let frame = Frame::load(path)?;
        let started = Instant::now();
        let patch = preprocess::patch(&frame, self.spec()).map_err(|blank| named(path, blank))?;
        let embedding = self.model.embed(&patch)?;
        Ok(Look {
            frame,
            embedding,
            embed_ms: started.elapsed().as_secs_f64() * 1e3,
        })
    }

    fn spec(&self) -> &InputSpec {
        &self.model.card().input
    }

    fn template(&self, name: &str, path: &Path) -> Result<Template, Failure> {
        let Look {
            frame, embedding, ..
        } = self.look(path)?;
        let crop = preprocess::keepsake(&frame, self.spec(), CROP_SIDE_PX)
            .map_err(|blank| named(path, blank))?;
        Ok(Template {
            name: name.to_owned(),
            embedding,
            crop_png: crop.to_png()?,
            kind: Kind::Genuine,
        })
    }

    fn p(&self, gallery: &Gallery, name: &str, probe: &[f32]) -> Option<f32> {
        let distance = gallery.distance_to(name, probe, self.model.head())?;
        Some(self.model.head().probability(distance))
    }

    fn demo(&self, folder: Option<PathBuf>, out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let folder = match folder {
            Some(folder) => folder,
            None => tempfile::Builder::new()
                .prefix("onelook-demo-")
                .tempdir()?
                .keep(),
        };
        let threshold = self.threshold(demo::NAMES.len() as f64)?;
        demo::run(&self.model, threshold, &folder, self.json, out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn bench(&self, sizes: &[NonZeroUsize], out: &mut dyn Write) -> Result<ExitCode, Failure> {
        if !self.json {
            writeln!(out, "{}", bench::gallery::HEADINGS)?;
        }
        for classes in sizes {
            for row in bench::gallery::search(&self.model, classes.get(), cores())? {
                self.done(serde_json::to_value(row)?, out, || row.to_string())?;
            }
        }
        for classes in sizes {
            if let Some(kept) = bench::gallery::keep(&self.model, classes.get())? {
                self.done(serde_json::to_value(kept)?, out, || kept.to_string())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run(self, args: &RunArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let config = match &args.config {
            Some(path) => Config::load(path)?,
            None => Config::over_shipped("")?,
        };
        let health_every = Duration::from_secs_f64(config.health.every_secs);
        let by = match self.fpir {
            Some(fpir) => Threshold::Fpir(fpir),
            None => Threshold::Fixed(self.fixed_threshold),
        };
        let one_channel = self.spec().channels == 1;
        let mut live = Live::open(self.model, self.store, config, by, args.roi)?;
        let source = args.source.as_ref().ok_or("name a --source")?;
        let wanted = Wanted {
            size: args.size,
            fps: args.fps,
            looped: args.looped,
            // Colour is for eyes.
            grey: one_channel && args.screens.is_empty(),
            ..Wanted::default()
        };
        let mut screens = args
            .screens
            .iter()
            .map(Screen::open)
            .collect::<Result<Vec<_>, _>>()?;
        let (sender, commands) = sync_channel(COMMANDS);
        let _control = args
            .control
            .as_ref()
            .map(|path| Control::listen(path, sender.clone()))
            .transpose()?;
        if let Some(button) = &args.button {
            let sender = sender.clone();
            button.watch(move |pressed| match pressed {
                Ok(()) => {
                    let press = control::Command::Enroll {
                        name: None,
                        even_if_alike: false,
                    };
                    // Who presses so often that none is taken will press again.
                    let _ = sender.try_send(Request::unanswered(press));
                }
                Err(error) => eprintln!("warning: the button is not heard any more: {error}"),
            })?;
        }
        let stop = end_on_signal()?;
        let mut camera = camera::open(source, &wanted)?;
        let is_stdin = matches!(source, Source::MjpegStdin | Source::Y4mStdin);
        let _keys = (!is_stdin).then(|| Keys::listen(sender)).flatten();
        out.flush()?;
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let ended = run::run(
            &mut live,
            &mut camera,
            &mut screens,
            &commands,
            Events::to(stdout),
            health_every,
            &stop,
        );
        match ended {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(RunError::Events(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn enroll(
        &self,
        name: &str,
        images: &[PathBuf],
        out: &mut dyn Write,
    ) -> Result<ExitCode, Failure> {
        store::check_name(name)?;
        let mut gallery = self.store.gallery(self.model.id(), self.model.dims())?;
        let templates: Vec<Template> = images
            .iter()
            .map(|image| self.template(name, image))
            .collect::<Result<_, _>>()?;
        for template in &templates {
            gallery.enroll(name, template.embedding.clone());
        }
        let threshold = self.threshold(gallery.comparisons());
        let alike_from = *threshold.as_ref().unwrap_or(&self.fixed_threshold);
        let alike = self.look_alikes(&gallery, &templates, alike_from);
        self.store.enroll(self.model.id(), &templates)?;
        for (other, p) in &alike {
            eprintln!(
                "warning: {name:?} looks like {other:?} (p {}, accepted from {}): they will be taken \
                 for one another",
                shown(*p),
                shown(alike_from)
            );
        }
        // It is enrolled all the same: another target will do.
        if let Err(error) = &threshold {
            eprintln!("warning: {error}");
        }
        if self.json {
            let alike: Vec<Value> = alike
                .iter()
                .map(|(name, p)| json!({ "name": name, "p": p }))
                .collect();
            let line = json!({
                "enrolled": name,
                "templates": templates.len(),
                "look_alikes": alike,
                "gallery": self.store.path(),
                "threshold": threshold.ok(),
                "fpir": self.fpir,
            });
            writeln!(out, "{line}")?;
        } else {
            let count = templates.len();
            let s = if count == 1 { "" } else { "s" };
            let path = self.store.path().display();
            let accepted = match (threshold, self.fpir) {
                (Ok(threshold), Some(_)) => format!(", {}", self.accepted_from(threshold)),
                _ => String::new(),
            };
            writeln!(
                out,
                "enrolled {name} from {count} picture{s} in {path}{accepted}"
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn accepted_from(&self, threshold: f32) -> String {
        let target = self
            .fpir
            .map_or(String::new(), |fpir| format!(" for FPIR {fpir}"));
        format!("accepted from {}{target}", shown(threshold))
    }

    /// Enrolled classes that one of the templates would be accepted as, with the highest p of each.
    fn look_alikes(
        &self,
        gallery: &Gallery,
        templates: &[Template],
        threshold: f32,
    ) -> Vec<(String, f32)> {
        let mut alike: BTreeMap<String, f32> = BTreeMap::new();
        for template in templates {
            for other in gallery.names().filter(|other| *other != template.name) {
                if let Some(p) = self.p(gallery, other, &template.embedding)
                    && decide::accepts(p, threshold)
                {
                    let highest = alike.entry(other.to_owned()).or_insert(p);
                    *highest = highest.max(p);
                }
            }
        }
        alike.into_iter().collect()
    }

    fn verify(&self, name: &str, image: &Path, out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let gallery = self.store.gallery(self.model.id(), self.model.dims())?;
        let look = self.look(image)?;
        let p = self.p(&gallery, name, &look.embedding);
        let p = p.ok_or_else(|| StoreError::NoSuchClass {
            path: self.store.path().to_owned(),
            name: name.to_owned(),
        })?;
        let threshold = self.threshold(gallery.comparisons())?;
        let accepted = decide::accepts(p, threshold);
        let decision = if accepted { "accepted" } else { "rejected" };
        if self.json {
            let line = json!({
                "image": image.display().to_string(),
                "decision": decision,
                "name": name,
                "p": p,
                "threshold": threshold,
                "fpir": self.fpir,
                "embed_ms": look.embed_ms,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(
                out,
                "{}: {decision} as {name}, p {} ({})",
                image.display(),
                shown(p),
                self.accepted_from(threshold)
            )?;
        }
        Ok(if accepted {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(REJECTED)
        })
    }

    fn identify(&self, images: &[PathBuf], out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let mut gallery = self.store.gallery(self.model.id(), self.model.dims())?;
        gallery.index(self.model.head(), cores());
        if gallery.is_empty() {
            let path = self.store.path();
            eprintln!("warning: no class is enrolled in {path:?}: all is unknown");
        }
        let threshold = self.threshold(gallery.comparisons())?;
        let mut failed = false;
        for image in pictures(images)? {
            let look = match self.look(&image) {
                Ok(look) => look,
                // One bad picture does not keep the others from their answer.
                Err(failure) => {
                    failed = true;
                    eprintln!("error: {failure}");
                    if self.json {
                        let error = failure.to_string();
                        let line = json!({ "image": image.display().to_string(), "error": error });
                        writeln!(out, "{line}")?;
                    }
                    continue;
                }
            };
            let head = self.model.head();
            let nearest = gallery.nearest(&look.embedding, head);
            let decision = decide::identify(nearest, head, threshold);
            self.print_decision(&image, &decision, threshold, look.embed_ms, out)?;
        }
        Ok(if failed {
            ExitCode::from(FAILED)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn print_decision(
        &self,
        image: &Path,
        decision: &Decision,
        threshold: f32,
        embed_ms: f64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (word, name, p, runner_up) = match decision {
            Decision::Match { name, p, runner_up } => {
                ("match", Some(&**name), Some(*p), *runner_up)
            }
            Decision::Unknown { best, runner_up } => {
                let p = best.as_ref().map(|(_, p)| *p);
                ("unknown", None, p, *runner_up)
            }
        };
        if self.json {
            let line = json!({
                "image": image.display().to_string(),
                "decision": word,
                "name": name,
                "p": p,
                "runner_up": runner_up,
                "threshold": threshold,
                "fpir": self.fpir,
                "embed_ms": embed_ms,
            });
            return writeln!(out, "{line}");
        }
        let name = name.map_or(String::new(), |name| format!(" {name}"));
        let p = p.map_or(String::new(), |p| format!(", p {}", shown(p)));
        let next = runner_up.map_or(String::new(), |p| format!(", next {}", shown(p)));
        let accepted = self.accepted_from(threshold);
        writeln!(
            out,
            "{}: {word}{name}{p}{next} ({accepted})",
            image.display()
        )
    }

    fn gallery(&self, command: GalleryCommand, out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let (id, path) = (self.model.id(), self.store.path().display());
        match command {
            GalleryCommand::List => {
                let gallery = self.store.gallery(id, self.model.dims())?;
                for name in gallery.names() {
                    let templates = gallery.templates_of(name);
                    if self.json {
                        writeln!(out, "{}", json!({ "name": name, "templates": templates }))?;
                    } else {
                        writeln!(out, "{templates:>5}  {name}")?;
                    }
                }
                if gallery.is_empty() && !self.json {
                    writeln!(out, "no class is enrolled in {path}")?;
                }
            }
            GalleryCommand::Remove { name } => {
                self.must_exist()?;
                let templates = self.store.remove(id, &name)?.len();
                self.done(
                    json!({ "removed": name, "templates": templates }),
                    out,
                    || format!("removed {name}"),
                )?;
            }
            GalleryCommand::Rename { from, to } => {
                self.must_exist()?;
                self.store.rename(id, &from, &to)?;
                self.done(json!({ "renamed": from, "to": to }), out, || {
                    format!("renamed {from} to {to}")
                })?;
            }
            GalleryCommand::Export { folder } => {
                let pictures = self.export(&folder)?;
                self.done(json!({ "exported": pictures }), out, || {
                    format!("{pictures} pictures in {}", folder.display())
                })?;
            }
            GalleryCommand::Import { folder } => {
                let templates = self.import(&folder)?;
                self.done(json!({ "imported": templates }), out, || {
                    format!("enrolled {templates} pictures in {path}")
                })?;
            }
            GalleryCommand::Check => {
                self.must_exist()?;
                let contents = self.store.contents()?;
                let templates = contents.map_or(0, |contents| contents.templates.len());
                self.done(json!({ "whole": templates }), out, || {
                    format!("{templates} templates in {path}, all of them whole")
                })?;
            }
            GalleryCommand::Reembed => {
                let templates = self.reembed()?;
                self.done(json!({ "reembedded": templates }), out, || {
                    format!(
                        "{templates} templates in {path} are of {} now",
                        self.model.card().name
                    )
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn done(&self, line: Value, out: &mut dyn Write, text: impl Fn() -> String) -> io::Result<()> {
        if self.json {
            writeln!(out, "{line}")
        } else {
            writeln!(out, "{}", text())
        }
    }

    fn must_exist(&self) -> Result<(), Failure> {
        let path = self.store.path();
        if path.exists() {
            return Ok(());
        }
        Err(format!("{path:?}: no gallery there yet; enroll a class first").into())
    }

    fn export(&self, folder: &Path) -> Result<usize, Failure> {
        self.must_exist()?;
        if folder.exists() {
            return Err(format!("{folder:?}: is there already; name a new folder").into());
        }
        let contents = self.store.contents()?;
        let templates = contents.map_or(Vec::new(), |contents| contents.templates);
        let failed = |path: &Path, error: io::Error| format!("{path:?}: {error}");
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // Whole or not at all: filled beside its place, then moved there.
        let filling = tempfile::Builder::new()
            .prefix(".export-")
            .tempdir_in(parent)
            .map_err(|error| failed(parent, error))?;
        let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for template in &templates {
            let class = match template.kind {
                Kind::Genuine => filling.path().join(&template.name),
                Kind::Negative => filling.path().join(NEGATIVES).join(&template.name),
            };
            let count = counts.entry(class.clone()).or_default();
            *count += 1;
            fs::create_dir_all(&class).map_err(|error| failed(&class, error))?;
            let path = class.join(format!("{count:04}.png"));
            whole::write(&path, &template.crop_png).map_err(|error| failed(&path, error))?;
        }
        let readable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(filling.path(), readable).map_err(|error| failed(folder, error))?;
        fs::rename(filling.path(), folder).map_err(|error| failed(folder, error))?;
        fs::File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(|error| failed(parent, error))?;
        Ok(templates.len())
    }

    fn import(&self, folder: &Path) -> Result<usize, Failure> {
        let mut templates = Vec::new();
        let mut classes: Vec<(PathBuf, Kind)> = Vec::new();
        for class in sorted_entries(folder)? {
            if class.file_name().is_some_and(|name| name == NEGATIVES) {
                let negatives = sorted_entries(&class)?.into_iter();
                classes.extend(negatives.map(|class| (class, Kind::Negative)));
            } else {
                classes.push((class, Kind::Genuine));
            }
        }
        for (class, kind) in classes {
            let Some(name) = class.file_name().and_then(|name| name.to_str()) else {
                return Err(format!("{class:?}: its name is not UTF-8; rename it").into());
            };
            if !class.is_dir() {
                continue;
            }
            for picture in pictures(std::slice::from_ref(&class))? {
                templates.push(Template {
                    kind,
                    ..self.template(name, &picture)?
                });
            }
        }
        if templates.is_empty() {
            return Err(format!(
                "{folder:?}: no class folders with pictures; give a folder such as `gallery export` makes"
            )
            .into());
        }
        self.store.enroll(self.model.id(), &templates)?;
        Ok(templates.len())
    }

    fn reembed(&self) -> Result<usize, Failure> {
        self.must_exist()?;
        let Some(contents) = self.store.contents()? else {
            return Ok(0);
        };
        let mut templates = contents.templates.clone();
        for template in &mut templates {
            let name = &template.name;
            let crop = Frame::decode(&template.crop_png, &format!("a crop of {name}"))?;
            let patch = preprocess::patch(&crop, self.spec()).map_err(|blank| {
                format!(
                    "a crop of {name}: {blank}; remove {name} under the gallery's own model, then \
                     enroll it again"
                )
            })?;
            template.embedding = self.model.embed(&patch)?;
        }
        self.store.replace(&contents, self.model.id(), &templates)?;
        Ok(templates.len())
    }
}

/// How many threads a search may use.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Set when the program is told to end. It ends within a second, whatever hangs.
fn end_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        set.store(true, Ordering::Relaxed);
        std::thread::sleep(LAST_MOMENT);
        std::process::exit(i32::from(FAILED));
    })?;
    Ok(stop)
}

/// Width and height in pixels.
fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=65_535).contains(side));
        Some((side(width)?, side(height)?))
    });
    sides.ok_or_else(|| "give it as 640x480".to_owned())
}

fn frames_a_second(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=1000.0).contains(&rate) {
        return Ok(rate);
    }
    Err("must be 0.01 to 1000, such as 30".to_owned())
}

/// p for people; near 1 the decimals that tell are further back.
fn shown(p: f32) -> String {
    let decimals = if p < 0.99 { 3 } else { 6 };
    format!("{p:.decimals$}")
}

/// A rate above 0 and below 1.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate < 1.0 {
        return Ok(rate);
    }
    Err("must be above 0 and below 1, such as 0.01".to_owned())
}

fn named(path: &Path, blank: Blank) -> String {
    format!("{}: {blank}", path.display())
}

/// The pictures themselves, and in place of a folder those in it, sorted.
fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        found.extend(sorted_entries(path)?.into_iter().filter(|entry| {
            let extension = entry.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
        }));
        if found.len() == before {
            return Err(format!("{path:?}: no PNG, JPEG, BMP, PGM or PPM pictures in it").into());
        }
    }
    Ok(found)
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: io::Error| format!("{folder:?}: {error}");
    let mut entries = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    entries.sort();
    Ok(entries)
}

/// `$XDG_DATA_HOME/onelook/gallery.redb`, else under `~/.local/share`, else here.
fn default_gallery() -> PathBuf {
    let set = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
    let data = set("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/share")));
    data.unwrap_or_default().join("onelook/gallery.redb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
