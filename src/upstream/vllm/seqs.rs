//! The calls inside a server: a slab, and the two lists (waiting, running) that thread through it.

use crate::request::{CallId, slot_of};
use crate::upstream::{Call, CallWork};

/// No sequence.
pub(super) const NIL: u32 = u32::MAX;

/// Where a sequence is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Between the client and the scheduler.
    Inbox,
    /// In the waiting list.
    Waiting,
    /// Running, its prompt not yet computed.
    Prefill,
    /// Running, one token a step.
    Decode,
    /// Out of the engine, its last output on the way out.
    Ended,
    /// No sequence here.
    Free,
}

/// A sequence and its handle for stale references: a slot is used again, with another generation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    pub index: u32,
    pub generation: u32,
}

/// One call inside the server.
#[derive(Clone, Debug)]
pub(super) struct Seq {
    pub call: CallId,
    pub class: u16,
    pub state: State,
    /// Whether its gaps still count.
    pub measured: bool,
    /// Whether its client has left: only `Cancelled` may still come out.
    pub cancelled: bool,
    /// Whether it was ever scheduled.
    pub began: bool,
    pub prompt: u32,
    /// Tokens it will produce, cut at the context.
    pub output: u32,
    /// Prefix group and its full blocks in this prompt; no blocks: no sharing.
    pub group: u32,
    pub prefix_blocks: u32,
    /// Blocks it holds that belong to its prefix group.
    pub shared: u32,
    /// Tokens produced; of a decoding sequence: when it joined the decoders.
    pub generated: u32,
    /// Tokens in the KV cache; of a decoding sequence: when it joined.
    pub computed: u32,
    /// Step in which its prefill was completed.
    pub joined: u64,
    /// Which KV phase it counts in while it decodes.
    pub phase: u32,
    /// Place in the order of admission.
    pub order: u64,
    /// When its latest token came out, where that was before a preemption, ps.
    pub last_delivery: u64,
    /// Prompt tokens computed for it.
    pub prefilled: u32,
    generation: u32,
    prev: u32,
    next: u32,
}

impl Seq {
    /// What was spent on it.
    pub(super) const fn work(&self) -> CallWork {
        CallWork { prefill_tokens: self.prefilled, decode_tokens: self.generated }
    }

    /// Prompt and answer so far: what a prefill must compute.
    pub(super) const fn tokens(&self) -> u32 {
        self.prompt + self.generated
    }
}

/// A list through the slab.
#[derive(Copy, Clone, Debug)]
pub(super) struct List {
    pub first: u32,
    pub last: u32,
    pub len: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { first: NIL, last: NIL, len: 0 };
}

/// The slab.
#[derive(Debug, Default)]
pub(super) struct Seqs {
    all: Vec<Seq>,
    free: Vec<u32>,
    by_call: Vec<(CallId, Handle)>,
}

impl Seqs {
    /// A new sequence for `call`, in the inbox.
    pub(super) fn insert(&mut self, call: &Call, output: u32, prefix_blocks: u32) -> Handle {
        let seq = Seq {
            call: call.id,
            class: call.class.0,
            state: State::Inbox,
            measured: call.measured,
            cancelled: false,
            began: false,
            prompt: call.input_tokens,
            output,
            group: call.prefix.map_or(0, |prefix| prefix.group),
            prefix_blocks,
            shared: 0,
            generated: 0,
            computed: 0,
            joined: 0,
            phase: 0,
            order: 0,
            last_delivery: 0,
            prefilled: 0,
            generation: 0,
            prev: NIL,
            next: NIL,
        };
        let handle = self.place(seq);
        let slot = slot_of(call.id) as usize;
        if slot >= self.by_call.len() {
            self.by_call.resize(slot + 1, (CallId::default(), Handle { index: NIL, generation: 0 }));
        }
        self.by_call[slot] = (call.id, handle);
        handle
    }

    fn place(&mut self, mut seq: Seq) -> Handle {
        if let Some(index) = self.free.pop() {
            let generation = self.all[index as usize].generation;
            seq.generation = generation;
            self.all[index as usize] = seq;
            return Handle { index, generation };
        }
        let index = u32::try_from(self.all.len()).expect("fewer than 2^32 calls at once");
        self.all.push(seq);
        Handle { index, generation: 0 }
    }

    /// The sequence of a call that has not come out yet.
    pub(super) fn find(&self, call: CallId) -> Option<Handle> {
        let &(id, handle) = self.by_call.get(slot_of(call) as usize)?;
        (id == call && self.is_live(handle)).then_some(handle)
    }

    /// Whether the handle's sequence is still the one in its slot.
    pub(super) fn is_live(&self, handle: Handle) -> bool {
        self.all.get(handle.index as usize).is_some_and(|seq| seq.generation == handle.generation && seq.state != State::Free)
    }

    /// The handle of the sequence at `index`.
    pub(super) fn handle(&self, index: u32) -> Handle {
        Handle { index, generation: self[index].generation }
    }

    /// Gives the slot back.
    pub(super) fn remove(&mut self, index: u32) {
        let seq = &mut self[index];
        seq.generation = seq.generation.wrapping_add(1);
        seq.state = State::Free;
        self.free.push(index);
    }

    /// The one behind `index` in its list, or [`NIL`].
    pub(super) fn after(&self, index: u32) -> u32 {
        self[index].next
    }

    /// Appends to a list.
    pub(super) fn push_back(&mut self, list: &mut List, index: u32) {
        self[index].prev = list.last;
        self[index].next = NIL;
        match list.last {
            NIL => list.first = index,
            tail => self[tail].next = index,
        }
        list.last = index;
        list.len += 1;
    }

    /// Puts at the front of a list.
    pub(super) fn push_front(&mut self, list: &mut List, index: u32) {
        self[index].prev = NIL;
        self[index].next = list.first;
        match list.first {
            NIL => list.last = index,
            head => self[head].prev = index,
        }
        list.first = index;
        list.len += 1;
    }

    /// Takes out of the list it is in.
    pub(super) fn unlink(&mut self, list: &mut List, index: u32) {
        let Seq { prev: before, next: after, .. } = self[index];
        match before {
            NIL => list.first = after,
            _ => self[before].next = after,
        }
        match after {
            NIL => list.last = before,
            _ => self[after].prev = before,
        }
        list.len -= 1;
    }
}

impl std::ops::Index<u32> for Seqs {
    type Output = Seq;
    fn index(&self, index: u32) -> &Seq {
        &self.all[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Seqs {
    fn index_mut(&mut self, index: u32) -> &mut Seq {
        &mut self.all[index as usize]
    }
}
