//! One layer of a quantised network: an 8-bit convolution, its bias, maximum pooling and the way back
//! to 8 bits, fused. Planned once: weights are packed in the order in which they are read, and nothing
//! is allocated afterwards.
//!
//! Activations lie channel by channel, pixel by pixel, row by row, with the padding around them. A row
//! of a filter is then one run of memory, so that there is no im2col: the loops walk over such runs in
//! steps of four bytes, for a tile of pixels and a block of filters at a time. Pooling looks at the
//! sums: requantisation never falls, so the largest sum gives the largest result.

#![allow(unsafe_code)]

use prost::bytes::Bytes;

use super::{Instructions, Isa};

#[cfg(target_arch = "x86_64")]
mod avx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod gemm;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plane;
mod scalar;

pub use gemm::Gemm;
pub use plane::Plane;

/// Bytes of samples that the loops take at a time, and of weights for each filter.
const STEP: usize = 4;
/// The largest number of samples or weights of a layer.
const MAX_NUMBERS: usize = 1 << 28;

/// The shape of a layer over square planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Input channels.
    pub channels: usize,
    /// Side of the input, without padding.
    pub side: usize,
    /// Output channels.
    pub filters: usize,
    /// Side of a filter.
    pub kernel: usize,
    /// From one place of a filter to the next.
    pub stride: usize,
    /// Pixels of zero around the input.
    pub padding: usize,
    /// Side of the square that one maximum is taken of, and from one square to the next; 1 for none.
    pub pool: usize,
}

impl Shape {
    /// Whether there is a layer of that shape that memory can bear.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [self.channels, self.side, self.filters, self.kernel];
        let steps = [self.stride, self.pool];
        let small = |size: &usize| (1..=1 << 16).contains(size);
        if !sizes.iter().chain(&steps).all(small) || self.padding >= self.kernel {
            return Err(format!("no layer: {self:?}"));
        }
        if self.kernel > self.padded() || self.pool > self.conv_side() {
            return Err(format!("larger than what it is laid on: {self:?}"));
        }
        let numbers = |count: [usize; 3]| {
            let all = count.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
            all.is_some_and(|all| all <= MAX_NUMBERS)
        };
        let taps = self.kernel * self.kernel;
        let outputs = self.conv_side() * self.conv_side();
        if !numbers([self.filters, self.channels, taps])
            || !numbers([self.channels, self.padded(), self.padded()])
            || !numbers([self.filters, outputs, 1])
        {
            return Err(format!("too large: {self:?}"));
        }
        Ok(())
    }

    fn padded(&self) -> usize {
        self.side + 2 * self.padding
    }

    /// Side of the output before pooling.
    pub fn conv_side(&self) -> usize {
        (self.padded() - self.kernel) / self.stride + 1
    }

    /// Side of the output.
    pub fn out_side(&self) -> usize {
        self.conv_side() / self.pool
    }

    /// Weights of one filter.
    pub fn depth(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Multiplications and additions that the layer asks for.
    pub fn macs(&self) -> u64 {
        let outputs = self.conv_side() * self.conv_side() * self.filters;
        outputs as u64 * self.depth() as u64
    }

    /// Whether a filter covers the whole input: each weight is then used once.
    fn is_dense(&self) -> bool {
        self.kernel == self.side && self.padding == 0
    }
}

/// What a layer computes with. An output is
/// `round(sum (input - input zero) x weight + bias) x scale) + zero`, ties to even, clamped to 8 bits;
/// the input's zero is -128.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// [filters, channels, kernel, kernel], -127 to 127 in two's complement.
    pub weights: Bytes,
    /// `[filters]`
    pub bias: Vec<i32>,
    /// `[filters]`, finite, above 0.
    pub scales: Vec<f32>,
    /// The output that stands for 0.
    pub zero: i8,
}

/// How an activation q of -128 to 127 lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sample {
    /// q + 128 in a byte.
    Offset,
    /// q in a byte.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    Signed,
    /// q + 128 in two bytes.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Wide,
}

impl Sample {
    fn bytes(self) -> usize {
        match self {
            Self::Offset | Self::Signed => 1,
            Self::Wide => 2,
        }
    }

    /// Writes q + 128 at place `at`.
    fn put(self, to: &mut [u8], at: usize, offset: u8) {
        match self {
            Self::Offset => to[at] = offset,
            Self::Signed => to[at] = offset ^ 0x80,
            Self::Wide => to[2 * at..2 * at + 2].copy_from_slice(&u16::from(offset).to_le_bytes()),
        }
    }

