//! Tables: an overview with a row for each variant, and for each variant everything that was counted and measured.

use super::envelope::digest_text;
use super::fairness;
use super::format::{NONE, WIDTH, count, duration, left, number, percent, range, right, says_something, tenths, width};
use super::metered;
use crate::journal::summary::{Abandoned, Counts, LEVEL, LatencyMetric, Metrics, RunCounts, Summary, VariantSummary};
use crate::stats::Replicated;

/// Characters of a name in an overview.
const NAME: usize = 28;
/// Characters of the left half of a variant's table.
const HALF: usize = 46;

/// One row for each variant.
#[must_use]
pub fn overview(summary: &Summary) -> String {
    let rows = summary.variants.iter().map(|variant| {
        let label = variant.label.overall().map_or(NONE, |label| label.name());
        row(&variant.name, &variant.counts, &variant.metrics, label)
    });
    lines(std::iter::once(row_heading("variant", "label")).chain(rows))
}

/// Everything about one variant, its classes in rows of their own where there are several.
#[must_use]
pub fn variant(variant: &VariantSummary) -> String {
    let (counts, figures) = (counted(variant), measured(variant));
    let body = (0..counts.len().max(figures.len())).map(|line| {
        let cell = |column: &[String]| column.get(line).cloned().unwrap_or_default();
        format!("{}   {}", left(&cell(&counts), HALF), cell(&figures)).trim_end().to_owned()
    });
    let classes = if variant.classes.len() > 1 { classes(variant) } else { Vec::new() };
    let abandoned = sparklines(&variant.abandoned);
    let metered = variant.metered.as_ref().map_or_else(Vec::new, metered::lines);
    lines(std::iter::once(title(variant)).chain(body).chain(abandoned).chain(metered).chain(classes))
}

/// Abandoned calls over time, counted and true, drawn to one scale.
fn sparklines(abandoned: &Abandoned) -> Vec<String> {
    let truly: Vec<f64> = abandoned.truly.iter().map(|n| f64::from(*n)).collect();
    let top = truly.iter().chain(&abandoned.counted).copied().fold(0.0, f64::max);
    if top <= 0.0 {
        return Vec::new();
    }
    let (column, columns) = (abandoned.column.as_secs_f64(), truly.len());
    vec![
        String::new(),
        format!(
            "  abandoned calls, first replication, from 0 to {} (a column is {}, full height {})",
            duration(column * columns as f64),
            duration(column),
            whole(top)
        ),
        format!("    counted |{}|", sparkline(&abandoned.counted, top)),
        format!("    true    |{}|", sparkline(&truly, top)),
    ]
}

/// One character a value, eight heights up to `top`; nothing at all is a blank.
pub(super) fn sparkline(values: &[f64], top: f64) -> String {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of 8
    let height = |value: f64| if value <= 0.0 { 0 } else { ((value / top * 8.0) as usize).clamp(1, 8) };
    values.iter().map(|value| HEIGHTS[height(*value)]).collect()
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}

fn title(variant: &VariantSummary) -> String {
    let name = format!("{}: {}", variant.name, variant.label.overall().map_or("not run", |label| label.name()));
    let digest = format!("digest {}", digest_text(variant.digest));
    let gap = WIDTH.saturating_sub(width(&name) + width(&digest));
    if gap > 1 { format!("{name}{}{digest}", " ".repeat(gap)) } else { format!("{name}\n  {digest}") }
}

fn classes(variant: &VariantSummary) -> Vec<String> {
    let rows = variant.classes.iter().map(|class| row(&class.name, &class.counts, &class.metrics, ""));
    let heading = [String::new(), row_heading("  class", "")];
    heading.into_iter().chain(rows.map(|row| indent(&row))).chain(fairness::lines(variant)).collect()
}

/// Two spaces in front, taken from the name's column.
fn indent(row: &str) -> String {
    let name: String = row.chars().take(NAME).collect();
    let rest: String = row.chars().skip(NAME).collect();
    format!("  {}{rest}", left(name.trim_end(), NAME - 2))
}

fn row_heading(name: &str, label: &str) -> String {
    row_of(name, ["good of offered (95 %)", "goodput", "TTFT p99", "rejected"].map(str::to_owned), label)
}

fn row(name: &str, counts: &Counts, metrics: &Metrics, label: &str) -> String {
    let cells = [
        metrics.goodput_fraction.as_ref().map_or(NONE.to_owned(), share_with_interval),
        metrics.goodput_rps.as_ref().map_or(NONE.to_owned(), |goodput| format!("{}/s", number(goodput.mean))),
        metrics.ttft.p99.map_or(NONE.to_owned(), duration),
        counts.share(counts.rejected_in_all()).map_or(NONE.to_owned(), percent),
    ];
    row_of(name, cells, label)
}

