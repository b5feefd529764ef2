//! The house rules that no compiler checks, read from the sources: which module may name which, and which crate.
//! The rules are the tables on top; a broken one fails with the file, the line, and the rule's reason.
//!
//! A module is named as `edge::vision::locate`: crate, room, file. A rule about a module holds for all that is in it.
//! Code that only tests build (`#[cfg(test)]`, and the files it declares) is exempt, but for `files_open_with_a_contract`.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that only some modules may name.
const CRATES: &[Crates] = &[
    Crates {
        names: &["onelook"],
        only_in: &["host"],
        but_not_in: &[],
        why: "nothing points back: the trainer uses the device",
    },
    Crates {
        names: &[
            "tract",
            "tract_onnx",
            "tract_core",
            "tract_hir",
            "tract_linalg",
        ],
        only_in: &["edge::model"],
        but_not_in: &[],
        why: "the runtime can be replaced in one room",
    },
    Crates {
        names: &["nokhwa", "v4l"],
        only_in: &["edge::camera"],
        but_not_in: &[],
        why: "a camera's crate can be replaced in one room",
    },
    Crates {
        names: &["redb"],
        only_in: &["edge::gallery::store"],
        but_not_in: &[],
        why: "the gallery's file has one reader and one writer",
    },
    Crates {
        names: &["burn"],
        only_in: &["host::network", "host::train", "host::export"],
        but_not_in: &["host::train::sampler"],
        why: "data and measurements do not depend on what trains: eval runs the device's own model",
    },
    Crates {
        names: &["clap"],
        only_in: &["edge::cli", "host"],
        but_not_in: &[],
        why: "the device has other doors than the command line",
    },
    Crates {
        names: &[
            "gpiocdev",
            "rustix",
            "sd_notify",
            "ctrlc",
            "shell_words",
            "embedded_graphics",
            "embedded_hal",
            "linux_embedded_hal",
            "mipidsi",
            "ssd1306",
        ],
        only_in: &[
            "edge::camera",
            "edge::cli",
            "edge::control",
            "edge::event::systemd",
            "edge::gpio",
            "edge::run",
            "edge::screen",
            "host",
        ],
        but_not_in: &[],
        why: "they are there with the feature `device` alone; the library builds without it",
    },
    Crates {
        names: &["tokio", "axum", "rumqttc", "futures"],
        only_in: &["edge::serve", "edge::event::mqtt"],
        but_not_in: &[],
        why: "async stays where the network is",
    },
];

/// Rooms that may use these others of their crate, and none else.
const MAY_USE: &[(&str, &[&str])] = &[
    ("edge::kernel", &[]),
    ("edge::whole", &[]),
    ("edge::picture", &["kernel"]),
    ("edge::vision", &["picture", "kernel"]),
    ("edge::gallery", &["kernel", "whole"]),
    (
        "edge::model",
        &["picture", "vision", "kernel", "gallery", "whole"],
    ),
    ("edge::camera", &["picture", "kernel", "whole"]),
    ("host::random", &[]),
    ("host::data", &["random", "config"]),
    // A recipe holds the shape of its network.
    ("host::config", &["random", "network"]),
    ("edge::clip", &[]),
];

/// Rooms that must not use these others of their crate.
const MUST_NOT_USE: &[(&str, &[&str])] = &[
    // The device is asked by every door, so it knows none.
    (
        "edge::device",
        &["camera", "control", "screen", "serve", "cli", "run"],
    ),
    (
        "edge::event",
        &["camera", "control", "screen", "serve", "cli", "run"],
    ),
    (
        "edge::control",
        &["camera", "screen", "serve", "cli", "run"],
    ),
    (
        "edge::screen",
        &["camera", "control", "serve", "cli", "run"],
    ),
    ("edge::run", &["cli"]),
    // Measuring opens a finished file as the device does.
    ("host::measure", &["network", "export", "report", "cli"]),
    (
        "host::augment",
        &["network", "train", "export", "measure", "report", "cli"],
    ),
    (
        "host::network",
        &["data", "train", "export", "measure", "report", "cli"],
    ),
    ("host::train", &["export", "report", "cli"]),
    ("host::export", &["report", "cli"]),
];

