//! A quantised network of the form that `onelook export` writes, ready to run on the kernels: its ONNX
//! graph in, embeddings out. Knows nothing of cards and files; a graph of any other form is
//! refused.
//!
//! The form: QuantizeLinear; QLinearConv, each with or without a MaxPool; DequantizeLinear; with or
//! without a Sigmoid; Flatten. The embedding is the one that ONNX defines, in the arithmetic that ONNX
//! Runtime does it in.

use prost::Message;
use prost::bytes::Bytes;

use crate::kernel::Isa;
use crate::kernel::conv::{self, Layer, Numbers, Plane, Shape};
use crate::model::onnx::{F32, Graph, I8, I32, Node, Tensor};
use crate::vision::preprocess::InputSpec;

/// The activation that stands for 0 in whatever goes into a convolution.
const ZERO: i8 = i8::MIN;
const LARGEST: i64 = 1 << 16;

/// A network, planned.
#[derive(Debug)]
pub struct Plan {
    isa: Isa,
    input_scale: f32,
    layers: Vec<Layer>,
    /// q + 128 of the last output's zero.
    zero: u8,
    /// An output q of channel c is (q - zero) x `scales[c]`.
    scales: Vec<f32>,
    sigmoid: bool,
}

/// Why a network is not one that the kernels run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The bytes are no graph.
    #[error(transparent)]
    NotAGraph(#[from] prost::DecodeError),
    /// Another operator than the form has at its place, or one with other properties.
    #[error("{found} where {expected} should be")]
    OtherOperator {
        /// What is there.
        found: String,
        /// What the form has.
        expected: &'static str,
    },
    /// The graph is too short.
    #[error("no {0} at the end")]
    Ended(&'static str),
    /// The graph is too long, or ends in another name than this one.
    #[error("{0} is not the end")]
    NotTheEnd(String),
    /// Something else that the form does not have.
    #[error("{0}")]
    OtherForm(&'static str),
    /// The activation that stands for 0 is another one.
    #[error("zero is {0} before a convolution")]
    Zero(i8),
    /// What should be a constant is none.
    #[error("{0:?} is no constant")]
    NoConstant(String),
    /// A constant is of another type than the form has, or not whole.
    #[error("{0:?} is of another type or size")]
    OtherConstant(String),
    /// Neither one scale nor one for each channel.
    #[error("{found} scales for {channels}")]
    Scales {
        /// Scales.
        found: usize,
        /// Channels.
        channels: usize,
    },
    /// Not a size, or one that is too large.
    #[error("a size of {0}")]
    Size(i64),
    /// The numbers of this property are not the same in all directions.
    #[error("{0} differ")]
    Differ(&'static str),
    /// In words, why the kernels refuse a layer.
    #[error("{0}")]
    Layer(String),
}

/// The memory that a plan works in.
#[derive(Clone, Debug)]
pub struct NetworkMemory {
    /// What goes into the first layer, then what comes out of each.
    planes: Vec<Plane>,
    within: conv::LayerMemory,
    embedding: Vec<f32>,
}

impl Plan {
    /// Plans the network in the bytes of an ONNX graph from `from`, of the shape that `input` says, to
    /// `to`.
    ///
    /// # Errors
    /// Where the graph is of another form.
    pub fn new(
        isa: Isa,
        graph: &Bytes,
        from: &str,
        input: &InputSpec,
        to: &str,
    ) -> Result<Self, PlanError> {
        let graph = Graph::decode(graph.clone())?;
        let mut reader = Reader {
            nodes: &graph.node,
            tensors: &graph.initializer,
            at: from,
        };
        let quantize = reader.next("QuantizeLinear", &[])?;
        let input_scale = reader.scale(quantize, 1)?;
        let mut scale = input_scale;
        let mut zero = reader.byte(quantize, 2)?;
        let (mut channels, mut side) = (input.channels, input.side_px);
        let mut found: Vec<(Shape, Numbers)> = Vec::new();
        while reader.peek() == "QLinearConv" {
            if zero != ZERO {
                return Err(PlanError::Zero(zero));
            }
            let conv = reader.next("QLinearConv", &["kernel_shape", "pads", "strides"])?;
            if (reader.scale(conv, 1)?, reader.byte(conv, 2)?) != (scale, zero) {
                return Err(PlanError::OtherForm(
                    "a convolution expects another scale than it gets",
                ));
            }
            let weight = reader.tensor(conv, 3, I8)?;
            let [filters, of, kernel, width] = weight.dims[..] else {
                return Err(PlanError::OtherForm("weights of another rank"));
            };
            if of != channels as i64 || kernel != width {
                return Err(PlanError::OtherForm("weights of another shape"));
            }
            let filters = size(filters)?;
            let output_scale = reader.scale(conv, 6)?;
            let scales: Vec<f32> = reader
                .floats(conv, 4, filters)?
                .iter()
                .map(|weight_scale| scale * weight_scale / output_scale)
                .collect();
            let weight_zeros = &reader.tensor(conv, 5, I8)?.raw_data;
            let bias = words(reader.tensor(conv, 8, I32)?, i32::from_le_bytes);
            zero = reader.byte(conv, 7)?;
            if conv.input.len() != 9 || weight_zeros.iter().any(|zero| *zero != 0) {
                return Err(PlanError::OtherForm("a convolution of another form"));
            }
            let mut shape = Shape {
                channels,
                side,
                filters,
                kernel: size(kernel)?,
                stride: even(conv, "strides", 1)?,
                padding: even(conv, "pads", 0)?,
                pool: 1,
            };
            if even(conv, "kernel_shape", shape.kernel)? != shape.kernel {
                return Err(PlanError::OtherForm(
                    "a convolution that contradicts its weights",
                ));
            }
            if reader.peek() == "MaxPool" {
                let pool = reader.next("MaxPool", &["kernel_shape", "strides"])?;
                shape.pool = even(pool, "kernel_shape", 1)?;
                if even(pool, "strides", 1)? != shape.pool || pool.input.len() != 1 {
                    return Err(PlanError::OtherForm("maxima that overlap"));
                }
            }
            let layer = shape.check();
            layer.map_err(|reason| PlanError::Layer(reason.to_string()))?;
            (channels, side, scale) = (filters, shape.out_side(), output_scale);
            let numbers = Numbers {
                weights: weight.raw_data.clone(),
                bias,
                scales,
                zero,
            };
            found.push((shape, numbers));
        }
        let dequantize = reader.next("DequantizeLinear", &["axis"])?;
        let scales = reader.floats(dequantize, 1, channels)?;
        let zeros = &reader.tensor(dequantize, 2, I8)?.raw_data;
        if found.is_empty() || zeros.iter().any(|byte| *byte as i8 != zero) {
            return Err(PlanError::OtherForm("not the end of a convolution"));
        }
        let sigmoid = reader.peek() == "Sigmoid";
        if sigmoid {
            reader.next("Sigmoid", &[])?;
        }
        let flatten = reader.next("Flatten", &["axis"])?;
        if !reader.nodes.is_empty() || reader.at != to {
            return Err(PlanError::NotTheEnd(to.to_owned()));
        }
        for node in [dequantize, flatten] {
            if node.attribute.iter().any(|axis| axis.i != 1) {
                return Err(PlanError::OtherForm("another axis"));
            }
        }
        // The output of each layer has the padding of the next around it.
        let margins: Vec<usize> = found.iter().skip(1).map(|(next, _)| next.padding).collect();
        let margins = margins.into_iter().chain([0]);
        let layers = found
            .into_iter()
            .zip(margins)
            .map(|((shape, numbers), margin)| Layer::new(isa, shape, numbers, margin))
            .collect::<Result<_, _>>()
            .map_err(|reason| PlanError::Layer(reason.to_string()))?;
        Ok(Self {
            isa,
            input_scale,
            layers,
            zero: zero as u8 ^ 0x80,
            scales,
            sigmoid,
        })
    }

    /// The kernels that it runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Its layers, the first one first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Numbers in an embedding.
    pub fn dims(&self) -> usize {
        self.layers.last().map_or(0, |layer| {
            let side = layer.shape().out_side();
            layer.shape().filters * side * side
        })
    }

    /// Memory to run it in.
    pub fn memory(&self) -> NetworkMemory {
        let first = self.layers.first().map(Layer::input);
        let planes = first
            .into_iter()
            .chain(self.layers.iter().map(Layer::output));
        NetworkMemory {
            planes: planes.collect(),
            within: conv::LayerMemory::default(),
            embedding: vec![0.0; self.dims()],
        }
    }

    /// The embedding of a picture [channels, side, side].
    ///
    /// # Panics
    /// If the picture is of another size, or `memory` of another plan.
    pub fn embed<'a>(&self, picture: &[f32], memory: &'a mut NetworkMemory) -> &'a [f32] {
        let NetworkMemory {
            planes,
            within,
            embedding,
        } = memory;
        assert_eq!(
            planes.len(),
            self.layers.len() + 1,
            "memory of another plan"
        );
        planes[0].quantize(picture, self.input_scale);
        for (i, layer) in self.layers.iter().enumerate() {
            let (before, after) = planes.split_at_mut(i + 1);
            layer.run(&before[i], within, &mut after[0]);
        }
        let area = self.dims() / self.scales.len();
        let zero = i32::from(self.zero);
        planes[self.layers.len()].each(|channel, pixel, offset| {
            let real = (i32::from(offset) - zero) as f32 * self.scales[channel];
            embedding[channel * area + pixel] = if self.sigmoid {
                1.0 / (1.0 + (-real).exp())
            } else {
                real
            };
        });
        embedding
    }
}

/// Reads a chain of operators, each of whose first input is the output of the one before.
struct Reader<'a> {
    nodes: &'a [Node],
    tensors: &'a [Tensor],
    at: &'a str,
}

