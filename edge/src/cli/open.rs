//! What every verb of the command line begins with: a model, a gallery, a threshold; and how results are written.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::cli::Failure;
use crate::device::Device;
use crate::device::config::Config;
use crate::device::threshold::Threshold;
use crate::gallery::store::Store;
use crate::model::{self, Model, ModelError};

#[derive(Args)]
pub(super) struct Common {
    /// The model, a file made by `onelook export`; the one for drawn characters that ships with
    /// the program otherwise
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// The gallery of enrolled classes; a file of yours in your data folder otherwise
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) gallery: Option<PathBuf>,
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
    pub(super) json: bool,
}

impl Common {
    pub(super) fn load_model(&self) -> Result<Model, ModelError> {
        match &self.model {
            Some(path) => Model::load(path),
            None => Model::from_bytes(model::SHIPPED, "the shipped model"),
        }
    }

    pub(super) fn store(&self) -> Store {
        Store::at(self.gallery.clone().unwrap_or_else(default_gallery))
    }

    pub(super) fn threshold(&self, model: &Model) -> Result<Threshold, ModelError> {
        // A point that the model does not have is an error, whatever sets the threshold.
        let point = model.operating_point(self.point.as_deref())?;
        Ok(match self.fpir {
            Some(fpir) => Threshold::Fpir(fpir),
            None => Threshold::Fixed(point.threshold),
        })
    }

    /// The device, with its gallery open.
    pub(super) fn open(&self, config: &Config) -> Result<Device, Failure> {
        let model = self.load_model()?;
        let by = self.threshold(&model)?;
        Ok(Device::open(
            model,
            self.store(),
            by,
            config.quality.enroll,
        )?)
    }

    /// Writes a result as one line: JSON where that was asked for.
    pub(super) fn print(
        &self,
        out: &mut dyn Write,
        line: Value,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.json {
            writeln!(out, "{line}")
        } else {
            writeln!(out, "{}", text())
        }
    }

    /// From which p on a class is accepted, in words.
    pub(super) fn accepted_from(&self, threshold: f32) -> String {
        let target = self
            .fpir
            .map_or(String::new(), |fpir| format!(" for FPIR {fpir}"));
        format!("accepted from {}{target}", shown(threshold))
    }

    pub(super) fn fpir(&self) -> Option<f64> {
        self.fpir
    }
}

/// A word of warning on standard error, where it is read.
pub(super) fn warn(words: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "warning: {words}");
}

/// p for people; near 1 the decimals that tell are further back.
pub(super) fn shown(p: f32) -> String {
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

/// `$XDG_DATA_HOME/onelook/gallery.redb`, else under `~/.local/share`, else here.
fn default_gallery() -> PathBuf {
    let set = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
    let data = set("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/share")));
    data.unwrap_or_default().join("onelook/gallery.redb")
}
