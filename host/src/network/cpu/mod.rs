//! The layers of a twin on the CPU: the embeddings of a batch, and from the gradient of these the exact
//! gradient of the weights, in plain numbers. Knows nothing of Burn, which has the same layers in
//! `network` and is what this is tested against, nor of losses and optimizers.
//!
//! Inside, pictures are [count, side, side, channels]: what lies under a row of a filter is one run of
//! numbers, and a convolution a product of matrices (Chellapilla, Puri and Simard
//! 2006). Work is cut into parts of one size whatever the number of cores, and their sums are added in
//! order: the result does not depend on how many cores there are.

mod product;

use onelook_edge::vision::preprocess::InputSpec;
use rayon::prelude::*;

use crate::config::{Block, NetworkSpec};
use product::{Matrix, product};

/// What batch normalisation adds to a variance.
pub const EPSILON: f32 = 1e-5;

/// Pictures that one thread takes at a time.
const PICTURES: usize = 8;

/// Rows of a product: enough to be worth the packing of the filters, few enough to stay in the cache.
const ROWS: usize = 256;

/// Places of a channel whose sums one thread takes at a time.
const PLACES: usize = 2048;

/// Units or inputs of a linear layer that one thread takes at a time.
const UNITS: usize = 64;

/// The weights of the layers below the head, or their gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// One entry for each block.
    pub blocks: Vec<BlockWeights>,
    /// The fully connected layer.
    pub linear: Option<LinearWeights>,
}

/// The weights of a convolution and of the normalisation behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockWeights {
    /// [filters, channels, kernel, kernel]
    pub weight: Vec<f32>,
    /// `[filters]`: the scale of a batch normalisation, where there is one.
    pub scale: Option<Vec<f32>>,
    /// `[filters]`: the shift of a batch normalisation, else the bias.
    pub shift: Vec<f32>,
}

/// The weights of a fully connected layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearWeights {
    /// [inputs, units]
    pub weight: Vec<f32>,
    /// `[units]`
    pub bias: Vec<f32>,
}

/// Mean and variance of each channel over a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// `[filters]`
    pub mean: Vec<f32>,
    /// `[filters]`, over the number of values.
    pub variance: Vec<f32>,
}

/// The shapes of a network's layers.
#[derive(Clone, Debug)]
pub struct Layers {
    blocks: Vec<Layer>,
    /// Channels and side of what leaves the last block.
    last: (usize, usize),
}

#[derive(Clone, Copy, Debug)]
struct Layer {
    channels: usize,
    side: usize,
    filters: usize,
    kernel: usize,
    padding: isize,
    pool: usize,
    /// Side after the convolution.
    out: usize,
    /// Side after the pooling.
    pooled: usize,
}

/// A batch on its way through the layers: what the way back needs.
#[derive(Debug)]
pub struct Pass {
    count: usize,
    /// What each block saw, and at the end what the last one gave.
    seen: Vec<Vec<f32>>,
    blocks: Vec<Kept>,
    /// What the linear layer saw, [count, inputs].
    flat: Vec<f32>,
    /// [count, dims]
    embeddings: Vec<f32>,
}

#[derive(Debug)]
struct Kept {
    /// The largest number of each window, before the normalisation.
    pooled: Vec<f32>,
    /// Which of its window it was.
    winners: Vec<u32>,
    moments: Option<Moments>,
}

impl Layers {
    /// The layers of a network.
    ///
    /// # Errors
    /// In words, where a filter is larger than what it looks at.
    pub fn new(spec: &NetworkSpec, input: &InputSpec) -> Result<Self, String> {
        let shapes = spec.shapes(input)?;
        let layer = |(block, planes): (&Block, &[(usize, usize)])| {
            let (channels, side) = planes[0];
            Layer {
                channels,
                side,
                filters: block.filters,
                kernel: block.kernel,
                padding: block.padding as isize,
                pool: block.pool,
                out: block.convolved(side).unwrap_or_default(),
                pooled: planes[1].1,
            }
        };
        let blocks = spec.blocks.iter().zip(shapes.planes.windows(2));
        Ok(Self {
            blocks: blocks.map(layer).collect(),
            last: shapes.planes.last().copied().unwrap_or_default(),
        })
    }

