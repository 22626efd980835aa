//! Which settings need random draws: replications can differ by them.
//!
//! Every setting that may matter is named, so that whoever adds one has to say here whether it draws.

use super::{Breaker, Mode, Queue, Settings};

impl Settings {
    /// Whether any engine decides by an attempt's random draw: rejection in proportion to what runs abandoned or waits, the
    /// throttle, the limiter, whose waits may have jitter, and a breaker whose cooldowns have it.
    #[must_use]
    pub fn draws(&self) -> bool {
        // Every engine is named, so that a new one cannot be forgotten here.
        let Self {
            graduated,
            queue,
            concurrency: _,
            timeout: _,
            limiter,
            lane: _,
            breaker,
            call_timeout: _,
            finalise: _,
            upstream_errors: _,
            throttle,
            rate_limit: _,
            signals: _,
        } = self;
        let graduated = graduated.as_ref().is_some_and(|gate| gate.mode != Mode::Off);
        let queue = queue.as_ref().is_some_and(Queue::draws);
        let breaker = breaker.as_ref().is_some_and(Breaker::draws);
        graduated || queue || breaker || throttle.is_some() || limiter.is_some()
    }
}

impl Queue {
    /// Whether it decides by an attempt's random draw.
    fn draws(&self) -> bool {
        let Self {
            mode,
            max_queue_size: _,
            queue_rejection_threshold: _,
            max_queue_tokens: _,
            order: _,
            adaptive_lifo_share: _,
            weights: _,
            by_priority: _,
            codel: _,
            deadline_aware: _,
            graduated,
        } = self;
        *mode != Mode::Off && graduated.is_some()
    }
}

impl Breaker {
    /// Whether it decides by an attempt's random draw.
    fn draws(&self) -> bool {
        let Self {
            mode,
            trip: _,
            threshold: _,
            failure_rate: _,
            window_calls: _,
            window_time: _,
            minimum_calls: _,
            slow_call: _,
            slow_rate: _,
            cooldown: _,
            cooldown_factor: _,
            cooldown_max: _,
            jitter,
            recovery: _,
            probes: _,
            probe_lease: _,
            restart_on_late_error: _,
            idle_expiry: _,
            fallback: _,
            count_5xx: _,
            redispatch: _,
        } = self;
        *mode != Mode::Off && jitter.value() > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each engine alone: those that decide by a draw say so, whatever else they are told.
    #[test]
    fn whoever_draws_says_so() {
        let draws = |text: &str| toml::from_str::<Settings>(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}")).draws();
        for chance in [
            "[graduated]\nmax_abandoned = 10",
            "[queue]\ngraduated = { first = 2, last = 30 }",
            "[breaker]\njitter = 0.2",
            "[throttle]\nrule = 'sre'",
            "[limiter]",
        ] {
            assert!(draws(chance), "{chance}");
        }
        for sure in [
            "",
            "[graduated]\nmode = 'off'\nmax_abandoned = 10",
            "[queue]",
            "[queue]\nmode = 'off'\ngraduated = { first = 2, last = 30 }",
            "[breaker]",
            "[breaker]\nmode = 'off'\njitter = 0.2",
            "[concurrency]",
            "[timeout]",
            "[rate_limit]\nrequests = 5",
        ] {
            assert!(!draws(sure), "{sure}");
        }
    }
}
