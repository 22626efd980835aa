//! The decoding sequences, all of which get one token in every step.
//!
//! So what they have done is a function of the step counter, and none of them is touched in a step in which it neither
//! begins nor ends: there are counts (of sequences, of KV tokens, of measured sequences by class, of sequences that need a
//! block in the same steps) and a heap by the step of the last token.

use super::seqs::{Seq, State};
use crate::heap::IndexedHeap;

/// The decoding sequences.
#[derive(Debug)]
pub(super) struct Decoders {
    pub count: u32,
    /// KV tokens of all of them after the step in flight.
    pub kv_tokens: u64,
    /// How many there are of each class whose gaps count.
    pub measured: Vec<u32>,
    /// The latest step.
    pub step: u64,
    block_size: u32,
    /// `step` modulo the block size.
    phase: u32,
    /// How many need a block in the steps that are congruent to minus this index.
    needing: Vec<u32>,
    /// By the step of the last token, then by order of admission.
    finish: IndexedHeap,
}

impl Decoders {
    pub(super) fn new(classes: usize, block_size: u32) -> Self {
        Self {
            count: 0,
            kv_tokens: 0,
            measured: vec![0; classes],
            step: 0,
            block_size,
            phase: 0,
            needing: vec![0; block_size as usize],
            finish: IndexedHeap::new(),
        }
    }

    /// A sequence whose prefill was completed in the latest step.
    pub(super) fn join(&mut self, index: u32, seq: &mut Seq) {
        seq.state = State::Decode;
        seq.joined = self.step;
        seq.phase = (seq.computed + self.block_size - 1 - self.phase) % self.block_size;
        self.count += 1;
        self.kv_tokens += u64::from(seq.computed);
        self.needing[seq.phase as usize] += 1;
        if seq.measured {
            self.measured[usize::from(seq.class)] += 1;
        }
        let last = self.step + u64::from(seq.output - seq.generated);
        self.finish.set(index, u128::from(last) << 64 | u128::from(seq.order));
    }

    /// A sequence decodes no more: brings its own counts up to the latest step.
    pub(super) fn leave(&mut self, index: u32, seq: &mut Seq) {
        self.finish.remove(index);
        let steps = u32::try_from(self.step - seq.joined).expect("no more steps than output tokens");
        seq.generated += steps;
        seq.computed += steps;
        self.count -= 1;
        self.kv_tokens -= u64::from(seq.computed);
        self.needing[seq.phase as usize] -= 1;
        self.unmeasure(seq);
    }

    /// The gaps of a decoding sequence count no more.
    pub(super) fn unmeasure(&mut self, seq: &mut Seq) {
        if seq.measured {
            self.measured[usize::from(seq.class)] -= 1;
        }
    }

    /// Step of the next last token.
    pub(super) fn next_finish(&self) -> Option<u64> {
        self.finish.first().map(|(key, _)| u64::try_from(key >> 64).expect("the high half"))
    }

    /// The next sequence whose last token came in the latest step.
    pub(super) fn finished(&self) -> Option<u32> {
        let (key, index) = self.finish.first()?;
        (key >> 64 == u128::from(self.step)).then_some(index)
    }

    /// Blocks that the decoders need in the next `steps` steps together.
    pub(super) fn need(&self, steps: u64) -> u64 {
        let size = u64::from(self.block_size);
        let rest = usize::try_from(steps % size).expect("less than a block");
        let partial: u64 = self.upcoming().take(rest).map(u64::from).sum();
        steps / size * u64::from(self.count) + partial
    }

    /// Blocks that they need in the next step.
    pub(super) fn need_next(&self) -> u32 {
        self.needing[self.next_index()]
    }

    fn next_index(&self) -> usize {
        let ahead = self.phase + 1;
        if ahead == self.block_size { 0 } else { (self.block_size - ahead) as usize }
    }

    /// Blocks needed in each of the next `block_size` steps, after which it is the same again.
    fn upcoming(&self) -> impl Iterator<Item = u32> {
        let (soon, later) = self.needing.split_at(self.next_index() + 1);
        soon.iter().rev().chain(later.iter().rev()).copied()
    }

    /// The largest number of steps, up to `most`, for which `blocks` blocks are enough.
    pub(super) fn steps_within(&self, blocks: u32, most: u64) -> u64 {
        if self.count == 0 || u64::from(blocks) >= (most / u64::from(self.block_size) + 1) * u64::from(self.count) {
            return most;
        }
        let mut steps = u64::from(blocks / self.count) * u64::from(self.block_size);
        let mut left = blocks % self.count;
        for need in self.upcoming() {
            if need > left {
                break;
            }
            left -= need;
            steps += 1;
        }
        steps.min(most)
    }

    /// `steps` more steps.
    pub(super) fn advance(&mut self, steps: u64) {
        self.step += steps;
        let size = u64::from(self.block_size);
        self.phase = u32::try_from((u64::from(self.phase) + steps) % size).expect("less than a block");
        self.kv_tokens += steps * u64::from(self.count);
    }

    /// Whether all counts are back at zero.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.kv_tokens == 0 && self.finish.is_empty()
    }
}
