use std::fs::{self, File};
use std::path::PathBuf;

use onelook_edge::picture::frame::MAX_FILE_BYTES;
use zip::ZipArchive;

use super::labels::{drawer, open};
use super::*;
use std::io::Write;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A lopsided PGM of 2 x 1 whose first sample tells it from others.
fn pgm(sample: u8) -> Vec<u8> {
    [b"P5 2 1 255\n".as_slice(), &[sample, 7]].concat()
}

fn folder(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("pets");
    fs::create_dir(&root).unwrap();
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    (temp, root)
}

fn zipped(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("pets.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    (temp, path)
}

/// `group/class:source source`, a line a class.
fn outline(data: &Dataset) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &data.groups {
        for class in &group.classes {
            let sources: Vec<&str> = class.pictures.iter().map(|p| p.source.as_str()).collect();
            lines.push(format!(
                "{}|{}: {}",
                group.name,
                class.name,
                sources.join(" ")
            ));
        }
    }
    lines
}

fn outline_of(names: &[&str]) -> Vec<String> {
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, pgm(1))).collect();
    let ((_a, folder), (_b, zip)) = (folder(&files), zipped(&files));
    let (from_folder, from_zip) = (open(&folder).unwrap(), open(&zip).unwrap());
    assert_eq!(from_folder, from_zip);
    outline(&from_folder)
}

#[test]
fn one_level_is_one_group_named_like_the_data() {
    let lines = outline_of(&["dog/1.pgm", "cat/2.PGM", "cat/1.pgm"]);
    assert_eq!(
        lines,
        ["pets|cat: cat/1.pgm cat/2.PGM", "pets|dog: dog/1.pgm"]
    );
}

#[test]
fn two_levels_are_groups_of_classes() {
    let lines = outline_of(&["b/y/1.pgm", "a/x/1.pgm", "a/w/1.pgm"]);
    assert_eq!(
        lines,
        ["a|w: a/w/1.pgm", "a|x: a/x/1.pgm", "b|y: b/y/1.pgm"]
    );
}

#[test]
fn folders_that_all_pictures_share_are_no_label() {
    let lines = outline_of(&["top/in/a/x/1.pgm", "top/in/b/x/1.pgm"]);
    assert_eq!(lines, ["a|x: top/in/a/x/1.pgm", "b|x: top/in/b/x/1.pgm"]);
}

#[test]
fn a_single_class_folder_is_one_class() {
    assert_eq!(outline_of(&["top/cat/1.pgm"]), ["pets|cat: top/cat/1.pgm"]);
    assert_eq!(outline_of(&["1.pgm", "2.pgm"]), ["pets|pets: 1.pgm 2.pgm"]);
}

#[test]
fn levels_may_be_mixed_and_deep_folders_are_joined() {
    let lines = outline_of(&["emoji/1.pgm", "a/x/1.pgm", "a/old/x/1.pgm"]);
    assert_eq!(
        lines,
        [
            "a|old/x: a/old/x/1.pgm",
            "a|x: a/x/1.pgm",
            "pets|emoji: emoji/1.pgm"
        ]
    );
}

#[test]
fn a_picture_beside_the_class_folders_is_skipped_by_name() {
    let (_temp, zip) = zipped(&[
        ("top/sheet.pgm", pgm(1)),
        ("top/cat/1.pgm", pgm(2)),
        ("top/dog/1.pgm", pgm(3)),
    ]);
    let data = open(&zip).unwrap();
    assert_eq!(data.classes(), 2);
    assert_eq!(data.skipped.len(), 1);
    assert_eq!(data.skipped[0].source, "top/sheet.pgm");
}

#[test]
fn pictures_are_sorted_by_drawer_then_by_path() {
    let lines = outline_of(&["x/0002_01.pgm", "x/0001_02.pgm", "x/0001_01.pgm", "x/z.pgm"]);
    assert_eq!(
        lines,
        ["pets|x: x/z.pgm x/0001_01.pgm x/0002_01.pgm x/0001_02.pgm"]
    );
}

#[test]
fn only_omniglots_file_names_tell_the_drawer() {
    assert_eq!(drawer("0709_17.png"), Some(17));
    assert_eq!(drawer("0709_01.PNG"), Some(1));
    for other in [
        "20240131_120000.jpg",
        "0709_+1.png",
        "709_17.png",
        "0709_17_2.png",
        "0709-17.png",
        "0709_17",
    ] {
        assert_eq!(drawer(other), None, "{other}");
    }
}

