//! A push button on a GPIO line: each press calls what it was given. Knows nothing of what it means.
//!
//! Written `LINE[,pull=up|down|none][,active=low|high][,debounce=MILLISECONDS]`, with a line as
//! `gpio` reads it. The usual button closes to ground: pull up, active low, 20 milliseconds, which
//! is what is left out.

use std::io;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use gpiocdev::line::{Bias, EdgeDetection};

use crate::gpio::{Line, LineError};

/// What holds the line while the button is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// A resistor on the board does.
    None,
}

/// A button and how it is wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// Where it is.
    pub line: Line,
    /// What holds it while it is open.
    pub pull: Pull,
    /// Whether pressed means low.
    pub active_low: bool,
    /// How long the line must be quiet before a change counts.
    pub debounce: Duration,
}

/// Why a line or a button cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ButtonError {
    /// The text names no button.
    #[error(
        "{text:?}: {reason}; write it as GPIO17 or gpiochip0:17, and where it is not a button to ground add ,pull=up|down|none ,active=low|high ,debounce=MILLISECONDS"
    )]
    Text {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The line cannot be had.
    #[error(transparent)]
    Line(#[from] LineError),
    /// No thread could be had.
    #[error("{line}: no thread to watch it: {source}")]
    NoThread {
        /// What was asked for.
        line: Line,
        /// What the system said.
        source: io::Error,
    },
}

impl FromStr for Button {
    type Err = ButtonError;

    fn from_str(text: &str) -> Result<Self, ButtonError> {
        let wrong = |reason: String| ButtonError::Text {
            text: text.to_owned(),
            reason,
        };
        let mut parts = text.split(',');
        let line = parts.next().unwrap_or_default().parse();
        let line = line.map_err(|error| match error {
            LineError::Text { reason, .. } => wrong(reason),
            other => other.into(),
        })?;
        let mut button = Button {
            line,
            pull: Pull::Up,
            active_low: true,
            debounce: Duration::from_millis(20),
        };
        for part in parts {
            match part.split_once('=') {
                Some(("pull", "up")) => button.pull = Pull::Up,
                Some(("pull", "down")) => button.pull = Pull::Down,
                Some(("pull", "none")) => button.pull = Pull::None,
                Some(("active", "low")) => button.active_low = true,
                Some(("active", "high")) => button.active_low = false,
                Some(("debounce", milliseconds)) => {
                    let milliseconds = milliseconds.parse().ok().filter(|ms| *ms <= 1000);
                    let milliseconds = milliseconds
                        .ok_or_else(|| wrong("debounce is 0 to 1000 milliseconds".to_owned()))?;
                    button.debounce = Duration::from_millis(milliseconds);
                }
                _ => return Err(wrong(format!("{part:?} is not known"))),
            }
        }
        Ok(button)
    }
}

impl Button {
    /// Calls `pressed` at each press, from a thread of its own, until the program ends. After an error there are no
    /// more calls.
    ///
    /// # Errors
    /// Where the line does not exist or is taken.
    pub fn watch(
        &self,
        mut pressed: impl FnMut(Result<(), ButtonError>) + Send + 'static,
    ) -> Result<(), ButtonError> {
        let mut builder = self.line.builder()?;
        builder
            .as_input()
            .with_bias(match self.pull {
                Pull::Up => Bias::PullUp,
                Pull::Down => Bias::PullDown,
                Pull::None => Bias::Disabled,
            })
            .with_edge_detection(EdgeDetection::RisingEdge)
            .with_debounce_period(self.debounce);
        if self.active_low {
            builder.as_active_low();
        }
        let request = builder
            .request()
            .map_err(|error| self.line.refused(error))?;
        let line = self.line.clone();
        let watching = move || {
            for edge in request.edge_events() {
                let edge = edge.map(|_| ()).map_err(|error| line.refused(error).into());
                let ended = edge.is_err();
                pressed(edge);
                if ended {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("button".to_owned())
            .spawn(watching)
            .map(|_| ())
            .map_err(|source| ButtonError::NoThread {
                line: self.line.clone(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_bare_line_is_a_button_to_ground() {
        let expected = Button {
            line: Line::Named("GPIO17".to_owned()),
            pull: Pull::Up,
            active_low: true,
            debounce: Duration::from_millis(20),
        };
        assert_eq!("GPIO17".parse::<Button>().unwrap(), expected);
    }

    #[test]
    fn a_button_to_the_supply_is_written_out() {
        let expected = Button {
            line: Line::At {
                chip: PathBuf::from("/dev/gpiochip2"),
                offset: 5,
            },
            pull: Pull::Down,
            active_low: false,
            debounce: Duration::ZERO,
        };
        for chip in ["gpiochip2", "/dev/gpiochip2"] {
            let text = format!("{chip}:5,pull=down,active=high,debounce=0");
            assert_eq!(text.parse::<Button>().unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, reason) in [
            ("", "names no line"),
            (":3", "names no chip"),
            ("gpiochip0:x", "\"x\" is no number of a line"),
            ("GPIO17,pull=sideways", "\"pull=sideways\" is not known"),
            ("GPIO17,", "\"\" is not known"),
            ("GPIO17,debounce=1001", "debounce is 0 to 1000 milliseconds"),
        ] {
            let error = text.parse::<Button>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_line_that_is_not_there_is_an_error_before_anything_starts() {
        let nowhere: Button = "no-such-line-on-any-board".parse().unwrap();
        let error = nowhere.watch(|_| {}).unwrap_err();
        assert!(
            matches!(error, ButtonError::Line(LineError::NoSuchLine { .. })),
            "{error}"
        );
        let nowhere: Button = "gpiochip999:3".parse().unwrap();
        let error = nowhere.watch(|_| {}).unwrap_err();
        assert!(
            matches!(error, ButtonError::Line(LineError::Refused { .. })),
            "{error}"
        );
    }
}
