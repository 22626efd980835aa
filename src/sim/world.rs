//! One replication: the event loop, and the message passing between its machines.
//!
//! ```text
//!   Source --request--> Client --attempt--> Gateway --call--> Upstream
//!                         ^                   |  ^               |
//!                         +---- answer -------+  +---- output ---+
//! ```
//!
//! Each machine keeps its own indexed heap of deadlines and tells the loop only its next one, so that the loop's own queue
//! is four packed keys, (time, priority, machine): at equal times completions come before timeouts, timeouts before
//! arrivals, arrivals before steps. Between two events everything that follows from the first is settled.

use slotmap::{SecondaryMap, SlotMap};

use rand_chacha::rand_core::Rng;

use super::Plan;
use super::area::{Area, inside};
use super::record::Record;
use crate::dist::standard_normal;
use crate::journal::{Digest, Journal, Tally, What};
use crate::policy::{Action, Attempt, CallEnd, Finish, Gateway, Input, Refusal, Usage};
use crate::request::{AttemptId, CallId, Cause, ClassId, Request, RequestId};
use crate::rng::{Streams, mix};
use crate::time::Time;
use crate::upstream::{Call, CallWork, EventKind, Output, OutputKind, Upstream};
use crate::workload::{Client, ClientAction, ClientInput, Source};

/// Kinds of external events, as the digest folds them.
#[derive(Copy, Clone)]
enum Kind {
    Arrival,
    Sent,
    Started,
    Began,
    FirstToken,
    CallEnded,
    AttemptOver,
    Left,
}

/// An attempt under way, as the driver knows it.
#[derive(Copy, Clone, Debug)]
struct Sent {
    /// The driver's own copy: at one instant the client may have left before the gateway's call is on its way.
    request: Request,
    at: Time,
    /// When service began, once it has.
    began: Option<Time>,
    /// Whether it had to wait for service.
    waited: bool,
    /// Still inside the system.
    open: bool,
    /// Length of the answer of its last call, tokens.
    output_tokens: u32,
}

#[allow(clippy::struct_excessive_bools)] // four independent facts
/// A call under way upstream. Its id on the wire is the driver's own: the gateway may forget a call, and use its id again,
/// while the upstream still works on it.
#[derive(Copy, Clone, Debug)]
struct Wire {
    call: CallId,
    attempt: AttemptId,
    request: RequestId,
    class: ClassId,
    measured: bool,
    streaming: bool,
    input_tokens: u32,
    output_tokens: u32,
    finish: Finish,
    /// Somebody still waits for the answer.
    attached: bool,
    /// The gateway still wants to know how it ends.
    known: bool,
}

/// One replication of one variant.
pub struct World<'a> {
    plan: &'a Plan,
    source: Source,
    client: Client,
    gateway: Gateway,
    upstream: Upstream,
    journal: Option<&'a mut Journal>,
    sent: SecondaryMap<AttemptId, Sent>,
    wires: SlotMap<CallId, Wire>,
    wire_of: SecondaryMap<CallId, CallId>,
    /// Calls whose clients have left the upstream's queue; the gateway has been told of the clients, not yet of the calls.
    reneged: Vec<CallId>,
    waiting: Area,
    system: Area,
    residence: u128,
    record: Record,
    digest: Digest,
    events: u64,
    now: Time,
}

/// The machines, in order of precedence at equal times and priorities.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Machine {
    Upstream(EventKind),
    Gateway,
    Client,
    Source,
}

/// Priorities at equal times.
const COMPLETION: u128 = 0;
const TIMEOUT: u128 = 1;
const ARRIVAL: u128 = 2;
const STEP: u128 = 3;

fn key(at: Time, priority: u128, machine: u128) -> u128 {
    u128::from(at.as_nanos()) << 64 | priority << 8 | machine
}

/// This run's speed against the model's own: lognormal with median 1, the same for every variant of one spread.
fn speed(plan: &Plan, streams: Streams) -> f64 {
    let sigma = plan.upstream.speed_sigma();
    if sigma > 0.0 { libm::exp(sigma * standard_normal(streams.named("upstream/speed").next_u64())) } else { 1.0 }
}

fn class_names(plan: &Plan) -> Vec<String> {
    plan.workload.classes.iter().map(|class| class.name.clone()).collect()
}

