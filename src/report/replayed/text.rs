//! A replay in words and tables.

use super::{RECORDED, Replayed, columns, recorded_columns};
use crate::journal::summary::{LatencyMetric, VariantSummary};
use crate::latency::Latency;
use crate::replay::{Clients, Window};
use crate::report::envelope::digest_text;
use crate::report::format::{NONE, count, duration, left, percent, points, right, width, wrap};
use crate::report::{overview, variant};

/// Share of requests in flight at the end that is told.
const IN_FLIGHT: f64 = 0.01;
/// Widest column of a variant's name.
const NAME_MAX: usize = 28;

impl Replayed<'_> {
    /// All of it, the verdict first.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![self.verdict(), self.log(), self.beside()];
        parts.extend(self.differences());
        if self.summary.variants.len() > 1 {
            parts.push(overview(self.summary));
        }
        parts.extend(self.summary.variants.iter().map(variant));
        parts.join("\n")
    }

    /// What the figures say, a paragraph a line.
    fn verdict(&self) -> String {
        let mut ranked: Vec<&VariantSummary> = self.summary.variants.iter().collect();
        ranked.sort_by_key(|variant| std::cmp::Reverse(variant.counts.good)); // stable: of equals the first named
        let share = |variant: &VariantSummary| variant.counts.share(variant.counts.good);
        let shown = |variant: &VariantSummary| share(variant).map_or(NONE.to_owned(), percent);
        let mut paragraphs = Vec::new();
        if let [only] = ranked[..] {
            paragraphs.push(format!("Under \"{}\" {} of the replayed requests are good.", only.name, shown(only)));
        } else if let [best, next, ..] = ranked[..] {
            paragraphs.push(if best.counts.good == next.counts.good {
                let best = (&best.name, shown(best));
                format!("\"{}\" and \"{}\" do equally well: {} of the replayed requests are good.", best.0, next.name, best.1)
            } else {
                let more = count((best.counts.good - next.counts.good) / self.replications());
                let again = if self.replications() > 1 { " in each replication on average" } else { "" };
                format!(
                    "\"{}\" does best: {} of the replayed requests are good, against {} under \"{}\": {more} requests more{again}.",
                    best.name,
                    shown(best),
                    shown(next),
                    next.name
                )
            });
        }
        paragraphs.extend(ranked.first().and_then(|best| self.against_recorded(best)));
        paragraphs.extend(self.still_in_flight());
        paragraphs.push(self.how_sure());
        if self.assumed {
            paragraphs.push(format!(
                "Nobody named a world: the requests were served by the shipped preset {}, which is not calibrated to the system that \
                 wrote this log. Name yours with --scenario.",
                self.scenario
            ));
        }
        paragraphs.iter().map(|paragraph| wrap(paragraph) + "\n").collect()
    }

    /// What the end of the run cut, where that is more than a few: no policy did that.
    fn still_in_flight(&self) -> Option<String> {
        let each = self.summary.variants.iter().filter_map(|variant| {
            let share = variant.counts.share(variant.counts.in_flight).filter(|share| *share >= IN_FLIGHT)?;
            Some(format!("{} of the requests under \"{}\"", percent(share), variant.name))
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| {
            format!(
                "When the run ended, {} were still in flight, which counts as not good: with a longer wait \
                 (`--set run.drain=10m`) they come to an end.",
                each.join(", ")
            )
        })
    }

    fn replications(&self) -> u64 {
        self.summary.replications.max(1) as u64
    }

    fn against_recorded(&self, best: &VariantSummary) -> Option<String> {
        let outcomes = &self.measured?.outcomes;
        let recorded = outcomes.good_share()?;
        let change = best.counts.share(best.counts.good)? - recorded;
        let caution = "The first is what happened, the second what the model of the server says: hold a replay of the settings that were \
                       in force against the recording before you trust the difference.";
        let of = match outcomes.unknown {
            0 => "the same requests were good".to_owned(),
            unknown => format!(
                "those requests of which the log says what became of them (not of {} of {}) were good",
                count(unknown),
                count(outcomes.offered)
            ),
        };
        Some(format!("Recorded: {} of {of}; \"{}\" differs by {}. {caution}", percent(recorded), best.name, points(change)))
    }

    fn how_sure(&self) -> String {
        let replications = count(self.replications());
        match (self.replications(), self.chances) {
            (_, []) => {
                "Nothing in this world is drawn, so that one run of the recording says all there is, and there is no interval: \
                        whether another day says the same, only another log can tell."
                    .to_owned()
            }
            (1, drawn) => format!(
                "One run each: there is no interval, though {} may be drawn. Let that vary with --replications.",
                drawn.join(", ")
            ),
            (_, drawn) => format!(
                "{replications} runs each, over which {} vary; the arrivals are the recording's in all of them, so that intervals say \
                 nothing of other days.",
                drawn.join(", ")
            ),
        }
    }

    /// What was read and what of it was replayed.
    fn log(&self) -> String {
        let survey = self.survey;
        let head = &survey.head;
        let (first, last) = survey.span.unwrap_or_default();
        let began = survey.began_unix_ns().map_or(String::new(), |at| format!(" from {}", super::clock(at)));
        let span = duration(last.since(first).as_secs_f64());
        let mut lines = vec![
            format!("{}: {}, recognised by {}.", head.file, head.format.name(), head.recognised_by),
            format!("{} requests replayed over {span}{began}.", count(survey.replayed)),
        ];
        lines.extend(survey.accounts.sentences().into_iter().map(|sentence| format!("{sentence}.")));
        lines.extend(head.notes.iter().map(|note| format!("Note: {note}.")));
        lines.extend(self.cautions());
        lines.push(format!(
            "World {}, seed {}, clients {}, digest {}.",
            self.scenario,
            self.seed,
            self.clients.name(),
            digest_text(self.summary.digest)
        ));
        lines.extend(self.remarks.iter().cloned());
        lines.iter().map(|line| wrap(line) + "\n").collect()
    }

    /// What the log cannot answer.
    fn cautions(&self) -> Vec<String> {
        let survey = self.survey;
        let mut lines = Vec::new();
        if survey.without_lengths > 0 {
            lines.push(format!("{} requests of unknown length are not replayed.", count(survey.without_lengths)));
        }
        match (self.clients, survey.accounts.folded) {
            (Clients::World, 0) => lines.push(
                "No row was recognised as a retry: where some are, the scenario's clients retry on top of them (--clients \
                 as-logged takes each row as one attempt)."
                    .to_owned(),
            ),
            (Clients::World, _) => {}
            (Clients::AsLogged, _) => lines.push(
                "Each row is one attempt of a client who waits for ever: policies that refuse more look better than with clients who come \
                 again."
                    .to_owned(),
            ),
        }
        if let Some(class) = self.class {
            lines.push(format!("All rows are of class \"{class}\", whatever the log says."));
        } else if let Some(class) = self.first_class {
            lines.push(format!("Rows without a class are of class \"{class}\"."));
        }
        lines.extend(self.silence());
        if !self.has_slo {
            lines.push("No class of the world has an SLO: good means complete, however late.".to_owned());
        }
        lines
    }

    /// What it does not record.
    fn silence(&self) -> Vec<String> {
        let unjudged = self.measured.map_or(0, |measured| measured.unjudged);
        let blind = (unjudged > 0).then(|| {
            format!(
                "{} complete answers lack a time that an SLO names, and count as good where no other is missed.",
                count(unjudged)
            )
        });
        self.absent().map(ToOwned::to_owned).into_iter().chain(blind).collect()
    }

    fn absent(&self) -> Option<&'static str> {
        let survey = self.survey;
        if survey.ended == 0 {
            return Some("The log does not say what became of its requests: there is nothing recorded to compare with.");
        }
        if survey.timed == 0 {
            return Some(
                "The log does not say how long its answers took: recorded latencies are absent, and good means complete.",
            );
        }
        (survey.first_tokens == 0).then_some("The log has no times of first tokens: recorded TTFT is absent.")
    }

    /// Outcomes and latencies: recorded, and under each policy.
    fn beside(&self) -> String {
        let names = self.measured.iter().map(|_| RECORDED);
        let names: Vec<&str> = names.chain(self.summary.variants.iter().map(|variant| variant.name.as_str())).collect();
        let columns_of = |name: &str| width(name).clamp(12, NAME_MAX) + 2;
        let row = |title: &str, cells: Vec<String>| {
            let cells = names.iter().zip(cells).map(|(name, cell)| right(&cell, columns_of(name)));
            format!("{}{}\n", left(title, 18), cells.collect::<String>())
        };
        let mut text = row("", names.iter().map(|name| left(name, NAME_MAX).trim_end().to_owned()).collect());
        let recorded = self.measured.map(recorded_columns);
        let sides: Vec<[(&str, u64); 9]> =
            recorded.into_iter().chain(self.summary.variants.iter().map(|variant| columns(&variant.counts))).collect();
        for index in 0..9 {
            if sides.iter().all(|side| side[index].1 == 0) {
                continue;
            }
            let share = |side: &[(&str, u64); 9]| {
                let all: u64 = side.iter().map(|(_, n)| n).sum();
                if all > 0 { percent(side[index].1 as f64 / all as f64) } else { NONE.to_owned() }
            };
            text += &row(sides[0][index].0, sides.iter().map(share).collect());
        }
        let metrics: [(&str, MetricOf, RecordedOf); 2] = [
            ("TTFT", |variant| &variant.metrics.ttft, |measured| &measured.ttft),
            ("e2e", |variant| &variant.metrics.e2e, |measured| &measured.e2e),
        ];
        for (name, of, recorded) in metrics {
            for (label, quantile, pick) in QUANTILES {
                let own = self.measured.iter().map(|measured| recorded(measured).quantile_s(quantile));
                let all = own.chain(self.summary.variants.iter().map(|variant| pick(of(variant))));
                let cells = all.map(|value| value.map_or(NONE.to_owned(), duration)).collect();
                text += &row(&format!("{name} {label}"), cells);
            }
        }
        text + &wrap("Shares of the replayed requests; latencies of complete answers, from the intended arrival.") + "\n"
    }

    fn differences(&self) -> Option<String> {
        if self.windows.is_empty() {
            return None;
        }
        let title = "Where what became of them differs most (by good requests, then by complete ones, then by mean latency):\n";
        Some(self.windows.iter().fold(title.to_owned(), |text, window| text + &wrap(&self.window(window)) + "\n"))
    }

    fn window(&self, window: &Window) -> String {
        let [better, worse] = &window.sides;
        let latency = |value: Option<f64>| value.map_or(String::new(), |value| format!(", e2e {} on average", duration(value)));
        let side = |side: &crate::replay::Side| {
            format!("\"{}\" {} good of {} complete{}", side.name, count(side.good), count(side.answered), latency(side.e2e_s))
        };
        let (from, to) = (self.at(window.from), self.at(window.to));
        format!("- {from} to {to}, {} arrivals: {}; {}.", count(window.offered), side(better), side(worse))
    }
}

type MetricOf = fn(&VariantSummary) -> &LatencyMetric;
type RecordedOf = fn(&crate::replay::Measured) -> &Latency;
type Quantile = fn(&LatencyMetric) -> Option<f64>;

const QUANTILES: [(&str, f64, Quantile); 3] =
    [("p50", 0.5, |metric| metric.p50), ("p90", 0.9, |metric| metric.p90), ("p99", 0.99, |metric| metric.p99)];
