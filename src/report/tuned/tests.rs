//! What the verdict says, of outcomes made by hand.

use super::*;
use crate::journal::summary::{Bound, Summary};
use crate::tune::{
    Bar, Beside, Binding, Case, Confirmation, Domain, Doubt, Elsewhere, Ended, Errors, Finalist, Front, Index, Indices,
    Objective, Parameter, Plan, Point, Refused, Scale, Selection, Series, Side, SobolIndices, Space, Spending, Spent, Standing,
    Tie, TieBreak, Trial, Unchanged,
};

const CONSTRAINT: &str = "p99_ttft_ms <= 500";

/// Goodput over two numbers, under a bound on the time to the first token.
fn task() -> Task {
    task_of(1.0)
}

fn task_of(sign: f64) -> Task {
    let parameter = |path: &str, domain| Parameter { path: path.to_owned(), domain, only_if: None };
    let places = Domain::Integer { lo: 1, hi: 64, scale: Scale::Linear };
    let share = Domain::Real { lo: 0.1, hi: 0.9, scale: Scale::Linear };
    let space = Space::new(vec![
        parameter("policy.queue.max_queue_size", places),
        parameter("policy.queue.adaptive_lifo_share", share),
    ]);
    let (left, bound) = Bound::split(CONSTRAINT).unwrap();
    Task {
        variant: 0,
        space: space.unwrap(),
        objectives: vec![Objective { measure: "goodput_rps".parse().unwrap(), sign }],
        constraints: vec![(left.parse().unwrap(), bound)],
    }
}

#[allow(clippy::unnecessary_wraps)] // as results hold them
fn fig(mean: f64, half: f64) -> Option<Figure> {
    let interval = (half > 0.0).then_some(Interval { lo: mean - half, hi: mean + half });
    Some(Figure { mean, interval })
}

fn point(places: i64) -> Point {
    Point(vec![Some(Setting::Integer(places)), Some(Setting::Real(0.5))])
}

/// The choice and today's settings on fresh replications.
fn confirmation() -> Confirmation {
    Confirmation {
        series: Series { from: 0, count: 30, share: 1.0 },
        objectives: vec![fig(53.1, 0.4)],
        constraints: vec![fig(41.5, 5.0)],
        baseline_objectives: vec![fig(30.2, 0.4)],
        baseline_constraints: vec![fig(-12.0, 2.0)],
        gain: vec![fig(22.9, 0.3)],
    }
}

/// Today's settings (0), the choice (1), another finalist (2), one that was tried beside the choice (3).
fn tuned() -> Tuned {
    let finalist = |candidate: usize, mean: f64, standing, behind| Finalist {
        candidate: Id(candidate),
        replications: 20,
        objectives: vec![fig(mean, 0.5)],
        constraints: vec![fig(40.0, 5.0)],
        standing,
        unsure: Vec::new(),
        behind,
    };
    let finalists = vec![
        finalist(0, 30.0, Standing::Beaten { by: Id(1), at: 10 }, fig(23.0, 0.5)),
        finalist(1, 53.0, Standing::Chosen, None),
        finalist(2, 52.6, Standing::Open, fig(0.4, 0.3)),
    ];
    let selection = Selection {
        finalists,
        alpha: 0.025,
        zone: Some(0.5),
        first: 10,
        decided: false,
        capped: false,
        beyond: false,
        needed: Some(40.0),
    };
    let spent = |simulations: f64| Spent { simulations, runs: 9, requests: 1_000 };
    let outcome = Outcome {
        confirmation_most: 60.0,
        points: vec![Point(vec![None, None]), point(10), point(12), point(13)],
        rungs: Vec::new(),
        plan: Plan { steps: Vec::new(), finalists: 3 },
        selection: Some(selection),
        choice: Some(Id(1)),
        tie: None,
        unchanged: None,
        closest: None,
        baseline: Some(Id(0)),
        confirmation: Some(confirmation()),
        bindings: vec![Binding { constraint: 0, slack: fig(41.5, 5.0), near: false, costs: None }],
        front: None,
        spent: Spending {
            screening: spent(100.0),
            selection: spent(30.0),
            unchanged: Spent::default(),
            confirmation: spent(60.0),
        },
        errors: Errors { screening: 0.025, selection: 0.025 },
        ended: Ended::Complete,
        without_chance: false,
    };
    Tuned {
        centre: None,
        outcome,
        alone: Vec::new(),
        plateaus: Vec::new(),
        tornado: Vec::new(),
        indices: None,
        slice: None,
        elsewhere: Vec::new(),
        beside: Beside { around: spent(70.0), elsewhere: spent(80.0), ..Beside::default() },
        refused: Refused::default(),
        stopped: false,
    }
}

