//! Small panels on a bus: an SSD1306 (128x64, one bit a pixel) on I2C, an ST7789 (up to 240x320, 16
//! bits) on SPI. Drivers and buses are other people's; here is what is sent, and that a panel whose
//! plug was pulled is set up again.

use embedded_graphics::pixelcolor::raw::ToBytes;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888};
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin};
use embedded_hal::i2c::I2c;
use embedded_hal::spi::SpiDevice;
use gpiocdev::Request;
use gpiocdev::line::Value;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{Delay, I2cdev, SpidevDevice};
use mipidsi::Builder;
use mipidsi::dcs::{InterfaceExt, SetColumnAddress, SetPageAddress, WriteMemoryStart};
use mipidsi::interface::{Interface, SpiError, SpiInterface};
use mipidsi::models::{Model, ST7789};
use mipidsi::options::{ColorInversion, Orientation, Rotation};
use ssd1306::mode::{BufferedGraphicsMode, DisplayConfig};
use ssd1306::prelude::{DisplayRotation, DisplaySize128x64, I2CInterface};
use ssd1306::{I2CDisplayInterface, Ssd1306};

use super::{PanelTarget, Place, ScreenError};
use crate::device::sight::{Sight, Tone};
use crate::gpio::{Line, LineError};
use crate::picture::frame::Frame;
use crate::screen::overlay::{self, Canvas};

/// What Linux hands to an SPI device at once, unless told otherwise.
const SPI_CHUNK_BYTES: usize = 4096;

/// Opens an SSD1306 or ST7789 and sets it up.
pub fn open(target: &PanelTarget) -> Result<Box<dyn Place>, ScreenError> {
    let unfit = |reason: String| ScreenError::Unfit {
        screen: target.to_string(),
        reason,
    };
    let no_line = |error: LineError| unfit(error.to_string());
    match target {
        PanelTarget::Ssd1306 {
            bus,
            address,
            flipped,
        } => {
            let i2c = I2cdev::new(bus).map_err(|error| {
                unfit(format!(
                    "{error}; switch I2C on, and put the user into the group i2c"
                ))
            })?;
            let mut panel = Monochrome::on(target, i2c, *address, *flipped);
            panel.draw(&Sight::saying("", Tone::Nothing))?;
            Ok(Box::new(panel))
        }
        PanelTarget::St7789 {
            bus,
            dc,
            reset,
            light,
            size_px,
            degrees,
            mhz,
        } => {
            let mut spi = SpidevDevice::open(bus).map_err(|error| {
                unfit(format!(
                    "{error}; switch SPI on, and put the user into the group spi"
                ))
            })?;
            let options = SpidevOptions::new()
                .bits_per_word(8)
                .max_speed_hz(mhz * 1_000_000)
                .mode(SpiModeFlags::SPI_MODE_0)
                .build();
            spi.configure(&options)
                .map_err(|error| unfit(format!("a clock of {mhz} MHz: {error}")))?;
            let output = |line: &Line, high| line.output(high).map(Pin).map_err(no_line);
            let mut panel = Colour {
                target: target.clone(),
                spi,
                dc: output(dc, false)?,
                reset: reset.as_ref().map(|line| output(line, true)).transpose()?,
                _light: light.as_ref().map(|line| output(line, true)).transpose()?,
                delay: Delay,
                size_px: *size_px,
                rotation: match degrees {
                    90 => Rotation::Deg90,
                    180 => Rotation::Deg180,
                    270 => Rotation::Deg270,
                    _ => Rotation::Deg0,
                },
                ready: false,
            };
            panel.fill(std::iter::repeat(Rgb565::default()))?;
            Ok(Box::new(panel))
        }
    }
}

/// An output line.
struct Pin(Request);

/// A line that can no longer be set.
#[derive(Debug)]
struct PinError(#[allow(dead_code)] gpiocdev::Error); // shown by Debug

impl embedded_hal::digital::Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Pin {
    type Error = PinError;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.0.set_lone_value(Value::Inactive).map_err(PinError)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.0.set_lone_value(Value::Active).map_err(PinError)
    }
}

/// An SSD1306 on any bus.
struct Monochrome<I> {
    target: PanelTarget,
    address: u8,
    panel: Ssd1306<I2CInterface<I>, DisplaySize128x64, BufferedGraphicsMode<DisplaySize128x64>>,
    /// Set up, and well since then.
    ready: bool,
}

impl<I: I2c> Monochrome<I> {
    fn on(target: &PanelTarget, i2c: I, address: u8, flipped: bool) -> Self {
        let rotation = if flipped {
            DisplayRotation::Rotate180
        } else {
            DisplayRotation::Rotate0
        };
        let bus = I2CDisplayInterface::new_custom_address(i2c, address);
        Self {
            target: target.clone(),
            address,
            panel: Ssd1306::new(bus, DisplaySize128x64, rotation).into_buffered_graphics_mode(),
            ready: false,
        }
    }

