//! Which files, and which runs of them are fitted and which are predicted.

use std::path::{Path, PathBuf};

use super::shown;
use crate::calibrate::{self, Run};
use crate::cli::Failure;

/// A run to predict.
#[derive(Clone, Debug)]
pub(super) struct Test {
    /// All of it: what came before the part that counts is simulated too.
    pub run: Run,
    /// Requests that arrive before this do not count, seconds.
    pub from_s: f64,
}

impl Test {
    pub(super) fn whole(run: &Run) -> Self {
        Self { run: run.clone(), from_s: 0.0 }
    }

    /// The requests of a run that was fitted to, all of it or up to its cut.
    pub(super) fn fitted(run: &Run) -> Self {
        let Some(until_s) = run.until_s else { return Self::whole(run) };
        let served = run.served.iter().filter(|one| one.arrival_s < until_s).cloned().collect();
        Self { run: Run { served, ..run.named() }, from_s: 0.0 }
    }

    /// Whether all of the run is looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.from_s <= 0.0
    }

    /// The requests that count, in time since the first that might. Without a whole run, its step lines tell nothing of them alone.
    pub(super) fn counted(&self) -> Run {
        let counts = self.run.served.iter().filter(|one| one.arrival_s >= self.from_s);
        let served = counts.map(|one| one.earlier(self.from_s)).collect();
        let steps = if self.is_whole() { self.run.steps.clone() } else { Vec::new() };
        Run { steps, served, ..self.run.named() }
    }
}

/// What is fitted and what is predicted.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub fitted: Vec<Run>,
    pub tests: Vec<Test>,
    /// How that was chosen, where nobody said.
    pub choice: Option<String>,
}

/// Share of a log that is held out where nobody says what.
const HELD_OUT: f64 = 1.0 / 3.0;

/// The files behind the names: of a folder, those that look like logs.
///
/// # Errors
/// A name that cannot be looked at, a folder without logs.
pub(super) fn files(logs: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for log in logs {
        if !log.is_dir() {
            all.push(log.clone());
            continue;
        }
        let wrong = |why: std::io::Error| Failure::Input(format!("{}: {why}", shown(log)));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(log).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            let plain = if has_ending(&path, &["zst", "gz"]) { path.with_extension("") } else { path.clone() };
            if path.is_file() && has_ending(&plain, &["jsonl", "log"]) {
                found.push(path);
            }
        }
        if found.is_empty() {
            return Err(Failure::Input(format!(
                "{}: the folder has no file that ends in .log or .jsonl, or one of these with .zst or .gz",
                shown(log)
            )));
        }
        found.sort();
        all.extend(found);
    }
    Ok(all)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| endings.iter().any(|ending| found == *ending))
}

/// The runs that the files tell of.
///
/// # Errors
/// What is wrong with one of them.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    for file in files {
        calibrate::read_into(&mut runs, file).map_err(|wrong| Failure::Input(wrong.to_string()))?;
    }
    Ok(runs)
}

/// Divides `runs`.
///
/// # Errors
/// A name that is no run's, or stands on both sides; a run to predict without request records.
pub(super) fn parts(runs: &[Run], fit: &[String], hold_out: &[String]) -> Result<Parts, Failure> {
    let known: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    for name in fit.iter().chain(hold_out) {
        if !known.contains(&name.as_str()) {
            return Err(Failure::Input(format!("the logs have no run `{name}`; they have {}", known.join(", "))));
        }
    }
    if let Some(both) = fit.iter().find(|name| hold_out.contains(name)) {
        return Err(Failure::Input(format!("run `{both}` cannot be fitted and held out at once")));
    }
    if fit.is_empty() && hold_out.is_empty() {
        return Ok(by_default(runs));
    }
    let fitted = |run: &&Run| if fit.is_empty() { !hold_out.contains(&run.name) } else { fit.contains(&run.name) };
    let held = |run: &&Run| {
        if hold_out.is_empty() { !fit.contains(&run.name) && !run.served.is_empty() } else { hold_out.contains(&run.name) }
    };
    let tests: Vec<Test> = runs.iter().filter(held).map(Test::whole).collect();
    if let Some(test) = tests.iter().find(|test| test.run.served.is_empty()) {
        return Err(Failure::Input(format!(
            "run `{0}` has step lines only: what its clients saw cannot be predicted from them\n  = add its request records, {0}.jsonl",
            test.run.name
        )));
    }
    Ok(Parts { fitted: runs.iter().filter(fitted).cloned().collect(), tests, choice: None })
}

