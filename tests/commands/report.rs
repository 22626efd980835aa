//! The page of a result: that every command writes it with its plots, that `report` makes the same again, what it says of bad
//! folders, and how it fares in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{plimsoll, short_queue, told};

/// Two parameters on a grid, two objectives, two classes.
const TUNE: &str = r#"
schema = 1
run = { seed = 1, replications = 2, duration = "60s", warmup = "5s" }
[upstream]
kind = "station"
servers = 2
service = { dist = "exponential", mean = "1s" }
[[class]]
name = "chat <b>"
arrival = { process = "poisson", rate = 2.4 }
slo = { e2e = "4s" }
[[class]]
name = "batch"
arrival = { process = "poisson", rate = 0.6 }
[policy]
queue = { max_queue_size = 50 }
concurrency = { max_concurrent_requests = 2 }
timeout = { request_timeout = "10s" }
[tune]
objective = "goodput_rps"
pareto = ["p99_e2e_s"]
method = "grid"
levels = 3
simulations = 200
[[tune.parameter]]
path = "policy.queue.max_queue_size"
range = [1, 60]
scale = "log"
[[tune.parameter]]
path = "policy.timeout.request_timeout"
range = ["2s", "30s"]
scale = "log"
"#;

const SWEEP: &str = "\n[[variant]]\nname = \"long queue\"\n[[variant]]\nname = \"short queue\"\npolicy.queue.max_queue_size = 3\n\
                     [sweep]\npath = \"arrival.load\"\nvalues = [0.5, 1.0, 1.5]\n";

