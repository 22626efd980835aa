//! Costs from the first and the last token's time of each answer alone, as spans and most gateways' logs have them.
//!
//! Between them an answer of `m` tokens sees `m - 1` steps. What these worked on together follows from who else was there: each
//! other answer counts as decoding for the share of the time that it overlaps, with its prompt and half of its own length in the KV
//! cache, and as one step with its whole prompt if its first token fell in that time. So one answer is one row, the sum of
//! its steps. What an answer does not tell: which steps were slow, and all that [`super::from_tokens`] cannot know either.

use super::align::{Laid, Observed, Row};
use super::clusters::alone;
use super::served::{Served, lone};

/// Answers looked at: the first ones, and far more than five costs need.
const ANSWERS_MAX: usize = 20_000;

/// One complete answer of two tokens or more.
struct Answer<'a> {
    first_s: f64,
    last_s: f64,
    served: &'a Served,
}

impl Answer<'_> {
    fn prompt(&self) -> f64 {
        f64::from(self.served.prompt)
    }

    /// KV tokens, on average over its time.
    fn kv_tokens(&self) -> f64 {
        self.prompt() + f64::from(self.served.output) / 2.0
    }
}

/// One row for each complete answer, in order of their ends.
#[must_use]
pub fn from_ends(served: &[Served]) -> Laid {
    let answers = served.iter().filter_map(|served| {
        let (first_s, last_s) = served.ends_s().filter(|(first, last)| served.output > 1 && first < last)?;
        Some(Answer { first_s, last_s, served })
    });
    let mut answers: Vec<Answer<'_>> = answers.take(ANSWERS_MAX).collect();
    answers.sort_by(|a, b| a.first_s.total_cmp(&b.first_s));
    let longest = answers.iter().map(|one| one.last_s - one.first_s).fold(0.0, f64::max);
    let mut steps: Vec<Observed> = (0..answers.len()).map(|at| observed(&answers, at, longest)).collect();
    steps.sort_by(|a, b| a.at_s.unwrap_or(0.0).total_cmp(&b.at_s.unwrap_or(0.0)));
    Laid { steps, lone: lone(served).into_iter().filter_map(alone).collect() }
}

/// The answer at `at` of those in order of their first tokens, none of which takes longer than `longest`.
fn observed(answers: &[Answer<'_>], at: usize, longest: f64) -> Observed {
    let one = &answers[at];
    let took_s = one.last_s - one.first_s;
    let steps = f64::from(one.served.output - 1);
    let (mut decoding, mut kv_tokens, mut prefills, mut prompts) = (1.0, one.kv_tokens(), 0.0_f64, 0.0);
    let from = answers.partition_point(|other| other.first_s < one.first_s - longest);
    for (beside, other) in answers.iter().enumerate().skip(from).take_while(|(_, other)| other.first_s < one.last_s) {
        let overlap = other.last_s.min(one.last_s) - other.first_s.max(one.first_s);
        if beside == at || overlap <= 0.0 {
            continue;
        }
        decoding += overlap / took_s;
        kv_tokens += overlap / took_s * other.kv_tokens();
        if other.first_s > one.first_s {
            prefills += 1.0;
            prompts += other.prompt();
        }
    }
    let row: Row = [steps, prefills.min(steps), prompts, steps * decoding, steps * kv_tokens + prompts];
    Observed { row, took_s, between_s: None, at_s: Some(one.last_s) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Fate;

    fn served(sent_s: f64, prompt: u32, output: u32, ends: (f64, f64)) -> Served {
        let fate = Fate::Complete;
        Served { arrival_s: sent_s, sent_s, chunks_s: vec![ends.0, ends.1], end_s: ends.1, prompt, output, fate }
    }

    #[test]
    fn an_answer_is_the_sum_of_its_steps() {
        // The second answer begins half way through the first and ends with it; a third is alone.
        let requests = [served(0.0, 10, 21, (1.0, 3.0)), served(1.9, 6, 11, (2.0, 3.0)), served(9.0, 4, 3, (9.5, 9.6))];
        let laid = from_ends(&requests);
        let rows: Vec<Row> = laid.steps.iter().map(|step| step.row).collect();
        let [decoding, joined, alone] = [[1.5, 20.5 + 0.5 * 11.5], [2.0, 11.5 + 20.5], [1.0, 5.5]];
        assert_eq!(
            rows,
            [
                [20.0, 1.0, 6.0, 20.0 * decoding[0], 20.0 * decoding[1] + 6.0],
                [10.0, 0.0, 0.0, 10.0 * joined[0], 10.0 * joined[1]],
                [2.0, 0.0, 0.0, 2.0 * alone[0], 2.0 * alone[1]]
            ]
        );
        let waits: Vec<f64> = laid.lone.iter().map(|lone| lone.ttft_s).collect();
        assert_eq!(waits, [1.0, 0.5]);
    }
}
