//! The futures that a choice is made for: loads and capacities around the expected ones.

use std::str::FromStr;

use serde::Serialize;

use crate::scenario::{RobustBy, RobustSettings};
use crate::tune::limits::future_fault;
use crate::units::Positive;

/// One future.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Case {
    /// In which of the search's scenes.
    pub scene: usize,
    /// Times the scenario's own load.
    pub load: f64,
    /// Times the upstream's own speed.
    pub capacity: f64,
}

impl Case {
    /// What the scenario that asks says.
    pub const EXPECTED: Self = Self { scene: 0, load: 1.0, capacity: 1.0 };

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

    /// Every combination of `scenes` with least, expected and greatest load and capacity, the expected case first.
    #[must_use]
    pub fn all(scenes: &[usize], robust: Option<&RobustSettings>) -> Vec<Self> {
        let ends = |range: Option<[Positive; 2]>| {
            let mut values = vec![1.0];
            for end in range.into_iter().flatten().map(Positive::value) {
                if !values.contains(&end) {
                    values.push(end);
                }
            }
            values
        };
        let (loads, capacities) =
            (ends(robust.and_then(|robust| robust.load)), ends(robust.and_then(|robust| robust.capacity)));
        let mut all = Vec::new();
        for &scene in scenes {
            for &load in &loads {
                all.extend(capacities.iter().map(|&capacity| Self { scene, load, capacity }));
            }
        }
        all
    }

    /// In words, as in `at 70 % of its load` or `in monday.csv at 70 % of its load`. `scenes` are the scenes' names.
    #[must_use]
    pub fn words(self, scenes: &[String]) -> String {
        let percent = |share: f64| format!("{} %", libm::round(share * 1e3) / 10.0);
        let several = scenes.len() > 1;
        let whose = if several { "its" } else { "this" };
        let load = format!("at {} of {whose} load", percent(self.load));
        let capacity = format!("{} of {whose} capacity", percent(self.capacity));
        let varied = match (self.varies_load(), self.varies_capacity()) {
            (false, false) if several => String::new(),
            (_, false) => load,
            (false, true) => format!("at {capacity}"),
            (true, true) => format!("{load} and {capacity}"),
        };
        let scene = scenes.get(self.scene).filter(|_| several).map_or(String::new(), |name| format!("in {name} "));
        format!("{scene}{varied}").trim_end().to_owned()
    }
}

/// A figure as several futures make it one: `goodput_rps, worst of 4 futures`. Of one future it is itself.
#[must_use]
pub fn of_futures(measure: &str, by: RobustBy, futures: usize) -> String {
    match by {
        _ if futures < 2 => measure.to_owned(),
        RobustBy::Worst => format!("{measure}, worst of {futures} futures"),
        RobustBy::Mean => format!("{measure}, mean of {futures} futures"),
        RobustBy::Regret => format!("{measure} less the best of each of {futures} futures, at worst"),
    }
}

/// What `--robust` takes: `load=0.7..1.5,capacity=0.8..1.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustText(pub RobustSettings);

impl FromStr for RobustText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut robust, mut how) = (RobustSettings::default(), None);
        for part in text.split(',') {
            let read = || {
                let (name, range) = part.split_once('=')?;
                let (lo, hi) = range.split_once("..")?;
                let number = |text: &str| Positive::new(text.trim().parse().ok()?);
                Some((name.trim(), [number(lo)?, number(hi)?]))
            };
            let twice = match read() {
                Some(("load", range)) => robust.load.replace(range).is_some(),
                Some(("capacity", range)) => robust.capacity.replace(range).is_some(),
                Some((name, _)) => {
                    return Err(format!("`{name}` cannot be varied: `load=0.7..1.5` and `capacity=0.8..1.1` can"));
                }
                None => how.replace(by(part).ok_or_else(|| no_part(part))?).is_some(),
            };
            if twice {
                let name = part.split('=').next().unwrap_or(part).trim();
                return Err(format!("`{name}` stands there twice: give its least and greatest once, like `load=0.7..1.5`"));
            }
        }
        robust.by = how.unwrap_or_default();
        future_fault(&robust).map_or(Ok(Self(robust)), |(_, what)| Err(what))
    }
}

