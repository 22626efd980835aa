//! What a request asks for: the endpoint by its path, and the facts of its body that decide about it.

use std::borrow::Cow;

use serde::Deserialize;

use super::weigh::{Messages, Prompt, Texts, There, Weight};
use crate::units::Positive;

/// The kind of endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `GET /v1/models` and what lies below
    Models,
    /// Anything else.
    Other,
}

impl Endpoint {
    /// By the path, without query.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path.strip_suffix('/').unwrap_or(path) {
            "/v1/chat/completions" => Self::Chat,
            "/v1/completions" => Self::Completions,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/models" => Self::Models,
            other if other.starts_with("/v1/models/") => Self::Models,
            _ => Self::Other,
        }
    }

    /// Whether the model works for it.
    #[must_use]
    pub const fn is_work(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Embeddings)
    }

    /// Whether tokens are produced for it, which may be streamed.
    #[must_use]
    pub const fn generates(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

/// Why a body is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's body cannot be read: {why}")]
pub struct NotARequest {
    why: String,
}

impl NotARequest {
    pub(super) fn no_object() -> Self {
        Self { why: "it is no JSON object".to_owned() }
    }
}

/// What a body says that matters here. Fields that are not there, and nulls, are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Which model.
    pub model: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a stream's usage is asked for (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The limit on the answer, tokens: `max_completion_tokens`, or `max_tokens`.
    pub max_tokens: Option<u32>,
    /// Answers to each prompt.
    pub n: Option<u32>,
    /// vLLM's `ignore_eos`: the answer runs to its limit.
    pub ignore_eos: bool,
    /// Who asks, as the client says.
    pub user: Option<String>,
    /// How much there is to read; tools are counted with the texts.
    pub weight: Weight,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    ignore_eos: Option<bool>,
    #[serde(borrow, default)]
    user: Option<Cow<'a, str>>,
    #[serde(default)]
    prompt: Option<Prompt>,
    #[serde(default)]
    input: Option<Prompt>,
    #[serde(default)]
    messages: Option<Messages>,
    #[serde(default)]
    tools: Option<Texts>,
    #[serde(default)]
    prompt_embeds: There,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl Facts {
    /// What OpenAI and vLLM take for a completion that names no limit, tokens.
    pub const COMPLETION_TOKENS: u32 = 16;

    /// Reads a body, once, keeping nothing of its prompt. A field that stands there twice is an error: readers differ in which
    /// of the two they take.
    ///
    /// # Errors
    /// What is no JSON object or has a field of the wrong kind.
    pub fn read(body: &[u8]) -> Result<Self, NotARequest> {
        // Serde's structures could be lists too.
        if body.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
            return Err(NotARequest::no_object());
        }
        let raw: Raw<'_> = serde_json::from_slice(body).map_err(|error| NotARequest { why: error.to_string() })?;
        let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut weight = match (raw.messages, raw.prompt.or(raw.input)) {
            (Some(Messages(weight)), _) | (None, Some(Prompt(weight))) => weight,
            (None, None) => Weight::default(),
        };
        weight.text_bytes += raw.tools.unwrap_or_default().0;
        weight.other_parts = weight.other_parts.saturating_add(u32::from(raw.prompt_embeds.is_some()));
        Ok(Self {
            model: raw.model.map(Cow::into_owned),
            stream: raw.stream.unwrap_or(false),
            include_usage: raw.stream_options.unwrap_or_default().include_usage.unwrap_or(false),
            max_tokens: raw.max_completion_tokens.or(raw.max_tokens).map(whole),
            n: raw.n.map(whole),
            ignore_eos: raw.ignore_eos.unwrap_or(false),
            user: raw.user.map(Cow::into_owned),
            weight,
        })
    }

    /// The limit on each answer, tokens, where the client names none: 16 for a completion, as much as the model's context
    /// leaves (`rest`) for a chat (vLLM, `entrypoints/openai/protocol.py`); an embedding has no answer.
    #[must_use]
    pub fn limit(&self, endpoint: Endpoint, rest: u32) -> u32 {
        match endpoint {
            Endpoint::Chat => self.max_tokens.unwrap_or(rest),
            Endpoint::Completions => self.max_tokens.unwrap_or(Self::COMPLETION_TOKENS),
            Endpoint::Embeddings | Endpoint::Models | Endpoint::Other => 0,
        }
    }

    /// Answers that the request asks for, each of which the model writes: prompts times `n`, at least 1.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.weight.prompts.max(1).saturating_mul(self.n.unwrap_or(1).max(1))
    }
}

/// How the length of a prompt is estimated from outside: a list of token ids exactly, a text by its bytes.
///
/// By default 4 bytes make a token: OpenAI's rule of thumb for English ("What are tokens and how to count them?"), which other
/// languages and code miss by half and more; a gateway that settles by `usage` learns the truth afterwards. Each message of
/// a conversation adds 3 tokens, and the answer's opening 3 more, as OpenAI's cookbook counts them ("How to count tokens with
/// tiktoken"). Parts that are no text count nothing.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct EstimateRule {
    /// Bytes of UTF-8 text that make a token.
    pub bytes_per_token: Positive,
}

