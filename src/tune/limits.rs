//! How much a `[tune]` section may ask for: what is beyond is refused before anything is run, with the most that is allowed.

use crate::scenario::{RobustBy, RobustSettings, TuneMethod, TuneSettings};
use crate::time::Span;
use crate::tune::{Case, SOBOL_POINTS_MAX, Space, Unfit};
use crate::units::Positive;

/// Candidates of a grid at most: as many as the Sobol sequence has points.
pub const GRID_MAX: u64 = SOBOL_POINTS_MAX as u64;

/// Loads and capacities are looked at between a hundredth and a hundred times the scenario's own: beyond that it is another
/// system.
const FUTURE_MAX: f64 = 100.0;

/// Refuses what no search can or should do.
///
/// # Errors
/// The first setting that asks for too much or for nothing.
pub(super) fn check(settings: &TuneSettings, space: &Space) -> Result<(), Unfit> {
    let candidates = settings.candidates.value();
    if candidates > SOBOL_POINTS_MAX {
        let message = format!("{candidates} candidates are more than there are points to take them from");
        return Err(Unfit::new("tune.candidates", message).help(format!("at most {SOBOL_POINTS_MAX}")));
    }
    if settings.method == TuneMethod::Grid {
        grid(space, settings.levels.value())?;
    }
    if settings.time == Some(Span::ZERO) {
        let message = "a search of no time measures nothing";
        return Err(
            Unfit::new("tune.time", message).help("write how long it may take, like \"10m\", or leave it out".to_owned())
        );
    }
    if let Some(error) = settings.error.map(crate::units::Fraction::value).filter(|error| *error <= 0.0 || *error >= 1.0) {
        let message = format!("an error of {error} cannot be kept: it must be above 0 and below 1");
        return Err(Unfit::new("tune.error", message).help("0.05 is a wrong choice in twenty".to_owned()));
    }
    if let Some((key, message)) = settings.robust.as_ref().and_then(future_fault) {
        return Err(Unfit::new(format!("tune.robust.{key}"), message).help("like `load = [0.7, 1.5]`".to_owned()));
    }
    Ok(())
}

/// Makes sure that the grid can be listed.
fn grid(space: &Space, levels: u32) -> Result<(), Unfit> {
    let fits = |levels: u32| space.grid_size(levels as usize, GRID_MAX) <= GRID_MAX;
    if fits(levels) {
        return Ok(());
    }
    let message = format!("a grid with {levels} levels of each number has more than {GRID_MAX} candidates");
    if !fits(1) {
        let help = "its choices alone are too many: take some away, or write `method = \"halving\"`".to_owned();
        return Err(Unfit::new("tune.method", message).help(help));
    }
    // The most that fit lie from `most` up to, but not at, `too_many`.
    let (mut most, mut too_many) = (1, levels);
    while most + 1 < too_many {
        let middle = most + (too_many - most) / 2;
        if fits(middle) { most = middle } else { too_many = middle }
    }
    let help = format!("with these parameters write at most `levels = {most}`, or `method = \"halving\"`");
    Err(Unfit::new("tune.levels", message).help(help))
}

/// Refuses a choice by regret where one future alone counts: `counting` are the scenes that count.
///
/// # Errors
/// With what would give it futures.
pub fn check_futures(settings: &TuneSettings, counting: &[usize]) -> Result<(), Unfit> {
    let Some(robust) = settings.robust.as_ref().filter(|robust| robust.by == RobustBy::Regret) else { return Ok(()) };
    if Case::all(counting, Some(robust)).len() > 1 {
        return Ok(());
    }
    let message = "a regret is over several futures, and there is one only";
    let help = "give it futures, such as `load = [0.7, 1.5]`, `capacity = [0.8, 1.1]`, `tune.also` or several `tune.traces`, or leave \
                `by` out";
    Err(Unfit::new("tune.robust.by", message).help(help.to_owned()))
}

/// What is wrong with the ranges of loads and capacities: which of them, and how.
pub(super) fn future_fault(robust: &RobustSettings) -> Option<(&'static str, String)> {
    let fault = |name: &'static str, range: Option<[Positive; 2]>| {
        let [lo, hi] = range?.map(Positive::value);
        let what = if lo > hi {
            format!("{name} = {lo}..{hi} is empty: write the least first, {hi}..{lo}")
        } else if lo < 1.0 / FUTURE_MAX || hi > FUTURE_MAX {
            format!("{name} = {lo}..{hi} is out of bounds: from {} to {FUTURE_MAX} times the scenario's own", 1.0 / FUTURE_MAX)
        } else if lo.to_bits() == 1_f64.to_bits() && hi.to_bits() == lo.to_bits() {
            format!("{name} = {lo}..{hi} varies nothing: write a least and a greatest, like 0.7..1.5, or leave it out")
        } else {
            return None;
        };
        Some((name, what))
    };
    fault("load", robust.load).or_else(|| fault("capacity", robust.capacity))
}
