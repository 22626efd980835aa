//! The breaker against the seed's own sequence, against runs of resilience4j, and by property.

use super::*;
use crate::policy::settings::{Breaker as Settings, Recovery, Trip};
use crate::rng::mix;
use crate::units::{Count, Fraction, Positive};
use proptest::prelude::*;

fn us() -> ProxyKey {
    ProxyKey { country: Country::default(), mode: ProxyMode::default() }
}

/// Below 1,614 never the same as `us`.
fn key(number: usize) -> ProxyKey {
    let letters = [number / 3 / 26, number / 3 % 26].map(|n| b'A' + u8::try_from(n).expect("a letter"));
    let country = std::str::from_utf8(&letters).expect("ASCII").parse().expect("two capital letters");
    ProxyKey { country, mode: ProxyMode::ALL[number % 3] }
}

fn count(n: u32) -> Count {
    Count::new(n).expect("above 0")
}

fn fraction(x: f64) -> Fraction {
    Fraction::new(x).expect("in range")
}

fn at_ms(ms: u64) -> Time {
    Time::ZERO + Span::from_millis(ms)
}

fn at(secs: u64) -> Time {
    at_ms(secs * 1_000)
}

/// The seed's breaker (2 errors, 600 s).
fn seed() -> Settings {
    crate::policy::Settings::seed_adapter().breaker.expect("the seed's adapter has one")
}

/// The sequences' breaker: 50 %, 5 s.
fn rates() -> Settings {
    Settings { minimum_calls: count(5), cooldown: Span::from_secs(5), ..Settings::default() }
}

fn breaker(settings: &Settings) -> Breaker {
    Breaker::new(Some(settings))
}

/// A call that asks, goes through, and ends at once.
fn call(breaker: &mut Breaker, now: Time, result: CallResult) -> Moved {
    call_of(breaker, now, result, Span::ZERO)
}

fn call_of(breaker: &mut Breaker, now: Time, result: CallResult, took: Span) -> Moved {
    assert!(!matches!(breaker.ask(now, us()), Gate::Open { .. }), "open at {now}");
    let permit = breaker.take(now, us());
    breaker.give_back(now, permit, result, took, 0)
}

fn fail(breaker: &mut Breaker, now: Time) -> Moved {
    call(breaker, now, CallResult::Failed)
}

fn phase(breaker: &Breaker) -> Phase {
    breaker.states().find(|(known, _)| *known == us()).expect("known").1
}

fn sums(breaker: &mut Breaker, now: Time) -> (u64, u64, u64) {
    let sums = breaker.circuits[0].window_sums(now);
    (sums.calls, sums.failed, sums.slow)
}

fn opened(breaker: &mut Breaker, now: Time) {
    while fail(breaker, now) != Moved::Opened {}
}

/// Seed 002, `test_circuit_breaker`: the first error leaves it closed, the second opens it; then its cooldown.
#[test]
fn the_seeds_sequence() {
    let mut breaker = breaker(&seed());
    assert_eq!(fail(&mut breaker, at(0)), Moved::Nothing);
    assert_eq!(call(&mut breaker, at(1), CallResult::Ok), Moved::Nothing, "no success lowers the count");
    assert_eq!(fail(&mut breaker, at(86_400)), Moved::Opened, "two errors in any length of time");
    assert_eq!((breaker.opens(), breaker.is_open(at(86_400), us())), (1, true));
    assert_eq!(breaker.degrade(Vantage::AlsPlusProxy), Some(Vantage::AlsOnly));
    assert_eq!(breaker.degrade(Vantage::ProxyOnly), None);
    assert_eq!(breaker.degrade(Vantage::None), Some(Vantage::None));
    let until = at(87_000) + Span::from_nanos(1);
    assert_eq!(breaker.ask(at(87_000), us()), Gate::Open { until }, "600 s are not more than 600 s");
    assert!(breaker.is_open(at(87_000), us()) && !breaker.is_open(until, us()));
    assert!(matches!(phase(&breaker), Phase::Open { .. }), "to look moves nothing");
    assert_eq!(breaker.ask(until, us()), Gate::Closed, "by itself, without a probe");
    assert_eq!(fail(&mut breaker, until), Moved::Nothing, "its count was back at zero");
    assert_eq!(fail(&mut breaker, until), Moved::Opened);
}

