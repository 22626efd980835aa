//! Files that a command writes: whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Failure;

/// The files of a result, in its folder.
pub const RESULTS: [&str; 2] = ["result.json", "result.txt"];

/// Makes sure that a file can stand at `path`, before any work is done for it.
///
/// # Errors
/// If something other than a plain file stands there (a folder, a device, a link: a rename would replace it).
pub fn is_free(path: &Path) -> Result<(), Failure> {
    let why = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => io::Error::from(io::ErrorKind::IsADirectory),
        Ok(there) if !there.is_file() => io::Error::new(io::ErrorKind::InvalidInput, "what stands there is no plain file"),
        _ => return Ok(()),
    };
    Err(Failure::Write { path: path.to_owned(), why })
}

/// Makes sure that nothing is written over what was read.
///
/// # Errors
/// If `output` is one of `inputs`.
pub fn spares(inputs: &[PathBuf], output: &Path) -> Result<(), Failure> {
    let same = |input: &PathBuf| fs::canonicalize(input).ok().is_some_and(|input| fs::canonicalize(output).ok() == Some(input));
    if inputs.iter().any(same) {
        return Err(Failure::Input(format!("`{}` would be written over, but the scenario is read from it", output.display())));
    }
    Ok(())
}

/// Makes `folder` if need be, and makes sure that files can be written there before any work is done for them.
///
/// # Errors
/// If it is not a folder that can be written.
pub fn writable_folder(folder: &Path) -> Result<(), Failure> {
    let failed = |why| Failure::Write { path: folder.to_owned(), why };
    fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(format!(".plimsoll.{}.partial", std::process::id()));
    fs::write(&probe, []).map_err(failed)?;
    fs::remove_file(&probe).map_err(failed)?;
    RESULTS.iter().try_for_each(|name| is_free(&folder.join(name)))
}

/// Writes `text` under a temporary name, then gives it its own.
///
/// # Errors
/// If it cannot be written; then nothing new stands at `path`.
pub fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    crate::files::write_whole(path, text.as_bytes()).map_err(|why| Failure::Write { path: path.to_owned(), why })
}
