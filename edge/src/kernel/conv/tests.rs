use proptest::prelude::*;

use super::plane::rounded;
use super::*;

/// Every set of loops that runs here.
fn routines() -> Vec<(&'static str, Routines)> {
    let here = Isa::here().map(|isa| (isa.name(), Routines::of(isa)));
    #[cfg(target_arch = "x86_64")]
    let here = here.chain(avx::twin_of_vnni().map(|twin| ("avx-vnni, as avx512", twin)));
    here.collect()
}

fn run(routines: Routines, shape: Shape, numbers: &Numbers, margin: usize, q: &[i8]) -> Vec<i8> {
    let layer = Layer::plan(routines, shape, numbers.clone(), margin).unwrap();
    let (mut from, mut to) = (layer.input(), layer.output());
    let picture: Vec<f32> = q.iter().map(|q| f32::from(*q) + 128.0).collect();
    from.quantize(&picture, 1.0);
    let mut memory = LayerMemory::default();
    layer.run(&from, &mut memory, &mut to);
    let first = to.clone();
    layer.run(&from, &mut memory, &mut to);
    assert_eq!(first.bytes, to.bytes, "a second run differs");
    let mut fresh = layer.output();
    let side = shape.out_side();
    let mut outputs = vec![0; shape.filters * side * side];
    to.each(|channel, pixel, offset| {
        outputs[channel * side * side + pixel] = (offset ^ 0x80) as i8;
    });
    // What surrounds the output is as it was.
    for y in 0..side {
        let pixels = fresh.row(y)..fresh.row(y) + side * shape.filters;
        for at in pixels {
            fresh
                .sample
                .put(&mut fresh.bytes, at, to.sample.get(&to.bytes, at));
        }
    }
    assert_eq!(fresh.bytes, to.bytes, "the margin is written upon");
    outputs
}

/// QLinearConv, then MaxPool, as ONNX defines them, straight from the definition.
fn defined(shape: Shape, numbers: &Numbers, q: &[i8]) -> Vec<i8> {
    let Shape {
        channels,
        side,
        filters,
        kernel,
        stride,
        padding,
        pool,
    } = shape;
    let at = |channel: usize, y: usize, x: usize| {
        let inside = |v: usize| (padding..side + padding).contains(&v);
        if inside(y) && inside(x) {
            let place = (channel * side + y - padding) * side + x - padding;
            i32::from(q[place]) + 128
        } else {
            0
        }
    };
    let convolved = |filter: usize, y: usize, x: usize| {
        let mut sum = numbers.bias[filter];
        for channel in 0..channels {
            for row in 0..kernel {
                for column in 0..kernel {
                    let place = ((filter * channels + channel) * kernel + row) * kernel + column;
                    let weight = i32::from(numbers.weights[place] as i8);
                    let input = at(channel, y * stride + row, x * stride + column);
                    sum = sum.wrapping_add(weight * input);
                }
            }
        }
        let real = f64::from(sum as f32 * numbers.scales[filter]);
        (real.round_ties_even() + f64::from(numbers.zero)).clamp(-128.0, 127.0) as i8
    };
    let side = shape.out_side();
    let mut outputs = Vec::new();
    for filter in 0..filters {
        for y in 0..side {
            for x in 0..side {
                let square = (0..pool * pool).map(|i| (y * pool + i / pool, x * pool + i % pool));
                outputs.extend(square.map(|(y, x)| convolved(filter, y, x)).max());
            }
        }
    }
    outputs
}

fn shape() -> impl Strategy<Value = Shape> {
    let sizes = (1..70usize, 1..9usize, 1..70usize, 1..6usize);
    let steps = (1..4usize, 0..5usize, 1..4usize);
    let shape = (sizes, steps).prop_map(|(sizes, steps)| Shape {
        channels: sizes.0,
        side: sizes.1,
        filters: sizes.2,
        kernel: sizes.3,
        stride: steps.0,
        padding: steps.1,
        pool: steps.2,
    });
    shape.prop_filter("no layer", |shape| shape.check().is_ok())
}

