//! The source by property: order, ids, independence of policies and of other processes, and the classes' distributions.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::dist::SpanDist;
use crate::workload::Stream;
use crate::workload::testing::{class, settings};

fn all(settings: &SourceSettings, seed: u64) -> Vec<Request> {
    settings.check().unwrap();
    let mut source = Source::new(settings, Streams::new(seed, 0));
    std::iter::from_fn(|| source.next_arrival().map(|_| source.take())).collect()
}

const PROCESSES: [&str; 6] = [
    "{ process = 'constant', rate = 3 }",
    "{ process = 'poisson', rate = 2, sine = { amplitude = 0.9, period = '30s' } }",
    "{ process = 'gamma', burstiness = 0.3, rate = 2, spikes = [{ at = '10s', lasting = '5s', factor = 4 }] }",
    "{ process = 'weibull', shape = 1.5, rate = 2, steps = [{ at = '20s', factor = 0 }, { at = '30s', factor = 2 }] }",
    "{ process = 'on_off', on_rate = 8, off_rate = 0.5, mean_on = '3s', mean_off = '6s' }",
    "{ process = 'closed_loop', clients = 3, think = { dist = 'exponential', mean = '2s' } }",
];

fn named(name: &str, process: &str) -> ClassSettings {
    class(&format!(
        "name = '{name}'\narrival = {process}\ninput = {{ dist = 'uniform', min = 1, max = 99 }}\n\
         output = {{ dist = 'lognormal', mean = 100, sigma = 1 }}\nestimate_sigma = 0.3\ntenants = 4"
    ))
}

proptest! {
    /// In time order, ids unique, nothing at or after the end, times as announced.
    #[test]
    fn requests_come_in_order_and_once(kinds in prop::collection::vec(0usize..6, 1..5), seed: u64, entity: bool) {
        let classes = kinds.iter().enumerate().map(|(i, kind)| named(&format!("c{i}"), PROCESSES[*kind])).collect();
        let settings = SourceSettings { entity_streams: entity, end: Span::from_secs(60), ..settings(classes, None) };
        let mut source = Source::new(&settings, Streams::new(seed, 0));
        let (mut last, mut ids) = (Time::ZERO, BTreeSet::new());
        while let Some(at) = source.next_arrival() {
            let request = source.take();
            prop_assert_eq!(request.arrival, at);
            prop_assert!(at >= last && at < Time::ZERO + settings.end);
            prop_assert!(ids.insert(request.id));
            prop_assert!(request.input_tokens >= 1 && request.output_tokens >= 1 && request.input_estimate >= 1);
            last = at;
            source.finished(at + Span::from_millis(seed % 700), request.id, request.arrival);
        }
    }

    /// However long a policy makes requests take, a request of one id is the same request; only a closed loop's time moves.
    #[test]
    fn requests_do_not_depend_on_what_became_of_others(kinds in prop::collection::vec(0usize..6, 1..4), seed: u64, entity: bool) {
        let classes = kinds.iter().enumerate().map(|(i, kind)| named(&format!("c{i}"), PROCESSES[*kind])).collect();
        let settings = SourceSettings { entity_streams: entity, end: Span::from_secs(40), ..settings(classes, None) };
        let run = |residence: Span| {
            let mut source = Source::new(&settings, Streams::new(seed, 0));
            let mut requests = Vec::new();
            while source.next_arrival().is_some() {
                let request = source.take();
                source.finished(request.arrival + residence, request.id, request.arrival);
                requests.push(request);
            }
            requests.sort_by_key(|request| request.id);
            requests
        };
        let (fast, slow) = (run(Span::ZERO), run(Span::from_millis(900)));
        let mut compared = 0;
        for request in &slow {
            let other = &fast[fast.binary_search_by_key(&request.id, |other| other.id).unwrap()];
            let closed = kinds[request.class.index()] == 5;
            let arrival = if closed { request.arrival } else { other.arrival };
            prop_assert_eq!(request, &Request { arrival, ..*other });
            compared += 1;
        }
        prop_assert!(compared > 0);
    }
}

