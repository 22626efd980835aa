//! Assertions about a result, for gates in CI: `goodput_fraction>=0.95`, `p99_ttft_ms{variant=base,class=chat}<=500`.

use std::fmt;
use std::str::FromStr;

use crate::journal::summary::{Counts, LatencyMetric, Metrics, Summary, VariantSummary};

/// A figure, where it is looked for, and its bound.
#[derive(Clone, Debug)]
pub struct Assertion {
    text: String,
    figure: Figure,
    variant: Option<String>,
    class: Option<String>,
    relation: Relation,
    bound: f64,
}

/// What an assertion found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Whether it holds in every variant that it is about.
    pub holds: bool,
    /// What was found where it does not, for a person.
    pub found: String,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Above,
    Below,
}

#[derive(Copy, Clone, Debug)]
enum Figure {
    GoodputRps,
    /// A column's share of what was offered.
    Share(fn(&Counts) -> u64),
    WaitProbability,
    WastedFraction,
    Latency {
        of: fn(&Metrics) -> &LatencyMetric,
        at: At,
        per_s: f64,
    },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum At {
    Mean,
    P50,
    P90,
    P99,
}

/// What may stand before the relation, for people.
const FIGURES: &str = "goodput_rps, goodput_fraction, late_fraction, degraded_fraction, rejected_fraction, timed_out_fraction, \
    gave_up_fraction, failed_fraction, in_flight_fraction, wait_probability, wasted_fraction, or mean|p50|p90|p99 _ \
    ttft|tpot|itl|e2e|wait _ ms|s (like p99_ttft_ms)";

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>']).ok_or("there is no `>=`, `<=`, `>` or `<`: write like `goodput_fraction>=0.95`")?;
        let (left, right) = text.split_at(at);
        let relations = [(">=", Relation::AtLeast), ("<=", Relation::AtMost), (">", Relation::Above), ("<", Relation::Below)];
        let (relation, bound) = relations
            .iter()
            .find_map(|(sign, relation)| Some((*relation, right.strip_prefix(sign)?)))
            .ok_or("the relation must be `>=`, `<=`, `>` or `<`")?;
        let bound = bound.trim();
        let number: f64 = bound.parse().map_err(|_| format!("`{bound}` is not a number"))?;
        if !number.is_finite() {
            return Err(format!("`{bound}` is not a finite number"));
        }
        let (name, place) = left.trim().split_once('{').unwrap_or((left.trim(), "}"));
        let place = place.strip_suffix('}').ok_or("the `{` is never closed")?;
        let mut assertion = Self {
            text: text.trim().to_owned(),
            figure: figure(name.trim()).ok_or_else(|| format!("there is no figure `{}`; there are: {FIGURES}", name.trim()))?,
            variant: None,
            class: None,
            relation,
            bound: number,
        };
        for pair in place.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("`{}` is not `class=NAME` or `variant=NAME`", pair.trim()))?;
            let value = Some(value.trim().trim_matches('"').to_owned());
            match key.trim() {
                "class" => assertion.class = value,
                "variant" => assertion.variant = value,
                other => return Err(format!("`{other}` is not `class` or `variant`")),
            }
        }
        Ok(assertion)
    }
}

fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "goodput_rps" => Figure::GoodputRps,
        "goodput_fraction" => Figure::Share(|counts| counts.good),
        "late_fraction" => Figure::Share(|counts| counts.late),
        "degraded_fraction" => Figure::Share(|counts| counts.degraded),
        "rejected_fraction" => Figure::Share(Counts::rejected_in_all),
        "timed_out_fraction" => Figure::Share(|counts| counts.timed_out),
        "gave_up_fraction" => Figure::Share(|counts| counts.gave_up),
        "failed_fraction" => Figure::Share(Counts::failed_in_all),
        "in_flight_fraction" => Figure::Share(|counts| counts.in_flight),
        "wait_probability" => Figure::WaitProbability,
        "wasted_fraction" => Figure::WastedFraction,
        _ => return latency(name),
    })
}

