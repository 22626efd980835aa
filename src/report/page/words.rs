//! What the page always says: how to read each plot, what each figure means, and how far it can be trusted.

use super::Kind;
use super::html::{each, table};

/// A heading for a family of plots, as HTML.
pub(super) fn title(family: &str) -> &'static str {
    match family {
        "goodput" => "Goodput",
        "outcomes" => "Outcomes",
        "latency" => "Latency",
        "time" => "Through the run",
        "quantiles" => "Quantiles, live against simulated",
        "fairness" => "Fairness",
        "heatmap" => "Over two parameters",
        "cases" => "Other loads and capacities",
        "rejection" => "Graduated rejection",
        "sensitivity" => "Sensitivity",
        "pareto" => "Trade-off",
        "racing" => "The race",
        "residuals" => "What the fit leaves over",
        _ => "More",
    }
}

/// A sentence or two before the plots of a family, as HTML.
pub(super) fn how_to_read(family: &str) -> &'static str {
    match family {
        "goodput" => {
            "On the dashed diagonal every offered request becomes a good answer. A curve that leaves it and stays flat sheds \
             what is too much; one that falls collapses. The dotted line is load 1.0, a closed loop without timeouts, \
             and no limit; a triangle at the foot is a load line."
        }
        "outcomes" => {
            "Of 100 % offered requests, each ends in exactly one colour. With fewer than three loads there is a bar for each \
             load; areas join what was measured and show nothing between."
        }
        "latency" => {
            "Over all <em>offered</em> requests: who was refused, failed or left has waited for ever, so a curve ends below \
             100 %, and what is missing stands at the right edge. A policy that answers few and fast shows it here."
        }
        "time" => {
            "One replication over time. Where more is admitted than answered, calls wait; where the limit lies below what comes, \
             the gateway's queue grows. Shares belong to the moment of arrival, everything else to the moment it happened. Abandoned \
             calls run on without a client: where the policy's count parts from the truth, it decides by what is not so."
        }
        "quantiles" => {
            "On the dashed diagonal a quantile came as simulated; above it the server was slower than its model, below it faster."
        }
        "fairness" => {
            "On the diagonal a class gets the share of the good answers that it has of the demand. Below it others fare better."
        }
        "heatmap" => {
            "Each cell was measured, nothing is interpolated, and cells are of one size whatever lies between their settings. Brighter \
             is better; the diamond marks what is recommended, the frame what is at most 2 % worse, hatching where the constraints do \
             not hold. A triangle would mark the best cell that is surely better."
        }
        "cases" => {
            "What the settings give where load or capacity is not what the scenario says. The dashed lines stand at the worst case \
             of each; a hollow mark does not hold the constraints."
        }
        "rejection" => {
            "The lines are what the settings say: nothing is refused before the share where they begin, everything from the whole \
             capacity on. Marks that leave their line by more than their intervals would be a fault of the policy's."
        }
        "sensitivity" => {
            "Left, what the objective becomes when one parameter is a fifth less or more than chosen. Right, where measured, how \
             much of its variance over the whole space each parameter explains, alone (first) and with the others (total). Bars across \
             are 95 % intervals, in the tornado of the paired change."
        }
        "pareto" => {
            "No dark grey point is better than the line in both objectives; along the line one can only be had for the other. Pale \
             points were seen in the screening alone, by fewer or shorter runs."
        }
        "racing" => {
            "Every bar is a candidate, as long as the budget that was spent on it. The many short bars are what racing saves: \
             they were dropped early; finalists met again in the selection, on fresh requests (of a recording, on the same)."
        }
        "residuals" => {
            "Observed over predicted: 1 is as fitted. Against the predicted time, a line of medians that bends means that the form of \
             the costs is wrong; through the logs, one that wanders means that the machine's speed drifted while it was measured."
        }
        _ => "",
    }
}

/// Figure, formula.
const FORMULAS: [(&str, &str); 15] = [
    ("cohort", "requests whose intended first arrival lies in [warm-up, end); the run goes on for the drain"),
    ("good", "complete, full length, within its SLO; without an SLO, complete is good"),
    ("goodput", "good / length of the window, requests a second; mean over replications"),
    ("good of offered", "good / offered, sums over replications"),
    ("late, degraded", "complete, SLO missed; complete, but cut short at a limit that a policy had lowered"),
    ("rejected, timed out", "refused, by reason; ended by the gateway"),
    ("gave up, failed", "the client left; the upstream failed it, by cause"),
    ("TTFT", "first token - intended first arrival, of answered requests (in one piece: its end)"),
    ("TPOT", "(e2e - TTFT) / (output tokens - 1), of answers with more than one token"),
    ("ITL", "every gap between two tokens of an answer, pooled"),
    ("end to end (e2e)", "last byte - intended first arrival, of answered requests"),
    ("wait", "begin of service - the last attempt's arrival"),
    ("tokens wasted", "computed for calls that came to nothing, or twice after preemption / all computed"),
    ("utilisation", "busy time of the upstream / length of the window"),
    ("Jain's index", "(sum x)^2 / (n sum x^2) over the n classes, x = good / offered of a class"),
];

