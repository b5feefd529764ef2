//! Writes the network as an ONNX graph, in the forms that the device's runtime runs best. Knows
//! weights and operators: nothing of cards, files or training.

use onelook_edge::gallery::head::Head;
use onelook_edge::model::onnx::{Attribute, Graph, Node, Size, Tensor, ValueInfo};
use onelook_edge::model::{INPUT, OUTPUT};
use onelook_edge::vision::preprocess::InputSpec;

use crate::export::quantize::{QuantizedTwin, ZERO};
use crate::network::plain::PlainTwin;
use crate::network::spec::Block;

/// The weights of one twin, in either arithmetic.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    /// 32-bit floating point.
    F32(&'a PlainTwin),
    /// 8-bit integers.
    Int8(&'a QuantizedTwin),
}

/// One twin: `image` [N, channels, side, side] to `embedding` [N, dims].
pub fn twin(weights: Weights, input: &InputSpec, dims: usize) -> Graph {
    let mut graph = Draft::default();
    graph.embed(weights, "", INPUT, OUTPUT);
    let name = "onelook_twin";
    graph.finish(
        name,
        vec![picture(INPUT, input)],
        vec![value(OUTPUT, &[dims])],
    )
}

/// Both twins and the head: `a`, `b` [N, channels, side, side] to `p_same` [N, 1].
pub fn pair(weights: Weights, input: &InputSpec, head: &Head) -> Graph {
    let mut graph = Draft::default();
    for side in ["a", "b"] {
        graph.embed(
            weights,
            &format!("{side}_"),
            side,
            &format!("embedding_{side}"),
        );
    }
    let alpha = graph.floats("alpha", &[1, head.alpha.len()], &head.alpha);
    let bias = graph.floats("bias", &[1], &[head.bias]);
    let axis = graph.integers("axis", &[1]);
    graph.node("Sub", &["embedding_a", "embedding_b"], "difference", &[]);
    graph.node("Abs", &["difference"], "absolute", &[]);
    graph.node("Mul", &["absolute", &alpha], "weighted", &[]);
    let keep = [Attribute::int("keepdims", 1)];
    graph.node("ReduceSum", &["weighted", &axis], "distance", &keep);
    graph.node("Sub", &[&bias, "distance"], "score", &[]);
    graph.node("Sigmoid", &["score"], "p_same", &[]);
    let inputs = ["a", "b"].map(|side| picture(side, input));
    graph.finish("onelook_pair", inputs.to_vec(), vec![value("p_same", &[1])])
}

fn picture(name: &str, input: &InputSpec) -> ValueInfo {
    value(name, &[input.channels, input.side_px, input.side_px])
}

/// Floats of shape [N, ...].
fn value(name: &str, shape: &[usize]) -> ValueInfo {
    let batch = Size::Named("N".to_owned());
    let rest = shape.iter().map(|&size| Size::Fixed(size as i64));
    ValueInfo::floats(name, std::iter::once(batch).chain(rest))
}

/// A graph that grows node by node.
#[derive(Default)]
struct Draft {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
}

impl Draft {
    /// The nodes from pictures to embeddings; the weights are shared by all that ask for them.
    fn embed(&mut self, weights: Weights, prefix: &str, from: &str, to: &str) {
        match weights {
            Weights::F32(twin) => self.embed_f32(twin, prefix, from, to),
            Weights::Int8(twin) => self.embed_int8(twin, prefix, from, to),
        }
    }

    fn embed_f32(&mut self, twin: &PlainTwin, prefix: &str, from: &str, to: &str) {
        let mut at = from.to_owned();
        for (i, block) in twin.blocks.iter().enumerate() {
            let i = i + 1;
            let Block {
                filters, kernel, ..
            } = block.spec;
            let shape = [filters, block.channels, kernel, kernel];
            let weight = self.floats(&format!("conv{i}_weight"), &shape, &block.weight);
            let bias = self.floats(&format!("conv{i}_bias"), &[filters], &block.bias);
            let conv = format!("{prefix}conv{i}");
            self.conv("Conv", &[&at, &weight, &bias], &conv, block.spec);
            let relu = format!("{prefix}relu{i}");
            self.node("Relu", &[&conv], &relu, &[]);
            at = self.pool(relu, &format!("{prefix}pool{i}"), block.spec);
        }
        let flatten = [Attribute::int("axis", 1)];
        let Some(linear) = &twin.linear else {
            self.node("Flatten", &[&at], to, &flatten);
            return;
        };
        let units = linear.bias.len();
        let shape = [units, linear.weight.len() / units];
        let weight = self.floats("linear_weight", &shape, &linear.weight);
        let bias = self.floats("linear_bias", &[units], &linear.bias);
        let (flat, logits) = (format!("{prefix}flat"), format!("{prefix}linear"));
        self.node("Flatten", &[&at], &flat, &flatten);
        let transposed = [Attribute::int("transB", 1)];
        self.node("Gemm", &[&flat, &weight, &bias], &logits, &transposed);
        self.node("Sigmoid", &[&logits], to, &[]);
    }

    fn embed_int8(&mut self, twin: &QuantizedTwin, prefix: &str, from: &str, to: &str) {
        let mut scale = self.floats("image_scale", &[], &[twin.input_scale]);
        let mut zero = self.bytes("image_zero", &[], &[ZERO]);
        let mut at = format!("{prefix}image_int8");
        self.node("QuantizeLinear", &[from, &scale, &zero], &at, &[]);
        for (i, layer) in twin.layers.iter().enumerate() {
            let i = i + 1;
            let Block {
                filters, kernel, ..
            } = layer.spec;
            let shape = [filters, layer.channels, kernel, kernel];
            let name = |what: &str| format!("conv{i}_{what}");
            let weight = self.bytes(&name("weight"), &shape, &layer.weight);
            let weight_scale = self.floats(&name("weight_scale"), &[], &[layer.weight_scale]);
            let weight_zero = self.bytes(&name("weight_zero"), &[], &[0]);
            let out_scale = self.floats(&name("scale"), &[], &[layer.output_scale]);
            let out_zero = self.bytes(&name("zero"), &[], &[layer.output_zero]);
            let bias = self.words(&name("bias"), &layer.bias);
            let inputs = [
                at.as_str(),
                &scale,
                &zero,
                &weight,
                &weight_scale,
                &weight_zero,
                &out_scale,
                &out_zero,
                &bias,
            ];
            let conv = format!("{prefix}conv{i}");
            self.conv("QLinearConv", &inputs, &conv, layer.spec);
            at = self.pool(conv, &format!("{prefix}pool{i}"), layer.spec);
            (scale, zero) = (out_scale, out_zero);
        }
        let count = twin.output_scales.len();
        let scales = self.floats("embedding_scales", &[count], &twin.output_scales);
        let last_zero = twin.layers.last().map_or(0, |layer| layer.output_zero);
        let zeros = self.bytes("embedding_zeros", &[count], &vec![last_zero; count]);
        let floats = format!("{prefix}floats");
        let by_channel = [Attribute::int("axis", 1)];
        self.node(
            "DequantizeLinear",
            &[&at, &scales, &zeros],
            &floats,
            &by_channel,
        );
        let mut last = floats;
        if twin.sigmoid {
            let sigmoid = format!("{prefix}sigmoid");
            self.node("Sigmoid", &[&last], &sigmoid, &[]);
            last = sigmoid;
        }
        self.node("Flatten", &[&last], to, &[Attribute::int("axis", 1)]);
    }

    fn conv(&mut self, operator: &str, inputs: &[&str], output: &str, spec: Block) {
        let (kernel, padding) = (spec.kernel as i64, spec.padding as i64);
        let attributes = [
            Attribute::ints("kernel_shape", &[kernel, kernel]),
            Attribute::ints("pads", &[padding; 4]),
            Attribute::ints("strides", &[1, 1]),
        ];
        self.node(operator, inputs, output, &attributes);
    }

    /// The pooling that follows a convolution; the name of what came of it.
    fn pool(&mut self, from: String, to: &str, spec: Block) -> String {
        if spec.pool == 1 {
            return from;
        }
        let side = [spec.pool as i64; 2];
        let attributes = [
            Attribute::ints("kernel_shape", &side),
            Attribute::ints("strides", &side),
        ];
        self.node("MaxPool", &[&from], to, &attributes);
        to.to_owned()
    }

    /// A node with one output, whose name it takes.
    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[Attribute]) {
        let attributes = attributes.iter().cloned();
        self.nodes
            .push(Node::new(operator, inputs, output, attributes));
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.constant(Tensor::floats(name, &dims(shape), values))
    }

    fn bytes(&mut self, name: &str, shape: &[usize], values: &[i8]) -> String {
        self.constant(Tensor::bytes(name, &dims(shape), values))
    }

    fn words(&mut self, name: &str, values: &[i32]) -> String {
        self.constant(Tensor::words(name, &dims(&[values.len()]), values))
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(Tensor::integers(name, &dims(&[values.len()]), values))
    }

    /// A constant, kept once under its name.
    fn constant(&mut self, new: Tensor) -> String {
        let name = new.name.clone();
        if self.tensors.iter().all(|tensor| tensor.name != name) {
            self.tensors.push(new);
        }
        name
    }

    fn finish(self, name: &str, input: Vec<ValueInfo>, output: Vec<ValueInfo>) -> Graph {
        Graph {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.tensors,
            input,
            output,
        }
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&size| size as i64).collect()
}
