//! The client against random worlds, and by hand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::request::{Profile, RequestId};
use crate::rng::mix;
use crate::workload::testing::class;

/// A request of the first class at time zero.
pub(crate) fn request(id: u64, later: u64) -> Request {
    Request {
        id: RequestId(id),
        class: ClassId(0),
        tenant: 0,
        arrival: Time::ZERO,
        input_tokens: 1,
        input_estimate: 1,
        output_tokens: 1,
        max_tokens: 1,
        service: Span::ZERO,
        patience: None,
        prefix: None,
        profile: Profile::default(),
        usage_tokens: 2,
        later,
    }
}

const fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn clients(text: &str) -> Client {
    Client::new(&[class(&format!("name = 'a'\n{text}"))])
}

fn refusal(kind: RefusalKind, retry_after: Option<Span>) -> Refusal {
    Refusal { status: 503, kind, retry_after, figures: None }
}

/// Sends one request at time zero and returns its first attempt.
fn sent(client: &mut Client) -> AttemptId {
    client.handle(Time::ZERO, ClientInput::New(request(1, 77)));
    match client.poll() {
        Some(ClientAction::Send(sending)) => sending.attempt,
        other => panic!("{other:?}"),
    }
}

fn finished(client: &mut Client) -> Finished {
    match client.poll() {
        Some(ClientAction::Finish(finished)) => finished,
        other => panic!("{other:?}"),
    }
}

#[test]
fn outcomes_follow_the_last_attempt() {
    for (kind, outcome) in [
        (RefusalKind::Rejected(Reason::QueueFull), Outcome::Rejected(Reason::QueueFull)),
        (RefusalKind::TimedOut, Outcome::TimedOut),
        (RefusalKind::Upstream(Cause::Overloaded), Outcome::Rejected(Reason::UpstreamFull)),
        (RefusalKind::Upstream(Cause::Connection), Outcome::Failed(Cause::Connection)),
    ] {
        let mut client = clients("");
        let attempt = sent(&mut client);
        client.handle(at(5), ClientInput::Refused { attempt, refusal: refusal(kind, None) });
        let finished = finished(&mut client);
        assert_eq!((finished.outcome, finished.attempts, finished.at), (outcome, 1, at(5)));
        assert_eq!(client.unfinished().count(), 0);
    }
    let mut client = clients("");
    let attempt = sent(&mut client);
    client.handle(at(5), ClientInput::Reneged { attempt });
    assert_eq!(finished(&mut client).outcome, Outcome::GaveUp);
}

#[test]
fn it_leaves_without_a_first_token_and_tries_again() {
    let mut client = clients("timeout = { first_token = '2s', total = '9s', announce = true }\nretry = { max_attempts = 2 }");
    let first = client.begin(Time::ZERO, &request(1, 77));
    assert_eq!((client.next_wakeup(), first.deadline), (Some(at(2_000)), Some(at(2_000))));
    let first = first.attempt;
    client.handle(at(1_999), ClientInput::Wake);
    assert!(client.poll().is_none());
    client.handle(at(2_000), ClientInput::Wake);
    assert!(matches!(client.poll(), Some(ClientAction::Leave { attempt }) if attempt == first));
    assert!(client.poll().is_none());
    assert_eq!(client.unfinished().map(|(.., attempts)| attempts).collect::<Vec<_>>(), [1]); // in backoff
    let again = client.next_wakeup().unwrap();
    assert!(again >= at(2_000) && again < at(2_500));
    client.handle(again, ClientInput::Complete { attempt: first, degraded: false, output_tokens: 1 }); // too late
    let Some(ClientAction::Send(Sending { attempt: second, number, .. })) = client.poll() else { panic!("no second attempt") };
    assert!(second != first && slot_of(second) == slot_of(first) && number == 2);
    assert!(client.under_way(first).is_none() && client.under_way(second).is_some());
    client.handle(at(3_000), ClientInput::FirstToken { attempt: second });
    assert_eq!(client.next_wakeup(), Some(again + Span::from_secs(9)));
    client.handle(at(4_000), ClientInput::Complete { attempt: second, degraded: false, output_tokens: 7 });
    let finished = finished(&mut client);
    assert_eq!((finished.outcome, finished.attempts, finished.sent), (Outcome::Good, 2, again));
    assert_eq!((finished.first_token, finished.output_tokens), (Some(at(3_000)), 7));
    assert_eq!(client.next_wakeup(), None);
}

