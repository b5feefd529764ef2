//! The gallery's file: opened and locked, read whole, created whole, changed in one transaction, and on the disk
//! before a call returns. Knows paths, locks and redb: nothing of what a change does to the tables.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Builder, WriteTransaction};

use super::pages::{self, Pages};
use super::tables::{FORMAT, META, properties, put, rows};
use super::{Contents, Damage, Store, StoreError, Template};

const CACHE_BYTES: usize = 8 << 20;
/// Bytes at the start of a file, of which every change changes some: redb's header is among them.
const HEADER_BYTES: usize = 512;
/// How long to wait for another program that holds the gallery.
const PATIENCE: Duration = Duration::from_secs(5);

impl Store {
    /// Runs what redb does with bytes that may be anything: where those make it panic, they are
    /// damaged. `what` owns or drops all it opens, so nothing half-done is seen afterwards.
    fn guarded<T>(&self, what: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        match catch_unwind(AssertUnwindSafe(what)) {
            Ok(done) => done.map_err(|error| self.error(error)),
            Err(_) => Err(self.damaged(Damage::Contradiction)),
        }
    }

    /// The gallery's file, or `None` where there is none. It is locked: against other programs' changes, and where
    /// it is opened `to_change`, against their reading too.
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
        let start =
            start_of(file, pages::KIND.len() + 1).map_err(|error| self.file_error(error))?;
        match start.split_last() {
            Some((format, kind)) if kind == pages::KIND => {
                self.check_format(Some(&format.to_string()))
            }
            _ => Err(self.damaged(Damage::Beginning)),
        }
    }

    pub(super) fn read(&self, with_crops: bool) -> Result<Option<Contents>, StoreError> {
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
                // Reading all of it checks all of it.
                .set_check_integrity_on_open(with_crops)
                .create_with_backend(pages)?;
            rows(&database, with_crops)
        })?;
        self.check_format(rows.format.as_deref())?;
        let model_id = rows.model.ok_or_else(|| self.damaged(Damage::NoModel))?;
        let templates = rows.templates.into_iter().map(|(_, template)| template);
        let templates: Vec<Template> = templates.collect();
        let sizes = |two: &[Template]| two[0].embedding.len() == two[1].embedding.len();
        if !templates.windows(2).all(sizes) {
            return Err(self.damaged(Damage::TwoSizes));
        }
        Ok(Contents {
            model_id,
            templates,
        })
    }

    /// A whole new file, moved into place when it is done.
    pub(super) fn create(&self, model_id: &str, templates: &[Template]) -> Result<(), StoreError> {
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
    pub(super) fn change<T>(
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
            let ours = self
                .check_format(format.as_deref())
                .and_then(|()| self.check_model(&model.unwrap_or_default(), model_id));
            let done = match ours {
                Ok(()) => what(&transaction)?,
                Err(other) => Err(other),
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

/// What a file begins with; zeros stand for what a shorter one lacks. A running loop compares two of them once a
/// second, so nothing is allocated.
pub(super) type Header = [u8; HEADER_BYTES];

pub(super) fn header(file: &File) -> io::Result<Header> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The first `length` bytes of a file, or as many as it has.
fn start_of(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    Ok(bytes)
}
