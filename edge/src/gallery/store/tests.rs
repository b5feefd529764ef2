use std::fs;

use super::*;

fn template(name: &str, x: f32) -> Template {
    Template {
        name: name.to_owned(),
        embedding: vec![x, -x],
        crop_png: vec![x as u8; 3000],
        kind: Kind::Genuine,
    }
}

fn names(store: &Store) -> Vec<String> {
    let contents = store.contents().unwrap();
    let templates = contents.map_or(Vec::new(), |contents| contents.templates);
    templates.into_iter().map(|t| t.name).collect()
}

fn gallery_of(count: usize) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("deep/g.redb"));
    for i in 0..count {
        store
            .enroll("m1", &[template(&format!("class-{i}"), i as f32)])
            .unwrap();
    }
    (folder, store)
}

#[test]
fn what_is_enrolled_is_there_again_in_order_and_nothing_else_is_left() {
    let (folder, store) = gallery_of(3);
    store
        .enroll("m1", &[template("class-1", 7.0), template("x", 8.0)])
        .unwrap();
    assert_eq!(
        names(&store),
        ["class-0", "class-1", "class-2", "class-1", "x"]
    );
    let contents = store.contents().unwrap().unwrap();
    assert_eq!(contents.model_id, "m1");
    assert_eq!(contents.templates[3], template("class-1", 7.0));
    assert_eq!(store.gallery("m1", 2).unwrap().len(), 4);
    let other_size = store.gallery("m1", 3).unwrap_err();
    assert!(matches!(other_size, StoreError::Damaged { .. }));
    let inside = fs::read_dir(folder.path().join("deep")).unwrap();
    assert_eq!(inside.count(), 1);
}

#[test]
fn a_class_is_removed_with_all_its_templates_and_renamed_to_a_free_name() {
    let (_folder, store) = gallery_of(3);
    store.enroll("m1", &[template("class-1", 7.0)]).unwrap();
    assert_eq!(store.remove("m1", "class-1").unwrap().len(), 2);
    store.rename("m1", "class-0", "first").unwrap();
    assert_eq!(names(&store), ["first", "class-2"]);
    let taken = store.rename("m1", "first", "class-2").unwrap_err();
    assert!(matches!(taken, StoreError::ClassExists { .. }));
    let gone = store.remove("m1", "class-1").unwrap_err();
    assert!(matches!(gone, StoreError::NoSuchClass { .. }));
    assert_eq!(names(&store), ["first", "class-2"]);
}

#[test]
fn a_change_of_another_program_is_noticed_and_one_of_our_own_is_not() {
    let (_folder, ours) = gallery_of(2);
    let theirs = Store::at(ours.path());
    assert!(!ours.is_changed_elsewhere());
    ours.rename("m1", "class-0", "first").unwrap();
    assert!(!ours.is_changed_elsewhere());
    theirs.enroll("m1", &[template("x", 1.0)]).unwrap();
    assert!(ours.is_changed_elsewhere());
    // What came before a change of ours is still to be read.
    ours.remove("m1", "first").unwrap();
    assert!(ours.is_changed_elsewhere());
    ours.gallery("m1", 2).unwrap();
    assert!(!ours.is_changed_elsewhere());
    // What is refused changes nothing.
    theirs.remove("m1", "first").unwrap_err();
    assert!(!ours.is_changed_elsewhere());
    fs::remove_file(ours.path()).unwrap();
    assert!(ours.is_changed_elsewhere());
    assert!(ours.gallery("m1", 2).unwrap().is_empty());
    theirs.enroll("m1", &[template("x", 1.0)]).unwrap();
    assert!(ours.is_changed_elsewhere());
}

#[test]
fn what_a_class_is_not_is_kept_with_it_and_the_newest_look_is_taken_back_by_kind() {
    let (_folder, store) = gallery_of(2);
    let negative = |x| Template {
        kind: Kind::Negative,
        ..template("class-0", x)
    };
    let later = template("class-0", 7.0);
    store
        .enroll("m1", &[negative(5.0), later.clone(), negative(6.0)])
        .unwrap();
    let counts = || {
        let gallery = store.gallery("m1", 2).unwrap();
        (
            gallery.templates_of("class-0"),
            gallery.negatives_of("class-0"),
        )
    };
    assert_eq!(counts(), (2, 2));
    store.take_back("m1", "class-0", Kind::Genuine).unwrap();
    store.take_back("m1", "class-0", Kind::Negative).unwrap();
    assert_eq!(counts(), (1, 1));
    let none = store.take_back("m1", "class-1", Kind::Negative);
    assert!(matches!(none, Err(StoreError::NoSuchClass { .. })));
    // What was removed is all that there was, and can be put back.
    let removed = store.remove("m1", "class-0").unwrap();
    assert_eq!(removed, [template("class-0", 0.0), negative(5.0)]);
    store.enroll("m1", &removed).unwrap();
    assert_eq!((counts(), names(&store).len()), ((1, 1), 3));
}

