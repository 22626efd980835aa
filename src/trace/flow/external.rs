//! Sorting everything through files: sorted runs, merged. Memory holds one run, and a buffer for each that is merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::error::TraceError;
use super::super::record::Record;
use super::{Stage, codec};
use crate::time::Time;

/// Records of a run: about 50 MB.
const RUN: usize = 1 << 18;
/// Runs that are merged at once, which keeps open files far below what systems allow.
const RUNS_MAX: usize = 64;

/// A stable sort by arrival, through files.
pub(super) struct External {
    folder: PathBuf,
    merge: Option<Merge>,
    held: u64,
}

impl External {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, merge: None, held: 0 }
    }

    pub const fn held(&self) -> u64 {
        self.held
    }

    /// The next record in order; the first call reads all that there are.
    pub fn pull(&mut self, from: &mut impl Stage) -> Result<Option<Record>, TraceError> {
        let folder = self.folder.display().to_string();
        let failed = |error: io::Error| TraceError::Sort { folder: folder.clone(), reason: error.to_string() };
        if self.merge.is_none() {
            self.merge = Some(self.sorted(from)?);
        }
        let merge = self.merge.as_mut().expect("it has just been made");
        let record = merge.next().map_err(failed)?;
        self.held -= u64::from(record.is_some());
        Ok(record)
    }

    fn sorted(&mut self, from: &mut impl Stage) -> Result<Merge, TraceError> {
        let folder = self.folder.display().to_string();
        let failed = |error: io::Error| TraceError::Sort { folder: folder.clone(), reason: error.to_string() };
        let (mut runs, mut run) = (Vec::new(), Vec::new());
        while let Some(record) = from.pull()? {
            self.held += 1;
            run.push(record);
            if run.len() == RUN {
                runs.push(Run::write(&self.folder, sort(&mut run).drain(..).map(Ok)).map_err(failed)?);
                if runs.len() == RUNS_MAX {
                    let mut merge = Merge::new(std::mem::take(&mut runs), Vec::new()).map_err(failed)?;
                    let all = std::iter::from_fn(|| merge.next().transpose());
                    runs.push(Run::write(&self.folder, all).map_err(failed)?);
                }
            }
        }
        sort(&mut run);
        Merge::new(runs, run).map_err(failed)
    }
}

fn sort(run: &mut Vec<Record>) -> &mut Vec<Record> {
    run.sort_by_key(|record| record.arrival);
    run
}

/// A file of records in order, which goes when it is dropped.
struct Run {
    path: PathBuf,
}

impl Run {
    fn write(folder: &Path, records: impl Iterator<Item = io::Result<Record>>) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".plimsoll.{}.{number}.sort.partial", std::process::id()));
        let mut file = BufWriter::with_capacity(1 << 18, File::create_new(&path)?);
        let run = Self { path };
        let mut bytes = Vec::new();
        for record in records {
            bytes.clear();
            codec::write(&record?, &mut bytes);
            file.write_all(&bytes)?;
        }
        file.flush()?;
        Ok(run)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // best effort: its folder may be gone
    }
}

/// Runs that are being merged; the last one is in memory.
struct Merge {
    files: Vec<(Run, BufReader<File>)>,
    memory: std::vec::IntoIter<Record>,
    /// The first of each run; of equal arrivals, that of the earlier run.
    firsts: BinaryHeap<Reverse<First>>,
}

struct First {
    record: Record,
    run: usize,
}

impl First {
    const fn key(&self) -> (Time, usize) {
        (self.record.arrival, self.run)
    }
}

impl PartialEq for First {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for First {}

impl PartialOrd for First {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for First {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Merge {
    fn new(runs: Vec<Run>, memory: Vec<Record>) -> io::Result<Self> {
        let open = |run: Run| File::open(&run.path).map(|file| (run, BufReader::with_capacity(1 << 18, file)));
        let files = runs.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let mut merge = Self { files, memory: memory.into_iter(), firsts: BinaryHeap::new() };
        for run in 0..=merge.files.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        let record = match self.files.get_mut(run) {
            Some((_, file)) => codec::read(file)?,
            None => self.memory.next(),
        };
        self.firsts.extend(record.map(|record| Reverse(First { record, run })));
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Record>> {
        let Some(Reverse(First { record, run })) = self.firsts.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(record))
    }
}
