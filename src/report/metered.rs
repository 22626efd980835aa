//! The metered side of a variant (seed 002, "Monitoring"): as lines under its table, and as a JSON object.

use serde::Serialize;

use super::envelope::{Mean, Ordered, mean};
use super::format::{NONE, count, duration, left, number, range, right, says_something};
use super::table::sparkline;
use crate::journal::MeteredCounts;
use crate::journal::summary::{LEVEL, MeteredSummary, Multiplier};

/// Characters of a kind of call's name.
const KIND: usize = 25;

/// The lines under a variant's table.
pub(super) fn lines(metered: &MeteredSummary) -> Vec<String> {
    let mut lines =
        vec![String::new(), "  metered API: reservations, lane, breaker, finalisation".to_owned(), reservations(metered)];
    lines.extend(counts(metered.counts));
    lines.push(good_tokens(metered));
    lines.extend(multipliers(metered));
    lines.extend(over_time(metered));
    lines
}

fn reservations(metered: &MeteredSummary) -> String {
    let all = &metered.reservations;
    let tokens = |q: f64| metered.reservation_quantile(q).map_or_else(|| NONE.to_owned(), count);
    let quantiles = if all.is_empty() {
        String::new()
    } else {
        let max = count(metered.reservation_max);
        format!("   tokens: p50 {}, p90 {}, p99 {}, max {max}", tokens(0.5), tokens(0.9), tokens(0.99))
    };
    format!("{}{quantiles}", counted("reservations", all.len()))
}

fn counts(counts: MeteredCounts) -> Vec<String> {
    let pairs = [
        (("trimmed to fit", counts.trims), ("answers cut short", counts.truncated)),
        (("heavy lane starts", counts.lane_acquisitions), ("circuit openings", counts.circuit_opens)),
        (("proxy degradations", counts.proxy_degradations), ("429s from upstream", counts.upstream_429)),
        (("finalised", counts.finalised), ("redispatched", counts.redispatched)),
    ];
    let line = |(one, other): &((&str, u64), (&str, u64))| format!("{} {}", counted(one.0, one.1), counted(other.0, other.1));
    pairs.iter().map(line).collect()
}

fn counted(name: &str, n: u64) -> String {
    format!("    {}{}", left(name, 20), right(&count(n), 15))
}

fn good_tokens(metered: &MeteredSummary) -> String {
    let rate = metered.good_tokens_per_hour.as_ref();
    let interval = rate.and_then(|rate| rate.interval(LEVEL)).filter(says_something);
    let interval = interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)));
    let shown = rate.map_or_else(|| NONE.to_owned(), |rate| number(rate.mean));
    format!("    {}{} tokens an hour{interval}", left("in good answers", 20), right(&shown, 15))
}

/// What was learned, beside what it began with and what would have been right; dashes without a limiter.
fn multipliers(metered: &MeteredSummary) -> Vec<String> {
    if metered.multipliers.is_empty() {
        return Vec::new();
    }
    let row = |name: &str, cells: [&str; 3]| format!("    {}{}", left(name, KIND), cells.map(|cell| right(cell, 12)).concat());
    let one = |multiplier: &Multiplier| {
        let [prior, learned, truth] = [multiplier.prior, multiplier.learned, multiplier.true_p90]
            .map(|figure| figure.map_or_else(|| NONE.to_owned(), number));
        row(&multiplier.kind, [&prior, &learned, &truth])
    };
    let heading = row("multiplier", ["prior", "at the end", "true p90"]);
    [String::new(), heading].into_iter().chain(metered.multipliers.iter().map(one)).collect()
}

