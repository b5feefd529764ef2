//! Memory that is used again once it is free. Knows nothing of what it is for.

use std::sync::Arc;

/// How many pieces are kept.
const MOST: usize = 8;

/// Pieces of memory that are in use elsewhere, to be used again when they are free.
#[derive(Debug, Default)]
pub(crate) struct Pool<T> {
    pieces: Vec<Arc<T>>,
}

impl<T: Clone + Default> Pool<T> {
    /// A free piece, or a new one, after `fill` put something over what was in it before; and what `fill`
    /// answered.
    pub(crate) fn fill<R>(&mut self, fill: impl FnOnce(&mut T) -> R) -> (Arc<T>, R) {
        let free = |piece: &mut Arc<T>| Arc::get_mut(piece).is_some();
        let mut piece = match self.pieces.iter_mut().position(free) {
            Some(at) => self.pieces.swap_remove(at),
            None => Arc::default(),
        };
        let answer = fill(Arc::make_mut(&mut piece));
        if self.pieces.len() < MOST {
            self.pieces.push(Arc::clone(&piece));
        }
        (piece, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_left_alone_and_what_is_free_is_filled_again() {
        let mut pool = Pool::<Vec<u8>>::default();
        let (first, _) = pool.fill(|bytes| bytes.extend(b"first"));
        let (second, _) = pool.fill(|bytes| bytes.extend(b"second"));
        assert_eq!((&first[..], &second[..]), (&b"first"[..], &b"second"[..]));
        let place = first.as_ptr();
        drop(first);
        let (third, before) = pool.fill(|bytes| std::mem::replace(&mut bytes[0], b'F'));
        assert_eq!((&third[..], before), (&b"First"[..], b'f'));
        assert_eq!(third.as_ptr(), place);
        assert_eq!(&second[..], b"second");
    }

    #[test]
    fn no_more_is_kept_than_a_few_pieces() {
        let mut pool = Pool::<Vec<u8>>::default();
        let held: Vec<_> = (0..3 * MOST).map(|_| pool.fill(|_| ()).0).collect();
        assert_eq!(pool.pieces.len(), MOST);
        drop(held);
        pool.fill(|_| ());
        assert_eq!(pool.pieces.len(), MOST);
    }
}
