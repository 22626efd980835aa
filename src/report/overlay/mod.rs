//! Live beside simulated: figure by figure, the ranking of variants, and a grade by a stated rule.

mod pace;
mod ranking;
mod text;

pub use pace::AtSpeed;
pub use ranking::{Ranking, Swap};

use serde::Serialize;

use crate::journal::summary::{LatencyMetric, Summary, VariantSummary};
use crate::stats::Interval;

/// A figure that both sides have.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // as they are called
pub enum Figure {
    GoodShare,
    RejectedShare,
    GaveUpShare,
    CompletedShare,
    TtftP50S,
    TtftP90S,
    TpotP50S,
    TpotP90S,
    E2eP50S,
    E2eP90S,
}

impl Figure {
    /// All, as tables show them.
    pub const ALL: [Self; 10] = [
        Self::GoodShare,
        Self::RejectedShare,
        Self::GaveUpShare,
        Self::CompletedShare,
        Self::TtftP50S,
        Self::TtftP90S,
        Self::TpotP50S,
        Self::TpotP90S,
        Self::E2eP50S,
        Self::E2eP90S,
    ];

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoodShare => "good of offered",
            Self::RejectedShare => "rejected of offered",
            Self::GaveUpShare => "gave up of offered",
            Self::CompletedShare => "completed of offered",
            Self::TtftP50S => "TTFT p50",
            Self::TtftP90S => "TTFT p90",
            Self::TpotP50S => "TPOT p50",
            Self::TpotP90S => "TPOT p90",
            Self::E2eP50S => "e2e p50",
            Self::E2eP90S => "e2e p90",
        }
    }

    /// Whether it is a share, whose error is in points.
    #[must_use]
    pub const fn is_share(self) -> bool {
        matches!(self, Self::GoodShare | Self::RejectedShare | Self::GaveUpShare | Self::CompletedShare)
    }

    /// The largest error that passes: 5 points of a share, a fifth of a latency.
    #[must_use]
    pub const fn tolerance(self) -> f64 {
        if self.is_share() { 0.05 } else { 0.20 }
    }

    /// Of a variant; `None` where there is nothing to take it from.
    #[must_use]
    pub fn of(self, variant: &VariantSummary) -> Option<f64> {
        let (counts, metrics) = (&variant.counts, &variant.metrics);
        let p50 = |metric: &LatencyMetric| metric.p50;
        let p90 = |metric: &LatencyMetric| metric.p90;
        match self {
            Self::GoodShare => counts.share(counts.good),
            Self::RejectedShare => counts.share(counts.rejected_in_all()),
            Self::GaveUpShare => counts.share(counts.gave_up),
            Self::CompletedShare => counts.share(counts.completed()),
            Self::TtftP50S => p50(&metrics.ttft),
            Self::TtftP90S => p90(&metrics.ttft),
            Self::TpotP50S => p50(&metrics.tpot),
            Self::TpotP90S => p90(&metrics.tpot),
            Self::E2eP50S => p50(&metrics.e2e),
            Self::E2eP90S => p90(&metrics.e2e),
        }
    }
}

/// What a model says of a variant.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// All equally likely speeds together.
    pub summary: VariantSummary,
    /// From where to where 95 % of the speeds lie, in the order of [`Figure::ALL`]; `None` where the model has one speed.
    pub bands: [Option<Interval>; Figure::ALL.len()],
    /// By how many percent the time to first token grows where the server is one percent slower.
    pub amplification: Option<f64>,
    /// By how much the share of good requests moves where the server is one percent slower or faster.
    pub swing: Option<f64>,
    /// The same requests at each of the speeds, rising.
    pub speeds: Vec<AtSpeed>,
}

/// From here on one percent of speed moves the share of good requests so much that a drift of a few passes its tolerance: a point.
pub const SWING: f64 = 0.01;

/// From here on a load counts as near critical: a few percent of speed move the time to first token by more than its tolerance.
pub const NEAR_CRITICAL: f64 = 3.0;

