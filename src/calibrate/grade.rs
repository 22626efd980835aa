//! Measured beside predicted, and whether that is near enough.

use super::served::Fate;
use super::source::Run;
use crate::stats::{Interval, quantile};

/// What a run is judged by.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Complete answers over requests offered.
    Completed,
    /// Prompt tokens computed for requests that came to nothing, over all computed.
    WastedPrefill,
    /// Complete answers a second, up to the last of them. Of a closed loop it is the capacity.
    Rate,
    /// Median time to first token.
    TtftP50,
    /// Its 90th percentile.
    TtftP90,
    /// Median time per output token after the first.
    TpotP50,
    /// Its 90th percentile.
    TpotP90,
    /// Median end-to-end latency.
    E2eP50,
    /// Its 90th percentile.
    E2eP90,
}

impl Figure {
    /// All of them, as tables show them.
    pub const ALL: [Self; 9] = [
        Self::Completed,
        Self::WastedPrefill,
        Self::Rate,
        Self::TtftP50,
        Self::TtftP90,
        Self::TpotP50,
        Self::TpotP90,
        Self::E2eP50,
        Self::E2eP90,
    ];

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::WastedPrefill => "prefill wasted",
            Self::Rate => "completed, 1/s",
            Self::TtftP50 => "TTFT p50",
            Self::TtftP90 => "TTFT p90",
            Self::TpotP50 => "TPOT p50",
            Self::TpotP90 => "TPOT p90",
            Self::E2eP50 => "e2e p50",
            Self::E2eP90 => "e2e p90",
        }
    }

    /// What a result file calls it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Completed => "completed_share",
            Self::WastedPrefill => "wasted_prefill_share",
            Self::Rate => "completed_rps",
            Self::TtftP50 => "ttft_p50_s",
            Self::TtftP90 => "ttft_p90_s",
            Self::TpotP50 => "tpot_p50_s",
            Self::TpotP90 => "tpot_p90_s",
            Self::E2eP50 => "e2e_p50_s",
            Self::E2eP90 => "e2e_p90_s",
        }
    }

    /// Whether it is a share, whose error is in points.
    #[must_use]
    pub const fn is_share(self) -> bool {
        matches!(self, Self::Completed | Self::WastedPrefill)
    }

    /// The largest error that passes: points (as a share of 1) of a share, a share of the measured figure of anything else.
    #[must_use]
    pub const fn tolerance(self) -> f64 {
        match self {
            Self::Completed | Self::WastedPrefill | Self::Rate => 0.05,
            Self::TtftP50 | Self::TtftP90 => 0.15,
            Self::TpotP50 | Self::TpotP90 | Self::E2eP50 | Self::E2eP90 => 0.10,
        }
    }

    /// Error of `predicted`, with its sign, in the unit of [`Figure::tolerance`]; `None` where there is nothing to divide by.
    #[must_use]
    pub fn error(self, measured: f64, predicted: f64) -> Option<f64> {
        if self.is_share() {
            return Some(predicted - measured);
        }
        (measured > 0.0).then(|| predicted / measured - 1.0)
    }
}

/// A run's figures, in the order of [`Figure::ALL`]; times in seconds. What is not known is `None`.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Figures(pub [Option<f64>; Figure::ALL.len()]);

impl Figures {
    /// One of them.
    #[must_use]
    pub fn of(&self, figure: Figure) -> Option<f64> {
        self.0[figure as usize]
    }

    /// Sets one of them.
    pub fn set(&mut self, figure: Figure, to: Option<f64>) {
        self.0[figure as usize] = to;
    }
}

