//! What a search has seen, on disk: one line for each observation, written as soon as it is made.
//!
//! A search that is interrupted, killed or runs out of disk loses at most what was being run. The same command reads the
//! lines again, hands them to the evaluator, which counts each when it is first asked for, and so goes on to the same end. A
//! last line that was cut short is dropped.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::files;
use crate::tune::{Evaluator, Finished, Observation, Point};

/// Version of the shape.
const SCHEMA: &str = "plimsoll.observations/3";

/// The first line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    schema: String,
    /// Of everything that an observation depends on.
    fingerprint: String,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// On which problem of the search.
    of: u32,
    point: Point,
    replication: u32,
    share: f64,
    observation: Observation,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read or written.
    #[error("cannot use `{}`: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// It holds what another search saw.
    #[error(
        "`{}` holds the observations of another search (other scenario, seed, settings or version; \
         `--write` changes the scenario too)\n  = throw them away and begin anew with `--fresh`, or name another folder with `--out`",
        .0.display()
    )]
    Another(PathBuf),
    /// It is no store at all.
    #[error("`{}` holds no observations of a search\n  = name another folder with `--out`, or move that file away", .0.display())]
    Foreign(PathBuf),
    /// Another search has it open.
    #[error("another search is running in `{}`\n  = wait for it, or name another folder with `--out`", .0.display())]
    Busy(PathBuf),
    /// A line of it is not ours.
    #[error("`{}`, line {line}: {what}\n  = begin anew with `--fresh`", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: Mutex<File>,
    /// The first failure to write.
    failed: Mutex<Option<io::Error>>,
    /// What it held when it was opened.
    seen: Vec<Line>,
    /// What came since.
    kept: Mutex<Vec<Line>>,
}

impl Store {
    /// Opens the store at `path`, or begins one, for the search that `fingerprint` stands for. `fresh` throws away what a store
    /// there holds, of whichever search, and begins anew.
    ///
    /// # Errors
    /// Where it cannot be read or written, holds something else than a store or, unless `fresh`, another search or lines that
    /// are not ours.
    pub fn open(path: &Path, fingerprint: &str, fresh: bool) -> Result<Self, StoreError> {
        let io = |why| StoreError::Io { path: path.to_owned(), why };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(StoreError::Busy(path.to_owned()));
        }
        let head = Head { schema: SCHEMA.to_owned(), fingerprint: fingerprint.to_owned() };
        let (seen, end) = match read(path, &file, &head) {
            Err(foreign @ (StoreError::Foreign(_) | StoreError::Io { .. })) => return Err(foreign),
            _ if fresh => (Vec::new(), 0),
            read => read?,
        };
        file.set_len(end).map_err(io)?;
        file.seek(SeekFrom::Start(end)).map_err(io)?;
        if end == 0 {
            write_line(&mut file, &head).map_err(io)?;
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), failed: Mutex::new(None), seen, kept: Mutex::default() })
    }

    /// How many observations it held when it was opened.
    #[must_use]
    pub fn held(&self) -> usize {
        self.seen.len()
    }

    /// The same in simulations.
    #[must_use]
    pub fn simulations(&self) -> f64 {
        self.seen.iter().map(|line| line.share).sum()
    }

    /// Hands all that is known of `evaluator`'s problem to it: of an earlier run, and of an earlier part of this one.
    pub fn preload(&self, evaluator: &mut Evaluator<'_>) {
        let of = evaluator.of();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for line in self.seen.iter().chain(&*kept).filter(|line| line.of == of) {
            evaluator.preload(&line.point, line.replication, line.share, line.observation.clone());
        }
    }

    /// Writes an observation down. After a failure nothing more is written; see [`Store::has_failed`].
    pub fn keep(&self, finished: &Finished<'_>) {
        let line = Line {
            of: finished.of,
            point: finished.point.clone(),
            replication: finished.replication,
            share: finished.share,
            observation: finished.observation.clone(),
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            *failed = write_line(&mut *file, &line).err();
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// Whether something could not be written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Closes it.
    ///
    /// # Errors
    /// Where something could not be written.
    pub fn finish(self) -> Result<(), StoreError> {
        match self.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => Err(StoreError::Io { path: self.path, why }),
            None => Ok(()),
        }
    }

    /// Puts the lines into an order that does not depend on which thread was first.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn sort(path: &Path) -> io::Result<()> {
        let text = fs::read_to_string(path)?;
        let (head, lines) = text.split_once('\n').unwrap_or((&text, ""));
        let mut lines: Vec<&str> = lines.lines().collect();
        lines.sort_unstable();
        // Two parts of a search that ask for the same run make it once, where one of them was interrupted and read the other's.
        lines.dedup();
        let mut sorted = format!("{head}\n");
        for line in lines {
            sorted.push_str(line);
            sorted.push('\n');
        }
        files::write_whole(path, sorted.as_bytes())
    }
}

