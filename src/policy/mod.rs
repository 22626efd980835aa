//! The overload policies: one engine a file, stacked by [`Gateway`].

mod abandoned;
mod attempts;
mod calls;
mod codel;
mod contract;
mod counters;
mod deadline;
mod endings;
mod flags;
mod flow;
mod gateway;
mod graduated;
mod io;
mod lane;
mod limiter;
mod multipliers;
mod queue;
mod service;
mod settings;
mod slots;
#[cfg(test)]
mod testing;
mod timeout;
mod timers;
mod waiting;
mod windows;

pub use crate::request::{Refusal, RefusalKind};
pub use counters::{Counted, Counters, Snapshot, Stats, engine_of};
pub use flags::FlagError;
pub use gateway::Gateway;
pub use graduated::rejection_probability;
pub use io::{Action, Attempt, CallEnd, CallKind, Finish, Hint, Input, Note, Saw, Usage, Verdict, WakeReason};
pub use settings::{
    At, Boundary, Breaker, CallTimeout, Codel, Concurrency, Exclusive, Finalise, FinaliseRule, Forget, Graduated, HeavyLane,
    HoldRule, Limiter, Mode, OnClientGone, OnError, OnTimeout, Order, P90, Prior, Queue, Ratio, Recovery, Redispatch, Refresh,
    Settings, StaggerScope, Timeout, TimeoutFrom, Timeouts, Trip, UpstreamErrors, Window,
};
