//! The shape that readers rely on.

use serde_json::{Value, json};

use super::*;
use crate::journal::Tally;
use crate::journal::summary::fixtures::{class, full_class, tally};
use crate::journal::summary::{Context, Spike, summarise};
use crate::time::{Span, Time};

fn summary(replications: u64, spikes: Vec<Spike>) -> Summary {
    let context = Context { classes: vec!["zebra".into(), "ant".into()], spikes, ..Context::default() };
    let run = |good: u64| -> Vec<Tally> {
        (0..replications).map(|r| tally(vec![full_class(), class(100, good + r, 50)], r + 1)).collect()
    };
    let (base, better) = (run(40), run(60));
    summarise(&[("base", &base), ("better", &better)], &context)
}

fn json_of(envelope: &Envelope) -> Value {
    serde_json::from_str(&envelope.to_json()).unwrap()
}

/// The keys of the object at `path`, in the order in which they are written.
fn keys(text: &str, after: &str) -> Vec<String> {
    let from = text.find(after).unwrap() + after.len();
    let mut depth = 0;
    let mut found = Vec::new();
    let mut rest = text[from..].char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '"' => {
                let begin = from + at + 1;
                let end = begin + text[begin..].find('"').unwrap();
                while rest.next().is_some_and(|(at, _)| from + at < end) {}
                if depth == 1 && text[end + 1..].starts_with(':') {
                    found.push(text[begin..end].to_owned());
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

#[test]
fn every_key_stands_where_the_format_says() {
    let text = Envelope::new("overload", 7, None, &summary(2, vec![])).to_json();
    let list = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(keys(&text, ""), list("schema scenario seed replications digest variants paired"));
    assert_eq!(keys(&text, "\"variants\":["), list("name digest label counts metrics metered fairness_jain classes"));
    assert_eq!(
        keys(&text, "\"counts\":"),
        list(
            "offered good late degraded rejected timed_out gave_up failed in_flight attempts retried policy_degraded \
             abandoned_counted_max abandoned_true_max"
        )
    );
    assert_eq!(
        keys(&text, "\"metrics\":"),
        list(
            "goodput_rps goodput_fraction ttft_s tpot_s itl_s e2e_s wait_s queue_len in_system wait_probability \
             wasted_tokens wasted_fraction utilisation blocked_fraction abandon_fraction"
        )
    );
    assert_eq!(keys(&text, "\"goodput_rps\":"), list("mean ci95"));
    assert_eq!(keys(&text, "\"ttft_s\":"), list("mean p50 p90 p99"));
    assert_eq!(keys(&text, "\"wait_s\":"), list("mean p50 p90 p99 ci95"));
    assert_eq!(keys(&text, "\"classes\":"), list("zebra ant"), "the scenario's order, not the alphabet's");
    assert_eq!(keys(&text, "\"zebra\":"), list("counts metrics demand_share goodput_share"));
    assert_eq!(keys(&text, "\"paired\":["), list("a b metric difference ci95"));
}

#[test]
fn the_eight_columns_add_up_to_offered() {
    let json = json_of(&Envelope::new("overload", 7, None, &summary(2, vec![])));
    for variant in json["variants"].as_array().unwrap() {
        let counts = &variant["counts"];
        let n = |name: &str| counts[name].as_u64().unwrap();
        let map = |name: &str| counts[name].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
        let plain = ["good", "late", "degraded", "timed_out", "gave_up", "in_flight"].map(n).iter().sum::<u64>();
        assert_eq!(plain + map("rejected") + map("failed"), n("offered"));
    }
}

#[test]
fn seeds_and_digests_are_texts() {
    let summary = summary(2, vec![]);
    let json = json_of(&Envelope::new("overload", u64::MAX, None, &summary));
    assert_eq!(json["seed"], json!("18446744073709551615"));
    assert_eq!(json["digest"].as_str().unwrap(), format!("{:016x}", summary.digest));
    assert_eq!(json["variants"][0]["digest"].as_str().unwrap().len(), 16);
    assert_eq!((&json["schema"], &json["replications"]), (&json!(SCHEMA), &json!(2)));
    assert_eq!(json["variants"][0]["label"], json!("saturated"));
}

#[test]
fn what_is_empty_is_null() {
    let context = Context { classes: vec!["only".into()], ..Context::default() };
    let idle = [tally(vec![class(0, 0, 1)], 1)];
    let json = json_of(&Envelope::new("idle", 1, None, &summarise(&[("idle", &idle)], &context)));
    let variant = &json["variants"][0];
    assert_eq!(variant["metrics"]["ttft_s"], json!({"mean": null, "p50": null, "p90": null, "p99": null}));
    assert_eq!(variant["metrics"]["goodput_fraction"], json!({"mean": null, "ci95": null}));
    assert_eq!(variant["metrics"]["goodput_rps"], json!({"mean": 0.0, "ci95": null}), "one replication has no interval");
    assert_eq!(variant["counts"]["rejected"], json!({}));
    let class = &variant["classes"]["only"];
    assert_eq!((&class["metrics"]["queue_len"], &class["counts"]["abandoned_true_max"]), (&Value::Null, &Value::Null));
    assert_eq!(variant["metrics"]["queue_len"], json!({"mean": 2.5, "ci95": null}));
    assert_eq!(variant["metrics"]["utilisation"], json!({"mean": 0.75}));
    assert_eq!(json["paired"], json!([]));
}

#[test]
fn load_and_recovery_are_added_where_there_are_any() {
    let at = |secs| Time::ZERO + Span::from_secs(secs);
    let load = LoadReport { capacity_rps: 52.5, of: "upstream".into(), clients: 256 };
    let spikes = vec![Spike { start: at(20), end: at(30) }];
    let json = json_of(&Envelope::new("storm", 7, Some(load), &summary(2, spikes)));
    assert_eq!(json["load"], json!({"capacity_rps": 52.5, "of": "upstream", "clients": 256}));
    let recovery = &json["variants"][0]["recovery_s"][0];
    assert_eq!((&recovery["spike_end_s"], &recovery["recovered"]), (&json!(30.0), &json!(2)));
}

#[test]
fn a_command_puts_its_own_part_beside_it() {
    #[derive(Serialize)]
    struct Tuned {
        #[serde(flatten)]
        envelope: Envelope,
        tune: Vec<u32>,
    }
    let tuned = Tuned { envelope: Envelope::new("overload", 7, None, &summary(2, vec![])), tune: vec![1] };
    let text = serde_json::to_string(&tuned).unwrap();
    assert_eq!(keys(&text, "").last().unwrap(), "tune");
    assert!(text.starts_with(&tuned.envelope.to_json()[..200]));
}

#[test]
fn golden_files_keep_nine_digits_and_whole_counts() {
    let envelope = Envelope::new("overload", 7, None, &summary(3, vec![]));
    let golden: Value = serde_json::from_str(&envelope.golden()).unwrap();
    let exact = json_of(&envelope);
    let mean = |json: &Value| json["variants"][0]["metrics"]["ttft_s"]["mean"].as_f64().unwrap();
    assert_eq!(mean(&golden).to_bits(), significant(mean(&exact), 9).to_bits());
    assert_ne!(mean(&golden).to_bits(), mean(&exact).to_bits());
    assert_eq!(golden["variants"][0]["counts"], exact["variants"][0]["counts"]);
}
