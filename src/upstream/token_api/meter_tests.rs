//! Each kind of limit against vectors worked out by hand, and against what it may never let through.

use proptest::prelude::*;

use super::*;
use crate::rng::mix;
use crate::units::Positive;

const CONTINUOUS: LimiterSettings = LimiterSettings::Continuous { burst: None };
const QUANTISED: LimiterSettings = LimiterSettings::Quantised { quantum: None };
const CALENDAR: LimiterSettings = LimiterSettings::Calendar { phase: None };
const SETTLED: LimiterSettings = LimiterSettings::ReserveAndSettle { burst: None };

fn burst(minutes: f64) -> LimiterSettings {
    LimiterSettings::Continuous { burst: Positive::new(minutes) }
}

const fn quantum(secs: u64) -> LimiterSettings {
    LimiterSettings::Quantised { quantum: Some(Span::from_secs(secs)) }
}

const fn phase(secs: u64) -> LimiterSettings {
    LimiterSettings::Calendar { phase: Some(Span::from_secs(secs)) }
}

fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

/// What a call finds: taken, with so much left after it; or refused, to come again after so many milliseconds (rounded up; 0
/// = never).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Found {
    Left(u64),
    Wait(u64),
}

use Found::{Left, Wait};

/// Provenance: "formula", by hand from the table in the module's head. Limit a minute, then at which millisecond which amount
/// finds what.
#[test]
fn vectors_of_the_four_kinds() {
    type Row = (LimiterSettings, u32, &'static [(u64, u64, Found)]);
    let rows: [Row; 9] = [
        // 30,000 a minute are 500 a second.
        (CONTINUOUS, 30_000, &[(0, 6_000, Left(24_000)), (0, 24_000, Left(0)), (0, 1, Wait(2)), (1_000, 501, Wait(2))]),
        (
            CONTINUOUS,
            30_000,
            &[(0, 30_001, Wait(0)), (0, 30_000, Left(0)), (60_000, 30_000, Left(0)), (90_000, 15_001, Wait(2))],
        ),
        (
            burst(0.5),
            30_000,
            &[(0, 15_001, Wait(0)), (0, 15_000, Left(0)), (10_000, 6_000, Wait(2_000)), (12_000, 6_000, Left(0))],
        ),
        // A share is 500; 1,200 takes this second's, the next one's, and 200 of the one after.
        (QUANTISED, 30_000, &[(0, 1_200, Left(0)), (100, 1, Wait(1_900)), (2_000, 301, Wait(1_000)), (2_000, 300, Left(0))]),
        (
            QUANTISED,
            30_000,
            &[(0, 400, Left(100)), (999, 101, Wait(1)), (999, 100, Left(0)), (1_000, 500, Left(0)), (1_500, 30_001, Wait(0))],
        ),
        // 3 requests a minute over 10 s: a share is half a request.
        (quantum(10), 3, &[(0, 1, Left(0)), (0, 1, Wait(20_000)), (10_000, 1, Wait(10_000)), (20_000, 1, Left(0))]),
        (
            CALENDAR,
            30_000,
            &[(30_000, 30_000, Left(0)), (59_999, 1, Wait(1)), (60_000, 30_000, Left(0)), (60_001, 30_001, Wait(0))],
        ),
        (
            phase(45),
            30_000,
            &[(14_999, 30_000, Left(0)), (14_999, 1, Wait(1)), (15_000, 30_000, Left(0)), (15_000, 1, Wait(60_000))],
        ),
        (SETTLED, 30_000, &[(0, 30_000, Left(0)), (6_000, 3_000, Left(0)), (6_000, 500, Wait(1_000))]),
    ];
    for (settings, limit, steps) in rows {
        let mut meter = Meter::new(limit, settings);
        for (millis, amount, expected) in steps {
            meter.refill(at(*millis));
            let found = if meter.fits(*amount) {
                meter.take(*amount);
                Left(meter.remaining())
            } else {
                match meter.wait(*amount) {
                    Span::FOREVER => Wait(0),
                    wait => Wait(wait.as_nanos().div_ceil(1_000_000)),
                }
            };
            assert_eq!(found, *expected, "{settings:?}, {limit} a minute, {amount} at {millis} ms");
        }
    }
}

#[test]
fn what_comes_back_is_never_more_than_was_there() {
    let mut meter = Meter::new(600, SETTLED);
    meter.take(100);
    meter.give(250);
    assert_eq!((meter.remaining(), meter.reset()), (600, Span::ZERO));
    meter.take(1_200); // what calls use beyond what they took may leave less than nothing
    assert_eq!((meter.remaining(), meter.reset()), (0, Span::from_secs(120)));
    meter.refill(at(90_000));
    assert_eq!((meter.remaining(), meter.wait(301)), (300, Span::from_millis(100)));
}

fn kinds() -> impl Strategy<Value = LimiterSettings> {
    prop_oneof![
        (1u32..40).prop_map(|tenths| burst(f64::from(tenths) / 10.0)),
        (1u64..61).prop_map(quantum),
        (0u64..60).prop_map(phase),
        Just(SETTLED),
        Just(LimiterSettings::Quantised { quantum: Some(Span::from_millis(700)) }),
    ]
}

/// What one event did: when, how much was asked for or given back, and whether it was let in.
#[derive(Copy, Clone, Debug)]
struct Entry {
    at: u64,
    taken: i128,
    admitted: bool,
}

/// The promise of each kind, from the log of what it let in alone.
fn broken(settings: LimiterSettings, limit: u32, log: &[Entry]) -> Option<String> {
    let limit = i128::from(limit);
    for (last, end) in log.iter().enumerate().filter(|(_, entry)| entry.admitted) {
        let mut sum = 0;
        for begin in (0..=last).rev() {
            let start = &log[begin];
            sum += start.taken * MINUTE;
            let (sum, allowed) = match settings {
                LimiterSettings::Continuous { burst } | LimiterSettings::ReserveAndSettle { burst } => {
                    let capacity = libm::round(burst.map_or(1.0, Positive::value) * limit as f64);
                    #[allow(clippy::cast_possible_truncation)] // small and whole
                    let capacity = (capacity as i128).max(1) * MINUTE;
                    (sum, capacity + limit * i128::from(end.at - start.at))
                }
                LimiterSettings::Quantised { quantum } => {
                    let quantum = quantum.unwrap_or(Span::from_secs(1)).as_nanos();
                    let share = limit * i128::from(quantum);
                    let quanta = i128::from(end.at / quantum - start.at / quantum + 1);
                    // Of the last call, what lies beyond a whole share comes out of the quanta that follow.
                    (sum - (end.taken * MINUTE - share).max(0), quanta * share)
                }
                LimiterSettings::Calendar { phase } => {
                    let phase = phase.unwrap_or_default().as_nanos();
                    let minute = |at: u64| (at + phase) / 60_000_000_000;
                    if minute(start.at) != minute(end.at) {
                        break;
                    }
                    (sum, limit * MINUTE)
                }
            };
            if sum > allowed {
                return Some(format!("{sum} parts from {start:?} to {end:?}, where {allowed} are allowed"));
            }
        }
    }
    None
}

proptest! {
    /// Whatever is asked for and whenever, and whatever is given back or charged afterwards, no span of time lets in more
    /// than its limit.
    #[test]
    fn no_limit_is_ever_exceeded(
        settings in kinds(),
        limit in 1u32..5_000,
        asks in prop::collection::vec((0u64..9_000, 0u64..900, 0u8..8), 1..120),
    ) {
        let mut meter = Meter::new(limit, settings);
        let (mut log, mut now, mut out): (Vec<Entry>, u64, Vec<u64>) = (Vec::new(), 0, Vec::new());
        let settles = matches!(settings, LimiterSettings::ReserveAndSettle { .. });
        for (gap, amount, what) in asks {
            now += gap * 1_000_000 + gap;
            meter.refill(Time::from_nanos(now));
            match what {
                0 if settles => {
                    let back = out.pop().map_or(0, |taken| amount.min(taken));
                    meter.give(back);
                    log.push(Entry { at: now, taken: -i128::from(back), admitted: false });
                }
                1 => {
                    meter.take(amount);
                    log.push(Entry { at: now, taken: i128::from(amount), admitted: false });
                }
                _ if meter.fits(amount) => {
                    meter.take(amount);
                    out.push(amount);
                    log.push(Entry { at: now, taken: i128::from(amount), admitted: true });
                }
                _ => {}
            }
        }
        prop_assert_eq!(broken(settings, limit, &log), None);
    }

    /// Who waits as long as it says fits in, and not a nanosecond earlier.
    #[test]
    fn the_wait_is_exact(settings in kinds(), limit in 1u32..5_000, taken in 0u64..9_000, amount in 1u64..5_000, now in 0u64..200_000_000_000) {
        let mut meter = Meter::new(limit, settings);
        meter.refill(Time::from_nanos(now));
        meter.take(taken);
        let wait = meter.wait(amount);
        let fits_after = |span: Span| {
            let mut later = meter;
            later.refill(Time::from_nanos(now) + span);
            later.fits(amount)
        };
        if wait == Span::FOREVER {
            prop_assert!(!meter.can_fit(amount) && !fits_after(Span::from_secs(1_000_000)));
        } else {
            prop_assert!(fits_after(wait));
            prop_assert!(wait == Span::ZERO || !fits_after(Span::from_nanos(wait.as_nanos() - 1)));
        }
    }
}

/// A million operations at the ends of what numbers can be.
#[test]
fn any_operation_is_survived() {
    for (which, settings) in [CONTINUOUS, QUANTISED, CALENDAR, SETTLED].into_iter().enumerate() {
        let mut meter = Meter::new(if which % 2 == 0 { u32::MAX } else { 1 }, settings);
        let mut now = 0u64;
        for step in 0..250_000 {
            let bits = mix(which as u64, step);
            now = now.saturating_add(bits >> (8 + bits % 50));
            meter.refill(Time::from_nanos(now));
            let amount = mix(bits, 1) >> (32 + bits % 32);
            match bits % 4 {
                0 if meter.fits(amount) => meter.take(amount),
                1 => meter.give(amount),
                2 => meter.take(amount),
                _ => assert!(meter.wait(amount) >= Span::ZERO && meter.reset() >= Span::ZERO),
            }
        }
        assert!(u32::try_from(meter.remaining()).is_ok(), "never more than a full one");
    }
}
