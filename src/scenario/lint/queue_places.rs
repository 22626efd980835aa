//! Queue places that no request ever reaches: fullness at or above the threshold refuses, so with 50 places and 0.8 the
//! places 41 to 50 stay empty.

use super::{Finding, Level};
use crate::policy::Mode;
use crate::scenario::{Scenario, Variant};

/// How many of `size` places can fill: the least number waiting whose share of `size` is at or above `threshold`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of a u32
pub fn reachable_places(size: u32, threshold: f64) -> u32 {
    let full = |waiting: u32| f64::from(waiting) / f64::from(size) >= threshold;
    // The comparison is that of the queue itself; the product only says where to look, give or take its rounding.
    let near = (f64::from(size) * threshold) as u32;
    (near.saturating_sub(1)..=size).find(|waiting| full(*waiting)).unwrap_or(size)
}

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(queue) = variant.policy.queue.as_ref().filter(|queue| queue.mode != Mode::Off) else { return };
    let (size, threshold) = (queue.max_queue_size.value(), queue.queue_rejection_threshold.value());
    let places = reachable_places(size, threshold);
    let message = match size - places {
        0 => return,
        _ if places == 0 => "a threshold of 0 refuses every request that would have to wait".to_owned(),
        unused => {
            let which = if unused == 1 { format!("place {size} is") } else { format!("places {} to {size} are", places + 1) };
            format!(
                "{which} never used: {places} waiting of {size} is a fullness of {:.3}, at which a threshold of {threshold} refuses",
                f64::from(places) / f64::from(size)
            )
        }
    };
    // The seed's own defaults say so: worth knowing, and no mistake of whoever reproduces them.
    let (level, path) = (Level::Note, "policy.queue.queue_rejection_threshold".to_owned());
    found.push(Finding { code: "unreachable_places", level, path, message });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_defaults_fill_forty_of_fifty() {
        assert_eq!(reachable_places(50, 0.8), 40);
        assert_eq!(reachable_places(50, 1.0), 50);
        assert_eq!(reachable_places(10, 0.75), 8);
        assert_eq!(reachable_places(10, 0.0), 0);
        assert_eq!(reachable_places(1, 0.5), 1);
        assert_eq!(reachable_places(u32::MAX, 1.0), u32::MAX);
    }

    #[test]
    fn no_other_count_is_the_least_full_one() {
        for size in 1..200 {
            for hundredths in 0..=100 {
                let threshold = f64::from(hundredths) / 100.0;
                let slow = (0..=size).find(|waiting| f64::from(*waiting) / f64::from(size) >= threshold);
                assert_eq!(Some(reachable_places(size, threshold)), slow);
            }
        }
    }
}
