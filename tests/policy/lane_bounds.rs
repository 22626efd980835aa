//! How long the corrected lane lets either side wait, at most, in a whole gateway.
//!
//! A side's *wait* is that of its oldest attempt, from the side's own latest start at the earliest: the time between two
//! starts of a side of which somebody waits. With calls of at most `L` and `H` seconds (light and heavy), no stagger, a
//! window that is whole again after at most 60 s without a start, and reservations that a whole window holds, it is at most
//!
//! ```text
//! max_wait of the side + 2 x max(L, H, 60 s)
//! ```
//!
//! Why: when the wait reaches `max_wait`, the other side may have come of age too and have waited longer. Then all of *this*
//! side are held back, and nothing but calls that run (for a slot, or in the lane) and the window's end keeps the other from
//! its start: all of them are over within `max(L, H, 60 s)`, at the same time. With that start the other side's wait counts
//! from zero and is the shorter one from then on, so that now the *other* side is held back, and the same time later nothing
//! is in the way of this one.

use crate::support::{Dice, Hand, started};
use crate::traffic::{Job, Seen, Traffic};
use plimsoll::policy::{
    Action, CallEnd, Concurrency, Exclusive, Finish, HeavyLane, Limiter, Order, Queue, Settings, Usage, Window,
};
use plimsoll::request::{AttemptId, ClassId, Profile, Vantage};
use plimsoll::time::{Span, Time};
use plimsoll::units::Count;

const LIGHT: usize = 0;
const HEAVY: usize = 1;

/// Input tokens estimated, and the limit on the answer: reservations of 1,210 and, at 2.5 times the estimate, of 25,250 of
/// the 25,500 in a window.
const ESTIMATE: [(u32, u32); 2] = [(100, 1_000), (100, 10_000)];

/// Output tokens used, in percent of the limit: from, and how many more. A heavy call searches, and uses more than it writes.
/// No more than the first multipliers expect, so that what is learned makes no reservation too large for a window.
const USED: [(usize, usize); 2] = [(50, 50), (150, 90)];

/// One side: who waits, in order of arrival, and since when the side does.
#[derive(Default)]
struct Side {
    waiting: Vec<(AttemptId, Time)>,
    last_start: Time,
    longest: Span,
}

impl Side {
    /// How long the side has waited by `now`.
    fn look(&mut self, now: Time) {
        if let Some((_, arrived)) = self.waiting.first() {
            self.longest = self.longest.max(now - self.last_start.max(*arrived));
        }
    }

    fn leave(&mut self, attempt: AttemptId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(id, _)| *id != attempt);
        self.waiting.len() < before
    }
}

/// What is drawn for one run.
struct Draw {
    settings: Settings,
    /// Mean seconds between arrivals, and the longest call.
    every: [usize; 2],
    calls: [usize; 2],
    leaves: bool,
}

fn draw(dice: &mut Dice, exclusive: Exclusive) -> Draw {
    let max_wait = |dice: &mut Dice| Span::from_secs(20 + dice.below(200) as u64);
    let lane = HeavyLane { exclusive, heavy_max_wait: max_wait(dice), light_max_wait: max_wait(dice), ..HeavyLane::default() };
    let window = [Window::LazyFixed, Window::Calendar, Window::SlidingLog][dice.below(3)];
    let limiter = Limiter { window, settle: dice.below(2) == 0, auto_trim: dice.below(2) == 0, ..Limiter::default() };
    let slots = Count::new(1 + u32::try_from(dice.below(4)).expect("few")).expect("above 0");
    let order = [Order::Fifo, Order::Lifo, Order::WeightedFair][dice.below(3)];
    let unbounded = Count::new(1_000_000).expect("above 0");
    let settings = Settings {
        queue: Some(Queue { order, max_queue_size: unbounded, ..Queue::default() }),
        concurrency: Some(Concurrency { max_concurrent_requests: slots, ..Concurrency::default() }),
        limiter: Some(limiter),
        lane: Some(lane),
        ..Settings::default()
    };
    Draw {
        settings,
        every: [1 + dice.below(20), 10 + dice.below(150)],
        calls: [1 + dice.below(60), 1 + dice.below(120)],
        leaves: dice.below(2) == 0,
    }
}

