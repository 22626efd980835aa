//! `plimsoll trace slice`: a part of a log.

use std::io::Write;

use clap::Args;

use super::write::{self, WriteArguments};
use crate::cli::{Exit, Failure};

/// Write a part of a log, named by `--window`
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    write: WriteArguments,
}

/// Writes it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    if arguments.write.rules.window.is_none() {
        let why = "which part? Name it by --window FROM..TO, like --window 10m..20m; `trace convert` writes the whole log";
        return Err(Failure::Input(why.to_owned()));
    }
    write::run(&arguments.write, out)
}