    /// q + 128 at place `at`.
    fn get(self, from: &[u8], at: usize) -> u8 {
        match self {
            Self::Offset => from[at],
            Self::Signed => from[at] ^ 0x80,
            Self::Wide => from[2 * at],
        }
    }
}

/// The way through a filter: `rows` runs of `steps` steps, `row_bytes` apart in the samples and end to
/// end in the weights.
#[derive(Clone, Copy, Debug)]
struct Taps {
    rows: usize,
    steps: usize,
    row_bytes: usize,
}

/// From sums to a row of outputs.
#[derive(Clone, Copy, Debug)]
struct Finish<'a> {
    /// Outputs in the row.
    count: usize,
    /// The output is the maximum over `pool` x `pool` sums, whose rows are `row` pixels long.
    pool: usize,
    row: usize,
    /// A number for each filter of the block.
    bias: &'a [i32],
    scales: &'a [f32],
    /// q + 128 of what stands for 0.
    zero: u8,
    /// Bytes from one output to the next.
    stride: usize,
}

/// For each pixel, given as its first byte in the samples, the sums of a block of filters:
/// `(taps, pixels, samples, weights, sums)`.
type Accumulate = unsafe fn(&Taps, &[u32], &[u8], &[u8], &mut [i32]);

/// The loops of one set of instructions. They trust the lengths that [`Layer`] makes sure of.
#[derive(Clone, Copy, Debug)]
struct Routines {
    sample: Sample,
    /// Filters in a block.
    filters: usize,
    accumulate: Accumulate,
    /// The sum over samples x weights, as many of the ones as of the others: `(samples, weights)`.
    dot: unsafe fn(&[u8], &[u8]) -> i32,
    /// A row of outputs of a block of filters: `(finish, sums, outputs)`.
    finish: unsafe fn(&Finish, &[i32], &mut [u8]),
}

impl Routines {
    fn of(isa: Isa) -> Self {
        match isa.instructions() {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Vnni => avx512::ROUTINES,
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni => avx::VNNI,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => avx::AVX2,
            #[cfg(target_arch = "aarch64")]
            Instructions::NeonDot => neon::DOT,
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => neon::PLAIN,
            _ => scalar::ROUTINES,
        }
    }
}

/// A layer, ready to run.
#[derive(Debug)]
pub struct Layer {
    shape: Shape,
    /// Pixels around the output, for the layer that comes next.
    margin: usize,
    routines: Routines,
    taps: Taps,
    /// The first byte of each pixel of a band: of the rows that make one row of the output.
    pixels: Vec<u32>,
    weights: Weights,
    /// A number for each filter, those that fill up the last block among them.
    bias: Vec<i32>,
    scales: Vec<f32>,
    zero: u8,
}

#[derive(Debug)]
enum Weights {
    /// [block, row, step, filter of the block, STEP bytes]
    Packed(Aligned),
    /// As they are given: [filter, channel, row, column].
    Plain(Bytes),
}

/// Bytes that begin where a cache line does, so that no load straddles two.
#[derive(Debug)]
struct Aligned {
    memory: Vec<u8>,
    start: usize,
}

impl Aligned {
    const LINE: usize = 64;

    fn new(bytes: &[u8]) -> Self {
        let mut memory = vec![0; bytes.len() + Self::LINE];
        let start = memory.as_ptr().align_offset(Self::LINE).min(Self::LINE);
        memory[start..start + bytes.len()].copy_from_slice(bytes);
        memory.truncate(start + bytes.len());
        Self { memory, start }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..]
    }
}

/// The memory that a layer works in, shared by all layers of a network.
#[derive(Clone, Debug, Default)]
pub struct LayerMemory {
    sums: Vec<i32>,
    row: Vec<u8>,
}

impl Layer {
    /// Plans a layer for `isa`, whose output lies in a plane with `margin` pixels around it.
    ///
    /// # Errors
    /// In words, where shape and numbers do not fit each other.
    pub fn new(isa: Isa, shape: Shape, numbers: Numbers, margin: usize) -> Result<Self, String> {
        Self::plan(Routines::of(isa), shape, numbers, margin)
    }