/// Where `unsafe` may stand: kernels, each with a scalar twin that it is tested against.
const UNSAFE: &[&str] = &["edge::kernel", "host::network::cpu::product"];

/// Where `async` may stand.
const ASYNC: &[&str] = &["edge::serve", "edge::event::mqtt"];

/// Lines of a file before its tests.
const MAX_LINES: usize = 700;

/// Where files lie, under the repository, and what their crate is called here.
const ROOTS: &[(&str, &str)] = &[("edge/src", "edge"), ("host/src", "host")];

#[test]
fn a_crate_is_named_where_the_table_allows_it_and_nowhere_else() {
    let mut breaches = Vec::new();
    for file in sources() {
        for path in &file.paths {
            let name = path.segments[0].as_str();
            for rule in CRATES.iter().filter(|rule| rule.names.contains(&name)) {
                let allowed = rule.only_in.iter().any(|room| is_in(&file.module, room));
                if !allowed || rule.but_not_in.iter().any(|room| is_in(&file.module, room)) {
                    breaches.push(file.at(path.line, format!("{path}: {}", rule.why)));
                }
            }
        }
    }
    none(breaches);
}

#[test]
fn no_message_holds_a_run_of_spaces() {
    // Tables for people have columns.
    const TABLES: [&str; 3] = ["edge/src/cli/demo.rs", "edge/src/cli/bench", "host/src/cli"];
    let gap = |text: &str| {
        let at = text.find("    ").filter(|at| *at > 0)?;
        let (before, after) = (
            text[..at].chars().last()?,
            text[at..].trim_start().chars().next()?,
        );
        (!before.is_whitespace() && after.is_alphanumeric()).then_some(())
    };
    let mut breaches = Vec::new();
    for (path, _) in rust_files() {
        let shown = shown(&path);
        if TABLES.iter().any(|table| shown.starts_with(table)) || shown.contains("tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in product.lines().enumerate() {
            let code = line.trim_start();
            // What stands between two quotation marks of a line.
            let quoted = code.split('"').skip(1).step_by(2);
            if !code.starts_with("//") && quoted.into_iter().any(|text| gap(text).is_some()) {
                breaches.push(format!("{shown}:{}: {code}", number + 1));
            }
        }
    }
    none(breaches);
}

#[test]
fn no_room_hands_out_the_types_of_tract() {
    let mut breaches = Vec::new();
    for file in sources() {
        let handed_out = file.paths.iter().filter(|path| path.is_public_use);
        for path in handed_out.filter(|path| path.segments[0].starts_with("tract")) {
            breaches.push(file.at(path.line, format!("pub use {path}")));
        }
    }
    none(breaches);
}

#[test]
fn a_room_uses_the_rooms_below_it_alone() {
    let mut breaches = Vec::new();
    for file in sources() {
        for path in &file.paths {
            let Some((used, from)) = path.room().zip(file.room()) else {
                continue;
            };
            let of = |rooms: &[&str]| rooms.contains(&used);
            for (_, allowed) in MAY_USE.iter().filter(|(room, _)| is_in(&file.module, room)) {
                if used != from && !of(allowed) {
                    let rule = format!("{path}: {from} may use {allowed:?} alone");
                    breaches.push(file.at(path.line, rule));
                }
            }
            for (_, refused) in MUST_NOT_USE
                .iter()
                .filter(|(room, _)| is_in(&file.module, room))
            {
                if of(refused) {
                    let rule = format!("{path}: {from} must not use {refused:?}");
                    breaches.push(file.at(path.line, rule));
                }
            }
        }
    }
    none(breaches);
}

