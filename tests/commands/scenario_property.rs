//! Scenarios by property: nothing makes the reader fall over, and the schema and serde agree on what is right.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use plimsoll::scenario::lint::lints;
use plimsoll::scenario::schema::{Format, Keys, Rule, check, file_rule};
use plimsoll::scenario::{Node, Scenario, ScenarioFile};
use proptest::prelude::*;

/// The good scenario of the shipped folder, and each bad one of the tests: what mutations start from.
static SEEDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = ["scenarios", "tests/commands/bad_scenarios"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
});

/// Reads, and where it is right lints it. What is wrong must have a place: a message without one is serde's, about
/// something that the schema let pass.
fn read(text: &str, sets: &[String]) -> Result<(), TestCaseError> {
    match Scenario::parse("x.toml", text, sets) {
        Ok(scenario) => {
            for lint in lints(&scenario) {
                prop_assert!(!lint.message.contains("NaN"), "{}", lint.message);
            }
            let _ = scenario.files();
        }
        Err(wrong) => {
            for located in wrong.located() {
                prop_assert!(located.column.is_some(), "no place: {}", located.message);
            }
        }
    }
    Ok(())
}

/// A value that fits a rule, with what is optional there or not: `bytes` decide.
fn fitting(rule: &Rule, bytes: &mut impl FnMut() -> u8) -> String {
    let pick = |from: &[&str], byte: u8| from[byte as usize % from.len()].to_owned();
    match rule {
        Rule::Any => "1".to_owned(),
        Rule::Boolean => pick(&["true", "false"], bytes()),
        Rule::Names(names) => format!("{:?}", names[bytes() as usize % names.len()]),
        Rule::Text { format: Format::Plain, .. } => pick(&["\"a\"", "\"Grüße, \\u0000\"", "'b.csv'"], bytes()),
        Rule::Text { format: Format::Duration, .. } => {
            pick(&["'0s'", "'1.5ms'", "' +3e2 s '", "'.5m'", "'7.d'", "'1E-3h'", "'9us'", "'18446744073709551615ns'"], bytes())
                .replace("18446744073709551615", "1844674407370955161")
        }
        Rule::Text { format: Format::Cost, .. } => pick(&["'0s'", "'39.1ns'", "'1h'", "'60m'", "'1e-3us'", "'0.01d'"], bytes()),
        Rule::Text { format: Format::Country, .. } => pick(&["'US'", "'DE'", "'ZZ'"], bytes()),
        Rule::Text { format: Format::Warmup, .. } => pick(&["'0s'", "'mser5'", "'2m'"], bytes()),
        Rule::Number(bounds) => {
            let candidates = [0.0, 1e-300, 0.5, 1.0, 3.0, 1e300];
            let held: Vec<f64> = candidates.into_iter().filter(|number| bounds.hold(*number)).collect();
            let number = held[bytes() as usize % held.len()];
            // Some as TOML integers, which are numbers too.
            if (1.0..10.0).contains(&number) { format!("{number}") } else { format!("{number:e}") }
        }
        Rule::Integer { min, max } => {
            let byte = bytes();
            // TOML has no more than 64 bits, with sign.
            let ends = [*min, (*max).min(i128::from(i64::MAX)), min + 1];
            ends[byte as usize % 3].min(*max).to_string()
        }
        Rule::List { items, min, max } => {
            let count = (*min).max(bytes() as usize % 3).min(*max);
            let items: Vec<String> = (0..count).map(|_| fitting(items, bytes)).collect();
            format!("[{}]", items.join(", "))
        }
        Rule::Table(keys) => table(keys, None, bytes),
        Rule::Union(union) => {
            let (names, keys) = &union.kinds[bytes() as usize % union.kinds.len()];
            table(keys, Some((&union.tag, &names[bytes() as usize % names.len()])), bytes)
        }
    }
}

