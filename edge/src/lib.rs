//! onelook-edge: learns a new class from one look, on the device, offline.
//!
//! The journey of a frame: [`camera`] gives a [`picture`] (whole, or not at all), [`vision`] finds the thing in it,
//! judges it and makes the patch, [`model`] embeds that as a probe, [`gallery`] finds the nearest enrolled class and
//! decides match or unknown, [`device`] does so over several frames, a [`screen`] shows it.
//!
//! What goes in and out beside frames: words come in by [`control`], words go out as [`event`]s. `run` feeds the
//! device with both; [`cli`] is what a person types. The inner loops are in [`kernel`]; [`whole`] writes files, and
//! [`clip`] is what the demonstration plays.
//!
//! Cameras, control, screens, the loop and the command line are there with the feature `device`, which is on by
//! itself; the trainer does without.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Events go out by `event`, answers by `cli`; a closed or full stderr must not stop the loop.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(feature = "device")]
pub mod camera;
#[cfg(feature = "device")]
pub mod cli;
pub mod clip;
#[cfg(feature = "device")]
pub mod control;
pub mod device;
pub mod event;
pub mod gallery;
#[cfg(feature = "device")]
mod gpio;
pub mod kernel;
pub mod model;
pub mod picture;
#[cfg(feature = "device")]
mod run;
#[cfg(feature = "device")]
pub mod screen;
pub mod vision;
pub mod whole;
