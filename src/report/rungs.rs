//! What the policies in front of a metered API did, a row for each variant: the rungs of a rollout side by side.

use super::format::{NONE, WIDTH, count, duration, left, number, right, says_something, width};
use crate::journal::summary::{LEVEL, MeteredSummary, Summary, VariantSummary};
use crate::request::{Cause, Reason};

/// Headings, two lines each, of all columns but the name.
const HEADINGS: [[&str; 2]; COLUMNS] = [
    ["", "429s"],
    ["over", "budget"],
    ["proxy", "fails"],
    ["", "trims"],
    ["cut", "short"],
    ["lane", "starts"],
    ["circ.", "opens"],
    ["final-", "ised"],
    ["mult.", "error"],
    ["good tokens", "1,000/h ±95%"],
    ["wait", "p90"],
];
const COLUMNS: usize = 11;

/// From here on, counts stand in thousands: the exact ones stand under the variant's own table.
const COUNT_EXACT_MAX: u64 = 99_999;

/// Characters of a class's name in the heading.
const CLASS: usize = 20;

/// The table; nothing where no variant has a metered side.
pub(super) fn table(summary: &Summary) -> Option<String> {
    let lightest = summary.variants.iter().find_map(|variant| variant.metered.as_ref())?.lightest;
    // The waiting time comes last, and goes where there is no class to take it from.
    let columns = if lightest.is_some() { COLUMNS } else { COLUMNS - 1 };
    let rows: Vec<(&str, [String; COLUMNS])> = summary.variants.iter().map(|one| (one.name.as_str(), cells(one))).collect();
    let widest = |column: usize| {
        let cells = rows.iter().map(|(_, cells)| width(&cells[column]));
        cells.chain(HEADINGS[column].map(width)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(|column| 1 + widest(column)).collect();
    let longest = rows.iter().map(|(name, _)| width(name)).chain([width("variant")]).max().unwrap_or(0);
    let name_columns = longest.min(WIDTH.saturating_sub(widths.iter().sum()));
    let line = |name: &str, cells: &[&str]| {
        let cells: String = cells.iter().zip(&widths).map(|(cell, columns)| right(cell, *columns)).collect();
        format!("{}{cells}\n", left(name, name_columns))
    };
    let heading = |which: usize, name| line(name, &HEADINGS.map(|heading| heading[which]));
    let rows = rows.iter().map(|(name, cells)| line(name, &cells.each_ref().map(String::as_str)));
    let opening = [title(summary, lightest), heading(0, ""), heading(1, "variant")];
    Some(opening.into_iter().chain(rows).collect())
}

fn title(summary: &Summary, lightest: Option<usize>) -> String {
    let class = lightest.and_then(|class| summary.variants.first()?.classes.get(class));
    let wait = class.map_or(String::new(), |class| {
        format!("; wait: class {}, the lightest", left(&class.name, CLASS.min(width(&class.name))))
    });
    let over = if summary.replications == 1 { "" } else { ", over all replications" };
    format!("in front of the metered API{over}{wait}\n")
}

fn cells(variant: &VariantSummary) -> [String; COLUMNS] {
    let Some(metered) = &variant.metered else { return std::array::from_fn(|_| NONE.to_owned()) };
    let wait = metered.lightest.and_then(|class| variant.classes.get(class)?.metrics.wait.p90);
    [
        brief(metered.counts.upstream_429),
        brief(variant.counts.rejected[Reason::OverBudget as usize]),
        brief(variant.counts.failed[Cause::Proxy as usize]),
        brief(metered.counts.trims),
        brief(metered.counts.truncated),
        brief(metered.counts.lane_acquisitions),
        brief(metered.counts.circuit_opens),
        brief(metered.counts.finalised),
        metered.multiplier_error.map_or_else(|| NONE.to_owned(), number),
        good_tokens(metered),
        wait.map_or_else(|| NONE.to_owned(), duration),
    ]
}

/// `99,999`, then `100k`, then `100M`.
fn brief(n: u64) -> String {
    match n {
        0..=COUNT_EXACT_MAX => count(n),
        _ if n <= 1_000 * COUNT_EXACT_MAX => format!("{}k", number(n as f64 / 1e3)),
        _ => format!("{}M", number(n as f64 / 1e6)),
    }
}

/// Thousands an hour, with their interval.
fn good_tokens(metered: &MeteredSummary) -> String {
    let Some(rate) = &metered.good_tokens_per_hour else { return NONE.to_owned() };
    let interval = rate.interval(LEVEL).filter(says_something);
    let interval = interval.map_or(String::new(), |interval| format!(" ± {}", number(0.5e-3 * (interval.hi - interval.lo))));
    format!("{}{interval}", number(rate.mean / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::summary::fixtures::{class, full_class, metered, tally};
    use crate::journal::summary::{Context, summarise};
    use crate::journal::{ClassTally, Metered, MeteredCounts, Tally};
    use crate::report::text;
    use crate::request::Profile;

    fn run(metered: Metered, digest: u64) -> Tally {
        Tally { metered, ..tally(vec![full_class(), class(100, 90, 200)], digest) }
    }

    fn context(lightest: Option<usize>) -> Context {
        Context { classes: vec!["research".into(), "chat".into()], lightest, ..Context::default() }
    }

    fn no_limiter() -> Metered {
        Metered { priors: [0.0; Profile::KINDS], multipliers: [0.0; Profile::KINDS], good_tokens: 0, ..metered(1) }
    }

    fn over_budget() -> ClassTally {
        let mut class = class(100, 90, 200);
        (class.rejected[Reason::QueueFull as usize], class.rejected[Reason::OverBudget as usize]) = (3, 7);
        (class.good, class.failed[Cause::Proxy as usize]) = (class.good - 5, 5);
        class
    }

    #[test]
    fn a_row_for_each_variant_and_dashes_where_there_is_no_figure() {
        let one = metered(1);
        let counts = MeteredCounts { trims: 99_999, upstream_429: 123_456, ..one.counts };
        let busy = Metered { counts, good_tokens: 12_000, ..one };
        let refusing = Tally { metered: metered(1), ..tally(vec![full_class(), over_budget()], 5) };
        let variants: [(&str, &[Tally]); 4] = [
            ("none", &[run(no_limiter(), 1)]),
            ("limiter", &[run(metered(1), 2), run(busy, 3)]),
            ("not in front of it", &[run(Metered::default(), 4)]),
            ("refusing", &[refusing]),
        ];
        let shown = table(&summarise(&variants, &context(Some(1)))).unwrap();
        let expected = "\
in front of the metered API, over all replications; wait: class chat, the lightest
                          over proxy         cut   lane circ. final- mult.  good tokens    wait
variant            429s budget fails trims short starts opens   ised error 1,000/h ±95%     p90
none                  7      0     0    12     3     31     4      9     -        0.000 80.0 ms
limiter            123k      0     0  100k     6     62     8     18 0.174    396 ± 427 80.0 ms
not in front of it    -      -     -     -     -      -     -      -     -            -       -
refusing              7      7     5    12     3     31     4      9 0.174          360 80.0 ms
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn without_a_light_class_there_is_no_waiting_time_and_without_metering_no_table() {
        let shown = table(&summarise(&[("a", &[run(metered(1), 1)])], &context(None))).unwrap();
        assert!(!shown.contains("wait") && !shown.contains("over all replications"), "{shown}");
        assert_eq!(table(&summarise(&[("a", &[run(Metered::default(), 1)])], &context(Some(1)))), None);
    }

    #[test]
    fn it_stands_under_the_overview_and_no_line_is_too_long() {
        let huge = 999_999_999; // calls that no run makes
        let counts = MeteredCounts {
            trims: huge,
            truncated: huge,
            lane_acquisitions: huge,
            circuit_opens: huge,
            finalised: huge,
            upstream_429: huge,
            ..MeteredCounts::default()
        };
        let most = Metered { counts, good_tokens: huge, ..metered(1) };
        let less = Metered { good_tokens: huge / 2, ..metered(1) };
        let runs = [run(most, 1), run(less, 2)];
        let names = ["a variant's name that is quite long", "another one, as long as the first"];
        let mut context = context(Some(1));
        context.classes[1] = "a class's name that is far longer than any that a person would type".into();
        let shown = text("any", 1, None, &summarise(&names.map(|name| (name, &runs[..])), &context));
        let (overview, beside) = (shown.find("\nvariant "), shown.find("\nin front of the metered API"));
        assert!(overview.is_some() && overview < beside && beside < shown.find("  requests"), "{shown}");
        for line in shown.lines() {
            assert!(width(line) <= WIDTH, "{}: {line}", width(line));
        }
    }
}
