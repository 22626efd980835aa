//! Seed 002's environment file, read into [`Settings`] and written from them.
//!
//! Its eleven names keep their meanings and defaults (`OPENAI_TPM_LIMIT=30000` and so on; times in seconds). What is read is
//! the seed's adapter as printed ([`Settings::seed_adapter`]). `OPENAI_STAGGER_SECONDS` is in the seed's configuration, and
//! none of its code uses it: what is read is kept as `lane.stagger` with `stagger_scope = "nobody"`, and said.
//!
//! A line is `NAME=value`; comments, blank lines, `export ` in front, spaces around `=` and quotes around the value may be
//! there. An unknown or a doubled name is an error: whoever reads the file after us may take the other one.

use serde_json::Value;

use super::{Breaker, HeavyLane, Limiter, Lost, Settings, StaggerScope};
use crate::time::Span;
use crate::units::{Count, Fraction};

const TPM_LIMIT: &str = "OPENAI_TPM_LIMIT";
const TPM_HEADROOM: &str = "OPENAI_TPM_HEADROOM";
const AUTO_TRIM: &str = "OPENAI_AUTO_TRIM";
const HEAVY_MIN_REMAINING: &str = "OPENAI_HEAVY_MIN_REMAINING";
const MAX_CONCURRENCY: &str = "OPENAI_MAX_CONCURRENCY";
const STAGGER_SECONDS: &str = "OPENAI_STAGGER_SECONDS";
const CIRCUIT_THRESHOLD: &str = "PROXY_CIRCUIT_THRESHOLD";
const CIRCUIT_COOLDOWN: &str = "PROXY_CIRCUIT_COOLDOWN";
const TIMEOUT_GROUNDED_DIRECT: &str = "OPENAI_TIMEOUT_GROUNDED_DIRECT";
const TIMEOUT_GROUNDED_PROXY: &str = "OPENAI_TIMEOUT_GROUNDED_PROXY";
const TIMEOUT_UNGROUNDED: &str = "OPENAI_TIMEOUT_UNGROUNDED";

/// The names, in the order of the seed's file, each with what its value must be.
const NAMES: [(&str, &str); 11] = [
    (TPM_LIMIT, "a whole number of tokens a minute from 1 to 4294967295, like 30000"),
    (TPM_HEADROOM, "a share of at least 0 and below 1, like 0.15"),
    (AUTO_TRIM, "true or false"),
    (HEAVY_MIN_REMAINING, "a whole number of tokens from 1 to 4294967295, like 24000"),
    (MAX_CONCURRENCY, "a whole number of calls from 1 to 4294967295, like 3"),
    (STAGGER_SECONDS, "seconds of at least 0, like 15"),
    (CIRCUIT_THRESHOLD, "a whole number of errors from 1 to 4294967295, like 2"),
    (CIRCUIT_COOLDOWN, "seconds above 0, like 600"),
    (TIMEOUT_GROUNDED_DIRECT, "seconds above 0, like 480"),
    (TIMEOUT_GROUNDED_PROXY, "seconds above 0, like 300"),
    (TIMEOUT_UNGROUNDED, "seconds above 0, like 120"),
];

/// How like a name (Jaro-Winkler, 0 to 1) a word must be to be taken for a slip of it.
const ALIKE: f64 = 0.85;

/// What is wrong with an environment file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}`: {mistake}")]
pub struct EnvError {
    /// Line, from 1.
    pub line: usize,
    /// The line itself; of a name that is not ours without its value, which may be a secret.
    pub text: String,
    /// What is wrong with it.
    pub mistake: EnvMistake,
}

