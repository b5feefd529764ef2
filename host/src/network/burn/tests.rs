use super::*;
use crate::config::Recipe;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn koch_has_the_parameters_of_the_paper() {
    let koch = Recipe::open("koch").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let twin = Twin::new(&koch.network, &koch.input, &mut rng, &Device::flex()).unwrap();
    // 6,464 + 401,536 + 262,272 + 524,544 + 37,752,832 + 4,096, and the head's bias.
    assert_eq!(twin.num_params(), 38_951_744 + 1);
}

#[test]
fn the_initial_weights_of_koch_have_the_spread_of_the_paper() {
    let koch = Recipe::open("koch").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let twin = Twin::new(&koch.network, &koch.input, &mut rng, &Device::flex()).unwrap();
    let plain = twin.plain(&koch.network).unwrap();
    let moments = |v: &[f32]| {
        let mean = v.iter().map(|&x| f64::from(x)).sum::<f64>() / v.len() as f64;
        let square = v
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>();
        (mean, (square / v.len() as f64).sqrt(), v.len() as f64)
    };
    // Within five standard errors: of a mean s / sqrt(n), of a deviation s / sqrt(2 n).
    let near = |(mean, deviation, count): (f64, f64, f64), expected: (f64, f64)| {
        let error = 5.0 * expected.1 / count.sqrt();
        assert!((mean - expected.0).abs() < error, "{mean}");
        assert!(
            (deviation - expected.1).abs() < error / 2f64.sqrt(),
            "{deviation}"
        );
    };
    near(moments(&plain.blocks[1].weight), (0.0, 0.01));
    near(moments(&plain.blocks[3].bias), (0.5, 0.01));
    let linear = plain.linear.unwrap();
    near(moments(&linear.weight), (0.0, 0.2));
    near(moments(&linear.bias), (0.5, 0.01));
    near(moments(&plain.head.alpha), (0.0, 0.2));
}

#[test]
fn the_embedding_of_a_hand_made_network_is_that_by_hand() {
    let spec = NetworkSpec {
        blocks: vec![Block {
            filters: 1,
            kernel: 2,
            padding: 0,
            pool: 2,
            ..Block::default()
        }],
        linear_sigmoid: None,
        alpha_non_negative: true,
        init: Init::He,
    };
    let input = InputSpec {
        side_px: 8,
        ..Recipe::open("compact").unwrap().input
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let device = Device::flex();
    let mut twin = Twin::new(&spec, &input, &mut rng, &device).unwrap();
    let floats = |values: Vec<f32>, shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values, shape), &device)
    };
    // Filter [1 0; 0 -1] on a 3x3 picture: out [1-5 2-6; 4-8 5-0] = [-4 -4; -4 5], maximum 5.
    let filter = floats(vec![1.0, 0.0, 0.0, -1.0], [1, 1, 2, 2]);
    twin.blocks[0].weight = Param::initialized(ParamId::from(1), filter);
    let picture = floats(vec![1., 2., 3., 4., 5., 6., 7., 8., 0.], [1, 1, 3, 3]);
    assert_eq!(numbers(twin.forward(picture)).unwrap(), [5.0]);
}

#[test]
fn a_twin_follows_another_by_the_share_asked_for() {
    let recipe = Recipe::open("compact").unwrap();
    let twin = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let twin = Twin::new(&recipe.network, &recipe.input, &mut rng, &Device::flex());
        twin.unwrap()
    };
    let weights = |twin: &Twin| numbers(twin.blocks[1].weight.val()).unwrap();
    let (old, new) = (weights(&twin(1)), weights(&twin(2)));
    let newer = twin(2);
    let norm = newer.blocks[0].norm.as_ref().unwrap();
    let filters = recipe.network.blocks[0].filters;
    let device = Device::flex();
    norm.running_var.update(Tensor::from_data(
        TensorData::new(vec![5.0f32; filters], [filters]),
        &device,
    ));
    let moved = twin(1).moved_toward(&newer, 0.25);
    for ((moved, old), new) in weights(&moved).iter().zip(old).zip(new) {
        assert!((moved - (0.75 * old + 0.25 * new)).abs() < 1e-6);
    }
    // A fresh variance is 1: 0.75 x 1 + 0.25 x 5.
    let norm = moved.blocks[0].norm.as_ref().unwrap();
    assert_eq!(
        numbers(norm.running_var.value_sync()).unwrap(),
        vec![2.0; filters]
    );
}

#[test]
fn a_dimension_that_hardly_weighs_is_dropped() {
    let recipe = Recipe::open("compact").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let device = Device::flex();
    let mut twin = Twin::new(&recipe.network, &recipe.input, &mut rng, &device).unwrap();
    // A five-hundredth of 2 is 0.004.
    let alpha = TensorData::new(vec![0.5f32, 0.0039, -0.0041, 2.0], [4]);
    twin.alpha = Param::initialized(ParamId::from(1), Tensor::from_data(alpha, &device));
    let kept = twin.without_faint_dimensions().alpha.val();
    assert_eq!(numbers(kept).unwrap(), [0.5, 0.0, -0.0041, 2.0]);
}

#[test]
fn projection_keeps_alpha_at_nothing_or_above() {
    let alpha = Tensor::from_data(TensorData::new(vec![-1.0f32, 2.0], [2]), &Device::flex());
    let kept = clamped(Param::initialized(ParamId::from(1), alpha), 0.0);
    assert_eq!(numbers(kept.val()).unwrap(), [0.0, 2.0]);
}
