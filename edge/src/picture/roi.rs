//! A guide box: the part of every frame that is looked at. Knows pixels only.

use std::fmt;
use std::str::FromStr;

use crate::picture::bounds::Bounds;
use crate::picture::frame::Frame;

/// A guide box: the part of every frame that is looked at, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roi {
    pub x: usize,
    pub y: usize,
    /// Above 0.
    pub width: usize,
    /// Above 0.
    pub height: usize,
}

impl FromStr for Roi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[x, y, width, height]) if width > 0 && height > 0 => Ok(Self {
                x,
                y,
                width,
                height,
            }),
            _ => {
                Err("give the box as x,y,width,height in pixels, such as 80,60,160,120".to_owned())
            }
        }
    }
}

impl fmt::Display for Roi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.x, self.y, self.width, self.height)
    }
}

impl Roi {
    /// Puts the part of `frame` inside the box into `part`; `None` where the box ends beyond the frame.
    pub(crate) fn cut(&self, frame: &Frame, part: &mut Frame) -> Option<()> {
        let (right, bottom) = (
            self.x.checked_add(self.width)?,
            self.y.checked_add(self.height)?,
        );
        if right > frame.width() || bottom > frame.height() {
            return None;
        }
        let channels = frame.channels();
        let rows = frame.pixels().chunks_exact(frame.width() * channels);
        let part = part.reshape(self.width, self.height, channels);
        for (to, row) in part
            .chunks_exact_mut(self.width * channels)
            .zip(rows.skip(self.y))
        {
            to.copy_from_slice(&row[self.x * channels..right * channels]);
        }
        Some(())
    }

    /// A box in what was cut out, as it is in the frame.
    pub(crate) fn in_frame(&self, bounds: Bounds) -> Bounds {
        Bounds {
            x: bounds.x + self.x as f32,
            y: bounds.y + self.y as f32,
            ..bounds
        }
    }

    /// The guide box itself.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            x: self.x as f32,
            y: self.y as f32,
            width: self.width as f32,
            height: self.height as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_box_cuts_its_part_of_every_channel() {
        let pixels = (0..4 * 3 * 3).map(|i| i as u8).collect();
        let frame = Frame::new(4, 3, 3, pixels).unwrap();
        let roi: Roi = "1,1,2,2".parse().unwrap();
        let mut part = Frame::default();
        roi.cut(&frame, &mut part).unwrap();
        assert_eq!((part.width(), part.height(), part.channels()), (2, 2, 3));
        // Rows of 12: from the second row's second pixel on.
        let expected = [15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32];
        assert_eq!(part.pixels(), expected);
        let beyond: Roi = "2,1,3,1".parse().unwrap();
        assert_eq!(beyond.cut(&frame, &mut part), None);
    }

    #[test]
    fn a_guide_box_is_four_numbers() {
        for wrong in ["", "1,2,3", "1,2,3,4,5", "1,2,0,4", "-1,2,3,4", "a,b,c,d"] {
            assert!(wrong.parse::<Roi>().is_err(), "{wrong}");
        }
        assert_eq!(
            "80,60,160,120".parse::<Roi>().unwrap().to_string(),
            "80,60,160,120"
        );
    }
}