#[test]
fn a_late_error_restarts_the_seeds_cooldown() {
    let mut breaker = breaker(&seed());
    let mut late: Vec<_> = (0..4).map(|_| breaker.take(at(0), us())).collect();
    opened(&mut breaker, at(0));
    let mut error = |breaker: &mut Breaker, secs| {
        breaker.give_back(at(secs), late.pop().expect("one is left"), CallResult::Failed, Span::ZERO, 0)
    };
    assert_eq!(error(&mut breaker, 500), Moved::Opened);
    assert_eq!(breaker.opens(), 2);
    assert!(breaker.is_open(at(1_100), us()) && !breaker.is_open(at(1_101), us()));
    // Nobody has asked since, so the seed has not closed it yet.
    assert_eq!(error(&mut breaker, 1_200), Moved::Opened);
    assert_eq!(breaker.ask(at(1_801), us()), Gate::Closed);
    assert_eq!(error(&mut breaker, 1_802), Moved::Nothing, "closed again: an error like any other");
    assert_eq!(error(&mut breaker, 1_803), Moved::Opened);
    assert_eq!(breaker.opens(), 4);
}

#[test]
fn without_the_seeds_setting_a_late_error_is_nothing() {
    let mut breaker = breaker(&Settings { restart_on_late_error: false, ..seed() });
    let late: Vec<_> = (0..3).map(|_| breaker.take(at(0), us())).collect();
    opened(&mut breaker, at(0));
    let moved: Vec<_> = late
        .into_iter()
        .zip([500, 601, 602])
        .map(|(permit, secs)| breaker.give_back(at(secs), permit, CallResult::Failed, Span::ZERO, 0))
        .collect();
    assert_eq!(moved, [Moved::Nothing, Moved::Closed, Moved::Nothing], "the second finds the cooldown over");
    assert_eq!((breaker.opens(), fail(&mut breaker, at(603))), (1, Moved::Nothing));
}

#[test]
fn consecutive_errors_are_broken_by_a_success() {
    let mut breaker = breaker(&Settings { trip: Trip::Consecutive, threshold: count(3), ..Settings::default() });
    let results = [true, true, false, true, true, true].map(|failed| if failed { CallResult::Failed } else { CallResult::Ok });
    let moved = results.map(|result| call(&mut breaker, at(1), result));
    assert_eq!(moved[..5], [Moved::Nothing; 5]);
    assert_eq!(moved[5], Moved::Opened);
}

/// `[breaker_rate]`: window of 20 s, minimum 5, 50 %: "e e e s -> CLOSED, rate undefined; s -> OPEN at 60 %; acquire at
/// +4999 ms no, +5000 no, +5001 yes (wait 5 s: strictly after)". Provenance: run (resilience4j 2.3.0).
fn time_window_row() {
    let mut breaker = breaker(&Settings { window_time: Some(Span::from_secs(20)), ..rates() });
    for result in [CallResult::Failed, CallResult::Failed, CallResult::Failed, CallResult::Ok] {
        assert_eq!(call(&mut breaker, at(1), result), Moved::Nothing);
    }
    assert_eq!(call(&mut breaker, at(1), CallResult::Ok), Moved::Opened, "a success that makes the rate known");
    for (ms, opens) in [(4_999, false), (5_000, false), (5_001, true)] {
        assert_eq!(breaker.ask(at(1) + Span::from_millis(ms), us()) == Gate::Probe, opens, "+{ms} ms");
    }
}

