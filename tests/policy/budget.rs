//! The metered limit from outside (INV-9): what the calls that start reserve is within the budget of every window, whatever
//! comes in, with the corrected boundary.
//!
//! A reservation counts as a whole until its call ends; a call that settles within its window counts as what it used from
//! then on (so without settlement the sums are those of the reservations alone). Checked at each start, which is where a sum
//! grows by a decision; an overrun may exceed the budget afterwards, and the next start then waits.
//!
//! | window | calls that are summed | at most |
//! |---|---|---|
//! | `calendar` | of one minute of the clock | the budget |
//! | `lazy_fixed` | since the first look more than 60 s after the last such one | the budget |
//! | `sliding_log` | of any 60 s | the budget |
//! | `gcra` | of any 60 s | the budget and one burst |

use crate::support::Dice;
use crate::traffic::{Job, Seen, Traffic};
use plimsoll::policy::{
    Action, Boundary, CallEnd, Concurrency, Exclusive, Finish, HeavyLane, HoldRule, Limiter, Settings, Usage, Window,
};
use plimsoll::request::{AttemptId, CallId, Cause, Profile, Vantage};
use plimsoll::time::{Span, Time};
use plimsoll::units::{Count, Fraction};

const MINUTE: Span = Span::from_secs(60);

/// A call that has started.
struct Taken {
    call: CallId,
    at: Time,
    /// Of which fixed window.
    window: u64,
    tokens: u64,
}

/// The books of one run.
struct Books {
    kind: Window,
    budget: u64,
    burst: u64,
    settle: bool,
    taken: Vec<Taken>,
    window: u64,
    anchor: Time,
    starts: u64,
    most: u64,
    over: bool,
}

impl Books {
    fn of(limiter: &Limiter) -> Self {
        let budget = f64::from(limiter.tpm_limit.value()) * (1.0 - limiter.headroom.value());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
        let budget = budget as u64;
        let burst = limiter.burst.map_or(budget / 6, |burst| u64::from(burst.value()));
        let (kind, settle) = (limiter.window, limiter.settle);
        let (taken, anchor) = (Vec::new(), Time::ZERO);
        Self { kind, budget, burst, settle, taken, window: 0, anchor, starts: 0, most: 0, over: false }
    }

    /// Somebody has asked the limiter. With nothing but the limiter in the way, each look into a new window ends in a start.
    fn look(&mut self, now: Time) {
        match self.kind {
            Window::Calendar => self.window = now.as_nanos() / MINUTE.as_nanos(),
            _ if now > self.anchor + MINUTE => {
                self.window += 1;
                self.anchor = now;
            }
            _ => {}
        }
    }

    fn counts(&self, taken: &Taken, now: Time) -> bool {
        match self.kind {
            Window::Calendar | Window::LazyFixed => taken.window == self.window,
            Window::SlidingLog | Window::Gcra => now - taken.at < MINUTE,
        }
    }

    fn see(&mut self, now: Time, seen: Seen) {
        match seen {
            Seen::Action(Action::Start { call, reserved, .. }) => {
                self.look(now);
                self.taken.push(Taken { call, at: now, window: self.window, tokens: u64::from(reserved) });
                let sum: u64 = self.taken.iter().filter(|taken| self.counts(taken, now)).map(|taken| taken.tokens).sum();
                let most = self.budget + if self.kind == Window::Gcra { self.burst } else { 0 };
                self.over |= sum > most;
                (self.starts, self.most) = (self.starts + 1, self.most.max(sum));
            }
            Seen::Ends(call, end) if self.settle => self.settle(now, call, end),
            _ => {}
        }
    }

    /// To the window that it came from, unless that is over.
    fn settle(&mut self, now: Time, call: CallId, end: CallEnd) {
        let (kind, anchor) = (self.kind, self.anchor);
        let open = |taken: &Taken| match kind {
            Window::Calendar => now.as_nanos() / MINUTE.as_nanos() == taken.window,
            Window::LazyFixed => taken.at >= anchor && now <= anchor + MINUTE,
            Window::SlidingLog | Window::Gcra => now - taken.at < MINUTE,
        };
        if let Some(taken) = self.taken.iter_mut().find(|taken| taken.call == call).filter(|taken| open(taken))
            && let CallEnd::Ok { usage: Some(Usage { input, output }), .. } = end
        {
            taken.tokens = u64::from(input) + u64::from(output);
        }
    }
}

