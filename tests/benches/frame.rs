//! What each stage of a frame's journey costs once the device runs, and the whole of it, in time and
//! allocations: `cargo bench -p onelook-tests --bench frame`. The frame is 640 x 480, a mark on a card: in
//! even light it is of two levels alone, in uneven light it is a scene.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;
use std::sync::Arc;

use divan::{AllocProfiler, Bencher, black_box};
use onelook_edge::camera::{Layout, Raw};
use onelook_edge::device::eye::{Care, Eye};
use onelook_edge::device::sight::{Sight, Tone};
use onelook_edge::gallery::Gallery;
use onelook_edge::gallery::decide;
use onelook_edge::model::{self, Model};
use onelook_edge::picture::frame::Frame;
use onelook_edge::picture::jpeg;
use onelook_edge::screen::overlay::Canvas;
use onelook_edge::vision::locate;
use onelook_edge::vision::preprocess::{self, CutMemory, Patch};
use onelook_edge::vision::quality::{self, JudgeMemory};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const CLASSES: usize = 1000;
const THRESHOLD: f32 = 0.9;

fn main() {
    divan::main();
}

/// The light that falls on the card.
const LIGHTS: [&str; 2] = ["even", "uneven"];

struct Journey {
    model: Model,
    jpeg: Vec<u8>,
    yuyv: Raw,
    gallery: Gallery,
    memory: Memory,
}

/// What a look works in, as a whole and part by part.
struct Memory {
    frame: Frame,
    eye: Eye,
    locate: locate::SearchMemory,
    judge: JudgeMemory,
    cut: CutMemory,
    patch: Patch,
    network: model::NetworkMemory,
}

impl Journey {
    fn in_light(light: &str) -> Self {
        let model = Model::from_bytes(model::SHIPPED, "shipped").unwrap();
        let is_even = light == LIGHTS[0];
        let frame = Frame::from_fn(640, 480, |x, y| {
            // A sloping stroke that turns back, on paper with grain.
            let (x, y) = (x as i32, y as i32);
            let grain = (x * 7919 + y * 104_729) % 13;
            let down = (x - 250 - (y - 180) / 2).abs() < 7 && (180..320).contains(&y);
            let back = (x - 320 + (y - 320) / 3).abs() < 7 && (200..326).contains(&y);
            let foot = (y - 320).abs() < 7 && (320..400).contains(&x);
            let level = if down || back || foot { 40 } else { 205 } + grain;
            (if is_even {
                level
            } else {
                level * (320 + x) / 1000
            }) as u8
        });
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85)
            .encode(
                frame.to_rgb().pixels(),
                640,
                480,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
        let yuyv = Raw {
            layout: Layout::Yuyv,
            width: 640,
            height: 480,
            stride: 2 * 640,
            full_range: false,
            bytes: Arc::new(frame.pixels().iter().flat_map(|&y| [y, 128]).collect()),
        };
        let patch = preprocess::patch(&frame, &model.card().input).unwrap();
        let probe = model.embed(&patch).unwrap();
        let mut gallery = Gallery::default();
        for class in 0..CLASSES {
            let moved = |(j, x): (usize, &f32)| x + ((class * 31 + j * 7) % 97) as f32 / 97.0;
            let template = probe.iter().enumerate().map(moved).collect();
            gallery.enroll(&class.to_string(), template);
        }
        gallery.index(model.head(), NonZeroUsize::MIN);
        let memory = Memory {
            network: model.memory(),
            eye: Eye::new(model.clone()),
            frame,
            locate: locate::SearchMemory::default(),
            judge: JudgeMemory::default(),
            cut: CutMemory::default(),
            patch,
        };
        Self {
            model,
            jpeg,
            yuyv,
            gallery,
            memory,
        }
    }
}

/// From the frame that is in memory to the decision.
fn decided(model: &Model, gallery: &Gallery, memory: &mut Memory) -> decide::Decision {
    let head = model.head();
    let look = memory.eye.look(&memory.frame, Care::Measure).unwrap();
    let nearest = gallery.nearest(look.embedding.unwrap(), head);
    decide::identify(nearest, head, head.limit(THRESHOLD))
}

#[divan::bench(args = LIGHTS)]
fn a_decode_mjpeg(bencher: Bencher, light: &str) {
    let Journey { jpeg, memory, .. } = &mut Journey::in_light(light);
    bencher.bench_local(|| {
        memory
            .frame
            .read_jpeg(black_box(jpeg), "frame", true)
            .unwrap()
    });
}

/// The walk that shows whether a picture is whole, without its luma: a part of `a_decode_mjpeg`.
#[divan::bench(args = LIGHTS)]
fn a_outline_alone(bencher: Bencher, light: &str) {
    let Journey { jpeg, .. } = &Journey::in_light(light);
    bencher.bench_local(|| jpeg::outline(black_box(jpeg)).unwrap());
}

