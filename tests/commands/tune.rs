//! `tune`: what it finds, writes and resumes, and what it says of bad questions.

use std::fs;
use std::path::Path;

use super::{plimsoll, told};

/// A server at 150 % load whose clients want an answer within 4 s, with a queue that is far too long for that.
pub const QUEUE: &str = "# Ours.
schema = 1
[run]
duration = '120s'
drain = '60s'
[upstream]
kind = 'station'
servers = 1
service = { dist = 'exponential', mean = '1s' }
[[class]]
name = 'all'
slo = { e2e = '4s' }
arrival = { process = 'poisson', rate = 1.5 }
[policy.concurrency]
max_concurrent_requests = 1
[policy.queue]
max_queue_size = 50 # too many
queue_rejection_threshold = 1.0
[tune]
objective = 'goodput_rps'
candidates = 12
simulations = 200
[[tune.parameter]]
path = 'policy.queue.max_queue_size'
range = [1, 64]
scale = 'log'
";

fn tune(folder: &Path, more: &[&str]) -> std::process::Output {
    let (scenario, out) = (folder.join("q.toml"), folder.join("run"));
    let common = ["tune", scenario.to_str().unwrap(), "--out", out.to_str().unwrap(), "--quiet", "--around", "3"];
    plimsoll(&[&common[..], more].concat())
}

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("q.toml"), text).unwrap();
    folder
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join("run").join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

