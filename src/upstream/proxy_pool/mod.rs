//! Proxies between gateway and API, which come and go and fail.
//!
//! There is a pool for each country and mode. Each is up and down in turn by an alternating renewal process of its own, and
//! down too while an outage of the whole provider hits it. While a pool is down no connection succeeds; while it is up, a
//! share of them fails. A failure is fast (refused at once) or slow (nothing answers until somebody loses patience).
//!
//! Outages come from streams of the replication (`upstream/proxy/US/rotating`), so that every policy meets the same ones; what
//! happens to one connection comes from its call's own draws.

mod outages;
mod settings;

pub use outages::Outages;
pub use settings::{PoolSettings, ProxyPlace, ProxySettings, QualitySettings, TogetherSettings};

use rand_chacha::rand_core::Rng;

use crate::dist::{Dist, SpanDist};
use crate::request::{Country, ProxyMode};
use crate::rng::{Streams, mix, open01};
use crate::time::{Span, Time};
use crate::units::Fraction;

/// Which of a call's draws is for what. The API's own begin at [`DRAWS`].
const DRAW_FAILS: u64 = 0;
const DRAW_FAST: u64 = 1;
const DRAW_TAKES: u64 = 2;

/// How many of a call's draws are the proxies'.
pub(super) const DRAWS: u64 = 8;

/// How an attempt to connect ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Whether it succeeds.
    pub succeeds: bool,
    /// How long it takes.
    pub takes: Span,
}

/// A pool's figures, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Up times.
    pub up: SpanDist,
    /// Down times.
    pub down: SpanDist,
    /// Share of connections that fail while up.
    pub error_rate: f64,
    /// What a connection takes more than a direct one.
    pub latency: SpanDist,
    /// Share of failures that are fast.
    pub fast_share: f64,
    /// How long a fast one takes.
    pub fast: SpanDist,
    /// How long a slow one takes.
    pub slow: SpanDist,
}

impl Quality {
    /// The figures of the pool of `country` and `mode`: its own, else the mode's, else the mode's defaults.
    #[must_use]
    pub fn resolve(settings: &ProxySettings, country: Country, mode: ProxyMode) -> Self {
        let mut quality = Self::default_of(mode);
        let own = settings.pool.iter().find(|pool| (pool.country, pool.mode) == (country, mode)).map(|pool| &pool.quality);
        for stated in settings.of_mode(mode).into_iter().chain(own) {
            quality.lay_over(stated);
        }
        quality
    }

    /// Our choice, from best to worst as the field speaks of them: data centre, rotating, households. State your own.
    fn default_of(mode: ProxyMode) -> Self {
        let (up, down, error_rate, latency) = match mode {
            ProxyMode::Rotating => (7_200, 300, 0.01, 800),
            ProxyMode::Residential => (3_600, 600, 0.03, 1_500),
            ProxyMode::Backbone => (86_400, 300, 0.005, 150),
        };
        let fixed = |millis| Dist::Fixed { value: Span::from_millis(millis) };
        Self {
            up: Dist::Exponential { mean: Span::from_secs(up) },
            down: Dist::Exponential { mean: Span::from_secs(down) },
            error_rate,
            latency: fixed(latency),
            fast_share: 0.7,
            fast: fixed(300),
            slow: fixed(30_000),
        }
    }

    fn lay_over(&mut self, stated: &QualitySettings) {
        let lay = |figure: &mut SpanDist, stated: &Option<SpanDist>| {
            if let Some(stated) = stated {
                figure.clone_from(stated);
            }
        };
        lay(&mut self.up, &stated.up);
        lay(&mut self.down, &stated.down);
        lay(&mut self.latency, &stated.latency);
        lay(&mut self.fast, &stated.fast);
        lay(&mut self.slow, &stated.slow);
        self.error_rate = stated.error_rate.map_or(self.error_rate, Fraction::value);
        self.fast_share = stated.fast_share.map_or(self.fast_share, Fraction::value);
    }
}

/// One pool.
#[derive(Debug)]
struct Pool {
    country: Country,
    mode: ProxyMode,
    quality: Quality,
    own: Outages,
    /// Seed of the draws of which common outages hit it.
    hits: u64,
}

/// All pools.
#[derive(Debug)]
pub struct ProxyPool {
    settings: ProxySettings,
    streams: Streams,
    together: Option<(Outages, f64)>,
    /// Those that somebody has asked for.
    pools: Vec<Pool>,
}

impl ProxyPool {
    /// Pools that are all up, as they are when the replication of `streams` begins.
    #[must_use]
    pub fn new(settings: &ProxySettings, streams: Streams) -> Self {
        let together = settings.together.as_ref().map(|together| {
            let rng = streams.named("upstream/proxy/together");
            (Outages::new(together.up.clone(), together.down.clone(), rng), together.share.value())
        });
        Self { settings: settings.clone(), streams, together, pools: Vec::new() }
    }

    /// Whether a pool is up at `now`, which is not before the last one asked for.
    pub fn is_up(&mut self, now: Time, country: Country, mode: ProxyMode) -> bool {
        let pool = self.find(country, mode);
        self.pool_is_up(now, pool)
    }

    /// What becomes of a connection begun at `now`, which is not before the last one, by the call's own draws.
    pub fn connect(&mut self, now: Time, country: Country, mode: ProxyMode, draw: u64) -> Connection {
        let pool = self.find(country, mode);
        let is_up = self.pool_is_up(now, pool);
        let quality = &self.pools[pool].quality;
        let succeeds = is_up && open01(mix(draw, DRAW_FAILS)) >= quality.error_rate;
        let is_fast = || open01(mix(draw, DRAW_FAST)) < quality.fast_share;
        let dist = match () {
            () if succeeds => &quality.latency,
            () if is_fast() => &quality.fast,
            () => &quality.slow,
        };
        Connection { succeeds, takes: Span::from_secs_f64(dist.sample(mix(draw, DRAW_TAKES))) }
    }

    fn pool_is_up(&mut self, now: Time, pool: usize) -> bool {
        let pool = &mut self.pools[pool];
        let is_hit = self
            .together
            .as_mut()
            .is_some_and(|(outages, share)| !outages.is_up(now) && open01(mix(pool.hits, outages.number())) < *share);
        pool.own.is_up(now) && !is_hit
    }

    /// The pool's place; its streams have its name, so it does not matter when it is first asked for.
    fn find(&mut self, country: Country, mode: ProxyMode) -> usize {
        let known = self.pools.iter().position(|pool| (pool.country, pool.mode) == (country, mode));
        known.unwrap_or_else(|| {
            let quality = Quality::resolve(&self.settings, country, mode);
            let name = format!("upstream/proxy/{country}/{}", mode.name());
            let own = Outages::new(quality.up.clone(), quality.down.clone(), self.streams.named(&name));
            let hits = self.streams.named(&format!("{name}/together")).next_u64();
            self.pools.push(Pool { country, mode, quality, own, hits });
            self.pools.len() - 1
        })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
