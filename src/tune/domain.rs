//! The values that one parameter may take, and the map between them and the unit interval.
//!
//! Samplers and models work in the unit interval; a domain turns a number in it into a setting and back. Reals and durations
//! are rounded to at least 1,000 steps over the range (of a logarithmic range, over a factor of two or so), so that what is
//! recommended is short enough to type, and candidates that differ by nothing are one.

use crate::time::Span;
use crate::tune::Setting;

/// How a range is walked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps.
    Linear,
    /// Equal ratios; the range lies above 0.
    Log,
}

/// The values a parameter may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Numbers from `lo` to `hi`.
    Real {
        /// Least value.
        lo: f64,
        /// Greatest value.
        hi: f64,
        /// How the range is walked.
        scale: Scale,
    },
    /// Whole numbers from `lo` to `hi`, ends included.
    Integer {
        /// Least value.
        lo: i64,
        /// Greatest value.
        hi: i64,
        /// How the range is walked.
        scale: Scale,
    },
    /// Lengths of time from `lo` to `hi`.
    Duration {
        /// Least value.
        lo: Span,
        /// Greatest value.
        hi: Span,
        /// How the range is walked.
        scale: Scale,
    },
    /// One of these.
    Choice(Vec<Setting>),
    /// Off or on.
    Bool,
}

/// Levels of one number at most: more than any grid may have candidates.
pub(super) const LEVELS_MAX: usize = (1 << 16) + 1;

/// Steps over a range, at least.
const STEPS_MIN: f64 = 1_000.0;