#[test]
fn a_broken_picture_is_named_and_skipped() {
    let files = [
        ("cat/1.pgm", pgm(9)),
        ("cat/2.png", b"no picture".to_vec()),
        ("dog/1.pgm", pgm(8)),
    ];
    let ((_a, folder), (_b, zip)) = (folder(&files), zipped(&files));
    for path in [folder, zip] {
        let data = open(&path).unwrap();
        assert_eq!((data.pictures(), data.classes()), (2, 2));
        assert_eq!(data.skipped.len(), 1);
        assert_eq!(data.skipped[0].source, "cat/2.png");
        assert!(
            data.skipped[0].reason.contains("not a whole PNG"),
            "{}",
            data.skipped[0].reason
        );
        assert_eq!(data.groups[0].classes[0].pictures[0].frame.pixels(), [9, 7]);
    }
}

#[test]
fn pictures_that_are_all_broken_are_an_error_that_names_the_first() {
    let (_temp, root) = folder(&[("cat/2.png", vec![]), ("cat/1.png", vec![])]);
    let message = open(&root).unwrap_err().to_string();
    assert!(
        message.contains("none of its 2 pictures") && message.contains("cat/1.png"),
        "{message}"
    );
}

#[test]
fn the_order_in_the_zip_changes_nothing() {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for number in 0..30u8 {
        let broken = number % 7 == 0;
        let name = format!(
            "g{}/c{}/{:04}_{:02}.pgm",
            number % 2,
            number % 3,
            number,
            30 - number
        );
        files.push((name, if broken { vec![number] } else { pgm(number) }));
    }
    let borrowed = |files: &[(String, Vec<u8>)]| -> Dataset {
        let files: Vec<(&str, Vec<u8>)> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.clone()))
            .collect();
        let (_temp, zip) = zipped(&files);
        open(&zip).unwrap()
    };
    let forward = borrowed(&files);
    files.reverse();
    files.swap(3, 17);
    assert_eq!(forward, borrowed(&files));
    assert_eq!((forward.pictures(), forward.skipped.len()), (25, 5));
}

#[test]
fn hidden_files_other_files_and_macos_leftovers_are_passed_over() {
    let lines = outline_of(&[
        "cat/1.pgm",
        "cat/.2.pgm",
        ".git/3.pgm",
        "__MACOSX/cat/._1.pgm",
        "cat/notes.txt",
        "dog/1.jpeg.pgm",
        "dog/pgm",
    ]);
    assert_eq!(lines, ["pets|cat: cat/1.pgm", "pets|dog: dog/1.jpeg.pgm"]);
}

#[test]
fn zip_names_that_climb_are_only_names() {
    let (_temp, zip) = zipped(&[
        ("../../cat/1.pgm", pgm(1)),
        ("/dog/1.pgm", pgm(2)),
        ("emu\\1.pgm", pgm(3)),
    ]);
    let lines = outline(&open(&zip).unwrap());
    assert_eq!(
        lines,
        [
            "pets|cat: ../../cat/1.pgm",
            "pets|dog: /dog/1.pgm",
            "pets|emu: emu\\1.pgm"
        ]
    );
}

#[test]
fn a_zip_entry_that_swells_is_cut_off_and_skipped() {
    let swollen = vec![0; MAX_FILE_BYTES as usize + 1];
    let (_temp, zip) = zipped(&[("cat/1.pgm", pgm(1)), ("cat/2.pgm", swollen)]);
    assert!(fs::metadata(&zip).unwrap().len() < 100_000);
    let data = open(&zip).unwrap();
    assert_eq!(data.pictures(), 1);
    assert_eq!(
        data.skipped[0].reason,
        "larger than 32 MiB; make it smaller"
    );
}

#[cfg(unix)]
#[test]
fn linked_folders_are_not_followed_and_dead_links_are_named() {
    let (_temp, root) = folder(&[("cat/1.pgm", pgm(1))]);
    std::os::unix::fs::symlink(&root, root.join("cat/again")).unwrap();
    std::os::unix::fs::symlink(root.join("nowhere"), root.join("cat/2.pgm")).unwrap();
    std::os::unix::fs::symlink(root.join("cat/1.pgm"), root.join("cat/3.pgm")).unwrap();
    let data = open(&root).unwrap();
    assert_eq!(outline(&data), ["pets|cat: cat/1.pgm cat/3.pgm"]);
    assert_eq!(data.skipped[0].source, "cat/2.pgm");
}

