//! What each stage of a frame's journey costs, and the whole of it, in time and allocations:
//! `cargo bench -p onelook-tests --bench frame`. The frame is 640 x 480, a mark on a card.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use divan::{AllocProfiler, Bencher, black_box};
use onelook_edge::decide;
use onelook_edge::frame::Frame;
use onelook_edge::gallery::Gallery;
use onelook_edge::model::Model;
use onelook_edge::overlay::{Canvas, Sight};
use onelook_edge::preprocess;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const MODEL: &[u8] = include_bytes!("../../models/omniglot.onnx");
const CLASSES: usize = 1000;
const THRESHOLD: f32 = 0.9;

fn main() {
    divan::main();
}

struct Journey {
    model: Model,
    jpeg: Vec<u8>,
    frame: Frame,
    gallery: Gallery,
    probe: Vec<f32>,
}

impl Journey {
    fn new() -> Self {
        let model = Model::from_bytes(MODEL, "shipped").unwrap();
        let grey = Frame::from_fn(640, 480, |x, y| {
            // A sloping stroke that turns back, on paper with grain.
            let (x, y) = (x as i32, y as i32);
            let grain = (x * 7919 + y * 104_729) % 13;
            let down = (x - 250 - (y - 180) / 2).abs() < 7 && (180..320).contains(&y);
            let back = (x - 320 + (y - 320) / 3).abs() < 7 && (200..326).contains(&y);
            let foot = (y - 320).abs() < 7 && (320..400).contains(&x);
            (if down || back || foot { 40 } else { 205 } + grain) as u8
        });
        let frame = grey.to_rgb().into_owned();
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85)
            .encode(frame.pixels(), 640, 480, image::ExtendedColorType::Rgb8)
            .unwrap();
        let patch = preprocess::patch(&frame, &model.card().input).unwrap();
        let probe = model.embed(&patch).unwrap();
        let mut gallery = Gallery::default();
        for class in 0..CLASSES {
            let moved = |(j, x): (usize, &f32)| x + ((class * 31 + j * 7) % 97) as f32 / 97.0;
            let template = probe.iter().enumerate().map(moved).collect();
            gallery.enroll(&class.to_string(), template);
        }
        gallery.index(model.head(), NonZeroUsize::MIN);
        Self {
            model,
            jpeg,
            frame,
            gallery,
            probe,
        }
    }

    fn decision(&self, probe: &[f32]) -> decide::Decision {
        let head = self.model.head();
        decide::identify(self.gallery.nearest(probe, head), head, THRESHOLD)
    }
}

#[divan::bench]
fn a_decode_mjpeg(bencher: Bencher) {
    let journey = Journey::new();
    bencher.bench(|| Frame::decode(black_box(&journey.jpeg), "frame").unwrap());
}

#[divan::bench]
fn b_locate(bencher: Bencher) {
    let journey = Journey::new();
    let spec = &journey.model.card().input;
    bencher.bench(|| preprocess::find(black_box(&journey.frame), spec).unwrap());
}

#[divan::bench]
fn c_preprocess(bencher: Bencher) {
    let journey = Journey::new();
    let spec = &journey.model.card().input;
    let mark = preprocess::find(&journey.frame, spec).unwrap();
    bencher.bench(|| preprocess::patch_at(black_box(&journey.frame), mark.as_ref(), spec).unwrap());
}

#[divan::bench]
fn d_embed(bencher: Bencher) {
    let journey = Journey::new();
    let patch = preprocess::patch(&journey.frame, &journey.model.card().input).unwrap();
    bencher.bench(|| journey.model.embed(black_box(&patch)).unwrap());
}

#[divan::bench]
fn e_match_1000(bencher: Bencher) {
    let journey = Journey::new();
    let head = journey.model.head();
    bencher.bench(|| journey.gallery.nearest(black_box(&journey.probe), head));
}

#[divan::bench]
fn f_decide(bencher: Bencher) {
    let journey = Journey::new();
    let head = journey.model.head();
    let nearest = journey.gallery.nearest(&journey.probe, head);
    bencher.bench(|| decide::identify(black_box(nearest), head, THRESHOLD));
}

#[divan::bench]
fn g_overlay(bencher: Bencher) {
    let journey = Journey::new();
    let spec = &journey.model.card().input;
    let bounds = preprocess::find(&journey.frame, spec)
        .unwrap()
        .map(|mark| mark.bounds);
    let sight = Sight::of(&journey.decision(&journey.probe), bounds, THRESHOLD);
    bencher.bench(|| Canvas::showing(black_box(&journey.frame), &sight).into_frame());
}

#[divan::bench]
fn whole(bencher: Bencher) {
    let journey = Journey::new();
    let spec = &journey.model.card().input;
    bencher.bench(|| {
        let frame = Frame::decode(black_box(&journey.jpeg), "frame").unwrap();
        let mark = preprocess::find(&frame, spec).unwrap();
        let patch = preprocess::patch_at(&frame, mark.as_ref(), spec).unwrap();
        let decision = journey.decision(&journey.model.embed(&patch).unwrap());
        let sight = Sight::of(&decision, mark.map(|mark| mark.bounds), THRESHOLD);
        Canvas::showing(&frame, &sight).into_frame()
    });
}
