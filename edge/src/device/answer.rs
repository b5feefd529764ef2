//! What a device answers: one type for each question, printed alike by every door (socket, command line, page), and
//! one type for what it refuses.

use std::path::PathBuf;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::device::eye::Trouble;
use crate::event::Health;
use crate::gallery::decide::FpirError;
use crate::gallery::store::StoreError;
use crate::model::ModelError;
use crate::vision::quality::{Flaw, Quality};

/// An answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Enrolled(Taught),
    Rejected(Rejected),
    Undone(Undone),
    Forgotten(Forgotten),
    Renamed(Renamed),
    Classes { classes: Vec<Class> },
    Status(Status),
    Ending { ending: bool },
}

/// A class was learned from what is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Taught {
    #[serde(rename = "enrolled")]
    pub name: String,
    /// How many it has now.
    pub templates: usize,
    /// [x, y, width, height] in pixels of the frame.
    #[serde(rename = "box")]
    pub bounds: Option<[f32; 4]>,
    pub quality: Option<Quality>,
    /// How many frames were looked at for it.
    pub frames: usize,
    /// Seconds from the command to the answer.
    pub after_s: f64,
}

/// Templates were added to a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrolled {
    pub name: String,
    /// How many were added.
    pub added: usize,
    /// How many it has now.
    pub templates: usize,
    /// What was let pass because the one who asked said so.
    pub passed: Vec<Objection>,
}

/// A look was kept as what a class is not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rejected {
    #[serde(rename = "not")]
    pub name: String,
    /// How many negative templates the class has now.
    pub negatives: usize,
}

/// A change was taken back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Undone {
    /// `enroll`, `not`, `forget` or `rename`.
    #[serde(rename = "undone")]
    pub change: &'static str,
    pub name: String,
}

/// A class was forgotten.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forgotten {
    #[serde(rename = "forgotten")]
    pub name: String,
    /// How many it had, negative ones included.
    pub templates: usize,
}

/// A class has another name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Renamed {
    #[serde(rename = "renamed")]
    pub from: String,
    pub to: String,
}

/// A class that is enrolled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    pub name: String,
    pub templates: usize,
    pub negatives: usize,
}

/// The answer of a verification (1:1).
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub is_accepted: bool,
    /// 0 to 1.
    pub p: f32,
    pub threshold: f32,
}

/// How it goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// `nothing`, `match` or `unknown`.
    pub shown: &'static str,
    pub name: Option<String>,
    pub threshold: f32,
    pub gallery: PathBuf,
    pub health: Health,
}

/// What speaks against enrolling a look.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Objection {
    /// It is not good enough to be compared with for ever after.
    #[error("{0}")]
    Flawed(Flaw),
    /// It would be accepted as another class.
    #[error(
        "{name} looks like {like} (p {p:.3}): they will be taken for one another; say it again, or \
         `confirm`, to keep it"
    )]
    LookAlike {
        /// The class that is to be enrolled.
        name: String,
        like: String,
        /// p of a comparison with `like`, at least the threshold.
        p: f32,
    },
    /// The gallery becomes too large for the target FPIR.
    #[error(transparent)]
    Fpir(FpirError),
}

/// Why a device did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error(transparent)]
    Objection(#[from] Objection),
    /// The target FPIR cannot be kept in so large a gallery.
    #[error(transparent)]
    Fpir(FpirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A crop cannot be kept.
    #[error("the crop cannot be kept: {0}")]
    Crop(String),
    /// `not` without a name, while no class is shown.
    #[error("what is shown is taken for no class; say `not NAME`")]
    NoClassShown,
    #[error("nothing was changed since the start")]
    NothingToUndo,
    #[error("nothing waits to be confirmed; enroll first")]
    NothingToConfirm,
    #[error("another class is being learned; it takes less than a second")]
    InProgress,
}

impl Refusal {
    /// One stable word: see [`crate::event`].
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Trouble(trouble) => trouble.reason(),
            Refusal::Objection(Objection::Flawed(flaw)) => Trouble::Flawed(*flaw).reason(),
            Refusal::Objection(Objection::LookAlike { .. }) => "look_alike",
            Refusal::Objection(Objection::Fpir(_)) | Refusal::Fpir(_) => "fpir",
            Refusal::Store(StoreError::NoSuchClass { .. }) => "no_such_class",
            Refusal::Store(StoreError::ClassExists { .. }) => "class_exists",
            Refusal::Store(StoreError::BadName { .. }) => "bad_name",
            Refusal::Store(_) | Refusal::Crop(_) => "store",
            Refusal::Model(_) => "model",
            Refusal::NoClassShown => "nothing_shown",
            Refusal::NothingToUndo => "nothing_to_undo",
            Refusal::NothingToConfirm => "nothing_to_confirm",
            Refusal::InProgress => "in_progress",
        }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Refusal", 2)?;
        fields.serialize_field("reason", self.reason())?;
        fields.serialize_field("error", &self.to_string())?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_fields_that_every_door_prints() {
        let of = |answer: Answer| serde_json::to_string(&answer).unwrap();
        let renamed = Answer::Renamed(Renamed {
            from: "a".to_owned(),
            to: "b".to_owned(),
        });
        assert_eq!(of(renamed), r#"{"renamed":"a","to":"b"}"#);
        let classes = vec![Class {
            name: "a".to_owned(),
            templates: 2,
            negatives: 1,
        }];
        assert_eq!(
            of(Answer::Classes { classes }),
            r#"{"classes":[{"name":"a","templates":2,"negatives":1}]}"#
        );
        let undone = Answer::Undone(Undone {
            change: "forget",
            name: "a".to_owned(),
        });
        assert_eq!(of(undone), r#"{"undone":"forget","name":"a"}"#);
        assert_eq!(of(Answer::Ending { ending: true }), r#"{"ending":true}"#);
    }

    #[test]
    fn a_refusal_has_a_stable_word_and_a_sentence_without_a_gap() {
        let refusal = Refusal::from(Objection::LookAlike {
            name: "cup".to_owned(),
            like: "mug".to_owned(),
            p: 0.91,
        });
        assert_eq!(
            serde_json::to_string(&refusal).unwrap(),
            concat!(
                r#"{"reason":"look_alike","error":"cup looks like mug (p 0.910): they will be taken for "#,
                r#"one another; say it again, or `confirm`, to keep it"}"#
            )
        );
        for refusal in [
            Refusal::from(Trouble::NothingShown),
            Refusal::NoClassShown,
            Refusal::NothingToUndo,
            Refusal::NothingToConfirm,
            Refusal::InProgress,
        ] {
            assert!(!refusal.to_string().contains("  "), "{refusal}");
        }
    }
}
