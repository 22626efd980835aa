//! `plimsoll trace convert`: a log as another tool reads it.

use std::io::Write;

use clap::Args;

use super::write::{self, WriteArguments};
use crate::cli::{Exit, Failure};

/// Write a log as another tool reads it: in order of arrival, each request once, nothing lost in silence
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    write: WriteArguments,
}

/// Writes it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    write::run(&arguments.write, out)
}
