//! What the engines' own tests share.

use super::contract::Asked;
use crate::time::{Span, Time};

/// A question `secs` seconds after the start, about an attempt that arrived at the start and that nothing bounds.
pub(super) fn asked_at(secs: u64) -> Asked {
    Asked {
        now: Time::ZERO + Span::from_secs(secs),
        arrived: Time::ZERO,
        deadline: Time::FAR,
        budget: Span::FOREVER,
        tokens: 100,
        draw: 1 << 63,
        must_wait: true,
        predicted_wait: Span::ZERO,
        service: None,
    }
}
