//! The upstream's model as a server in real time: an OpenAI-compatible interface in front of it, as vLLM speaks it.
//!
//! ```text
//! connection -- route --> Machine (the model under a lock, one timer) -- news --> TokenStream -- chunks --> connection
//!                            ^                                               |
//!                            +--------------- dropped = cancelled -----------+
//! ```
//!
//! [`Server`] takes any byte stream for a connection, so that a test can run it on sockets or in memory, and on tokio's own
//! clock or a paused one. Nothing in it decides: refusals, times and tokens are [`upstream::Vllm`](crate::upstream::Vllm)'s.

mod body;
mod faults;
mod machine;
mod metrics;
mod routes;
mod server;

pub use body::{Answer, BrokenOff, TokenStream};
pub use faults::{Fault, Faults, HEADER as FAULT_HEADER, NotAFault};
pub use machine::{InModel, Machine, News, NewsKind, Work, lag_words};
pub use routes::{CLASS_HEADER, PREFIX_HEADER};
pub use server::{Running, Server, Settings, Unsupported};
