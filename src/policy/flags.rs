//! Seed 001's command-line flags, read into [`Settings`] and written from them.
//!
//! The six flags keep their names and defaults: `--request_timeout 60 --max_queue_size 50 --max_concurrent_requests 3
//! --queue_rejection_threshold 0.8 --reset_interval 300 --vllm_rejection_threshold 0.7` (seconds for times). No seed has a
//! flag for the capacity of abandoned work; ours is `--max_abandoned_threads`. What is read is the seeds' system
//! ([`Settings::seed`]); `--name value` and `--name=value` are the same, and of a flag given twice the last one holds.

use super::{At, Forget, Lost, Mode, OnClientGone, OnTimeout, Order, Settings, TimeoutFrom};
use crate::time::Span;
use crate::units::{Count, Fraction};

const REQUEST_TIMEOUT: &str = "--request_timeout";
const MAX_QUEUE_SIZE: &str = "--max_queue_size";
const MAX_CONCURRENT_REQUESTS: &str = "--max_concurrent_requests";
const QUEUE_REJECTION_THRESHOLD: &str = "--queue_rejection_threshold";
const RESET_INTERVAL: &str = "--reset_interval";
const VLLM_REJECTION_THRESHOLD: &str = "--vllm_rejection_threshold";
const MAX_ABANDONED_THREADS: &str = "--max_abandoned_threads";

const FLAGS: [&str; 7] = [
    REQUEST_TIMEOUT,
    MAX_QUEUE_SIZE,
    MAX_CONCURRENT_REQUESTS,
    QUEUE_REJECTION_THRESHOLD,
    RESET_INTERVAL,
    VLLM_REJECTION_THRESHOLD,
    MAX_ABANDONED_THREADS,
];

/// How like a flag's name (Jaro-Winkler, 0 to 1) a word must be to be taken for a slip of it.
const ALIKE: f64 = 0.8;

