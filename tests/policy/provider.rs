//! The limiter and the provider that it stands in front of, together: with the settings of [`corrected`] no call is ever
//! refused for its rate, whatever comes in, and the provider's rolling 60 s sum never exceeds its limit.
//!
//! What it takes, each of which [`what_it_takes`] takes away again to see the provider refuse:
//!
//! - a window that lets no more through in any 60 s than the provider allows: `sliding_log`, or `gcra` with its burst inside
//!   the headroom; `calendar` where the provider counts by the same minutes (its rolling sum may then be twice the limit);
//! - `multiplier_min = 1`: the provider takes the whole estimate at admission, however little is used in the end;
//! - `settle` only where the provider gives back too (`reserve_and_settle`);
//! - `excess = "at_end"`: what is used beyond the estimate is billed when the call ends, which may be minutes after the
//!   window has forgotten its start;
//! - usage within the reservation, which no limiter can promise: the multiplier is a percentile.
//!
//! And calls that reach the provider when they start: a proxy on the way there delays some more than others.

use crate::support::{Dice, attempt};
use plimsoll::policy::{
    Action, Breaker, CallEnd, CallTimeout, Concurrency, Excess, Exclusive, Finalise, Finish, Gateway, HeavyLane, Heed,
    HoldRule, Input, Limiter, OnClientGone, OnError, OnTimeout, Settings, Timeout, UpstreamErrors, Usage, Window,
};
use plimsoll::request::{AttemptId, CallId, Cause, ClassId, Profile, ProxyMode, Vantage};
use plimsoll::rng::Streams;
use plimsoll::time::{Span, Time};
use plimsoll::units::{Count, Fraction, Positive};
use plimsoll::upstream::{
    Call, CallWork, EventKind, LatencySettings, LimiterSettings, Output, OutputKind, ProxyPlace, ProxySettings, Setup,
    TokenApi, TokenApiSettings, Upstream,
};
use slotmap::{SecondaryMap, SlotMap};

const MINUTE: Span = Span::from_secs(60);
const LASTS: Span = Span::from_secs(30 * 60);

/// Tokens that the provider counts.
struct Counted {
    call: CallId,
    at: Time,
    tokens: u64,
}

/// What one run came to.
#[derive(Debug, Default)]
struct Came {
    answered: u64,
    refused: u64,
    broken: u64,
    excess: u64,
    /// Most tokens of any 60 s.
    most: u64,
}

struct World {
    gateway: Gateway,
    provider: TokenApi,
    dice: Dice,
    now: Time,
    /// How far usage goes beyond what is reserved: 1 is within it.
    usage: f64,
    gives_back: bool,
    ids: SlotMap<AttemptId, Job>,
    calls: SecondaryMap<CallId, Call>,
    /// What comes next: a new job, jobs that are tried again, and clients that leave.
    fresh: (Time, Job),
    busy: usize,
    arrivals: Vec<(Time, Job)>,
    leaves: Vec<(Time, AttemptId)>,
    counted: Vec<Counted>,
    came: Came,
}

#[derive(Copy, Clone)]
struct Job {
    profile: Profile,
    input: u32,
    output: u32,
    tries: u32,
}

fn small(dice: &mut Dice, below: usize) -> u32 {
    u32::try_from(dice.below(below)).expect("small")
}

fn job(dice: &mut Dice) -> Job {
    let vantage = Vantage::ALL[dice.below(4)];
    let proxy_mode = [ProxyMode::Rotating, ProxyMode::Residential][dice.below(2)];
    let profile = Profile { grounded: dice.below(2) == 0, vantage, proxy_mode, ..Profile::default() };
    let longest = [300, 1_500, 4_000][dice.below(3)];
    Job { profile, input: small(dice, 600), output: 1 + small(dice, longest), tries: small(dice, 3) }
}

impl World {
    fn new(settings: &Settings, api: &TokenApiSettings, usage: f64, mut dice: Dice) -> Self {
        let setup = Setup { speed: 1.0, streams: Streams::new(dice.bits(), 0), classes: &["all".to_owned()] };
        Self {
            gateway: Gateway::new(settings),
            provider: TokenApi::new(api, &setup),
            now: Time::ZERO,
            usage,
            gives_back: matches!(api.limiter, LimiterSettings::ReserveAndSettle { .. }),
            ids: SlotMap::with_key(),
            calls: SecondaryMap::new(),
            fresh: (Time::ZERO, job(&mut dice)),
            busy: 300 + dice.below(5_000),
            dice,
            arrivals: Vec::new(),
            leaves: Vec::new(),
            counted: Vec::new(),
            came: Came::default(),
        }
    }

