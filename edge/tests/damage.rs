//! Outside data may be anything: no picture, stream or model file makes the program panic.

#![allow(clippy::panic)] // the helper is a test's, too

use std::io::Cursor;
use std::path::Path;

use onelook_edge::camera::MotionJpeg;
use onelook_edge::model::{Model, SHIPPED};
use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::keepsake::keepsake;
use onelook_edge::vision::preprocess::{Crop, InputSpec, Scaling, patch};
use proptest::prelude::*;

const CLIP: &[u8] = onelook_edge::clip::CLIP;

fn spec() -> InputSpec {
    InputSpec {
        channels: 1,
        side_px: 32,
        crop: Crop::Mark { margin: 0.08 },
        scaling: Scaling::InkIsOne,
    }
}

/// A picture of each kind, small enough to be mutated often.
fn pictures() -> Vec<Vec<u8>> {
    let frame = Frame::from_fn(23, 17, |x, y| if (x * y) % 7 < 3 { 10 } else { 240 });
    let Ok(png) = frame.to_png() else {
        panic!("a frame has a PNG");
    };
    let pgm = [b"P5 23 17 255\n", frame.pixels()].concat();
    let ppm = [b"P6 23 17 255\n", frame.to_rgb().pixels()].concat();
    let end = CLIP.windows(2).position(|pair| pair == [0xff, 0xd9]);
    let jpeg = CLIP[..end.map_or(0, |end| end + 2)].to_vec();
    let mut bmp = Cursor::new(Vec::new());
    let encoder = image::codecs::bmp::BmpEncoder::new(&mut bmp);
    let grey = image::ExtendedColorType::L8;
    let encoded = image::ImageEncoder::write_image(encoder, frame.pixels(), 23, 17, grey);
    assert!(encoded.is_ok());
    vec![png, pgm, ppm, jpeg, bmp.into_inner()]
}

/// Bytes changed at places given as shares of the length, then cut.
fn mutated(bytes: &[u8], changes: &[(f64, u8)], keep: f64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, byte) in changes {
        let at = (place * bytes.len() as f64) as usize;
        bytes[at] = *byte;
    }
    bytes.truncate((keep * bytes.len() as f64).ceil() as usize);
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(f64, u8)>> {
    prop::collection::vec((0.0..1.0f64, any::<u8>()), 0..6)
}

/// Mostly whole: a cut file is refused early.
fn keep() -> impl Strategy<Value = f64> {
    prop_oneof![4 => Just(1.0), 1 => 0.0..1.0f64]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_mutated_picture_is_a_frame_or_an_error(
        which in 0..5usize, changes in changes(), keep in keep()
    ) {
        let bytes = mutated(&pictures()[which], &changes, keep);
        if let Ok(frame) = Frame::decode(&bytes, "mutated") {
            if let Ok(patch) = patch(&frame, &spec()) {
                prop_assert!(patch.0.iter().all(|v| (0.0..=1.0).contains(v)));
            }
            let _ = keepsake(&frame, &spec(), 64);
        }
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Frame::decode(&bytes, "any");
        for frame in MotionJpeg::new(&bytes[..], "any") {
            let _ = frame;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_mutated_stream_gives_frames_and_errors_and_ends(changes in changes(), keep in keep()) {
        let bytes = mutated(&CLIP[..20_000], &changes, keep);
        prop_assert!(MotionJpeg::new(&bytes[..], "mutated").count() <= 10_000);
    }

    #[test]
    fn a_mutated_model_is_refused_or_the_same(changes in changes(), keep in keep()) {
        let bytes = mutated(SHIPPED, &changes, keep);
        if let Ok(model) = Model::from_bytes(&bytes, "mutated") {
            let whole = Model::load(Path::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../models/omniglot/model.onnx"
            )));
            prop_assert!(whole.is_ok_and(|whole| whole.id() == model.id()));
        }
    }
}