/// The whole lines of a file, and where they end.
fn read(path: &Path, file: &File, head: &Head) -> Result<(Vec<Line>, u64), StoreError> {
    let mut lines = BufReader::new(file);
    let (mut seen, mut end, mut number) = (Vec::new(), 0, 0);
    let mut text = String::new();
    loop {
        text.clear();
        let length = lines.read_line(&mut text).map_err(|why| StoreError::Io { path: path.to_owned(), why })?;
        if !text.ends_with('\n') {
            // What was cut short is ours to drop; a file of somebody else's is not.
            let ours = number > 0 || serde_json::to_string(head).is_ok_and(|head| head.starts_with(&text));
            return if ours { Ok((seen, end)) } else { Err(StoreError::Foreign(path.to_owned())) };
        }
        number += 1;
        let garbled = |error: serde_json::Error| StoreError::Garbled {
            path: path.to_owned(),
            line: number,
            what: format!("this is no observation: {error}"),
        };
        if number == 1 {
            let Ok(found) = serde_json::from_str::<Head>(&text) else { return Err(StoreError::Foreign(path.to_owned())) };
            if found != *head {
                return Err(StoreError::Another(path.to_owned()));
            }
        } else {
            seen.push(serde_json::from_str(&text).map_err(garbled)?);
        }
        end += length as u64;
    }
}

/// One call to the system: a line is there as a whole, or cut short at the end of the file.
fn write_line(file: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Host, Job, Problem, Setting};

    struct Twice;

    impl Problem for Twice {
        fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
            let x = candidate.setting(0).and_then(Setting::number).unwrap_or(0.0);
            Observation {
                objectives: vec![Some(2.0 * x + share), None],
                constraints: vec![],
                second: None,
                requests: replication.into(),
            }
        }
    }

    struct Keeper(Store);

    impl Host for Keeper {
        fn remember(&self, evaluator: &mut Evaluator<'_>) {
            self.0.preload(evaluator);
        }

        fn keep(&self, finished: &Finished<'_>) {
            self.0.keep(finished);
        }
    }

    fn point(x: f64) -> Point {
        Point(vec![Some(Setting::Real(x)), None])
    }

    /// Runs replications 0 to `n` of one candidate; how many of them were run now.
    fn run(path: &Path, n: u32) -> u64 {
        let host = Keeper(Store::open(path, "f", false).unwrap());
        let mut evaluator = Evaluator::new(&Twice, 1, &host);
        let candidate = evaluator.id(&point(0.1));
        let jobs: Vec<Job> = (0..n).map(|replication| Job { candidate, replication, share: 0.3 }).collect();
        evaluator.run(&jobs).unwrap();
        assert_eq!(evaluator.seen(candidate, 0, 0.3).unwrap().objectives, [Some(0.5), None]);
        let runs = evaluator.fresh().runs;
        let mut other = Evaluator::new(&Twice, 2, &host);
        let candidate = other.id(&point(0.1));
        assert!(other.seen(candidate, 0, 0.3).is_none(), "what was seen of another problem");
        host.0.finish().unwrap();
        runs
    }

    #[test]
    fn what_was_seen_is_not_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("observations.jsonl");
        assert_eq!((run(&path, 5), run(&path, 8), run(&path, 8)), (5, 3, 0));
    }

    /// Two parts of one search may ask for the same run: uninterrupted it is made as often as where one is read from the disk.
    #[test]
    fn a_later_part_of_the_same_search_knows_what_an_earlier_one_saw() {
        let folder = tempfile::tempdir().unwrap();
        let host = Keeper(Store::open(&folder.path().join("observations.jsonl"), "f", false).unwrap());
        let fresh = || {
            let mut evaluator = Evaluator::new(&Twice, 1, &host);
            let candidate = evaluator.id(&point(0.1));
            evaluator.run(&[Job { candidate, replication: 0, share: 0.3 }]).unwrap();
            (evaluator.fresh().runs, evaluator.spent().runs)
        };
        assert_eq!((fresh(), fresh()), ((1, 1), (0, 1)));
    }

    #[test]
    fn a_line_that_was_cut_short_is_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("observations.jsonl");
        run(&path, 5);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        assert_eq!(run(&path, 5), 1);
        Store::sort(&path).unwrap();
        let again = fs::read(&path).unwrap();
        fs::write(&path, &whole).unwrap();
        Store::sort(&path).unwrap();
        assert_eq!(again, fs::read(&path).unwrap(), "the same lines as without the interruption");
    }

    #[test]
    fn another_search_is_refused_and_a_garbled_line_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("observations.jsonl");
        run(&path, 1);
        assert!(matches!(Store::open(&path, "g", false), Err(StoreError::Another(_))));
        let foreign = folder.path().join("notes");
        fs::write(&foreign, "my notes").unwrap();
        for fresh in [false, true] {
            assert!(matches!(Store::open(&foreign, "f", fresh), Err(StoreError::Foreign(_))));
        }
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "my notes");
        let open = Store::open(&path, "f", false).unwrap();
        assert!(matches!(Store::open(&path, "f", true), Err(StoreError::Busy(_))));
        drop(open);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "nonsense").unwrap();
        let wrong = Store::open(&path, "f", false).unwrap_err().to_string();
        assert!(wrong.contains("line 3: this is no observation"), "{wrong}");
        assert_eq!(Store::open(&path, "f", true).unwrap().held(), 0, "a fresh start throws it away");
        drop(Store::open(&path, "f", false).unwrap());
        assert_eq!(Store::open(&path, "g", true).unwrap().held(), 0, "of another search too");
    }
}