/// What is wrong with a line of an environment file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvMistake {
    /// No `=`, or nothing before it.
    #[error("write `NAME=value`, or begin a comment with `#`")]
    NotAnAssignment,
    /// No such name.
    #[error("unknown name `{name}`: {}", known(*nearest))]
    Unknown {
        /// As written.
        name: String,
        /// The name that it is most like, if there is one.
        nearest: Option<&'static str>,
    },
    /// A name that was there before.
    #[error("`{name}` stands on line {first} already: keep one of the two")]
    Doubled {
        /// Which name.
        name: &'static str,
        /// The other line, from 1.
        first: usize,
    },
    /// A quote that is never closed, or something behind one.
    #[error("close the quote at the end of the value")]
    Quote,
    /// A value that the name cannot have.
    #[error("`{value}` is {}; write {expected}", if value.is_empty() { "empty" } else { "not right here" })]
    Value {
        /// As written, without quotes.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

fn known(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(
        || format!("the names are {}", NAMES.map(|(name, _)| name).join(", ")),
        |name| format!("did you mean `{name}`?"),
    )
}

impl Settings {
    /// The seed's adapter with the settings of an environment file, and what was read and is not in force, one sentence each.
    /// What is missing has the seed's default.
    ///
    /// # Errors
    /// [`EnvError`]: the first thing that is wrong.
    pub fn from_env(text: &str) -> Result<(Self, Vec<String>), EnvError> {
        let mut settings = Self::seed_adapter();
        let mut remarks = Vec::new();
        let mut seen: [Option<usize>; NAMES.len()] = [None; NAMES.len()];
        for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = index + 1;
            let Some((name, value)) = assignment(raw).map_err(|mistake| wrong(line, raw, mistake))? else { continue };
            let Some(which) = NAMES.iter().position(|(known, _)| *known == name) else {
                let mistake = EnvMistake::Unknown { name: name.to_owned(), nearest: nearest(name) };
                return Err(wrong(line, &format!("{name}=..."), mistake));
            };
            let (name, expected) = NAMES[which];
            if let Some(first) = seen[which].replace(line) {
                return Err(wrong(line, raw, EnvMistake::Doubled { name, first }));
            }
            let refused = || wrong(line, raw, EnvMistake::Value { value: value.to_owned(), expected });
            settings.set_env(name, value).ok_or_else(refused)?;
            if name == STAGGER_SECONDS && seconds(value) != Some(Span::ZERO) {
                remarks.push(format!(
                    "{STAGGER_SECONDS}={value} is not in force: the seed's code uses it nowhere; `policy.lane.stagger_scope = \"heavy\"` would stagger"
                ));
            }
        }
        Ok((settings, remarks))
    }

    /// These settings as an environment file, and what such a file cannot carry, one sentence each. Read back, the file gives
    /// the same settings exactly where the second list is empty.
    #[must_use]
    pub fn to_env(&self) -> (String, Vec<Lost>) {
        let lines = NAMES.iter().filter_map(|(name, _)| Some(format!("{name}={}\n", self.env_value(name)?)));
        let text: String = lines.collect();
        let (read, _) = Self::from_env(&text).expect("each value was read back before it was written");
        let mut lost = Vec::new();
        compare("", &to_json(self), &to_json(&read), &mut lost);
        (text, lost)
    }

    /// Puts one value in; `None` where the name cannot have it.
    fn set_env(&mut self, name: &str, value: &str) -> Option<()> {
        let (Some(limiter), Some(lane), Some(breaker), Some(timeout), Some(concurrency)) =
            (&mut self.limiter, &mut self.lane, &mut self.breaker, &mut self.call_timeout, &mut self.concurrency)
        else {
            unreachable!("the seed's adapter has all five sections");
        };
        match name {
            TPM_LIMIT => limiter.tpm_limit = count(value)?,
            TPM_HEADROOM => limiter.headroom = headroom(value)?,
            AUTO_TRIM => limiter.auto_trim = truth(value)?,
            HEAVY_MIN_REMAINING => lane.min_remaining_tokens = Some(count(value)?),
            MAX_CONCURRENCY => concurrency.max_concurrent_requests = count(value)?,
            STAGGER_SECONDS => {
                let stagger = seconds(value)?;
                lane.stagger = Some(stagger).filter(|stagger| *stagger > Span::ZERO);
                lane.stagger_scope = if lane.stagger.is_some() { StaggerScope::Nobody } else { StaggerScope::default() };
            }
            CIRCUIT_THRESHOLD => breaker.threshold = count(value)?,
            CIRCUIT_COOLDOWN => breaker.cooldown = time(value)?,
            TIMEOUT_GROUNDED_DIRECT => timeout.grounded_direct = time(value)?,
            TIMEOUT_GROUNDED_PROXY => timeout.grounded_proxy = time(value)?,
            _ => timeout.ungrounded = time(value)?,
        }
        Some(())
    }

    /// A name's value, where these settings have one that the file can carry exactly.
    fn env_value(&self, name: &str) -> Option<String> {
        let (limiter, lane, breaker) = (self.limiter.as_ref(), self.lane.as_ref(), self.breaker.as_ref());
        let timeout = self.call_timeout.as_ref();
        let whole = |count: Count| count.value().to_string();
        let exact = |span: Span| Some(span.as_secs_f64().to_string()).filter(|text| time(text) == Some(span));
        match name {
            TPM_LIMIT => limiter.map(|limiter| whole(limiter.tpm_limit)),
            TPM_HEADROOM => limiter.map(|limiter| limiter.headroom.to_string()).filter(|text| headroom(text).is_some()),
            AUTO_TRIM => limiter.map(|limiter| limiter.auto_trim.to_string()),
            HEAVY_MIN_REMAINING => lane.and_then(|lane| min_remaining(lane, limiter)).map(|tokens| tokens.to_string()),
            MAX_CONCURRENCY => self.concurrency.as_ref().map(|concurrency| whole(concurrency.max_concurrent_requests)),
            STAGGER_SECONDS => lane.map(|lane| lane.stagger.unwrap_or_default().as_secs_f64().to_string()),
            CIRCUIT_THRESHOLD => breaker.map(|breaker: &Breaker| whole(breaker.threshold)),
            CIRCUIT_COOLDOWN => breaker.and_then(|breaker| exact(breaker.cooldown)),
            TIMEOUT_GROUNDED_DIRECT => timeout.and_then(|timeout| exact(timeout.grounded_direct)),
            TIMEOUT_GROUNDED_PROXY => timeout.and_then(|timeout| exact(timeout.grounded_proxy)),
            _ => timeout.and_then(|timeout| exact(timeout.ungrounded)),
        }
        .filter(|text| name != STAGGER_SECONDS || seconds(text).is_some())
    }
}

