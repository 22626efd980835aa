//! The OpenAI-compatible interface as vLLM speaks it: what a request asks for, how an answer or an error is written, and what
//! its stream of events says.
//!
//! Everything is read as a proxy has to: without building a tree of what only passes by, and without trusting a byte of it.
//!
//! ```text
//! request   body -> Facts (model, lengths, stream) -> EstimateRule -> tokens;   body + Edit -> body
//! answer    bytes -> Frames (where an event ends, its data) -> Event (role, token, finish, usage, error, done)
//! ours      Writer -> chunks, whole answers;   ApiError -> {"error": ...}
//! ```

mod again;
mod answer;
mod edit;
mod error;
mod event;
mod fields;
mod frames;
mod request;
mod weigh;

pub use again::{retry_after, say_retry_after};
pub use answer::{DONE, Writer};
pub use edit::Edit;
pub use error::{ApiError, Code, cause_of, refusal_words};
pub use event::{Chunk, Event, Stop, WholeAnswer};
pub use fields::field;
pub use frames::{Frame, Frames, TooLong};
pub use request::{Endpoint, EstimateRule, Facts, NotARequest};
pub use weigh::Weight;
