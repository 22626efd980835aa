//! Scenario files from outside: what is shipped loads, what is bad is explained, nothing makes the reader fall over.
//!
//! `bad_scenarios/NAME.toml` is a bad input and `NAME.txt` all that is said of it; a first line `#! VALUE` adds `--set VALUE`
//! (several lines: several). `UPDATE_SNAPSHOTS=1 cargo test --test commands` writes the texts anew, to be read before they are kept.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::scenario::schema::{check, file_rule};
use plimsoll::scenario::{Node, Scenario, Warmup};
use plimsoll::time::Span;

fn folder(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files
}

fn sets(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&set| set.to_owned()).collect()
}

const GOOD: &str = r#"
schema = 1
about = "Does a queue help?"
run = { replications = 3, duration = "5m", warmup = "mser5", baseline = "long" }

[arrival]
process = "poisson"
load = 0.8

[upstream]
kind = "station"
servers = 2
service = { dist = "lognormal", mean = "1s", sigma = 0.5 }

[[class]]
name = "a"
weight = 3
timeout = { total = "10s", announce = true }

[[class]]
name = "b"
retry = { max_attempts = 3 }
lengths = "pairs.csv"

[policy]
concurrency = { max_concurrent_requests = 2 }

[[variant]]
name = "long"
policy.queue.max_queue_size = 50

[[variant]]
name = "short"
upstream.service = { dist = "fixed", value = "1s" }
policy.queue = { max_queue_size = 4, codel = {} }
set = { "class[0].weight" = 1, "class[1].timeout.first_token" = "70s" }

[sweep]
path = "arrival.load"
values = [0.6, 1.5]
"#;

#[test]
fn what_is_bad_is_explained() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut wrong = Vec::new();
    let cases = folder("tests/commands/bad_scenarios");
    assert!(cases.len() >= 20, "only {} cases found", cases.len());
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let sets: Vec<String> = text.lines().filter_map(|line| line.strip_prefix("#! ").map(str::to_owned)).collect();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let told = Scenario::parse(&name, &text, &sets).expect_err(&name).to_string();
        let kept = case.with_extension("txt");
        if update {
            fs::write(&kept, &told).unwrap();
        } else if fs::read_to_string(&kept).ok().as_deref() != Some(&told) {
            wrong.push(format!("--- {name} now says:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_shipped_scenario_loads_and_states_its_question() {
    let shipped = folder("scenarios");
    assert!(!shipped.is_empty());
    for path in shipped {
        let scenario = Scenario::load(&path, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(!scenario.about.is_empty(), "{} states no question", path.display());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} does not open with its question and diagram", path.display());
        let tree = Node::parse_document(0, &text).unwrap();
        assert_eq!(check(file_rule(), &tree), [], "{} does not fit the published schema", path.display());
    }
}

#[test]
fn variants_are_laid_over_the_scenario_and_crossed_with_the_sweep() {
    let scenario = Scenario::parse("dir/good.toml", GOOD, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let names: Vec<&str> = scenario.variants.iter().map(|variant| variant.name.as_str()).collect();
    assert_eq!(names, ["long @ 60 %", "long @ 150 %", "short @ 60 %", "short @ 150 %"]);
    assert_eq!((scenario.name.as_str(), scenario.run.warmup, scenario.baseline()), ("good", Warmup::Mser5, 0));
    let short = serde_json::to_value(&scenario.variants[3].policy).unwrap();
    assert_eq!((&short["queue"]["max_queue_size"], &short["concurrency"]["max_concurrent_requests"]), (&4.into(), &2.into()));
    let upstream = serde_json::to_value(&scenario.variants[3].upstream).unwrap();
    assert_eq!(upstream["service"], serde_json::json!({ "dist": "fixed", "value": "1s" }));
    let weights: Vec<f64> = scenario.variants.iter().map(|variant| variant.classes[0].weight.value()).collect();
    assert_eq!(weights, [3.0, 3.0, 1.0, 1.0]);
    assert_eq!(scenario.drain(), Span::from_secs(70), "the longest timeout of any variant");
    let files: Vec<String> = scenario.files().into_iter().map(|file| format!("{}: {}", file.path, file.name)).collect();
    assert_eq!(files, ["class[1].lengths: pairs.csv"]);
}

#[test]
fn without_variants_there_is_one_named_base() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/queue_mmc.toml");
    let changed = sets(&[
        "upstream.servers=8",
        "upstream.places=32",
        "class[0].arrival.rate=7.2",
        "class[0].patience={ dist = \"exponential\", mean = \"2s\" }",
        "run.seed=7",
        "upstream.service={ dist = \"deterministic\", mean = \"1s\" }",
    ]);
    let scenario = Scenario::load(&path, &changed).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((scenario.variants.len(), scenario.variants[0].name.as_str(), scenario.run.seed), (1, "base", 7));
    let upstream = serde_json::to_value(&scenario.variants[0].upstream).unwrap();
    let service = serde_json::json!({ "dist": "fixed", "value": "1s" });
    assert_eq!(upstream, serde_json::json!({ "kind": "station", "servers": 8, "places": 32, "service": service }));
    assert_eq!(scenario.drain(), Span::from_secs(60));
}

#[test]
fn what_is_written_reads_back_the_same() {
    for text in [GOOD.to_owned(), fs::read_to_string(&folder("scenarios")[0]).unwrap()] {
        let first = Scenario::parse("a.toml", &text, &[]).unwrap();
        let written = toml::to_string(&first.file).unwrap();
        let second = Scenario::parse("a.toml", &written, &[]).unwrap_or_else(|wrong| panic!("{wrong}\n{written}"));
        assert_eq!((&first.file, &first.variants), (&second.file, &second.variants));
    }
}

#[test]
fn an_error_found_later_points_into_the_file() {
    let scenario = Scenario::parse("good.toml", GOOD, &[]).unwrap();
    let told = scenario.diagnose(0, "class[1].lengths", "row 3 has no `output_tokens`".to_owned(), None).to_string();
    assert_eq!(
        told,
        "error: row 3 has no `output_tokens`\n  --> good.toml:23:11\n   |\n23 | lengths = \"pairs.csv\"\n   |           ^^^^^^^^^^^\n"
    );
}

#[test]
fn a_set_that_a_variant_hides_is_told() {
    let scenario = Scenario::parse("a.toml", GOOD, &sets(&["policy.queue.max_queue_size=9", "class[0].weight=5"])).unwrap();
    let hidden: Vec<String> = scenario.hidden_sets().iter().map(|(path, variant)| format!("{path} {variant}")).collect();
    assert_eq!(
        hidden,
        [0, 1, 2, 3]
            .map(|i| format!("policy.queue.max_queue_size {i}"))
            .into_iter()
            .chain([2, 3].map(|i| format!("class[0].weight {i}")))
            .collect::<Vec<_>>()
    );
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let missing = Scenario::load(Path::new("no/such.toml"), &[]).unwrap_err().to_string();
    assert!(missing.starts_with("error: cannot read the scenario `no/such.toml`: "), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, b"schema = 1\n\xff").unwrap();
    let told = Scenario::load(&binary, &[]).unwrap_err().to_string();
    assert!(told.ends_with("byte 11 is not UTF-8\n"), "{told}");
}
