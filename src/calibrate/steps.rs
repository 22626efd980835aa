//! Engine step lines, as vLLM's `--enable-logging-iteration-details` writes them (`log_iteration_details` in
//! `vllm/v1/engine/core.py`), one a step:
//!
//! ```text
//! ... Iteration(334): 1 context requests, 96 context tokens, 2 generation requests, 2 generation tokens, iteration elapsed
//! time: 78.96 ms, CPU KV cache usage: 0.4%
//! ```
//!
//! and the same as JSON (`ctx_reqs`, `ctx_tokens`, `gen_reqs`, `elapsed_ms`, `kv_pct`, optionally `run`). A line `# run NAME`, or
//! another `run`, begins a run; steps before the first are the run `log`. Other lines of a server's log are skipped and counted.
//!
//! The elapsed time is that of the model's execution alone: what the engine core does between two steps is not in it. The KV
//! use is as of the step's end, when what ended in it has been given back. The line is written after the step, so that the mark
//! of a new run may come before the last line of the one before: decode steps at a run's very beginning belong there,
//! because an empty engine begins with a prompt.

use std::io::BufRead;

use serde::Deserialize;

use super::error::LogError;
use super::lines;

/// One engine step.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Step {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Sequences in their prefill.
    pub prefilling: u32,
    /// Prompt tokens computed.
    pub prefill_tokens: u32,
    /// Sequences that decode one token each.
    pub decoding: u32,
    /// Time of the model's execution, seconds.
    pub elapsed_s: f64,
    /// Share of the KV cache in use after it, 0 to 1.
    pub kv_use: f64,
}

/// The steps of one run, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepRun {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// The step lines of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepLog {
    /// The runs, in order.
    pub runs: Vec<StepRun>,
    /// Lines that are something else.
    pub skipped: u64,
}

/// Longest step that is believed, seconds: as long as a scenario's costs may be.
const ELAPSED_MAX_S: f64 = 3600.0;
/// Most lines at a run's beginning that may be the last ones of the run before.
pub(super) const LATE_LINES_MAX: usize = 4;

/// Reads step lines; `file` is the name that errors give. A log without any is empty, not wrong.
///
/// # Errors
/// A step line that does not read, with its number and what is wrong; a file that cannot be read on.
pub fn read_steps(text: &mut dyn BufRead, file: &str) -> Result<StepLog, LogError> {
    let mut log = StepLog::default();
    lines::each(text, file, |number, line| {
        let Some(line) = line else {
            log.skipped += 1;
            return Ok(());
        };
        match parse(number, line)? {
            Parsed::Other => log.skipped += u64::from(!line.is_empty()),
            Parsed::Run(name) => log.runs.push(StepRun { name, steps: Vec::new() }),
            Parsed::Step(run, step) => log.take(run, step),
        }
        Ok(())
    })?;
    log.give_back_late_lines();
    log.runs.retain(|run| !run.steps.is_empty());
    Ok(log)
}

impl StepLog {
    fn take(&mut self, run: Option<String>, step: Step) {
        let begins = match (&run, self.runs.last()) {
            (_, None) => true,
            (Some(name), Some(last)) => *name != last.name,
            (None, Some(_)) => false,
        };
        if begins {
            self.runs.push(StepRun { name: run.unwrap_or_else(|| "log".to_owned()), steps: Vec::new() });
        }
        self.runs.last_mut().expect("one was just begun").steps.push(step);
    }

    /// Gives the last lines of a run that came after the next one's mark back to it.
    fn give_back_late_lines(&mut self) {
        for at in 1..self.runs.len() {
            let late = self.runs[at].steps.iter().take_while(|step| step.prefilling == 0).count();
            if late <= LATE_LINES_MAX {
                let given: Vec<Step> = self.runs[at].steps.drain(..late).collect();
                self.runs[at - 1].steps.extend(given);
            }
        }
    }
}

enum Parsed {
    Other,
    Run(String),
    Step(Option<String>, Step),
}