/// The scenario above in `folder`, without its search and at several loads if so wanted.
fn scenario(folder: &Path, swept: bool) -> String {
    let path = folder.join("two classes.toml");
    let shared = TUNE.split("[tune]").next().unwrap();
    let shared = shared.replace("arrival = { process = \"poisson\", rate = 2.4 }", "weight = 4");
    let shared = shared.replace("arrival = { process = \"poisson\", rate = 0.6 }", "");
    let shared =
        shared.replace("[[class]]\nname = \"chat", "[arrival]\nprocess = \"poisson\"\nload = 1.0\n[[class]]\nname = \"chat");
    fs::write(&path, if swept { shared + SWEEP } else { TUNE.to_owned() }).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs the command with `--out out`, and gives the whole folder back, name by name.
fn published(arguments: &[&str], out: &Path) -> Vec<(String, Vec<u8>)> {
    let output = plimsoll(&[arguments, &["--quiet", "--out", out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    for part in ["report.html", "result.txt", "result.json", "plots"] {
        assert!(told(&output.stdout).contains(&*out.join(part).to_string_lossy()), "{part} is not named");
    }
    let plots = fs::read_dir(out.join("plots")).unwrap();
    let files = fs::read_dir(out).unwrap().chain(plots).map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut files: Vec<(String, Vec<u8>)> =
        files.map(|path| (path.strip_prefix(out).unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

fn page(out: &Path) -> String {
    fs::read_to_string(out.join("report.html")).unwrap()
}

fn stems(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().filter_map(|(name, _)| name.strip_prefix("plots/")?.strip_suffix(".svg")).collect()
}

#[test]
fn a_run_at_several_loads_has_its_plots_and_the_same_page_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(folder.path(), true);
    let [one, two] = ["1", "2"].map(|jobs| {
        let out = folder.path().join(format!("out {jobs}"));
        (published(&["simulate", &path, "--jobs", jobs], &out), page(&out))
    });
    let names: Vec<&String> = one.0.iter().map(|(name, _)| name).collect();
    assert!(one.0 == two.0, "bytes differ between numbers of threads among {names:?}");
    let wanted = ["fairness-1", "fairness-2", "fairness-3", "goodput", "latency-1", "latency-2", "latency-3", "outcomes"];
    assert_eq!(stems(&one.0), [&wanted[..], &["time-01", "time-02"]].concat());
    assert_eq!(one.0.len(), 3 + 3 * 10, "three files for each plot, and no temporary one: {names:?}");
    for (name, bytes) in &one.0 {
        assert!(
            Path::new(name).extension().is_none_or(|ending| ending != "csv")
                || String::from_utf8_lossy(bytes).lines().count() > 1,
            "{name} is empty"
        );
    }
    let command = format!("plimsoll simulate &#39;{path}&#39;");
    for part in [
        &*command,
        "chat &lt;b&gt;",
        "id=\"s-goodput\"",
        "Not drawn",
        "version 0.",
        "prefers-color-scheme:dark",
        "@media print",
    ] {
        assert!(one.1.contains(part), "{part} is not in the page");
    }
    assert!(!one.1.contains("chat <b>"), "names are text");
    assert!(one.1.len() < 2_000_000, "{} bytes", one.1.len());
}

#[test]
fn plots_of_the_result_before_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let before = published(&["simulate", &scenario(folder.path(), true), "--replications", "2"], &out);
    assert!(stems(&before).contains(&"goodput"));
    fs::write(out.join("plots/mine.svg"), "somebody else's").unwrap();
    let path = scenario(folder.path(), false);
    let [again, fresh] =
        ["out", "fresh"].map(|name| published(&["simulate", &path, "--replications", "2"], &folder.path().join(name)));
    let ours: Vec<&String> = again.iter().map(|(name, _)| name).filter(|name| *name != "plots/mine.svg").collect();
    assert_eq!(ours, fresh.iter().map(|(name, _)| name).collect::<Vec<_>>());
    assert_eq!(again.len(), fresh.len() + 1, "what is not ours stays");
}

#[test]
fn report_makes_the_same_page_again_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let path = scenario(folder.path(), false);
    let files = published(&["tune", &path, "--around", "2", "--sensitivity", "8"], &out);
    let searched = ["cases", "heatmap", "pareto", "racing", "sensitivity"];
    let (beside, plots): (Vec<&str>, Vec<&str>) = stems(&files).into_iter().partition(|stem| !searched.contains(stem));
    assert_eq!(plots, searched);
    assert_eq!(beside, ["latency", "time-01", "time-02"], "today's settings beside the recommended");
    let before = page(&out);
    assert!(before.contains("Recommended") && before.contains("policy.queue.max_queue_size"), "the settings are a table");
    fs::remove_file(out.join("report.html")).unwrap();
    let again = plimsoll(&["report", out.to_str().unwrap()]);
    assert_eq!((again.status.code(), told(&again.stderr).as_str()), (Some(0), ""));
    assert!(before == page(&out), "the same page, byte for byte");
}

#[test]
fn load_lines_stand_on_the_goodput_curve() {
    let folder = tempfile::tempdir().unwrap();
    let short =
        ["capacity", "scenarios/queue_mmc.toml", "--replications", "2", "--set", "run.duration=200s", "--set", "run.warmup=0s"];
    let files = published(&short, folder.path());
    assert_eq!(stems(&files), ["goodput", "outcomes"]);
    let csv = fs::read_to_string(folder.path().join("plots/goodput.csv")).unwrap();
    // Twelve, the line itself, and one just above it.
    assert_eq!(csv.matches("\npoint,base,").count(), 14, "{csv}");
    assert!(csv.contains("\nsustained load,base,") && csv.contains("\ncapacity,"), "{csv}");
    assert!(page(folder.path()).contains("Sustains, req/s"));
}

#[test]
fn a_folder_that_is_no_result_is_told_what_is_wrong_where_and_how_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let refused = |path: &Path, parts: &[&str]| {
        let output = plimsoll(&["report", path.to_str().unwrap()]);
        let said = told(&output.stderr);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{said}");
        for part in parts.iter().chain(&["\n  = "]) {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
    };
    refused(&out, &["result.json", "cannot read"]);
    assert_eq!(short_queue(&["--out", out.to_str().unwrap()]).status.code(), Some(0));
    let json = fs::read_to_string(out.join("result.json")).unwrap();
    for (foreign, part) in
        [("{}", "its `schema` is null"), ("not", "no JSON"), (&json.replace("\"made\"", "\"mad\""), "which command")]
    {
        fs::write(out.join("result.json"), foreign).unwrap();
        refused(&out, &["result.json` is no result that a page can be made from", part]);
    }
    fs::write(out.join("result.json"), &json).unwrap();
    fs::write(out.join("plots/outcomes.svg"), "<svg aria-label=\"x\"><script>alert(1)</script></svg>").unwrap();
    refused(&out, &["outcomes.svg` is no plot of this program", "<script>"]);
    fs::remove_file(out.join("plots/outcomes.svg")).unwrap();
    refused(&out, &["outcomes.svg`"]);
}

#[test]
fn what_stands_in_the_way_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_folder) in [("plots", false), ("report.html", true)] {
        let out = folder.path().join(name).join("out");
        fs::create_dir_all(&out).unwrap();
        if is_folder {
            fs::create_dir(out.join(name)).unwrap();
        } else {
            fs::write(out.join(name), "").unwrap();
        }
        let output = short_queue(&["--out", out.to_str().unwrap()]);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""));
        assert!(told(&output.stderr).contains(name), "{}", told(&output.stderr));
        assert!(!out.join("result.json").exists());
    }
}