/// What the words of a kind of result mean beside these.
fn further(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Run | Kind::Live => &[
            ("stable", "at the end of the run the backlog does not grow and under 5 % get no answer"),
            ("saturated", "at least 5 % get no answer, the backlog does not grow, half of what could be served is good"),
            ("collapsing", "the backlog grows, or at least 5 % get no answer and under half of what could be served is good"),
        ],
        Kind::Capacity => &[
            ("sustained", "in a replication: labelled stable, and every service level holds"),
            ("load line", "greatest sustained load: all arrivals denser or thinner by one factor, bracketed by halving"),
        ],
        Kind::Tune => &[
            (
                "gain",
                "recommended - today's, paired on replications that nothing was chosen by (of a recording, on those of the selection)",
            ),
            ("plateau", "settings around the choice that lose at most 2 % of the objective"),
            ("first index", "variance of the objective's mean given the parameter / variance (Saltelli 2010)"),
            ("total index", "variance left when all other parameters are known / variance (Jansen 1999)"),
            ("hypervolume", "area between the Pareto front and the reference point (Zitzler and Thiele 1999)"),
        ],
        Kind::Calibration => &super::calibration::FORMULAS,
    }
}

const SIMULATED: &str = "These are simulations of a model. Its speed comes from a preset, a data sheet or a calibration and has an \
     error of its own, which no interval here contains; near the critical load small errors of the model change much.";
const DRIVEN: &str = "These are measurements of one server on one machine, at its speed of these minutes. What stands as simulated \
     comes from a model of it, over the speeds that its calibration saw.";

const LIMITS: [&str; 4] = [
    "Intervals are 95 % over replications: they say how much the luck of the arrivals matters, and nothing else. Each is of its \
     own figure; among twenty, one misses by chance.",
    "Latencies and quantiles are of requests that were answered. Where few are, theirs may be short: read them beside the share \
     of good. Quantiles are of all replications together, to three significant digits.",
    "What is true of this mix, these lengths and these clients need not be true of others. Change them with --set and look again.",
    "Load 1.0 is a closed loop's throughput with the scenario's own mix, without timeouts or policies.",
];

const fn own_limits(kind: Kind) -> &'static str {
    match kind {
        Kind::Live => {
            "Send lag is the driver's own delay: where it is not small, the figures are of the driver. Time series are of the first \
             round alone."
        }
        Kind::Run => "Time series are of the first replication alone: one course of luck, for the shape and not for figures.",
        Kind::Capacity => {
            "Bracketing takes for granted that what breaks at one load breaks at higher ones. The curves come from runs of their \
             own around the greatest line."
        }
        Kind::Tune => {
            "The choice is one of the candidates that were tried, at the loads that were tried, for the errors that the text \
             names. The figures of candidates that were dropped early stand on short runs; the gain does not."
        }
        Kind::Calibration => {
            "Where the gateway, the load or the machine is another than in the logs, the held-out errors say nothing: calibrate again."
        }
    }
}

/// What is true of all shares of a run.
const OFFERED: &str = "<p>The denominator of every share is what was <em>offered</em>. Every request ends in exactly one outcome, by \
                       its last attempt.</p>";

/// Formulas and limits.
pub(super) fn section(kind: Kind) -> String {
    let (formulas, first, limits, before) = match kind {
        Kind::Calibration => (&[][..], None, &super::calibration::LIMITS[..], ""),
        Kind::Live => (&FORMULAS[..], Some(DRIVEN), &LIMITS[..], OFFERED),
        Kind::Run | Kind::Capacity | Kind::Tune => (&FORMULAS[..], Some(SIMULATED), &LIMITS[..], OFFERED),
    };
    let rows = formulas.iter().chain(further(kind)).map(|(name, formula)| vec![(*name).to_owned(), (*formula).to_owned()]);
    let limits = each(first.iter().chain(limits).chain([&own_limits(kind)]), |limit| format!("<li>{limit}</li>"));
    format!(
        "<section id=\"meaning\"><h2>What the figures mean</h2>{before}<div class=\"formulas\">{}</div></section><section \
         id=\"limits\"><h2>Limits of validity</h2><ul>{limits}</ul></section>",
        table(&["Figure", "Formula"], &[false, false], &rows.collect::<Vec<_>>())
    )
}
