//! Figures of a variant by name, as assertions, constraints and objectives write them: `p99_ttft_ms{class=chat}`.

use std::fmt;
use std::str::FromStr;

use super::bound::{Bound, Relation};
use super::{Counts, LatencyMetric, Metrics, Recovery, VariantSummary};
use crate::stats::Replicated;

/// A figure, of everything or of one class. Reads and writes as `goodput_rps` or `p99_ttft_ms{class=chat}`.
#[derive(Clone, Debug)]
pub struct Measure {
    name: String,
    figure: Figure,
    /// The class it is taken of; `None` for all together.
    pub class: Option<String>,
}

/// What a figure is counted in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MeasureKind {
    /// Requests a second, which what is offered bounds: of two loads the lower one has the lower best.
    Rate,
    /// A part of a whole, from 0 to 1.
    Share,
    /// Milliseconds, not below 0.
    Milliseconds,
    /// Seconds, not below 0.
    Seconds,
    /// A number that is not below 0 and may be above 1.
    Count,
}

/// What a measure is of beside its class: the variant that it names, if any.
pub type Placed = (Measure, Option<String>);

#[derive(Copy, Clone, Debug)]
enum Figure {
    /// A mean over replications, or a ratio of sums.
    Mean {
        of: fn(&Metrics) -> &Option<Replicated>,
        kind: MeasureKind,
    },
    /// A column's share of what was offered.
    Share(fn(&Counts) -> u64),
    /// Attempts for each request offered.
    AttemptsPerRequest,
    Latency {
        of: fn(&Metrics) -> &LatencyMetric,
        at: At,
        kind: MeasureKind,
    },
    /// Of a spike, the worst of several; known of the whole run only.
    Spike {
        of: fn(&Recovery) -> Option<f64>,
        kind: MeasureKind,
    },
    Utilisation,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum At {
    Mean,
    P50,
    P90,
    P99,
}

impl Measure {
    /// All names, for people.
    pub const NAMES: &str = "goodput_rps, goodput_fraction, late_fraction, degraded_fraction, rejected_fraction, \
        timed_out_fraction, gave_up_fraction, failed_fraction, in_flight_fraction, retried_fraction, attempts_per_request, \
        wait_probability, wasted_fraction, utilisation, recovery_s, hysteresis_fraction, or mean|p50|p90|p99 _ \
        ttft|tpot|itl|e2e|wait _ ms|s (like p99_ttft_ms)";

