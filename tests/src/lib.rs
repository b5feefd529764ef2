//! Facts that cross crates.
