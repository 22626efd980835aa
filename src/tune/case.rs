//! The futures that a choice is made for: loads and capacities around the expected ones.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::scenario::{RobustBy, RobustSettings};
use crate::tune::Combine;
use crate::units::Positive;

/// One future.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Case {
    /// Times the scenario's own load.
    pub load: f64,
    /// Times the upstream's own speed.
    pub capacity: f64,
}

impl Case {
    /// What the scenario says.
    pub const EXPECTED: Self = Self { load: 1.0, capacity: 1.0 };

    /// Whether its load is another than the scenario's.
    #[must_use]
    pub fn varies_load(self) -> bool {
        self.load.to_bits() != Self::EXPECTED.load.to_bits()
    }

    /// Whether its capacity is another than the upstream's.
    #[must_use]
    pub fn varies_capacity(self) -> bool {
        self.capacity.to_bits() != Self::EXPECTED.capacity.to_bits()
    }

    /// Every combination of least, expected and greatest, the expected case first.
    #[must_use]
    pub fn all(robust: &RobustSettings) -> Vec<Self> {
        let ends = |range: Option<[Positive; 2]>| {
            let mut values = vec![1.0];
            for end in range.into_iter().flatten().map(Positive::value) {
                if !values.contains(&end) {
                    values.push(end);
                }
            }
            values
        };
        let (loads, capacities) = (ends(robust.load), ends(robust.capacity));
        let cross = loads.iter().flat_map(|load| capacities.iter().map(|capacity| Self { load: *load, capacity: *capacity }));
        cross.collect()
    }

    /// How these many cases become one.
    #[must_use]
    pub fn combine(robust: &RobustSettings, cases: usize) -> Combine {
        match robust.by {
            RobustBy::Worst => Combine::Worst,
            RobustBy::Mean => Combine::Mean(vec![1.0; cases]),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| libm::round(share * 1e3) / 10.0;
        let (load, capacity) = (percent(self.load), percent(self.capacity));
        match (self.varies_load(), self.varies_capacity()) {
            (_, false) => write!(f, "{load} % of this load"),
            (false, true) => write!(f, "{capacity} % of this capacity"),
            (true, true) => write!(f, "{load} % of this load and {capacity} % of this capacity"),
        }
    }
}

/// What `--robust` takes: `load=0.7..1.5,capacity=0.8..1.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustText(pub RobustSettings);

impl FromStr for RobustText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut robust = RobustSettings::default();
        for part in text.split(',') {
            let read = || {
                let (name, range) = part.split_once('=')?;
                let (lo, hi) = range.split_once("..")?;
                let number = |text: &str| Positive::new(text.trim().parse().ok()?);
                Some((name.trim(), [number(lo)?, number(hi)?]))
            };
            match read() {
                Some(("load", range)) => robust.load = Some(range),
                Some(("capacity", range)) => robust.capacity = Some(range),
                _ => return Err(format!("`{part}` is not like `load=0.7..1.5` or `capacity=0.8..1.1`")),
            }
        }
        Ok(Self(robust))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cross_with_the_expected_case_first() {
        let RobustText(robust) = "load=0.7..1.5, capacity=0.8..1".parse().unwrap();
        let cases = Case::all(&robust);
        assert_eq!((cases.len(), cases[0]), (6, Case::EXPECTED));
        assert!(cases.contains(&Case { load: 1.5, capacity: 0.8 }));
        assert_eq!(Case { load: 0.7, capacity: 0.8 }.to_string(), "70 % of this load and 80 % of this capacity");
    }

    #[test]
    fn what_is_no_range_is_told() {
        for bad in ["", "load", "load=1", "load=0..1", "speed=1..2", "load=a..2"] {
            assert!(bad.parse::<RobustText>().unwrap_err().contains("load=0.7..1.5"), "{bad} was taken");
        }
    }
}