/// Numbers from a seed: evenly spread, or extremes alone.
fn numbers(shape: Shape, seed: u64, extreme: bool, zero: i8) -> (Numbers, Vec<i8>) {
    let mut state = seed;
    let mut next = move || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    let mut byte = |low: i8| match (extreme, next() % 256) {
        (true, 0..128) => low,
        (true, _) => 127,
        (false, any) => (any as i32 - 128).max(low.into()) as i8,
    };
    let weights = (0..shape.filters * shape.depth()).map(|_| byte(-127) as u8);
    let weights = weights.collect();
    let q = (0..shape.channels * shape.side * shape.side).map(|_| byte(-128));
    let q = q.collect();
    let bias = (0..shape.filters).map(|i| i32::from(byte(-128)) * 1000 * (i as i32 % 3));
    let bias = bias.collect();
    // Sums then come to some hundreds; a power of two gives ties.
    let per_tap = 0.5f32.powi(7) / shape.depth() as f32;
    let scales = (0..shape.filters)
        .map(|filter| match filter % 3 {
            0 => 0.5f32.powi(shape.depth().ilog2() as i32 + 7),
            1 => per_tap * 3.0,
            _ => per_tap * 40.0,
        })
        .collect();
    let numbers = Numbers {
        weights,
        bias,
        scales,
        zero,
    };
    (numbers, q)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_kernel_gives_what_onnx_defines(
        shape in shape(),
        seed in 1..u64::MAX,
        extreme in any::<bool>(),
        zero in prop_oneof![Just(-128i8), Just(0), any::<i8>()],
        margin in 0..3usize,
    ) {
        let (numbers, q) = numbers(shape, seed, extreme, zero);
        let expected = defined(shape, &numbers, &q);
        for (name, routines) in routines() {
            let found = run(routines, shape, &numbers, margin, &q);
            prop_assert_eq!(&found, &expected, "{}", name);
        }
    }
}

#[test]
fn sums_beyond_32_bits_wrap_alike_in_every_kernel() {
    let shape = Shape {
        channels: 3,
        side: 6,
        filters: 33,
        kernel: 3,
        stride: 1,
        padding: 1,
        pool: 2,
    };
    let (mut numbers, q) = numbers(shape, 7, true, 5);
    numbers.bias = (0..33)
        .map(|i| [i32::MAX, i32::MIN, i32::MAX - 900][i % 3])
        .collect();
    numbers.scales = [1e-8, 1e-38, 1e30].repeat(11);
    let expected = run(scalar::ROUTINES, shape, &numbers, 0, &q);
    for (name, routines) in routines() {
        assert_eq!(run(routines, shape, &numbers, 0, &q), expected, "{name}");
    }
}

#[test]
fn the_full_range_of_samples_and_weights_does_not_saturate() {
    // One place, 4 x 4 taps: 16 x 255 x 127 = 518,160; in units of 4,096 that is 126.5, to even 126.
    let shape = Shape {
        channels: 1,
        side: 5,
        filters: 2,
        kernel: 4,
        stride: 1,
        padding: 0,
        pool: 2,
    };
    let numbers = Numbers {
        weights: [[127u8; 16], [-127i8 as u8; 16]].concat().into(),
        bias: vec![518_144 - 518_160, 0],
        scales: vec![1.0 / 4096.0; 2],
        zero: 0,
    };
    for (name, routines) in routines() {
        let found = run(routines, shape, &numbers, 1, &[127; 25]);
        assert_eq!(found, [126, -127], "{name}");
    }
}

#[test]
fn every_number_of_a_picture_is_rounded_as_floats_are() {
    for i in 0..=2550 {
        let value = i as f32 / 10.0;
        assert_eq!(f32::from(rounded(value)), value.round_ties_even());
    }
    let mut plane = Plane::new(Sample::Offset, 1, 2, 1);
    plane.quantize(&[-3.0, f32::NAN, 0.5, 1e9], 1.0 / 256.0);
    let mut found = [0; 4];
    plane.each(|_, pixel, offset| found[pixel] = offset);
    assert_eq!(found, [0, 0, 128, 255]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let shape = Shape {
        channels: 1,
        side: 3,
        filters: 1,
        kernel: 2,
        stride: 1,
        padding: 0,
        pool: 1,
    };
    let numbers = |weights: &[u8], scale: f32| Numbers {
        weights: weights.to_vec().into(),
        bias: vec![0],
        scales: vec![scale],
        zero: 0,
    };
    let plan = |shape, numbers| Layer::new(Isa::SCALAR, shape, numbers, 0);
    assert!(plan(shape, numbers(&[1, 2, 3, 4], 1.0)).is_ok());
    assert!(plan(shape, numbers(&[1, 2, 3], 1.0)).is_err());
    assert!(plan(shape, numbers(&[1, 2, 3, 0x80], 1.0)).is_err());
    assert!(plan(shape, numbers(&[1, 2, 3, 4], 0.0)).is_err());
    let large = Shape { kernel: 4, ..shape };
    assert!(large.check().is_err());
    let pooled = Shape { pool: 3, ..shape };
    assert!(pooled.check().is_err());
    let endless = Shape {
        filters: 1 << 16,
        channels: 1 << 16,
        ..shape
    };
    assert!(endless.check().is_err());
}
