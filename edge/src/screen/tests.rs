use super::*;
use crate::device::sight::Tone;
use crate::gpio::Line;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

fn parsed(text: &str) -> Target {
    text.parse().unwrap()
}

#[test]
fn a_screen_is_named_by_its_kind_and_its_place() {
    assert_eq!(parsed("none"), Target::None);
    let device = PathBuf::from("/dev/fb1");
    assert_eq!(parsed("fb:/dev/fb1"), Target::Framebuffer(device));
    let folder = |folder: &str, keep| Target::Png {
        folder: PathBuf::from(folder),
        keep,
    };
    assert_eq!(parsed("png:a,b"), folder("a,b", 1000));
    assert_eq!(parsed("png:a,b,keep=7"), folder("a,b", 7));
    let here = Target::Mjpeg(SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(parsed("mjpeg:8080"), here);
    let everywhere = Target::Mjpeg(SocketAddr::from(([0, 0, 0, 0], 8080)));
    assert_eq!(parsed("mjpeg:0.0.0.0:8080"), everywhere);
}

#[test]
fn a_panel_is_named_with_its_wiring() {
    let panel = |address, flipped| PanelTarget::Ssd1306 {
        bus: PathBuf::from("/dev/i2c-1"),
        address,
        flipped,
    };
    assert_eq!(
        parsed("ssd1306:/dev/i2c-1"),
        Target::Panel(panel(0x3c, false))
    );
    let turned = "ssd1306:/dev/i2c-1,address=0x3d,rotate=180";
    assert_eq!(parsed(turned), Target::Panel(panel(0x3d, true)));
    let named = |name: &str| Line::Named(name.to_owned());
    let expected = PanelTarget::St7789 {
        bus: PathBuf::from("/dev/spidev0.1"),
        dc: named("GPIO25"),
        reset: Some(named("GPIO27")),
        light: Some(Line::At {
            chip: PathBuf::from("/dev/gpiochip0"),
            offset: 24,
        }),
        size_px: (240, 320),
        degrees: 90,
        mhz: 62,
    };
    let written = "st7789:/dev/spidev0.1,dc=GPIO25,reset=GPIO27,light=gpiochip0:24,\
                   size=240x320,rotate=90,mhz=62";
    assert_eq!(parsed(written), Target::Panel(expected));
}

#[test]
fn what_is_no_screen_is_refused_with_what_is_one() {
    for (text, reason) in [
        ("", "names no kind of screen"),
        ("hdmi:1", "\"hdmi\" is no kind of screen"),
        ("fb:", "names no device"),
        ("png:", "names no folder"),
        ("png:a,keep=0", "keep is a number of pictures"),
        ("mjpeg:", "names no port"),
        ("mjpeg:70000", "names no port"),
        ("ssd1306:", "names no bus"),
        ("ssd1306:/dev/i2c-1,address=0x78", "address is 0x08 to 0x77"),
        ("ssd1306:/dev/i2c-1,rotate=90", "\"rotate=90\" is not known"),
        (
            "ssd1306:/dev/i2c-1,upside-down",
            "\"upside-down\" is not known",
        ),
        ("st7789:/dev/spidev0.0", "dc=LINE is missing"),
        ("st7789:/dev/spidev0.0,dc=", "names no line"),
        (
            "st7789:/dev/spidev0.0,dc=a,size=241x240",
            "size is at most 240x320",
        ),
        ("st7789:/dev/spidev0.0,dc=a,mhz=0", "mhz is 1 to 125"),
    ] {
        let error = text.parse::<Target>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(error.contains("fb:/dev/fb0"), "{error}");
    }
}

#[cfg(not(feature = "panels"))]
#[test]
fn a_panel_that_was_not_built_says_how_to_build_it() {
    let error = Screen::open(&parsed("ssd1306:/dev/i2c-1")).err().unwrap();
    assert!(error.to_string().contains("--features panels"), "{error}");
}

#[test]
fn a_framebuffer_that_is_not_there_is_an_error_at_the_start() {
    let error = Screen::open(&parsed("fb:/dev/fb987")).err().unwrap();
    assert!(
        error.to_string().contains("is it a framebuffer?"),
        "{error}"
    );
}

/// A place that says what it is given, and answers when and what it is told to.
struct Bench {
    given: Sender<String>,
    answers: Receiver<Result<(), ScreenError>>,
}

impl Place for Bench {
    fn show(&mut self, _: &Frame, sight: &Sight) -> Result<(), ScreenError> {
        let _ = self.given.send(sight.label.clone());
        self.answers.recv().unwrap_or(Ok(()))
    }

    fn end(&mut self) {
        let _ = self.given.send("end".to_owned());
    }
}

#[test]
fn a_slow_screen_holds_nobody_up_shows_the_newest_picture_and_speaks_once() {
    let mut worker; // named first, dropped last: where the test fails, its thread waits for no answer
    let (given, was_given) = channel();
    let (answer, answers) = channel();
    let place = Box::new(Bench { given, answers });
    worker = Worker::start(&Target::None, place).unwrap();
    let frame = Arc::new(Frame::from_fn(1, 1, |_, _| 0));
    let mut show = |label: &str| worker.show(&frame, &Sight::saying(label, Tone::Nothing));
    let broken = || ScreenError::Unfit {
        screen: Target::None.to_string(),
        reason: "broken".to_owned(),
    };
    assert!(show("1").is_none());
    assert_eq!(was_given.recv().unwrap(), "1");
    // It has not answered yet, and we are here.
    for label in ["2", "3", "4"] {
        assert!(show(label).is_none());
    }
    answer.send(Err(broken())).unwrap();
    assert_eq!(was_given.recv().unwrap(), "4");
    let report = show("5");
    assert!(matches!(report, Some(Report::Failed(_))), "{report:?}");
    answer.send(Err(broken())).unwrap();
    assert_eq!(was_given.recv().unwrap(), "5");
    // Twice broken is said once.
    assert!(show("6").is_none());
    answer.send(Ok(())).unwrap();
    assert_eq!(was_given.recv().unwrap(), "6");
    let report = show("7");
    assert!(matches!(report, Some(Report::Recovered(_))), "{report:?}");
    answer.send(Ok(())).unwrap();
    assert_eq!(was_given.recv().unwrap(), "7");
    assert!(show("8").is_none());
    answer.send(Ok(())).unwrap();
    answer.send(Ok(())).unwrap();
    drop(worker);
    let rest: Vec<String> = was_given.iter().collect();
    assert_eq!(rest.last().unwrap(), "end");
}

#[test]
fn a_screen_whose_thread_ends_by_a_panic_is_reported_once() {
    struct Fault;
    impl Place for Fault {
        fn show(&mut self, _: &Frame, _: &Sight) -> Result<(), ScreenError> {
            panic!("a fault, as this test wants it");
        }
    }
    let mut worker = Worker::start(&Target::None, Box::new(Fault)).unwrap();
    let frame = Arc::new(Frame::from_fn(1, 1, |_, _| 0));
    let until = Instant::now() + Duration::from_secs(60);
    let report = loop {
        match worker.show(&frame, &Sight::saying("", Tone::Nothing)) {
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            report => break report,
        }
    };
    let Some(Report::Failed(error)) = report else {
        panic!("{report:?}");
    };
    assert!(error.to_string().contains("its thread ended"), "{error}");
    let again = worker.show(&frame, &Sight::saying("", Tone::Nothing));
    assert!(again.is_none(), "{again:?}");
}
