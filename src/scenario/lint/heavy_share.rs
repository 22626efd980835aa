//! The heavy lane against its load: time that heavy calls take from everybody else, and starts that the window allows.

use super::calls::{Kind, budget, capacity, kinds, multiplier};
use super::estimate::{offered_rps, service_estimate};
use super::reservation::whole;
use super::{Finding, Level, round};
use crate::dist::Dist;
use crate::policy::{Exclusive, HeavyLane, Limiter, Mode, Window};
use crate::scenario::{Scenario, Variant};
use crate::units::Fraction;

/// Share of the budget that must be left where the settings say nothing (seed 002's code).
const MIN_REMAINING: f64 = 0.8;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let policy = &variant.policy;
    let Some(lane) = policy.lane.as_ref().filter(|lane| lane.mode == Mode::Enforce) else { return };
    let Some(limiter) = policy.limiter.as_ref().filter(|limiter| limiter.mode != Mode::Off) else { return };
    let mut add = |code, path: &str, message| {
        found.push(Finding { code, level: Level::Warning, path: path.to_owned(), message });
    };
    if let Some(message) = wants_all(lane, limiter) {
        return add("lane_above_window", "policy.lane.min_remaining_tokens", message);
    }
    let Some(rates) = offered_rps(variant) else { return };
    let heavy = Heavy::of(variant, limiter, &rates);
    if heavy.rps <= 0.0 {
        return;
    }
    if let Some(message) = too_many_starts(lane, limiter, &heavy) {
        add("heavy_starts", "policy.lane", message);
    }
    let service = service_estimate(variant, None).map(|service| service.mean_s);
    if let Some(message) = service.and_then(|mean_s| no_time(lane, &heavy, mean_s, variant.slots())) {
        add("heavy_share", "policy.lane.exclusive", message);
    }
}

/// Heavy and light load.
#[derive(Copy, Clone, Debug)]
struct Heavy {
    /// Heavy calls a second.
    rps: f64,
    /// Light ones.
    light_rps: f64,
    /// Mean first reservation of a heavy call, tokens.
    reservation: f64,
}

impl Heavy {
    fn of(variant: &Variant, limiter: &Limiter, rates: &[f64]) -> Self {
        let (mut rps, mut light_rps, mut tokens) = (0.0, 0.0, 0.0);
        for (class, rate) in variant.classes.iter().zip(rates) {
            let estimate = class.input.as_ref().map_or(1.0, Dist::mean) + f64::from(class.max_tokens.value());
            for kind in kinds(class) {
                let of: &mut f64 = if kind.is_heavy() { &mut rps } else { &mut light_rps };
                *of += rate * kind.share;
                tokens += heavy_tokens(&kind, rate * kind.share * estimate * multiplier(limiter, &kind));
            }
        }
        Self { rps, light_rps, reservation: if rps > 0.0 { tokens / rps } else { 0.0 } }
    }
}

fn heavy_tokens(kind: &Kind, tokens: f64) -> f64 {
    if kind.is_heavy() { tokens } else { 0.0 }
}

/// Tokens that must be left of a window.
fn threshold(lane: &HeavyLane, limiter: &Limiter) -> f64 {
    let share = || lane.min_remaining.map_or(MIN_REMAINING, Fraction::value) * capacity(limiter);
    lane.min_remaining_tokens.map_or_else(share, |tokens| f64::from(tokens.value()))
}

/// A whole window always is enough.
fn wants_all(lane: &HeavyLane, limiter: &Limiter) -> Option<String> {
    let (threshold, budget) = (threshold(lane, limiter), capacity(limiter));
    (threshold > budget).then(|| {
        format!(
            "a heavy call waits until {} tokens are left, and there are never more than {} ({} less a headroom of {}): it starts \
             only when all of them are, into a window from which nobody has taken anything",
            whole(threshold),
            whole(budget),
            limiter.tpm_limit.value(),
            limiter.headroom
        )
    })
}

