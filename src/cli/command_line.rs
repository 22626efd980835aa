//! The command line as a report repeats it: what changes a result, and nothing else.

use std::ffi::OsString;

/// Options with a value that say where or how a result is written, or how fast it is made.
const WITH_VALUE: [&str; 4] = ["--out", "--jobs", "--format", "--journal"];
/// The same without a value.
const ALONE: [&str; 1] = ["--quiet"];
/// Its value may look like an option.
const TAKES_ANYTHING: &str = "--from-flags";

/// `arguments`, the program's name first, as a person can type them into a shell. Options that change no figure are left out,
/// so that the same result has the same command line wherever it was written and on however many threads.
pub fn command_line(arguments: &[OsString]) -> String {
    let mut words = vec!["plimsoll".to_owned()];
    let mut rest = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(word) = rest.next() {
        let name = word.split('=').next().unwrap_or_default();
        if WITH_VALUE.contains(&name) {
            if name == word {
                rest.next();
            }
        } else if !ALONE.contains(&&*word) {
            words.push(quoted(&word));
            if word == TAKES_ANYTHING {
                words.extend(rest.next().map(|flags| quoted(&flags)));
            }
        }
    }
    words.join(" ")
}

/// As POSIX shells read it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str]) -> String {
        command_line(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_changes_the_result_is_repeated() {
        let all = [
            "/usr/bin/plimsoll",
            "simulate",
            "a.toml",
            "--out",
            "x y",
            "--jobs=4",
            "--seed",
            "7",
            "--quiet",
            "--format",
            "json",
        ];
        assert_eq!(shown(&all), "plimsoll simulate a.toml --seed 7");
        assert_eq!(
            shown(&["p", "tune", "a.toml", "--from-flags", "--jobs 3", "--out=b"]),
            "plimsoll tune a.toml --from-flags '--jobs 3'"
        );
    }

    #[test]
    fn a_shell_reads_back_what_was_typed() {
        let typed = ["p", "capacity", "my file.toml", "--slo", "p99_ttft_ms{class=chat}<=500", "--set", "a='b'", ""];
        let wanted = r"plimsoll capacity 'my file.toml' --slo 'p99_ttft_ms{class=chat}<=500' --set 'a='\''b'\''' ''";
        assert_eq!(shown(&typed), wanted);
    }
}
