//! Writing a journal: JSON lines, each with its check ([`Seal`]), compressed where the name ends in `.zst`, whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::event::{Event, What};
use super::seal::Seal;
use crate::time::Time;

/// The end of a journal's name until it is finished.
pub const PARTIAL: &str = "partial";
/// Level of compression: zstd's default.
const ZSTD_LEVEL: i32 = 3;

enum Sink {
    Plain(BufWriter<File>),
    Zstd(BufWriter<zstd::Encoder<'static, File>>),
}

/// A journal being written, under a temporary name until it is finished.
pub struct Journal {
    sink: Sink,
    seal: Seal,
    line: Vec<u8>,
    bytes: u64,
    target: PathBuf,
    temporary: PathBuf,
    failed: Option<io::Error>,
    finished: bool,
}

impl Journal {
    /// Opens a journal that will stand at `target`.
    ///
    /// # Errors
    /// If the temporary file beside it cannot be made.
    pub fn create(target: &Path) -> io::Result<Self> {
        let mut name = target.file_name().map_or_else(|| "journal".into(), std::ffi::OsStr::to_os_string);
        name.push(".");
        name.push(PARTIAL);
        let temporary = target.with_file_name(name);
        let file = File::create(&temporary)?;
        let sink = if target.extension().is_some_and(|extension| extension == "zst") {
            let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            Sink::Zstd(BufWriter::new(encoder))
        } else {
            Sink::Plain(BufWriter::new(file))
        };
        let (seal, line, target) = (Seal::default(), Vec::new(), target.to_owned());
        Ok(Self { sink, seal, line, bytes: 0, target, temporary, failed: None, finished: false })
    }

    /// Writes one event. After a failure nothing more is written; [`Journal::finish`] tells.
    pub fn write(&mut self, t: Time, what: What) {
        if self.failed.is_none()
            && let Err(error) = self.try_write(t, what)
        {
            self.failed = Some(error);
        }
    }

    /// Bytes written so far, before compression.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn try_write(&mut self, t: Time, what: What) -> io::Result<()> {
        let sink: &mut dyn Write = match &mut self.sink {
            Sink::Plain(sink) => sink,
            Sink::Zstd(sink) => sink,
        };
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Event { t, what })?;
        self.seal.put(&mut self.line);
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        sink.write_all(&self.line)
    }

    /// Hands everything written so far to the system: what a process that ends without a word leaves behind.
    pub fn flush(&mut self) {
        let flushed = match &mut self.sink {
            Sink::Plain(sink) => sink.flush(),
            Sink::Zstd(sink) => sink.flush(),
        };
        if let Err(error) = flushed {
            self.failed.get_or_insert(error);
        }
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// The first failure to write it; then nothing stands at its name.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match &mut self.sink {
            Sink::Plain(sink) => sink.flush()?,
            Sink::Zstd(sink) => {
                sink.flush()?;
                sink.get_mut().do_finish()?;
            }
        }
        fs::rename(&self.temporary, &self.target)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: a half-written journal must not be taken for a whole one.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
