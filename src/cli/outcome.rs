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
    /// Interrupted by a signal; what was done by then is kept.
    Interrupted = 130,
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
    /// The time was over before there was anything to tell.
    #[error("error: {0}\n")]
    TimeOver(String),
    /// Warnings where there must be none.
    #[error("error: {0} of the lints above are warnings, which `--strict` does not let pass\n")]
    Strict(usize),
    /// Settings that cannot be written as asked for where nothing may be lost.
    #[error("error: {0} of these settings would be lost, which `--strict` does not let pass\n")]
    Lost(usize),
    /// A run whose figures would mislead.
    #[error("error: this run is not valid: {0}\n")]
    Invalid(String),
    /// A search that somebody interrupted; what it saw is in this file.
    #[error("interrupted: what was seen so far is in `{}`, and the same command goes on from there\n", .0.display())]
    Interrupted(PathBuf),
    /// A run that somebody interrupted, and of which nothing was to be kept.
    #[error("interrupted: nothing of it is kept without `--out`\n")]
    Stopped,
    /// A measurement that somebody interrupted; the parts of it that are whole are in this folder.
    #[error("interrupted: the probes that were over by then are in `{}`\n", .0.display())]
    Cut(PathBuf),
    /// A file that could not be written.
    #[error("error: cannot write `{}`: {why}\n{}", path.display(), remedy(why))]
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
    /// The exit code. A file that cannot be written is bad input where its path is to blame (a file in a folder's place, no
    /// such folder, no permission), and a failure that may pass otherwise (a full disk).
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Scenario(_) | Self::Input(_) | Self::Strict(_) | Self::Lost(_) => Exit::BadInput,
            Self::Write { why, .. } if !remedy(why).is_empty() => Exit::BadInput,
            Self::TimeOver(_) | Self::Write { .. } | Self::Output(_) => Exit::Failed,
            Self::Invalid(_) => Exit::Invalid,
            Self::Interrupted(_) | Self::Cut(_) | Self::Stopped => Exit::Interrupted,
            Self::Closed => Exit::Done,
        }
    }
}

/// What would put a path right that cannot be written; empty where the path is not to blame.
fn remedy(why: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match why.kind() {
        Kind::NotFound => "  = make its folder first, or name another\n",
        Kind::AlreadyExists | Kind::NotADirectory => "  = a file stands where a folder must be: name another folder\n",
        Kind::IsADirectory => "  = a folder stands there: name a file\n",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => "  = name a place that you may write to\n",
        Kind::InvalidInput | Kind::InvalidFilename => "  = name a file or folder that the system can have\n",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_to_blame_is_bad_input_and_a_full_disk_may_pass() {
        let exit = |kind: io::ErrorKind| Failure::Write { path: "out".into(), why: kind.into() }.exit();
        assert_eq!(exit(io::ErrorKind::NotADirectory), Exit::BadInput);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), Exit::BadInput);
        assert_eq!(exit(io::ErrorKind::StorageFull), Exit::Failed);
        let shown = Failure::Write { path: "out".into(), why: io::ErrorKind::PermissionDenied.into() }.to_string();
        assert_eq!(shown, "error: cannot write `out`: permission denied\n  = name a place that you may write to\n");
    }
}
