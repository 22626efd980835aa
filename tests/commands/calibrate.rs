//! `calibrate` on measured runs of a real server, and what it says of bad questions.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};

use super::{plimsoll, told};

const RUNS: &str = "tests/fixtures/vllm_cpu/m20";
const FIT: &str = "cap16,cap8,d1,d8,d16,p1500,ctx16";
const SERVER: [&str; 8] =
    ["--num-gpu-blocks", "2048", "--block-size", "128", "--max-num-seqs", "16", "--max-num-batched-tokens", "1024"];

fn calibrate(logs: &[&str], more: &[&str]) -> std::process::Output {
    plimsoll(&[&["calibrate"], logs, &SERVER[..], &["--quiet"], more].concat())
}

fn run<'a>(json: &'a Value, name: &str) -> &'a Value {
    json["runs"].as_array().unwrap().iter().find(|run| run["run"] == name).unwrap()
}

fn error(run: &Value, figure: &str) -> f64 {
    run["figures"][figure]["error"].as_f64().unwrap()
}

/// Fitted on closed loops alone, held against open runs: the measure that this project set itself.
#[test]
fn a_real_servers_open_runs_are_predicted_from_its_closed_loops() {
    let more = ["--fit", FIT, "--hold-out", "open06,open09,open15_ttft8,open25_ttft4", "--format", "json"];
    let output = calibrate(&[RUNS], &more);
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["fitted"].as_array().unwrap().iter().all(|part| part["reading"] == "exact"), "{}", json["fitted"]);
    for name in ["open06", "open15_ttft8"] {
        let run = run(&json, name);
        assert_eq!(run["standing"], "tested", "{run}");
        assert!(error(run, "completed_share").abs() <= 0.05 && error(run, "wasted_prefill_share").abs() <= 0.05, "{run}");
        assert!(error(run, "completed_rps").abs() <= 0.05, "{run}");
        assert!(["ttft_p50_s", "ttft_p90_s"].iter().all(|figure| error(run, figure).abs() <= 0.15), "{run}");
        assert!(["e2e_p50_s", "e2e_p90_s"].iter().all(|figure| error(run, figure).abs() <= 0.10), "{run}");
    }
    let near = run(&json, "open09");
    assert_eq!(near["standing"], "near_critical", "{near}");
    assert!(near["amplification"].as_f64().unwrap() > 3.0, "{near}");
    for (figure, row) in near["figures"].as_object().unwrap() {
        let (measured, band) = (row["measured"].as_f64().unwrap(), &row["band"]);
        assert!(band["lo"].as_f64().unwrap() <= measured && measured <= band["hi"].as_f64().unwrap(), "{figure}: {row}");
    }
    assert_eq!(run(&json, "open25_ttft4")["standing"], "not_valid");
    assert_eq!(json["validated"], true, "{}", json["reason"]);
}