impl<'a> World<'a> {
    #[must_use]
    /// A world at time zero. With a journal, every message between the machines is written to it.
    pub fn new(plan: &'a Plan, replication: u32, mut journal: Option<&'a mut Journal>) -> Self {
        let streams = Streams::new(plan.seed, replication);
        let mut gateway = Gateway::new(&plan.policy);
        if let Some(journal) = journal.as_deref_mut() {
            gateway.set_notes(true);
            journal.write(Time::ZERO, What::run(&plan.name, replication, plan.seed, &plan.policy, class_names(plan)));
        }
        let classes = plan.workload.classes.len();
        Self {
            plan,
            source: Source::new(&plan.workload, streams),
            client: Client::new(&plan.workload.classes),
            gateway,
            upstream: Upstream::new(&plan.upstream, speed(plan, streams), classes),
            journal,
            sent: SecondaryMap::new(),
            wires: SlotMap::with_key(),
            wire_of: SecondaryMap::new(),
            reneged: Vec::new(),
            waiting: Area::over(plan.window),
            system: Area::over(plan.window),
            residence: 0,
            record: Record::new(plan.window, classes),
            digest: Digest::default(),
            events: 0,
            now: Time::ZERO,
        }
    }

    #[must_use]
    /// Runs to the end of the drain, or until nothing more can happen, and counts.
    pub fn run(mut self) -> Tally {
        let end = self.plan.window.drained;
        while let Some((at, machine)) = self.next() {
            if at > end {
                break;
            }
            assert!(at >= self.now, "INV-2: time ran back from {} to {at}", self.now);
            self.now = at;
            self.record.pass(at, &mut self.upstream);
            self.events += 1;
            self.turn(machine);
            self.settle();
        }
        self.finish(end)
    }

    /// The least of the machines' keys.
    fn next(&self) -> Option<(Time, Machine)> {
        let mut least = (u128::MAX, Time::FAR, Machine::Source);
        let mut offer = |at: Time, priority, order, machine| {
            let key = key(at, priority, order);
            if key < least.0 {
                least = (key, at, machine);
            }
        };
        if let Some((at, kind)) = self.upstream.next_event() {
            offer(at, if kind == EventKind::Completion { COMPLETION } else { STEP }, 0, Machine::Upstream(kind));
        }
        if let Some((at, _)) = self.gateway.next_wakeup() {
            offer(at, TIMEOUT, 1, Machine::Gateway);
        }
        if let Some(at) = self.client.next_wakeup() {
            offer(at, TIMEOUT, 2, Machine::Client);
        }
        if let Some(at) = self.source.next_arrival() {
            offer(at, ARRIVAL, 3, Machine::Source);
        }
        (least.0 != u128::MAX).then_some((least.1, least.2))
    }

    fn turn(&mut self, machine: Machine) {
        match machine {
            Machine::Upstream(kind) => self.upstream.advance(self.now, kind),
            Machine::Gateway => self.tell_gateway(Input::Wake),
            Machine::Client => self.client.handle(self.now, ClientInput::Wake),
            Machine::Source => {
                let request = self.source.take().expect("an arrival was announced");
                self.note(Kind::Arrival, request.id);
                self.record.arrive(&request);
                if let Some(journal) = self.journal.as_deref_mut() {
                    journal.write(self.now, What::Request(Box::new(request)));
                }
                self.client.handle(self.now, ClientInput::New(request));
            }
        }
    }