/// Says what the page was like, to whoever framed it.
const PROBE: &str = "<script nonce=\"plimsoll\">(function(){var wrong=[];\
    addEventListener('error',function(e){wrong.push('error: '+(e.message||e.target.src))},true);\
    document.addEventListener('securitypolicyviolation',function(e){wrong.push('request: '+e.blockedURI)});\
    addEventListener('load',function(){setTimeout(function(){\
    performance.getEntriesByType('resource').forEach(function(r){if(r.name.indexOf('data:'))wrong.push('request: '+r.name)});\
    var root=document.documentElement;\
    if(root.scrollWidth>innerWidth)wrong.push('overflow: '+root.scrollWidth+' of '+innerWidth);\
    var tips=document.querySelectorAll('[data-tip]').length;\
    parent.postMessage('width '+innerWidth+' tips '+(tips>0)+' wrong ['+wrong.join('; ')+']','*')},200)})})()</script>";

/// What a browser finds of `html` at a phone's and a desk's width, or nothing where there is no browser.
fn in_browser(html: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let probed = html.replacen("<title>", &format!("{PROBE}<title>"), 1);
    fs::write(folder.path().join("report.html"), probed).unwrap();
    let frame = |width: u32| format!("<iframe src=\"report.html\" style=\"border:0;width:{width}px;height:900px\"></iframe>");
    let frames = format!("{}{}", frame(390), frame(1440));
    let listener = "<script>onmessage=function(e){document.body.append('FO'+'UND '+e.data+' END ')}</script>";
    fs::write(folder.path().join("frames.html"), format!("<!doctype html><body>{listener}{frames}</body>")).unwrap();
    let quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                 --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=8000 --dump-dom";
    let output = Command::new("chromium")
        .args(quiet.split_whitespace())
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", folder.path().join("frames.html").display()))
        .output()
        .ok()?;
    let console: Vec<String> =
        told(&output.stderr).lines().filter(|line| line.contains("CONSOLE")).map(ToOwned::to_owned).collect();
    let dom = told(&output.stdout);
    let found = dom.split("FOUND ").skip(1).filter_map(|part| part.split(" END").next());
    Some(found.chain(console.iter().map(String::as_str)).collect::<Vec<_>>().join("\n"))
}

/// `cargo test --test commands -- --ignored browser`
#[test]
#[ignore = "starts a browser"]
fn in_a_browser_the_page_asks_for_nothing_fits_and_has_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let (swept, searched) = (scenario(folder.path(), true), folder.path().join("searched"));
    fs::create_dir(&searched).unwrap();
    let (run, tune) = (folder.path().join("run"), folder.path().join("tune"));
    published(&["simulate", &swept], &run);
    published(&["tune", &scenario(&searched, false), "--around", "2"], &tune);
    let good = ["width 390 tips true wrong []", "width 1440 tips true wrong []"];
    for out in [&run, &tune] {
        let Some(found) = in_browser(&page(out)) else {
            println!("skipped: there is no `chromium` to start (Debian's package of that name)");
            return;
        };
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_by_key(|line| line.len());
        assert_eq!(found, good, "{}", out.display());
    }
    // What the checks are worth: a page with every fault is found out.
    let faults = "<img src=\"http://127.0.0.1:9/x.png\"><div style=\"width:2000px\">x</div><script nonce=\"plimsoll\">nothing()</script></main>";
    let bad = in_browser(&page(&run).replacen("</main>", faults, 1)).expect("there was a browser just now");
    for part in ["request: http://127.0.0.1:9", "overflow: ", "error: ", "CONSOLE"] {
        assert!(bad.contains(part), "{part} is not in: {bad}");
    }
}
