//! The overload policies: one engine a file, stacked by [`Gateway`].

mod gateway;
mod io;
mod settings;

pub use gateway::{Gateway, Snapshot};
pub use io::{
    Action, Attempt, CallEnd, CallKind, Finish, Hint, Input, Note, Refusal, RefusalKind, Saw, Usage, Verdict, WakeReason,
};
pub use settings::{
    At, Codel, Concurrency, Forget, Graduated, Mode, OnClientGone, OnTimeout, Order, Queue, Settings, Timeout, TimeoutFrom,
};
