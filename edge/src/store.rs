//! The gallery on disk: a class is enrolled when a call returns, or not at all, and a power cut
//! changes nothing that was acknowledged. Knows names, embeddings and the PNG of each crop:
//! nothing of networks, thresholds or what a crop shows.
//!
//! One redb file. Reading never writes to it, not even to repair it: a damaged gallery, or one of
//! another model, stays as it was found.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, Table,
    TableDefinition, WriteTransaction,
};
use sha2::{Digest, Sha256};

use crate::gallery::Gallery;

const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// By order of enrollment: name and embedding, sealed.
const TEMPLATES: TableDefinition<u64, &[u8]> = TableDefinition::new("templates");
/// By the same number: the PNG of the crop, sealed.
const CROPS: TableDefinition<u64, &[u8]> = TableDefinition::new("crops");

/// Flag of a negative template, in the place of its name's length.
const NEGATIVE: u16 = 1 << 15;
const FORMAT: &str = "1";
const CACHE_BYTES: usize = 8 << 20;
const SEAL_BYTES: usize = 8;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// It is of the class.
    #[default]
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
    /// Tells these templates from any later ones.
    state: [u8; SEAL_BYTES],
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
}

impl Store {
    /// The gallery at `path`, which need not be there yet: an empty one is not written.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// All there is, crops too, whatever the model; `None` where there is no gallery.
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
                let table = transaction.open_table(TEMPLATES)?;
                table.last()?.map_or(0, |(key, _)| key.value() + 1)
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
        self.must_have(model_id, name)?;
        self.change(model_id, |transaction| {
            let mut templates = transaction.open_table(TEMPLATES)?;
            let mut crops = transaction.open_table(CROPS)?;
            let mut removed = Vec::new();
            for key in keys_of(&templates, name)? {
                let sealed = templates.remove(key)?.map(|sealed| sealed.value().to_vec());
                let crop = crops.remove(key)?.map(|sealed| sealed.value().to_vec());
                let unpacked = sealed.and_then(|sealed| unpack(unseal(key, &sealed)?));
                if let Some((name, embedding, kind)) = unpacked {
                    let crop_png = crop.and_then(|crop| Some(unseal(key, &crop)?.to_vec()));
                    removed.push(Template {
                        name,
                        embedding,
                        crop_png: crop_png.unwrap_or_default(),
                        kind,
                    });
                }
            }
            Ok(Ok(removed))
        })
    }

    /// Removes the newest template of this kind of a class.
    ///
    /// # Errors
    /// As [`Store::remove`]; `NoSuchClass` also where it has none of this kind.
    pub fn take_back(&self, model_id: &str, name: &str, kind: Kind) -> Result<(), StoreError> {
        self.must_have(model_id, name)?;
        self.change(model_id, |transaction| {
            let mut templates = transaction.open_table(TEMPLATES)?;
            let mut crops = transaction.open_table(CROPS)?;
            let mut newest = None;
            for key in keys_of(&templates, name)? {
                let sealed = templates.get(key)?;
                let found = sealed.and_then(|sealed| unpack(unseal(key, sealed.value())?));
                if found.is_some_and(|(_, _, found)| found == kind) {
                    newest = Some(key);
                }
            }
            let Some(newest) = newest else {
                return Ok(Err(StoreError::NoSuchClass {
                    path: self.path.clone(),
                    name: name.to_owned(),
                }));
            };
            templates.remove(newest)?;
            crops.remove(newest)?;
            Ok(Ok(()))
        })
    }

    /// Gives a class another name, which no other class has.
    ///
    /// # Errors
    /// Every [`StoreError`]; nothing is changed then.
    pub fn rename(&self, model_id: &str, from: &str, to: &str) -> Result<(), StoreError> {
        check_name(to)?;
        let taken = || StoreError::ClassExists {
            path: self.path.clone(),
            name: to.to_owned(),
        };
        if self
            .must_have(model_id, from)?
            .iter()
            .any(|name| name == to)
        {
            return Err(taken());
        }
        self.change(model_id, |transaction| {
            let mut templates = transaction.open_table(TEMPLATES)?;
            if !keys_of(&templates, to)?.is_empty() {
                return Ok(Err(taken()));
            }
            for key in keys_of(&templates, from)? {
                let renamed = templates.get(key)?.and_then(|sealed| {
                    let (_, embedding, kind) = unpack(unseal(key, sealed.value())?)?;
                    Some(seal(key, pack(to, &embedding, kind)))
                });
                if let Some(renamed) = renamed {
                    templates.insert(key, renamed.as_slice())?;
                }
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
            if state(&transaction.open_table(TEMPLATES)?)? != contents.state {
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

    /// The names in the gallery, this class among them: asked before the file is opened for
    /// writing, since that alone changes bytes of it.
    fn must_have(&self, model_id: &str, name: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        if let Some(contents) = self.read(false)? {
            self.check_model(&contents.model_id, model_id)?;
            names.extend(contents.templates.into_iter().map(|template| template.name));
        }
        if names.iter().any(|found| found == name) {
            return Ok(names);
        }
        Err(StoreError::NoSuchClass {
            path: self.path.clone(),
            name: name.to_owned(),
        })
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

    fn read(&self, with_crops: bool) -> Result<Option<Contents>, StoreError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.file_error(error)),
        };
        let started = Instant::now();
        loop {
            match file.try_lock_shared() {
                Ok(()) => break,
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
        let view = Untouched::new(file).map_err(|error| self.file_error(error))?;
        if view.changes().len == 0 {
            return Err(self.damaged("it is empty"));
        }
        let rows = self.guarded(|| {
            let database = Builder::new()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(view)?;
            rows(&database, with_crops)
        })?;
        let broken = || self.damaged("a record's checksum does not hold");
        if rows.format.as_deref() != Some(FORMAT) {
            return Err(self.damaged("it is of another kind or version"));
        }
        let model_id = rows
            .model
            .ok_or_else(|| self.damaged("it names no model"))?;
        let mut templates = Vec::with_capacity(rows.templates.len());
        let mut dims = None;
        for (key, sealed, crop) in rows.templates {
            let (name, embedding, kind) =
                unseal(key, &sealed).and_then(unpack).ok_or_else(broken)?;
            let crop_png = match crop {
                Some(sealed) => unseal(key, &sealed).ok_or_else(broken)?.to_vec(),
                None if with_crops => return Err(self.damaged("a crop is missing")),
                None => Vec::new(),
            };
            if *dims.get_or_insert(embedding.len()) != embedding.len() {
                return Err(self.damaged("embeddings of two sizes"));
            }
            templates.push(Template {
                name,
                embedding,
                crop_png,
                kind,
            });
        }
        Ok(Some(Contents {
            model_id,
            templates,
            state: rows.state,
        }))
    }

    /// A whole new file, moved into place when it is done.
    fn create(&self, model_id: &str, templates: &[Template]) -> Result<(), StoreError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file_error = |error| self.file_error(error);
        fs::create_dir_all(folder).map_err(file_error)?;
        let temp = tempfile::Builder::new()
            .prefix(".gallery-")
            .tempfile_in(folder)
            .map_err(file_error)?;
        self.guarded(|| {
            let database = Builder::new()
                .set_cache_size(CACHE_BYTES)
                .create(temp.path())?;
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert("format", FORMAT)?;
                meta.insert("model", model_id)?;
            }
            put(&transaction, 0, templates)?;
            transaction.commit()?;
            Ok(())
        })?;
        temp.as_file().sync_all().map_err(file_error)?;
        temp.persist_noclobber(&self.path)
            .map_err(|failed| self.file_error(failed.error))?;
        // The new name must survive a power cut too.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(file_error)
    }

    /// One transaction on a gallery of this model that was found whole.
    fn change<T>(
        &self,
        model_id: &str,
        what: impl Fn(&WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        let Some(contents) = self.read(false)? else {
            return Err(self.file_error(ErrorKind::NotFound.into()));
        };
        self.check_model(&contents.model_id, model_id)?;
        let started = Instant::now();
        let open = || {
            let mut builder = Builder::new();
            // Every page that the change builds upon is checked first.
            builder
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true);
            loop {
                match builder.open(&self.path) {
                    Err(DatabaseError::DatabaseAlreadyOpen) if started.elapsed() < PATIENCE => {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    opened => return opened,
                }
            }
        };
        self.guarded(|| {
            let database = open()?;
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            // What was read is not locked: another program may have moved it to another model.
            let meta = transaction.open_table(META)?;
            let found = meta.get("model")?.map(|found| found.value().to_owned());
            drop(meta);
            let done = match self.check_model(&found.unwrap_or_default(), model_id) {
                Ok(()) => what(&transaction)?,
                Err(other) => Err(other),
            };
            if done.is_ok() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(done)
        })?
    }
}

/// What the tables hold, still sealed.
struct Rows {
    format: Option<String>,
    model: Option<String>,
    state: [u8; SEAL_BYTES],
    templates: Vec<(u64, Vec<u8>, Option<Vec<u8>>)>,
}

fn rows(database: &Database, with_crops: bool) -> Result<Rows, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let property = |key| -> Result<Option<String>, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()))
    };
    let crops = with_crops
        .then(|| transaction.open_table(CROPS))
        .transpose()?;
    let mut templates = Vec::new();
    let table = transaction.open_table(TEMPLATES)?;
    for row in table.iter()? {
        let (key, sealed) = row?;
        let crop = match &crops {
            Some(crops) => crops.get(key.value())?.map(|crop| crop.value().to_vec()),
            None => None,
        };
        templates.push((key.value(), sealed.value().to_vec(), crop));
    }
    Ok(Rows {
        format: property("format")?,
        model: property("model")?,
        state: state(&table)?,
        templates,
    })
}