/// One figure of one variant.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Which.
    pub figure: Figure,
    /// As simulated.
    pub simulated: Option<f64>,
    /// As it was.
    pub live: Option<f64>,
    /// 95 % of the speeds that the machine may have.
    pub band: Option<[f64; 2]>,
    /// As simulated at the variant's own [`Overlaid::pace`].
    pub at_pace: Option<f64>,
    /// Simulated against live, with its sign: points of a share (as a share of 1), a part of the live figure of a latency.
    pub error: Option<f64>,
    /// Whether the live figure is inside the band.
    pub within_band: Option<bool>,
    /// Whether it passes; `None` where one side has no such figure.
    pub passes: Option<bool>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overlaid {
    /// Its name.
    pub variant: String,
    /// See [`Forecast::amplification`].
    pub amplification: Option<f64>,
    /// See [`Forecast::swing`].
    pub swing: Option<f64>,
    /// The speed, against the model's, at which the simulated median time per output token is the live one; `None` where none of the
    /// speeds comes to that.
    pub pace: Option<f64>,
    /// Whether its load is near critical, where the band counts too.
    pub near_critical: bool,
    /// Figure by figure.
    pub rows: Vec<Compared>,
}

/// How well the simulation foretold the live run.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Grade {
    /// Every figure passes, and so does the ranking.
    A,
    /// Shares and ranking pass; a latency does not.
    B,
    /// A share does not pass, or the ranking.
    C,
}

/// Live beside simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overlay {
    /// Speeds that the model was simulated at.
    pub speeds: u32,
    /// The grade.
    pub grade: Grade,
    /// The variants.
    pub variants: Vec<Overlaid>,
    /// Their order by goodput.
    pub ranking: Ranking,
}

impl Overlay {
    /// Lays `live` beside what was foretold of the same variants in the same order; `simulated` has their differences.
    #[must_use]
    pub fn new(live: &Summary, forecasts: &[Forecast], simulated: &Summary, speeds: u32) -> Self {
        let variants: Vec<Overlaid> =
            live.variants.iter().zip(forecasts).map(|(variant, forecast)| Overlaid::new(variant, forecast)).collect();
        let ranking = Ranking::new(live, simulated);
        Self { speeds, grade: grade(&variants, &ranking), variants, ranking }
    }
}

impl Overlaid {
    fn new(live: &VariantSummary, forecast: &Forecast) -> Self {
        let near_critical = forecast.amplification.is_some_and(|times| times >= NEAR_CRITICAL)
            || forecast.swing.is_some_and(|swing| swing >= SWING);
        let pace = pace::at_pace(&forecast.speeds, Figure::TpotP50S.of(live));
        let row = |(figure, band): (Figure, Option<Interval>)| {
            let (simulated, live) = (figure.of(&forecast.summary), figure.of(live));
            let at_pace = pace.and_then(|pace| pace.figures[figure as usize]);
            let within_band = band.zip(live).map(|(band, live)| band.holds(live));
            let error = simulated.zip(live).and_then(|(simulated, live)| {
                if figure.is_share() { Some(simulated - live) } else { (live > 0.0).then(|| simulated / live - 1.0) }
            });
            // To a billionth: a difference of exactly the tolerance passes, whatever it was computed from.
            let near = |error: f64| error.abs() <= figure.tolerance() + 1e-9;
            let passes = error.map(|error| near(error) || near_critical && within_band == Some(true));
            let band = band.map(|band| [band.lo, band.hi]);
            Compared { figure, simulated, live, band, at_pace, error, within_band, passes }
        };
        let rows = Figure::ALL.into_iter().zip(forecast.bands).map(row);
        let rows = rows.filter(|row| row.simulated.is_some() || row.live.is_some());
        let Forecast { amplification, swing, .. } = *forecast;
        let pace = pace.map(|pace| pace.speed);
        Self { variant: live.name.clone(), amplification, swing, pace, near_critical, rows: rows.collect() }
    }
}

fn grade(variants: &[Overlaid], ranking: &Ranking) -> Grade {
    let fails = |share: bool| {
        let rows = variants.iter().flat_map(|variant| &variant.rows);
        rows.into_iter().any(|row| row.figure.is_share() == share && row.passes == Some(false))
    };
    match () {
        () if fails(true) || !ranking.swaps.is_empty() => Grade::C,
        () if fails(false) => Grade::B,
        () => Grade::A,
    }
}

#[cfg(test)]
mod tests;