    /// Half an hour of random traffic: bursts, pauses, clients that leave, refusals that are tried again.
    fn play(mut self) -> Came {
        while let Some(at) = self.next() {
            self.now = at;
            self.step();
            self.settle();
        }
        self.came
    }

    fn next(&self) -> Option<Time> {
        let provider = self.provider.next_event().map(|(at, _)| at);
        let wake = self.gateway.next_wakeup().map(|(at, _)| at);
        let arrival = self.arrivals.iter().map(|(at, _)| *at).min();
        let leave = self.leaves.iter().map(|(at, _)| *at).min();
        [provider, wake, arrival, leave, Some(self.fresh.0)].into_iter().flatten().min().filter(|at| *at < Time::FAR)
    }

    /// One thing that is due now: completions before timeouts before clients.
    fn step(&mut self) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= self.now);
        if due(self.provider.next_event().map(|(at, _)| at)) {
            self.provider.advance(self.now, EventKind::Completion);
        } else if due(self.gateway.next_wakeup().map(|(at, _)| at)) {
            self.gateway.handle(self.now, Input::Wake);
        } else if due(Some(self.fresh.0)) {
            let job = std::mem::replace(&mut self.fresh.1, job(&mut self.dice));
            let gap = if self.dice.below(40) == 0 { 120_000 } else { self.busy };
            let next = self.now + Span::from_millis(1 + self.dice.below(gap) as u64);
            self.fresh.0 = if next < Time::ZERO + LASTS { next } else { Time::FAR };
            self.arrive(job);
        } else if let Some(place) = self.arrivals.iter().position(|(at, _)| *at <= self.now) {
            let (_, job) = self.arrivals.swap_remove(place);
            self.arrive(job);
        } else if let Some(place) = self.leaves.iter().position(|(at, _)| *at <= self.now) {
            let (_, attempt) = self.leaves.swap_remove(place);
            if self.ids.remove(attempt).is_some() {
                self.gateway.handle(self.now, Input::Gone { attempt });
            }
        }
    }

    fn arrive(&mut self, job: Job) {
        let id = self.ids.insert(job);
        let mut arriving = attempt(id);
        (arriving.profile, arriving.input_estimate, arriving.max_tokens) = (job.profile, job.input, job.output);
        (arriving.draw, arriving.streaming) = (self.dice.bits(), false);
        if self.dice.below(10) == 0 {
            self.leaves.push((self.now + Span::from_millis(self.dice.below(200_000) as u64), id));
        }
        self.gateway.handle(self.now, Input::Arrive(arriving));
    }

    fn settle(&mut self) {
        loop {
            if let Some(output) = self.provider.poll() {
                self.output(output);
            } else if let Some(action) = self.gateway.poll() {
                self.act(action);
            } else {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { attempt, call, max_tokens, vantage, reserved, .. } => {
                self.start(attempt, call, max_tokens, vantage, reserved);
            }
            Action::Cancel { call } => self.provider.cancel(self.now, call),
            Action::Complete { attempt, .. } => {
                self.came.answered += 1;
                self.ids.remove(attempt);
            }
            Action::Answer { attempt, .. } | Action::Cut { attempt, .. } => {
                let Some(job) = self.ids.remove(attempt).filter(|job| job.tries > 0) else { return };
                let later = self.now + Span::from_millis(self.dice.below(20_000) as u64);
                self.arrivals.push((later, Job { tries: job.tries - 1, ..job }));
            }
            Action::Detach { .. } | Action::Relay { .. } | Action::Note(_) => {}
        }
    }

    /// The call uses anything up to its reservation, often all of it.
    fn start(&mut self, attempt: AttemptId, id: CallId, max_tokens: u32, vantage: Vantage, reserved: u32) {
        let job = self.ids[attempt];
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
        let most = (f64::from(reserved) * self.usage) as u32;
        let usage_tokens = if self.dice.below(3) == 0 { most } else { 1 + small(&mut self.dice, most.max(1) as usize) };
        let output = 1 + small(&mut self.dice, max_tokens as usize);
        let call = Call {
            profile: Profile { vantage, ..job.profile },
            max_tokens,
            input_estimate: job.input,
            usage_tokens,
            draw: self.dice.bits(),
            ..Call::plain(id, ClassId(0), job.input.max(1), output)
        };
        self.calls.insert(id, call);
        let asks = u64::from(job.input) + u64::from(max_tokens);
        self.counted.push(Counted { call: id, at: self.now, tokens: asks });
        self.provider.start(self.now, &call);
    }

    fn output(&mut self, Output { call, kind, .. }: Output) {
        let finish = Finish::Stop;
        let end = match kind {
            OutputKind::Done(work) => {
                self.bill(call, work);
                let usage = Some(Usage { input: work.prefill_tokens, output: work.decode_tokens });
                CallEnd::Ok { usage, finish }
            }
            OutputKind::Failed { cause, retry_after, work, .. } => {
                self.came.refused += u64::from(cause == Cause::RateLimited);
                self.came.broken += u64::from(cause != Cause::RateLimited);
                self.bill(call, work);
                CallEnd::Failed { cause, retry_after }
            }
            OutputKind::Cancelled(work) => return self.bill(call, work),
            OutputKind::Began | OutputKind::FirstToken | OutputKind::Token | OutputKind::Reneged => return,
        };
        let limits = self.provider.headers(self.now);
        self.gateway.handle(self.now, Input::Quota { call, limits });
        self.gateway.handle(self.now, Input::Ended { call, end });
    }

    /// The provider's books, kept anew: what was taken at admission, what comes back, what is billed beyond.
    fn bill(&mut self, call: CallId, work: CallWork) {
        self.sum_up();
        let billed = u64::from(work.prefill_tokens) + u64::from(work.decode_tokens);
        let taken = self.counted.iter_mut().rfind(|counted| counted.call == call).expect("it was admitted");
        let excess = billed.saturating_sub(taken.tokens);
        if self.gives_back {
            taken.tokens = taken.tokens.min(billed);
        }
        if excess > 0 {
            self.came.excess += 1;
            self.counted.push(Counted { call: CallId::default(), at: self.now, tokens: excess });
            self.sum_up();
        }
    }

    fn sum_up(&mut self) {
        let inside = self.counted.iter().filter(|counted| self.now - counted.at < MINUTE);
        self.came.most = self.came.most.max(inside.map(|counted| counted.tokens).sum());
        let old = |counted: &Counted| counted.at + LASTS < self.now;
        self.counted.retain(|counted| !old(counted));
    }
}