#[test]
fn a_folder_with_only_a_zip_is_an_error_that_names_the_zip() {
    let (_temp, root) = folder(&[
        ("all_runs.zip", vec![]),
        ("images_background.zip", vec![]),
        ("LICENSE", vec![]),
    ]);
    let message = open(&root).unwrap_err().to_string();
    assert!(
        message.contains("pets/images_background.zip\" itself"),
        "{message}"
    );
}

#[test]
fn no_pictures_is_an_error_that_tells_what_to_give() {
    for files in [vec![], vec![("cat/notes.txt", vec![1])]] {
        let ((_a, folder), (_b, zip)) = (folder(&files), zipped(&files));
        for path in [folder, zip] {
            let message = open(&path).unwrap_err().to_string();
            assert!(message.contains("give a folder or a zip"), "{message}");
        }
    }
}

#[test]
fn what_is_neither_folder_nor_zip_is_refused() {
    let (_temp, root) = folder(&[("cut.zip", b"PK\x03\x04 cut".to_vec())]);
    assert!(matches!(
        open(&root.join("cut.zip")),
        Err(DatasetError::NotAZip { .. })
    ));
    assert!(matches!(
        open(&root.join("none")),
        Err(DatasetError::Unreadable { .. })
    ));
}

#[test]
fn a_zip_cut_anywhere_or_with_a_byte_changed_does_not_panic() {
    let (temp, zip) = zipped(&[("cat/1.pgm", pgm(1)), ("dog/1.pgm", pgm(2))]);
    let whole = fs::read(&zip).unwrap();
    let damaged = temp.path().join("damaged.zip");
    for place in 0..whole.len() {
        fs::write(&damaged, &whole[..place]).unwrap();
        assert!(open(&damaged).is_err(), "cut at {place}");
        let mut changed = whole.clone();
        changed[place] ^= 0xff;
        fs::write(&damaged, changed).unwrap();
        let _ = open(&damaged);
    }
}

#[test]
fn a_split_holds_whole_groups_out() {
    let (_temp, zip) = zipped(&[
        ("a/x/1.pgm", pgm(1)),
        ("b/x/1.pgm", pgm(2)),
        ("c/x/1.png", vec![]),
        ("c/y/1.pgm", pgm(4)),
    ]);
    let (rest, held_out) = open(&zip)
        .unwrap()
        .split(&["b".to_owned(), "nobody".to_owned()]);
    assert_eq!(outline(&rest), ["a|x: a/x/1.pgm", "c|y: c/y/1.pgm"]);
    assert_eq!(outline(&held_out), ["b|x: b/x/1.pgm"]);
    assert_eq!((rest.skipped.len(), held_out.skipped.len()), (1, 0));
}

const LABELS: &str = "run07/test/item01.pgm run07/training/class02.pgm\r\nrun07/test/item02.pgm run07/training/class01.pgm\n";

fn run_files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("all/run07/training/class02.pgm", pgm(12)),
        ("all/run07/training/class01.pgm", pgm(11)),
        ("all/run07/test/item02.pgm", pgm(22)),
        ("all/run07/test/item01.pgm", pgm(21)),
        ("all/run07/class_labels.txt", LABELS.into()),
    ]
}

#[test]
fn a_run_knows_the_right_answer_of_each_query() {
    let ((_a, folder), (_b, zip)) = (folder(&run_files()), zipped(&run_files()));
    for path in [folder, zip] {
        let runs = runs::open(&path).unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].name, "run07");
        let support: Vec<u8> = runs[0]
            .support
            .iter()
            .map(|frame| frame.pixels()[0])
            .collect();
        let queries: Vec<(u8, usize)> = runs[0]
            .queries
            .iter()
            .map(|(frame, right)| (frame.pixels()[0], *right))
            .collect();
        assert_eq!(support, [11, 12]);
        assert_eq!(queries, [(21, 1), (22, 0)]);
    }
}

