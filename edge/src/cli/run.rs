//! `run`: the device before a camera. Opens all that the loop needs, strictly; then [`crate::run`] goes round.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use clap::Args;

use crate::camera::{self, Source, Wanted};
use crate::cli::open::{Common, warn};
use crate::cli::{FAILED, Failure};
use crate::control::button::Button;
use crate::control::keys::Keys;
use crate::control::socket::Control;
use crate::device::command::{Command, Request};
use crate::device::config::{self, Config};
use crate::device::live::Live;
use crate::event::{Event, Events};
use crate::picture::roi::Roi;
use crate::run::{self, RunError};
use crate::screen::{Screen, Target};

/// How many commands wait for the running loop, at most.
const COMMANDS: usize = 32;
/// Between being told to end and ending unasked.
const LAST_MOMENT: Duration = Duration::from_millis(900);

#[derive(Args)]
pub(super) struct RunArgs {
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

pub(super) fn run(
    args: &RunArgs,
    common: &Common,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if args.print_config {
        write!(out, "{}", config::SHIPPED)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::over_shipped("")?,
    };
    let health_every = Duration::from_secs_f64(config.health.every_secs);
    let device = common.open(&config)?;
    let one_channel = device.model().card().input.channels == 1;
    let mut live = Live::new(device, config, args.roi)?;
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
    out.flush()?;
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let events = Events::to(stdout)?;
    let (sender, commands) = sync_channel(COMMANDS);
    let _control = args
        .control
        .as_ref()
        .map(|path| Control::listen(path, sender.clone()))
        .transpose()?;
    if let Some(button) = &args.button {
        let (sender, reporter) = (sender.clone(), events.reporter());
        button.watch(move |pressed| match pressed {
            Ok(()) => {
                let press = Command::Enroll {
                    name: None,
                    even_if_alike: false,
                };
                // Where 32 commands wait, one press more changes nothing.
                let _ = sender.try_send(Request::unanswered(press));
            }
            Err(error) => reporter.report(&Event::Warning {
                about: "button",
                words: format!("the button is not heard any more: {error}"),
            }),
        })?;
    }
    let stop = end_on_signal()?;
    let mut camera = camera::open(source, &wanted)?;
    let is_stdin = matches!(source, Source::MjpegStdin | Source::Y4mStdin);
    let _keys = match is_stdin {
        true => None,
        false => Keys::listen(sender).unwrap_or_else(|error| {
            warn(&error);
            None
        }),
    };
    let ended = run::run(
        &mut live,
        &mut camera,
        &mut screens,
        &commands,
        events,
        health_every,
        &stop,
    );
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // As an error of writing, so that a pipe that nothing reads any more ends it quietly.
        Err(RunError::Events(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
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
