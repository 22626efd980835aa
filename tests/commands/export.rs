//! `export`, and settings read from a running system's flags and environment file.

use std::fs;
use std::path::Path;

use super::{plimsoll, told};

/// Seed 002, "Configuration", but for one limit.
const ENV: &str = "# Rate Limiting\nOPENAI_TPM_LIMIT=90000\nexport OPENAI_AUTO_TRIM=\"true\"\n\nOPENAI_STAGGER_SECONDS=15\n";

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Exit code, standard output and standard error.
fn export(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = plimsoll(&[&["export"], arguments].concat());
    (output.status.code(), told(&output.stdout), told(&output.stderr))
}

#[test]
fn a_scenarios_policies_come_out_as_flags() {
    let (code, text, lost) = export(&["scenarios/seed_server.toml", "--variant", "stage 2 (graduated)", "--as", "flags"]);
    assert_eq!((code, lost.as_str()), (Some(0), ""), "the seeds' own system loses nothing");
    assert!(text.ends_with('\n') && text.contains("--max_queue_size 50") && text.contains("--max_abandoned_threads"), "{text}");
    let (code, back, _) = export(&["--from-flags", text.trim(), "--as", "flags", "--strict"]);
    assert_eq!((code, back), (Some(0), text));
}

#[test]
fn what_a_language_cannot_carry_goes_to_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let settings = file(folder.path(), "a.toml", "[queue]\norder = \"lifo\"\n[limiter]\n");
    let (code, text, lost) = export(&[&settings, "--as", "flags"]);
    assert_eq!((code, text.as_str()), (Some(0), "--max_queue_size 50 --queue_rejection_threshold 0.8\n"));
    assert!(lost.contains("lost: queue.order: flags have fifo only\n"), "{lost}");
    assert!(lost.contains("lost: limiter: flags cannot say it\n"), "{lost}");
    let out = folder.path().join("flags");
    let (code, text, said) = export(&[&settings, "--as", "flags", "--strict", "--out", out.to_str().unwrap()]);
    assert_eq!((code, text.as_str(), out.exists()), (Some(2), "", false), "nothing is written");
    assert!(said.ends_with("of these settings would be lost, which `--strict` does not let pass\n"), "{said}");
    let (code, _, lost) = export(&[&settings, "--as", "toml", "--strict"]);
    assert_eq!((code, lost.as_str()), (Some(0), ""), "TOML carries everything");
}

