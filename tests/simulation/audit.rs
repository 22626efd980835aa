//! An auditor: reads a journal as somebody who knows none of the simulator's insides, keeps books of its own, and says what
//! does not add up.

use std::collections::BTreeMap;

use plimsoll::journal::{ClassTally, Event, Tally, What};
use plimsoll::policy::{Action, Attempt, CallEnd, Input, Mode, TimeoutFrom};
use plimsoll::request::{AttemptId, CallId, Cause, Outcome, Reason, Request, RequestId};
use plimsoll::sim::Plan;
use plimsoll::time::{Span, Time};

/// An attempt that is not over.
struct Open {
    attempt: Attempt,
    sent: Time,
    started: Option<Time>,
}

/// A call that has not ended.
struct Running {
    attempt: AttemptId,
    detached: bool,
}

/// The books.
pub struct Auditor<'a> {
    plan: &'a Plan,
    now: Time,
    requests: BTreeMap<RequestId, (Request, u16)>,
    open: BTreeMap<AttemptId, Open>,
    calls: BTreeMap<CallId, Running>,
    finished: Vec<(Request, Outcome, u16, Time)>,
    /// When each request's latest attempt was sent.
    sent: BTreeMap<RequestId, Time>,
    abandoned_max: usize,
    digest: Option<String>,
}