/// The report of `tuned`, its lines put together again.
fn text(tuned: &Tuned) -> String {
    text_of(&task(), tuned)
}

fn text_of(task: &Task, tuned: &Tuned) -> String {
    let tuning = Tuning {
        scenario: "a",
        variant: "default",
        seed: 1,
        task,
        constraints: &[CONSTRAINT.to_owned()],
        current: &[Some("50".to_owned()), Some("0.5".to_owned())],
        scenes: &["a".to_owned(), "tue.csv".to_owned()],
        by: RobustBy::Worst,
        futures: 1,
        held_out: 0,
        recorded: false,
        cold_s: None,
        tuned,
        beside: &Summary::of(Vec::new()),
        figures_of: None,
    };
    tuning.text().replace("\n  ", " ")
}

fn side(places: i64, change: Option<Figure>) -> Side {
    Side { setting: Setting::Integer(places), candidate: Id(3), change: vec![change], together: change, feasible: true }
}

#[test]
fn figures_have_units_and_the_costs_are_all_told() {
    let text = text(&tuned());
    assert!(text.contains("goodput_rps is 53.1 req/s (52.7 to 53.5), 22.9 req/s (22.6 to 23.2) better"), "{text}");
    assert!(text.contains("`p99_ttft_ms <= 500` holds (41.5 ms (36.5 to 46.5) to spare)"), "{text}");
    assert!(text.contains("Today's settings break `p99_ttft_ms <= 500` by 12.0 ms (10.0 to 14.0)."), "{text}");
    let costs = "Simulations: 100 of screening, 30.0 of selection, 60.0 of confirmation, 70.0 around the choice, 80.0 in other futures \
                 (5,000 requests in all).";
    assert!(text.contains(costs), "{text}");
    assert!(text.contains("max_queue_size  adaptive_lifo_share"), "columns have names: {text}");
    assert!(text.contains("The time was over: today's and the recommended settings were not run beside each other"), "{text}");
}

#[test]
fn the_selections_decision_and_the_paired_interval_are_told_apart() {
    let text = text(&tuned());
    assert!(!text.contains("not told apart"), "{text}");
    let row = text.lines().find(|line| line.starts_with("12 ")).unwrap();
    assert!(row.contains("0.400 req/s (0.100 to 0.700)") && row.ends_with("not decided whether it is better"), "{row}");
    assert!(row.contains("40.0 ms (35.0 to 45.0)"), "how far inside the constraint it is: {row}");
    assert!(text.contains("to within a tolerance: `p99_ttft_ms <= 500`, within 5.00 ms."), "{text}");
    let mut open = tuned();
    let finalist = &mut open.outcome.selection.as_mut().unwrap().finalists[2];
    (finalist.constraints, finalist.unsure) = (vec![fig(1.0, 5.0)], vec![0]);
    let told = self::text(&open);
    assert!(told.contains("not decided whether it holds `p99_ttft_ms <= 500`"), "{told}");
    open.outcome.selection.as_mut().unwrap().finalists[2].constraints = vec![fig(-9.0, 5.0)];
    assert!(self::text(&open).contains("breaks `p99_ttft_ms <= 500` by its interval, not decided"));
    assert!(
        text.contains("another finalist is better by more than 0.500 req/s, though by the 95 % intervals none is"),
        "{text}"
    );
    assert!(text.contains("By their 95 % intervals, paired with the choice, of the others 2 are worse."), "{text}");
}