/// The figures that the records of a run tell; what was computed for nothing where its step lines are there too.
#[must_use]
pub fn measure(run: &Run) -> Figures {
    let mut figures = Figures::default();
    let complete: Vec<(f64, f64, f64, u32)> = run
        .served
        .iter()
        .filter_map(|one| one.ends_s().map(|(first, last)| (one.arrival_s, first, last, one.output)))
        .collect();
    if !run.served.is_empty() {
        figures.set(Figure::Completed, Some(complete.len() as f64 / run.served.len() as f64));
    }
    let computed: f64 = run.steps.iter().map(|step| f64::from(step.prefill_tokens)).sum();
    if computed > 0.0 && !run.served.is_empty() {
        let answered = run.served.iter().filter(|one| one.fate == Fate::Complete).map(|one| f64::from(one.prompt));
        figures.set(Figure::WastedPrefill, Some((1.0 - answered.sum::<f64>() / computed).max(0.0)));
    }
    let last = complete.iter().map(|(_, _, last, _)| *last).fold(0.0, f64::max);
    if last > 0.0 {
        figures.set(Figure::Rate, Some(complete.len() as f64 / last));
    }
    let ttft: Vec<f64> = complete.iter().map(|(arrival, first, _, _)| first - arrival).collect();
    let e2e: Vec<f64> = complete.iter().map(|(arrival, _, last, _)| last - arrival).collect();
    let several = complete.iter().filter(|(_, _, _, output)| *output > 1);
    let tpot: Vec<f64> = several.map(|(_, first, last, output)| (last - first) / f64::from(output - 1)).collect();
    for (figure, values, q) in [
        (Figure::TtftP50, &ttft, 0.5),
        (Figure::TtftP90, &ttft, 0.9),
        (Figure::TpotP50, &tpot, 0.5),
        (Figure::TpotP90, &tpot, 0.9),
        (Figure::E2eP50, &e2e, 0.5),
        (Figure::E2eP90, &e2e, 0.9),
    ] {
        figures.set(figure, quantile(values, q));
    }
    figures
}

/// Where the client may lag: past this 99th percentile of sending after the intended arrival, seconds, a run is not valid as
/// a test of the server: 10 ms, or 1 % of the median time to first token where that is more.
#[must_use]
pub fn lag_limit_s(measured: &Figures) -> f64 {
    0.01_f64.max(0.01 * measured.of(Figure::TtftP50).unwrap_or(0.0))
}

/// From where to where a figure lies over the speeds that the machine may have: 95 % of them.
pub type Band = Interval;

/// What a calibration says of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// All equally likely speeds together.
    pub figures: Figures,
    /// By speed; in the order of [`Figure::ALL`].
    pub bands: [Option<Band>; Figure::ALL.len()],
    /// How many times as long as predicted the run's own steps took, and the figures at the speed that this comes to: what
    /// is still wrong there is not the machine's drift. No test of the calibration: it knows the run.
    pub at_pace: Option<(f64, Figures)>,
    /// By how many percent the median and the 90th percentile of the time to first token grow where the server is one percent
    /// slower, between one standard deviation slower and one faster; the larger.
    pub amplification: Option<f64>,
}

impl Forecast {
    /// Amplification from which a load counts as near critical: there a few percent of speed move the time to first token by
    /// more than its tolerance.
    pub const NEAR_CRITICAL: f64 = 3.0;

    /// Whether one number would mislead.
    #[must_use]
    pub fn is_near_critical(&self) -> bool {
        self.amplification.is_some_and(|times| times >= Self::NEAR_CRITICAL)
    }
}

/// How one figure of a run is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Which.
    pub figure: Figure,
    /// As it was.
    pub measured: f64,
    /// As it was predicted; `None` where nothing of it was seen in what was simulated: that passes nothing.
    pub predicted: Option<f64>,
    /// As it would be predicted by who knew the machine's pace.
    pub at_pace: Option<f64>,
    /// Over the machine's speeds.
    pub band: Option<Band>,
    /// With its sign.
    pub error: Option<f64>,
    /// Within tolerance; near the critical load, inside the band.
    pub passes: bool,
}

/// What a run is worth as a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Each figure is held to its tolerance.
    Tested,
    /// Near the critical load: each figure is held to its band.
    NearCritical,
    /// The client lagged: 99th percentile and its limit, seconds. It tests the client.
    Lagged(f64, f64),
    /// Too few complete answers to tell a quantile from: how many there are.
    TooFew(usize),
    /// So many requests ended in ways that the model does not have: what is simulated is another run.
    Lost(usize),
    /// It was fitted to.
    Fitted,
}

