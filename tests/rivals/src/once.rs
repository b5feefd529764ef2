//! One decision in a process of its own: what a device does after it was switched on. Knows nothing of clocks: the
//! process that starts it takes the time.

use std::io::Write;

use onelook_edge::camera::MotionJpeg;
use onelook_edge::clip::CLIP;
use onelook_edge::event;
use onelook_edge::gallery::Gallery;
use onelook_edge::gallery::decide::identify;
use onelook_edge::model::Card;
use onelook_edge::vision::preprocess;

use crate::{Failure, Once, twin};

/// Learns a class from each of the first two frames of the demonstration and names the third; embeds that one again
/// as often as `order` says. Prints the resident memory in bytes, or an empty line where the system does not tell.
///
/// # Errors
/// The model cannot be opened, or a line not be written.
pub fn run(bytes: Vec<u8>, order: &Once, out: &mut dyn Write) -> Result<(), Failure> {
    let card = Card::read(&bytes, "the model")?;
    let bytes = match order.in_floats {
        true => twin::file(&bytes, &card)?
            .ok_or("the model is not one in 8 bits as `onelook export` writes it")?,
        false => bytes,
    };
    let mut embed = order.runtime.open(bytes, &card, 1)?;
    let mut gallery = Gallery::default();
    for (number, frame) in MotionJpeg::new(CLIP, "the clip").take(3).enumerate() {
        let patch = preprocess::patch(&frame?, &card.input)?;
        let probe = embed(&patch.0)?;
        if number < 2 {
            gallery.enroll(&number.to_string(), probe);
            continue;
        }
        let nearest = gallery.nearest(&probe, &card.head);
        std::hint::black_box(identify(nearest, &card.head, card.head.limit(0.5)));
        for _ in 0..order.again {
            std::hint::black_box(embed(&patch.0)?);
        }
    }
    let resident = event::resident_bytes().map_or(String::new(), |bytes| bytes.to_string());
    writeln!(out, "{resident}")?;
    Ok(())
}