/// Multipliers over time, drawn to one scale: of the kinds of call that arrived, where there is a limiter.
fn over_time(metered: &MeteredSummary) -> Vec<String> {
    let called = || metered.multipliers.iter().filter(|one| one.true_p90.is_some() && !one.over_time.is_empty());
    let top = called().flat_map(|one| one.over_time.iter().copied()).fold(0.0, f64::max);
    let columns = called().map(|one| one.over_time.len()).max();
    if top <= 0.0 {
        return Vec::new();
    }
    let width = metered.column.as_secs_f64();
    let heading = format!(
        "  multipliers, first replication, from 0 to {} (a column is {}, full height {})",
        duration(width * columns.unwrap_or(0) as f64),
        duration(width),
        number(top)
    );
    let line = |one: &Multiplier| format!("    {}|{}|", left(&one.kind, KIND), sparkline(&one.over_time, top));
    [String::new(), heading].into_iter().chain(called().map(line)).collect()
}

/// The metered side of a variant: counts summed over replications.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)] // as in `MeteredSummary`
pub struct MeteredReport {
    pub reservations: ReservationsReport,
    #[serde(flatten)]
    pub counts: MeteredCounts,
    pub good_tokens_per_hour: Mean,
    /// By kind of call.
    pub multipliers: Ordered<MultiplierReport>,
    /// Mean of `|learned - true p90| / true p90` over the kinds of call that arrived; null without a limiter.
    pub multiplier_error: Option<f64>,
    /// Length of a column of [`MultiplierReport::over_time`], seconds.
    pub column_s: f64,
}

/// Reservations, tokens; quantiles are null without any.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct ReservationsReport {
    pub count: u64,
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p99: Option<u64>,
    pub max: Option<u64>,
}

/// The multiplier of one kind of call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MultiplierReport {
    /// What it began with; null without a limiter.
    pub prior: Option<f64>,
    /// What it was at the end, mean over replications; null without a limiter.
    pub learned: Option<f64>,
    /// What would have been right; null where nothing was called.
    pub true_p90: Option<f64>,
    /// At the end of each column, in the first replication; empty without a limiter.
    pub over_time: Vec<f64>,
}

impl MeteredReport {
    pub(super) fn new(metered: &MeteredSummary) -> Self {
        let all = &metered.reservations;
        let multipliers = metered.multipliers.iter().map(|one| (one.kind.clone(), MultiplierReport::new(one)));
        Self {
            reservations: ReservationsReport {
                count: all.len(),
                p50: metered.reservation_quantile(0.5),
                p90: metered.reservation_quantile(0.9),
                p99: metered.reservation_quantile(0.99),
                max: (!all.is_empty()).then_some(metered.reservation_max),
            },
            counts: metered.counts,
            good_tokens_per_hour: mean(metered.good_tokens_per_hour.as_ref()),
            multipliers: Ordered(multipliers.collect()),
            multiplier_error: metered.multiplier_error,
            column_s: metered.column.as_secs_f64(),
        }
    }
}

