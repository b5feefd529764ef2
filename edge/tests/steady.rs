//! What a frame costs in allocations once the device runs: none, from the bytes of a picture to the decision.

#![allow(clippy::unwrap_used)] // the helpers are a test's, too

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use onelook_edge::camera::{self, Layout, MotionJpeg, Raw, Source, Wanted};
use onelook_edge::clip::CLIP;
use onelook_edge::device::Device;
use onelook_edge::device::config::Config;
use onelook_edge::device::live::{Finding, Input, Live};
use onelook_edge::device::threshold::Threshold;
use onelook_edge::gallery::Gallery;
use onelook_edge::gallery::decide::Decision;
use onelook_edge::gallery::store::{Kind, Store, Template};
use onelook_edge::model::{Model, SHIPPED};
use onelook_edge::picture::frame::Frame;
use onelook_edge::picture::roi::Roi;
use onelook_edge::vision::preprocess;

const SIZE: (usize, usize) = (640, 480);
const PICTURES: usize = 40;
const ROUNDS: usize = 3;

/// Nine kinds of pictures, no two of them alike: two signs on plain paper, one of them under uneven
/// light, on a card, cut off, blurred, nothing but paper, noise, and a sign that nobody enrolled.
fn picture(number: usize) -> Frame {
    let (kind, moved) = (number % 9, (number / 9) as i32);
    Frame::from_fn(SIZE.0, SIZE.1, |x, y| {
        let (x, y) = (x as i32, y as i32);
        let scattered = (x * 7919 + y * 104_729 + moved * 31).wrapping_mul(668_265_263);
        let grain = scattered >> 7 & 15;
        let (left, top) = (
            250 + 9 * moved,
            if kind == 4 { -20 } else { 150 + 5 * moved },
        );
        let (dx, dy) = (x - left, y - top);
        let stem = (0..16).contains(&dx) && (0..160).contains(&dy);
        let foot = (0..110).contains(&dx) && (144..160).contains(&dy);
        let arm = kind == 1 && (0..16).contains(&(dx - 90)) && (20..160).contains(&dy);
        let stranger = ((48..64).contains(&dx) && (0..160).contains(&dy))
            || ((0..112).contains(&dx) && (72..88).contains(&dy));
        let ink = if kind == 8 {
            stranger
        } else {
            stem || foot || arm
        };
        let on_card = (120..520).contains(&x) && (60..420).contains(&y);
        let level = match kind {
            2 => (if ink { 40 } else { 200 }) * (400 + x) / 1100,
            3 if !on_card => 70,
            5 => {
                let soft = (60 - (dx - 50).abs().max((dy - 80).abs())).clamp(0, 60);
                200 - 2 * soft
            }
            6 => 200,
            7 => scattered >> 9 & 255,
            _ if ink => 40,
            _ => 200,
        };
        (level + grain).clamp(0, 255) as u8
    })
}

