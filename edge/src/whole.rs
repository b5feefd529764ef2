//! Writes a file whole or not at all: the board loses power. Knows bytes and paths only.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Replaces the file at `path` by `bytes`. After a failure or a power cut the old file, or none,
/// is there as it was.
///
/// # Errors
/// What the system said; a full disk among it.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temp = tempfile::Builder::new();
    #[cfg(unix)]
    temp.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    let mut temp = temp.tempfile_in(folder)?;
    temp.write_all(bytes)?;
    // rename alone may survive a power cut before the bytes do
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()
}

/// Lets every user of the machine read a folder that was made for its owner alone.
///
/// # Errors
/// What the system said.
pub(crate) fn readable_by_all(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder, mode)?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("folder");
        std::fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(write(&taken, b"bytes").is_err());
        assert!(taken.join("inside").is_dir());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