impl Domain {
    /// What is wrong with it, in words; `None` where nothing is.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Real { lo, hi, scale } => match range_fault(*lo, *hi, *scale) {
                None if !(hi - lo).is_finite() => Some("its ends are too far apart".to_owned()),
                fault => fault,
            },
            Self::Integer { lo, hi, scale } if lo <= hi && hi.checked_sub(*lo).is_some_and(|width| width < 1 << 52) => {
                (*scale == Scale::Log && *lo < 1).then(|| format!("a logarithmic range must lie above 0, not begin at {lo}"))
            }
            Self::Integer { lo, hi, .. } if lo <= hi => Some(format!("the range {lo} to {hi} is too wide")),
            Self::Integer { lo, hi, .. } => Some(format!("the range is empty: {lo} is above {hi}")),
            Self::Duration { lo, hi, scale } => {
                if lo > hi {
                    return Some(format!("the range is empty: {lo} is above {hi}"));
                }
                let through_zero = *scale == Scale::Log && *lo == Span::ZERO;
                through_zero.then(|| format!("a logarithmic range must lie above 0, not begin at {lo}"))
            }
            Self::Choice(of) if of.is_empty() => Some("there is nothing to choose from".to_owned()),
            Self::Choice(of) => {
                let twice = of.iter().enumerate().find(|(i, setting)| of[..*i].contains(setting));
                twice.map(|(_, setting)| format!("{setting} stands there twice"))
            }
            Self::Bool => None,
        }
    }

    /// The setting at `unit` (0 to 1, else clamped) of the way.
    #[must_use]
    pub fn at(&self, unit: f64) -> Setting {
        let unit = if unit.is_nan() { 0.5 } else { unit.clamp(0.0, 1.0) };
        match self {
            Self::Real { lo, hi, scale } => Setting::Real(rounded(between(*lo, *hi, *scale, unit), *lo, *hi, *scale)),
            Self::Integer { lo, hi, scale } => Setting::Integer(whole_between(*lo, *hi, *scale, unit)),
            Self::Duration { lo, hi, scale } => {
                let (from, to) = (lo.as_secs_f64(), hi.as_secs_f64());
                let secs = rounded(between(from, to, *scale, unit), from, to, *scale);
                // Whole nanoseconds of the ends are kept where floats are too coarse for them.
                Setting::Duration(Span::from_secs_f64(secs).clamp(*lo, *hi))
            }
            Self::Choice(of) => of[cell(unit, of.len())].clone(),
            Self::Bool => Setting::Bool(cell(unit, 2) == 1),
        }
    }

    /// How far along `setting` is, from 0 to 1: what is outside lies at the nearer end; a setting of another kind, or a choice
    /// that is not offered, in the middle.
    #[must_use]
    pub fn unit_of(&self, setting: &Setting) -> f64 {
        let unit = match (self, setting) {
            (Self::Real { lo, hi, scale }, Setting::Real(x)) => way(*lo, *hi, *scale, *x),
            (Self::Integer { lo, hi, scale }, Setting::Integer(i)) => {
                way(*lo as f64 - 0.5, *hi as f64 + 0.5, *scale, *i as f64)
            }
            (Self::Duration { lo, hi, scale }, Setting::Duration(span)) => {
                way(lo.as_secs_f64(), hi.as_secs_f64(), *scale, span.as_secs_f64())
            }
            (Self::Choice(of), setting) => match of.iter().position(|one| one == setting) {
                Some(place) => (place as f64 + 0.5) / of.len() as f64,
                None => 0.5,
            },
            (Self::Bool, Setting::Bool(on)) => 0.25 + 0.5 * f64::from(u8::from(*on)),
            _ => 0.5,
        };
        unit.clamp(0.0, 1.0)
    }

    /// About `levels` settings (at least 1, at most 65,537) evenly over the range, both ends among them; every choice there is.
    #[must_use]
    pub fn levels(&self, levels: usize) -> Vec<Setting> {
        let spread = |levels: usize| -> Vec<Setting> {
            let place = |i: usize| if levels == 1 { 0.5 } else { i as f64 / (levels - 1) as f64 };
            (0..levels).map(|i| self.at_level(place(i))).collect()
        };
        let mut settings = match self {
            Self::Choice(of) => return of.clone(),
            Self::Bool => return vec![Setting::Bool(false), Setting::Bool(true)],
            _ => spread(levels.clamp(1, LEVELS_MAX)),
        };
        settings.dedup();
        settings
    }

    /// Like [`Domain::at`], but whole numbers are walked from the first to the last instead of in cells of equal width.
    fn at_level(&self, unit: f64) -> Setting {
        match self {
            Self::Integer { lo, hi, scale } => {
                Setting::Integer(to_integer(between(*lo as f64, *hi as f64, *scale, unit)).clamp(*lo, *hi))
            }
            _ => self.at(unit),
        }
    }

    /// `setting` times `factor` (above 0), inside the range; a whole number moves by at least 1 where there is room. `None`
    /// where there is nothing to scale or it would not move.
    #[must_use]
    pub fn scaled(&self, setting: &Setting, factor: f64) -> Option<Setting> {
        let moved = match (self, setting) {
            (Self::Real { lo, hi, scale }, Setting::Real(x)) => Setting::Real(rounded(x * factor, *lo, *hi, *scale)),
            (Self::Integer { lo, hi, .. }, Setting::Integer(i)) => {
                let target = to_integer(*i as f64 * factor);
                let step = if factor > 1.0 { target.max(i.saturating_add(1)) } else { target.min(i.saturating_sub(1)) };
                Setting::Integer(step.clamp(*lo, *hi))
            }
            (Self::Duration { lo, hi, .. }, Setting::Duration(span)) => Setting::Duration(span.scaled(factor).clamp(*lo, *hi)),
            _ => return None,
        };
        (moved != *setting).then_some(moved)
    }

    /// Whether `setting` is one of its values.
    #[must_use]
    pub fn may_be(&self, setting: &Setting) -> bool {
        match (self, setting) {
            (Self::Real { lo, hi, .. }, Setting::Real(x)) => lo <= x && x <= hi,
            (Self::Integer { lo, hi, .. }, Setting::Integer(i)) => lo <= i && i <= hi,
            (Self::Duration { lo, hi, .. }, Setting::Duration(span)) => lo <= span && span <= hi,
            (Self::Choice(of), setting) => of.contains(setting),
            (Self::Bool, Setting::Bool(_)) => true,
            _ => false,
        }
    }

    /// Whether its settings have an order with distances.
    #[must_use]
    pub const fn is_numeric(&self) -> bool {
        !matches!(self, Self::Choice(_) | Self::Bool)
    }
}

