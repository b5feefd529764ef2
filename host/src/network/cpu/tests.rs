use super::*;
use crate::config::Recipe;
use crate::network::burn::Twin;
use crate::network::spec::{Block, NetworkSpec};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn block(filters: usize, kernel: usize, padding: usize, pool: usize, batch_norm: bool) -> Block {
    Block {
        filters,
        kernel,
        padding,
        pool,
        batch_norm,
    }
}

fn random(count: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 2e-5 * largest,
            "{what}: {a} {b} of {largest}"
        );
    }
}

/// (blocks, linear layer, channels, side): odd sides, windows that leave a rest, more padding than a
/// filter is wide, colours.
type Network = (Vec<Block>, Option<usize>, usize, usize);

fn networks() -> [Network; 3] {
    let normal = vec![block(5, 3, 1, 2, true), block(7, 3, 1, 2, true)];
    let plain = vec![block(4, 4, 0, 2, false), block(6, 2, 0, 1, false)];
    let mixed = vec![block(3, 1, 0, 1, false), block(5, 2, 3, 3, true)];
    [
        (normal, None, 1, 13),
        (plain, Some(70), 3, 12),
        (mixed, Some(9), 1, 11),
    ]
}

fn recipe((blocks, linear_sigmoid, channels, side_px): Network) -> (NetworkSpec, InputSpec) {
    let compact = Recipe::open("compact").unwrap();
    let spec = NetworkSpec {
        blocks,
        linear_sigmoid,
        ..compact.network
    };
    let input = InputSpec {
        channels,
        side_px,
        ..compact.input
    };
    (spec, input)
}

fn twin(spec: &NetworkSpec, input: &InputSpec, device: &Device) -> Twin {
    Twin::new(spec, input, &mut ChaCha8Rng::seed_from_u64(5), device).unwrap()
}

/// Random pictures, the last of them blank as paper is: all its windows are ties.
fn pictures(count: usize, input: &InputSpec) -> Vec<f32> {
    let mut patches = random(count * input.len(), &mut ChaCha8Rng::seed_from_u64(6));
    patches[(count - 1) * input.len()..].fill(0.25);
    patches
}

#[test]
fn embeddings_and_gradients_are_those_of_burn() {
    for network in networks() {
        let (spec, input) = recipe(network);
        let device = Device::flex().autodiff();
        let (burns, ours) = (twin(&spec, &input, &device), twin(&spec, &input, &device));
        let count = PICTURES + 3;
        let patches = pictures(count, &input);

        let shape = [count, input.channels, input.side_px, input.side_px];
        let seen = Tensor::from_data(TensorData::new(patches.clone(), shape), &device);
        let embeddings = burns.forward(seen);
        let dims = embeddings.dims()[1];
        let gradient = random(count * dims, &mut ChaCha8Rng::seed_from_u64(7));
        let expected = embeddings
            .clone()
            .into_data()
            .try_into_vec::<f32>()
            .unwrap();
        let of_burn = burns
            .surrogate(embeddings, gradient.clone(), vec![0.5; dims], 0.25)
            .backward();
        let of_burn = GradientsParams::from_grads(of_burn, &burns);
        let of_burn = burns.plain_gradients(&of_burn);

        let layers = Layers::new(&spec, &input).unwrap();
        let weights = ours.weights().unwrap();
        let pass = layers.forward(&weights, &patches);
        assert_near(pass.embeddings(), &expected, "embeddings");
        let found = layers.backward(&weights, &pass, &gradient);
        for (at, (found, of_burn)) in found.blocks.iter().zip(&of_burn.blocks).enumerate() {
            let what = |part: &str| format!("{part} of block {at} of {spec:?}");
            assert_near(&found.weight, &of_burn.weight, &what("weights"));
            assert_near(&found.shift, &of_burn.shift, &what("shifts"));
            assert_eq!(found.scale.is_some(), of_burn.scale.is_some());
            if let (Some(found), Some(of_burn)) = (&found.scale, &of_burn.scale) {
                assert_near(found, of_burn, &what("scales"));
            }
        }
        assert_eq!(found.linear.is_some(), of_burn.linear.is_some());
        if let (Some(found), Some(of_burn)) = (&found.linear, &of_burn.linear) {
            assert_near(&found.weight, &of_burn.weight, "linear weights");
            assert_near(&found.bias, &of_burn.bias, "linear biases");
        }
        // As the optimizer gets them.
        let registered = ours.gradients(found.clone(), vec![0.5; dims], 0.25);
        assert_eq!(ours.plain_gradients(&registered), found);
        ours.track_moments(pass.moments());
        let (ours, burns) = (ours.plain(&spec).unwrap(), burns.plain(&spec).unwrap());
        for (ours, burns) in ours.blocks.iter().zip(&burns.blocks) {
            assert_near(&ours.weight, &burns.weight, "folded weights");
            assert_near(&ours.bias, &burns.bias, "folded biases");
        }
    }
}

#[test]
fn with_folded_weights_embeddings_are_those_of_burn_where_nothing_is_learned() {
    for network in networks() {
        let (spec, input) = recipe(network);
        let layers = Layers::new(&spec, &input).unwrap();
        let twin = twin(&spec, &input, &Device::flex().autodiff());
        let count = PICTURES + 3;
        let patches = pictures(count, &input);
        // Running moments that are not those of a fresh twin.
        let pass = layers.forward(&twin.weights().unwrap(), &patches);
        twin.track_moments(pass.moments());
        let twin = twin.valid();
        let shape = [count, input.channels, input.side_px, input.side_px];
        let x = Tensor::from_data(TensorData::new(patches.clone(), shape), &Device::flex());
        let expected = twin.forward(x).into_data().try_into_vec::<f32>().unwrap();
        let folded = twin.plain(&spec).unwrap().weights();
        let found = layers.forward(&folded, &patches);
        assert_near(found.embeddings(), &expected, "embeddings");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for network in networks() {
        let (spec, input) = recipe(network);
        let weights = twin(&spec, &input, &Device::flex()).weights().unwrap();
        let patches = pictures(5 * PICTURES, &input);
        let layers = Layers::new(&spec, &input).unwrap();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let pass = layers.forward(&weights, &patches);
                layers.backward(&weights, &pass, pass.embeddings())
            })
        };
        assert_eq!(with(1), with(3));
    }
}

#[test]
fn what_is_no_number_is_seen_in_the_embedding() {
    for network in networks() {
        let (spec, input) = recipe(network);
        let mut weights = twin(&spec, &input, &Device::flex()).weights().unwrap();
        weights.blocks[0].weight[0] = f32::NAN;
        let layers = Layers::new(&spec, &input).unwrap();
        let pass = layers.forward(&weights, &pictures(2, &input));
        assert!(pass.embeddings().iter().any(|x| x.is_nan()));
    }
}
