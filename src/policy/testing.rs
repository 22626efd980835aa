//! What the engines' own tests share.

use super::Attempt;
use super::contract::Asked;
use crate::request::{AttemptId, ClassId, Profile, RequestId};
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

/// An attempt of 50 tokens in and at most 50 out.
pub(super) fn attempt(id: AttemptId) -> Attempt {
    Attempt {
        id,
        request: RequestId(0),
        class: ClassId(0),
        tenant: 0,
        route: 0,
        priority: 0,
        number: 1,
        input_estimate: 50,
        max_tokens: 50,
        deadline: None,
        streaming: true,
        profile: Profile::default(),
        draw: 1 << 63,
    }
}
