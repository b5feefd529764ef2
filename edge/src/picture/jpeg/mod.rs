//! Tells a whole JPEG from one that is cut or damaged, which decoders do not: they pad what is missing
//! and show it. Walks every segment and every coded bit of a sequential picture, and on the way decodes
//! its luma, for callers that need no colour.
//!
//! What it tells for certain: a picture that is cut anywhere, has a segment or marker that is broken,
//! missing or out of order, or codes fewer or more blocks than its size needs. What no reader can tell:
//! bits that changed into other valid codes with the same number of blocks, values of quantisation
//! tables, and comments.

mod bits;
mod luma;
mod reader;
mod tables;
#[cfg(test)]
mod tests;
mod walk;

use crate::kernel::Isa;
use crate::kernel::idct;
use luma::Luma;
use tables::STANDARD;
use walk::{Walk, walk};

/// What the header of a JPEG says, and where the picture ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// In pixels, 1 to 65,535.
    pub width: usize,
    /// In pixels, 1 to 65,535.
    pub height: usize,
    /// 1 (grey), 3 (colour) or 4 (CMYK).
    pub components: usize,
    /// Every coded bit was walked. A progressive picture is only followed from segment to segment.
    pub walked: bool,
    /// Without Huffman tables, as many webcams send it: the standard ones are meant.
    pub without_tables: bool,
    /// Its luma was decoded.
    pub has_luma: bool,
    /// How many bytes the picture has, from its first marker to its last; more may follow.
    pub bytes: usize,
}

/// Why a JPEG is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It ends early.
    #[error("it is cut off")]
    Cut,
    /// A segment is broken, by its kind.
    #[error("its {0} is broken")]
    Segment(&'static str),
    /// A segment is missing, stands twice or in the wrong place, by its kind.
    #[error("its {0} is missing or in the wrong place")]
    Order(&'static str),
    /// A marker that has no place where it stands.
    #[error("there is a marker ff {0:02x} where none belongs")]
    Marker(u8),
    /// Its coded data is no code, or codes levels that no picture has.
    #[error("its coded data is damaged")]
    Code,
    /// Its coded data goes on after the last block.
    #[error("it has more coded data than its size needs")]
    Surplus,
    /// It is of a kind that cameras do not send and this program does not read.
    #[error("it is an arithmetic, lossless, hierarchical or 12-bit JPEG")]
    Unsupported,
}

/// Walks the first picture in `bytes`.
///
/// # Errors
/// The first [`Flaw`] on the way.
pub fn outline(bytes: &[u8]) -> Result<Outline, Flaw> {
    walk(bytes, Walk::new(None))
}

/// Walks the first picture in `bytes`, and decodes its luma into `levels`, row by row, on the kernels of `isa`. Left undecoded is
/// what has no luma (RGB, CMYK), or one of less detail than its chroma, more than `most_pixels`, or a
/// progressive picture. Allocates nothing but what `levels` grows by.
///
/// # Errors
/// The first [`Flaw`] on the way; what `levels` holds is then of no use.
pub fn luma(
    isa: Isa,
    bytes: &[u8],
    most_pixels: u64,
    levels: &mut Vec<u8>,
) -> Result<Outline, Flaw> {
    let luma = Luma {
        most_pixels,
        transform: idct::transform(isa),
        levels,
        is_whole: false,
    };
    walk(bytes, Walk::new(Some(luma)))
}

/// `bytes` of a picture without Huffman tables, with the standard ones put in after its first marker.
pub fn with_standard_tables(bytes: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    for (info, counts, symbols) in &STANDARD {
        segment.push(*info);
        segment.extend(counts);
        segment.extend(*symbols);
    }
    let length = (segment.len() as u16 + 2).to_be_bytes();
    let (first, rest) = bytes.split_at(bytes.len().min(2));
    [first, &[0xff, 0xc4], &length, &segment, rest].concat()
}