#[test]
fn a_rival_is_who_may_be_better_and_hold_the_constraints() {
    let mut open = tuned();
    let rival = &mut open.outcome.selection.as_mut().unwrap().finalists[2];
    rival.behind = fig(-1.0, 0.5);
    let told = text(&open);
    assert!(told.contains("it is not ruled out that 1 other finalist is better by more than 0.500 req/s"), "{told}");
    assert!(told.contains("of the others 1 is worse and 1 is better by less than the selection tells apart."), "{told}");
    // Whose constraint is open may be better by any amount: that it is better is not what is open.
    open.outcome.selection.as_mut().unwrap().finalists[2].unsure = vec![0];
    let told = text(&open);
    assert!(told.contains("it is not ruled out that 1 other finalist that is better holds the constraints"), "{told}");
    assert!(told.contains("of the others 1 is worse and 1 is better, but not shown to hold the constraints."), "{told}");
    open.outcome.selection.as_mut().unwrap().finalists[2].constraints = vec![fig(-9.0, 5.0)];
    let told = text(&open);
    assert!(!told.contains("1 other finalist"), "{told}");
    assert!(told.contains("of the others 1 is worse and 1 is not worse, but outside the constraints."), "{told}");
}

#[test]
fn what_is_open_is_told_of_the_choice_too() {
    let mut unsure = tuned();
    let selection = unsure.outcome.selection.as_mut().unwrap();
    selection.finalists[2].standing = Standing::Beaten { by: Id(1), at: 12 };
    selection.finalists[1].unsure = vec![0];
    let told = text(&unsure);
    let breaks = "it is not ruled out that the choice breaks `p99_ttft_ms <= 500` (though by its 95 % interval it holds it).";
    assert!(told.contains(breaks), "{told}");
    assert!(!told.contains("0 other finalists"), "{told}");
    assert!(told.contains("would decide it."), "{told}");
    unsure.outcome.selection.as_mut().unwrap().beyond = true;
    let told = text(&unsure);
    assert!(told.contains("More budget need not decide it"), "{told}");
    let remedy =
        "another bound than that of `p99_ttft_ms <= 500`, near which the choice lies (within 5.00 ms is told apart) would.";
    assert!(told.contains(remedy) && !told.contains("tune.indifference"), "{told}");
}

#[test]
fn what_need_not_change_is_told_with_what_it_took() {
    let mut kept = tuned();
    kept.outcome.unchanged = Some(Unchanged {
        from: Id(2),
        series: Series { from: 0, count: 10, share: 1.0 },
        trials: vec![
            Trial { parameter: 0, candidate: Id(3), change: fig(-8.0, 0.5), kept: false },
            Trial { parameter: 1, candidate: Id(1), change: fig(-0.1, 0.05), kept: true },
        ],
    });
    kept.outcome.spent.unchanged = Spent { simulations: 30.0, runs: 30, requests: 9 };
    let told = text(&kept);
    let says = "policy.queue.adaptive_lifo_share (the selection had 0.5) stays as today: with today's value the objective loses 0.100 \
                req/s (0.050 to 0.150), less than the indifference zone of 0.500 req/s, and no constraint is given up (10 replications of \
                each, 30.0 simulations).";
    assert!(told.contains(says), "{told}");
    assert!(told.contains("30.0 of what need not change"), "{told}");
    let trials = &mut kept.outcome.unchanged.as_mut().unwrap().trials;
    (trials[0].kept, trials[1].change) = (true, fig(0.6, 0.01));
    let told = text(&kept);
    assert!(
        told.contains(
            "stay as today: with today's values together the objective is better by 0.600 req/s (0.590 to 0.610), and"
        ),
        "{told}"
    );
}

