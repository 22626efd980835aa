//! Steps on disk: what each sent and got, as soon as it is over, so that a run that was broken off goes on where it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::gauges::Sample;
use super::line::{Line, read_lines, write_lines};
use crate::files;

/// The folder of the steps, in the result's.
const STEPS: &str = "steps";
const PLAN: &str = "plan.json";
/// How the server's own figures end.
const GAUGES: &str = "gauges.jsonl";

/// What is kept of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// All attempts.
    pub lines: Vec<Line>,
    /// The server's own figures, second by second, where it tells them.
    pub gauges: Vec<Sample>,
}

/// Why steps cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("`{}`: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// A file holds something else than a step's attempts.
    #[error("`{}`: {why}\n  = it was changed or cut off: remove it, and its step is run again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: io::Error,
    },
    /// The folder has steps of something else.
    #[error(
        "`{}` holds steps of another run: {what} is not the same\n  = take another folder, or remove this one's `steps` to begin anew",
        path.display()
    )]
    Other {
        /// Which folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
}

/// What must be the same for a step's result to count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The scenario as it was resolved: a digest of all its plans.
    pub scenario: String,
    /// The server's address.
    pub target: String,
    /// The model.
    pub model: String,
    /// The seed of all randomness.
    pub seed: String,
    /// The first replication.
    pub replication: u32,
    /// Token ids are below this.
    pub vocabulary: u32,
}

/// The folder of a run's steps.
#[derive(Clone, Debug)]
pub struct StepStore {
    folder: PathBuf,
}

impl StepStore {
    /// The steps in `folder`, which are of this run or none.
    ///
    /// # Errors
    /// If the folder cannot be made, or has steps of another run.
    pub fn open(folder: &Path, identity: &Identity) -> Result<Self, StoreError> {
        let steps = folder.join(STEPS);
        let plan = steps.join(PLAN);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| StoreError::File { path, why }
        };
        match fs::read(&plan) {
            Ok(bytes) => {
                let kept = serde_json::from_slice::<Identity>(&bytes).map_err(io::Error::from);
                let kept = kept.map_err(|why| StoreError::Damaged { path: plan, why })?;
                if let Some(what) = kept.differs(identity) {
                    return Err(StoreError::Other { path: folder.to_owned(), what });
                }
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&steps).map_err(failed(&steps))?;
                let text = serde_json::to_vec_pretty(identity).map_err(io::Error::from).map_err(failed(&plan))?;
                files::write_whole(&plan, &text).map_err(failed(&plan))?;
            }
            Err(why) => return Err(StoreError::File { path: plan, why }),
        }
        Ok(Self { folder: steps })
    }

    /// Where the attempts of a step stand.
    #[must_use]
    pub fn path(&self, step: usize, variant: &str) -> PathBuf {
        self.named(step, variant, "jsonl")
    }

    fn named(&self, step: usize, variant: &str, ending: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        self.folder.join(format!("{:02}-{}.{ending}", step + 1, variant.chars().map(plain).collect::<String>()))
    }

    /// A step that is done; `None` where it is not.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn read(&self, step: usize, variant: &str) -> Result<Option<Kept>, StoreError> {
        let Some(lines) = all_of(self.path(step, variant))? else { return Ok(None) };
        let gauges = all_of(self.named(step, variant, GAUGES))?.unwrap_or_default();
        Ok(Some(Kept { lines, gauges }))
    }

    /// Keeps a step that is done: its attempts last, which make it so.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, step: usize, variant: &str, kept: &Kept) -> Result<(), StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| StoreError::File { path, why }
        };
        let (gauges, lines) = (self.named(step, variant, GAUGES), self.path(step, variant));
        if !kept.gauges.is_empty() {
            write_lines(&gauges, &kept.gauges).map_err(failed(&gauges))?;
        }
        write_lines(&lines, &kept.lines).map_err(failed(&lines))
    }
}

/// All lines of a file; `None` where there is no such file.
fn all_of<T: DeserializeOwned>(path: PathBuf) -> Result<Option<Vec<T>>, StoreError> {
    match read_lines(&path) {
        Ok(lines) => Ok(Some(lines)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) if why.kind() == io::ErrorKind::InvalidData => Err(StoreError::Damaged { path, why }),
        Err(why) => Err(StoreError::File { path, why }),
    }
}

impl Identity {
    /// What differs, if anything does.
    fn differs(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            (&self.scenario, &other.scenario, "the scenario"),
            (&self.target, &other.target, "the target"),
            (&self.model, &other.model, "the model"),
            (&self.seed, &other.seed, "the seed"),
        ];
        let part = parts.into_iter().find(|(kept, wanted, _)| kept != wanted).map(|(.., what)| what);
        part.or_else(|| (self.replication != other.replication).then_some("the replication"))
            .or_else(|| (self.vocabulary != other.vocabulary).then_some("the vocabulary"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gauges::Gauges;
    use super::super::line::tests::line;
    use super::*;

    fn identity() -> Identity {
        let text = |text: &str| text.to_owned();
        Identity {
            scenario: text("a"),
            target: text("http://x"),
            model: text("m"),
            seed: text("7"),
            replication: 0,
            vocabulary: 9,
        }
    }

    #[test]
    fn what_is_done_is_read_back_and_what_is_not_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = StepStore::open(folder.path(), &identity()).unwrap();
        let gauges = Gauges { running: 3.0, waiting: 1.0, kv_use: 0.5 };
        let kept = Kept { lines: vec![line(1, 5)], gauges: vec![Sample { t_s: 1.5, gauges }] };
        store.write(0, "a/b c", &kept).unwrap();
        let again = StepStore::open(folder.path(), &identity()).unwrap();
        assert_eq!(again.read(0, "a/b c").unwrap(), Some(kept));
        assert_eq!(again.read(1, "a/b c").unwrap(), None);
        assert!(again.path(0, "a/b c").ends_with("steps/01-a_b_c.jsonl"));
        fs::write(again.path(2, "x"), "no").unwrap();
        assert!(again.read(2, "x").unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn steps_of_another_run_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        StepStore::open(folder.path(), &identity()).unwrap();
        for (other, what) in [
            (Identity { target: "http://y".to_owned(), ..identity() }, "the target is not the same"),
            (Identity { replication: 1, ..identity() }, "the replication is not the same"),
        ] {
            let refused = StepStore::open(folder.path(), &other).unwrap_err().to_string();
            assert!(refused.contains(what), "{refused}");
        }
    }
}