fn api(dice: &mut Dice, limit: u32) -> TokenApiSettings {
    let limiter = [
        LimiterSettings::Continuous { burst: None },
        LimiterSettings::ReserveAndSettle { burst: None },
        LimiterSettings::Calendar { phase: None },
    ][dice.below(3)];
    let proxy = ProxySettings { place: ProxyPlace::Behind, ..ProxySettings::default() };
    let latency = r#"{ "first_token": { "dist": "lognormal", "mean": "2s", "sigma": 1 }, "sigma": 0.5,
        "search": { "dist": "lognormal", "mean": "50s", "sigma": 1, "max": "900s" } }"#;
    TokenApiSettings {
        tokens_per_minute: Count::new(limit),
        limiter,
        charge_excess: true,
        latency: serde_json::from_str::<LatencySettings>(latency).expect("a latency"),
        error_rate: Fraction::new(0.05),
        proxy: (dice.below(2) == 0).then(|| Box::new(proxy)),
        ..TokenApiSettings::default()
    }
}

/// A limiter that keeps such a provider from refusing.
fn corrected(dice: &mut Dice, api: &TokenApiSettings) -> Limiter {
    let by_minutes = matches!(api.limiter, LimiterSettings::Calendar { .. });
    Limiter {
        tpm_limit: api.tokens_per_minute.expect("it is stated"),
        headroom: Fraction::new([0.15, 0.5][dice.below(2)]).expect("in range"),
        window: [Window::SlidingLog, Window::Gcra, Window::Calendar][dice.below(if by_minutes { 3 } else { 2 })],
        settle: matches!(api.limiter, LimiterSettings::ReserveAndSettle { .. }),
        excess: Excess::AtEnd,
        multiplier_min: Positive::new(1.0),
        multiplier_max: Positive::new(4.0),
        auto_trim: dice.below(2) == 0,
        jitter: (dice.below(4) == 0).then(|| Span::from_secs(3)),
        hold: [HoldRule::WhileWaiting, HoldRule::AllOrNone][dice.below(2)],
        ..Limiter::default()
    }
}