    fn draw(&mut self, sight: &Sight) -> Result<(), ScreenError> {
        let was_ready = std::mem::take(&mut self.ready);
        let set_up = if was_ready { Ok(()) } else { self.panel.init() };
        let sent = set_up
            .and_then(|()| overlay::draw_words(&mut self.panel, sight))
            .and_then(|()| self.panel.flush());
        self.ready = sent.is_ok();
        sent.map_err(|_| ScreenError::Unfit {
            screen: self.target.to_string(),
            reason: format!(
                "no answer at {:#04x} (`i2cdetect -y` lists who answers)",
                self.address
            ),
        })
    }
}

impl<I: I2c + Send> Place for Monochrome<I> {
    fn show(&mut self, _: &Frame, sight: &Sight) -> Result<(), ScreenError> {
        self.draw(sight)
    }

    fn end(&mut self) {
        // The program ends: there is no one left to report to.
        let _ = self.draw(&Sight::saying("", Tone::Nothing));
    }
}

/// An ST7789 on any bus, its lines and its clock.
struct Colour<S, P, D> {
    target: PanelTarget,
    spi: S,
    dc: P,
    reset: Option<P>,
    /// Kept open, so that it stays on.
    _light: Option<P>,
    delay: D,
    size_px: (u16, u16),
    rotation: Rotation,
    /// Set up, and well since then.
    ready: bool,
}

impl<S: SpiDevice, P: OutputPin, D: DelayNs> Colour<S, P, D> {
    /// Width and height as it is turned.
    fn turned_px(&self) -> (u16, u16) {
        let (width, height) = self.size_px;
        match self.rotation {
            Rotation::Deg0 | Rotation::Deg180 => (width, height),
            Rotation::Deg90 | Rotation::Deg270 => (height, width),
        }
    }

    /// Sends as many of `pixels` as there are on the panel, row by row.
    fn fill(&mut self, pixels: impl Iterator<Item = Rgb565>) -> Result<(), ScreenError> {
        let was_ready = std::mem::take(&mut self.ready);
        let set_up = if was_ready { Ok(()) } else { self.set_up() };
        let sent = set_up.and_then(|()| {
            self.send(pixels)
                .map_err(|error| format!("the bus failed: {error:?}"))
        });
        self.ready = sent.is_ok();
        sent.map_err(|reason| ScreenError::Unfit {
            screen: self.target.to_string(),
            reason,
        })
    }

    fn set_up(&mut self) -> Result<(), String> {
        let mut buffer = [0; SPI_CHUNK_BYTES];
        let bus = SpiInterface::new(&mut self.spi, &mut self.dc, &mut buffer);
        let (width, height) = self.size_px;
        // The glass of these modules inverts: so it has to be inverted once more.
        let builder = Builder::new(ST7789, bus)
            .display_size(width, height)
            .orientation(Orientation::new().rotate(self.rotation))
            .invert_colors(ColorInversion::Inverted);
        let done = match &mut self.reset {
            Some(reset) => builder
                .reset_pin(reset)
                .init(&mut self.delay)
                .map(drop)
                .map_err(|error| format!("{error:?}")),
            None => builder
                .init(&mut self.delay)
                .map(drop)
                .map_err(|error| format!("{error:?}")),
        };
        done.map_err(|error| format!("cannot be set up: {error}"))
    }

    fn send(
        &mut self,
        pixels: impl Iterator<Item = Rgb565>,
    ) -> Result<(), SpiError<S::Error, P::Error>> {
        let (width, height) = self.turned_px();
        // A panel smaller than the chip's memory shows its first rows and columns; turned, its last.
        let (columns, rows) = ST7789::FRAMEBUFFER_SIZE;
        let (beside, below) = (columns - self.size_px.0, rows - self.size_px.1);
        let (left, top) = match self.rotation {
            Rotation::Deg0 => (0, 0),
            Rotation::Deg90 => (0, beside),
            Rotation::Deg180 => (beside, below),
            Rotation::Deg270 => (below, 0),
        };
        let mut buffer = [0; SPI_CHUNK_BYTES];
        let mut bus = SpiInterface::new(&mut self.spi, &mut self.dc, &mut buffer);
        bus.write_command(SetColumnAddress::new(left, left + width - 1))?;
        bus.write_command(SetPageAddress::new(top, top + height - 1))?;
        bus.write_command(WriteMemoryStart)?;
        let count = usize::from(width) * usize::from(height);
        bus.send_pixels(pixels.take(count).map(|pixel| pixel.to_be_bytes()))
    }
}

impl<S, P, D> Place for Colour<S, P, D>
where
    S: SpiDevice + Send,
    P: OutputPin + Send,
    D: DelayNs + Send,
{
    fn show(&mut self, frame: &Frame, sight: &Sight) -> Result<(), ScreenError> {
        let (width, height) = self.turned_px();
        let canvas = Canvas::fitted(frame, sight, (width.into(), height.into()));
        let pixels = canvas.pixels().chunks_exact(3);
        self.fill(pixels.map(|rgb| Rgb565::from(Rgb888::new(rgb[0], rgb[1], rgb[2]))))
    }

    fn end(&mut self) {
        // The program ends: there is no one left to report to.
        let _ = self.fill(std::iter::repeat(Rgb565::default()));
    }
}

#[cfg(test)]
mod tests;
