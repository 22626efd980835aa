//! An axis: linear, logarithmic or of choices, as plotters understands it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::clock;
use super::font;
use super::ticks::{self, Unit};

/// Pixels to the em of tick labels.
pub(super) const TICK_SIZE: f64 = 11.0;

/// From `lo` at the left or bottom to `hi` at the right or top (`lo` may be the greater one).
#[derive(Clone, Debug)]
pub(super) struct Axis {
    lo: f64,
    hi: f64,
    log: bool,
    ticks: Vec<f64>,
    labels: Vec<String>,
    unit: Unit,
}

impl Axis {
    /// Linear, from a round number at or below `lo` to one at or above `hi`, with about `about` steps between.
    pub(super) fn linear((lo, hi): (f64, f64), about: usize, unit: Unit) -> Self {
        let (lo, hi) = apart(lo, hi);
        let ticks = ticks::linear(lo, hi, about);
        let (lo, hi) = (ticks[0], ticks[ticks.len() - 1]);
        Self::new(lo, hi, false, ticks, unit)
    }

    /// Linear, from exactly `lo` to exactly `hi`.
    pub(super) fn snug((lo, hi): (f64, f64), about: usize, unit: Unit) -> Self {
        let (lo, hi) = apart(lo, hi);
        Self::new(lo, hi, false, ticks::within(ticks::linear(lo, hi, about), lo, hi), unit)
    }

    /// A clock's time of day in UTC, from exactly `lo` to exactly `hi` seconds after `began`, nanoseconds since 1970; over more
    /// than two days with the date.
    pub(super) fn clock((lo, hi): (f64, f64), began: i64) -> Self {
        let (lo, hi) = apart(lo, hi);
        let (ticks, labels) = clock::ticks(lo, hi, began);
        Self { lo, hi, log: false, ticks, labels, unit: Unit::Number }
    }

    /// Logarithmic, from `lo` to `hi` (above 0).
    pub(super) fn log((lo, hi): (f64, f64), unit: Unit) -> Self {
        let (lo, hi) = (lo.clamp(1e-290, 1e290), hi.clamp(1e-290, 1e290));
        let (lo, hi) = if hi > lo * 1.000_001 { (lo, hi) } else { (lo / 1.5, hi * 1.5) };
        Self::new(lo, hi, true, ticks::log(lo, hi), unit)
    }

    /// One place for each name, left to right; a name gets `room` pixels.
    pub(super) fn choices(names: &[String], room: f64) -> Self {
        let labels = names.iter().map(|name| font::shorten(name, room, TICK_SIZE, false)).collect();
        let ticks = (0..names.len()).map(|i| i as f64).collect();
        Self { lo: -0.5, hi: names.len() as f64 - 0.5, log: false, ticks, labels, unit: Unit::Number }
    }

    /// The same, the other way round: the first name at the top of a vertical axis.
    pub(super) fn reversed(mut self) -> Self {
        std::mem::swap(&mut self.lo, &mut self.hi);
        self
    }

    /// The same with ticks at these values.
    pub(super) fn ticked(self, ticks: Vec<f64>) -> Self {
        Self::new(self.lo, self.hi, self.log, ticks, self.unit)
    }

    /// The same without what is written at its ticks: for panels that share the axis below.
    pub(super) fn silent(mut self) -> Self {
        self.labels.iter_mut().for_each(String::clear);
        self
    }

    fn new(lo: f64, hi: f64, log: bool, ticks: Vec<f64>, unit: Unit) -> Self {
        let labels = ticks::labels(&ticks, unit);
        Self { lo, hi, log, ticks, labels, unit }
    }

    /// Both ends, the smaller first.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.lo.min(self.hi), self.lo.max(self.hi))
    }

    /// `x`, or the end that it lies beyond.
    pub(super) fn clamped(&self, x: f64) -> f64 {
        let (lo, hi) = self.ends();
        x.clamp(lo, hi)
    }

    /// Whether `x` can be shown.
    pub(super) fn shows(&self, x: f64) -> bool {
        let (lo, hi) = self.ends();
        let slack = (hi - lo) * 1e-9;
        x.is_finite() && x >= lo - slack && x <= hi + slack
    }

    /// The widest label, in pixels.
    pub(super) fn label_room(&self) -> f64 {
        self.labels.iter().map(|label| font::width(label, TICK_SIZE, false)).fold(0.0, f64::max)
    }

    /// How far along the axis `x` lies: 0 at `lo`, 1 at `hi`.
    fn part(&self, x: f64) -> f64 {
        if self.log {
            let lo = libm::log10(self.lo);
            (libm::log10(x.max(f64::MIN_POSITIVE)) - lo) / (libm::log10(self.hi) - lo)
        } else {
            (x - self.lo) / (self.hi - self.lo)
        }
    }
}

/// Two ends that are not one: a constant gets some air.
fn apart(lo: f64, hi: f64) -> (f64, f64) {
    let air = if lo.abs() < 1e-300 { 1.0 } else { 0.1 * lo.abs() };
    match hi - lo {
        gap if gap > (1e-9 * lo.abs().max(hi.abs())).max(1e-300) => (lo, hi),
        _ if lo >= 0.0 => ((lo - air).max(0.0), hi + air),
        _ => (lo - air, hi + air),
    }
}

/// Smallest and greatest finite value; beyond 1e300 nothing can be shown, since differences would not be finite.
pub(super) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|x| x.abs() < 1e300).fold(None, |ends, x| match ends {
        None => Some((x, x)),
        Some((lo, hi)) => Some((lo.min(x), hi.max(x))),
    })
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation)] // tenths of pixels on a page; `as` saturates
    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let length = f64::from(end) - f64::from(start);
        (f64::from(start) + length * self.part(*value).clamp(-9.0, 9.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Plotters asks twice: for thick lines with labels and for thin ones without. We have no thin ones.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.lo..self.hi
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let found = self.ticks.iter().position(|tick| tick.to_bits() == value.to_bits());
        found.map_or_else(String::new, |i| self.labels[i].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_where_they_belong() {
        for axis in [Axis::linear((0.0, 10.0), 5, Unit::Number), Axis::log((0.1, 1000.0), Unit::Seconds)] {
            let (lo, hi) = axis.ends();
            assert_eq!((axis.map(&lo, (100, 900)), axis.map(&hi, (100, 900))), (100, 900));
            assert_eq!((axis.map(&lo, (900, 100)), axis.map(&hi, (900, 100))), (900, 100));
        }
        assert_eq!(Axis::log((0.01, 100.0), Unit::Number).map(&1.0, (0, 100)), 50);
        assert_eq!(Axis::choices(&["a".to_owned(), "b".to_owned()], 50.0).reversed().map(&0.0, (100, 0)), 25);
    }

    #[test]
    fn a_constant_has_an_axis() {
        for x in [0.0, 3.0, -2.0, 1e-12] {
            let axis = Axis::linear((x, x), 5, Unit::Number);
            let (lo, hi) = axis.ends();
            assert!(lo <= x && x <= hi && lo < hi, "{axis:?}");
        }
        let axis = Axis::log((5.0, 5.0), Unit::Number);
        assert!(axis.ends().0 < 5.0 && axis.ends().1 > 5.0);
    }

    #[test]
    fn what_is_not_finite_has_no_extent() {
        assert_eq!(extent([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(extent([f64::NAN]), None);
    }
}
