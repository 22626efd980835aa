//! The canonical record: one request of a trace, whatever file it came from.

use std::num::{NonZeroU32, NonZeroU64};

use crate::rng::{fnv1a, mix};
use crate::time::{Span, Time};

/// One row of a log: a request, or one try at it where the log has a row for each try.
///
/// Times are since the recording's origin ([`Head::origin`](super::Head)). Intended arrival and sending are kept apart: a
/// driver that falls behind sends late what was meant to come earlier. What the log does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where it stands in the source: the line on which its row begins, from 1, or its number where there are no lines.
    pub row: u64,
    /// Intended arrival.
    pub arrival: Time,
    /// When it was really sent, where that was recorded.
    pub sent: Option<Time>,
    /// When the first byte (the first token, where the log tells them apart) of the answer came.
    pub first_byte: Option<Time>,
    /// When the last byte (or token) of the answer came.
    pub last_byte: Option<Time>,
    /// When whoever wrote the log was done with it, complete or not.
    pub end: Option<Time>,
    /// Prompt length, tokens, at least 1.
    pub input_tokens: Option<u32>,
    /// Answer length, tokens, at least 1: as long as it became, or as was asked for where the log says that it did not become
    /// complete and how long it would have been.
    pub output_tokens: Option<u32>,
    /// Tokens of the answer that really came, where that is not the same.
    pub received_tokens: Option<u32>,
    /// Class, in [`Names::classes`](super::Names).
    pub class: Option<NameId>,
    /// Who pays, in [`Names::tenants`](super::Names).
    pub tenant: Option<NameId>,
    /// Its session or conversation.
    pub session: Option<Key>,
    /// The source's own id of the request: two rows with the same are duplicates, or tries at the same request.
    pub request: Option<Key>,
    /// The prompt's blocks, each a hash of itself and all before it; of [`Head::block_tokens`](super::Head) tokens each.
    pub prefix: Box<[u64]>,
    /// When each piece of the answer came, in order: in the load driver's records only.
    pub chunks: Box<[Time]>,
    /// Images in the prompt.
    pub images: u32,
    /// HTTP status.
    pub status: Option<u16>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// Which try at the request this is, from 1.
    pub attempt: Option<u16>,
}

impl Record {
    /// Prompt and answer length, tokens; `None` where either is unknown.
    #[must_use]
    pub fn lengths(&self) -> Option<(u32, u32)> {
        self.input_tokens.zip(self.output_tokens)
    }

    /// Moves every time of the record `by` ahead, at most to [`Time::FAR`].
    pub fn shift_later(&mut self, by: Span) {
        self.arrival += by;
        for time in [&mut self.sent, &mut self.first_byte, &mut self.last_byte, &mut self.end].into_iter().flatten() {
            *time += by;
        }
        self.chunks.iter_mut().for_each(|time| *time += by);
    }

    /// Makes it somebody else's request: with another id, of another session, with other prefix blocks, but still in step with
    /// all records of the same copy. Copy 0 is the original.
    pub fn become_copy(&mut self, copy: u64) {
        if copy == 0 {
            return;
        }
        for key in [&mut self.session, &mut self.request].into_iter().flatten() {
            *key = Key(NonZeroU64::new(mix(key.bits(), copy)).unwrap_or(NonZeroU64::MIN));
        }
        self.prefix.iter_mut().for_each(|block| *block = mix(*block, copy));
    }

    /// Whether the answer is known to have become complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended == Some(Ended::Complete)
    }
}

/// How a recorded request ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// The answer was complete.
    Complete,
    /// The client left: no first token in time.
    FirstTokenTimeout,
    /// The client left: not complete in time.
    TotalTimeout,
    /// The client left; the log does not say when it would have.
    Left,
    /// A gateway ended it: not complete in time.
    TimedOut,
    /// It was turned away unserved: by a limiter, or by a server with no room.
    Refused,
    /// The stream ended before the answer was complete.
    Cut,
    /// The connection failed.
    Broken,
    /// It was answered with another error, or failed in a way that the log does not say.
    Failed,
}

impl Ended {
    /// Every way, in order.
    pub const ALL: [Self; 9] = [
        Self::Complete,
        Self::FirstTokenTimeout,
        Self::TotalTimeout,
        Self::Left,
        Self::TimedOut,
        Self::Refused,
        Self::Cut,
        Self::Broken,
        Self::Failed,
    ];

    /// The name in statistics and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::Left => "left",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Cut => "cut",
            Self::Broken => "broken",
            Self::Failed => "failed",
        }
    }

    /// What an HTTP status says: below 400 complete; 429, 503 and 529 refused (RFC 6585, section 4; RFC 9110, section 15.6.4;
    /// Anthropic's "overloaded"); 499 left (nginx); 408, 504 and 524 (Cloudflare) timed out; any other failed, a server that broke
    /// as well as a request that was wrong; 0, which proxies write where there was no answer, broken.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            0 => Self::Broken,
            1..400 => Self::Complete,
            429 | 503 | 529 => Self::Refused,
            499 => Self::Left,
            408 | 504 | 524 => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

/// A name in one of the lists of [`Names`](super::Names).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameId(NonZeroU32); // the position + 1, so that an `Option` of it costs nothing

impl NameId {
    pub(super) fn at(position: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(position))
    }

    /// Its position in its list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A name too many to keep (a session's, a request's), as a 64-bit hash: equal names have equal keys, and two of a hundred
/// million different ones share a key with a probability of 0.03 %.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(NonZeroU64);

impl Key {
    /// The key of a name; `None` for an empty one.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        // FNV-1a leaves its upper bits little mixed for short names.
        let mixed = mix(fnv1a(name), name.len() as u64);
        (!name.is_empty()).then(|| Self(NonZeroU64::new(mixed).unwrap_or(NonZeroU64::MIN)))
    }

    /// The key with these bits; `None` for 0.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small_enough_to_move() {
        assert!(size_of::<Record>() <= 200, "{} bytes", size_of::<Record>());
    }

    #[test]
    fn a_status_says_how_it_ended() {
        for (status, ended) in [
            (200, Ended::Complete),
            (0, Ended::Broken),
            (429, Ended::Refused),
            (503, Ended::Refused),
            (529, Ended::Refused),
            (400, Ended::Failed),
            (403, Ended::Failed),
            (500, Ended::Failed),
            (502, Ended::Failed),
            (524, Ended::TimedOut),
            (504, Ended::TimedOut),
            (499, Ended::Left),
        ] {
            assert_eq!(Ended::of_status(status), ended, "{status}");
        }
    }

    #[test]
    fn keys_tell_names_apart() {
        assert_eq!(Key::of(b""), None);
        let mut keys: Vec<Key> = (0..10_000).filter_map(|n| Key::of(format!("chat-{n}").as_bytes())).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 10_000);
    }
}
