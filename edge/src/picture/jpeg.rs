//! Tells a whole JPEG from one that is cut or damaged, which decoders do not: they pad what is missing
//! and show it. Walks every segment and every coded bit of a sequential picture, and on the way decodes
//! its luma for those who want no more.
//!
//! What it tells for certain: a picture that is cut anywhere, has a segment or marker that is broken,
//! missing or out of order, or codes fewer or more blocks than its size needs. What no reader can tell:
//! bits that changed into other valid codes with the same number of blocks, values of quantisation
//! tables, and comments.

use crate::kernel::Isa;
use crate::kernel::idct::{self, Transform};

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

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
/// Webcams put up to a handful of stray bytes before the last marker, in pictures that are whole.
const STRAY_BYTES: usize = 8;
/// How far rounding may take a mean level beyond the 8 bits that a picture has.
const LEVEL_SLACK: i32 = 32;
const LOOKUP_BITS: u32 = 9;

/// Walks the first picture in `bytes`.
///
/// # Errors
/// The first [`Flaw`] on the way.
pub fn outline(bytes: &[u8]) -> Result<Outline, Flaw> {
    walk(bytes, Walk::default())
}

/// Walks the first picture in `bytes`, and decodes its luma into `levels`, row by row. Left undecoded is
/// what has no luma (RGB, CMYK), or one of less detail than its chroma, more than `most_pixels`, or a
/// progressive picture. Allocates nothing but what `levels` grows by.
///
/// # Errors
/// The first [`Flaw`] on the way; what `levels` holds is then of no use.
pub fn luma(bytes: &[u8], most_pixels: u64, levels: &mut Vec<u8>) -> Result<Outline, Flaw> {
    let fastest = Isa::here().next().unwrap_or(Isa::Scalar);
    let luma = Luma {
        most_pixels,
        transform: idct::transform(fastest),
        levels,
        is_whole: false,
    };
    walk(
        bytes,
        Walk {
            luma: Some(luma),
            ..Walk::default()
        },
    )
}

fn walk(bytes: &[u8], mut walk: Walk) -> Result<Outline, Flaw> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(2)? != [0xff, SOI] {
        return Err(Flaw::Order("first marker"));
    }
    loop {
        match reader.marker()? {
            EOI => return walk.end(reader.at),
            0xc0 | 0xc1 => walk.frame(reader.segment()?, true)?,
            0xc2 => walk.frame(reader.segment()?, false)?,
            0xc4 => walk.huffman(reader.segment()?)?,
            0xdb => walk.quantisation(reader.segment()?)?,
            0xdd => walk.restarts(reader.segment()?)?,
            0xda => {
                let header = reader.segment()?;
                reader.at = walk.scan(header, bytes, reader.at)?;
            }
            0xee => walk.adobe(reader.segment()?),
            0xe0..=0xef | 0xfe => {
                reader.segment()?;
            }
            0xc3 | 0xc5..=0xcf | 0xdc | 0xde | 0xdf => return Err(Flaw::Unsupported),
            other => return Err(Flaw::Marker(other)),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let end = self.at.checked_add(count).ok_or(Flaw::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(Flaw::Cut)?;
        self.at = end;
        Ok(taken)
    }

    /// The next marker's code. Any number of ff may stand before it, nothing else.
    fn marker(&mut self) -> Result<u8, Flaw> {
        if self.take(1)? != [0xff] {
            return Err(Flaw::Order("next marker"));
        }
        loop {
            match self.take(1)?[0] {
                0xff => {}
                code => return Ok(code),
            }
        }
    }

    /// What a segment holds after its length.
    fn segment(&mut self) -> Result<&'a [u8], Flaw> {
        let length = self.take(2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        self.take(
            length
                .checked_sub(2)
                .ok_or(Flaw::Segment("segment length"))?,
        )
    }
}

/// What has been read of a picture so far.
#[derive(Default)]
struct Walk<'a> {
    size: Option<(usize, usize)>,
    sequential: bool,
    components: [Component; 4],
    /// How many of them there are.
    count: usize,
    /// In the order in which coefficients are coded.
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    any_tables: bool,
    without_tables: bool,
    /// 0 for none.
    restart_interval: usize,
    /// What colours mean, by Adobe's segment: 1 for luma and chroma.
    transform: Option<u8>,
    luma: Option<Luma<'a>>,
}