    /// The embeddings of patches [count, channels, side, side], normalised by their own mean and variance.
    ///
    /// # Panics
    /// If the weights are those of other layers.
    pub fn forward(&self, weights: &Weights, patches: &[f32]) -> Pass {
        let first = &self.blocks[0];
        let picture = first.channels * first.side * first.side;
        assert!(patches.len().is_multiple_of(picture), "whole patches");
        assert_eq!(self.blocks.len(), weights.blocks.len(), "blocks");
        let count = patches.len() / picture;
        let mut x = transposed(patches, first.channels, first.side * first.side);
        let mut seen = Vec::new();
        let mut blocks = Vec::new();
        for (layer, weights) in self.blocks.iter().zip(&weights.blocks) {
            let (pooled, winners) = layer.convolve(&weights.weight, &x, count);
            let moments = weights
                .scale
                .as_ref()
                .map(|_| moments(&pooled, layer.filters));
            let y = layer.activate(weights, moments.as_ref(), &pooled);
            seen.push(std::mem::replace(&mut x, y));
            blocks.push(Kept {
                pooled,
                winners,
                moments,
            });
        }
        seen.push(x);
        let (channels, side) = self.last;
        let flat = transposed(&seen[self.blocks.len()], side * side, channels);
        let embeddings = match &weights.linear {
            Some(linear) => linear.forward(&flat),
            None => flat.clone(),
        };
        Pass {
            count,
            seen,
            blocks,
            flat,
            embeddings,
        }
    }

    /// The gradient of the weights from `gradient`, that of the embeddings, laid out as they are.
    ///
    /// # Panics
    /// If the weights are not those of the pass.
    pub fn backward(&self, weights: &Weights, pass: &Pass, gradient: &[f32]) -> Weights {
        assert_eq!(gradient.len(), pass.embeddings.len(), "a gradient");
        let (linear, flat) = match &weights.linear {
            Some(linear) => {
                let (of_weights, of_input) = linear.backward(pass, gradient);
                (Some(of_weights), of_input)
            }
            None => (None, gradient.to_vec()),
        };
        let (channels, side) = self.last;
        let mut gradient = transposed(&flat, channels, side * side);
        let mut blocks = Vec::new();
        for (at, (layer, weights)) in self.blocks.iter().zip(&weights.blocks).enumerate().rev() {
            let kept = &pass.blocks[at];
            let (scale, shift) =
                layer.activate_backward(weights, kept, &pass.seen[at + 1], &mut gradient);
            let (weight, of_input) = layer.convolve_backward(
                &weights.weight,
                &pass.seen[at],
                &kept.winners,
                &gradient,
                at > 0,
            );
            blocks.push(BlockWeights {
                weight,
                scale,
                shift,
            });
            gradient = of_input;
        }
        blocks.reverse();
        Weights { blocks, linear }
    }
}

impl Pass {
    /// [count, dims]
    pub fn embeddings(&self) -> &[f32] {
        &self.embeddings
    }

    /// Mean and variance of each block that has a batch normalisation.
    pub fn moments(&self) -> impl Iterator<Item = Option<&Moments>> {
        self.blocks.iter().map(|kept| kept.moments.as_ref())
    }
}

