//! The running program, from a camera on its standard input to the lines on its standard output, with
//! classes taught through its control socket. Knows the program's outside only.

#![allow(clippy::panic, clippy::unwrap_used)] // the helpers are a test's, too

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use onelook_edge::control::socket;
use onelook_edge::gallery::store::{Kind, Store};
use onelook_edge::picture::frame::Frame;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_onelook-edge");
/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is held before the camera.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Thing {
    Nothing,
    /// A bar with a foot.
    Ell,
    /// A triangle on a stick.
    Flag,
    /// Three bars across one another.
    Gate,
}

const THINGS: [Thing; 4] = [Thing::Nothing, Thing::Ell, Thing::Flag, Thing::Gate];

impl Thing {
    /// Whether there is ink at (x, y) of a drawing of 60 x 60.
    fn is_ink(self, x: i32, y: i32) -> bool {
        let within = |x0, y0, x1, y1| (x0..x1).contains(&x) && (y0..y1).contains(&y);
        match self {
            Thing::Nothing => false,
            Thing::Ell => within(5, 0, 12, 60) || within(5, 53, 45, 60),
            Thing::Flag => {
                let edge = (x - 10 - 2 * y).abs() <= 5 || (x - 10 - 2 * (46 - y)).abs() <= 5;
                within(5, 0, 12, 60) || (within(10, 0, 60, 46) && edge)
            }
            Thing::Gate => {
                within(10, 0, 17, 60)
                    || within(42, 0, 49, 60)
                    || within(0, 14, 60, 21)
                    || within(0, 38, 60, 45)
            }
        }
    }

    /// The thing before a trembling camera.
    fn seen(self, number: usize) -> Vec<u8> {
        let (dx, dy) = ((number % 5) as i32, (number % 3) as i32);
        let frame = Frame::from_fn(160, 120, |x, y| {
            let grain = ((x * 7 + y * 13 + number * 5) % 11) as u8;
            if self.is_ink(x as i32 - 45 - dx, y as i32 - 28 - dy) {
                30 + grain
            } else {
                200 + grain
            }
        });
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90)
            .encode(frame.pixels(), 160, 120, ExtendedColorType::L8)
            .unwrap();
        jpeg
    }
}

