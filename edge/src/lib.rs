//! onelook-edge: learns a new class from one look, on the device, offline.

pub mod decide;
pub mod frame;
pub mod gallery;
pub mod head;
pub mod locate;
pub mod preprocess;
pub mod whole;