impl Layer {
    /// Numbers under a filter.
    fn field(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// What the block sees, as its filters do.
    fn view<'a>(&self, input: &'a [f32]) -> View<'a> {
        View {
            numbers: input,
            channels: self.channels,
            side: self.side,
            kernel: self.kernel,
            padding: self.padding,
            out: self.out,
        }
    }

    /// The filters as a matrix [kernel x kernel x channels, filters].
    fn filter_rows(&self, weight: &[f32]) -> Vec<f32> {
        self.arranged(weight, |filter, channel, y, x| {
            self.place_in_rows(filter, channel, y, x)
        })
    }

    fn place_in_rows(&self, filter: usize, channel: usize, y: usize, x: usize) -> usize {
        ((y * self.kernel + x) * self.channels + channel) * self.filters + filter
    }

    /// The filters turned by half a turn, as a matrix [kernel x kernel x filters, channels].
    fn turned_rows(&self, weight: &[f32]) -> Vec<f32> {
        let last = self.kernel - 1;
        self.arranged(weight, |filter, channel, y, x| {
            (((last - y) * self.kernel + last - x) * self.filters + filter) * self.channels
                + channel
        })
    }

    fn arranged(
        &self,
        weight: &[f32],
        place: impl Fn(usize, usize, usize, usize) -> usize,
    ) -> Vec<f32> {
        let mut rows = vec![0.0; weight.len()];
        self.each_weight(|from, filter, channel, y, x| {
            rows[place(filter, channel, y, x)] = weight[from];
        });
        rows
    }

    /// Calls with the place of each weight: its index, filter, channel, row and column.
    fn each_weight(&self, mut call: impl FnMut(usize, usize, usize, usize, usize)) {
        let mut index = 0;
        for filter in 0..self.filters {
            for channel in 0..self.channels {
                for y in 0..self.kernel {
                    for x in 0..self.kernel {
                        call(index, filter, channel, y, x);
                        index += 1;
                    }
                }
            }
        }
    }

    /// Convolution and pooling: the largest of each window, and which one it was.
    fn convolve(&self, weight: &[f32], input: &[f32], count: usize) -> (Vec<f32>, Vec<u32>) {
        let filters = self.filter_rows(weight);
        let size = self.pooled * self.pooled * self.filters;
        let mut pooled = vec![0.0; count * size];
        let mut winners = vec![0; count * size];
        let parts = pooled
            .par_chunks_mut(PICTURES * size)
            .zip(winners.par_chunks_mut(PICTURES * size))
            .zip(input.par_chunks(PICTURES * self.side * self.side * self.channels));
        let scratch = || (Vec::new(), Vec::new());
        parts.for_each_init(
            scratch,
            |(fields, convolved), ((pooled, winners), input)| {
                let pictures = pooled.len() / size;
                convolved.resize(pictures * self.out * self.out * self.filters, 0.0);
                let view = self.view(input);
                view.tiles(fields, |rows, fields| {
                    let into = rows.start * self.filters..rows.end * self.filters;
                    let fields = Matrix::rows(fields, self.field());
                    let filters = Matrix::rows(&filters, self.filters);
                    product(&mut convolved[into], fields, filters, false);
                });
                self.pool(convolved, pooled, winners);
            },
        );
        (pooled, winners)
    }

    fn pool(&self, convolved: &[f32], pooled: &mut [f32], winners: &mut [u32]) {
        let runs = pooled
            .chunks_exact_mut(self.filters)
            .zip(winners.chunks_exact_mut(self.filters));
        for (at, (largest, winner)) in runs.enumerate() {
            let first = self.run_of_window(at, 0);
            largest.copy_from_slice(&convolved[first..][..self.filters]);
            winner.fill(0);
            for candidate in 1..self.pool * self.pool {
                let run = &convolved[self.run_of_window(at, candidate)..][..self.filters];
                for ((largest, winner), &value) in largest.iter_mut().zip(&mut *winner).zip(run) {
                    let larger = value > *largest || value.is_nan();
                    *largest = if larger { value } else { *largest };
                    *winner = if larger { candidate as u32 } else { *winner };
                }
            }
        }
    }

    /// Where in the convolved pictures a candidate of window `at` begins.
    fn run_of_window(&self, at: usize, candidate: usize) -> usize {
        let (picture, inside) = (
            at / (self.pooled * self.pooled),
            at % (self.pooled * self.pooled),
        );
        let y = inside / self.pooled * self.pool + candidate / self.pool;
        let x = inside % self.pooled * self.pool + candidate % self.pool;
        ((picture * self.out + y) * self.out + x) * self.filters
    }

    /// Normalisation or bias, then ReLU.
    fn activate(&self, weights: &BlockWeights, moments: Option<&Moments>, x: &[f32]) -> Vec<f32> {
        let (scale, shift): (Vec<f32>, Vec<f32>) = match (&weights.scale, moments) {
            (Some(scale), Some(moments)) => {
                let scales = scale.iter().zip(&moments.variance);
                let scale: Vec<f32> = scales.map(|(s, v)| s / (v + EPSILON).sqrt()).collect();
                let parts = weights.shift.iter().zip(&scale).zip(&moments.mean);
                let shift = parts.map(|((b, s), m)| b - s * m).collect();
                (scale, shift)
            }
            _ => (vec![1.0; self.filters], weights.shift.clone()),
        };
        let mut y = vec![0.0; x.len()];
        let part = PICTURES * self.pooled * self.pooled * self.filters;
        y.par_chunks_mut(part)
            .zip(x.par_chunks(part))
            .for_each(|(y, x)| {
                let rows = y
                    .chunks_exact_mut(self.filters)
                    .zip(x.chunks_exact(self.filters));
                for (y, x) in rows {
                    for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(&scale).zip(&shift) {
                        // Unlike `max`, lets through what is no number: a run that fails must be seen to.
                        let z = x * scale + shift;
                        *y = if z < 0.0 { 0.0 } else { z };
                    }
                }
            });
        y
    }

    /// Turns the gradient of what the block gave, `output`, into that of what it pooled, and gives those of
    /// the scale and the shift (Ioffe and Szegedy 2015, section 3).
    fn activate_backward(
        &self,
        weights: &BlockWeights,
        kept: &Kept,
        output: &[f32],
        gradient: &mut [f32],
    ) -> (Option<Vec<f32>>, Vec<f32>) {
        let filters = self.filters;
        let part = PICTURES * self.pooled * self.pooled * filters;
        // Normalised x = x * slope + offset.
        let (slope, offset): (Vec<f32>, Vec<f32>) = match &kept.moments {
            Some(Moments { mean, variance }) => {
                let slope: Vec<f32> = variance
                    .iter()
                    .map(|v| 1.0 / (v + EPSILON).sqrt())
                    .collect();
                let offset = mean.iter().zip(&slope).map(|(m, s)| -m * s).collect();
                (slope, offset)
            }
            None => (vec![0.0; filters], vec![0.0; filters]),
        };
        let sums: Vec<[Vec<f64>; 2]> = gradient
            .par_chunks_mut(part)
            .zip(output.par_chunks(part))
            .zip(kept.pooled.par_chunks(part))
            .map(|((gradient, output), x)| {
                let mut sums = [vec![0.0f64; filters], vec![0.0; filters]];
                let [of_gradient, of_product] = &mut sums;
                let rows = gradient
                    .chunks_exact_mut(filters)
                    .zip(output.chunks_exact(filters))
                    .zip(x.chunks_exact(filters));
                for ((gradient, output), x) in rows {
                    for c in 0..filters {
                        let g = if output[c] > 0.0 { gradient[c] } else { 0.0 };
                        gradient[c] = g;
                        of_gradient[c] += f64::from(g);
                        of_product[c] += f64::from(g * (x[c] * slope[c] + offset[c]));
                    }
                }
                sums
            })
            .collect();
        let [of_gradient, of_product] = [0, 1].map(|which| {
            let mut all = vec![0.0f64; filters];
            for sums in &sums {
                for (all, part) in all.iter_mut().zip(&sums[which]) {
                    *all += part;
                }
            }
            all
        });
        let narrow = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect::<Vec<f32>>();
        let Some(scale) = &weights.scale else {
            return (None, narrow(&of_gradient));
        };
        // d x = scale slope (g - mean g - normalised x mean (g normalised x)) = g a + x b + c.
        let values = (gradient.len() / filters) as f64;
        let of_x: Vec<[f32; 3]> = (0..filters)
            .map(|c| {
                let a = scale[c] * slope[c];
                let (mean, mean_product) = (
                    (of_gradient[c] / values) as f32,
                    (of_product[c] / values) as f32,
                );
                let b = -a * mean_product * slope[c];
                [a, b, -a * (mean + mean_product * offset[c])]
            })
            .collect();
        gradient
            .par_chunks_mut(part)
            .zip(kept.pooled.par_chunks(part))
            .for_each(|(gradient, x)| {
                let rows = gradient
                    .chunks_exact_mut(filters)
                    .zip(x.chunks_exact(filters));
                for (gradient, x) in rows {
                    for ((g, x), [a, b, c]) in gradient.iter_mut().zip(x).zip(&of_x) {
                        *g = *g * a + x * b + c;
                    }
                }
            });
        (Some(narrow(&of_product)), narrow(&of_gradient))
    }

    /// The gradients of the filters and, where asked, of the input, from that of what was pooled.
    fn convolve_backward(
        &self,
        weight: &[f32],
        input: &[f32],
        winners: &[u32],
        gradient: &[f32],
        input_too: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let turned = input_too.then(|| self.turned_rows(weight));
        let size = self.pooled * self.pooled * self.filters;
        let input_size = self.side * self.side * self.channels;
        let mut of_input = vec![0.0; if input_too { input.len() } else { 0 }];
        let mut into = of_input.chunks_mut(PICTURES * input_size);
        let parts: Vec<_> = gradient
            .chunks(PICTURES * size)
            .zip(winners.chunks(PICTURES * size))
            .zip(input.chunks(PICTURES * input_size))
            .map(|part| (part, into.next()))
            .collect();
        let scratch = || (Vec::new(), Vec::new());
        let of_filters: Vec<Vec<f32>> = parts
            .into_par_iter()
            .map_init(
                scratch,
                |(fields, convolved), (((gradient, winners), input), of_input)| {
                    let pictures = gradient.len() / size;
                    // What no window covers stays 0.
                    convolved.resize(pictures * self.out * self.out * self.filters, 0.0);
                    self.unpool(gradient, winners, convolved);
                    let mut of_filters = vec![0.0; weight.len()];
                    let view = self.view(input);
                    view.tiles(fields, |rows, fields| {
                        let of_rows = rows.start * self.filters..rows.end * self.filters;
                        let fields = Matrix::rows(fields, self.field()).transposed();
                        let gradient = Matrix::rows(&convolved[of_rows], self.filters);
                        product(&mut of_filters, fields, gradient, true);
                    });
                    if let (Some(of_input), Some(turned)) = (of_input, &turned) {
                        let view = View {
                            numbers: convolved,
                            channels: self.filters,
                            side: self.out,
                            kernel: self.kernel,
                            padding: self.kernel as isize - 1 - self.padding,
                            out: self.side,
                        };
                        view.tiles(fields, |rows, fields| {
                            let into = rows.start * self.channels..rows.end * self.channels;
                            let field = self.kernel * self.kernel * self.filters;
                            let fields = Matrix::rows(fields, field);
                            let turned = Matrix::rows(turned, self.channels);
                            product(&mut of_input[into], fields, turned, false);
                        });
                    }
                    of_filters
                },
            )
            .collect();
        let mut rows = vec![0.0f32; weight.len()];
        for part in &of_filters {
            for (sum, part) in rows.iter_mut().zip(part) {
                *sum += part;
            }
        }
        let mut of_weight = vec![0.0; weight.len()];
        self.each_weight(|to, filter, channel, y, x| {
            of_weight[to] = rows[self.place_in_rows(filter, channel, y, x)];
        });
        (of_weight, of_input)
    }

    /// Each gradient to the one of its window that was largest; places under no window are left as they are.
    fn unpool(&self, gradient: &[f32], winners: &[u32], convolved: &mut [f32]) {
        let runs = gradient
            .chunks_exact(self.filters)
            .zip(winners.chunks_exact(self.filters));
        for (at, (gradient, winner)) in runs.enumerate() {
            for candidate in 0..self.pool * self.pool {
                let run = &mut convolved[self.run_of_window(at, candidate)..][..self.filters];
                for ((into, &g), &winner) in run.iter_mut().zip(gradient).zip(winner) {
                    *into = if winner == candidate as u32 { g } else { 0.0 };
                }
            }
        }
    }
}

