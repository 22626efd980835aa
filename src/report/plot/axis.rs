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

    /// The same with air above `most`, the greatest that it shows, where that stands at its end.
    pub(super) fn roomy(mut self, most: f64) -> Self {
        /// Share of the axis.
        const AIR: f64 = 0.07;
        let air = AIR * (self.hi - self.lo);
        if !self.log && self.hi - most < air {
            self.hi = most + air;
        }
        self
    }

    /// The same with ticks at these values.
    pub(super) fn ticked(self, ticks: Vec<f64>) -> Self {
        Self::new(self.lo, self.hi, self.log, ticks, self.unit)
    }

    /// The same with so few labels that they do not overprint each other on `room` pixels: every second, third, ... of ticks that
    /// are evenly spaced, 0 among them where it is one; of others those that find room, from the lower end on.
    pub(super) fn uncrowded(mut self, room: f64) -> Self {
        let mut order: Vec<usize> = (0..self.ticks.len()).collect();
        order.sort_by(|a, b| self.part(self.ticks[*a]).total_cmp(&self.part(self.ticks[*b])));
        let zero = order.iter().position(|i| self.ticks[*i] == 0.0).unwrap_or(0);
        let each = |stride: usize| -> Vec<usize> { order.iter().copied().skip(zero % stride).step_by(stride).collect() };
        let kept = if self.log || ticks::uneven(&self.ticks) {
            self.with_room(&order, room)
        } else {
            let strides = (1..=order.len()).map(each);
            strides.into_iter().find(|kept| self.with_room(kept, room).len() == kept.len()).unwrap_or_default()
        };
        for i in order {
            if !kept.contains(&i) {
                self.labels[i].clear();
            }
        }
        self
    }

    /// Those of `order`, ticks from the lower end on, whose labels do not reach into that of one before.
    fn with_room(&self, order: &[usize], room: f64) -> Vec<usize> {
        /// Pixels between two labels.
        const GAP: f64 = 8.0;
        let mut free_from = f64::NEG_INFINITY;
        let mut kept = Vec::new();
        for i in order {
            let half = font::width(&self.labels[*i], TICK_SIZE, false) / 2.0;
            let middle = room * self.part(self.ticks[*i]);
            if middle - half >= free_from {
                kept.push(*i);
                free_from = if half > 0.0 { middle + half + GAP } else { free_from };
            }
        }
        kept
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
    fn what_stands_at_the_end_gets_air() {
        let end = |most: f64| Axis::linear((0.0, most), 3, Unit::Number).roomy(most).ends().1;
        assert!((end(3.0) - 3.21).abs() < 1e-9 && (end(2.2) - 2.5).abs() < 1e-9, "{} {}", end(3.0), end(2.2));
    }

    #[test]
    fn labels_that_would_overprint_are_left_out() {
        let shown = |room: f64| {
            let axis = Axis::linear((0.0, 1.0), 5, Unit::Percent).uncrowded(room);
            axis.labels.iter().filter(|label| !label.is_empty()).cloned().collect::<Vec<_>>()
        };
        assert_eq!(shown(400.0), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(shown(120.0), ["0 %", "40 %", "80 %"]);
        assert_eq!(shown(10.0), ["0 %"]);
        let axis = Axis::linear((-1.0, 5.0), 5, Unit::Percent).uncrowded(190.0);
        assert_eq!(axis.labels, ["", "0 %", "", "200 %", "", "400 %", ""], "evenly, and 0 among them");
        let axis = Axis::log((1.0, 100.0), Unit::Number).ticked(vec![1.0, 9.0, 10.0, 100.0]).uncrowded(200.0);
        assert_eq!(axis.labels, ["1", "9", "", "100"]);
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
