//! A log's figures for people.

use std::fmt::Write as _;

use crate::cli::progress::Progress;
use crate::report::format::{count, duration, left, long, number, percent, right};
use crate::trace::flow::Accounts;
use crate::trace::stats::{Quantiles, Summary, Tokens};
use crate::trace::{Head, misread};

/// Classes whose lengths are shown.
const CLASSES_SHOWN: usize = 10;

/// Tells of progress, not of each request: that would cost more than reading it.
pub struct Steps<'a> {
    progress: &'a Progress,
    since: u64,
}

impl<'a> Steps<'a> {
    const AT_ONCE: u64 = 8_192;

    /// None yet.
    pub const fn new(progress: &'a Progress) -> Self {
        Self { progress, since: 0 }
    }

    /// One more.
    pub fn one(&mut self) {
        self.since += 1;
        if self.since == Self::AT_ONCE {
            self.progress.advance(self.since);
            self.since = 0;
        }
    }
}

/// What the log is, and what the reader had to choose.
pub fn head(head: &Head) -> String {
    let mut text = format!("{}: {}, recognised by {}", head.file, head.format.name(), head.recognised_by);
    for note in &head.notes {
        let _ = write!(text, "\nnote: {note}"); // a String takes everything
    }
    text
}

/// Everything.
pub fn summary(log: &Head, accounts: &Accounts, summary: &Summary) -> String {
    let mut text = format!("{}\n", head(log));
    for sentence in accounts.sentences() {
        text.push_str(&sentence);
        text.push('\n');
    }
    if summary.requests == 0 {
        text.push_str("\nNo request is left: there is nothing to say of them.\n");
        return text;
    }
    if let Some(why) = summary.first_unix_ns.and_then(misread) {
        let _ = writeln!(text, "note: {why}"); // a String takes everything
    }
    arrivals(&mut text, summary);
    tokens(&mut text, summary);
    latencies(&mut text, summary);
    tenants(&mut text, summary);
    outcomes(&mut text, summary);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {}{value}", left(name, 26));
}

fn arrivals(text: &mut String, summary: &Summary) {
    text.push_str("\nArrivals\n");
    line(text, "requests", &count(summary.requests));
    if let Some(first) = summary.first_unix_ns {
        line(text, "first", &utc(first));
    }
    line(text, "span", &long(summary.span_s));
    if let Some(rate) = summary.rate_rps {
        line(text, "mean rate", &format!("{} req/s", number(rate)));
    }
    // Of a log shorter than the window there is no peak, but what it lacks.
    for peak in summary.peaks.iter().filter(|peak| peak.window_s <= summary.span_s.max(1.0)) {
        let name = format!("peak over {} s", peak.window_s);
        let dispersion = peak.dispersion.map_or(String::new(), |index| format!("; index of dispersion {}", number(index)));
        let at = long(peak.at_s);
        line(text, &name, &format!("{} req/s ({} requests, {at} in){dispersion}", number(peak.rps), count(peak.requests)));
    }
    if let (Some(gap), Some(at)) = (summary.longest_gap_s, summary.longest_gap_at_s) {
        let share =
            if summary.span_s > 0.0 { format!(", {} of the span", percent(gap / summary.span_s)) } else { String::new() };
        line(text, "longest without one", &format!("{}{share} ({} in)", long(gap), long(at)));
    }
    if let Some(cv) = summary.interarrival_cv {
        line(text, "CV of the time between", &format!("{} (Poisson arrivals have 1)", number(cv)));
    }
}

const COLUMNS: [&str; 8] = ["", "known", "mean", "p10", "p50", "p90", "p99", "max"];

fn header(text: &mut String, title: &str) {
    let _ = write!(text, "\n{}", left(title, 26));
    for column in &COLUMNS[1..] {
        text.push_str(&right(column, 10));
    }
    text.push('\n');
}

fn quantiles(text: &mut String, name: &str, known: u64, found: &Quantiles, shown: impl Fn(f64) -> String) {
    let _ = write!(text, "  {}{}", left(name, 24), right(&count(known), 10));
    for value in [found.mean, found.p10, found.p50, found.p90, found.p99, found.max] {
        text.push_str(&right(&shown(value), 10));
    }
    text.push('\n');
}

fn tokens(text: &mut String, summary: &Summary) {
    header(text, "Tokens");
    let mut block = |class: &str, tokens: &[Tokens]| {
        for of in tokens {
            if let Some(found) = &of.quantiles {
                let name = if class.is_empty() { of.of.to_owned() } else { format!("{class}: {}", of.of) };
                quantiles(text, &name, of.known, found, number);
            }
        }
    };
    block("", &summary.tokens);
    if summary.classes.len() > 1 {
        for (class, tokens) in summary.classes.iter().take(CLASSES_SHOWN) {
            block(&shortened(class), tokens);
        }
    }
    if summary.classes.len() > CLASSES_SHOWN {
        let _ = writeln!(text, "  and {} classes more", summary.classes.len() - CLASSES_SHOWN);
    }
}

fn latencies(text: &mut String, summary: &Summary) {
    if summary.ttft_s.is_none() && summary.e2e_s.is_none() {
        return;
    }
    header(text, "Recorded latencies");
    for (name, found) in [("time to first token", &summary.ttft_s), ("end to end", &summary.e2e_s)] {
        if let Some(found) = found {
            quantiles(text, name, found.count, found, duration);
        }
    }
}

fn tenants(text: &mut String, summary: &Summary) {
    if summary.tenants < 2 {
        return;
    }
    let _ = writeln!(text, "\nTenants: {}; those with most requests", count(summary.tenants));
    for share in &summary.top_tenants {
        let (requests, tokens) = (percent(share.share), percent(share.token_share));
        line(text, &shortened(&share.name), &format!("{requests} of requests, {tokens} of tokens"));
    }
}

fn outcomes(text: &mut String, summary: &Summary) {
    if summary.outcomes.iter().all(|(name, _)| name == "unknown") {
        text.push_str("\nOutcomes: the log does not say how requests ended\n");
        return;
    }
    text.push_str("\nOutcomes\n");
    for (name, requests) in &summary.outcomes {
        line(text, name, &format!("{} ({})", count(*requests), percent(*requests as f64 / summary.requests as f64)));
    }
    if !summary.statuses.is_empty() {
        let statuses: Vec<String> =
            summary.statuses.iter().take(20).map(|(status, requests)| format!("{status}: {}", count(*requests))).collect();
        line(text, "statuses", &statuses.join(", "));
    }
}

fn shortened(name: &str) -> String {
    const LONGEST: usize = 16;
    let shown = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    if name.chars().count() <= LONGEST { shown.collect() } else { shown.take(LONGEST - 1).chain(['…']).collect() }
}

/// A date and time of day in UTC, by the days-to-date algorithm for the proleptic Gregorian calendar (Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
pub fn utc(unix_ns: i64) -> String {
    let secs = unix_ns.div_euclid(1_000_000_000);
    let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (secs, shown) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_715_299_200, "2024-05-10 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(secs * 1_000_000_000), shown);
        }
    }

    #[test]
    fn long_names_and_those_with_line_ends_fit_their_line() {
        assert_eq!(shortened("team\nblue"), "team blue");
        assert_eq!(shortened("a-very-long-tenant-name"), "a-very-long-ten…");
    }
}
