//! A line of attempts that wait, in the order in which they came: for the lane, for budget, or in one of the lists of
//! those who wait for a slot ([`Waiting`](super::waiting::Waiting)).
//!
//! Threaded through the attempts' own slots; an attempt stands in at most one of them at a time.

use serde::{Deserialize, Serialize};

use super::attempts::{Attempts, Link, NIL};

/// Who waits, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    oldest: u32,
    newest: u32,
    len: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self { oldest: NIL, newest: NIL, len: 0 }
    }
}

impl Line {
    /// Puts the attempt in slot `index` at the end.
    pub fn push(&mut self, attempts: &mut Attempts, index: u32) {
        let link = &mut attempts[index].link;
        (link.older, link.newer) = (self.newest, NIL);
        match self.newest {
            NIL => self.oldest = index,
            newest => attempts[newest].link.newer = index,
        }
        self.newest = index;
        self.len += 1;
    }

    /// Takes the attempt in slot `index` out, wherever it stands.
    pub fn unlink(&mut self, attempts: &mut Attempts, index: u32) {
        let Link { older, newer, .. } = std::mem::replace(&mut attempts[index].link, Link::NONE);
        match older {
            NIL => self.oldest = newer,
            _ => attempts[older].link.newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            _ => attempts[newer].link.older = older,
        }
        self.len -= 1;
    }

    /// The slot of the oldest.
    pub fn first(&self) -> Option<u32> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    /// The slot of the newest.
    pub fn last(&self) -> Option<u32> {
        (self.newest != NIL).then_some(self.newest)
    }

    /// The slot of the one behind `index`.
    pub fn behind(attempts: &Attempts, index: u32) -> Option<u32> {
        let newer = attempts[index].link.newer;
        (newer != NIL).then_some(newer)
    }

    /// How many.
    pub const fn len(&self) -> u32 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempts::tests::{entry, id};
    use super::*;
    use crate::time::Time;

    #[test]
    fn the_oldest_goes_first_and_anybody_may_leave() {
        let (mut line, mut attempts) = (Line::default(), Attempts::default());
        for slot in 1..=4 {
            attempts.newness(id(slot, 1));
            attempts.insert(slot, entry(id(slot, 1), Time::ZERO));
            line.push(&mut attempts, slot);
        }
        line.unlink(&mut attempts, 1);
        line.unlink(&mut attempts, 3);
        assert_eq!((line.first(), line.len()), (Some(2), 2));
        line.unlink(&mut attempts, 4);
        line.push(&mut attempts, 1);
        line.unlink(&mut attempts, 2);
        assert_eq!((line.first(), line.len()), (Some(1), 1));
        line.unlink(&mut attempts, 1);
        assert_eq!((line.first(), line.len()), (None, 0));
    }
}
