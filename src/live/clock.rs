//! The clock of a live run: [`Time`] since its start, from tokio's clock, which tests can pause.

use tokio::time::Instant;

use crate::time::{Span, Time};

/// Time since a start.
#[derive(Copy, Clone, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What it shows now; it never runs back.
    #[must_use]
    pub fn now(&self) -> Time {
        let elapsed = self.start.elapsed().as_nanos();
        Time::from_nanos(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// When it will show `time`, for a timer.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        self.start + std::time::Duration::from_nanos(time.since(Time::ZERO).as_nanos())
    }
}

/// The same length for a timer of the runtime.
#[must_use]
pub fn duration(span: Span) -> std::time::Duration {
    std::time::Duration::from_nanos(span.as_nanos())
}
