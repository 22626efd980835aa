//! What classes ask of a metered API, by their shares, in both kinds of stream.

use super::*;
use crate::rng::Streams;
use crate::workload::testing::{class, settings};
use crate::workload::{Source, SourceSettings};

fn requests(text: &str, entity_streams: bool) -> Vec<Request> {
    let text = format!("name = 'a'\narrival = {{ process = 'constant', rate = 50 }}\n{text}");
    let settings = SourceSettings { entity_streams, ..settings(vec![class(&text)], None) };
    settings.check().unwrap();
    let mut source = Source::new(&settings, Streams::new(5, 0));
    std::iter::from_fn(|| source.next_arrival().map(|_| source.take())).collect()
}

#[test]
fn a_class_that_says_nothing_asks_for_nothing() {
    for request in requests("input = { dist = 'fixed', value = 100 }\noutput = { dist = 'fixed', value = 7 }", true) {
        assert_eq!((request.profile, request.usage_tokens), (Profile::default(), 107));
    }
}

/// What is new is drawn after everything else: it moves none of the other draws.
#[test]
fn a_profile_changes_nothing_else_about_a_request() {
    let rest = "input = { dist = 'uniform', min = 1, max = 500 }\nestimate_sigma = 0.3";
    let profile =
        format!("{rest}\ngrounded = 0.5\nvantage_policy = {{ ALS_ONLY = 1, NONE = 1 }}\ncountry = [{{ country = 'DE' }}]");
    for (plain, asking) in requests(rest, true).iter().zip(&requests(&profile, true)) {
        assert_eq!(*plain, Request { profile: Profile::default(), ..*asking });
        assert_eq!(asking.profile.country, "DE".parse().unwrap());
    }
}

#[test]
fn shares_are_as_stated_and_independent_in_both_kinds_of_stream() {
    let text = "grounded = 0.25\nvantage_policy = { ALS_PLUS_PROXY = 3, PROXY_ONLY = 1 }\n\
                country = [{ country = 'US', weight = 2 }, { country = 'DE' }, { country = 'FR', weight = 0 }]\n\
                proxy_mode = { residential = 0.5, backbone = 1.5 }";
    for entity_streams in [true, false] {
        let requests = requests(text, entity_streams);
        let share = |of: fn(&Profile) -> bool| {
            requests.iter().filter(|request| of(&request.profile)).count() as f64 / requests.len() as f64
        };
        let close = |of, expected: f64| {
            let share = share(of);
            assert!((share - expected).abs() < 0.012, "{share}, not {expected}");
        };
        close(|p| p.grounded, 0.25);
        close(|p| p.vantage == Vantage::AlsPlusProxy, 0.75);
        close(|p| p.vantage == Vantage::ProxyOnly, 0.25);
        close(|p| p.country == Country::default(), 2.0 / 3.0);
        close(|p| p.country == "DE".parse().unwrap(), 1.0 / 3.0);
        close(|p| p.proxy_mode == ProxyMode::Backbone, 0.75);
        close(|p| p.grounded && p.vantage == Vantage::ProxyOnly && p.proxy_mode == ProxyMode::Residential, 0.25 * 0.25 * 0.25);
    }
}

/// The seed saw 137,000 tokens billed for a call estimated at about 6,200.
#[test]
fn usage_is_the_ratio_times_the_estimate() {
    let text = "input = { dist = 'fixed', value = 200 }\nmax_tokens = 6000\ngrounded = 0.5\n\
                usage_ratio = { dist = 'lognormal', mean = 0.8, sigma = 0.3 }\n\
                grounded_usage_ratio = { dist = 'fixed', value = 22.1 }";
    let requests = requests(text, true);
    let (grounded, plain): (Vec<&Request>, Vec<&Request>) = requests.iter().partition(|request| request.profile.grounded);
    assert!(grounded.iter().all(|request| request.usage_tokens == 137_020));
    let mean = plain.iter().map(|request| f64::from(request.usage_tokens) / 6_200.0).sum::<f64>() / plain.len() as f64;
    assert!((mean - 0.8).abs() < 0.01, "{mean}");
}

#[test]
fn one_ratio_is_for_both_unless_the_grounded_have_their_own() {
    let text = "input = { dist = 'fixed', value = 100 }\nmax_tokens = 100\ngrounded = 0.5\nusage_ratio = { dist = 'fixed', value = 1.5 }";
    assert!(requests(text, true).iter().all(|request| request.usage_tokens == 300));
}
