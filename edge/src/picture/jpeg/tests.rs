use super::bits::STRAY_BYTES;
use super::*;
use crate::kernel;
use crate::picture::frame::Frame;

// 61x43, written by libjpeg-turbo.
const RESTARTS: &[u8] = include_bytes!("../../../tests/fixtures/420-restarts.jpg");
const HALF: &[u8] = include_bytes!("../../../tests/fixtures/422.jpg");
const OPTIMISED: &[u8] = include_bytes!("../../../tests/fixtures/444-optimised.jpg");
const GREY: &[u8] = include_bytes!("../../../tests/fixtures/grey.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../../../tests/fixtures/progressive.jpg");
const CMYK: &[u8] = include_bytes!("../../../tests/fixtures/cmyk.jpg");
const SEQUENTIAL: [&[u8]; 5] = [RESTARTS, HALF, OPTIMISED, GREY, CMYK];

fn isa() -> Isa {
    kernel::chosen().unwrap()
}

/// Where a segment of this marker begins, its ff included.
fn place(bytes: &[u8], marker: u8) -> usize {
    let mut at = 2;
    while bytes[at + 1] != marker {
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
    at
}

/// Without its segments of this marker.
fn without(bytes: &[u8], marker: u8) -> Vec<u8> {
    let (mut kept, mut at) = (bytes[..2].to_vec(), 2);
    while bytes[at + 1] != 0xda {
        let next = at + 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] != marker {
            kept.extend(&bytes[at..next]);
        }
        at = next;
    }
    kept.extend(&bytes[at..]);
    kept
}

fn with_byte(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] = byte;
    changed
}

#[test]
fn what_libjpeg_writes_is_whole() {
    for (bytes, components) in SEQUENTIAL.into_iter().zip([3, 3, 3, 1, 4]) {
        let whole = Outline {
            width: 61,
            height: 43,
            components,
            walked: true,
            without_tables: false,
            has_luma: false,
            bytes: bytes.len(),
        };
        assert_eq!(outline(bytes), Ok(whole));
        // What follows is not its business.
        assert_eq!(outline(&[bytes, b"more"].concat()), Ok(whole));
    }
    assert!(outline(PROGRESSIVE).is_ok_and(|outline| !outline.walked));
    assert!(Frame::decode(PROGRESSIVE, "file").is_ok());
    assert!(Frame::decode_jpeg(PROGRESSIVE, "stream", false).is_err());
    assert!(Frame::decode(CMYK, "file").is_ok_and(|frame| frame.channels() == 3));
}

