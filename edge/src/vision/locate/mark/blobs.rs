//! Connected blobs of ink. Knows where ink is: nothing of levels, paper or what a blob is a part of.

/// A place in a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub x: u16,
    pub y: u16,
}

impl Place {
    /// No view is larger than `SEARCH_SIDE_PX`, so both fit.
    fn at(x: usize, y: usize) -> Self {
        Self {
            x: x as u16,
            y: y as u16,
        }
    }
}

/// The 8-connected blobs of ink in a view.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    /// Where ink is that no blob has yet, 1 or 0, with a margin of one place around the view.
    ink: Vec<u8>,
    pub blobs: Vec<Blob>,
    /// The places of all blobs, one blob after the other.
    pub places: Vec<Place>,
    /// For [`super::shapes::largest_square`].
    pub squares: Vec<u16>,
}

impl Blobs {
    /// Has memory for all that may be found in a picture of that size, or in a part of it.
    pub(super) fn make_room(&mut self, width: usize, height: usize) {
        let Self {
            ink,
            blobs,
            places,
            squares,
        } = self;
        ink.clear();
        ink.reserve((width + 2) * (height + 2));
        places.clear();
        places.reserve(width * height);
        // At most one in every 2 x 2 places: two there would touch.
        blobs.clear();
        blobs.reserve(width.div_ceil(2) * height.div_ceil(2));
        squares.clear();
        squares.reserve(width + 1);
    }

    /// Finds them in row-major order; `fill` says for every row where ink is.
    pub(super) fn find(&mut self, width: usize, height: usize, fill: impl Fn(usize, &mut [u8])) {
        let Self {
            ink, blobs, places, ..
        } = self;
        let stride = width + 2;
        ink.clear();
        ink.resize(stride * (height + 2), 0);
        for (y, row) in ink
            .chunks_exact_mut(stride)
            .skip(1)
            .take(height)
            .enumerate()
        {
            fill(y, &mut row[1..=width]);
        }
        places.clear();
        blobs.clear();
        let mut searched = 0;
        while let Some(start) = next_ink(ink, searched) {
            searched = start + 1;
            let first = places.len();
            ink[start] = 0;
            places.push(Place::at(start % stride - 1, start / stride - 1));
            let (mut low, mut high) = ([u16::MAX; 2], [0; 2]);
            let mut next = first;
            while let Some(&Place { x, y }) = places.get(next) {
                next += 1;
                (low, high) = (
                    [low[0].min(x), low[1].min(y)],
                    [high[0].max(x), high[1].max(y)],
                );
                for (down, ny) in (y..y + 3).enumerate() {
                    let above_left = (usize::from(y) + down) * stride + usize::from(x);
                    for (nx, ink) in (x..x + 3).zip(&mut ink[above_left..above_left + 3]) {
                        if *ink != 0 {
                            *ink = 0;
                            // Counted from the margin.
                            places.push(Place {
                                x: nx - 1,
                                y: ny - 1,
                            });
                        }
                    }
                }
            }
            let [left, top, right, bottom] = [low[0], low[1], high[0], high[1]].map(usize::from);
            blobs.push(Blob {
                first,
                area: places.len() - first,
                bounds: [left, top, right, bottom],
                is_cut: left == 0 || top == 0 || right + 1 == width || bottom + 1 == height,
                mass: 0.0,
                thick: 0,
                cluster: 0,
            });
        }
    }
}

fn next_ink(ink: &[u8], mut from: usize) -> Option<usize> {
    while ink
        .get(from..from + 16)
        .is_some_and(|some| *some == [0; 16])
    {
        from += 16;
    }
    Some(from + ink[from..].iter().position(|&ink| ink != 0)?)
}

/// A connected blob of ink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob {
    /// Where its places begin in [`Blobs::places`].
    pub first: usize,
    pub area: usize,
    /// [left, top, right, bottom], ends included.
    pub bounds: [usize; 4],
    /// Whether it reaches the border of the picture.
    pub is_cut: bool,
    /// Area, weighed by the square of the contrast, 0 to 1.
    pub mass: f32,
    /// Side of the largest square within it.
    pub thick: u16,
    /// Number of its cluster: blobs that stand near one another.
    pub cluster: usize,
}

impl Blob {
    pub(super) fn places<'a>(&self, all: &'a [Place]) -> &'a [Place] {
        &all[self.first..self.first + self.area]
    }

    /// The part of its mass that its largest square has: small in a stroke, large in a solid thing.
    pub(super) fn solid_mass(&self) -> f32 {
        self.mass * f32::from(self.thick).powi(2) / self.area as f32
    }
}