/// Square pictures as a filter sees them, one after another.
struct View<'a> {
    /// [pictures, side, side, channels]
    numbers: &'a [f32],
    channels: usize,
    side: usize,
    kernel: usize,
    /// Zeros around each picture; below 0 so much is cut off.
    padding: isize,
    /// Side of what the filter gives.
    out: usize,
}

impl View<'_> {
    /// Calls with some places of the filter at a time (picture by picture, row by row) and what lies under
    /// it there, [places, kernel x kernel x channels].
    fn tiles(&self, fields: &mut Vec<f32>, mut call: impl FnMut(std::ops::Range<usize>, &[f32])) {
        let lines = self.numbers.len() / (self.side * self.side * self.channels) * self.out;
        let at_once = (ROWS / self.out).max(1);
        let field = self.kernel * self.kernel * self.channels;
        for first in (0..lines).step_by(at_once) {
            let last = (first + at_once).min(lines);
            fields.resize((last - first) * self.out * field, 0.0);
            let into = fields.chunks_exact_mut(self.out * field);
            for (line, into) in (first..last).zip(into) {
                self.unfold(line, into);
            }
            call(first * self.out..last * self.out, fields);
        }
    }

    /// What lies under the filter along one line of its places.
    fn unfold(&self, line: usize, into: &mut [f32]) {
        let (picture, y) = (line / self.out, line % self.out);
        let side = self.side as isize;
        let run = self.kernel * self.channels;
        let top = y as isize - self.padding;
        for (x, field) in into.chunks_exact_mut(self.kernel * run).enumerate() {
            let left = x as isize - self.padding;
            // Of the kernel's columns, those inside the picture.
            let first = (-left).clamp(0, self.kernel as isize) as usize;
            let last = (side - left).clamp(first as isize, self.kernel as isize) as usize;
            for (row, field) in field.chunks_exact_mut(run).enumerate() {
                let y = top + row as isize;
                if y < 0 || y >= side || first == last {
                    field.fill(0.0);
                    continue;
                }
                let line = picture as isize * side + y;
                let from = (line * side + left + first as isize) as usize * self.channels;
                let inside = &self.numbers[from..][..(last - first) * self.channels];
                field[..first * self.channels].fill(0.0);
                field[first * self.channels..last * self.channels].copy_from_slice(inside);
                field[last * self.channels..].fill(0.0);
            }
        }
    }
}

