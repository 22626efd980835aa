//! One replication: the event loop, and the message passing between its machines.
//!
//! ```text
//!   Source --request--> Client --attempt--> Gateway --call--> Upstream
//!                         ^                   |  ^               |
//!                         +---- answer -------+  +---- output ---+
//! ```
//!
//! Each machine keeps its own indexed heap of deadlines and tells the loop only its next one, so that the loop's own queue
//! is four times: the earliest goes first, and at equal times completions come before timeouts, timeouts before arrivals,
//! arrivals before steps. Between two events everything that follows from the first is settled.
//!
//! The loop is built once for each kind of upstream, which is chosen here.

mod messages;
mod sent;

use std::sync::atomic::AtomicBool;

use rand_chacha::rand_core::Rng;
use slotmap::SlotMap;

use self::sent::SentTable;
use super::Plan;
use super::area::{Area, inside};
use super::guard::Guard;
use super::hints::Hints;
use super::metered::MeteredRecord;
use super::record::Record;
use crate::dist::standard_normal;
use crate::journal::{Digest, Halt, Journal, Tally, What};
use crate::policy::{Finish, Gateway, Hint, Input};
use crate::request::{AttemptId, CallId, ClassId, RequestId};
use crate::rng::Streams;
use crate::time::Time;
use crate::upstream::{EventKind, Fleet, Setup, Station, TokenApi, Upstream, UpstreamModel};
use crate::workload::{Client, ClientInput, Source};

/// One replication of one variant.
pub struct World<'a> {
    plan: &'a Plan,
    replication: u32,
    journal: Option<&'a mut Journal>,
    /// Whether somebody watches, and if so whether through the run.
    watched: Option<bool>,
    /// Up from when on nobody waits for the run.
    stop: Option<&'a AtomicBool>,
}

impl<'a> World<'a> {
    /// A world at time zero. With a journal, every message between the machines is written to it.
    #[must_use]
    pub const fn new(plan: &'a Plan, replication: u32, journal: Option<&'a mut Journal>) -> Self {
        Self { plan, replication, journal, watched: None, stop: None }
    }

    /// The same world, watched for those who draw it: how graduated rejection decides and, if `through`, the run over time.
    /// Nothing happens otherwise than unwatched.
    #[must_use]
    pub const fn watched(mut self, through: bool) -> Self {
        self.watched = Some(through);
        self
    }

    /// The same world, broken off soon after `stop` is up ([`Halt::Interrupted`](crate::journal::Halt)).
    #[must_use]
    pub const fn until(mut self, stop: Option<&'a AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// Runs to the end of the drain, until nothing more can happen, or until it would never end
    /// ([`Halt`](crate::journal::Halt)), and counts.
    #[must_use]
    pub fn run(self) -> Tally {
        let streams = Streams::new(self.plan.seed, self.replication);
        let names: Vec<String> = self.plan.workload.classes.iter().map(|class| class.name.clone()).collect();
        let setup = Setup { speed: speed(&self.plan.upstream, streams), streams, classes: &names };
        match &self.plan.upstream {
            UpstreamModel::Station(settings) => Run::new(self, &setup, Station::new(settings)).run(),
            UpstreamModel::Vllm(model) => Run::new(self, &setup, Fleet::new(model, setup.speed, names.len())).run(),
            UpstreamModel::TokenApi(settings) => Run::new(self, &setup, TokenApi::new(settings, &setup)).run(),
        }
    }
}

/// The speed of a run with these streams against the model's own: lognormal with median 1, the same for every variant of one
/// spread.
#[must_use]
pub fn speed(upstream: &UpstreamModel, streams: Streams) -> f64 {
    let sigma = upstream.speed_sigma();
    if sigma > 0.0 { libm::exp(sigma * standard_normal(streams.named("upstream/speed").next_u64())) } else { 1.0 }
}

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

/// A call under way upstream. Its id on the wire is the driver's own: the gateway may forget a call, and use its id again,
/// while the upstream still works on it.
#[derive(Copy, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // four independent facts
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
    /// The gateway has neither cancelled nor detached it.
    attached: bool,
    /// The gateway still wants to know how it ends.
    known: bool,
}

/// One replication under way, in front of one kind of upstream.
struct Run<'a, U> {
    plan: &'a Plan,
    source: Source,
    client: Client,
    gateway: Gateway,
    upstream: U,
    /// Whether the upstream has been told anything since it was last silent.
    stirred: bool,
    journal: Option<&'a mut Journal>,
    sent: SentTable,
    wires: SlotMap<CallId, Wire>,
    /// By the slot of the gateway's id: the wire of its latest call there.
    wire_of: Vec<CallId>,
    /// Calls whose clients have left the upstream's queue; the gateway has been told of the clients, not yet of the calls.
    reneged: Vec<CallId>,
    waiting: Area,
    system: Area,
    residence: u128,
    record: Record,
    digest: Digest,
    events: u64,
    turns: u64,
    guard: Guard<'a>,
    /// The upstream's signals, where a policy listens to them.
    hints: Option<Hints>,
    halted: Option<Halt>,
    now: Time,
}

/// Whose turn it is.
#[derive(Copy, Clone)]
enum Machine {
    Upstream(EventKind),
    Gateway,
    Client,
    Source,
    Hint,
}

