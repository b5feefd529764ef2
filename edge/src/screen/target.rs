//! What `--screen` may say, read strictly: what is not understood is an error that says what would be. Opens
//! nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::ScreenError;
use crate::gpio::{Line, LineError};

/// How many pictures a PNG folder keeps where nothing else is said.
const KEEP: usize = 1000;

/// A place to show pictures, as `--screen` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `none`: nowhere.
    None,
    /// `fb:/dev/fb0`: the Linux framebuffer.
    Framebuffer(PathBuf),
    /// `png:FOLDER[,keep=1000]`: a file a picture, the newest `keep` of them.
    Png {
        /// Made where it is missing.
        folder: PathBuf,
        /// At least 1.
        keep: usize,
    },
    /// `mjpeg:[ADDRESS:]PORT`: a page for a browser, by itself on this machine alone.
    Mjpeg(SocketAddr),
    /// A small panel on a bus.
    Panel(PanelTarget),
}

/// A small panel on a bus, as `--screen` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanelTarget {
    /// `ssd1306:/dev/i2c-1[,address=0x3c][,rotate=180]`: a monochrome panel of 128x64 on I2C.
    Ssd1306 {
        /// The bus.
        bus: PathBuf,
        /// 7 bits.
        address: u8,
        /// Upside down.
        flipped: bool,
    },
    /// `st7789:/dev/spidev0.0,dc=LINE[,reset=LINE][,light=LINE][,size=240x240][,rotate=90][,mhz=32]`: a
    /// colour panel on SPI.
    St7789 {
        /// The bus and its chip select.
        bus: PathBuf,
        /// Tells data from commands.
        dc: Line,
        /// Resets the panel; by a command where it is not wired.
        reset: Option<Line>,
        /// The backlight, switched on.
        light: Option<Line>,
        /// Width and height of the panel before it is turned, in pixels: at most 240 and 320.
        size_px: (u16, u16),
        /// Clockwise: 0, 90, 180 or 270.
        degrees: u16,
        /// The bus's clock.
        mhz: u32,
    },
}

impl fmt::Display for Target {
    /// What it is and where; the rest of what it was given is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::None => f.write_str("none"),
            Target::Framebuffer(device) => write!(f, "fb:{}", device.display()),
            Target::Png { folder, .. } => write!(f, "png:{}", folder.display()),
            Target::Mjpeg(address) => write!(f, "mjpeg:{address}"),
            Target::Panel(panel) => panel.fmt(f),
        }
    }
}

impl fmt::Display for PanelTarget {
    /// Its kind and its bus.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PanelTarget::Ssd1306 { bus, .. } => write!(f, "ssd1306:{}", bus.display()),
            PanelTarget::St7789 { bus, .. } => write!(f, "st7789:{}", bus.display()),
        }
    }
}

impl FromStr for Target {
    type Err = ScreenError;

    fn from_str(text: &str) -> Result<Self, ScreenError> {
        parse(text).map_err(|reason| ScreenError::Text {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Target, String> {
    if text == "none" {
        return Ok(Target::None);
    }
    let (kind, rest) = text.split_once(':').ok_or("names no kind of screen")?;
    match kind {
        "fb" if rest.is_empty() => Err("names no device".to_owned()),
        "fb" => Ok(Target::Framebuffer(PathBuf::from(rest))),
        "png" => {
            // A folder's name may have a comma in it.
            let (folder, keep) = match rest.rsplit_once(",keep=") {
                Some((folder, keep)) => (folder, keep.parse().ok().filter(|keep| *keep > 0)),
                None => (rest, Some(KEEP)),
            };
            if folder.is_empty() {
                return Err("names no folder".to_owned());
            }
            Ok(Target::Png {
                folder: PathBuf::from(folder),
                keep: keep.ok_or("keep is a number of pictures, at least 1")?,
            })
        }
        "mjpeg" => {
            let address = match rest.parse::<u16>() {
                Ok(port) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
                Err(_) => rest.parse().map_err(|_| {
                    "names no port such as 8080, nor an address and a port such as 127.0.0.1:8080"
                }),
            };
            Ok(Target::Mjpeg(address?))
        }
        "ssd1306" => ssd1306(rest).map(Target::Panel),
        "st7789" => st7789(rest).map(Target::Panel),
        _ => Err(format!("{kind:?} is no kind of screen")),
    }
}

fn ssd1306(rest: &str) -> Result<PanelTarget, String> {
    let bus = PathBuf::from(place(rest, "bus")?);
    let (mut address, mut flipped) = (0x3c, false);
    for (key, value) in options(rest)? {
        match (key, value) {
            ("address", value) => {
                address = seven_bits(value).ok_or("address is 0x08 to 0x77")?;
            }
            ("rotate", "0") => flipped = false,
            ("rotate", "180") => flipped = true,
            _ => return Err(format!("\"{key}={value}\" is not known")),
        }
    }
    Ok(PanelTarget::Ssd1306 {
        bus,
        address,
        flipped,
    })
}

fn st7789(rest: &str) -> Result<PanelTarget, String> {
    let bus = PathBuf::from(place(rest, "bus")?);
    let (mut dc, mut reset, mut light) = (None, None, None);
    let (mut size_px, mut degrees, mut mhz) = ((240, 240), 0, 32);
    for (key, value) in options(rest)? {
        match (key, value) {
            ("dc", line) => dc = Some(gpio_line(line)?),
            ("reset", line) => reset = Some(gpio_line(line)?),
            ("light", line) => light = Some(gpio_line(line)?),
            ("size", size) => {
                size_px = panel_size(size).ok_or("size is at most 240x320")?;
            }
            ("rotate", "0") => degrees = 0,
            ("rotate", "90") => degrees = 90,
            ("rotate", "180") => degrees = 180,
            ("rotate", "270") => degrees = 270,
            ("mhz", value) => {
                let value = value.parse().ok().filter(|mhz| (1..=125).contains(mhz));
                mhz = value.ok_or("mhz is 1 to 125")?;
            }
            _ => return Err(format!("\"{key}={value}\" is not known")),
        }
    }
    Ok(PanelTarget::St7789 {
        bus,
        dc: dc.ok_or("dc=LINE is missing")?,
        reset,
        light,
        size_px,
        degrees,
        mhz,
    })
}

/// What stands before the first comma.
fn place<'a>(rest: &'a str, what: &str) -> Result<&'a str, String> {
    match rest.split(',').next() {
        Some(place) if !place.is_empty() => Ok(place),
        _ => Err(format!("names no {what}")),
    }
}

/// What follows the first comma, as keys and values.
fn options(rest: &str) -> Result<Vec<(&str, &str)>, String> {
    let parts = rest.split(',').skip(1);
    parts
        .map(|part| part.split_once('=').ok_or(format!("{part:?} is not known")))
        .collect()
}

fn gpio_line(text: &str) -> Result<Line, String> {
    text.parse().map_err(|error| match error {
        LineError::Text { reason, .. } => reason,
        other => other.to_string(),
    })
}

fn seven_bits(text: &str) -> Option<u8> {
    let address = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    // The other ones are the bus's own.
    address.filter(|address| (0x08..=0x77).contains(address))
}

fn panel_size(text: &str) -> Option<(u16, u16)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str, most: u16| text.parse().ok().filter(|side| (1..=most).contains(side));
    Some((side(width, 240)?, side(height, 320)?))
}
