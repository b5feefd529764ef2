//! The gallery on disk: a class is enrolled when a call returns, or not at all, and a power cut
//! changes nothing that was acknowledged. Knows names, embeddings and the PNG of each crop:
//! nothing of networks, thresholds or what a crop shows.
//!
//! One redb file behind `pages`, which checks every page that is read: a damaged gallery, or one of
//! another model, stays as it was found. A change reads and writes only what it concerns, however
//! large the gallery; crops are read where they are asked for.

mod error;
mod file;
mod name;
mod pages;
mod tables;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::ReadableTable;

use crate::gallery::Gallery;
pub use error::{Damage, StoreError};
use file::{Header, header};
pub use name::{MAX_NAME_BYTES, check_name};
use tables::{CROPS, META, TEMPLATES, put, take, templates_in, unpack};

/// One look at a class: what a gallery is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The class.
    pub name: String,
    /// As the gallery's model gave it.
    pub embedding: Vec<f32>,
    /// The part of the picture that was enrolled, as a PNG file: enough for another model.
    pub crop_png: Vec<u8>,
    /// Whether it is of the class.
    pub kind: Kind,
}

/// What a look says of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is of the class.
    Genuine,
    /// It was taken for the class, and is not of it.
    Negative,
}

/// All that a gallery holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// The id of the model that it was enrolled with.
    pub model_id: String,
    /// In the order of enrollment.
    pub templates: Vec<Template>,
}

/// A gallery's file. Holds nothing open between calls.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    /// The header as it was read or written here last; none where there was no gallery.
    known: Arc<Mutex<Option<Header>>>,
}

