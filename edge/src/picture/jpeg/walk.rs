//! The way through a JPEG: every segment in its order, every coded bit of a sequential picture. Decodes nothing
//! itself: levels of luma go where [`Luma`] puts them.

use super::bits::{Bits, Huffman};
use super::luma::Luma;
use super::reader::Reader;
use super::tables::{ZIGZAG, standard_tables};
use super::{Flaw, Outline};

const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
/// How far rounding may take a mean level beyond the 8 bits that a picture has.
const LEVEL_SLACK: i32 = 32;

pub(super) fn walk(bytes: &[u8], mut walk: Walk) -> Result<Outline, Flaw> {
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

/// What has been read of a picture so far.
#[derive(Default)]
pub(super) struct Walk<'a> {
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

impl<'a> Walk<'a> {
    /// Nothing read yet; luma is decoded where there is a place for it.
    pub(super) fn new(luma: Option<Luma<'a>>) -> Self {
        Self {
            luma,
            ..Self::default()
        }
    }

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
