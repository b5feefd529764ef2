//! What redb takes for its file. Every block that is read from the real one is checked, and all that
//! redb would write stays in memory until the change is known to hold: then it is written out in
//! the order that redb asked for. Whatever goes wrong before leaves the file as it was.
//!
//! The file: blocks of [`BLOCK`] bytes, each behind its seal, a checksum of its number and bytes.
//! In place of a seal the first block has [`MAGIC`]: redb keeps its header there, which has
//! checksums of its own and must survive a write that a power cut tore.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use sha2::{Digest, Sha256};

/// What a gallery begins with.
const MAGIC: [u8; SEAL] = *b"onelook\x02";
/// What a gallery of any format begins with; the number of the format follows.
pub const KIND: &[u8] = b"onelook";

const SEAL: usize = 8;
const BLOCK: usize = 4096;
const SEALED: u64 = (SEAL + BLOCK) as u64;

type Block = Arc<[u8; BLOCK]>;

/// A file as redb sees it. Clones see the same.
#[derive(Clone, Debug)]
pub struct Pages(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    file: File,
    /// As redb sees it.
    len: u64,
    /// Bytes of the file that still count: less than the file has where it was cut.
    from_file: u64,
    /// What was written over the file.
    blocks: BTreeMap<u64, Block>,
    /// Of these, what was written since the last step, and whether `len` was set since.
    fresh: BTreeSet<u64>,
    resized: bool,
    steps: Vec<Step>,
}

/// What must be on the disk before the next step begins.
#[derive(Debug)]
struct Step {
    len: u64,
    blocks: Vec<(u64, Block)>,
}

