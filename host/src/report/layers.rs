//! Takes the network of a model file apart: what each layer holds and what it costs. Knows the
//! operators that `graph` writes; nothing of weights' values.

use onelook_edge::model::onnx::{Graph, Node};
use onelook_edge::vision::preprocess::InputSpec;
use serde::Serialize;

/// A layer with weights, and the pooling behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// `convolution` or `fully connected`.
    pub kind: String,
    /// Channels in (of a fully connected layer: numbers in).
    pub inputs: usize,
    /// Channels out (of a fully connected layer: numbers out).
    pub outputs: usize,
    /// Side of the square filter, in pixels; 1 for a fully connected layer.
    pub kernel: usize,
    /// Side of what comes out, in pixels, before the pooling.
    pub side_px: usize,
    /// Side of what comes out after the pooling.
    pub pooled_px: usize,
    /// Weights and biases.
    pub parameters: u64,
    /// Multiply-adds for one picture.
    pub multiply_adds: u64,
}

/// The layers of `graph`, first to last, for pictures of `input`.
///
/// # Errors
/// In words, where the graph is none that `export` writes.
pub fn layers(graph: &Graph, input: &InputSpec) -> Result<Vec<Layer>, String> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut side = input.side_px;
    for node in &graph.node {
        match node.op_type.as_str() {
            "Conv" | "QLinearConv" => {
                let weight = if node.op_type == "Conv" { 1 } else { 3 };
                let [outputs, inputs, kernel, _] = shape(graph, node, weight)?[..] else {
                    return Err(format!("{}: its filters are not square", node.name));
                };
                let padding = attribute(node, "pads").unwrap_or(0);
                side = (side + 2 * padding + 1)
                    .checked_sub(kernel)
                    .ok_or_else(|| format!("{}: larger than its picture", node.name))?;
                let weights = outputs * inputs * kernel * kernel;
                layers.push(Layer {
                    kind: "convolution".to_owned(),
                    inputs,
                    outputs,
                    kernel,
                    side_px: side,
                    pooled_px: side,
                    parameters: (weights + outputs) as u64,
                    multiply_adds: (weights * side * side) as u64,
                });
            }
            "MaxPool" => {
                side /= attribute(node, "kernel_shape").unwrap_or(1).max(1);
                if let Some(layer) = layers.last_mut() {
                    layer.pooled_px = side;
                }
            }
            "Gemm" => {
                let [outputs, inputs] = shape(graph, node, 1)?[..] else {
                    return Err(format!("{}: its weights are no matrix", node.name));
                };
                layers.push(Layer {
                    kind: "fully connected".to_owned(),
                    inputs,
                    outputs,
                    kernel: 1,
                    side_px: 1,
                    pooled_px: 1,
                    parameters: (outputs * inputs + outputs) as u64,
                    multiply_adds: (outputs * inputs) as u64,
                });
            }
            "Relu" | "Sigmoid" | "Flatten" | "QuantizeLinear" | "DequantizeLinear" => {}
            other => return Err(format!("an operator of another program: {other}")),
        }
    }
    Ok(layers)
}

fn shape(graph: &Graph, node: &Node, input: usize) -> Result<Vec<usize>, String> {
    let found = node.input.get(input).and_then(|name| {
        let mut tensors = graph.initializer.iter();
        tensors.find(|tensor| tensor.name == *name)
    });
    let tensor = found.ok_or_else(|| format!("{}: its weights are not there", node.name))?;
    let sizes = tensor.dims.iter().map(|&size| usize::try_from(size));
    sizes
        .collect::<Result<_, _>>()
        .map_err(|_| format!("{}: its weights have no shape", node.name))
}

/// The first number of an attribute that holds several.
fn attribute(node: &Node, name: &str) -> Option<usize> {
    let found = node.attribute.iter().find(|found| found.name == name)?;
    usize::try_from(*found.ints.first()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;
    use crate::export::graph::{self, Weights};
    use crate::network::plain::{PlainBlock, PlainLinear, PlainTwin};
    use crate::network::spec::{Block, Init, NetworkSpec};
    use onelook_edge::gallery::head::Head;
    use onelook_edge::vision::preprocess::{Crop, Scaling};

    /// The layers of a twin of such blocks and units, all its weights 0.
    fn layers_of(blocks: Vec<Block>, units: usize, input: &InputSpec) -> Vec<Layer> {
        let spec = NetworkSpec {
            blocks,
            linear_sigmoid: Some(units),
            alpha_non_negative: true,
            init: Init::Koch,
        };
        let planes = spec.shapes(input).unwrap().planes;
        let block = |(&spec, &(channels, _)): (&Block, &(usize, usize))| PlainBlock {
            spec,
            channels,
            weight: vec![0.0; spec.filters * channels * spec.kernel * spec.kernel],
            bias: vec![0.0; spec.filters],
        };
        let (channels, side) = planes[planes.len() - 1];
        let plain = PlainTwin {
            blocks: spec.blocks.iter().zip(&planes).map(block).collect(),
            linear: Some(PlainLinear {
                weight: vec![0.0; units * channels * side * side],
                bias: vec![0.0; units],
            }),
            head: Head {
                alpha: vec![1.0; units],
                bias: 0.0,
            },
        };
        layers(&graph::twin(Weights::F32(&plain), input, units), input).unwrap()
    }

    #[test]
    fn the_cost_of_two_layers_by_hand() {
        let spec = Block {
            filters: 2,
            kernel: 3,
            padding: 0,
            pool: 2,
            ..Block::default()
        };
        let input = InputSpec {
            channels: 3,
            side_px: 8,
            crop: Crop::Frame,
            scaling: Scaling::Unit,
        };
        let found = layers_of(vec![spec], 5, &input);
        // 8 x 8 less the edge is 6 x 6: 36 places of 54 weights; pooled 3 x 3 of 2 channels are 18.
        assert_eq!((found[0].side_px, found[0].pooled_px), (6, 3));
        assert_eq!((found[0].parameters, found[0].multiply_adds), (56, 1944));
        assert_eq!((found[1].inputs, found[1].outputs), (18, 5));
        assert_eq!((found[1].parameters, found[1].multiply_adds), (95, 90));
    }

    #[test]
    fn koch_costs_what_it_costs_by_hand() {
        let koch = Recipe::open("koch").unwrap();
        let found = layers_of(koch.network.blocks, 4096, &koch.input);
        let found: Vec<u64> = found.iter().map(|layer| layer.multiply_adds).collect();
        let blocks = [
            64 * 100 * 96 * 96,
            128 * 64 * 49 * 42 * 42,
            128 * 128 * 16 * 18 * 18,
            256 * 128 * 16 * 6 * 6,
        ];
        assert_eq!(found, [&blocks[..], &[9216 * 4096]].concat());
    }
}