/// What `a_decode_mjpeg` would be with another decoder: the same walk, then zune-jpeg's luma.
#[divan::bench(args = LIGHTS)]
fn a_outline_and_zune_luma(bencher: Bencher, light: &str) {
    let Journey { jpeg, .. } = &Journey::in_light(light);
    let mut levels = vec![0; 640 * 480];
    bencher.bench_local(|| {
        let outline = jpeg::outline(black_box(jpeg)).unwrap();
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .jpeg_set_out_colorspace(ColorSpace::Luma);
        JpegDecoder::new_with_options(ZCursor::new(&jpeg[..outline.bytes]), options)
            .decode_into(&mut levels)
            .unwrap();
    });
}

#[divan::bench(args = LIGHTS)]
fn a_decode_mjpeg_in_colour(bencher: Bencher, light: &str) {
    let Journey { jpeg, memory, .. } = &mut Journey::in_light(light);
    bencher.bench_local(|| {
        memory
            .frame
            .read_jpeg(black_box(jpeg), "frame", false)
            .unwrap()
    });
}

#[divan::bench(args = LIGHTS)]
fn a_decode_yuyv(bencher: Bencher, light: &str) {
    let Journey { yuyv, memory, .. } = &mut Journey::in_light(light);
    bencher.bench_local(|| {
        black_box(&*yuyv)
            .read_into(&mut memory.frame, true)
            .unwrap()
    });
}

#[divan::bench(args = LIGHTS)]
fn b_locate(bencher: Bencher, light: &str) {
    let Journey { model, memory, .. } = &mut Journey::in_light(light);
    let spec = &model.card().input;
    let Memory { frame, locate, .. } = memory;
    bencher.bench_local(|| {
        preprocess::find(black_box(frame), spec, locate)
            .unwrap()
            .bounds()
    });
}

#[divan::bench(args = LIGHTS)]
fn c_judge(bencher: Bencher, light: &str) {
    let Journey { model, memory, .. } = &mut Journey::in_light(light);
    let spec = &model.card().input;
    let Memory {
        frame,
        locate,
        judge,
        ..
    } = memory;
    let thing = preprocess::find(frame, spec, locate).unwrap();
    bencher.bench_local(|| quality::of_in(black_box(frame), thing, spec, judge));
}

#[divan::bench(args = LIGHTS)]
fn d_patch(bencher: Bencher, light: &str) {
    let Journey { model, memory, .. } = &mut Journey::in_light(light);
    let spec = &model.card().input;
    let Memory {
        frame,
        locate,
        cut,
        patch,
        ..
    } = memory;
    let thing = preprocess::find(frame, spec, locate).unwrap();
    bencher.bench_local(|| {
        preprocess::patch_in(black_box(frame), thing, spec, cut, patch).unwrap();
    });
}

#[divan::bench(args = LIGHTS)]
fn e_embed(bencher: Bencher, light: &str) {
    let Journey { model, memory, .. } = &mut Journey::in_light(light);
    let Memory { patch, network, .. } = memory;
    bencher.bench_local(|| model.embed_in(network, black_box(patch)).unwrap()[0]);
}

#[divan::bench(args = LIGHTS)]
fn f_match_1000_and_decide(bencher: Bencher, light: &str) {
    let Journey {
        model,
        gallery,
        memory,
        ..
    } = &mut Journey::in_light(light);
    let head = model.head();
    let (probe, limit) = (model.embed(&memory.patch).unwrap(), head.limit(THRESHOLD));
    bencher.bench_local(|| decide::identify(gallery.nearest(black_box(&probe), head), head, limit));
}

#[divan::bench(args = LIGHTS)]
fn g_draw(bencher: Bencher, light: &str) {
    let Journey { memory, .. } = &mut Journey::in_light(light);
    let look = memory.eye.look(&memory.frame, Care::None).unwrap();
    let sight = Sight {
        bounds: look.bounds(),
        p: Some((0.95, THRESHOLD)),
        ..Sight::saying("class 7", Tone::Match)
    };
    bencher.bench_local(|| Canvas::showing(black_box(&memory.frame), &sight).into_frame());
}

/// From the bytes of a picture to the decision.
#[divan::bench(args = LIGHTS)]
fn whole_mjpeg(bencher: Bencher, light: &str) {
    let Journey {
        model,
        jpeg,
        gallery,
        memory,
        ..
    } = &mut Journey::in_light(light);
    bencher.bench_local(|| {
        memory
            .frame
            .read_jpeg(black_box(jpeg), "frame", true)
            .unwrap();
        decided(model, gallery, memory)
    });
}

#[divan::bench(args = LIGHTS)]
fn whole_yuyv(bencher: Bencher, light: &str) {
    let Journey {
        model,
        yuyv,
        gallery,
        memory,
        ..
    } = &mut Journey::in_light(light);
    bencher.bench_local(|| {
        black_box(&*yuyv)
            .read_into(&mut memory.frame, true)
            .unwrap();
        decided(model, gallery, memory)
    });
}
