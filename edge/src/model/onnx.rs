//! The parts of ONNX's file format that models use, read and written. Weights are not copied: a graph that is read
//! points into the file's bytes. Lists of numbers are written unpacked, as other programs write them: rten reads no
//! packed ones. Knows field numbers alone: what they mean is in `file` and `plan`. A field that is not named here is
//! skipped by reading.

use prost::bytes::Bytes;

/// The type of 32-bit floats.
pub const F32: i32 = 1;
/// The type of signed bytes.
pub const I8: i32 = 3;
/// The type of 32-bit integers.
pub const I32: i32 = 6;
/// The type of 64-bit integers.
pub const I64: i32 = 7;
/// The kind of an attribute that is a whole number.
pub const INT: i32 = 2;
/// The kind of an attribute that is a list of whole numbers.
pub const INTS: i32 = 7;

/// A whole file (`ModelProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct File {
    /// The version of the format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The program that wrote it.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// The version of that.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// A `Graph`, undecoded: what the checksum is over.
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub graph: Option<Bytes>,
    /// The versions of the operators.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<Opset>,
    /// What the file says of itself.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
}

/// A set of operators (`OperatorSetIdProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Opset {
    /// Empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key with its value (`StringStringEntryProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A network (`GraphProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Graph {
    /// Its operators in order.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// What goes in.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// What comes out.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// What goes into a graph, or comes out of it (`ValueInfoProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub kind: Option<ValueType>,
}

impl ValueInfo {
    /// Floats of a shape.
    pub fn floats(name: &str, shape: impl IntoIterator<Item = Size>) -> Self {
        let dim = |size| Dim { size: Some(size) };
        Self {
            name: name.to_owned(),
            kind: Some(ValueType {
                tensor: Some(TensorType {
                    data_type: F32,
                    shape: Some(Shape {
                        dims: shape.into_iter().map(dim).collect(),
                    }),
                }),
            }),
        }
    }
}

/// The type of a value (`TypeProto`), of which models have tensors alone.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueType {
    /// What kind of tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

/// The type of a tensor (`TypeProto.Tensor`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorType {
    /// [`F32`], [`I8`], [`I32`] or [`I64`].
    #[prost(int32, tag = "1")]
    pub data_type: i32,
    /// Its shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// The shape of a tensor (`TensorShapeProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Shape {
    /// From the outermost to the innermost.
    #[prost(message, repeated, tag = "1")]
    pub dims: Vec<Dim>,
}

/// A dimension (`TensorShapeProto.Dimension`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dim {
    /// Its size.
    #[prost(oneof = "Size", tags = "1, 2")]
    pub size: Option<Size>,
}

/// The size of a dimension.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Size {
    /// This one.
    #[prost(int64, tag = "1")]
    Fixed(i64),
    /// Any; equal names stand for equal sizes.
    #[prost(string, tag = "2")]
    Named(String),
}

/// An operator (`NodeProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    /// Names of what goes in.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of what comes out.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// What it does.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// How.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Empty for ONNX's own operators.
    #[prost(string, tag = "7")]
    pub domain: String,
}

impl Node {
    /// An ONNX operator with one output, whose name it takes.
    pub fn new(
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        Self {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operator.to_owned(),
            attribute: attributes.into_iter().collect(),
            domain: String::new(),
        }
    }
}

/// A property of an operator (`AttributeProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value, where that is a whole number.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// Its value, where that is a list of whole numbers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// What its value is: [`INT`] or [`INTS`].
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

impl Attribute {
    /// A whole number.
    pub fn int(name: &str, i: i64) -> Self {
        Self {
            name: name.to_owned(),
            i,
            ints: Vec::new(),
            kind: INT,
        }
    }

    /// A list of whole numbers.
    pub fn ints(name: &str, ints: &[i64]) -> Self {
        Self {
            name: name.to_owned(),
            i: 0,
            ints: ints.to_vec(),
            kind: INTS,
        }
    }
}

/// A constant (`TensorProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tensor {
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// [`F32`], [`I8`], [`I32`] or [`I64`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Its numbers, little-endian.
    #[prost(bytes = "bytes", tag = "9")]
    pub raw_data: Bytes,
}

impl Tensor {
    /// A constant of floats.
    pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Self {
        let numbers = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(name, dims, F32, numbers.collect())
    }

    /// A constant of signed bytes.
    pub fn bytes(name: &str, dims: &[i64], values: &[i8]) -> Self {
        let numbers = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(name, dims, I8, numbers.collect())
    }

    /// A constant of 32-bit integers.
    pub fn words(name: &str, dims: &[i64], values: &[i32]) -> Self {
        let numbers = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(name, dims, I32, numbers.collect())
    }

    /// A constant of 64-bit integers.
    pub fn integers(name: &str, dims: &[i64], values: &[i64]) -> Self {
        let numbers = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(name, dims, I64, numbers.collect())
    }

    fn new(name: &str, dims: &[i64], data_type: i32, numbers: Vec<u8>) -> Self {
        Self {
            dims: dims.to_vec(),
            data_type,
            name: name.to_owned(),
            raw_data: numbers.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn lists_are_read_packed_or_not_and_written_unpacked() {
        // Field 8: 8 << 3 and 0 for a single number, 2 for a list in one piece.
        let unpacked = [0x40, 3, 0x40, 5];
        for bytes in [&unpacked[..], &[0x42, 2, 3, 5]] {
            let attribute = Attribute::decode(bytes).unwrap();
            assert_eq!(attribute.ints, [3, 5]);
            assert_eq!(attribute.encode_to_vec(), unpacked);
        }
        // Field 1.
        let unpacked = [0x08, 3, 0x08, 5];
        for bytes in [&unpacked[..], &[0x0a, 2, 3, 5]] {
            let tensor = Tensor::decode(bytes).unwrap();
            assert_eq!(tensor.dims, [3, 5]);
            assert_eq!(tensor.encode_to_vec(), unpacked);
        }
    }
}
