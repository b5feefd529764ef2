//! The simulated camera as arguments: what `eval` and `camera` share.

use clap::Args;

use super::Failure;
use crate::augment::camera::{Disturbance, Session};

#[derive(Args)]
pub(super) struct SessionArgs {
    /// See every picture through the simulated camera, all disturbances from none to this strength,
    /// 0 to 1
    #[arg(long, value_name = "STRENGTH")]
    camera: Option<f32>,
    /// Only this disturbance, at the strength of --camera, or else at 1
    #[arg(long, value_enum)]
    disturbance: Option<Disturbance>,
}

impl SessionArgs {
    /// The session that was asked for, if any.
    ///
    /// # Errors
    /// In words, where the strength is not 0 to 1.
    pub(super) fn session(&self) -> Result<Option<Session>, Failure> {
        if self.camera.is_none() && self.disturbance.is_none() {
            return Ok(None);
        }
        let strength = self.camera.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&strength) {
            return Err(format!("--camera {strength}: must be 0 to 1").into());
        }
        Ok(Some(match self.disturbance {
            Some(disturbance) => Session::Alone(disturbance, strength),
            None => Session::Everything(strength),
        }))
    }
}
