//! From the times in a log to times since its origin.

use super::error::{RowProblem, Seconds};
use super::reader::Origin;
use crate::time::Time;

/// Nanoseconds in the year by which a time may be away from the one before it.
pub(super) const YEAR_NS: u64 = 365 * 86_400 * 1_000_000_000;

/// Puts the times of one log on one clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The log's time zero, in its own nanoseconds; `None` until the first row of a log with wall-clock times.
    zero: Option<i64>,
    /// Whether its times are since 1970.
    wall: bool,
    /// The latest arrival that was taken.
    taken: Option<i64>,
    /// The arrival of the row before, if that was too far away: two rows that agree are right.
    far: Option<i64>,
    /// Whether one row was taken so far. If the next two agree with each other and not with it, it is the damaged one: the
    /// clock begins anew with them, and [`super::first::First`] withdraws it.
    one: bool,
}

impl Clock {
    /// A clock for times since 1970 (`wall`), or since the log's own zero.
    pub const fn new(wall: bool) -> Self {
        Self { zero: if wall { None } else { Some(0) }, wall, taken: None, far: None, one: false }
    }

    /// Where time zero is.
    pub fn origin(&self) -> Origin {
        Origin { unix_ns: self.zero.filter(|_| self.wall) }
    }

    /// Takes an arrival, in the log's own nanoseconds.
    pub fn arrival(&mut self, nanos: i64) -> Result<Time, RowProblem> {
        let is_near = |other: i64| nanos.abs_diff(other) <= YEAR_NS;
        if let Some(before) = self.taken.filter(|before| !is_near(*before)) {
            let confirmed = self.far.replace(nanos).is_some_and(is_near);
            if !confirmed {
                const DAY_NS: i64 = 86_400_000_000_000;
                return Err(RowProblem::Jump { days: nanos.saturating_sub(before) / DAY_NS });
            }
            if self.one && self.wall {
                (self.zero, self.taken) = (None, None);
            }
        }
        let zero = *self.zero.get_or_insert_with(|| nanos.saturating_sub_unsigned(Origin::LEAD.as_nanos()));
        let since = nanos.checked_sub(zero).and_then(|since| u64::try_from(since).ok());
        let since = since.ok_or(RowProblem::BeforeZero { secs: Seconds { nanos: zero.saturating_sub(nanos) } })?;
        self.one = self.taken.replace(nanos).is_none() && self.far.is_none();
        self.far = None;
        Ok(Time::from_nanos(since))
    }

    /// Any other time of a row whose arrival has been taken.
    pub fn at(&self, nanos: i64) -> Time {
        let since = nanos.saturating_sub(self.zero.unwrap_or(0));
        Time::from_nanos(u64::try_from(since).unwrap_or(0))
    }
}

/// What a begin at this time, in nanoseconds since 1970, says of how the log's clock was read.
#[must_use]
pub const fn misread(began_unix_ns: i64) -> Option<&'static str> {
    /// When no log was written yet.
    const YEAR_2000_NS: i64 = 946_684_800_000_000_000;
    const WHY: &str = "By the log's clock it begins before the year 2000: are its times in another unit (seconds are `unix_s`, \
                       milliseconds `unix_ms`), or not since 1970?";
    if began_unix_ns < YEAR_2000_NS { Some(WHY) } else { None }
}

/// Refuses a time of a row that lies before the row's arrival.
pub(super) fn not_before(arrival: i64, nanos: i64, column: &'static str) -> Result<i64, RowProblem> {
    let early = arrival.saturating_sub(nanos);
    if early > 0 { Err(RowProblem::Backwards { column, secs: Seconds { nanos: early } }) } else { Ok(nanos) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;
    const NOW: i64 = 20_000 * DAY;

    #[test]
    fn wall_clock_logs_begin_a_year_before_their_first_row() {
        let mut clock = Clock::new(true);
        let first = clock.arrival(NOW).unwrap();
        assert_eq!(clock.origin().unix_ns_at(first), Some(NOW));
        let earlier = clock.arrival(NOW - 300 * DAY).unwrap();
        assert_eq!(clock.origin().unix_ns_at(earlier), Some(NOW - 300 * DAY));
        assert!(earlier < first);
    }

    #[test]
    fn one_time_far_from_its_neighbours_is_damaged_and_two_that_agree_are_not() {
        let mut clock = Clock::new(true);
        let taken = |clock: &mut Clock, at: i64| clock.arrival(at).is_ok();
        assert!(taken(&mut clock, NOW));
        assert_eq!(clock.arrival(NOW + 400 * DAY), Err(RowProblem::Jump { days: 400 }));
        assert!(taken(&mut clock, NOW + 1));
        // A log that pauses for longer loses one row.
        assert!(!taken(&mut clock, NOW + 500 * DAY));
        assert!(taken(&mut clock, NOW + 501 * DAY));
        assert!(taken(&mut clock, NOW + 502 * DAY));
        // What lies before all that can be shown is refused, however often.
        assert!(!taken(&mut clock, 0));
        assert!(matches!(clock.arrival(1), Err(RowProblem::BeforeZero { .. })));
    }

    #[test]
    fn a_clock_that_began_with_a_damaged_time_begins_anew() {
        for damaged in [0, NOW + 4_000 * DAY, i64::MAX] {
            let mut clock = Clock::new(true);
            clock.arrival(damaged).unwrap();
            assert!(matches!(clock.arrival(NOW), Err(RowProblem::Jump { .. })));
            let third = clock.arrival(NOW + 1).unwrap();
            assert_eq!((clock.origin().unix_ns_at(third), third), (Some(NOW + 1), Time::ZERO + Origin::LEAD));
            // From here on one far row is a damaged one again.
            assert!(clock.arrival(damaged).is_err() && clock.arrival(NOW + 2).is_ok());
        }
    }

    #[test]
    fn a_log_with_its_own_times_keeps_its_zero() {
        let mut clock = Clock::new(false);
        assert_eq!(clock.arrival(5), Ok(Time::from_nanos(5)));
        assert_eq!(clock.origin(), Origin { unix_ns: None });
        assert!(matches!(clock.arrival(-1), Err(RowProblem::BeforeZero { .. })));
        assert_eq!(clock.at(7), Time::from_nanos(7));
        assert_eq!(not_before(5, 5, "end"), Ok(5));
        assert!(matches!(not_before(5, 4, "end"), Err(RowProblem::Backwards { column: "end", .. })));
    }

    #[test]
    fn the_ends_of_what_a_clock_can_show_do_not_break_it() {
        for first in [i64::MIN, i64::MAX, 0] {
            for wall in [false, true] {
                let mut clock = Clock::new(wall);
                for next in [first, i64::MAX, i64::MIN, i64::MIN, 0] {
                    let _ = clock.arrival(next);
                    let _ = (clock.at(i64::MIN), clock.at(i64::MAX), not_before(next, i64::MIN, "end"));
                }
            }
        }
    }
}