/// A window has room for one heavy start, and for one more for each reservation that fits above the threshold.
fn too_many_starts(lane: &HeavyLane, limiter: &Limiter, heavy: &Heavy) -> Option<String> {
    if limiter.window == Window::Gcra {
        return None; // it has no windows to count starts in
    }
    let (threshold, budget) = (threshold(lane, limiter), budget(limiter));
    let reservation = heavy.reservation.min(budget);
    let starts = libm::floor((budget - threshold) / reservation) + 1.0;
    let wanted = heavy.rps * 60.0;
    (wanted > starts).then(|| {
        format!(
            "{} heavy calls come in a minute, and at most {} can start: each reserves {} tokens at first, and the next one waits until \
             {} of {} are left; the others queue for ever longer, whatever else there is",
            round(wanted),
            round(starts),
            whole(reservation),
            whole(threshold),
            whole(budget)
        )
    })
}

/// Heavy calls one by one, light ones on their slots: with `exclusive = "all"` they share the time.
fn no_time(lane: &HeavyLane, heavy: &Heavy, mean_s: f64, slots: Option<u32>) -> Option<String> {
    let share = heavy.rps * mean_s;
    let said = format!(
        "heavy calls, {} a second of {} s one by one, take {} % of the time",
        round(heavy.rps),
        round(mean_s),
        round(share * 100.0)
    );
    match (lane.exclusive, slots) {
        (Exclusive::Heavy | Exclusive::All, _) if share >= 1.0 => Some(format!("{said}: they queue for ever longer")),
        (Exclusive::All, Some(slots)) => {
            let light = heavy.light_rps * mean_s / f64::from(slots);
            (share + light >= 1.0).then(|| {
                format!(
                    "{said}, and light ones, {} a second on {slots} slots, need {} %: with `exclusive = \"all\"` both together do not \
                     fit, and somebody queues for ever longer",
                    round(heavy.light_rps),
                    round(light * 100.0)
                )
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Count;

    const HEAVY: Heavy = Heavy { rps: 0.05, light_rps: 0.2, reservation: 20_000.0 };

    #[test]
    fn a_window_has_room_for_one_large_start() {
        let (lane, limiter) = (HeavyLane::default(), Limiter::default());
        let message = too_many_starts(&lane, &limiter, &HEAVY).unwrap();
        assert!(
            message.starts_with("3 heavy calls come in a minute, and at most 1 can start: each reserves 20000 tokens at first")
        );
        assert!(message.contains("until 20400 of 25500 are left"), "{message}");
        // (25500 - 20400) / 2000: two more fit above the threshold.
        assert_eq!(too_many_starts(&lane, &limiter, &Heavy { reservation: 2_000.0, ..HEAVY }), None);
        assert!(too_many_starts(&lane, &limiter, &Heavy { reservation: 3_000.0, ..HEAVY }).unwrap().contains("at most 2 can"));
    }

    #[test]
    fn the_configured_24000_never_fit_into_a_smaller_limit() {
        let lane = HeavyLane { min_remaining_tokens: Count::new(24_000), ..HeavyLane::default() };
        assert_eq!(wants_all(&lane, &Limiter::default()), None);
        let small = Limiter { tpm_limit: Count::new(20_000).unwrap(), ..Limiter::default() };
        assert_eq!(
            wants_all(&lane, &small).unwrap(),
            "a heavy call waits until 24000 tokens are left, and there are never more than 17000 (20000 less a headroom of 0.15): it \
             starts only when all of them are, into a window from which nobody has taken anything"
        );
    }

    #[test]
    fn heavy_and_light_time_add_up_only_where_they_exclude_each_other() {
        let with = |exclusive, mean_s| no_time(&HeavyLane { exclusive, ..HeavyLane::default() }, &HEAVY, mean_s, Some(3));
        // 0.05 x 12 + 0.2 x 12 / 3 = 0.6 + 0.8
        assert_eq!(
            with(Exclusive::All, 12.0).unwrap(),
            "heavy calls, 0.05 a second of 12 s one by one, take 60 % of the time, and light ones, 0.2 a second on 3 slots, need 80 %: \
             with `exclusive = \"all\"` both together do not fit, and somebody queues for ever longer"
        );
        assert_eq!((with(Exclusive::Heavy, 12.0), with(Exclusive::All, 8.0), with(Exclusive::Seed, 50.0)), (None, None, None));
        assert!(with(Exclusive::Heavy, 20.0).unwrap().ends_with("take 100 % of the time: they queue for ever longer"));
    }
}
