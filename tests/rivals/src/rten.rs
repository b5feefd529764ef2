//! rten, as a measurement meets it: a file in, embeddings out.

use std::sync::Arc;

use crate::runtime::Embed;

/// rten, over pictures of `shape`.
///
/// # Errors
/// In words, where it refuses the file.
pub fn open(bytes: Vec<u8>, shape: [usize; 4], threads: usize) -> Result<Embed, String> {
    let words = |error: &dyn std::error::Error| format!("rten: {error}");
    let model = ::rten::Model::load(bytes).map_err(|error| words(&error))?;
    let pool = Arc::new(::rten::ThreadPool::with_num_threads(threads));
    Ok(Box::new(move |picture| {
        let image = ::rten::Value::from_shape(&shape, picture.to_vec());
        let image = image.map_err(|error| words(&error))?;
        let options = ::rten::RunOptions::default().with_thread_pool(Some(pool.clone()));
        let output = model.run_one(image.into(), Some(options));
        let output = output.map_err(|error| words(&error))?;
        let (_, numbers) = output
            .into_shape_vec::<f32, 2>()
            .map_err(|error| words(&error))?;
        Ok(numbers)
    }))
}