fn table(keys: &Keys, tag: Option<(&str, &str)>, bytes: &mut impl FnMut() -> u8) -> String {
    let mut written = Vec::new();
    let (mut left, exact) = (keys.count.0, keys.count.0 == keys.count.1);
    left = left.saturating_sub(keys.required.len());
    for (key, rule) in &keys.known {
        let required = keys.required.contains(key);
        let there = if exact && !required { std::mem::take(&mut left) > 0 } else { required || bytes().is_multiple_of(2) };
        match tag {
            Some((name, value)) if name == key => written.push(format!("{key} = {value:?}")),
            _ if there => written.push(format!("{key} = {}", fitting(rule, bytes))),
            _ => {}
        }
    }
    format!("{{ {} }}", written.join(", "))
}

/// The sections whose every value fits, without variants and sweeps, so that nothing is laid over anything.
fn fitting_scenario(mut bytes: impl FnMut() -> u8) -> String {
    let Rule::Table(keys) = file_rule() else { panic!("a file is a table") };
    let sections = keys.known.iter().filter(|(key, _)| !["variant", "sweep"].contains(&key.as_str()));
    let lines: Vec<String> = sections.map(|(key, rule)| format!("{key} = {}", fitting(rule, &mut bytes))).collect();
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_text_is_answered(text in ".{0,200}", set in ".{0,40}") {
        read(&text, &[])?;
        read(&SEEDS[0], &[set])?;
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        fs::write(&path, &bytes).unwrap();
        let _ = Scenario::load(&path, &[]);
    }

    #[test]
    fn a_mutated_scenario_is_answered(
        which in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[-a-z0-9_.\"'\\[\\]{}=,\n #]{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = which.get(&SEEDS[..]).chars().collect();
        for (at, length, with) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, with.chars());
        }
        read(&text.iter().collect::<String>(), &[])?;
    }

    #[test]
    fn any_set_is_answered(
        path in "(class|upstream|policy|run|arrival|variant|sweep|measured)(\\[[0-2]\\])?(\\.(arrival|service|queue|mean|rate|values|codel|name|mode|kind)){0,3}",
        value in "(-?[0-9]{1,3}(\\.[0-9])?(s|ms)?|[a-z_]{0,8}|\\[1, ?2\\]|\\{ ?mean ?= ?1 ?\\}|nan|inf|1e999)",
    ) {
        for seed in [SEEDS[0].as_str(), MORE] {
            read(seed, &[format!("{path}={value}")])?;
        }
    }

    #[test]
    fn what_fits_the_schema_is_what_serde_reads(bytes in proptest::collection::vec(any::<u8>(), 64..400)) {
        let rounds = (0..=u8::MAX).cycle();
        let mut cycle = rounds.flat_map(|round| bytes.iter().map(move |byte| byte.wrapping_add(round)));
        let text = fitting_scenario(|| cycle.next().expect("a cycle has no end"));
        let tree = Node::parse_document(0, &text).map_err(|wrong| TestCaseError::fail(format!("{wrong:?}\n{text}")))?;
        prop_assert_eq!(check(file_rule(), &tree), vec![], "{}", text);
        let file: Result<ScenarioFile, _> = serde_json::from_value(tree.to_json());
        let file = file.map_err(|wrong| TestCaseError::fail(format!("{wrong}\n{text}")))?;
        // And what serde writes fits the schema again.
        let written = toml::to_string(&file).map_err(|wrong| TestCaseError::fail(format!("{wrong}\n{text}")))?;
        let again = Node::parse_document(0, &written).map_err(|wrong| TestCaseError::fail(format!("{wrong:?}\n{written}")))?;
        prop_assert_eq!(check(file_rule(), &again), vec![], "{}", written);
        read(&text, &[])?;
    }
}

const MORE: &str = "schema = 1\narrival = { process = 'poisson', load = 1 }\n[upstream]\nkind = 'vllm'\npreset = 'llama-3.1-8b-h100'\n\
                    [[class]]\nname = 'a'\n[[class]]\nname = 'b'\n[policy.queue]\ncodel = { target = '5ms' }\n[[variant]]\nname = 'x'\n\
                    policy.graduated.max_abandoned = 5\n[sweep]\npath = 'arrival.load'\nvalues = [1, 2]\n";
