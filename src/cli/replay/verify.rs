//! `plimsoll replay --verify`: a journal's inputs through the engine again, every decision compared.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::{Exit, Failure};
use crate::journal::{Changed, JournalError, Mismatch, verify, verify_segments};
use crate::policy::Action;
use crate::report::format::count;

/// Verifies, and says what was found.
///
/// # Errors
/// A journal that cannot be read, was changed, or decides otherwise: [`Failure::Invalid`] for the latter two.
pub(super) fn run(path: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let wrong = |error: JournalError| Failure::Input(error.to_string());
    let segments = if path.is_dir() { segments(path)? } else { Vec::new() };
    let (verified, shown) = if segments.is_empty() {
        (verify(path).map_err(wrong)?, path)
    } else {
        let (verified, at) = verify_segments(segments.iter().map(PathBuf::as_path)).map_err(wrong)?;
        (verified, at.unwrap_or(path))
    };
    let shown = shown.display().to_string();
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
    if verified.segments > 0 {
        let (share, missed) = (100.0 * verified.covered(), count(verified.missed));
        let (segments, s) = (count(verified.segments), if verified.segments == 1 { "" } else { "s" });
        writeln!(out, "{segments} segment{s} of a live journal: {share:.4} % of its inputs; {missed} are in none.")?;
    }
    if verified.broken_off {
        let why = "its gateway runs still, or ended without a word";
        writeln!(out, "The last segment has no end ({why}): what came after its last whole line is not there.")?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// The segments in a live journal's folder, in order.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |why: std::io::Error| Failure::Input(format!("cannot read the folder `{}`: {why}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("segment-") {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        let shown = folder.display();
        let help = "a live journal's folder holds `segment-00000001.jsonl.zst` and so on";
        return Err(Failure::Input(format!("no segment of a journal stands in `{shown}`\n  = {help}")));
    }
    Ok(found)
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