/// The program, a camera of 50 frames a second before it, and what it reports.
struct Running {
    child: Child,
    socket: PathBuf,
    shown: Arc<AtomicUsize>,
    unplug: Arc<AtomicBool>,
    camera: Option<JoinHandle<()>>,
    events: Receiver<Value>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let mut child = Command::new(PROGRAM)
            .args(["run", "--source", "mjpeg:-", "--gallery"])
            .arg(folder.path().join("gallery"))
            .arg("--control")
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let (shown, unplug) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (seen, ends) = (Arc::clone(&shown), Arc::clone(&unplug));
        let camera = thread::spawn(move || {
            for number in 0.. {
                let thing = THINGS[seen.load(Ordering::Relaxed)];
                if ends.load(Ordering::Relaxed) || stdin.write_all(&thing.seen(number)).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let (sender, events) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let running = Self {
            child,
            socket,
            shown,
            unplug,
            camera: Some(camera),
            events,
            _folder: folder,
        };
        running.until("live", |event| event["state"] == "live");
        running
    }

    fn show(&self, thing: Thing) {
        let number = THINGS.iter().position(|other| *other == thing).unwrap();
        self.shown.store(number, Ordering::Relaxed);
    }

    /// The next event that is `wanted`; those before it are passed over.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let mut passed = Vec::new();
        while let Ok(event) = self
            .events
            .recv_timeout(PATIENCE.saturating_sub(begun.elapsed()))
        {
            if wanted(&event) {
                return event;
            }
            passed.push(event.to_string());
        }
        panic!("waited for {what}, and there was\n{}", passed.join("\n"));
    }

    fn until_shown(&self, shown: &str, name: Option<&str>) -> Value {
        self.until(&format!("{shown} {name:?}"), |event| {
            event["event"] == "decision"
                && event["shown"] == shown
                && name.is_none_or(|name| event["name"] == name)
        })
    }

    fn tell(&self, line: &str) -> Value {
        let answer = socket::tell(&self.socket, line).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn told(&self, line: &str) -> Value {
        let answer = self.tell(line);
        assert_eq!(answer["ok"], true, "{line}: {answer}");
        answer
    }

    fn refused(&self, line: &str) -> String {
        let answer = self.tell(line);
        assert_eq!(answer["ok"], false, "{line}: {answer}");
        answer["reason"].as_str().unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.unplug.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(camera) = self.camera.take() {
            let _ = camera.join();
        }
    }
}

#[test]
fn a_class_is_taught_through_the_socket_and_recognised_and_what_leaves_is_nothing() {
    let running = Running::start();
    assert_eq!(running.refused("enroll cup"), "nothing_shown");
    running.show(Thing::Ell);
    let unknown = running.until_shown("unknown", None);
    assert_eq!(unknown["p"], Value::Null);
    let enrolled = running.told("enroll cup");
    assert_eq!(
        (&enrolled["enrolled"], &enrolled["templates"]),
        (&"cup".into(), &1.into())
    );
    let event = running.until("enrolled", |event| event["event"] == "enrolled");
    let decision = running.until_shown("match", Some("cup"));
    assert!(decision["p"].as_f64() >= decision["threshold"].as_f64());
    // From the command to the usable class, in frames: five good ones, five that decide, and those
    // that passed while the gallery was written.
    let frames = |event: &Value| event["frame"].as_u64().unwrap();
    assert!(
        frames(&decision) - frames(&event) < 50,
        "{event} {decision}"
    );
    running.show(Thing::Nothing);
    let nothing = running.until_shown("nothing", None);
    assert_eq!(
        (&nothing["name"], &nothing["box"]),
        (&Value::Null, &Value::Null)
    );
    running.show(Thing::Gate);
    running.until_shown("unknown", None);
    // Changed for another without leaving.
    running.show(Thing::Ell);
    running.until_shown("match", Some("cup"));
}

#[test]
fn a_class_is_named_by_itself_renamed_listed_forgotten_and_all_is_undone() {
    let running = Running::start();
    running.show(Thing::Ell);
    running.until_shown("unknown", None);
    assert_eq!(running.told("enroll")["enrolled"], "class-1");
    running.until_shown("match", Some("class-1"));
    running.told("rename class-1 \"my mug\"");
    running.until_shown("match", Some("my mug"));
    let status = running.told("status");
    assert_eq!(
        (&status["shown"], &status["name"]),
        (&"match".into(), &"my mug".into())
    );
    running.show(Thing::Gate);
    running.until_shown("unknown", None);
    assert_eq!(running.told("enroll")["enrolled"], "class-2");
    running.until_shown("match", Some("class-2"));
    let names = || {
        let listed = running.told("list");
        let classes = listed["classes"].as_array().unwrap();
        let name = |class: &Value| class["name"].as_str().unwrap().to_owned();
        classes.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["my mug", "class-2"]);
    running.told("forget class-2");
    running.until_shown("unknown", None);
    assert_eq!(running.refused("forget class-2"), "no_such_class");
    assert_eq!(running.told("undo")["undone"], "forget");
    running.until_shown("match", Some("class-2"));
    assert_eq!(running.told("undo")["undone"], "enroll");
    running.until_shown("unknown", None);
    assert_eq!(running.told("undo")["undone"], "rename");
    assert_eq!(names(), ["class-1"]);
    assert_eq!(running.told("undo")["undone"], "enroll");
    assert_eq!(names(), Vec::<String>::new());
    assert_eq!(running.refused("undo"), "nothing_to_undo");
    assert_eq!(running.refused("enroll a/b"), "bad_name");
}

#[test]
fn a_look_alike_is_told_before_it_is_kept_and_a_second_press_keeps_it() {
    let running = Running::start();
    running.show(Thing::Ell);
    running.until_shown("unknown", None);
    running.told("enroll cup");
    running.until_shown("match", Some("cup"));
    assert_eq!(running.refused("enroll"), "look_alike");
    let refused = running.until("refused", |event| event["event"] == "refused");
    assert_eq!(
        (&refused["like"], &refused["name"]),
        (&"cup".into(), &"class-2".into())
    );
    assert_eq!(running.told("list")["classes"].as_array().unwrap().len(), 1);
    // Let go of, and there is nothing more to be kept.
    assert_eq!(running.told("undo")["undone"], "enroll");
    assert_eq!(running.refused("confirm"), "nothing_to_confirm");
    // The second press of a button.
    assert_eq!(running.refused("enroll"), "look_alike");
    assert_eq!(running.told("enroll")["enrolled"], "class-2");
    assert_eq!(running.told("enroll! mug")["enrolled"], "mug");
    // More looks at a class are no look-alikes of it.
    running.told("undo");
    running.told("undo");
    assert_eq!(running.told("enroll cup")["templates"], 2);
}

#[test]
fn what_is_said_not_to_be_a_class_is_unknown_until_that_is_undone() {
    let running = Running::start();
    assert_eq!(running.refused("not"), "nothing_shown");
    running.show(Thing::Ell);
    running.until_shown("unknown", None);
    assert_eq!(running.refused("not cup"), "no_such_class");
    running.told("enroll cup");
    running.until_shown("match", Some("cup"));
    assert_eq!(running.told("not")["not"], "cup");
    running.until_shown("unknown", None);
    let listed = running.told("list");
    assert_eq!(listed["classes"][0]["negatives"], 1);
    running.told("undo");
    running.until_shown("match", Some("cup"));
}

#[test]
fn what_a_class_is_not_survives_export_and_import() {
    let running = Running::start();
    running.show(Thing::Ell);
    running.until_shown("unknown", None);
    running.told("enroll cup");
    running.until_shown("match", Some("cup"));
    running.told("not cup");
    let gallery = running.socket.with_file_name("gallery");
    let (folder, copy) = (
        gallery.with_file_name("folder"),
        gallery.with_file_name("copy"),
    );
    for (gallery, command) in [(&gallery, "export"), (&copy, "import")] {
        let done = Command::new(PROGRAM)
            .args(["gallery", command])
            .args([&folder, Path::new("--gallery"), gallery])
            .status()
            .unwrap();
        assert!(done.success(), "{command}");
    }
    let kinds = |gallery| -> Vec<(String, Kind)> {
        let templates = Store::at(gallery).contents().unwrap().unwrap().templates;
        templates.into_iter().map(|t| (t.name, t.kind)).collect()
    };
    let mut copied = kinds(copy);
    copied.sort_by_key(|(_, kind)| *kind == Kind::Negative);
    assert_eq!(copied, kinds(gallery));
    assert_eq!(copied.len(), 2);
}

#[test]
fn what_another_program_changes_in_the_gallery_holds_from_then_on() {
    let running = Running::start();
    running.show(Thing::Flag);
    running.until_shown("unknown", None);
    let picture = running.socket.with_file_name("flag.jpg");
    std::fs::write(&picture, Thing::Flag.seen(0)).unwrap();
    let change = |words: &[&str]| {
        let done = Command::new(PROGRAM)
            .args(words)
            .arg("--gallery")
            .arg(running.socket.with_file_name("gallery"))
            .status()
            .unwrap();
        assert!(done.success(), "{words:?}");
        running.until("reloaded", |event| event["change"] == "reloaded");
    };
    change(&["enroll", "flag", picture.to_str().unwrap()]);
    running.until_shown("match", Some("flag"));
    // What is changed here is no news.
    running.told("rename flag pennant");
    running.until_shown("match", Some("pennant"));
    change(&["gallery", "rename", "pennant", "flag"]);
    running.until_shown("match", Some("flag"));
    assert_eq!(running.refused("undo"), "nothing_to_undo");
    change(&["gallery", "remove", "flag"]);
    running.until_shown("unknown", None);
}

#[test]
fn told_to_end_it_ends_at_once_and_all_is_kept() {
    let mut running = Running::start();
    running.show(Thing::Flag);
    running.until_shown("unknown", None);
    running.told("enroll flag");
    let begun = Instant::now();
    let pid = running.child.id().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(kill.success());
    let ended = running.child.wait().unwrap();
    // A second is promised; the machine may have other things to do.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(ended.success(), "{ended}");
    running.until("the last report", |event| event["event"] == "health");
    assert!(!running.socket.exists());
    let gallery = running.socket.with_file_name("gallery");
    let listed = Command::new(PROGRAM)
        .args(["gallery", "list", "--gallery"])
        .arg(gallery)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("flag"));
}

#[test]
fn a_stream_that_ends_ends_the_program() {
    let mut running = Running::start();
    running.unplug.store(true, Ordering::Relaxed);
    running.until("ended", |event| event["state"] == "ended");
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn ten_thousand_frames_need_no_more_memory_than_one_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("often.toml");
    std::fs::write(&config, "[health]\nevery_secs = 0.1\n").unwrap();
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/clip.mjpeg");
    let mut child = Command::new(PROGRAM)
        .arg("run")
        .args([Path::new("--source"), &clip, Path::new("--loop")])
        .args([Path::new("--config"), &config, Path::new("--gallery")])
        .arg(folder.path().join("gallery"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut resident = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "health" {
            let number = |name: &str| event[name].as_u64().unwrap();
            resident.push((number("frames"), number("resident_bytes")));
            if number("frames") > 10_000 {
                break;
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    let before = resident
        .iter()
        .find(|(frames, _)| *frames >= 1_000)
        .unwrap();
    let after = resident.last().unwrap();
    println!("{before:?} {after:?}");
    assert!(after.1 < before.1 + (2 << 20), "{resident:?}");
}

#[test]
fn an_option_that_makes_no_sense_is_an_error_before_anything_starts() {
    let run = |options: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let gallery = folder.path().join("gallery");
        let ended = Command::new(PROGRAM)
            .args(["run", "--gallery"])
            .arg(gallery)
            .args(options)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(2), "{options:?}");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    for (options, named) in [
        (&["--source", "mjpeg:-", "--loop"][..], "--loop"),
        (&["--source", "no-such-clip.mjpeg"], "no-such-clip.mjpeg"),
        (
            &["--source", "mjpeg:-", "--roi", "1,2,3"],
            "x,y,width,height",
        ),
        (&["--source", "mjpeg:-", "--screen", "wall:"], "wall"),
        (&["--source", "mjpeg:-", "--config", "no.toml"], "no.toml"),
        (
            &["--source", "mjpeg:-", "--control", "/proc/no/s"],
            "/proc/no/s",
        ),
        (&["--loop"], "--source"),
    ] {
        let error = run(options);
        assert!(error.contains(named), "{options:?}: {error}");
    }
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/clip.mjpeg");
    let error = run(&["--source", clip, "--roi", "0,0,321,10"]);
    assert!(
        error.contains("ends beyond the frame of 320x240"),
        "{error}"
    );
}

/// `run` over the demonstration's clip, its standard error as given; what it reported, and how it ended.
fn run_clip(options: &[&str], errors: Stdio, environment: &[(&str, &str)]) -> (Vec<Value>, Child) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("run")
        .args(options)
        .arg("--gallery")
        .arg(folder.path().join("gallery"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .unwrap();
    // Where standard error is a pipe, nobody reads it, and one that is closed stays closed.
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let events = lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    (events, child)
}

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/clip.mjpeg");

#[test]
fn a_warning_that_nobody_can_read_does_not_end_the_loop() {
    // A pipe whose other end is gone: each write to it fails.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let nowhere = [("NOTIFY_SOCKET", "/no/such/socket")];
    let (events, mut child) = run_clip(&["--source", CLIP], writer.into(), &nowhere);
    assert!(child.wait().unwrap().success());
    let warned = events.iter().any(|event| {
        event["event"] == "warning"
            && event["about"] == "systemd"
            && event["words"].as_str().unwrap().contains("cannot be told")
    });
    assert!(warned, "{events:?}");
    let mut reports = events.iter().filter(|event| event["event"] == "health");
    assert_eq!(reports.next_back().unwrap()["frames"], 22);
}

#[test]
fn a_child_that_complains_without_end_does_not_hold_up_its_camera() {
    // Some 800 kB of complaints, into a pipe of 64 kB that is not read.
    let command = format!("exec:sh -c 'for i in $(seq 200); do cat {CLIP}; seq 1000 >&2; done'");
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["run", "--source", &command, "--gallery"])
        .arg(tempfile::tempdir().unwrap().path().join("gallery"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    let (sender, ended) = channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap();
            // It has written all of its pictures, and all of its complaints before.
            if event["state"] == "lost" {
                let _ = sender.send(event);
            }
        }
    });
    let lost = ended.recv_timeout(PATIENCE);
    let _ = child.kill();
    let _ = child.wait();
    let words = lost.unwrap()["words"].to_string();
    assert!(words.contains("ended") && words.contains("1000"), "{words}");
}

#[test]
fn a_system_that_gives_no_threads_is_an_error_and_no_panic() {
    // No machine has room for a stack of this size.
    let stack = [("RUST_MIN_STACK", "1152921504606846976")];
    let (events, child) = run_clip(&["--source", CLIP], Stdio::piped(), &stack);
    let ended = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{errors}");
    assert!(errors.contains("gives no thread"), "{errors}");
    assert!(
        events.is_empty() && !errors.contains("panicked"),
        "{errors}"
    );
}