/// A half-open breaker of four probes, and the calls that took them.
fn four_probes() -> (Breaker, Vec<Permit>) {
    let mut breaker = breaker(&Settings { probes: count(4), ..rates() });
    opened(&mut breaker, at(0));
    let probes = (0..4).map(|n| {
        assert_eq!(breaker.ask(at(6), us()), Gate::Probe, "acquire {n}");
        breaker.take(at(6), us())
    });
    let probes = probes.collect();
    (breaker, probes)
}

/// `[breaker_rate]`: `4 acquires yes, 5th no; e e -> HALF_OPEN; s -> HALF_OPEN; s -> 50 % >= 50 % -> OPEN`, and
/// `e s s s -> CLOSED, metrics empty`. Provenance: run (the same).
fn half_open_rows() {
    for (results, last) in [("eess", Moved::Opened), ("esss", Moved::Closed)] {
        let (mut breaker, probes) = four_probes();
        assert!(matches!(breaker.ask(at(6), us()), Gate::Open { .. }), "the fifth");
        for (n, (permit, letter)) in probes.into_iter().zip(results.chars()).enumerate() {
            let result = if letter == 'e' { CallResult::Failed } else { CallResult::Ok };
            assert_eq!(phase(&breaker), Phase::HalfOpen);
            let moved = breaker.give_back(at(7), permit, result, Span::ZERO, 0);
            assert_eq!(moved, if n == 3 { last } else { Moved::Nothing }, "{results}, result {n}");
        }
        assert_eq!(matches!(phase(&breaker), Phase::Open { .. }), last == Moved::Opened);
        assert_eq!(sums(&mut breaker, at(7)), (0, 0, 0), "metrics empty");
    }
}

/// `[breaker_rate]`: slower than 4 s, 50 %: "5 calls of exactly 4.000000000 s: CLOSED, slow 0; 5 calls of 4.000000001 s:
/// OPEN". Provenance: run (the same).
fn slow_row() {
    let settings = Settings { slow_call: Some(Span::from_secs(4)), slow_rate: fraction(0.5), ..rates() };
    let mut exact = breaker(&settings);
    for _ in 0..5 {
        assert_eq!(call_of(&mut exact, at(9), CallResult::Ok, Span::from_secs(4)), Moved::Nothing);
    }
    assert_eq!((phase(&exact), sums(&mut exact, at(9))), (Phase::Closed, (5, 0, 0)));
    let mut slow = breaker(&settings);
    let moved: Vec<_> = (0..5).map(|_| call_of(&mut slow, at(9), CallResult::Ok, Span::from_nanos(4_000_000_001))).collect();
    assert_eq!((moved[..4].to_vec(), moved[4]), (vec![Moved::Nothing; 4], Moved::Opened));
}

#[test]
fn every_row_of_the_table_is_met() {
    let rows: [(fn(), usize); 3] = [(time_window_row, 1), (half_open_rows, 2), (slow_row, 1)];
    let met: usize = rows
        .map(|(row, stands_for)| {
            row();
            stands_for
        })
        .into_iter()
        .sum();
    assert_eq!(met, 4);
}

#[test]
fn errors_leave_the_time_window() {
    let mut breaker = breaker(&Settings { window_time: Some(Span::from_secs(20)), ..rates() });
    for secs in [0, 0, 0, 0, 20, 20, 20, 20, 39] {
        assert_eq!(fail(&mut breaker, at(secs)), if secs == 39 { Moved::Opened } else { Moved::Nothing });
    }
}

