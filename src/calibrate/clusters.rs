//! Steps from tokens' times alone: the tokens of one step come to their clients together.
//!
//! What can be known this way: who was decoding in each step, and how long it was from one step's tokens to the next's. What
//! cannot: how that time divides into the step and what passes between steps; how a prompt was cut into chunks (all of it is
//! charged to the step that made its first token); what was done for clients who left.

use super::align::{Laid, Lone, Observed};
use super::served::{Served, lone};
use crate::stats::median;

/// Tokens further apart than this share of an ordinary gap between two tokens of one answer are of different steps.
const APART: f64 = 0.25;

/// One step's tokens.
#[derive(Debug)]
struct Cluster {
    /// When the first of them came.
    at_s: f64,
    /// Whose, and which of that answer's.
    tokens: Vec<(usize, u32)>,
}

/// The steps behind the tokens of the complete answers.
#[must_use]
pub fn from_tokens(served: &[Served]) -> Laid {
    let known: Vec<&Served> = served.iter().filter(|one| one.has_all_times()).collect();
    let gaps: Vec<f64> = known.iter().flat_map(|one| one.chunks_s.windows(2).map(|pair| pair[1] - pair[0])).collect();
    let Some(gap) = median(&gaps) else { return Laid::default() };
    let clusters = clusters(&known, APART * gap);
    let mut laid = Laid::default();
    for (at, cluster) in clusters.iter().enumerate() {
        let row = row(cluster, &known);
        let before = at.checked_sub(1).map(|at| &clusters[at]);
        // Busy since the tokens before, where somebody had one of them.
        let goes_on = |before: &&Cluster| {
            cluster.tokens.iter().any(|(who, number)| *number > 0 && before.tokens.contains(&(*who, number - 1)))
        };
        if let Some(before) = before.filter(goes_on) {
            laid.steps.push(Observed { row, took_s: cluster.at_s - before.at_s, between_s: None, at_s: Some(cluster.at_s) });
        }
    }
    laid.lone = lone(served).into_iter().filter_map(alone).collect();
    laid
}

/// What a request tells that met an empty server.
pub(super) fn alone(one: &Served) -> Option<Lone> {
    let (first, _) = one.ends_s()?;
    let prompt = f64::from(one.prompt);
    Some(Lone { ttft_s: first - one.sent_s, rows: vec![[1.0, 1.0, prompt, 0.0, prompt]], took_s: None, at_s: first })
}

fn clusters(known: &[&Served], apart_s: f64) -> Vec<Cluster> {
    let tokens =
        known.iter().enumerate().flat_map(|(who, one)| (0..).zip(&one.chunks_s).map(move |(number, at)| (*at, who, number)));
    let mut tokens: Vec<(f64, usize, u32)> = tokens.collect();
    tokens.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)).then(a.1.cmp(&b.1)));
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut last_s = f64::NEG_INFINITY;
    for (at_s, who, number) in tokens {
        let again = |cluster: &Cluster| cluster.tokens.iter().any(|(other, _)| *other == who);
        match clusters.last_mut() {
            Some(cluster) if at_s - last_s <= apart_s && !again(cluster) => cluster.tokens.push((who, number)),
            _ => clusters.push(Cluster { at_s, tokens: vec![(who, number)] }),
        }
        last_s = at_s;
    }
    clusters
}

fn row(cluster: &Cluster, known: &[&Served]) -> [f64; 5] {
    let mut row = [1.0, 0.0, 0.0, 0.0, 0.0];
    for (who, number) in &cluster.tokens {
        let prompt = f64::from(known[*who].prompt);
        row[4] += prompt + f64::from(*number);
        if *number == 0 {
            (row[1], row[2]) = (1.0, row[2] + prompt);
        } else {
            row[3] += 1.0;
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Fate;

    fn served(sent_s: f64, prompt: u32, chunks_s: &[f64]) -> Served {
        let output = u32::try_from(chunks_s.len()).unwrap();
        let end_s = chunks_s[chunks_s.len() - 1];
        Served { arrival_s: sent_s, sent_s, chunks_s: chunks_s.to_vec(), end_s, prompt, output, fate: Fate::Complete }
    }

    #[test]
    fn tokens_that_come_together_are_of_one_step() {
        // The second joins in the step that makes the first one's third token; a third comes when all is quiet.
        let requests = [
            served(0.0, 10, &[0.020, 0.030, 0.050, 0.061]),
            served(0.031, 7, &[0.051, 0.0615]),
            served(1.0, 3, &[1.012, 1.022]),
        ];
        let laid = from_tokens(&requests);
        let rows: Vec<([f64; 5], f64)> = laid.steps.iter().map(|step| (step.row, (step.took_s * 1e4).round() / 10.0)).collect();
        assert_eq!(
            rows,
            [
                ([1.0, 0.0, 0.0, 1.0, 11.0], 10.0),
                ([1.0, 1.0, 7.0, 1.0, 19.0], 20.0),
                ([1.0, 0.0, 0.0, 2.0, 21.0], 11.0),
                ([1.0, 0.0, 0.0, 1.0, 4.0], 10.0)
            ]
        );
        assert_eq!(laid.lone.len(), 2);
        assert!(laid.lone.iter().all(|lone| lone.took_s.is_none()));
    }

    #[test]
    fn a_client_that_reads_two_tokens_at_once_makes_two_steps() {
        let laid = from_tokens(&[served(0.0, 4, &[0.01, 0.02, 0.0401, 0.0402, 0.05])]);
        assert_eq!(laid.steps.len(), 4);
        assert_eq!(from_tokens(&[]), Laid::default());
    }
}