impl MultiplierReport {
    fn new(one: &Multiplier) -> Self {
        Self { prior: one.prior, learned: one.learned, true_p90: one.true_p90, over_time: one.over_time.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::journal::summary::fixtures::{full_class, metered, tally};
    use crate::journal::summary::{Context, Summary, summarise};
    use crate::journal::{Metered, Tally};
    use crate::report::format::{WIDTH, width};
    use crate::report::{Envelope, variant};
    use crate::request::Profile;

    fn summary(metered: Metered) -> Summary {
        let context = Context { classes: vec!["search".into()], ..Context::default() };
        summarise(&[("seed", &[Tally { metered, ..tally(vec![full_class()], 1) }])], &context)
    }

    #[test]
    fn the_seeds_list_stands_under_the_table() {
        let (low, high) = ("▅".repeat(31), "█".repeat(32));
        let expected = format!(
            "
  metered API: reservations, lane, breaker, finalisation
    reservations                    999   tokens: p50 50,015, p90 90,047, p99 99,007, max 99,900
    trimmed to fit                   12     answers cut short                 3
    heavy lane starts                31     circuit openings                  4
    proxy degradations                5     429s from upstream                7
    finalised                         9     redispatched                      2
    in good answers             360,000 tokens an hour

    multiplier                      prior  at the end    true p90
    ungrounded NONE                  1.10        1.10       0.900
    grounded ALS_ONLY                2.50        3.50        4.00

  multipliers, first replication, from 0 to 101 s (a column is 1.60 s, full height 3.50)
    ungrounded NONE          |{}|
    grounded ALS_ONLY        |{low}{high}|
",
            "▂".repeat(63)
        );
        let shown = variant(&summary(metered(1_000)).variants[0]);
        assert!(shown.ends_with(&expected), "{shown}");
        assert!(shown.lines().all(|line| width(line) <= WIDTH), "{shown}");
    }

    #[test]
    fn without_a_limiter_multipliers_are_dashes_and_nothing_is_called() {
        let zeros = [0.0; Profile::KINDS];
        let series = vec![[0.0; Profile::KINDS]; 1_001];
        let none = Metered { priors: zeros, multipliers: zeros, multiplier_series: series, ..metered(1_000) };
        let shown = variant(&summary(none.clone()).variants[0]);
        assert!(shown.contains("    grounded ALS_ONLY                   -           -        4.00\n"), "{shown}");
        assert!(!shown.contains("multipliers, first replication"), "{shown}");
        let json = envelope(none);
        assert_eq!(json["multiplier_error"], Value::Null);
        let heavy = json!({"prior": null, "learned": null, "true_p90": 4.0, "over_time": []});
        assert_eq!(json["multipliers"]["grounded ALS_ONLY"], heavy);
    }

    /// What calls taught that a policy had sent another way stands in the list, but no such call ever arrived.
    #[test]
    fn kinds_that_never_arrived_are_not_called() {
        let mut moved = metered(1_000);
        moved.true_p90[4] = None;
        let shown = variant(&summary(moved).variants[0]);
        assert!(shown.contains("    grounded ALS_ONLY                2.50        3.50           -\n"), "{shown}");
        assert!(
            shown.contains("full height 1.10)\n    ungrounded NONE          |█") && !shown.contains("ALS_ONLY        |"),
            "{shown}"
        );
    }

    #[test]
    fn without_reservations_there_are_no_quantiles() {
        let idle = Metered { in_use: true, ..Metered::default() };
        let shown = variant(&summary(idle.clone()).variants[0]);
        assert!(shown.contains("    reservations                      0\n"), "{shown}");
        assert!(!shown.contains("multiplier"), "{shown}");
        let json = envelope(idle);
        assert_eq!(json["reservations"], json!({"count": 0, "p50": null, "p90": null, "p99": null, "max": null}));
        assert_eq!(json["multipliers"], json!({}));
    }

    fn envelope(metered: Metered) -> Value {
        let text = Envelope::new("adapter", 7, None, &summary(metered)).to_json();
        serde_json::from_str::<Value>(&text).unwrap()["variants"][0]["metered"].clone()
    }

    #[test]
    fn programs_read_the_same_list_and_null_without_such_policies() {
        assert_eq!(envelope(Metered::default()), Value::Null);
        assert!(!variant(&summary(Metered::default()).variants[0]).contains("metered API"));
        let json = envelope(metered(1_000));
        let counts = ["trims", "truncated", "lane_acquisitions", "circuit_opens", "proxy_degradations"];
        assert_eq!(counts.map(|name| json[name].as_u64().unwrap()), [12, 3, 31, 4, 5]);
        assert_eq!(["finalised", "redispatched", "upstream_429"].map(|name| json[name].as_u64().unwrap()), [9, 2, 7]);
        assert_eq!(json["reservations"]["count"], json!(999));
        assert_eq!(json["good_tokens_per_hour"], json!({"mean": 360_000.0, "ci95": null}));
        assert_eq!(json["column_s"], json!(1.6));
        // |1.1 - 0.9| / 0.9 and |3.5 - 4| / 4.
        assert!((json["multiplier_error"].as_f64().unwrap() - 0.173_611).abs() < 1e-6, "{json}");
        let grounded = &json["multipliers"]["grounded ALS_ONLY"];
        assert_eq!((&grounded["prior"], &grounded["learned"], &grounded["true_p90"]), (&json!(2.5), &json!(3.5), &json!(4.0)));
        assert_eq!(grounded["over_time"].as_array().unwrap().len(), 63);
    }
}