impl Pages {
    /// The sealed blocks of `file`, which may be empty.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where a block is cut.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        if !len.is_multiple_of(SEALED) {
            return Err(broken("it is cut short"));
        }
        let len = len / SEALED * BLOCK as u64;
        Ok(Self(Arc::new(Mutex::new(State {
            file,
            len,
            from_file: len,
            blocks: BTreeMap::new(),
            fresh: BTreeSet::new(),
            resized: false,
            steps: Vec::new(),
        }))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes out what redb wrote, step by step; on the disk when it returns. Stopped anywhere,
    /// the file holds all of the change or nothing of it.
    ///
    /// # Errors
    /// What the system says; a full disk among it.
    pub fn write_out(&self) -> io::Result<()> {
        let mut state = self.state();
        state.step();
        for step in mem::take(&mut state.steps) {
            state
                .file
                .set_len(step.len.div_ceil(BLOCK as u64) * SEALED)?;
            for (number, block) in step.blocks {
                let seal = match number {
                    0 => MAGIC,
                    _ => digest(number, &block[..]),
                };
                let sealed = [&seal[..], &block[..]].concat();
                state.file.write_all_at(&sealed, number * SEALED)?;
            }
            state.file.sync_data()?;
        }
        Ok(())
    }
}

impl State {
    /// A block as it is now, zeros beyond the end.
    fn block(&self, number: u64) -> io::Result<Block> {
        if let Some(block) = self.blocks.get(&number) {
            return Ok(Arc::clone(block));
        }
        let mut block = [0; BLOCK];
        let start = number * BLOCK as u64;
        let here = self.from_file.saturating_sub(start).min(BLOCK as u64) as usize;
        if here > 0 {
            let mut sealed = [0; SEAL + BLOCK];
            self.file.read_exact_at(&mut sealed, number * SEALED)?;
            let (seal, bytes) = sealed.split_at(SEAL);
            let holds = match number {
                0 => seal == MAGIC,
                // So the zeros that a file is grown by do not hold either: redb writes a page before
                // it reads it.
                _ => digest(number, bytes) == seal,
            };
            if !holds {
                return Err(broken(&format!(
                    "the checksum of block {number} does not hold"
                )));
            }
            block[..here].copy_from_slice(&bytes[..here]);
        }
        Ok(Arc::new(block))
    }

    fn step(&mut self) {
        if self.fresh.is_empty() && !self.resized {
            return;
        }
        self.resized = false;
        let fresh = mem::take(&mut self.fresh);
        let block = |number| Some((number, Arc::clone(self.blocks.get(&number)?)));
        self.steps.push(Step {
            len: self.len,
            blocks: fresh.into_iter().filter_map(block).collect(),
        });
    }
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// A checksum of numbered bytes.
fn digest(number: u64, bytes: &[u8]) -> [u8; SEAL] {
    let hash = Sha256::new()
        .chain_update(number.to_le_bytes())
        .chain_update(bytes)
        .finalize();
    std::array::from_fn(|i| hash[i])
}

/// The parts of offset..offset + length by block: (block, start within it, length).
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    const SIZE: u64 = BLOCK as u64;
    let end = offset + length as u64;
    (offset / SIZE..end.div_ceil(SIZE)).map(move |block| {
        let from = offset.max(block * SIZE);
        let to = end.min((block + 1) * SIZE);
        (block, (from - block * SIZE) as usize, (to - from) as usize)
    })
}

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > state.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        for (number, start, length) in parts(offset, out.len()) {
            let block = state.block(number)?;
            out[done..done + length].copy_from_slice(&block[start..start + length]);
            done += length;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.len = len;
        state.resized = true;
        state.from_file = state.from_file.min(len);
        state.blocks.retain(|&number, block| {
            let kept = len.saturating_sub(number * BLOCK as u64).min(BLOCK as u64) as usize;
            if kept < BLOCK {
                Arc::make_mut(block)[kept..].fill(0);
            }
            kept > 0
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().step();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let mut done = 0;
        for (number, start, length) in parts(offset, data.len()) {
            let mut block = if length == BLOCK {
                Arc::new([0; BLOCK])
            } else {
                state.block(number)?
            };
            let part = &data[done..done + length];
            Arc::make_mut(&mut block)[start..start + length].copy_from_slice(part);
            state.blocks.insert(number, block);
            state.fresh.insert(number);
            done += length;
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redb_sees_its_own_writes_over_the_file_and_zeros_beyond() {
        let file = tempfile::tempfile().unwrap();
        let pages = Pages::new(file.try_clone().unwrap()).unwrap();
        pages.write(0, &[7; 8192]).unwrap();
        pages.write_out().unwrap();
        let pages = Pages::new(file).unwrap();
        pages.set_len(12_288).unwrap();
        pages.write(4090, &[1; 10]).unwrap();
        let mut bytes = vec![9; 12_288];
        pages.read(0, &mut bytes).unwrap();
        assert_eq!(bytes[4089..4101], [7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7]);
        assert_eq!((bytes[8191], bytes[8192], bytes[12_287]), (7, 0, 0));
        pages.set_len(4092).unwrap();
        pages.set_len(12_288).unwrap();
        pages.read(0, &mut bytes).unwrap();
        assert_eq!((bytes[4091], bytes[4092], bytes[8191]), (1, 0, 0));
        assert!(pages.read(12_287, &mut [0, 0]).is_err());
    }

    #[test]
    fn nothing_reaches_the_file_before_it_is_written_out_and_then_all_of_it() {
        let file = tempfile::tempfile().unwrap();
        let pages = Pages::new(file.try_clone().unwrap()).unwrap();
        pages.set_len(3 * BLOCK as u64).unwrap();
        pages.write(0, &[1; 5000]).unwrap();
        pages.sync_data().unwrap();
        pages.write(4096, &[2; 1]).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        pages.write_out().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3 * SEALED);
        let again = Pages::new(file).unwrap();
        let mut bytes = vec![9; 2 * BLOCK];
        again.read(0, &mut bytes).unwrap();
        assert_eq!((bytes[4095], bytes[4096], bytes[4097]), (1, 2, 1));
        assert_eq!((bytes[4999], bytes[5000]), (1, 0));
        // That one was never written.
        assert!(again.read(2 * BLOCK as u64, &mut bytes[..1]).is_err());
    }

    #[test]
    fn a_block_is_read_only_while_its_seal_holds_and_in_its_own_place() {
        let file = tempfile::tempfile().unwrap();
        let pages = Pages::new(file.try_clone().unwrap()).unwrap();
        for number in 0..3u8 {
            let offset = u64::from(number) * BLOCK as u64;
            pages.write(offset, &[number; BLOCK]).unwrap();
        }
        pages.write_out().unwrap();
        let refused = |number: u64| {
            let pages = Pages::new(file.try_clone().unwrap()).unwrap();
            let read = pages.read(number * BLOCK as u64, &mut [0; 1]);
            read.is_err_and(|error| error.kind() == ErrorKind::InvalidData)
        };
        assert_eq!([refused(0), refused(1), refused(2)], [false; 3]);
        file.write_all_at(&[3], 2 * SEALED + 4000).unwrap();
        assert_eq!([refused(0), refused(1), refused(2)], [false, false, true]);
        let mut first = [0; SEALED as usize];
        file.read_exact_at(&mut first, SEALED).unwrap();
        file.write_all_at(&first, 2 * SEALED).unwrap();
        assert!(refused(2));
        file.set_len(3 * SEALED - 1).unwrap();
        let cut = Pages::new(file.try_clone().unwrap());
        assert!(cut.is_err_and(|error| error.kind() == ErrorKind::InvalidData));
    }
}
