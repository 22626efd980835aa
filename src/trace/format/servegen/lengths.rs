//! Distributions of lengths: `{"0": {"input_tokens": "{45: 0.0097, 46: 0.0117}", "output_tokens": "{...}"}, "21600": ...}`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rng::open01;

/// An empirical distribution of a number of tokens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tokens {
    values: Vec<u32>,
    /// Sums of the weights up to and including each value; the last one is all of them.
    sums: Vec<f64>,
}

impl Tokens {
    /// The value that `bits` stands for: the inverse of the distribution function.
    pub fn sample(&self, bits: u64) -> u32 {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let at = self.sums.partition_point(|sum| *sum < open01(bits) * total);
        self.values[at.min(self.values.len() - 1)]
    }
}

/// Both lengths from a time on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lengths {
    /// From when on, seconds.
    pub start_s: f64,
    /// Of prompts.
    pub input: Tokens,
    /// Of answers.
    pub output: Tokens,
}

/// What a dataset file says; times without requests are left out.
///
/// # Errors
/// What is wrong, for a person.
pub(super) fn parse(text: &str) -> Result<Vec<Lengths>, String> {
    let times: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for (time, fields) in &times {
        let start_s: f64 =
            time.parse().ok().filter(|secs: &f64| secs.is_finite()).ok_or(format!("`{time}` is not a time in seconds"))?;
        let of = |name: &str| -> Result<Option<Tokens>, String> {
            let text = fields.get(name).ok_or(format!("at {time} there is no `{name}`"))?;
            let text = text.as_str().ok_or(format!("`{name}` at {time} is not a dict in a string"))?;
            tokens(text).map_err(|why| format!("`{name}` at {time}: {why}"))
        };
        if let (Some(input), Some(output)) = (of("input_tokens")?, of("output_tokens")?) {
            all.push(Lengths { start_s, input, output });
        }
    }
    all.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    Ok(all)
}

/// A Python dict literal of numbers, `{45: 0.0097, 46: 1e-3}`, read as what it is and never evaluated; `None` if it is empty.
fn tokens(text: &str) -> Result<Option<Tokens>, String> {
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or("not a dict like {45: 0.01}")?;
    let mut found = Tokens { values: Vec::new(), sums: Vec::new() };
    let mut sum = 0.0;
    for item in inner.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let wrong = || format!("`{}` is not TOKENS: SHARE", item.chars().take(40).collect::<String>());
        let (value, share) = item.split_once(':').ok_or_else(wrong)?;
        let value: u32 = value.trim().parse().map_err(|_| wrong())?;
        let share: f64 = share.trim().parse().ok().filter(|share| (0.0..=1e12).contains(share)).ok_or_else(wrong)?;
        // A prompt or an answer of nothing is none.
        if value > 0 && share > 0.0 {
            sum += share;
            found.values.push(value);
            found.sums.push(sum);
        }
    }
    Ok((!found.values.is_empty()).then_some(found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::mix;

    #[test]
    fn a_dict_literal_is_read_and_not_evaluated() {
        let found = tokens("{45: 0.25, 46:2.5e-1,  90: 0.5}").unwrap().unwrap();
        assert_eq!(found, Tokens { values: vec![45, 46, 90], sums: vec![0.25, 0.5, 1.0] });
        assert_eq!(tokens("{}"), Ok(None));
        for bad in ["__import__('os')", "{45: 0.1", "{'a': 1}", "{4: nan}", "{4: -1}", "{4: 1+1}", "{4}", "{-4: 1}", ""] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn samples_have_the_shares_of_the_distribution() {
        let found = tokens("{1: 0.2, 7: 0.3, 9: 0.5}").unwrap().unwrap();
        let mut seen = [0; 10];
        for n in 0..10_000 {
            seen[found.sample(mix(3, n)) as usize] += 1;
        }
        assert!((seen[1] - 2_000i32).abs() < 150 && (seen[7] - 3_000i32).abs() < 150, "{seen:?}");
        assert_eq!(seen[1] + seen[7] + seen[9], 10_000);
    }

    #[test]
    fn times_without_requests_are_left_out() {
        let text = r#"{"21600": {"input_tokens": "{2: 1.0}", "output_tokens": "{3: 1.0}"}, "0": {"input_tokens": "{}", "output_tokens": "{}"}}"#;
        let found = parse(text).unwrap();
        assert_eq!((found.len(), found[0].start_s, found[0].output.sample(0)), (1, 21_600.0, 3));
        assert_eq!(parse(r#"{"0": {"output_tokens": "{}"}}"#).unwrap_err(), "at 0 there is no `input_tokens`");
        assert!(parse("[]").is_err() && parse(r#"{"x": {}}"#).is_err());
    }

    proptest! {
        /// Whatever the text, an answer and no panic.
        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}", dict in "[{}0-9:., e-]{0,40}") {
            let _ = (parse(&text), tokens(&text), tokens(&dict), parse(&format!("{{\"0\":{{\"input_tokens\":{dict:?},\"output_tokens\":\"{{1:1}}\"}}}}")));
        }
    }
}
