//! Who may start beside whom, by hand, and that neither side starves the other.

use super::*;

const BUDGET: u64 = 25_500;

fn at(secs: u64) -> Time {
    Time::ZERO + Span::from_secs(secs)
}

fn lane(change: impl FnOnce(&mut HeavyLane)) -> Lane {
    let mut settings = HeavyLane::default();
    change(&mut settings);
    Lane::new(Some(&settings))
}

/// A whole window, nothing beside.
fn view() -> LaneView {
    LaneView {
        remaining: BUDGET.cast_signed(),
        budget: BUDGET,
        light_running: 0,
        heavy_waited: Span::ZERO,
        light_waited: None,
        next_window: at(60),
    }
}

/// Until something else happens.
const WAIT: Option<Time> = Some(Time::FAR);

/// The seed's `test_heavy_lane_isolation`, and the rest of its table.
#[test]
fn heavy_is_grounded_with_the_apis_own_signal() {
    let on = lane(|_| {});
    for vantage in Vantage::ALL {
        let heavy = matches!(vantage, Vantage::AlsOnly | Vantage::AlsPlusProxy);
        assert_eq!(on.is_heavy(Profile { grounded: true, vantage, ..Profile::default() }), heavy);
        assert!(!on.is_heavy(Profile { grounded: false, vantage, ..Profile::default() }));
    }
    let als = Profile { grounded: true, vantage: Vantage::AlsOnly, ..Profile::default() };
    assert!(!Lane::new(None).is_heavy(als) && !lane(|s| s.mode = Mode::Off).is_heavy(als));
    assert!(lane(|s| s.mode = Mode::Observe).is_heavy(als));
}

#[test]
fn four_fifths_of_the_budget_in_the_code_24000_tokens_in_the_configuration() {
    for (tokens, enough) in [(None, 20_400), (Count::new(24_000), 24_000), (Count::new(30_000), 25_500)] {
        let lane = lane(|s| s.min_remaining_tokens = tokens);
        assert_eq!(lane.blocks_heavy(at(0), &LaneView { remaining: enough, ..view() }), None, "{tokens:?}");
        assert_eq!(lane.blocks_heavy(at(0), &LaneView { remaining: enough - 1, ..view() }), Some(at(60)), "{tokens:?}");
        assert_eq!(lane.blocks_heavy(at(0), &LaneView { remaining: -90_000, ..view() }), Some(at(60)), "{tokens:?}");
    }
}

/// Nothing has rolled the window over by its end: the seed looks again a minute later, and sees the same.
#[test]
fn the_seeds_lane_waits_from_minute_to_minute() {
    let lane = lane(|s| s.refresh = Refresh::OnReserve);
    let low = LaneView { remaining: 10_000, ..view() };
    assert!(!lane.refreshes());
    for minute in 1..100 {
        assert_eq!(lane.blocks_heavy(at(60 * minute), &low), Some(at(60 * (minute + 1))));
    }
}

#[test]
fn exclusion_of_nobody_of_heavy_ones_and_of_all() {
    for (exclusive, heavy, light) in
        [(Exclusive::Seed, None, None), (Exclusive::Heavy, Some(at(600)), None), (Exclusive::All, Some(at(600)), Some(at(600)))]
    {
        let mut lane = lane(|s| s.exclusive = exclusive);
        let hold = lane.take(at(0));
        assert_eq!(
            (lane.blocks_heavy(at(1), &view()), lane.blocks_light(at(1), None, Span::ZERO)),
            (heavy, light),
            "{exclusive:?}"
        );
        assert_eq!(lane.running(), 1);
        lane.give_back(hold);
        assert_eq!((lane.blocks_heavy(at(2), &view()), lane.blocks_light(at(2), None, Span::ZERO)), (None, None));
        assert_eq!(lane.running(), 0);
        let beside = if exclusive == Exclusive::All { WAIT } else { None };
        assert_eq!(lane.blocks_heavy(at(2), &LaneView { light_running: 1, ..view() }), beside, "{exclusive:?}");
    }
}

#[test]
fn a_lost_end_wedges_the_lane_for_its_lease_only() {
    let mut lane = lane(|s| s.exclusive = Exclusive::All);
    let lost = lane.take(at(0));
    assert_eq!(lane.blocks_light(at(599), None, Span::ZERO), Some(at(600)));
    assert_eq!((lane.blocks_heavy(at(600), &view()), lane.blocks_light(at(600), None, Span::ZERO)), (None, None));
    let second = lane.take(at(600));
    lane.give_back(lost);
    assert_eq!(lane.blocks_heavy(at(700), &view()), Some(at(1_200)), "the late end is not the second one's");
    lane.give_back(second);
    assert_eq!((lane.blocks_heavy(at(701), &view()), lane.running()), (None, 0));
}

#[test]
fn two_things_in_the_way_must_both_go() {
    let mut lane = lane(|s| (s.exclusive, s.lease) = (Exclusive::All, Span::from_secs(30)));
    let _running = lane.take(at(0));
    assert_eq!(lane.blocks_heavy(at(1), &LaneView { remaining: 0, ..view() }), Some(at(60)));
    assert_eq!(lane.blocks_heavy(at(1), &LaneView { remaining: 0, light_running: 1, ..view() }), WAIT);
}

