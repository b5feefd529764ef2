//! A model is one ONNX file: the network, and a card that says everything the device must know of
//! it. Kernels run the networks that `plan` knows, tract all others. Knows patches and embeddings: nothing of
//! galleries, pictures or decisions.

mod card;
mod error;
mod file;
pub mod onnx;
mod plan;
mod tract;

use std::path::Path;
use std::sync::Arc;

use prost::bytes::Bytes;

use crate::gallery::head::Head;
use crate::kernel::conv::Layer;
use crate::kernel::{self, Isa};
use crate::vision::preprocess::Patch;
pub use card::{
    Calibration, Card, CardError, FORMAT, OperatingPoint, Precision, Provenance, ReliabilityBin,
    Score,
};
pub use error::{Damage, ModelError, NetworkError};
use file::ID_KEY;
pub use file::{MAX_FILE_BYTES, encode, graph, hex, read};
use plan::Plan;
pub use plan::PlanError;
use tract::Runner;

/// The model that comes with the program.
pub static SHIPPED: &[u8] = include_bytes!("../../models/omniglot/model.onnx");

/// The graph's input: [N, channels, side, side].
pub const INPUT: &str = "image";
/// The graph's output: [N, dims].
pub const OUTPUT: &str = "embedding";

/// A network ready to run, with its card.
#[derive(Clone)]
pub struct Model {
    card: Card,
    id: String,
    network: Network,
}

#[derive(Clone)]
enum Network {
    Kernels(Arc<Plan>),
    Tract(Runner),
}

/// What computes a model's embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The kernels of that set of instructions: 8-bit networks of the form that `onelook export` writes.
    Kernels(Isa),
    /// tract: every other network.
    Tract,
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Kernels(isa) => isa.fmt(f),
            Self::Tract => f.write_str("tract"),
        }
    }
}

/// The memory that a model works in, one for each thread.
pub struct NetworkMemory(Memory);

enum Memory {
    Kernels(plan::NetworkMemory),
    Tract(Vec<f32>),
}