    /// Plans a layer for loops that run here.
    fn plan(
        routines: Routines,
        shape: Shape,
        numbers: Numbers,
        margin: usize,
    ) -> Result<Self, String> {
        shape.check()?;
        let Numbers {
            weights,
            mut bias,
            mut scales,
            zero,
        } = numbers;
        if weights.len() != shape.filters * shape.depth()
            || bias.len() != shape.filters
            || scales.len() != shape.filters
        {
            return Err("as many numbers as the filters ask for".to_owned());
        }
        if weights.contains(&0x80) || !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err("weights are -127 to 127, scales finite and above 0".to_owned());
        }
        let Routines {
            sample, filters, ..
        } = routines;
        if sample == Sample::Signed {
            let of_filter = weights.chunks_exact(shape.depth());
            for (bias, weights) in bias.iter_mut().zip(of_filter) {
                // The loops see q where they should see q + 128.
                let sum: i32 = weights.iter().map(|w| i32::from(*w as i8)).sum();
                *bias = bias.wrapping_add(sum.wrapping_mul(128));
            }
        }
        let whole = shape.filters.next_multiple_of(filters);
        bias.resize(whole, 0);
        scales.resize(whole, 1.0);
        let pixel_bytes = shape.channels * sample.bytes();
        let run = shape.kernel * shape.channels;
        let taps = Taps {
            rows: shape.kernel,
            steps: (run * sample.bytes()).div_ceil(STEP),
            row_bytes: shape.padded() * pixel_bytes,
        };
        let columns = shape.out_side() * shape.pool;
        let pixels = (0..shape.pool)
            .flat_map(|y| (0..columns).map(move |x| (y, x)))
            .map(|(y, x)| ((y * taps.row_bytes + x * pixel_bytes) * shape.stride) as u32)
            .collect();
        let weights = if shape.is_dense() {
            Weights::Plain(weights)
        } else {
            Weights::Packed(Aligned::new(&pack(
                &shape, &weights, &taps, sample, filters,
            )))
        };
        Ok(Self {
            shape,
            margin,
            routines,
            taps,
            pixels,
            weights,
            bias,
            scales,
            zero: zero as u8 ^ 0x80,
        })
    }

    /// What it was planned as.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// A plane for its input: [side, side, channels] and the padding around, zeros.
    pub fn input(&self) -> Plane {
        let Shape {
            channels,
            side,
            padding,
            ..
        } = self.shape;
        Plane::new(self.routines.sample, channels, side, padding)
    }

    /// A plane for its output: [side, side, filters] and the margin around, zeros.
    pub fn output(&self) -> Plane {
        let Shape { filters, .. } = self.shape;
        Plane::new(
            self.routines.sample,
            filters,
            self.shape.out_side(),
            self.margin,
        )
    }

    /// Runs it. `memory` grows in the first run alone.
    ///
    /// # Panics
    /// If a plane is not made by [`Layer::input`] and [`Layer::output`] of layers like this one.
    pub fn run(&self, from: &Plane, memory: &mut LayerMemory, to: &mut Plane) {
        let shape = &self.shape;
        assert!(from.is_like(
            self.routines.sample,
            shape.channels,
            shape.side,
            shape.padding
        ));
        assert!(to.is_like(
            self.routines.sample,
            shape.filters,
            shape.out_side(),
            self.margin
        ));
        match &self.weights {
            Weights::Packed(weights) => self.convolve(from, weights.bytes(), memory, to),
            Weights::Plain(weights) => self.multiply(from, weights, memory, to),
        }
    }

    fn convolve(&self, from: &Plane, weights: &[u8], memory: &mut LayerMemory, to: &mut Plane) {
        let routines = &self.routines;
        let block_bytes = self.taps.rows * self.taps.steps * routines.filters * STEP;
        let sums = grown(&mut memory.sums, self.pixels.len() * routines.filters);
        let band_bytes = self.shape.pool * self.shape.stride * self.taps.row_bytes;
        for (block, weights) in weights.chunks_exact(block_bytes).enumerate() {
            for y in 0..self.shape.out_side() {
                let samples = &from.bytes[y * band_bytes..];
                accumulate(routines, &self.taps, &self.pixels, samples, weights, sums);
                self.finish(block, y, sums, &mut memory.row, to);
            }
        }
    }

    fn multiply(&self, from: &Plane, weights: &[u8], memory: &mut LayerMemory, to: &mut Plane) {
        let routines = &self.routines;
        let depth = self.shape.depth();
        let sample = routines.sample;
        let flat = grown(&mut memory.row, depth * sample.bytes());
        let area = self.shape.side * self.shape.side;
        from.each(|channel, pixel, offset| sample.put(flat, channel * area + pixel, offset));
        let sums = grown(&mut memory.sums, self.bias.len());
        for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(depth)) {
            *sum = dot(routines, flat, weights);
        }
        for (block, sums) in memory.sums.chunks_exact(routines.filters).enumerate() {
            if block * routines.filters >= self.shape.filters {
                break;
            }
            self.finish(block, 0, sums, &mut memory.row, to);
        }
    }

    /// Row `y` of the outputs of a block of filters, from its sums.
    fn finish(&self, block: usize, y: usize, sums: &[i32], row: &mut Vec<u8>, to: &mut Plane) {
        let routines = &self.routines;
        let (sample_bytes, filters) = (routines.sample.bytes(), routines.filters);
        let first = block * filters;
        let side = self.shape.out_side();
        let pixel_bytes = self.shape.filters * sample_bytes;
        let place = (y + self.margin) * (side + 2 * self.margin) + self.margin;
        let outputs = &mut to.bytes[place * pixel_bytes + first * sample_bytes..];
        let mut finish = Finish {
            count: side,
            pool: self.shape.pool,
            row: side * self.shape.pool,
            bias: &self.bias[first..first + filters],
            scales: &self.scales[first..first + filters],
            zero: self.zero,
            stride: pixel_bytes,
        };
        let valid = (self.shape.filters - first).min(filters);
        if valid == filters {
            conclude(routines, &finish, sums, outputs);
            return;
        }
        // The last filters do not fill a block: what is beyond them would fall into the next pixel.
        finish.stride = filters * sample_bytes;
        let row = grown(row, side * finish.stride);
        conclude(routines, &finish, sums, row);
        for (from, to) in row
            .chunks_exact(finish.stride)
            .zip(outputs.chunks_mut(pixel_bytes))
        {
            let bytes = valid * sample_bytes;
            to[..bytes].copy_from_slice(&from[..bytes]);
        }
    }
}