#[derive(Clone, Copy, Default)]
struct Component {
    id: u8,
    across: usize,
    down: usize,
    quantisation: usize,
    scanned: bool,
}

/// Where luma goes.
struct Luma<'a> {
    most_pixels: u64,
    transform: Transform,
    levels: &'a mut Vec<u8>,
    is_whole: bool,
}

impl Walk<'_> {
    fn components(&self) -> &[Component] {
        &self.components[..self.count]
    }

    fn end(&self, bytes: usize) -> Result<Outline, Flaw> {
        let (width, height) = self.size.ok_or(Flaw::Order("frame header"))?;
        if !self.components().iter().all(|component| component.scanned) {
            return Err(Flaw::Order("coded data"));
        }
        Ok(Outline {
            width,
            height,
            components: self.count,
            walked: self.sequential,
            without_tables: self.without_tables,
            has_luma: self.luma.as_ref().is_some_and(|luma| luma.is_whole),
            bytes,
        })
    }

    fn frame(&mut self, segment: &[u8], sequential: bool) -> Result<(), Flaw> {
        const BROKEN: Flaw = Flaw::Segment("frame header");
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = segment else {
            return Err(BROKEN);
        };
        if self.size.is_some() {
            return Err(Flaw::Order("frame header"));
        }
        if precision != 8 {
            return Err(if precision == 12 {
                Flaw::Unsupported
            } else {
                BROKEN
            });
        }
        let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
        let (components, rest) = components.as_chunks::<3>();
        let fits = components.len() == usize::from(count) && rest.is_empty();
        if height == 0 || width == 0 || !matches!(count, 1 | 3 | 4) || !fits {
            return Err(BROKEN);
        }
        for &[id, sampling, quantisation] in components {
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            let known = self.components().iter().any(|other| other.id == id);
            let factors = 1..=4;
            if known || quantisation > 3 || !factors.contains(&across) || !factors.contains(&down) {
                return Err(BROKEN);
            }
            self.components[self.count] = Component {
                id,
                across,
                down,
                quantisation: usize::from(quantisation),
                scanned: false,
            };
            self.count += 1;
        }
        self.size = Some((usize::from(width), usize::from(height)));
        self.sequential = sequential;
        Ok(())
    }

    fn quantisation(&mut self, mut segment: &[u8]) -> Result<(), Flaw> {
        const BROKEN: Flaw = Flaw::Segment("quantisation table");
        while let [info, rest @ ..] = segment {
            let (wide, id) = (usize::from(info >> 4), usize::from(info & 15));
            let values = rest.get(..64 * (wide + 1)).ok_or(BROKEN)?;
            if wide > 1 || id > 3 {
                return Err(BROKEN);
            }
            let mut table = [0; 64];
            for (step, value) in table.iter_mut().zip(values.chunks(wide + 1)) {
                *step = value
                    .iter()
                    .fold(0, |step, &byte| step << 8 | u16::from(byte));
            }
            if table.contains(&0) {
                return Err(BROKEN);
            }
            self.quantisation[id] = Some(table);
            segment = &rest[values.len()..];
        }
        Ok(())
    }

    fn huffman(&mut self, mut segment: &[u8]) -> Result<(), Flaw> {
        const BROKEN: Flaw = Flaw::Segment("Huffman table");
        self.any_tables = true;
        while let [info, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(BROKEN)?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = rest.get(..total).ok_or(BROKEN)?;
            let tables = match info >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(BROKEN),
            };
            let table = tables.get_mut(usize::from(info & 15)).ok_or(BROKEN)?;
            *table = Some(Huffman::new(counts, symbols).ok_or(BROKEN)?);
            segment = &rest[total..];
        }
        Ok(())
    }

    fn adobe(&mut self, segment: &[u8]) {
        if let [b'A', b'd', b'o', b'b', b'e', ..] = segment {
            self.transform = segment.get(11).copied();
        }
    }

    fn restarts(&mut self, segment: &[u8]) -> Result<(), Flaw> {
        let &[high, low] = segment else {
            return Err(Flaw::Segment("restart interval"));
        };
        self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
        Ok(())
    }

    /// Walks the coded data at `at`; where the next marker stands.
    fn scan(&mut self, header: &[u8], bytes: &[u8], at: usize) -> Result<usize, Flaw> {
        const BROKEN: Flaw = Flaw::Segment("scan header");
        let size = self.size.ok_or(Flaw::Order("frame header"))?;
        let (&count, rest) = header.split_first().ok_or(BROKEN)?;
        let (chosen, progression) = rest
            .split_at_checked(2 * usize::from(count))
            .ok_or(BROKEN)?;
        if count == 0 || progression.len() != 3 {
            return Err(BROKEN);
        }
        if !self.sequential {
            for component in &mut self.components {
                component.scanned = true;
            }
            return skip_scan(bytes, at);
        }
        if progression != [0, 63, 0] {
            return Err(BROKEN);
        }
        if !self.any_tables {
            let [dc, ac] = standard_tables();
            (self.dc, self.ac) = (dc, ac);
            self.without_tables = true;
        }
        let table = |tables: &[Option<Huffman>; 4], id: u8| match tables.get(usize::from(id)) {
            Some(Some(_)) => Ok(usize::from(id)),
            _ => Err(Flaw::Order("Huffman table")),
        };
        let most =
            |side: fn(&Component) -> usize| self.components().iter().map(side).max().unwrap_or(1);
        let (most_across, most_down) = (most(|c| c.across), most(|c| c.down));
        let (pairs, _) = chosen.as_chunks::<2>();
        let mut parts = [Part::default(); 4];
        let parts = parts.get_mut(..pairs.len()).ok_or(BROKEN)?;
        let alone = parts.len() == 1;
        for (part, &[id, tables]) in parts.iter_mut().zip(pairs) {
            let known = self.components().iter().position(|other| other.id == id);
            let index = known.ok_or(BROKEN)?;
            let component = self.components[index];
            if std::mem::replace(&mut self.components[index].scanned, true) {
                return Err(Flaw::Order("coded data"));
            }
            let steps = self.quantisation[component.quantisation];
            *part = Part {
                index,
                dc: table(&self.dc, tables >> 4)?,
                ac: table(&self.ac, tables & 15)?,
                // A component alone is coded without the blocks that only fill a unit up.
                across: if alone { 1 } else { component.across },
                down: if alone { 1 } else { component.down },
                steps: steps.ok_or(Flaw::Order("quantisation table"))?,
                level: 0,
            };
        }
        if parts
            .iter()
            .map(|part| part.across * part.down)
            .sum::<usize>()
            > 10
        {
            return Err(BROKEN);
        }
        let units = |side: usize, own: usize, most: usize| {
            if alone {
                (side * own).div_ceil(most).div_ceil(8)
            } else {
                side.div_ceil(8 * most)
            }
        };
        let first = self.components[parts[0].index];
        let units = (
            units(size.0, first.across, most_across),
            units(size.1, first.down, most_down),
        );
        let mut luma = self.luma.take();
        let decoded = luma.as_mut().filter(|luma| {
            parts.iter().any(|part| part.index == 0)
                && (self.components[0].across, self.components[0].down) == (most_across, most_down)
                && self.is_luma_first()
                && size.0 as u64 * size.1 as u64 <= luma.most_pixels
        });
        let end = self.walk_units(parts, units, size, decoded, Bits::new(bytes, at));
        self.luma = luma;
        end
    }

    /// Whether the first component is luma.
    fn is_luma_first(&self) -> bool {
        match self.components() {
            [_] => true,
            [r, g, b] => {
                [r.id, g.id, b.id] != *b"RGB" && self.transform.is_none_or(|kind| kind == 1)
            }
            _ => false,
        }
    }

    fn walk_units(
        &self,
        parts: &mut [Part],
        (across, down): (usize, usize),
        size: (usize, usize),
        mut luma: Option<&mut Luma>,
        mut bits: Bits,
    ) -> Result<usize, Flaw> {
        if let Some(luma) = &mut luma {
            luma.levels.resize(size.0 * size.1, 0);
        }
        let mut restarts = 0;
        for unit in 0..across * down {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                bits.restart(restarts)?;
                restarts = (restarts + 1) % 8;
                parts.iter_mut().for_each(|part| part.level = 0);
            }
            for part in &mut *parts {
                let (Some(dc), Some(ac)) = (&self.dc[part.dc], &self.ac[part.ac]) else {
                    return Err(Flaw::Order("Huffman table"));
                };
                for block in 0..part.across * part.down {
                    let luma = luma.as_mut().filter(|_| part.index == 0);
                    let Some(luma) = luma else {
                        walk_block(&mut bits, dc, ac, part, |_, _| {})?;
                        continue;
                    };
                    let (mut coefficients, mut is_flat) = ([0; 64], true);
                    let steps = part.steps;
                    walk_block(&mut bits, dc, ac, part, |at, value| {
                        coefficients[ZIGZAG[at]] = value * i32::from(steps[at]);
                        is_flat &= at == 0;
                    })?;
                    let x = unit % across * part.across + block % part.across;
                    let y = unit / across * part.down + block / part.across;
                    luma.put((8 * x, 8 * y), size, &coefficients, is_flat);
                }
            }
        }
        if let Some(luma) = luma {
            luma.is_whole = true;
        }
        bits.end()
    }
}