fn latency(name: &str) -> Option<Figure> {
    let (at, rest) = name.split_once('_')?;
    let (of, unit) = rest.split_once('_')?;
    let at = match at {
        "mean" => At::Mean,
        "p50" => At::P50,
        "p90" => At::P90,
        "p99" => At::P99,
        _ => return None,
    };
    let of: fn(&Metrics) -> &LatencyMetric = match of {
        "ttft" => |metrics| &metrics.ttft,
        "tpot" => |metrics| &metrics.tpot,
        "itl" => |metrics| &metrics.itl,
        "e2e" => |metrics| &metrics.e2e,
        "wait" => |metrics| &metrics.wait,
        _ => return None,
    };
    let per_s = match unit {
        "ms" => 1e3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Figure::Latency { of, at, per_s })
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Assertion {
    /// Whether it can be judged: the variant and the class that it names are among these.
    ///
    /// # Errors
    /// A sentence where they are not.
    pub fn check(&self, variants: &[&str], classes: &[&str]) -> Result<(), String> {
        if !variants.iter().any(|name| self.is_about(name)) {
            return Err(format!("`{self}`: there is no such variant; there are: {}", variants.join(", ")));
        }
        match &self.class {
            Some(class) if !classes.contains(&class.as_str()) => {
                Err(format!("`{self}`: there is no such class; there are: {}", classes.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is about the variant of this name. A name without a sweep's value (` @ 60 %`) stands for all of its copies.
    fn is_about(&self, variant: &str) -> bool {
        let named =
            |name: &String| variant.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(" @ "));
        self.variant.as_ref().is_none_or(named)
    }

    /// Whether it holds: in every variant, unless it names one.
    ///
    /// # Errors
    /// A sentence where it names a variant or class that the result does not have.
    pub fn judge(&self, summary: &Summary) -> Result<Judged, String> {
        let names: Vec<&str> = summary.variants.iter().map(|variant| variant.name.as_str()).collect();
        let classes = summary.variants.iter().take(1).flat_map(|variant| &variant.classes);
        self.check(&names, &classes.map(|class| class.name.as_str()).collect::<Vec<_>>())?;
        let mut wrong = Vec::new();
        for variant in summary.variants.iter().filter(|variant| self.is_about(&variant.name)) {
            let found = self.look(variant);
            if !found.is_some_and(|found| self.relation.holds(found, self.bound)) {
                let found = found.map_or_else(|| "nothing to measure".to_owned(), |found| found.to_string());
                wrong.push(format!("{found} in \"{}\"", variant.name));
            }
        }
        Ok(Judged { holds: wrong.is_empty(), found: wrong.join(", ") })
    }

    fn look(&self, variant: &VariantSummary) -> Option<f64> {
        let Some(class) = &self.class else { return self.figure.of(&variant.counts, &variant.metrics) };
        let one = variant.classes.iter().find(|one| one.name == *class)?;
        self.figure.of(&one.counts, &one.metrics)
    }
}

impl Relation {
    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => found >= bound,
            Self::AtMost => found <= bound,
            Self::Above => found > bound,
            Self::Below => found < bound,
        }
    }
}

impl Figure {
    fn of(self, counts: &Counts, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::GoodputRps => metrics.goodput_rps.as_ref().map(|figure| figure.mean),
            Self::Share(column) => counts.share(column(counts)),
            Self::WaitProbability => metrics.wait_probability.as_ref().map(|figure| figure.mean),
            Self::WastedFraction => metrics.wasted_fraction.as_ref().map(|figure| figure.mean),
            Self::Latency { of, at, per_s } => {
                let latency = of(metrics);
                let seconds = match at {
                    At::Mean => latency.mean.as_ref().map(|mean| mean.mean),
                    At::P50 => latency.p50,
                    At::P90 => latency.p90,
                    At::P99 => latency.p99,
                };
                seconds.map(|seconds| seconds * per_s)
            }
        }
    }
}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
