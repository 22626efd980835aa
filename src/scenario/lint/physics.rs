//! Step costs that no hardware reaches: below what its data sheet allows, where the preset names the hardware.

use super::{Finding, Level, round};
use crate::scenario::{Scenario, Variant};
use crate::upstream::{UpstreamSettings, VllmModel};

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let UpstreamSettings::Vllm(settings) = &variant.upstream else { return };
    let Ok(model) = VllmModel::resolve(settings) else { return };
    for violation in model.floor_violations() {
        let message = format!(
            "`{}` is {} ns, and the model and GPU of this preset cannot do with less than {} ns (weights, arithmetic and KV cache at \
             the data sheet's peak)",
            violation.cost,
            round(violation.is_s * 1e9),
            round(violation.floor_s * 1e9),
        );
        // At a greater speed all of them are too cheap, and the speed is to blame.
        let is_faster = settings.speed.is_some_and(|speed| speed.value() > 1.0);
        let path = if is_faster { "upstream.speed".to_owned() } else { format!("upstream.cost.{}", violation.cost) };
        found.push(Finding { code: "beats_physics", level: Level::Warning, path, message });
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use crate::scenario::lint::lints;

    fn said(more: &str) -> Vec<(String, String)> {
        let text = format!(
            "schema = 1\narrival = {{ process = 'poisson', rate = 5 }}\nclass = [{{ name = 'a' }}]\n[upstream]\nkind = 'vllm'\n\
             preset = 'llama-3.1-8b-h100'\n{more}"
        );
        let found = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
        found.into_iter().filter(|lint| lint.code == "beats_physics").map(|lint| (lint.path, lint.message)).collect()
    }

    #[test]
    fn a_cost_below_the_data_sheet_is_told() {
        assert_eq!(said(""), []);
        assert_eq!(said("speed = 0.5"), []);
        let [(path, message)] = &said("cost = { tp = '1ns' }")[..] else { panic!("one cost is too low") };
        assert_eq!(path, "upstream.cost.tp");
        // 2 x 8,030,261,248 parameters over 989.5 TFLOP/s are 16.23 microseconds.
        assert!(message.starts_with("`tp` is 1 ns") && message.contains("less than 16231 ns"), "{message}");
        let faster = said("speed = 2");
        assert!(faster.len() == 4 && faster.iter().all(|(path, _)| path == "upstream.speed"), "{faster:?}");
    }
}