fn range_fault(lo: f64, hi: f64, scale: Scale) -> Option<String> {
    if !(lo.is_finite() && hi.is_finite()) {
        return Some("a range has finite ends".to_owned());
    }
    if lo > hi {
        return Some(format!("the range is empty: {lo} is above {hi}"));
    }
    (scale == Scale::Log && lo <= 0.0).then(|| format!("a logarithmic range must lie above 0, not begin at {lo}"))
}

fn between(lo: f64, hi: f64, scale: Scale, unit: f64) -> f64 {
    let x = match scale {
        Scale::Linear => lo + unit * (hi - lo),
        Scale::Log => libm::exp(libm::log(lo) + unit * (libm::log(hi) - libm::log(lo))),
    };
    x.clamp(lo, hi)
}

fn way(lo: f64, hi: f64, scale: Scale, x: f64) -> f64 {
    if hi <= lo {
        return 0.5;
    }
    let x = x.clamp(lo, hi);
    match scale {
        Scale::Linear => (x - lo) / (hi - lo),
        Scale::Log => (libm::log(x) - libm::log(lo)) / (libm::log(hi) - libm::log(lo)),
    }
}

/// Each whole number has a cell around it, from half below to half above.
fn whole_between(lo: i64, hi: i64, scale: Scale, unit: f64) -> i64 {
    to_integer(between(lo as f64 - 0.5, hi as f64 + 0.5, scale, unit)).clamp(lo, hi)
}