impl LinearWeights {
    /// sigmoid(flat x weight + bias), [count, units].
    fn forward(&self, flat: &[f32]) -> Vec<f32> {
        let units = self.bias.len();
        let inputs = self.weight.len() / units;
        let count = flat.len() / inputs;
        let seen = Matrix::rows(flat, inputs);
        let weight = Matrix::rows(&self.weight, units);
        let parts: Vec<Vec<f32>> = (0..units.div_ceil(UNITS))
            .into_par_iter()
            .map(|part| {
                let some = UNITS.min(units - part * UNITS);
                let mut sums = vec![0.0; count * some];
                product(&mut sums, seen, weight.columns(part * UNITS, some), false);
                sums
            })
            .collect();
        let mut embeddings = vec![0.0; count * units];
        for (part, sums) in parts.iter().enumerate() {
            let some = sums.len() / count;
            let bias = &self.bias[part * UNITS..][..some];
            for (row, sums) in embeddings
                .chunks_exact_mut(units)
                .zip(sums.chunks_exact(some))
            {
                let row = &mut row[part * UNITS..][..some];
                for ((unit, sum), bias) in row.iter_mut().zip(sums).zip(bias) {
                    *unit = 1.0 / (1.0 + (-(sum + bias)).exp());
                }
            }
        }
        embeddings
    }