#[test]
fn a_tie_is_told_with_what_broke_it() {
    let mut tied = tuned();
    tied.outcome.tie = Some(Tie { members: vec![Id(1), Id(2)], failed: Vec::new(), broken_by: TieBreak::Nearest });
    tied.outcome.selection.as_mut().unwrap().finalists[2].standing = Standing::Tied { with: Id(1) };
    let told = text(&tied);
    assert!(told.contains("2 finalists tie, the same in every run: policy.queue.max_queue_size = 10"), "{told}");
    assert!(told.contains("Chosen is the one nearest to today's settings."), "{told}");
    assert!(told.lines().any(|line| line.starts_with("12 ") && line.ends_with("the same in every run")), "{told}");
}

/// Where the closest's interval reaches the limit, nobody is said to break it.
#[test]
fn what_is_not_shown_to_hold_is_not_said_to_break() {
    let mut nobody = tuned();
    (nobody.outcome.choice, nobody.outcome.closest, nobody.outcome.ended) = (None, Some(Id(1)), Ended::NothingFeasible);
    nobody.outcome.confirmation = None;
    let selection = nobody.outcome.selection.as_mut().unwrap();
    selection.finalists[1].constraints = vec![fig(-3.0, 5.0)];
    let told = text(&nobody);
    assert!(told.starts_with("No candidate that was tried is shown to hold the constraints. The closest of the 3"), "{told}");
    nobody.outcome.selection.as_mut().unwrap().finalists[1].constraints = vec![fig(-30.0, 5.0)];
    assert!(text(&nobody).starts_with("No candidate that was tried holds the constraints."));
    nobody.outcome.ended = Ended::InSelection;
    assert!(text(&nobody).starts_with("No candidate seems to hold the constraints so far."));
}

#[test]
fn indices_say_how_many_rows_they_stand_on() {
    let mut few = tuned();
    let index = |value: f64| Index { value, interval: Interval { lo: value - 0.3, hi: value + 0.3 } };
    let both = Indices { first: index(-0.1), total: index(0.9) };
    let indices = SobolIndices { parameters: vec![both; 2], rows: 12, dropped: 4, mean: 1.0, variance: 1.0 };
    few.indices = Some(indices.clone());
    let told = text(&few);
    assert!(told.contains("Of 16 rows of the Sobol indices 12 could be used"), "{told}");
    assert!(told.contains("explains 0.0 % of the objective's variance alone (0.0 % to 20.0 %), 90.0 % with"), "{told}");
    few.indices = Some(SobolIndices { parameters: Vec::new(), rows: 3, dropped: 13, ..indices });
    assert!(text(&few).contains("That is too few for any index (8 at least)"), "{}", text(&few));
}

#[test]
fn with_several_objectives_standing_is_the_front() {
    let mut tuned = tuned();
    tuned.outcome.front = Some(Front { members: vec![Id(1)], reference: vec![0.0], hypervolume: 1.0 });
    let text = text(&tuned);
    assert!(text.contains("standing says who is on the Pareto front of the means"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("12 ") && line.ends_with("dominated")), "{text}");
    assert!(text.contains("1 of the finalists is on the Pareto front"), "{text}");
    let volume = "above the worst finalist of each (0.000 req/s) it has a hypervolume of 1.00 req/s:";
    assert!(text.contains(volume), "{text}");
    assert!(text.contains("2.5 % in the screening, the selection of several objectives promises none"), "{text}");
}

