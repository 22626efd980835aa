//! Call timeouts against the SLA: a call that times out long before the SLA is never finalised.

use super::{Finding, Level, less};
use crate::policy::{CallTimeout, Finalise, FinaliseRule, Mode};
use crate::scenario::{Scenario, Variant};
use crate::time::Span;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let policy = &variant.policy;
    let Some(finalise) = policy.finalise.as_ref().filter(|finalise| finalise.mode != Mode::Off) else { return };
    let Some(timeout) = policy.call_timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce) else { return };
    for (key, limit) in limits(timeout) {
        if let Some(message) = never(finalise, key, limit) {
            let path = format!("policy.call_timeout.{key}");
            found.push(Finding { code: "finalise_out_of_reach", level: Level::Warning, path, message });
        }
    }
}

fn limits(timeout: &CallTimeout) -> [(&'static str, Span); 3] {
    let CallTimeout { grounded_direct, grounded_proxy, ungrounded, .. } = timeout;
    [("grounded_direct", *grounded_direct), ("grounded_proxy", *grounded_proxy), ("ungrounded", *ungrounded)]
}

fn never(finalise: &Finalise, key: &str, limit: Span) -> Option<String> {
    let sla = finalise.sla;
    match finalise.rule {
        FinaliseRule::AfterTimeout if limit < sla => Some(format!(
            "a call of {limit} (`{key}`) that started at once cannot be finalised: it times out {} before the SLA of {sla}, and \
             only what has waited longer than that can be, when its SLA is missed already",
            less(sla, limit)
        )),
        FinaliseRule::BeforeSla if limit < less(sla, finalise.timeout) => Some(format!(
            "a call of {limit} (`{key}`) that started at once is never finalised: that happens {} before the SLA of {sla}, and it \
             times out {} before that",
            finalise.timeout,
            less(less(sla, finalise.timeout), limit)
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_calls_of_300_s_must_have_waited_180() {
        let seed = Finalise { rule: FinaliseRule::AfterTimeout, ..Finalise::default() };
        assert_eq!(
            never(&seed, "grounded_proxy", Span::from_secs(300)).unwrap(),
            "a call of 5m (`grounded_proxy`) that started at once cannot be finalised: it times out 3m before the SLA of 8m, and \
             only what has waited longer than that can be, when its SLA is missed already"
        );
        assert_eq!(never(&seed, "grounded_direct", Span::from_secs(480)), None);
    }

    #[test]
    fn finalising_in_time_needs_a_call_that_still_runs() {
        let early = Finalise::default();
        assert_eq!(never(&early, "grounded_direct", Span::from_secs(450)), None);
        let message = never(&early, "ungrounded", Span::from_secs(120)).unwrap();
        assert!(message.ends_with("that happens 30s before the SLA of 8m, and it times out 330s before that"), "{message}");
    }
}