#[test]
fn rooms_do_not_use_one_another_in_a_circle() {
    let mut uses: BTreeMap<(String, String), BTreeMap<String, String>> = BTreeMap::new();
    for file in sources() {
        for path in &file.paths {
            if let Some((used, from)) = path.room().zip(file.room())
                && used != from
            {
                let of = uses.entry((file.krate().to_owned(), from.to_owned()));
                let first = of.or_default().entry(used.to_owned());
                first.or_insert_with(|| file.at(path.line, path.to_string()));
            }
        }
    }
    // Rooms that use no room that is left are taken away, until none is or all that are left stand in circles or
    // above one.
    let mut left: BTreeSet<(String, String)> = uses.keys().cloned().collect();
    loop {
        let stays = |room: &(String, String)| {
            let mut used = uses[room].keys();
            used.any(|used| left.contains(&(room.0.clone(), used.clone())))
        };
        let next: BTreeSet<_> = left.iter().filter(|room| stays(room)).cloned().collect();
        if next == left {
            break;
        }
        left = next;
    }
    // And those that stand above one: no room that is left uses them.
    loop {
        let is_used = |room: &(String, String)| {
            let mut others = left.iter().filter(|other| other.0 == room.0);
            others.any(|other| uses[other].contains_key(&room.1))
        };
        let next: BTreeSet<_> = left.iter().filter(|room| is_used(room)).cloned().collect();
        if next == left {
            break;
        }
        left = next;
    }
    let mut breaches = Vec::new();
    for room in &left {
        for (used, place) in &uses[room] {
            if left.contains(&(room.0.clone(), used.clone())) {
                let (krate, from) = room;
                breaches.push(format!("{place} ({krate}: {from} uses {used})"));
            }
        }
    }
    none(breaches);
}

#[test]
fn unsafe_and_async_stand_where_the_table_allows_them() {
    let mut breaches = Vec::new();
    for file in sources() {
        for (line, word) in &file.keywords {
            let allowed = if word == "unsafe" { UNSAFE } else { ASYNC };
            if !allowed.iter().any(|room| is_in(&file.module, room)) {
                breaches.push(file.at(*line, format!("{word} outside {allowed:?}")));
            }
        }
    }
    none(breaches);
}

#[test]
fn no_file_is_longer_before_its_tests_than_a_reader_takes() {
    let long = sources()
        .into_iter()
        .filter(|file| {
            !file
                .path
                .components()
                .any(|part| part.as_os_str() == "tests")
        })
        .filter(|file| file.product_lines > MAX_LINES);
    none(long.map(|file| {
        let lines = file.product_lines;
        file.at(
            MAX_LINES,
            format!("{lines} lines before its tests, more than {MAX_LINES}"),
        )
    }));
}

#[test]
fn files_open_with_a_contract() {
    let mut breaches = Vec::new();
    for (path, _) in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let is_of_tests = path.file_name().is_some_and(|name| name == "tests.rs")
            || path.components().any(|part| part.as_os_str() == "tests");
        if !is_of_tests && !text.starts_with("//!") {
            breaches.push(format!("{}:1: opens without `//!`", shown(&path)));
        }
    }
    none(breaches);
}

/// A rule about crates.
struct Crates {
    names: &'static [&'static str],
    /// Modules that may name them.
    only_in: &'static [&'static str],
    /// Modules inside those that may not.
    but_not_in: &'static [&'static str],
    why: &'static str,
}

