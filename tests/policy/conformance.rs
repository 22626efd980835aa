//! The engines against vectors from the literature and from the systems they come from.
//!
//! Each table says where its values come from; a test counts the rows, so that none is lost in silence. Tables of engines
//! whose numbers do not show from outside stand beside them: the adaptive limits in `src/policy/adaptive/vectors_tests.rs`,
//! throttling, the request rate and the breaker in `src/policy/{throttle,rate_limit,breaker}_tests.rs`, the queue's depth
//! in `src/policy/queue_depth.rs`.

use crate::support::{Hand, reason, refused, started};
use plimsoll::policy::{Codel, Queue, Settings, rejection_probability};
use plimsoll::request::Reason;
use plimsoll::time::Span;
use plimsoll::units::Count;

/// `[graduated]`: used capacity in hundredths, and the probability of refusal from 0.7 on.
/// Provenance: formula, `(u - start) / (1 - start)` (the seeds' stage 2).
const GRADUATED: [(u32, f64); 10] = [
    (0, 0.0),
    (69, 0.0),
    (70, 0.0),
    (75, 1.0 / 6.0),
    (80, 1.0 / 3.0),
    (85, 0.5),
    (90, 2.0 / 3.0),
    (95, 5.0 / 6.0),
    (100, 1.0),
    (120, 1.0),
];

/// `[codel]`: target 5 ms, interval 100 ms; (arrives at, leaves the queue at, dropped), in ms, in FIFO order on one slot.
/// Provenance: published (folly's variant): per interval the minimum delay is kept; overloaded when the interval ends with
/// it above the target; then a delay of more than twice the target drops; the first request after each interval's reset is
/// never dropped. Rows computed by hand from that rule.
const CODEL: [(u32, u32, bool); 15] = [
    (0, 0, false),     // starts at once: delay 0
    (10, 50, false),   // ends the first interval, minimum 0
    (20, 60, false),   // 40, and not overloaded
    (30, 160, false),  // first after the reset (minimum was 40: overloaded)
    (100, 170, true),  // 70
    (155, 170, true),  // 15
    (160, 170, false), // 10: twice the target is not more than it
    (200, 261, false), // first after the reset (minimum was 10: still overloaded)
    (260, 262, false), // 2
    (263, 300, true),  // 37
    (295, 300, false), // 5
    (340, 361, true),  // 21, at the interval's end and not after it
    (355, 361, false), // 6
    (356, 362, false), // first after the reset (minimum was 2: no standing queue)
    (357, 400, false), // 43, and not overloaded
];

fn graduated_rows() -> usize {
    for (hundredths, probability) in GRADUATED {
        let computed = rejection_probability(f64::from(hundredths), 100, 0.7);
        assert!((computed - probability).abs() < 1e-12, "{hundredths} %: {computed}, not {probability}");
        let smaller = rejection_probability(f64::from(hundredths) / 5.0, 20, 0.7);
        assert!(hundredths % 5 != 0 || (smaller - probability).abs() < 1e-12, "{hundredths} % of 20");
    }
    GRADUATED.len()
}

/// One slot: at each time at which rows leave, the running call ends, and the queue goes on until somebody starts.
fn codel_rows() -> usize {
    let codel = Codel { target: Some(Span::from_millis(5)), interval: Some(Span::from_millis(100)) };
    let mut settings = Settings::from_flags("--max_concurrent_requests 1", Count::new(10)).expect("well formed");
    settings.queue = Some(Queue { codel: Some(codel), ..Queue::default() });
    settings.timeout = None;
    let mut hand = Hand::new(&settings);

    let mut ids = Vec::new();
    let (id, mut running) = hand.start(0.0);
    ids.push(id);
    let mut left = 1;
    while left < CODEL.len() {
        let leaves = CODEL[left].1;
        for (arrives, ..) in CODEL[ids.len()..].iter().take_while(|row| row.0 <= leaves) {
            ids.push(hand.arrive(f64::from(*arrives) / 1e3).0);
        }
        let actions = hand.end(f64::from(leaves) / 1e3, running);
        for action in &actions[1..] {
            let row = std::slice::from_ref(action);
            let dropped = reason(row) == Some(Reason::Codel);
            let (id, expected) = (refused(row).map(|r| r.0).or(started(row).map(|s| s.0)), CODEL[left]);
            assert_eq!((id, leaves, dropped), (Some(ids[left]), expected.1, expected.2), "row {left}");
            left += 1;
        }
        running = started(&actions).expect("a row that is not dropped").1;
    }
    left
}

#[test]
fn every_row_is_consumed() {
    assert_eq!((graduated_rows(), codel_rows()), (10, 15));
}

/// The same table, decided: refused where the attempt's draw is below the probability, and only there.
#[test]
fn graduated_rejection_decides_by_the_table() {
    for (hundredths, probability) in GRADUATED.into_iter().filter(|(_, p)| *p > 0.0) {
        let flags = "--max_abandoned_threads 100 --request_timeout 1 --max_concurrent_requests 200";
        let mut hand = Hand::new(&Settings::from_flags(flags, None).expect("well formed"));
        for _ in 0..hundredths {
            hand.start(0.0);
        }
        hand.wake(1.0);
        let snapshot = hand.gateway.snapshot();
        assert_eq!((snapshot.abandoned_counted, snapshot.abandoned_true), (f64::from(hundredths), hundredths));
        for (offset, is_refused) in [(-1e-9, true), (1e-9, false)] {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped by `as`
            let draw = ((probability + offset) * 2f64.powi(64)) as u64;
            let (_, actions) = hand.arrive_as(2.0, |attempt| attempt.draw = draw);
            let wanted = if hundredths >= 100 { Reason::FullCapacity } else { Reason::HighCapacity };
            let expected = (is_refused || hundredths >= 100).then_some(wanted);
            assert_eq!(reason(&actions), expected, "{hundredths} % at {probability} {offset:+}");
        }
    }
}
