//! The load lines of a scenario's variants: the verdict, a table, and the same as one JSON object.

use std::fmt::Write as _;

use serde::Serialize;

use super::LoadReport;
use super::envelope::{Mean, Ordered};
use super::format::{NONE, count, left, number, percent, range, right, wrap};
use crate::journal::summary::LEVEL;
use crate::stats::{Difference, Replicated};
use crate::tune::{End, LoadLine};

/// Version of the shape.
const SCHEMA: &str = "plimsoll.capacity/1";
/// Characters of a variant's name in the table.
const NAME_COLUMNS: usize = 34;

/// Load lines with what was asked of them.
#[derive(Clone, Copy, Debug)]
pub struct LoadLines<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// The seed of all randomness.
    pub seed: u64,
    /// The service levels, as written.
    pub levels: &'a [String],
    /// The bracket's ends are this close, as a share.
    pub tolerance: f64,
    /// Load 1.0, where it was measured.
    pub load: Option<&'a LoadReport>,
    /// The lines, the baseline's first; at least one.
    pub lines: &'a [LoadLine],
}

#[derive(Serialize)]
struct Envelope<'a> {
    schema: &'static str,
    scenario: &'a str,
    seed: String,
    replications: usize,
    slo: &'a [String],
    tolerance: f64,
    load: Option<&'a LoadReport>,
    variants: Vec<Line<'a>>,
    paired: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    /// Greatest sustained requests a second.
    sustained_rps: Mean,
    /// The same as a share of load 1.0.
    sustained_load: Option<Mean>,
    /// Replications in which each of these broke just above the line.
    breaks: Ordered<usize>,
    /// Where no load was sustained in a replication because of a service level: what its figure was at the least load tried, on
    /// average over those replications.
    alone: Option<f64>,
    simulated_requests: u64,
}

#[derive(Serialize)]
struct Pair<'a> {
    a: &'a str,
    b: &'a str,
    metric: &'static str,
    difference: f64,
    ci95: Option<[f64; 2]>,
}