#[test]
fn what_is_due_comes_before_what_is_told_at_the_same_time() {
    let mut client = clients("timeout = { total = '1s' }");
    let attempt = sent(&mut client);
    client.handle(at(1_000), ClientInput::Complete { attempt, degraded: false, output_tokens: 1 });
    assert!(matches!(client.poll(), Some(ClientAction::Leave { .. })));
    assert_eq!(finished(&mut client).outcome, Outcome::GaveUp);
    assert!(client.poll().is_none());
}

#[test]
fn one_late_wake_decides_as_punctual_ones_do() {
    let text = "timeout = { total = '1s' }\nretry = { max_attempts = 4, backoff_base = '3s' }";
    let (mut punctual, mut late) = (clients(text), clients(text));
    let (_, _) = (sent(&mut punctual), sent(&mut late));
    while let Some(wake) = punctual.next_wakeup() {
        punctual.handle(wake, ClientInput::Wake);
    }
    late.handle(at(1_000_000), ClientInput::Wake);
    let mut told = 0;
    while let Some(action) = punctual.poll() {
        assert_eq!(format!("{:?}", late.poll().unwrap()), format!("{action:?}"));
        told += 1;
    }
    assert_eq!(told, 4 + 3 + 1); // four leaves, three more sends, one end
}

#[test]
fn a_bad_request_is_not_sent_again() {
    let mut client = clients("retry = { max_attempts = 5 }");
    let attempt = sent(&mut client);
    let refusal = refusal(RefusalKind::Upstream(Cause::BadRequest), None);
    client.handle(at(1), ClientInput::Refused { attempt, refusal });
    assert_eq!(finished(&mut client).outcome, Outcome::Failed(Cause::BadRequest));
}

#[test]
fn only_what_is_listed_is_tried_again() {
    let mut client = clients("retry = { max_attempts = 5, on = ['timed_out'] }");
    let first = sent(&mut client);
    client.handle(at(1), ClientInput::Refused { attempt: first, refusal: refusal(RefusalKind::TimedOut, None) });
    client.handle(at(600), ClientInput::Wake);
    let Some(ClientAction::Send(Sending { attempt, .. })) = client.poll() else { panic!("not tried again") };
    let full = RefusalKind::Rejected(Reason::FullCapacity);
    client.handle(at(700), ClientInput::Refused { attempt, refusal: refusal(full, None) });
    assert_eq!(finished(&mut client).outcome, Outcome::Rejected(Reason::FullCapacity));
}

/// What the world does to an attempt, by its number of milliseconds.
fn reply(bits: u64, attempt: AttemptId) -> Vec<(u64, ClientInput)> {
    let after = 1 + bits % 3_000;
    let complete = ClientInput::Complete { attempt, degraded: bits & 64 != 0, output_tokens: 5 };
    let refused = |kind, retry_after| ClientInput::Refused { attempt, refusal: refusal(kind, retry_after) };
    match bits >> 32 & 7 {
        0 | 1 => vec![(after / 2, ClientInput::FirstToken { attempt }), (after, complete)],
        2 => vec![(after, complete), (after + 10, complete)],
        3 => vec![(after, refused(RefusalKind::TimedOut, None))],
        4 => vec![(after % 20, refused(RefusalKind::Rejected(Reason::QueueFull), Some(Span::from_secs(1))))],
        5 => vec![(after, refused(RefusalKind::Upstream(Cause::Server), None)), (after, ClientInput::FirstToken { attempt })],
        6 => vec![(after, ClientInput::Reneged { attempt })],
        _ => vec![(after, ClientInput::FirstToken { attempt })], // and then nothing: only a timeout ends it
    }
}

/// Everything that was seen of one request.
#[derive(Clone, Debug, Default, PartialEq)]
struct Story {
    /// Where all its attempts stand.
    slot: Option<u32>,
    sends: Vec<Time>,
    ends: Vec<(Time, String, u16)>,
}