/// A probe that says nothing, or whose lease is over, gives its place to another; what it says later is nothing.
#[test]
fn a_lost_probe_does_not_wedge_it() {
    let mut breaker = breaker(&Settings { probe_lease: Span::from_secs(60), ..rates() });
    opened(&mut breaker, at(0));
    assert_eq!(breaker.ask(at(6), us()), Gate::Probe);
    let ignored = breaker.take(at(6), us());
    assert!(ignored.is_probe());
    assert_eq!(breaker.give_back(at(7), ignored, CallResult::Ignored, Span::ZERO, 0), Moved::Nothing);
    assert_eq!(breaker.ask(at(7), us()), Gate::Probe);
    let lost = breaker.take(at(7), us());
    let until = at(67) + Span::from_nanos(1);
    assert_eq!(breaker.ask(at(67), us()), Gate::Open { until });
    assert_eq!(breaker.ask(until, us()), Gate::Probe);
    let second = breaker.take(until, us());
    assert_eq!(breaker.give_back(at(68), lost, CallResult::Failed, Span::ZERO, 0), Moved::Nothing);
    assert_eq!(breaker.give_back(at(69), second, CallResult::Ok, Span::ZERO, 0), Moved::Closed);
}

#[test]
fn cooldowns_grow_with_failed_probes_up_to_their_cap() {
    let mut breaker = breaker(&Settings {
        cooldown: Span::from_secs(10),
        cooldown_factor: Positive::new(2.0).expect("above 0"),
        cooldown_max: Span::from_secs(60),
        ..rates()
    });
    opened(&mut breaker, at(0));
    let mut now = at(0);
    for secs in [10, 20, 40, 60, 60] {
        let Phase::Open { cooldown, since } = phase(&breaker) else { panic!("not open") };
        assert_eq!(cooldown, Span::from_secs(secs));
        now = since + cooldown + Span::from_nanos(1);
        assert_eq!(fail(&mut breaker, now), Moved::Opened, "the probe");
    }
    now += Span::from_secs(61);
    assert_eq!(call(&mut breaker, now, CallResult::Ok), Moved::Closed);
    opened(&mut breaker, now);
    assert!(matches!(phase(&breaker), Phase::Open { cooldown, .. } if cooldown == Span::from_secs(10)), "from the start again");
}

#[test]
fn jitter_lengthens_a_cooldown_by_its_share_at_most() {
    let settings = Settings { jitter: fraction(0.5), trip: Trip::Consecutive, threshold: count(1), ..rates() };
    for (draw, expected_ms) in [(0, 5_000), (1 << 63, 6_250), (u64::MAX, 7_500)] {
        let mut breaker = breaker(&settings);
        let permit = breaker.take(at(0), us());
        breaker.give_back(at(0), permit, CallResult::Failed, Span::ZERO, draw);
        let Phase::Open { cooldown, .. } = phase(&breaker) else { panic!("not open") };
        assert!((cooldown.as_secs_f64() * 1e3 - f64::from(expected_ms)).abs() < 1e-3, "{cooldown}");
    }
}

#[test]
fn a_cooldown_above_the_cap_is_kept() {
    let mut breaker = breaker(&Settings { cooldown: Span::from_secs(7_200), ..seed() });
    opened(&mut breaker, at(0));
    assert!(breaker.is_open(at(7_200), us()));
}

#[test]
fn an_idle_key_is_forgotten_while_closed() {
    let mut breaker = breaker(&Settings { idle_expiry: Some(Span::from_secs(60)), ..seed() });
    fail(&mut breaker, at(0));
    breaker.ask(at(61), us());
    assert_eq!(fail(&mut breaker, at(61)), Moved::Nothing, "the first error is forgotten");
    assert_eq!(fail(&mut breaker, at(121)), Moved::Opened, "60 s are not more than 60 s");
    assert!(matches!(breaker.ask(at(300), us()), Gate::Open { .. }), "an open one keeps its cooldown");
}

#[test]
fn keys_are_apart_and_bounded() {
    let mut breaker = breaker(&seed());
    opened(&mut breaker, at(0));
    for number in 0..1_000 {
        let permit = breaker.take(at(1), key(number));
        breaker.give_back(at(1), permit, CallResult::Failed, Span::ZERO, 0);
    }
    assert_eq!(breaker.keys.len(), KEYS_MAX);
    assert!(breaker.is_open(at(1), us()), "closed ones are forgotten first");
    assert_eq!(breaker.opens(), 1);
}