fn row_of(name: &str, [good, goodput, ttft, rejected]: [String; 4], label: &str) -> String {
    let cells = format!("{} {} {} {}", right(&good, 24), right(&goodput, 10), right(&ttft, 10), right(&rejected, 9));
    format!("{}{cells}  {label}", left(name, NAME))
}

fn share_with_interval(share: &Replicated) -> String {
    let interval = share.interval(LEVEL).filter(says_something);
    let interval = interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 100.0, tenths)));
    format!("{}{interval}", percent(share.mean))
}

/// Left half: the columns that add up, with their shares of what was offered.
fn counted(variant: &VariantSummary) -> Vec<String> {
    let counts = &variant.counts;
    let row = |name: &str, n: u64| count_row(name, n, counts.share(n));
    let part = |name: &str, n: u64| count_row(&format!("  {name}"), n, counts.share(n));
    let mut rows = vec![
        format!("  {}", if variant.label.each.len() == 1 { "requests" } else { "requests, over all replications" }),
        row("offered", counts.offered),
        row("good", counts.good),
        row("late", counts.late),
        row("degraded", counts.degraded),
        row("rejected", counts.rejected_in_all()),
    ];
    rows.extend(counts.rejected_by_reason().map(|(reason, n)| part(reason.name(), n)));
    rows.push(row("timed out", counts.timed_out));
    rows.push(row("gave up", counts.gave_up));
    rows.push(row("failed", counts.failed_in_all()));
    rows.extend(counts.failed_by_cause().map(|(cause, n)| part(cause.name(), n)));
    rows.push(row("in flight at the end", counts.in_flight));
    rows.push(row("retried", counts.retried));
    rows.push(count_row("attempts", counts.attempts, None));
    rows
}

fn count_row(name: &str, n: u64, share: Option<f64>) -> String {
    format!("  {}{}{}", left(name, 22), right(&count(n), 13), right(&share.map_or(String::new(), percent), 9))
}

/// Right half: latencies and what else was measured.
fn measured(variant: &VariantSummary) -> Vec<String> {
    let metrics = &variant.metrics;
    let mut rows = vec![
        latency_cells("of admitted", &["mean", "p50", "p90", "p99"].map(str::to_owned)),
        latency_row("TTFT", &metrics.ttft),
        latency_row("TPOT", &metrics.tpot),
        latency_row("ITL", &metrics.itl),
        latency_row("e2e", &metrics.e2e),
        latency_row("wait", &metrics.wait),
        String::new(),
    ];
    rows.push(figure("goodput", metrics.goodput_rps.as_ref(), |x| format!("{} req/s", number(x))));
    rows.push(figure("good of offered", metrics.goodput_fraction.as_ref(), percent));
    rows.push(figure("tokens wasted", metrics.wasted_fraction.as_ref(), percent));
    rows.push(figure("requests waiting", variant.run_metrics.queue_len.as_ref(), number));
    rows.push(figure("utilisation", variant.run_metrics.utilisation.as_ref(), percent));
    rows.extend(variant.run_counts.as_ref().map(abandoned));
    rows
}

fn abandoned(run: &RunCounts) -> String {
    let counted = whole(run.abandoned_counted_max);
    let truly = count(u64::from(run.abandoned_true_max));
    format!("{}{counted} counted, {truly} true", left("abandoned, max", 17))
}

/// Tenths, unless it is a whole number.
fn whole(value: f64) -> String {
    let text = tenths(value);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn latency_row(name: &str, metric: &LatencyMetric) -> String {
    let mean = metric.mean.as_ref().map(|mean| mean.mean);
    latency_cells(name, &[mean, metric.p50, metric.p90, metric.p99].map(|figure| figure.map_or(NONE.to_owned(), duration)))
}

fn latency_cells(name: &str, cells: &[String; 4]) -> String {
    let [mean, p50, p90, p99] = cells.each_ref().map(|cell| right(cell, 8));
    format!("{} {mean} {p50} {p90} {p99}", left(name, 11))
}

/// A mean with its 95 % interval, in one form.
fn figure(name: &str, figure: Option<&Replicated>, form: impl Fn(f64) -> String) -> String {
    let Some(figure) = figure else { return format!("{}{NONE}", left(name, 17)) };
    // The unit once, behind the mean: `4.00 req/s (3.90 to 4.10)`.
    let bare = |x: f64| form(x).split(' ').next().unwrap_or_default().to_owned();
    let interval = figure.interval(LEVEL).filter(says_something);
    let interval = interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, bare)));
    format!("{}{}{interval}", left(name, 17), form(figure.mean))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