/// A run, graded.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// The run.
    pub run: String,
    /// What it is worth.
    pub standing: Standing,
    /// Its requests.
    pub requests: usize,
    /// Those that ended in ways that the model does not have, and are simulated as if served.
    pub lost: usize,
    /// Clients of its closed loop, if it was one.
    pub clients: Option<u32>,
    /// See [`Forecast::amplification`].
    pub amplification: Option<f64>,
    /// How many times as long as predicted its steps took; see [`Forecast::at_pace`].
    pub pace: Option<f64>,
    /// Figure by figure.
    pub rows: Vec<Judged>,
}

impl Grade {
    /// The figures that do not pass, where the run is a test.
    pub fn failures(&self) -> impl Iterator<Item = &Judged> {
        let counts = matches!(self.standing, Standing::Tested | Standing::NearCritical);
        self.rows.iter().filter(move |row| counts && !row.passes)
    }

    /// Whether it tests the calibration.
    #[must_use]
    pub fn is_test(&self) -> bool {
        matches!(self.standing, Standing::Tested | Standing::NearCritical)
    }
}

/// Fewest complete answers that test anything: with fewer a 90th percentile is one of the two slowest.
pub const COMPLETE_MIN: usize = 20;

/// Share of requests that may have ended in ways that the model does not have: a fifth of what a share may be off.
const LOST_MAX: f64 = 0.01;

fn standing(run: &Run, measured: &Figures, forecast: &Forecast, fitted: bool) -> Standing {
    let (lag, limit) = (run.lag_p99_s().unwrap_or(0.0), lag_limit_s(measured));
    let complete = run.served.iter().filter(|one| one.ends_s().is_some()).count();
    let lost = run.lost();
    if fitted {
        Standing::Fitted
    } else if lost as f64 > LOST_MAX * run.served.len() as f64 {
        Standing::Lost(lost)
    } else if complete < COMPLETE_MIN {
        Standing::TooFew(complete)
    } else if lag > limit {
        Standing::Lagged(lag, limit)
    } else if forecast.is_near_critical() {
        Standing::NearCritical
    } else {
        Standing::Tested
    }
}

/// What the grades of held-out runs come to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every figure of every run that is a test passes, and one of the runs is away from the critical load.
    Validated,
    /// The same, but each of the runs is near the critical load, where a wide band passes nearly anything.
    InsideTheBand,
    /// Some figure does not pass.
    Missed,
    /// No run is a test.
    Untested,
}

impl Verdict {
    /// Of these grades.
    #[must_use]
    pub fn of(tests: &[Grade]) -> Self {
        let any = |standing: &Standing| tests.iter().any(|grade| grade.standing == *standing);
        if tests.iter().any(|grade| grade.failures().next().is_some()) {
            Self::Missed
        } else if any(&Standing::Tested) {
            Self::Validated
        } else if any(&Standing::NearCritical) {
            Self::InsideTheBand
        } else {
            Self::Untested
        }
    }
}

/// Grades the forecast of a run.
#[must_use]
pub fn grade(run: &Run, forecast: &Forecast, fitted: bool) -> Grade {
    let measured = measure(run);
    let standing = standing(run, &measured, forecast, fitted);
    let row = |figure: Figure| {
        let (measured, predicted) = (measured.of(figure)?, forecast.figures.of(figure));
        let band = forecast.bands[figure as usize];
        let error = predicted.and_then(|predicted| figure.error(measured, predicted));
        // Without an error either nothing was predicted, or 0 was measured, and only the same is near that.
        let near = error.map_or(predicted == Some(measured), |error| error.abs() <= figure.tolerance());
        let inside = band.is_some_and(|band| band.holds(measured));
        let passes = near || standing == Standing::NearCritical && inside;
        let at_pace = forecast.at_pace.as_ref().and_then(|(_, figures)| figures.of(figure));
        Some(Judged { figure, measured, predicted, at_pace, band, error, passes })
    };
    Grade {
        run: run.name.clone(),
        requests: run.served.len(),
        lost: run.lost(),
        clients: run.closed_loop(),
        amplification: forecast.amplification,
        pace: forecast.at_pace.as_ref().map(|(pace, _)| *pace),
        rows: Figure::ALL.into_iter().filter_map(row).collect(),
        standing,
    }
}

#[cfg(test)]
#[path = "grade_tests.rs"]
mod tests;
