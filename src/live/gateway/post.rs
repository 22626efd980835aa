//! What tasks and the owner of the policies leave for each other: a box for each attempt, a line for each call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::flow::Flow;
use crate::policy::{CallKind, Refusal};
use crate::request::{CallId, Vantage};

/// What the policies say to an attempt.
#[derive(Debug)]
pub enum Mail {
    /// Make a call.
    Start(Start),
    /// The client may see the answer.
    Relay,
    /// The answer is complete.
    Complete,
    /// Refuse it.
    Answer(Refusal),
    /// End its answer.
    Cut(Refusal),
}

/// A call to make.
#[derive(Debug)]
pub struct Start {
    /// Its id.
    pub call: CallId,
    /// What others may say about it.
    pub line: Arc<Line>,
    /// Why it is made.
    pub kind: CallKind,
    /// Limit on the answer, tokens.
    pub max_tokens: u32,
    /// The vantage policy that it may use.
    pub vantage: Vantage,
    /// Tokens reserved for it.
    pub reserved: u32,
}

/// What the policies have said to an attempt and its task has not read.
#[derive(Debug, Default)]
pub struct Post {
    inner: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    mail: VecDeque<Mail>,
    waker: Option<Waker>,
}

impl Post {
    /// Leaves something; whom to wake for it.
    pub fn put(&self, mail: Mail) -> Option<Waker> {
        let mut inbox = lock(&self.inner);
        inbox.mail.push_back(mail);
        inbox.waker.take()
    }

    /// The next piece.
    pub fn poll_take(&self, cx: &Context<'_>) -> Poll<Mail> {
        let mut inbox = lock(&self.inner);
        if let Some(mail) = inbox.mail.pop_front() {
            return Poll::Ready(mail);
        }
        inbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Its task is awake and will look: it need not be woken for what it brings about itself.
    pub fn awake(&self) {
        lock(&self.inner).waker = None;
    }
}

/// What the policies have said about a call.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// It runs for its attempt.
    #[default]
    Run,
    /// It is over, and nobody wants to hear of it.
    Cancelled,
    /// It runs on without its client.
    Detached,
}

/// Where a call's answer flows, and what is to become of it. Whoever carries out an order takes the flow out, so that a client
/// that reads slowly holds nothing up.
#[derive(Debug, Default)]
pub struct Line {
    inner: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    order: Order,
    flow: Option<Box<Flow>>,
    waker: Option<Waker>,
}

impl Line {
    /// Gives an order: the flow, where it has begun, and whom to wake.
    pub fn give(&self, order: Order) -> (Option<Box<Flow>>, Option<Waker>) {
        let mut state = lock(&self.inner);
        state.order = order;
        (state.flow.take(), state.waker.take())
    }

    /// What was ordered.
    pub fn order(&self) -> Order {
        lock(&self.inner).order
    }

    /// Whether something else than to run was ordered.
    pub fn poll_order(&self, cx: &Context<'_>) -> Poll<Order> {
        let mut state = lock(&self.inner);
        if state.order == Order::Run {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.order)
    }

    /// The answer has begun: its flow stands here from now on. Comes back where an order stands against it.
    pub fn begin(&self, flow: Box<Flow>) -> Result<(), Box<Flow>> {
        let mut state = lock(&self.inner);
        if state.order == Order::Run {
            state.flow = Some(flow);
            Ok(())
        } else {
            Err(flow)
        }
    }

    /// Looks at the flow, if it is here.
    pub fn with_flow<T>(&self, look: impl FnOnce(&mut Flow) -> T) -> Option<T> {
        lock(&self.inner).flow.as_deref_mut().map(look)
    }

    /// Takes it out.
    pub fn take_flow(&self) -> Option<Box<Flow>> {
        lock(&self.inner).flow.take()
    }
}

/// What is left in a box by a task that panicked is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
