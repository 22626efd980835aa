//! Settings without effect: a queue in front of no slots, graduated rejection that nothing is ever counted for.

use super::{Finding, Level};
use crate::policy::{Mode, OnTimeout};
use crate::scenario::{Scenario, Variant};

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let policy = &variant.policy;
    if policy.queue.as_ref().is_some_and(|queue| queue.mode != Mode::Off) && variant.slots().is_none() {
        let message = "nothing ever waits in this queue: without `policy.concurrency` every request goes through at once";
        add(found, "queue_without_slots", "policy.queue", message);
    }
    let abandons = policy
        .timeout
        .as_ref()
        .is_some_and(|timeout| timeout.mode == Mode::Enforce && timeout.on_timeout == OnTimeout::Abandon);
    if policy.graduated.as_ref().is_some_and(|graduated| graduated.mode != Mode::Off) && !abandons {
        let message = "nothing is ever abandoned, so nothing is ever counted: `policy.timeout` with `on_timeout = \"abandon\"` is what \
                       leaves calls running";
        add(found, "graduated_without_abandoning", "policy.graduated", message);
    }
}

fn add(found: &mut Vec<Finding>, code: &'static str, path: &str, message: &str) {
    found.push(Finding { code, level: Level::Warning, path: path.to_owned(), message: message.to_owned() });
}
