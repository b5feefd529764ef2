//! Convolution and pooling, forward and back, as products of matrices. Knows nothing of what comes behind them.

use rayon::prelude::*;

use super::product::{Matrix, product};
use super::{Layer, PICTURES};

/// Rows of a product: enough to be worth the packing of the filters, few enough to stay in the cache.
const ROWS: usize = 256;

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
    pub(super) fn convolve(
        &self,
        weight: &[f32],
        input: &[f32],
        count: usize,
    ) -> (Vec<f32>, Vec<u32>) {
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

    /// The gradients of the filters and, where asked, of the input, from that of what was pooled.
    pub(super) fn convolve_backward(
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
    /// Zeros around each picture; below 0, what is cut off at each edge.
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