fn put(
    transaction: &WriteTransaction,
    first: u64,
    templates: &[Template],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(TEMPLATES)?;
    let mut crops = transaction.open_table(CROPS)?;
    for (key, template) in (first..).zip(templates) {
        let packed = pack(&template.name, &template.embedding, template.kind);
        table.insert(key, seal(key, packed).as_slice())?;
        crops.insert(key, seal(key, template.crop_png.clone()).as_slice())?;
    }
    Ok(())
}

/// A digest of all records.
fn state(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<[u8; SEAL_BYTES], redb::Error> {
    let mut all = Vec::new();
    for row in table.iter()? {
        let (key, sealed) = row?;
        let sealed = sealed.value();
        // A seal is a checksum of the record and its key already.
        all.extend(&sealed[sealed.len().saturating_sub(SEAL_BYTES)..]);
        all.extend(key.value().to_le_bytes());
    }
    Ok(digest(0, &all))
}

fn keys_of(table: &Table<u64, &[u8]>, name: &str) -> Result<Vec<u64>, redb::Error> {
    let mut keys = Vec::new();
    for row in table.iter()? {
        let (key, sealed) = row?;
        let found = unseal(key.value(), sealed.value()).and_then(unpack);
        if found.is_some_and(|(found, _, _)| found == name) {
            keys.push(key.value());
        }
    }
    Ok(keys)
}

/// Name length and kind (2 bytes), name, embedding; little-endian.
fn pack(name: &str, embedding: &[f32], kind: Kind) -> Vec<u8> {
    let flag = match kind {
        Kind::Genuine => 0,
        Kind::Negative => NEGATIVE,
    };
    let mut bytes = (name.len() as u16 | flag).to_le_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes.extend(embedding.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

fn unpack(bytes: &[u8]) -> Option<(String, Vec<f32>, Kind)> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let head = u16::from_le_bytes(*head);
    let kind = match head & NEGATIVE {
        0 => Kind::Genuine,
        _ => Kind::Negative,
    };
    let (name, numbers) = rest.split_at_checked(usize::from(head & !NEGATIVE))?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    let (numbers, []) = numbers.as_chunks::<4>() else {
        return None;
    };
    let embedding = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    Some((name, embedding.collect(), kind))
}

/// redb trusts the pages that it reads, and an SD card deserves no trust: each record ends in a
/// checksum of its own.
fn seal(key: u64, mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = digest(key, &bytes);
    bytes.extend(digest);
    bytes
}

fn unseal(key: u64, sealed: &[u8]) -> Option<&[u8]> {
    let (bytes, found) = sealed.split_at_checked(sealed.len().checked_sub(SEAL_BYTES)?)?;
    (digest(key, bytes) == found).then_some(bytes)
}

fn digest(key: u64, bytes: &[u8]) -> [u8; SEAL_BYTES] {
    let hash = Sha256::new()
        .chain_update(key.to_le_bytes())
        .chain_update(bytes)
        .finalize();
    std::array::from_fn(|i| hash[i])
}

const BLOCK: u64 = 4096;

/// The file as it is, under what redb would write: that stays in memory and is forgotten.
#[derive(Debug)]
struct Untouched {
    file: File,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    len: u64,
    /// So much of the file still counts.
    from_file: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Untouched {
    fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file,
            changes: Mutex::new(Changes {
                len,
                from_file: len,
                blocks: BTreeMap::new(),
            }),
        })
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as the file has it, zeros beyond its end.
    fn original(&self, block: u64, from_file: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; BLOCK as usize];
        let here = from_file.saturating_sub(block * BLOCK).min(BLOCK) as usize;
        self.file.read_exact_at(&mut bytes[..here], block * BLOCK)?;
        Ok(bytes)
    }
}

