//! The f32 twin of a quantised network: the same layers with the same weights, in floats. What other
//! runtimes are measured with where they are at their best in floats.

use std::collections::BTreeMap;

use onelook_edge::model::onnx::{Graph, Node, Tensor};
use onelook_edge::model::{self, Card, Precision};

/// The file of the same network in f32; none where it is not one in 8 bits as `onelook export` writes it.
///
/// # Errors
/// The twin cannot be written.
pub fn file(bytes: &[u8], card: &Card) -> Result<Option<Vec<u8>>, model::CardError> {
    let twin = match card.precision {
        Precision::Int8 => model::graph(bytes).and_then(|graph| f32_twin(&graph)),
        Precision::F32 => None,
    };
    let card = Card {
        precision: Precision::F32,
        ..card.clone()
    };
    let encoded = twin.map(|graph| model::encode(graph, Some(&card)));
    encoded.transpose()
}

/// The f32 twin of a network of the form that `onelook export` writes in 8 bits; none for another.
fn f32_twin(graph: &Graph) -> Option<Graph> {
    let constants: BTreeMap<&str, &Tensor> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    let constant = |node: &Node, i: usize| constants.get(node.input.get(i)?.as_str()).copied();
    let scale = |node: &Node, i: usize| floats(constant(node, i)?).first().copied();
    let dequantize = graph
        .node
        .iter()
        .find(|node| node.op_type == "DequantizeLinear")?;
    let last_scales = floats(constant(dequantize, 1)?);
    let mut convolutions = graph
        .node
        .iter()
        .filter(|node| node.op_type == "QLinearConv");
    let last = convolutions.next_back()?;

    let mut nodes: Vec<Node> = Vec::new();
    let mut tensors = Vec::new();
    // What a name of the quantised network is called in the twin.
    let mut renamed: BTreeMap<&str, String> = BTreeMap::new();
    for node in &graph.node {
        let from = node.input.first()?;
        let from = renamed.get(from.as_str()).unwrap_or(from).clone();
        let to = node.output.first()?;
        match node.op_type.as_str() {
            "QuantizeLinear" | "DequantizeLinear" => {
                renamed.insert(to, from);
            }
            "QLinearConv" => {
                let weight = constant(node, 3)?;
                let filters = *weight.dims.first()? as usize;
                let unit = scale(node, 1)?;
                let scales = floats(constant(node, 4)?);
                let depth = weight.raw_data.len() / filters;
                // The last scales may differ from channel to channel: its weights take that up.
                let heard = |filter: usize| match last_scales.get(filter) {
                    Some(heard) if std::ptr::eq(node, last) => {
                        scale(node, 6).map(|out| heard / out)
                    }
                    _ => Some(1.0),
                };
                let mut weights = Vec::new();
                let mut biases = Vec::new();
                for (filter, row) in weight.raw_data.chunks_exact(depth).enumerate() {
                    let scale = *scales.get(filter).or(scales.first())? * heard(filter)?;
                    weights.extend(row.iter().map(|q| f32::from(*q as i8) * scale));
                    biases.push(scale * unit);
                }
                let bias = constant(node, 8)?.raw_data.as_chunks::<4>().0;
                for (bias, q) in biases.iter_mut().zip(bias) {
                    *bias *= i32::from_le_bytes(*q) as f32;
                }
                let names = [from, format!("{to}_weight"), format!("{to}_bias")];
                tensors.push(Tensor::floats(&names[1], &weight.dims, &weights));
                tensors.push(Tensor::floats(&names[2], &[filters as i64], &biases));
                let saturates = constant(node, 7)?.raw_data[..] == [i8::MIN as u8];
                let conv = if saturates {
                    format!("{to}_linear")
                } else {
                    to.clone()
                };
                nodes.push(Node {
                    op_type: "Conv".to_owned(),
                    input: names.to_vec(),
                    output: vec![conv.clone()],
                    ..node.clone()
                });
                if saturates {
                    nodes.push(Node {
                        op_type: "Relu".to_owned(),
                        name: format!("{to}_relu"),
                        input: vec![conv],
                        output: vec![to.clone()],
                        ..Node::default()
                    });
                }
            }
            _ => nodes.push(Node {
                input: vec![from],
                ..node.clone()
            }),
        }
    }
    Some(Graph {
        node: nodes,
        initializer: tensors,
        ..graph.clone()
    })
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let (words, _) = tensor.raw_data.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use onelook_edge::model::{Engine, Model};
    use onelook_edge::vision::preprocess::Patch;

    use super::*;

    #[test]
    fn the_twin_gives_the_embedding_but_for_rounding() {
        let bytes = onelook_edge::model::SHIPPED;
        let model = Model::from_bytes(bytes, "shipped").unwrap();
        let twin = file(bytes, model.card()).unwrap().unwrap();
        let twin = Model::on(Engine::Tract, twin, "twin").unwrap();
        let ramp = |i: usize| {
            if i % 32 < 9 {
                (i / 32) as f32 / 31.0
            } else {
                0.0
            }
        };
        let patch = Patch((0..model.card().input.len()).map(ramp).collect());
        let (a, b) = (model.embed(&patch).unwrap(), twin.embed(&patch).unwrap());
        let most = a.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let error: f32 = a.iter().zip(&b).map(|(a, b)| (a - b).abs() / most).sum();
        let mean = error / a.len() as f32;
        assert!(mean < 0.01, "{mean}");
    }
}