#[test]
fn a_gallery_of_another_model_is_refused_and_not_touched_until_it_is_replaced() {
    let (_folder, store) = gallery_of(2);
    let before = fs::read(store.path()).unwrap();
    for refused in [
        store.gallery("m2", 2).map(|_| ()),
        store.enroll("m2", &[template("y", 1.0)]),
        store.remove("m2", "class-0").map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::OtherModel { .. })));
    }
    assert!(fs::read(store.path()).unwrap() == before);
    let seen = store.contents().unwrap().unwrap();
    store.enroll("m1", &[template("late", 1.0)]).unwrap();
    let late = store.replace(&seen, "m2", &[template("z", 1.0)]);
    assert!(matches!(late, Err(StoreError::Changed { .. })));
    assert_eq!(names(&store).len(), 3);
    let seen = store.contents().unwrap().unwrap();
    store.replace(&seen, "m2", &[template("z", 1.0)]).unwrap();
    assert_eq!(names(&store), ["z"]);
    assert_eq!(store.gallery("m2", 2).unwrap().len(), 1);
}

#[test]
fn reading_changes_no_byte_and_works_where_nothing_may_be_written() {
    let (_folder, store) = gallery_of(2);
    let before = fs::read(store.path()).unwrap();
    store.gallery("m1", 2).unwrap();
    store.contents().unwrap();
    assert!(fs::read(store.path()).unwrap() == before);
    let mut permissions = fs::metadata(store.path()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(store.path(), permissions).unwrap();
    assert_eq!(names(&store).len(), 2);
}

#[test]
fn a_gallery_with_any_byte_changed_is_refused_whole_or_read_right_and_never_written() {
    let (_folder, store) = gallery_of(5);
    let whole = fs::read(store.path()).unwrap();
    let right = store.contents().unwrap().unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    // Every 29th byte of the pages in use, and the whole header.
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    for place in (0..512.min(used)).chain((512..used).step_by(29)) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x5a;
        fs::write(store.path(), &bytes).unwrap();
        match store.contents() {
            Ok(read) => assert_eq!(read.as_ref(), Some(&right), "byte {place}"),
            Err(_) => refused += 1,
        }
        assert!(fs::read(store.path()).unwrap() == bytes, "byte {place}");
    }
    std::panic::set_hook(hook);
    assert!(refused > 100, "{refused}");
    fs::write(store.path(), &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(store.contents(), Err(StoreError::Damaged { .. })));
    fs::write(store.path(), b"not a gallery").unwrap();
    let error = store.enroll("m1", &[template("y", 1.0)]).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(store.path()).unwrap(), b"not a gallery");
}

#[test]
fn a_change_of_a_gallery_with_any_byte_changed_is_refused_or_right() {
    let (_folder, store) = gallery_of(3);
    let whole = fs::read(store.path()).unwrap();
    let mut right = store.contents().unwrap().unwrap().templates;
    right.push(template("new", 9.0));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    for place in (0..512).step_by(7).chain((512..used).step_by(509)) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x5a;
        fs::write(store.path(), &bytes).unwrap();
        if store.enroll("m1", &[template("new", 9.0)]).is_err() {
            refused += 1;
            assert!(fs::read(store.path()).unwrap() == bytes, "byte {place}");
        } else if let Ok(read) = store.contents() {
            assert_eq!(read.unwrap().templates, right, "byte {place}");
        }
    }
    std::panic::set_hook(hook);
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_gallery_of_a_later_format_is_named_as_one_and_not_touched() {
    let (_folder, store) = gallery_of(1);
    let mut bytes = fs::read(store.path()).unwrap();
    assert_eq!(bytes[..8], *b"onelook\x02");
    bytes[7] = 3;
    fs::write(store.path(), &bytes).unwrap();
    for refused in [
        store.contents().map(drop),
        store.enroll("m1", &[template("y", 1.0)]),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::OtherFormat { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("of format 3, but this program reads format 2;")
        );
    }
    assert!(fs::read(store.path()).unwrap() == bytes);
}

#[test]
fn a_change_touches_a_part_of_a_large_gallery() {
    let (_folder, store) = gallery_of(1);
    let many: Vec<Template> = (0..2000).map(|i| template(&format!("c{i}"), 1.0)).collect();
    store.enroll("m1", &many).unwrap();
    let before = fs::read(store.path()).unwrap();
    store.enroll("m1", &[template("late", 2.0)]).unwrap();
    store.rename("m1", "c7", "seven").unwrap();
    store.remove("m1", "c8").unwrap();
    let after = fs::read(store.path()).unwrap();
    let pairs = before.chunks(512).zip(after.chunks(512));
    let changed = 512 * pairs.filter(|(before, after)| before != after).count();
    assert!(before.len() > 5_000_000 && changed < 300_000, "{changed}");
    let names = names(&store);
    assert_eq!(
        (names.len(), &*names[8], &*names[2000]),
        (2001, "seven", "late")
    );
}

#[test]
fn a_name_must_be_fit_for_a_screen_and_a_folder() {
    for bad in ["", " ", ".hidden", "a/b", "a\nb", &"x".repeat(201)] {
        let (_folder, store) = gallery_of(0);
        assert!(matches!(
            store.enroll("m1", &[template(bad, 1.0)]),
            Err(StoreError::BadName { .. })
        ));
        assert!(!store.path().exists());
    }
    check_name("Zoë's mug 2").unwrap();
}
