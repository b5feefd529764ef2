//! Measures a model file with the device's own model and gallery. Never names Burn.

pub mod eval;
pub(crate) mod metrics;
pub(crate) mod openset;
pub mod oracle;
pub(crate) mod points;
pub(crate) mod trials;
