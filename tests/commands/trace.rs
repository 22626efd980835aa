//! `trace stats|convert|slice`: logs looked at, rewritten and cut, by whoever has one.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{plimsoll, told};

/// Exit code, standard output and standard error.
fn trace(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = plimsoll(&[&["trace"], arguments, &["--quiet"]].concat());
    (output.status.code(), told(&output.stdout), told(&output.stderr))
}

/// What `--format json` says.
fn figures(arguments: &[&str]) -> Value {
    let (code, out, err) = trace(&[arguments, &["--format", "json"]].concat());
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A public trace beside the project, if it is there.
fn public(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traces").join(name);
    // Work trees may stand one folder deeper.
    let deeper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces").join(name);
    let found = [path, deeper].into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("skipped: there is no shared/traces/{name}");
    }
    found.map(|path| path.display().to_string())
}

/// A gateway's log: a limiter refuses every third request, whose client tries again; the last row was written early.
fn limited(folder: &Path) -> String {
    let mut text = "ts,input,output,status,team,session\n".to_owned();
    for n in 0..300_u32 {
        let (at, team, input) = (n * 250, n % 5, 100 + n);
        if n % 3 == 0 {
            writeln!(text, "{at},{input},,429,team{team},s{n}").unwrap();
            writeln!(text, "{},{input},{},200,team{team},s{n}", at + 2_000, 20 + n).unwrap();
        } else {
            writeln!(text, "{at},{input},{},200,team{team},s{n}", 20 + n).unwrap();
        }
    }
    text += "100000,100,,429,team9,t1\n10,-5,7,200,team1,t2\n";
    file(folder, "limited.csv", &text)
}

const MAP: &str = "arrival=ts:ms,input=input,output=output,status=status,tenant=team,session=session";

