//! Ups and downs against their closed forms, and independent of who looks when.

use proptest::prelude::*;

use super::*;
use crate::units::Positive;

fn settings(text: &str) -> ProxySettings {
    toml::from_str(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
}

fn country(name: &str) -> Country {
    name.parse().expect("two capital letters")
}

const fn secs(secs: u64) -> Time {
    Time::from_nanos(secs * 1_000_000_000)
}

/// Share of the seconds up to `end` at which a process is up.
fn share_up(mut is_up: impl FnMut(Time) -> bool, end: u64) -> f64 {
    (0..end).filter(|second| is_up(secs(*second))).count() as f64 / end as f64
}

/// In the long run, up for mean up / (mean up + mean down) of the time, whatever the distributions.
#[test]
fn availability_is_the_closed_form() {
    let exponential = |mean| Dist::Exponential { mean: Span::from_secs(mean) };
    let cases = [
        (exponential(900), exponential(100)),
        (Dist::Fixed { value: Span::from_secs(300) }, exponential(200)),
        (
            Dist::Lognormal { mean: Span::from_secs(80), sigma: Positive::new(0.8).unwrap(), max: None },
            Dist::Fixed { value: Span::from_secs(20) },
        ),
        (
            Dist::Uniform { min: Span::from_secs(10), max: Span::from_secs(50) },
            Dist::Gamma { mean: Span::from_secs(60), cv: Positive::new(1.5).unwrap() },
        ),
    ];
    for (index, (up, down)) in cases.into_iter().enumerate() {
        let expected = up.mean() / (up.mean() + down.mean());
        let mut outages = Outages::new(up, down, Streams::new(7, 0).named("test"));
        let share = share_up(|now| outages.is_up(now), 2_000_000);
        // 2,000 cycles at least: the standard deviation of the share is below 0.006.
        assert!((share - expected).abs() < 0.018, "case {index}: {share}, not {expected}");
    }
}

#[test]
fn each_up_and_down_lasts_as_long_on_average_as_stated() {
    let (up, down) = (Dist::Exponential { mean: Span::from_secs(500) }, Dist::Exponential { mean: Span::from_secs(50) });
    let mut outages = Outages::new(up, down, Streams::new(1, 0).named("test"));
    let end = 3_000_000u64;
    let share = share_up(|now| outages.is_up(now), end);
    let (_, downs) = (outages.is_up(secs(end)), outages.number() / 2);
    let (mean_up, mean_down) = (share * end as f64 / downs as f64, (1.0 - share) * end as f64 / downs as f64);
    assert!((mean_up / 500.0 - 1.0).abs() < 0.05 && (mean_down / 50.0 - 1.0).abs() < 0.05, "{mean_up} {mean_down}");
}

/// A provider's outage hits a pool with its share: up for A (1 - share (1 - A of the provider)) of the time; and the pools
/// that it hits are down together.
#[test]
fn common_outages_hit_their_share_of_the_pools_at_once() {
    let text = "rotating = { up = { dist = 'exponential', mean = '400s' }, down = { dist = 'exponential', mean = '100s' } }\n\
                together = { up = { dist = 'exponential', mean = '300s' }, down = { dist = 'exponential', mean = '100s' }, share = 0.6 }";
    let mut pool = ProxyPool::new(&settings(text), Streams::new(3, 0));
    let end = 2_000_000;
    let (mut us, mut de, mut both) = (0u32, 0u32, 0u32);
    for second in 0..end {
        let up = ["US", "DE"].map(|name| pool.is_up(secs(second), country(name), ProxyMode::Rotating));
        us += u32::from(up[0]);
        de += u32::from(up[1]);
        both += u32::from(!up[0] && !up[1]);
    }
    let share = |count: u32| f64::from(count) / end as f64;
    let expected = 0.8 * (1.0 - 0.6 * 0.25);
    assert!((share(us) - expected).abs() < 0.01 && (share(de) - expected).abs() < 0.01, "{} {}", share(us), share(de));
    // Down both: by chance while the provider is up, and by its outage too while it is not.
    let hit = 0.2 + 0.8 * 0.6;
    let expected = 0.75 * 0.2 * 0.2 + 0.25 * hit * hit;
    assert!((share(both) - expected).abs() < 0.008, "{} {expected}", share(both));
}

#[test]
fn without_an_outage_pools_are_independent_and_named_by_country_and_mode() {
    let mut pool = ProxyPool::new(&ProxySettings::default(), Streams::new(5, 1));
    let mut downs = [0u32; 3];
    let mut both = 0u32;
    for second in 0..1_000_000 {
        let up = [("US", ProxyMode::Residential), ("DE", ProxyMode::Residential), ("US", ProxyMode::Rotating)]
            .map(|(name, mode)| pool.is_up(secs(second), country(name), mode));
        for (count, up) in downs.iter_mut().zip(up) {
            *count += u32::from(!up);
        }
        both += u32::from(!up[0] && !up[1]);
    }
    // Defaults: residential down for 10 of 70 minutes, rotating for 5 of 125.
    for (count, expected) in downs.into_iter().zip([1.0 / 7.0, 1.0 / 7.0, 0.04]) {
        let share = f64::from(count) / 1e6;
        assert!((share / expected - 1.0).abs() < 0.25, "{share}, not {expected}");
    }
    assert!((f64::from(both) / 1e6 - 1.0 / 49.0).abs() < 0.012, "{both}");
}

#[test]
fn a_pool_of_its_own_goes_over_its_mode_and_that_over_the_default() {
    let text = "residential = { error_rate = 0.2, fast_share = 0.5 }\n\
                pool = [{ country = 'DE', mode = 'residential', quality = { error_rate = 0.4 } }]";
    let settings = settings(text);
    let quality = |name, mode| Quality::resolve(&settings, country(name), mode);
    let (de, us) = (quality("DE", ProxyMode::Residential), quality("US", ProxyMode::Residential));
    assert_eq!(us, Quality { error_rate: 0.2, fast_share: 0.5, ..Quality::default_of(ProxyMode::Residential) });
    assert_eq!(de, Quality { error_rate: 0.4, ..us.clone() });
    let backbone = quality("DE", ProxyMode::Backbone);
    assert!(backbone.error_rate < us.error_rate && backbone.up.mean() > us.up.mean());
    assert!(backbone.latency.mean() < us.latency.mean());
}

/// While it is up a pool fails its share of connections, fast or slow; while it is down it fails all of them.
#[test]
fn connections_fail_as_stated() {
    let text = "rotating = { up = { dist = 'fixed', value = '1000s' }, down = { dist = 'fixed', value = '1000s' }, error_rate = 0.3, \
                fast_share = 0.25, fast = { dist = 'fixed', value = '1s' }, slow = { dist = 'fixed', value = '20s' }, \
                latency = { dist = 'fixed', value = '2s' } }";
    for (second, failures) in [(500, 0.3), (1_500, 1.0), (2_500, 0.3)] {
        let mut pool = ProxyPool::new(&settings(text), Streams::new(1, 0));
        let connections: Vec<Connection> =
            (0..40_000).map(|n| pool.connect(secs(second), Country::default(), ProxyMode::Rotating, mix(9, n))).collect();
        let count = |takes: u64, succeeds: bool| {
            let alike = |c: &&Connection| **c == Connection { succeeds, takes: Span::from_secs(takes) };
            connections.iter().filter(alike).count() as f64 / 40_000.0
        };
        assert!((count(2, true) - (1.0 - failures)).abs() < 0.01, "at {second} s");
        assert!((count(1, false) - failures * 0.25).abs() < 0.01 && (count(20, false) - failures * 0.75).abs() < 0.01);
    }
}

proptest! {
    /// Outages are the same whoever asks when, in whatever order the pools are first asked for, and whoever connects between.
    #[test]
    fn outages_do_not_depend_on_the_calls(
        seed: u64,
        looks in prop::collection::vec((0u64..400, 0usize..4, 0usize..3, any::<bool>()), 1..150),
    ) {
        let text = "rotating = { up = { dist = 'exponential', mean = '300s' }, down = { dist = 'exponential', mean = '200s' } }\n\
                    together = { up = { dist = 'exponential', mean = '900s' }, down = { dist = 'exponential', mean = '300s' }, share = 0.5 }";
        let settings = settings(text);
        let countries = ["US", "DE", "FR", "JP"].map(country);
        let mut busy = ProxyPool::new(&settings, Streams::new(seed, 2));
        let mut now = Time::ZERO;
        for (gap, where_, mode, connects) in looks {
            now += Span::from_secs(gap);
            let (place, mode) = (countries[where_], ProxyMode::ALL[mode]);
            if connects {
                busy.connect(now, countries[(where_ + 1) % 4], mode, seed);
            }
            // Somebody who looks for the first time, and only here.
            let mut fresh = ProxyPool::new(&settings, Streams::new(seed, 2));
            prop_assert_eq!(busy.is_up(now, place, mode), fresh.is_up(now, place, mode));
        }
    }
}

#[test]
fn a_down_time_of_zero_means_never() {
    let text = "rotating = { down = { dist = 'fixed', value = '0s' }, error_rate = 0 }";
    let mut pool = ProxyPool::new(&settings(text), Streams::new(1, 0));
    let connection = pool.connect(secs(8_000_000), Country::default(), ProxyMode::Rotating, 4);
    assert_eq!(connection, Connection { succeeds: true, takes: Span::from_millis(800) });
}
