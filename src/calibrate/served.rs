//! Request records as a calibration needs them: with the time of every token where the log has them (they say who was decoding
//! when), else with those of the first and the last one.

use crate::time::Time;
use crate::trace::{Ended, Record, Trace};

/// What became of one request, times in seconds since the run's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// Intended arrival.
    pub arrival_s: f64,
    /// When it was really sent.
    pub sent_s: f64,
    /// When each piece of the stream came, in order.
    pub chunks_s: Vec<f64>,
    /// When the client was done with it.
    pub end_s: f64,
    /// Prompt length, tokens, at least 1.
    pub prompt: u32,
    /// Answer length, tokens, at least 1: as long as it became, or where it did not become complete as long as was asked for.
    pub output: u32,
    /// How it ended.
    pub fate: Fate,
}

/// How a request ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Complete.
    Complete,
    /// Its client left without a first token.
    NoFirstToken,
    /// Its client left because it was not complete in time.
    NotInTime,
    /// It was turned away: no engine ever worked on it.
    Refused,
    /// Anything else: left for another reason, cut, broken.
    Lost,
}

impl Served {
    /// Whether the answer is complete and every token has its own time.
    #[must_use]
    pub fn has_all_times(&self) -> bool {
        self.fate == Fate::Complete && self.chunks_s.len() as u64 == u64::from(self.output)
    }

    /// The same, all of it `by_s` earlier.
    #[must_use]
    pub fn earlier(&self, by_s: f64) -> Self {
        Self {
            arrival_s: self.arrival_s - by_s,
            sent_s: self.sent_s - by_s,
            chunks_s: self.chunks_s.iter().map(|at| at - by_s).collect(),
            end_s: self.end_s - by_s,
            ..self.clone()
        }
    }

    /// First token's and last token's time of a complete answer.
    #[must_use]
    pub fn ends_s(&self) -> Option<(f64, f64)> {
        if self.fate != Fate::Complete {
            return None;
        }
        Some((*self.chunks_s.first()?, *self.chunks_s.last()?))
    }
}

impl Served {
    /// When the server was done with it: with the last token of a complete answer, which its client may notice a moment later than
    /// it sends the next request; else when the client was done.
    #[must_use]
    pub fn over_s(&self) -> f64 {
        self.ends_s().map_or(self.end_s, |(_, last)| last)
    }
}

/// Those who were alone from when they were sent to their first token, in order of sending.
#[must_use]
pub(super) fn lone(served: &[Served]) -> Vec<&Served> {
    let mut order: Vec<&Served> = served.iter().collect();
    order.sort_by(|a, b| a.sent_s.total_cmp(&b.sent_s));
    let (mut alone, mut busy_until) = (Vec::new(), f64::NEG_INFINITY);
    for (at, one) in order.iter().enumerate() {
        let next_s = order.get(at + 1).map_or(f64::INFINITY, |next| next.sent_s);
        if one.ends_s().is_some_and(|(first, _)| busy_until < one.sent_s && first < next_s) {
            alone.push(*one);
        }
        busy_until = busy_until.max(one.over_s());
    }
    alone
}

/// The requests of a log whose outcome it tells, in order of arrival.
pub(super) fn served(trace: &Trace) -> Vec<Served> {
    trace.records.iter().filter_map(Served::of).collect()
}

impl Served {
    /// What a record tells; `None` where it does not say how the request ended, or when.
    fn of(record: &Record) -> Option<Self> {
        let last = record.last_byte.or(record.end);
        let fate = match record.ended? {
            Ended::Complete => Fate::Complete,
            Ended::FirstTokenTimeout => Fate::NoFirstToken,
            Ended::TotalTimeout => Fate::NotInTime,
            Ended::Refused => Fate::Refused,
            _ => Fate::Lost,
        };
        let (prompt, output) = record.lengths()?;
        let seconds = |times: &[Time]| times.iter().copied().map(Time::as_secs_f64).collect();
        let ends: Vec<Time> = record.first_byte.into_iter().chain(record.first_byte.and(last)).collect();
        Some(Self {
            arrival_s: record.arrival.as_secs_f64(),
            sent_s: record.sent.unwrap_or(record.arrival).as_secs_f64(),
            chunks_s: if record.chunks.is_empty() { seconds(&ends) } else { seconds(&record.chunks) },
            end_s: record.end.or(last)?.as_secs_f64(),
            prompt,
            output,
            fate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace;

    fn read(name: &str, text: &str) -> Vec<Served> {
        let mut reader = trace::open_bytes(std::io::Cursor::new(text.to_owned()), name, &trace::Options::default()).unwrap();
        served(&Trace::read(&mut *reader).unwrap())
    }

    #[test]
    fn records_come_in_order_of_arrival_with_every_tokens_time() {
        const RUN: &str = r#"{"i": 1, "sched": 22.9, "prompt": 170, "max_tokens": 124, "status": 200, "outcome": "ttft_timeout", "chunks": [], "usage": null, "send": 22.95, "end": 30.98}
{"i": 0, "sched": 0.03, "prompt": 478, "max_tokens": 55, "outcome": "ok", "chunks": [0.12, 0.13, 0.15], "usage": {"completion_tokens": 3}, "send": 0.04, "end": 1.1}
"#;
        let [first, left] = &read("run.jsonl", RUN)[..] else { panic!("two records") };
        assert_eq!((first.arrival_s, first.sent_s, first.prompt, first.output), (0.03, 0.04, 478, 3));
        assert!(first.has_all_times() && first.ends_s() == Some((0.12, 0.15)));
        assert_eq!((left.fate, left.output, left.ends_s()), (Fate::NoFirstToken, 124, None));
    }

    #[test]
    fn spans_tell_first_and_last_token() {
        let span = |id: u32, start_ms: u64| {
            format!(
                r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"0{id}","spanId":"0{id}","name":"llm_request","startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[{{"key":"gen_ai.usage.prompt_tokens","value":{{"intValue":"100"}}}},{{"key":"gen_ai.usage.completion_tokens","value":{{"intValue":"20"}}}},{{"key":"gen_ai.latency.time_to_first_token","value":{{"doubleValue":0.25}}}},{{"key":"gen_ai.latency.e2e","value":{{"doubleValue":1.5}}}}]}}]}}]}}]}}"#,
                1_760_000_000_000_000_000 + start_ms * 1_000_000,
                1_760_000_001_500_000_000 + start_ms * 1_000_000
            )
        };
        let all = read("spans.jsonl", &format!("{}\n{}\n", span(1, 0), span(2, 2_000)));
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].arrival_s, all[1].prompt, all[1].output, all[1].fate), (2.0, 100, 20, Fate::Complete));
        assert_eq!(all[1].ends_s(), Some((2.25, 3.5)));
    }
}
