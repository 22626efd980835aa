//! The KV cache: counts of blocks, and the blocks that prefix groups share.
//!
//! A sequence that has computed `c` tokens holds `ceil(c / block_size)` blocks, some of them shared with its prefix group.
//! A group's cached blocks are the first `resident` full blocks of its prefix. The model of the prefix cache:
//! - A block of the prefix is shared from the step on that computes it (vLLM registers blocks when it schedules them).
//! - While any running call of a group holds blocks, all resident blocks of the group are referenced. Once none does they
//!   stay, and may be evicted: the group unreferenced for longest first, its last blocks first.
//! - Other blocks of ended calls are simply free. (vLLM evicts strictly by age, so there a prefix can go while blocks
//!   that nobody will ask for again remain; prefix groups live a little longer here than there.)
//! - A preempted call finds the shared prefix again, and nothing else of what it had computed.
//!
//! One block is vLLM's null block and never holds a token.

use crate::heap::IndexedHeap;

#[derive(Copy, Clone, Debug, Default)]
struct Group {
    resident: u32,
    users: u32,
}

/// Counts of blocks. `private + resident of all groups <= total` always (INV-5).
#[derive(Debug)]
pub(super) struct Kv {
    pub block_size: u32,
    pub total: u32,
    /// Blocks that one running sequence holds.
    private: u32,
    /// Blocks of groups.
    resident: u32,
    /// Blocks of groups that a running call references.
    pinned: u32,
    groups: Vec<Group>,
    /// Unreferenced groups with blocks, by when they were left.
    idle: IndexedHeap,
    left: u64,
}

impl Kv {
    pub(super) fn new(total: u32, block_size: u32) -> Self {
        Self { block_size, total, private: 0, resident: 0, pinned: 0, groups: Vec::new(), idle: IndexedHeap::new(), left: 0 }
    }

    /// Blocks that `tokens` take.
    pub(super) const fn blocks(&self, tokens: u32) -> u32 {
        tokens.div_ceil(self.block_size)
    }

    /// Blocks that can be had, by eviction if need be.
    pub(super) const fn available(&self) -> u32 {
        self.total - self.private - self.pinned
    }

    /// Blocks that can be had without eviction.
    pub(super) const fn unused(&self) -> u32 {
        self.total - self.private - self.resident
    }

    /// Blocks in use.
    pub(super) const fn in_use(&self) -> u32 {
        self.private + self.pinned
    }

    /// Takes `blocks` for one sequence or several, evicting where needed.
    pub(super) fn take(&mut self, blocks: u32) {
        if blocks > self.unused() {
            self.evict(blocks - self.unused());
        }
        self.private += blocks;
        assert!(self.private + self.resident <= self.total, "INV-5: more KV blocks held than there are");
    }

    /// Evicts all that is unreferenced.
    pub(super) fn evict_idle(&mut self) {
        self.evict(self.resident - self.pinned);
    }

    fn evict(&mut self, mut blocks: u32) {
        while blocks > 0 {
            let (_, index) = self.idle.first().expect("the caller saw that many available");
            let group = &mut self.groups[index as usize];
            let taken = blocks.min(group.resident);
            group.resident -= taken;
            self.resident -= taken;
            blocks -= taken;
            if group.resident == 0 {
                self.idle.remove(index);
            }
        }
    }

    /// Blocks of `group` that a prompt with `wanted` full prefix blocks finds.
    pub(super) fn hit(&self, group: u32, wanted: u32) -> u32 {
        self.groups.get(group as usize).map_or(0, |group| group.resident.min(wanted))
    }

    /// Blocks that a newcomer of `group` can have beside the `hit` it finds.
    pub(super) fn available_beside(&self, group: u32, hit: u32) -> u32 {
        let referenced = self.groups.get(group as usize).is_some_and(|group| group.users > 0);
        self.available() - if referenced { 0 } else { hit }
    }

    /// A call of `group` begins to run: its blocks are referenced. Where the `need` blocks of the rest of its sequence fit
    /// only without the blocks beyond its `hit`, those go.
    pub(super) fn join(&mut self, group: u32, need: u32) {
        let index = group as usize;
        if index >= self.groups.len() {
            self.groups.resize(index + 1, Group::default());
        }
        self.groups[index].users += 1;
        if self.groups[index].users > 1 {
            return;
        }
        self.idle.remove(group);
        self.pinned += self.groups[index].resident;
        let short = need.saturating_sub(self.available());
        self.groups[index].resident -= short;
        self.pinned -= short;
        self.resident -= short;
    }

    /// A sequence of `group` has computed the first `full` blocks of the prefix: those beyond the resident ones are shared
    /// from now on. Returns how many they are.
    pub(super) fn share(&mut self, group: u32, full: u32) -> u32 {
        let group = &mut self.groups[group as usize];
        let added = full.saturating_sub(group.resident);
        group.resident += added;
        self.resident += added;
        self.pinned += added;
        self.private -= added;
        added
    }

    /// A sequence gives back its own blocks.
    pub(super) fn give_back(&mut self, private: u32) {
        self.private = self.private.checked_sub(private).expect("INV-5: a sequence gives back what it took, once");
    }

    /// A call of `group` no longer runs.
    pub(super) fn leave(&mut self, group: u32) {
        let entry = &mut self.groups[group as usize];
        entry.users -= 1;
        if entry.users == 0 && entry.resident > 0 {
            self.pinned -= entry.resident;
            self.left += 1;
            self.idle.set(group, u128::from(self.left));
        }
    }
}
