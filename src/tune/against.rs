//! What speaks against deploying the choice: one rule, for whoever words it and for whoever would write the settings.

use crate::tune::{Confirmation, Elsewhere, Ended, Figure, Tuned, hold};

/// What a future by which nothing was chosen says against the choice.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Against {
    /// Its gain over today's settings could not be measured.
    Unmeasured,
    /// Today's settings are surely better: the gain lies below 0.
    Worse(Figure),
    /// Its gain cannot be told from none.
    NoGain(Figure),
    /// A constraint does not hold on average.
    Breaks {
        /// Which one, from 0.
        constraint: usize,
        /// How far inside it is; `None` where no run shows it.
        slack: Option<Figure>,
    },
}

/// Why the choice is not for deployment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The search did not come to its end.
    CutShort,
    /// It surely breaks a constraint in the confirmation.
    Breaks,
    /// The time was over before it was tried on everything that is held out.
    Untried,
    /// Something that was held out speaks against it.
    HeldOut,
}

impl Elsewhere {
    /// What this future says against the choice. `is_today` where the choice is today's settings, which can neither gain nor
    /// lose.
    #[must_use]
    pub fn against(&self, is_today: bool) -> Vec<Against> {
        // Today's settings may well give more where they break a constraint that the choice keeps.
        let (ours, theirs) = (hold(&self.constraints), hold(&self.current_constraints));
        let gain = match self.gain.first().copied().flatten() {
            _ if is_today || (ours && !theirs) => None,
            None => Some(Against::Unmeasured),
            Some(gain) if gain.is_below_zero() => Some(Against::Worse(gain)),
            Some(gain) if gain.is_above_zero() => None,
            Some(gain) => Some(Against::NoGain(gain)),
        };
        let breaks = self.constraints.iter().enumerate().filter_map(|(constraint, slack)| {
            let holds = slack.is_some_and(|slack| slack.mean >= 0.0);
            (!holds).then_some(Against::Breaks { constraint, slack: *slack })
        });
        gain.into_iter().chain(breaks).collect()
    }
}

impl Confirmation {
    /// Constraints that the choice surely breaks, each with how far inside it is.
    pub fn broken(&self) -> impl Iterator<Item = (usize, Figure)> {
        let surely = |slack: &Option<Figure>| slack.filter(|slack| slack.is_below_zero());
        self.constraints.iter().enumerate().filter_map(move |(constraint, slack)| Some((constraint, surely(slack)?)))
    }
}

impl Tuned {
    /// Why the choice is not for deployment, the gravest reason first; `None` where nothing speaks against it. `held_out` is the number
    /// of futures that it was to be tried in and nothing was to be chosen by.
    #[must_use]
    pub fn doubt(&self, held_out: usize) -> Option<Doubt> {
        let tried = || self.elsewhere.iter().filter(|one| one.held_out);
        let is_today = self.outcome.choice == self.outcome.baseline;
        let breaks = self.outcome.confirmation.as_ref().is_some_and(|confirmation| confirmation.broken().next().is_some());
        let doubts = [
            (self.outcome.ended != Ended::Complete, Doubt::CutShort),
            (tried().any(|one| !one.against(is_today).is_empty()), Doubt::HeldOut),
            (breaks, Doubt::Breaks),
            (tried().count() < held_out, Doubt::Untried),
        ];
        doubts.into_iter().find_map(|(is, doubt)| is.then_some(doubt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;
    use crate::tune::Case;

    fn fig(mean: f64, half: f64) -> Figure {
        Figure { mean, interval: (half > 0.0).then(|| Interval::around(mean, half)) }
    }

    fn tried(gain: Option<Figure>, slack: Option<Figure>) -> Elsewhere {
        Elsewhere {
            case: Case::EXPECTED,
            held_out: true,
            choice: Vec::new(),
            constraints: vec![slack],
            current: Vec::new(),
            current_constraints: Vec::new(),
            gain: vec![gain],
            regret: None,
            alone: None,
        }
    }

    #[test]
    fn a_gain_must_be_found_again_and_every_constraint_be_shown_to_hold() {
        let (up, none, down) = (fig(2.0, 1.0), fig(0.5, 1.0), fig(-2.0, 1.0));
        let (holds, breaks) = (Some(fig(0.5, 1.0)), Some(fig(-0.5, 1.0)));
        assert_eq!(tried(Some(up), holds).against(false), []);
        assert_eq!(tried(Some(none), holds).against(false), [Against::NoGain(none)]);
        assert_eq!(tried(Some(down), holds).against(false), [Against::Worse(down)]);
        let today_breaks = Elsewhere { current_constraints: vec![breaks], ..tried(Some(down), holds) };
        assert_eq!(today_breaks.against(false), [], "what breaks a constraint is no measure");
        assert_eq!(tried(None, holds).against(false), [Against::Unmeasured]);
        assert_eq!(tried(None, holds).against(true), []);
        assert_eq!(tried(Some(up), breaks).against(false), [Against::Breaks { constraint: 0, slack: breaks }]);
        assert_eq!(tried(Some(up), None).against(false), [Against::Breaks { constraint: 0, slack: None }]);
    }
}
