//! Assertions about a result, for gates in CI: `goodput_fraction>=0.95`, `p99_ttft_ms{variant=base,class=chat}<=500`.

use std::fmt;
use std::str::FromStr;

use crate::journal::summary::{Bound, Measure, Summary};
use crate::stats::significant;

/// A figure, where it is looked for, and its bound.
#[derive(Clone, Debug)]
pub struct Assertion {
    text: String,
    measure: Measure,
    variant: Option<String>,
    bound: Bound,
}

/// What an assertion found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Whether it holds in every variant that it is about.
    pub holds: bool,
    /// What was found where it does not, for a person.
    pub found: String,
}

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, bound) = Bound::split(text)?;
        let (measure, variant) = Measure::parse_placed(left)?;
        Ok(Self { text: text.trim().to_owned(), measure, variant, bound })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Assertion {
    /// Whether it can be judged: the variant and the class that it names are among these.
    ///
    /// # Errors
    /// A sentence where they are not.
    pub fn check(&self, variants: &[&str], classes: &[&str]) -> Result<(), String> {
        if !variants.iter().any(|name| self.is_about(name)) {
            return Err(format!("`{self}`: there is no such variant; there are: {}", variants.join(", ")));
        }
        self.measure.check_class(classes).map_err(|why| format!("`{self}`: {why}"))
    }

    /// Whether it is about the variant of this name. A name without a sweep's value (` @ 60 %`) stands for all of its copies.
    fn is_about(&self, variant: &str) -> bool {
        let named =
            |name: &String| variant.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(" @ "));
        self.variant.as_ref().is_none_or(named)
    }

    /// Whether only who looks into the upstream can say whether it holds.
    #[must_use]
    pub fn is_from_inside(&self) -> bool {
        self.measure.is_from_inside()
    }

    /// Whether it holds: in every variant, unless it names one.
    ///
    /// # Errors
    /// A sentence where it names a variant or class that the result does not have.
    pub fn judge(&self, summary: &Summary) -> Result<Judged, String> {
        let names: Vec<&str> = summary.variants.iter().map(|variant| variant.name.as_str()).collect();
        let classes = summary.variants.iter().take(1).flat_map(|variant| &variant.classes);
        self.check(&names, &classes.map(|class| class.name.as_str()).collect::<Vec<_>>())?;
        let mut wrong = Vec::new();
        for variant in summary.variants.iter().filter(|variant| self.is_about(&variant.name)) {
            let found = self.measure.of(variant);
            if !found.is_some_and(|found| self.bound.holds(found)) {
                let found = found.map_or_else(|| "nothing to measure".to_owned(), |found| significant(found, 6).to_string());
                wrong.push(format!("{found} in \"{}\"", variant.name));
            }
        }
        Ok(Judged { holds: wrong.is_empty(), found: wrong.join(", ") })
    }
}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