#[allow(clippy::cast_possible_truncation)] // saturates, and ranges are narrower than 2^52
fn to_integer(x: f64) -> i64 {
    libm::round(x) as i64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below `cells`
fn cell(unit: f64, cells: usize) -> usize {
    ((unit * cells as f64) as usize).min(cells - 1)
}

/// `x` on a decimal lattice of at least [`STEPS_MIN`] steps over the range (log: over `x` itself, where that is less).
#[allow(clippy::cast_possible_truncation)] // exponents of floats
fn rounded(x: f64, lo: f64, hi: f64, scale: Scale) -> f64 {
    let width = match scale {
        Scale::Linear => hi - lo,
        Scale::Log => x.abs().min(hi - lo),
    };
    if width <= 0.0 || !x.is_finite() {
        return x.clamp(lo, hi);
    }
    let decimals = -libm::floor(libm::log10(width / STEPS_MIN)) as i32;
    let round = if decimals > 0 {
        format!("{x:.*}", decimals.unsigned_abs() as usize).parse().unwrap_or(x)
    } else {
        let step = libm::pow(10.0, f64::from(-decimals));
        libm::round(x / step) * step
    };
    round.clamp(lo, hi)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The finest step of a duration, in seconds.
    const FINEST: f64 = 1e-9;

    fn domains() -> impl Strategy<Value = Domain> {
        let scale = prop_oneof![Just(Scale::Linear), Just(Scale::Log)];
        prop_oneof![
            (1e-6..1e6f64, 0.0..1e6f64, scale.clone()).prop_map(|(lo, width, scale)| Domain::Real {
                lo,
                hi: lo + width,
                scale
            }),
            (1..1_000_000i64, 0..1_000_000i64, scale.clone()).prop_map(|(lo, width, scale)| Domain::Integer {
                lo,
                hi: lo + width,
                scale
            }),
            (1..10_000_000_000u64, 0..10_000_000_000u64, scale).prop_map(|(lo, width, scale)| Domain::Duration {
                lo: Span::from_nanos(lo),
                hi: Span::from_nanos(lo + width),
                scale
            }),
            (1..6usize).prop_map(|n| Domain::Choice((0..n).map(|i| Setting::Text(format!("c{i}"))).collect())),
            Just(Domain::Bool),
        ]
    }

    proptest! {
        /// Whatever a sampler says, the setting lies in the domain, and stays itself when encoded and decoded again.
        #[test]
        fn settings_stay_inside_and_survive_the_unit_interval(domain in domains(), unit in -0.1..1.1f64) {
            prop_assert_eq!(domain.fault(), None);
            let setting = domain.at(unit);
            prop_assert!(domain.may_be(&setting), "{:?}", setting);
            let again = domain.at(domain.unit_of(&setting));
            if domain.is_numeric() && !matches!(setting, Setting::Integer(_)) {
                // The logarithm may miss the last digit of a lattice step, never more than a step.
                let (a, b) = (setting.number().unwrap(), again.number().unwrap());
                prop_assert!((a - b).abs() <= 2e-3 * a.abs().max(b.abs()) + FINEST, "{a} {b}");
            } else {
                prop_assert_eq!(&setting, &again);
            }
        }

        /// Levels rise, lie inside, and hold both ends.
        #[test]
        fn levels_hold_both_ends(domain in domains(), n in 2..9usize) {
            let levels = domain.levels(n);
            prop_assert!(levels.iter().all(|setting| domain.may_be(setting)));
            prop_assert!(levels.windows(2).all(|two| two[0] < two[1]) || !domain.is_numeric());
            if let Domain::Integer { lo, hi, .. } = domain {
                prop_assert_eq!(&levels[0], &Setting::Integer(lo));
                prop_assert_eq!(levels.last().unwrap(), &Setting::Integer(hi));
            }
        }
    }

    #[test]
    fn what_is_recommended_is_short() {
        let share = Domain::Real { lo: 0.0, hi: 1.0, scale: Scale::Linear };
        assert_eq!(share.at(0.123_456_789), Setting::Real(0.123));
        let wait = Domain::Duration { lo: Span::from_millis(10), hi: Span::from_secs(100), scale: Scale::Log };
        assert_eq!(wait.at(0.5).to_string(), "\"1s\"");
        assert_eq!(wait.at(0.7777).to_string(), "\"12.91s\"");
        let large = Domain::Real { lo: 0.0, hi: 5e6, scale: Scale::Linear };
        assert_eq!(large.at(0.333_333), Setting::Real(1_667_000.0));
    }

    #[test]
    fn whole_numbers_share_the_unit_interval_evenly() {
        let domain = Domain::Integer { lo: 1, hi: 4, scale: Scale::Linear };
        let mut counts = [0; 4];
        for i in 0..1_000 {
            let Setting::Integer(k) = domain.at((f64::from(i) + 0.5) / 1_000.0) else { panic!("a whole number") };
            counts[usize::try_from(k - 1).unwrap()] += 1;
        }
        assert_eq!(counts, [250; 4]);
    }

    #[test]
    fn scaling_moves_inside_the_range_or_not_at_all() {
        let places = Domain::Integer { lo: 1, hi: 10, scale: Scale::Linear };
        assert_eq!(places.scaled(&Setting::Integer(2), 1.2), Some(Setting::Integer(3)));
        assert_eq!(places.scaled(&Setting::Integer(10), 1.2), None);
        assert_eq!(places.scaled(&Setting::Integer(10), 0.8), Some(Setting::Integer(8)));
        let share = Domain::Real { lo: 0.0, hi: 1.0, scale: Scale::Linear };
        assert_eq!(share.scaled(&Setting::Real(0.5), 0.8), Some(Setting::Real(0.4)));
        assert_eq!(share.scaled(&Setting::Real(0.9), 1.2), Some(Setting::Real(1.0)));
        assert_eq!(Domain::Bool.scaled(&Setting::Bool(true), 1.2), None);
    }

    #[test]
    fn bad_ranges_say_what_is_wrong() {
        let real = |lo, hi, scale| Domain::Real { lo, hi, scale }.fault().unwrap_or_default();
        assert!(real(2.0, 1.0, Scale::Linear).contains("empty"));
        assert!(real(0.0, 1.0, Scale::Log).contains("above 0"));
        assert!(real(f64::NAN, 1.0, Scale::Linear).contains("finite"));
        assert!(Domain::Integer { lo: 0, hi: 5, scale: Scale::Log }.fault().unwrap().contains("above 0"));
        assert!(Domain::Integer { lo: i64::MIN, hi: i64::MAX, scale: Scale::Linear }.fault().unwrap().contains("wide"));
        assert!(Domain::Choice(vec![]).fault().is_some());
        assert!(Domain::Choice(vec![Setting::Bool(true), Setting::Bool(true)]).fault().unwrap().contains("twice"));
        assert_eq!(Domain::Real { lo: 1.0, hi: 1.0, scale: Scale::Linear }.fault(), None);
    }
}
