//! What a person does with the two programs, from training to a recognised picture, and what the
//! programs say when it goes wrong. Exit codes: 0 done or accepted, 1 rejected, 2 error.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use onelook::data::glyphs;
use onelook_edge::picture::frame::Frame;
use onelook_tests::{Answer, TINY, call, finished_run};
use serde_json::Value;

const DEVICE: &str = env!("CARGO_BIN_EXE_device");
const TRAINER: &str = env!("CARGO_BIN_EXE_trainer");

/// A folder with drawings of three characters by several hands, and a gallery yet to be.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, group, class) in [("a", 0, 0), ("b", 1, 3), ("c", 2, 5)] {
            // The third hand draws "a" so that one look does not do: the shipped model refuses one
            // genuine pair in eight at its default threshold, and this is one.
            for (number, drawer) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
                let drawing = glyphs::glyph(1, group, class, drawer);
                desk.save(&format!("{name}{number}.png"), &drawing);
            }
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn save(&self, name: &str, frame: &Frame) {
        fs::write(self.path(name), frame.to_png().unwrap()).unwrap();
    }

    /// Runs the device on this desk's gallery; arguments with a dot in them are its files.
    fn device(&self, args: &[&str]) -> Answer {
        let gallery = self.text("gallery.redb");
        let mut all = vec!["--gallery".to_owned(), gallery];
        all.extend(args.iter().map(|arg| match arg.contains('.') {
            true => self.text(arg),
            false => (*arg).to_owned(),
        }));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        call(DEVICE, &all)
    }

    fn done(&self, args: &[&str]) -> String {
        let answer = self.device(args);
        assert_eq!(answer.code, Some(0), "{args:?}: {}", answer.err);
        answer.out
    }

    /// Standard error of a call that must fail, on one line.
    fn refused(&self, args: &[&str]) -> String {
        let answer = self.device(args);
        assert_eq!(answer.code, Some(2), "{args:?}: {}", answer.out);
        assert!(!answer.err.contains("panicked"), "{}", answer.err);
        answer.err
    }

    fn listed(&self) -> Vec<(String, u64)> {
        let out = self.done(&["gallery", "list", "--json"]);
        let line = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap();
            let name = value["name"].as_str().unwrap().to_owned();
            (name, value["templates"].as_u64().unwrap())
        };
        out.lines().map(line).collect()
    }
}

#[test]
fn one_picture_makes_a_class_usable_and_a_stranger_is_unknown() {
    let desk = Desk::new();
    let out = desk.done(&["enroll", "alpha", "a1.png"]);
    assert!(out.contains("enrolled alpha from 1 picture"), "{out}");
    desk.done(&["enroll", "beta", "b1.png"]);

    let accepted = desk.device(&["verify", "alpha", "a2.png"]);
    assert_eq!(accepted.code, Some(0), "{}", accepted.out);
    let rejected = desk.device(&["verify", "alpha", "b2.png"]);
    assert_eq!(rejected.code, Some(1), "{}", rejected.out);

    let out = desk.done(&["identify", "--json", "a3.png", "b3.png", "c3.png"]);
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = |i: usize| (lines[i]["decision"].as_str(), lines[i]["name"].as_str());
    assert_eq!(said(0), (Some("match"), Some("alpha")));
    assert_eq!(said(1), (Some("match"), Some("beta")));
    assert_eq!(said(2), (Some("unknown"), None));
    for line in &lines {
        let p = line["p"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&p) && line["runner_up"].as_f64().unwrap() <= p);
        assert!(line["embed_ms"].as_f64().unwrap() > 0.0);
        assert!(line["image"].as_str().unwrap().ends_with("3.png"));
    }
}

