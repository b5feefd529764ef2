//! What a device does all day, whoever asks: it looks at frames, learns, forgets and answers.

pub mod config;
#[cfg(feature = "device")]
pub mod live;
pub mod steady;
pub mod teach;