impl<'a, U: Upstream> Run<'a, U> {
    /// Everything at time zero.
    pub fn new(world: World<'a>, setup: &Setup<'_>, upstream: U) -> Self {
        let World { plan, replication, mut journal, watched, stop } = world;
        let mut gateway = Gateway::new(&plan.policy);
        if let Some(journal) = journal.as_deref_mut() {
            gateway.set_notes(true);
            let what = What::run(&plan.name, replication, plan.seed, &plan.policy, setup.classes.to_vec());
            journal.write(Time::ZERO, what);
        }
        let metered = MeteredRecord::new(&plan.policy, &gateway, U::BILLS);
        let mut record = Record::new(plan.window, setup.classes.len(), metered);
        if let Some(through) = watched {
            record.be_watched(&plan.policy, through, matches!(plan.upstream, UpstreamModel::Vllm(_)));
            if record.watch.wants_notes() {
                gateway.set_notes(true);
            }
        }
        Self {
            plan,
            source: Source::new(&plan.workload, setup.streams),
            client: Client::new(&plan.workload.classes),
            gateway,
            upstream,
            stirred: false,
            journal,
            sent: SentTable::default(),
            wires: SlotMap::with_key(),
            wire_of: Vec::new(),
            reneged: Vec::new(),
            waiting: Area::over(plan.window),
            system: Area::over(plan.window),
            residence: 0,
            record,
            digest: Digest::default(),
            events: 0,
            turns: 0,
            guard: Guard::new(stop),
            hints: Hints::new(&plan.policy),
            halted: None,
            now: Time::ZERO,
        }
    }

    /// As [`World::run`].
    pub fn run(mut self) -> Tally {
        let end = self.plan.window.drained;
        while let Some((at, machine)) = self.next() {
            if at > end {
                break;
            }
            assert!(at >= self.now, "INV-2: time ran back from {} to {at}", self.now);
            self.now = at;
            self.stirred |= self.record.pass(at, &mut self.upstream, &self.gateway);
            self.turns += 1;
            self.turn(machine);
            self.settle();
            if let Some(halt) = self.guard.watch(self.turns, at, self.sent.len() + self.wires.len()) {
                self.halted = Some(halt);
                break;
            }
        }
        self.finish(end)
    }

    /// Which machine is next. At equal times the order here decides: completions, timeouts, arrivals, steps.
    fn next(&self) -> Option<(Time, Machine)> {
        let mut least = (Time::FAR, Machine::Source);
        let mut offer = |at: Time, machine| {
            if at < least.0 {
                least = (at, machine);
            }
        };
        let upstream = self.upstream.next_event();
        if let Some((at, kind @ EventKind::Completion)) = upstream {
            offer(at, Machine::Upstream(kind));
        }
        if let Some((at, _)) = self.gateway.next_wakeup() {
            offer(at, Machine::Gateway);
        }
        if let Some(at) = self.client.next_wakeup() {
            offer(at, Machine::Client);
        }
        if let Some(at) = self.source.next_arrival() {
            offer(at, Machine::Source);
        }
        if let Some((at, kind @ EventKind::Step)) = upstream {
            offer(at, Machine::Upstream(kind));
        }
        if least.0 == Time::FAR {
            return None;
        }
        // At the instant of a tick the gateway hears first, and then decides.
        let hint = self.hints.and_then(|hints| hints.before(least.0)).filter(|tick| *tick >= self.now);
        Some(hint.map_or(least, |tick| (tick, Machine::Hint)))
    }

    fn turn(&mut self, machine: Machine) {
        match machine {
            Machine::Upstream(kind) => {
                self.upstream.advance(self.now, kind);
                self.stirred = true;
            }
            Machine::Gateway => self.tell_gateway(Input::Wake),
            Machine::Hint => self.hint(),
            Machine::Client => self.client.handle(self.now, ClientInput::Wake),
            Machine::Source => {
                let request = self.source.take();
                self.note(Kind::Arrival, request.id);
                self.record.arrive(&request);
                self.write(|| What::Request(Box::new(request)));
                let sending = self.client.begin(self.now, &request);
                self.sent.enter(sending.attempt, &request);
                self.send(sending);
            }
        }
    }

    /// The upstream's signals reach the gateway.
    fn hint(&mut self) {
        let gauges = self.upstream.gauges();
        let hint = Hint {
            running: gauges.running,
            waiting: gauges.waiting.div_ceil(self.plan.upstream.replicas()),
            kv_use: gauges.kv_use,
            remaining_tokens: self.upstream.remaining_tokens(self.now),
        };
        self.tell_gateway(Input::Hint(hint));
        if let Some(hints) = &mut self.hints {
            hints.played(self.now);
        }
    }

    /// Passes messages until every machine is silent.
    fn settle(&mut self) {
        loop {
            if self.stirred {
                match self.upstream.poll() {
                    Some(output) => self.on_output(&output),
                    None => self.stirred = false,
                }
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

    fn finish(mut self, end: Time) -> Tally {
        self.now = end;
        self.record.pass(Time::FAR, &mut self.upstream, &self.gateway);
        let open: u128 = self.sent.open().map(|sent| inside(self.plan.window, sent.at, end)).sum();
        let system_area = self.system.sum(end);
        let residence = self.residence + open;
        assert_eq!(system_area, residence, "INV-10: the integral of the number in system is the summed residence");
        if let Some(journal) = self.journal {
            journal.write(end, What::End { digest: format!("{:016x}", self.digest.value()) });
        }
        let stats = self.gateway.stats(end);
        let snapshot = stats.now;
        let mut tally = self.record.finish_run(&self.client, &mut self.upstream, &stats, end);
        tally.digest = self.digest.value();
        tally.events = self.events;
        tally.turns = self.turns;
        tally.halted = self.halted;
        tally.queue_area = self.waiting.sum(end);
        tally.system_area = system_area;
        tally.residence = residence;
        tally.abandoned_counted_max = snapshot.abandoned_counted_max;
        tally.abandoned_true_max = snapshot.abandoned_true_max;
        tally
    }
}