#[test]
fn another_class_moves_no_request_of_the_first() {
    let one = all(&settings(vec![named("a", PROCESSES[1])], None), 5);
    let both = all(&settings(vec![named("a", PROCESSES[1]), named("b", PROCESSES[2])], None), 5);
    let first: Vec<Request> = both.into_iter().filter(|request| request.class.0 == 0).collect();
    assert_eq!(one, first);
    assert_eq!(one.iter().map(|request| request.id.0).collect::<Vec<_>>(), (0..one.len() as u64).collect::<Vec<_>>());
}

#[test]
fn shared_arrivals_split_by_weight() {
    let weights = [("a", 1.0), ("b", 0.0), ("c", 3.0)];
    let classes: Vec<_> = weights.iter().map(|(name, weight)| class(&format!("name = '{name}'\nweight = {weight}"))).collect();
    for entity_streams in [true, false] {
        let shared = settings(classes.clone(), Some("{ process = 'poisson', rate = 40 }"));
        let requests = all(&SourceSettings { entity_streams, ..shared }, 9);
        let count = |index: u16| requests.iter().filter(|request| request.class.0 == index).count() as f64;
        assert!(count(1) == 0.0 && (count(0) / requests.len() as f64 - 0.25).abs() < 0.01);
    }
}

#[test]
fn a_load_is_a_share_of_the_capacity() {
    let shared = settings(vec![class("name = 'a'")], Some("{ process = 'constant', load = 1.5 }"));
    assert_eq!(all(&SourceSettings { capacity_rps: Some(10.0), ..shared }, 0).len(), 9_000);
}

#[test]
fn at_equal_times_classes_come_in_order() {
    let classes = ["a", "b"].map(|name| class(&format!("name = '{name}'\narrival = {{ process = 'constant', rate = 1 }}")));
    let order: Vec<u16> = all(&settings(classes.to_vec(), None), 0).iter().map(|request| request.class.0).collect();
    assert_eq!(order, [0, 1].repeat(600));
}

#[test]
fn a_closed_loop_waits_for_the_end_then_thinks() {
    let text = "name = 'a'\narrival = { process = 'closed_loop', clients = 2, think = { dist = 'fixed', value = '1s' } }";
    let mut source = Source::new(&settings(vec![class(text)], None), Streams::new(0, 0));
    let first = source.take();
    let second = source.take();
    assert_eq!((first.id.0, second.id.0, first.arrival), (0, 1, Time::ZERO + Span::from_secs(1)));
    assert_eq!(source.next_arrival(), None);
    source.finished(Time::ZERO + Span::from_secs(5), second.id, second.arrival);
    let third = source.take();
    assert_eq!((third.id.0, third.arrival), (3, Time::ZERO + Span::from_secs(6)));
    source.finished(Time::ZERO + Span::from_secs(599), third.id, third.arrival); // it would send at the very end
    assert_eq!(source.next_arrival(), None);
}

/// Whoever is refused at once comes back, but not at the same instant: time goes on.
#[test]
fn a_closed_loop_that_is_refused_at_once_takes_its_time() {
    let text = "name = 'a'\narrival = { process = 'closed_loop', clients = 1 }";
    let mut source = Source::new(&settings(vec![class(text)], None), Streams::new(0, 0));
    let first = source.take();
    source.finished(first.arrival, first.id, first.arrival);
    let second = source.take();
    assert_eq!(second.arrival, first.arrival + Span::from_millis(1));
    source.finished(second.arrival + Span::from_nanos(1), second.id, second.arrival);
    assert_eq!(source.next_arrival(), Some(second.arrival + Span::from_nanos(1)));
}