/// A calibration that fails on what was held out says so in its section, and so does every run on it.
#[test]
fn a_calibration_that_fails_marks_later_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let logs = [&format!("{RUNS}/d8.jsonl.zst")[..], &format!("{RUNS}/cap8.jsonl.zst")];
    let section = file("upstream.toml");
    // Of eight short prompts at a time nobody learns what a prompt costs.
    let output = calibrate(&logs, &["--fit", "d8", "--hold-out", "cap8", "--speeds", "5", "--write", &section]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    assert!(told(&output.stdout).starts_with("NOT VALIDATED: held out: "), "{}", told(&output.stdout));
    let written = fs::read_to_string(&section).unwrap();
    assert!(written.contains("validated = false") && written.contains("cap8"), "{written}");
    let scenario = file("on_it.toml");
    let rest = "[run]\nduration = \"20s\"\nwarmup = \"0s\"\nreplications = 2\n[arrival]\nprocess = \"poisson\"\nrate = 1\n\
                [[class]]\nname = \"a\"\ninput = { dist = \"fixed\", value = 40 }\noutput = { dist = \"fixed\", value = 20 }\n";
    fs::write(&scenario, format!("schema = 1\n{rest}{written}")).unwrap();
    let output = plimsoll(&["simulate", &scenario, "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let marked = "Not validated by the server's calibration: ";
    assert!(told(&output.stdout).contains(marked), "{}", told(&output.stdout));
    let output = plimsoll(&["simulate", &scenario, "--quiet", "--format", "json"]);
    assert!(told(&output.stderr).contains(marked), "{}", told(&output.stderr));
}

#[test]
fn a_folder_has_the_result_the_section_and_the_residuals() {
    let folder = tempfile::tempdir().unwrap();
    let logs = [&format!("{RUNS}/iterations.log.zst")[..], &format!("{RUNS}/d1.jsonl.zst")];
    let more = ["--fit", "d1,d8,p1500", "--speeds", "5", "--out", folder.path().to_str().unwrap()];
    let output = calibrate(&logs, &more);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    for name in ["result.txt", "result.json", "upstream.toml", "plots/residuals.svg", "plots/residuals-time.csv"] {
        assert!(Path::new(folder.path()).join(name).exists(), "{name}");
    }
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is not in the page"));
    assert!(at("class=\"verdict\"") < at("tp, a prompt token") && at("tp, a prompt token") < at("id=\"residuals-time\""));
    for part in
        ["iterations.log.zst, d1.jsonl.zst", "plimsoll calibrate", "Nothing was held out", "<dd>1</dd>", "upstream.toml"]
    {
        at(part);
    }
    fs::remove_file(folder.path().join("report.html")).unwrap();
    let again = plimsoll(&["report", folder.path().to_str().unwrap()]);
    assert_eq!((again.status.code(), told(&again.stderr).as_str()), (Some(0), ""));
    assert!(page == fs::read_to_string(folder.path().join("report.html")).unwrap(), "the same page, byte for byte");
    assert!(told(&output.stdout).contains("step lines alone"), "{}", told(&output.stdout));
    let beats = calibrate(&logs, &["--fit", "d1,d8,p1500", "--speeds", "5", "--hardware", "llama-3.1-8b-h100"]);
    assert!(told(&beats.stdout).contains("not beaten"), "{}", told(&beats.stdout));
}

#[test]
fn bad_questions_and_bad_logs_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |logs: &[&str], more: &[&str]| {
        let output = calibrate(logs, more);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""));
        told(&output.stderr)
    };
    assert!(refused(&[RUNS], &["--fit", "none"]).contains("no run `none`; they have "));
    assert!(refused(&[RUNS], &["--hardware", "cpu-16m"]).contains("name one of a GPU"));
    assert!(refused(&[folder.path().to_str().unwrap()], &[]).contains("has no file that ends in .log or .jsonl"));
    let bad = folder.path().join("bad.log");
    fs::write(&bad, "# run a\nIteration(1): 1 context requests, 5 context tokens, no more\n").unwrap();
    let said = refused(&[bad.to_str().unwrap()], &[]);
    assert!(said.contains("bad.log, line 2: ") && said.contains("generation requests"), "{said}");
    fs::write(&bad, "INFO: 127.0.0.1 \"POST /v1/completions\" 200 OK\n").unwrap();
    assert!(refused(&[bad.to_str().unwrap()], &[]).contains("there is no engine step in it"));
}

/// What vLLM would have traced of a recorded run: one `llm_request` span a request, in one document on one line.
fn spans(run: &str, first_token: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RUNS).join(format!("{run}.jsonl.zst"));
    let lines = BufReader::new(zstd::Decoder::new(fs::File::open(path).unwrap()).unwrap()).lines();
    #[allow(clippy::cast_possible_truncation)]
    let nanos = |secs: f64| (1_760_000_000_000_000_000 + (secs * 1e9) as i64).to_string();
    let span = |(number, line): (usize, std::io::Result<String>)| {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let secs = |key: &str| request[key].as_f64().unwrap();
        let tokens = |key: &str, count: u64| json!({ "key": key, "value": { "intValue": count.to_string() } });
        let lasting = |key: &str, secs: f64| json!({ "key": key, "value": { "doubleValue": secs } });
        let mut span = json!({
            "name": "llm_request", "spanId": format!("{number:016x}"), "startTimeUnixNano": nanos(secs("sched")),
            "endTimeUnixNano": nanos(secs("end")),
            "attributes": [tokens("gen_ai.usage.prompt_tokens", request["prompt"].as_u64().unwrap())],
        });
        let chunks: Vec<f64> = request["chunks"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        if request["outcome"] == "ok" {
            let attributes = span["attributes"].as_array_mut().unwrap();
            attributes.push(tokens("gen_ai.usage.completion_tokens", chunks.len() as u64));
            attributes.push(lasting(first_token, chunks[0] - secs("sched")));
            attributes.push(lasting("gen_ai.latency.e2e", chunks[chunks.len() - 1] - secs("sched")));
        } else {
            span["status"] = json!({ "code": 2 });
        }
        span
    };
    let spans: Vec<Value> = lines.enumerate().map(span).collect();
    let health =
        json!({ "name": "GET /health", "spanId": "ffff", "startTimeUnixNano": nanos(0.0), "endTimeUnixNano": nanos(0.1) });
    let spans = [spans, vec![health]].concat();
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
}

const FIRST_TOKEN: &str = "gen_ai.latency.time_to_first_token";

