//! Servers alike behind one router.

use super::{Call, EventKind, Gauges, Output, OutputKind, Routing, Totals, Upstream, Vllm, VllmModel};
use crate::latency::Latency;
use crate::request::{CallId, slot_of};
use crate::time::Time;

/// Replicas of a vLLM server, and the router in front of them.
#[derive(Debug)]
pub struct Fleet {
    replicas: Vec<Vllm>,
    routing: Routing,
    /// The replica that is next in turn.
    turn: usize,
    /// Calls that the router knows on each replica: started, and neither over nor cancelled.
    calls: Vec<u32>,
    /// Which replica has which call, by the call's slot.
    routes: Vec<(CallId, usize)>,
    merged: Vec<Latency>,
}

impl Fleet {
    /// `model.replicas` empty servers ([`Vllm::new`] says what `speed` is).
    #[must_use]
    pub fn new(model: &VllmModel, speed: f64, classes: usize) -> Self {
        let replicas: Vec<Vllm> = (0..model.replicas).map(|_| Vllm::new(model, speed, classes)).collect();
        let calls = vec![0; replicas.len()];
        Self { replicas, routing: model.routing, turn: 0, calls, routes: Vec::new(), merged: Vec::new() }
    }

    /// The same servers, which tell of every token ([`OutputKind::Token`]).
    #[must_use]
    pub fn telling_every_token(mut self) -> Self {
        self.replicas = self.replicas.into_iter().map(Vllm::telling_every_token).collect();
        self
    }

    /// From now on `speed` times as fast as the model says ([`Vllm::set_speed`]).
    pub fn set_speed(&mut self, now: Time, speed: f64) {
        self.replicas.iter_mut().for_each(|replica| replica.set_speed(now, speed));
    }

    /// Whether a call that came in now would be refused for load.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.replicas[self.chosen()].is_full()
    }

    /// The replica that gets the next call.
    fn chosen(&self) -> usize {
        match self.routing {
            Routing::RoundRobin => self.turn,
            Routing::LeastLoaded => {
                (0..self.calls.len()).min_by_key(|replica| self.calls[*replica]).expect("there is at least one replica")
            }
        }
    }

    fn route(&mut self) -> usize {
        let replica = self.chosen();
        self.turn = (replica + 1) % self.replicas.len();
        replica
    }

    /// The router forgets a call; where it was, if it knew it.
    fn forget(&mut self, call: CallId) -> Option<usize> {
        let entry = self.routes.get_mut(slot_of(call) as usize).filter(|(id, _)| *id == call)?;
        entry.0 = CallId::default();
        self.calls[entry.1] -= 1;
        Some(entry.1)
    }
}

impl Upstream for Fleet {
    /// A call comes in and is routed.
    fn start(&mut self, now: Time, call: &Call) {
        let replica = self.route();
        let slot = slot_of(call.id) as usize;
        if slot >= self.routes.len() {
            self.routes.resize(slot + 1, (CallId::default(), 0));
        }
        self.routes[slot] = (call.id, replica);
        self.calls[replica] += 1;
        self.replicas[replica].start(now, call);
    }

    /// A call is wanted no more.
    fn cancel(&mut self, now: Time, call: CallId) {
        if let Some(replica) = self.forget(call) {
            self.replicas[replica].cancel(now, call);
        }
    }

    /// When [`Fleet::advance`] is wanted next, and for what.
    fn next_event(&self) -> Option<(Time, EventKind)> {
        self.replicas.iter().filter_map(Vllm::next_event).min()
    }

    /// Does all that is due before `now`, and what is due at `now` up to and including `kind`.
    fn advance(&mut self, now: Time, kind: EventKind) {
        for replica in &mut self.replicas {
            replica.advance(now, kind);
        }
    }

    /// The next output, until there is none: each replica's in order of time.
    fn poll(&mut self) -> Option<Output> {
        let output = self.replicas.iter_mut().find_map(Vllm::poll)?;
        if matches!(output.kind, OutputKind::Done(_) | OutputKind::Failed { .. }) {
            self.forget(output.call);
        }
        Some(output)
    }

