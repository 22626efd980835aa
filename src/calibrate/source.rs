//! The files of a calibration, whatever they are, and the runs that they tell of.

use std::path::Path;

use super::error::LogError;
use super::lines;
use super::served::{Fate, Served, served};
use super::steps::{Step, read_steps};
use crate::trace::{self, DropReason, Ended, Record, Trace};

/// One run: what the engine said of it, what its clients saw of it, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Its name: of the mark in the step log, of the file of request records.
    pub name: String,
    /// The engine's steps; empty where there is no step log.
    pub steps: Vec<Step>,
    /// The requests, in order of arrival; empty where there are no records.
    pub served: Vec<Served>,
    /// Requests of the log that are not among them: it does not say how long they were, or how they ended.
    pub unsaid: u64,
    /// Requests of the log that are not among them because they were turned away: no engine saw them.
    pub refused: u64,
    /// Only what happened before this is fitted to, seconds; `None` for all of it.
    pub until_s: Option<f64>,
}

/// How much of a file is looked at to see what it holds, bytes.
const PEEK: usize = 4096;

/// Puts what one file holds into `runs`: step lines, or request records as the run that the file's name says.
///
/// # Errors
/// [`LogError`]: which file, where in it, and what would be right.
pub fn read_into(runs: &mut Vec<Run>, path: &Path) -> Result<(), LogError> {
    let file = path.display().to_string();
    let mut text = lines::open(path)?;
    let failed = |error: std::io::Error| LogError::Read { file: file.clone(), line: 0, reason: error.to_string() };
    let head = text.fill_buf().map_err(failed)?;
    let head = &head[..head.len().min(PEEK)];
    if head.windows(7).any(|some| some == b"\"sched\"") {
        named(runs, &stem(path)).serve(&trace::read(path)?);
        return Ok(());
    }
    let log = read_steps(&mut *text, &file)?;
    if log.runs.is_empty() {
        let unknown = |reason: String| LogError::Unknown { file: file.clone(), reason };
        let trace = trace::read(path).map_err(|error| unknown(error.to_string()))?;
        if !served(&trace).iter().any(|one| one.ends_s().is_some()) {
            return Err(unknown(NO_ENDS.to_owned()));
        }
        named(runs, &stem(path)).serve(&trace);
        return Ok(());
    }
    for found in log.runs {
        named(runs, &found.name).steps.extend(found.steps);
    }
    Ok(())
}

/// What a log of requests must tell, and which names spans and others have for it.
const NO_ENDS: &str = "of no request it tells the times of both the first and the last token, without which its steps cannot be told from \
                       its waiting (spans: `gen_ai.latency.time_to_first_token` or `gen_ai.response.time_to_first_chunk`; \
                       LiteLLM: `completionStartTime`)";

fn named<'a>(runs: &'a mut Vec<Run>, name: &str) -> &'a mut Run {
    let at = runs.iter().position(|run| run.name == name).unwrap_or_else(|| {
        runs.push(Run { name: name.to_owned(), ..Run::default() });
        runs.len() - 1
    });
    &mut runs[at]
}

/// A file's name without its endings: `.zst` or `.gz`, and what is before that.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = [".zst", ".gz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem).to_owned()
}

impl Run {
    /// Takes the requests of a log, and how many of them it tells too little of.
    fn serve(&mut self, trace: &Trace) {
        let refused = |record: &Record| record.ended == Some(Ended::Refused);
        self.served = served(trace);
        self.served.retain(|one| one.fate != Fate::Refused);
        self.refused = trace.records.iter().filter(|record| refused(record)).count() as u64;
        let elsewhere = |reason: &DropReason| matches!(reason, DropReason::CacheHit | DropReason::NotARequest);
        let dropped = trace.fates.dropped.iter().filter(|(reason, _)| !elsewhere(reason));
        self.unsaid =
            dropped.map(|(_, lost)| lost.count).sum::<u64>() + (trace.records.len() - self.served.len()) as u64 - self.refused;
    }

    /// The same run with nothing in it, for a part of it.
    #[must_use]
    pub fn named(&self) -> Self {
        Self { name: self.name.clone(), unsaid: self.unsaid, refused: self.refused, ..Self::default() }
    }

    /// Clients of the closed loop that the requests come from; `None` where they come in another way. In a closed loop each
    /// request but the first of each client is sent when one has ended: here, 19 in 20 of them within 50 ms, or within half of
    /// the mean time between two ends where that is less. (Of open arrivals a fast server has ended one within 50 ms of nearly any.)
    #[must_use]
    pub fn closed_loop(&self) -> Option<u32> {
        const SOON_S: f64 = 0.05;
        let mut ends: Vec<f64> = self.served.iter().map(Served::over_s).collect();
        ends.sort_by(f64::total_cmp);
        let (first_end, last_end) = (*ends.first()?, *ends.last()?);
        let soon_s = SOON_S.min(0.5 * (last_end - first_end) / ends.len() as f64);
        let clients = self.served.iter().filter(|one| one.arrival_s < first_end).count();
        let later = &self.served[clients..];
        if later.is_empty() {
            return None;
        }
        let soon = |one: &&Served| {
            let ended = ends.partition_point(|end| *end <= one.arrival_s);
            ended > 0 && one.arrival_s - ends[ended - 1] <= soon_s
        };
        let followed = later.iter().filter(soon).count();
        (followed * 20 >= later.len() * 19).then(|| u32::try_from(clients).unwrap_or(u32::MAX))
    }

