//! Words that come in: lines on a socket, keys of a terminal, a button. Knows nothing of frames, models or galleries.

pub(crate) mod button;
pub(crate) mod command;
pub(crate) mod keys;
pub mod socket;
