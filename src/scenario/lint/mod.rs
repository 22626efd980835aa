//! What a scenario's figures say before anything is simulated: closed forms, each in a worked sentence.
//!
//! One idea a file. A lint is data; nothing here stops a scenario from being run.

mod breaker_errors;
mod calls;
mod erlang;
mod estimate;
mod finalise_sla;
mod heavy_share;
mod idle_settings;
mod late_errors;
mod limiter_share;
mod load;
mod offered_tokens;
mod physics;
mod provider_books;
mod queue_bound;
mod queue_places;
mod reservation;
mod reset_interval;
mod window_limit;
mod words;
mod worst_rate;

pub use erlang::{erlang_b, erlang_c};
pub use estimate::{ServiceEstimate, offered_rps, service_estimate};
pub use offered_tokens::offered_tokens;
pub use queue_bound::{Deadline, recommended_queue_bound, waiting_deadline};
pub use queue_places::reachable_places;

use serde::Serialize;

use super::{Scenario, Variant};
use crate::time::Span;

/// How much a lint matters.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Probably not what was meant.
    Warning,
}

/// Something that a scenario's figures say by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// Which lint: stable, for scripts.
    pub code: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The setting that it is about.
    pub path: String,
    /// The variants that it holds for, by name.
    pub variants: Vec<String>,
    /// The worked sentence.
    pub message: String,
}

/// What one lint says of one variant.
struct Finding {
    code: &'static str,
    level: Level,
    path: String,
    message: String,
}

type Rule = fn(&Variant, &Scenario, &mut Vec<Finding>);

const RULES: [Rule; 16] = [
    load::check,
    queue_bound::check,
    queue_places::check,
    reset_interval::check,
    idle_settings::check,
    physics::check,
    reservation::check,
    window_limit::check,
    limiter_share::check,
    provider_books::check,
    offered_tokens::check,
    heavy_share::check,
    breaker_errors::check,
    late_errors::check,
    finalise_sla::check,
    worst_rate::check,
];

/// All lints of a scenario, each said once for all the variants that it holds for.
#[must_use]
pub fn lints(scenario: &Scenario) -> Vec<Lint> {
    let mut lints: Vec<Lint> = Vec::new();
    for (path, variant) in scenario.hidden_sets() {
        let message = format!("`--set {path}` changes nothing here: the variant or the sweep has its own value");
        let finding = Finding { code: "hidden_set", level: Level::Warning, path: path.to_string(), message };
        add(&mut lints, finding, &scenario.variants[variant].name);
    }
    for (path, section, variant) in scenario.switched_on() {
        let message = format!(
            "`--set {path}` switches `{section}` on here, where it was off: the rest of it has its defaults. To change it only where \
             it is on, name the variant: `--set variant[N].{path}=...`"
        );
        let finding = Finding { code: "set_switches_on", level: Level::Warning, path: path.to_string(), message };
        add(&mut lints, finding, &scenario.variants[variant].name);
    }
    for rule in RULES {
        for variant in &scenario.variants {
            let mut findings = Vec::new();
            rule(variant, scenario, &mut findings);
            for finding in findings {
                add(&mut lints, finding, &variant.name);
            }
        }
    }
    lints
}

fn add(lints: &mut Vec<Lint>, finding: Finding, variant: &str) {
    let Finding { code, level, path, message } = finding;
    match lints.iter_mut().find(|lint| lint.code == code && lint.path == path && lint.message == message) {
        Some(lint) => lint.variants.push(variant.to_owned()),
        None => lints.push(Lint { code, level, path, variants: vec![variant.to_owned()], message }),
    }
}

/// How much longer `span` is than `other`, nothing where it is not.
fn less(span: Span, other: Span) -> Span {
    Span::from_nanos(span.as_nanos().saturating_sub(other.as_nanos()))
}

/// A number for a sentence: three significant digits, whole from 100 on.
fn round(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return format!("{number}");
    }
    #[allow(clippy::cast_possible_truncation)] // the logarithm of a float is small
    let decimals = (2 - libm::floor(libm::log10(number.abs())) as i32).clamp(0, 9);
    let text = format!("{number:.*}", usize::try_from(decimals).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn numbers_have_three_digits() {
        let shown: Vec<String> = [0.0, 0.8, 12.345, 1234.5, 0.001_234_5, 4.0].map(round).into();
        assert_eq!(shown, ["0", "0.8", "12.3", "1234", "0.00123", "4"]);
    }
}
