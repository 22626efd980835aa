//! How evenly what was good is spread over the classes: each class's share of the goodput beside its share of the demand,
//! and Jain's index of the classes' own shares of good requests (Jain, Chiu and Hawe 1984, DEC-TR-301).
//!
//! With x = good over offered of each class that offered anything, the index is (sum x)^2 / (n sum x^2): 1 where all fare
//! alike, 1/n where one has everything. Requests are counted, over all replications together.

use super::format::{NONE, duration, left, number, percent, right};
use crate::journal::summary::{Counts, VariantSummary};

/// Characters of a class's name.
const CLASS: usize = 26;

/// One class beside the others.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub(super) struct Shares {
    /// Of all requests offered; `None` where none were.
    pub demand: Option<f64>,
    /// Of all good requests; `None` where none were.
    pub goodput: Option<f64>,
}

/// The shares of each class, in order.
pub(super) fn shares(variant: &VariantSummary) -> Vec<Shares> {
    let share = |of: fn(&Counts) -> u64, class: &Counts| {
        let all = of(&variant.counts);
        (all > 0).then(|| of(class) as f64 / all as f64)
    };
    let of =
        |class: &Counts| Shares { demand: share(|counts| counts.offered, class), goodput: share(|counts| counts.good, class) };
    variant.classes.iter().map(|class| of(&class.counts)).collect()
}

/// Jain's index; `None` where fewer than two classes offered anything, or nothing at all was good.
pub(super) fn jain(variant: &VariantSummary) -> Option<f64> {
    let good: Vec<f64> = variant.classes.iter().filter_map(|class| class.counts.share(class.counts.good)).collect();
    let (sum, squares) = good.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    (good.len() > 1 && squares > 0.0).then(|| sum * sum / (good.len() as f64 * squares))
}

/// Lines under a variant's classes.
pub(super) fn lines(variant: &VariantSummary) -> Vec<String> {
    let dash = || NONE.to_owned();
    let row = |name: &str, cells: [&str; 5]| {
        let cells = cells.map(|cell| right(cell, 13)).concat();
        format!("  {}{cells}", left(name, CLASS))
    };
    let rows = variant.classes.iter().zip(shares(variant)).map(|(class, shares)| {
        let ratio = shares.goodput.zip(shares.demand).filter(|(_, demand)| *demand > 0.0).map(|(good, demand)| good / demand);
        let [demand, goodput] = [shares.demand, shares.goodput].map(|share| share.map_or_else(dash, percent));
        let wait = &class.metrics.wait;
        let [p50, p90] = [wait.p50, wait.p90].map(|wait| wait.map_or_else(dash, duration));
        row(&class.name, [&demand, &goodput, &ratio.map_or_else(dash, number), &p50, &p90])
    });
    let heading = row("fairness", ["of offered", "of good", "good/offered", "wait p50", "wait p90"]);
    let index = jain(variant).map_or_else(dash, thousandths);
    let last = format!("  {}{}", left("Jain's index", CLASS), right(&index, 39));
    [String::new(), heading].into_iter().chain(rows).chain([last]).collect()
}

/// Three decimals: an index near 1 says little in fewer.
fn thousandths(x: f64) -> String {
    format!("{x:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::summary::fixtures::{class, tally};
    use crate::journal::summary::{Context, summarise};

    fn variant(classes: &[(u64, u64)]) -> VariantSummary {
        let names = (0..classes.len()).map(|i| format!("class {i}")).collect();
        let tallies = [tally(classes.iter().map(|(offered, good)| class(*offered, *good, 100)).collect(), 1)];
        summarise(&[("a", &tallies)], &Context { classes: names, ..Context::default() }).variants.remove(0)
    }

    #[test]
    fn shares_and_index_are_those_of_the_formula() {
        let two = variant(&[(300, 300), (100, 50)]);
        let shares = shares(&two);
        assert_eq!(shares[0], Shares { demand: Some(0.75), goodput: Some(300.0 / 350.0) });
        assert_eq!(shares[1], Shares { demand: Some(0.25), goodput: Some(50.0 / 350.0) });
        // x = 1 and 0.5: 1.5^2 / (2 x 1.25).
        assert!((jain(&two).unwrap() - 0.9).abs() < 1e-12);
        assert!((jain(&variant(&[(10, 5), (1_000, 500)])).unwrap() - 1.0).abs() < 1e-12, "all fare alike");
        assert!((jain(&variant(&[(10, 10), (10, 0), (10, 0)])).unwrap() - 1.0 / 3.0).abs() < 1e-12, "one has everything");
    }

    #[test]
    fn where_there_is_nothing_to_compare_there_is_no_index() {
        assert_eq!(jain(&variant(&[(10, 10)])), None);
        assert_eq!(jain(&variant(&[(10, 10), (0, 0)])), None);
        assert_eq!(jain(&variant(&[(10, 0), (10, 0)])), None);
        assert_eq!(shares(&variant(&[(0, 0), (0, 0)]))[0], Shares::default());
    }
}