#[test]
fn starts_are_staggered_among_heavy_ones_or_among_all() {
    for (scope, light, after_light) in [(StaggerScope::Heavy, None, 15), (StaggerScope::All, Some(at(15)), 20)] {
        let mut lane = lane(|s| (s.stagger, s.stagger_scope) = (Some(Span::from_secs(15)), scope));
        let hold = lane.take(at(0));
        lane.give_back(hold);
        assert_eq!(lane.blocks_heavy(at(2), &view()), Some(at(15)));
        assert_eq!(lane.blocks_light(at(2), None, Span::ZERO), light);
        lane.started_light(at(5));
        assert_eq!(lane.blocks_heavy(at(6), &view()), Some(at(after_light)));
        assert_eq!(lane.blocks_heavy(at(after_light), &view()), None);
    }
}

/// 120 s for heavy, 60 s for light; where both are over, the longer wait goes first; at equal waits the heavy one.
#[test]
fn ageing_holds_back_one_side_and_never_both() {
    let mut lane = lane(|_| {});
    for (heavy, light, heavy_goes, light_goes) in [
        (119, 59, None, None),
        (120, 59, None, WAIT),
        (119, 60, Some(at(1_001)), None),
        (10, 60, WAIT, None),
        (120, 60, None, WAIT),
        (130, 130, None, WAIT),
        (130, 131, WAIT, None),
    ] {
        let (heavy, light) = (Span::from_secs(heavy), Span::from_secs(light));
        let asked = LaneView { heavy_waited: heavy, light_waited: Some(light), ..view() };
        assert_eq!(lane.blocks_heavy(at(1_000), &asked), heavy_goes, "{heavy} {light}");
        assert_eq!(lane.blocks_light(at(1_000), Some(heavy), light), light_goes, "{heavy} {light}");
    }
    // Where light attempts may wait longer than heavy ones, an older one learns when its own time comes.
    lane.reconfigure(Some(&HeavyLane { light_max_wait: Span::from_secs(200), ..HeavyLane::default() }));
    assert_eq!(lane.blocks_light(at(1_000), Some(Span::from_secs(120)), Span::from_secs(150)), Some(at(1_050)));
}

/// Everybody has waited for very long; each start gives the other side the next one, and none is held back at once.
#[test]
fn a_backlog_counts_from_its_sides_own_latest_start() {
    let mut lane = lane(|_| {});
    let (old, older) = (Span::from_secs(5_000), Span::from_secs(9_000));
    let goes = |lane: &mut Lane, now| {
        let heavy = lane.blocks_heavy(now, &LaneView { heavy_waited: older, light_waited: Some(old), ..view() });
        (heavy.is_none(), lane.blocks_light(now, Some(older), old).is_none())
    };
    assert_eq!(goes(&mut lane, at(10_000)), (true, false));
    let hold = lane.take(at(10_000));
    lane.give_back(hold);
    assert_eq!(goes(&mut lane, at(10_001)), (false, true), "light has waited longer since");
    lane.started_light(at(10_001));
    assert_eq!(goes(&mut lane, at(10_002)), (true, true), "neither has aged again");
    assert_eq!(goes(&mut lane, at(10_061)), (false, true));
    assert_eq!(goes(&mut lane, at(10_120)), (true, false), "the heavy one again, as the older");
}

#[test]
fn nothing_ages_where_that_would_be_a_deadlock_or_nobody_is_excluded() {
    let aged = Span::from_secs(10_000);
    for seed in [lane(|s| s.refresh = Refresh::OnReserve), lane(|s| s.exclusive = Exclusive::Seed)] {
        assert_eq!(seed.blocks_light(at(10_000), Some(aged), Span::ZERO), None);
        assert_eq!(seed.blocks_heavy(at(10_000), &LaneView { light_waited: Some(aged), ..view() }), None);
    }
}

#[test]
fn off_lets_all_pass() {
    let lane = Lane::new(None);
    assert_eq!(lane.blocks_heavy(at(0), &LaneView { remaining: 0, light_running: 9, ..view() }), None);
    assert_eq!(lane.blocks_light(at(0), Some(Span::from_secs(9_999)), Span::ZERO), None);
    assert!(!lane.refreshes() && lane.mode() == Mode::Off);
}

