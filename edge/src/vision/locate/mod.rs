//! Finds what to look at in a picture. Knows grey levels only: nothing of networks, identities
//! or cameras.

mod mark;

use crate::picture::bounds::Bounds;
pub use mark::{Mark, Paper, Scratch, mark, mark_in};

/// What is looked at in a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Thing {
    /// A drawn or printed mark.
    Mark(Mark),
    /// All of the picture.
    Whole,
}

impl Thing {
    /// The tight box around it, in pixels of the picture; `None` where that is the picture's own.
    pub fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Mark(mark) => Some(mark.bounds),
            Self::Whole => None,
        }
    }
}
