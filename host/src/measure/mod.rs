//! Measures a model file with the device's own model and gallery. Never names Burn.

pub mod eval;
pub mod metrics;
pub mod openset;
pub mod oracle;
pub(crate) mod trials;
