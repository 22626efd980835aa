//! A bound that a relation sets: `<= 500`.

/// A relation and a number.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Bound {
    /// How the figure must stand to the number.
    pub relation: Relation,
    /// The number.
    pub number: f64,
}

/// How a figure must stand to a bound.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
}

/// Two-letter signs first: `>=` begins with `>`.
const SIGNS: [(&str, Relation); 4] =
    [(">=", Relation::AtLeast), ("<=", Relation::AtMost), (">", Relation::Above), ("<", Relation::Below)];

impl Bound {
    /// Takes `LEFT RELATION NUMBER` apart: what stands left, and the bound.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn split(text: &str) -> Result<(&str, Self), String> {
        let at = text.find(['<', '>']).ok_or("there is no `>=`, `<=`, `>` or `<`: write like `goodput_fraction>=0.95`")?;
        let (left, right) = text.split_at(at);
        let read = SIGNS.iter().find_map(|(sign, relation)| Some((*relation, right.strip_prefix(sign)?)));
        let (relation, number) = read.ok_or("the relation must be `>=`, `<=`, `>` or `<`")?;
        let text = number.trim();
        let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
        if !number.is_finite() {
            return Err(format!("`{text}` is not a finite number"));
        }
        Ok((left.trim(), Self { relation, number }))
    }

    /// Whether `found` keeps it.
    #[must_use]
    pub fn holds(self, found: f64) -> bool {
        match self.relation {
            Relation::AtLeast => found >= self.number,
            Relation::AtMost => found <= self.number,
            Relation::Above => found > self.number,
            Relation::Below => found < self.number,
        }
    }

    /// How far inside the bound `found` lies, in its own unit; negative where it breaks it.
    #[must_use]
    pub fn slack(self, found: f64) -> f64 {
        match self.relation {
            Relation::AtLeast | Relation::Above => found - self.number,
            Relation::AtMost | Relation::Below => self.number - found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_inclusive_only_where_it_says_so() {
        let holds = |text: &str, found| Bound::split(text).unwrap().1.holds(found);
        assert!(holds("x>=1", 1.0) && holds("x <= 1", 1.0));
        assert!(!holds("x>1", 1.0) && !holds("x< 1", 1.0));
    }

    #[test]
    fn slack_is_positive_inside() {
        let slack = |text: &str, found| Bound::split(text).unwrap().1.slack(found);
        assert_eq!((slack("x<=5", 3.0), slack("x<=5", 7.0)), (2.0, -2.0));
        assert_eq!((slack("x>=5", 3.0), slack("x>5", 7.0)), (-2.0, 2.0));
    }
}