impl<'a> Auditor<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            now: Time::ZERO,
            requests: BTreeMap::new(),
            open: BTreeMap::new(),
            calls: BTreeMap::new(),
            finished: Vec::new(),
            sent: BTreeMap::new(),
            abandoned_max: 0,
            digest: None,
        }
    }

    /// Takes in one line.
    pub fn read(&mut self, event: Event) {
        let Event { t, what } = event;
        assert!(t >= self.now, "INV-2: {t} after {}", self.now);
        if t > self.now {
            self.settled();
        }
        self.now = t;
        match what {
            What::Run(_) => {}
            What::Request(request) => {
                assert_eq!(request.arrival, t, "INV-3: a request is seen when it arrives");
                let earlier = self.requests.insert(request.id, (*request, 0));
                assert!(earlier.is_none(), "request {} arrives twice", request.id.0);
            }
            What::In(input) => self.input(&input),
            What::Out(action) => self.action(action),
            What::Upstream { request, .. } => {
                assert!(self.sent.contains_key(&request), "INV-3: work for a request that was not sent");
            }
            What::Finish { request, outcome, attempts, .. } => self.finish(request, outcome, attempts),
            What::End { digest } => {
                self.settled();
                self.digest = Some(digest);
            }
            What::Segment(_) | What::Closed { .. } => panic!("a simulation's journal has no segments"),
        }
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::Arrive(attempt) => self.arrive(*attempt),
            Input::FirstByte { call } | Input::Quota { call, .. } => {
                assert!(self.calls.contains_key(call), "INV-3: a byte of a call that does not run");
            }
            Input::Ended { call, end } => {
                assert!(self.calls.remove(call).is_some(), "INV-5: call {call:?} ends ({end:?}) but does not run");
                if let CallEnd::Ok { usage, .. } = end {
                    assert!(usage.is_some_and(|usage| usage.output >= 1), "an answer without a token");
                }
            }
            Input::Gone { attempt } => self.over(*attempt, "left"),
            Input::Wake | Input::Hint(_) | Input::Settings(_) | Input::Drain => {}
        }
    }

    fn arrive(&mut self, attempt: Attempt) {
        let (request, attempts) =
            self.requests.get_mut(&attempt.request).expect("INV-3: an attempt of a request that has come");
        *attempts += 1;
        assert_eq!(*attempts, attempt.number, "attempts are counted from 1");
        let retry = self.plan.workload.classes[request.class.index()].retry.as_ref();
        assert!(u32::from(*attempts) <= retry.map_or(1, |retry| retry.max_attempts.value()), "too many attempts");
        self.sent.insert(attempt.request, self.now);
        let earlier = self.open.insert(attempt.id, Open { attempt, sent: self.now, started: None });
        assert!(earlier.is_none(), "an attempt's id is used twice");
    }

    fn action(&mut self, action: Action) {
        match action {
            Action::Start { attempt, call, max_tokens, .. } => {
                let open = self.open.get_mut(&attempt).expect("INV-3: a call for an attempt that is there");
                assert!(open.started.replace(self.now).is_none(), "a second first call");
                assert!(max_tokens <= open.attempt.max_tokens);
                assert!(self.calls.insert(call, Running { attempt, detached: false }).is_none(), "a call's id is used twice");
                self.slots();
            }
            Action::Cancel { call } => {
                assert!(self.calls.remove(&call).is_some(), "INV-5: a call is cancelled that does not run");
            }
            Action::Detach { call } => {
                let running = self.calls.get_mut(&call).expect("a call runs that is detached");
                assert!(!std::mem::replace(&mut running.detached, true), "INV-5: a slot comes back twice");
                let abandoned = self.calls.values().filter(|call| call.detached).count();
                self.abandoned_max = self.abandoned_max.max(abandoned);
            }
            Action::Relay { attempt } => assert!(self.open.contains_key(&attempt), "a byte for nobody"),
            Action::Complete { attempt, .. } => self.over(attempt, "complete"),
            Action::Answer { attempt, .. } | Action::Cut { attempt, .. } => self.over(attempt, "refused"),
            Action::Note(_) => {}
        }
    }

    fn over(&mut self, attempt: AttemptId, how: &str) {
        let open = self.open.remove(&attempt).unwrap_or_else(|| panic!("{}: {attempt:?} is {how}, but it is over", self.now));
        let Some(timeout) = self.plan.policy.timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce) else { return };
        let from = if timeout.timeout_from == TimeoutFrom::Arrival { Some(open.sent) } else { open.started };
        let lasted = from.map_or(Span::ZERO, |from| self.now - from);
        assert!(lasted <= timeout.request_timeout, "INV-9: {lasted} under a timeout of {}", timeout.request_timeout);
    }

    /// INV-9: calls that hold a slot.
    fn slots(&self) {
        let limit = self.plan.policy.concurrency.as_ref().filter(|limit| limit.mode == Mode::Enforce);
        let held = self.calls.values().filter(|call| !call.detached).count() as u64;
        if let Some(limit) = limit {
            assert!(held <= u64::from(limit.max_concurrent_requests.value()), "INV-9: {held} slots");
        }
    }

    /// INV-9, once everything due has been said: what waits in the gateway.
    fn settled(&self) {
        let waiting = || self.open.values().filter(|open| open.started.is_none());
        if self.plan.policy.concurrency.as_ref().is_none_or(|limit| limit.mode != Mode::Enforce) {
            assert_eq!(waiting().count(), 0, "somebody waits for nothing");
        }
        let Some(queue) = self.plan.policy.queue.as_ref().filter(|queue| queue.mode == Mode::Enforce) else { return };
        let count = waiting().count() as u64;
        assert!(count <= u64::from(queue.max_queue_size.value()), "INV-9: {count} wait");
        if let Some(limit) = queue.max_queue_tokens {
            let tokens = |open: &Open| u64::from(open.attempt.input_estimate) + u64::from(open.attempt.max_tokens);
            assert!(waiting().map(tokens).sum::<u64>() <= u64::from(limit.value()), "INV-9: too many tokens wait");
        }
    }

    fn finish(&mut self, id: RequestId, outcome: Outcome, attempts: u16) {
        let (request, counted) = self.requests.remove(&id).expect("a request is over once");
        assert_eq!(attempts, counted, "attempts of request {}", id.0);
        let total = self.plan.workload.classes[request.class.index()].timeout.and_then(|timeout| timeout.total);
        if let (Some(total), Outcome::Good | Outcome::Late | Outcome::Degraded) = (total, outcome) {
            let lasted = self.now - self.sent[&id];
            assert!(lasted <= total, "an answer after {lasted} for a client who leaves after {total}");
        }
        self.finished.push((request, outcome, attempts, self.now));
    }

    /// Holds the tally against the books.
    pub fn close(self, tally: &Tally) {
        assert_eq!(self.digest, Some(format!("{:016x}", tally.digest)));
        assert_eq!(self.abandoned_max, tally.abandoned_true_max as usize, "abandoned calls that ran at once");
        for (index, class) in tally.classes.iter().enumerate() {
            let mine = |request: &Request| request.class.index() == index && tally.window.holds(request.arrival);
            let mut own = ClassTally::default();
            for (request, outcome, attempts, at) in self.finished.iter().filter(|(request, ..)| mine(request)) {
                count(&mut own, *outcome);
                own.attempts += u64::from(*attempts);
                own.retried += u64::from(*attempts > 1);
                if matches!(outcome, Outcome::Good | Outcome::Late | Outcome::Degraded) {
                    own.e2e.record(*at - request.arrival);
                }
            }
            for (_, attempts) in self.requests.values().filter(|(request, _)| mine(request)) {
                own.in_flight += 1;
                own.attempts += u64::from(*attempts);
                own.retried += u64::from(*attempts > 1);
            }
            own.offered = own.accounted();
            assert_eq!(columns(&own), columns(class), "INV-1, class {index}");
            assert_eq!((own.e2e.sum, own.e2e.count()), (class.e2e.sum, class.e2e.count()));
        }
        assert!(self.calls.values().all(|call| call.detached || self.open.contains_key(&call.attempt) || self.runs_on()));
    }

    /// Whether calls keep their slot when their client leaves.
    fn runs_on(&self) -> bool {
        use plimsoll::policy::OnClientGone::RunOn;
        self.plan.policy.timeout.as_ref().is_some_and(|timeout| timeout.on_client_gone == RunOn)
    }
}

fn count(class: &mut ClassTally, outcome: Outcome) {
    match outcome {
        Outcome::Good => class.good += 1,
        Outcome::Late => class.late += 1,
        Outcome::Degraded => class.degraded += 1,
        Outcome::Rejected(reason) => class.rejected[reason as usize] += 1,
        Outcome::TimedOut => class.timed_out += 1,
        Outcome::GaveUp => class.gave_up += 1,
        Outcome::Failed(cause) => class.failed[cause as usize] += 1,
    }
}

type Columns = ([u64; 9], [u64; Reason::ALL.len()], [u64; Cause::ALL.len()]);

fn columns(class: &ClassTally) -> Columns {
    let counts = [
        class.offered,
        class.good,
        class.late,
        class.degraded,
        class.timed_out,
        class.gave_up,
        class.in_flight,
        class.attempts,
        class.retried,
    ];
    (counts, class.rejected, class.failed)
}
