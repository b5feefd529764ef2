//! The gallery on disk: a class is enrolled when a call returns, or not at all, and a power cut
//! changes nothing that was acknowledged. Knows names, embeddings and the PNG of each crop:
//! nothing of networks, thresholds or what a crop shows.
//!
//! One redb file behind `pages`, which checks every page that is read: a damaged gallery, or one of
//! another model, stays as it was found. A change reads and writes only what it concerns, however
//! large the gallery; crops are read where they are asked for.

mod pages;

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use crate::gallery::Gallery;
use pages::Pages;

const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// By class and order of enrollment: the kind of record, 1 byte, and the embedding, little-endian.
const TEMPLATES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("templates");
/// By order of enrollment: the PNG of the crop.
const CROPS: TableDefinition<u64, &[u8]> = TableDefinition::new("crops");

const FORMAT: &str = "2";
/// The kind of a template of a class.
const TEMPLATE: u8 = 0;
/// The kind of a negative one.
const NEGATIVE: u8 = 1;
const CACHE_BYTES: usize = 8 << 20;
/// So many bytes a gallery's file begins with: redb's header, of which every change changes some.
const HEADER_BYTES: usize = 512;
/// How long another program may keep the gallery before we give up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest name of a class, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

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

/// Why a gallery cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("{path:?}: {source}; see to the disk or its permissions, then try again")]
    File {
        /// The gallery.
        path: PathBuf,
        /// What the system said; a full disk among it.
        source: io::Error,
    },
    /// Enrolled with another model.
    #[error(
        "{path:?}: enrolled with model {}, but {} is loaded; load that model, or move the gallery \
         to this one with `gallery reembed`",
        short(found),
        short(loaded)
    )]
    OtherModel {
        /// The gallery.
        path: PathBuf,
        /// The id of the model that it was enrolled with.
        found: String,
        /// The id of the one that is loaded.
        loaded: String,
    },
    /// No gallery, or one that does not hold together.
    #[error(
        "{path:?}: not a gallery, or damaged ({reason}); it was left as it is: restore a copy, or \
         name another file with --gallery and enroll again"
    )]
    Damaged {
        /// The gallery.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another program holds it.
    #[error("{path:?}: in use by another program; end that one, or name another gallery")]
    Busy {
        /// The gallery.
        path: PathBuf,
    },
    /// No such class.
    #[error("{path:?}: no class {name:?}; see `gallery list`")]
    NoSuchClass {
        /// The gallery.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// The class is there already.
    #[error("{path:?}: a class {name:?} is there already; remove it first, or take another name")]
    ClassExists {
        /// The gallery.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// Somebody else changed it while it was being moved.
    #[error("{path:?}: was changed meanwhile; run the same command again")]
    Changed {
        /// The gallery.
        path: PathBuf,
    },
    /// A name that cannot be shown, or be that of a folder.
    #[error("{name:?}: not a name for a class: {reason}")]
    BadName {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Whether a class may be called so: 1 to [`MAX_NAME_BYTES`] bytes that can be shown on a screen
/// and name a folder.
///
/// # Errors
/// `BadName`.
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let reason = if name.trim().is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME_BYTES {
        "it is longer than 200 bytes"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if name.contains(['/', '\\']) || name.contains(char::is_control) {
        "it contains a slash or a control character"
    } else {
        return Ok(());
    };
    Err(StoreError::BadName {
        name: name.to_owned(),
        reason,
    })
}

/// A gallery's file. Holds nothing open between calls.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    /// The header as it was read or written here last; none where there was no gallery.
    known: Arc<Mutex<Option<Vec<u8>>>>,
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

    fn known(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change from one header to the next was ours; one that came before it and is not known stays unknown.
    fn changed_here(&self, before: Option<Vec<u8>>, after: Vec<u8>) {
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
                return Err(self.damaged("its embeddings are not of its model"));
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

    fn no_such_class(&self, name: &str) -> StoreError {
        StoreError::NoSuchClass {
            path: self.path.clone(),
            name: name.to_owned(),
        }
    }

    fn class_exists(&self, name: &str) -> StoreError {
        StoreError::ClassExists {
            path: self.path.clone(),
            name: name.to_owned(),
        }
    }

    fn check_model(&self, found: &str, loaded: &str) -> Result<(), StoreError> {
        if found == loaded {
            return Ok(());
        }
        Err(StoreError::OtherModel {
            path: self.path.clone(),
            found: found.to_owned(),
            loaded: loaded.to_owned(),
        })
    }

    fn file_error(&self, source: io::Error) -> StoreError {
        StoreError::File {
            path: self.path.clone(),
            source,
        }
    }

    fn damaged(&self, reason: impl ToString) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }

    fn error(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::Io(source) => match source.kind() {
                // What redb says of a file that ends too early.
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData => self.damaged(source),
                _ => self.file_error(source),
            },
            redb::Error::DatabaseAlreadyOpen => StoreError::Busy {
                path: self.path.clone(),
            },
            other => self.damaged(other),
        }
    }

    /// Runs what redb does with bytes that may be anything: where those make it panic, they are
    /// damaged. `what` owns or drops all it opens, so nothing half-done is seen afterwards.
    fn guarded<T>(&self, what: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        match catch_unwind(AssertUnwindSafe(what)) {
            Ok(done) => done.map_err(|error| self.error(error)),
            Err(_) => Err(self.damaged("its pages contradict one another")),
        }
    }

    /// The gallery's file, locked against others who change it, or against all where `to_change`;
    /// `None` where there is none.
    fn open(&self, to_change: bool) -> Result<Option<File>, StoreError> {
        let started = Instant::now();
        loop {
            let file = match File::options().read(true).write(to_change).open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(self.file_error(error)),
            };
            let locked = if to_change {
                file.try_lock()
            } else {
                file.try_lock_shared()
            };
            match locked {
                // Another file may have taken its place while we waited.
                Ok(()) if self.is_at_path(&file) => return Ok(Some(file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Busy {
                        path: self.path.clone(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(self.file_error(error)),
            }
        }
    }

    fn is_at_path(&self, file: &File) -> bool {
        let at_path = fs::metadata(&self.path);
        match (file.metadata(), at_path) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// Refuses a file that does not begin as a gallery of this format.
    fn check_magic(&self, file: &File) -> Result<(), StoreError> {
        let start = start_of(file, pages::MAGIC.len()).map_err(|error| self.file_error(error))?;
        if start == pages::MAGIC {
            return Ok(());
        }
        Err(self.damaged("it does not begin as one"))
    }

    fn read(&self, with_crops: bool) -> Result<Option<Contents>, StoreError> {
        let Some(file) = self.open(false)? else {
            *self.known() = None;
            return Ok(None);
        };
        *self.known() = Some(header(&file).map_err(|error| self.file_error(error))?);
        self.check_magic(&file)?;
        self.read_file(file, with_crops).map(Some)
    }

    fn read_file(&self, file: File, with_crops: bool) -> Result<Contents, StoreError> {
        let pages = Pages::new(file).map_err(|error| self.error(error.into()))?;
        let rows = self.guarded(|| {
            let database = Builder::new()
                .set_cache_size(CACHE_BYTES)
                // Whoever reads all wants to know that it is all.
                .set_check_integrity_on_open(with_crops)
                .create_with_backend(pages)?;
            rows(&database, with_crops)
        })?;
        if rows.format.as_deref() != Some(FORMAT) {
            return Err(self.damaged("it is of another kind or version"));
        }
        let model_id = rows
            .model
            .ok_or_else(|| self.damaged("it names no model"))?;
        let templates = rows.templates.into_iter().map(|(_, template)| template);
        let templates: Vec<Template> = templates.collect();
        let sizes = |two: &[Template]| two[0].embedding.len() == two[1].embedding.len();
        if !templates.windows(2).all(sizes) {
            return Err(self.damaged("embeddings of two sizes"));
        }
        Ok(Contents {
            model_id,
            templates,
        })
    }

    /// A whole new file, moved into place when it is done.
    fn create(&self, model_id: &str, templates: &[Template]) -> Result<(), StoreError> {
        let file_error = |error| self.file_error(error);
        fs::create_dir_all(self.folder()).map_err(file_error)?;
        let temp = tempfile::Builder::new()
            .prefix(".gallery-")
            .tempfile_in(self.folder())
            .map_err(file_error)?;
        let file = temp.as_file().try_clone().map_err(file_error)?;
        let pages = Pages::new(file).map_err(file_error)?;
        self.guarded(|| {
            let database = Builder::new()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(pages.clone())?;
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert("format", FORMAT)?;
                meta.insert("model", model_id)?;
            }
            put(&transaction, 0, templates)?;
            transaction.commit()?;
            Ok(database.close()?)
        })?;
        pages.write_out().map_err(file_error)?;
        temp.as_file().sync_all().map_err(file_error)?;
        let after = header(temp.as_file()).map_err(file_error)?;
        temp.persist_noclobber(&self.path)
            .map_err(|failed| file_error(failed.error))?;
        self.changed_here(None, after);
        self.sync_folder()
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// A new name must survive a power cut too.
    fn sync_folder(&self) -> Result<(), StoreError> {
        File::open(self.folder())
            .and_then(|folder| folder.sync_all())
            .map_err(|error| self.file_error(error))
    }

    /// One transaction on a gallery of this model. It reads what it touches and no more; a page that
    /// does not hold, or an error of `what`, leaves every byte as it was.
    fn change<T>(
        &self,
        model_id: &str,
        what: impl Fn(&WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        let missing = || self.file_error(ErrorKind::NotFound.into());
        let file = self.open(true)?.ok_or_else(missing)?;
        let file_error = |error| self.file_error(error);
        let before = header(&file).map_err(file_error)?;
        self.check_magic(&file)?;
        // Locked until both are closed.
        let same_file = file.try_clone().map_err(file_error)?;
        let pages = Pages::new(file).map_err(|error| self.error(error.into()))?;
        let done = self.guarded(|| {
            let database = Builder::new()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(pages.clone())?;
            let mut transaction = database.begin_write()?;
            // After a kill the next one need not read the whole file.
            transaction.set_quick_repair(true);
            let (format, model) = properties(&transaction.open_table(META)?)?;
            let done = if format.as_deref() != Some(FORMAT) {
                Err(self.damaged("it is of another kind or version"))
            } else {
                match self.check_model(&model.unwrap_or_default(), model_id) {
                    Ok(()) => what(&transaction)?,
                    Err(other) => Err(other),
                }
            };
            if done.is_ok() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            database.close()?;
            Ok(done)
        })??;
        pages.write_out().map_err(file_error)?;
        self.changed_here(Some(before), header(&same_file).map_err(file_error)?);
        Ok(done)
    }
}

/// What a file begins with.
fn header(file: &File) -> io::Result<Vec<u8>> {
    start_of(file, HEADER_BYTES)
}

/// The first `length` bytes of a file, or as many as it has.
fn start_of(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// What the tables hold.
struct Rows {
    format: Option<String>,
    model: Option<String>,
    /// By number, which is the order of enrollment.
    templates: Vec<(u64, Template)>,
}

fn rows(database: &Database, with_crops: bool) -> Result<Rows, redb::Error> {
    let transaction = database.begin_read()?;
    let (format, model) = properties(&transaction.open_table(META)?)?;
    let mut templates = templates_in(&transaction.open_table(TEMPLATES)?)?;
    if with_crops {
        let crops = transaction.open_table(CROPS)?;
        for (number, template) in &mut templates {
            let crop = crops
                .get(*number)?
                .ok_or_else(|| corrupted("a crop is missing"))?;
            template.crop_png = crop.value().to_vec();
        }
    }
    Ok(Rows {
        format,
        model,
        templates,
    })
}

/// Format and model.
fn properties(
    meta: &impl ReadableTable<&'static str, &'static str>,
) -> Result<(Option<String>, Option<String>), redb::Error> {
    let property = |key| -> Result<Option<String>, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()))
    };
    Ok((property("format")?, property("model")?))
}

/// By number, without crops.
fn templates_in(
    table: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
) -> Result<Vec<(u64, Template)>, redb::Error> {
    let mut templates = Vec::new();
    for row in table.iter()? {
        let (key, record) = row?;
        let (name, number) = key.value();
        let (kind, embedding) = unpack(record.value())?;
        let template = Template {
            name: name.to_owned(),
            embedding,
            crop_png: Vec::new(),
            kind,
        };
        templates.push((number, template));
    }
    templates.sort_unstable_by_key(|(number, _)| *number);
    Ok(templates)
}

fn put(
    transaction: &WriteTransaction,
    first: u64,
    templates: &[Template],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(TEMPLATES)?;
    let mut crops = transaction.open_table(CROPS)?;
    for (number, template) in (first..).zip(templates) {
        let mut record = vec![match template.kind {
            Kind::Genuine => TEMPLATE,
            Kind::Negative => NEGATIVE,
        }];
        record.extend(template.embedding.iter().flat_map(|v| v.to_le_bytes()));
        table.insert((&*template.name, number), record.as_slice())?;
        crops.insert(number, template.crop_png.as_slice())?;
    }
    Ok(())
}

/// Takes a class out of the table: the number and record of each template.
fn take(transaction: &WriteTransaction, name: &str) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
    let mut table = transaction.open_table(TEMPLATES)?;
    let mut taken = Vec::new();
    for row in table.extract_from_if((name, 0)..=(name, u64::MAX), |_, _| true)? {
        let (key, record) = row?;
        taken.push((key.value().1, record.value().to_vec()));
    }
    Ok(taken)
}

fn unpack(record: &[u8]) -> Result<(Kind, Vec<f32>), redb::Error> {
    let (kind, numbers) = match record.split_first() {
        Some((&TEMPLATE, numbers)) => (Kind::Genuine, numbers),
        Some((&NEGATIVE, numbers)) => (Kind::Negative, numbers),
        _ => {
            return Err(corrupted(
                "a record of a kind that this version does not know",
            ));
        }
    };
    let embedding = floats(numbers).ok_or_else(|| corrupted("a record of no numbers"))?;
    Ok((kind, embedding))
}

/// Little-endian.
fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    Some(
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    )
}

fn corrupted(what: &str) -> redb::Error {
    redb::Error::Corrupted(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(name: &str, x: f32) -> Template {
        Template {
            name: name.to_owned(),
            embedding: vec![x, -x],
            crop_png: vec![x as u8; 3000],
            kind: Kind::Genuine,
        }
    }

    fn names(store: &Store) -> Vec<String> {
        let contents = store.contents().unwrap();
        let templates = contents.map_or(Vec::new(), |contents| contents.templates);
        templates.into_iter().map(|t| t.name).collect()
    }

    fn gallery_of(count: usize) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("deep/g.redb"));
        for i in 0..count {
            store
                .enroll("m1", &[template(&format!("class-{i}"), i as f32)])
                .unwrap();
        }
        (folder, store)
    }

    #[test]
    fn what_is_enrolled_is_there_again_in_order_and_nothing_else_is_left() {
        let (folder, store) = gallery_of(3);
        store
            .enroll("m1", &[template("class-1", 7.0), template("x", 8.0)])
            .unwrap();
        assert_eq!(
            names(&store),
            ["class-0", "class-1", "class-2", "class-1", "x"]
        );
        let contents = store.contents().unwrap().unwrap();
        assert_eq!(contents.model_id, "m1");
        assert_eq!(contents.templates[3], template("class-1", 7.0));
        assert_eq!(store.gallery("m1", 2).unwrap().len(), 4);
        let other_size = store.gallery("m1", 3).unwrap_err();
        assert!(matches!(other_size, StoreError::Damaged { .. }));
        let inside = fs::read_dir(folder.path().join("deep")).unwrap();
        assert_eq!(inside.count(), 1);
    }

    #[test]
    fn a_class_is_removed_with_all_its_templates_and_renamed_to_a_free_name() {
        let (_folder, store) = gallery_of(3);
        store.enroll("m1", &[template("class-1", 7.0)]).unwrap();
        assert_eq!(store.remove("m1", "class-1").unwrap().len(), 2);
        store.rename("m1", "class-0", "first").unwrap();
        assert_eq!(names(&store), ["first", "class-2"]);
        let taken = store.rename("m1", "first", "class-2").unwrap_err();
        assert!(matches!(taken, StoreError::ClassExists { .. }));
        let gone = store.remove("m1", "class-1").unwrap_err();
        assert!(matches!(gone, StoreError::NoSuchClass { .. }));
        assert_eq!(names(&store), ["first", "class-2"]);
    }

    #[test]
    fn a_change_of_another_program_is_noticed_and_one_of_our_own_is_not() {
        let (_folder, ours) = gallery_of(2);
        let theirs = Store::at(ours.path());
        assert!(!ours.is_changed_elsewhere());
        ours.rename("m1", "class-0", "first").unwrap();
        assert!(!ours.is_changed_elsewhere());
        theirs.enroll("m1", &[template("x", 1.0)]).unwrap();
        assert!(ours.is_changed_elsewhere());
        // What came before a change of ours is still to be read.
        ours.remove("m1", "first").unwrap();
        assert!(ours.is_changed_elsewhere());
        ours.gallery("m1", 2).unwrap();
        assert!(!ours.is_changed_elsewhere());
        // What is refused changes nothing.
        theirs.remove("m1", "first").unwrap_err();
        assert!(!ours.is_changed_elsewhere());
        fs::remove_file(ours.path()).unwrap();
        assert!(ours.is_changed_elsewhere());
        assert!(ours.gallery("m1", 2).unwrap().is_empty());
        theirs.enroll("m1", &[template("x", 1.0)]).unwrap();
        assert!(ours.is_changed_elsewhere());
    }

    #[test]
    fn what_a_class_is_not_is_kept_with_it_and_the_newest_look_is_taken_back_by_kind() {
        let (_folder, store) = gallery_of(2);
        let negative = |x| Template {
            kind: Kind::Negative,
            ..template("class-0", x)
        };
        let later = template("class-0", 7.0);
        store
            .enroll("m1", &[negative(5.0), later.clone(), negative(6.0)])
            .unwrap();
        let counts = || {
            let gallery = store.gallery("m1", 2).unwrap();
            (
                gallery.templates_of("class-0"),
                gallery.negatives_of("class-0"),
            )
        };
        assert_eq!(counts(), (2, 2));
        store.take_back("m1", "class-0", Kind::Genuine).unwrap();
        store.take_back("m1", "class-0", Kind::Negative).unwrap();
        assert_eq!(counts(), (1, 1));
        let none = store.take_back("m1", "class-1", Kind::Negative);
        assert!(matches!(none, Err(StoreError::NoSuchClass { .. })));
        // What was removed is all that there was, and can be put back.
        let removed = store.remove("m1", "class-0").unwrap();
        assert_eq!(removed, [template("class-0", 0.0), negative(5.0)]);
        store.enroll("m1", &removed).unwrap();
        assert_eq!((counts(), names(&store).len()), ((1, 1), 3));
    }

    #[test]
    fn a_gallery_of_another_model_is_refused_and_not_touched_until_it_is_replaced() {
        let (_folder, store) = gallery_of(2);
        let before = fs::read(store.path()).unwrap();
        for refused in [
            store.gallery("m2", 2).map(|_| ()),
            store.enroll("m2", &[template("y", 1.0)]),
            store.remove("m2", "class-0").map(drop),
        ] {
            assert!(matches!(refused, Err(StoreError::OtherModel { .. })));
        }
        assert!(fs::read(store.path()).unwrap() == before);
        let seen = store.contents().unwrap().unwrap();
        store.enroll("m1", &[template("late", 1.0)]).unwrap();
        let late = store.replace(&seen, "m2", &[template("z", 1.0)]);
        assert!(matches!(late, Err(StoreError::Changed { .. })));
        assert_eq!(names(&store).len(), 3);
        let seen = store.contents().unwrap().unwrap();
        store.replace(&seen, "m2", &[template("z", 1.0)]).unwrap();
        assert_eq!(names(&store), ["z"]);
        assert_eq!(store.gallery("m2", 2).unwrap().len(), 1);
    }

    #[test]
    fn reading_changes_no_byte_and_works_where_nothing_may_be_written() {
        let (_folder, store) = gallery_of(2);
        let before = fs::read(store.path()).unwrap();
        store.gallery("m1", 2).unwrap();
        store.contents().unwrap();
        assert!(fs::read(store.path()).unwrap() == before);
        let mut permissions = fs::metadata(store.path()).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(store.path(), permissions).unwrap();
        assert_eq!(names(&store).len(), 2);
    }

    #[test]
    fn a_gallery_with_any_byte_changed_is_refused_whole_or_read_right_and_never_written() {
        let (_folder, store) = gallery_of(5);
        let whole = fs::read(store.path()).unwrap();
        let right = store.contents().unwrap().unwrap();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let mut refused = 0;
        // Every 29th byte of the pages in use, and the whole header.
        let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for place in (0..512.min(used)).chain((512..used).step_by(29)) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x5a;
            fs::write(store.path(), &bytes).unwrap();
            match store.contents() {
                Ok(read) => assert_eq!(read.as_ref(), Some(&right), "byte {place}"),
                Err(_) => refused += 1,
            }
            assert!(fs::read(store.path()).unwrap() == bytes, "byte {place}");
        }
        std::panic::set_hook(hook);
        assert!(refused > 100, "{refused}");
        fs::write(store.path(), &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(store.contents(), Err(StoreError::Damaged { .. })));
        fs::write(store.path(), b"not a gallery").unwrap();
        let error = store.enroll("m1", &[template("y", 1.0)]).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(store.path()).unwrap(), b"not a gallery");
    }

    #[test]
    fn a_change_of_a_gallery_with_any_byte_changed_is_refused_or_right() {
        let (_folder, store) = gallery_of(3);
        let whole = fs::read(store.path()).unwrap();
        let mut right = store.contents().unwrap().unwrap().templates;
        right.push(template("new", 9.0));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let mut refused = 0;
        let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for place in (0..512).step_by(7).chain((512..used).step_by(509)) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x5a;
            fs::write(store.path(), &bytes).unwrap();
            if store.enroll("m1", &[template("new", 9.0)]).is_err() {
                refused += 1;
                assert!(fs::read(store.path()).unwrap() == bytes, "byte {place}");
            } else if let Ok(read) = store.contents() {
                assert_eq!(read.unwrap().templates, right, "byte {place}");
            }
        }
        std::panic::set_hook(hook);
        assert!(refused > 20, "{refused}");
    }

    #[test]
    fn a_change_touches_a_part_of_a_large_gallery() {
        let (_folder, store) = gallery_of(1);
        let many: Vec<Template> = (0..2000).map(|i| template(&format!("c{i}"), 1.0)).collect();
        store.enroll("m1", &many).unwrap();
        let before = fs::read(store.path()).unwrap();
        store.enroll("m1", &[template("late", 2.0)]).unwrap();
        store.rename("m1", "c7", "seven").unwrap();
        store.remove("m1", "c8").unwrap();
        let after = fs::read(store.path()).unwrap();
        let pairs = before.chunks(512).zip(after.chunks(512));
        let changed = 512 * pairs.filter(|(before, after)| before != after).count();
        assert!(before.len() > 5_000_000 && changed < 300_000, "{changed}");
        let names = names(&store);
        assert_eq!(
            (names.len(), &*names[8], &*names[2000]),
            (2001, "seven", "late")
        );
    }

    #[test]
    fn a_name_must_be_fit_for_a_screen_and_a_folder() {
        for bad in ["", " ", ".hidden", "a/b", "a\nb", &"x".repeat(201)] {
            let (_folder, store) = gallery_of(0);
            assert!(matches!(
                store.enroll("m1", &[template(bad, 1.0)]),
                Err(StoreError::BadName { .. })
            ));
            assert!(!store.path().exists());
        }
        check_name("Zoë's mug 2").unwrap();
    }
}
