//! One decision of the scheduler: the ended step's tokens, what came in, and the next step.

use super::gaps::{self, up};
use super::outbox::News;
use super::seqs::{NIL, State};
use super::{Flight, Vllm};

/// Prefill in a step that is being made up.
#[derive(Copy, Clone, Debug, Default)]
struct Prefill {
    tokens: u32,
    /// KV tokens that it attends to.
    attended: u64,
}

impl Vllm {
    /// The scheduler's job that is due at `due`, ps: the end of the step in flight, or something became visible to an idle engine.
    pub(super) fn decide(&mut self, due: u64) {
        let decided = due.max(self.host_free);
        self.host_free = decided.saturating_add(self.host.step);
        if let Some(flight) = self.flight.take() {
            self.end_step(flight);
        }
        self.take_in(decided);
        self.launch(decided);
    }

    fn end_step(&mut self, flight: Flight) {
        let completed = u32::try_from(self.completing.len()).expect("no more than sequences");
        let tokens = self.decoders.count + completed;
        self.busy += u128::from(flight.cost);
        self.totals.steps += 1;
        self.totals.prefill_tokens += u64::from(flight.prefill_tokens);
        self.totals.decode_tokens += u64::from(tokens);
        if tokens == 0 {
            return; // the middle of a long prompt
        }
        self.host_free = self.host_free.saturating_add(self.host.token * u64::from(tokens));
        let delivery = self.host_free.saturating_add(self.host.delay_out);
        gaps::record(&mut self.gaps, &self.decoders.measured, self.last_delivery, delivery);
        self.last_delivery = delivery;
        while let Some(index) = self.decoders.finished() {
            self.decoders.leave(index, &mut self.seqs[index]);
            self.finish(index, delivery);
        }
        if self.tells_tokens {
            self.tell_tokens(delivery);
        }
        for at in 0..self.completing.len() {
            self.complete_prefill(self.completing[at], delivery);
        }
        self.completing.clear();
    }

    /// The ended step's tokens of all who go on decoding.
    fn tell_tokens(&mut self, delivery: u64) {
        let mut index = self.running.first;
        while index != NIL {
            if self.seqs[index].state == State::Decode {
                self.outbox.token(up(delivery), self.seqs.handle(index), News::Token);
            }
            index = self.seqs.after(index);
        }
    }

    fn complete_prefill(&mut self, index: u32, delivery: u64) {
        let handle = self.seqs.handle(index);
        let seq = &mut self.seqs[index];
        seq.generated += 1;
        if seq.generated == 1 {
            self.queued_tokens -= u64::from(seq.prompt);
            self.outbox.token(up(delivery), handle, News::FirstToken);
        } else {
            if seq.measured {
                let class = usize::from(seq.class);
                gaps::record(&mut self.gaps[class..=class], &[1], seq.last_delivery, delivery);
            }
            if self.tells_tokens && seq.generated < seq.output {
                self.outbox.token(up(delivery), handle, News::Token);
            }
        }
        if seq.generated == seq.output {
            self.finish(index, delivery);
        } else {
            self.decoders.join(index, seq);
        }
    }

    /// The last token of a sequence: it leaves the engine.
    fn finish(&mut self, index: u32, delivery: u64) {
        self.seqs.unlink(&mut self.running, index);
        self.release(index);
        self.seqs[index].state = State::Ended;
        self.inside -= 1;
        let handle = self.seqs.handle(index);
        self.outbox.token(up(delivery), handle, News::Done);
    }

    /// A running sequence gives back its blocks.
    fn release(&mut self, index: u32) {
        let seq = &mut self.seqs[index];
        self.kv.give_back(self.kv.blocks(seq.computed) - seq.shared);
        seq.computed = 0;
        seq.shared = 0;
        if seq.prefix_blocks > 0 {
            self.kv.leave(seq.group);
        }
    }

    /// Requests and cancellations that are there by `decided`.
    fn take_in(&mut self, decided: u64) {
        while let Some(item) = self.inbox.front().filter(|item| item.visible <= decided).copied() {
            self.inbox.pop_front();
            if !item.cancels {
                self.seqs[item.seq.index].state = State::Waiting;
                self.seqs.push_back(&mut self.waiting, item.seq.index);
            } else if self.seqs.is_live(item.seq) {
                self.withdraw(item.seq.index, decided);
            }
        }
    }

    /// A cancellation takes effect.
    fn withdraw(&mut self, index: u32, decided: u64) {
        match self.seqs[index].state {
            State::Ended => return, // it says so when it comes out
            State::Waiting => self.seqs.unlink(&mut self.waiting, index),
            State::Prefill => {
                self.partial = None;
                self.seqs.unlink(&mut self.running, index);
                self.release(index);
            }
            State::Decode => {
                self.decoders.leave(index, &mut self.seqs[index]);
                self.seqs.unlink(&mut self.running, index);
                self.release(index);
            }
            State::Inbox | State::Free => unreachable!("the host serves a request before its cancellation"),
        }
        if self.seqs[index].generated == 0 {
            self.queued_tokens -= u64::from(self.seqs[index].prompt);
        }
        self.seqs[index].state = State::Ended;
        self.inside -= 1;
        self.outbox.decision(up(decided), self.seqs.handle(index), News::Cancelled);
    }