#[test]
fn recorded_rows_keep_their_times_lengths_and_classes() {
    let row = |secs, input_tokens, class| {
        let at = Time::ZERO + Span::from_secs(secs);
        Recorded { at, input_tokens, output_tokens: 7, class, ..Recorded::default() }
    };
    let prefix = Some(Prefix { group: 9, tokens: 8 });
    let told = Recorded { tenant: 5, prefix, ..row(2, 6, 0) };
    let rows = [row(1, 0, 1), row(1, 20, 0), told, row(700, 30, 0)];
    let classes = ["a", "b"].map(|name| class(&format!("name = '{name}'\nprefix = {{ groups = 2, tokens = 16 }}")));
    let shared = settings(classes.to_vec(), Some("{ process = 'recorded', file = 'x.csv' }"));
    let settings = |rows: Rows| SourceSettings { recorded: vec![("x.csv".to_owned(), rows)], ..shared.clone() };
    let requests = all(&settings(Rows::from(rows)), 3);
    let seen: Vec<_> =
        requests.iter().map(|r| (r.class.0, r.input_tokens, r.output_tokens, r.prefix.unwrap().tokens)).collect();
    assert_eq!(seen, [(1, 1, 7, 1), (0, 20, 7, 16), (0, 6, 7, 6)]);
    assert!(requests[0].prefix.unwrap().group >= 2 && requests[1].prefix.unwrap().group < 2);
    assert_eq!((requests[2].prefix.unwrap().group, requests[2].tenant, requests[1].tenant), (9, 5, 0));
    let streamed = Rows::Stream(Stream::new(move || Box::new(rows.into_iter())));
    for _ in 0..2 {
        assert_eq!(all(&settings(streamed.clone()), 3), requests, "a stream is opened anew and gives what the list does");
    }
}

#[test]
fn joint_pairs_stay_together_and_are_drawn_alike() {
    let text = "name = 'a'\nlengths = 'p.csv'\ntenants = 3\narrival = { process = 'poisson', rate = 50 }";
    let pairs: Arc<[(u32, u32)]> = [(1, 10), (2, 20), (3, 30)].into();
    let settings = SourceSettings { pairs: vec![("p.csv".to_owned(), pairs)], ..settings(vec![class(text)], None) };
    let requests = all(&settings, 2);
    for length in 1..=3 {
        let share = requests.iter().filter(|r| r.input_tokens == length).count() as f64 / requests.len() as f64;
        let tenant = requests.iter().filter(|r| r.tenant == length).count() as f64 / requests.len() as f64;
        assert!((share - 1.0 / 3.0).abs() < 0.02 && (tenant - 1.0 / 3.0).abs() < 0.02);
    }
    assert!(requests.iter().all(|r| r.output_tokens == 10 * r.input_tokens));
}

#[test]
fn drawn_fields_have_their_distributions_in_both_kinds_of_stream() {
    let text = "name = 'a'\narrival = { process = 'poisson', rate = 100 }\nestimate_sigma = 0.5\n\
                input = { dist = 'fixed', value = 1000 }\npatience = { dist = 'exponential', mean = '2s' }";
    for entity_streams in [true, false] {
        let service = Some(SpanDist::Exponential { mean: Span::from_secs(1) });
        let requests = all(&SourceSettings { service, entity_streams, ..settings(vec![class(text)], None) }, 4);
        let n = requests.len() as f64;
        let mean = |value: fn(&Request) -> f64| requests.iter().map(value).sum::<f64>() / n;
        assert!((n / 60_000.0 - 1.0).abs() < 0.02);
        assert!((mean(|r| r.service.as_secs_f64()) - 1.0).abs() < 0.02);
        assert!((mean(|r| r.patience.unwrap().as_secs_f64()) - 2.0).abs() < 0.04);
        assert!((mean(|r| libm::log(f64::from(r.input_estimate) / 1000.0))).abs() < 0.01);
        let later: BTreeSet<u64> = requests.iter().map(|r| r.later).collect();
        assert_eq!(later.len(), requests.len());
    }
}
