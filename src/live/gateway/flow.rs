//! Calls that run: each is told to be over exactly once, whatever becomes of the task that follows it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::call::Opened;
use super::owner::Owner;
use super::post::{Line, Order};
use super::stream::{Piece, Stream};
use crate::policy::{CallEnd, Input};
use crate::request::{CallId, Cause, RateHeaders};

/// A call whose end is awaited: it is told with this, or with its drop, when the connection to whoever asked broke inside us.
#[derive(Debug)]
pub struct Running {
    owner: Arc<Owner>,
    call: CallId,
    over: bool,
}

impl Running {
    /// A call that has just been started.
    #[must_use]
    pub const fn new(owner: Arc<Owner>, call: CallId) -> Self {
        Self { owner, call, over: false }
    }

    /// Its answer's headers say what is left of the provider's limits.
    pub fn limits(&self, limits: Option<RateHeaders>) {
        if let Some(limits) = limits {
            self.owner.tell(Input::Quota { call: self.call, limits });
        }
    }

    /// Its answer begins.
    pub fn begins(&self) {
        self.owner.tell(Input::FirstByte { call: self.call });
    }

    /// It is over.
    pub fn ended(mut self, end: CallEnd) {
        self.over = true;
        self.owner.tell(Input::Ended { call: self.call, end });
    }

    /// The policies have forgotten it.
    pub fn forget(mut self) {
        self.over = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let end = CallEnd::Failed { cause: Cause::Connection, retry_after: None };
            self.owner.tell(Input::Ended { call: self.call, end });
        }
    }
}

/// A call whose answer flows.
#[derive(Debug)]
pub struct Flow {
    /// The answer.
    pub stream: Stream,
    /// The call.
    pub running: Running,
}

impl Flow {
    /// Ends it upstream, where the policies have forgotten it.
    pub fn cancel(self) {
        drop(self.stream);
        self.running.forget();
    }
}

/// A call's answer on its way.
pub type Opening = Pin<Box<dyn Future<Output = Opened> + Send>>;

/// Lets a call run on without its client: its answer is read to its end, and its end told.
pub fn run_on(flow: Box<Flow>, line: Arc<Line>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return }; // the process ends
    runtime.spawn(read_out(*flow, line));
}

/// The same for a call whose answer has not begun.
pub fn open_and_run_on(opening: Opening, running: Running, line: Arc<Line>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let mut opening = opening;
        let opened = poll_fn(|cx| match line.poll_order(cx) {
            Poll::Ready(Order::Cancelled) => Poll::Ready(None),
            _ => opening.as_mut().poll(cx).map(Some),
        });
        let Some(opened) = opened.await else { return running.forget() };
        running.limits(opened.limits());
        match opened {
            Opened::Stream { stream, .. } => {
                running.begins();
                read_out(Flow { stream: *stream, running }, line).await;
            }
            Opened::Whole { end, .. } | Opened::Failed { end, .. } => running.ended(end),
        }
    });
}

async fn read_out(mut flow: Flow, line: Arc<Line>) {
    let end = poll_fn(|cx| {
        loop {
            if line.poll_order(cx) == Poll::Ready(Order::Cancelled) {
                return Poll::Ready(None);
            }
            match flow.stream.poll_piece(cx) {
                Poll::Ready(Piece::Data(_)) => {}
                Poll::Ready(Piece::End(end)) => return Poll::Ready(Some(end)),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    match end.await {
        Some(end) => flow.running.ended(end),
        None => flow.cancel(),
    }
}
