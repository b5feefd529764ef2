//! Writes the network as an ONNX graph, in the forms that the device's runtime runs best. Knows
//! weights and operators: nothing of cards, files or training.

use onelook_edge::gallery::head::Head;
use onelook_edge::model::onnx::attribute_proto::AttributeType;
use onelook_edge::model::onnx::tensor_proto::DataType;
use onelook_edge::model::onnx::tensor_shape_proto::{Dimension, dimension};
use onelook_edge::model::onnx::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
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
pub fn twin(weights: Weights, input: &InputSpec, dims: usize) -> GraphProto {
    let mut graph = Graph::default();
    graph.embed(weights, "", INPUT, OUTPUT);
    let name = "onelook_twin";
    graph.finish(
        name,
        vec![picture(INPUT, input)],
        vec![value(OUTPUT, &[dims])],
    )
}

/// Both twins and the head: `a`, `b` [N, channels, side, side] to `p_same` [N, 1].
pub fn pair(weights: Weights, input: &InputSpec, head: &Head) -> GraphProto {
    let mut graph = Graph::default();
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
    let keep = [("keepdims", Attribute::Int(1))];
    graph.node("ReduceSum", &["weighted", &axis], "distance", &keep);
    graph.node("Sub", &[&bias, "distance"], "score", &[]);
    graph.node("Sigmoid", &["score"], "p_same", &[]);
    let inputs = ["a", "b"].map(|side| picture(side, input));
    graph.finish("onelook_pair", inputs.to_vec(), vec![value("p_same", &[1])])
}

fn picture(name: &str, input: &InputSpec) -> ValueInfoProto {
    value(name, &[input.channels, input.side_px, input.side_px])
}

/// Floats of shape [N, ...].
fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dimension = |value| Dimension {
        denotation: String::new(),
        value: Some(value),
    };
    let batch = dimension(dimension::Value::DimParam("N".to_owned()));
    let rest = shape
        .iter()
        .map(|&size| dimension(dimension::Value::DimValue(size as i64)));
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: std::iter::once(batch).chain(rest).collect(),
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        ..ValueInfoProto::default()
    }
}

enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
}

#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl Graph {
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
        let flatten = [("axis", Attribute::Int(1))];
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
        let transposed = [("transB", Attribute::Int(1))];
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
        let by_channel = [("axis", Attribute::Int(1))];
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
        self.node("Flatten", &[&last], to, &[("axis", Attribute::Int(1))]);
    }

    fn conv(&mut self, operator: &str, inputs: &[&str], output: &str, spec: Block) {
        let (kernel, padding) = (spec.kernel as i64, spec.padding as i64);
        let attributes = [
            ("kernel_shape", Attribute::Ints(&[kernel, kernel])),
            ("pads", Attribute::Ints(&[padding; 4])),
            ("strides", Attribute::Ints(&[1, 1])),
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
            ("kernel_shape", Attribute::Ints(&side)),
            ("strides", Attribute::Ints(&side)),
        ];
        self.node("MaxPool", &[&from], to, &attributes);
        to.to_owned()
    }

    /// A node with one output, whose name it takes.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) {
        let attribute = |(name, value): &(&str, Attribute)| {
            let attribute = AttributeProto {
                name: (*name).to_owned(),
                ..AttributeProto::default()
            };
            match value {
                Attribute::Int(i) => AttributeProto {
                    r#type: AttributeType::Int as i32,
                    i: *i,
                    ..attribute
                },
                Attribute::Ints(ints) => AttributeProto {
                    r#type: AttributeType::Ints as i32,
                    ints: ints.to_vec(),
                    ..attribute
                },
            }
        };
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operator.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        });
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, DataType::Float, raw)
    }

    fn bytes(&mut self, name: &str, shape: &[usize], values: &[i8]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, DataType::Int8, raw)
    }

    fn words(&mut self, name: &str, values: &[i32]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, &[values.len()], DataType::Int32, raw)
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, &[values.len()], DataType::Int64, raw)
    }

    /// A constant, kept once under its name.
    fn tensor(&mut self, name: &str, shape: &[usize], kind: DataType, raw: Vec<u8>) -> String {
        if self.tensors.iter().all(|tensor| tensor.name != name) {
            self.tensors.push(TensorProto {
                dims: shape.iter().map(|&size| size as i64).collect(),
                data_type: kind as i32,
                raw_data: raw,
                name: name.to_owned(),
                ..TensorProto::default()
            });
        }
        name.to_owned()
    }

    fn finish(
        self,
        name: &str,
        input: Vec<ValueInfoProto>,
        output: Vec<ValueInfoProto>,
    ) -> GraphProto {
        GraphProto {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.tensors,
            input,
            output,
            ..GraphProto::default()
        }
    }
}