impl Default for EstimateRule {
    fn default() -> Self {
        Self { bytes_per_token: Positive::new(4.0).expect("4 is positive") }
    }
}

impl EstimateRule {
    const MESSAGE: u64 = 3;
    const OPENING: u64 = 3;

    /// The prompt's length, tokens, at least 1; of several prompts all together.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    pub fn input_tokens(&self, weight: &Weight) -> u32 {
        let text = (weight.text_bytes as f64 / self.bytes_per_token.value()).ceil() as u64;
        let messages = u64::from(weight.messages);
        let around = if messages == 0 { 0 } else { messages * Self::MESSAGE + Self::OPENING };
        let all = weight.ids.saturating_add(text).saturating_add(around);
        u32::try_from(all).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(body: &str) -> Facts {
        Facts::read(body.as_bytes()).expect(body)
    }

    fn tokens(body: &str) -> u32 {
        EstimateRule::default().input_tokens(&facts(body).weight)
    }

    #[test]
    fn a_completion_says_what_it_wants() {
        let body = r#"{"model":"m","prompt":[1,2,3],"max_tokens":5,"stream":true,"stream_options":{"include_usage":true},
            "n":2,"ignore_eos":true,"user":"me","temperature":0.0,"logit_bias":{"5":[1,{}]}}"#;
        let weight = Weight { prompts: 1, ids: 3, ..Weight::default() };
        let (model, user) = (Some("m".to_owned()), Some("me".to_owned()));
        let expected =
            Facts { model, stream: true, include_usage: true, max_tokens: Some(5), n: Some(2), ignore_eos: true, user, weight };
        assert_eq!(facts(body), expected);
        assert_eq!(facts(body).answers(), 2);
        let none = facts(r#"{"model":null,"stream":null,"stream_options":null,"max_tokens":null,"prompt":null}"#);
        assert_eq!(none, Facts::default());
        assert_eq!((none.limit(Endpoint::Completions, 99), none.limit(Endpoint::Chat, 99)), (16, 99));
        assert_eq!(facts(r#"{"max_tokens":1,"max_completion_tokens":2}"#).limit(Endpoint::Chat, 9), 2);
    }

    #[test]
    fn prompts_are_counted_in_every_form() {
        assert_eq!(tokens(r#"{"prompt":"12345678"}"#), 2);
        assert_eq!(tokens(r#"{"prompt":"123456789"}"#), 3);
        assert_eq!(tokens(r#"{"prompt":"\u00e9\n1"}"#), 1);
        assert_eq!(tokens(r#"{"prompt":["1234","12345678"]}"#), 3);
        assert_eq!(tokens(r#"{"prompt":[7,8,9,10,11]}"#), 5);
        assert_eq!(tokens(r#"{"prompt":[[7,8],[9]]}"#), 3);
        assert_eq!(tokens(r#"{"input":"12345678"}"#), 2);
        assert_eq!(tokens("{}"), 1);
        assert_eq!(facts(r#"{"prompt":[[7,8],[9]]}"#).weight.prompts, 2);
        assert_eq!(facts(r#"{"prompt":[7,8]}"#).answers(), 1);
        let chat = r#"{"messages":[{"role":"system","content":"12345678"},{"role":"user","content":[
            {"type":"text","text":"1234"},{"type":"image_url","image_url":{"url":"data:AAAAAAAAAAAAAAAA"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"1234"}}]}],
            "tools":[{"type":"12345678"}]}"#;
        let weight = facts(chat).weight;
        assert_eq!((weight.messages, weight.other_parts), (3, 1));
        assert_eq!(weight.text_bytes, 8 + 4 + ("function".len() + "name".len() + 4) as u64 + ("type".len() + 8) as u64);
        assert_eq!(tokens(r#"{"messages":[{"content":"1234"}]}"#), 1 + 3 + 3);
    }

    #[test]
    fn what_is_no_request_says_where() {
        for (body, what) in [
            ("", "EOF"),
            ("[]", "no JSON object"),
            (r#"{"stream":"yes"}"#, "line 1 column 15"),
            (r#"{"max_tokens":-1}"#, "-1"),
            (r#"{"max_tokens":1,"max_tokens":2}"#, "duplicate field `max_tokens`"),
            (r#"{"prompt":[1,-2]}"#, "-2 is not a token id"),
            (r#"{"prompt":7}"#, "list of token ids"),
            (r#"{"messages":"hello"}"#, "a list of messages"),
        ] {
            let error = Facts::read(body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(what), "{body}: {error}");
        }
        let deep = format!("{{\"tools\":{}", "[".repeat(100_000));
        assert!(Facts::read(deep.as_bytes()).is_err());
    }

    #[test]
    fn paths_are_told_apart() {
        use Endpoint::{Chat, Completions, Embeddings, Models, Other};
        for (path, endpoint) in [
            ("/v1/chat/completions", Chat),
            ("/v1/completions", Completions),
            ("/v1/completions/", Completions),
            ("/v1/embeddings", Embeddings),
            ("/v1/models", Models),
            ("/v1/models/a/b", Models),
            ("/v1/modelsx", Other),
            ("/health", Other),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }
}