#[test]
fn a_target_fpir_sets_the_threshold_for_the_gallery_as_it_is() {
    let desk = Desk::new();
    let json = |args: &[&str]| -> Value {
        let out = desk.done(&[args, &["--json", "--fpir", "5e-2"]].concat());
        serde_json::from_str(&out).unwrap()
    };
    let threshold = |line: &Value| {
        assert_eq!(line["fpir"], 0.05, "{line}");
        line["threshold"].as_f64().unwrap()
    };
    let mut before = 0.0;
    for (name, file) in [("alpha", "a1.png"), ("beta", "b1.png"), ("beta", "b2.png")] {
        let enrolled = threshold(&json(&["enroll", name, file]));
        assert!(enrolled > before, "{enrolled} after {before}");
        // The next command finds the same gallery, so the same threshold.
        let line = json(&["identify", "b3.png"]);
        assert_eq!(threshold(&line), enrolled);
        let named = line["p"].as_f64().unwrap() >= enrolled;
        assert_eq!(line["decision"] == "match", named, "{line}");
        before = enrolled;
    }
    let verified = json(&["verify", "beta", "b2.png"]);
    assert_eq!(threshold(&verified), before);
    desk.done(&["gallery", "remove", "beta"]);
    assert!(threshold(&json(&["identify", "a2.png"])) < before);

    let out = desk.done(&["identify", "a2.png", "--fpir", "5e-2"]);
    assert!(out.contains("for FPIR 0.05"), "{out}");
    // Without a target the operating point holds, whatever the gallery.
    let out = desk.done(&["identify", "a2.png", "--json"]);
    let line: Value = serde_json::from_str(&out).unwrap();
    assert!(
        line["fpir"].is_null() && line["threshold"].is_f64(),
        "{out}"
    );

    for (args, named) in [
        (
            vec!["--fpir", "1e-2", "--point", "eer"],
            "cannot be used with",
        ),
        (vec!["--fpir", "0"], "above 0 and below 1"),
        (vec!["--fpir", "one"], "not a number"),
        (vec!["--fpir", "1e-9"], "ask for an FPIR of at least"),
    ] {
        let answer = desk.device(&[&["identify", "a1.png"], &args[..]].concat());
        assert_eq!(answer.code, Some(2), "{args:?}: {}", answer.out);
        assert!(answer.err.contains(named), "{args:?}: {}", answer.err);
    }
    // What was asked for is enrolled all the same, with a word of warning.
    let warned = desk.device(&["enroll", "gamma", "c1.png", "--fpir", "1e-9"]);
    assert_eq!(warned.code, Some(0), "{}", warned.err);
    assert!(warned.err.contains("at least"), "{}", warned.err);
}

#[test]
fn ink_may_be_light_or_dark_and_the_picture_of_any_size_and_kind() {
    let desk = Desk::new();
    desk.done(&["enroll", "alpha", "a1.png"]);
    let drawing = Frame::load(&desk.path("a1.png")).unwrap();
    let at = |x: usize, y: usize| drawing.pixels()[y * drawing.width() + x];
    desk.save(
        "light.png",
        &Frame::from_fn(105, 105, |x, y| 255 - at(x, y)),
    );
    let large = Frame::from_fn(420, 500, |x, y| at(x / 4, (y / 4).min(104)));
    desk.save("large.png", &large);
    let pgm = [b"P5 105 105 255\n", drawing.pixels()].concat();
    fs::write(desk.path("plain.pgm"), pgm).unwrap();
    let rgb = drawing.to_rgb();
    let ppm = [b"P6 105 105 255\n", rgb.pixels()].concat();
    fs::write(desk.path("colour.ppm"), ppm).unwrap();
    for file in ["light.png", "large.png", "plain.pgm", "colour.ppm"] {
        let answer = desk.device(&["verify", "alpha", file]);
        assert_eq!(answer.code, Some(0), "{file}: {}{}", answer.out, answer.err);
    }
}

#[test]
fn a_look_alike_is_named_when_it_is_enrolled() {
    let desk = Desk::new();
    desk.done(&["enroll", "alpha", "a1.png"]);
    let other = desk.device(&["enroll", "beta", "b1.png"]);
    assert_eq!((other.code, other.err.as_str()), (Some(0), ""));
    let twin = desk.device(&["enroll", "twin", "a1.png"]);
    assert_eq!(twin.code, Some(0));
    assert!(
        twin.err.contains("\"twin\" looks like \"alpha\""),
        "{}",
        twin.err
    );
    // And two classes of one template are nobody's: a tie is broken against us.
    let out = desk.done(&["identify", "a1.png"]);
    assert!(out.contains("unknown"), "{out}");
}