#[test]
fn an_observer_counts_nothing_that_it_would_have_stopped() {
    let mut breaker = breaker(&Settings { mode: Mode::Observe, ..seed() });
    opened(&mut breaker, at(0));
    let observed = breaker.take(at(1), us());
    assert_eq!(breaker.give_back(at(2), observed, CallResult::Failed, Span::ZERO, 0), Moved::Nothing);
    assert_eq!((breaker.opens(), breaker.mode()), (1, Mode::Observe));
}

#[test]
fn new_settings_keep_states_of_the_same_kind() {
    let mut breaker = breaker(&seed());
    opened(&mut breaker, at(0));
    breaker.reconfigure(Some(&Settings { threshold: count(5), fallback: true, ..seed() }));
    assert!(breaker.is_open(at(1), us()));
    assert_eq!((breaker.degrade(Vantage::ProxyOnly), breaker.redispatch()), (Some(Vantage::AlsOnly), Redispatch::Seed));
    let late = breaker.take(at(2), us());
    breaker.reconfigure(Some(&rates()));
    assert_eq!(breaker.ask(at(2), us()), Gate::Closed);
    assert_eq!(breaker.give_back(at(3), late, CallResult::Failed, Span::ZERO, 0), Moved::Nothing);
    breaker.reconfigure(None);
    assert_eq!((breaker.mode(), breaker.redispatch(), breaker.ask(at(4), us())), (Mode::Off, Redispatch::Off, Gate::Closed));
}

/// Fewer probes than have already answered: they start anew, or nothing would ever decide.
#[test]
fn another_number_of_probes_starts_anew() {
    let (mut breaker, mut probes) = four_probes();
    breaker.give_back(at(6), probes.remove(0), CallResult::Ok, Span::ZERO, 0);
    breaker.reconfigure(Some(&rates()));
    assert_eq!(breaker.ask(at(6), us()), Gate::Probe);
    assert_eq!(breaker.give_back(at(6), probes.remove(0), CallResult::Failed, Span::ZERO, 0), Moved::Nothing);
    assert_eq!(call(&mut breaker, at(6), CallResult::Ok), Moved::Closed);
}

fn any_settings(bits: u64) -> Settings {
    let pick = |shift: u64, of: u64| (bits >> shift) % of;
    Settings {
        mode: if pick(0, 5) == 0 { Mode::Observe } else { Mode::Enforce },
        trip: [Trip::Cumulative, Trip::Consecutive, Trip::Rate][usize::try_from(pick(3, 3)).expect("small")],
        threshold: count(u32::try_from(1 + pick(6, 4)).expect("small")),
        minimum_calls: count(u32::try_from(1 + pick(9, 6)).expect("small")),
        window_calls: count(u32::try_from(1 + pick(12, 8)).expect("small")),
        window_time: (pick(15, 2) == 0).then(|| Span::from_secs(3)),
        slow_call: (pick(17, 2) == 0).then(|| Span::from_millis(500)),
        slow_rate: fraction(0.5),
        cooldown: Span::from_millis(pick(20, 4) * 500),
        cooldown_factor: Positive::new([0.5, 1.0, 2.0][usize::try_from(pick(23, 3)).expect("small")]).expect("above 0"),
        cooldown_max: Span::from_secs(4),
        jitter: fraction([0.0, 0.3][usize::try_from(pick(26, 2)).expect("small")]),
        recovery: if pick(28, 4) == 0 { Recovery::Close } else { Recovery::HalfOpen },
        probes: count(u32::try_from(1 + pick(30, 3)).expect("small")),
        probe_lease: Span::from_millis(500 + pick(33, 4) * 500),
        idle_expiry: (pick(36, 3) == 0).then(|| Span::from_secs(2)),
        ..Settings::default()
    }
}