impl Store {
    /// The gallery at `path`, which need not be there yet: an empty one is not written.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            known: Arc::default(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another program has changed the gallery since it was read here; what is changed here is known.
    pub fn is_changed_elsewhere(&self) -> bool {
        let now = match File::open(&self.path) {
            Ok(file) => header(&file).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        // What cannot be read now may be read later.
        now.is_ok_and(|now| now != *self.known())
    }

    fn known(&self) -> MutexGuard<'_, Option<Header>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change from one header to the next was ours; one that came before it and is not known stays unknown.
    fn changed_here(&self, before: Option<Header>, after: Header) {
        let mut known = self.known();
        if *known == before {
            *known = Some(after);
        }
    }

    /// The classes enrolled with the model of this id, whose embeddings have `dims` numbers.
    ///
    /// # Errors
    /// Every [`StoreError`] of reading: `File`, `OtherModel`, `Damaged`, `Busy`.
    pub fn gallery(&self, model_id: &str, dims: usize) -> Result<Gallery, StoreError> {
        let mut gallery = Gallery::default();
        let Some(contents) = self.read(false)? else {
            return Ok(gallery);
        };
        self.check_model(&contents.model_id, model_id)?;
        for template in contents.templates {
            if template.embedding.len() != dims {
                return Err(self.damaged(Damage::OtherSize));
            }
            match template.kind {
                Kind::Genuine => gallery.enroll(&template.name, template.embedding),
                Kind::Negative => gallery.reject(&template.name, template.embedding),
            }
        }
        Ok(gallery)
    }

    /// All there is, crops too, whatever the model, and every page checked; `None` where there is no
    /// gallery.
    ///
    /// # Errors
    /// As [`Store::gallery`] but `OtherModel`.
    pub fn contents(&self) -> Result<Option<Contents>, StoreError> {
        self.read(true)
    }

    /// Enrolls templates, all or none; makes the gallery where there is none.
    ///
    /// # Errors
    /// Every [`StoreError`] but `NoSuchClass` and `ClassExists`; nothing is changed then.
    pub fn enroll(&self, model_id: &str, templates: &[Template]) -> Result<(), StoreError> {
        for template in templates {
            check_name(&template.name)?;
        }
        if !self.path.exists() {
            match self.create(model_id, templates) {
                Err(StoreError::File { source, .. })
                    if source.kind() == ErrorKind::AlreadyExists => {}
                done => return done,
            }
        }
        self.change(model_id, |transaction| {
            let next = {
                let crops = transaction.open_table(CROPS)?;
                crops.last()?.map_or(0, |(number, _)| number.value() + 1)
            };
            put(transaction, next, templates)?;
            Ok(Ok(()))
        })
    }

    /// Removes a class; its templates.
    ///
    /// # Errors
    /// Every [`StoreError`] but `ClassExists`; nothing is changed then.
    pub fn remove(&self, model_id: &str, name: &str) -> Result<Vec<Template>, StoreError> {
        self.change(model_id, |transaction| {
            let taken = take(transaction, name)?;
            if taken.is_empty() {
                return Ok(Err(self.no_such_class(name)));
            }
            let mut crops = transaction.open_table(CROPS)?;
            let mut removed = Vec::with_capacity(taken.len());
            for (number, record) in taken {
                let (kind, embedding) = unpack(&record)?;
                let crop = crops.remove(number)?;
                removed.push(Template {
                    name: name.to_owned(),
                    embedding,
                    crop_png: crop.map_or(Vec::new(), |crop| crop.value().to_vec()),
                    kind,
                });
            }
            Ok(Ok(removed))
        })
    }

    /// Removes the newest template of this kind of a class.
    ///
    /// # Errors
    /// As [`Store::remove`]; `NoSuchClass` also where it has none of this kind.
    pub fn take_back(&self, model_id: &str, name: &str, kind: Kind) -> Result<(), StoreError> {
        self.change(model_id, |transaction| {
            let mut table = transaction.open_table(TEMPLATES)?;
            let mut newest = None;
            for row in table.range((name, 0)..=(name, u64::MAX))?.rev() {
                let (key, record) = row?;
                if unpack(record.value())?.0 == kind {
                    newest = Some(key.value().1);
                    break;
                }
            }
            let Some(number) = newest else {
                return Ok(Err(self.no_such_class(name)));
            };
            table.remove((name, number))?;
            transaction.open_table(CROPS)?.remove(number)?;
            Ok(Ok(()))
        })
    }

    /// Gives a class another name, which no other class has.
    ///
    /// # Errors
    /// Every [`StoreError`]; nothing is changed then.
    pub fn rename(&self, model_id: &str, from: &str, to: &str) -> Result<(), StoreError> {
        check_name(to)?;
        self.change(model_id, |transaction| {
            let taken = take(transaction, from)?;
            if taken.is_empty() {
                return Ok(Err(self.no_such_class(from)));
            }
            if from == to || !take(transaction, to)?.is_empty() {
                return Ok(Err(self.class_exists(to)));
            }
            let mut table = transaction.open_table(TEMPLATES)?;
            for (number, record) in taken {
                table.insert((to, number), record.as_slice())?;
            }
            Ok(Ok(()))
        })
    }

    /// Makes it a gallery of another model, with these templates instead of the `contents` that
    /// it has.
    ///
    /// # Errors
    /// `File`, `Damaged`, `Busy`, `BadName`, and `Changed` where it has other contents by now;
    /// nothing is changed then.
    pub fn replace(
        &self,
        contents: &Contents,
        model_id: &str,
        templates: &[Template],
    ) -> Result<(), StoreError> {
        for template in templates {
            check_name(&template.name)?;
        }
        self.change(&contents.model_id, |transaction| {
            let found = templates_in(&transaction.open_table(TEMPLATES)?)?;
            let same = |((_, found), read): (&(u64, Template), &Template)| {
                found.name == read.name
                    && found.embedding == read.embedding
                    && found.kind == read.kind
            };
            if found.len() != contents.templates.len()
                || !found.iter().zip(&contents.templates).all(same)
            {
                return Ok(Err(StoreError::Changed {
                    path: self.path.clone(),
                }));
            }
            transaction.delete_table(TEMPLATES)?;
            transaction.delete_table(CROPS)?;
            transaction.open_table(META)?.insert("model", model_id)?;
            put(transaction, 0, templates)?;
            Ok(Ok(()))
        })
    }
}

#[cfg(test)]
mod tests;
