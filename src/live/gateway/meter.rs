//! What is counted of each attempt beside what the policies count themselves, and the line about it in the log.

use std::fmt::Write as _;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::board::Board;
use super::owner::Owner;
use crate::policy::{Refusal, RefusalKind, engine_of};

type Labels = Vec<(&'static str, String)>;

/// How an attempt ended here.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered in full.
    Completed,
    /// Refused by a policy.
    Rejected,
    /// Ended at its time.
    TimedOut,
    /// The upstream failed it.
    Failed,
    /// Its client left.
    Gone,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Completed, Self::Rejected, Self::TimedOut, Self::Failed, Self::Gone];

    /// By the last word of the policies.
    const fn of(refusal: &Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Rejected(_) => Self::Rejected,
            RefusalKind::TimedOut => Self::TimedOut,
            RefusalKind::Upstream(_) => Self::Failed,
        }
    }

    /// The name in metrics and log.
    const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

/// All metrics of a gateway.
#[derive(Debug)]
pub struct Meter {
    registry: Registry,
    requests: Family<Labels, Counter>,
    invalid: Family<Labels, Counter>,
    first_byte: Family<Labels, Histogram, fn() -> Histogram>,
    duration: Family<Labels, Histogram, fn() -> Histogram>,
    reservations: Histogram,
}

/// Those of one class.
#[derive(Debug)]
pub struct ClassMeter {
    name: String,
    outcomes: [Counter; Outcome::ALL.len()],
    first_byte: Histogram,
    duration: Histogram,
    reservations: Histogram,
}

/// Seconds, from 1 ms to 17 min.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 21))
}

impl Meter {
    /// Names begin with `prefix`; what the policies count is read from `owner` when somebody asks.
    #[must_use]
    pub fn new(prefix: &str, owner: &Arc<Owner>) -> Self {
        let mut registry = Registry::default();
        let name = |name: &str| format!("{prefix}{name}");
        let (requests, reservations) = (Family::default(), Histogram::new(exponential_buckets(100.0, 2.0, 12)));
        let invalid = Family::default();
        let first_byte = Family::new_with_constructor(seconds as fn() -> Histogram);
        let duration = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register(
            name("requests"),
            "Requests that policies decided about, by class and how they ended",
            requests.clone(),
        );
        registry.register(
            name("invalid_requests"),
            "What came as a request and was none, by the code it was answered with; no policy saw it",
            Family::clone(&invalid),
        );
        registry.register(
            name("time_to_first_byte_seconds"),
            "From arrival to the first token that may be seen",
            first_byte.clone(),
        );
        registry.register(name("request_duration_seconds"), "From arrival to the end", duration.clone());
        registry.register(name("rate_limit_reservations"), "Tokens reserved for each call", reservations.clone());
        registry.register_collector(Box::new(Board::new(prefix, Arc::clone(owner))));
        Self { registry, requests, invalid, first_byte, duration, reservations }
    }

    /// What came as a request was none.
    pub fn invalid(&self, id: &str, code: &'static str, why: &str) {
        self.invalid.get_or_create(&vec![("code", code.to_owned())]).inc();
        tracing::info!(request = id, code, why, "not a request");
    }

    /// Those of a class.
    #[must_use]
    pub fn class(&self, name: &str) -> Arc<ClassMeter> {
        let class = || vec![("class", name.to_owned())];
        let outcomes = Outcome::ALL.map(|outcome| {
            let labels = vec![("class", name.to_owned()), ("outcome", outcome.name().to_owned())];
            self.requests.get_or_create_owned(&labels)
        });
        Arc::new(ClassMeter {
            name: name.to_owned(),
            outcomes,
            first_byte: self.first_byte.get_or_create_owned(&class()),
            duration: self.duration.get_or_create_owned(&class()),
            reservations: self.reservations.clone(),
        })
    }

    /// All of them as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
            let _ = text.write_str("# EOF\n"); // a string can be written to
        }
        text
    }
}

/// What is written down about one attempt.
#[derive(Debug)]
pub struct Record {
    class: Arc<ClassMeter>,
    id: String,
    arrived: Instant,
    told: bool,
}

impl Record {
    /// An attempt that arrives now, with the id of its request in logs.
    #[must_use]
    pub fn new(class: Arc<ClassMeter>, id: &str) -> Self {
        Self { class, id: id.to_owned(), arrived: Instant::now(), told: false }
    }

    /// A call starts for it.
    pub fn starts(&self, reserved: u32) {
        if reserved > 0 {
            self.class.reservations.observe(f64::from(reserved));
        }
    }

    /// A call for it has failed.
    pub fn failed(&self, why: &str) {
        tracing::info!(request = %self.id, class = %self.class.name, why, "a call failed");
    }

    /// The client may see the first byte.
    pub fn first_byte(&self) {
        self.class.first_byte.observe(self.arrived.elapsed().as_secs_f64());
    }

    /// It is over.
    pub fn ended(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let took = self.arrived.elapsed();
        self.class.outcomes[outcome as usize].inc();
        self.class.duration.observe(took.as_secs_f64());
        tracing::debug!(
            request = %self.id,
            class = %self.class.name,
            outcome = outcome.name(),
            ms = (took.as_secs_f64() * 1e6).round() / 1e3,
            "a request is over"
        );
    }

    /// It was refused, or cut where `begun`: why.
    pub fn refused(&mut self, refusal: &Refusal, begun: bool) {
        let (engine, reason) = match refusal.kind {
            RefusalKind::Rejected(reason) => (engine_of(reason), reason.name()),
            RefusalKind::TimedOut => ("timeout", "timed_out"),
            RefusalKind::Upstream(cause) => ("upstream", cause.name()),
        };
        let outcome = Outcome::of(refusal);
        // Once an answer has begun its status is sent; and what the upstream said goes on with its own.
        let status = (!begun && outcome != Outcome::Failed).then_some(refusal.status);
        let what = outcome.name();
        tracing::info!(request = %self.id, class = %self.class.name, status, engine, reason, begun, "{what}");
        self.ended(outcome);
    }
}
