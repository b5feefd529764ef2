//! Why there is no model, or no embedding. Each error names the file and the way out.

use std::path::PathBuf;

use super::card::{CardError, FORMAT};
use super::file::MAX_FILE_BYTES;
use super::plan::PlanError;
use crate::kernel::NoSuchKernel;

/// Why there is no model, or no embedding.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be opened or read.
    #[error("{path:?}: cannot be read: {source}")]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error(
        "{name}: larger than {} MiB, so no model of onelook; give a file made by `onelook export`",
        MAX_FILE_BYTES >> 20
    )]
    TooLarge {
        /// The file.
        name: String,
    },
    /// The bytes are no ONNX.
    #[error("{name}: not an ONNX file, or cut short; give a file made by `onelook export`")]
    NotOnnx {
        /// The file.
        name: String,
    },
    /// An ONNX file that another program made.
    #[error(
        "{name}: an ONNX file without a onelook card, so its input, head and thresholds are \
         unknown; give a file made by `onelook export`"
    )]
    Foreign {
        /// The file.
        name: String,
    },
    /// The card is of another version.
    #[error("{name}: its card is of format {found}, this program reads {FORMAT}; export it again")]
    OtherFormat {
        /// The file.
        name: String,
        /// The version found.
        found: u64,
    },
    /// The file does not hold together.
    #[error("{name}: damaged ({source}); copy or export it again")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        source: Damage,
    },
    /// The network cannot be run.
    #[error("{name}: the network cannot be run ({source}); export it again with this version")]
    Unrunnable {
        /// The file.
        name: String,
        /// Why not.
        source: NetworkError,
    },
    /// The environment asks for kernels that are not here.
    #[error(transparent)]
    Kernel(#[from] NoSuchKernel),
    /// No operating point of that name.
    #[error("{model}: no operating point {asked:?}; it has {}", has.join(", "))]
    NoSuchPoint {
        /// The model.
        model: String,
        /// What was asked for.
        asked: String,
        /// What there is.
        has: Vec<String>,
    },
}

/// What does not hold together in a model file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// Network and card are not those that were exported.
    #[error("its checksum does not hold")]
    Checksum,
    /// The card.
    #[error("card: {0}")]
    Card(#[from] CardError),
}

/// Why a network cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernels, which were asked for by name, do not know its form.
    #[error(transparent)]
    Form(#[from] PlanError),
    /// In the words of the runtime that refuses it.
    #[error("{0}")]
    Runtime(String),
    /// Its embeddings are not those that the card's head compares.
    #[error("it gives {found} numbers under a head of {head}")]
    Dims {
        /// Numbers in an embedding.
        found: usize,
        /// Numbers in the head.
        head: usize,
    },
    /// Of a picture of zeros it makes what is no number.
    #[error("what it gives is not finite")]
    NotFinite,
}
