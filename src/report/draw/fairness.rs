//! Each class's share of the goodput beside its share of the demand.

use super::{Drawn, Frame, Group, head, spread};
use crate::journal::summary::Summary;
use crate::report::fairness::{jain, shares};
use crate::report::plot::{Estimate, FairShare, Fairness};

/// One plot for each value of a sweep, or one for all; none where there is but one class.
pub(super) fn draw(summary: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    if summary.variants.iter().all(|variant| variant.classes.len() < 2) {
        drawn.leave_out("Fairness needs two classes at least.");
        return;
    }
    let groups = frame.groups(summary);
    let many = groups.len() > 1;
    for (number, group) in spread(groups).iter().enumerate() {
        let name = if many { format!("fairness-{}", number + 1) } else { "fairness".to_owned() };
        let title = format!("Who gets the good answers{}", group.suffix());
        let what = "Shares of all replications together; J is Jain's index, 1 where all fare alike.";
        let head = head(name, title, frame.caption(summary.replications, what));
        drawn.add(Fairness { head, unit: "requests".to_owned(), variants: points(group) }.plot());
    }
}

fn points(group: &Group<'_>) -> Vec<(String, String, Vec<FairShare>)> {
    let points = group.variants.iter().map(|(name, variant)| {
        let note = jain(variant).map_or(String::new(), |index| format!("J {index:.3}"));
        let shares = variant.classes.iter().zip(shares(variant)).filter_map(|(class, shares)| {
            let (demand, goodput) = (shares.demand?, Estimate::exact(shares.goodput?));
            Some(FairShare { name: class.name.clone(), demand, goodput })
        });
        ((*name).to_owned(), note, shares.collect())
    });
    points.collect()
}
