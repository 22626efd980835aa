//! What the events of an answer's stream say, and a whole answer alike.

use serde::Deserialize;
use serde_json::Value;

use super::ApiError;
use super::weigh::{Length, There};
use crate::policy::{Finish, Usage};

/// What one event's data says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A piece of the answer.
    Chunk(Chunk),
    /// An error inside the stream, where the status line could not say it any more.
    Error(ApiError),
    /// `[DONE]`: the stream is complete.
    Done,
    /// Something that is none of these.
    Unknown,
}

/// A piece of an answer.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Answers that it adds to; 0 in the chunk that carries only the usage.
    pub choices: u32,
    /// Whether it carries a token: a text, even an empty one. The chunk with which a chat opens carries only a role.
    pub token: bool,
    /// Why the answer stops, if it does (of several answers: the last said).
    pub finish: Option<Stop>,
    /// Tokens used.
    pub usage: Option<Usage>,
}

impl Chunk {
    /// Whether it is the extra chunk of `stream_options.include_usage`.
    #[must_use]
    pub const fn is_usage_only(&self) -> bool {
        self.choices == 0 && self.usage.is_some()
    }
}

/// Why an answer stopped.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The model was done.
    Stop,
    /// It ran into a limit.
    Length,
    /// vLLM is shutting down, and gave the request up: no answer.
    Abort,
    /// vLLM failed inside: no answer.
    Error,
    /// Something else that completes an answer, such as a call of a tool.
    #[serde(other)]
    Other,
}

impl Stop {
    /// As policies know it; `None` where it means that there is no answer.
    #[must_use]
    pub const fn finish(self) -> Option<Finish> {
        match self {
            Self::Stop | Self::Other => Some(Finish::Stop),
            Self::Length => Some(Finish::Length),
            Self::Abort | Self::Error => None,
        }
    }
}

impl Event {
    /// What `data` says.
    #[must_use]
    pub fn read(data: &[u8]) -> Self {
        if data.trim_ascii() == b"[DONE]" {
            return Self::Done;
        }
        let Ok(raw) = serde_json::from_slice::<Raw>(data) else { return Self::Unknown };
        if let Some(error) = raw.error() {
            return Self::Error(error);
        }
        let Some(choices) = raw.choices else { return Self::Unknown };
        let mut chunk = Chunk { usage: raw.usage.map(RawUsage::read), ..Chunk::default() };
        for choice in choices {
            chunk.choices = chunk.choices.saturating_add(1);
            chunk.token |= choice.has_token();
            chunk.finish = choice.finish_reason.or(chunk.finish);
        }
        Self::Chunk(chunk)
    }
}

/// A whole answer, not streamed.
#[derive(Clone, Debug, PartialEq)]
pub enum WholeAnswer {
    /// Complete.
    Ok {
        /// Tokens used.
        usage: Option<Usage>,
        /// Why it stopped, if it says so (of several answers: the last said).
        finish: Option<Stop>,
    },
    /// An error, whatever the status line says.
    Error(ApiError),
    /// Not an answer of this interface.
    Unknown,
}

impl WholeAnswer {
    /// What `body` says.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let Ok(raw) = serde_json::from_slice::<Raw>(body) else { return Self::Unknown };
        if let Some(error) = raw.error() {
            return Self::Error(error);
        }
        if raw.choices.is_none() && raw.usage.is_none() {
            return Self::Unknown;
        }
        let mut stops = raw.choices.iter().flatten().filter_map(|choice| choice.finish_reason);
        Self::Ok { finish: stops.next_back(), usage: raw.usage.map(RawUsage::read) }
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<RawUsage>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
}

impl Raw {
    fn error(&self) -> Option<ApiError> {
        match &self.error {
            Some(error) => ApiError::of_value(error),
            None if self.object.as_ref().is_some_and(|object| object == "error") => {
                let flat = [("message", &self.message), ("code", &self.code)];
                let map = flat.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
                ApiError::of_value(&Value::Object(map.collect()))
            }
            None => None,
        }
    }
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<Length>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<Stop>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    role: There,
    #[serde(default)]
    content: Option<Length>,
    #[serde(default)]
    reasoning_content: Option<Length>,
    #[serde(default)]
    reasoning: Option<Length>,
    #[serde(default)]
    refusal: Option<Length>,
    #[serde(default)]
    tool_calls: There,
}

