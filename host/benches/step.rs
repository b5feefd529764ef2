//! One step's way forward and back through the layers of `compact`, 128 pictures: by ours and by Burn on
//! the CPU. `cargo bench --workspace --bench step`

#![allow(clippy::unwrap_used)]

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use divan::Bencher;
use onelook::config::Recipe;
use onelook::network::burn::Twin;
use onelook::network::cpu::Layers;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PICTURES: usize = 128;

fn main() {
    divan::main();
}

fn begin() -> (Recipe, Twin, Vec<f32>) {
    let recipe = Recipe::open("compact").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let device = Device::flex().autodiff();
    let twin = Twin::new(&recipe.network, &recipe.input, &mut rng, &device).unwrap();
    let count = PICTURES * recipe.input.len();
    let patches = (0..count).map(|_| rng.random()).collect();
    (recipe, twin, patches)
}

#[divan::bench]
fn ours(bencher: Bencher) {
    let (recipe, twin, patches) = begin();
    let layers = Layers::new(&recipe.network, &recipe.input).unwrap();
    let dims = twin.head().unwrap().alpha.len();
    bencher.bench(|| {
        let weights = twin.weights().unwrap();
        let pass = layers.forward(&weights, &patches);
        let gradient = layers.backward(&weights, &pass, pass.embeddings());
        twin.track_moments(pass.moments());
        twin.gradients(gradient, vec![0.0; dims], 0.0)
    });
}

#[divan::bench]
fn burn(bencher: Bencher) {
    let (recipe, twin, patches) = begin();
    let (channels, side) = (recipe.input.channels, recipe.input.side_px);
    let dims = twin.head().unwrap().alpha.len();
    bencher.bench(|| {
        let data = TensorData::new(patches.clone(), [PICTURES, channels, side, side]);
        let embeddings = twin.forward(Tensor::from_data(data, &Device::flex().autodiff()));
        let gradient = embeddings.clone().into_data().try_into_vec().unwrap();
        let found = twin
            .surrogate(embeddings, gradient, vec![0.0; dims], 0.0)
            .backward();
        GradientsParams::from_grads(found, &twin)
    });
}
