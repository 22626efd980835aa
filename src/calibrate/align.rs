//! Requests laid over the engine's steps: which of them each step worked on, and what passed between two steps.
//!
//! The scheduler takes prompts in order, as many tokens as the step line says, and gives each decoding sequence one token a
//! step. So the order in which first tokens came, with the prompts' and answers' lengths, says what every step did, and the
//! step lines' own counts prove it or not: one count that differs, and nothing of the run is believed. That gives the KV
//! tokens that each step attended to exactly (the log's own figure counts whole blocks, to a tenth of a percent, after what has
//! ended was given back), and through the tokens' times at the client what passed between two steps, which no step line tells.

use super::served::Served;
use super::steps::Step;

/// The columns of a step's cost: 1, any prefill, prefill tokens, decoding sequences, KV tokens attended to.
pub type Row = [f64; 5];

/// One step as it can be fitted.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Observed {
    /// What it worked on.
    pub row: Row,
    /// How long it took, seconds: as its line says, or from the tokens before to its own where there is no line.
    pub took_s: f64,
    /// What passed before it that no step line tells, seconds, where tokens' times say it and the engine was busy.
    pub between_s: Option<f64>,
    /// When the last of its tokens came, seconds since the run's start; `None` of step lines alone, which do not say when.
    pub at_s: Option<f64>,
}

/// A request that met an empty server.
#[derive(Clone, Debug, PartialEq)]
pub struct Lone {
    /// Its time to first token from when it was sent, seconds.
    pub ttft_s: f64,
    /// The steps of its prefill.
    pub rows: Vec<Row>,
    /// How long they took together, seconds, where their lines say it.
    pub took_s: Option<f64>,
    /// When that token came, seconds since the run's start.
    pub at_s: f64,
}

/// A run as it can be fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Laid {
    /// Its steps, in order.
    pub steps: Vec<Observed>,
    /// Requests that met an empty server.
    pub lone: Vec<Lone>,
}

impl Laid {
    /// What happened before `until_s`, of rows in order of time: what does not say when comes after everything.
    #[must_use]
    pub fn before(mut self, until_s: f64) -> Self {
        let is_before = |step: &Observed| step.at_s.is_some_and(|at| at < until_s);
        self.steps.truncate(self.steps.iter().position(|step| !is_before(step)).unwrap_or(self.steps.len()));
        self.lone.retain(|lone| lone.at_s < until_s);
        self
    }
}

/// Why requests cannot be laid over a run's steps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// What the engine does for a client who leaves is not in the records.
    #[error("{0} of its requests are not complete with a time for each token")]
    Incomplete(usize),
    /// The step lines count otherwise.
    #[error("the step at line {line} counts {found} {what} where the records have {expected}")]
    Count {
        /// The step's line.
        line: u64,
        /// What is counted.
        what: &'static str,
        /// By the step line.
        found: u32,
        /// By the records.
        expected: u32,
    },
}

/// Lays `served` over `steps`.
///
/// # Errors
/// Where they do not fit.
pub fn align(steps: &[Step], served: &[Served]) -> Result<Laid, Misfit> {
    let incomplete = served.iter().filter(|one| !one.has_all_times()).count();
    if incomplete > 0 {
        return Err(Misfit::Incomplete(incomplete));
    }
    let mut scheduler = Scheduler::new(served);
    let mut laid = Laid::default();
    // When the tokens of the step before came.
    let mut before: Option<f64> = None;
    for step in steps {
        let done = scheduler.step(step)?;
        let between = before.zip(done.tokens_s).map(|(before, tokens)| tokens - before - step.elapsed_s);
        let between_s = between.filter(|_| step.decoding > 0);
        laid.lone.extend(scheduler.alone(step, &done, before));
        before = done.tokens_s.or(before);
        laid.steps.push(Observed { row: done.row, took_s: step.elapsed_s, between_s, at_s: before });
    }
    Ok(laid)
}

/// What a step turns out to have done.
struct Done {
    row: Row,
    /// When the first of its tokens came to its client.
    tokens_s: Option<f64>,
    /// The request whose first token it made, if it worked on nothing else.
    first_of: Option<usize>,
}

/// The engine's scheduler, as the step lines bear it out.
struct Scheduler<'a> {
    /// In order of their first tokens.
    order: Vec<&'a Served>,
    /// The next to be prefilled, and how many of its tokens are not yet.
    next: usize,
    left: u32,
    /// Those who decode, and how many tokens they have.
    live: Vec<(usize, u32)>,
    /// The steps of a prefill that nothing else ran beside, so far.
    rows: Vec<Row>,
    took_s: f64,
}

impl<'a> Scheduler<'a> {
    fn new(served: &'a [Served]) -> Self {
        let mut order: Vec<&Served> = served.iter().collect();
        order.sort_by(|a, b| a.chunks_s[0].total_cmp(&b.chunks_s[0]).then(a.sent_s.total_cmp(&b.sent_s)));
        let left = order.first().map_or(0, |one| one.prompt);
        Self { order, next: 0, left, live: Vec::new(), rows: Vec::new(), took_s: 0.0 }
    }

