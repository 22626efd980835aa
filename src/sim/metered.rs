//! What a replication writes down about a metered API and the policies in front of it, where there are any.

use hdrhistogram::Histogram;

use crate::journal::{Metered, MeteredCounts};
use crate::policy::{Counters, Gateway, Mode, Settings, Stats};
use crate::request::{Profile, Request};
use crate::time::Time;

/// Ratios are kept in thousandths, up to a million times the estimate.
const RATIO_UNIT: f64 = 1_000.0;
const RATIO_MAX: u64 = 1_000_000_000;

/// Figures so far; nothing where no such policy is set.
#[derive(Debug, Default)]
pub struct MeteredRecord(Option<Box<Figures>>);

#[derive(Debug)]
struct Figures {
    metered: Metered,
    /// Usage over estimate of all requests that arrive, thousandths, by kind of call: what no policy sees.
    ratios: Vec<Histogram<u64>>,
}

impl MeteredRecord {
    /// Nothing yet; `bills` says whether the upstream does.
    pub fn new(settings: &Settings, gateway: &Gateway, bills: bool) -> Self {
        if !in_use(settings) && !bills {
            return Self(None);
        }
        let mut metered = Metered { in_use: true, ..Metered::default() };
        metered.priors = gateway.stats(Time::ZERO).multipliers.unwrap_or_default();
        let histogram = || Histogram::new_with_max(RATIO_MAX, 3).expect("3 digits up to a constant maximum are in range");
        Self(Some(Box::new(Figures { metered, ratios: (0..Profile::KINDS).map(|_| histogram()).collect() })))
    }

    /// A request arrives for the first time.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and the histogram does too
    pub fn arrive(&mut self, request: &Request) {
        let Some(figures) = &mut self.0 else { return };
        let estimate = u64::from(request.input_estimate) + u64::from(request.max_tokens);
        let ratio = f64::from(request.usage_tokens) / estimate.max(1) as f64;
        figures.ratios[request.profile.kind()].saturating_record((ratio * RATIO_UNIT) as u64);
    }

    /// A call starts with a reservation.
    pub fn reserve(&mut self, tokens: u32) {
        if let Some(figures) = &mut self.0
            && tokens > 0
        {
            figures.metered.reserve(u64::from(tokens));
        }
    }

    /// The upstream refuses a call for its rate.
    pub fn refused_for_rate(&mut self) {
        if let Some(figures) = &mut self.0 {
            figures.metered.counts.upstream_429 += 1;
        }
    }

    /// An answer was cut at a limit that a policy had lowered.
    pub fn truncate(&mut self) {
        if let Some(figures) = &mut self.0 {
            figures.metered.counts.truncated += 1;
        }
    }

    /// A request of the cohort has had a good answer.
    pub fn good(&mut self, output_tokens: u32) {
        if let Some(figures) = &mut self.0 {
            figures.metered.good_tokens += u64::from(output_tokens);
        }
    }

    /// A bin of the run's series ends.
    #[allow(clippy::cast_possible_truncation)] // drawn to a few digits
    pub fn sample(&mut self, stats: &Stats) {
        if let Some(figures) = &mut self.0 {
            figures.metered.multiplier_series.push(stats.multipliers.unwrap_or_default().map(|multiplier| multiplier as f32));
        }
    }

    /// The run is over.
    pub fn finish(self, stats: &Stats) -> Metered {
        let Some(figures) = self.0 else { return Metered::default() };
        let Figures { metered, ratios } = *figures;
        let Counters { trims, lane_acquisitions, circuit_opens, proxy_degraded, finalised, redispatched, .. } = stats.counters;
        let p90 = |ratios: &Histogram<u64>| (!ratios.is_empty()).then(|| ratios.value_at_quantile(0.9) as f64 / RATIO_UNIT);
        Metered {
            counts: MeteredCounts {
                trims,
                lane_acquisitions,
                circuit_opens,
                proxy_degradations: proxy_degraded,
                finalised: finalised.enforced,
                redispatched,
                ..metered.counts
            },
            multipliers: stats.multipliers.unwrap_or_default(),
            true_p90: std::array::from_fn(|kind| p90(&ratios[kind])),
            ..metered
        }
    }
}

/// Whether any policy in front of a metered API is set.
fn in_use(settings: &Settings) -> bool {
    let modes = [
        settings.limiter.as_ref().map(|s| s.mode),
        settings.lane.as_ref().map(|s| s.mode),
        settings.breaker.as_ref().map(|s| s.mode),
        settings.finalise.as_ref().map(|s| s.mode),
        settings.call_timeout.as_ref().map(|s| s.mode),
    ];
    settings.upstream_errors.is_some() || modes.into_iter().flatten().any(|mode| mode != Mode::Off)
}
