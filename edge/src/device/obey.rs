//! What a command does to a device before a camera: it begins a lesson, keeps or takes back what was learned, or
//! answers at once. Knows commands, lessons and answers: nothing of how frames are decided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::answer::{Answer, Objection, Refusal, Status, Taught, Undone};
use crate::device::change::Insistence;
use crate::device::command::{Command, Reply, Request};
use crate::device::eye::{Snapshot, Trouble};
use crate::device::live::{Lately, Live};
use crate::device::teach::{Aim, Lesson};
use crate::event::{self, Event, Health};
use crate::gallery::store;

/// A look that is to become a class.
struct Candidate {
    look: Snapshot,
    name: String,
    /// How many frames were looked at for it.
    frames: usize,
    /// When the command came.
    started: Instant,
}

/// A class that looks like another one, until it is confirmed.
pub(super) struct Unconfirmed {
    candidate: Candidate,
    pub(super) like: String,
    until: Instant,
}

impl Live {
    /// Does what a command says, or begins to; it is answered when it is done. Whether the program shall go on.
    pub fn obey(&mut self, request: Request, health: &Health, now: Instant) -> bool {
        let reply = match request.command.clone() {
            Command::Enroll {
                name,
                even_if_alike,
            } => return self.begin_enroll(request, name, even_if_alike, now),
            Command::Not { name } => return self.begin_not(request, name, now),
            Command::Confirm => match self.unconfirmed.take() {
                Some(Unconfirmed { candidate, .. }) => {
                    self.commit(candidate, Insistence::EvenIfAlike, now)
                }
                None => Err(Refusal::NothingToConfirm),
            },
            Command::Undo => self.undo().map(Answer::Undone),
            Command::Forget { name } => self.forget(&name),
            Command::Rename { from, to } => self.rename(&from, &to),
            Command::List => Ok(Answer::Classes {
                classes: self.device.classes(),
            }),
            Command::Status => {
                let (shown, name) = self.shown();
                Ok(Answer::Status(Status {
                    shown,
                    name,
                    threshold: self.device.threshold(),
                    gallery: self.device.store().path().to_owned(),
                    health: health.clone(),
                }))
            }
            Command::Quit => {
                request.answer(Ok(Answer::Ending { ending: true }));
                return false;
            }
        };
        request.answer(reply);
        true
    }

    fn begin_enroll(
        &mut self,
        request: Request,
        name: Option<String>,
        even_if_alike: bool,
        now: Instant,
    ) -> bool {
        // The second press of a button that has one meaning.
        let is_confirmed = |waiting: &mut Unconfirmed| {
            name.as_ref()
                .is_none_or(|name| *name == waiting.candidate.name)
        };
        if let Some(waiting) = self.unconfirmed.take_if(is_confirmed) {
            let reply = self.commit(waiting.candidate, Insistence::EvenIfAlike, now);
            request.answer(reply);
            return true;
        }
        self.unconfirmed = None;
        let name = name.unwrap_or_else(|| self.device.free_name());
        if let Err(error) = store::check_name(&name) {
            request.answer(Err(error.into()));
            return true;
        }
        let aim = Aim::Enroll {
            name,
            even_if_alike,
        };
        self.begin(aim, request, now)
    }

    fn begin_not(&mut self, request: Request, name: Option<String>, now: Instant) -> bool {
        let (_, shown) = self.shown();
        match name.or(shown) {
            None => request.answer(Err(Refusal::NoClassShown)),
            Some(name) if self.gallery().templates_of(&name) == 0 => {
                request.answer(Err(self.device.no_such_class(&name)));
            }
            Some(name) => return self.begin(Aim::Not { name }, request, now),
        }
        true
    }

    fn begin(&mut self, aim: Aim, request: Request, now: Instant) -> bool {
        if self.lesson.is_some() {
            request.answer(Err(Refusal::InProgress));
        } else {
            self.lesson = Some(Lesson::new(aim, request, now));
        }
        true
    }

    /// Gives the lesson its frame.
    pub(super) fn learn(&mut self, look: Result<Snapshot, Trouble>) {
        let Some(lesson) = &mut self.lesson else {
            return;
        };
        let gates = &self.config.quality.enroll;
        lesson.see(look.and_then(
            |look| match look.quality.and_then(|quality| gates.flaw(&quality)) {
                Some(flaw) => Err(Trouble::Flawed(flaw)),
                None => Ok(look),
            },
        ));
    }

