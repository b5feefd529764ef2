//! A model's file: its bytes read and written, and the id over what they hold. Knows nothing of what a network
//! computes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use super::card::{CardError, FORMAT};
use super::onnx::{self, Entry, Graph, Opset};
use super::{Card, ModelError};

/// The largest model file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

pub(super) const ID_KEY: &str = "onelook.id";
const CARD_KEY: &str = "onelook.card";
const OPSET: i64 = 13;
const IR_VERSION: i64 = 7;

/// The bytes of an ONNX file: `graph` and, for the device, its card.
///
/// # Errors
/// Where the card holds numbers that cannot be.
pub fn encode(graph: Graph, card: Option<&Card>) -> Result<Vec<u8>, CardError> {
    let text = match card {
        Some(card) => {
            card.check()?;
            Some(serde_json::to_string(card)?)
        }
        None => None,
    };
    Ok(written(&graph, text))
}

/// The bytes of a file of this graph, and of a card with this text.
pub(super) fn written(graph: &Graph, card: Option<String>) -> Vec<u8> {
    let graph = graph.encode_to_vec();
    let mut metadata_props = Vec::new();
    if let Some(text) = card {
        let id = identity(&text, &graph);
        for (key, value) in [(CARD_KEY, text), (ID_KEY, id)] {
            metadata_props.push(Entry {
                key: key.to_owned(),
                value,
            });
        }
    }
    let file = onnx::File {
        ir_version: IR_VERSION,
        producer_name: "onelook".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph.into()),
        opset_import: vec![opset()],
        metadata_props,
    };
    file.encode_to_vec()
}

/// The network in the bytes of an ONNX file; `None` where they are none.
pub fn graph(bytes: &[u8]) -> Option<Graph> {
    let file = onnx::File::decode(bytes).ok()?;
    Graph::decode(file.graph?).ok()
}

pub(super) fn opset() -> Opset {
    Opset {
        domain: String::new(),
        version: OPSET,
    }
}

pub(super) fn identity(card: &str, graph: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(card);
    hash.update([0]);
    hash.update(graph);
    hex(&hash.finalize())
}

/// `bytes` in hexadecimal digits, as ids and hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a model file; one that is too large is cut where `Model::from_bytes` refuses it.
///
/// # Errors
/// `Unreadable`.
pub fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let unreadable = |source| ModelError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let len = file.metadata().map_or(0, |about| about.len());
    let mut bytes = Vec::with_capacity(len.min(MAX_FILE_BYTES) as usize + 1);
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

/// The file and the graph in it.
pub(super) fn read_file(bytes: &Bytes, name: &str) -> Result<(onnx::File, Bytes), ModelError> {
    let file = onnx::File::decode(bytes.clone()).map_err(|_| not_onnx(name))?;
    let graph = file.graph.clone().ok_or_else(|| not_onnx(name))?;
    Ok((file, graph))
}

pub(super) fn not_onnx(name: &str) -> ModelError {
    ModelError::NotOnnx {
        name: name.to_owned(),
    }
}

pub(super) fn property<'a>(file: &'a onnx::File, key: &str) -> Option<&'a str> {
    let mut found = file.metadata_props.iter();
    found
        .find(|entry| entry.key == key)
        .map(|entry| entry.value.as_str())
}

pub(super) fn card_text<'a>(file: &'a onnx::File, name: &str) -> Result<&'a str, ModelError> {
    property(file, CARD_KEY).ok_or_else(|| ModelError::Foreign {
        name: name.to_owned(),
    })
}

pub(super) fn read_card(text: &str, name: &str) -> Result<Card, ModelError> {
    let damaged = |error: CardError| ModelError::Damaged {
        name: name.to_owned(),
        source: error.into(),
    };
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| damaged(error.into()))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if let Some(found) = format
        && found != u64::from(FORMAT)
    {
        return Err(ModelError::OtherFormat {
            name: name.to_owned(),
            found,
        });
    }
    let card: Card = serde_json::from_value(value).map_err(|error| damaged(error.into()))?;
    card.check().map_err(damaged)?;
    Ok(card)
}
