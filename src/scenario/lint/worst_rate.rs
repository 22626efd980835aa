//! A search by the worst of several futures whose objective is a rate: the quietest future has the lowest ceiling, because no more
//! can be good there than comes, and so it alone may be looked at.

use super::{Finding, Level};
use crate::scenario::{RobustBy, Scenario, TuneSettings, Variant};
use crate::units::Positive;

pub(super) fn check(_: &Variant, scenario: &Scenario, found: &mut Vec<Finding>) {
    let Some(tune) = &scenario.file.tune else { return };
    // Figures are read by `tune`; a rate of one class is one too.
    let name = tune.objective.split('{').next().unwrap_or_default().trim();
    if name != "goodput_rps" || !differ_in_load(tune) {
        return;
    }
    let message = "`goodput_rps` is a rate: of futures of unlike load the quietest has the lowest ceiling, for no more can be good \
                   than comes, and the worst case may look at it alone. Take `objective = \"goodput_fraction\"`, or `by = \"regret\"` in `tune.robust`";
    found.push(Finding {
        code: "worst_of_a_rate",
        level: Level::Warning,
        path: "tune.objective".to_owned(),
        message: message.to_owned(),
    });
}

/// Whether it chooses by the worst of futures whose load differs, or may.
fn differ_in_load(tune: &TuneSettings) -> bool {
    let by = tune.robust.as_ref().map_or(RobustBy::default(), |robust| robust.by);
    let is_own = |load: &Positive| load.value().to_bits() == 1.0f64.to_bits();
    let loads = tune.robust.as_ref().and_then(|robust| robust.load).is_some_and(|ends| !ends.iter().all(is_own));
    let places = tune.traces.len().max(1) + tune.also.len();
    by == RobustBy::Worst && (loads || places > 1 + tune.held_out().len())
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use crate::scenario::lint::lints;

    fn found(tune: &str) -> usize {
        let text = format!(
            "schema = 1\nupstream = {{ kind = 'station', servers = 1, service = {{ dist = 'fixed', value = '1s' }} }}\n\
             [[class]]\nname = 'a'\narrival = {{ process = 'poisson', rate = 1 }}\n[policy.concurrency]\n[policy.queue]\n\
             [tune]\n{tune}\n[[tune.parameter]]\npath = 'policy.queue.max_queue_size'\nrange = [1, 9]\n"
        );
        let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap_or_else(|wrong| panic!("{wrong}")));
        lints.iter().filter(|lint| lint.code == "worst_of_a_rate").count()
    }

    #[test]
    fn the_worst_of_a_rate_is_the_quietest_future() {
        assert_eq!(found("objective = 'goodput_rps'\nrobust = { load = [0.5, 2] }"), 1);
        assert_eq!(found("objective = 'goodput_rps{class=a}'\nalso = ['night.toml']"), 1);
        assert_eq!(found("objective = 'goodput_rps'\ntraces = ['a.csv', 'b.csv']"), 0, "one of the two is held out");
        assert_eq!(found("objective = 'goodput_rps'\nrobust = { load = [1, 1] }"), 0);
        assert_eq!(found("objective = 'goodput_rps'\nrobust = { load = [0.5, 2], by = 'regret' }"), 0);
        assert_eq!(found("objective = 'goodput_fraction'\nrobust = { load = [0.5, 2] }"), 0);
        assert_eq!(found("objective = 'goodput_rps'"), 0);
    }
}
