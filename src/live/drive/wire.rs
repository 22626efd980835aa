//! A simulated request as a real one: token ids in place of a prompt, and an answer of exactly the length that was drawn.

use std::fmt::Write;

use bytes::Bytes;

use crate::request::Request;
use crate::rng::mix;

/// Header in which a gateway of ours is told the client's own limit on the answer, tokens. The body's `max_tokens` is the length
/// that the answer will have, which no policy may know (INV-7): it is the only way to make a server write so much and no more.
pub const MAX_TOKENS_HEADER: &str = "x-plimsoll-max-tokens";

/// Header in which a gateway of ours is told what the scenario says that it would estimate of the prompt, tokens.
pub const INPUT_ESTIMATE_HEADER: &str = "x-plimsoll-input-estimate";

/// Header in which a gateway of ours is told how many milliseconds the client will wait, where its class announces that.
pub const DEADLINE_HEADER: &str = "x-plimsoll-deadline-ms";

/// How requests are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The model's name on the wire.
    pub model: String,
    /// Prompts are made of the token ids from [`Wire::FIRST_ID`] up to this, exclusive.
    pub vocabulary: u32,
}

impl Wire {
    /// Ids below are often special (beginning, end, padding): none is sent.
    pub const FIRST_ID: u32 = 10;

    /// Seeds of prefix groups are set apart from those of requests.
    const GROUPS: u64 = 1 << 63;

    /// What to send as `max_tokens`: the length of the answer, cut where the client's own limit cuts it.
    #[must_use]
    pub fn length(request: &Request) -> u32 {
        request.output_tokens.min(request.max_tokens).max(1)
    }

    /// The body of a streamed completion. Requests of one prefix group begin with the same ids, and no two prompts go on alike.
    #[must_use]
    pub fn body(&self, request: &Request) -> Bytes {
        let model = serde_json::to_string(&self.model).expect("a text can be written");
        let mut body = String::with_capacity(200 + 7 * request.input_tokens as usize);
        let _ = write!(body, "{{\"model\":{model},\"prompt\":["); // a text takes everything
        let (group, shared) = request.prefix.map_or((0, 0), |prefix| (Self::GROUPS | u64::from(prefix.group), prefix.tokens));
        for position in 0..request.input_tokens {
            let seed = if position < shared { group } else { request.id.0 };
            let comma = if position == 0 { "" } else { "," };
            let _ = write!(body, "{comma}{}", self.id(seed, position));
        }
        let length = Self::length(request);
        let _ = write!(
            body,
            "],\"max_tokens\":{length},\"ignore_eos\":true,\"temperature\":0,\"stream\":true,\
             \"stream_options\":{{\"include_usage\":true}}}}"
        );
        Bytes::from(body)
    }

    fn id(&self, seed: u64, position: u32) -> u32 {
        let ids = u64::from(self.vocabulary.saturating_sub(Self::FIRST_ID).max(1));
        let drawn = mix(mix(seed, 0), u64::from(position)) % ids;
        Self::FIRST_ID + u32::try_from(drawn).expect("below a u32")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::openai::Facts;
    use crate::request::{ClassId, Prefix, Profile, RequestId};
    use crate::time::{Span, Time};

    fn request(id: u64, prefix: Option<Prefix>) -> Request {
        Request {
            id: RequestId(id),
            class: ClassId(0),
            tenant: 0,
            arrival: Time::ZERO,
            input_tokens: 50,
            input_estimate: 60,
            output_tokens: 30,
            max_tokens: 20,
            service: Span::ZERO,
            patience: None,
            prefix,
            profile: Profile::default(),
            usage_tokens: 70,
            later: 0,
        }
    }

    fn ids(request: &Request) -> Vec<u32> {
        let wire = Wire { model: "a \"model\"".to_owned(), vocabulary: 500 };
        let body: serde_json::Value = serde_json::from_slice(&wire.body(request)).expect("JSON");
        assert_eq!(body["model"], "a \"model\"");
        serde_json::from_value(body["prompt"].clone()).expect("ids")
    }

    #[test]
    fn a_body_asks_for_exactly_what_was_drawn() {
        let wire = Wire { model: "m".to_owned(), vocabulary: 500 };
        let facts = Facts::read(&wire.body(&request(1, None))).expect("a request");
        assert_eq!((facts.weight.ids, facts.max_tokens, facts.stream, facts.include_usage), (50, Some(20), true, true));
        assert!(facts.ignore_eos);
        assert!(ids(&request(1, None)).iter().all(|id| (10..500).contains(id)));
    }

    #[test]
    fn prompts_share_their_prefix_and_nothing_else() {
        let of = |group| Some(Prefix { group, tokens: 32 });
        let (a, b, c) = (ids(&request(1, of(3))), ids(&request(2, of(3))), ids(&request(1, of(4))));
        assert_eq!(a[..32], b[..32]);
        assert_ne!(a[32..], b[32..]);
        assert_ne!(a[..32], c[..32]);
        assert_ne!(ids(&request(1, None)), ids(&request(2, None)));
        assert_eq!(ids(&request(1, None)), ids(&request(1, None)));
    }
}