impl LoadLines<'_> {
    /// For programs.
    ///
    /// # Panics
    /// Never: all that is in it can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let base = &self.lines[0];
        let pair = |line| {
            let Difference { mean, interval } = LoadLine::minus(line, base, LEVEL)?;
            let ci95 = interval.map(|interval| [interval.lo, interval.hi]);
            Some(Pair { a: &base.name, b: &line.name, metric: "sustained_rps", difference: mean, ci95 })
        };
        let envelope = Envelope {
            schema: SCHEMA,
            scenario: self.scenario,
            seed: self.seed.to_string(),
            replications: base.brackets.len(),
            slo: self.levels,
            tolerance: self.tolerance,
            load: self.load,
            variants: self.lines.iter().map(|line| self.line(line)).collect(),
            paired: self.lines[1..].iter().filter_map(pair).collect(),
        };
        serde_json::to_string(&envelope).expect("text, numbers and lists can be written")
    }

    fn line<'a>(&self, line: &'a LoadLine) -> Line<'a> {
        let scaled = |unit: f64| {
            let interval = line.rps.interval(LEVEL);
            Mean { mean: Some(line.rps.mean / unit), ci95: interval.map(|interval| [interval.lo / unit, interval.hi / unit]) }
        };
        Line {
            name: &line.name,
            sustained_rps: scaled(1.0),
            sustained_load: self.load.map(|load| scaled(load.capacity_rps)),
            breaks: Ordered(line.ends().into_iter().map(|(end, count)| (self.end(end), count)).collect()),
            alone: crate::stats::mean(&line.brackets.iter().filter_map(|bracket| bracket.alone).collect::<Vec<_>>()),
            simulated_requests: line.brackets.iter().map(|bracket| bracket.requests).sum(),
        }
    }

    /// For people: the verdict in words, the table, what the figures mean.
    #[must_use]
    pub fn text(&self) -> String {
        [wrap(&self.verdict()) + "\n", wrap(&self.asked()) + "\n", self.table(), wrap(NOTES) + "\n" + &self.unit()].join("\n")
    }

    /// What load 1.0 is, which is a unit and no line: a gateway's timeouts or a lenient service level may sustain more.
    fn unit(&self) -> String {
        let Some(load) = self.load else { return String::new() };
        let many = if load.clients == 1 { "" } else { "s" };
        wrap(&format!(
            "load 1.0: {} requests/s, what a closed loop of {} client{many} completes without timeouts and policies. It is a unit, not \
             the load line: a line may lie above it or below.",
            number(load.capacity_rps),
            count(u64::from(load.clients))
        )) + "\n"
    }

    fn verdict(&self) -> String {
        let base = &self.lines[0];
        // Stable: of equals, the one that the scenario names first.
        let mut ranked: Vec<&LoadLine> = self.lines.iter().collect();
        ranked.sort_by(|a, b| b.rps.mean.total_cmp(&a.rps.mean));
        let best = ranked[0];
        if best.rps.mean <= 0.0 {
            return self.none(best);
        }
        let what = format!("\"{}\" sustains {}", best.name, self.sustained(&best.rps));
        let (end, count) = best.ends()[0];
        let breaks = format!("Just above that, {} in {count} of {} replications", self.breaks(end), best.brackets.len());
        let gain = if best.name == base.name {
            ranked.get(1).and_then(|next| Some(gain(next, &best.minus(next, LEVEL)?)))
        } else {
            best.minus(base, LEVEL).map(|difference| gain(base, &difference))
        };
        format!("{what}{}. {breaks}.", gain.unwrap_or_default())
    }

    /// Why no load is sustained: what breaks at the least of them, and by how much.
    fn none(&self, line: &LoadLine) -> String {
        let (end, count) = line.ends()[0];
        let of = line.brackets.len();
        let figures: Vec<f64> = line.brackets.iter().filter(|one| one.end == end).filter_map(|one| one.alone).collect();
        let alone = crate::stats::mean(&figures).map_or(String::new(), |mean| format!(": there it is {}", number(mean)));
        let level = matches!(end, End::Level(_) | End::NotShown(_));
        let even = if level { " even at a load where each request is as good as alone" } else { "" };
        format!("No load at all is sustained. {} in {count} of {of} replications{even}{alone}.", upper(&self.breaks(end)))
    }

    fn sustained(&self, rps: &Replicated) -> String {
        let interval = rps.interval(LEVEL).map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)));
        let share = self.load.map_or(String::new(), |load| format!(", {} of load 1.0", percent(rps.mean / load.capacity_rps)));
        format!("{} requests/s{interval}{share}", number(rps.mean))
    }

    fn asked(&self) -> String {
        let levels = if self.levels.is_empty() { String::new() } else { format!(" and {}", self.levels.join(" and ")) };
        format!(
            "{}, seed {}, {} replications; sustained: stable{levels}. Each replication's line is bracketed to {}.",
            self.scenario,
            self.seed,
            self.lines[0].brackets.len(),
            percent(self.tolerance)
        )
    }

    fn table(&self) -> String {
        let head = ["sustained/s", "95 %", "of load 1.0", "over the first", "95 %"];
        let mut text = left("load line", NAME_COLUMNS);
        for (title, columns) in head.iter().zip(COLUMNS) {
            text.push_str(&right(title, columns));
        }
        text.push('\n');
        for line in self.lines {
            text.push_str(&left(&line.name, NAME_COLUMNS));
            for (cell, columns) in self.cells(line).iter().zip(COLUMNS) {
                text.push_str(&right(cell, columns));
            }
            text.push('\n');
            let ends: Vec<String> = line.ends().into_iter().map(|(end, n)| format!("{} ({n})", self.breaks(end))).collect();
            let _ = writeln!(text, "  just above: {}", ends.join(", ")); // a String takes everything
        }
        text
    }

    fn cells(&self, line: &LoadLine) -> [String; 5] {
        let none = || NONE.to_owned();
        let bounds = |interval: Option<_>| interval.map_or_else(none, |interval| range(interval, 1.0, number));
        let over = (line.name != self.lines[0].name).then(|| line.minus(&self.lines[0], LEVEL)).flatten();
        [
            number(line.rps.mean),
            bounds(line.rps.interval(LEVEL)),
            self.load.map_or_else(none, |load| percent(line.rps.mean / load.capacity_rps)),
            over.map_or_else(none, |over| number(over.mean)),
            bounds(over.and_then(|over| over.interval)),
        ]
    }

    /// What broke, as a key.
    fn end(&self, end: End) -> String {
        match end {
            End::Unstable(label) => label.name().to_owned(),
            End::Level(index) => self.levels[index].clone(),
            End::NotShown(index) => format!("{} not shown", self.levels[index]),
            End::Halted => "halted".to_owned(),
            End::NotReached => "nothing".to_owned(),
        }
    }

    /// What broke, as a clause.
    fn breaks(&self, end: End) -> String {
        match end {
            End::Unstable(label) => format!("the run is {}", label.name()),
            End::Level(index) => format!("`{}` breaks", self.levels[index]),
            End::NotShown(index) => format!("`{}` cannot be told, for nobody comes that far,", self.levels[index]),
            End::Halted => "more is under way at once than can be held".to_owned(),
            End::NotReached => "nothing breaks at the highest load that was tried".to_owned(),
        }
    }
}

const COLUMNS: [usize; 5] = [12, 16, 12, 15, 16];

const NOTES: &str = "sustained: in a replication, the greatest load (all arrivals made denser or thinner by one factor) at \
    which the run is labelled stable and every service level is shown and holds; bracketed by doubling and halving. Where hardly \
    anybody comes the run is made longer, until a hundred have come or as many as at the scenario's own load. Intervals are 95 %, over \
    replications; differences are paired on the same requests. In brackets: replications.";

/// With a capital letter in front.
fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn gain(base: &LoadLine, difference: &Difference) -> String {
    let bounds = difference.interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)));
    match difference.interval {
        Some(interval) if interval.lo <= 0.0 => {
            format!("; that cannot be told from \"{}\", which lies {} lower{bounds}", base.name, number(difference.mean))
        }
        _ => format!(", {} more than \"{}\"{bounds}", number(difference.mean), base.name),
    }
}

#[cfg(test)]
#[path = "load_lines_tests.rs"]
mod tests;
