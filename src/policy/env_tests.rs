//! The seed's file, careless ones, and that nothing is lost in silence.

use proptest::prelude::*;

use super::*;
use crate::policy::{Mode, Queue};
use crate::units::Positive;

/// Seed 002, "Configuration", as printed.
const SEED: &str = "# Rate Limiting
OPENAI_TPM_LIMIT=30000
OPENAI_TPM_HEADROOM=0.15
OPENAI_AUTO_TRIM=true
OPENAI_HEAVY_MIN_REMAINING=24000

# Concurrency
OPENAI_MAX_CONCURRENCY=3
OPENAI_STAGGER_SECONDS=15

# Circuit Breaker
PROXY_CIRCUIT_THRESHOLD=2
PROXY_CIRCUIT_COOLDOWN=600

# Timeouts
OPENAI_TIMEOUT_GROUNDED_DIRECT=480
OPENAI_TIMEOUT_GROUNDED_PROXY=300
OPENAI_TIMEOUT_UNGROUNDED=120
";

fn read(text: &str) -> Settings {
    Settings::from_env(text).unwrap_or_else(|wrong| panic!("{wrong}")).0
}

fn said(text: &str) -> String {
    Settings::from_env(text).expect_err(text).to_string()
}

#[test]
fn the_seeds_own_file_is_the_seeds_adapter() {
    let (settings, remarks) = Settings::from_env(SEED).unwrap();
    let mut seed = Settings::seed_adapter();
    let lane = seed.lane.as_mut().unwrap();
    (lane.stagger, lane.stagger_scope) = (Some(Span::from_secs(15)), StaggerScope::Nobody);
    assert_eq!(settings, seed);
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].starts_with("OPENAI_STAGGER_SECONDS=15 is not in force"), "{remarks:?}");
    assert_eq!(Settings::from_env(""), Ok((Settings::seed_adapter(), vec![])), "all defaults are the seed's");
    let (written, lost) = settings.to_env();
    assert_eq!((written.lines().count(), lost), (11, vec![]));
    let stated = SEED.lines().filter(|line| line.contains('=')).fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(written, stated, "nothing is lost, what is used nowhere included");
}

#[test]
fn every_name_sets_what_it_says() {
    let text = "OPENAI_TPM_LIMIT=90000\nOPENAI_TPM_HEADROOM=0.2\nOPENAI_AUTO_TRIM=false\nOPENAI_HEAVY_MIN_REMAINING=50000\n\
                OPENAI_MAX_CONCURRENCY=7\nOPENAI_STAGGER_SECONDS=0\nPROXY_CIRCUIT_THRESHOLD=5\nPROXY_CIRCUIT_COOLDOWN=30.5\n\
                OPENAI_TIMEOUT_GROUNDED_DIRECT=100\nOPENAI_TIMEOUT_GROUNDED_PROXY=200\nOPENAI_TIMEOUT_UNGROUNDED=0.25\n";
    let (settings, remarks) = Settings::from_env(text).unwrap();
    let (limiter, lane) = (settings.limiter.clone().unwrap(), settings.lane.clone().unwrap());
    let (breaker, timeout) = (settings.breaker.clone().unwrap(), settings.call_timeout.clone().unwrap());
    assert_eq!((limiter.tpm_limit.value(), limiter.headroom, limiter.auto_trim), (90_000, Fraction::new(0.2).unwrap(), false));
    assert_eq!((lane.min_remaining_tokens.map(Count::value), lane.stagger), (Some(50_000), None));
    assert_eq!(settings.concurrency.clone().unwrap().max_concurrent_requests.value(), 7);
    assert_eq!((breaker.threshold.value(), breaker.cooldown), (5, Span::from_millis(30_500)));
    let seconds = (timeout.grounded_direct, timeout.grounded_proxy, timeout.ungrounded);
    assert_eq!(seconds, (Span::from_secs(100), Span::from_secs(200), Span::from_millis(250)));
    assert_eq!((remarks, settings.to_env().1), (vec![], vec![]));
    assert_eq!(settings.to_env().0, text);
}

