//! ONNX Runtime, as a measurement meets it: a file in, embeddings out.

use std::sync::OnceLock;

use onelook_edge::model::{INPUT, OUTPUT};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;

use crate::runtime::Embed;

/// ONNX Runtime, from the library that `ORT_DYLIB_PATH` names, over pictures of `shape`.
///
/// # Errors
/// In words, where there is no such library or it refuses the file.
pub fn open(bytes: &[u8], shape: [usize; 4], threads: usize) -> Result<Embed, String> {
    // The library is loaded once a process.
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
            return Err("set ORT_DYLIB_PATH to libonnxruntime.so".to_owned());
        };
        let words = |error: &dyn std::error::Error| format!("ONNX Runtime, {library:?}: {error}");
        let builder = ort::init_from(&library).map_err(|error| words(&error))?;
        builder.build().map_err(|error| words(&error))
    });
    let environment = environment.as_ref().map_err(String::clone)?;
    let words = |error: &dyn std::error::Error| format!("ONNX Runtime: {error}");
    let builder = Session::builder(environment).map_err(|error| words(&error))?;
    let mut builder = builder
        .with_intra_threads(threads)
        .map_err(|error| words(&error))?;
    let session = builder.commit_from_memory(bytes);
    let mut session = session.map_err(|error| words(&error))?;
    Ok(Box::new(move |picture| {
        let image = Tensor::from_array((shape, picture.to_vec())).map_err(|error| words(&error))?;
        let outputs = session.run(ort::inputs![INPUT => image]);
        let outputs = outputs.map_err(|error| words(&error))?;
        let output = outputs.get(OUTPUT).ok_or("ONNX Runtime: no output")?;
        let numbers = output.try_extract_tensor::<f32>();
        Ok(numbers.map_err(|error| words(&error))?.1.to_vec())
    }))
}