/// A run of `n` requests in a random world; `spurious` adds wake-ups that find nothing.
fn run(text: &str, n: u64, seed: u64, spurious: bool) -> (BTreeMap<u64, Story>, Client) {
    let mut client = clients(text);
    let mut events: BTreeMap<(Time, u64), ClientInput> = BTreeMap::new();
    let mut stories: BTreeMap<u64, Story> = BTreeMap::new();
    let mut sequence = 0;
    for id in 0..n {
        let arrival = at(mix(seed, id) % 5_000);
        events.insert((arrival, sequence), ClientInput::New(Request { arrival, ..request(id, mix(seed, 1_000 + id)) }));
        sequence += 1;
        if spurious {
            events.insert((at(mix(seed, 2_000 + id) % 9_000), sequence + 1_000_000), ClientInput::Wake);
        }
    }
    loop {
        let told = events.first_key_value().map(|((time, _), _)| *time);
        let (now, input) = match (client.next_wakeup(), told) {
            (Some(wake), told) if told.is_none_or(|told| wake <= told) => (wake, ClientInput::Wake),
            (_, Some(_)) => events.pop_first().map(|((time, _), input)| (time, input)).unwrap(),
            _ => break,
        };
        client.handle(now, input);
        while let Some(action) = client.poll() {
            match action {
                ClientAction::Send(Sending { attempt, request, number, .. }) => {
                    let story = stories.entry(request.0).or_default();
                    story.sends.push(now);
                    assert_eq!(story.sends.len(), usize::from(number));
                    assert_eq!(*story.slot.get_or_insert(slot_of(attempt)), slot_of(attempt));
                    let bits = mix(mix(seed, 1_000 + request.0), 100 + u64::from(number));
                    for (after, input) in reply(bits, attempt) {
                        events.insert((now + Span::from_millis(after), sequence), input);
                        sequence += 1;
                    }
                }
                ClientAction::Leave { attempt } => assert!(client.under_way(attempt).is_none()),
                ClientAction::Finish(finished) => {
                    let story = stories.entry(finished.request.0).or_default();
                    assert_eq!(finished.sent, *story.sends.last().unwrap());
                    story.ends.push((finished.at, format!("{:?}", finished.outcome), finished.attempts));
                }
            }
        }
    }
    (stories, client)
}

proptest! {
    /// Every request ends exactly once, after no more attempts than it has, with no wake-up lost; the budget is kept; and
    /// wake-ups that find nothing change nothing.
    #[test]
    fn every_request_ends_exactly_once(
        seed: u64, n in 1u64..40, max in 1u16..6, honour: bool, first in prop::option::of(1u64..2_500), budget in prop::option::of(0.0f64..3.0),
    ) {
        let first = first.map_or(String::new(), |first| format!("first_token = '{first}ms', "));
        let budget = budget.map_or(String::new(), |burst| format!(", budget = {{ ratio = 0.2, burst = {burst:.3} }}"));
        let text = format!(
            "timeout = {{ {first}total = '2s' }}\nslo = {{ e2e = '2s' }}\n\
             retry = {{ max_attempts = {max}, backoff_base = '400ms', backoff_cap = '1s', honour_retry_after = {honour}{budget} }}"
        );
        let (stories, client) = run(&text, n, seed, false);
        prop_assert_eq!(client.next_wakeup(), None);
        prop_assert_eq!(client.unfinished().count(), 0);
        prop_assert_eq!(stories.len() as u64, n);
        let longest = Span::from_secs(2) + Span::from_secs(1); // an attempt's patience, and a backoff or Retry-After
        for story in stories.values() {
            prop_assert_eq!(story.ends.len(), 1);
            let (end, _, attempts) = &story.ends[0];
            prop_assert_eq!(usize::from(*attempts), story.sends.len());
            prop_assert!(*attempts <= max && *end >= *story.sends.last().unwrap());
            prop_assert!(story.sends.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= longest));
        }
        prop_assert!(client.retry_budget(ClassId(0)).is_none_or(|saved| saved >= 0.0));
        prop_assert_eq!(run(&text, n, seed, true).0, stories);
    }
}

#[test]
fn ids_of_attempts_under_way_are_dense_and_unlike() {
    let mut client = clients("");
    let mut ids = BTreeSet::new();
    for id in 0..100 {
        client.handle(at(id), ClientInput::New(request(id, id)));
        let Some(ClientAction::Send(Sending { attempt, .. })) = client.poll() else { panic!("not sent") };
        assert!(ids.insert(attempt) && slot_of(attempt) < 5);
        if id >= 3 {
            let oldest = *ids.iter().find(|id| client.under_way(**id).is_some()).unwrap();
            client.handle(at(id), ClientInput::Complete { attempt: oldest, degraded: false, output_tokens: 1 });
            finished(&mut client);
        }
    }
}