#[test]
fn a_picture_that_is_cut_anywhere_is_not_whole() {
    for bytes in SEQUENTIAL {
        let scan = place(bytes, 0xda);
        for end in 0..bytes.len() {
            assert!(outline(&bytes[..end]).is_err(), "at {end}");
            // With the end marker put back, as a camera's driver does.
            let closed = [&bytes[..end], &[0xff, 0xd9]].concat();
            // The last byte of coded data may hold filling alone.
            if end > scan && end + 3 < bytes.len() {
                assert!(
                    outline(&closed).is_err(),
                    "closed at {end} of {}",
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn grey_is_the_luma_of_the_colours() {
    for bytes in [RESTARTS, HALF, OPTIMISED, GREY] {
        let grey = Frame::decode_jpeg(bytes, "a", true).unwrap();
        let colour = Frame::decode_jpeg(bytes, "a", false).unwrap();
        assert_eq!((grey.width(), grey.height(), grey.channels()), (61, 43, 1));
        let luma = colour.to_grey();
        // Colours are rounded and clamped; luma is not.
        let apart = grey
            .pixels()
            .iter()
            .zip(luma.pixels())
            .map(|(a, b)| a.abs_diff(*b));
        let apart: Vec<u8> = apart.collect();
        let far = apart.iter().filter(|&&levels| levels > 2).count();
        assert!(far * 20 < apart.len(), "{far} of {}", apart.len());
    }
}

/// The luma of a picture as zune-jpeg decodes it.
fn peer_luma(bytes: &[u8]) -> Vec<u8> {
    use zune_jpeg::zune_core::{
        bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions,
    };
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::Luma);
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options)
        .decode()
        .unwrap()
}

fn levels(bytes: &[u8]) -> (Outline, Vec<u8>) {
    // What was there before is of no account.
    let mut levels = vec![77; 100];
    (luma(isa(), bytes, 1 << 20, &mut levels).unwrap(), levels)
}

#[test]
fn luma_is_the_same_as_another_decoder_gives() {
    for bytes in [RESTARTS, HALF, OPTIMISED, GREY] {
        let (outline, levels) = levels(bytes);
        assert!(outline.has_luma && levels == peer_luma(bytes));
    }
    for (width, height, quality) in [(1, 1, 50), (8, 8, 1), (17, 90, 30), (320, 9, 100)] {
        let frame = Frame::from_fn(width, height, |x, y| {
            (x * x * 7 + y * 13 + (x ^ y) * 29) as u8
        });
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode(
                frame.to_rgb().pixels(),
                width as u32,
                height as u32,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
        let (outline, levels) = levels(&bytes);
        assert!(
            outline.has_luma && levels == peer_luma(&bytes),
            "{width}x{height}"
        );
    }
}

#[test]
fn what_has_no_luma_of_full_detail_or_too_much_of_it_is_left_undecoded() {
    assert!(!levels(CMYK).0.has_luma && !levels(PROGRESSIVE).0.has_luma);
    assert!(
        !luma(isa(), GREY, 61 * 43 - 1, &mut Vec::new())
            .unwrap()
            .has_luma
    );
    // Components called R, G and B, in frame and scan header.
    let (frame, scan) = (place(OPTIMISED, 0xc0), place(OPTIMISED, 0xda));
    let mut rgb = OPTIMISED.to_vec();
    for (number, name) in b"RGB".iter().enumerate() {
        rgb[frame + 10 + 3 * number] = *name;
        rgb[scan + 5 + 2 * number] = *name;
    }
    assert!(levels(OPTIMISED).0.has_luma && !levels(&rgb).0.has_luma);
    // Adobe says that they are no luma and chroma.
    let adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    let told = [&OPTIMISED[..2], adobe, &OPTIMISED[2..]].concat();
    assert!(!levels(&told).0.has_luma);
}

#[test]
fn a_picture_without_tables_means_the_standard_ones() {
    // The 4:2:2 picture was written with them; the optimised one was not.
    let bare = without(HALF, 0xc4);
    assert!(outline(&bare).is_ok_and(|outline| outline.without_tables));
    let whole = Frame::decode_jpeg(HALF, "a", false).unwrap();
    assert_eq!(Frame::decode_jpeg(&bare, "a", false).unwrap(), whole);
    assert!(outline(&without(OPTIMISED, 0xc4)).is_err());
}

#[test]
fn restarts_must_come_in_their_order_and_in_their_places() {
    let scan = place(RESTARTS, 0xda);
    let restarts: Vec<usize> = (scan..RESTARTS.len() - 1)
        .filter(|&at| RESTARTS[at] == 0xff && (0xd0..=0xd7).contains(&RESTARTS[at + 1]))
        .collect();
    // 4 by 3 units, a restart between every two.
    assert_eq!(restarts.len(), 5);
    for &at in &restarts {
        assert_eq!(
            outline(&with_byte(RESTARTS, at + 1, 0xd7)),
            Err(Flaw::Marker(0xd7))
        );
        let missing = [&RESTARTS[..at], &RESTARTS[at + 2..]].concat();
        assert!(outline(&missing).is_err());
    }
    let lost = [&RESTARTS[..restarts[1]], &RESTARTS[restarts[2]..]].concat();
    assert!(matches!(outline(&lost), Err(Flaw::Marker(_))));
}

#[test]
fn a_broken_header_is_told_by_its_part() {
    let frame = place(GREY, 0xc0);
    let twice = [&GREY[..frame], &GREY[frame..frame + 13], &GREY[frame..]].concat();
    assert_eq!(outline(&twice), Err(Flaw::Order("frame header")));
    for (at, byte) in [(3, 99), (4, 1), (6, 0), (8, 0), (9, 2), (11, 0x51), (12, 9)] {
        let mut changed = with_byte(GREY, frame + at, byte);
        // A side of 0 has both bytes 0.
        if at == 6 || at == 8 {
            changed[frame + at - 1] = 0;
        }
        assert_eq!(
            outline(&changed),
            Err(Flaw::Segment("frame header")),
            "{at}"
        );
    }
    assert_eq!(
        outline(&with_byte(GREY, frame + 4, 12)),
        Err(Flaw::Unsupported)
    );
    assert_eq!(
        outline(&with_byte(GREY, frame + 1, 0xc9)),
        Err(Flaw::Unsupported)
    );
    assert_eq!(
        outline(&with_byte(GREY, frame + 1, 0x02)),
        Err(Flaw::Marker(0x02))
    );
    // Two rows of blocks fewer, and one more.
    assert_eq!(outline(&with_byte(GREY, frame + 6, 30)), Err(Flaw::Surplus));
    assert_eq!(outline(&with_byte(GREY, frame + 6, 52)), Err(Flaw::Cut));
    let table = place(GREY, 0xdb);
    assert_eq!(
        outline(&without(GREY, 0xdb)),
        Err(Flaw::Order("quantisation table"))
    );
    let zero = outline(&with_byte(GREY, table + 9, 0));
    assert_eq!(zero, Err(Flaw::Segment("quantisation table")));
    let codes = place(GREY, 0xc4);
    let many = outline(&with_byte(GREY, codes + 5, 3));
    assert_eq!(many, Err(Flaw::Segment("Huffman table")));
    let scan = place(GREY, 0xda);
    for at in [4, 5, 7, 8, 9] {
        assert!(outline(&with_byte(GREY, scan + at, 77)).is_err(), "{at}");
    }
    assert_eq!(outline(b""), Err(Flaw::Cut));
    assert_eq!(outline(b"BM"), Err(Flaw::Order("first marker")));
    assert_eq!(
        outline(&[0xff, 0xd8, 0xff, 0xd9]),
        Err(Flaw::Order("frame header"))
    );
}

#[test]
fn stray_bytes_before_the_end_are_a_handful_at_most() {
    let (data, end) = GREY.split_at(GREY.len() - 2);
    let strayed = |count| [data, &vec![0x55; count], end].concat();
    assert!(outline(&strayed(STRAY_BYTES)).is_ok());
    assert_eq!(outline(&strayed(STRAY_BYTES + 1)), Err(Flaw::Surplus));
}
