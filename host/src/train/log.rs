//! What a run tells while it goes: rows in its folder, lines for a person on standard error, and how fast it is. Knows
//! progress: nothing of networks.

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::run::{Progress, file_error, write_whole};
use super::{Order, TrainError};

/// Steps after which `minutes` becomes a number of epochs.
pub(super) const MEASURED_STEPS: u64 = 30;
/// Photographs after which it is known how long all will take.
const TIMED_PHOTOGRAPHS: usize = 256;
/// Steps that share a row of `steps.csv`.
const LOGGED_STEPS: u64 = 50;

/// How fast the run goes, and the number of epochs that fit into the minutes asked for.
pub(super) struct Pace {
    minutes: Option<f64>,
    begun: Instant,
    first_step: u64,
    measured: Option<Instant>,
    pictures: usize,
    lapped: f64,
}

impl Pace {
    pub(super) fn new(minutes: Option<f64>, step: u64) -> Self {
        Self {
            minutes,
            begun: Instant::now(),
            first_step: step,
            measured: None,
            pictures: 0,
            lapped: 0.0,
        }
    }

    pub(super) fn count(&mut self, pictures: usize) {
        self.pictures += pictures;
    }

    pub(super) fn pictures_per_second(&self) -> f64 {
        self.pictures as f64 / self.begun.elapsed().as_secs_f64()
    }

    fn seconds_left(&self, progress: &Progress) -> f64 {
        let steps = (progress.step - self.first_step).max(1) as f64;
        let left = progress.total_steps.saturating_sub(progress.step) as f64;
        self.begun.elapsed().as_secs_f64() / steps * left
    }

    /// Seconds since the last call.
    pub(super) fn lap(&mut self, session: &Instant) -> f64 {
        let now = session.elapsed().as_secs_f64();
        let lap = now - self.lapped;
        self.lapped = now;
        lap
    }

    /// After the measured steps, the epochs that fit into the minutes; once.
    pub(super) fn epochs(&mut self, progress: &Progress) -> Option<u64> {
        let minutes = self.minutes?;
        // The first steps warm caches and, on a GPU, compile shaders.
        let taken = progress.step - self.first_step;
        if taken < MEASURED_STEPS / 3 {
            return None;
        }
        let since = *self.measured.get_or_insert_with(Instant::now);
        if taken < MEASURED_STEPS {
            return None;
        }
        self.minutes = None;
        let per_step = since.elapsed().as_secs_f64() / (MEASURED_STEPS - MEASURED_STEPS / 3) as f64;
        // A twentieth is left for validation and checkpoints.
        let steps = 0.95 * 60.0 * minutes / per_step;
        Some(((steps / progress.steps_per_epoch as f64).round() as u64).max(1))
    }
}

/// Progress for a person: one living line on a terminal, a line an epoch otherwise. `log.csv` has
/// a row an epoch, `steps.csv` the mean loss of every [`LOGGED_STEPS`] steps.
pub(super) struct Log {
    epochs: PathBuf,
    steps: PathBuf,
    live: bool,
    shown: Instant,
    /// Whether it was said that photographs take long.
    warned: bool,
    /// Sum of the losses since the last row of `steps`, and how many they are.
    losses: (f64, u64),
}

impl Log {
    const EPOCHS: &str = "epoch,loss,pair_accuracy,validation_accuracy,learning_rate,seconds\n";
    const STEPS: &str = "step,loss,pictures_per_second\n";

    /// On resume, rows after the checkpoint are dropped: they will be written again.
    pub(super) fn open(order: &Order, progress: &Progress) -> Result<Self, TrainError> {
        let (epochs, steps) = (order.out.join("log.csv"), order.out.join("steps.csv"));
        for (path, header, rows) in [
            (
                &epochs,
                Self::EPOCHS,
                progress.step / progress.steps_per_epoch.max(1),
            ),
            (&steps, Self::STEPS, progress.step / LOGGED_STEPS),
        ] {
            let kept: String = match fs::read_to_string(path) {
                Ok(text) if order.resume => text
                    .lines()
                    .skip(1)
                    .take(rows as usize)
                    .map(|line| format!("{line}\n"))
                    .collect(),
                _ => String::new(),
            };
            write_whole(path, format!("{header}{kept}").as_bytes())?;
        }
        Ok(Self {
            epochs,
            steps,
            live: std::io::stderr().is_terminal(),
            shown: Instant::now(),
            warned: false,
            losses: (0.0, 0),
        })
    }

