//! The step lines that a server writes while it is measured.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::files;

/// Most that is read of one probe, bytes: a line a millisecond for an hour is less.
const BYTES_MAX: u64 = 1 << 30;

/// A log that grows, cut into the probes in whose time it grew.
pub(super) struct Tail {
    log: File,
    /// Where the marked copy is kept.
    copy: PathBuf,
    marked: Vec<u8>,
}

impl Tail {
    /// From the present end of the log on.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn begin(log: &Path, copy: PathBuf) -> Result<Self, Failure> {
        let failed = |why: io::Error| {
            Failure::Input(format!("--steps {}: {why}\n  = name the file that the server's output goes to", log.display()))
        };
        let mut file = File::open(log).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")));
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { log: file, copy, marked: Vec::new() })
    }

    /// What came since is of this probe. Its last lines may come later: whoever reads the copy gives them back.
    ///
    /// # Errors
    /// If the log cannot be read on, or the copy not be written.
    pub(super) fn mark(&mut self, probe: &str) -> io::Result<()> {
        let mut new = Vec::new();
        (&mut self.log).take(BYTES_MAX).read_to_end(&mut new)?;
        // What is left of a line comes with the next probe.
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let rest = i64::try_from(new.len() - whole).unwrap_or(0);
        self.log.seek(SeekFrom::Current(-rest))?;
        self.marked.extend_from_slice(format!("# run {probe}\n").as_bytes());
        self.marked.extend_from_slice(&new[..whole]);
        files::write_whole(&self.copy, &self.marked)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_comes_while_a_probe_runs_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (log, copy) = (folder.path().join("server.log"), folder.path().join("steps.log"));
        assert!(Tail::begin(&log, copy.clone()).is_err() && Tail::begin(folder.path(), copy.clone()).is_err());
        let mut server = File::create(&log).unwrap();
        server.write_all(b"before\n").unwrap();
        let mut tail = Tail::begin(&log, copy.clone()).unwrap();
        server.write_all(b"one\ntw").unwrap();
        tail.mark("01-a").unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "# run 01-a\none\n");
        server.write_all(b"o\nthree\n").unwrap();
        tail.mark("02-b").unwrap();
        tail.mark("03-c").unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "# run 01-a\none\n# run 02-b\ntwo\nthree\n# run 03-c\n");
    }
}
