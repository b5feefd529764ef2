//! Coded bits of a JPEG and the Huffman codes in them. Knows no blocks and no colours.

use super::Flaw;
use super::reader::Reader;
use super::walk::EOI;

/// Webcams put up to a handful of stray bytes before the last marker, in pictures that are whole.
pub(super) const STRAY_BYTES: usize = 8;
const LOOKUP_BITS: u32 = 9;

/// Codes and what they stand for.
pub(super) struct Huffman {
    /// By the next [`LOOKUP_BITS`]: (length, symbol); length 0 where the code is longer, or none.
    short: [(u8, u8); 1 << LOOKUP_BITS],
    /// By length less 1: the first code that is too high, in 16 bits, and what to add to a code to
    /// find its symbol.
    long: [(u32, i32); 16],
    symbols: [u8; 256],
}

impl Huffman {
    /// `counts` of codes by length, 1 to 16 bits; none if there are more codes than fit, or symbols
    /// than bytes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut short = [(0, 0); 1 << LOOKUP_BITS];
        let mut long = [(0, 0); 16];
        let (mut code, mut index) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            let first = index as i32 - code as i32;
            for _ in 0..count {
                if length <= LOOKUP_BITS {
                    let low = (code << (LOOKUP_BITS - length)) as usize;
                    let high = low + (1 << (LOOKUP_BITS - length));
                    short
                        .get_mut(low..high)?
                        .fill((length as u8, *symbols.get(index)?));
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return None;
            }
            long[length as usize - 1] = (code << (16 - length), first);
            code <<= 1;
        }
        let mut all = [0; 256];
        all.get_mut(..symbols.len())?.copy_from_slice(symbols);
        Some(Self {
            short,
            long,
            symbols: all,
        })
    }

    /// The code that the 16 bits of `window` begin with: (length, symbol).
    #[inline]
    fn find(&self, window: u32) -> Option<(u32, u8)> {
        let (length, symbol) = self.short[(window >> (16 - LOOKUP_BITS)) as usize];
        if length > 0 {
            return Some((u32::from(length), symbol));
        }
        for length in LOOKUP_BITS + 1..=16 {
            let (too_high, first) = self.long[length as usize - 1];
            if window < too_high {
                let index = (window >> (16 - length)) as i32 + first;
                return Some((length, *self.symbols.get(usize::try_from(index).ok()?)?));
            }
        }
        None
    }
}

/// Coded bits, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The lowest `count` bits are the next ones.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
        }
    }

    #[inline]
    fn fill(&mut self) {
        // Four at once where none of them is ff.
        if self.count <= 32
            && let Some(&[a, b, c, d]) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk)
            && [a, b, c, d].iter().all(|&byte| byte != 0xff)
        {
            self.at += 4;
            self.buffer = self.buffer << 32 | u64::from(u32::from_be_bytes([a, b, c, d]));
            self.count += 32;
            return;
        }
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            // ff 00 stands for ff; ff and anything else is a marker.
            if byte == 0xff && self.bytes.get(self.at + 1) != Some(&0) {
                return;
            }
            self.at += if byte == 0xff { 2 } else { 1 };
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    #[inline]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Flaw> {
        if self.count < 16 {
            self.fill();
        }
        let window = if self.count >= 16 {
            self.buffer >> (self.count - 16)
        } else {
            self.buffer << (16 - self.count)
        };
        let (length, symbol) = table.find(window as u32 & 0xffff).ok_or(Flaw::Code)?;
        self.skip(length)?;
        Ok(symbol)
    }

    #[inline]
    fn skip(&mut self, count: u32) -> Result<(), Flaw> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or(Flaw::Cut)?;
        Ok(())
    }

    /// A signed number of `size` bits: the lower half of the codes is negative.
    #[inline]
    pub(super) fn difference(&mut self, size: u32) -> Result<i32, Flaw> {
        self.skip(size)?;
        let code = (self.buffer >> self.count) as i32 & ((1 << size) - 1);
        let negative = size > 0 && code < 1 << (size - 1);
        Ok(if negative {
            code - (1 << size) + 1
        } else {
            code
        })
    }

    /// Whole bytes that are left before the next marker.
    fn left(&mut self) -> usize {
        let mut left = self.count as usize / 8;
        self.count = 0;
        loop {
            self.fill();
            if self.count == 0 {
                return left;
            }
            left += self.count as usize / 8;
            self.count = 0;
        }
    }

    /// Steps over the restart marker of this number, 0 to 7.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Flaw> {
        if self.left() > 0 {
            return Err(Flaw::Surplus);
        }
        let mut reader = Reader {
            bytes: self.bytes,
            at: self.at,
        };
        match reader.marker()? {
            code if code == 0xd0 + number => {
                self.at = reader.at;
                Ok(())
            }
            EOI => Err(Flaw::Cut),
            code => Err(Flaw::Marker(code)),
        }
    }

    /// Where the marker after the last block stands.
    pub(super) fn end(mut self) -> Result<usize, Flaw> {
        if self.left() > STRAY_BYTES {
            return Err(Flaw::Surplus);
        }
        Ok(self.at)
    }
}
