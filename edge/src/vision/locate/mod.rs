//! Finds what to look at in a picture. Knows grey levels only: nothing of networks, identities
//! or cameras.

mod mark;

use crate::picture::bounds::Bounds;
pub use mark::{Mark, Paper, SearchMemory, mark, mark_in};

/// What a model looks at in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thing<'a> {
    /// A drawn or printed mark on its paper.
    Mark(&'a Mark),
    /// The whole picture, for a model that is trained on whole pictures.
    Whole,
}

impl Thing<'_> {
    /// Where it is, in pixels of the frame; `None` for the whole picture.
    pub fn bounds(self) -> Option<Bounds> {
        match self {
            Thing::Mark(mark) => Some(mark.bounds),
            Thing::Whole => None,
        }
    }
}