#[test]
fn figures_say_what_became_of_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path());
    let found = figures(&["stats", &log, "--map", MAP]);
    let accounts = &found["accounts"];
    assert_eq!(accounts["rows"], 402);
    let dropped = accounts["dropped"].as_object().unwrap();
    let lost: u64 = dropped.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(lost + accounts["emitted"].as_u64().unwrap(), 402, "{accounts}");
    assert_eq!((&dropped["bad_tokens"], &dropped["folded"]), (&1.into(), &100.into()));
    assert_eq!(accounts["folded_by"]["session"], 100);
    assert_eq!(accounts["censored"]["rejected"], 101);
    // The one that nobody tried again has no answer, and gets one.
    assert_eq!((&accounts["imputed"]["requests"], &accounts["imputed"]["rule"]), (&1.into(), &"draw".into()));
    assert_eq!((&found["requests"], &found["tenants"]), (&301.into(), &6.into()));
    let (code, text, _) = trace(&["stats", &log, "--map", MAP]);
    assert_eq!(code, Some(0));
    for part in [
        "402 rows read = 301 requests + 101 left out",
        "folded by request id: 0, by session: 100",
        "censored: 101 of 401 records failed (101 refused)",
        "imputed by draw: lengths of 1 requests",
        "peak over 60 s",
        "index of dispersion",
        "team0",
        "statuses",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn plots_stand_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (limited(folder.path()), folder.path().join("out"));
    let (code, text, err) = trace(&["stats", &log, "--map", MAP, "--out", out.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    for name in ["result.json", "result.txt", "plots/arrivals.svg", "plots/arrivals.png", "plots/lengths.csv"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    assert!(text.contains("Plots in") && text.contains("arrivals, lengths"), "{text}");
    let csv = fs::read_to_string(out.join("plots/arrivals.csv")).unwrap();
    let arrivals: f64 = csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<f64>().unwrap()).sum();
    assert!((arrivals - 301.0).abs() < 1e-6, "bins of a second hold every request: {arrivals}");
}

#[test]
fn the_table_keeps_everything_and_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (one, two) = (path("one.csv"), path("two.csv.zst"));
    let (code, text, err) = trace(&["convert", &log, &one, "--map", MAP]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(text.contains("301 requests as csv") && !text.contains("imputed"), "unknown lengths stay unknown: {text}");
    let (code, text, err) = trace(&["convert", &one, &two, "--fold", "off"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(text.contains("plimsoll, recognised by the columns arrival_ns, input_tokens"), "{text}");
    let mut back = String::new();
    zstd::Decoder::new(fs::File::open(&two).unwrap()).unwrap().read_to_string(&mut back).unwrap();
    assert_eq!(back, fs::read_to_string(&one).unwrap());
}

#[test]
fn mooncakes_lines_are_what_others_fire() {
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path());
    let out = folder.path().join("out.jsonl");
    let (code, _, err) = trace(&["convert", &log, out.to_str().unwrap(), "--map", MAP]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let text = fs::read_to_string(&out).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 301);
    assert!(lines.is_sorted_by_key(|line| line["timestamp"].as_f64().map(f64::to_bits)));
    assert!(lines.iter().all(|line| line["input_length"].as_u64() > Some(0) && line["output_length"].as_u64() > Some(0)));
    let (code, text, _) = trace(&["stats", out.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(text.contains("mooncake, recognised by the keys"), "{text}");
}

#[test]
fn a_part_has_the_rows_of_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_owned();
    for n in 0..600 {
        writeln!(text, "2024-05-10 00:{:02}:{:02}.000000+00:00,10,20", n / 60, n % 60).unwrap();
    }
    let log = file(folder.path(), "azure.csv", &text);
    let out = folder.path().join("part.csv");
    let slice = |window: &str, more: &[&str]| {
        let (code, _, err) = trace(&[&["slice", &log, out.to_str().unwrap(), "--window", window], more].concat());
        assert_eq!(code, Some(0), "{err}");
        fs::read_to_string(&out).unwrap().lines().count() - 1
    };
    assert_eq!(slice("1m..3m", &[]), 120);
    assert_eq!(slice("2024-05-10T00:09:00Z..", &[]), 60);
    assert_eq!(slice("..1m", &["--repeat", "3"]), 180);
    let doubled = slice("1m..3m", &["--rate-scale", "2"]);
    assert_eq!(doubled, 240);
    let (code, _, err) = trace(&["slice", &log, out.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--window 10m..20m"), "{err}");
    let (code, _, err) = trace(&["slice", &log, out.to_str().unwrap(), "--window", "2h.."]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no request is left to write") && err.contains("600: outside the window"), "{err}");
}

/// The same id twice is one request; after a failure it is another try; ten minutes later it is another request.
#[test]
fn an_id_that_comes_twice_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "0,1,1,a,200\n1,1,1,a,200\n2,1,,b,429\n3,1,1,b,200\n700,1,1,a,200\n701,1,1,,200\n702,1,1,,200\n";
    let log = file(folder.path(), "ids.csv", &format!("time,input_tokens,output_tokens,request,status\n{rows}"));
    let accounts = &figures(&["stats", &log])["accounts"];
    let dropped = &accounts["dropped"];
    assert_eq!((&accounts["rows"], &accounts["emitted"]), (&7.into(), &5.into()));
    assert_eq!(
        (&dropped["duplicate"], &dropped["folded"], &accounts["folded_by"]["request"]),
        (&1.into(), &1.into(), &1.into())
    );
    let (_, text, _) = trace(&["stats", &log]);
    assert!(text.contains("left out 1: of an id that came before"), "{text}");
}

/// A tenant whose prompts are all alike, a fifth of them refused: none is swallowed, and the doubt is told.
#[test]
fn what_cannot_be_told_from_a_retry_is_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: u32| {
        format!("{},100,{},team,{}\n", i * 250, if i % 5 == 3 { "" } else { "20" }, if i % 5 == 3 { 429 } else { 200 })
    };
    let log =
        file(folder.path(), "alike.csv", &("ts,in,out,team,status\n".to_owned() + &(0..500).map(row).collect::<String>()));
    let map = "arrival=ts:ms,input=in,output=out,status=status,tenant=team";
    let found = figures(&["stats", &log, "--map", map]);
    assert_eq!((&found["requests"], &found["accounts"]["fold_undecided"]), (&500.into(), &100.into()));
    let (_, text, _) = trace(&["stats", &log, "--map", map]);
    assert!(text.contains("not folded: 100 rows (20.0 %)"), "{text}");
}

#[test]
fn the_same_seed_writes_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path());
    let write = |name: &str, seed: &str| {
        let out: PathBuf = folder.path().join(name);
        let scaled = ["--rate-scale", "1.5", "--time-scale", "0.5", "--seed", seed];
        let (code, _, err) = trace(&[&["convert", &log, out.to_str().unwrap(), "--map", MAP], &scaled[..]].concat());
        assert_eq!(code, Some(0), "{err}");
        fs::read_to_string(out).unwrap()
    };
    let (one, two, three) = (write("1.jsonl", "1"), write("2.jsonl", "1"), write("3.jsonl", "2"));
    assert!(one == two && one != three);
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path());
    let out = folder.path().join("out.csv");
    let out = out.to_str().unwrap();
    let uvicorn = file(folder.path(), "access.log", "INFO:     127.0.0.1:5 - \"POST /v1/completions HTTP/1.1\" 200 OK\n");
    for (arguments, part) in [
        (&["convert", &log, out][..], "a map says what has other names"),
        (&["convert", &log, out, "--map", "arival=ts"], "did you mean `arrival`?"),
        (&["convert", &log, out, "--preset", "apache"], "the presets are: nginx, langfuse, helicone"),
        (&["convert", &log, out, "--log-format", "azure"], "the formats are: auto, csv"),
        (&["convert", &log, out, "--map", MAP, "--rate-scale", "0"], "a factor from 0.001 to 1000"),
        (&["convert", &log, out, "--map", MAP, "--rate-scale", "NaN"], "a factor from 0.001 to 1000"),
        (&["convert", &log, out, "--map", MAP, "--impute", "mean"], "they are: draw, class-median, drop, keep"),
        (&["convert", &log, out, "--map", MAP, "--fold", "5"], "is not a duration"),
        (&["convert", &log, out, "--map", MAP, "--window", "5"], "write FROM..TO"),
        (&["convert", &log, out, "--map", MAP, "--window", "2024-05-10T00:00:00Z.."], "does not say when it was taken"),
        (&["convert", &log, out, "--map", MAP, "--to", "parquet"], "it can be as: csv, mooncake"),
        (&["convert", &log, "x.parquet", "--map", MAP], "end it in .csv or .jsonl"),
        (&["convert", &log, "x.jsonl", "--map", MAP, "--impute", "keep"], "has no place for unknown lengths"),
        (&["convert", &log, &log, "--map", MAP], "would be written over"),
        (&["convert", "nowhere.csv", out], "nowhere.csv"),
        (&["convert", &log, "/nowhere/out.csv", "--map", MAP], "make its folder first"),
        (&["stats", &uvicorn], "it has no times and no tokens"),
    ] {
        let (code, text, err) = trace(arguments);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["access.log", "limited.csv"]);
}

#[test]
fn a_log_that_is_cut_off_is_not_written_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read(limited(folder.path())).unwrap();
    let mut packed = zstd::encode_all(&text[..], 3).unwrap();
    packed.truncate(packed.len() / 2);
    let log = folder.path().join("cut.csv.zst");
    fs::write(&log, packed).unwrap();
    let out = folder.path().join("out.csv");
    let (code, _, err) = trace(&["convert", log.to_str().unwrap(), out.to_str().unwrap(), "--map", MAP]);
    assert_eq!(code, Some(2), "{err}");
    assert!(!out.exists() && !folder.path().join("out.csv.partial").exists());
}

#[test]
fn azures_trace_of_2023_is_as_bursty_as_it_is_known_to_be() {
    let Some(log) = public("azure2023/AzureLLMInferenceTrace_code.csv") else { return };
    let found = figures(&["stats", &log]);
    assert_eq!((&found["format"], &found["requests"]), (&"azure-2023".into(), &8_819.into()));
    let cv = found["interarrival_cv"].as_f64().unwrap();
    assert!((12.0..14.0).contains(&cv), "{cv}");
    let minute = found["peaks"][2]["requests"].as_u64().unwrap();
    assert!((500..=1_000).contains(&minute), "{minute}");
    assert!(found["accounts"]["spread"].is_null());
}

#[test]
fn mooncakes_grid_is_found_spread_and_said_aloud() {
    let Some(log) = public("mooncake/conversation_trace.jsonl.gz") else { return };
    let found = figures(&["stats", &log]);
    assert_eq!((&found["accounts"]["rows"], &found["requests"]), (&12_031.into(), &12_031.into()));
    let spread = &found["accounts"]["spread"];
    assert!((spread["step_s"].as_f64().unwrap() - 3.0).abs() < 0.002, "{spread}");
    assert!(spread["moved"].as_u64().unwrap() > 12_000, "{spread}");
    let (_, text, _) = trace(&["stats", &log]);
    assert!(text.contains("arrivals sit on a grid of") && text.contains("were spread inside their tick, by seed"), "{text}");
    let raw = figures(&["stats", &log, "--no-spread"]);
    let (cv, raw_cv) = (found["interarrival_cv"].as_f64().unwrap(), raw["interarrival_cv"].as_f64().unwrap());
    assert!(cv < 1.3 && raw_cv > 2.5, "{cv} and {raw_cv}");
}
