//! Answers as vLLM writes them: a stream's chunks, and whole bodies.

use bytes::Bytes;

use super::{Endpoint, Stop};
use crate::policy::Usage;

/// The event that ends a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes the parts of one answer to a completion or a chat.
#[derive(Clone, Debug)]
pub struct Writer {
    chat: bool,
    /// Everything up to the choices, the same in all chunks.
    head: String,
    /// The same of a whole body.
    whole: String,
}

impl Writer {
    /// For the answer `number` to a request at `endpoint` (a chat's, or else a completion's), made at `created_s` (seconds of
    /// Unix time).
    #[must_use]
    pub fn new(endpoint: Endpoint, number: u64, created_s: u64, model: &str) -> Self {
        let chat = endpoint == Endpoint::Chat;
        let model = serde_json::to_string(model).expect("a text can be written");
        let (prefix, chunk, whole) = if chat {
            ("chatcmpl", "chat.completion.chunk", "chat.completion")
        } else {
            ("cmpl", "text_completion", "text_completion")
        };
        let head = |object: &str| {
            format!(
                "{{\"id\":\"{prefix}-{number:016x}\",\"object\":\"{object}\",\"created\":{created_s},\"model\":{model},\"choices\":["
            )
        };
        Self { chat, head: format!("data: {}", head(chunk)), whole: head(whole) }
    }

    /// The chunk with which a chat opens; nothing for a completion.
    #[must_use]
    pub fn role(&self) -> Bytes {
        if !self.chat {
            return Bytes::new();
        }
        let delta =
            "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}";
        Bytes::from(format!("{}{delta}]}}\n\n", self.head))
    }

    /// A chunk with a token; the last one says why the answer stops. Where tokens are alike, so are their chunks: write one
    /// and copy it.
    #[must_use]
    pub fn token(&self, text: &str, stop: Option<Stop>) -> Bytes {
        let text = serde_json::to_string(text).expect("a text can be written");
        let text = if self.chat { format!("\"delta\":{{\"content\":{text}}}") } else { format!("\"text\":{text}") };
        let stop = stop_word(stop);
        Bytes::from(format!("{}{{\"index\":0,{text},\"logprobs\":null,\"finish_reason\":{stop}}}]}}\n\n", self.head))
    }

    /// The chunk with the usage.
    #[must_use]
    pub fn usage(&self, usage: Usage) -> Bytes {
        Bytes::from(format!("{}],\"usage\":{}}}\n\n", self.head, usage_words(usage)))
    }

    /// The whole answer.
    #[must_use]
    pub fn whole(&self, text: &str, stop: Stop, usage: Usage) -> Bytes {
        let text = serde_json::to_string(text).expect("a text can be written");
        let text = if self.chat {
            format!("\"message\":{{\"role\":\"assistant\",\"content\":{text}}}")
        } else {
            format!("\"text\":{text}")
        };
        let (stop, usage) = (stop_word(Some(stop)), usage_words(usage));
        let choice = format!("{{\"index\":0,{text},\"logprobs\":null,\"finish_reason\":{stop}}}");
        Bytes::from(format!("{}{choice}],\"usage\":{usage}}}", self.whole))
    }
}

const fn stop_word(stop: Option<Stop>) -> &'static str {
    match stop {
        None => "null",
        Some(Stop::Stop | Stop::Other) => "\"stop\"",
        Some(Stop::Length) => "\"length\"",
        Some(Stop::Abort) => "\"abort\"",
        Some(Stop::Error) => "\"error\"",
    }
}

fn usage_words(usage: Usage) -> String {
    let Usage { input, output } = usage;
    let total = u64::from(input) + u64::from(output);
    format!("{{\"prompt_tokens\":{input},\"total_tokens\":{total},\"completion_tokens\":{output}}}")
}

#[cfg(test)]
mod tests {
    use super::super::{Chunk, Event, Frame, Frames, WholeAnswer};
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for endpoint in [Endpoint::Chat, Endpoint::Completions] {
            let writer = Writer::new(endpoint, 7, 1_700_000_000, "a \"model\"");
            let usage = Usage { input: 3, output: 2 };
            let parts = [
                writer.role(),
                writer.token("\n", None),
                writer.token("", Some(Stop::Length)),
                writer.usage(usage),
                Bytes::from_static(DONE),
            ];
            let stream = parts.concat();
            let (mut rest, mut frames, mut events) = (&stream[..], Frames::new(Frames::LIMIT), Vec::new());
            while let Frame::Event(data) = frames.next(&mut rest).expect("short") {
                events.push(Event::read(data));
            }
            let token = Chunk { choices: 1, token: true, finish: None, usage: None };
            let expected = [
                Event::Chunk(Chunk { token: false, ..token }),
                Event::Chunk(token),
                Event::Chunk(Chunk { finish: Some(Stop::Length), ..token }),
                Event::Chunk(Chunk { usage: Some(usage), ..Chunk::default() }),
                Event::Done,
            ];
            let opening = usize::from(endpoint != Endpoint::Chat);
            assert_eq!(events, expected[opening..]);
            assert!(frames.is_between());
            let whole = writer.whole("hi", Stop::Stop, usage);
            assert_eq!(WholeAnswer::read(&whole), WholeAnswer::Ok { usage: Some(usage), finish: Some(Stop::Stop) });
            let json: serde_json::Value = serde_json::from_slice(&whole).expect("JSON");
            assert_eq!(json["model"], "a \"model\"");
            assert_eq!(json["usage"]["total_tokens"], 5);
        }
    }
}
