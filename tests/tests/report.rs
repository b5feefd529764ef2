//! The report of a model, from training to a page that stands by itself.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use onelook::data::{Class, Dataset, Group};
use onelook::report::{measure, page};
use onelook_edge::model::Precision;
use onelook_tests::{call, small_data, tiny_model};
use serde_json::Value;

const TRAINER: &str = env!("CARGO_BIN_EXE_trainer");

/// A page that loads nothing, runs nothing and closes what it opens.
fn check_page(page: &str) {
    // Base64 spells anything.
    let mut parts = page.split(";base64,");
    let words: String = parts
        .next()
        .into_iter()
        .chain(parts.filter_map(|part| Some(part.split_once('"')?.1)))
        .collect();
    for trace in [
        "http://", "https://", "<script", "<link", "@import", "url(", "NaN",
    ] {
        assert!(!words.contains(trace), "{trace}");
    }
    for tag in [
        "section", "figure", "svg", "table", "tr", "details", "ul", "dl", "div", "p", "li",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        let closed = page.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "{tag}");
    }
    let sources = page.matches("src=").count();
    assert_eq!(
        sources,
        page.matches("src=\"data:image/png;base64,").count()
    );
}

#[test]
fn the_page_and_the_json_of_a_tiny_model_on_glyphs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (run, model, html) = (path("run"), path("tiny.onnx"), path("page.html"));
    let preset = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tiny.toml");
    let done = |args: &[&str]| {
        let answer = call(TRAINER, args);
        assert_eq!(answer.code, Some(0), "{args:?}: {}", answer.err);
        answer.out
    };
    done(&[
        "train", "--preset", preset, "--epochs", "2", "--device", "cpu", "--out", &run,
    ]);
    done(&["export", "--run", &run, "--out", &model]);
    let report = |more: &[&str]| -> Value {
        let mut args = vec![
            "report", "--model", &model, "--data", "glyphs", "--out", &html, "--json",
        ];
        args.extend(more);
        serde_json::from_str(&done(&args)).unwrap()
    };
    let found = report(&["--run", &run]);
    let page = fs::read_to_string(&html).unwrap();
    check_page(&page);
    assert!(page.len() < 1_000_000);

    // The same trials as `eval` counts them.
    let eval = |more: &[&str]| -> Value {
        let mut args = vec![
            "eval",
            "--model",
            &model,
            "--data",
            "glyphs",
            "--held-out",
            "--json",
        ];
        args.extend(more);
        serde_json::from_str(&done(&args)).unwrap()
    };
    let ways = found["identification"]["ways"].as_array().unwrap();
    assert!(!ways.is_empty());
    for accuracy in ways {
        let ways = accuracy["ways"].to_string();
        let within: &[&str] = if accuracy["within_group"] == true {
            &["--within-group"]
        } else {
            &[]
        };
        let other = eval(&[&["--ways", &ways], within].concat());
        assert_eq!(accuracy["right"]["count"], other["correct"]);
    }
    assert_eq!(found["training"]["epochs"].as_array().unwrap().len(), 2);
    assert!(found["quantisation"]["f32_bytes"].as_u64() > found["model"]["bytes"].as_u64());
    // 3 x 3 x 8 + 8 and 3 x 3 x 8 x 16 + 16, and a head of 4 x 4 x 16 and b.
    assert_eq!(found["model"]["parameters"], 80 + 1168 + 257);
    // 16 x 16 places of 72 weights, 8 x 8 of 1152.
    assert_eq!(found["model"]["multiply_adds"], 256 * 72 + 64 * 1152);

    // Again and the same, but for the clock.
    let timeless = |mut value: Value| {
        value["cost"] = Value::Null;
        value["quantisation"]["f32_embed"] = Value::Null;
        value
    };
    assert_eq!(timeless(report(&["--run", &run])), timeless(found.clone()));

    // Without the run the rest is told all the same.
    let without = report(&[]);
    assert_eq!(without["verification"], found["verification"]);
    let sentence = without["training"]["not_measured"].as_str().unwrap();
    assert!(sentence.contains("--run"), "{sentence}");
    assert!(fs::read_to_string(&html).unwrap().contains(sentence));
}