#[test]
fn a_better_neighbour_is_named() {
    let mut better = tuned();
    let sides = vec![side(8, fig(-1.0, 0.1)), side(13, fig(0.9, 0.3)), side(9, fig(0.2, 0.4))];
    better.tornado = vec![Bar { parameter: 0, sides }];
    let told = text(&better);
    assert!(told.contains("Beside the choice, policy.queue.max_queue_size = 13 did better by 0.900 req/s"), "{told}");
    assert!(told.contains("more candidates there"), "{told}");
    // A plateau's levels hold what the tornado tried: each setting counts once.
    let (from, to) = (Setting::Integer(10), Setting::Integer(10));
    let levels = [&better.tornado[0].sides[..], &[side(17, fig(-2.0, 0.1))]].concat();
    better.plateaus = vec![Plateau { parameter: 0, from, to, open: (false, false), levels }];
    assert!(text(&better).contains("(95 % for all 4 settings beside it together)"), "{}", text(&better));
    better.plateaus.clear();
    better.tornado[0].sides = vec![side(9, fig(0.2, 0.4))];
    assert!(!text(&better).contains("Beside the choice"), "its interval holds 0");
}

#[test]
fn a_failure_in_what_was_held_out_comes_first() {
    let mut failed = tuned();
    failed.elsewhere = vec![Elsewhere {
        case: Case { scene: 1, ..Case::EXPECTED },
        held_out: true,
        replications: 10,
        choice: vec![fig(20.0, 0.5)],
        constraints: vec![fig(-80.0, 9.0)],
        current: vec![fig(25.0, 0.5)],
        current_constraints: Vec::new(),
        gain: vec![fig(-5.0, 0.5)],
        regret: None,
        alone: None,
    }];
    let told = text(&failed);
    let first = "Do not deploy this as it is: in tue.csv, held out of the search, today's settings are better by 5.00 req/s (4.50 to \
                 5.50); `p99_ttft_ms <= 500` does not hold, by 80.0 ms (71.0 to 89.0).";
    assert!(told.starts_with(first), "{told}");
    failed.elsewhere[0].constraints = vec![fig(8.0, 1.0)];
    failed.elsewhere[0].gain = vec![fig(0.1, 0.5)];
    assert!(
        text(&failed).starts_with("Do not deploy this as it is: in tue.csv, held out of the search, no gain is found again")
    );
    failed.elsewhere[0].gain = vec![fig(3.0, 0.5)];
    assert!(text(&failed).starts_with("Set policy.queue.max_queue_size = 10"));
    failed.elsewhere[0].constraints = vec![None];
    assert!(
        text(&failed)
            .starts_with("Do not deploy this as it is: in tue.csv, held out of the search, `p99_ttft_ms <= 500` is not shown.")
    );
}

/// Whoever writes the settings asks the same rule as the verdict.
#[test]
fn what_the_verdict_forbids_is_not_written() {
    let mut tried = tuned();
    assert_eq!((tried.doubt(0, &[5.0]), tried.doubt(1, &[5.0])), (None, Some(Doubt::Untried)));
    for (gain, slack) in
        [(fig(-5.0, 0.5), fig(8.0, 1.0)), (fig(0.1, 0.5), fig(8.0, 1.0)), (None, fig(8.0, 1.0))].into_iter().chain([
            (fig(3.0, 0.5), fig(-6.0, 9.0)),
            (fig(3.0, 0.5), None),
            (fig(3.0, 0.5), fig(-1.0, 9.0)),
            (fig(3.0, 0.5), fig(8.0, 1.0)),
        ])
    {
        tried.elsewhere = vec![Elsewhere {
            case: Case { scene: 1, ..Case::EXPECTED },
            held_out: true,
            replications: 10,
            choice: vec![fig(20.0, 0.5)],
            constraints: vec![slack],
            current: vec![fig(25.0, 0.5)],
            current_constraints: Vec::new(),
            gain: vec![gain],
            regret: None,
            alone: None,
        }];
        let forbidden = text(&tried).starts_with("Do not deploy");
        assert_eq!(tried.doubt(1, &[5.0]).is_some(), forbidden, "{gain:?} {slack:?}");
    }
    assert_eq!(tried.doubt(1, &[5.0]), None);
    tried.outcome.confirmation.as_mut().unwrap().constraints = vec![fig(-9.0, 1.0)];
    assert_eq!(tried.doubt(1, &[5.0]), Some(Doubt::Breaks));
    let said = "Do not deploy this as it is: on fresh replications `p99_ttft_ms <= 500` does not hold, by 9.00 ms";
    assert!(text(&tried).starts_with(said), "{}", text(&tried));
    let confirmation = tried.outcome.confirmation.as_mut().unwrap();
    confirmation.constraints = vec![fig(8.0, 1.0)];
    (confirmation.gain, confirmation.baseline_constraints) = (vec![fig(-2.0, 0.5)], vec![fig(3.0, 1.0)]);
    assert_eq!(tried.doubt(1, &[5.0]), Some(Doubt::Worse));
    let said = "Do not deploy this as it is: on fresh replications today's settings are better by 2.00 req/s";
    assert!(text(&tried).starts_with(said), "{}", text(&tried));
    tried.outcome.confirmation.as_mut().unwrap().baseline_constraints = vec![fig(-3.0, 1.0)];
    assert_eq!(tried.doubt(1, &[5.0]), None, "what breaks a constraint is no measure");
    tried.outcome.ended = Ended::InConfirmation;
    assert_eq!(tried.doubt(1, &[5.0]), Some(Doubt::CutShort));
}

