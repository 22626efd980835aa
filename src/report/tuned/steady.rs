//! Whether the runs behind the figures say what lasts: how the recommended settings cope, and whether the run is over before it is
//! steady.

use super::Tuning;
use crate::journal::summary::{Label, Timeline, VariantSummary};
use crate::report::format::percent;

/// Change of the share of good answers from the first quarter of a run to its last from which on it is worth a word.
const DRIFT: f64 = 0.1;
/// The same in standard deviations, as if requests were independent.
const DEVIATIONS: f64 = 5.0;
/// Quarters whose arrivals differ by more than this part are not compared: load varies there by itself.
const SAME_LOAD: f64 = 0.2;
/// Bins that a run needs to be cut into quarters.
const BINS_MIN: usize = 8;

/// The share of good answers in the first and in the last quarter of the measured time.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Quarters {
    first: f64,
    last: f64,
}

impl Quarters {
    /// Where they differ by more than chance, and their load does not.
    fn that_differ(timeline: &Timeline) -> Option<Self> {
        let (series, window) = (&timeline.series, timeline.window);
        let (from, to) = (series.index(window.start), series.index(window.end));
        let quarter = to.checked_sub(from).filter(|bins| *bins >= BINS_MIN)? / 4;
        let count = |counts: &[u32], bins: std::ops::Range<usize>| -> f64 { counts[bins].iter().map(|n| f64::from(*n)).sum() };
        let (first, last) = (from..from + quarter, to - quarter..to);
        let [few, many] = [first.clone(), last.clone()].map(|bins| count(&series.offered, bins));
        if few < 1.0 || many < 1.0 || (few - many).abs() > SAME_LOAD * few.max(many) {
            return None;
        }
        let (first, last) = (count(&series.good, first) / few, count(&series.good, last) / many);
        let pooled = (first * few + last * many) / (few + many);
        let deviation = (pooled * (1.0 - pooled) * (1.0 / few + 1.0 / many)).sqrt();
        let change = (first - last).abs();
        (change > DRIFT && change > DEVIATIONS * deviation).then_some(Self { first, last })
    }
}

impl Tuning<'_> {
    /// The settings that are recommended, in the runs beside today's.
    fn recommended(&self) -> Option<&VariantSummary> {
        self.outcome().choice.and(self.beside.variants.last()).filter(|variant| variant.halted.is_none())
    }

    /// How the recommended settings cope, where they do not serve all that is offered.
    pub(super) fn overloaded(&self) -> Option<String> {
        let label = &self.recommended()?.label;
        let place = self.figures_of.map_or(String::new(), |future| format!(" {future}"));
        match label.overall()? {
            Label::Stable => None,
            Label::Saturated => Some(format!(
                "With these settings the run{place} is labelled saturated: more is offered than served, and the excess is shed. They \
                 make the best of an overload, and do not end it."
            )),
            Label::Collapsing => Some(format!(
                "Careful, with these settings the run{place} is labelled collapsing: backlog and latency grow for as long as it lasts, or \
                 most of the server's work is of no use. Its figures depend on how long it is, and a longer one is worse."
            )),
        }
    }

    /// Where the run is too short, or lacks a warm-up.
    pub(super) fn unsteady(&self) -> Option<String> {
        let timeline = self.recommended()?.timeline.as_ref()?;
        let Quarters { first, last } = Quarters::that_differ(timeline)?;
        let warmup = if timeline.window.start == crate::time::Time::ZERO {
            " It has no warm-up: `run.warmup` leaves out how it begins."
        } else {
            ""
        };
        Some(format!(
            "Careful, the run is over before it is steady: with these settings {} of the requests of its first quarter are good, of its \
             last {} (in the first replication). A longer `run.duration` says more surely what lasts.{warmup}",
            percent(first),
            percent(last)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Series, Window};
    use crate::time::{Span, Time};

    /// 40 bins of a second, from 4 s on measured, with 50 requests each, of which `good` are good.
    fn timeline(offered: impl Fn(usize) -> u32, good: impl Fn(usize) -> u32) -> Timeline {
        let at = |secs| Time::ZERO + Span::from_secs(secs);
        let (offered, good) = ((0..40).map(offered).collect(), (0..40).map(good).collect());
        let series = Series { bin: Span::from_secs(1), offered, good, ..Series::default() };
        Timeline { window: Window { start: at(4), end: at(36), drained: at(40) }, series, course: None }
    }

    #[test]
    fn the_first_quarter_is_held_against_the_last() {
        let falls = Quarters::that_differ(&timeline(|_| 50, |i| if i < 20 { 50 } else { 30 })).unwrap();
        assert_eq!((falls.first.to_bits(), falls.last.to_bits()), (1.0f64.to_bits(), 0.6f64.to_bits()));
        assert_eq!(Quarters::that_differ(&timeline(|_| 50, |_| 40)), None, "steady");
        assert_eq!(Quarters::that_differ(&timeline(|_| 50, |i| if i < 4 { 0 } else { 40 })), None, "the warm-up is no quarter");
        let more = |i| if i < 20 { 50 } else { 90 };
        assert_eq!(Quarters::that_differ(&timeline(more, |_| 45)), None, "its load varies by itself");
        assert_eq!(Quarters::that_differ(&timeline(|_| 1, |i| u32::from(i < 20 || i % 2 == 0))), None, "chance");
    }
}
