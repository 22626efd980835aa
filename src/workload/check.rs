//! What is inconsistent about a workload: found before anything runs, each with the path of the field in the scenario.

use super::recorded::Rows;
use super::source::{NUMBER_BITS, SourceSettings};
use super::{ArrivalSettings, ClassSettings, RateSettings, RetrySettings};
use crate::dist::{Dist, Quantity};
use crate::time::Span;
use crate::units::Count;

/// Something wrong with a workload.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct WorkloadError {
    /// The class it concerns, by position; `None` where it concerns none alone.
    pub class: Option<usize>,
    /// The field in the scenario, for example `class[0].arrival`.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: WorkloadProblem,
}

/// What is wrong with a workload, and what would be right.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkloadProblem {
    /// There is no class.
    #[error("there is no class: add at least one `[[class]]`")]
    NoClass,
    /// More classes than can be numbered.
    #[error("{0} classes are too many: at most 65536")]
    TooManyClasses(usize),
    /// A class without a name.
    #[error("the name is empty")]
    NoName,
    /// Two classes of one name would draw the same arrivals.
    #[error("the name `{0}` is taken by an earlier class")]
    DuplicateName(String),
    /// Nobody sends anything.
    #[error("nothing ever arrives: give an `[arrival]`, or an `arrival` in a class")]
    NoArrival,
    /// A class without arrivals of its own where there are no shared ones.
    #[error("the class has no `arrival` of its own and there is no `[arrival]` to share")]
    ClassWithoutArrival,
    /// No class takes part in the shared arrivals.
    #[error("the `weight` of every class that shares `[arrival]` is 0: at least one must be above 0")]
    AllWeightsZero,
    /// The shared arrivals have no class.
    #[error("every class has an `arrival` of its own, so nobody shares this one: remove it")]
    NobodyShares,
    /// Both rate and load.
    #[error("both `rate` and `load` are given: keep one")]
    RateAndLoad,
    /// Neither rate nor load.
    #[error("neither `rate` (requests a second) nor `load` (share of the capacity) is given")]
    NeitherRateNorLoad,
    /// A load where the capacity is not known.
    #[error("a `load` needs the capacity, which was not measured")]
    LoadWithoutCapacity,
    /// Rates of zero throughout.
    #[error("the rate is 0 in both states: one must be above 0")]
    BothRatesZero,
    /// Steps out of order.
    #[error("the steps must be in order of `at`")]
    StepsOutOfOrder,
    /// A length of time that may not be zero.
    #[error("must be longer than 0s")]
    ZeroSpan,
    /// More requests than can be numbered.
    #[error("about {0:e} requests are too many for one run: at most 2^40")]
    TooManyRequests(f64),
    /// Inconsistent parameters of a distribution.
    #[error("{0}")]
    Distribution(String),
    /// Lengths given twice.
    #[error("`lengths` gives both lengths: remove `input` and `output`")]
    LengthsTwice,
    /// A file that was not read.
    #[error("the file `{0}` was not read")]
    NotRead(String),
    /// A file without a row.
    #[error("the file `{0}` has no row")]
    NoRows(String),
    /// Rows out of order.
    #[error("the rows of `{0}` are not in order of time")]
    RowsOutOfOrder(String),
    /// A row of a class that does not exist.
    #[error("a row of `{file}` is of class number {class}, and there are {classes} classes")]
    UnknownClass {
        /// The file.
        file: String,
        /// The class, from 0.
        class: u16,
        /// How many there are.
        classes: usize,
    },
    /// Attempts beyond what can be counted.
    #[error("{0} attempts are too many: at most 65535")]
    TooManyAttempts(u32),
    /// A bound on the backoff below its base.
    #[error("`backoff_cap` is below `backoff_base` ({0})")]
    CapBelowBase(Span),
    /// More tenants or prefix groups over all classes than can be numbered.
    #[error("{0} over all classes are too many: at most 4294967294")]
    TooManyNumbers(u64),
    /// The run has no length.
    #[error("the run is 0s long: nothing arrives")]
    NoTime,
}

use WorkloadProblem as P;

/// Collects what is wrong.
struct Findings<'a> {
    settings: &'a SourceSettings,
    class: Option<usize>,
    errors: Vec<WorkloadError>,
}

