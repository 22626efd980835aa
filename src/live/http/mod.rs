//! HTTP/1.1 on both sides: a listener with limits and a drain, and connections to an upstream that are kept and used again.
//!
//! What carries the bytes is exchangeable ([`Io`]): a TCP connection, TLS on one, or a pipe in memory, so that one test runs
//! on sockets and under a clock that stands still.

mod body;
mod io;
mod listener;
mod memory;
mod pool;
mod server;
mod target;
mod tls;
mod wire;

pub use body::Payload;
pub use io::{Io, Stalled};
pub use listener::{ListenError, Listener, Peer};
pub use memory::Network;
pub use pool::{Leased, Pool, PoolTerms, SendError};
pub use server::{Drain, Limits, serve};
pub use target::{BadTarget, Target};
pub use tls::{TlsError, client_config, server_config};