impl Luma<'_> {
    /// Puts a block at its place, without what lies beyond the picture.
    fn put(
        &mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        coefficients: &[i32; 64],
        is_flat: bool,
    ) {
        if x >= width || y >= height {
            return;
        }
        let block = if is_flat {
            // What the transform makes of it.
            [((coefficients[0] + 4 + 8 * 128) >> 3).clamp(0, 255) as u8; 64]
        } else {
            (self.transform)(coefficients)
        };
        let rows = self.levels.chunks_exact_mut(width).skip(y);
        for (row, levels) in rows.zip(block.as_chunks::<8>().0) {
            match row[x..].first_chunk_mut::<8>() {
                Some(row) => *row = *levels,
                None => row[x..].copy_from_slice(&levels[..width - x]),
            }
        }
    }
}

/// A component's part in a scan.
#[derive(Clone, Copy)]
struct Part {
    /// The component.
    index: usize,
    dc: usize,
    ac: usize,
    /// Blocks in each unit.
    across: usize,
    down: usize,
    steps: [u16; 64],
    /// The mean level of its last block, quantised.
    level: i32,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            index: 0,
            dc: 0,
            ac: 0,
            across: 0,
            down: 0,
            steps: [1; 64],
            level: 0,
        }
    }
}

/// Where coefficients stand in their block, in the order in which they are coded: ITU-T T.81, figure A.6.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Walks a block; `put` is told which coefficient it is, as they are coded, and its quantised value.
fn walk_block(
    bits: &mut Bits,
    dc: &Huffman,
    ac: &Huffman,
    part: &mut Part,
    mut put: impl FnMut(usize, i32),
) -> Result<(), Flaw> {
    let size = bits.symbol(dc)?;
    if size > 11 {
        return Err(Flaw::Code);
    }
    part.level += bits.difference(u32::from(size))?;
    let step = i32::from(part.steps[0]);
    // 64 samples of -128 to 127, over 8.
    if (part.level * step).abs() > 1024 + step + LEVEL_SLACK {
        return Err(Flaw::Code);
    }
    put(0, part.level);
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(ac)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        let value = match (zeros, size) {
            (0, 0) => break,
            (15, 0) => {
                at += 16;
                None
            }
            (_, 1..=10) => {
                at += zeros;
                Some(bits.difference(size)?)
            }
            _ => return Err(Flaw::Code),
        };
        // Sixteen zeros are coded only where something follows.
        if at > 63 {
            return Err(Flaw::Code);
        }
        if let Some(value) = value {
            put(at, value);
            at += 1;
        }
    }
    Ok(())
}

