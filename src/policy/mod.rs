//! The overload policies: one engine a file, stacked by [`Gateway`].

mod abandoned;
mod adaptive;
mod again;
mod attempts;
mod breaker;
mod breaker_circuit;
mod breaker_window;
mod buckets;
mod budget;
mod calls;
mod codel;
mod contract;
mod counters;
mod deadline;
mod endings;
mod env;
mod flags;
mod flow;
mod gateway;
mod graduated;
mod io;
mod lane;
mod launch;
mod limiter;
mod line;
mod lost;
mod multipliers;
mod queue;
mod queue_depth;
mod rate_limit;
mod service;
mod settings;
mod signals;
mod slots;
mod state;
#[cfg(test)]
mod testing;
mod throttle;
mod timeout;
mod timers;
mod waiting;
mod windows;

pub use crate::request::{Refusal, RefusalKind};
pub use counters::{Counted, Counters, Snapshot, Stats, engine_of};
pub use env::{EnvError, EnvMistake};
pub use flags::FlagError;
pub use gateway::Gateway;
pub use graduated::rejection_probability;
pub use io::{Action, Attempt, CallEnd, CallKind, Finish, Hint, Input, Note, Saw, Usage, Verdict, WakeReason};
pub use lost::Lost;
pub use settings::{
    AdaptiveLimit, At, Boundary, Breaker, CallTimeout, Codel, Concurrency, Excess, Exclusive, Finalise, FinaliseRule, Forget,
    Graduated, HeavyLane, Heed, HoldRule, Limiter, Mode, OnClientGone, OnError, OnTimeout, Order, P90, Prior, Queue,
    QueueGraduated, RateLimit, Ratio, Recovery, Redispatch, Refresh, Settings, Signals, StaggerScope, Throttle, Timeout,
    TimeoutFrom, Timeouts, Trip, UpstreamErrors, Window,
};
