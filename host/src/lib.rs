//! Trains, evaluates, quantises and exports the twin network that onelook-edge runs.
//!
//! The journey of a training run: `config` says what, `dataset` (or `glyphs`) gives pictures,
//! `sampler` draws batches, `augment` distorts them, the device's own `preprocess` turns them into
//! input, `network` embeds (on the CPU by our own `layers`), `loss` compares (with what other models think, where
//! `distill` has some), `train` steps, validates and keeps checkpoints.
//! Then `quantize`, `graph` and `export` make one model file, whose p `calibrate` makes a probability
//! and whose thresholds `points` sets with their intervals. `eval` and `openset` measure it with the
//! device's own `Model` and `Gallery`, in the terms of `metrics`, against the baselines of `oracle`;
//! `report` makes the page that tells the whole story of a model.
//! `clip` draws what the device's demonstration plays; `cli` is what a person types.

pub mod augment;
pub mod calibrate;
pub mod cli;
pub mod clip;
pub mod config;
pub mod dataset;
pub mod distill;
pub mod eval;
pub mod export;
pub mod glyphs;
pub mod graph;
pub mod layers;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod openset;
pub mod oracle;
pub mod points;
pub mod quantize;
pub mod report;
pub mod sampler;
pub mod train;
