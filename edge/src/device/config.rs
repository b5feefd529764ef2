//! How the running loop decides and learns: numbers from a TOML file, over those that ship in `run.toml`.
//! Knows numbers and their limits: nothing of what they do.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::device::{steady, teach};
use crate::vision::quality::Gates;

/// What holds where a file says nothing else; with a word on every number.
pub const SHIPPED: &str = include_str!("../../run.toml");
/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How frames become a decision.
    pub decide: steady::Rules,
    /// What looks must be like.
    pub quality: Quality,
    /// How classes are learned.
    pub teach: teach::Rules,
    /// What is reported.
    pub health: Health,
}

/// What looks must be like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// To be decided by.
    pub decide: Gates,
    /// To be learned.
    pub enroll: Gates,
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Between two reports, 0.1 to 86,400.
    pub every_secs: f64,
}

impl Config {
    /// The numbers that ship, with those of the file at `path` over them.
    ///
    /// # Errors
    /// In words, naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let named = |reason: &dyn std::fmt::Display| format!("{path:?}: {reason}");
        let size = fs::metadata(path).map_err(|error| named(&error))?.len();
        if size > MAX_FILE_BYTES {
            return Err(named(&"larger than 1 MiB, so no configuration"));
        }
        let text = fs::read_to_string(path).map_err(|error| named(&error))?;
        Self::over_shipped(&text).map_err(|reason| named(&reason))
    }

    /// The numbers that ship, with those of `text` over them.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn over_shipped(text: &str) -> Result<Self, String> {
        let table = |text: &str| {
            let parsed: Result<Table, _> = toml::from_str(text);
            parsed.map_err(|error| error.to_string().trim_end().to_owned())
        };
        let mut all = table(SHIPPED)?;
        lay_over(&mut all, table(text)?);
        let config: Config = all
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let of = |section: &'static str| move |reason: String| format!("[{section}] {reason}");
        self.decide.check().map_err(of("decide"))?;
        self.quality.decide.check().map_err(of("quality.decide"))?;
        self.quality.enroll.check().map_err(of("quality.enroll"))?;
        self.teach.check().map_err(of("teach"))?;
        let every_secs = self.health.every_secs;
        if !(0.1..=86_400.0).contains(&every_secs) {
            let reason = format!("every_secs must be 0.1 to 86400, not {every_secs}");
            return Err(of("health")(reason));
        }
        Ok(())
    }
}

fn lay_over(all: &mut Table, some: Table) {
    for (key, value) in some {
        match (all.get_mut(&key), value) {
            (Some(Value::Table(all)), Value::Table(some)) => lay_over(all, some),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_changes_its_number_alone() {
        let shipped = Config::over_shipped("").unwrap();
        let changed = Config::over_shipped("[quality.enroll]\nblur_px = 9").unwrap();
        assert_eq!(changed.quality.enroll.blur_px, 9.0);
        let mut back = changed;
        back.quality.enroll.blur_px = shipped.quality.enroll.blur_px;
        assert_eq!(back, shipped);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            (
                "[decide]\nneeded = 2",
                "[decide] needed must be more than half",
            ),
            ("[decide]\nwindoww = 2", "windoww"),
            ("[decide", "TOML parse error"),
            ("[quality.decide]\nscale = nan", "[quality.decide] scale"),
            ("[teach]\ngood_frames = 0", "[teach] good_frames"),
            ("[teach]\nwithin_ms = \"long\"", "invalid type"),
            ("[health]\nevery_secs = 0", "[health] every_secs"),
            ("decide = 3", "invalid type"),
        ] {
            let error = Config::over_shipped(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let error = Config::load(Path::new("no-such.toml")).unwrap_err();
        assert!(error.contains("no-such.toml"), "{error}");
    }
}