impl Choice {
    fn has_token(&self) -> bool {
        let Some(delta) = &self.delta else { return self.text.is_some() };
        let texts = [&delta.content, &delta.reasoning_content, &delta.reasoning, &delta.refusal];
        let counts = |text: &Length| text.0 > 0 || delta.role.is_none();
        delta.tool_calls.is_some() || texts.into_iter().flatten().any(counts)
    }
}

#[derive(Deserialize)]
struct RawUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

impl RawUsage {
    fn read(self) -> Usage {
        let whole = |tokens: Option<u64>| u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX);
        Usage { input: whole(self.prompt_tokens), output: whole(self.completion_tokens) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Cause;

    fn chunk(data: &str) -> Chunk {
        match Event::read(data.as_bytes()) {
            Event::Chunk(chunk) => chunk,
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn a_role_is_no_token_and_an_empty_text_is_one() {
        assert!(!chunk(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#).token);
        assert!(chunk(r#"{"choices":[{"delta":{"role":"assistant","content":"x"}}]}"#).token);
        assert!(chunk(r#"{"choices":[{"delta":{"content":""}}]}"#).token);
        assert!(chunk(r#"{"choices":[{"text":"","finish_reason":null}]}"#).token);
        assert!(chunk(r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#).token);
        assert!(chunk(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#).token);
        assert!(!chunk(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#).token);
    }

    #[test]
    fn ends_and_usage_are_seen() {
        let last = chunk(r#"{"choices":[{"text":"x","finish_reason":"length"}],"usage":null}"#);
        assert_eq!(last, Chunk { choices: 1, token: true, finish: Some(Stop::Length), usage: None });
        let usage = chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"total_tokens":8,"completion_tokens":5}}"#);
        assert!(usage.is_usage_only());
        assert_eq!(usage.usage, Some(Usage { input: 3, output: 5 }));
        let each = chunk(r#"{"choices":[{"text":"x"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#);
        assert!(!each.is_usage_only() && each.usage.is_some());
        let tool = chunk(r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#);
        assert_eq!(tool.finish.and_then(Stop::finish), Some(Finish::Stop));
        assert_eq!(chunk(r#"{"choices":[{"finish_reason":"abort"}]}"#).finish.and_then(Stop::finish), None);
        assert_eq!(Event::read(b" [DONE] "), Event::Done);
    }

    #[test]
    fn errors_in_the_stream_are_errors() {
        let Event::Error(error) = Event::read(br#"{"error":{"message":"full","type":"x","param":null,"code":503}}"#) else {
            panic!("no error")
        };
        assert_eq!((error.cause(), error.message.as_str()), (Cause::Overloaded, "full"));
        let old = Event::read(br#"{"object":"error","message":"full","code":503}"#);
        assert!(matches!(old, Event::Error(error) if error.cause() == Cause::Overloaded));
        for data in ["", "x", "{}", "[1]", r#"{"choices":7}"#, "\u{0}", r#"{"error":null}"#] {
            assert_eq!(Event::read(data.as_bytes()), Event::Unknown, "{data}");
        }
    }

    #[test]
    fn whole_answers_say_the_same() {
        let body = br#"{"id":"x","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let usage = Some(Usage { input: 1, output: 2 });
        assert_eq!(WholeAnswer::read(body), WholeAnswer::Ok { usage, finish: Some(Stop::Stop) });
        let embedding = br#"{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;
        assert!(matches!(WholeAnswer::read(embedding), WholeAnswer::Ok { usage: Some(_), finish: None }));
        assert!(matches!(WholeAnswer::read(b"{\"error\":\"no\"}"), WholeAnswer::Error(_)));
        assert_eq!(WholeAnswer::read(b"<html>"), WholeAnswer::Unknown);
        assert_eq!(WholeAnswer::read(b"{}"), WholeAnswer::Unknown);
    }
}