#[test]
fn data_of_every_poor_kind_makes_a_page_and_its_words_stay_words() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_model(folder.path(), Precision::F32);
    let data = small_data();
    let evil = "<script>alert('1')</script>\"&";
    let renamed = |classes: &[Class], names: &str| Dataset {
        name: names.to_owned(),
        groups: vec![Group {
            name: names.to_owned(),
            classes: classes.to_vec(),
        }],
        skipped: Vec::new(),
    };
    let single = |class: &Class| Class {
        name: format!("{evil}{}", class.name),
        pictures: class.pictures[..1].to_vec(),
    };
    let classes = &data.groups[0].classes;
    let singles: Vec<Class> = classes.iter().map(single).collect();
    let mixed = [&singles[..3], &classes[3..5]].concat();
    let nothing = Dataset {
        name: "nothing".to_owned(),
        groups: Vec::new(),
        skipped: Vec::new(),
    };
    let cases = [
        (data.clone(), true),
        (renamed(classes, evil), true),
        (renamed(&mixed, evil), true),
        (renamed(&classes[..1], evil), false),
        (renamed(&singles, evil), false),
        (nothing, false),
    ];
    for (data, is_measured) in cases {
        let name = data.name.clone();
        let report = measure(&model, data, None, 1).unwrap();
        let page = page::html(&report);
        check_page(&page);
        assert!(page.contains("tiny &lt;b&gt;") && page.contains("none &amp; nothing"));
        let figures = serde_json::to_value(&report).unwrap();
        assert_eq!(
            figures["verification"]["not_measured"].is_null(),
            is_measured,
            "{name}"
        );
        assert!(page.contains("class=\"missing\""));
    }
}

#[test]
fn a_run_that_is_not_there_is_an_error_and_makes_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_model(folder.path(), Precision::F32);
    let (out, run) = (
        folder.path().join("page.html"),
        folder.path().join("no-such-run"),
    );
    let answer = call(
        TRAINER,
        &[
            "report",
            "--model",
            model.to_str().unwrap(),
            "--data",
            "glyphs",
            "--run",
            run.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ],
    );
    assert_eq!(answer.code, Some(2), "{}", answer.out);
    assert!(
        answer.err.contains("no-such-run") && answer.err.contains("no such folder"),
        "{}",
        answer.err
    );
    assert!(!out.exists());
}

#[test]
fn hundreds_of_held_out_classes_are_folded_away() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_model(folder.path(), Precision::F32);
    // A hundred groups of one class: two of its hands each.
    let class = small_data().groups[0].classes[0].clone();
    let group = |number: usize| Group {
        name: format!("group{number:03}"),
        classes: vec![Class {
            name: "only".to_owned(),
            pictures: class.pictures[..2].to_vec(),
        }],
    };
    let data = |groups: usize| Dataset {
        name: "many".to_owned(),
        groups: (0..groups).map(group).collect(),
        skipped: Vec::new(),
    };
    let page = |groups: usize| page::html(&measure(&model, data(groups), None, 1).unwrap());
    assert!(!page(40).contains("<summary>40 groups</summary>"));
    let many = page(100);
    check_page(&many);
    let fold = many.split_once("<summary>100 groups</summary>").unwrap().1;
    let (list, _) = fold.split_once("</details>").unwrap();
    assert!(list.contains("group000 (1 classes, 2 pictures)") && list.contains("group099"));
}

#[test]
fn a_report_that_cannot_be_made_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_model(folder.path(), Precision::F32);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let out = folder.path().join("page.html");
    // The tiny model holds out one of glyphs-01 to 03: a folder of other classes has none of them.
    let other = folder.path().join("other");
    for class in ["cup", "key"] {
        fs::create_dir_all(other.join(class)).unwrap();
        let picture = &small_data().groups[0].classes[0].pictures[0];
        fs::write(
            other.join(class).join("1.png"),
            picture.frame.to_png().unwrap(),
        )
        .unwrap();
    }
    let (model, other, out_text) = (text(&model), text(&other), text(&out));
    let answer = call(
        TRAINER,
        &[
            "report", "--model", &model, "--data", &other, "--out", &out_text,
        ],
    );
    assert_eq!(answer.code, Some(2));
    assert!(answer.err.contains("held-out groups"), "{}", answer.err);
    assert!(!out.exists());
}