#[test]
fn plateaus_have_their_level() {
    let mut tuned = tuned();
    let levels = vec![side(1, fig(-9.0, 0.1)), side(9, fig(-0.1, 0.1)), side(17, fig(-0.2, 0.1)), side(25, fig(-9.0, 0.1))];
    let (from, to) = (Setting::Integer(9), Setting::Integer(17));
    tuned.plateaus = vec![Plateau { parameter: 0, from, to, open: (false, false), levels }];
    let told = text(&tuned);
    assert!(told.contains("Within 2 % of 53.1 req/s lie, each moved alone: policy.queue.max_queue_size 9 to 17 (1, tried next, is worse; 25, tried next, is worse)."), "{told}");
}

#[test]
fn without_chance_nothing_is_told_of_intervals() {
    let mut sure = tuned();
    sure.outcome.without_chance = true;
    let exact = |figures: &mut Vec<Option<Figure>>| figures.iter_mut().flatten().for_each(|figure| figure.interval = None);
    let confirmation = sure.outcome.confirmation.as_mut().unwrap();
    confirmation.series.count = 1;
    exact(&mut confirmation.objectives);
    exact(&mut confirmation.constraints);
    exact(&mut confirmation.baseline_objectives);
    exact(&mut confirmation.baseline_constraints);
    exact(&mut confirmation.gain);
    sure.outcome.bindings[0].slack = fig(41.5, 0.0);
    let selection = sure.outcome.selection.as_mut().unwrap();
    for finalist in &mut selection.finalists {
        exact(&mut finalist.objectives);
        exact(&mut finalist.constraints);
        finalist.behind = finalist.behind.map(|behind| Figure { interval: None, ..behind });
    }
    selection.decided = true;
    let told = text(&sure);
    assert!(told.contains("22.9 req/s better than the 30.2 req/s of the current settings (one run of each)."), "{told}");
    assert!(told.contains("A recording without chance: nothing in these runs is drawn, so one run says all"), "{told}");
    assert!(!told.contains("95 %") && !told.contains("paired") && !told.contains("Kim"), "{told}");
}

#[test]
fn a_space_much_of_which_is_refused_is_told() {
    let mut refused = tuned();
    refused.refused = Refused { count: 2, first: Some("`first` is above `last`.".to_owned()) };
    let told = text(&refused);
    assert!(told.contains("2 of 4 candidates (50.0 %) were refused because their settings do not go together"), "{told}");
    assert!(told.contains("the first because `first` is above `last`."), "{told}");
    assert!(told.contains("4 candidates, 2 of them refused"), "{told}");
}
