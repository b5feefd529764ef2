//! onelook-edge: learns a new class from one look, on the device, offline.
//!
//! The journey of a frame: [`camera`] gives a [`frame`] (whole, as [`jpeg`] tells), [`locate`] finds the
//! mark in it, [`quality`] says what is not good enough, [`preprocess`] makes the patch, [`model`] embeds
//! it as a probe, [`gallery`] finds the nearest enrolled class under the [`head`], [`decide`] says match
//! or unknown and [`steady`] does so over several frames, [`overlay`] draws it, a [`screen`] shows it.
//!
//! What a device does all day: [`live`] is all of that for one frame or one command, and [`teach`] takes the
//! look that is learned. [`run`] feeds it with frames and with commands from [`control`], [`keys`] and a
//! [`button`]; out come [`event`]s, pictures, and word to systemd ([`notify`]). [`config`] has its numbers.
//!
//! [`store`] keeps the gallery, [`whole`] writes files. The inner loops are in [`kernel`]: a [`plan`] is a
//! network made of them, a [`search`] rules out most of a large gallery with them, [`mod@bench`] measures
//! them. [`demo`], [`doctor`] and [`cli`] are what a person sees.

pub mod bench;
pub mod button;
pub mod camera;
pub mod cli;
pub mod config;
pub mod control;
pub mod decide;
pub mod demo;
pub mod doctor;
pub mod event;
pub mod frame;
pub mod gallery;
pub mod head;
pub mod jpeg;
pub mod kernel;
pub mod keys;
pub mod live;
pub mod locate;
pub mod model;
pub mod notify;
pub mod overlay;
pub mod plan;
mod pool;
pub mod preprocess;
mod protobuf;
pub mod quality;
pub mod run;
pub mod screen;
pub mod search;
pub mod steady;
pub mod store;
pub mod teach;
pub mod whole;