#[test]
fn a_run_with_anything_missing_or_broken_is_an_error_that_names_it() {
    for (index, named) in [
        (0, "class_labels.txt"),
        (2, "class_labels.txt"),
        (4, "no one-shot runs"),
    ] {
        let mut files = run_files();
        files.remove(index);
        let (_temp, zip) = zipped(&files);
        let message = runs::open(&zip).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    for (index, bytes, named) in [
        (1, b"x".to_vec(), "training/class01.pgm"),
        (3, b"x".to_vec(), "test/item01.pgm"),
        (4, LABELS[..50].into(), "test/item02.pgm: has no label"),
        (
            4,
            [LABELS, LABELS].concat().into(),
            "test/item01.pgm: has two labels",
        ),
        (4, b"run07/test/item01.pgm".to_vec(), "is not two paths"),
        (4, vec![0xff], "is not text"),
    ] {
        let mut files = run_files();
        files[index].1 = bytes;
        let (_temp, zip) = zipped(&files);
        let message = runs::open(&zip).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn runs_are_refused_as_a_set_of_classes() {
    let (_temp, zip) = zipped(&run_files());
    let message = open(&zip).unwrap_err().to_string();
    assert!(
        message.contains("opened by the final evaluation alone"),
        "{message}"
    );
}

/// `ONELOOK_DATA`, or the folder beside the repository.
fn shared_data() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let data =
        std::env::var_os("ONELOOK_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !data.is_dir() {
        println!("skipped: no ../shared/data");
        return None;
    }
    Some(data)
}

#[test]
fn the_published_sets_have_their_published_counts() {
    let Some(data) = shared_data() else { return };
    for (file, groups, classes, pictures) in [
        ("omniglot/images_background.zip", 30, 964, 19_280),
        ("omniglot/images_background_small1.zip", 5, 136, 2_720),
        ("omniglot/images_background_small2.zip", 5, 156, 3_120),
        ("signatures.zip", 1, 60, 2_400),
        ("grocery.zip", 1, 81, 2_936),
        ("emblems.zip", 1, 4, 8_038),
    ] {
        let set = open(&data.join(file)).unwrap();
        assert_eq!(
            (set.groups.len(), set.classes(), set.pictures()),
            (groups, classes, pictures),
            "{file}"
        );
        assert_eq!(set.skipped, [], "{file}");
        if file.starts_with("omniglot") {
            for class in set.groups.iter().flat_map(|group| &group.classes) {
                let drawers: Vec<u32> = class
                    .pictures
                    .iter()
                    .filter_map(|picture| picture.drawer)
                    .collect();
                assert_eq!(drawers, (1..=20).collect::<Vec<u32>>());
            }
        }
    }
}

#[test]
fn omniglot_unpacked_is_omniglot_zipped() {
    let Some(data) = shared_data() else { return };
    let zip = data.join("omniglot/images_background_small1.zip");
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("images_background_small1");
    ZipArchive::new(File::open(&zip).unwrap())
        .unwrap()
        .extract(&folder)
        .unwrap();
    assert_eq!(open(&folder).unwrap(), open(&zip).unwrap());
    // One level further in: the same labels, though the sources are shorter.
    let inner = open(&folder.join("images_background_small1")).unwrap();
    assert_eq!(
        (inner.groups.len(), inner.classes(), inner.pictures()),
        (5, 136, 2_720)
    );
    assert_eq!(inner.groups[0].name, "Balinese");
}

#[test]
fn the_official_runs_are_20_of_20() {
    let Some(data) = shared_data() else { return };
    let runs = runs::open(&data.join("omniglot/all_runs.zip")).unwrap();
    assert_eq!(runs.len(), 20);
    assert_eq!(
        (runs[0].name.as_str(), runs[19].name.as_str()),
        ("run01", "run20")
    );
    for run in &runs {
        assert_eq!((run.support.len(), run.queries.len()), (20, 20));
        let mut answers: Vec<usize> = run.queries.iter().map(|(_, right)| *right).collect();
        answers.sort_unstable();
        assert_eq!(answers, (0..20).collect::<Vec<usize>>(), "{}", run.name);
    }
    // run01/test/item01.png shows the character of class08.
    assert_eq!(runs[0].queries[0].1, 7);
    assert!(open(&data.join("omniglot/all_runs.zip")).is_err());
}
