//! A calibration's residuals: of the steps, and of the machine's speed over time.

use super::{Drawn, head};
use crate::calibrate::Calibration;
use crate::report::plot::Residuals;

/// Each step's observed time over its predicted one.
#[must_use]
pub fn calibration(found: &Calibration, seed: u64) -> Drawn {
    let mut drawn = Drawn::default();
    let runs = found.parts.len();
    let caption = format!(
        "{} steps of {runs} runs, seed {seed}. A dot is a step; a spike beyond the axis is drawn at its edge. Ticks span the middle half \
         of each twelfth of the steps.",
        found.residuals.len()
    );
    let plot = Residuals {
        head: head("residuals", "What the fitted step cost leaves over", caption),
        x_name: "Predicted time of the step".to_owned(),
        points: found.residuals.clone(),
    };
    drawn.add(plot.plot());
    drawn
}
