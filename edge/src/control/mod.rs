//! Words that come in: lines on a socket, keys of a terminal, a button. Knows nothing of frames, models or galleries.

pub mod button;
pub mod command;
pub mod keys;
pub mod socket;
