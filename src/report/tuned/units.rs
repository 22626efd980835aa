//! Figures of a tuning with their units, as people read them.

use crate::journal::summary::{Measure, MeasureKind};
use crate::report::format::{hundredths, number, range, tenths};
use crate::stats::Interval;
use crate::tune::Figure;

/// Differences below it, in any unit here, are rounding.
const NOTHING: f64 = 1e-6;

/// What a figure is counted in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Requests a second.
    Rate,
    /// A part of a whole: levels in percent, differences in points.
    Share,
    Milliseconds,
    Seconds,
    /// A number as it is.
    Plain,
}

impl Unit {
    pub(super) const fn of(measure: &Measure) -> Self {
        match measure.kind() {
            MeasureKind::Rate => Self::Rate,
            MeasureKind::Share => Self::Share,
            MeasureKind::Milliseconds => Self::Milliseconds,
            MeasureKind::Seconds => Self::Seconds,
            MeasureKind::Count => Self::Plain,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Rate => " req/s",
            Self::Share => " %",
            Self::Milliseconds => " ms",
            Self::Seconds => " s",
            Self::Plain => "",
        }
    }

    /// What a plain figure is counted in: a share, from 0 to 1, in nothing.
    pub(super) fn plain(self) -> &'static str {
        if self == Self::Share { "" } else { self.suffix().trim_start() }
    }

    /// An interval of levels, without what no such figure can be: below 0, or shares above 1.
    pub(super) fn possible(self, interval: Interval) -> Interval {
        interval.clamped(0.0, if self == Self::Share { 1.0 } else { f64::INFINITY })
    }

    /// A level without its unit, for columns.
    pub(super) fn bare(self, x: f64) -> String {
        if self == Self::Share { tenths(100.0 * x) } else { number(x) }
    }

    /// `56.5 req/s`, `93.4 %`.
    pub(super) fn level(self, x: f64) -> String {
        self.bare(x) + self.suffix()
    }

    /// The same with its interval: `56.5 req/s (56.4 to 56.6)`.
    pub(super) fn level_with(self, figure: Figure) -> String {
        let interval = figure
            .interval
            .map_or(String::new(), |interval| format!(" ({})", range(self.possible(interval), 1.0, |x| self.bare(x))));
        self.level(figure.mean) + &interval
    }

    /// A difference without its unit, for columns.
    pub(super) fn bare_difference(self, x: f64) -> String {
        let x = if x.abs() < NOTHING { 0.0 } else { x };
        if self == Self::Share { hundredths(100.0 * x) } else { number(x) }
    }

    /// `2.10 req/s`, `0.45 points`.
    pub(super) fn difference(self, x: f64) -> String {
        let suffix = if self == Self::Share { " points" } else { self.suffix() };
        self.bare_difference(x) + suffix
    }

    /// The same with its interval.
    pub(super) fn difference_with(self, figure: Figure) -> String {
        let range = |interval| format!(" ({})", range(interval, 1.0, |x| self.bare_difference(x)));
        self.difference(figure.mean) + &figure.interval.map_or(String::new(), range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units_and_shares_percent_and_points() {
        let unit = |name: &str| Unit::of(&name.parse().unwrap());
        let figure = Figure { mean: 0.1234, interval: Some(Interval { lo: 0.12, hi: 0.1268 }) };
        assert_eq!(unit("goodput_fraction{class=a}").level_with(figure), "12.3 % (12.0 to 12.7)");
        assert_eq!(unit("late_fraction").difference_with(Figure { mean: 0.0021, interval: None }), "0.21 points");
        assert_eq!(unit("goodput_rps").level(56.54), "56.5 req/s");
        assert_eq!(unit("p99_ttft_ms").difference(-5_314.2), "-5,314 ms");
        assert_eq!(unit("p99_ttft_ms").difference(-9.3e-13), "0.000 ms");
        assert_eq!(unit("recovery_s").level(2.5), "2.50 s");
        assert_eq!(unit("attempts_per_request").level(1.25), "1.25");
        let wide = |mean: f64, half: f64| Figure { mean, interval: Some(Interval::around(mean, half)) };
        assert_eq!(unit("goodput_fraction").level_with(wide(0.98, 0.05)), "98.0 % (93.0 to 100.0)");
        assert_eq!(unit("p99_ttft_ms").level_with(wide(20.0, 50.0)), "20.0 ms (0.000 to 70.0)");
        assert_eq!(unit("goodput_fraction").difference_with(wide(0.98, 0.05)), "98.0 points (93.0 to 103.0)");
    }
}
