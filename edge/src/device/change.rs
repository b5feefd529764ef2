//! What a device is taught, and what is taken back. A change is on the disk before it is answered, and in force from
//! the next look on.

use crate::device::Device;
use crate::device::answer::{Enrolled, Forgotten, Objection, Refusal, Rejected, Renamed, Undone};
use crate::device::eye::Snapshot;
use crate::gallery::store::{Kind, Template, check_name};

/// How many changes can be undone.
const UNDOABLE: usize = 32;

/// A change, as far as it takes to undo it.
pub(super) enum Change {
    /// This number of templates was added to the class.
    Enrolled { name: String, added: usize },
    /// A negative template was added to the class.
    Rejected { name: String },
    /// These were a class.
    Forgotten(Vec<Template>),
    /// A class was renamed.
    Renamed { from: String, to: String },
}

/// What is enrolled although something speaks against it. The same table for every door: a blank picture is refused
/// at each of them, and each passes on what was objected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insistence {
    /// Nothing: a person stands before the camera, is told what is wrong, and can show it again.
    None,
    /// A look-alike: the person has been told, and said so again.
    EvenIfAlike,
    /// Anything: these very pictures were named, and there are no others.
    Anyway,
}

impl Insistence {
    fn passes(self, objection: &Objection) -> bool {
        match self {
            Insistence::None => false,
            Insistence::EvenIfAlike => matches!(objection, Objection::LookAlike { .. }),
            Insistence::Anyway => true,
        }
    }
}

impl Device {
    /// Enrolls `looks` as the class `name`, all of them or none.
    ///
    /// # Errors
    /// An objection that `insistence` does not pass, or what is wrong with the name or the disk; nothing has changed.
    pub fn enroll(
        &mut self,
        name: &str,
        looks: &[Snapshot],
        insistence: Insistence,
    ) -> Result<Enrolled, Refusal> {
        check_name(name)?;
        let mut passed = self.objections(name, looks);
        if let Some(at) = passed.iter().position(|one| !insistence.passes(one)) {
            return Err(passed.swap_remove(at).into());
        }
        let templates = looks
            .iter()
            .map(|look| self.template(look, name, Kind::Genuine))
            .collect::<Result<Vec<_>, _>>()?;
        self.store.enroll(self.model().id(), &templates)?;
        let added = templates.len();
        for template in templates {
            self.gallery.enroll(name, template.embedding);
        }
        self.set_threshold();
        self.changed(Change::Enrolled {
            name: name.to_owned(),
            added,
        });
        Ok(Enrolled {
            name: name.to_owned(),
            added,
            templates: self.gallery.templates_of(name),
            passed,
        })
    }

    /// What speaks against enrolling `looks` as the class `name`: flaws first, then the classes that one of them would
    /// be accepted as, by name, each with its highest p, then the target FPIR.
    pub fn objections(&self, name: &str, looks: &[Snapshot]) -> Vec<Objection> {
        let flaws = looks
            .iter()
            .filter_map(|look| self.gates.flaw(look.quality.as_ref()?))
            .map(Objection::Flawed);
        let (model, head) = (self.model(), self.model().head());
        let comparisons = self.gallery.comparisons_with(name, looks.len());
        let (threshold, out_of_reach) = match self.by.over(model, comparisons) {
            Ok(threshold) => (threshold, None),
            Err(error) => (self.threshold, Some(Objection::Fpir(error))),
        };
        let limit = head.limit(threshold);
        let mut alike: Vec<(&str, f32)> = Vec::new();
        for look in looks {
            for other in self.gallery.within(&look.embedding, head, limit) {
                let p = head.probability(other.distance);
                match alike.iter_mut().find(|(name, _)| *name == &**other.name) {
                    Some((_, highest)) => *highest = highest.max(p),
                    None if **other.name != *name => alike.push((other.name, p)),
                    None => {}
                }
            }
        }
        alike.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let alike = alike.into_iter().map(|(like, p)| Objection::LookAlike {
            name: name.to_owned(),
            like: like.to_owned(),
            p,
        });
        flaws.chain(alike).chain(out_of_reach).collect()
    }

    /// Keeps a look as what the class `name` is not.
    ///
    /// # Errors
    /// No such class, or what is wrong with the disk.
    pub fn not(&mut self, name: &str, look: &Snapshot) -> Result<Rejected, Refusal> {
        if self.gallery.templates_of(name) == 0 {
            return Err(self.no_such_class(name));
        }
        let template = self.template(look, name, Kind::Negative)?;
        self.store
            .enroll(self.model().id(), std::slice::from_ref(&template))?;
        self.gallery.reject(name, template.embedding);
        self.changed(Change::Rejected {
            name: name.to_owned(),
        });
        Ok(Rejected {
            name: name.to_owned(),
            negatives: self.gallery.negatives_of(name),
        })
    }

    /// Forgets the class `name`.
    ///
    /// # Errors
    /// No such class, or what is wrong with the disk.
    pub fn forget(&mut self, name: &str) -> Result<Forgotten, Refusal> {
        let forgotten = self.store.remove(self.model().id(), name)?;
        self.reload()?;
        let templates = forgotten.len();
        self.changed(Change::Forgotten(forgotten));
        Ok(Forgotten {
            name: name.to_owned(),
            templates,
        })
    }

    /// Calls the class `from` by the name `to`.
    ///
    /// # Errors
    /// No such class, a class of that name, or what is wrong with the name or the disk.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<Renamed, Refusal> {
        self.store.rename(self.model().id(), from, to)?;
        self.reload()?;
        self.changed(Change::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    /// Takes the last change back.
    ///
    /// # Errors
    /// Nothing was changed, or what is wrong with the disk; then it can be tried again.
    pub fn undo(&mut self) -> Result<Undone, Refusal> {
        let change = self.changes.pop_back().ok_or(Refusal::NothingToUndo)?;
        let (id, store) = (self.model.id(), &self.store);
        let (what, name, done) = match &change {
            Change::Enrolled { name, added } => {
                let mut each = (0..*added).map(|_| store.take_back(id, name, Kind::Genuine));
                ("enroll", name.clone(), each.try_for_each(|done| done))
            }
            Change::Rejected { name } => {
                let done = store.take_back(id, name, Kind::Negative);
                ("not", name.clone(), done)
            }
            Change::Forgotten(templates) => {
                let name = templates.first().map(|t| t.name.clone());
                let done = store.enroll(id, templates);
                ("forget", name.unwrap_or_default(), done)
            }
            Change::Renamed { from, to } => ("rename", from.clone(), store.rename(id, to, from)),
        };
        if let Err(error) = done.and_then(|()| self.reload()) {
            self.changes.push_back(change);
            return Err(error.into());
        }
        Ok(Undone { change: what, name })
    }

    pub(super) fn template(
        &self,
        look: &Snapshot,
        name: &str,
        kind: Kind,
    ) -> Result<Template, Refusal> {
        let failed = |error: &dyn std::fmt::Display| Refusal::Crop(error.to_string());
        let crop = look.crop(&self.model().card().input);
        let crop = crop.map_err(|error| failed(&error))?;
        Ok(Template {
            name: name.to_owned(),
            embedding: look.embedding.clone(),
            crop_png: crop.to_png().map_err(|error| failed(&error))?,
            kind,
        })
    }

    fn changed(&mut self, change: Change) {
        if self.changes.len() == UNDOABLE {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }
}
