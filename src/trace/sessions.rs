//! Conversations, where rows name only the turn before them.

use std::collections::{BTreeMap, VecDeque};

use super::record::Key;

/// Most turns that are remembered.
const TURNS_MAX: usize = 1 << 20;

/// The first turn of each conversation, by any of its latest turns. Memory is bounded: a turn whose predecessor lies more than
/// [`TURNS_MAX`] rows back begins another session.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    first_of: BTreeMap<Key, Key>,
    order: VecDeque<Key>,
}

impl Sessions {
    /// The session of the turn `own` that follows `before`; `None` for a first turn.
    pub fn of(&mut self, own: Key, before: Option<Key>) -> Key {
        let first = before.map_or(own, |before| self.first_of.get(&before).copied().unwrap_or(before));
        if self.first_of.insert(own, first).is_none() {
            self.order.push_back(own);
        }
        if self.order.len() > TURNS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.first_of.remove(&oldest);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::of(n.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn turns_of_one_conversation_share_its_first() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.of(key(1), None), key(1));
        assert_eq!(sessions.of(key(2), Some(key(1))), key(1));
        assert_eq!(sessions.of(key(3), None), key(3));
        assert_eq!(sessions.of(key(4), Some(key(2))), key(1));
        // A predecessor that was never seen stands for the session itself.
        assert_eq!(sessions.of(key(5), Some(key(9))), key(9));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sessions = Sessions::default();
        for n in 0..TURNS_MAX + 10 {
            sessions.of(key(n), None);
        }
        assert_eq!((sessions.first_of.len(), sessions.order.len()), (TURNS_MAX, TURNS_MAX));
        assert_eq!(sessions.of(key(TURNS_MAX + 10), Some(key(3))), key(3));
    }
}