/// Spans alone, which say when an answer began and ended: the held-out open run is predicted within every tolerance.
#[test]
fn spans_alone_make_a_calibration() {
    let folder = tempfile::tempdir().unwrap();
    let file = |run: &str| {
        let path = folder.path().join(format!("{run}.json"));
        fs::write(&path, spans(run, FIRST_TOKEN)).unwrap();
        path.display().to_string()
    };
    let logs: Vec<String> = FIT.split(',').chain(["open06"]).map(file).collect();
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    let output = calibrate(&logs, &["--hold-out", "open06", "--speeds", "5", "--format", "json"]);
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["fitted"].as_array().unwrap().iter().all(|part| part["reading"] == "ends_alone"), "{}", json["fitted"]);
    assert_eq!(json["validated"], true, "{}", json["reason"]);
    let held = run(&json, "open06");
    assert_eq!((&held["standing"], &held["requests"]), (&"tested".into(), &328.into()));
    assert!(held["figures"].get("wasted_prefill_share").is_none(), "what was computed for nothing no span tells: {held}");
    // Of a single run the last third is held out, and its rate is that of the third.
    let alone = calibrate(&logs[7..], &["--speeds", "5", "--format", "json"]);
    let json: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert!(error(run(&json, "open06"), "completed_rps").abs() < 0.05, "{}", run(&json, "open06"));
    let text = told(&calibrate(&logs[7..], &["--speeds", "5"]).stdout).replace("\n  ", " ");
    assert!(text.contains("one row an answer") && text.contains("Not known: how that divides into step and"), "{text}");
}

#[test]
fn what_spans_cannot_tell_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        let path = folder.path().join("spans.json");
        fs::write(&path, text).unwrap();
        let output = calibrate(&[path.to_str().unwrap()], &[]);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""));
        told(&output.stderr)
    };
    let said = refused(&spans("cap8", "gen_ai.latency.of_something_else"));
    assert!(said.contains("times of both the first and the last token") && said.contains(FIRST_TOKEN), "{said}");
    let said = refused(&spans("cap8", FIRST_TOKEN).replace("gen_ai.usage.completion_tokens", "other"));
    assert!(said.contains("line 1: there is no `gen_ai.usage.output_tokens`"), "{said}");
    let said = refused(&spans("d1", FIRST_TOKEN));
    assert!(said.contains("the runs to fit have 3 complete answers") && said.contains("at least 30 are needed"), "{said}");
}

/// Request records with the time of every token and no step lines.
#[test]
fn tokens_times_alone_make_a_calibration() {
    let logs: Vec<String> = FIT.split(',').chain(["open06"]).map(|run| format!("{RUNS}/{run}.jsonl.zst")).collect();
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    let output = calibrate(&logs, &["--hold-out", "open06", "--speeds", "5", "--format", "json"]);
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["fitted"].as_array().unwrap().iter().all(|part| part["reading"] == "tokens_alone"), "{}", json["fitted"]);
    assert_eq!((&json["validated"], &json["between"]), (&true.into(), &Value::Null), "{}", json["reason"]);
}

/// A machine that became a quarter slower after the calibration: not validated, and the pace of the runs' own steps says why.
#[test]
fn a_machine_that_drifted_is_told_from_a_model_that_is_wrong() {
    let server = ["--num-gpu-blocks", "512", "--block-size", "128", "--max-num-seqs", "32", "--max-num-batched-tokens", "1024"];
    let more = ["--hold-out", "qo1_poisson_0.6x,qo2_poisson_0.9x,qo3_overload_2x_ttft_timeout4", "--format", "json", "--quiet"];
    let output = plimsoll(&[&["calibrate", "tests/fixtures/vllm_cpu/m120"], &server[..], &more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["validated"], false);
    assert!(json["reason"].as_str().unwrap().contains("qo2_poisson_0.9x"), "{}", json["reason"]);
    let slower = run(&json, "qo1_poisson_0.6x");
    assert!(slower["pace"].as_f64().unwrap() > 1.1, "{slower}");
    assert!(error(slower, "e2e_p50_s") < -0.15, "{slower}");
    for (figure, row) in slower["figures"].as_object().unwrap() {
        let (measured, at_pace) = (row["measured"].as_f64().unwrap(), row["at_pace"].as_f64().unwrap());
        assert!((at_pace - measured).abs() <= 0.1 * measured, "{figure}: {row}");
    }
    for name in ["qo1_poisson_0.6x", "qo3_overload_2x_ttft_timeout4"] {
        let run = run(&json, name);
        assert!(error(run, "completed_share").abs() <= 0.05 && error(run, "wasted_prefill_share").abs() <= 0.05, "{run}");
    }
}
