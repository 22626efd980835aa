//! Who sends: arrival processes, lengths, classes, recorded arrivals, and the client that waits, leaves and tries again.

mod client;
mod settings;
mod source;

pub use client::{Client, ClientAction, ClientInput, Finished};
pub use settings::{
    ArrivalSettings, ClassSettings, ClientTimeoutSettings, PrefixSettings, RateSettings, RetryBudgetSettings, RetryOn,
    RetrySettings, SineSettings, SloSettings, SpikeSettings, StepSettings,
};
pub use source::{Recorded, Source, SourceSettings};