    pub(super) fn step(
        &mut self,
        progress: &Progress,
        pace: &Pace,
        loss: f32,
    ) -> Result<(), TrainError> {
        self.losses.0 += f64::from(loss);
        self.losses.1 += 1;
        if progress.step.is_multiple_of(LOGGED_STEPS) {
            let (sum, count) = std::mem::take(&mut self.losses);
            let (step, rate) = (progress.step, pace.pictures_per_second());
            append(
                &self.steps,
                &format!("{step},{:.6},{rate:.0}\n", sum / count as f64),
            )?;
        }
        self.line(progress, pace, loss);
        Ok(())
    }

    pub(super) fn note(&self, text: &str) {
        eprintln!("{}{text}", if self.live { "\r\x1b[K" } else { "" });
    }

    /// How far the photographs are; once, if they will take more than half of the `minutes` asked for.
    pub(super) fn photographs(
        &mut self,
        taken: usize,
        all: usize,
        begun: &Instant,
        minutes: Option<f64>,
    ) {
        let each = begun.elapsed().as_secs_f64() / taken.max(1) as f64;
        let in_all = each * all as f64;
        if taken >= TIMED_PHOTOGRAPHS
            && !self.warned
            && minutes.is_some_and(|minutes| in_all > 30.0 * minutes)
        {
            self.warned = true;
            self.note(&format!(
                "the photographs alone take about {}, and an epoch follows; --preset minimal takes none",
                clock(in_all)
            ));
        }
        if self.is_due() {
            let left = clock(each * (all - taken) as f64);
            eprint!("\r\x1b[Kphotograph {taken}/{all}  {left} left");
        }
    }

    /// Whether the living line is to be written anew.
    fn is_due(&mut self) -> bool {
        let due = self.live && self.shown.elapsed().as_millis() >= 300;
        if due {
            self.shown = Instant::now();
        }
        due
    }

    fn line(&mut self, progress: &Progress, pace: &Pace, loss: f32) {
        if !self.is_due() {
            return;
        }
        let epoch = progress.step / progress.steps_per_epoch + 1;
        eprint!(
            "\r\x1b[Kepoch {epoch}/{} step {}/{}  loss {loss:.4}  {:.0} pictures/s  best {:.1} %  {} left",
            progress.total_steps / progress.steps_per_epoch,
            progress.step % progress.steps_per_epoch,
            progress.steps_per_epoch,
            pace.pictures_per_second(),
            100.0 * progress.best_accuracy,
            clock(pace.seconds_left(progress)),
        );
    }

    pub(super) fn epoch(
        &mut self,
        progress: &Progress,
        pace: &Pace,
        accuracy: f64,
        rate: f64,
    ) -> Result<(), TrainError> {
        let steps = progress.steps_per_epoch as f64;
        let epoch = progress.step / progress.steps_per_epoch;
        let (loss, pairs) = (progress.loss_sum / steps, progress.accuracy_sum / steps);
        let row = format!(
            "{epoch},{loss:.6},{pairs:.6},{accuracy:.6},{rate:.8},{:.1}\n",
            progress.seconds
        );
        append(&self.epochs, &row)?;
        self.note(&format!(
            "epoch {epoch}/{}  loss {loss:.4}  pairs {:.1} %  validation {:.1} %  {:.0} pictures/s  {} left",
            progress.total_steps / progress.steps_per_epoch,
            100.0 * pairs,
            100.0 * accuracy,
            pace.pictures_per_second(),
            clock(pace.seconds_left(progress)),
        ));
        Ok(())
    }
}

fn append(path: &Path, row: &str) -> Result<(), TrainError> {
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(row.as_bytes()))
        .map_err(file_error(path))
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}