    /// The gradients of its weights and of what it saw, [count, inputs].
    fn backward(&self, pass: &Pass, gradient: &[f32]) -> (LinearWeights, Vec<f32>) {
        let units = self.bias.len();
        let inputs = self.weight.len() / units;
        let of_sums: Vec<f32> = gradient
            .iter()
            .zip(&pass.embeddings)
            .map(|(g, y)| g * y * (1.0 - y))
            .collect();
        let mut bias = vec![0.0f64; units];
        for row in of_sums.chunks_exact(units) {
            for (bias, g) in bias.iter_mut().zip(row) {
                *bias += f64::from(*g);
            }
        }
        let (seen, of_sums) = (
            Matrix::rows(&pass.flat, inputs),
            Matrix::rows(&of_sums, units),
        );
        let mut weight = vec![0.0; self.weight.len()];
        // [inputs, count], so that each thread writes rows of its own.
        let mut of_input = vec![0.0; pass.flat.len()];
        weight
            .par_chunks_mut(UNITS * units)
            .zip(of_input.par_chunks_mut(UNITS * pass.count))
            .zip(self.weight.par_chunks(UNITS * units))
            .enumerate()
            .for_each(|(part, ((of_weight, of_input), weight))| {
                let some = weight.len() / units;
                let seen = seen.columns(part * UNITS, some).transposed();
                product(of_weight, seen, of_sums, false);
                let weight = Matrix::rows(weight, units);
                product(of_input, weight, of_sums.transposed(), false);
            });
        let bias = bias.into_iter().map(|sum| sum as f32).collect();
        let of_input = transposed(&of_input, inputs, pass.count);
        (LinearWeights { weight, bias }, of_input)
    }
}