/// The last runs with request records, a third of them; of a single run the requests that arrive in its last third.
fn by_default(runs: &[Run]) -> Parts {
    let recorded: Vec<&Run> = runs.iter().filter(|run| !run.served.is_empty()).collect();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a part of a small number
    let last = (recorded.len() as f64 * HELD_OUT).round() as usize;
    if let ([one], 1) = (&recorded[..], runs.len()) {
        return last_third(one);
    }
    let held = &recorded[recorded.len() - last..];
    let names: Vec<&str> = held.iter().map(|run| run.name.as_str()).collect();
    let choice = match names[..] {
        [] => "Nothing is held out: there are too few runs with request records.".to_owned(),
        _ => format!("Held out because nothing was named: {}, the last of the runs with request records.", names.join(", ")),
    };
    Parts {
        fitted: runs.iter().filter(|run| !names.contains(&run.name.as_str())).cloned().collect(),
        tests: held.iter().map(|run| Test::whole(run)).collect(),
        choice: Some(choice),
    }
}

/// What was under way at the cut is in neither part: it is fitted up to there, and its requests do not count after.
fn last_third(run: &Run) -> Parts {
    let end_s = run.served.last().map_or(0.0, |one| one.arrival_s);
    let from_s = end_s * (1.0 - HELD_OUT);
    let fitted = Run { until_s: Some(from_s), ..run.clone() };
    let choice = format!(
        "Held out because nothing was named: the requests of {} that arrive from {from_s:.1} s on, its last third.",
        run.name
    );
    Parts { fitted: vec![fitted], tests: vec![Test { run: run.clone(), from_s }], choice: Some(choice) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{Fate, Figure, Served, Step, measure};

    fn run(name: &str, recorded: bool) -> Run {
        let served = (0..9).map(|i| Served {
            arrival_s: f64::from(i),
            sent_s: f64::from(i),
            chunks_s: vec![f64::from(i) + 0.5],
            end_s: f64::from(i) + 0.5,
            prompt: 4,
            output: 1,
            fate: Fate::Complete,
        });
        let step = Step { line: 1, prefilling: 1, prefill_tokens: 4, decoding: 0, elapsed_s: 0.1, kv_use: 0.0 };
        let served = if recorded { served.collect() } else { Vec::new() };
        Run { name: name.into(), steps: vec![step; 9], served, ..Run::default() }
    }

    fn names(parts: &Parts) -> (Vec<&str>, Vec<&str>) {
        let tests = parts.tests.iter().map(|test| test.run.name.as_str());
        (parts.fitted.iter().map(|run| run.name.as_str()).collect(), tests.collect())
    }

    #[test]
    fn runs_are_divided_as_asked_and_by_default_the_last_third_is_held_out() {
        let runs = [run("warm", false), run("a", true), run("b", true), run("c", true)];
        let by_default = parts(&runs, &[], &[]).unwrap();
        assert_eq!(names(&by_default), (vec!["warm", "a", "b"], vec!["c"]));
        assert!(by_default.choice.unwrap().contains("nothing was named: c"));
        assert_eq!(names(&parts(&runs, &["a".into()], &[]).unwrap()), (vec!["a"], vec!["b", "c"]));
        assert_eq!(names(&parts(&runs, &[], &["a".into()]).unwrap()), (vec!["warm", "b", "c"], vec!["a"]));
        let alone = parts(&runs[1..2], &[], &[]).unwrap();
        assert!((alone.tests[0].from_s - 16.0 / 3.0).abs() < 1e-12);
        // The whole run is laid, and what comes before the cut is fitted.
        let fitted = &alone.fitted[0];
        assert_eq!((fitted.until_s, fitted.served.len(), fitted.steps.len()), (Some(alone.tests[0].from_s), 9, 9));
        assert_eq!((alone.tests[0].counted().served.len(), Test::fitted(fitted).counted().served.len()), (3, 6));
        assert!(!alone.tests[0].is_whole() && Test::fitted(fitted).is_whole());
        // A request a second, whichever part of the run is looked at: of the last 2.7 s, half a second of which nobody came.
        let rate = measure(&alone.tests[0].counted()).of(Figure::Rate).unwrap();
        assert!((rate - 3.0 / (8.5 - 16.0 / 3.0)).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn names_that_make_no_sense_are_told() {
        let runs = [run("warm", false), run("a", true)];
        let said = |fit: &[&str], hold_out: &[&str]| {
            let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
            parts(&runs, &own(fit), &own(hold_out)).unwrap_err().to_string()
        };
        assert!(said(&["b"], &[]).contains("no run `b`; they have warm, a"));
        assert!(said(&["a"], &["a"]).contains("at once"));
        assert!(said(&["a"], &["warm"]).contains("warm.jsonl"));
    }
}
