//! A box in a picture. Knows numbers alone.

/// A box in picture coordinates: pixel (x, y) covers x..x+1, y..y+1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Above 0.
    pub width: f32,
    /// Above 0.
    pub height: f32,
}

impl Bounds {
    /// Around the places of a box [left, top, right, bottom], ends included.
    pub(crate) fn of([left, top, right, bottom]: [usize; 4]) -> Self {
        Self {
            x: left as f32,
            y: top as f32,
            width: (right - left + 1) as f32,
            height: (bottom - top + 1) as f32,
        }
    }

    /// The square about the same centre whose side is the longer side and `margin` of it more at
    /// either end. It may reach beyond the picture.
    pub fn square(&self, margin: f32) -> Bounds {
        let side = self.width.max(self.height) * (1.0 + 2.0 * margin);
        Bounds {
            x: self.x + (self.width - side) / 2.0,
            y: self.y + (self.height - side) / 2.0,
            width: side,
            height: side,
        }
    }

    /// What two boxes share, over what they cover together (Jaccard), 0 to 1.
    pub fn overlap(&self, other: &Bounds) -> f32 {
        let along = |a: f32, a_size: f32, b: f32, b_size: f32| {
            ((a + a_size).min(b + b_size) - a.max(b)).max(0.0)
        };
        let shared = along(self.x, self.width, other.x, other.width)
            * along(self.y, self.height, other.y, other.height);
        shared / (self.width * self.height + other.width * other.height - shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELL: Bounds = Bounds {
        x: 10.0,
        y: 5.0,
        width: 8.0,
        height: 15.0,
    };

    #[test]
    fn the_square_is_centred_with_its_margin() {
        let square = ELL.square(0.1);
        assert_eq!((square.width, square.height), (18.0, 18.0));
        assert_eq!((square.x, square.y), (5.0, 3.5));
    }

    #[test]
    fn boxes_overlap_by_what_they_share() {
        let wide = Bounds { width: 16.0, ..ELL };
        assert_eq!(ELL.overlap(&ELL), 1.0);
        // 8 x 15 of 16 x 15.
        assert_eq!(ELL.overlap(&wide), 0.5);
        assert_eq!(ELL.overlap(&Bounds { x: 90.0, ..ELL }), 0.0);
    }
}
