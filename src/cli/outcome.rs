//! How a command ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::scenario::Diagnostics;

/// How a command ended, for whoever started it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed for a reason that may pass.
    Failed = 1,
    /// Bad usage or bad input: trying again will not help.
    BadInput = 2,
    /// An assertion did not hold.
    AssertionFailed = 3,
    /// The run is not valid.
    Invalid = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked. Displayed as it goes to standard error, line break included.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Bad usage, already told in full.
    #[error("{0}")]
    Usage(String),
    /// A bad scenario.
    #[error("{0}")]
    Scenario(#[from] Box<Diagnostics>),
    /// Bad input of another kind: what is wrong and what would be right.
    #[error("error: {0}\n")]
    Input(String),
    /// Warnings where there must be none.
    #[error("error: {0} of the lints above are warnings, which `--strict` does not let pass\n")]
    Strict(usize),
    /// A file that could not be written.
    #[error("error: cannot write `{}`: {why}\n", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// Standard output could not be written.
    #[error("error: cannot write to standard output: {0}\n")]
    Output(io::Error),
    /// Whoever reads standard output has had enough, which is their right.
    #[error("")]
    Closed,
}

impl From<io::Error> for Failure {
    /// An error of writing to standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Output(error) }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Scenario(Box::new(diagnostics))
    }
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Scenario(_) | Self::Input(_) | Self::Strict(_) => Exit::BadInput,
            Self::Write { .. } | Self::Output(_) => Exit::Failed,
            Self::Closed => Exit::Done,
        }
    }
}
