//! The reports under `reports/`: made by one command, and still what the program makes.
//!
//! ```sh
//! cargo test --release --test commands -- --ignored the_shipped_reports
//! UPDATE_REPORTS=1 cargo test --release --test commands -- --ignored the_shipped_reports
//! ```
//!
//! The first holds the folder against what the shipped scenarios give now; the second writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use super::{plimsoll, told};

/// Each folder of `reports/` with the command that makes it.
const REPORTS: [(&str, &[&str]); 8] = [
    ("vllm_overload", &["simulate", "scenarios/vllm_overload.toml"]),
    ("seed_server", &["simulate", "scenarios/seed_server.toml"]),
    ("retry_storm", &["simulate", "scenarios/retry_storm.toml"]),
    ("seed_adapter", &["simulate", "scenarios/seed_adapter.toml"]),
    ("queue_mmc", &["simulate", "scenarios/queue_mmc.toml"]),
    ("real_vllm_run", &["simulate", "scenarios/real_vllm_run.toml"]),
    ("tune_queue", &["tune", "scenarios/tune_queue.toml", "--sensitivity", "64"]),
    ("capacity", &["capacity", "scenarios/tune_queue.toml", "--slo", "p99_ttft_ms<=2000"]),
];

/// What of a result stands in the project: pages and pictures that scale, the text, and what can be deployed.
fn belongs(name: &str) -> bool {
    let kept = ["report.html", "result.txt", "settings.toml", "settings.flags", "settings.env"];
    kept.contains(&name) || Path::new(name).extension().is_some_and(|extension| extension == "svg")
}

/// The files of `folder` that belong into the project, by their names in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).map(|all| all.map(|one| one.unwrap().path()).collect()).unwrap_or_default()
    };
    let paths = list(folder).into_iter().chain(list(&folder.join("plots"))).filter(|path| path.is_file());
    let named = paths.map(|path| (path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), path));
    let mut all: Vec<_> = named.filter(|(name, _)| belongs(name.rsplit('/').next().unwrap())).collect();
    all.sort();
    all.into_iter().map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

#[test]
#[ignore = "runs every shipped scenario at its full length"]
fn the_shipped_reports_are_what_the_program_makes() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let update = std::env::var_os("UPDATE_REPORTS").is_some();
    let scratch = tempfile::tempdir().unwrap();
    let mut drifted = Vec::new();
    for (name, command) in REPORTS {
        let folder = scratch.path().join(name);
        let output = plimsoll(&[command, &["--quiet", "--out", folder.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(0), "{name}: {}", told(&output.stderr));
        let (made, there) = (files(&folder), shipped.join(name));
        if update {
            let _ = fs::remove_dir_all(&there); // it may not be there yet
            for (file, bytes) in made {
                let path = there.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        } else if made != files(&there) {
            drifted.push(name);
        }
    }
    assert!(drifted.is_empty(), "these reports are not what the program makes now: {}", drifted.join(", "));
}
