//! A calibration's residuals: against what was predicted of a step, and over the time of the log.

use super::{Drawn, head};
use crate::calibrate::{Calibration, Reading};
use crate::report::format::count;
use crate::report::plot::{Against, Residual, Residuals};

/// Most observations that are drawn and listed: of a longer log every so many.
const SHOWN_MAX: usize = 20_000;

/// Each step's observed time over its predicted one.
#[must_use]
pub fn calibration(found: &Calibration, seed: u64) -> Drawn {
    let mut drawn = Drawn::default();
    let answers = found.parts.iter().all(|part| part.reading == Reading::EndsAlone);
    let (what, one) = if answers { ("answers", "an answer") } else { ("steps", "a step") };
    let (all, points) = points(found);
    let runs = match found.parts.len() {
        1 => "one run".to_owned(),
        runs => format!("{runs} runs"),
    };
    let some = match all.div_ceil(SHOWN_MAX) {
        0 | 1 => String::new(),
        every => format!(" One in {every} is drawn and listed."),
    };
    let caption = |each: &str| {
        format!(
            "{} {what} of {runs}, seed {seed}.{some} A dot is {one}; a spike beyond the axis is drawn at its edge. Ticks span the middle half \
             of each twelfth of the {what} {each}.",
            count(all as u64)
        )
    };
    let of = |name: &str, title: &str, against, x_name: &str, each: &str| Residuals {
        head: head(name, title, caption(each)),
        against,
        x_name: x_name.to_owned(),
        what,
        points: points.clone(),
    };
    let predicted = if answers { "Predicted time of the answer" } else { "Predicted time of the step" };
    let by_size = "by size";
    drawn.add(of("residuals", "What the fitted costs leave over", Against::Predicted, predicted, by_size).plot());
    let course = if answers {
        "Times of the answers so far, added up (they overlap)"
    } else {
        "Observed time so far, runs laid end to end"
    };
    drawn.add(of("residuals-time", "The same through the logs: drift", Against::Time, course, "in time").plot());
    drawn
}

/// How many observations there are, and those that are shown.
fn points(found: &Calibration) -> (usize, Vec<Residual>) {
    let mut at = 0.0;
    let each = found.residuals.iter().map(|(predicted, observed)| {
        at += observed;
        Residual { at, predicted: *predicted, observed: *observed }
    });
    let all = found.residuals.len();
    (all, each.step_by(all.div_ceil(SHOWN_MAX).max(1)).collect())
}
