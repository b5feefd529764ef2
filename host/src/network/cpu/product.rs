//! A product of two matrices on one thread. Knows nothing of layers.

#![allow(unsafe_code)] // the block says why it holds

/// A matrix that lies in a slice: element (r, c) at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// The matrix whose rows of `columns` numbers stand one after another.
    ///
    /// # Panics
    /// If `numbers` is not whole rows.
    pub fn rows(numbers: &'a [f32], columns: usize) -> Self {
        assert!(
            columns > 0 && numbers.len().is_multiple_of(columns),
            "{} numbers in rows of {columns}",
            numbers.len()
        );
        Self {
            numbers,
            rows: numbers.len() / columns,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// Rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// `columns` of its columns, from `first` on.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn columns(self, first: usize, columns: usize) -> Self {
        assert!(
            columns > 0 && first + columns <= self.columns,
            "columns {first} and {columns} more of {}",
            self.columns
        );
        Self {
            numbers: &self.numbers[first * self.column_stride..],
            columns,
            ..self
        }
    }
}

/// Writes left x right into `into`, rows one after another, or with `add` adds it to what is there.
///
/// # Panics
/// If the shapes do not fit, or a matrix is empty.
pub fn product(into: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, add: bool) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(k, right.rows, "inner sides");
    assert_eq!(
        Some(into.len()),
        m.checked_mul(n),
        "a product of {m} rows and {n} columns"
    );
    for matrix in [left, right] {
        assert!(matrix.rows > 0 && matrix.columns > 0, "an empty matrix");
        let last =
            (matrix.rows - 1) * matrix.row_stride + (matrix.columns - 1) * matrix.column_stride;
        assert!(last < matrix.numbers.len(), "a matrix beyond its numbers");
    }
    // SAFETY: each element read lies at or before the last one of its matrix, which was just seen to lie in
    // its slice; those written are the m * n of `into`, which no other slice overlaps.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            into.as_mut_ptr(),
            1,
            n as isize,
            add,
            left.numbers.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.numbers.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The twin: what the product gives, in whole numbers, which f32 holds exactly.
    fn scalar(left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
        let at =
            |m: Matrix<'_>, r: usize, c: usize| m.numbers[r * m.row_stride + c * m.column_stride];
        let cells = (0..left.rows).flat_map(|r| (0..right.columns).map(move |c| (r, c)));
        cells
            .map(|(r, c)| {
                (0..left.columns)
                    .map(|i| at(left, r, i) * at(right, i, c))
                    .sum()
            })
            .collect()
    }

    #[test]
    fn products_equal_the_sums_of_their_terms_however_the_matrices_lie() {
        for (m, k, n) in [(1, 1, 1), (1, 9, 5), (5, 9, 1), (17, 9, 33), (64, 130, 31)] {
            let whole = |count: usize, step: usize| -> Vec<f32> {
                (0..count).map(|i| ((i * step) % 7) as f32 - 3.0).collect()
            };
            let (a, b) = (whole(m * k, 3), whole(k * n, 5));
            let (across, down) = (Matrix::rows(&a, k), Matrix::rows(&a, m).transposed());
            let right = Matrix::rows(&b, n);
            let turned = Matrix::rows(&b, k).transposed();
            for (left, right) in [(across, right), (down, right), (across, turned)] {
                let mut found = vec![f32::NAN; m * n];
                product(&mut found, left, right, false);
                let expected = scalar(left, right);
                assert_eq!(found, expected);
                product(&mut found, left, right, true);
                let twice: Vec<f32> = expected.iter().map(|x| 2.0 * x).collect();
                assert_eq!(found, twice);
            }
            if n > 2 {
                let some = right.columns(1, n - 2);
                let mut found = vec![0.0; m * (n - 2)];
                product(&mut found, across, some, false);
                assert_eq!(found, scalar(across, some));
            }
        }
    }

    #[test]
    #[should_panic(expected = "inner sides")]
    fn matrices_that_do_not_fit_are_refused() {
        let numbers = [0.0; 6];
        product(
            &mut [0.0; 4],
            Matrix::rows(&numbers, 3),
            Matrix::rows(&numbers, 3),
            false,
        );
    }
}
