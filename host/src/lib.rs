//! Trains, evaluates, quantises and exports the twin network that onelook-edge runs.

pub mod augment;
pub mod cli;
pub mod config;
pub mod dataset;
pub mod glyphs;
pub mod loss;
pub mod network;
pub mod sampler;
pub mod train;
