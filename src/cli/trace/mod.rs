//! `plimsoll trace`: recorded traffic, looked at, rewritten and cut.

mod convert;
pub(super) mod log;
mod picture;
mod shown;
mod slice;
mod stats;
mod write;

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Exit, Failure};

/// Look at, rewrite and cut recorded traffic: production logs and public traces of any known format
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    Stats(stats::Arguments),
    Convert(convert::Arguments),
    Slice(slice::Arguments),
}

/// Does it. `typed` is the command line, for what is written.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    match &arguments.what {
        What::Stats(arguments) => stats::run(arguments, typed, out),
        What::Convert(arguments) => convert::run(arguments, out),
        What::Slice(arguments) => slice::run(arguments, out),
    }
}
