//! A picture in memory: whole, or refused. Knows bytes and pixels: nothing of cameras, models or identities.

pub mod bounds;
pub mod decode;
pub(crate) mod files;
pub mod frame;
pub mod jpeg;
pub(crate) mod pool;
pub mod roi;
