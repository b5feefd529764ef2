//! What the simulated camera makes of training pictures: one photograph each, taken when it is first asked for. Knows
//! pictures and the network's input: nothing of batches or labels.

use std::sync::OnceLock;

use onelook_edge::picture::frame::Frame;
use onelook_edge::vision::keepsake::cleaned;
use onelook_edge::vision::locate;
use onelook_edge::vision::preprocess::{Crop, InputSpec};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::augment::camera::{self, Conditions};
use crate::config::CameraShare;
use crate::random::{Purpose, stream};

/// A training picture.
pub(super) struct TrainingPicture {
    frame: Frame,
    /// Its place among all training pictures.
    number: u64,
    /// What the device would cut out of its photograph; none where the device does not find the mark.
    photograph: OnceLock<Option<Frame>>,
}

impl TrainingPicture {
    pub(super) fn new(frame: Frame, number: u64) -> Self {
        Self {
            frame,
            number,
            photograph: OnceLock::new(),
        }
    }

    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    #[cfg(test)]
    pub(super) fn is_photographed(&self) -> bool {
        self.photograph.get().is_some()
    }
}

/// Takes the photographs of a run.
pub(super) struct Photographer {
    camera: CameraShare,
    input: InputSpec,
    seed: u64,
}

impl Photographer {
    pub(super) fn new(camera: CameraShare, input: InputSpec, seed: u64) -> Self {
        Self {
            camera,
            input,
            seed,
        }
    }

    /// The picture, or in its share of cases the photograph of it.
    pub(super) fn shown<'a>(
        &self,
        picture: &'a TrainingPicture,
        rng: &mut ChaCha8Rng,
    ) -> &'a Frame {
        let photograph = match rng.random_bool(self.camera.share.clamp(0.0, 1.0)) {
            true => self.photograph_of(picture),
            false => None,
        };
        photograph.unwrap_or(&picture.frame)
    }

    /// The photograph of a picture, taken now if it never was.
    pub(super) fn photograph_of<'a>(&self, picture: &'a TrainingPicture) -> Option<&'a Frame> {
        picture
            .photograph
            .get_or_init(|| self.take(picture))
            .as_ref()
    }

    /// What the device would cut out of a photograph, paper white and ink black, wide and fine
    /// enough to be distorted and cut out once more.
    fn take(&self, picture: &TrainingPicture) -> Option<Frame> {
        let Crop::Mark { margin } = self.input.crop else {
            return None;
        };
        let mut rng = stream(self.seed, Purpose::Camera, picture.number);
        let conditions = Conditions::drawn(self.camera.strength, &mut rng);
        let shot = camera::photograph(&picture.frame, &conditions, &mut rng)?;
        let mark = locate::mark(&shot.frame)?;
        if mark.bounds.overlap(&shot.bounds) < camera::FOUND {
            return None;
        }
        let side = 2 * self.input.side_px;
        let cut_out = cleaned(&shot.frame, &mark, margin + 0.1, side).ok()?;
        // It will be cut out once more, and must then show the same.
        let longest =
            mark.bounds.width.max(mark.bounds.height) / mark.bounds.square(margin + 0.1).width;
        let again = locate::mark(&cut_out)?.bounds;
        let agrees = again.width.max(again.height) / (longest * side as f32);
        (0.8..1.25).contains(&agrees).then_some(cut_out)
    }
}
