//! Networks that the kernels do not know, run by tract: the only file that names it. Knows the bytes of an ONNX
//! file: nothing of cards, but for the input that they state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;
use tract_onnx::prelude::*;

use super::NetworkError;
use crate::vision::preprocess::InputSpec;

/// A network, planned.
#[derive(Clone)]
pub(super) struct Runner {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
    /// Numbers in an embedding.
    dims: usize,
}

impl Runner {
    /// Plans the network in the bytes of an ONNX file for one picture at a time and runs it once, so that a file
    /// that cannot run is known at start.
    pub fn new(file: Bytes, input: &InputSpec) -> Result<Self, NetworkError> {
        let shape = [1, input.channels, input.side_px, input.side_px];
        // A checksum holds against damage, not against malice.
        let planned = catch_unwind(AssertUnwindSafe(|| -> TractResult<_> {
            let proto = tract_onnx::pb::ModelProto::decode(file)?;
            let plan = tract_onnx::onnx()
                .with_ignore_value_info(true)
                .with_ignore_output_shapes(true)
                .model_for_proto_model(&proto)?
                .with_input_fact(0, f32::fact(shape).into())?
                .into_optimized()?
                .into_runnable()?;
            let blank = run(&plan, shape, &vec![0.0; input.len()])?;
            Ok((plan, blank))
        }));
        let (plan, blank) = match planned {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(NetworkError::Runtime(format!("{error:#}"))),
            Err(_) => return Err(NetworkError::Runtime("tract gave up on it".to_owned())),
        };
        if !blank.iter().all(|v| v.is_finite()) {
            return Err(NetworkError::NotFinite);
        }
        let dims = blank.len();
        Ok(Self { plan, shape, dims })
    }

    /// Numbers in an embedding.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The embedding of a picture [channels, side, side].
    pub fn embed(&self, picture: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let embedding = run(&self.plan, self.shape, picture);
        embedding.map_err(|error| NetworkError::Runtime(error.to_string()))
    }
}

fn run(plan: &Arc<TypedSimplePlan>, shape: [usize; 4], numbers: &[f32]) -> TractResult<Vec<f32>> {
    let image = Tensor::from_shape(&shape, numbers)?;
    let outputs = plan.run(tvec!(image.into()))?;
    Ok(outputs[0]
        .to_plain_array_view::<f32>()?
        .iter()
        .copied()
        .collect())
}