/// Sums of a block of filters for every pixel.
fn accumulate(
    routines: &Routines,
    taps: &Taps,
    pixels: &[u32],
    samples: &[u8],
    weights: &[u8],
    sums: &mut [i32],
) {
    let reach = (taps.rows - 1) * taps.row_bytes + taps.steps * STEP;
    let furthest = pixels.iter().max().map_or(0, |pixel| *pixel as usize);
    assert!(furthest + reach <= samples.len());
    assert!(taps.rows * taps.steps * routines.filters * STEP <= weights.len());
    assert!(pixels.len() * routines.filters <= sums.len());
    // SAFETY: a layer is planned for instructions that are here alone, and the lengths are as asked:
    // every pixel's every run lies in the samples, and weights and sums are enough.
    unsafe { (routines.accumulate)(taps, pixels, samples, weights, sums) }
}

/// The sum over samples x weights.
fn dot(routines: &Routines, samples: &[u8], weights: &[u8]) -> i32 {
    assert!(weights.len() * routines.sample.bytes() <= samples.len());
    // SAFETY: a layer is planned for instructions that are here alone; there is a sample for each
    // weight.
    unsafe { (routines.dot)(samples, weights) }
}

/// A row of outputs.
fn conclude(routines: &Routines, finish: &Finish, sums: &[i32], outputs: &mut [u8]) {
    let Finish {
        count, pool, row, ..
    } = *finish;
    let filters = routines.filters;
    assert!(count > 0 && count * pool <= row && pool * row * filters <= sums.len());
    assert!(finish.bias.len() == filters && finish.scales.len() == filters);
    assert!((count - 1) * finish.stride + filters * routines.sample.bytes() <= outputs.len());
    // SAFETY: a layer is planned for instructions that are here alone, and the lengths are as asked:
    // each square of sums, each number of the block and each output is there.
    unsafe { (routines.finish)(finish, sums, outputs) }
}

/// The weights in the order in which the loops read them, zeros where a run or a block is filled up.
fn pack(shape: &Shape, weights: &[u8], taps: &Taps, sample: Sample, filters: usize) -> Vec<u8> {
    let Shape {
        channels, kernel, ..
    } = *shape;
    let per_step = STEP / sample.bytes();
    let mut packed =
        Vec::with_capacity(shape.filters.next_multiple_of(filters) * taps.rows * taps.steps * STEP);
    for block in (0..shape.filters).step_by(filters) {
        for row in 0..taps.rows {
            for step in 0..taps.steps {
                for filter in block..block + filters {
                    for tap in step * per_step..(step + 1) * per_step {
                        let (column, channel) = (tap / channels, tap % channels);
                        let weight = if filter < shape.filters && column < kernel {
                            let plane = (filter * channels + channel) * kernel;
                            weights[(plane + row) * kernel + column] as i8
                        } else {
                            0
                        };
                        match sample {
                            Sample::Wide => packed.extend(i16::from(weight).to_le_bytes()),
                            Sample::Offset | Sample::Signed => packed.push(weight as u8),
                        }
                    }
                }
            }
        }
    }
    packed
}

/// The first `len` of `memory`, which grows to hold them.
fn grown<T: Clone + Default>(memory: &mut Vec<T>, len: usize) -> &mut [T] {
    if memory.len() < len {
        memory.resize(len, T::default());
    }
    &mut memory[..len]
}

#[cfg(test)]
mod tests;
