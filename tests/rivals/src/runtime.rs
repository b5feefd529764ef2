//! What computes embeddings, by name: a file in, a function from picture to embedding out.

use std::fmt;

use onelook_edge::kernel::Isa;
use onelook_edge::model::{Card, Engine, Model};
use onelook_edge::vision::preprocess::Patch;

use crate::Failure;

/// A picture [channels, side, side] in, its embedding out; in words, why not.
pub type Embed = Box<dyn FnMut(&[f32]) -> Result<Vec<f32>, String>>;

/// What computes embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// The device's own.
    Own(Engine),
    /// ONNX Runtime.
    Ort,
    /// rten.
    Rten,
}

impl Runtime {
    /// The one of that name: `tract`, `ort`, `rten` or that of a set of instructions.
    ///
    /// # Errors
    /// In words, where there is none here.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "ort" => Ok(Self::Ort),
            "rten" => Ok(Self::Rten),
            "tract" => Ok(Self::Own(Engine::Tract)),
            _ => match Isa::named(name) {
                Ok(isa) => Ok(Self::Own(Engine::Kernels(isa))),
                Err(error) => Err(format!(
                    "no runtime {name:?}; there are tract, ort, rten, and kernels: {error}"
                )),
            },
        }
    }

    /// Opens the file for pictures of the shape that `card` says, on `threads` threads at most.
    ///
    /// # Errors
    /// In words: it refuses the file, or is not in this program.
    pub fn open(self, bytes: Vec<u8>, card: &Card, threads: usize) -> Result<Embed, Failure> {
        let side = card.input.side_px;
        let shape = [1, card.input.channels, side, side];
        match self {
            Self::Own(engine) => own(engine, bytes),
            Self::Ort => open_onnx_runtime(&bytes, shape, threads),
            Self::Rten => open_rten(&bytes, shape, threads),
        }
    }
}

fn own(engine: Engine, bytes: Vec<u8>) -> Result<Embed, Failure> {
    let model = Model::on(engine, bytes, "the model")?;
    let mut memory = model.memory();
    let mut patch = Patch(Vec::new());
    Ok(Box::new(move |picture| {
        patch.0.clear();
        patch.0.extend_from_slice(picture);
        let embedding = model.embed_in(&mut memory, &patch);
        embedding
            .map(<[f32]>::to_vec)
            .map_err(|error| error.to_string())
    }))
}

#[cfg(feature = "ort")]
fn open_onnx_runtime(bytes: &[u8], shape: [usize; 4], threads: usize) -> Result<Embed, Failure> {
    Ok(crate::onnx_runtime::open(bytes, shape, threads)?)
}

#[cfg(not(feature = "ort"))]
fn open_onnx_runtime(_: &[u8], _: [usize; 4], _: usize) -> Result<Embed, Failure> {
    Err("this program was built without it; build it with `--features ort`".into())
}

#[cfg(feature = "rten")]
fn open_rten(bytes: &[u8], shape: [usize; 4], threads: usize) -> Result<Embed, Failure> {
    // A file of an earlier version has packed lists, which rten refuses.
    let graph = onelook_edge::model::graph(bytes).ok_or("no ONNX file")?;
    let bytes = onelook_edge::model::encode(graph, None)?;
    Ok(crate::rten::open(bytes, shape, threads)?)
}

#[cfg(not(feature = "rten"))]
fn open_rten(_: &[u8], _: [usize; 4], _: usize) -> Result<Embed, Failure> {
    Err("this program was built without it; build it with `--features rten`".into())
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Own(engine) => engine.fmt(f),
            Self::Ort => f.write_str("ort"),
            Self::Rten => f.write_str("rten"),
        }
    }
}
