//! What each message between the machines does to the others, and what the driver notes of it.

use super::sent::Closed;
use super::{Kind, Run, Wire};
use crate::journal::{Journal, What};
use crate::policy::{Action, Attempt, CallEnd, Finish, Input, Refusal, Usage};
use crate::request::{AttemptId, CallId, Cause, Profile, RequestId, Vantage, slot_of};
use crate::sim::area::inside;
use crate::time::Time;
use crate::upstream::{Call, CallWork, Output, OutputKind, Upstream};
use crate::workload::{ClientAction, ClientInput, Finished, Sending};

impl<U: Upstream> Run<'_, U> {
    #[inline]
    pub(super) fn on_client(&mut self, action: ClientAction) {
        match action {
            ClientAction::Send(sending) => self.send(sending),
            ClientAction::Leave { attempt } => {
                self.note_attempt(Kind::Left, attempt);
                // Who loses patience at the very instant of the answer leaves an attempt that the gateway is done with.
                if self.over(attempt) {
                    self.tell_gateway(Input::Gone { attempt });
                }
            }
            ClientAction::Finish(finished) => {
                let last = self.sent.get(finished.attempt);
                let wait = last.and_then(|sent| sent.began.map(|began| began - sent.at));
                self.record.finish(&finished, wait, last.is_some_and(|sent| sent.waited));
                let Finished { request, outcome, attempts, retry_denied, .. } = finished;
                self.write(|| What::Finish { request, outcome, attempts, retry_denied });
                self.source.finished(self.now, finished.request, finished.arrival);
            }
        }
    }

    pub(super) fn send(&mut self, sending: Sending) {
        let Sending { attempt: id, request, number, deadline } = sending;
        self.system.up(self.now);
        self.waiting.up(self.now);
        self.note(Kind::Sent, request);
        let request = self.sent.send(id, number, self.now);
        let class = &self.plan.workload.classes[request.class.index()];
        let input = Input::Arrive(Attempt {
            id,
            request: request.id,
            class: request.class,
            tenant: request.tenant,
            route: 0,
            priority: class.priority,
            number,
            input_estimate: request.input_estimate,
            max_tokens: request.max_tokens,
            deadline,
            streaming: class.streaming,
            profile: request.profile,
            draw: request.draw(number),
        });
        self.tell_gateway(input);
    }

    #[inline]
    pub(super) fn tell_gateway(&mut self, input: Input) {
        self.write(|| What::In(input.clone()));
        self.gateway.handle(self.now, input);
    }

    /// Writes to the journal, if there is one.
    #[inline]
    pub(super) fn write(&mut self, what: impl FnOnce() -> What) {
        if let Some(journal) = self.journal.as_deref_mut() {
            put_down(journal, self.now, what);
        }
    }

    #[inline]
    pub(super) fn on_action(&mut self, action: Action) {
        self.write(|| What::Out(action));
        match action {
            Action::Start { attempt, call, max_tokens, vantage, reserved, .. } => {
                self.record.metered.reserve(reserved);
                self.start(attempt, call, max_tokens, vantage);
            }
            Action::Cancel { call } => {
                if let Some(id) = self.wire(call).filter(|id| !self.drop_reneged(*id)) {
                    let wire = &mut self.wires[id];
                    wire.attached = false;
                    wire.known = false;
                    self.upstream.cancel(self.now, id);
                    self.stirred = true;
                }
            }
            Action::Detach { call } => {
                if let Some(id) = self.wire(call) {
                    self.wires[id].attached = false;
                }
            }
            Action::Complete { attempt, degraded } => {
                if degraded {
                    self.record.metered.truncate();
                }
                self.complete(attempt, degraded);
            }
            Action::Answer { attempt, refusal } | Action::Cut { attempt, refusal } => self.refuse(attempt, refusal),
            Action::Relay { attempt } => self.client.handle(self.now, ClientInput::FirstToken { attempt }),
            Action::Note(note) => self.record.watch.note(&note),
        }
    }

    fn start(&mut self, attempt: AttemptId, call: CallId, max_tokens: u32, vantage: Vantage) {
        let sent = self.sent.get_mut(attempt).expect("INV-3: a call starts for an attempt that was sent");
        let draw = sent.draw();
        let request = &sent.request;
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
            profile: Profile { vantage, ..request.profile },
            max_tokens,
            input_estimate: request.input_estimate,
            usage_tokens: request.usage_tokens,
            uncut_tokens: request.output_tokens,
            draw,
        };
        let slot = slot_of(call) as usize;
        if slot >= self.wire_of.len() {
            self.wire_of.resize(slot + 1, id);
        }
        self.wire_of[slot] = id;
        let request = request.id;
        self.note(Kind::Started, request);
        self.upstream.start(self.now, &wire);
        self.stirred = true;
    }

    #[inline]
    pub(super) fn on_output(&mut self, output: &Output) {
        let Output { call, at, kind } = *output;
        match kind {
            OutputKind::Began | OutputKind::FirstToken | OutputKind::Reneged => {
                if let Some(&wire) = self.wires.get(call) {
                    self.on_progress(call, &wire, at, kind);
                }
            }
            OutputKind::Token => {} // no simulation asks for them
            OutputKind::Done(_) | OutputKind::Failed { .. } | OutputKind::Cancelled(_) => {
                if let Some(wire) = self.wires.remove(call) {
                    self.on_end(&wire, kind);
                }
            }
        }
    }

    /// A call goes on upstream, or its client has left the queue there.
    #[inline]
    fn on_progress(&mut self, id: CallId, wire: &Wire, at: Time, kind: OutputKind) {
        let Wire { call, attempt, request, known, streaming, .. } = *wire;
        self.write(|| What::Upstream { request, kind });
        match kind {
            OutputKind::FirstToken => {
                self.note(Kind::FirstToken, request);
                // An answer that is not streamed has its first byte at its end.
                if known && streaming {
                    self.tell_gateway(Input::FirstByte { call });
                }
            }
            OutputKind::Reneged => self.reneged(id, wire),
            _ => self.began(request, attempt, at),
        }
    }

    /// A call is over upstream.
    #[inline]
    fn on_end(&mut self, wire: &Wire, kind: OutputKind) {
        self.write(|| What::Upstream { request: wire.request, kind });
        match kind {
            OutputKind::Done(work) => {
                let usage = if U::BILLS {
                    Usage { input: work.prefill_tokens, output: work.decode_tokens }
                } else {
                    Usage { input: wire.input_tokens, output: wire.output_tokens }
                };
                let awaited = self.answer(wire);
                self.ended(wire, work, Some(CallEnd::Ok { usage: Some(usage), finish: wire.finish }), awaited);
            }
            OutputKind::Failed { cause, work, retry_after } => {
                if cause == Cause::RateLimited {
                    self.record.metered.refused_for_rate();
                }
                self.ended(wire, work, Some(CallEnd::Failed { cause, retry_after }), false);
            }
            OutputKind::Cancelled(work) => self.ended(wire, work, None, false),
            OutputKind::Began | OutputKind::FirstToken | OutputKind::Token | OutputKind::Reneged => {
                unreachable!("none of these ends a call")
            }
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
    pub(super) fn end_reneged(&mut self, id: CallId) {
        let wire = *self.wires.get(id).expect("a reneged call's wire goes with its place in the list");
        self.wires.remove(id);
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

    #[inline]
    fn began(&mut self, request: RequestId, attempt: AttemptId, at: Time) {
        self.note(Kind::Began, request);
        if let Some(sent) = self.sent.get_mut(attempt)
            && sent.open
            && sent.began.is_none()
        {
            sent.began = Some(at);
            sent.waited = at > sent.at;
            self.waiting.down(self.now);
        }
    }

    /// The answer to a call is complete. Whether somebody still waits for it: neither has the gateway let it go, nor has the
    /// client left.
    #[inline]
    fn answer(&mut self, wire: &Wire) -> bool {
        let Some(sent) = self.sent.get_mut(wire.attempt) else { return false };
        sent.output_tokens = wire.output_tokens;
        wire.attached && sent.open
    }

    /// A call's work is over; `end` is for the gateway, unless it has cancelled the call itself. The work is `complete` where
    /// somebody gets the answer.
    #[inline]
    fn ended(&mut self, wire: &Wire, work: CallWork, end: Option<CallEnd>, complete: bool) {
        self.note(Kind::CallEnded, wire.request);
        if wire.measured {
            // What a metered API bills for search results is not work done twice.
            let needed = if U::BILLS { work.prefill_tokens } else { wire.input_tokens };
            self.record.spent(wire.class, needed, work, complete);
        }
        if let Some(end) = end.filter(|_| wire.known) {
            // A proxy's failure is no answer of the provider's.
            if let Some(limits) = self.upstream.rate_headers(self.now).filter(|_| !is_on_the_way(end)) {
                self.tell_gateway(Input::Quota { call: wire.call, limits });
            }
            self.tell_gateway(Input::Ended { call: wire.call, end });
        }
    }

    /// The wire of a call that the gateway still knows.
    fn wire(&self, call: CallId) -> Option<CallId> {
        let id = *self.wire_of.get(slot_of(call) as usize)?;
        self.wires.get(id).filter(|wire| wire.call == call && wire.known).map(|_| id)
    }

    #[inline]
    fn complete(&mut self, attempt: AttemptId, degraded: bool) {
        let Some(sent) = self.sent.get_mut(attempt) else { return };
        let (output_tokens, last) = (sent.output_tokens, sent.close(self.now));
        if let Some(last) = last {
            self.left(last);
        }
        self.client.handle(self.now, ClientInput::Complete { attempt, degraded, output_tokens });
    }

    fn refuse(&mut self, attempt: AttemptId, refusal: Refusal) {
        self.over(attempt);
        self.client.handle(self.now, ClientInput::Refused { attempt, refusal });
    }

    /// An attempt leaves the system, unless it already has: whether it does.
    fn over(&mut self, attempt: AttemptId) -> bool {
        let Some(last) = self.sent.get_mut(attempt).and_then(|sent| sent.close(self.now)) else { return false };
        self.left(last);
        true
    }

    /// An attempt has left the system.
    #[inline]
    fn left(&mut self, last: Closed) {
        if last.unserved {
            self.waiting.down(self.now);
        }
        self.residence += inside(self.plan.window, last.sent, self.now);
        self.system.down(self.now);
        self.note(Kind::AttemptOver, last.request);
    }

    fn note_attempt(&mut self, kind: Kind, attempt: AttemptId) {
        if let Some(request) = self.sent.get(attempt).map(|sent| sent.request.id) {
            self.note(kind, request);
        }
    }

    pub(super) fn note(&mut self, kind: Kind, request: RequestId) {
        self.events += 1;
        self.digest.event(self.now, kind as u8, request.0);
    }
}

#[cold] // few runs have a journal, and those that have none should not pay for the room it takes
fn put_down(journal: &mut Journal, now: Time, what: impl FnOnce() -> What) {
    journal.write(now, what());
}

/// Whether a call failed before it came to the upstream.
const fn is_on_the_way(end: CallEnd) -> bool {
    matches!(end, CallEnd::Failed { cause: Cause::Proxy | Cause::Connection, .. })
}