/// A gateway in small, in steps of a second: a light call of 1,000 tokens every `light_every`, of 10 s each; a heavy one of
/// 25,000 tokens and 45 s every `heavy_every`; a whole window each minute. Returns the longest waits, heavy and light.
fn longest_waits(change: impl FnOnce(&mut HeavyLane), light_every: u64, heavy_every: u64) -> (u64, u64) {
    let mut lane = lane(change);
    let (mut heavies, mut lights) = (std::collections::VecDeque::new(), std::collections::VecDeque::new());
    let (mut running, mut light_ends) = (Vec::new(), Vec::new());
    let (mut remaining, mut longest) = (BUDGET.cast_signed(), (0, 0));
    for now in 0..20_000u64 {
        if now % 60 == 0 {
            remaining = BUDGET.cast_signed();
        }
        if now % light_every == 0 {
            lights.push_back(now);
        }
        if now % heavy_every == 7 {
            heavies.push_back(now);
        }
        light_ends.retain(|end| *end > now);
        for (end, hold) in std::mem::take(&mut running) {
            if end > now { running.push((end, hold)) } else { lane.give_back(hold) }
        }
        let waited = |since: &u64| Span::from_secs(now - since);
        if let Some(since) = heavies.front() {
            let asked = LaneView {
                remaining,
                budget: BUDGET,
                light_running: u32::try_from(light_ends.len()).expect("few"),
                heavy_waited: waited(since),
                light_waited: lights.front().map(waited),
                next_window: at((now / 60 + 1) * 60),
            };
            if lane.blocks_heavy(at(now), &asked).is_none() && remaining >= 25_000 {
                longest.0 = longest.0.max(now - heavies.pop_front().expect("it asks"));
                remaining -= 25_000;
                running.push((now + 45, lane.take(at(now))));
            }
        }
        while let Some(since) = lights.front() {
            let may = lane.blocks_light(at(now), heavies.front().map(waited), waited(since)).is_none();
            if !may || remaining < 1_000 {
                break;
            }
            longest.1 = longest.1.max(now - lights.pop_front().expect("it asks"));
            remaining -= 1_000;
            light_ends.push(now + 10);
            lane.started_light(at(now));
        }
    }
    let oldest = |queue: &std::collections::VecDeque<u64>| queue.front().map_or(0, |since| 20_000 - since);
    (longest.0.max(oldest(&heavies)), longest.1.max(oldest(&lights)))
}

/// Light calls that never leave four fifths of a window for long, and heavy ones that never leave a light one a token.
#[test]
fn neither_side_starves_the_other() {
    for exclusive in [Exclusive::Heavy, Exclusive::All] {
        // Heavy: its own 120 s, then at most a light call that runs, and two windows' ends.
        let (heavy, light) = longest_waits(|s| s.exclusive = exclusive, 4, 600);
        assert!(heavy <= 120 + 2 * 60 && light <= 60 + 2 * 60, "{exclusive:?} under light load: {heavy} s, {light} s");
        // Light, beside a backlog of heavy ones: its own 60 s, then at most a heavy call that runs, and a window's end.
        let (_, light) = longest_waits(|s| s.exclusive = exclusive, 60, 50);
        assert!(light <= 60 + 2 * 60, "{exclusive:?} under heavy load: {light} s");
    }
    let never = |s: &mut HeavyLane| {
        (s.exclusive, s.heavy_max_wait, s.light_max_wait) = (Exclusive::All, Span::FOREVER, Span::FOREVER);
    };
    assert!(longest_waits(never, 4, 600).0 > 10_000, "without ageing a light call always runs");
    assert!(longest_waits(never, 60, 50).1 > 10_000, "without ageing no token is ever left for a light call");
}

#[test]
fn a_million_random_operations() {
    let exclusives = [Exclusive::Seed, Exclusive::Heavy, Exclusive::All];
    let (mut lane, mut holds, mut state) = (lane(|_| {}), Vec::new(), 1u64);
    for step in 0..1_000_000u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (draw, now) = (state >> 33, at(step));
        let pick = |of: usize| usize::try_from(draw / 1_000).map_or(0, |draw| draw % of);
        match draw % 8 {
            0 if holds.len() < 8 => holds.push(lane.take(now)),
            1 | 2 if !holds.is_empty() => {
                let hold = holds.swap_remove(pick(holds.len()));
                lane.give_back(hold);
            }
            3 => lane.started_light(now),
            4 if draw.is_multiple_of(1_000) => {
                let exclusive = exclusives[pick(3)];
                let stagger = Some(Span::from_secs(draw % 20));
                lane.reconfigure(Some(&HeavyLane { exclusive, stagger, ..HeavyLane::default() }));
            }
            5 => {
                let (heavy, light) = (Span::from_secs(draw % 300), Span::from_secs(draw / 300 % 300));
                if let Some(until) = lane.blocks_light(now, Some(heavy), light).filter(|until| *until < Time::FAR) {
                    assert!(until > now, "asking at once would spin");
                }
            }
            _ => {
                let remaining = (draw % 30_000).cast_signed() - 3_000;
                let light_waited = draw.is_multiple_of(2).then(|| Span::from_secs(draw % 180));
                let asked =
                    LaneView { remaining, heavy_waited: Span::from_secs(draw % 170), light_waited, next_window: now, ..view() };
                if let Some(until) = lane.blocks_heavy(now, &asked).filter(|until| *until < Time::FAR) {
                    assert!(until > now, "asking at once would spin");
                }
            }
        }
        assert_eq!(lane.running() as usize, holds.len());
    }
}
