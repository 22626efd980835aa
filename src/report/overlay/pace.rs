//! How fast the server was while it was measured, and what the model says at that speed.
//!
//! A machine drifts between its calibration and a run. What a drift explains is no fault of the model: so every figure is also
//! told at the one speed at which the simulated median time per output token is the live one. It is taken from the run itself, and
//! tests nothing.

use super::Figure;

/// The model at one speed.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AtSpeed {
    /// Against the model's own; above 1 is faster.
    pub speed: f64,
    /// In the order of [`Figure::ALL`].
    pub figures: [Option<f64>; Figure::ALL.len()],
}

impl AtSpeed {
    fn of(&self, figure: Figure) -> Option<f64> {
        self.figures[figure as usize]
    }
}

/// The speed at which `speeds` (rising) say the median time per output token that was measured, with all figures there; `None`
/// where it lies beyond them.
pub(super) fn at_pace(speeds: &[AtSpeed], tpot_p50_s: Option<f64>) -> Option<AtSpeed> {
    let live = tpot_p50_s?;
    speeds.windows(2).find_map(|pair| {
        let [slow, fast] = pair else { return None };
        let (of_slow, of_fast) = (slow.of(Figure::TpotP50S)?, fast.of(Figure::TpotP50S)?);
        if !(of_fast..=of_slow).contains(&live) {
            return None;
        }
        let way = if of_slow > of_fast { (of_slow - live) / (of_slow - of_fast) } else { 0.0 };
        let between = |from: f64, to: f64| from + way * (to - from);
        let figure = |figure: Figure| Some(between(slow.of(figure)?, fast.of(figure)?));
        Some(AtSpeed { speed: between(slow.speed, fast.speed), figures: Figure::ALL.map(figure) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_where_the_simulated_pace_is_the_live_one() {
        let at = |speed: f64, tpot: f64, good: f64| {
            let figure = |figure: Figure| match figure {
                Figure::TpotP50S => Some(tpot),
                Figure::GoodShare => Some(good),
                _ => None,
            };
            AtSpeed { speed, figures: Figure::ALL.map(figure) }
        };
        let speeds = [at(0.8, 0.030, 0.4), at(1.0, 0.020, 0.6), at(1.2, 0.016, 0.8)];
        let found = |live: f64| at_pace(&speeds, Some(live)).map(|at| [at.speed, at.of(Figure::GoodShare).unwrap()]);
        let near = |found: Option<[f64; 2]>, wanted: [f64; 2]| {
            let found = found.expect("inside");
            assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-9), "{found:?}");
        };
        near(found(0.018), [1.1, 0.7]);
        near(found(0.030), [0.8, 0.4]);
        assert_eq!((found(0.031), found(0.015), at_pace(&speeds, None)), (None, None, None));
    }
}