impl SourceSettings {
    /// Whether the workload is consistent.
    ///
    /// # Errors
    /// The first of [`SourceSettings::problems`].
    pub fn check(&self) -> Result<(), WorkloadError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is inconsistent, in the order of the scenario.
    #[must_use]
    pub fn problems(&self) -> Vec<WorkloadError> {
        let mut findings = Findings { settings: self, class: None, errors: Vec::new() };
        findings.whole();
        if let Some(arrival) = &self.arrival {
            findings.arrival("arrival", arrival);
        }
        for (index, class) in self.classes.iter().enumerate() {
            findings.class = Some(index);
            findings.class(index, class);
        }
        findings.class = None;
        if let Some(service) = &self.service {
            findings.dist("upstream.service", service);
        }
        findings.errors
    }
}

impl Findings<'_> {
    fn add(&mut self, path: impl Into<String>, problem: P) {
        self.errors.push(WorkloadError { class: self.class, path: path.into(), problem });
    }

    fn when(&mut self, wrong: bool, path: impl Into<String>, problem: P) {
        if wrong {
            self.add(path, problem);
        }
    }

    /// What concerns all classes together.
    fn whole(&mut self) {
        let settings = self.settings;
        let classes = &settings.classes;
        let sharing = || classes.iter().filter(|class| class.arrival.is_none());
        self.when(settings.end == Span::ZERO, "run.duration", P::NoTime);
        self.when(classes.is_empty(), "class", P::NoClass);
        self.when(classes.len() > 1 << 16, "class", P::TooManyClasses(classes.len()));
        if settings.arrival.is_some() {
            self.when(!classes.is_empty() && sharing().next().is_none(), "arrival", P::NobodyShares);
            let all_zero = sharing().next().is_some() && sharing().all(|class| class.weight.value() == 0.0);
            self.when(all_zero, "class[0].weight", P::AllWeightsZero);
        } else {
            self.when(!classes.is_empty() && classes.iter().all(|class| class.arrival.is_none()), "arrival", P::NoArrival);
        }
        let numbers = |each: fn(&ClassSettings) -> u32| classes.iter().map(|class| u64::from(each(class))).sum::<u64>();
        let tenants = numbers(|class| class.tenants.map_or(0, Count::value));
        let groups = numbers(|class| class.prefix.map_or(0, |prefix| prefix.groups.value()));
        self.when(tenants >= u64::from(u32::MAX), "class[0].tenants", P::TooManyNumbers(tenants));
        self.when(groups >= u64::from(u32::MAX), "class[0].prefix.groups", P::TooManyNumbers(groups));
    }

    fn class(&mut self, index: usize, class: &ClassSettings) {
        let settings = self.settings;
        let at = |field: &str| format!("class[{index}].{field}");
        self.when(class.name.is_empty(), at("name"), P::NoName);
        let taken = settings.classes[..index].iter().any(|earlier| earlier.name == class.name);
        self.when(taken, at("name"), P::DuplicateName(class.name.clone()));
        if let Some(arrival) = &class.arrival {
            self.arrival(&at("arrival"), arrival);
        } else {
            let others = settings.arrival.is_none() && settings.classes.iter().any(|class| class.arrival.is_some());
            self.when(others, at("arrival"), P::ClassWithoutArrival);
        }
        self.lengths(index, class);
        if let Some(patience) = &class.patience {
            self.dist(&at("patience"), patience);
        }
        for (field, ratio) in [("usage_ratio", &class.usage_ratio), ("grounded_usage_ratio", &class.grounded_usage_ratio)] {
            if let Some(ratio) = ratio {
                self.dist(&at(field), ratio);
            }
        }
        for (field, limit) in [
            ("timeout.first_token", class.timeout.and_then(|timeout| timeout.first_token)),
            ("timeout.total", class.timeout.and_then(|timeout| timeout.total)),
        ] {
            self.when(limit == Some(Span::ZERO), at(field), P::ZeroSpan);
        }
        if let Some(retry) = &class.retry {
            self.retry(&at("retry"), retry);
        }
    }

    fn lengths(&mut self, index: usize, class: &ClassSettings) {
        let at = |field: &str| format!("class[{index}].{field}");
        for (field, dist) in [("input", &class.input), ("output", &class.output)] {
            if let Some(dist) = dist {
                self.dist(&at(field), dist);
            }
        }
        let Some(file) = &class.lengths else { return };
        self.when(class.input.is_some() || class.output.is_some(), at("lengths"), P::LengthsTwice);
        match self.settings.pairs.iter().find(|(name, _)| name == file) {
            None => self.add(at("lengths"), P::NotRead(file.clone())),
            Some((_, pairs)) => self.when(pairs.is_empty(), at("lengths"), P::NoRows(file.clone())),
        }
    }

    fn retry(&mut self, path: &str, retry: &RetrySettings) {
        let attempts = retry.max_attempts.value();
        self.when(attempts > u32::from(u16::MAX), format!("{path}.max_attempts"), P::TooManyAttempts(attempts));
        self.when(retry.backoff_cap < retry.backoff_base, format!("{path}.backoff_cap"), P::CapBelowBase(retry.backoff_base));
    }

    fn arrival(&mut self, path: &str, arrival: &ArrivalSettings) {
        match arrival {
            ArrivalSettings::Constant(rate)
            | ArrivalSettings::Poisson(rate)
            | ArrivalSettings::Gamma { rate, .. }
            | ArrivalSettings::Weibull { rate, .. } => self.rate(path, rate),
            ArrivalSettings::OnOff { on_rate, off_rate, mean_on, mean_off } => {
                self.when(on_rate.value() == 0.0 && off_rate.value() == 0.0, format!("{path}.on_rate"), P::BothRatesZero);
                self.when(*mean_on == Span::ZERO, format!("{path}.mean_on"), P::ZeroSpan);
                self.when(*mean_off == Span::ZERO, format!("{path}.mean_off"), P::ZeroSpan);
                self.count(path, on_rate.value().max(off_rate.value()));
            }
            ArrivalSettings::ClosedLoop { think, .. } => {
                if let Some(think) = think {
                    self.dist(&format!("{path}.think"), think);
                }
            }
            ArrivalSettings::Recorded { file } => self.rows(&format!("{path}.file"), file),
        }
    }

    fn rate(&mut self, path: &str, rate: &RateSettings) {
        let capacity = self.settings.capacity_rps;
        match (rate.rate, rate.load) {
            (Some(_), Some(_)) => self.add(path, P::RateAndLoad),
            (None, None) => self.add(path, P::NeitherRateNorLoad),
            (None, Some(load)) => match capacity {
                None => self.add(format!("{path}.load"), P::LoadWithoutCapacity),
                Some(capacity) => self.count(path, load.value() * capacity),
            },
            (Some(rate), None) => self.count(path, rate.value()),
        }
        let ordered = rate.steps.windows(2).all(|pair| pair[0].at < pair[1].at);
        self.when(!ordered, format!("{path}.steps"), P::StepsOutOfOrder);
        self.when(rate.sine.is_some_and(|sine| sine.period == Span::ZERO), format!("{path}.sine.period"), P::ZeroSpan);
        for (index, spike) in rate.spikes.iter().enumerate() {
            self.when(spike.lasting == Span::ZERO, format!("{path}.spikes[{index}].lasting"), P::ZeroSpan);
        }
    }

    fn count(&mut self, path: &str, rate: f64) {
        let requests = rate * self.settings.end.as_secs_f64();
        self.when(requests > (1u64 << NUMBER_BITS) as f64, path, P::TooManyRequests(requests));
    }

    fn rows(&mut self, path: &str, file: &str) {
        let settings = self.settings;
        let Some((_, rows)) = settings.recorded.iter().find(|(name, _)| name == file) else {
            self.add(path, P::NotRead(file.to_owned()));
            return;
        };
        // A recording that is not in memory was looked through by whoever opens it.
        let Rows::List(rows) = rows else { return };
        self.when(rows.is_empty(), path, P::NoRows(file.to_owned()));
        self.when(!rows.is_sorted_by_key(|row| row.at), path, P::RowsOutOfOrder(file.to_owned()));
        let classes = settings.classes.len();
        let unknown = rows.iter().find(|row| self.class.is_none() && usize::from(row.class) >= classes);
        if let Some(row) = unknown {
            self.add(path, P::UnknownClass { file: file.to_owned(), class: row.class, classes });
        }
    }

    fn dist<Q: Quantity>(&mut self, path: &str, dist: &Dist<Q>) {
        if let Err(message) = dist.check() {
            self.add(path, P::Distribution(message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::testing::{class, settings};

    fn first(settings: &SourceSettings) -> String {
        settings.check().unwrap_err().to_string()
    }

    /// A workload of these classes and this shared arrival, as a person writes them.
    fn parse(classes: &[&str], arrival: Option<&str>) -> SourceSettings {
        settings(classes.iter().map(|text| class(text)).collect(), arrival)
    }

    #[test]
    fn a_sound_workload_passes() {
        let sound = parse(&["name = 'a'", "name = 'b'\nweight = 0"], Some("{ process = 'poisson', rate = 1 }"));
        assert_eq!(sound.check(), Ok(()));
    }

    #[test]
    fn each_mistake_is_named_with_its_path() {
        let poisson = Some("{ process = 'poisson', rate = 1.0 }");
        let of = |text: &str| first(&parse(&[text], None));
        let arrival = |text: &str| of(&format!("name = 'a'\narrival = {text}"));
        for (said, expected) in [
            (first(&parse(&[], poisson)), "class: there is no class"),
            (first(&parse(&["name = 'a'"], None)), "arrival: nothing ever arrives"),
            (first(&parse(&["name = 'a'\nweight = 0"], poisson)), "class[0].weight: the `weight` of every class"),
            (first(&parse(&["name = ''"], poisson)), "class[0].name: the name is empty"),
            (first(&parse(&["name = 'a'", "name = 'a'"], poisson)), "class[1].name: the name `a` is taken"),
            (
                first(&parse(&["name = 'a'\narrival = { process = 'poisson', rate = 1 }", "name = 'b'"], None)),
                "class[1].arrival: the class has no `arrival`",
            ),
            (first(&parse(&["name = 'a'\narrival = { process = 'poisson', rate = 1 }"], poisson)), "arrival: every class"),
            (arrival("{ process = 'poisson', rate = 1, load = 1 }"), "class[0].arrival: both `rate` and `load`"),
            (arrival("{ process = 'poisson' }"), "class[0].arrival: neither `rate`"),
            (arrival("{ process = 'gamma', burstiness = 2, load = 0.5 }"), "class[0].arrival.load: a `load` needs"),
            (arrival("{ process = 'poisson', rate = 1e15 }"), "class[0].arrival: about 6e17 requests"),
            (
                arrival("{ process = 'constant', rate = 1, steps = [{ at = '9s', factor = 1 }, { at = '5s', factor = 2 }] }"),
                "class[0].arrival.steps: the steps must be in order",
            ),
            (
                arrival("{ process = 'on_off', on_rate = 0, mean_on = '1s', mean_off = '1s' }"),
                "class[0].arrival.on_rate: the rate is 0 in both states",
            ),
            (
                arrival("{ process = 'on_off', on_rate = 1, mean_on = '0s', mean_off = '1s' }"),
                "class[0].arrival.mean_on: must be longer than 0s",
            ),
            (arrival("{ process = 'recorded', file = 'x.csv' }"), "class[0].arrival.file: the file `x.csv` was not read"),
            (of_poisson("input = { dist = 'uniform', min = 5, max = 2 }"), "class[0].input: `min` is above `max`"),
            (
                of_poisson("output = { dist = 'histogram', edges = [1, 1], weights = [1] }"),
                "class[0].output: `edges` must increase",
            ),
            (of_poisson("patience = { dist = 'exponential', mean = '0s' }"), "class[0].patience: `mean` must be above 0"),
            (of_poisson("timeout = { total = '0s' }"), "class[0].timeout.total: must be longer than 0s"),
            (of_poisson("retry = { max_attempts = 70000 }"), "class[0].retry.max_attempts: 70000 attempts"),
            (
                of_poisson("retry = { max_attempts = 2, backoff_base = '2s', backoff_cap = '1s' }"),
                "class[0].retry.backoff_cap: `backoff_cap` is below `backoff_base` (2s)",
            ),
            (of_poisson("lengths = 'p.csv'"), "class[0].lengths: the file `p.csv` was not read"),
        ] {
            assert!(said.starts_with(expected), "said `{said}`, not `{expected}`");
        }
    }

    fn of_poisson(text: &str) -> String {
        first(&parse(&[&format!("name = 'a'\n{text}")], Some("{ process = 'poisson', rate = 1 }")))
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let wrong = parse(&["name = ''\ninput = { dist = 'exponential', mean = 0 }", "name = ''"], None);
        let problems = wrong.problems();
        let paths: Vec<&str> = problems.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["arrival", "class[0].name", "class[0].input", "class[1].name", "class[1].name"]);
        assert_eq!(problems[4].class, Some(1));
    }
}