fn none(breaches: impl IntoIterator<Item = String>) {
    let breaches: Vec<String> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

fn is_in(module: &str, outer: &str) -> bool {
    let rest = module.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What the rules ask of a file, its tests left out.
struct Source {
    path: PathBuf,
    /// Such as `edge::vision::locate`.
    module: String,
    paths: Vec<Named>,
    /// `unsafe` and `async`, with their lines.
    keywords: Vec<(usize, String)>,
    product_lines: usize,
    /// Modules of it that only tests build, in files of their own.
    test_modules: Vec<String>,
}

impl Source {
    fn at(&self, line: usize, what: impl fmt::Display) -> String {
        format!("{}:{line}: {what}", shown(&self.path))
    }

    fn krate(&self) -> &str {
        self.module.split("::").next().unwrap()
    }

    /// None of `lib.rs` and `main.rs`, which name every room.
    fn room(&self) -> Option<&str> {
        self.module.split("::").nth(1)
    }
}

/// A path such as `crate::vision::locate::Mark`, and where it stands.
#[derive(Debug, PartialEq)]
struct Named {
    line: usize,
    /// The first one is a crate, or `crate`; never `self` or `super`.
    segments: Vec<String>,
    is_public_use: bool,
}

impl Named {
    /// The room of this crate that it leads to.
    fn room(&self) -> Option<&str> {
        let is_ours = self.segments[0] == "crate";
        let room = self.segments.get(1).filter(|_| is_ours)?;
        // A macro or an item of lib.rs is no room; rooms are in lower case.
        Some(room.as_str()).filter(|room| room.starts_with(|c: char| c.is_lowercase()))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.segments.join("::"))
    }
}

fn shown(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Every file of the two crates with its module, sorted.
fn rust_files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for (folder, krate) in ROOTS {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .join(folder);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let inner = path.strip_prefix(&root).unwrap().with_extension("");
                    let parts = inner.iter().map(|part| part.to_str().unwrap());
                    let parts = parts.filter(|part| !["mod", "lib", "main"].contains(part));
                    let module: Vec<&str> = [*krate].into_iter().chain(parts).collect();
                    found.push((path.clone(), module.join("::")));
                }
            }
        }
    }
    found.sort();
    assert!(
        found.len() > 50,
        "the sources are not where they should be: {found:?}"
    );
    found
}

/// Every file that is not of tests alone.
fn sources() -> Vec<Source> {
    let read = |(path, module): (PathBuf, String)| {
        let text = fs::read_to_string(&path).unwrap();
        source(path, module, &text)
    };
    let all: Vec<Source> = rust_files().into_iter().map(read).collect();
    let tests: Vec<String> = all
        .iter()
        .flat_map(|file| file.test_modules.clone())
        .collect();
    let of_tests = |file: &Source| tests.iter().any(|module| is_in(&file.module, module));
    all.into_iter().filter(|file| !of_tests(file)).collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    line: usize,
    /// A word, `::`, or one other character; what is quoted is `"`.
    text: String,
}

/// Without comments, and without what strings say.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut i, mut line, mut found) = (0, 1, Vec::new());
    while i < chars.len() {
        let from = i;
        let mut word = String::new();
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                word.push('"');
            }
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += 2;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                word.push('"');
            }
            c if is_word(c) => {
                while is_word(at(i)) {
                    i += 1;
                }
                word = chars[from..i].iter().collect();
                let hashes = (i..).take_while(|i| at(*i) == '#').count();
                if ["r", "br", "cr"].contains(&word.as_str()) && at(i + hashes) == '"' {
                    let end: String = ['"'].into_iter().chain((0..hashes).map(|_| '#')).collect();
                    let rest: String = chars[i + hashes + 1..].iter().collect();
                    let len = rest.find(&end).map_or(rest.len(), |len| len + end.len());
                    i += hashes + 1 + rest[..len].chars().count();
                    word = "\"".to_owned();
                }
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                word.push_str("::");
            }
            c => {
                i += 1;
                word.extend(Some(c).filter(|c| !c.is_whitespace()));
            }
        }
        if !word.is_empty() {
            found.push(Token { line, text: word });
        }
        line += chars[from..i.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    found
}

