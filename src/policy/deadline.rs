//! Deadline-aware admission: refuses on arrival what could not start before its deadline.
//!
//! Predicted wait = position x smoothed service time / slots, where the position counts those who would go first and the
//! attempt itself; refused when it exceeds what is left until the deadline. The deadline is the client's own, if it was
//! announced, or arrival + `request_timeout` with `timeout_from = "arrival"`, whichever is earlier. A timeout that counts
//! from dispatch does not bound waiting, so it is no deadline here. Before the first sample nothing is refused.

use serde::{Deserialize, Serialize};

use super::contract::{Asked, Engine};
use super::settings::Queue;
use super::{Mode, Saw, Verdict};
use crate::request::Reason;
use crate::time::Time;

/// The gate at the queue's entrance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeadlineAdmission {
    mode: Mode,
}

impl DeadlineAdmission {
    /// The gate; off unless the queue is `deadline_aware`.
    pub fn new(settings: Option<&Queue>) -> Self {
        Self { mode: settings.filter(|s| s.deadline_aware).map_or(Mode::Off, |s| s.mode) }
    }
}

impl Engine for DeadlineAdmission {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        let refused = asked.deadline != Time::FAR && asked.predicted_wait > asked.deadline - asked.now;
        if refused { Verdict::Refuse(Reason::Deadline) } else { Verdict::Pass }
    }

    fn take(&mut self, _asked: &Asked) {}

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        let left = (asked.deadline != Time::FAR).then(|| asked.deadline - asked.now);
        Saw::Deadline { predicted: asked.predicted_wait, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::asked_at;
    use crate::time::Span;

    #[test]
    fn only_a_wait_longer_than_what_is_left_is_refused() {
        let mut gate = DeadlineAdmission::new(Some(&Queue { deadline_aware: true, ..Queue::default() }));
        let predicted = |secs| Asked { deadline: asked_at(30).now, predicted_wait: Span::from_secs(secs), ..asked_at(10) };
        assert_eq!(gate.ask(&predicted(20)), Verdict::Pass);
        assert_eq!(gate.ask(&predicted(21)), Verdict::Refuse(Reason::Deadline));
        let for_ever = Asked { deadline: Time::FAR, ..predicted(10_000) };
        assert_eq!(gate.ask(&for_ever), Verdict::Pass);
        assert_eq!(gate.saw(&for_ever), Saw::Deadline { predicted: Span::from_secs(10_000), left: None });
    }
}
