//! Who sends: arrival processes, lengths, classes, recorded arrivals, and the client that waits, leaves and tries again.

mod answers;
mod arrivals;
mod check;
mod client;
mod profile;
mod recorded;
mod retry;
mod scale;
mod settings;
mod source;
mod template;
mod terms;
#[cfg(test)]
mod testing;

pub use answers::Answers;
pub use check::{WorkloadError, WorkloadProblem};
pub use client::{Client, ClientAction, ClientInput, Finished, Sending};
pub use profile::{CountrySettings, ProxyModeWeights, VantageWeights};
pub use recorded::{Rows, Stream, UnknownClass, pairs, recorded};
pub use settings::{
    ArrivalSettings, ClassSettings, ClientTimeoutSettings, EarnedBy, PrefixSettings, RateSettings, RetryBudgetSettings,
    RetryOn, RetrySettings, SineSettings, SloSettings, SpikeSettings, StepSettings,
};
pub use source::{Pairs, Recorded, Source, SourceSettings};
pub use terms::Took;