    fn step(&mut self, step: &Step) -> Result<Done, Misfit> {
        let misfit = |what, found, expected| Misfit::Count { line: step.line, what, found, expected };
        let decoding = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        if decoding != step.decoding {
            return Err(misfit("generation requests", step.decoding, decoding));
        }
        let (mut attended, mut tokens_s) = (0.0, f64::INFINITY);
        let mut token = |one: &Served, number: u32| {
            attended += f64::from(one.prompt) + f64::from(number);
            tokens_s = tokens_s.min(one.chunks_s[number as usize]);
        };
        for (index, number) in &mut self.live {
            token(self.order[*index], *number);
            *number += 1;
        }
        self.live.retain(|(index, number)| *number < self.order[*index].output);
        let (mut budget, mut prefilling, mut partial) = (step.prefill_tokens, 0, 0);
        let first = self.next;
        while budget > 0 {
            let Some(one) = self.order.get(self.next) else {
                return Err(misfit("context tokens", step.prefill_tokens, step.prefill_tokens - budget));
            };
            let some = budget.min(self.left);
            (budget, self.left, prefilling) = (budget - some, self.left - some, prefilling + 1);
            if self.left > 0 {
                partial = one.prompt - self.left;
                break;
            }
            token(one, 0);
            if one.output > 1 {
                self.live.push((self.next, 1));
            }
            self.next += 1;
            self.left = self.order.get(self.next).map_or(0, |next| next.prompt);
        }
        if prefilling != step.prefilling {
            return Err(misfit("context requests", step.prefilling, prefilling));
        }
        let any = if step.prefill_tokens > 0 { 1.0 } else { 0.0 };
        let row = [1.0, any, f64::from(step.prefill_tokens), f64::from(step.decoding), attended + f64::from(partial)];
        let first_of = (self.next == first + 1 && prefilling == 1).then_some(first);
        Ok(Done { row, tokens_s: tokens_s.is_finite().then_some(tokens_s), first_of })
    }

    /// The request whose prefill ended with this step, if nothing else was there while it was.
    fn alone(&mut self, step: &Step, done: &Done, before: Option<f64>) -> Option<Lone> {
        if step.decoding > 0 || step.prefilling != 1 {
            self.rows.clear();
            self.took_s = 0.0;
            return None;
        }
        self.rows.push(done.row);
        self.took_s += step.elapsed_s;
        let one = self.order[done.first_of?];
        let (rows, took_s) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.took_s));
        let whole = rows.iter().map(|row| row[2]).sum::<f64>() >= f64::from(one.prompt);
        let idle = before.is_none_or(|before| before < one.sent_s);
        (whole && idle).then(|| Lone {
            ttft_s: one.chunks_s[0] - one.sent_s,
            rows,
            took_s: Some(took_s),
            at_s: one.chunks_s[0],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Fate;

    fn served(sent_s: f64, prompt: u32, chunks_s: &[f64]) -> Served {
        let output = u32::try_from(chunks_s.len()).unwrap();
        let end_s = chunks_s.last().copied().unwrap_or(sent_s);
        Served { arrival_s: sent_s, sent_s, chunks_s: chunks_s.to_vec(), end_s, prompt, output, fate: Fate::Complete }
    }

    fn step(line: u64, prefilling: u32, prefill_tokens: u32, decoding: u32) -> Step {
        Step { line, prefilling, prefill_tokens, decoding, elapsed_s: 0.010, kv_use: 0.0 }
    }

    /// A long prompt in two steps, a short one that joins the second, and the decoding of both.
    fn run() -> (Vec<Step>, Vec<Served>) {
        let steps = vec![step(1, 1, 8, 0), step(2, 2, 6, 0), step(3, 0, 0, 2), step(4, 0, 0, 1), step(9, 1, 4, 0)];
        let requests =
            vec![served(0.0, 10, &[0.025, 0.037, 0.048]), served(0.005, 4, &[0.025, 0.037]), served(0.5, 4, &[0.514])];
        (steps, requests)
    }

    #[test]
    fn every_step_is_told_what_it_did() {
        let (steps, requests) = run();
        let laid = align(&steps, &requests).unwrap();
        let rows: Vec<Row> = laid.steps.iter().map(|step| step.row).collect();
        assert_eq!(
            rows,
            [
                [1.0, 1.0, 8.0, 0.0, 8.0],
                [1.0, 1.0, 6.0, 0.0, 14.0],
                [1.0, 0.0, 0.0, 2.0, 16.0],
                [1.0, 0.0, 0.0, 1.0, 12.0],
                [1.0, 1.0, 4.0, 0.0, 4.0]
            ]
        );
        let between: Vec<Option<f64>> = laid.steps.iter().map(|step| step.between_s).collect();
        assert_eq!((between[0], between[1], between[4]), (None, None, None), "not where the engine may have been idle");
        assert!((between[2].unwrap() - 0.002).abs() < 1e-12 && (between[3].unwrap() - 0.001).abs() < 1e-12);
        // Only the last request met an empty server and stayed alone.
        assert_eq!(laid.lone.len(), 1);
        assert!((laid.lone[0].ttft_s - 0.014).abs() < 1e-12 && laid.lone[0].took_s == Some(0.010), "{:?}", laid.lone);
    }

    #[test]
    fn a_count_that_differs_is_named() {
        let (mut steps, requests) = run();
        steps[2].decoding = 3;
        let wrong = align(&steps, &requests).unwrap_err();
        assert_eq!(wrong.to_string(), "the step at line 3 counts 3 generation requests where the records have 2");
        let (mut steps, requests) = run();
        steps[1].prefill_tokens = 7; // one token of the third prompt, which is not a request of its own in this step
        assert!(matches!(align(&steps, &requests), Err(Misfit::Count { line: 2, what: "context requests", .. })));
        let (mut steps, requests) = run();
        steps[4].prefill_tokens = 9;
        assert!(matches!(align(&steps, &requests), Err(Misfit::Count { line: 9, what: "context tokens", .. })));
        let (steps, mut requests) = run();
        requests[0].fate = Fate::Lost;
        assert_eq!(align(&steps, &requests), Err(Misfit::Incomplete(1)));
    }
}
