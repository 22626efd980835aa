//! A provider's two limits together: a call is admitted where both allow it, and then taken from both.

use super::meter::Meter;
use super::settings::{LimiterSettings, TokenApiSettings};
use crate::request::{RateHeader, RateHeaders};
use crate::time::{Span, Time};

const SECOND_NS: u64 = 1_000_000_000;

fn header(meter: &Meter, now: Time) -> RateHeader {
    let mut meter = *meter;
    meter.refill(now);
    RateHeader { limit: meter.limit(), remaining: meter.remaining(), reset: meter.reset() }
}

/// Tokens and requests a minute.
#[derive(Clone, Debug)]
pub struct Limits {
    tokens: Option<Meter>,
    requests: Option<Meter>,
    settles: bool,
    charge_excess: bool,
}

impl Limits {
    /// Both full.
    #[must_use]
    pub fn new(settings: &TokenApiSettings) -> Self {
        let meter = |limit: crate::units::Count| Meter::new(limit.value(), settings.limiter);
        Self {
            tokens: settings.tokens_per_minute.map(meter),
            requests: settings.requests_per_minute.map(meter),
            settles: matches!(settings.limiter, LimiterSettings::ReserveAndSettle { .. }),
            charge_excess: settings.charge_excess,
        }
    }

    /// A call that asks for `tokens` comes in: it is taken from both limits, or from neither.
    ///
    /// # Errors
    /// When to come again (Retry-After: whole seconds, RFC 9110 section 10.2.3): when both limits would allow it if nothing
    /// else came. `None` where it is larger than a limit, so that no waiting helps.
    pub fn admit(&mut self, now: Time, tokens: u64) -> Result<(), Option<Span>> {
        let mut wait = Span::ZERO;
        for (meter, amount) in [(&mut self.tokens, tokens), (&mut self.requests, 1)] {
            let Some(meter) = meter else { continue };
            meter.refill(now);
            if !meter.fits(amount) {
                wait = wait.max(meter.wait(amount));
            }
        }
        if wait == Span::FOREVER {
            return Err(None);
        }
        if wait > Span::ZERO {
            return Err(Some(Span::from_secs(wait.as_nanos().div_ceil(SECOND_NS))));
        }
        for (meter, amount) in [(&mut self.tokens, tokens), (&mut self.requests, 1)] {
            if let Some(meter) = meter {
                meter.take(amount);
            }
        }
        Ok(())
    }

    /// A call that took `taken` tokens has ended and used `used`.
    pub fn settle(&mut self, now: Time, taken: u64, used: u64) {
        let Some(tokens) = &mut self.tokens else { return };
        tokens.refill(now);
        if used < taken && self.settles {
            tokens.give(taken - used);
        }
        if used > taken && (self.settles || self.charge_excess) {
            tokens.take(used - taken);
        }
    }

    /// What the headers say at `now`.
    #[must_use]
    pub fn headers(&self, now: Time) -> RateHeaders {
        let of = |meter: &Option<Meter>| meter.as_ref().map(|meter| header(meter, now));
        RateHeaders { tokens: of(&self.tokens), requests: of(&self.requests) }
    }
}
