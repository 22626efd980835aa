//! Which variant is run when: several in turn, so that a drift of the machine meets all of them.

/// How rounds follow each other.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// A B, A B: each round in the scenario's order.
    #[default]
    InTurn,
    /// A B, B A: every other round backwards, so that a steady drift cancels out.
    Abba,
}

/// One run of one variant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The variant, by index.
    pub variant: usize,
    /// Which round, from 0. All steps of a round meet the same requests.
    pub round: u32,
}

/// The steps of `rounds` rounds over so many variants.
#[must_use]
pub fn steps(variants: usize, rounds: u32, order: Order) -> Vec<Step> {
    let round = |round: u32| {
        let backwards = order == Order::Abba && round % 2 == 1;
        (0..variants).map(move |place| Step { variant: if backwards { variants - 1 - place } else { place }, round })
    };
    (0..rounds).flat_map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_goes_back() {
        let order = |order| steps(3, 2, order).iter().map(|step| (step.variant, step.round)).collect::<Vec<_>>();
        assert_eq!(order(Order::InTurn), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]);
        assert_eq!(order(Order::Abba), [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1)]);
    }
}
