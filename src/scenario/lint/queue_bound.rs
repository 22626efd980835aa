//! Queue bound against timeout: with c slots, mean service S and timeout T, whoever finds more than c (T - S) / S waiting
//! cannot be served in time.

use super::estimate::{ServiceEstimate, service_estimate};
use super::queue_places::reachable_places;
use super::{Finding, Level, round};
use crate::policy::{Mode, TimeoutFrom};
use crate::scenario::{Scenario, Variant};

/// The earliest end of everybody's patience with waiting.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// Seconds from arrival.
    pub after_s: f64,
    /// The setting that says so.
    pub path: String,
    /// Whether service must be complete by then (else: begun).
    pub complete: bool,
}

/// The shortest time after which waiting has been in vain; `None` where nothing ends it. A timeout that counts from
/// dispatch does not bound waiting.
#[must_use]
pub fn waiting_deadline(variant: &Variant) -> Option<Deadline> {
    let policy = variant.policy.timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce);
    let policy = policy.filter(|timeout| timeout.timeout_from == TimeoutFrom::Arrival);
    let gateway = policy.map(|timeout| (timeout.request_timeout, "policy.timeout.request_timeout".to_owned(), true));
    let clients = variant.classes.iter().enumerate().filter_map(|(i, class)| Some((i, class.timeout?)));
    let clients = clients.flat_map(|(i, timeout)| {
        let total = timeout.total.map(|time| (time, format!("class[{i}].timeout.total"), true));
        let first = timeout.first_token.map(|time| (time, format!("class[{i}].timeout.first_token"), false));
        [total, first].into_iter().flatten()
    });
    let shortest = gateway.into_iter().chain(clients).min_by_key(|(time, ..)| *time);
    shortest.map(|(time, path, complete)| Deadline { after_s: time.as_secs_f64(), path, complete })
}

/// The largest number of waiting requests that can all still be served in time, at least 1; `None` where nothing bounds
/// the waiting or the service time is not known.
#[must_use]
pub fn recommended_queue_bound(variant: &Variant) -> Option<u32> {
    let (deadline, service) = (waiting_deadline(variant)?, service_estimate(variant, variant.slots())?);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    Some((libm::floor(bound(&deadline, &service)) as u32).max(1))
}

fn bound(deadline: &Deadline, service: &ServiceEstimate) -> f64 {
    let in_service = if deadline.complete { service.mean_s } else { 0.0 };
    (service.parallel * (deadline.after_s - in_service) / service.mean_s).max(0.0)
}

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(queue) = variant.policy.queue.as_ref().filter(|queue| queue.mode == Mode::Enforce) else { return };
    let Some((deadline, service)) = waiting_deadline(variant).zip(service_estimate(variant, variant.slots())) else { return };
    let places = reachable_places(queue.max_queue_size.value(), queue.queue_rejection_threshold.value());
    let bound = bound(&deadline, &service);
    if f64::from(places) <= bound {
        return;
    }
    let about = if service.exact { "" } else { "about " };
    let (slots, mean, after) = (round(service.parallel), round(service.mean_s), round(deadline.after_s));
    let formula = if deadline.complete {
        format!("{slots} x ({after} - {mean}) / {mean}")
    } else {
        format!("{slots} x {after} / {mean}")
    };
    if bound <= 0.0 {
        let message = format!(
            "with {slots} served at once an answer takes {about}{mean} s, longer than the {after} s until `{}`: whoever waits at \
             all is doomed, so use fewer slots (`policy.concurrency.max_concurrent_requests`)",
            deadline.path,
        );
        found.push(finding(message));
        return;
    }
    found.push(finding(format!(
        "with {slots} served at once, {about}{mean} s each, and {after} s until `{}`, whoever finds more than {formula} = {} \
         waiting is doomed, but {places} places can fill: a bound of {} would refuse them at once",
        deadline.path,
        round(bound),
        recommended_queue_bound(variant).unwrap_or(1),
    )));
}

fn finding(message: String) -> Finding {
    Finding { code: "queue_bound", level: Level::Warning, path: "policy.queue.max_queue_size".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    fn scenario(more: &str) -> Scenario {
        let text = format!(
            "schema = 1\npolicy.queue.mode = 'enforce'\npolicy.concurrency.max_concurrent_requests = 3\n{more}\n[upstream]\nkind = 'station'\n\
             servers = 8\nservice = {{ dist = 'fixed', value = '4s' }}\n[[class]]\nname = 'a'\n\
             arrival = {{ process = 'poisson', rate = 1 }}\ntimeout = {{ total = '10s' }}\n"
        );
        Scenario::parse("a.toml", &text, &[]).unwrap()
    }

    fn messages(scenario: &Scenario) -> Vec<String> {
        lints(scenario).into_iter().filter(|lint| lint.code == "queue_bound").map(|lint| lint.message).collect()
    }

    #[test]
    fn a_queue_of_forty_is_too_long_for_ten_seconds() {
        let scenario = scenario("");
        assert_eq!(recommended_queue_bound(&scenario.variants[0]), Some(4)); // 3 x (10 - 4) / 4 = 4.5
        assert_eq!(
            messages(&scenario),
            [
                "with 3 served at once, 4 s each, and 10 s until `class[0].timeout.total`, whoever finds more than 3 x (10 - 4) / 4 \
              = 4.5 waiting is doomed, but 40 places can fill: a bound of 4 would refuse them at once"
            ]
        );
    }

    #[test]
    fn the_bound_that_is_recommended_is_not_complained_of() {
        assert!(messages(&scenario("policy.queue.max_queue_size = 4\npolicy.queue.queue_rejection_threshold = 1")).is_empty());
    }

    #[test]
    fn a_timeout_from_dispatch_bounds_no_waiting() {
        let with = |from: &str| {
            waiting_deadline(&scenario(&format!("policy.timeout = {{ request_timeout = '5s', {from} }}")).variants[0])
        };
        assert_eq!(with("").map(|deadline| deadline.path), Some("class[0].timeout.total".to_owned()));
        let gateway = with("timeout_from = 'arrival'").map(|deadline| deadline.path);
        assert_eq!(gateway, Some("policy.timeout.request_timeout".to_owned()));
    }
}