/// The lane's threshold in tokens: as stated, or the share of the limiter's budget.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of a u32
fn min_remaining(lane: &HeavyLane, limiter: Option<&Limiter>) -> Option<u32> {
    const SEED: f64 = 0.8;
    if let Some(tokens) = lane.min_remaining_tokens {
        return Some(tokens.value());
    }
    let limiter = limiter?;
    let budget = libm::floor(f64::from(limiter.tpm_limit.value()) * (1.0 - limiter.headroom.value()));
    let tokens = libm::ceil(lane.min_remaining.map_or(SEED, Fraction::value) * budget) as u32;
    (tokens > 0).then_some(tokens)
}

/// Name and value of a line; `None` where it holds neither.
fn assignment(raw: &str) -> Result<Option<(&str, &str)>, EnvMistake> {
    let line = raw.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace)).unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or(EnvMistake::NotAnAssignment)?;
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(EnvMistake::NotAnAssignment);
    }
    // What is wrong with the value of a name that is not ours is none of our business.
    let value = if NAMES.iter().any(|(known, _)| *known == name) { unquoted(value.trim())? } else { "" };
    Ok(Some((name, value)))
}

/// A value without its quotes and without a comment behind it.
fn unquoted(value: &str) -> Result<&str, EnvMistake> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        let comment =
            value.char_indices().find(|(at, c)| *c == '#' && (*at == 0 || value[..*at].ends_with(char::is_whitespace)));
        return Ok(comment.map_or(value, |(at, _)| value[..at].trim_end()));
    };
    let (inner, rest) = value[1..].split_once(quote).ok_or(EnvMistake::Quote)?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') { Ok(inner.trim()) } else { Err(EnvMistake::Quote) }
}

fn wrong(line: usize, text: &str, mistake: EnvMistake) -> EnvError {
    const SHOWN: usize = 80;
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    let text = if shown.chars().count() > SHOWN { shown.chars().take(SHOWN).chain("...".chars()).collect() } else { shown };
    EnvError { line, text, mistake }
}

fn nearest(name: &str) -> Option<&'static str> {
    let upper = name.to_uppercase().replace('-', "_");
    let scored = NAMES.into_iter().map(|(known, _)| (strsim::jaro_winkler(&upper, known), known));
    // Long beginnings in common make strangers look alike: an unrelated `OPENAI_API_KEY` is no slip of ours.
    let near = scored.filter(|(score, known)| *score >= ALIKE && strsim::levenshtein(&upper, known) <= known.len() / 3);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

fn count(text: &str) -> Option<Count> {
    text.parse().ok().and_then(Count::new)
}

fn headroom(text: &str) -> Option<Fraction> {
    text.parse().ok().and_then(Fraction::new).filter(|share| share.value() < 1.0)
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<Span> {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    format!("{number}s").parse().ok()
}

fn time(text: &str) -> Option<Span> {
    seconds(text).filter(|span| *span > Span::ZERO)
}

fn to_json(settings: &Settings) -> Value {
    serde_json::to_value(settings).expect("settings have string keys and nothing in them fails to serialise")
}

/// Says of each setting that differs what it is and what the file would make of it.
fn compare(path: &str, ours: &Value, read: &Value, lost: &mut Vec<Lost>) {
    let (Value::Object(mine), Value::Object(theirs)) = (ours, read) else {
        if ours != read {
            lost.push(Lost::is(path, shown(ours), format!("an environment file gives {}", shown(read))));
        }
        return;
    };
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in mine {
        match theirs.get(key) {
            Some(other) => compare(&join(key), value, other, lost),
            None if value.is_object() => lost.push(Lost::because(join(key), "an environment file cannot say it")),
            None => lost.push(Lost::is(join(key), shown(value), "an environment file cannot say it")),
        }
    }
    for (key, value) in theirs.iter().filter(|(key, _)| !mine.contains_key(*key)) {
        let gives = if value.is_object() { String::new() } else { format!(" ({})", shown(value)) };
        lost.push(Lost::is(join(key), "absent", format!("an environment file always sets it{gives}")));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "another list".to_owned(),
        Value::Object(_) => "another table".to_owned(),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