/// Where the marker stands that ends the coded data of a progressive scan.
fn skip_scan(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
    loop {
        match bytes.get(at..at + 2).ok_or(Flaw::Cut)? {
            [0xff, 0x00 | 0xd0..=0xd7] => at += 2,
            [0xff, 0xff] => at += 1,
            [0xff, _] => return Ok(at),
            _ => at += 1,
        }
    }
}

/// Codes and what they stand for.
struct Huffman {
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
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
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
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The lowest `count` bits are the next ones.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
        }
    }

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

    fn symbol(&mut self, table: &Huffman) -> Result<u8, Flaw> {
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

    fn skip(&mut self, count: u32) -> Result<(), Flaw> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or(Flaw::Cut)?;
        Ok(())
    }

    /// A signed number of `size` bits: the lower half of the codes is negative.
    fn difference(&mut self, size: u32) -> Result<i32, Flaw> {
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
    fn restart(&mut self, number: u8) -> Result<(), Flaw> {
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
    fn end(mut self) -> Result<usize, Flaw> {
        if self.left() > STRAY_BYTES {
            return Err(Flaw::Surplus);
        }
        Ok(self.at)
    }
}

/// Lengths and symbols of the tables that a picture without any means: ITU-T T.81, K.3 to K.6.
const STANDARD: [(u8, [u8; 16], &[u8]); 4] = [
    (
        0x00,
        [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        &LEVELS,
    ),
    (
        0x01,
        [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        &LEVELS,
    ),
    (
        0x10,
        [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
        &[
            0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
            0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1,
            0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18,
            0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
            0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57,
            0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75,
            0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92,
            0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
            0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
            0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8,
            0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2,
            0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
        ],
    ),
    (
        0x11,
        [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
        &[
            0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
            0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09,
            0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25,
            0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38,
            0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56,
            0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74,
            0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
            0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
            0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
            0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6,
            0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2,
            0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
        ],
    ),
];
const LEVELS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

fn standard_tables() -> [[Option<Huffman>; 4]; 2] {
    let mut tables = <[[Option<Huffman>; 4]; 2]>::default();
    for (info, counts, symbols) in &STANDARD {
        tables[usize::from(info >> 4)][usize::from(info & 15)] = Huffman::new(counts, symbols);
    }
    tables
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::frame::Frame;

    // 61x43, written by libjpeg-turbo.
    const RESTARTS: &[u8] = include_bytes!("../../tests/fixtures/420-restarts.jpg");
    const HALF: &[u8] = include_bytes!("../../tests/fixtures/422.jpg");
    const OPTIMISED: &[u8] = include_bytes!("../../tests/fixtures/444-optimised.jpg");
    const GREY: &[u8] = include_bytes!("../../tests/fixtures/grey.jpg");
    const PROGRESSIVE: &[u8] = include_bytes!("../../tests/fixtures/progressive.jpg");
    const CMYK: &[u8] = include_bytes!("../../tests/fixtures/cmyk.jpg");
    const SEQUENTIAL: [&[u8]; 5] = [RESTARTS, HALF, OPTIMISED, GREY, CMYK];

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
        (luma(bytes, 1 << 20, &mut levels).unwrap(), levels)
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
        assert!(!luma(GREY, 61 * 43 - 1, &mut Vec::new()).unwrap().has_luma);
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
}
