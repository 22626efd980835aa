//! What became of every row of a log, in figures that add up.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::names::{NAMES_MAX, OTHERS};
use super::super::reader::Fates;
use super::HELD_MAX;
use super::impute::Impute;
use crate::time::Span;

/// What became of every row.
///
/// Rows read = records + rows that the reader dropped ([`Accounts::fates`]), and
/// records + copied + repeated = emitted + overflow + duplicates + folded + outside + without lengths + thinned + held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    /// Rows by what the reader made of them.
    pub fates: Fates,
    /// Requests that came out.
    pub emitted: u64,
    /// Records that are still inside; 0 at the end.
    pub held: u64,

    /// Left out: stood so far behind later ones in the file that they could not be put in order.
    pub overflow: u64,
    /// Left out: the same id as a request inside the window.
    pub duplicates: u64,
    /// Left out: tries that were folded into the request that they repeat.
    pub folded: u64,
    /// Left out: not in the part of the log that was asked for. What lies behind it is not read at all.
    pub outside: u64,
    /// Left out: a length is unknown, and nothing to put in its place.
    pub without_lengths: u64,
    /// Left out: thinned, where less load was asked for.
    pub thinned: u64,

    /// Added: copies, where more load was asked for.
    pub copied: u64,
    /// Added: from the second time on that the log was played.
    pub repeated: u64,

    /// Rows that stood behind a row of later arrival.
    pub out_of_order: u64,
    /// What was folded by the session and by the tenant; the rest of [`Accounts::folded`] by the request's own id.
    pub folded_by_session: u64,
    /// The same by tenant and prompt length after a refusal.
    pub folded_by_tenant: u64,
    /// Not folded, though of the tenant and prompt length of a refused request: the tenant sends more prompts of that length.
    pub undecided: u64,
    /// Forgotten before their time, because too many were remembered: what comes of these later (duplicates, retries) is not known
    /// for it.
    pub hurried: u64,
    /// Class or tenant names that came after too many others, and are one with each other.
    pub unnamed: u64,
    /// What the log does not know of requests that failed.
    pub censored: Censored,
    /// Arrivals on a grid.
    pub spread: Option<Spread>,
    /// Lengths that are not the log's.
    pub imputed: Imputed,
}

/// How far a log is censored: what it does not know because a request failed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Censored {
    /// Records that say that they were complete.
    pub complete: u64,
    /// Records that do not say how they ended.
    pub unknown: u64,
    /// Records that failed, in whatever way.
    pub failed: u64,
    /// Those that were refused: behind a limiter, every 429 is one.
    pub rejected: u64,
    /// Failed ones without a prompt length.
    pub without_input: u64,
    /// Failed ones without an answer length.
    pub without_output: u64,
    /// Those of them of whose answer a part came: it would have been longer.
    pub cut: u64,
    /// Failed ones that say that they are not the first try.
    pub later_tries: u64,
}

/// Arrivals that were taken off their grid.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Spread {
    /// The grid's step.
    pub step: Span,
    /// Requests whose arrival was moved.
    pub moved: u64,
}

/// Lengths that the log does not have.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Imputed {
    /// The rule.
    pub rule: Impute,
    /// Requests of which a length was imputed.
    pub requests: u64,
    /// Of those, prompt tokens that were imputed.
    pub input_tokens: u64,
    /// The same for answers.
    pub output_tokens: u64,
    /// Requests that came out of this stage.
    pub of_requests: u64,
    /// All their tokens, prompts and answers.
    pub of_tokens: u64,
}

impl Imputed {
    /// Share of requests with an imputed length; 0 where there is none.
    #[must_use]
    pub fn share(&self) -> f64 {
        share(self.requests, self.of_requests)
    }

    /// Share of all tokens that were imputed.
    #[must_use]
    pub fn token_share(&self) -> f64 {
        share(self.input_tokens + self.output_tokens, self.of_tokens)
    }
}

impl Censored {
    /// Whether requests failed of which something is not known.
    #[must_use]
    pub const fn is_censored(&self) -> bool {
        self.without_input > 0 || self.without_output > 0
    }

    /// All records.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.complete + self.unknown + self.failed
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

impl Accounts {
    /// Records that were left out behind the reader, by reason: a key for files, words for people, how many.
    #[must_use]
    pub fn left_out(&self) -> [(&'static str, &'static str, u64); 6] {
        [
            ("overflow", "too far out of order for the window", self.overflow),
            ("duplicate", "of an id that came before", self.duplicates),
            ("folded", "a retry, folded into its request", self.folded),
            ("outside", "outside the window", self.outside),
            ("without_lengths", "of unknown length", self.without_lengths),
            ("thinned", "thinned by the rate scale", self.thinned),
        ]
    }

    /// Records that were left out behind the reader.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.left_out().iter().map(|(_, _, count)| count).sum()
    }