/// The place after the bracket that closes the one at `open`.
fn closed(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// Takes away what only tests build; gives the modules of that kind that lie in files of their own.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>, Option<usize>) {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let (mut kept, mut modules, mut first) = (Vec::new(), Vec::new(), None);
    let mut i = 0;
    while i < tokens.len() {
        let end = if text(i) == "#" && text(i + 1) == "[" {
            closed(tokens, i + 1)
        } else {
            i
        };
        let attribute: Vec<&str> = (i..end).map(text).collect();
        let is_test = attribute.contains(&"cfg") && attribute.contains(&"test");
        if !is_test || attribute.contains(&"not") {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        let from = tokens[i].line;
        i = end;
        while text(i) == "#" {
            i = closed(tokens, i + 1);
        }
        let is_module = (i..i + 4).position(|i| text(i) == "mod");
        if let Some(offset) = is_module {
            first = first.or(Some(from));
            if text(i + offset + 2) == ";" {
                modules.push(text(i + offset + 1).to_owned());
            }
        }
        // To the end of the item.
        while i < tokens.len() && !["{", ";"].contains(&text(i)) {
            i = if ["(", "["].contains(&text(i)) {
                closed(tokens, i)
            } else {
                i + 1
            };
        }
        i = if text(i) == "{" {
            closed(tokens, i)
        } else {
            i + 1
        };
    }
    (kept, modules, first)
}

fn source(path: PathBuf, module: String, text: &str) -> Source {
    let (tokens, test_modules, tests) = without_tests(&tokens(text));
    let inner = |name: String| format!("{module}::{name}");
    let keywords = tokens
        .iter()
        .filter(|token| ["unsafe", "async"].contains(&token.text.as_str()));
    Source {
        paths: paths(&tokens, &module),
        keywords: keywords
            .map(|token| (token.line, token.text.clone()))
            .collect(),
        product_lines: tests.map_or(text.lines().count(), |line| line - 1),
        test_modules: test_modules.into_iter().map(inner).collect(),
        path,
        module,
    }
}

/// Every path that begins with a crate, `crate`, `super` or `self`.
fn paths(tokens: &[Token], module: &str) -> Vec<Named> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    // Modules inside the file that the place is in, with the depth of their brackets.
    let (mut inline, mut depth): (Vec<(usize, String)>, usize) = (Vec::new(), 0);
    let mut found = Vec::new();
    let mut is_public_use = false;
    // A tree's words are read with its first one.
    let mut read_up_to = 0;
    for (i, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.retain(|(within, _)| *within <= depth);
            }
            "mod" if text(i + 2) == "{" => inline.push((depth + 1, text(i + 1).to_owned())),
            "use" => is_public_use = i > 0 && ["pub", ")"].contains(&text(i - 1)),
            ";" => is_public_use = false,
            _ => {}
        }
        let is_word = token
            .text
            .starts_with(|c: char| c.is_alphabetic() || c == '_');
        let starts =
            is_word && (i == 0 || text(i - 1) != "::" || !is_segment(text(i.wrapping_sub(2))));
        if starts && i >= read_up_to && text(i + 1) == "::" {
            let inner = inline.iter().map(|(_, name)| name.as_str());
            let here: Vec<&str> = module.split("::").chain(inner).collect();
            let mut ends = Vec::new();
            read_up_to = follow(tokens, i, &mut Vec::new(), &mut ends);
            for (line, segments) in ends {
                if let Some(segments) = from_the_root(&segments, &here) {
                    found.push(Named {
                        line,
                        segments,
                        is_public_use,
                    });
                }
            }
        }
    }
    found
}

fn is_segment(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_') || text == ">"
}

/// The paths of a tree such as `a::{b, c::{d, e}}` from `i` on, with the line of their last word; gives the place
/// behind it.
fn follow(
    tokens: &[Token],
    mut i: usize,
    before: &mut Vec<String>,
    ends: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let depth = before.len();
    loop {
        if text(i) == "{" {
            i += 1;
            while i < tokens.len() && text(i) != "}" {
                let next = follow(tokens, i, before, ends);
                // Past `as name`, a comma, or what is no path.
                i = next.max(i + usize::from(next == i));
                while i < tokens.len() && ![",", "}"].contains(&text(i)) {
                    i += 1;
                }
                i += usize::from(text(i) == ",");
            }
            before.truncate(depth);
            return i + 1;
        }
        if !is_segment(text(i)) && text(i) != "*" {
            before.truncate(depth);
            return i;
        }
        before.push(text(i).to_owned());
        let line = tokens[i].line;
        i += 1;
        if text(i) != "::" || (!is_segment(text(i + 1)) && !["{", "*"].contains(&text(i + 1))) {
            ends.push((line, before.clone()));
            before.truncate(depth);
            return i;
        }
        i += 1;
    }
}