    /// Makes up the next step and sends it off; none where there is nothing to do.
    fn launch(&mut self, decided: u64) {
        let mut prefill = Prefill::default();
        self.unlike_next = self.schedule_running(&mut prefill);
        if !self.unlike_next || self.running.len == 0 {
            self.admit(decided, &mut prefill);
        }
        if self.running.len == 0 {
            assert!(self.waiting.len == 0, "INV-4: nobody waits while nobody runs");
            assert!(self.kv.in_use() == 0 && self.decoders.is_empty(), "INV-5: an empty server holds no block");
            return;
        }
        let attended = self.decoders.kv_tokens + prefill.attended;
        let cost = self.cost.of(prefill.tokens, self.decoders.count, attended);
        self.flight = Some(Flight { decided, cost, prefill_tokens: prefill.tokens });
    }

    /// One token for each decoding sequence and what fits of the partial prefill; whether anyone had to be preempted for it.
    ///
    /// The scheduler goes through the running in order and preempts from the end, so that who stays is the longest beginning
    /// of the list whose needs can be met. The first of them have evicted all that could be before it comes to that.
    fn schedule_running(&mut self, prefill: &mut Prefill) -> bool {
        let mut preempted = false;
        while self.decoders.need_next() > self.kv.available() {
            self.kv.evict_idle();
            self.preempt_last();
            preempted = true;
        }
        self.kv.take(self.decoders.need_next());
        self.decoders.advance(1);
        if let Some(index) = self.partial {
            let (tokens, blocks) = self.next_chunk(index);
            if blocks > self.kv.available() {
                self.preempt_last();
                return true;
            }
            self.partial = None;
            self.prefill(index, tokens, prefill);
        }
        preempted
    }

    /// Tokens and new blocks of the partial prefill in the next step.
    fn next_chunk(&self, index: u32) -> (u32, u32) {
        let seq = &self.seqs[index];
        let tokens = (seq.tokens() - seq.computed).min(self.model.max_num_batched_tokens - self.decoders.count);
        (tokens, self.kv.blocks(seq.computed + tokens) - self.kv.blocks(seq.computed))
    }

    fn preempt_last(&mut self) {
        let index = self.running.last;
        assert!(index != NIL, "INV-5: an empty server has room for any sequence it took in");
        if self.partial == Some(index) {
            self.partial = None;
        } else {
            self.decoders.leave(index, &mut self.seqs[index]);
            self.seqs[index].last_delivery = self.last_delivery;
        }
        self.seqs.unlink(&mut self.running, index);
        self.release(index);
        self.seqs[index].state = State::Waiting;
        self.seqs.push_front(&mut self.waiting, index);
        self.totals.preemptions += 1;
    }

    /// Waiting sequences in order, while there are budget, places and blocks.
    fn admit(&mut self, decided: u64, prefill: &mut Prefill) {
        while self.waiting.len > 0 && self.running.len < self.model.max_num_seqs {
            let budget = self.model.max_num_batched_tokens - self.decoders.count - prefill.tokens;
            if budget == 0 || !self.admit_one(self.waiting.first, decided, budget, prefill) {
                return;
            }
        }
    }

    fn admit_one(&mut self, index: u32, decided: u64, budget: u32, prefill: &mut Prefill) -> bool {
        let seq = &self.seqs[index];
        let (tokens, group, wanted) = (seq.tokens(), seq.group, seq.prefix_blocks);
        let hit = if wanted == 0 { 0 } else { self.kv.hit(group, wanted.min((tokens - 1) / self.kv.block_size)) };
        let need = self.kv.blocks(tokens) - hit;
        let fits = need <= if wanted == 0 { self.kv.available() } else { self.kv.available_beside(group, hit) };
        if !fits {
            return false;
        }
        if wanted > 0 {
            self.kv.join(group, need);
        }
        self.seqs.unlink(&mut self.waiting, index);
        self.seqs.push_back(&mut self.running, index);
        let handle = self.seqs.handle(index);
        let seq = &mut self.seqs[index];
        seq.state = State::Prefill;
        seq.order = self.admissions;
        self.admissions += 1;
        seq.shared = hit;
        seq.computed = hit * self.kv.block_size;
        self.totals.cached_tokens += u64::from(seq.computed);
        if !std::mem::replace(&mut seq.began, true) {
            self.outbox.decision(up(decided), handle, News::Began);
        }
        let chunk = (tokens - seq.computed).min(budget);
        self.prefill(index, chunk, prefill);
        true
    }

    /// Schedules `tokens` of a sequence's prefill.
    fn prefill(&mut self, index: u32, tokens: u32, prefill: &mut Prefill) {
        let seq = &mut self.seqs[index];
        let before = self.kv.blocks(seq.computed);
        seq.computed += tokens;
        seq.prefilled += tokens;
        self.kv.take(self.kv.blocks(seq.computed) - before);
        if seq.prefix_blocks > 0 {
            let full = (seq.computed / self.kv.block_size).min(seq.prefix_blocks);
            seq.shared += self.kv.share(seq.group, full);
        }
        prefill.tokens += tokens;
        prefill.attended += u64::from(seq.computed);
        if seq.computed == seq.tokens() {
            self.completing.push(index);
        } else {
            self.partial = Some(index);
        }
    }
}
