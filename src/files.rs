//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` under a temporary name beside `path`, then gives the file its own.
///
/// # Errors
/// If it cannot be written; then nothing new stands at `path`.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path);
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary); // best effort: it may never have been made
    })
}

/// The temporary name beside `path`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    path.with_file_name(name)
}

/// A file that is written piece by piece, under a temporary name until it is whole. Dropped before, it leaves nothing.
pub struct Whole {
    /// `None` once it has its name.
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Whole {
    /// Begins the file that will stand at `path`.
    ///
    /// # Errors
    /// If nothing can be written beside it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let temporary = beside(path);
        let file = BufWriter::with_capacity(1 << 18, File::create(&temporary)?);
        Ok(Self { file: Some(file), temporary, path: path.to_owned() })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// If the rest cannot be written, or the file not be moved; then nothing new stands at its path.
    pub fn finish(mut self) -> io::Result<()> {
        let mut file = self.file.take().expect("only finishing takes it");
        let moved = file.flush().and_then(|()| fs::rename(&self.temporary, &self.path));
        moved.inspect_err(|_| {
            let _ = fs::remove_file(&self.temporary); // best effort
        })
    }

    fn open(&mut self) -> &mut BufWriter<File> {
        self.file.as_mut().expect("only finishing takes it")
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open().flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary); // best effort
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let mut file = Whole::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!((fs::read_to_string(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count()), ("old".to_owned(), 1));
        let mut file = Whole::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count()), ("new".to_owned(), 1));
    }
}