/// What is wrong with a line of flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No such flag.
    #[error("unknown flag `{flag}`{}", nearest.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default())]
    Unknown {
        /// As written.
        flag: String,
        /// The flag that it is most like, if there is one.
        nearest: Option<&'static str>,
    },
    /// A word where a flag should be.
    #[error("`{word}` is neither a flag nor the value of one: flags begin with `--`")]
    NotAFlag {
        /// As written.
        word: String,
    },
    /// A flag at the end, or before another one.
    #[error("`{flag}` needs a value: {expected}")]
    MissingValue {
        /// Which flag.
        flag: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// Not a number.
    #[error("`{flag} {value}`: not a number; expected {expected}")]
    NotANumber {
        /// Which flag.
        flag: &'static str,
        /// As written.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A number that the flag cannot have.
    #[error("`{flag} {value}`: out of range; expected {expected}")]
    OutOfRange {
        /// Which flag.
        flag: &'static str,
        /// As written.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The one setting that has no default is missing.
    #[error("the capacity for abandoned work has no default: add `--max_abandoned_threads N` (the shipped scenarios use 10)")]
    NoMaxAbandoned,
}

impl Settings {
    /// The seeds' system with these flags (`"--request_timeout 90 --max_queue_size=200"`); what is missing has the seeds'
    /// default. `max_abandoned` is the capacity for abandoned work where `--max_abandoned_threads` does not say it. A lone
    /// `\` (a continued line that was pasted) is skipped, and so are lines that begin with `#`.
    ///
    /// # Errors
    /// [`FlagError`]: the first thing that is wrong.
    pub fn from_flags(text: &str, max_abandoned: Option<Count>) -> Result<Self, FlagError> {
        let mut settings = Self::seed(max_abandoned.unwrap_or(Count::new(1).expect("1 is not 0")));
        let mut has_capacity = max_abandoned.is_some();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let mut words = lines.flat_map(str::split_whitespace).filter(|word| *word != "\\").peekable();
        while let Some(word) = words.next() {
            let (name, inline) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let flag = known(name)?;
            let value = inline.or_else(|| words.next_if(|next| !next.starts_with("--")));
            let value = value.filter(|v| !v.is_empty()).ok_or(FlagError::MissingValue { flag, expected: expected(flag) })?;
            settings.set_flag(flag, value)?;
            has_capacity |= flag == MAX_ABANDONED_THREADS;
        }
        if has_capacity { Ok(settings) } else { Err(FlagError::NoMaxAbandoned) }
    }

    /// These settings as flags, and what flags cannot carry, one sentence each. Read back, the flags give the same settings
    /// exactly where the second list is empty.
    #[must_use]
    pub fn to_flags(&self) -> (String, Vec<Lost>) {
        let mut words = Vec::new();
        let mut lost = Vec::new();
        self.timeout_flags(&mut words, &mut lost);
        self.queue_flags(&mut words, &mut lost);
        match &self.concurrency {
            Some(c) => {
                words.push(format!("{MAX_CONCURRENT_REQUESTS} {}", c.max_concurrent_requests.value()));
                lose(&mut lost, c.mode != Mode::Enforce, "concurrency.mode", "flags always enforce");
                lose(&mut lost, c.adaptive.is_some(), "concurrency.adaptive", "flags have a fixed limit");
            }
            None => lost.push(absent("concurrency")),
        }
        self.graduated_flags(&mut words, &mut lost);
        self.other_sections(&mut lost);
        (words.join(" "), lost)
    }

    fn set_flag(&mut self, flag: &'static str, value: &str) -> Result<(), FlagError> {
        let (Some(graduated), Some(queue), Some(concurrency), Some(timeout)) =
            (&mut self.graduated, &mut self.queue, &mut self.concurrency, &mut self.timeout)
        else {
            unreachable!("the seeds' system has all four sections");
        };
        match flag {
            REQUEST_TIMEOUT => timeout.request_timeout = seconds(flag, value)?,
            MAX_QUEUE_SIZE => queue.max_queue_size = count(flag, value)?,
            MAX_CONCURRENT_REQUESTS => concurrency.max_concurrent_requests = count(flag, value)?,
            QUEUE_REJECTION_THRESHOLD => queue.queue_rejection_threshold = fraction(flag, value)?,
            RESET_INTERVAL => graduated.reset_interval = seconds(flag, value)?,
            VLLM_REJECTION_THRESHOLD => graduated.vllm_rejection_threshold = fraction(flag, value)?,
            _ => graduated.max_abandoned = count(flag, value)?,
        }
        Ok(())
    }

    fn timeout_flags(&self, words: &mut Vec<String>, lost: &mut Vec<Lost>) {
        let Some(t) = &self.timeout else {
            lost.push(absent("timeout"));
            return;
        };
        carry_seconds(words, lost, REQUEST_TIMEOUT, t.request_timeout);
        lose(lost, t.mode != Mode::Enforce, "timeout.mode", "flags always enforce");
        lose(lost, t.timeout_from != TimeoutFrom::Dispatch, "timeout.timeout_from", "flags count from dispatch");
        lose(lost, t.on_timeout != OnTimeout::Abandon, "timeout.on_timeout", "flags abandon the call");
        lose(lost, t.on_client_gone != OnClientGone::RunOn, "timeout.on_client_gone", "flags let the call run on");
    }

    fn queue_flags(&self, words: &mut Vec<String>, lost: &mut Vec<Lost>) {
        let Some(q) = &self.queue else {
            lost.push(absent("queue"));
            return;
        };
        words.push(format!("{MAX_QUEUE_SIZE} {}", q.max_queue_size.value()));
        words.push(format!("{QUEUE_REJECTION_THRESHOLD} {}", q.queue_rejection_threshold));
        let plain = super::Queue::default();
        lose(lost, q.mode != Mode::Enforce, "queue.mode", "flags always enforce");
        lose(lost, q.max_queue_tokens.is_some(), "queue.max_queue_tokens", "flags bound requests only");
        lose(lost, q.order != Order::Fifo, "queue.order", "flags have fifo only");
        lose(lost, q.adaptive_lifo_share != plain.adaptive_lifo_share, "queue.adaptive_lifo_share", "flags have fifo only");
        lose(lost, !q.weights.is_empty(), "queue.weights", "flags have fifo only");
        lose(lost, q.by_priority, "queue.by_priority", "flags know no priorities");
        lose(lost, q.codel.is_some(), "queue.codel", "flags cannot say it");
        lose(lost, q.deadline_aware, "queue.deadline_aware", "flags cannot say it");
        lose(lost, q.graduated.is_some(), "queue.graduated", "flags cannot say it");
    }

    fn graduated_flags(&self, words: &mut Vec<String>, lost: &mut Vec<Lost>) {
        let Some(g) = &self.graduated else {
            lost.push(absent("graduated"));
            return;
        };
        carry_seconds(words, lost, RESET_INTERVAL, g.reset_interval);
        words.push(format!("{VLLM_REJECTION_THRESHOLD} {}", g.vllm_rejection_threshold));
        words.push(format!("{MAX_ABANDONED_THREADS} {}", g.max_abandoned.value()));
        let seed = Self::seed(g.max_abandoned).graduated.expect("the seeds' system has this section");
        lose(lost, g.mode != Mode::Enforce, "graduated.mode", "flags always enforce");
        lose(lost, g.at != At::Dispatch, "graduated.at", "flags check at dispatch");
        lose(lost, g.forget != Forget::Reset, "graduated.forget", "flags reset at intervals");
        lose(lost, g.half_life != seed.half_life, "graduated.half_life", "flags do not decay");
        lose(lost, g.lease != seed.lease, "graduated.lease", "flags have no gauge");
    }

    /// Whatever else is set, from a list of sections that grows by itself.
    fn other_sections(&self, lost: &mut Vec<Lost>) {
        let all = serde_json::to_value(self).expect("settings have string keys and nothing in them fails to serialise");
        let sections = all.as_object().into_iter().flat_map(|sections| sections.keys());
        let unknown = sections.filter(|name| !SECTIONS.contains(&name.as_str()));
        lost.extend(unknown.map(|name| Lost::because(name, "flags cannot say it")));
    }
}

/// The sections that the flags speak of.
const SECTIONS: [&str; 4] = ["graduated", "queue", "concurrency", "timeout"];

fn known(name: &str) -> Result<&'static str, FlagError> {
    if !name.starts_with("--") {
        return Err(FlagError::NotAFlag { word: name.to_owned() });
    }
    if let Some(flag) = FLAGS.into_iter().find(|flag| *flag == name) {
        return Ok(flag);
    }
    let plain = name.trim_start_matches('-').replace('-', "_");
    let likeness = |flag: &&str| strsim::jaro_winkler(&plain, flag.trim_start_matches('-'));
    let nearest = FLAGS.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|flag| likeness(flag) >= ALIKE);
    Err(FlagError::Unknown { flag: name.to_owned(), nearest })
}

