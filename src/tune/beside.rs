//! How much is looked at beside a search, told before it is run.

use crate::tune::slice;
use crate::tune::tuned::{HELD_OUT_MIN, LEVELS, OTHERS};
use crate::tune::{Around, Settings, Space};

/// Runs of one future at most that `around` takes beside the search of `space` that `settings` describe: settings put back to today's,
/// plateaus, tornado and slice, Sobol indices, each in all `futures` that count, and the choice with its rivals in each of these
/// and of the `held_out` ones, finalists that tie among them. `has_speed` where the upstream has a speed that can be varied.
#[must_use]
pub fn beside_most(
    space: &Space,
    settings: &Settings,
    around: Around,
    (futures, held_out): (usize, usize),
    has_speed: bool,
) -> u64 {
    let Around { replications, rows } = around;
    let each = u64::from(replications);
    let numbers = space.parameters().iter().filter(|parameter| parameter.domain.is_numeric()).count();
    let choices = space.parameters().iter().filter(|parameter| !parameter.domain.is_numeric());
    let others: usize = choices.map(|parameter| parameter.domain.levels(2).len() - 1).sum();
    let near = (1 + numbers * (2 + LEVELS) + others) as u64 * each;
    let sliced = if numbers > 1 { slice::cost(replications) } else { 0 };
    let beside = OTHERS.iter().filter(|case| futures == 1 && (has_speed || !case.varies_capacity())).count();
    // The choice, today's settings, the finalists, and what is best in a future alone.
    let rivals = if futures > 1 { futures * (settings.finalists + 3) } else { 2 * beside };
    // Of finalists that tie each may be tried there.
    let tried = (2 + settings.finalists) as u64 * held_out as u64 * each.max(u64::from(HELD_OUT_MIN));
    let indices = if rows >= 2 { u64::from(rows) * (space.dimensions() as u64 + 2) } else { 0 };
    // Both settings beside each other, for the figures and the plots.
    let both = 2 * u64::from(settings.confirmation);
    // The choice, and each parameter of it that is put back to today's setting.
    let back = (1 + space.dimensions()) as u64 * u64::from(settings.first);
    futures as u64 * (back + near + sliced + indices + both) + rivals as u64 * each + tried
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Domain, Parameter, Scale};

    #[test]
    fn every_part_is_counted() {
        let number = |path: &str| {
            let domain = Domain::Integer { lo: 0, hi: 99, scale: Scale::Linear };
            Parameter { path: path.into(), domain, only_if: None }
        };
        let space = Space::new(vec![number("a"), number("b")]).unwrap();
        let settings = Settings::halving(8, 200.0, 1);
        let most = |replications, rows, futures| beside_most(&space, &settings, Around { replications, rows }, futures, false);
        assert_eq!(most(0, 0, (1, 0)), 90, "settings put back, and both beside each other");
        assert_eq!(most(0, 8, (1, 0)), 90 + 8 * 4);
        assert_eq!(most(0, 0, (1, 1)), 90 + 100, "what is held out is always tried, by all that may tie");
        assert_eq!(most(10, 0, (1, 0)), 90 + 230 + 196 + 40);
        assert_eq!(most(10, 0, (3, 0)), 3 * (90 + 230 + 196) + 330, "one setting is a run in each future");
    }
}
