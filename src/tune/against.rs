//! What speaks against deploying the choice: one rule, for whoever words it and for whoever would write the settings.

use crate::tune::{Confirmation, Elsewhere, Ended, Figure, Tuned, hold, is_broken};

/// What a future by which nothing was chosen says against the choice.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Against {
    /// Its gain over today's settings could not be measured.
    Unmeasured,
    /// Today's settings are surely better: the gain lies below 0.
    Worse(Figure),
    /// Its gain cannot be told from none.
    NoGain(Figure),
    /// A constraint is broken ([`is_broken`]).
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
    /// It breaks a constraint in the confirmation.
    Breaks,
    /// Today's settings hold all constraints in the confirmation, and are surely better.
    Worse,
    /// The time was over before it was tried on everything that is held out.
    Untried,
    /// Something that was held out speaks against it.
    HeldOut,
}

impl Elsewhere {
    /// What this future says against the choice; `tolerances` are the constraints'. `is_today` where the choice is today's settings,
    /// which can neither gain nor lose.
    #[must_use]
    pub fn against(&self, is_today: bool, tolerances: &[f64]) -> Vec<Against> {
        // Today's settings may well give more where they break a constraint that the choice keeps.
        let (ours, theirs) = (hold(&self.constraints), hold(&self.current_constraints));
        let gain = match self.gain.first().copied().flatten() {
            _ if is_today || (ours && !theirs) => None,
            None => Some(Against::Unmeasured),
            Some(gain) if gain.is_below_zero() => Some(Against::Worse(gain)),
            Some(gain) if gain.is_above_zero() => None,
            Some(gain) => Some(Against::NoGain(gain)),
        };
        let breaks = self.broken(tolerances);
        gain.into_iter().chain(breaks.map(|(constraint, slack)| Against::Breaks { constraint, slack })).collect()
    }

    /// Constraints that the choice breaks in this future, each with how far inside it is; `tolerances` are the constraints'.
    pub fn broken(&self, tolerances: &[f64]) -> impl Iterator<Item = (usize, Option<Figure>)> {
        broken(&self.constraints, tolerances)
    }
}

/// The constraints that are broken, each with how far inside the choice is.
fn broken(slacks: &[Option<Figure>], tolerances: &[f64]) -> impl Iterator<Item = (usize, Option<Figure>)> {
    let each = slacks.iter().zip(tolerances).enumerate();
    each.filter(|(_, (slack, tolerance))| is_broken(**slack, **tolerance)).map(|(constraint, (slack, _))| (constraint, *slack))
}

impl Confirmation {
    /// Constraints that the choice breaks, each with how far inside it is; `tolerances` are the constraints'.
    pub fn broken(&self, tolerances: &[f64]) -> impl Iterator<Item = (usize, Option<Figure>)> {
        broken(&self.constraints, tolerances)
    }

    /// By how much today's settings, which hold all constraints, are surely better than the choice.
    #[must_use]
    pub fn loss(&self) -> Option<Figure> {
        let lost = self.gain.first().copied().flatten().filter(|gain| gain.is_below_zero());
        lost.filter(|_| hold(&self.baseline_constraints))
    }
}

impl Tuned {
    /// Why the choice is not for deployment, the gravest reason first; `None` where nothing speaks against it. `held_out` is the number
    /// of futures that it was to be tried in and nothing was to be chosen by; `tolerances` are the constraints'.
    #[must_use]
    pub fn doubt(&self, held_out: usize, tolerances: &[f64]) -> Option<Doubt> {
        let tried = || self.elsewhere.iter().filter(|one| one.held_out);
        let is_today = self.outcome.choice == self.outcome.baseline;
        let confirmation = self.outcome.confirmation.as_ref();
        let breaks = confirmation.is_some_and(|confirmation| confirmation.broken(tolerances).next().is_some());
        let loses = !is_today && confirmation.is_some_and(|confirmation| confirmation.loss().is_some());
        let doubts = [
            (self.outcome.ended != Ended::Complete, Doubt::CutShort),
            (tried().any(|one| !one.against(is_today, tolerances).is_empty()), Doubt::HeldOut),
            (breaks, Doubt::Breaks),
            (loses, Doubt::Worse),
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
            replications: 10,
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
        assert_eq!(tried(Some(up), holds).against(false, &[0.1]), []);
        assert_eq!(tried(Some(none), holds).against(false, &[0.1]), [Against::NoGain(none)]);
        assert_eq!(tried(Some(down), holds).against(false, &[0.1]), [Against::Worse(down)]);
        let today_breaks = Elsewhere { current_constraints: vec![breaks], ..tried(Some(down), holds) };
        assert_eq!(today_breaks.against(false, &[0.1]), [], "what breaks a constraint is no measure");
        assert_eq!(tried(None, holds).against(false, &[0.1]), [Against::Unmeasured]);
        assert_eq!(tried(None, holds).against(true, &[0.1]), []);
        assert_eq!(tried(Some(up), breaks).against(false, &[0.1]), [Against::Breaks { constraint: 0, slack: breaks }]);
        assert_eq!(tried(Some(up), None).against(false, &[0.1]), [Against::Breaks { constraint: 0, slack: None }]);
        // Within the tolerance inside and outside are not told apart, but for an interval that is.
        assert_eq!(tried(Some(up), Some(fig(-0.05, 0.2))).against(false, &[0.1]), []);
        assert!(!tried(Some(up), Some(fig(-0.05, 0.01))).against(false, &[0.1]).is_empty());
    }
}
