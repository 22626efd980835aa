//! From chains of prompt blocks, as traces have them, to prefix groups, as the model of the prefix cache has them.
//!
//! A block's hash stands for itself and all blocks before it, so that a prompt is a path from a common root. A prefix group is
//! one path that may grow: who asks for `tokens` of it finds what is resident, and leaves the rest resident behind. A prompt
//!
//! - that goes on where a path that was seen ends (the next turn of a conversation) is of that path's group, which grows by it;
//! - that leaves a path in its middle is of its group for as far as they go together, if that is half of the prompt at least;
//!   else it begins a group of its own, so that what comes after it finds it whole;
//! - that nobody began like is the beginning of a group.
//!
//! What this cannot see: a prompt that leaves a path keeps one of its two parts, either what it shares with that path or its own
//! continuation, so that hits are never made up and some are missed; a beginning that several groups have is held once for
//! each. Of the blocks seen the latest million or two are remembered.

use std::collections::BTreeMap;

use crate::request::Prefix;

/// Blocks remembered in each of the two generations.
const BLOCKS_MAX: usize = 1 << 20;
/// Groups at most: the model of the cache has a place for each.
const GROUPS_MAX: u32 = 1 << 22;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Place {
    group: u32,
    /// Blocks up to and with this one.
    depth: u32,
}

/// Finds what prompts share.
#[derive(Debug)]
pub(super) struct Prefixes {
    block_tokens: u32,
    next_group: u32,
    end: u32,
    /// Blocks of the paths that were seen lately, and those of the generation before.
    young: BTreeMap<u64, Place>,
    old: BTreeMap<u64, Place>,
    /// Where each group's path ends, by the number of its group less the first one's.
    tips: Vec<u32>,
    first_group: u32,
}

impl Prefixes {
    /// Nothing seen yet; groups are numbered from `first_group` on.
    pub fn new(block_tokens: u32, first_group: u32) -> Self {
        Self {
            block_tokens,
            next_group: first_group,
            end: first_group.saturating_add(GROUPS_MAX),
            young: BTreeMap::new(),
            old: BTreeMap::new(),
            tips: Vec::new(),
            first_group,
        }
    }

    /// What a prompt of these blocks shares with those before it, and leaves to those after it.
    pub fn prefix(&mut self, blocks: &[u64]) -> Option<Prefix> {
        let all = u32::try_from(blocks.len()).ok().filter(|all| *all > 0)?;
        let seen = blocks.iter().rev().find_map(|block| self.find(*block));
        match seen {
            Some(Place { group, depth }) if depth >= self.tip(group) && depth <= all => Some(self.grow(group, depth, blocks)),
            // A hash of a block says how deep it lies only if the log is in order; else the prompt's own length bounds it.
            Some(Place { group, depth }) if depth.min(all) * 2 >= all => Some(self.of(group, depth.min(all))),
            _ if self.next_group < self.end => {
                let group = self.next_group;
                self.next_group += 1;
                self.tips.push(0);
                Some(self.grow(group, 0, blocks))
            }
            found => found.map(|Place { group, depth }| self.of(group, depth.min(all))),
        }
    }

    fn of(&self, group: u32, depth: u32) -> Prefix {
        Prefix { group, tokens: depth.saturating_mul(self.block_tokens) }
    }

    fn tip(&self, group: u32) -> u32 {
        self.tips[(group - self.first_group) as usize]
    }

    /// The group's path goes on after `depth` blocks as this prompt does. Blocks of another path, before that, stay there.
    fn grow(&mut self, group: u32, depth: u32, blocks: &[u64]) -> Prefix {
        for (block, depth) in blocks.iter().zip(1..).skip(depth as usize) {
            if self.find(*block).is_none() {
                self.keep(*block, Place { group, depth });
            }
        }
        let all = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        self.tips[(group - self.first_group) as usize] = all;
        self.of(group, all)
    }

    fn find(&mut self, block: u64) -> Option<Place> {
        if let Some(place) = self.young.get(&block) {
            return Some(*place);
        }
        let place = self.old.remove(&block)?;
        self.keep(block, place); // seen again: it is young
        Some(place)
    }

    fn keep(&mut self, block: u64, place: Place) {
        if self.young.len() >= BLOCKS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(block, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prompts: &[&[u64]]) -> Vec<(u32, u32)> {
        let mut prefixes = Prefixes::new(10, 3);
        prompts.iter().map(|blocks| prefixes.prefix(blocks).map_or((0, 0), |found| (found.group, found.tokens))).collect()
    }

    #[test]
    fn a_conversation_is_one_group_that_grows() {
        assert_eq!(of(&[&[1, 2], &[1, 2, 3], &[1, 2, 3, 4, 5]]), [(3, 20), (3, 30), (3, 50)]);
        assert_eq!(of(&[&[1, 2], &[1, 2], &[]]), [(3, 20), (3, 20), (0, 0)]);
    }

    #[test]
    fn who_leaves_a_path_late_shares_it_and_who_leaves_it_early_begins_another() {
        // Half of it at least is shared: no hit beyond what both have.
        assert_eq!(of(&[&[1, 2, 3], &[1, 2, 9]]), [(3, 30), (3, 20)]);
        // A system prompt and two conversations: each finds its own whole.
        let turns = of(&[&[1, 2, 3], &[1, 7, 8, 9], &[1, 7, 8, 9, 10], &[1, 2, 3, 4]]);
        assert_eq!(turns, [(3, 30), (4, 40), (4, 50), (3, 40)]);
    }

    #[test]
    fn strangers_share_nothing() {
        assert_eq!(of(&[&[1], &[2], &[3]]), [(3, 10), (4, 10), (5, 10)]);
    }
}