#[test]
fn files_are_read_as_shells_and_dotenv_write_them() {
    let plain = read("OPENAI_TPM_LIMIT=5000\nPROXY_CIRCUIT_COOLDOWN=60\nOPENAI_AUTO_TRIM=false");
    for text in [
        "\u{feff}export OPENAI_TPM_LIMIT=\"5000\"\r\n\r\n  export\tPROXY_CIRCUIT_COOLDOWN = '60' # a minute\r\nOPENAI_AUTO_TRIM=No\r\n",
        "# a comment with = in it\nOPENAI_TPM_LIMIT=5000   # tokens\nPROXY_CIRCUIT_COOLDOWN=6e1\nOPENAI_AUTO_TRIM=\"OFF\"#x",
    ] {
        assert_eq!(read(text), plain, "{text}");
    }
}

#[test]
fn mistakes_are_told_with_line_and_remedy() {
    assert_eq!(
        said("# limits\nOPENAI_TPM_LIMT=5"),
        "line 2: `OPENAI_TPM_LIMT=...`: unknown name `OPENAI_TPM_LIMT`: did you mean `OPENAI_TPM_LIMIT`?"
    );
    assert_eq!(
        said("OPENAI_TPM_LIMIT=5\n\nexport OPENAI_TPM_LIMIT=6"),
        "line 3: `export OPENAI_TPM_LIMIT=6`: `OPENAI_TPM_LIMIT` stands on line 1 already: keep one of the two"
    );
    assert_eq!(
        said("OPENAI_TPM_HEADROOM=1"),
        "line 1: `OPENAI_TPM_HEADROOM=1`: `1` is not right here; write a share of at least 0 and below 1, like 0.15"
    );
    assert_eq!(said("OPENAI_AUTO_TRIM="), "line 1: `OPENAI_AUTO_TRIM=`: `` is empty; write true or false");
    assert!(said("OPENAI_TPM_LIMIT='5").ends_with("close the quote at the end of the value"));
    assert!(said("OPENAI_TPM_LIMIT='5' 6").ends_with("close the quote at the end of the value"));
    for none in ["OPENAI_TPM_LIMIT 5", "=5", "OPENAI TPM=5", "export"] {
        assert!(said(none).ends_with("write `NAME=value`, or begin a comment with `#`"), "{none}");
    }
    for (name, value) in [
        (TPM_LIMIT, "0"),
        (TPM_LIMIT, "1.5"),
        (TPM_LIMIT, "4294967296"),
        (TPM_LIMIT, "many"),
        (TPM_HEADROOM, "-0.1"),
        (TPM_HEADROOM, "nan"),
        (AUTO_TRIM, "maybe"),
        (HEAVY_MIN_REMAINING, "0"),
        (MAX_CONCURRENCY, "-3"),
        (STAGGER_SECONDS, "-1"),
        (STAGGER_SECONDS, "inf"),
        (CIRCUIT_THRESHOLD, "0"),
        (CIRCUIT_COOLDOWN, "0"),
        (TIMEOUT_UNGROUNDED, "1e300"),
        (TIMEOUT_GROUNDED_PROXY, "5m"),
    ] {
        let expected = NAMES.iter().find(|(known, _)| *known == name).unwrap().1;
        let told = said(&format!("{name}={value}"));
        assert_eq!(told, format!("line 1: `{name}={value}`: `{value}` is not right here; write {expected}"));
    }
}

