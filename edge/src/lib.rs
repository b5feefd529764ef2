//! onelook-edge: learns a new class from one look, on the device, offline.
//!
//! The journey of a frame: [`camera`] gives a [`frame`], whole as [`jpeg`] tells, [`locate`] finds the
//! mark in it, [`preprocess`] makes the patch, [`model`] embeds it as a probe, [`gallery`] finds the
//! nearest enrolled class under the [`head`], [`decide`] says match or unknown, [`overlay`] draws it.
//! [`store`] keeps the gallery, [`whole`] writes files; [`demo`], [`doctor`] and [`cli`] are what a person
//! sees.

pub mod camera;
pub mod cli;
pub mod decide;
pub mod demo;
pub mod doctor;
pub mod frame;
pub mod gallery;
pub mod head;
pub mod jpeg;
pub mod locate;
pub mod model;
pub mod overlay;
pub mod preprocess;
pub mod store;
pub mod whole;
