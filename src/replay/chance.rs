//! What of a world is drawn, and so differs from one replication of the same recording to the next.

use crate::dist::SpanDist;
use crate::policy::Settings;
use crate::sim::Plan;
use crate::upstream::UpstreamModel;
use crate::workload::ClassSettings;

/// What is, or may be, drawn in a run of `plan`, in words; empty where one run of a recording says all.
#[must_use]
pub fn chances(plan: &Plan) -> Vec<&'static str> {
    let mut found = Vec::new();
    match &plan.upstream {
        UpstreamModel::Vllm(_) if plan.upstream.speed_sigma() > 0.0 => found.push("the server's speed"),
        UpstreamModel::Vllm(_) => {}
        UpstreamModel::Station(_) => {
            if !matches!(plan.workload.service, None | Some(SpanDist::Fixed { .. })) {
                found.push("service times");
            }
        }
        UpstreamModel::TokenApi(_) => found.push("the metered API's answers"),
    }
    let classes = &plan.workload.classes;
    let any = |of: fn(&ClassSettings) -> bool| classes.iter().any(of);
    if any(|class| !matches!(class.patience, None | Some(SpanDist::Fixed { .. }))) {
        found.push("the clients' patience");
    }
    if any(|class| class.retry.is_some()) {
        found.push("the clients' backoff");
    }
    if any(|class| class.estimate_sigma.is_some_and(|sigma| sigma.value() > 0.0)) {
        found.push("the estimates of prompt lengths");
    }
    if any(|class| class.prefix.is_some() || class.tenants.is_some()) {
        found.push("tenants or prefixes");
    }
    found.extend(of_policies(&plan.policy));
    found
}

/// Gates that let in by chance, and windows that wait a random while.
fn of_policies(policy: &Settings) -> Option<&'static str> {
    let draws = policy.graduated.is_some() || policy.queue.is_some() || policy.throttle.is_some() || policy.limiter.is_some();
    draws.then_some("what the policies let in by chance")
}