    /// Passes messages until every machine is silent.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.upstream.poll() {
                self.on_output(output);
            } else if let Some(action) = self.gateway.poll() {
                self.on_action(action);
            } else if let Some(id) = self.reneged.pop() {
                self.end_reneged(id);
            } else if let Some(action) = self.client.poll() {
                self.on_client(action);
            } else {
                return;
            }
        }
    }

    fn on_client(&mut self, action: ClientAction) {
        match action {
            ClientAction::Send { attempt } => self.send(attempt),
            ClientAction::Leave { attempt } => {
                self.note_attempt(Kind::Left, attempt);
                // Who loses patience at the very instant of the answer leaves an attempt that the gateway is done with.
                if self.over(attempt) {
                    self.tell_gateway(Input::Gone { attempt });
                }
            }
            ClientAction::Finish(finished) => {
                let last = self.sent.get(finished.attempt).copied();
                let wait = last.and_then(|sent| sent.began.map(|began| began - sent.at));
                self.record.finish(&finished, wait, last.is_some_and(|sent| sent.waited));
                if let Some(journal) = self.journal.as_deref_mut() {
                    let request = finished.request.id;
                    journal.write(self.now, What::Finish { request, outcome: finished.outcome, attempts: finished.attempts });
                }
                self.source.finished(self.now, &finished.request);
            }
        }
    }

    fn send(&mut self, id: AttemptId) {
        let (request, number) = self.client.request(id).expect("a client sends what it has");
        let class = &self.plan.workload.classes[request.class.index()];
        let attempt = Attempt {
            id,
            request: request.id,
            class: request.class,
            tenant: request.tenant,
            route: 0,
            priority: class.priority,
            number,
            input_estimate: request.input_estimate,
            max_tokens: request.max_tokens,
            deadline: self.client.deadline(id),
            streaming: class.streaming,
            draw: mix(request.later, 2 * u64::from(number) + 1),
        };
        let request = *request;
        self.sent.insert(id, Sent { request, at: self.now, began: None, waited: false, open: true, output_tokens: 0 });
        self.system.up(self.now);
        self.waiting.up(self.now);
        self.note(Kind::Sent, request.id);
        self.tell_gateway(Input::Arrive(attempt));
    }

    fn tell_gateway(&mut self, input: Input) {
        if let Some(journal) = self.journal.as_deref_mut() {
            journal.write(self.now, What::In(input.clone()));
        }
        self.gateway.handle(self.now, input);
    }

    fn on_action(&mut self, action: Action) {
        if let Some(journal) = self.journal.as_deref_mut() {
            journal.write(self.now, What::Out(action));
        }
        match action {
            Action::Start { attempt, call, max_tokens, .. } => self.start(attempt, call, max_tokens),
            Action::Cancel { call } => {
                if let Some(wire) = self.wire_of.remove(call).filter(|wire| !self.drop_reneged(*wire)) {
                    let state = self.wires.get_mut(wire).expect("a wire outlives the gateway's id");
                    state.attached = false;
                    state.known = false;
                    self.upstream.cancel(self.now, wire);
                }
            }
            Action::Detach { call } => {
                if let Some(wire) = self.wire_of.get(call).and_then(|wire| self.wires.get_mut(*wire)) {
                    wire.attached = false;
                }
            }
            Action::Complete { attempt, degraded } => self.complete(attempt, degraded),
            Action::Answer { attempt, refusal } | Action::Cut { attempt, refusal } => self.refuse(attempt, refusal),
            Action::Relay { attempt } => self.client.handle(self.now, ClientInput::FirstToken { attempt }),
            Action::Note(_) => {}
        }
    }

    fn start(&mut self, attempt: AttemptId, call: CallId, max_tokens: u32) {
        let request = self.sent.get(attempt).expect("INV-3: a call starts for an attempt that was sent").request;
        let measured = self.plan.window.holds(request.arrival);
        let output_tokens = request.output_tokens.min(max_tokens);
        let finish = if request.output_tokens > max_tokens { Finish::Length } else { Finish::Stop };
        let id = self.wires.insert(Wire {
            call,
            attempt,
            request: request.id,
            class: request.class,
            measured,
            streaming: self.plan.workload.classes[request.class.index()].streaming,
            input_tokens: request.input_tokens,
            output_tokens,
            finish,
            attached: true,
            known: true,
        });
        let wire = Call {
            id,
            class: request.class,
            input_tokens: request.input_tokens,
            output_tokens,
            service: request.service,
            patience: request.patience,
            prefix: request.prefix,
            measured,
        };
        self.wire_of.insert(call, id);
        self.note(Kind::Started, request.id);
        self.upstream.start(self.now, &wire);
    }

    fn on_output(&mut self, output: Output) {
        let Some(wire) = self.wires.get(output.call).copied() else { return };
        if let Some(journal) = self.journal.as_deref_mut() {
            journal.write(self.now, What::Upstream { request: wire.request, kind: output.kind });
        }
        match output.kind {
            OutputKind::Began => self.began(&wire, output.at),
            OutputKind::FirstToken => {
                self.note(Kind::FirstToken, wire.request);
                // An answer that is not streamed has its first byte at its end.
                if wire.known && wire.streaming {
                    self.tell_gateway(Input::FirstByte { call: wire.call });
                }
            }
            OutputKind::Done(work) => {
                let usage = Some(Usage { input: wire.input_tokens, output: wire.output_tokens });
                if let Some(sent) = self.sent.get_mut(wire.attempt) {
                    sent.output_tokens = wire.output_tokens;
                }
                self.ended(output.call, &wire, work, Some(CallEnd::Ok { usage, finish: wire.finish }));
            }
            OutputKind::Failed(cause, work) => {
                self.ended(output.call, &wire, work, Some(CallEnd::Failed { cause, retry_after: None }));
            }
            OutputKind::Cancelled(work) => self.ended(output.call, &wire, work, None),
            OutputKind::Reneged => self.reneged(output.call, &wire),
        }
    }

    /// A call has left the upstream's queue. Where its client is still there, it is the client who leaves: the gateway then
    /// cancels the call, or learns of its end when it has had its say.
    fn reneged(&mut self, id: CallId, wire: &Wire) {
        self.reneged.push(id);
        if wire.attached && self.over(wire.attempt) {
            self.client.handle(self.now, ClientInput::Reneged { attempt: wire.attempt });
            self.tell_gateway(Input::Gone { attempt: wire.attempt });
        }
    }

    /// The end of a call that left the upstream's queue and that the gateway has let run on.
    fn end_reneged(&mut self, id: CallId) {
        let wire = *self.wires.get(id).expect("a reneged call's wire goes with its place in the list");
        self.drop_wire(id, &wire);
        if wire.known {
            let end = CallEnd::Failed { cause: Cause::Connection, retry_after: None };
            self.tell_gateway(Input::Ended { call: wire.call, end });
        }
    }

    /// Forgets a call that has left the upstream's queue, if `id` is one: there is nothing to cancel.
    fn drop_reneged(&mut self, id: CallId) -> bool {
        let Some(place) = self.reneged.iter().position(|reneged| *reneged == id) else { return false };
        self.reneged.remove(place);
        self.wires.remove(id);
        true
    }

    fn began(&mut self, wire: &Wire, at: Time) {
        self.note(Kind::Began, wire.request);
        if let Some(sent) = self.sent.get_mut(wire.attempt)
            && sent.open
            && sent.began.is_none()
        {
            sent.began = Some(at);
            sent.waited = at > sent.at;
            self.waiting.down(self.now);
        }
    }

    /// A call's work is over; `end` is for the gateway, unless it has cancelled the call itself.
    fn ended(&mut self, id: CallId, wire: &Wire, work: CallWork, end: Option<CallEnd>) {
        self.note(Kind::CallEnded, wire.request);
        if wire.measured {
            let complete = wire.attached && matches!(end, Some(CallEnd::Ok { .. }));
            self.record.spent(wire.class, wire.input_tokens, work, complete);
        }
        self.drop_wire(id, wire);
        if let Some(end) = end.filter(|_| wire.known) {
            self.tell_gateway(Input::Ended { call: wire.call, end });
        }
    }

    fn drop_wire(&mut self, id: CallId, wire: &Wire) {
        self.wires.remove(id);
        if self.wire_of.get(wire.call) == Some(&id) {
            self.wire_of.remove(wire.call);
        }
    }

    fn complete(&mut self, attempt: AttemptId, degraded: bool) {
        self.over(attempt);
        if let Some(output_tokens) = self.sent.get(attempt).map(|sent| sent.output_tokens) {
            self.client.handle(self.now, ClientInput::Complete { attempt, degraded, output_tokens });
        }
    }

    fn refuse(&mut self, attempt: AttemptId, refusal: Refusal) {
        self.over(attempt);
        self.client.handle(self.now, ClientInput::Refused { attempt, refusal });
    }

    /// An attempt leaves the system, unless it already has: whether it does.
    fn over(&mut self, attempt: AttemptId) -> bool {
        let Some(sent) = self.sent.get_mut(attempt) else { return false };
        if !std::mem::replace(&mut sent.open, false) {
            return false;
        }
        if sent.began.is_none() {
            sent.waited = self.now > sent.at;
            self.waiting.down(self.now);
        }
        let request = sent.request.id;
        self.residence += inside(self.plan.window, sent.at, self.now);
        self.system.down(self.now);
        self.note(Kind::AttemptOver, request);
        true
    }

    fn note_attempt(&mut self, kind: Kind, attempt: AttemptId) {
        if let Some(request) = self.sent.get(attempt).map(|sent| sent.request.id) {
            self.note(kind, request);
        }
    }

    fn note(&mut self, kind: Kind, request: RequestId) {
        self.digest.event(self.now, kind as u8, request.0);
    }

    fn finish(mut self, end: Time) -> Tally {
        self.now = end;
        self.record.pass(Time::FAR, &mut self.upstream);
        let open: u128 = self.sent.values().filter(|sent| sent.open).map(|sent| inside(self.plan.window, sent.at, end)).sum();
        let system_area = self.system.sum(end);
        let residence = self.residence + open;
        assert_eq!(system_area, residence, "INV-10: the integral of the number in system is the summed residence");
        if let Some(journal) = self.journal {
            journal.write(end, What::End { digest: format!("{:016x}", self.digest.value()) });
        }
        let snapshot = self.gateway.snapshot();
        let mut tally = self.record.finish_run(&self.client, &mut self.upstream, end);
        tally.digest = self.digest.value();
        tally.events = self.events;
        tally.queue_area = self.waiting.sum(end);
        tally.system_area = system_area;
        tally.residence = residence;
        tally.abandoned_counted_max = snapshot.abandoned_counted_max;
        tally.abandoned_true_max = snapshot.abandoned_true_max;
        tally
    }
}