fn limiter(dice: &mut Dice, boundary: Boundary) -> Limiter {
    Limiter {
        tpm_limit: Count::new(5_000 + u32::try_from(dice.below(30_000)).expect("small")).expect("above 0"),
        headroom: Fraction::new([0.0, 0.15, 0.5][dice.below(3)]).expect("in range"),
        window: [Window::LazyFixed, Window::Calendar, Window::SlidingLog, Window::Gcra][dice.below(4)],
        boundary,
        jitter: (dice.below(3) == 0).then(|| Span::from_secs(5)),
        auto_trim: dice.below(2) == 0,
        settle: dice.below(2) == 0,
        hold: [HoldRule::WhileWaiting, HoldRule::AllOrNone][dice.below(2)],
        ..Limiter::default()
    }
}

fn settings(dice: &mut Dice, boundary: Boundary) -> Settings {
    let limiter = limiter(dice, boundary);
    let slots = Count::new(1 + u32::try_from(dice.below(8)).expect("few")).expect("above 0");
    let exclusive = [Exclusive::Heavy, Exclusive::All][dice.below(2)];
    // A lane that waits looks at a lazy window too, which cannot be seen from outside.
    let lane = dice.below(2) == 0 && limiter.window != Window::LazyFixed;
    Settings {
        concurrency: (dice.below(2) == 0).then(|| Concurrency { max_concurrent_requests: slots, ..Concurrency::default() }),
        lane: lane.then(|| HeavyLane { exclusive, ..HeavyLane::default() }),
        limiter: Some(limiter),
        ..Settings::default()
    }
}

fn job(dice: &mut Dice) -> Job {
    let tokens = |dice: &mut Dice, below: usize| u32::try_from(dice.below(below)).expect("small");
    let usage = Usage { input: tokens(dice, 1_000), output: tokens(dice, 4_000) };
    let end = match dice.below(10) {
        0 => CallEnd::Failed { cause: Cause::Proxy, retry_after: None },
        1 => CallEnd::Failed { cause: Cause::Server, retry_after: None },
        2 => CallEnd::Ok { usage: None, finish: Finish::Stop },
        _ => CallEnd::Ok { usage: Some(usage), finish: [Finish::Stop, Finish::Length][dice.below(2)] },
    };
    let longest = [2_000, 20_000, 100_000][dice.below(3)];
    Job { took: Span::from_millis(dice.below(longest) as u64), end }
}

/// Plays twenty minutes of random arrivals, some of which leave again; the books.
fn play(settings: &Settings, dice: &mut Dice) -> Books {
    let mut traffic = Traffic::new(settings);
    let mut books = Books::of(settings.limiter.as_ref().expect("it is what is tested"));
    let busy = 1 + dice.below(8_000);
    let mut came: Vec<AttemptId> = Vec::new();
    while traffic.now < Time::ZERO + MINUTE * 20 {
        let gap = if dice.below(50) == 0 { 90_000 } else { busy };
        let to = traffic.now + Span::from_millis(dice.below(gap) as u64);
        traffic.pass(to, &mut |now, seen| books.see(now, seen));
        if dice.below(12) == 0 && !came.is_empty() {
            let id = came[dice.below(came.len())];
            traffic.leave(id, &mut |now, seen| books.see(now, seen));
        }
        let profile = Profile { grounded: dice.below(2) == 0, vantage: Vantage::ALL[dice.below(4)], ..Profile::default() };
        let (input, output, draw) = (dice.below(600), 1 + dice.below(3_000), dice.bits());
        let job = job(dice);
        let change = |attempt: &mut plimsoll::policy::Attempt| {
            attempt.input_estimate = u32::try_from(input).expect("small");
            attempt.max_tokens = u32::try_from(output).expect("small");
            (attempt.profile, attempt.draw) = (profile, draw);
        };
        came.push(traffic.arrive(job, change, &mut |now, seen| books.see(now, seen)));
    }
    books
}

#[test]
fn no_window_gives_more_than_its_budget() {
    let mut full = [0; 4];
    for seed in 0..160 {
        let mut dice = Dice::new(seed);
        let settings = settings(&mut dice, Boundary::Checked);
        let books = play(&settings, &mut dice);
        assert!(!books.over, "INV-9, seed {seed}: {} of {} with {settings:?}", books.most, books.budget);
        full[books.kind as usize] += usize::from(books.starts > 20 && books.most * 20 > books.budget * 19);
    }
    assert!(full.iter().all(|runs| *runs > 5), "runs that used a window up: {full:?}");
}

/// What the books find where the limit is not kept: the seed's waiters each restore the window for themselves.
#[test]
fn the_seeds_boundary_gives_more() {
    let over = (0..40).filter(|seed| {
        let mut dice = Dice::new(*seed);
        let mut settings = settings(&mut dice, Boundary::Seed);
        let limiter = settings.limiter.as_mut().expect("it is what is tested");
        (limiter.window, limiter.hold) = (Window::Calendar, HoldRule::WhileWaiting);
        play(&settings, &mut dice).over
    });
    assert!(over.count() > 20);
}