#[test]
fn an_environment_file_becomes_toml_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let env = file(folder.path(), ".env", ENV);
    let out = folder.path().join("settings.toml");
    let (code, text, lost) = export(&["--from-env", &env, "--as", "toml", "--out", out.to_str().unwrap()]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
    assert!(lost.starts_with("lost: OPENAI_STAGGER_SECONDS=15 is not in force: the seed's code uses it nowhere"), "{lost}");
    let toml = fs::read_to_string(&out).unwrap();
    assert!(
        toml.contains("[policy.limiter]") && toml.contains("tpm_limit = 90000") && toml.contains("boundary = \"seed\""),
        "{toml}"
    );
    let (code, text, lost) = export(&[out.to_str().unwrap(), "--as", "env", "--strict"]);
    assert_eq!((code, lost.as_str(), text.lines().count()), (Some(0), "", 11));
    assert!(text.starts_with("OPENAI_TPM_LIMIT=90000\nOPENAI_TPM_HEADROOM=0.15\nOPENAI_AUTO_TRIM=true\n"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays");
}

#[test]
fn an_environment_file_is_put_into_every_variant() {
    let folder = tempfile::tempdir().unwrap();
    let env = file(folder.path(), ".env", ENV);
    let output = plimsoll(&["check", "scenarios/queue_mmc.toml", "--from-env", &env]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    assert!(told(&output.stderr).starts_with("note: OPENAI_STAGGER_SECONDS=15 is not in force"), "{}", told(&output.stderr));
    assert_eq!(told(&output.stderr).lines().count(), 1, "{}", told(&output.stderr));
    let output = plimsoll(&["check", "scenarios/seed_adapter.toml", "--from-env", &env]);
    let alike = format!(
        "note: all 9 variants now have the policies of `{env}`: nothing tells them apart any more, and they are run as one\n"
    );
    assert!(told(&output.stderr).ends_with(&alike), "{}", told(&output.stderr));
    let output = plimsoll(&["check", "scenarios/seed_server.toml", "--from-flags", "--max_queue_size 40"]);
    assert_eq!(
        told(&output.stderr),
        "note: all 18 variants now have the policies of `--from-flags`: 3 of them still differ, and the others are left out\n",
        "loads differ"
    );
    assert!(told(&output.stdout).starts_with("seed_server: ok (3 variants, "), "{}", told(&output.stdout));
    let wrong = file(folder.path(), "wrong.env", "OPENAI_TPM_LIMIT=1\nOPENAI_TPM_LIMIT=2\nOPENAI_API_KEY=sk-123\n");
    for command in
        [&["check", "scenarios/queue_mmc.toml"][..], &["simulate", "scenarios/queue_mmc.toml"], &["export", "--as", "toml"]]
    {
        let output = plimsoll(&[command, &["--from-env", &wrong]].concat());
        let said = told(&output.stderr);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{said}");
        assert!(said.starts_with("error: --from-env ") && said.contains("line 2: `OPENAI_TPM_LIMIT=2`"), "{said}");
        assert!(!said.contains("sk-123"), "{said}");
    }
    let both = plimsoll(&["check", "scenarios/queue_mmc.toml", "--from-env", &env, "--from-flags", "--max_queue_size 5"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn what_cannot_be_exported_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bad = file(folder.path(), "bad.toml", "[policy.limiter]\ntpm_limt = 5\n");
    let settings = file(folder.path(), "good.toml", "[limiter]\n");
    for (arguments, says) in [
        (&["--as", "toml"][..], "required"),
        (&[&settings], "--as"),
        (&[&settings, "--from-flags", "--max_queue_size 5", "--as", "toml"], "cannot be used with"),
        (&[&settings, "--as", "yaml"], "possible values: flags, env, toml"),
        (&["none.toml", "--as", "toml"], "cannot read the scenario `none.toml`"),
        (&["--from-env", "none.env", "--as", "toml"], "cannot read the environment file `none.env`"),
        (&["--from-flags", "--max_queue_size 5", "--as", "toml"], "add `--max_abandoned_threads N`"),
        (&[&bad, "--as", "toml"], "did you mean `tpm_limit`?"),
        (&[&settings, "--as", "toml", "--variant", "x"], "holds settings alone"),
        (&["scenarios/retry_storm.toml", "--as", "toml", "--variant", "x"], "there is no variant `x`; there are: "),
        (&["scenarios/retry_storm.toml", "--as", "toml"], "choose one by `--variant`"),
        (&[&settings, "--as", "toml", "--out", &settings], "would be written over"),
    ] {
        let (code, text, said) = export(arguments);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

/// The page names every flag and every name of the environment file, with the default that the program has.
#[test]
fn the_page_of_settings_says_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let empty = file(folder.path(), "empty.env", "");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SETTINGS.md")).unwrap();
    let cells = page.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').map(str::trim).collect());
    // Name, setting, default, unit: settings that have no name in another system stand in a narrower table.
    let rows: Vec<Vec<&str>> = cells.filter(|row: &Vec<&str>| row.len() == 6).collect();
    let (_, env, _) = export(&["--from-env", &empty, "--as", "env"]);
    let (_, flags, _) = export(&["--from-flags", "--max_abandoned_threads 10", "--as", "flags"]);
    let words: Vec<&str> = flags.split_whitespace().collect();
    let flags = words.chunks(2).map(|pair| (pair[0], if pair[0] == "--max_abandoned_threads" { "none" } else { pair[1] }));
    let all: Vec<(&str, &str)> = env.lines().filter_map(|line| line.split_once('=')).chain(flags).collect();
    assert_eq!((all.len(), rows.len()), (18, 18));
    for (name, default) in all {
        let row = rows.iter().find(|row| row[1] == format!("`{name}`")).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(row[3], default, "{name}");
    }
}
