//! A board that loses its program at any moment: a child enrolls and is killed, round after round,
//! and every class that it was told is enrolled is there, whole. Knows the store's public side only.

#![allow(clippy::panic, clippy::unwrap_used)] // the helpers are a test's, too

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onelook_edge::gallery::store::{Kind, Store, Template};

const CHILD: &str = "ONELOOK_KILL_CHILD";
const ACKNOWLEDGED: &str = "acknowledged ";
const DIMS: usize = 64;
const TEMPLATES: usize = 2;
const WANTED_KILLS: usize = 100;
const WANTED_CLASSES: usize = 200;

const MODEL: &str = "0123456789abcdef";

fn class(number: usize) -> String {
    format!("class-{number:06}")
}

fn templates(number: usize) -> Vec<Template> {
    let template = |look: usize| Template {
        name: class(number),
        embedding: (0..DIMS)
            .map(|i| ((number * 31 + look * 17 + i * 7) % 1009) as f32 / 1009.0 - 0.5)
            .collect(),
        crop_png: (0..300 + number % 200)
            .map(|i| (i * (look + 3) + number) as u8)
            .collect(),
        kind: Kind::Genuine,
    };
    (0..TEMPLATES).map(template).collect()
}

/// Not a test of its own: what the test below runs and kills.
#[test]
fn child_enrolls_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let store = Store::at(path);
    let first = store.gallery(MODEL, DIMS).unwrap().len();
    for number in first.. {
        store.enroll(MODEL, &templates(number)).unwrap();
        let mut out = std::io::stdout().lock();
        // One write, and on a line of its own whatever the test runner printed before.
        out.write_all(format!("\n{ACKNOWLEDGED}{number}\n").as_bytes())
            .unwrap();
        out.flush().unwrap();
    }
}

fn start_child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_enrolls_until_it_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn no_acknowledged_class_is_lost_or_halved_by_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let begun = Instant::now();
    let mut random = 20u64;
    let mut acknowledged: Vec<usize> = Vec::new();
    let mut kills = 0;
    let mut reach_us = 80_000;
    while kills < WANTED_KILLS || acknowledged.len() < WANTED_CLASSES {
        let mut child = start_child(&path);
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || -> Vec<usize> {
            let lines = out.lines().map_while(Result::ok);
            lines
                .filter_map(|line| line.strip_prefix(ACKNOWLEDGED)?.parse().ok())
                .collect()
        });
        // From before the gallery is open to after some dozen enrollments.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros((random >> 33) % reach_us));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.code().is_none(), "the child ended by itself: {ended}");
        kills += 1;
        let now = reader.join().unwrap();
        if now.is_empty() {
            reach_us += 10_000; // a slow machine: the next ones get further
        }
        acknowledged.extend(now);
        if kills % 10 == 0 && !acknowledged.is_empty() {
            check(&path, &acknowledged);
        }
    }
    check(&path, &acknowledged);
    println!(
        "{kills} kills, {} classes acknowledged, {:?}",
        acknowledged.len(),
        begun.elapsed()
    );
}

/// Every acknowledged class is there, and every class that is there is whole.
fn check(path: &Path, acknowledged: &[usize]) {
    let found = Store::at(path).contents().unwrap();
    let there = found.map_or(Vec::new(), |contents| contents.templates);
    let (classes, []) = there.as_chunks::<TEMPLATES>() else {
        panic!("half a class: {} templates", there.len());
    };
    for (number, class) in classes.iter().enumerate() {
        assert_eq!(class[..], templates(number));
    }
    for &number in acknowledged {
        assert!(number < classes.len(), "{} is lost", class(number));
    }
}
