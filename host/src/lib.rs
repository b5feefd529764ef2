//! Trains, evaluates, quantises and exports the twin network that onelook-edge runs.
//!
//! The journey of a training run: [`config`] says what, [`data`] gives pictures, [`train`] draws batches, which
//! [`augment`] distorts and the device's own `preprocess` turns into input, [`network`] embeds, and `train` steps,
//! validates and keeps checkpoints. [`export`] makes one model file with calibrated p and thresholds. [`measure`]
//! scores it with the device's own model and gallery; [`report`] makes the page that tells all of it. `clip` draws what the
//! device's demonstration plays, `random` is where every seeded number comes from; [`cli`] is what a person types.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod augment;
pub mod cli;
mod clip;
pub mod config;
pub mod data;
pub mod export;
pub mod measure;
pub mod network;
mod random;
pub mod report;
pub mod train;