fn jpeg(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Most cameras send colour.
    JpegEncoder::new_with_quality(&mut bytes, 80)
        .encode(
            frame.to_rgb().pixels(),
            SIZE.0 as u32,
            SIZE.1 as u32,
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

/// A gallery large enough for an index, with both signs.
fn live(folder: &Path, roi: Option<Roi>) -> Live {
    let model = Model::from_bytes(SHIPPED, "shipped").unwrap();
    let store = Store::at(folder.join("gallery"));
    let embedded = |number: usize| {
        let patch = preprocess::patch(&picture(number), &model.card().input).unwrap();
        model.embed(&patch).unwrap()
    };
    let (foot, bowl, crop_png) = (embedded(0), embedded(1), picture(0).to_png().unwrap());
    let template = |name: String, embedding: Vec<f32>| Template {
        name,
        embedding,
        crop_png: crop_png.clone(),
        kind: Kind::Genuine,
    };
    let mut templates = vec![
        template("foot".to_owned(), foot.clone()),
        template("bowl".to_owned(), bowl),
    ];
    templates.extend((0..300).map(|class| {
        let moved = |(j, x): (usize, &f32)| x + ((class * 31 + j * 7) % 97) as f32 / 97.0;
        let embedding = foot.iter().enumerate().map(moved).collect();
        template(format!("other {class}"), embedding)
    }));
    store.enroll(model.id(), &templates).unwrap();
    let config = Config::over_shipped("").unwrap();
    let gates = config.quality.enroll;
    let device = Device::open(model, store, Threshold::Fixed(0.5), gates).unwrap();
    Live::new(device, config, roi).unwrap()
}

/// What was seen in the frames that changed nothing, and what each of them allocated. `next` is what
/// gives a frame and has `live` see it; nothing after the last.
fn measured(live: &mut Live, mut next: impl FnMut(&mut Live) -> Option<Finding>) -> Vec<Finding> {
    let mut quiet = Vec::new();
    for number in 0.. {
        let mut seen = None;
        let used = allocation_counter::measure(|| {
            seen = next(live);
            if let Some(seen) = &seen {
                live.timed(seen.stages);
            }
        });
        let Some(seen) = seen else { break };
        // A frame that changes what is shown is reported.
        let is_reported = !live.events().is_empty();
        if number >= PICTURES && !is_reported {
            assert_eq!(used.count_total, 0, "frame {number}: {used:?} {seen:?}");
            quiet.push(seen);
        }
    }
    quiet
}

fn turn(live: &mut Live, frame: &Arc<Frame>, decode: Duration) -> Option<Finding> {
    let input = Input::Frame { frame, decode };
    live.turn(input, Instant::now()).unwrap()
}

/// They are frames enough, of all kinds.
fn check(quiet: &[Finding]) {
    assert!(quiet.len() > PICTURES, "{}", quiet.len());
    let any = |what: fn(&Finding) -> bool| quiet.iter().any(what);
    assert!(any(|seen| matches!(
        seen.decision,
        Some(Decision::Match { .. })
    )));
    assert!(any(|seen| matches!(
        seen.decision,
        Some(Decision::Unknown { .. })
    )));
    assert!(any(|seen| seen.flaw.is_some()));
    assert!(any(|seen| seen.bounds.is_none()));
}

/// As `run` does it.
fn from_camera(clip: &[u8], roi: Option<Roi>) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip");
    std::fs::write(&path, clip).unwrap();
    let wanted = Wanted {
        grey: true,
        ..Wanted::default()
    };
    let mut camera = camera::open(&Source::Files(path), &wanted).unwrap();
    let mut live = live(folder.path(), roi);
    measured(&mut live, |live| {
        loop {
            match camera.newest(Duration::ZERO) {
                camera::Glance::Frame(shot) => {
                    return turn(live, &shot.frame, shot.decoding);
                }
                camera::Glance::Ended => return None,
                camera::Glance::State(_) | camera::Glance::Nothing => {}
            }
        }
    })
}

#[test]
fn a_frame_of_motion_jpeg_is_decided_by_without_an_allocation() {
    let pictures: Vec<u8> = (0..PICTURES)
        .flat_map(|number| jpeg(&picture(number)))
        .collect();
    check(&from_camera(&pictures.repeat(ROUNDS), None));
    let box_of_most = "20,10,600,460".parse().ok();
    check(&from_camera(&pictures.repeat(ROUNDS), box_of_most));
}

#[test]
fn a_frame_of_raw_video_is_decided_by_without_an_allocation() {
    let mut clip = b"YUV4MPEG2 W640 H480 C420jpeg\n".to_vec();
    for number in 0..ROUNDS * PICTURES {
        clip.extend(b"FRAME\n");
        clip.extend(picture(number % PICTURES).pixels());
        clip.resize(clip.len() + SIZE.0 * SIZE.1 / 2, 128);
    }
    check(&from_camera(&clip, None));
}

#[test]
fn a_frame_of_yuyv_is_decided_by_without_an_allocation_in_grey_and_in_colour() {
    let raw = |number: usize| Raw {
        layout: Layout::Yuyv,
        width: SIZE.0,
        height: SIZE.1,
        stride: 2 * SIZE.0,
        full_range: true,
        bytes: Arc::new(
            picture(number)
                .pixels()
                .iter()
                .flat_map(|&y| [y, 128])
                .collect(),
        ),
    };
    let pictures: Vec<Raw> = (0..PICTURES).map(raw).collect();
    for grey in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut frame = Arc::new(Frame::default());
        let mut coming = (0..ROUNDS).flat_map(|_| &pictures);
        let quiet = measured(&mut live(folder.path(), None), |live| {
            let memory = Arc::get_mut(&mut frame).unwrap();
            coming.next()?.read_into(memory, grey).unwrap();
            turn(live, &frame, Duration::ZERO)
        });
        check(&quiet);
    }
}

#[test]
fn a_search_of_a_large_gallery_allocates_nothing_whether_indexed_or_not() {
    let model = Model::from_bytes(SHIPPED, "shipped").unwrap();
    let spec = &model.card().input;
    let mut frames = MotionJpeg::new(CLIP, "clip");
    let patch = preprocess::patch(&frames.next().unwrap().unwrap(), spec).unwrap();
    let probe = model.embed(&patch).unwrap();
    let mut gallery = Gallery::default();
    for class in 0..1000usize {
        let moved = |(j, x): (usize, &f32)| x + ((class * 31 + j * 7) % 97) as f32 / 97.0;
        let template = probe.iter().enumerate().map(moved).collect();
        // Some of two templates.
        gallery.enroll(&(class % 900).to_string(), template);
    }
    for _ in 0..2 {
        let used = allocation_counter::measure(|| {
            assert!(gallery.nearest(&probe, model.head()).is_some());
        });
        assert_eq!(used.count_total, 0, "{used:?}");
        gallery.index(model.head(), NonZeroUsize::MIN);
    }
    assert!(gallery.index_bytes() > 0);
}
