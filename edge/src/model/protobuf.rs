//! The parts of an ONNX file that the device reads, over the file's own bytes: weights are not copied. Files
//! are written by them, too: their lists of numbers are not packed, as in ONNX's own files, for rten and
//! maybe others read no packed ones. Knows field numbers alone; what they mean is in `model` and `plan`.

use prost::bytes::Bytes;

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
    /// What goes in, undecoded.
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub input: Vec<Bytes>,
    /// What comes out, undecoded.
    #[prost(bytes = "bytes", repeated, tag = "12")]
    pub output: Vec<Bytes>,
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
    /// What its value is: 2 for a whole number, 7 for a list.
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

/// A constant (`TensorProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tensor {
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// 1 for f32, 3 for i8, 6 for i32.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Its numbers, little-endian.
    #[prost(bytes = "bytes", tag = "9")]
    pub raw_data: Bytes,
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
