//! The search space: parameters with their domains, some of them only there when another has a certain value.

use crate::tune::{Domain, Point, Setting};

/// When a parameter is there at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Place of the parameter it depends on, which stands earlier in the space.
    pub parameter: usize,
    /// The settings of that one under which this one is active; where that one is inactive, so is this one.
    pub is: Vec<Setting>,
}

/// One thing to tune.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Where it stands in the scenario, for example `policy.limiter.max`.
    pub path: String,
    /// What it may be.
    pub domain: Domain,
    /// When it is there; always, where `None`.
    pub only_if: Option<Condition>,
}

/// Why a list of parameters is no space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceFault {
    /// No parameter at all.
    #[error("there is no parameter to tune")]
    Empty,
    /// More parameters than the sampler has dimensions.
    #[error("{0} parameters are more than the {DIMENSIONS_MAX} that can be tuned at once")]
    TooMany(usize),
    /// The same path twice.
    #[error("parameter {0} stands there twice")]
    Twice(String),
    /// A domain that holds nothing, or that its scale cannot walk.
    #[error("parameter {path}: {what}")]
    Domain {
        /// The parameter.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A condition on this parameter or a later one, or one that never holds.
    #[error("parameter {path}: its condition {what}")]
    Condition {
        /// The parameter.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// Parameters at most: sensitivity indices take two dimensions of the Sobol sequence for each, which has 256.
pub const DIMENSIONS_MAX: usize = 128;

/// What is searched: at least one parameter, each with something to choose from.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
}

impl Space {
    /// The space of `parameters`.
    ///
    /// # Errors
    /// Where there are none or too many, a path stands there twice, a domain is empty or a logarithmic one not above 0, or a
    /// condition does not refer to an earlier parameter or can never hold.
    pub fn new(parameters: Vec<Parameter>) -> Result<Self, SpaceFault> {
        if parameters.is_empty() {
            return Err(SpaceFault::Empty);
        }
        if parameters.len() > DIMENSIONS_MAX {
            return Err(SpaceFault::TooMany(parameters.len()));
        }
        for (place, parameter) in parameters.iter().enumerate() {
            let earlier = &parameters[..place];
            let path = || parameter.path.clone();
            if earlier.iter().any(|other| other.path == parameter.path) {
                return Err(SpaceFault::Twice(path()));
            }
            if let Some(what) = parameter.domain.fault() {
                return Err(SpaceFault::Domain { path: path(), what });
            }
            if let Some(what) = parameter.only_if.as_ref().and_then(|condition| condition_fault(condition, earlier)) {
                return Err(SpaceFault::Condition { path: path(), what });
            }
        }
        Ok(Self { parameters })
    }

    /// The parameters, in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How many parameters there are: the dimensions of the unit cube that [`Space::decode`] reads.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.parameters.len()
    }

    /// The candidate at `unit`, one number from 0 to 1 for each parameter; what is missing counts as the middle.
    #[must_use]
    pub fn decode(&self, unit: &[f64]) -> Point {
        self.build(|place, parameter| Some(parameter.domain.at(unit.get(place).copied().unwrap_or(0.5))))
    }

    /// Where `point` lies in the unit cube; inactive parameters lie in the middle, what is outside at the nearer edge.
    #[must_use]
    pub fn encode(&self, point: &Point) -> Vec<f64> {
        let of = |(place, parameter): (usize, &Parameter)| {
            point.setting(place).map_or(0.5, |setting| parameter.domain.unit_of(setting))
        };
        self.parameters.iter().enumerate().map(of).collect()
    }

    /// `point` with parameter number `parameter` set to `setting`. What that makes inactive goes; what it makes active begins
    /// in the middle of its domain; what is away although its condition holds (an engine that is off today) stays away.
    #[must_use]
    pub fn with(&self, point: &Point, parameter: usize, setting: &Setting) -> Point {
        self.build(|place, other| {
            if place == parameter {
                return Some(setting.clone());
            }
            let own = point.setting(place).cloned();
            if active(other, &point.0) { own } else { own.or_else(|| Some(other.domain.at(0.5))) }
        })
    }

    /// `point` with parameter number `parameter` as it is in `today`, absent where it is absent there. What that makes active is as
    /// it is in `today`.
    #[must_use]
    pub fn back(&self, point: &Point, today: &Point, parameter: usize) -> Point {
        self.build(|place, other| {
            let there = today.setting(place).cloned();
            if place == parameter {
                return there;
            }
            if active(other, &point.0) { point.setting(place).cloned() } else { there }
        })
    }

    /// How far `point` lies from `other`: how many parameters differ, and by how much of their ranges in all.
    #[must_use]
    pub fn distance(&self, point: &Point, other: &Point) -> (usize, f64) {
        let differing = (0..self.dimensions()).filter(|place| point.setting(*place) != other.setting(*place));
        differing.fold((0, 0.0), |(count, far), place| {
            let domain = &self.parameters[place].domain;
            let apart = match (point.setting(place), other.setting(place)) {
                (Some(a), Some(b)) if domain.is_numeric() => (domain.unit_of(a) - domain.unit_of(b)).abs(),
                _ => 1.0,
            };
            (count + 1, far + apart)
        })
    }

    /// The point with what `setting` says of each parameter whose condition holds.
    #[must_use]
    pub(super) fn with_settings(&self, setting: impl Fn(&Parameter) -> Option<Setting>) -> Point {
        self.build(|_, parameter| setting(parameter))
    }

    /// The candidates next to `point` along `parameter`: 20 % less and more for numbers, every other choice otherwise; none
    /// where it is inactive. A side that the range cuts off is left out.
    #[must_use]
    pub fn neighbours(&self, point: &Point, parameter: usize) -> Vec<Point> {
        let (Some(setting), Some(of)) = (point.setting(parameter), self.parameters.get(parameter)) else {
            return Vec::new();
        };
        let mut others: Vec<Setting> = if of.domain.is_numeric() {
            [0.8, 1.2].into_iter().filter_map(|factor| of.domain.scaled(setting, factor)).collect()
        } else {
            of.domain.levels(2).into_iter().filter(|other| other != setting).collect()
        };
        // From outside the range both sides lead to its nearer end.
        others.dedup();
        others.into_iter().map(|other| self.with(point, parameter, &other)).collect()
    }

    /// How many candidates [`Space::grid`] has, without listing them. It is only counted up to about `most`: what is more is
    /// told as some number above it.
    #[must_use]
    pub fn grid_size(&self, levels: usize, most: u64) -> u64 {
        self.count_from(levels, most, &mut Vec::with_capacity(self.dimensions()))
    }

    /// Every combination of about `levels` settings for each number (both ends among them) and of all choices, the last
    /// parameter fastest. Combinations that differ in inactive parameters alone are one.
    #[must_use]
    pub fn grid(&self, levels: usize) -> Vec<Point> {
        let mut points = vec![Point(Vec::with_capacity(self.dimensions()))];
        for parameter in &self.parameters {
            let settings = parameter.domain.levels(levels);
            let longer = |point: &Point| -> Vec<Point> {
                let one = |setting: Option<&Setting>| {
                    let mut point = point.clone();
                    point.0.push(setting.cloned());
                    point
                };
                if active(parameter, &point.0) { settings.iter().map(|s| one(Some(s))).collect() } else { vec![one(None)] }
            };
            points = points.iter().flat_map(longer).collect();
        }
        points
    }

    /// How many combinations begin with the settings `begun`.
    fn count_from(&self, levels: usize, most: u64, begun: &mut Vec<Option<Setting>>) -> u64 {
        let place = begun.len();
        let Some(parameter) = self.parameters.get(place) else { return 1 };
        let settings: Vec<Option<Setting>> =
            if active(parameter, begun) { parameter.domain.levels(levels).into_iter().map(Some).collect() } else { vec![None] };
        let mut follow = |setting, most| {
            begun.push(setting);
            let size = self.count_from(levels, most, begun);
            begun.pop();
            size
        };
        // Only settings that a condition asks about need a count of their own.
        let asked = self.parameters.iter().any(|p| p.only_if.as_ref().is_some_and(|c| c.parameter == place));
        let count = settings.len() as u64;
        if !asked {
            let first = settings.into_iter().next().expect("a domain holds something");
            return if count > most { count } else { count.saturating_mul(follow(first, most / count)) };
        }
        let mut size: u64 = 0;
        for setting in settings {
            size = size.saturating_add(follow(setting, most));
            if size > most {
                break;
            }
        }
        size
    }

    /// A point whose active parameters `choose` decides.
    fn build(&self, choose: impl Fn(usize, &Parameter) -> Option<Setting>) -> Point {
        let mut settings: Vec<Option<Setting>> = Vec::with_capacity(self.dimensions());
        for (place, parameter) in self.parameters.iter().enumerate() {
            let setting = if active(parameter, &settings) { choose(place, parameter) } else { None };
            settings.push(setting);
        }
        Point(settings)
    }
}

