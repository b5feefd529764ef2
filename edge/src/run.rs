//! `onelook-edge run`: frames, commands and signals go into a device; events, pictures and word to systemd come out.
//! Nothing here decides anything, and nothing waits for longer than a moment: what fails beside the frames is
//! reported as a `warning` and does not stop them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::camera::{self, Camera, CameraState};
use crate::device::command::Request;
use crate::device::live::{Input, Live, LiveError};
use crate::device::sight::{Sight, Tone};
use crate::event::systemd::Notify;
use crate::event::{self, CameraCounts, Event, Events, Health, Stages};
use crate::picture::frame::Frame;
use crate::screen::Screen;

/// How long a frame is waited for before commands and the watchdog have their turn.
const GLANCE: Duration = Duration::from_millis(50);
/// How long the last events have to be written.
const FLUSH: Duration = Duration::from_millis(500);

/// Why the loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A frame could not be looked at.
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("events cannot be written: {0}")]
    Events(#[source] io::Error),
}

/// Runs until the source ends, a command says so, or `stop` is set.
///
/// # Errors
/// [`RunError`]; everything that was learned is on the disk all the same.
pub fn run(
    live: &mut Live,
    camera: &mut Camera,
    screens: &mut [Screen],
    commands: &Receiver<Request>,
    mut events: Events,
    health_every: Duration,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    let mut notify = Notify::from_environment();
    let mut pace = Pace::new();
    let mut last: Option<Arc<Frame>> = None;
    let mut reported = Instant::now();
    told(notify.ready(), &mut events)?;
    let mut goes_on = true;
    while goes_on && !stop.load(Ordering::Relaxed) {
        let glance = camera.newest(GLANCE);
        let now = Instant::now();
        match glance {
            camera::Glance::Frame(shot) => {
                pace.frame();
                last = Some(Arc::clone(&shot.frame));
                if matches!(camera.state(), CameraState::Frozen | CameraState::Black) {
                    live.turn(Input::Unusable, now)?;
                    let sight = state_sight(camera.state());
                    show(screens, &shot.frame, &sight, &mut events)?;
                } else {
                    let input = Input::Frame {
                        frame: &shot.frame,
                        decode: shot.decoding,
                    };
                    let finding = live.turn(input, now)?.unwrap_or_default();
                    let drawing = Instant::now();
                    match live.just_learned(drawing) {
                        Some((frame, sight)) => show(screens, frame, &sight, &mut events)?,
                        None if screens.is_empty() => {}
                        None => {
                            let fps = Some(pace.fps() as f32);
                            let sight = Sight {
                                fps,
                                ..live.sight(&finding)
                            };
                            show(screens, &shot.frame, &sight, &mut events)?;
                        }
                    }
                    live.timed(Stages {
                        draw: drawing.elapsed().as_secs_f64() * 1e3,
                        ..finding.stages
                    });
                }
            }
            camera::Glance::State(state) => {
                let (word, words) = named(&state);
                told(
                    notify.status(&format!("camera {word} {words}")),
                    &mut events,
                )?;
                report(&mut events, &camera_event(word, words))?;
                let is_up = matches!(state, CameraState::Live { .. } | CameraState::Opened { .. });
                if let Some(frame) = last.as_ref().filter(|_| !is_up) {
                    show(screens, frame, &state_sight(&state), &mut events)?;
                }
                live.turn(Input::Nothing, now)?;
            }
            camera::Glance::Nothing => {
                live.turn(Input::Nothing, now)?;
            }
            camera::Glance::Ended => {
                report(
                    &mut events,
                    &camera_event("ended", camera.name().to_owned()),
                )?;
                goes_on = false;
            }
        }
        for request in commands.try_iter() {
            let health = health(live, camera, &pace, &events);
            goes_on &= live.obey(request, &health, Instant::now());
        }
        for event in live.events() {
            report(&mut events, &event)?;
        }
        if reported.elapsed() >= health_every {
            reported = Instant::now();
            let health = health(live, camera, &pace, &events);
            report(&mut events, &Event::Health(health))?;
        }
        told(notify.alive(), &mut events)?;
    }
    let health = health(live, camera, &pace, &events);
    report(&mut events, &Event::Health(health))?;
    told(notify.stopping(), &mut events)?;
    if !events.flush(FLUSH) {
        return Err(RunError::Events(io::ErrorKind::TimedOut.into()));
    }
    Ok(())
}