    /// Whether every record is accounted for.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.fates.records + self.copied + self.repeated == self.emitted + self.lost() + self.held
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut dropped: Map<String, Value> =
            self.fates.dropped.iter().map(|(reason, lost)| (reason.key().to_owned(), lost.count.into())).collect();
        dropped.extend(self.left_out().iter().map(|(key, _, count)| ((*key).to_owned(), Value::from(*count))));
        let spread = self.spread.map(|spread| json!({"step_s": spread.step.as_secs_f64(), "moved": spread.moved}));
        let imputed = &self.imputed;
        json!({
            "rows": self.fates.rows(),
            "emitted": self.emitted,
            "dropped": dropped,
            "copied": self.copied,
            "repeated": self.repeated,
            "out_of_order": self.out_of_order,
            "folded_by": {
                "request": self.folded - self.folded_by_session - self.folded_by_tenant,
                "session": self.folded_by_session,
                "tenant": self.folded_by_tenant,
            },
            "fold_undecided": self.undecided,
            "forgotten_early": self.hurried,
            "names_merged": self.unnamed,
            "spread": spread,
            "censored": self.censored,
            "imputed": {
                "rule": imputed.rule.name(),
                "requests": imputed.requests,
                "input_tokens": imputed.input_tokens,
                "output_tokens": imputed.output_tokens,
                "share_of_requests": imputed.share(),
                "share_of_tokens": imputed.token_share(),
            },
        })
    }

    /// The same in sentences; the first adds up, the others say what was done and what to make of it.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut said = vec![self.sum()];
        for lost in self.fates.dropped.values() {
            said.push(format!(
                "dropped {} ({}), first in line {}: {}",
                lost.count,
                lost.first.problem.reason().name(),
                lost.first.row,
                lost.first.problem
            ));
        }
        let mut say = |yes: bool, sentence: String| said.extend(yes.then_some(sentence));
        for (_, words, count) in self.left_out() {
            say(count > 0, format!("left out {count}: {words}"));
        }
        say(self.overflow > 0, "rows were lost to order: sort them all with --sort external".to_owned());
        say(self.out_of_order > 0, format!("sorted: {} rows stood behind a row of later arrival", self.out_of_order));
        said.extend(self.folding());
        said.extend(self.limits());
        let mut say = |yes: bool, sentence: String| said.extend(yes.then_some(sentence));
        if let Some(Spread { step, moved }) = self.spread {
            let what = format!("arrivals sit on a grid of {step}");
            let done = if moved > 0 {
                format!("{moved} were spread inside their tick, by seed")
            } else {
                "left as they are".to_owned()
            };
            say(true, format!("{what}: {done}"));
        }
        self.censorship(&mut said);
        said
    }

    /// What memory did not hold.
    fn limits(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.hurried > 0 {
            said.push(format!(
                "forgotten early: {} ids or requests, because {HELD_MAX} are remembered at most: duplicates and retries of theirs may have \
                 come through",
                self.hurried
            ));
        }
        if self.unnamed > 0 {
            said.push(format!(
                "names: {} rows have a class or tenant that came after {NAMES_MAX} others: these are taken for one, \"{OTHERS}\"",
                self.unnamed
            ));
        }
        said
    }

    fn sum(&self) -> String {
        let (read, dropped) = (self.fates.rows(), self.fates.lost() + self.lost());
        let kept = self.emitted - self.copied.min(self.emitted) - self.repeated.min(self.emitted);
        match (self.copied, self.repeated) {
            (0, 0) => format!("{read} rows read = {} requests + {dropped} left out", self.emitted),
            _ => format!(
                "{read} rows read + {} copies + {} repeated = {} requests + {dropped} left out",
                self.copied,
                self.repeated,
                kept + self.copied + self.repeated
            ),
        }
    }

    /// By which rules tries were folded, and how much hangs on the weakest.
    fn folding(&self) -> Vec<String> {
        let Self { folded, folded_by_session: session, folded_by_tenant: tenant, undecided, .. } = self;
        let mut said = Vec::new();
        if *folded > 0 {
            said.push(format!(
                "folded by request id: {}, by session: {session}, by tenant and prompt length after a refusal: {tenant}; with --fold \
                 off {folded} more ({:.1} %) would arrive",
                folded - session - tenant,
                100.0 * share(*folded, self.fates.records - folded)
            ));
        }
        if *tenant > 0 {
            said.push(format!(
                "no id says that the {tenant} folded by tenant ({:.1} % of the rows) are retries: so much of the load may be missing",
                100.0 * share(*tenant, self.fates.records)
            ));
        }
        if *undecided > 0 {
            said.push(format!(
                "not folded: {undecided} rows ({:.1} %) come after a refused one of their tenant and prompt length, but the tenant sends more \
                 prompts of that length: where they are retries, so much of the load is counted twice",
                100.0 * share(*undecided, self.fates.records)
            ));
        }
        said
    }

    fn censorship(&self, said: &mut Vec<String>) {
        let (censored, imputed) = (&self.censored, &self.imputed);
        if censored.is_censored() {
            said.push(format!(
                "censored: {} of {} records failed ({} refused); {} of them have no prompt length, {} no answer length",
                censored.failed,
                censored.records(),
                censored.rejected,
                censored.without_input,
                censored.without_output
            ));
        }
        if censored.cut > 0 {
            said.push(format!(
                "cut answers: of {} of the failed records a part of the answer came; how long it would have been is not known",
                censored.cut
            ));
        }
        if imputed.requests > 0 {
            said.push(format!(
                "imputed by {}: lengths of {} requests ({:.1} %), {:.1} % of all tokens: so much of any answer rests on them",
                imputed.rule.name(),
                imputed.requests,
                100.0 * imputed.share(),
                100.0 * imputed.token_share()
            ));
        }
    }
}
