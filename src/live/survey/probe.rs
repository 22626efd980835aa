//! One probe: who sends, how long, and requests of which lengths.

use std::sync::Arc;

use serde_json::json;

use crate::journal::Window;
use crate::live::drive::{Line, Load, Word};
use crate::time::{Span, Time};
use crate::workload::{ArrivalSettings, ClassSettings, SourceSettings};

/// How requests come.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// So many clients, each of whom sends when it is answered.
    Closed(u32),
    /// Poisson, requests a second.
    Open(f64),
}

/// A small run.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What it is called: the name of its records.
    pub name: String,
    /// Who sends.
    pub arrivals: Arrivals,
    /// Prompts and answers, tokens: each request draws one of these pairs.
    pub lengths: Vec<(u32, u32)>,
    /// For how long requests are sent, seconds; what is under way then is answered to its end.
    pub send_s: f64,
}

/// Longest wait for the answers that are under way at the end of a probe, in times of its length, and at least, seconds.
const DRAIN_TIMES: f64 = 4.0;
const DRAIN_MIN_S: f64 = 30.0;

impl Probe {
    /// What the driver sends for it.
    pub(super) fn load(&self, seed: u64, number: u32) -> Load {
        let end = Span::from_secs_f64(self.send_s);
        let at = Time::ZERO + end;
        let drained = at + Span::from_secs_f64((DRAIN_TIMES * self.send_s).max(DRAIN_MIN_S));
        let window = Window { start: Time::ZERO, end: at, drained };
        Load { workload: Arc::new(self.workload(end)), window, seed, replication: number }
    }

    fn workload(&self, end: Span) -> SourceSettings {
        const LENGTHS: &str = "lengths";
        let arrival = match self.arrivals {
            Arrivals::Closed(clients) => json!({ "process": "closed_loop", "clients": clients }),
            Arrivals::Open(rate) => json!({ "process": "poisson", "rate": rate }),
        };
        let longest = self.lengths.iter().map(|(_, output)| *output).max().unwrap_or(1);
        // A class by no name: an emulated server knows those of its scenario alone.
        let class = json!({ "name": "", "max_tokens": longest, "lengths": LENGTHS });
        let arrival: ArrivalSettings = serde_json::from_value(arrival).expect("a count or a rate above 0");
        let class: ClassSettings = serde_json::from_value(class).expect("a class with a name, a limit and lengths");
        SourceSettings {
            arrival: Some(arrival),
            classes: vec![class],
            recorded: Vec::new(),
            pairs: vec![(LENGTHS.to_owned(), self.lengths.iter().copied().collect())],
            capacity_rps: None,
            service: None,
            entity_streams: true,
            end,
        }
    }
}

/// Whether the answer is complete, with a token at all.
pub(super) fn is_complete(line: &Line) -> bool {
    line.outcome == Word::Ok && !line.chunks.is_empty()
}

/// From sending to the first token, seconds.
pub(super) fn ttft_s(line: &Line) -> Option<f64> {
    let first = line.chunks.first().filter(|_| is_complete(line))?;
    Some((first.0.max(line.send?) - line.send?).as_secs_f64())
}

/// From one token to the next on average, seconds.
pub(super) fn tpot_s(line: &Line) -> Option<f64> {
    let tokens = line.output_tokens();
    let (first, last) = (line.chunks.first()?.0, line.chunks.last()?.0);
    (is_complete(line) && tokens > 1 && last > first).then(|| (last - first).as_secs_f64() / f64::from(tokens - 1))
}

/// Complete answers a second of a closed loop, of its second and third third: its first is the loop's filling.
pub(super) fn completed_rps(lines: &[Line], send_s: f64) -> f64 {
    let from_s = send_s / 3.0;
    let done = |line: &&Line| {
        let done_s = line.done.unwrap_or(line.end).since(Time::ZERO).as_secs_f64();
        is_complete(line) && from_s < done_s && done_s <= send_s
    };
    lines.iter().filter(done).count() as f64 / (send_s - from_s)
}