    /// Ends what is over by now, frame or no frame.
    pub(super) fn end_what_is_over(&mut self, now: Instant) {
        self.unconfirmed.take_if(|waiting| waiting.until <= now);
        let rules = &self.config.teach;
        let Some(mut lesson) = self.lesson.take_if(|lesson| lesson.is_over(rules, now)) else {
            return;
        };
        let (head, limit) = (self.device.model().head(), self.device.limit());
        let alike = |x: &[f32], y: &[f32]| limit.accepts(head.distance(x, y));
        let best = lesson.best(alike);
        let Lesson {
            aim,
            request,
            started,
            frames,
            ..
        } = lesson;
        let reply = match (best, aim) {
            (Err(trouble), aim) => Err(self.refuse(aim.name(), trouble.into())),
            (
                Ok(look),
                Aim::Enroll {
                    name,
                    even_if_alike,
                },
            ) => {
                let insistence = match even_if_alike {
                    true => Insistence::EvenIfAlike,
                    false => Insistence::None,
                };
                let candidate = Candidate {
                    look,
                    name,
                    frames,
                    started,
                };
                self.commit(candidate, insistence, now)
            }
            (Ok(look), Aim::Not { name }) => self.commit_not(&look, &name),
        };
        request.answer(reply);
    }

    fn commit(&mut self, candidate: Candidate, insistence: Insistence, now: Instant) -> Reply {
        let Candidate {
            look, name, frames, ..
        } = &candidate;
        let enrolled = match self
            .device
            .enroll(name, std::slice::from_ref(look), insistence)
        {
            Ok(enrolled) => enrolled,
            Err(refusal) => {
                let refusal = self.refuse(name, refusal);
                if let Refusal::Objection(Objection::LookAlike { like, .. }) = &refusal {
                    self.unconfirmed = Some(Unconfirmed {
                        like: like.clone(),
                        until: now + Duration::from_secs(self.config.teach.confirm_secs),
                        candidate,
                    });
                }
                return Err(refusal);
            }
        };
        self.steady.restart();
        let bounds = look.bounds();
        self.lately = Some(Lately {
            frame: Arc::clone(&look.frame),
            bounds,
            words: format!("learned {name}"),
            at: now,
        });
        let taught = Taught {
            name: enrolled.name,
            templates: enrolled.templates,
            bounds: bounds
                .map(|bounds| self.roi.map_or(bounds, |roi| roi.in_frame(bounds)))
                .map(event::numbers),
            quality: look.quality,
            frames: *frames,
            after_s: now.duration_since(candidate.started).as_secs_f64(),
        };
        self.events.push(Event::Enrolled {
            frame: look.number,
            name: taught.name.clone(),
            templates: taught.templates,
            bounds: taught.bounds,
            quality: taught.quality,
            frames: taught.frames,
            after_s: taught.after_s,
        });
        Ok(Answer::Enrolled(taught))
    }

    fn commit_not(&mut self, look: &Snapshot, name: &str) -> Reply {
        match self.device.not(name, look) {
            Ok(rejected) => {
                self.steady.restart();
                self.report_change("not", name, None);
                Ok(Answer::Rejected(rejected))
            }
            Err(refusal) => Err(self.refuse(name, refusal)),
        }
    }

    fn undo(&mut self) -> Result<Undone, Refusal> {
        if let Some(Unconfirmed { candidate, .. }) = self.unconfirmed.take() {
            return Ok(Undone {
                change: "enroll",
                name: candidate.name,
            });
        }
        let undone = self.device.undo()?;
        self.decide_anew();
        self.lately = None;
        self.report_change("undone", &undone.name, None);
        Ok(undone)
    }

    fn forget(&mut self, name: &str) -> Reply {
        let forgotten = self.device.forget(name)?;
        self.decide_anew();
        self.report_change("forgotten", name, None);
        Ok(Answer::Forgotten(forgotten))
    }

    fn rename(&mut self, from: &str, to: &str) -> Reply {
        let renamed = self.device.rename(from, to)?;
        self.decide_anew();
        self.report_change("renamed", from, Some(to));
        Ok(Answer::Renamed(renamed))
    }

    fn report_change(&mut self, change: &'static str, name: &str, to: Option<&str>) {
        self.events.push(Event::Changed {
            change,
            name: Some(name.to_owned()),
            to: to.map(str::to_owned),
        });
    }

    /// Reports that a class was not learned, and why.
    fn refuse(&mut self, name: &str, refusal: Refusal) -> Refusal {
        let (like, p) = match &refusal {
            Refusal::Objection(Objection::LookAlike { like, p, .. }) => {
                (Some(like.clone()), Some(*p))
            }
            _ => (None, None),
        };
        self.events.push(Event::Refused {
            name: name.to_owned(),
            reason: refusal.reason(),
            words: refusal.to_string(),
            like,
            p,
        });
        refusal
    }
}
