//! `plimsoll replay`: a log under other settings, what is bad about logs, and journals decided again.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::{plimsoll, told};

/// One server at a time, a second each; good within 4 s.
const WORLD: &str = "schema = 1\n[upstream]\nkind = 'station'\nservers = 1\nservice = { dist = 'fixed', value = '1s' }\n\
    [arrival]\nprocess = 'poisson'\nrate = 1\n[[class]]\nname = 'chat'\nslo = { e2e = '4s' }\ntimeout = { total = '6s' }\n";
const MAP: &str = "arrival=time:s,input=in,output=out,status=status,end=end:s,class=class,attempt=try";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("world.toml"), WORLD).unwrap();
        fs::write(
            folder.path().join("short.toml"),
            "[queue]\nmax_queue_size = 2\n[concurrency]\nmax_concurrent_requests = 1\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("long.toml"),
            "[policy.queue]\nmax_queue_size = 90\n[policy.concurrency]\nmax_concurrent_requests = 1\n",
        )
        .unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn replay(&self, log: &str, more: &[&str]) -> Output {
        let world = self.path("world.toml");
        plimsoll(&[&["replay", log, "--scenario", &world, "--quiet"], more].concat())
    }
}

/// Bunches of ten each half minute: a second each is too much for patience. One in five is said to have been refused.
fn bunches() -> String {
    let mut text = "time,in,out,status,end,class,try\n".to_owned();
    for i in 0..120 {
        let at = 1_715_299_200 + i / 10 * 30;
        let status = if i % 5 == 0 { 429 } else { 200 };
        let _ = writeln!(text, "{at},10,10,{status},{},chat,1", at + 2);
    }
    text
}

const WALL: &str = "arrival=time:unix_s,input=in,output=out,status=status,end=end:unix_s,class=class,attempt=try";

