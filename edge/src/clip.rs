//! The clip of the demonstration, which the trainer draws (`onelook demo-clip`) and benches and tests look at, too.
//! Knows bytes and counts alone.

/// 320 x 240 motion JPEG, drawn by `onelook demo-clip`: every frame another hand's drawing.
pub const CLIP: &[u8] = include_bytes!("../demo/clip.mjpeg");
/// What the clip shows, in turn: (sign, frames).
pub const SHOWN: [(usize, usize); 8] = [
    (0, 1),
    (1, 1),
    (0, 4),
    (1, 4),
    (2, 4),
    (1, 3),
    (0, 3),
    (2, 2),
];
/// What the signs are enrolled as, when they are first seen; the last sign never is.
pub const NAMES: [&str; 2] = ["alpha", "beta"];
