//! What a request asks the server for: a prompt of token ids, of the exact length, and an answer of the exact length.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::request::Request;
use crate::rng::mix;

/// Token ids are below this where nothing else is said: every model's vocabulary is larger.
pub const VOCABULARY: u32 = 1_000;

/// Ids below are often special (beginning, end, padding): none is sent.
const FIRST_ID: u32 = 10;

/// Keeps the ids of shared beginnings apart from those of the requests' own.
const SHARED: u64 = 0x5348_4152_4544; // "SHARED"

/// Longest prompt for which room is made at once, in bytes of its text.
const ROOM_MAX: usize = 1 << 20;

/// The answer's length: what was drawn, cut where the client's own limit cuts it.
pub(super) fn length(request: &Request) -> u32 {
    request.output_tokens.min(request.max_tokens).max(1)
}

/// Draws prompts.
#[derive(Copy, Clone, Debug)]
pub struct Prompts {
    /// Ids are below it, and from 10 on.
    pub vocabulary: u32,
    /// Seed of the shared beginnings.
    pub seed: u64,
    /// The same requests have other ids under another number: what a server keeps of one step's prompts is of no use in the next.
    pub step: u64,
}

impl Prompts {
    /// The id at `place` of a request's prompt.
    fn id(&self, request: &Request, place: u32) -> u32 {
        let own = mix(request.later, self.step);
        let stream = match request.prefix {
            Some(prefix) if place < prefix.tokens => mix(mix(self.seed ^ SHARED, self.step), u64::from(prefix.group)),
            _ => own,
        };
        let bits = mix(stream, u64::from(place)) >> 32;
        // The high half of a product is uniform to one part in 2^32 / vocabulary.
        let ids = u64::from(self.vocabulary.saturating_sub(FIRST_ID).max(1));
        FIRST_ID + u32::try_from((bits * ids) >> 32).expect("below a u32")
    }

    /// The body of a request for a completion by `model`. Its length is exact: the server is told to ignore the end that the
    /// model may choose. An answer in pieces ends with its usage.
    #[must_use]
    pub fn body(&self, request: &Request, model: &str, streaming: bool) -> Bytes {
        let room = (request.input_tokens as usize).saturating_mul(6).min(ROOM_MAX);
        let mut text = String::with_capacity(room + 256);
        let model = serde_json::to_string(model).expect("a text can be written");
        let _ = write!(text, "{{\"model\":{model},\"prompt\":["); // a String takes everything
        for place in 0..request.input_tokens {
            let comma = if place > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{}", self.id(request, place));
        }
        let _ = write!(text, "],\"max_tokens\":{},\"temperature\":0,\"ignore_eos\":true", length(request));
        if request.tenant > 0 {
            let _ = write!(text, ",\"user\":\"tenant-{}\"", request.tenant);
        }
        if streaming {
            text.push_str(",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
        }
        text.push('}');
        Bytes::from(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::openai::{EstimateRule, Facts};
    use crate::request::{ClassId, Prefix, Profile, RequestId};
    use crate::time::{Span, Time};

    fn request(later: u64, prefix: Option<Prefix>) -> Request {
        Request {
            id: RequestId(1),
            class: ClassId(0),
            tenant: 3,
            arrival: Time::ZERO,
            input_tokens: 20,
            input_estimate: 20,
            output_tokens: 7,
            max_tokens: 99,
            service: Span::ZERO,
            patience: None,
            prefix,
            profile: Profile::default(),
            usage_tokens: 27,
            later,
        }
    }

    fn ids(prompts: Prompts, request: &Request) -> Vec<u64> {
        let body: serde_json::Value = serde_json::from_slice(&prompts.body(request, "m", true)).unwrap();
        body["prompt"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
    }

    const PROMPTS: Prompts = Prompts { vocabulary: 50, seed: 9, step: 0 };

    #[test]
    fn a_body_asks_for_exact_lengths() {
        let body = PROMPTS.body(&request(5, None), "a \"model\"", true);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((value["max_tokens"].as_u64(), value["ignore_eos"].as_bool()), (Some(7), Some(true)));
        assert_eq!((value["model"].as_str(), value["user"].as_str()), (Some("a \"model\""), Some("tenant-3")));
        let facts = Facts::read(&body).unwrap();
        assert!(facts.stream && facts.include_usage);
        assert_eq!(EstimateRule::default().input_tokens(&facts.weight), 20); // a list of ids is counted, not guessed
        assert!(ids(PROMPTS, &request(5, None)).iter().all(|id| (10..50).contains(id)));
        assert_eq!(length(&Request { max_tokens: 3, ..request(5, None) }), 3);
    }

    #[test]
    fn beginnings_are_shared_by_a_group_and_by_nobody_else() {
        let of = |later, group| ids(PROMPTS, &request(later, Some(Prefix { group, tokens: 12 })));
        let (one, other, third) = (of(1, 4), of(2, 4), of(1, 5));
        assert_eq!(one[..12], other[..12]);
        assert_ne!(one[12..], other[12..]);
        assert_ne!(one[..12], third[..12]);
        assert_eq!(one[12..], third[12..]); // the request's own part
    }

    #[test]
    fn a_request_has_its_own_ids_and_others_in_another_step() {
        assert_eq!(ids(PROMPTS, &request(1, None)), ids(PROMPTS, &request(1, None)));
        assert_ne!(ids(PROMPTS, &request(1, None)), ids(PROMPTS, &request(2, None)));
        assert_ne!(ids(PROMPTS, &request(1, None)), ids(Prompts { step: 1, ..PROMPTS }, &request(1, None)));
    }
}
