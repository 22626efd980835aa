//! A queue of messages that its reader always empties: first in, first out.
//!
//! Between two machines a few messages at a time pass, and all of them are read before the next event. So nothing has to
//! wrap around: when the last one is read, the queue starts again at its beginning.

use serde::{Deserialize, Serialize};

/// Messages, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fifo<T> {
    items: Vec<T>,
    /// Of these, how many have been read.
    read: usize,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { items: Vec::new(), read: 0 }
    }
}

impl<T: Copy> Fifo<T> {
    /// One more message.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// The oldest message, until there is none.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let item = *self.items.get(self.read)?;
        self.read += 1;
        if self.read == self.items.len() {
            self.items.clear();
            self.read = 0;
        }
        Some(item)
    }

    /// Whether there is something to read.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_goes_first_however_reads_and_writes_mix() {
        let mut fifo = Fifo::default();
        assert_eq!(fifo.pop(), None);
        fifo.push(1);
        fifo.push(2);
        assert_eq!(fifo.pop(), Some(1));
        fifo.push(3);
        assert!(!fifo.is_empty());
        assert_eq!([fifo.pop(), fifo.pop(), fifo.pop()], [Some(2), Some(3), None]);
        assert!(fifo.is_empty());
        fifo.push(4);
        assert_eq!([fifo.pop(), fifo.pop()], [Some(4), None]);
    }
}
