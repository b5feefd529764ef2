//! Which kernels run is one choice for the whole program. Knows the program's outside only.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

use onelook_edge::kernel::{Isa, VARIABLE};

fn call(kernel: &str, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_onelook-edge"))
        .args(args)
        .arg("--gallery")
        .arg(folder.path().join("gallery.redb"))
        .env(VARIABLE, kernel)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_kernel_of_no_such_name_is_refused_by_every_command_in_the_same_words() {
    let words = Isa::named("nonsense").unwrap_err().to_string();
    assert!(words.contains("ONELOOK_KERNEL=nonsense"), "{words}");
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/clip.mjpeg");
    for args in [
        &["identify", "no-such-picture.png"][..],
        &["gallery", "list"],
        &["run", "--source", clip],
        &["demo"],
    ] {
        let ended = call("nonsense", args);
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        assert_eq!(
            String::from_utf8_lossy(&ended.stderr),
            format!("error: {words}\n"),
            "{args:?}"
        );
    }
    let found = String::from_utf8(call("nonsense", &["doctor"]).stdout).unwrap();
    let processor = format!("!!  processor  {words}\n");
    assert!(found.contains(&processor), "{found}");
}

#[test]
fn the_kernels_that_are_asked_for_are_in_use() {
    for isa in Isa::here() {
        let found = String::from_utf8(call(isa.name(), &["doctor"]).stdout).unwrap();
        assert!(found.contains(&format!("in use: {isa}\n")), "{found}");
    }
}
