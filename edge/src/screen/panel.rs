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

use super::{Place, ScreenError, Target};
use crate::control::button::{ButtonError, Line};
use crate::device::sight::{Sight, Tone};
use crate::picture::frame::Frame;
use crate::screen::overlay::{self, Canvas};

/// What Linux hands to an SPI device at once, unless told otherwise.
const SPI_CHUNK_BYTES: usize = 4096;

/// Opens an SSD1306 or ST7789 and sets it up.
///
/// # Panics
/// Where `target` is neither.
pub fn open(target: &Target) -> Result<Box<dyn Place>, ScreenError> {
    let unfit = |reason: String| ScreenError::Unfit {
        screen: target.to_string(),
        reason,
    };
    let taken = |error: ButtonError| unfit(error.to_string());
    match target {
        Target::Ssd1306 {
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
        Target::St7789 {
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
            let output = |line: &Line, high| line.output(high).map(Pin).map_err(taken);
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
        _ => unreachable!("only panels come here"),
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
    target: Target,
    address: u8,
    panel: Ssd1306<I2CInterface<I>, DisplaySize128x64, BufferedGraphicsMode<DisplaySize128x64>>,
    /// Set up, and well since then.
    ready: bool,
}

impl<I: I2c> Monochrome<I> {
    fn on(target: &Target, i2c: I, address: u8, flipped: bool) -> Self {
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
        // The program ends: there is nobody left to tell.
        let _ = self.draw(&Sight::saying("", Tone::Nothing));
    }
}

/// An ST7789 on any bus, its lines and its clock.
struct Colour<S, P, D> {
    target: Target,
    spi: S,
    dc: P,
    reset: Option<P>,
    /// Held, so that it stays on.
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
        // The program ends: there is nobody left to tell.
        let _ = self.fill(std::iter::repeat(Rgb565::default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::digital::{Mock as PinMock, State, Transaction as PinStep};
    use embedded_hal_mock::eh1::i2c::{Mock as I2cMock, Transaction as I2cStep};
    use embedded_hal_mock::eh1::spi::{Mock as SpiMock, Transaction as SpiStep};

    const ADDRESS: u8 = 0x3d;

    fn frame() -> Frame {
        Frame::from_fn(320, 240, |x, _| x as u8)
    }

    fn sight() -> Sight {
        Sight {
            p: Some((0.75, 0.5)),
            ..Sight::saying("cup", Tone::Match)
        }
    }

    /// What sets an SSD1306 of 128x64 up, from its data sheet: off, clock, 64 rows, no offset, first
    /// line, charge pump, row after row, pins, segments and rows from the far end, contrast,
    /// precharge, level, picture from memory, not inverted, no scrolling, on.
    fn setting_up(flipped: bool) -> Vec<I2cStep> {
        let (segments, rows) = if flipped { (0xa0, 0xc0) } else { (0xa1, 0xc8) };
        let commands: [&[u8]; 17] = [
            &[0xae],
            &[0xd5, 0x80],
            &[0xa8, 0x3f],
            &[0xd3, 0x00],
            &[0x40],
            &[0x8d, 0x14],
            &[0x20, 0x00],
            &[0xda, 0x12],
            &[segments],
            &[rows],
            &[0xd9, 0x21],
            &[0x81, 0x5f],
            &[0xdb, 0x40],
            &[0xa4],
            &[0xa6],
            &[0x2e],
            &[0xaf],
        ];
        commands.map(command).to_vec()
    }

    fn command(bytes: &[u8]) -> I2cStep {
        I2cStep::write(ADDRESS, [&[0x00], bytes].concat())
    }

    /// The picture of `sight`: eight bands of eight rows, a byte a column, its lowest bit on top.
    fn picture(sight: &Sight) -> Vec<I2cStep> {
        let mut canvas = Canvas::showing(
            &Frame::from_fn(128, 64, |_, _| 0),
            &Sight::saying("", Tone::Nothing),
        );
        let Ok(()) = overlay::draw_words(&mut canvas, sight);
        let lit = |x: usize, y: usize| canvas.pixels()[(y * 128 + x) * 3 + 1] > 127;
        let column = |x: usize, band: usize| {
            (0..8)
                .map(|bit| u8::from(lit(x, band * 8 + bit)) << bit)
                .sum()
        };
        let bytes: Vec<u8> = (0..8 * 128).map(|i| column(i % 128, i / 128)).collect();
        let data = bytes
            .chunks(16)
            .map(|chunk| I2cStep::write(ADDRESS, [&[0x40], chunk].concat()));
        [command(&[0x21, 0, 127]), command(&[0x22, 0, 7])]
            .into_iter()
            .chain(data)
            .collect()
    }

    fn monochrome(i2c: I2cMock, flipped: bool) -> Monochrome<I2cMock> {
        let target = "ssd1306:/dev/i2c-1,address=0x3d".parse().unwrap();
        Monochrome::on(&target, i2c, ADDRESS, flipped)
    }

    #[test]
    fn an_ssd1306_is_set_up_once_and_shows_what_was_drawn() {
        for flipped in [false, true] {
            let steps = [setting_up(flipped), picture(&sight()), picture(&sight())].concat();
            let mut i2c = I2cMock::new(&steps);
            let mut panel = monochrome(i2c.clone(), flipped);
            panel.show(&frame(), &sight()).unwrap();
            panel.show(&frame(), &sight()).unwrap();
            i2c.done();
        }
    }

    #[test]
    fn an_ssd1306_whose_plug_was_pulled_is_set_up_again() {
        let no_answer = embedded_hal::i2c::ErrorKind::Other;
        let steps = [
            setting_up(false),
            picture(&sight()),
            vec![command(&[0x21, 0, 127]).with_error(no_answer)],
            setting_up(false),
            picture(&sight()),
        ];
        let mut i2c = I2cMock::new(&steps.concat());
        let mut panel = monochrome(i2c.clone(), false);
        panel.show(&frame(), &sight()).unwrap();
        let error = panel.show(&frame(), &sight()).unwrap_err().to_string();
        assert!(error.contains("no answer at 0x3d"), "{error}");
        panel.show(&frame(), &sight()).unwrap();
        i2c.done();
    }

    /// The bytes that go over the bus, with the level of the line that tells data from commands.
    struct Wire {
        spi: Vec<SpiStep<u8>>,
        dc: Vec<PinStep>,
    }

    impl Wire {
        fn new() -> Self {
            Self {
                spi: Vec::new(),
                dc: Vec::new(),
            }
        }

        fn data(&mut self, bytes: &[u8]) {
            self.spi.push(SpiStep::transaction_start());
            self.spi.push(SpiStep::write_vec(bytes.to_vec()));
            self.spi.push(SpiStep::transaction_end());
        }

        fn command(&mut self, code: u8, parameters: &[u8]) {
            self.dc.push(PinStep::set(State::Low));
            self.data(&[code]);
            self.dc.push(PinStep::set(State::High));
            self.data(parameters);
        }

        /// Out of sleep, turned, inverted, 16 bits a pixel, normal, on.
        fn set_up(&mut self, turned: u8) {
            self.command(0x11, &[]);
            self.command(0x36, &[turned]);
            self.command(0x21, &[]);
            self.command(0x3a, &[0x55]);
            self.command(0x13, &[]);
            self.command(0x29, &[]);
        }

        /// Columns and rows from first to last, then the pixels.
        fn picture(&mut self, columns: [u8; 4], rows: [u8; 4], pixels: &[u8]) {
            self.command(0x2a, &columns);
            self.command(0x2b, &rows);
            self.command(0x2c, &[]);
            for chunk in pixels.chunks(SPI_CHUNK_BYTES) {
                self.data(chunk);
            }
        }
    }

    fn colour(
        wire: &Wire,
        rotation: Rotation,
        resets: usize,
    ) -> (Colour<SpiMock<u8>, PinMock, NoopDelay>, PinMock) {
        let once = [State::Low, State::High].map(PinStep::set);
        let reset = PinMock::new(&vec![once; resets].concat());
        let panel = Colour {
            target: "st7789:/dev/spidev0.0,dc=DC".parse().unwrap(),
            spi: SpiMock::new(&wire.spi),
            dc: PinMock::new(&wire.dc),
            reset: Some(reset.clone()),
            _light: None,
            delay: NoopDelay,
            size_px: (240, 200),
            rotation,
            ready: false,
        };
        (panel, reset)
    }

    #[test]
    fn an_st7789_is_set_up_once_and_shows_what_was_drawn_where_the_glass_is() {
        // The chip has 240x320, the glass the first 200 rows of it. Half a turn: rows 120 to 319 as
        // the chip counts them. A quarter: columns and rows change places, and the rows, which are
        // its columns, begin at the other end.
        for (rotation, turned, size, columns, rows) in [
            (
                Rotation::Deg0,
                0x00,
                (240, 200),
                [0, 0, 0, 239],
                [0, 0, 0, 199],
            ),
            (
                Rotation::Deg180,
                0xc0,
                (240, 200),
                [0, 0, 0, 239],
                [0, 120, 1, 63],
            ),
            (
                Rotation::Deg90,
                0x60,
                (200, 240),
                [0, 0, 0, 199],
                [0, 0, 0, 239],
            ),
            (
                Rotation::Deg270,
                0xa0,
                (200, 240),
                [0, 120, 1, 63],
                [0, 0, 0, 239],
            ),
        ] {
            // Red in the five highest bits, green in six, blue in five, the high byte first.
            let canvas = Canvas::fitted(&frame(), &sight(), size);
            let two = |rgb: &[u8]| {
                let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u16::from);
                let nearest = |level: u16, most: u16| (level * most + 127) / 255;
                (nearest(r, 31) << 11 | nearest(g, 63) << 5 | nearest(b, 31)).to_be_bytes()
            };
            let pixels: Vec<u8> = canvas.pixels().chunks_exact(3).flat_map(two).collect();
            let mut wire = Wire::new();
            wire.set_up(turned);
            wire.picture(columns, rows, &pixels);
            wire.picture(columns, rows, &pixels);
            let (mut panel, mut reset) = colour(&wire, rotation, 1);
            panel.show(&frame(), &sight()).unwrap();
            panel.show(&frame(), &sight()).unwrap();
            panel.spi.done();
            panel.dc.done();
            reset.done();
        }
    }

    #[test]
    fn an_st7789_whose_line_fails_is_an_error_and_is_set_up_again() {
        let mut wire = Wire::new();
        let broken = std::io::ErrorKind::BrokenPipe;
        let broken = embedded_hal_mock::eh1::MockError::Io(broken);
        wire.dc.push(PinStep::set(State::Low).with_error(broken));
        wire.set_up(0);
        wire.picture([0, 0, 0, 239], [0, 0, 0, 199], &[0; 240 * 200 * 2]);
        let (mut panel, mut reset) = colour(&wire, Rotation::Deg0, 2);
        let error = panel.show(&frame(), &sight()).unwrap_err().to_string();
        assert!(
            error.starts_with("st7789:/dev/spidev0.0: cannot be set up"),
            "{error}"
        );
        panel.end();
        panel.spi.done();
        panel.dc.done();
        reset.done();
    }
}
