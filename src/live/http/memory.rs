//! A network inside the process, for tests under a clock that stands still.

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Bytes that a pipe holds in each direction before its writer waits, like a socket's buffer.
const PIPE_BYTES: usize = 64 << 10;

/// The way to one listener.
#[derive(Clone, Debug)]
pub struct Network {
    accept: mpsc::UnboundedSender<DuplexStream>,
}

impl Network {
    /// A listener's end and the way to it.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let (accept, accepted) = mpsc::unbounded_channel();
        (Self { accept }, accepted)
    }

    /// A new connection; `None` where nobody listens any more.
    #[must_use]
    pub fn connect(&self) -> Option<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.accept.send(theirs).ok().map(|()| ours)
    }
}
