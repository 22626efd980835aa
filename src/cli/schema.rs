//! `plimsoll schema`: the JSON Schema of scenario files.

use std::io::Write;

use clap::Args;

use super::{Exit, Failure};
use crate::scenario::schema::publish;

/// Print the JSON Schema (draft 2020-12) of scenario files
#[derive(Clone, Debug, Args)]
pub struct Arguments {}

/// Writes it.
pub fn run(_: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    writeln!(out, "{:#}", publish())?;
    Ok(Exit::Done)
}
