//! What a device does all day, whoever asks: it looks at frames, learns, forgets and answers.

pub mod config;
pub mod live;
pub mod steady;
pub mod teach;