#[test]
fn the_gallery_is_looked_after() {
    let desk = Desk::new();
    desk.done(&["enroll", "alpha", "a1.png", "a2.png"]);
    desk.done(&["enroll", "beta", "b1.png"]);
    desk.done(&["enroll", "beta", "b2.png"]);
    desk.done(&["gallery", "rename", "alpha", "first"]);
    assert_eq!(
        desk.listed(),
        [("first".to_owned(), 2), ("beta".to_owned(), 2)]
    );

    let copy = desk.text("copy.d");
    desk.done(&["gallery", "export", "copy.d"]);
    assert!(Path::new(&copy).join("first/0002.png").is_file());
    desk.refused(&["gallery", "export", "copy.d"]);
    desk.done(&["gallery", "remove", "first"]);
    desk.done(&["gallery", "remove", "beta"]);
    assert_eq!(desk.listed(), []);
    desk.done(&["gallery", "import", "copy.d"]);
    assert_eq!(
        desk.listed(),
        [("beta".to_owned(), 2), ("first".to_owned(), 2)]
    );
    let answer = desk.device(&["verify", "first", "a3.png"]);
    assert_eq!(answer.code, Some(0), "{}", answer.out);
}

#[test]
fn what_cannot_be_done_is_named_with_the_way_out_and_changes_nothing() {
    let desk = Desk::new();
    desk.done(&["enroll", "alpha", "a1.png"]);
    let gallery = fs::read(desk.path("gallery.redb")).unwrap();
    desk.save("blank.png", &Frame::from_fn(60, 60, |_, _| 250));
    let whole = fs::read(desk.path("b1.png")).unwrap();
    fs::write(desk.path("cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(desk.path("text.png"), "not a picture").unwrap();

    for (args, named) in [
        (
            vec!["enroll", "beta", "b1.png", "blank.png"],
            "blank.png: nothing is drawn",
        ),
        (
            vec!["enroll", "beta", "cut.png"],
            "cut.png: not a whole PNG",
        ),
        (
            vec!["enroll", "beta", "text.png"],
            "text.png: not a whole PNG",
        ),
        (vec!["enroll", "beta", "missing.png"], "missing.png"),
        (vec!["enroll", "be/ta", "b1.png"], "be/ta"),
        (vec!["verify", "gamma", "a1.png"], "no class \"gamma\""),
        (vec!["gallery", "remove", "gamma"], "see `gallery list`"),
        (vec!["gallery", "rename", "alpha", ""], "not a name"),
        (vec!["gallery", "import", "."], "class folders"),
        (vec!["identify", "missing.png"], "missing.png"),
        (vec!["identify", "a1.png", "--point", "fmr_9"], "it has eer"),
        (
            vec!["identify", "a1.png", "--model", "text.png"],
            "onelook export",
        ),
    ] {
        let error = desk.refused(&args);
        assert!(error.contains(named), "{args:?}: {error}");
    }
    assert!(fs::read(desk.path("gallery.redb")).unwrap() == gallery);

    // One bad picture among good ones: the good ones are answered.
    let answer = desk.device(&["identify", "a2.png", "cut.png", "a3.png"]);
    assert_eq!(answer.code, Some(2));
    assert_eq!(
        answer.out.matches("match alpha").count(),
        2,
        "{}",
        answer.out
    );
}

#[test]
fn a_damaged_gallery_is_refused_and_never_overwritten() {
    let desk = Desk::new();
    fs::write(desk.path("gallery.redb"), "not a gallery").unwrap();
    for args in [
        vec!["enroll", "alpha", "a1.png"],
        vec!["identify", "a1.png"],
        vec!["gallery", "list"],
        vec!["gallery", "reembed"],
    ] {
        let error = desk.refused(&args);
        assert!(error.contains("restore a copy"), "{error}");
    }
    assert_eq!(
        fs::read(desk.path("gallery.redb")).unwrap(),
        b"not a gallery"
    );
}

#[test]
fn a_model_of_ones_own_is_trained_exported_measured_and_takes_a_gallery_over() {
    let desk = Desk::new();
    desk.done(&["enroll", "alpha", "a1.png"]);
    desk.done(&["enroll", "beta", "b1.png"]);

    finished_run(TINY, &desk.path("run.d"));
    let (run, own) = (desk.text("run.d"), desk.text("own.onnx"));
    // The run was made from data that only the test has.
    let error = call(
        TRAINER,
        &["export", "--run", &run, "--data", "glyphs", "--out", &own],
    );
    assert_eq!(error.code, Some(2));
    assert!(
        error
            .err
            .contains("not the data that the run was trained on"),
        "{}",
        error.err
    );
    assert!(!desk.path("own.onnx").exists());

    // So here is one of the built-in glyphs.
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
    let (tiny, run) = (desk.text("tiny.toml"), desk.text("glyphs.d"));
    let args = [
        "train", "--preset", &tiny, "--out", &run, "--device", "cpu", "--epochs", "4",
    ];
    let trained = call(TRAINER, &args);
    assert_eq!(trained.code, Some(0), "{}", trained.err);
    assert!(trained.err.contains("epoch 4/4"), "{}", trained.err);
    let exported = call(TRAINER, &["export", "--run", &run, "--out", &own]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    assert!(exported.out.contains("lost"), "{}", exported.out);

    let json = |args: &[&str]| -> Value {
        let answer = call(TRAINER, args);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        serde_json::from_str(&answer.out).unwrap()
    };
    let trials = [
        "eval",
        "--model",
        &own,
        "--data",
        "glyphs",
        "--held-out",
        "--ways",
        "5",
    ];
    let trials = [
        &trials[..],
        &["--trials", "200", "--within-group", "--json"],
    ]
    .concat();
    let found = json(&trials);
    assert_eq!(found["trials"], 200);
    let (correct, accuracy) = (
        found["correct"].as_f64().unwrap(),
        found["accuracy"].as_f64().unwrap(),
    );
    assert_eq!(correct / 200.0, accuracy);
    // Chance is 0.2.
    assert!(accuracy > 0.3, "{found}");
    let (low, high) = (
        found["ci95"][0].as_f64().unwrap(),
        found["ci95"][1].as_f64().unwrap(),
    );
    assert!(low < accuracy && accuracy < high);
    let pairs = json(&[
        "eval", "--model", &own, "--data", "glyphs", "--pairs", "2000", "--json",
    ]);
    assert_eq!(pairs["trials"], 2000);
    assert!(pairs["eer"].as_f64().unwrap() < 0.5 && pairs["fnmr_at_fmr"]["1e-2"].is_f64());
    let open = json(&[
        "eval",
        "--model",
        &own,
        "--data",
        "glyphs",
        "--held-out",
        "--open-set",
        "--trials",
        "100",
        "--json",
    ]);
    for row in open["rows"].as_array().unwrap() {
        for rate in ["fpir", "fnir"] {
            let (found, ends) = (row[rate].as_f64().unwrap(), &row[format!("{rate}_ci95")]);
            let (low, high) = (ends[0].as_f64().unwrap(), ends[1].as_f64().unwrap());
            assert!(0.0 <= low && low <= high && high <= 1.0, "{row}");
            assert!((low..=high).contains(&found) || found == 0.0, "{row}");
        }
    }
    let card = json(&["inspect", &own, "--json"]);
    assert!(card["card"]["calibration"]["ece"].as_f64().unwrap() < 0.2);
    assert_eq!(card["card"]["provenance"]["recipe"], "tiny");

    // The gallery is of the shipped model: refused, then moved.
    let error = desk.refused(&["identify", "a2.png", "--model", "own.onnx"]);
    assert!(error.contains("gallery reembed"), "{error}");
    desk.done(&["gallery", "reembed", "--model", "own.onnx"]);
    let out = desk.done(&["identify", "a1.png", "b1.png", "--model", "own.onnx"]);
    assert!(
        out.contains("match alpha") && out.contains("match beta"),
        "{out}"
    );
    desk.refused(&["identify", "a2.png"]);
}

#[test]
fn help_and_completions_are_there() {
    for program in [DEVICE, TRAINER] {
        for args in [&["--help"][..], &["completions", "bash"]] {
            let answer = call(program, args);
            assert_eq!(answer.code, Some(0));
            assert!(answer.out.len() > 500);
        }
    }
}