#[test]
fn it_recommends_a_short_queue_and_writes_what_can_be_deployed() {
    let folder = folder(QUEUE);
    let output = tune(folder.path(), &["--write"]);
    let text = told(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    assert!(text.starts_with("Set policy.queue.max_queue_size = "), "{text}");
    assert_eq!(told(&output.stderr), "", "`--quiet` is quiet");
    let env = read(folder.path(), "settings.env");
    assert!(env.starts_with("# NOT the recommended settings: "), "{env}");
    assert!(env.contains("has no queue") && env.contains("#   queue: an environment file cannot say it"), "{env}");
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let recommended = json["tune"]["recommended"][0].as_str().unwrap().split_once('=').unwrap().1;
    assert!((1..=5).contains(&recommended.parse::<u32>().unwrap()), "{recommended}");
    let gain = &json["tune"]["outcome"]["confirmation"]["gain"][0]["interval"];
    assert!(gain["lo"].as_f64().unwrap() > 0.1, "{gain}");
    assert!(read(folder.path(), "settings.toml").contains(&format!("max_queue_size = {recommended}")));
    assert!(read(folder.path(), "settings.flags").contains(&format!("--max_queue_size {recommended}")));
    let written = fs::read_to_string(folder.path().join("q.toml")).unwrap();
    assert_eq!(written, QUEUE.replace("= 50 #", &format!("= {recommended} #")), "comments stay");
    assert!(text.starts_with(&read(folder.path(), "result.txt")), "the file holds what was printed");
}

#[test]
fn an_interrupted_search_ends_with_the_same_bytes() {
    let folder = folder(QUEUE);
    let run = folder.path().join("run");
    let all = || ["result.json", "result.txt", "observations.jsonl", "settings.toml"].map(|name| read(folder.path(), name));
    assert_eq!(tune(folder.path(), &["--jobs", "1"]).status.code(), Some(0));
    let whole = all();
    fs::remove_dir_all(&run).unwrap();
    assert_eq!(tune(folder.path(), &["--jobs", "3"]).status.code(), Some(0));
    assert!(all() == whole, "the number of threads changes no byte");
    // As after a kill: half of the observations, the last of them cut short, and no result.
    fs::write(run.join("observations.jsonl"), &whole[2][..whole[2].len() / 2]).unwrap();
    for name in ["result.json", "result.txt"] {
        fs::remove_file(run.join(name)).unwrap();
    }
    assert_eq!(tune(folder.path(), &[]).status.code(), Some(0));
    assert!(all() == whole, "what was torn is run again, and nothing else differs");
}

#[test]
fn bad_questions_are_told_before_anything_is_searched() {
    let refused = |from: &str, to: &str, more: &[&str]| {
        let folder = folder(&QUEUE.replace(from, to));
        let output = tune(folder.path(), more);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{}", told(&output.stderr));
        assert!(!folder.path().join("run/result.json").exists());
        told(&output.stderr)
    };
    let none = refused(
        "[tune]\nobjective = 'goodput_rps'\ncandidates = 12\nsimulations = 200\n[[tune.parameter]]\npath = 'policy.queue.max_queue_size'\nrange = [1, 64]\nscale = 'log'\n",
        "",
        &[],
    );
    assert!(none.contains("has no [tune] section") && none.contains("[[tune.parameter]]"), "{none}");
    let absent = refused("policy.queue.max_queue_size", "policy.queue.max_queue_sizes", &[]);
    assert!(absent.contains("max_queue_sizes") && absent.contains("did you mean"), "{absent}");
    let empty = refused("[1, 64]", "[64, 1]", &[]);
    assert!(empty.contains("q.toml:") && empty.contains("the range is empty"), "{empty}");
    assert!(refused("[1, 64]", "[0, 64]", &[]).contains("above 0"));
    assert!(refused("'goodput_rps'", "'good_rps'", &[]).contains("there is no figure `good_rps`"));
    let never = refused("'goodput_rps'", "'p99_tpot_ms'", &[]);
    assert!(never.contains("no run of any candidate shows `p99_tpot_ms`"), "{never}");
    let poor = refused("simulations = 200", "simulations = 3", &[]);
    assert!(poor.contains("too small") && poor.contains("takes at least"), "{poor}");
    assert!(refused("", "", &["--robust", "capacity=0.8..1.2"]).contains("only a vLLM upstream has a speed"));
    assert!(refused("", "", &["--robust", "load"]).contains("load=0.7..1.5"));
}

#[test]
fn constraints_that_nobody_can_meet_name_who_comes_closest() {
    let folder = folder(&QUEUE.replace("candidates = 12", "candidates = 12\nconstraints = ['mean_e2e_s <= 0.5']"));
    let output = tune(folder.path(), &[]);
    let text = told(&output.stdout).replace("\n  ", " ");
    assert_eq!(output.status.code(), Some(3), "{}", told(&output.stderr));
    assert!(text.starts_with("No candidate that was tried holds the constraints. The closest of the "), "{text}");
    assert!(text.contains("`mean_e2e_s <= 0.5` is missed by"), "{text}");
    assert!(!text.contains("The time was over") && !text.contains("Cut short"), "{text}");
    assert!(!folder.path().join("run/settings.toml").exists());
}

#[test]
fn another_search_does_not_go_on_from_this_one() {
    let folder = folder(QUEUE);
    assert_eq!(tune(folder.path(), &[]).status.code(), Some(0));
    let output = tune(folder.path(), &["--seed", "2"]);
    assert_eq!(output.status.code(), Some(2));
    let said = told(&output.stderr);
    assert!(said.contains("holds the observations of another search") && said.contains("`--fresh`"), "{said}");
    let output = tune(folder.path(), &["--seed", "2", "--fresh"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    assert!(read(folder.path(), "result.json").contains("\"seed\":\"2\""));
}

#[test]
fn several_scenarios_count_and_one_is_held_out() {
    let folder = folder(QUEUE);
    for (name, rate) in [("evening.toml", "1.2"), ("night.toml", "1.8")] {
        fs::write(folder.path().join(name), QUEUE.replace("rate = 1.5", &format!("rate = {rate}"))).unwrap();
    }
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (evening, night) = (path("evening.toml"), path("night.toml"));
    let output = tune(folder.path(), &["--also", &evening, "--also", &night, "--hold-out", &night, "--simulations", "100"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let text = told(&output.stdout).replace("\n  ", " ");
    assert!(text.contains("goodput_rps in the worst of 2 futures is "), "{text}");
    assert!(text.contains("Over these 2 futures goodput_rps is "), "{text}");
    assert!(text.contains("It stays behind the best finalist of a future by at most "), "{text}");
    assert!(text.contains("by which nothing was chosen, goodput_rps is ") && text.contains("holds there"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let elsewhere = json["tune"]["elsewhere"].as_array().unwrap();
    let held: Vec<bool> = elsewhere.iter().map(|one| one["held_out"].as_bool().unwrap()).collect();
    assert_eq!(held, [false, false, true]);
    assert_eq!(elsewhere[2]["case"]["scene"], 2);
    let twice = tune(folder.path(), &["--also", &evening, "--also", &evening]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(told(&twice.stderr).contains("is there twice"), "{}", told(&twice.stderr));
    let unknown = tune(folder.path(), &["--also", &evening, "--hold-out", "monday"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told(&unknown.stderr).contains("`monday` cannot be held out"), "{}", told(&unknown.stderr));
}

#[test]
fn of_several_traces_the_last_is_held_out() {
    let recorded = QUEUE
        .replace("arrival = { process = 'poisson', rate = 1.5 }\n", "")
        .replace("[[class]]", "[arrival]\nprocess = 'recorded'\nfile = 'mon.csv'\n[[class]]")
        .replace("[tune]\n", "[tune]\ntraces = ['mon.csv', 'tue.csv']\n");
    let folder = folder(&recorded);
    for (name, every_ms) in [("mon.csv", 640), ("tue.csv", 560)] {
        // Bunches of three: a queue is of use.
        let at = |i: u32| f64::from(i / 3 * 3 * every_ms) / 1e3;
        let rows: Vec<String> = (0..150).map(|i| format!("{},1,1", at(i))).collect();
        fs::write(folder.path().join(name), format!("time,input_tokens,output_tokens\n{}\n", rows.join("\n"))).unwrap();
    }
    let output = tune(folder.path(), &["--simulations", "100", "--set", "run.duration='80s'"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    assert_eq!(json["tune"]["scenes"], serde_json::json!(["mon.csv", "tue.csv"]));
    let elsewhere = json["tune"]["elsewhere"].as_array().unwrap();
    let last = elsewhere.last().unwrap();
    assert_eq!((last["case"]["scene"].as_u64(), last["held_out"].as_bool()), (Some(1), Some(true)), "{elsewhere:?}");
    // A class with arrivals of its own has no place for a trace, and is told what to change.
    let apart = recorded.replace("slo = {", "arrival = { process = 'poisson', rate = 1 }\nslo = {");
    fs::write(folder.path().join("q.toml"), apart.replace("[arrival]\nprocess = 'recorded'\nfile = 'mon.csv'\n", "")).unwrap();
    let output = tune(folder.path(), &[]);
    let said = told(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("class `all` has an `arrival` of its own") && said.contains("[arrival]"), "{said}");
    assert!(said.contains("time,input_tokens,output_tokens,class"), "{said}");
    fs::write(folder.path().join("q.toml"), &recorded).unwrap();
    let own = tune(folder.path(), &["--trace", "nowhere.csv"]);
    assert_eq!(own.status.code(), Some(2));
    assert!(told(&own.stderr).contains("nowhere.csv"), "{}", told(&own.stderr));
}

#[test]
fn regret_is_measured_against_each_future_alone() {
    let folder = folder(QUEUE);
    let output = tune(folder.path(), &["--robust", "load=0.6..1.4,by=regret", "--simulations", "120"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let text = told(&output.stdout).replace("\n  ", " ");
    assert!(text.contains("goodput_rps less the best that each of 3 futures has alone, at worst, is "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let alone = json["tune"]["alone"].as_array().unwrap();
    let alone: Vec<f64> = alone.iter().map(|alone| alone["best"].as_f64().unwrap()).collect();
    assert_eq!(alone.len(), 3);
    // One server, a request a second: at 90 % load, 150 % and 210 %, the best goodput cannot be above 1 a second.
    assert!(alone.iter().all(|best| (0.3..1.0).contains(best)), "{alone:?}");
    let regret = json["tune"]["outcome"]["confirmation"]["objectives"][0]["mean"].as_f64().unwrap();
    assert!((-0.3..0.05).contains(&regret), "{regret}");
    // Each future tells its own best settings, and how far the choice is behind the best of all that were run there.
    assert_eq!(text.matches("best here alone, ").count(), 3, "{text}");
    for there in json["tune"]["elsewhere"].as_array().unwrap() {
        assert!(there["alone"]["objective"]["mean"].as_f64().unwrap() > 0.3, "{there}");
        assert!(
            there["regret"]["mean"].as_f64().unwrap() >= there["alone"]["ahead"]["mean"].as_f64().unwrap().max(0.0),
            "{there}"
        );
    }
}

#[cfg(unix)]
#[test]
#[allow(clippy::disallowed_methods)] // waits for another process
fn who_interrupts_is_told_where_to_go_on() {
    let folder = folder(QUEUE);
    let (scenario, out) = (folder.path().join("q.toml"), folder.path().join("run"));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["tune", scenario.to_str().unwrap(), "--out", out.to_str().unwrap(), "--set", "run.duration='20h'"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let observations = out.join("observations.jsonl");
    let begun = || fs::read_to_string(&observations).is_ok_and(|text| text.lines().count() > 3);
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = told(&output.stderr);
    assert!(said.contains("interrupted: what was seen so far is in") && said.contains("goes on from there"), "{said}");
    assert!(!out.join("result.json").exists());
}

/// The server above before a recording: nothing is drawn but, with `service`, how long an answer takes.
fn recording(service: &str) -> tempfile::TempDir {
    let recorded = QUEUE
        .replace("{ dist = 'exponential', mean = '1s' }", service)
        .replace("arrival = { process = 'poisson', rate = 1.5 }", "arrival = { process = 'recorded', file = 'mon.csv' }");
    let folder = folder(&recorded);
    let rows: Vec<String> = (0..180).map(|i| format!("{},1,1", f64::from(i / 5) * 3.3)).collect();
    fs::write(folder.path().join("mon.csv"), format!("time,input_tokens,output_tokens\n{}\n", rows.join("\n"))).unwrap();
    folder
}

/// Every `interval` and `ci95` in the result.
fn intervals(json: &serde_json::Value, found: &mut Vec<serde_json::Value>) {
    match json {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                if matches!(name.as_str(), "interval" | "ci95") && !value.is_null() {
                    found.push(value.clone());
                }
                intervals(value, found);
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|one| intervals(one, found)),
        _ => (),
    }
}

#[test]
fn a_recording_without_chance_has_no_intervals_and_says_why() {
    let folder = recording("{ dist = 'fixed', value = '1s' }");
    let output = tune(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let text = told(&output.stdout).replace("\n  ", " ");
    assert!(text.contains("A recording without chance: nothing in these runs is drawn, so one run says all"), "{text}");
    assert!(text.contains("(one run of each)") && !text.contains("paired") && !text.contains("95 %"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let mut found = Vec::new();
    intervals(&json, &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(json["tune"]["outcome"]["without_chance"], true);
    assert_eq!(json["replications"], 1);
    let observations = read(folder.path(), "observations.jsonl");
    assert!(observations.lines().skip(1).all(|line| line.contains("\"replication\":0,")), "each candidate ran once");
    let drawn = recording("{ dist = 'exponential', mean = '1s' }");
    let text = told(&tune(drawn.path(), &[]).stdout).replace("\n  ", " ");
    assert!(!text.contains("without chance") && text.contains("of the recording that it was chosen by"), "{text}");
}

#[test]
fn a_search_that_measures_nothing_fails_and_says_so() {
    let failed = |from: &str, to: &str| {
        let folder = folder(&QUEUE.replace(from, to));
        let output = tune(folder.path(), &[]);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{from} -> {to}");
        assert!(!folder.path().join("run/result.json").exists());
        told(&output.stderr)
    };
    let nobody = failed("rate = 1.5", "rate = 0.0000001");
    assert!(nobody.contains("no run of any candidate has a request in the time that is measured"), "{nobody}");
    let over = failed("[tune]\n", "[tune]\ntime = '0s'\n");
    assert!(over.contains("time"), "{over}");
    let never = failed("[tune]\n", "[tune]\nconstraints = ['p99_tpot_ms <= 5']\n");
    assert!(never.contains("no run of any candidate shows `p99_tpot_ms`, which a constraint is about"), "{never}");
}

#[test]
fn the_worst_of_a_rate_is_warned_of_and_figures_say_which_future_they_are_of() {
    let folder = folder(&QUEUE.replace("[tune]\n", "[tune]\nrobust = { load = [0.3, 1.4] }\n"));
    let output = tune(folder.path(), &["--simulations", "100"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let text = told(&output.stdout).replace("\n  ", " ");
    let warned = "goodput_rps is a rate: of futures of unlike load the quietest has the lowest ceiling";
    assert!(text.contains(warned) && text.contains("Take `goodput_fraction`, or `by = \"regret\"`"), "{text}");
    assert!(text.contains("are of one future alone: at 100 % of this load."), "{text}");
    assert!(text.contains("One simulation of the search is a run in each of 3 futures."), "{text}");
    let page = read(folder.path(), "report.html");
    assert!(page.contains("Both settings in one of the futures alone: at 100 % of this load."));
    assert!(page.contains("q, at 100 % of this load alone, seed 1"), "captions say it too");
    let scenario = folder.path().join("q.toml");
    let checked = told(&plimsoll(&["check", scenario.to_str().unwrap()]).stdout);
    assert!(checked.contains("warning[worst_of_a_rate]: tune.objective"), "{checked}");
    assert!(checked.contains("tune: successive halving of 12 candidates over 1 parameter, "), "{checked}");
    assert!(checked.contains("each a run in "), "{checked}");
}

#[test]
fn it_says_who_pays_and_what_all_of_it_cost() {
    let two = QUEUE.replace(
        "[policy.concurrency]",
        "[[class]]\nname = 'patient'\narrival = { process = 'poisson', rate = 0.3 }\n[policy.concurrency]",
    );
    let folder = folder(&two);
    let output = tune(folder.path(), &["--sensitivity", "8"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let text = told(&output.stdout).replace("\n  ", " ");
    assert!(
        text.contains("Who pays is patient. Good answers of each class's requests, change paired at 95 %: all gains "),
        "{text}"
    );
    for part in
        ["of screening", "around the choice", "for the Sobol indices", "in other futures", "of both settings beside each other"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let classes = json["tune"]["classes"].as_array().unwrap();
    let change = |k: usize| classes[k]["change"]["mean"].as_f64().unwrap();
    assert!(change(0) > 0.0 && change(1) < 0.0, "{classes:?}");
    assert!(json["tune"]["beside"]["sensitivity"]["runs"].as_u64().unwrap() > 0);
}

#[test]
fn settings_that_do_not_go_together_are_counted() {
    let graduated =
        QUEUE.replace("max_queue_size = 50 # too many", "max_queue_size = 50\ngraduated = { first = 10, last = 31 }").replace(
            "path = 'policy.queue.max_queue_size'\nrange = [1, 64]\nscale = 'log'\n",
            "path = 'policy.queue.graduated.first'\nrange = [1, 30]\n",
        ) + "[[tune.parameter]]\npath = 'policy.queue.graduated.last'\nrange = [16, 46]\n";
    let folder = folder(&graduated.replace("candidates = 12", "candidates = 24"));
    let output = tune(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let count = json["tune"]["refused"]["count"].as_u64().unwrap();
    assert!((1..12).contains(&count), "{count}");
    let text = told(&output.stdout).replace("\n  ", " ");
    assert!(text.contains(&format!("{count} of them refused because their settings do not go together")), "{text}");
}

/// Every key of `[tune]`, of its parameters, conditions and ranges, is in the reference, and nothing else is.
#[test]
fn the_reference_has_every_key_of_the_section() {
    let schema: serde_json::Value = serde_json::from_slice(&plimsoll(&["schema"]).stdout).unwrap();
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TUNING.md")).unwrap();
    let reference = guide.split("## Reference").nth(1).expect("a section `## Reference`").split("\n## ").next().unwrap();
    let mut told: Vec<&str> = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut keys: Vec<String> = Vec::new();
    for (of, prefix) in [
        ("TuneSettings", ""),
        ("RobustSettings", "robust."),
        ("TuneParameter", "parameter."),
        ("TuneCondition", "parameter.only_if."),
    ] {
        let properties = schema["$defs"][of]["properties"].as_object().unwrap_or_else(|| panic!("{of} in the schema"));
        keys.extend(properties.keys().map(|key| format!("{prefix}{key}")));
    }
    told.sort_unstable();
    keys.sort_unstable();
    assert_eq!(told, keys);
}

#[test]
fn todays_settings_are_looked_around_where_they_are_the_choice() {
    // Whatever may be chosen is far too long, and today's queue is short.
    let folder = folder(&QUEUE.replace("max_queue_size = 50", "max_queue_size = 3").replace("[1, 64]", "[20, 64]"));
    let output = tune(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: serde_json::Value = serde_json::from_str(&read(folder.path(), "result.json")).unwrap();
    let tune = &json["tune"];
    assert_eq!(tune["outcome"]["choice"], tune["outcome"]["baseline"]);
    assert_eq!(tune["centre"][0]["Integer"], 3, "{}", tune["centre"]);
    let sides = tune["tornado"][0]["sides"].as_array().unwrap();
    assert_eq!((sides.len(), &sides[0]["setting"]["Integer"]), (1, &serde_json::json!(20)));
    assert!(sides[0]["change"][0]["mean"].as_f64().unwrap() < -0.1, "{sides:?}");
    assert!(!tune["plateaus"].as_array().unwrap().is_empty());
    assert!(read(folder.path(), "plots/sensitivity.csv").contains("policy.queue.max_queue_size"));
}

#[cfg(unix)]
#[test]
#[allow(clippy::disallowed_methods)] // waits for another process
fn who_interrupts_a_long_run_is_not_kept_waiting() {
    use std::time::{Duration, Instant};

    let folder = folder(QUEUE);
    let (scenario, out) = (folder.path().join("q.toml"), folder.path().join("run"));
    // Each run alone takes far longer than the test may.
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["tune", scenario.to_str().unwrap(), "--out", out.to_str().unwrap(), "--quiet"])
        .args(["--set", "run.duration='100d'", "--set", "class[0].arrival.rate=100"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !out.join("observations.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output.stderr));
    assert!(asked.elapsed() < Duration::from_secs(5), "it went on for {:?}", asked.elapsed());
}
