//! A stretch of steps in which nothing changes, in closed form.
//!
//! Step 0 is in flight. With `n` sequences decoding, step `j` costs `c_j = c_0 + j tk n`; the host takes `s` before each step
//! and `w = n token` for each step's tokens. The end of step `j` and the decision after it are
//!
//! ```text
//! E_0 as launched, D_1 = max(E_0, H)                      H: when the host is free of all it has taken on so far
//! E_j = D_j + s + c_j,  D_{j+1} = D_j + s + max(c_j, w)     j >= 1
//! ```
//!
//! so the host bounds the interval first and the step later, as `c_j` grows. All in whole picoseconds.

/// The numbers of a stretch, ps.
#[derive(Copy, Clone, Debug)]
pub(super) struct Stretch {
    /// `E_0`.
    pub end: u64,
    /// `D_1`.
    pub decided: u64,
    /// `s`.
    pub host_step: u64,
    /// `w`.
    pub host_out: u64,
    /// `c_0`.
    pub cost: u64,
    /// `tk n`.
    pub growth: u64,
}

impl Stretch {
    /// `c_j`.
    pub(super) const fn cost(&self, j: u64) -> u64 {
        self.cost.saturating_add(j.saturating_mul(self.growth))
    }

    /// How many of the steps 1 to `m` the host bounds: they are the first ones.
    pub(super) fn host_bound(&self, m: u64) -> u64 {
        if self.cost + self.growth > self.host_out {
            return 0;
        }
        (self.host_out - self.cost).checked_div(self.growth).map_or(m, |bound| bound.min(m))
    }

    /// `D_j`, for `j` of at least 1.
    pub(super) fn decided(&self, j: u64) -> u64 {
        let m = j - 1;
        if m == 0 {
            return self.decided;
        }
        let h = self.host_bound(m);
        let (wide, bound) = (u128::from(m), u128::from(h));
        let triangle = (wide * (wide + 1) - bound * (bound + 1)) / 2;
        let sum = wide * u128::from(self.host_step)
            + bound * u128::from(self.host_out)
            + (wide - bound) * u128::from(self.cost)
            + triangle * u128::from(self.growth);
        self.decided.saturating_add(u64::try_from(sum).unwrap_or(u64::MAX))
    }

    /// `E_j`.
    pub(super) fn end(&self, j: u64) -> u64 {
        if j == 0 { self.end } else { self.decided(j).saturating_add(self.host_step).saturating_add(self.cost(j)) }
    }

    /// Costs of steps 0 to `m - 1` together.
    pub(super) fn busy(&self, m: u64) -> u128 {
        let m = u128::from(m);
        m * u128::from(self.cost) + m * m.saturating_sub(1) / 2 * u128::from(self.growth)
    }

    /// How many of the first `most` steps end before `bound`.
    pub(super) fn ended_before(&self, bound: u64, most: u64) -> u64 {
        if most == 0 || self.end >= bound {
            return 0;
        }
        // Two ends in a row are at least this far apart, which bounds the search from above.
        let apart = (self.host_step + self.cost).max(1);
        first_false(1, most.min((bound - self.end) / apart + 1), |j| self.end(j) < bound)
    }

    /// The first `j` below `most` whose decision `D_{j+1}` is not before `at`; else `most`.
    pub(super) fn first_decision_at(&self, at: u64, most: u64) -> u64 {
        if most == 0 || self.decided >= at {
            return 0;
        }
        let apart = (self.host_step + self.cost).max(1);
        first_false(1, most.min((at - self.decided) / apart + 1), |j| self.decided(j + 1) < at)
    }
}

/// The first number in `from..to` for which a predicate that turns false once is false; else `to`.
fn first_false(mut from: u64, mut to: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while from < to {
        let middle = from + (to - from) / 2;
        if holds(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretches() -> impl Strategy<Value = Stretch> {
        (0u64..50, 0u64..50, 0u64..20, 0u64..60, 1u64..30, 0u64..4).prop_map(
            |(start, late, host_step, host_out, cost, growth)| {
                let end = start + host_step + cost;
                Stretch { end, decided: end + late, host_step, host_out, cost, growth }
            },
        )
    }

    proptest! {
        /// Against the recurrence itself, one step at a time.
        #[test]
        #[allow(clippy::cast_possible_truncation)] // small numbers
        fn agrees_with_one_step_at_a_time(s in stretches(), m in 1u64..60, probe in 0u64..2000) {
            let (mut d, mut ends, mut decisions, mut busy) = (s.decided, vec![s.end], vec![s.decided], u128::from(s.cost));
            for j in 1..m {
                let cost = s.cost + j * s.growth;
                ends.push(d + s.host_step + cost);
                d += s.host_step + cost.max(s.host_out);
                decisions.push(d);
                busy += u128::from(cost);
            }
            for j in 0..m {
                prop_assert_eq!(s.end(j), ends[j as usize]);
                prop_assert_eq!(s.decided(j + 1), decisions[j as usize]);
            }
            prop_assert_eq!(s.busy(m), busy);
            prop_assert_eq!(s.ended_before(probe, m), ends.iter().filter(|end| **end < probe).count() as u64);
            let first = decisions.iter().position(|at| *at >= probe).map_or(m, |j| j as u64);
            prop_assert_eq!(s.first_decision_at(probe, m), first);
        }
    }
}
