//! From a frame to what the network sees: where the thing is, whether it can be judged, and its pixels as
//! numbers. Knows nothing of cameras, models or identities.

pub mod keepsake;
pub mod locate;
pub mod preprocess;
pub mod quality;
mod resample;