fn parse(number: u64, line: &[u8]) -> Result<Parsed, String> {
    if let Some(name) = line.strip_prefix(b"# run ") {
        return Ok(Parsed::Run(String::from_utf8_lossy(name).trim().to_owned()));
    }
    if line.first() == Some(&b'{') {
        return json(number, line);
    }
    let Some(start) = line.windows(10).position(|some| some == b"Iteration(") else { return Ok(Parsed::Other) };
    let text = str::from_utf8(&line[start..]).map_err(|_| "a step line that is not UTF-8".to_owned())?;
    text_line(number, text).map(|step| Parsed::Step(None, step))
}

fn text_line(line: u64, text: &str) -> Result<Step, String> {
    let (_, counts) = text.split_once("):").ok_or("a step line without `):` after its number")?;
    let part = |before: &str, after: &str| {
        let parts = counts.split(',').map(str::trim);
        let mut found = parts.filter_map(|part| Some(part.split_once(before)?.1.split_once(after)?.0.trim()));
        found.next().ok_or_else(|| format!("a step line without `{before}... {}`", after.trim()))
    };
    let count = |after: &str| {
        let text = part("", after)?;
        text.parse::<u32>().map_err(|_| format!("`{text}{after}`: expected a whole number below 2^32"))
    };
    let number = |before: &str, after: &str| {
        let text = part(before, after)?;
        text.parse::<f64>().map_err(|_| format!("`{text}`: expected a number after `{}`", before.trim()))
    };
    checked(Step {
        line,
        prefilling: count(" context requests")?,
        prefill_tokens: count(" context tokens")?,
        decoding: count(" generation requests")?,
        elapsed_s: number("elapsed time:", "ms")? / 1e3,
        kv_use: number("KV cache usage:", "%")? / 100.0,
    })
}

/// The JSON form's fields.
#[derive(Deserialize)]
struct JsonLine {
    run: Option<String>,
    ctx_reqs: u32,
    ctx_tokens: u32,
    gen_reqs: u32,
    elapsed_ms: f64,
    kv_pct: f64,
}

fn json(line: u64, text: &[u8]) -> Result<Parsed, String> {
    let has_steps = text.windows(10).any(|some| some == b"\"ctx_reqs\"");
    if !has_steps {
        return Ok(Parsed::Other);
    }
    let read: JsonLine = serde_json::from_slice(text).map_err(|error| format!("not a step's JSON ({error})"))?;
    let step = checked(Step {
        line,
        prefilling: read.ctx_reqs,
        prefill_tokens: read.ctx_tokens,
        decoding: read.gen_reqs,
        elapsed_s: read.elapsed_ms / 1e3,
        kv_use: read.kv_pct / 100.0,
    })?;
    Ok(Parsed::Step(read.run, step))
}

