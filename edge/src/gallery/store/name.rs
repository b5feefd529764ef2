//! What a class may be called. Knows nothing of galleries.

use super::StoreError;

/// The longest name of a class, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

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