fn report(events: &mut Events, event: &Event) -> Result<(), RunError> {
    events.report(event).map_err(RunError::Events)
}

fn warn(about: &'static str, words: String, events: &mut Events) -> Result<(), RunError> {
    report(events, &Event::Warning { about, words })
}

/// systemd that cannot be told is no reason to stop seeing.
fn told(said: io::Result<()>, events: &mut Events) -> Result<(), RunError> {
    match said {
        Ok(()) => Ok(()),
        Err(error) => warn(
            "systemd",
            format!("systemd cannot be told: {error}"),
            events,
        ),
    }
}

fn show(
    screens: &mut [Screen],
    frame: &Arc<Frame>,
    sight: &Sight,
    events: &mut Events,
) -> Result<(), RunError> {
    for screen in screens {
        if let Some(changed) = screen.show(frame, sight) {
            warn("screen", changed.to_string(), events)?;
        }
    }
    Ok(())
}

fn camera_event(state: &'static str, words: String) -> Event {
    Event::Camera { state, words }
}

/// A camera's state in one stable word, and for people.
fn named(state: &CameraState) -> (&'static str, String) {
    match state {
        CameraState::Opening => ("opening", String::new()),
        CameraState::Opened { what } => ("opened", what.clone()),
        CameraState::Live { width, height } => ("live", format!("{width}x{height}")),
        CameraState::Frozen => ("frozen", "the same picture again and again".to_owned()),
        CameraState::Black => ("black", "nothing but black".to_owned()),
        CameraState::Stalled { why } => ("stalled", why.clone()),
        CameraState::Lost { why, again } => {
            let again = again.map(|again| format!("; tried again in {:.1} s", again.as_secs_f64()));
            ("lost", format!("{why}{}", again.unwrap_or_default()))
        }
    }
}

fn state_sight(state: &CameraState) -> Sight {
    let (word, words) = named(state);
    Sight {
        state: words,
        ..Sight::saying(&format!("camera {word}"), Tone::Nothing)
    }
}

fn health(live: &Live, camera: &Camera, pace: &Pace, events: &Events) -> Health {
    let camera::Counts {
        captured,
        shown,
        damaged,
        dropped,
        reopened,
    } = camera.counts();
    Health {
        uptime_s: events.now_s(),
        fps: pace.fps(),
        resident_bytes: event::resident_bytes().unwrap_or(0),
        camera: CameraCounts {
            captured,
            shown,
            damaged,
            dropped,
            reopened,
        },
        events_lost: events.lost(),
        ..live.health()
    }
}

/// How many frames came in the last seconds.
struct Pace {
    /// Frames of the second that is not over, and when it began.
    counting: (u32, Instant),
    fps: Option<f64>,
}

impl Pace {
    fn new() -> Self {
        Self {
            counting: (0, Instant::now()),
            fps: None,
        }
    }

    fn frame(&mut self) {
        self.counting.0 += 1;
        if self.counting.1.elapsed() >= Duration::from_secs(1) {
            self.fps = Some(self.fps());
            self.counting = (0, Instant::now());
        }
    }

    /// Of the last whole second, or of the one that has begun where that is longer.
    fn fps(&self) -> f64 {
        let (frames, since) = self.counting;
        let seconds = since.elapsed().as_secs_f64();
        match self.fps {
            Some(fps) if seconds < 1.0 => fps,
            _ => f64::from(frames) / seconds.max(1e-3),
        }
    }
}
