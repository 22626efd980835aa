//! The gateway's own limit on requests: the generic cell rate algorithm (ITU-T I.371; as governor has it).
//!
//! A request comes at the theoretical arrival time `tat` or up to `burst - 1` intervals before it; it sets
//! `tat = max(tat, now) + interval`. The interval `per / requests` is kept exact: time is counted in units of
//! 1 / `requests` ns.

use serde::{Deserialize, Serialize};

use super::contract::{Asked, Engine};
use super::settings::RateLimit;
use super::{Mode, Saw, Verdict};
use crate::request::Reason;
use crate::time::{Span, Time};

/// The limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RequestRate {
    mode: Mode,
    /// Requests in each `per`.
    requests: u64,
    /// ns.
    per: u64,
    burst: u32,
    /// Theoretical arrival time of the next request, in units of 1 / `requests` ns.
    tat: u128,
}

/// Whether some requests may come together.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Cells {
    /// Now.
    Fit,
    /// At this time, if none comes before.
    At(Time),
    /// Never: more than the burst.
    Never,
}

impl RequestRate {
    /// A limit of which nothing is used; without settings it is off.
    pub fn new(settings: Option<&RateLimit>) -> Self {
        let mut limit = Self { mode: Mode::Off, requests: 1, per: 0, burst: u32::MAX, tat: 0 };
        limit.reconfigure(settings);
        limit
    }

    /// A new rate; what was used stays used for as long as it would have.
    pub fn reconfigure(&mut self, settings: Option<&RateLimit>) {
        let settings = settings.filter(|s| s.mode != Mode::Off);
        self.mode = settings.map_or(Mode::Off, |s| s.mode);
        let Some(settings) = settings else {
            self.tat = 0;
            return;
        };
        let requests = u64::from(settings.requests.value());
        self.tat = self.tat * u128::from(requests) / u128::from(self.requests);
        self.requests = requests;
        self.per = settings.per.as_nanos();
        self.burst = settings.burst.unwrap_or(settings.requests).value();
    }

    /// When a refused client may come again.
    pub fn retry_after(&self, now: Time) -> Span {
        match self.fit(now, 1) {
            Cells::At(time) => time - now,
            Cells::Fit | Cells::Never => Span::ZERO,
        }
    }

    /// Whether `n` requests may come together.
    fn fit(&self, now: Time, n: u32) -> Cells {
        if n > self.burst {
            return Cells::Never;
        }
        let tolerance = u128::from(self.burst - n) * u128::from(self.per);
        let earliest = self.tat.saturating_sub(tolerance);
        if earliest <= self.units(now) {
            return Cells::Fit;
        }
        let nanos = earliest.div_ceil(u128::from(self.requests));
        Cells::At(Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Requests come that fit.
    fn use_up(&mut self, now: Time, n: u32) {
        self.tat = self.tat.max(self.units(now)) + u128::from(n) * u128::from(self.per);
    }

    /// How many may come together.
    fn left(&self, now: Time) -> u32 {
        let ahead = self.tat.saturating_sub(self.units(now));
        let per = u128::from(self.per);
        let used = ahead.checked_div(per).map_or(0, |whole| whole + u128::from(!ahead.is_multiple_of(per)));
        self.burst.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    fn units(&self, now: Time) -> u128 {
        u128::from(now.as_nanos()) * u128::from(self.requests)
    }
}

impl Engine for RequestRate {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        if self.fit(asked.now, 1) == Cells::Fit { Verdict::Pass } else { Verdict::Refuse(Reason::RateLimited) }
    }

    /// One request is used up, unless it comes through a mere observer that would have refused it.
    fn take(&mut self, asked: &Asked) {
        if self.fit(asked.now, 1) == Cells::Fit {
            self.use_up(asked.now, 1);
        }
    }

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        Saw::RateLimit { left: self.left(asked.now), wait: self.retry_after(asked.now) }
    }
}

#[cfg(test)]
#[path = "rate_limit_tests.rs"]
mod tests;
