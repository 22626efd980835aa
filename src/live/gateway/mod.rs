//! `plimsoll serve`: the policies in front of a real server, as an OpenAI-compatible reverse proxy.
//!
//! ```text
//! client --request--> Service --+-- work --> attempt --arrive--> Owner { policy::Gateway } --start--> Pool --> upstream
//!                               |               ^  \                ^        |                          |
//!                               |               |   +-- told --------+        +-- post, line             |
//!                               |               +---- Relay <--- Stream <---------- answer ------------+
//!                               +-- /health /stats /metrics /admin --> admin
//!                               +-- the rest -----------------------> Pool, both ways untouched
//! ```
//!
//! Every decision is [`policy::Gateway`](crate::policy::Gateway)'s; what happens here is told to it under one lock, in the
//! order of the clock ([`Owner`]). A call's state is with whoever can act on it: with the attempt's task until its answer
//! begins, then on its line (`post`), from where anybody can cancel it or let it run on.

mod admin;
mod answer;
mod attempt;
mod board;
mod call;
mod classes;
mod config;
mod exchange;
mod flow;
mod meter;
mod owner;
mod post;
mod recorder;
mod relay;
mod retries;
mod server;
mod service;
mod settings;
mod signals;
mod stream;

pub use config::{ClassRule, Serve};
pub use owner::{InFlight, Owner};
pub use recorder::{Recorder, RecorderTerms};
pub use server::{Server, StartError, Wiring};
pub use settings::Written;

/// 64 random bits: enough for ids and seeds, not for secrets.
#[must_use]
pub fn random_u64() -> u64 {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static KEY: LazyLock<u64> = LazyLock::new(|| {
        let random = ring::rand::generate::<[u8; 8]>(&ring::rand::SystemRandom::new());
        random.map_or(0, |bytes| u64::from_le_bytes(bytes.expose()))
    });
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    crate::rng::mix(*KEY, NUMBER.fetch_add(1, Ordering::Relaxed))
}