    /// How long its clients wait for a first token, seconds: what the records of those who left say, to the tenth of a second.
    #[must_use]
    pub fn patience_s(&self) -> Option<f64> {
        self.waited_s(Fate::NoFirstToken)
    }

    /// The same for complete answers: what the records of those say who left because theirs was not complete in time.
    #[must_use]
    pub fn patience_in_all_s(&self) -> Option<f64> {
        self.waited_s(Fate::NotInTime)
    }

    /// Requests that ended in ways that the model does not have.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.served.iter().filter(|one| one.fate == Fate::Lost).count()
    }

    fn waited_s(&self, fate: Fate) -> Option<f64> {
        let left = self.served.iter().filter(|one| one.fate == fate);
        let waits: Vec<f64> = left.map(|one| one.end_s - one.sent_s).collect();
        let shortest = crate::stats::quantile(&waits, 0.1)?;
        Some((libm::round(shortest * 10.0) / 10.0).max(0.1))
    }

    /// 99th percentile of the time from intended arrival to sending, seconds; `None` without requests.
    #[must_use]
    pub fn lag_p99_s(&self) -> Option<f64> {
        let lags: Vec<f64> = self.served.iter().map(|one| (one.sent_s - one.arrival_s).max(0.0)).collect();
        crate::stats::quantile(&lags, 0.99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Fate;

    fn one(arrival_s: f64, end_s: f64, fate: Fate) -> Served {
        let chunks_s = if fate == Fate::Complete { vec![end_s] } else { Vec::new() };
        Served { arrival_s, sent_s: arrival_s + 0.001, chunks_s, end_s, prompt: 8, output: 1, fate }
    }

    #[test]
    fn a_closed_loop_is_told_from_open_arrivals() {
        let closed = |pause: f64| {
            let served =
                (0..40).map(|i| one(f64::from(i / 2) * (1.0 + pause), f64::from(i / 2) * (1.0 + pause) + 1.0, Fate::Complete));
            Run { served: served.collect(), ..Run::default() }
        };
        assert_eq!(closed(0.002).closed_loop(), Some(2));
        assert_eq!(closed(0.4).closed_loop(), None);
        // A hundred a second and more come as they please: the golden ratio's multiples lie evenly, and nowhere twice.
        let open = (0..200).map(|i| (f64::from(i) * 0.01, f64::from(i) * 0.01 + 0.02 + 0.01 * (f64::from(i) * 0.618).fract()));
        let open = Run { served: open.map(|(from, to)| one(from, to, Fate::Complete)).collect(), ..Run::default() };
        assert_eq!(open.closed_loop(), None);
        assert_eq!(Run::default().closed_loop(), None);
    }

    #[test]
    fn patience_and_lag_are_read_off_the_records() {
        let served = (0..20).map(|i| one(f64::from(i), f64::from(i) + 8.012 + 0.01 * f64::from(i), Fate::NoFirstToken));
        let run = Run { served: served.collect(), ..Run::default() };
        assert_eq!((run.patience_s(), run.patience_in_all_s()), (Some(8.0), None));
        let late = (0..20).map(|i| one(f64::from(i), f64::from(i) + 30.003, Fate::NotInTime));
        let late = Run { served: late.collect(), ..Run::default() };
        assert_eq!((late.patience_s(), late.patience_in_all_s(), late.lost()), (None, Some(30.0), 0));
        assert!((run.lag_p99_s().unwrap() - 0.001).abs() < 1e-9);
        assert_eq!((Run::default().patience_s(), Run::default().lag_p99_s()), (None, None));
    }

    #[test]
    fn who_was_turned_away_is_not_among_the_engines_requests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let line = |outcome: &str| {
            format!(
                r#"{{"sched": 0, "prompt": 8, "max_tokens": 1, "status": 503, "outcome": "{outcome}", "chunks": [0.5], "end": 30}}"#
            )
        };
        std::fs::write(&path, ["ok", "http_error", "timeout", "eof"].map(line).join("\n")).unwrap();
        let mut runs = Vec::new();
        read_into(&mut runs, &path).unwrap();
        let fates: Vec<Fate> = runs[0].served.iter().map(|one| one.fate).collect();
        assert_eq!(fates, [Fate::Complete, Fate::NotInTime, Fate::Lost]);
        assert_eq!((runs[0].refused, runs[0].unsaid, runs[0].lost()), (1, 0, 1));
    }

    #[test]
    fn files_are_told_apart_by_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let mut runs = Vec::new();
        let step = "Iteration(1): 1 context requests, 8 context tokens, 0 generation requests, 0 generation tokens, iteration elapsed time: 1.5 ms, GPU KV cache usage: 0.0%\n";
        read_into(&mut runs, &path("a.log", &format!("# run one\n{step}"))).unwrap();
        let request = r#"{"sched": 0, "prompt": 8, "max_tokens": 1, "outcome": "ok", "chunks": [0.5], "end": 0.5}"#;
        read_into(&mut runs, &path("one.jsonl", request)).unwrap();
        assert_eq!((runs.len(), runs[0].steps.len(), runs[0].served.len()), (1, 1, 1));
        let wrong = read_into(&mut runs, &path("b.txt", "nothing\n")).unwrap_err();
        assert!(matches!(wrong, LogError::Unknown { .. }) && wrong.to_string().contains("Iteration(334)"));
        assert!(matches!(read_into(&mut runs, folder.path()), Err(LogError::Open { .. } | LogError::Read { .. })));
        assert!(matches!(read_into(&mut runs, &folder.path().join("none")), Err(LogError::Open { .. })));
    }
}