    /// All replicas together; the KV use is their mean.
    fn gauges(&self) -> Gauges {
        let mut all = Gauges::default();
        for gauges in self.replicas.iter().map(Vllm::gauges) {
            all.running += gauges.running;
            all.waiting += gauges.waiting;
            all.kv_use += gauges.kv_use / self.replicas.len() as f64;
        }
        all
    }

    /// Sums over the replicas up to `now`; the busy time is their mean.
    fn totals(&mut self, now: Time) -> Totals {
        let count = self.replicas.len() as f64;
        let mut all = Totals::default();
        for totals in self.replicas.iter_mut().map(|replica| replica.totals(now)) {
            all.busy_s += totals.busy_s / count;
            all.steps += totals.steps;
            all.prefill_tokens += totals.prefill_tokens;
            all.decode_tokens += totals.decode_tokens;
            all.preemptions += totals.preemptions;
            all.cached_tokens += totals.cached_tokens;
        }
        all
    }

    /// Inter-token gaps of the measured calls, by class, of all replicas.
    fn gaps(&mut self) -> &[Latency] {
        let (first, others) = self.replicas.split_first().expect("there is at least one replica");
        if others.is_empty() {
            return first.gaps();
        }
        self.merged = first.gaps().to_vec();
        for other in others {
            for (all, gaps) in self.merged.iter_mut().zip(other.gaps()) {
                all.merge(gaps);
            }
        }
        &self.merged
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;
    use crate::request::ClassId;
    use crate::upstream::VllmSettings;

    fn fleet(routing: Routing) -> Fleet {
        let settings = VllmSettings { preset: Some("llama-3.1-8b-h100".into()), ..VllmSettings::default() };
        let model = VllmModel::resolve(&settings).expect("a preset is complete");
        Fleet::new(&VllmModel { replicas: 3, routing, ..model }, 1.0, 1)
    }

    fn call(id: CallId, output_tokens: u32) -> Call {
        Call::plain(id, ClassId(0), 100, output_tokens)
    }

    fn drain(fleet: &mut Fleet) -> (Time, usize) {
        let (mut now, mut done) = (Time::ZERO, 0);
        while let Some((at, kind)) = fleet.next_event() {
            now = at;
            fleet.advance(at, kind);
            while let Some(output) = fleet.poll() {
                done += usize::from(matches!(output.kind, OutputKind::Done(_)));
            }
        }
        (now, done)
    }

    #[test]
    fn round_robin_takes_turns_whatever_the_load() {
        let (mut fleet, mut ids) = (fleet(Routing::RoundRobin), SlotMap::with_key());
        for output in [1, 50, 50, 1, 50, 50, 1] {
            fleet.start(Time::ZERO, &call(ids.insert(()), output));
        }
        assert_eq!(fleet.calls, [3, 2, 2]);
        let (end, done) = drain(&mut fleet);
        assert_eq!((done, fleet.calls.clone()), (7, vec![0, 0, 0]));
        assert_eq!(fleet.totals(end).decode_tokens, 203);
        assert_eq!(fleet.gaps()[0].count(), 4 * 49);
        assert_eq!(fleet.gaps()[0].count(), 4 * 49, "asking twice counts once");
        assert_eq!(fleet.gauges(), Gauges::default());
    }

    #[test]
    fn least_loaded_fills_up_what_was_cancelled_or_done() {
        let (mut fleet, mut ids) = (fleet(Routing::LeastLoaded), SlotMap::with_key());
        let first: Vec<CallId> = (0..6).map(|_| ids.insert(())).collect();
        for id in &first {
            fleet.start(Time::ZERO, &call(*id, 100));
        }
        assert_eq!(fleet.calls, [2, 2, 2]);
        fleet.cancel(Time::ZERO, first[4]);
        fleet.cancel(Time::ZERO, first[4]);
        assert_eq!(fleet.calls, [2, 1, 2]);
        fleet.start(Time::ZERO, &call(ids.insert(()), 1));
        assert_eq!(fleet.calls, [2, 2, 2]);
        assert_eq!(drain(&mut fleet).1, 6);
        assert_eq!(fleet.calls, [0, 0, 0]);
    }
}
