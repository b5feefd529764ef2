//! onelook-edge: learns a new class from one look, on the device, offline.
//!
//! The journey of a frame: [`camera`] gives a [`frame`], [`locate`] finds the mark in it, [`preprocess`]
//! makes the patch, [`model`] embeds it as a probe, [`gallery`] finds the nearest enrolled class under
//! the [`head`], [`decide`] says match or unknown, [`overlay`] draws it. [`store`] keeps the
//! gallery, [`whole`] writes files, [`demo`] and [`cli`] are what a person sees. The loops that a
//! processor runs best are in [`kernel`]; [`mod@bench`] measures them.

pub mod bench;
pub mod camera;
pub mod cli;
pub mod decide;
pub mod demo;
pub mod frame;
pub mod gallery;
pub mod head;
pub mod kernel;
pub mod locate;
pub mod model;
pub mod overlay;
pub mod plan;
pub mod preprocess;
mod protobuf;
pub mod store;
pub mod whole;