impl<'a> Reader<'a> {
    /// What the next operator does; nothing at the end.
    fn peek(&self) -> &'a str {
        self.nodes.first().map_or("", |node| &node.op_type)
    }

    /// The next operator, if it is of that kind and has no properties but those.
    fn next(&mut self, operator: &'static str, properties: &[&str]) -> Result<&'a Node, PlanError> {
        let Some((node, rest)) = self.nodes.split_first() else {
            return Err(PlanError::Ended(operator));
        };
        let known = |name: &str| properties.contains(&name);
        if node.op_type != operator
            || !node.domain.is_empty()
            || node.input.first().is_none_or(|name| name != self.at)
            || node.output.len() != 1
            || !node.attribute.iter().all(|property| known(&property.name))
        {
            return Err(PlanError::OtherOperator {
                found: node.op_type.clone(),
                expected: operator,
            });
        }
        (self.nodes, self.at) = (rest, &node.output[0]);
        Ok(node)
    }

    /// The constant that goes into `node` at place `index`, whole and of that type.
    fn tensor(&self, node: &Node, index: usize, kind: i32) -> Result<&'a Tensor, PlanError> {
        let name = node.input.get(index).map_or("", String::as_str);
        let mut tensors = self.tensors.iter();
        let tensor = tensors.find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| PlanError::NoConstant(name.to_owned()))?;
        let number_bytes = if kind == I8 { 1 } else { 4 };
        let bytes = tensor.dims.iter().try_fold(number_bytes, |bytes, dim| {
            usize::checked_mul(bytes, size(*dim).ok()?)
        });
        if tensor.data_type != kind || bytes != Some(tensor.raw_data.len()) {
            return Err(PlanError::OtherConstant(name.to_owned()));
        }
        Ok(tensor)
    }

    /// A positive, finite scale.
    fn scale(&self, node: &Node, index: usize) -> Result<f32, PlanError> {
        match self.floats(node, index, 1)?[..] {
            [scale] if scale > 0.0 && scale.is_finite() => Ok(scale),
            _ => Err(PlanError::OtherForm("no scale")),
        }
    }

    /// `count` floats; one stands for all.
    fn floats(&self, node: &Node, index: usize, count: usize) -> Result<Vec<f32>, PlanError> {
        let mut floats = words(self.tensor(node, index, F32)?, f32::from_le_bytes);
        if floats.len() == 1 {
            floats = floats.repeat(count);
        }
        if floats.len() != count {
            return Err(PlanError::Scales {
                found: floats.len(),
                channels: count,
            });
        }
        Ok(floats)
    }

    fn byte(&self, node: &Node, index: usize) -> Result<i8, PlanError> {
        match self.tensor(node, index, I8)?.raw_data[..] {
            [byte] => Ok(byte as i8),
            _ => Err(PlanError::OtherForm("no zero")),
        }
    }
}

fn words<T>(tensor: &Tensor, read: fn([u8; 4]) -> T) -> Vec<T> {
    let (words, _) = tensor.raw_data.as_chunks::<4>();
    words.iter().map(|word| read(*word)).collect()
}

fn size(number: i64) -> Result<usize, PlanError> {
    match usize::try_from(number) {
        Ok(size) if (1..=LARGEST).contains(&number) => Ok(size),
        _ => Err(PlanError::Size(number)),
    }
}

/// A property that is the same number in all directions.
fn even(node: &Node, name: &'static str, default: usize) -> Result<usize, PlanError> {
    let mut properties = node.attribute.iter();
    let Some(property) = properties.find(|property| property.name == name) else {
        return Ok(default);
    };
    let first = property.ints.first().copied().unwrap_or(-1);
    if !(0..=LARGEST).contains(&first) || property.ints.iter().any(|i| *i != first) {
        return Err(PlanError::Differ(name));
    }
    Ok(first as usize)
}
