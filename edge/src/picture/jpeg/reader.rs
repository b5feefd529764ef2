//! Bytes of a JPEG between its coded data: markers and segments. Knows no picture.

use super::Flaw;

pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let end = self.at.checked_add(count).ok_or(Flaw::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(Flaw::Cut)?;
        self.at = end;
        Ok(taken)
    }

    /// The next marker's code. Any number of ff may stand before it, nothing else.
    pub(super) fn marker(&mut self) -> Result<u8, Flaw> {
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
    pub(super) fn segment(&mut self) -> Result<&'a [u8], Flaw> {
        let length = self.take(2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        self.take(
            length
                .checked_sub(2)
                .ok_or(Flaw::Segment("segment length"))?,
        )
    }
}
