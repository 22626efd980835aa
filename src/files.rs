//! Files that are written whole or not at all.

use std::fs;
use std::io;
use std::path::Path;

/// Writes `bytes` under a temporary name beside `path`, then gives the file its own.
///
/// # Errors
/// If it cannot be written; then nothing new stands at `path`.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary); // best effort: it may never have been made
    })
}