impl Model {
    /// Opens a model file.
    ///
    /// # Errors
    /// Every [`ModelError`] but `NoSuchPoint`, naming the file.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::open(file::read(path)?.into(), &path.display().to_string(), None)
    }

    /// A model from the bytes of its file; `name` stands in errors.
    ///
    /// # Errors
    /// Every [`ModelError`] but `Unreadable` and `NoSuchPoint`.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, ModelError> {
        Self::open(Bytes::copy_from_slice(bytes), name, None)
    }

    /// A model whose embeddings this very `engine` computes: for comparisons.
    ///
    /// # Errors
    /// Every [`ModelError`] but `Unreadable` and `NoSuchPoint`; `Unrunnable` where the network is of a
    /// form that the kernels do not know, or the processor has none of that name.
    pub fn on(engine: Engine, bytes: Vec<u8>, name: &str) -> Result<Self, ModelError> {
        Self::open(bytes.into(), name, Some(engine))
    }

    /// The weights that are used once an embedding stay where they are, in `bytes`.
    fn open(bytes: Bytes, name: &str, engine: Option<Engine>) -> Result<Self, ModelError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ModelError::TooLarge {
                name: name.to_owned(),
            });
        }
        let (onnx, graph) = file::read_file(&bytes, name)?;
        let text = file::card_text(&onnx, name)?;
        let card = file::read_card(text, name)?;
        // The id names network and card: a file of which it does not hold is not planned.
        let id = file::identity(text, &graph);
        if file::property(&onnx, ID_KEY) != Some(&id) || onnx.opset_import != [file::opset()] {
            return Err(ModelError::Damaged {
                name: name.to_owned(),
                source: Damage::Checksum,
            });
        }
        let unrunnable = |source| ModelError::Unrunnable {
            name: name.to_owned(),
            source,
        };
        let plan = |isa| Plan::new(isa, &graph, INPUT, &card.input, OUTPUT);
        let plan = match engine {
            None => plan(kernel::chosen()?).ok(),
            Some(Engine::Kernels(isa)) => {
                Some(plan(isa).map_err(|error| unrunnable(error.into()))?)
            }
            Some(Engine::Tract) => None,
        };
        let (network, found) = match plan {
            Some(plan) => {
                let dims = plan.dims();
                (Network::Kernels(Arc::new(plan)), dims)
            }
            None => {
                let runner = Runner::new(bytes, &card.input).map_err(unrunnable)?;
                let dims = runner.dims();
                (Network::Tract(runner), dims)
            }
        };
        let head = card.head.alpha.len();
        if found != head {
            return Err(unrunnable(NetworkError::Dims { found, head }));
        }
        Ok(Self { card, id, network })
    }

    /// What the file says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// SHA-256 of network and card, in hexadecimal: two models with the same one are the same.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How two of its embeddings are compared.
    pub fn head(&self) -> &Head {
        &self.card.head
    }

    /// Numbers in an embedding.
    pub fn dims(&self) -> usize {
        self.card.head.alpha.len()
    }

    /// The operating point of that name, or the card's default one.
    ///
    /// # Errors
    /// `NoSuchPoint`.
    pub fn operating_point(&self, name: Option<&str>) -> Result<&OperatingPoint, ModelError> {
        let asked = name.unwrap_or(&self.card.default_point);
        let points = &self.card.operating_points;
        let found = points.iter().find(|point| point.name == asked);
        found.ok_or_else(|| ModelError::NoSuchPoint {
            model: self.card.name.clone(),
            asked: asked.to_owned(),
            has: points.iter().map(|point| point.name.clone()).collect(),
        })
    }

    /// What computes its embeddings.
    pub fn engine(&self) -> Engine {
        match &self.network {
            Network::Kernels(plan) => Engine::Kernels(plan.isa()),
            Network::Tract(_) => Engine::Tract,
        }
    }

    /// Its layers, where kernels compute its embeddings.
    pub fn layers(&self) -> Option<&[Layer]> {
        match &self.network {
            Network::Kernels(plan) => Some(plan.layers()),
            Network::Tract(_) => None,
        }
    }

    /// Memory for [`Model::embed_in`].
    pub fn memory(&self) -> NetworkMemory {
        NetworkMemory(match &self.network {
            Network::Kernels(plan) => Memory::Kernels(plan.memory()),
            Network::Tract(_) => Memory::Tract(Vec::new()),
        })
    }

    /// The embedding of a patch made for this model's input: [`Model::dims`] numbers. It allocates:
    /// a loop takes [`Model::embed_in`].
    ///
    /// # Errors
    /// `Unrunnable`, which a model that loaded does not give.
    ///
    /// # Panics
    /// If the patch was made for another input.
    pub fn embed(&self, patch: &Patch) -> Result<Vec<f32>, ModelError> {
        let mut memory = self.memory();
        self.embed_in(&mut memory, patch).map(<[f32]>::to_vec)
    }

    /// The same in memory that is there already: from the second patch on, kernels allocate nothing.
    ///
    /// # Errors
    /// `Unrunnable`, which a model that loaded does not give.
    ///
    /// # Panics
    /// If the patch was made for another input, or `memory` for another model.
    pub fn embed_in<'a>(
        &self,
        memory: &'a mut NetworkMemory,
        patch: &Patch,
    ) -> Result<&'a [f32], ModelError> {
        let input = &self.card.input;
        assert_eq!(patch.0.len(), input.len(), "a patch for another input");
        match (&self.network, &mut memory.0) {
            (Network::Kernels(plan), Memory::Kernels(memory)) => Ok(plan.embed(&patch.0, memory)),
            (Network::Tract(runner), Memory::Tract(embedding)) => {
                let found = runner.embed(&patch.0);
                *embedding = found.map_err(|source| ModelError::Unrunnable {
                    name: self.card.name.clone(),
                    source,
                })?;
                Ok(embedding)
            }
            #[allow(clippy::panic)] // documented above: the caller mixed up two models
            _ => panic!("memory of another model"),
        }
    }
}

#[cfg(test)]
mod tests;