/// Plays random calls. The books: which calls started since the circuit last moved, and which of those are probes out.
fn play(settings: &Settings, seed: u64, steps: u64) {
    let mut breaker = breaker(settings);
    let mut now = at(1);
    let mut out: Vec<(Permit, Time, u64)> = Vec::new();
    let mut opens = 0;
    for n in 0..steps {
        let bits = mix(seed, n);
        now += Span::from_nanos((bits & 0xFF) * 4_000_000);
        let before = breaker.circuits.first().map(|circuit| circuit.generation);
        if bits >> 8 & 1 == 0 || out.is_empty() {
            let gate = breaker.ask(now, us());
            assert_eq!(gate, breaker.ask(now, us()), "to ask twice changes nothing");
            if let Gate::Open { until } = gate {
                assert!(until > now && (until == Time::FAR || breaker.clone().ask(until, us()) != gate), "{until} helps");
                if settings.mode == Mode::Enforce {
                    continue;
                }
            }
            let permit = breaker.take(now, us());
            assert_eq!(permit.is_probe(), gate == Gate::Probe);
            out.push((permit, now, breaker.circuits[0].generation));
            let probes = out.iter().filter(|(permit, ..)| permit.is_probe());
            let fresh =
                probes.filter(|(_, then, born)| *born == breaker.circuits[0].generation && now - *then <= settings.probe_lease);
            assert!(fresh.count() <= settings.probes.value() as usize, "no more probes than places");
        } else {
            let index = usize::try_from(bits >> 16 & 0xFFFF).expect("small") % out.len();
            let (permit, then, born) = out.swap_remove(index);
            let result = [CallResult::Ok, CallResult::Failed, CallResult::Failed, CallResult::Ignored]
                [usize::try_from(bits >> 40 & 3).expect("small")];
            let is_probe = permit.is_probe();
            let was = phase(&breaker);
            let window = sums(&mut breaker, now);
            let moved = breaker.give_back(now, permit, result, now - then, bits);
            opens += u64::from(moved == Moved::Opened);
            let is_late = before != Some(born);
            if is_late || result == CallResult::Ignored {
                let by_time_alone = matches!(was, Phase::Open { .. }) && matches!(moved, Moved::HalfOpened | Moved::Closed);
                assert!(moved == Moved::Nothing || by_time_alone, "a late result moved it: {was:?} {moved:?}");
                assert!(by_time_alone || sums(&mut breaker, now) == window, "a late result was counted");
            }
            if was == Phase::HalfOpen && moved != Moved::Nothing {
                assert!(is_probe && now - then <= settings.probe_lease, "only a probe decides");
            }
        }
        assert_eq!(breaker.opens(), opens);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Late results count as nothing; probes never outnumber their places; only probes end a half-open time.
    #[test]
    fn a_result_counts_only_in_its_own_generation(bits in any::<u64>(), seed in any::<u64>()) {
        play(&any_settings(bits), seed, 300);
    }
}

#[test]
fn a_million_operations() {
    for seed in 0..100 {
        play(&any_settings(mix(seed, 1)), seed, 2_500);
    }
    let mut breaker = breaker(&any_settings(mix(3, 3)));
    let mut out = Vec::new();
    for n in 0..750_000 {
        let (bits, now) = (mix(7, n), Time::from_nanos(n * 1_000_000));
        let key = key(usize::try_from(bits >> 50).expect("small") % 400);
        match bits & 3 {
            0 | 1 if breaker.ask(now, key) != Gate::Closed || bits & 1 == 0 => out.push(breaker.take(now, key)),
            2 if !out.is_empty() => {
                let index = usize::try_from(bits >> 20 & 0xFFFF).expect("small") % out.len();
                let result = if bits & 4 == 0 { CallResult::Ok } else { CallResult::Failed };
                breaker.give_back(now, out.swap_remove(index), result, Span::from_nanos(bits >> 34), bits);
            }
            _ => {
                breaker.is_open(now, key);
            }
        }
    }
    assert!(breaker.opens() > 0 && breaker.keys.len() == KEYS_MAX);
}