#[test]
fn policies_meet_the_same_requests_beside_what_was_recorded() {
    let place = Place::new();
    let log = place.file("tuesday.csv", bunches());
    let (short, roomy, out) = (place.path("short.toml"), place.path("long.toml"), place.path("out"));
    let output = place
        .replay(&log, &["--map", WALL, "--fold", "off", "--no-spread", "--policy", &short, "--policy", &roomy, "--out", &out]);
    let text = told(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    for said in ["does best", "120 requests replayed", "2024-05-10 00:00:00 UTC", "Recorded: 80.0 %", "recorded", "rejected"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let json: Value = serde_json::from_str(&fs::read_to_string(Path::new(&out).join("result.json")).unwrap()).unwrap();
    let replay = &json["replay"];
    assert_eq!(replay["log"]["accounts"]["rows"], 120);
    assert_eq!(
        (&replay["recorded"]["counts"]["good"], &replay["recorded"]["counts"]["rejected"]),
        (&Value::from(96), &Value::from(24))
    );
    let offered: Vec<&Value> =
        json["variants"].as_array().unwrap().iter().map(|variant| &variant["counts"]["offered"]).collect();
    assert_eq!(offered, [120, 120]);
    let windows = replay["windows"].as_array().unwrap();
    assert!((1..=5).contains(&windows.len()) && windows[0]["differs_by"].as_u64() > Some(0), "{windows:?}");
    for file in ["report.html", "plots/recorded-time.svg", "plots/recorded-outcomes.png", "plots/recorded-latency.csv"] {
        assert!(Path::new(&out).join(file).exists(), "{file}");
    }
    let held = place.replay(&log, &["--map", WALL, "--no-spread", "--policy", &short, "--assert", "goodput_fraction>=1"]);
    assert_eq!(held.status.code(), Some(3));
}

#[test]
fn a_policy_alone_says_what_a_simulation_of_the_same_rows_says() {
    let place = Place::new();
    let log =
        place.file("rows.csv", "time,input_tokens,output_tokens,class\n0,1,1,chat\n0.5,1,1,chat\n0.7,1,1,chat\n9,1,1,chat\n");
    let scenario =
        place.file("recorded.toml", WORLD.replace("process = 'poisson'\nrate = 1", "process = 'recorded'\nfile = 'rows.csv'"));
    let run = ["--set", "run.duration='9.001s'", "--replications", "1", "--format", "json", "--quiet"];
    let simulated: Value = serde_json::from_slice(&plimsoll(&[&["simulate", &scenario][..], &run].concat()).stdout).unwrap();
    let replayed: Value = serde_json::from_slice(&place.replay(&log, &["--format", "json"]).stdout).unwrap();
    assert_eq!(simulated["digest"], replayed["digest"], "streamed or in memory, it is the same run");
    let threads = place.replay(&log, &["--format", "json", "--jobs", "2"]);
    assert_eq!(serde_json::from_slice::<Value>(&threads.stdout).unwrap(), replayed);
}

#[test]
fn without_a_scenario_a_preset_serves_and_is_named() {
    let place = Place::new();
    let log = place.file(
        "azure.csv",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,480,10\n2023-11-16 18:17:04.0,20,5\n",
    );
    let output = plimsoll(&["replay", &log, "--quiet"]);
    let text = told(&output.stdout).replace("\n  ", " ");
    for said in [
        "llama-3.1-8b-h100, which is not calibrated",
        "Nothing in this world is drawn",
        "does not say what became of its requests",
        "2023-11-16 18:17:03 UTC",
        "good means complete",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn rows_that_are_tries_are_requests_only_where_clients_are_as_logged() {
    let place = Place::new();
    let rows =
        "time,in,out,status,end,class,session\n0,5,5,429,1,chat,a\n2,5,5,200,4,chat,a\n5,,,429,6,chat,b\n8,5,5,200,9,chat,c\n";
    let log = place.file("tries.csv", rows);
    let map = MAP.replace("attempt=try", "session=session");
    let json = |more: &[&str]| -> Value {
        let output = place.replay(&log, &[&["--map", &map, "--format", "json"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let counted = |clients: &str| -> (u64, u64, u64) {
        let json = json(&["--clients", clients]);
        let accounts = &json["replay"]["log"]["accounts"];
        let number = |value: &Value| value.as_u64().unwrap();
        assert_eq!(number(&accounts["rows"]), 4);
        (
            number(&json["replay"]["log"]["replayed"]),
            number(&accounts["dropped"]["folded"]),
            number(&accounts["imputed"]["requests"]),
        )
    };
    assert_eq!((counted("world"), counted("as-logged")), ((3, 1, 1), (4, 0, 1)));
    assert_eq!(json(&["--impute", "drop"])["replay"]["log"]["replayed"], 2);
    assert_eq!(json(&["--window", "4s.."])["replay"]["log"]["replayed"], 2);
}

#[test]
fn classes_of_the_log_must_be_known_or_put_into_one() {
    let place = Place::new();
    let log = place.file("other.csv", "time,input_tokens,output_tokens,class\n0,1,1,batch\n1,1,1,chat\n");
    let refused = place.replay(&log, &[]);
    assert_eq!(refused.status.code(), Some(2));
    let said = told(&refused.stderr);
    assert!(said.contains("class `batch`") && said.contains("chat") && said.contains("--class NAME"), "{said}");
    let all = place.replay(&log, &["--class", "chat"]);
    assert_eq!(all.status.code(), Some(0));
    assert!(told(&all.stdout).contains("All rows are of class \"chat\""));
    assert!(told(&place.replay(&log, &["--class", "x"]).stderr).contains("no class `x`; it has: chat"));
}

/// What is wrong with a log as a whole is an error; what is wrong with a row leaves the row out, counted and with its reason.
#[test]
fn bad_logs() {
    let place = Place::new();
    let head = "time,input_tokens,output_tokens\n";
    let good = "0,1,1\n1,1,1\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(format!("{head}{}", good.repeat(20_000)).as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for (name, bytes, says) in [
        ("cut.csv.gz", &gzip[..gzip.len() / 2], "the file is cut off"),
        ("empty.csv", &b""[..], "empty.csv: the file has no row"),
        ("head.csv", head.as_bytes(), "no row"),
        ("prose.txt", b"dear reader\nhow are you\n", "no format known here"),
        ("nothing.csv", b"time,input_tokens,output_tokens\nx,1,1\ny,1,1\n", "no request that could be replayed"),
    ] {
        let log = place.file(name, bytes);
        let output = place.replay(&log, &[]);
        let said = told(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
    }
    let folder = place.0.path().display().to_string();
    let other = place.file("other.csv", format!("{head}{good}"));
    let refused = |log: &str, more: &[&str]| {
        let output = place.replay(log, more);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{more:?}");
        told(&output.stderr)
    };
    assert!(refused(&folder, &[]).contains("name a file, or a folder or archive of ServeGen's"), "a folder");
    assert!(refused(&other, &["--log-format", "mooncake"]).contains("other.csv: not mooncake: there is no `timestamp` among"));
    assert_eq!(place.replay(&other, &["--log-format", "nonsense"]).status.code(), Some(2));
    assert_eq!(place.replay(&other, &["--policy", &place.path("nowhere.toml")]).status.code(), Some(2));
    assert_eq!(place.replay(&other, &["--policy", &place.path("world.toml")]).status.code(), Some(2));
    assert_eq!(plimsoll(&["replay"]).status.code(), Some(2));

    let long = format!("3,{},1\n", "1".repeat(17 << 20));
    for (rows, kept, lost) in [
        ("\u{feff}".to_owned() + head + "0,1,1\r\n1,1,1\n2,1,1\r\n", 3, 0),
        (format!("{head}0,NaN,1\n1,-5,1\n2,1,1\n"), 1, 2),
        (format!("{head}0,1,1\n40000000,1,1\n2,1,1\n"), 2, 1),
        (format!("{head}0,1,1\n{long}4,1,1\n"), 2, 1),
        ("time,input_tokens,output_tokens,request\n0,1,1,a\n1,1,1,b\n1.5,1,1,a\n".to_owned(), 2, 1),
        ("time,input_tokens,output_tokens,class\n0,1,1,\"chat\"\n1,1,1,\"two\nlines\"\n".to_owned(), 2, 0),
    ] {
        let file = place.file("rows.csv", &rows);
        let output = place.replay(&file, &["--format", "json", "--class", "chat"]);
        let shown: String = rows.chars().take(80).collect();
        assert_eq!(output.status.code(), Some(0), "{shown}: {}", told(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let read = &json["replay"]["log"];
        let accounts = &read["accounts"];
        let dropped: u64 = accounts["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!((read["replayed"].as_u64(), dropped), (Some(kept), lost), "{shown}");
        assert_eq!(accounts["rows"].as_u64(), Some(kept + lost), "{shown}");
    }
}

/// A log's own 503 was turned away, its 500 broke, its 400 was wrong: three fates, of which one is a refusal.
#[test]
fn refused_and_failed_are_not_the_same() {
    let place = Place::new();
    let statuses = ["200", "429", "503", "529", "500", "502", "400", "504", "499", "0"];
    let rows: Vec<String> = (0..50).map(|i| format!("{i},5,5,{},{},chat", statuses[i % 10], i + 1)).collect();
    let log = place.file("fates.csv", format!("time,in,out,status,end,class\n{}\n", rows.join("\n")));
    let map = MAP.replace(",attempt=try", "");
    let output = place.replay(&log, &["--map", &map, "--format", "json", "--fold", "off"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &json["replay"]["recorded"]["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap_or_else(|| panic!("{name}: {counts}"));
    assert_eq!((count("good"), count("rejected"), count("failed")), (5, 15, 20));
    assert_eq!((count("timed_out"), count("gave_up")), (5, 5));
    assert_eq!(json["replay"]["log"]["accounts"]["censored"]["rejected"], 15);
}

#[test]
fn the_seed_is_the_scenarios_unless_another_is_named() {
    let place = Place::new();
    let log = place.file("rows.csv", "time,input_tokens,output_tokens\n0,1,1\n1,1,1\n");
    let seed = |more: &[&str]| -> Value {
        let output = place.replay(&log, &[&["--format", "json"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["seed"].clone()
    };
    assert_eq!(
        (seed(&[]), seed(&["--set", "run.seed=7"]), seed(&["--set", "run.seed=7", "--seed", "9"])),
        ("1".into(), "7".into(), "9".into())
    );
    // It also draws what the log does not say.
    let log = place.file(
        "drawn.csv",
        (0..400).fold("time,in,out,status,end\n".to_owned(), |text, i| {
            let out = if i % 2 == 0 { String::new() } else { (i % 37 + 1).to_string() };
            text + &format!("{i},{},{out},{},{i}\n", i % 91 + 1, if i % 2 == 0 { 429 } else { 200 })
        }),
    );
    let map = "arrival=time:s,input=in,output=out,status=status,end=end:s";
    let drawn = |more: &[&str]| {
        let output = place.replay(&log, &[&["--map", map, "--format", "json"], more].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        json["replay"]["log"]["accounts"]["imputed"]["output_tokens"].as_u64().unwrap()
    };
    assert_eq!(drawn(&["--set", "run.seed=7"]), drawn(&["--seed", "7"]));
    assert_ne!(drawn(&["--set", "run.seed=7"]), drawn(&[]));
}

#[test]
fn a_recording_in_a_scenario_says_what_does_not_arrive() {
    let place = Place::new();
    place.file("rows.csv", "time,input_tokens,output_tokens,status\n0,1,1,200\n1,1,,429\n2,,,429\n3,1,1,200\n4,0,1,200\n");
    let recorded = WORLD.replace("process = 'poisson'\nrate = 1", "process = 'recorded'\nfile = 'rows.csv'");
    let scenario = place.file("recorded.toml", recorded);
    let output = plimsoll(&["simulate", &scenario, "--set", "run.duration='9s'", "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let said = told(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("rows.csv: 3 of 5 recorded requests are left out"), "{said}");
    assert!(said.contains("(no prompt or answer length: 2, prompt of 0 tokens: 1)"), "{said}");
}

#[test]
fn a_journal_is_decided_again_and_a_changed_line_is_named() {
    let place = Place::new();
    let journal = place.path("run.jsonl");
    let world = place.path("world.toml");
    let set = ["--set", "run.duration='20s'", "--replications", "1", "--quiet"];
    assert_eq!(plimsoll(&[&["simulate", &world, "--journal", &journal][..], &set].concat()).status.code(), Some(0));
    let whole = plimsoll(&["replay", "--verify", &journal]);
    assert_eq!(whole.status.code(), Some(0), "{}", told(&whole.stderr));
    assert!(told(&whole.stdout).contains("come out the same"));
    let text = fs::read_to_string(&journal).unwrap();
    let (number, line) = text.lines().enumerate().find(|(_, line)| line.contains("\"out\":{\"start\"")).unwrap();
    let changed = line.replace("\"max_tokens\":16384", "\"max_tokens\":16385");
    assert_ne!(line, changed);
    fs::write(&journal, text.replacen(line, &changed, 1)).unwrap();
    let found = plimsoll(&["replay", "--verify", &journal]);
    assert_eq!(found.status.code(), Some(4));
    let said = told(&found.stderr);
    for part in
        [format!("run.jsonl:{}:", number + 1), "check does not hold".to_owned(), "16385".to_owned(), "decided:".to_owned()]
    {
        assert!(said.contains(&part), "{part}: {said}");
    }
    assert_eq!(plimsoll(&["replay", "--verify", &place.path("no.jsonl")]).status.code(), Some(2));
}