/// `self` and `super` taken out, as seen from the module `here`; none where the path ends in them.
fn from_the_root(segments: &[String], here: &[&str]) -> Option<Vec<String>> {
    let mut segments = segments.iter().map(String::as_str).peekable();
    let mut up = 0;
    let mut is_relative = false;
    while let Some(word) = segments.next_if(|word| ["self", "super"].contains(word)) {
        is_relative = true;
        up += usize::from(word == "super");
    }
    if !is_relative {
        return Some(segments.map(str::to_owned).collect());
    }
    let outer = here.len().checked_sub(up).filter(|len| *len > 0)?;
    let from = ["crate"].into_iter().chain(here[1..outer].iter().copied());
    let rooted: Vec<String> = from.chain(segments).map(str::to_owned).collect();
    Some(rooted).filter(|rooted| rooted.len() > 1)
}

/// The reader of sources itself.
mod reader {
    use super::*;

    fn read(text: &str) -> Source {
        source(
            PathBuf::from("x.rs"),
            "edge::vision::locate".to_owned(),
            text,
        )
    }

    fn named(text: &str) -> Vec<String> {
        let found = read(text).paths;
        found
            .iter()
            .map(|path| format!("{}: {path}", path.line))
            .collect()
    }

    #[test]
    fn a_tree_of_names_is_read_name_by_name_each_on_its_line() {
        let text = "use crate::{\n    model::{self, Card as C},\n    run,\n};\nfn f() { crate::cli::main(); }";
        let expected = [
            "2: crate::model::self",
            "2: crate::model::Card",
            "3: crate::run",
            "5: crate::cli::main",
        ];
        assert_eq!(named(text), expected);
    }

    #[test]
    fn super_leads_out_of_the_room_by_as_many_steps_as_there_are() {
        assert_eq!(
            named("use super::quality::Blur;"),
            ["1: crate::vision::quality::Blur"]
        );
        assert_eq!(
            named("use super::super::cli::main;"),
            ["1: crate::cli::main"]
        );
        assert_eq!(
            named("mod a { use super::super::b::C; }"),
            ["1: crate::vision::b::C"]
        );
        assert_eq!(
            named("use self::sheet::Sheet;"),
            ["1: crate::vision::locate::sheet::Sheet"]
        );
    }

    #[test]
    fn what_is_said_or_quoted_is_no_name_and_a_lifetime_quotes_nothing() {
        let text = "// burn::a\n/* burn::b /* burn::c */ */\nconst A: &str = \"burn::d\\\"\";\nconst B: &str = r#\"burn::\"e\"#;\n\
                    const C: char = '\"'; fn f<'a>(x: &'a str) -> burn::F<'a> {}";
        assert_eq!(named(text), ["5: burn::F"]);
    }

    #[test]
    fn what_only_tests_build_is_left_out_and_its_lines_are_not_counted() {
        let text = "use crate::a::A;\n#[cfg(test)]\nuse crate::b::B;\n#[cfg(not(test))]\nuse crate::c::C;\n\
                    #[cfg(test)]\nmod faults;\n#[cfg(test)]\nmod tests {\n    use crate::d::D;\n    unsafe {}\n}\n";
        let file = read(text);
        assert_eq!(named(text), ["1: crate::a::A", "5: crate::c::C"]);
        assert_eq!(file.test_modules, ["edge::vision::locate::faults"]);
        assert!(file.keywords.is_empty());
        assert_eq!(file.product_lines, 5);
    }

    #[test]
    fn a_public_use_is_told_from_a_private_one_and_from_a_path() {
        let text = "use tract_onnx::a;\npub use tract_onnx::pb as onnx;\npub(crate) use tract_onnx::b;\nfn f() { tract_onnx::c() }";
        let found = read(text).paths;
        let public: Vec<usize> = found
            .iter()
            .filter(|p| p.is_public_use)
            .map(|p| p.line)
            .collect();
        assert_eq!((found.len(), public), (4, vec![2, 3]));
    }
}
