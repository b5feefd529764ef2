//! One GPIO line: how it is named, asked for, and set. Knows nothing of what hangs on it.
//!
//! A line is its name (`GPIO17`, see `gpioinfo`) or its chip and number (`gpiochip0:17`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gpiocdev::Request;
use gpiocdev::line::Value;
use gpiocdev::request::Builder;

/// A GPIO line, by its name or by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// As the board calls it.
    Named(String),
    /// The number of the line on a chip.
    At {
        /// Such as `/dev/gpiochip0`.
        chip: PathBuf,
        /// From 0.
        offset: u32,
    },
}

/// Why a line cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The text names no line.
    #[error("{text:?}: {reason}; write it as GPIO17 or gpiochip0:17")]
    Text {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No chip has a line of this name.
    #[error(
        "{name}: no GPIO line has this name (or none may be read); `gpioinfo` lists them, and the user must be in the group gpio"
    )]
    NoSuchLine {
        /// What was asked for.
        name: String,
    },
    /// The kernel refused.
    #[error("{line}: {source}; another program may hold it (`gpioinfo` tells)")]
    Refused {
        /// What was asked for.
        line: Line,
        /// What the kernel said.
        source: gpiocdev::Error,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Named(name) => f.write_str(name),
            Line::At { chip, offset } => write!(f, "{}:{offset}", chip.display()),
        }
    }
}

impl FromStr for Line {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let wrong = |reason: String| LineError::Text {
            text: text.to_owned(),
            reason,
        };
        let Some((chip, offset)) = text.rsplit_once(':') else {
            if text.is_empty() || text.contains('/') {
                return Err(wrong("names no line".to_owned()));
            }
            return Ok(Line::Named(text.to_owned()));
        };
        let offset = offset
            .parse()
            .map_err(|_| wrong(format!("{offset:?} is no number of a line")))?;
        if chip.is_empty() {
            return Err(wrong("names no chip".to_owned()));
        }
        let chip = Path::new("/dev").join(chip);
        Ok(Line::At { chip, offset })
    }
}

impl Line {
    /// A request for this line alone, without a direction yet.
    pub(super) fn builder(&self) -> Result<Builder, LineError> {
        let mut builder = Request::builder();
        builder.with_consumer("onelook");
        match self {
            Line::At { chip, offset } => builder.on_chip(chip).with_line(*offset),
            Line::Named(name) => {
                let found = gpiocdev::find_named_line(name);
                let found = found.ok_or_else(|| LineError::NoSuchLine { name: name.clone() })?;
                builder.on_chip(&found.chip).with_line(found.info.offset)
            }
        };
        Ok(builder)
    }

    pub(super) fn refused(&self, source: gpiocdev::Error) -> LineError {
        LineError::Refused {
            line: self.clone(),
            source,
        }
    }

    /// This line as an output that is low or high from the start.
    ///
    /// # Errors
    /// Where it does not exist or is taken.
    pub fn output(&self, high: bool) -> Result<Request, LineError> {
        let value = if high { Value::Active } else { Value::Inactive };
        self.builder()?
            .as_output(value)
            .request()
            .map_err(|error| self.refused(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_line_is_refused_without_a_word_of_buttons() {
        for (text, reason) in [
            ("", "names no line"),
            ("a/b", "names no line"),
            (":3", "names no chip"),
            ("gpiochip0:x", "\"x\" is no number of a line"),
        ] {
            let error = text.parse::<Line>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("button"), "{error}");
        }
    }
}
