//! `plimsoll replay --verify`: a journal's inputs through the engine again, every decision compared.

use std::io::Write;
use std::path::Path;

use crate::cli::{Exit, Failure};
use crate::journal::{Changed, JournalError, Mismatch, verify};
use crate::policy::Action;
use crate::report::format::count;

/// Verifies, and says what was found.
///
/// # Errors
/// A journal that cannot be read, was changed, or decides otherwise: [`Failure::Invalid`] for the latter two.
pub(super) fn run(path: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let verified = verify(path).map_err(|error| match error {
        JournalError::Io { .. } | JournalError::Cut { .. } | JournalError::Line { .. } | JournalError::Empty { .. } => {
            Failure::Input(error.to_string())
        }
    })?;
    let shown = path.display().to_string();
    if !verified.holds() {
        let changed = verified.changed.as_ref().map(|changed| told_changed(&shown, changed));
        let mismatch = verified.mismatch.as_ref().map(|mismatch| told_mismatch(&shown, mismatch));
        return Err(Failure::Invalid(changed.into_iter().chain(mismatch).collect::<Vec<_>>().join("\n")));
    }
    writeln!(
        out,
        "{shown}: {} lines, all as they were written; {} decisions of {} run{} on {} inputs come out the same.",
        count(verified.lines as u64),
        count(verified.decisions),
        count(verified.runs),
        if verified.runs == 1 { "" } else { "s" },
        count(verified.inputs)
    )?;
    out.flush()?;
    Ok(Exit::Done)
}

fn told_changed(shown: &str, Changed { line, why, text }: &Changed) -> String {
    let text = if text.is_empty() { String::new() } else { format!("\n  {line} | {text}") };
    format!("{shown}:{line}: {why}{text}")
}

fn told_mismatch(shown: &str, Mismatch { line, recorded, decided }: &Mismatch) -> String {
    let said = |action: &Option<Action>| match action {
        None => "nothing".to_owned(),
        Some(action) => serde_json::to_string(action).unwrap_or_else(|_| format!("{action:?}")),
    };
    format!("{shown}:{line}: decided otherwise\n  recorded: {}\n  decided:  {}", said(recorded), said(decided))
}