    /// Reads `NAME` or `NAME{class=C,variant=V}`.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse_placed(text: &str) -> Result<Placed, String> {
        let (name, place) = text.trim().split_once('{').unwrap_or((text.trim(), "}"));
        let (name, place) = (name.trim(), place.trim().strip_suffix('}').ok_or("the `{` is never closed")?);
        let figure = figure(name).ok_or_else(|| format!("there is no figure `{name}`; there are: {}", Self::NAMES))?;
        let (mut class, mut variant) = (None, None);
        for pair in place.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("`{}` is not `class=NAME` or `variant=NAME`", pair.trim()))?;
            let value = Some(value.trim().trim_matches('"').to_owned());
            match key.trim() {
                "class" => class = value,
                "variant" => variant = value,
                other => return Err(format!("`{other}` is not `class` or `variant`")),
            }
        }
        if class.is_some() && figure.is_of_the_run() {
            return Err(format!("`{name}` is known of the whole run, not of a class"));
        }
        Ok((Self { name: name.to_owned(), figure, class }, variant))
    }

    /// Makes sure that the class it names is one of `classes`.
    ///
    /// # Errors
    /// A sentence with those there are.
    pub fn check_class(&self, classes: &[&str]) -> Result<(), String> {
        match &self.class {
            Some(class) if !classes.contains(&class.as_str()) => {
                Err(format!("there is no such class as `{class}`; there are: {}", classes.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Whether only who looks into the upstream can say it ([`VariantSummary::FROM_INSIDE`]).
    #[must_use]
    pub fn is_from_inside(&self) -> bool {
        self.name == "utilisation" || self.name == "wasted_fraction" || self.name.split('_').any(|part| part == "wait")
    }

    /// Its value: an estimate over the replications; `None` where there is nothing to compute it from.
    #[must_use]
    pub fn of(&self, variant: &VariantSummary) -> Option<f64> {
        match self.figure {
            Figure::Spike { of, .. } => {
                let each: Option<Vec<f64>> = variant.recovery.iter().map(of).collect();
                each?.into_iter().reduce(f64::max)
            }
            Figure::Utilisation => variant.run_metrics.utilisation.as_ref().map(|figure| figure.mean),
            figure => {
                let Some(class) = &self.class else { return figure.of(&variant.counts, &variant.metrics) };
                let one = variant.classes.iter().find(|one| one.name == *class)?;
                figure.of(&one.counts, &one.metrics)
            }
        }
    }

    /// Its name without the class.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is counted in.
    #[must_use]
    pub const fn kind(&self) -> MeasureKind {
        match self.figure {
            Figure::Mean { kind, .. } | Figure::Spike { kind, .. } | Figure::Latency { kind, .. } => kind,
            Figure::Share(_) | Figure::Utilisation => MeasureKind::Share,
            Figure::AttemptsPerRequest => MeasureKind::Count,
        }
    }

    /// Whether more of it is better: of goodput and utilisation, and of nothing else that has a name here.
    #[must_use]
    pub fn larger_is_better(&self) -> bool {
        matches!(self.name.as_str(), "goodput_rps" | "goodput_fraction" | "utilisation")
    }

    /// Makes sure that its value can keep `bound` at all: shares lie from 0 to 1, and nothing is below 0.
    ///
    /// # Errors
    /// A sentence that says between what it lies.
    pub fn check_bound(&self, bound: Bound) -> Result<(), String> {
        let is_share = self.kind() == MeasureKind::Share;
        let most = if is_share { 1.0 } else { f64::INFINITY };
        let can = match bound.relation {
            Relation::AtLeast => bound.number <= most,
            Relation::Above => bound.number < most,
            Relation::AtMost => bound.number >= 0.0,
            Relation::Below => bound.number > 0.0,
        };
        if can {
            return Ok(());
        }
        let range = if is_share { "is a share, from 0 to 1" } else { "is never below 0" };
        Err(format!("`{}` {range}, so nothing can ever keep this", self.name))
    }

    /// The least difference in it that a report tells apart, in its unit: a hundredth of a point, a tenth of a millisecond.
    #[must_use]
    pub const fn resolution(&self) -> f64 {
        match self.kind() {
            MeasureKind::Share | MeasureKind::Seconds => 1e-4,
            MeasureKind::Milliseconds => 0.1,
            MeasureKind::Rate | MeasureKind::Count => 1e-3,
        }
    }

    /// Whether it is a share, from 0 to 1.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.kind() == MeasureKind::Share
    }

    /// Makes sure that there are spikes where it times the recovery from them.
    ///
    /// # Errors
    /// A sentence that says that there are none.
    pub fn check_spikes(&self, has_spikes: bool) -> Result<(), String> {
        if matches!(self.figure, Figure::Spike { .. }) && !has_spikes {
            return Err(format!("`{self}` is timed from a spike, and the arrivals have no `spikes`"));
        }
        Ok(())
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Self::parse_placed(text)? {
            (measure, None) => Ok(measure),
            (_, Some(_)) => Err(format!("`{}` names a variant, and there is one only", text.trim())),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.class {
            Some(class) => write!(f, "{}{{class={class}}}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.class) == (&other.name, &other.class)
    }
}

impl Figure {
    const fn is_of_the_run(self) -> bool {
        matches!(self, Self::Spike { .. } | Self::Utilisation)
    }

    fn of(self, counts: &Counts, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::Mean { of, .. } => of(metrics).as_ref().map(|figure| figure.mean),
            Self::Share(column) => counts.share(column(counts)),
            Self::AttemptsPerRequest => counts.share(counts.attempts),
            Self::Latency { of, at, kind } => {
                let latency = of(metrics);
                let seconds = match at {
                    At::Mean => latency.mean.as_ref().map(|mean| mean.mean),
                    At::P50 => latency.p50,
                    At::P90 => latency.p90,
                    At::P99 => latency.p99,
                };
                seconds.map(|seconds| if kind == MeasureKind::Milliseconds { seconds * 1e3 } else { seconds })
            }
            Self::Spike { .. } | Self::Utilisation => None,
        }
    }
}

fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "goodput_rps" => Figure::Mean { of: |metrics| &metrics.goodput_rps, kind: MeasureKind::Rate },
        "goodput_fraction" => Figure::Share(|counts| counts.good),
        "late_fraction" => Figure::Share(|counts| counts.late),
        "degraded_fraction" => Figure::Share(|counts| counts.degraded),
        "rejected_fraction" => Figure::Share(Counts::rejected_in_all),
        "timed_out_fraction" => Figure::Share(|counts| counts.timed_out),
        "gave_up_fraction" => Figure::Share(|counts| counts.gave_up),
        "failed_fraction" => Figure::Share(Counts::failed_in_all),
        "in_flight_fraction" => Figure::Share(|counts| counts.in_flight),
        "retried_fraction" => Figure::Share(|counts| counts.retried),
        "attempts_per_request" => Figure::AttemptsPerRequest,
        "wait_probability" => Figure::Mean { of: |metrics| &metrics.wait_probability, kind: MeasureKind::Share },
        "wasted_fraction" => Figure::Mean { of: |metrics| &metrics.wasted_fraction, kind: MeasureKind::Share },
        "utilisation" => Figure::Utilisation,
        "recovery_s" => Figure::Spike { of: Recovery::mean_at_least_s, kind: MeasureKind::Seconds },
        "hysteresis_fraction" => Figure::Spike { of: Recovery::hysteresis, kind: MeasureKind::Share },
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
    let kind = match unit {
        "ms" => MeasureKind::Milliseconds,
        "s" => MeasureKind::Seconds,
        _ => return None,
    };
    Some(Figure::Latency { of, at, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_of_the_figures_unit() {
        let of = |name: &str| name.parse::<Measure>().unwrap().resolution();
        assert_eq!(["late_fraction", "utilisation"].map(of).map(f64::to_bits), [1e-4f64; 2].map(f64::to_bits));
        assert_eq!(
            ["p99_ttft_ms", "p99_e2e_s", "goodput_rps"].map(of).map(f64::to_bits),
            [0.1f64, 1e-4, 1e-3].map(f64::to_bits)
        );
    }

    #[test]
    fn a_bound_that_nothing_can_keep_is_told() {
        let check = |text: &str| {
            let (left, bound) = Bound::split(text).unwrap();
            left.parse::<Measure>().unwrap().check_bound(bound)
        };
        for bad in [
            "goodput_fraction >= 2",
            "late_fraction < 0",
            "utilisation > 1",
            "p99_ttft_ms <= -1",
            "goodput_rps < 0",
            "hysteresis_fraction >= 2",
        ] {
            assert!(check(bad).unwrap_err().contains("nothing can ever keep"), "{bad} was taken");
        }
        for good in ["goodput_fraction >= 1", "late_fraction <= 0", "goodput_rps >= 500", "attempts_per_request <= 3"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert!(check("wasted_fraction >= 1.5").unwrap_err().contains("from 0 to 1"));
    }

    /// A name says what its figure is counted in.
    #[test]
    fn kinds_are_as_the_names_say() {
        let kind = |name: &str| name.parse::<Measure>().unwrap().kind();
        let named = Measure::NAMES.split([',', ' ']).map(str::trim).filter(|name| name.contains('_') && name.len() > 1);
        for name in named.filter(|name| name.parse::<Measure>().is_ok()) {
            let is_share = name.ends_with("_fraction") || name == "wait_probability";
            assert_eq!(kind(name) == MeasureKind::Share, is_share, "{name}");
        }
        assert_eq!(kind("utilisation"), MeasureKind::Share);
        assert_eq!((kind("goodput_rps"), kind("recovery_s")), (MeasureKind::Rate, MeasureKind::Seconds));
        assert_eq!((kind("p99_ttft_ms"), kind("mean_e2e_s")), (MeasureKind::Milliseconds, MeasureKind::Seconds));
        assert_eq!(kind("attempts_per_request"), MeasureKind::Count);
    }
}
