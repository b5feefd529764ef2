//! What was found in a frame: the thing that a model looks at.

use crate::vision::locate::{Bounds, Mark};

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