/// Plays an hour and a half: the longest wait of each side.
fn longest_waits(draw: &Draw, dice: &mut Dice) -> [Span; 2] {
    let mut traffic = Traffic::new(&draw.settings);
    let mut sides = [Side::default(), Side::default()];
    let mut next = [Time::ZERO; 2];
    while traffic.now < Time::ZERO + Span::from_secs(5_400) {
        let which = usize::from(next[HEAVY] < next[LIGHT]);
        let to = next[which];
        traffic.pass(to, &mut |now, seen| note(&mut sides, now, seen));
        let gap = Span::from_millis(dice.below(2_000 * draw.every[which]) as u64);
        next[which] = to + gap;
        if draw.leaves && dice.below(20) == 0 {
            let side = &sides[dice.below(2)].waiting;
            if let Some(at) = dice.pick(side.len()) {
                let id = side[at].0;
                for side in &mut sides {
                    side.leave(id);
                }
                traffic.leave(id, &mut |now, seen| note(&mut sides, now, seen));
            }
        }
        let (input, output) = ESTIMATE[which];
        let (from, more) = USED[which];
        let used = output as usize * (from + dice.below(more)) / 100;
        let usage = Usage { input, output: u32::try_from(used).expect("fits") };
        let took = Span::from_millis(1 + dice.below(draw.calls[which] * 1_000) as u64);
        let job = Job { took, end: CallEnd::Ok { usage: Some(usage), finish: Finish::Stop } };
        let mut actions = Vec::new();
        let class = ClassId([0, 1][dice.below(2)]);
        let id = traffic.arrive(
            job,
            |attempt| {
                (attempt.input_estimate, attempt.max_tokens, attempt.class) = (input, output, class);
                attempt.profile = Profile {
                    grounded: which == HEAVY,
                    vantage: [Vantage::None, Vantage::AlsOnly][which],
                    ..Profile::default()
                };
            },
            &mut |now, seen| actions.push((now, seen)),
        );
        sides[which].waiting.push((id, to));
        for (now, seen) in actions {
            note(&mut sides, now, seen);
        }
    }
    let now = traffic.now;
    sides.map(|mut side| {
        side.look(now);
        side.longest
    })
}

fn note(sides: &mut [Side; 2], now: Time, seen: Seen) {
    for side in sides.iter_mut() {
        side.look(now);
    }
    match seen {
        Seen::Action(Action::Start { attempt, .. }) => {
            for side in sides {
                if side.leave(attempt) {
                    side.last_start = now;
                }
            }
        }
        Seen::Action(Action::Answer { refusal, .. }) => panic!("nobody is refused: {refusal:?}"),
        _ => {}
    }
}

/// The bounds, by side.
fn bounds(draw: &Draw) -> [Span; 2] {
    let lane = draw.settings.lane.as_ref().expect("drawn");
    let one_start = Span::from_secs(draw.calls[LIGHT].max(draw.calls[HEAVY]).max(60) as u64);
    // A lazy window ends a nanosecond late.
    [lane.light_max_wait, lane.heavy_max_wait].map(|max_wait| max_wait + (one_start + Span::from_nanos(1)) * 2)
}

#[test]
fn neither_side_waits_beyond_its_bound() {
    for exclusive in [Exclusive::Heavy, Exclusive::All] {
        let mut aged = [0; 2];
        for seed in 0..60 {
            let mut dice = Dice::new(seed);
            let draw = draw(&mut dice, exclusive);
            let lane = draw.settings.lane.as_ref().expect("drawn");
            let longest = longest_waits(&draw, &mut dice);
            for (side, max_wait) in [lane.light_max_wait, lane.heavy_max_wait].into_iter().enumerate() {
                let (waited, bound) = (longest[side], bounds(&draw)[side]);
                assert!(waited <= bound, "side {side}, seed {seed}: {waited} against {bound} in {:?}", draw.settings);
                aged[side] += usize::from(waited > max_wait);
            }
        }
        assert!(aged.iter().all(|runs| *runs > 5), "{exclusive:?}: runs in which a side came of age: {aged:?}");
    }
}

/// The same traffic where nothing ages: the bounds do not hold, for either side.
#[test]
fn without_ageing_there_is_no_bound() {
    let mut beyond = [0; 2];
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let mut draw = draw(&mut dice, Exclusive::All);
        let bounds = bounds(&draw);
        let lane = draw.settings.lane.as_mut().expect("drawn");
        (lane.heavy_max_wait, lane.light_max_wait) = (Span::FOREVER, Span::FOREVER);
        let longest = longest_waits(&draw, &mut dice);
        for side in [LIGHT, HEAVY] {
            beyond[side] += usize::from(longest[side] > bounds[side]);
        }
    }
    assert!(beyond.iter().all(|runs| *runs > 5), "{beyond:?}");
}

/// Both sides have come of age, and the light one, which has waited longer, sends its newest first: that one must not be
/// held back as one that has just come.
#[test]
fn newest_first_too_one_side_goes() {
    let secs = Span::from_secs;
    let lane =
        HeavyLane { exclusive: Exclusive::All, heavy_max_wait: secs(30), light_max_wait: secs(20), ..HeavyLane::default() };
    let settings = Settings {
        queue: Some(Queue { order: Order::Lifo, ..Queue::default() }),
        limiter: Some(Limiter::default()),
        lane: Some(lane),
        ..Settings::default()
    };
    let mut hand = Hand::new(&settings);
    let mut arrive = |secs: f64, grounded: bool| {
        let vantage = if grounded { Vantage::AlsOnly } else { Vantage::None };
        hand.arrive_as(secs, |attempt| attempt.profile = Profile { grounded, vantage, ..Profile::default() })
    };
    let (_, actions) = arrive(0.0, true);
    let (_, running) = started(&actions).expect("the lane is free");
    let waiting = [(1.0, false), (2.0, true), (49.0, false)].map(|(secs, grounded)| {
        let (id, actions) = arrive(secs, grounded);
        assert_eq!(started(&actions), None, "a heavy call runs");
        id
    });
    let (first, _) = started(&hand.end(50.0, running)).expect("somebody goes");
    assert_eq!(first, waiting[2], "the newest light one");
}