/// Mean and variance of each channel.
fn moments(x: &[f32], channels: usize) -> Moments {
    // A part is whole runs of all channels, whatever their number.
    let parts = x.par_chunks(channels * PLACES).map(|x| {
        let (mut sum, mut square) = (vec![0.0f64; channels], vec![0.0f64; channels]);
        for run in x.chunks_exact(channels) {
            for ((sum, square), &x) in sum.iter_mut().zip(&mut square).zip(run) {
                let x = f64::from(x);
                *sum += x;
                *square += x * x;
            }
        }
        (sum, square)
    });
    let parts: Vec<_> = parts.collect();
    let values = (x.len() / channels) as f64;
    let mut found = Moments {
        mean: Vec::new(),
        variance: Vec::new(),
    };
    for channel in 0..channels {
        let mean = parts.iter().map(|part| part.0[channel]).sum::<f64>() / values;
        let square = parts.iter().map(|part| part.1[channel]).sum::<f64>() / values;
        found.mean.push(mean as f32);
        found.variance.push((square - mean * mean).max(0.0) as f32);
    }
    found
}

/// Matrices of `rows` x `columns`, one after another, each with rows and columns exchanged.
fn transposed(matrices: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(matrices.len());
    for matrix in matrices.chunks_exact(rows * columns) {
        for column in 0..columns {
            turned.extend(matrix[column..].iter().step_by(columns));
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;
    use crate::network::Twin;
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor, TensorData};
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn block(
        filters: usize,
        kernel: usize,
        padding: usize,
        pool: usize,
        batch_norm: bool,
    ) -> Block {
        Block {
            filters,
            kernel,
            padding,
            pool,
            batch_norm,
            ..Block::default()
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
            // As the optimizer is told them.
            let told = ours.gradients(found.clone(), vec![0.5; dims], 0.25);
            assert_eq!(ours.plain_gradients(&told), found);
            ours.observe(pass.moments());
            let (ours, burns) = (ours.plain(&spec).unwrap(), burns.plain(&spec).unwrap());
            for (ours, burns) in ours.blocks.iter().zip(&burns.blocks) {
                assert_near(&ours.weight, &burns.weight, "folded weights");
                assert_near(&ours.bias, &burns.bias, "folded biases");
            }
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
}
