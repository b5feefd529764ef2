use std::sync::Arc;

use super::*;
use crate::camera::MotionJpeg;
use crate::clip::CLIP;
use crate::device::answer::Objection;
use crate::device::change::Insistence;
use crate::device::config::Config;
use crate::device::eye::Snapshot;
use crate::model::SHIPPED;

/// The frames of the demonstration's clip: the first shows one sign, the second another, the third the first again.
fn frames() -> Vec<Arc<Frame>> {
    MotionJpeg::new(CLIP, "clip")
        .map(|frame| Arc::new(frame.unwrap()))
        .collect()
}

struct Desk {
    device: Device,
    looks: Vec<Snapshot>,
    _folder: tempfile::TempDir,
}

fn desk(by: Threshold, gates: Gates) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::from_bytes(SHIPPED, "shipped").unwrap();
    let store = Store::at(folder.path().join("gallery"));
    let mut device = Device::open(model, store, by, gates).unwrap();
    let looks = frames()
        .iter()
        .map(|frame| {
            let look = device.look(frame, Care::Measure).unwrap();
            look.snapshot(0, frame).unwrap()
        })
        .collect();
    Desk {
        device,
        looks,
        _folder: folder,
    }
}

fn shipped_gates() -> Gates {
    Config::over_shipped("").unwrap().quality.enroll
}

#[test]
fn what_was_enrolled_together_is_taken_back_together() {
    let Desk {
        mut device, looks, ..
    } = desk(Threshold::Fixed(0.9), shipped_gates());
    device.enroll("b", &looks[1..2], Insistence::None).unwrap();
    let both = [looks[0].clone(), looks[2].clone()];
    let enrolled = device.enroll("a", &both, Insistence::None).unwrap();
    assert_eq!((enrolled.added, enrolled.templates), (2, 2));
    let undone = device.undo().unwrap();
    assert_eq!((undone.change, undone.name.as_str()), ("enroll", "a"));
    assert_eq!(device.gallery().names().collect::<Vec<_>>(), ["b"]);
    device.undo().unwrap();
    assert!(device.gallery().is_empty());
    assert_eq!(device.undo().unwrap_err().reason(), "nothing_to_undo");
}

#[test]
fn a_look_alike_is_refused_until_it_is_insisted_on() {
    let Desk {
        mut device, looks, ..
    } = desk(Threshold::Fixed(0.9), shipped_gates());
    device.enroll("a", &looks[..1], Insistence::None).unwrap();
    let again = &looks[..1];
    let refused = device.enroll("twin", again, Insistence::None);
    assert_eq!(refused.unwrap_err().reason(), "look_alike");
    assert_eq!(device.gallery().len(), 1);
    for insistence in [Insistence::EvenIfAlike, Insistence::Anyway] {
        let enrolled = device.enroll("twin", again, insistence).unwrap();
        let [Objection::LookAlike { like, p, .. }] = &enrolled.passed[..] else {
            panic!("{:?}", enrolled.passed)
        };
        assert!(like == "a" && *p > 0.99, "{like} {p}");
        device.undo().unwrap();
    }
    // What a class is known not to be is no look-alike of it.
    device.not("a", &looks[0]).unwrap();
    device.enroll("twin", again, Insistence::None).unwrap();
}

#[test]
fn a_flaw_is_refused_before_a_camera_and_let_pass_where_the_picture_was_named() {
    let strict = Gates {
        blur_px: 0.0,
        ..shipped_gates()
    };
    let Desk {
        mut device, looks, ..
    } = desk(Threshold::Fixed(0.9), strict);
    for insistence in [Insistence::None, Insistence::EvenIfAlike] {
        let refused = device.enroll("a", &looks[..1], insistence);
        assert_eq!(refused.unwrap_err().reason(), "blurred");
    }
    let enrolled = device.enroll("a", &looks[..1], Insistence::Anyway).unwrap();
    assert!(matches!(enrolled.passed[..], [Objection::Flawed(_)]));
}

#[test]
fn a_target_out_of_reach_refuses_the_next_class_and_never_loosens_the_threshold() {
    let Desk {
        mut device, looks, ..
    } = desk(Threshold::Fpir(1e-9), shipped_gates());
    assert!(device.kept_threshold().is_err());
    let refused = device.enroll("a", &looks[..1], Insistence::None);
    assert_eq!(refused.unwrap_err().reason(), "fpir");
    device.enroll("a", &looks[..1], Insistence::Anyway).unwrap();
    let tail = &device.model().card().impostor_tail;
    assert_eq!(device.threshold(), tail.last().unwrap().threshold);
    let refused = device.verify("a", &looks[0].embedding);
    assert_eq!(refused.unwrap_err().reason(), "fpir");
}

#[test]
fn one_rule_accepts_in_both_questions() {
    let Desk {
        mut device, looks, ..
    } = desk(Threshold::Fixed(0.9), shipped_gates());
    device.enroll("a", &looks[..1], Insistence::None).unwrap();
    device.enroll("b", &looks[1..2], Insistence::None).unwrap();
    let (mut matches, mut strangers) = (0, 0);
    for look in &looks[2..] {
        let identified = device.identify(&look.embedding);
        let best = match &identified {
            Decision::Match { name, .. } => name.to_string(),
            Decision::Unknown { best, .. } => best.as_ref().unwrap().0.to_string(),
        };
        let verified = device.verify(&best, &look.embedding).unwrap();
        let is_match = matches!(identified, Decision::Match { .. });
        assert_eq!(verified.is_accepted, is_match);
        assert_eq!(verified.is_accepted, verified.p >= verified.threshold);
        matches += usize::from(is_match);
        strangers += usize::from(!is_match);
    }
    assert_eq!((matches, strangers), (14, 6));
}