/// Everything around it that starts, ends, cancels or repeats calls.
fn settings(dice: &mut Dice, limiter: Limiter) -> Settings {
    let on_error = |dice: &mut Dice| [OnError::PassOn, OnError::Wait, OnError::Redispatch][dice.below(3)];
    let rate_headers = [Heed::Never, Heed::Refusals, Heed::Always][dice.below(3)];
    let slots = Count::new(1 + small(dice, 8)).expect("above 0");
    let timeout = Timeout {
        request_timeout: Span::from_secs(20 + dice.below(400) as u64),
        on_timeout: OnTimeout::Cancel,
        on_client_gone: [OnClientGone::Cancel, OnClientGone::RunOn][dice.below(2)],
        ..Settings::seed(Count::new(1).expect("above 0")).timeout.expect("the seed has one")
    };
    let lane = HeavyLane { exclusive: [Exclusive::Heavy, Exclusive::All][dice.below(2)], ..HeavyLane::default() };
    let finalise = Finalise { sla: Span::from_secs(90), ..Finalise::default() };
    Settings {
        limiter: Some(limiter),
        concurrency: (dice.below(2) == 0).then(|| Concurrency { max_concurrent_requests: slots, ..Concurrency::default() }),
        lane: (dice.below(3) == 0).then_some(lane),
        breaker: (dice.below(2) == 0).then(Breaker::default),
        call_timeout: (dice.below(2) == 0).then(CallTimeout::default),
        timeout: (dice.below(2) == 0).then_some(timeout),
        finalise: (dice.below(2) == 0).then_some(finalise),
        upstream_errors: Some(UpstreamErrors { on_429: on_error(dice), on_5xx: on_error(dice), rate_headers }),
        ..Settings::default()
    }
}

/// One run, with what `change` makes of limiter and provider.
fn run(seed: u64, usage: f64, change: impl FnOnce(&mut Limiter, &mut TokenApiSettings)) -> (Came, Limiter, TokenApiSettings) {
    let mut dice = Dice::new(seed);
    let limit = 10_000 + small(&mut dice, 40_000);
    let mut api = api(&mut dice, limit);
    let mut limiter = corrected(&mut dice, &api);
    change(&mut limiter, &mut api);
    let settings = settings(&mut dice, limiter.clone());
    (World::new(&settings, &api, usage, dice).play(), limiter, api)
}

#[test]
fn a_corrected_limiter_keeps_the_provider_from_refusing() {
    let mut all = Came::default();
    let mut full = 0;
    for seed in 0..80 {
        let (came, limiter, api) = run(seed, 1.0, |_, _| {});
        assert_eq!(came.refused, 0, "seed {seed}: {came:?} with {limiter:?} before {api:?}");
        let limit = u64::from(limiter.tpm_limit.value()) * if limiter.window == Window::Calendar { 2 } else { 1 };
        assert!(came.most <= limit, "seed {seed}: {came:?} of {limit} with {limiter:?} before {api:?}");
        full += u64::from(came.most * 3 > limit * 2);
        (all.answered, all.broken, all.excess) =
            (all.answered + came.answered, all.broken + came.broken, all.excess + came.excess);
    }
    assert!(all.answered > 5_000 && all.broken > 500 && all.excess > 2_000 && full > 20, "{all:?}, {full} runs near the limit");
}

#[test]
fn what_it_takes() {
    let refuses = |usage: f64, change: fn(&mut Limiter, &mut TokenApiSettings)| {
        let whole = |limiter: &mut Limiter, api: &mut TokenApiSettings| {
            // As far as it goes without the one thing that is taken away.
            (limiter.window, limiter.headroom) = (Window::SlidingLog, Fraction::new(0.0).expect("in range"));
            change(limiter, api);
        };
        (0..30).filter(|seed| run(*seed, usage, whole).0.refused > 0).count()
    };
    assert_eq!(refuses(1.0, |_, _| {}), 0, "nothing is taken away");
    let found = [
        ("excess", refuses(1.0, |limiter, _| limiter.excess = Excess::AtStart)),
        ("multiplier", refuses(0.5, |limiter, _| limiter.multiplier_min = None)),
        ("settle", refuses(0.5, |limiter, _| limiter.settle = true)),
        ("usage", refuses(3.0, |_, _| {})),
        (
            "window",
            refuses(1.0, |limiter, api| {
                (limiter.window, api.limiter) = (Window::LazyFixed, LimiterSettings::Continuous { burst: None });
                limiter.settle = false;
            }),
        ),
        ("quanta", refuses(1.0, |_, api| api.limiter = LimiterSettings::Quantised { quantum: None })),
    ];
    assert!(found.iter().all(|(_, runs)| *runs > 0), "{found:?}");
}