fn expected(flag: &str) -> &'static str {
    match flag {
        REQUEST_TIMEOUT | RESET_INTERVAL => "seconds above 0, like 60",
        QUEUE_REJECTION_THRESHOLD | VLLM_REJECTION_THRESHOLD => "a fraction from 0 to 1, like 0.8",
        _ => "a whole number from 1, like 50",
    }
}

/// The number behind a flag, and its value in range, or which of the two is not so.
fn parsed<T>(flag: &'static str, text: &str, in_range: impl Fn(f64) -> Option<T>) -> Result<T, FlagError> {
    let (value, expected) = (text.to_owned(), expected(flag));
    match text.parse::<f64>() {
        Ok(number) if !number.is_nan() => in_range(number).ok_or(FlagError::OutOfRange { flag, value, expected }),
        _ => Err(FlagError::NotANumber { flag, value, expected }),
    }
}

fn seconds(flag: &'static str, text: &str) -> Result<Span, FlagError> {
    parsed(flag, text, |number| {
        let span = format!("{number}s").parse::<Span>().ok()?;
        (span > Span::ZERO).then_some(span)
    })
}

fn count(flag: &'static str, text: &str) -> Result<Count, FlagError> {
    parsed(flag, text, |_| text.parse().ok().and_then(Count::new))
}

fn fraction(flag: &'static str, text: &str) -> Result<Fraction, FlagError> {
    parsed(flag, text, Fraction::new)
}

/// Writes a time in seconds, which is exact where it reads back the same.
fn carry_seconds(words: &mut Vec<String>, lost: &mut Vec<Lost>, flag: &'static str, span: Span) {
    let text = span.as_secs_f64().to_string();
    if seconds(flag, &text) == Ok(span) {
        words.push(format!("{flag} {text}"));
    } else {
        let why = format!("{span} cannot be written exactly as seconds above 0");
        lost.push(Lost::because(flag.trim_start_matches('-'), why));
    }
}

fn lose(lost: &mut Vec<Lost>, is_lost: bool, setting: &str, why: &str) {
    if is_lost {
        lost.push(Lost::because(setting, why));
    }
}

