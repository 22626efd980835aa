//! An attempt from its arrival to its last byte: what it has been told, and the call that runs for it.
//!
//! However its task ends, by an answer, a panic, or because the client's connection is gone and everything about it is
//! dropped, the policies hear of it once (INV-5).

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::call::Opened;
use super::flow::{Flow, Opening, Running, open_and_run_on, run_on};
use super::meter::{Outcome, Record};
use super::owner::Owner;
use super::post::{Line, Mail, Order, Post, Start};
use super::stream::Piece;
use crate::policy::{Attempt, CallEnd, Input, Refusal};
use crate::request::AttemptId;
use crate::time::Time;

/// An attempt that is not over.
#[derive(Debug)]
pub struct Exchange {
    owner: Arc<Owner>,
    id: AttemptId,
    post: Arc<Post>,
    call: Option<Current>,
    over: bool,
    record: Record,
}

struct Current {
    line: Arc<Line>,
    /// Until its answer has begun.
    opening: Option<(Opening, Running)>,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("line", &self.line).field("opening", &self.opening.is_some()).finish()
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// The policies say something.
    Mail(Mail),
    /// The call's answer has begun, ended, or failed.
    Opened(Opened, Running),
}

/// What comes next of an answer that flows.
#[derive(Debug)]
pub enum Flowing {
    /// The policies say something.
    Mail(Mail),
    /// Bytes, or the end.
    Piece(Piece),
}

impl Exchange {
    /// An attempt arrives.
    #[must_use]
    pub fn arrive(owner: &Arc<Owner>, record: Record, describe: impl FnOnce(Time, AttemptId, u64) -> Attempt) -> Self {
        let (id, post) = owner.arrive(describe);
        Self { owner: Arc::clone(owner), id, post, call: None, over: false, record }
    }

    /// The policies have said their last word about it: how it ended.
    pub fn is_over(&mut self, outcome: Outcome) {
        self.over = true;
        self.record.ended(outcome);
    }

    /// The policies have refused it, or cut its answer, which has `begun`.
    pub fn is_refused(&mut self, refusal: &Refusal, begun: bool) {
        self.over = true;
        self.record.refused(refusal, begun);
    }

    /// What is written down about it.
    pub fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Makes a call: `open` gives its answer.
    pub fn begin(&mut self, start: &Start, opening: Opening) {
        self.drop_call(); // the one before is over, or its end would have been awaited
        let running = Running::new(Arc::clone(&self.owner), start.call);
        self.call = Some(Current { line: Arc::clone(&start.line), opening: Some((opening, running)) });
    }

    /// Waits for what comes next, until an answer flows.
    pub async fn next(&mut self) -> Next {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(mail) = self.post.poll_take(cx) {
            return Poll::Ready(Next::Mail(mail));
        }
        let Some(Current { line, opening }) = &mut self.call else { return Poll::Pending };
        let Some((answer, _)) = opening else { return Poll::Pending };
        match line.poll_order(cx) {
            Poll::Ready(order) => {
                if let Some((answer, running)) = opening.take() {
                    carry_out(order, answer, running, line);
                }
                Poll::Pending // what it means for the attempt comes by post
            }
            Poll::Pending => {
                let opened = std::task::ready!(answer.as_mut().poll(cx));
                self.post.awake();
                let (_, running) = opening.take().expect("it was there");
                Poll::Ready(Next::Opened(opened, running))
            }
        }
    }

    /// Lets an answer flow; the first byte is told.
    pub fn flow(&mut self, flow: Flow) {
        let Some(current) = &self.call else { return flow.cancel() };
        flow.running.begins();
        if let Err(flow) = current.line.begin(Box::new(flow)) {
            match current.line.order() {
                Order::Detached => run_on(flow, Arc::clone(&current.line)),
                _ => flow.cancel(),
            }
        }
    }

    /// The next piece of what flows, or of what the policies say about it.
    pub fn poll_flow(&mut self, cx: &mut Context<'_>) -> Poll<Flowing> {
        if let Poll::Ready(mail) = self.post.poll_take(cx) {
            return Poll::Ready(Flowing::Mail(mail));
        }
        let Some(current) = &self.call else { return Poll::Pending };
        match current.line.with_flow(|flow| flow.stream.poll_piece(cx)) {
            Some(Poll::Ready(piece)) => Poll::Ready(Flowing::Piece(piece)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    /// What flowed is at its end. Whether the client has been told an error by the stream itself.
    pub fn flow_ended(&mut self, end: CallEnd) -> bool {
        self.post.awake();
        let Some(flow) = self.call.take().and_then(|current| current.line.take_flow()) else { return false };
        let Flow { stream, running } = *flow;
        let told = stream.error().is_some();
        drop(stream);
        running.ended(end);
        told
    }

    fn drop_call(&mut self) {
        let Some(Current { line, opening }) = self.call.take() else { return };
        if let Some((opening, running)) = opening {
            carry_out(line.order(), opening, running, &line);
        } else if let Some(flow) = line.take_flow() {
            run_on(flow, line);
        }
    }
}

/// What becomes of a call whose answer has not begun.
fn carry_out(order: Order, opening: Opening, running: Running, line: &Arc<Line>) {
    match order {
        Order::Cancelled => {
            drop(opening);
            running.forget();
        }
        // Nobody has noticed that its client is gone.
        Order::Run | Order::Detached => open_and_run_on(opening, running, Arc::clone(line)),
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.over {
            self.record.ended(Outcome::Gone);
            self.owner.tell(Input::Gone { attempt: self.id });
        }
        self.drop_call();
    }
}
