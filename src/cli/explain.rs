//! `plimsoll explain`: one request's story out of a journal.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure};
use crate::journal::{Whose, tell};
use crate::request::RequestId;

/// Tell one request's story: each gate, the numbers it saw, the decision
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// A journal written by `plimsoll simulate --journal`
    journal: PathBuf,
    /// The request's number
    #[arg(long, value_name = "ID")]
    request: u64,
    /// Only in this variant. Default: in each
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// In which repetition, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    replication: u32,
}

/// Tells it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let Arguments { journal, request, variant, replication } = arguments;
    let whose = Whose { request: RequestId(*request), variant: variant.clone(), replication: *replication };
    let story = tell(journal, &whose).map_err(|error| Failure::Input(error.to_string()))?;
    if story.is_empty() {
        let place = variant.as_ref().map(|variant| format!(" of variant \"{variant}\"")).unwrap_or_default();
        let shown = journal.display();
        return Err(Failure::Input(format!("{shown} has no request {request} in replication {replication}{place}")));
    }
    out.write_all(story.as_bytes())?;
    Ok(Exit::Done)
}