fn absent(section: &str) -> Lost {
    Lost::is(section, "absent", "flags always set it")
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // a number must come back as it was written
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Option<Count> = Count::new(10);

    #[test]
    fn without_flags_it_is_the_seeds_system() {
        assert_eq!(Settings::from_flags("", TEN), Ok(Settings::seed(Count::new(10).expect("not 0"))));
        assert_eq!(Settings::from_flags("", None), Err(FlagError::NoMaxAbandoned));
    }

    /// Seed 001's "Production Configuration".
    #[test]
    fn the_seeds_own_example_reads() {
        let text = "--request_timeout 90 \\\n --max_queue_size 200 \\\n --max_concurrent_requests 10 \
                    --queue_rejection_threshold=0.9 --reset_interval 600 --vllm_rejection_threshold 0.8 --max_abandoned_threads=7";
        let settings = Settings::from_flags(text, TEN).expect("well formed");
        let (graduated, queue) = (settings.graduated.clone().expect("set"), settings.queue.clone().expect("set"));
        assert_eq!(settings.timeout.clone().expect("set").request_timeout, Span::from_secs(90));
        assert_eq!((queue.max_queue_size.value(), queue.queue_rejection_threshold.value()), (200, 0.9));
        assert_eq!(settings.concurrency.clone().expect("set").max_concurrent_requests.value(), 10);
        assert_eq!((graduated.reset_interval, graduated.max_abandoned.value()), (Span::from_secs(600), 7));
        assert_eq!(graduated.vllm_rejection_threshold.value(), 0.8);
        assert_eq!(Settings::from_flags(&settings.to_flags().0, None), Ok(settings));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text| Settings::from_flags(text, TEN).expect_err(text).to_string();
        assert_eq!(error("--max-queue-size 5"), "unknown flag `--max-queue-size`: did you mean `--max_queue_size`?");
        assert_eq!(error("--model x"), "unknown flag `--model`");
        assert_eq!(error("50"), "`50` is neither a flag nor the value of one: flags begin with `--`");
        assert_eq!(error("--reset_interval"), "`--reset_interval` needs a value: seconds above 0, like 60");
        assert_eq!(error("--reset_interval --request_timeout 5"), error("--reset_interval="));
        assert_eq!(
            error("--max_queue_size many"),
            "`--max_queue_size many`: not a number; expected a whole number from 1, like 50"
        );
        for (flag, value) in [
            ("--max_queue_size", "0"),
            ("--max_queue_size", "1.5"),
            ("--max_queue_size", "4294967296"),
            ("--request_timeout", "-5"),
            ("--request_timeout", "0"),
            ("--request_timeout", "inf"),
            ("--vllm_rejection_threshold", "1.1"),
        ] {
            let text = format!("{flag} {value}");
            let error = Settings::from_flags(&text, TEN).expect_err("out of range");
            assert!(matches!(&error, FlagError::OutOfRange { value: v, .. } if v == value), "{text}: {error}");
        }
        assert!(matches!(Settings::from_flags("--request_timeout nan", TEN), Err(FlagError::NotANumber { .. })));
    }

    #[test]
    fn what_flags_cannot_carry_is_listed() {
        let (text, lost) = Settings::default().to_flags();
        assert_eq!((text.as_str(), lost.len()), ("", 4));
        let mut settings = Settings::seed(Count::new(10).expect("not 0"));
        assert!(settings.to_flags().1.is_empty());
        settings.graduated.as_mut().expect("set").forget = Forget::Decay;
        settings.timeout.as_mut().expect("set").on_timeout = OnTimeout::Cancel;
        settings.timeout.as_mut().expect("set").request_timeout = Span::FOREVER;
        let lost = settings.to_flags().1;
        assert!(lost.len() == 3 && lost[0].setting == "request_timeout", "{lost:?}");
    }

    #[test]
    fn sections_that_flags_do_not_know_are_listed() {
        let lost = Settings::seed_adapter().to_flags().1;
        for section in ["limiter", "lane", "breaker", "call_timeout", "finalise"] {
            assert!(lost.contains(&Lost::because(section, "flags cannot say it")), "{section} in {lost:?}");
        }
        assert!(lost.contains(&absent("graduated")), "{lost:?}");
        let both =
            Settings { limiter: Some(crate::policy::Limiter::default()), ..Settings::seed(Count::new(10).expect("not 0")) };
        let told: Vec<String> = both.to_flags().1.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["limiter: flags cannot say it"]);
    }

    proptest! {
        /// Whatever the flags can say comes back the same, to the nanosecond and the bit.
        #[test]
        fn flags_read_back(nanos in 1u64..1 << 50, size in 1u32.., threshold in 0.0f64..=1.0, abandoned in 1u32..) {
            let mut settings = Settings::seed(Count::new(abandoned).expect("not 0"));
            settings.timeout.as_mut().expect("set").request_timeout = Span::from_nanos(nanos);
            settings.queue.as_mut().expect("set").max_queue_size = Count::new(size).expect("not 0");
            settings.graduated.as_mut().expect("set").vllm_rejection_threshold = Fraction::new(threshold).expect("in range");
            let (text, lost) = settings.to_flags();
            prop_assert_eq!(lost, vec![]);
            prop_assert_eq!(Settings::from_flags(&text, None), Ok(settings));
        }
    }
}