/// Error messages end up in logs.
#[test]
fn a_stranger_is_named_without_its_value_and_taken_for_no_slip() {
    let told = said("OPENAI_API_KEY=\"sk-very-secret");
    assert!(told.starts_with("line 1: `OPENAI_API_KEY=...`: unknown name `OPENAI_API_KEY`: the names are "), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

/// The file, and what it cannot carry in words.
fn told(settings: &Settings) -> (String, Vec<String>) {
    let (text, lost) = settings.to_env();
    (text, lost.iter().map(ToString::to_string).collect())
}

#[test]
fn what_a_file_cannot_carry_is_listed_setting_by_setting() {
    let (text, lost) = told(&Settings::default());
    assert_eq!(text, "");
    assert_eq!(lost.len(), 6, "{lost:?}");
    assert_eq!(lost[0], "breaker is absent: an environment file always sets it");
    let mut settings = Settings::seed_adapter();
    settings.queue = Some(Queue::default());
    settings.limiter.as_mut().unwrap().settle = true;
    settings.limiter.as_mut().unwrap().priors.pop();
    let lane = settings.lane.as_mut().unwrap();
    (lane.mode, lane.stagger) = (Mode::Observe, Some(Span::from_secs(15)));
    settings.call_timeout.as_mut().unwrap().ungrounded = Span::FOREVER;
    let (text, lost) = told(&settings);
    assert!(text.contains("OPENAI_STAGGER_SECONDS=15\n") && !text.contains("UNGROUNDED"), "{text}");
    assert_eq!(lost.len(), 6, "{lost:?}");
    for sentence in [
        "queue: an environment file cannot say it",
        "limiter.settle is true: an environment file gives false",
        "limiter.priors is another list: an environment file gives another list",
        "lane.mode is \"observe\": an environment file gives \"enforce\"",
        "lane.stagger_scope is \"heavy\": an environment file gives \"nobody\"",
    ] {
        assert!(lost.iter().any(|lost| lost == sentence), "{sentence} in {lost:?}");
    }
}

/// 0.8 of 25,500 are the 20,400 tokens that the seed's code waits for.
#[test]
fn a_share_of_the_budget_is_written_in_tokens() {
    let mut settings = Settings::seed_adapter();
    settings.lane.as_mut().unwrap().min_remaining_tokens = None;
    let (text, lost) = told(&settings);
    assert!(text.contains("OPENAI_HEAVY_MIN_REMAINING=20400\n"), "{text}");
    assert_eq!(lost, ["lane.min_remaining_tokens is absent: an environment file always sets it (20400)"]);
    settings.lane.as_mut().unwrap().min_remaining = Fraction::new(0.5);
    assert!(settings.to_env().0.contains("OPENAI_HEAVY_MIN_REMAINING=12750\n"));
    settings.limiter.as_mut().unwrap().headroom = Fraction::new(1.0).unwrap();
    let (text, lost) = told(&settings);
    assert!(!text.contains("HEADROOM") && lost.iter().any(|lost| lost.starts_with("limiter.headroom is 1")), "{text}{lost:?}");
}

proptest! {
    /// Whatever the names can say comes back the same, to the nanosecond and the bit.
    #[test]
    fn files_read_back(
        (tpm, remaining, slots, threshold) in (1u32.., 1u32.., 1u32.., 1u32..),
        headroom in 0.0f64..1.0,
        trim: bool,
        nanos in prop::array::uniform4(1u64..1 << 50),
    ) {
        let mut settings = Settings::seed_adapter();
        let count = |n| Count::new(n).unwrap();
        let limiter = settings.limiter.as_mut().unwrap();
        (limiter.tpm_limit, limiter.headroom, limiter.auto_trim) = (count(tpm), Fraction::new(headroom).unwrap(), trim);
        settings.lane.as_mut().unwrap().min_remaining_tokens = Some(count(remaining));
        settings.concurrency.as_mut().unwrap().max_concurrent_requests = count(slots);
        let breaker = settings.breaker.as_mut().unwrap();
        (breaker.threshold, breaker.cooldown) = (count(threshold), Span::from_nanos(nanos[0]));
        let timeout = settings.call_timeout.as_mut().unwrap();
        (timeout.grounded_direct, timeout.grounded_proxy) = (Span::from_nanos(nanos[1]), Span::from_nanos(nanos[2]));
        timeout.ungrounded = Span::from_nanos(nanos[3]);
        let (text, lost) = settings.to_env();
        prop_assert_eq!(lost, vec![]);
        prop_assert_eq!(Settings::from_env(&text), Ok((settings, vec![])));
    }

    /// Nothing that is changed is lost in silence.
    #[test]
    fn a_loss_is_always_told(multiplier in 0.1f64..9.0, ms in 1u64..10_000_000, cap: bool) {
        let mut settings = Settings::seed_adapter();
        settings.limiter.as_mut().unwrap().unknown_prior = Positive::new(multiplier).unwrap();
        settings.finalise.as_mut().unwrap().sla = Span::from_millis(ms);
        settings.limiter.as_mut().unwrap().multiplier_max = cap.then(|| Positive::new(multiplier).unwrap());
        let (text, lost) = settings.to_env();
        let (back, _) = Settings::from_env(&text).unwrap();
        prop_assert_eq!(lost.is_empty(), back == settings);
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in "(OPENAI_TPM_LIMIT|export|=|'|\"|#| |\n|\\PC){0,40}") {
        let _ = Settings::from_env(&text);
    }
}