/// Whether `parameter` is there, given the settings of those before it.
fn active(parameter: &Parameter, before: &[Option<Setting>]) -> bool {
    parameter.only_if.as_ref().is_none_or(|condition| {
        before.get(condition.parameter).and_then(Option::as_ref).is_some_and(|setting| condition.is.contains(setting))
    })
}

/// What is wrong with a condition on one of the parameters `earlier`.
fn condition_fault(condition: &Condition, earlier: &[Parameter]) -> Option<String> {
    let Some(parent) = earlier.get(condition.parameter) else {
        return Some("must refer to a parameter that stands before it".to_owned());
    };
    if condition.is.is_empty() {
        return Some(format!("names no setting of {}", parent.path));
    }
    let never = condition.is.iter().find(|setting| !parent.domain.may_be(setting));
    never.map(|setting| format!("can never hold: {} is never {setting}", parent.path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Span;
    use crate::tune::Scale;

    fn parameter(path: &str, domain: Domain) -> Parameter {
        Parameter { path: path.into(), domain, only_if: None }
    }

    fn text(name: &str) -> Setting {
        Setting::Text(name.into())
    }

    /// A choice, a number that only one of its settings has, and a switch.
    fn space() -> Space {
        let kind = parameter("kind", Domain::Choice(vec![text("fixed"), text("gradient")]));
        let size = Parameter {
            only_if: Some(Condition { parameter: 0, is: vec![text("fixed")] }),
            ..parameter("size", Domain::Integer { lo: 1, hi: 9, scale: Scale::Linear })
        };
        let wait = Domain::Duration { lo: Span::from_millis(1), hi: Span::from_secs(1), scale: Scale::Log };
        Space::new(vec![kind, size, parameter("wait", wait), parameter("on", Domain::Bool)]).unwrap()
    }

    #[test]
    fn inactive_parameters_are_absent() {
        let fixed = space().decode(&[0.1, 0.5, 0.5, 0.9]);
        assert_eq!(fixed.setting(1), Some(&Setting::Integer(5)));
        let gradient = space().with(&fixed, 0, &text("gradient"));
        assert_eq!((gradient.setting(1), gradient.setting(3)), (None, Some(&Setting::Bool(true))));
        let back = space().with(&gradient, 0, &text("fixed"));
        assert_eq!(back.setting(1), Some(&Setting::Integer(5)));
    }

    #[test]
    fn the_way_back_leads_to_todays_settings() {
        let today = space().decode(&[0.1, 0.9, 0.5, 0.1]);
        let chosen = space().decode(&[0.9, 0.1, 0.5, 0.9]);
        assert_eq!(space().distance(&chosen, &today).0, 3, "kind, size and on");
        let one = space().back(&chosen, &today, 0);
        assert_eq!((one.setting(0), one.setting(1)), (today.setting(0), today.setting(1)), "size comes with its kind");
        assert_eq!(one.setting(3), chosen.setting(3));
        assert_eq!(space().back(&one, &today, 3), today);
        assert_eq!(space().distance(&today, &today), (0, 0.0));
        let near = space().back(&today, &space().decode(&[0.1, 0.8, 0.5, 0.1]), 1);
        assert!(space().distance(&near, &today) < space().distance(&one, &today));
    }

    #[test]
    fn a_grid_counts_what_differs_once() {
        let grid = space().grid(3);
        // fixed: 3 sizes x 3 waits x 2; gradient: 3 waits x 2.
        assert_eq!(grid.len(), 24);
        assert_eq!(space().grid_size(3, 1_000), 24);
        let mut sorted = grid.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), grid.len());
        let wide = (0..100).map(|i| parameter(&i.to_string(), Domain::Real { lo: 0.0, hi: 1.0, scale: Scale::Linear }));
        assert!(Space::new(wide.collect()).unwrap().grid_size(10, 1_000) > 1_000);
    }

    #[test]
    fn neighbours_are_a_fifth_away() {
        let point = space().decode(&[0.1, 0.5, 0.5, 0.1]);
        let sizes: Vec<_> = space().neighbours(&point, 1).iter().map(|p| p.setting(1).cloned()).collect();
        assert_eq!(sizes, [Some(Setting::Integer(4)), Some(Setting::Integer(6))]);
        assert_eq!(space().neighbours(&point, 3).len(), 1);
        assert_eq!(space().neighbours(&point, 0)[0].setting(1), None);
        let gradient = space().with(&point, 0, &text("gradient"));
        assert!(space().neighbours(&gradient, 1).is_empty());
    }

    #[test]
    fn what_is_no_space_says_why() {
        let real = |lo, hi, scale| parameter("x", Domain::Real { lo, hi, scale });
        let fault = |parameters| Space::new(parameters).unwrap_err().to_string();
        assert!(fault(vec![]).contains("no parameter"));
        assert!(fault(vec![real(1.0, 0.0, Scale::Linear)]).contains("x: the range is empty"));
        assert!(fault(vec![real(0.0, 1.0, Scale::Log)]).contains("above 0"));
        assert!(fault(vec![parameter("x", Domain::Bool), parameter("x", Domain::Bool)]).contains("twice"));
        let on = |parameter, is| Some(Condition { parameter, is });
        let child = |only_if| vec![parameter("a", Domain::Bool), Parameter { only_if, ..parameter("b", Domain::Bool) }];
        assert!(fault(child(on(1, vec![Setting::Bool(true)]))).contains("before it"));
        assert!(fault(child(on(0, vec![]))).contains("names no setting"));
        assert!(fault(child(on(0, vec![text("yes")]))).contains("never \"yes\""));
    }

    proptest! {
        /// What is decoded lies on the grid of decodable points: encoding and decoding again keeps which are active.
        #[test]
        fn decoding_is_stable(unit in prop::collection::vec(0.0..1.0f64, 4)) {
            let point = space().decode(&unit);
            let again = space().decode(&space().encode(&point));
            prop_assert_eq!(point.setting(0), again.setting(0));
            prop_assert_eq!(point.setting(1), again.setting(1));
            prop_assert_eq!(point.setting(3), again.setting(3));
        }
    }
}
