//! Invents alphabets and draws them by hand: the built-in data set, made of a seed and nothing else.
//! Knows nothing of files, networks or real scripts.
//!
//! A group is an alphabet with a style (straight or round, its favourite strokes, perhaps a stem that most of
//! its characters share). A class is a character: one to four pen strokes. A drawer has a hand (slant, size, pen,
//! tremor), the same in every alphabet, and never draws a character twice alike.

mod chance;
mod hand;
mod invent;
mod lines;

use onelook_edge::picture::frame::Frame;

use hand::write;
use invent::alphabet;

use crate::data::{Class, Dataset, Group, Picture};

/// Width and height of every drawing, in pixels, as in Omniglot.
pub const SIDE_PX: usize = 105;

/// How many characters to invent, and how many people draw each of them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlyphsSpec {
    /// How many alphabets.
    pub groups: usize,
    /// Characters an alphabet.
    pub classes_per_group: usize,
    /// Drawings a character, each by another hand.
    pub drawers: usize,
    /// Another seed invents other alphabets and other hands.
    pub seed: u64,
}

impl Default for GlyphsSpec {
    /// 12 alphabets of 20 characters by 20 drawers, seed 1: 4,800 pictures, 53 MB in memory.
    fn default() -> Self {
        Self {
            groups: 12,
            classes_per_group: 20,
            drawers: 20,
            seed: 1,
        }
    }
}

/// The whole data set, named `glyphs`: groups `glyphs-01` and on, classes `glyph-001` and on, drawers 1 and on.
/// Black ink (0) on white (255), grey at the edges of a stroke. The same spec gives the same bytes
/// on the same machine; on another, sines may differ in their last bit.
///
/// A spec with a larger number of anything holds the smaller one: the drawings they share are equal.
/// A number of 0 gives a data set without groups.
pub fn draw(spec: &GlyphsSpec) -> Dataset {
    let mut groups = Vec::new();
    let empty = spec.classes_per_group == 0 || spec.drawers == 0;
    for group in 0..if empty { 0 } else { spec.groups } {
        let group_name = format!("glyphs-{:02}", group + 1);
        let mut classes = Vec::new();
        for (class, character) in alphabet(spec.seed, group, spec.classes_per_group)
            .iter()
            .enumerate()
        {
            let name = format!("glyph-{:03}", class + 1);
            let pictures = (1..=spec.drawers).map(|drawer| Picture {
                source: format!("{group_name}/{name}/{:04}_{drawer:02}.png", class + 1),
                drawer: u32::try_from(drawer).ok(),
                frame: write(character, spec.seed, group, class, drawer),
            });
            classes.push(Class {
                pictures: pictures.collect(),
                name,
            });
        }
        classes.sort_by(|a, b| a.name.cmp(&b.name));
        groups.push(Group {
            name: group_name,
            classes,
        });
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Dataset {
        name: "glyphs".to_owned(),
        groups,
        skipped: Vec::new(),
    }
}

/// One drawing of [`draw`], [`SIDE_PX`] square and grey: `group` and `class` count from 0, `drawer` from 1.
/// Invents the classes before it too, for no two may look alike: to draw many, use [`draw`].
pub fn glyph(seed: u64, group: usize, class: usize, drawer: usize) -> Frame {
    let alphabet = alphabet(seed, group, class + 1);
    write(&alphabet[class], seed, group, class, drawer)
}

#[cfg(test)]
mod tests;