/// The parts of offset..offset + length by block: (block, start within it, length).
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    (offset / BLOCK..end.div_ceil(BLOCK)).map(move |block| {
        let from = offset.max(block * BLOCK);
        let to = end.min((block + 1) * BLOCK);
        (block, (from - block * BLOCK) as usize, (to - from) as usize)
    })
}

impl StorageBackend for Untouched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > changes.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        for (block, start, length) in parts(offset, out.len()) {
            let part = &mut out[done..done + length];
            match changes.blocks.get(&block) {
                Some(bytes) => part.copy_from_slice(&bytes[start..start + length]),
                None => {
                    let bytes = self.original(block, changes.from_file)?;
                    part.copy_from_slice(&bytes[start..start + length]);
                }
            }
            done += length;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changes = self.changes();
        changes.len = len;
        changes.from_file = changes.from_file.min(len);
        changes.blocks.retain(|&block, bytes| {
            let kept = len.saturating_sub(block * BLOCK).min(BLOCK) as usize;
            bytes[kept..].fill(0);
            kept > 0
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        let mut done = 0;
        for (block, start, length) in parts(offset, data.len()) {
            if !changes.blocks.contains_key(&block) {
                let bytes = self.original(block, changes.from_file)?;
                changes.blocks.insert(block, bytes);
            }
            if let Some(bytes) = changes.blocks.get_mut(&block) {
                bytes[start..start + length].copy_from_slice(&data[done..done + length]);
            }
            done += length;
        }
        changes.len = changes.len.max(offset + data.len() as u64);
        Ok(())
    }
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

    #[test]
    fn the_view_shows_its_own_writes_over_the_file_and_zeros_beyond() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &[7; 5000]).unwrap();
        let view = Untouched::new(file).unwrap();
        view.set_len(9000).unwrap();
        view.write(4090, &[1; 10]).unwrap();
        let mut bytes = vec![0; 9000];
        view.read(0, &mut bytes).unwrap();
        assert_eq!(bytes[4089..4101], [7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7]);
        assert_eq!((bytes[4999], bytes[5000], bytes[8999]), (7, 0, 0));
        view.set_len(4092).unwrap();
        view.set_len(9000).unwrap();
        view.read(0, &mut bytes).unwrap();
        assert_eq!((bytes[4091], bytes[4092], bytes[4999]), (1, 0, 0));
        assert!(view.read(8999, &mut [0, 0]).is_err());
    }
}
