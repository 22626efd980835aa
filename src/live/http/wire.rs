//! One connection to an upstream, driven by whoever waits for what comes by it.
//!
//! hyper parts a client's connection in two: a handle to send by, and a future that reads and writes. With a task of its own for
//! that future every answer is carried from task to task, three times there and back for the shortest. Here the task that waits
//! for the answer polls both, and what one half has to say to the other stays inside that poll.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::body::Payload;
use super::io::Io;

/// hyper's half that reads and writes, in a place of its own: it is large, and moves with the answer.
type Driver = Pin<Box<Connection<TokioIo<Io>, Payload>>>;

/// A connection and its handle.
#[derive(Debug)]
pub(super) struct Wire {
    sender: SendRequest<Payload>,
    line: Line,
}

/// The half that reads and writes, and whom it wakes.
#[derive(Debug)]
struct Line {
    /// `None` once it is closed.
    connection: Option<Driver>,
    gate: Arc<Gate>,
    /// The gate, as both halves know it.
    waker: Waker,
}

impl Wire {
    /// HTTP/1.1 over `io`.
    ///
    /// # Errors
    /// Where hyper cannot begin.
    pub(super) async fn begin(io: Io) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().handshake(TokioIo::new(io)).await?;
        let gate = Arc::new(Gate::default());
        let waker = Waker::from(Arc::clone(&gate));
        Ok(Self { sender, line: Line { connection: Some(Box::pin(connection)), gate, waker } })
    }

    /// Whether a request can be sent now: the other side has not closed it, and the answer before is at its end.
    pub(super) fn is_ready(&mut self) -> bool {
        let nobody = Context::from_waker(Waker::noop());
        let _: Poll<()> = self.line.drive(&nobody, |_| Poll::Pending);
        self.line.connection.is_some() && self.sender.is_ready()
    }

    /// Nobody waits for anything that comes by it.
    pub(super) fn rest(&self) {
        self.line.gate.enter(Waker::noop());
        self.line.gate.leave();
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// Where the connection broke, with the request if nothing of it was sent.
    pub(super) async fn send(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| self.line.drive(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// Polls what comes by it, and the connection for as long as that moves anything.
    pub(super) fn drive<T>(&mut self, cx: &Context<'_>, comes: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.line.drive(cx, comes)
    }
}

impl Line {
    fn drive<T>(&mut self, cx: &Context<'_>, mut comes: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let mut inside = Context::from_waker(&self.waker);
        self.gate.enter(cx.waker());
        for _ in 0..ROUNDS {
            let come = comes(&mut inside);
            if come.is_ready() {
                self.gate.leave();
                return come;
            }
            self.gate.heard(); // what was said to the connection, which is polled next
            if let Some(open) = &mut self.connection
                && open.as_mut().poll(&mut inside).is_ready()
            {
                // How it broke is told by what comes by it.
                self.connection = None;
            } else if self.gate.leave_quiet() {
                return Poll::Pending;
            }
        }
        // Halves that always have news would keep the thread from everybody else.
        self.gate.leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// How often the halves may have news for each other in one poll.
const ROUNDS: usize = 32;

/// Wakes the task outside for what comes from outside alone.
#[derive(Debug, Default)]
struct Gate {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// Nobody polls: whoever wakes, wakes the task.
const OUTSIDE: u8 = 0;
/// The task polls.
const INSIDE: u8 = 1;
/// The task polls, and has been woken while it did.
const NUDGED: u8 = 2;

impl Gate {
    fn enter(&self, task: &Waker) {
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
        self.state.store(INSIDE, Ordering::SeqCst);
    }

    fn heard(&self) {
        self.state.store(INSIDE, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.state.store(OUTSIDE, Ordering::SeqCst);
    }

    /// Leaves, unless there is something to look at first.
    fn leave_quiet(&self) -> bool {
        let left = self.state.compare_exchange(INSIDE, OUTSIDE, Ordering::SeqCst, Ordering::SeqCst);
        if left.is_err() {
            self.heard();
        }
        left.is_ok()
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let nudged = self.state.compare_exchange(INSIDE, NUDGED, Ordering::SeqCst, Ordering::SeqCst);
        if nudged == Err(OUTSIDE) {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
            task.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::coop;

    /// Counts how often its task is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_task_is_woken_from_outside_alone_and_nothing_is_lost() {
        let (gate, count) = (Arc::new(Gate::default()), Arc::new(Count::default()));
        let task = Waker::from(Arc::clone(&count));
        let said = || Waker::from(Arc::clone(&gate)).wake();
        said(); // nobody has ever waited
        gate.enter(&task);
        said();
        assert!(!gate.leave_quiet(), "there is something to look at first");
        assert!(gate.leave_quiet(), "it was looked at");
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        said();
        said();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        gate.enter(&task);
        said();
        gate.heard();
        assert!(gate.leave_quiet(), "it was heard before the last look");
    }

    #[tokio::test]
    async fn a_task_that_has_used_up_its_share_comes_again() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let mut wire = Wire::begin(Io::Memory(ours)).await.expect("it begins");
        let served = tokio::spawn(async move {
            let mut head = [0; 512];
            let read = theirs.read(&mut head).await.expect("a request");
            theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it reads");
            (theirs, read)
        });
        let request = Request::get("/").body(Payload::whole(bytes::Bytes::new())).expect("a request");
        let mut sent = pin!(wire.send(request));
        let mut poor = 3;
        // What it reads or writes without a share is pending, and the runtime wakes it once it has yielded: from outside.
        let answer = poll_fn(|cx| {
            while poor > 0 && coop::has_budget_remaining() {
                let _ = pin!(coop::consume_budget()).poll(cx);
            }
            poor -= i32::from(poor > 0);
            sent.as_mut().poll(cx)
        });
        assert_eq!(answer.await.expect("an answer").status(), 200);
        assert!(served.await.expect("it ends").1 > 0);
    }
}
