use super::*;
use crate::screen::Target;
use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::digital::{Mock as PinMock, State, Transaction as PinStep};
use embedded_hal_mock::eh1::i2c::{Mock as I2cMock, Transaction as I2cStep};
use embedded_hal_mock::eh1::spi::{Mock as SpiMock, Transaction as SpiStep};

const ADDRESS: u8 = 0x3d;

fn parsed(text: &str) -> PanelTarget {
    match text.parse::<Target>().unwrap() {
        Target::Panel(panel) => panel,
        other => panic!("{other} is no panel"),
    }
}

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
    let target = parsed("ssd1306:/dev/i2c-1,address=0x3d");
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
        target: parsed("st7789:/dev/spidev0.0,dc=DC"),
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
