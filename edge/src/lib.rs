//! onelook-edge: learns a new class from one look, on the device, offline.
//!
//! The journey of a frame: [`camera`] gives a [`frame`], [`locate`] finds the mark in it, [`preprocess`]
//! makes the patch, [`model`] embeds it as a probe, [`gallery`] finds the nearest enrolled class under
//! the [`head`], [`decide`] says match or unknown, [`overlay`] draws it, a [`screen`] shows it. [`store`] keeps
//! the gallery, [`whole`] writes files, a [`button`] is pressed, [`notify`] tells systemd, [`demo`] and
//! [`cli`] are what a person sees.

pub mod button;
pub mod camera;
pub mod cli;
pub mod config;
pub mod control;
pub mod decide;
pub mod demo;
pub mod event;
pub mod frame;
pub mod gallery;
pub mod head;
pub mod keys;
pub mod live;
pub mod locate;
pub mod model;
pub mod notify;
pub mod overlay;
pub mod preprocess;
pub mod quality;
pub mod run;
pub mod screen;
pub mod steady;
pub mod store;
pub mod teach;
pub mod whole;