fn checked(step: Step) -> Result<Step, String> {
    if !(0.0..=ELAPSED_MAX_S).contains(&step.elapsed_s) {
        return Err(format!("an elapsed time of {} s: expected 0 to {ELAPSED_MAX_S}", step.elapsed_s));
    }
    if !(0.0..=1.0).contains(&step.kv_use) {
        return Err(format!("a KV cache use of {} %: expected 0 to 100", 100.0 * step.kv_use));
    }
    if (step.prefilling == 0) != (step.prefill_tokens == 0) {
        return Err(format!("{} context requests with {} context tokens", step.prefilling, step.prefill_tokens));
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    const LOG: &str = "INFO 11-22 05:43:49 [core.py:1] starting
# run a
INFO [loggers.py:199] Engine 000: Iteration(0): 1 context requests, 4 context tokens, 0 generation requests, 0 generation tokens, iteration elapsed time: 24.42 ms, CPU KV cache usage: 0.1%
INFO [loggers.py:199] Engine 000: Iteration(1): 0 context requests, 0 context tokens, 1 generation requests, 1 generation tokens, iteration elapsed time: 20.60 ms, GPU KV cache usage: 0.4%
# run b
INFO [loggers.py:199] Engine 000: Iteration(2): 0 context requests, 0 context tokens, 1 generation requests, 1 generation tokens, iteration elapsed time: 17.32 ms, CPU KV cache usage: 0.0%
INFO [loggers.py:199] Engine 000: Iteration(3): 2 context requests, 1024 context tokens, 3 generation requests, 3 generation tokens, iteration elapsed time: 200 ms, CPU KV cache usage: 0.0%
";

    fn read(text: &[u8]) -> Result<StepLog, LogError> {
        read_steps(&mut &text[..], "steps.log")
    }

    #[test]
    fn step_lines_read_by_run_and_a_late_line_goes_back_to_its_own() {
        let log = read(LOG.as_bytes()).unwrap();
        let lines: Vec<(&str, Vec<u64>)> =
            log.runs.iter().map(|run| (run.name.as_str(), run.steps.iter().map(|step| step.line).collect())).collect();
        assert_eq!(lines, [("a", vec![3, 4, 6]), ("b", vec![7])]);
        assert_eq!(log.skipped, 1);
        let step = log.runs[1].steps[0];
        assert_eq!((step.prefilling, step.prefill_tokens, step.decoding, step.elapsed_s), (2, 1024, 3, 0.2));
        assert!((log.runs[0].steps[1].kv_use - 0.004).abs() < 1e-12);
    }

    #[test]
    fn the_json_form_reads_the_same() {
        let line = r#"{"run": "x", "clock": "05:34:10", "iter": 0, "ctx_reqs": 1, "ctx_tokens": 32, "gen_reqs": 7, "elapsed_ms": 69.72, "kv_pct": 0.2}"#;
        let log = read(format!("{line}\r\n{line}\n").as_bytes()).unwrap();
        assert_eq!((log.runs.len(), log.runs[0].name.as_str(), log.runs[0].steps.len()), (1, "x", 2));
        assert_eq!((log.runs[0].steps[0].decoding, log.runs[0].steps[0].prefill_tokens), (7, 32));
    }

    #[test]
    fn a_bad_line_is_refused_with_its_number_and_the_reason() {
        let said = |from: &str, to: &str| read(LOG.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        let wrong = said("24.42 ms", "fast ms");
        assert!(wrong.contains("steps.log, line 3") && wrong.contains("`fast`") && wrong.contains("Iteration(0)"), "{wrong}");
        assert!(said("1 generation requests", "-1 generation requests").contains("line 4: `-1 generation requests`"));
        assert!(said("20.60 ms", "NaN ms").contains("an elapsed time of NaN s"));
        assert!(said(", GPU KV cache usage: 0.4%", "").contains("line 4: a step line without `KV cache usage:... %`"));
        assert!(said("usage: 0.4%", "usage: 104%").contains("expected 0 to 100"));
        assert!(said("4 context tokens", "0 context tokens").contains("1 context requests with 0 context tokens"));
        let cut = read(br#"{"ctx_reqs": 1, "ctx_tokens": 3"#).unwrap_err().to_string();
        assert!(cut.contains("line 1: not a step's JSON"), "{cut}");
    }

    /// A server that logs prompts, a document on one line: in memory that does not grow with it.
    #[test]
    fn a_line_of_any_length_that_is_no_step_is_passed_over() {
        let (before, after) = LOG.split_at(LOG.find("# run b").unwrap());
        let bytes = before.as_bytes().chain(std::io::repeat(b'x').take(40 << 20)).chain(&b"\n"[..]).chain(after.as_bytes());
        let log = read_steps(&mut std::io::BufReader::new(bytes), "steps.log").unwrap();
        let lines: Vec<u64> = log.runs.iter().flat_map(|run| &run.steps).map(|step| step.line).collect();
        assert_eq!((lines, log.skipped), (vec![3, 4, 7, 8], 2));
    }

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        /// The same where most of it looks right.
        #[test]
        fn any_damage_to_a_log_is_read_or_refused(at in 0..LOG.len(), byte in any::<u8>(), cut in 0..LOG.len()) {
            let mut bytes = LOG.as_bytes().to_vec();
            bytes[at] = byte;
            bytes.truncate(LOG.len() - cut);
            if let Err(LogError::Line { line, .. }) = read(&bytes) {
                prop_assert!((1..=8).contains(&line), "a damaged byte may be a line's end");
            }
        }
    }
}
