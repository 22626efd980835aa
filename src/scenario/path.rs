//! Paths into a scenario: `class[0].arrival.rate`.

use std::fmt;
use std::str::FromStr;

/// Longest path taken: the deepest setting is at half of that.
const STEPS_MAX: usize = 16;

/// One step down the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// A path, with the byte range of each step in the text it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    steps: Vec<(Step, usize, usize)>,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path: {why}")]
pub struct NotAPath {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl NotAPath {
    /// What a path looks like.
    pub const HELP: &str = "write keys with dots between and indices in brackets, like `class[0].arrival.rate`";
}

impl Path {
    /// The steps, from the root.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(step, ..)| step)
    }

    /// Each step with its byte range in the text.
    pub fn ranges(&self) -> impl Iterator<Item = (&Step, usize, usize)> {
        self.steps.iter().map(|(step, start, end)| (step, *start, *end))
    }

    /// The first key.
    #[must_use]
    pub fn first_key(&self) -> Option<&str> {
        match self.steps.first() {
            Some((Step::Key(key), ..)) => Some(key),
            _ => None,
        }
    }

    /// The last key, whatever indices follow it.
    #[must_use]
    pub fn last_key(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|(step, ..)| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let fail = |why| NotAPath { text: text.to_owned(), why };
        let mut steps = Vec::new();
        let mut start = 0;
        for part in text.split('.') {
            let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == ']') {
                return Err(fail("a key is missing or holds a space or bracket"));
            }
            steps.push((Step::Key(key.to_owned()), start, start + key.len()));
            let mut at = start + key.len();
            while !rest.is_empty() {
                let close = rest.find(']').ok_or_else(|| fail("a bracket is not closed"))?;
                let index = rest.get(1..close).filter(|_| rest.starts_with('[')).and_then(|digits| digits.parse().ok());
                steps.push((Step::Index(index.ok_or_else(|| fail("an index is not a whole number"))?), at, at + close + 1));
                at += close + 1;
                rest = &rest[close + 1..];
            }
            start += part.len() + 1;
        }
        if steps.len() > STEPS_MAX {
            return Err(fail("no setting is that deep"));
        }
        Ok(Self { steps })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps().enumerate() {
            match step {
                Step::Key(key) if place == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_and_print() {
        for text in ["a", "class[0].arrival.rate", "a[1][2].b"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        let path: Path = "class[12].rate".parse().unwrap();
        let ranges: Vec<_> = path.ranges().map(|(_, start, end)| (start, end)).collect();
        assert_eq!(ranges, [(0, 5), (5, 9), (10, 14)]);
    }

    #[test]
    fn what_is_no_path_says_why() {
        for bad in ["", ".", "a.", "a..b", "a[", "a[x]", "a[-1]", "[0]", "a b", "a[0]x", "a]"] {
            assert!(bad.parse::<Path>().is_err(), "{bad} was taken");
        }
    }
}