/// `by=worst`, `by=mean`, `by=regret`.
fn by(part: &str) -> Option<RobustBy> {
    let (name, by) = part.split_once('=')?;
    match (name.trim(), by.trim()) {
        ("by", "worst") => Some(RobustBy::Worst),
        ("by", "mean") => Some(RobustBy::Mean),
        ("by", "regret") => Some(RobustBy::Regret),
        _ => None,
    }
}

fn no_part(part: &str) -> String {
    let ends = part.split_once('=').and_then(|(_, range)| range.split_once(".."));
    let wrong =
        ends.and_then(|(lo, hi)| [lo, hi].into_iter().find(|end| end.trim().parse().ok().and_then(Positive::new).is_none()));
    if let Some(end) = wrong.map(str::trim).filter(|end| !end.is_empty()) {
        return format!(
            "`{end}` in `{part}` is no number above 0: write least and greatest as multiples, like `load=0.7..1.5`"
        );
    }
    format!("`{part}` is not like `load=0.7..1.5`, `capacity=0.8..1.1` or `by=worst` (or `mean`, or `regret`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cross_with_the_expected_case_first() {
        let RobustText(robust) = "load=0.7..1.5, capacity=0.8..1,by=regret".parse().unwrap();
        assert_eq!(robust.by, RobustBy::Regret);
        let cases = Case::all(&[0], Some(&robust));
        assert_eq!((cases.len(), cases[0]), (6, Case::EXPECTED));
        assert!(cases.contains(&Case { scene: 0, load: 1.5, capacity: 0.8 }));
        assert_eq!(Case::all(&[0, 2], None), [Case::EXPECTED, Case { scene: 2, ..Case::EXPECTED }]);
        assert_eq!(Case::all(&[0, 1], Some(&robust)).len(), 12);
    }

    #[test]
    fn a_case_says_where_and_what() {
        let case = |scene, load, capacity| Case { scene, load, capacity };
        let one = ["a".to_owned()];
        let two = ["a".to_owned(), "b".to_owned()];
        assert_eq!(case(0, 0.7, 0.8).words(&one), "at 70 % of this load and 80 % of this capacity");
        assert_eq!(Case::EXPECTED.words(&one), "at 100 % of this load");
        assert_eq!(Case::EXPECTED.words(&two), "in a");
        assert_eq!(case(1, 0.7, 1.0).words(&two), "in b at 70 % of its load");
        assert_eq!(case(1, 1.0, 0.8).words(&two), "in b at 80 % of its capacity");
    }

    #[test]
    fn what_is_no_range_is_told() {
        for bad in ["", "load", "load=1", "load=0..1", "speed=1..2", "load=a..2", "by=luck"] {
            assert!(bad.parse::<RobustText>().unwrap_err().contains("load=0.7..1.5"), "{bad} was taken");
        }
        for (bad, says) in [
            ("load=0..1", "`0` in `load=0..1` is no number above 0"),
            ("load=1..x", "`x` in `load=1..x` is no number above 0"),
            ("speed=1..2", "`speed` cannot be varied"),
            ("load=1.5..0.7", "write the least first, 0.7..1.5"),
            ("load=1..1000000", "from 0.01 to 100 times"),
            ("capacity=0.001..1", "from 0.01 to 100 times"),
            ("load=1..1", "varies nothing"),
            ("load=0.7..1.5,load=0.5..2", "`load` stands there twice"),
            ("by=mean,by=worst", "`by` stands there twice"),
        ] {
            assert!(bad.parse::<RobustText>().unwrap_err().contains(says), "{bad}");
        }
    }
}
