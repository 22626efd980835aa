//! Checks in a journal's lines, so that a byte that was changed after it was written is found, and in which line it stands.
//!
//! Each line ends in a member `"k"`, eight hexadecimal digits: the upper half of a rolling 64-bit digest over all bytes of the
//! journal up to there, this line's own included. A line that was changed, added, left out or moved breaks its own check or that
//! of the line behind it. A step of the digest loses nothing: one changed byte always changes all 64 bits' worth of state, and
//! goes unseen in one line with a probability of 2^-32, and then in the next again.

use crate::rng::mix;

/// What stands before the digits, in place of the brace that ends the object.
const OPEN: &str = ",\"k\":\"";
/// What stands behind them.
const CLOSE: &str = "\"}";
/// How many.
const DIGITS: usize = 8;
/// Bytes of the whole member.
const LENGTH: usize = OPEN.len() + DIGITS + CLOSE.len();

/// A rolling digest over lines.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Seal(u64);

/// How a line stands to the check in it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It has none.
    Absent,
    /// It is what was written.
    Holds,
    /// It, or the one before it, is not what was written there.
    Broken,
}

impl Seal {
    /// Puts its check into a line that is one JSON object without line break.
    pub fn put(&mut self, line: &mut Vec<u8>) {
        let brace = line.pop();
        debug_assert_eq!(brace, Some(b'}'), "an event is an object");
        let digits = format!("{OPEN}{:08x}{CLOSE}", self.roll(line));
        line.extend_from_slice(digits.as_bytes());
    }

    /// Checks a line, without its line break.
    pub fn check(&mut self, line: &str) -> Check {
        let Some((content, digits)) = split(line) else { return Check::Absent };
        let wanted = self.roll(content.as_bytes());
        if format!("{wanted:08x}") == digits { Check::Holds } else { Check::Broken }
    }

    fn roll(&mut self, content: &[u8]) -> u64 {
        self.0 = mix(self.0.rotate_left(23) ^ crate::rng::fnv1a(content), content.len() as u64);
        self.0 >> 32
    }
}

/// A line without its check and last brace, and the check's digits; `None` where it has none of that shape.
fn split(line: &str) -> Option<(&str, &str)> {
    let (content, check) = line.split_at_checked(line.len().checked_sub(LENGTH)?)?;
    let digits = check.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    Some((content, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(lines: &[&str]) -> Vec<String> {
        let mut seal = Seal::default();
        let one = |line: &&str| {
            let mut bytes = line.as_bytes().to_vec();
            seal.put(&mut bytes);
            String::from_utf8(bytes).expect("text and digits")
        };
        lines.iter().map(one).collect()
    }

    fn broken(lines: &[String]) -> Option<usize> {
        let mut seal = Seal::default();
        lines.iter().position(|line| seal.check(line) != Check::Holds)
    }

    #[test]
    fn a_line_with_its_check_is_json_and_holds() {
        let lines = sealed(&["{\"t\":1}", "{\"t\":1}"]);
        assert_eq!(broken(&lines), None);
        assert_ne!(lines[0], lines[1], "a check covers all lines before it");
        let value: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!(value["t"], 1);
        assert_eq!(Seal::default().check("{\"t\":1}"), Check::Absent);
    }

    #[test]
    fn lines_that_are_swapped_or_missing_are_found() {
        let lines = sealed(&["{\"t\":1}", "{\"t\":2}", "{\"t\":3}"]);
        assert_eq!(broken(&[lines[0].clone(), lines[2].clone()]), Some(1));
        assert_eq!(broken(&[lines[1].clone(), lines[0].clone()]), Some(0));
        assert_eq!(broken(&[lines[0].clone(), lines[0].clone()]), Some(1));
    }
}
