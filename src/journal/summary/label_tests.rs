//! Labels of runs made by hand: one server, evenly spaced requests, and the ways in which overload goes.

use proptest::prelude::*;

use super::*;
use crate::rng::{mix, open01};
use crate::time::Span;

/// A server of rate `mu` behind a queue, and what it meets.
struct Server {
    mu: f64,
    /// Work that may stand in front of a request, seconds; more is refused.
    queue_s: f64,
    /// The client leaves after this, but the server works on.
    patience_s: f64,
    /// What is good.
    slo_s: f64,
    /// Delay that occupies nobody, seconds.
    delay_s: f64,
}

const PLAIN: Server =
    Server { mu: 10.0, queue_s: f64::INFINITY, patience_s: f64::INFINITY, slo_s: f64::INFINITY, delay_s: 0.0 };

/// What arrives at a rate that changes with time, from 0 to `end`, seconds.
fn arrivals(end: f64, rate: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut at = 0.0;
    std::iter::from_fn(|| {
        at += 1.0 / rate(at);
        (at < end).then_some(at)
    })
    .collect()
}

impl Server {
    /// The series of a run whose arrivals end at `end` and that is cut off at `drained`, seconds.
    fn run(&self, arrivals: &[f64], drained: f64) -> Series {
        self.run_with(arrivals, |_| 1.0 / self.mu, drained)
    }

    fn run_with(&self, arrivals: &[f64], service: impl Fn(usize) -> f64, drained: f64) -> Series {
        let mut series = Series::over(at(drained));
        let mut change = vec![0i64; series.backlog.len()];
        let mut free = 0.0f64;
        for (i, &arrival) in arrivals.iter().enumerate() {
            let bin = series.index(at(arrival));
            series.offered[bin] += 1;
            if free - arrival > self.queue_s {
                continue;
            }
            free = free.max(arrival) + service(i);
            let done = free + self.delay_s;
            let over = done.min(arrival + self.patience_s).min(drained);
            change[bin] += 1;
            if over < drained {
                change[series.index(at(over))] -= 1;
            }
            if done <= over {
                let answered = series.index(at(done));
                series.completed[answered] += 1;
                series.answered[bin] += 1;
                series.e2e_s[bin] += done - arrival;
                series.good[bin] += u32::from(done - arrival <= self.slo_s);
            }
        }
        let mut open = 0;
        for (backlog, change) in series.backlog.iter_mut().zip(change) {
            open += change;
            *backlog = u32::try_from(open).unwrap();
        }
        series
    }

    fn label(&self, arrivals: &[f64], end: f64, drained: f64) -> (Label, Evidence) {
        label(&self.run(arrivals, drained), &window(0.0, end, drained), None)
    }
}

fn at(secs: f64) -> Time {
    Time::ZERO + Span::from_secs_f64(secs)
}

fn window(start: f64, end: f64, drained: f64) -> Window {
    Window { start: at(start), end: at(end), drained: at(drained) }
}

#[test]
fn below_capacity_is_stable() {
    assert_eq!(PLAIN.label(&arrivals(100.0, |_| 8.0), 100.0, 110.0).0, Label::Stable);
}

#[test]
fn a_short_run_that_only_fills_up_is_stable() {
    let slow = Server { delay_s: 8.0, ..PLAIN };
    for drained in [10.0, 12.0, 30.0] {
        let (label, evidence) = slow.label(&arrivals(10.0, |_| 8.0), 10.0, drained);
        assert_eq!(label, Label::Stable, "{drained} {evidence:?}");
    }
}

#[test]
fn a_handful_of_requests_is_not_enough_to_blame_the_load() {
    let (label, evidence) = Server { queue_s: 0.0, ..PLAIN }.label(&[1.0, 1.01, 2.0, 3.0, 4.0, 5.0], 6.0, 10.0);
    assert_eq!(label, Label::Stable, "{evidence:?}");
}

#[test]
fn a_queue_without_bound_at_overload_is_collapsing_by_its_growth() {
    let (label, evidence) = PLAIN.label(&arrivals(100.0, |_| 15.0), 100.0, 200.0);
    assert_eq!(label, Label::Collapsing);
    assert!(evidence.growing && (evidence.piling_up - 1.0 / 3.0).abs() < 0.02, "{evidence:?}");
    assert!((evidence.latency_slope.unwrap() - 0.5).abs() < 0.02, "{evidence:?}");
}

#[test]
fn the_same_cut_off_early_is_collapsing_too() {
    let (label, evidence) = PLAIN.label(&arrivals(100.0, |_| 20.0), 100.0, 110.0);
    assert_eq!(label, Label::Collapsing, "{evidence:?}");
}

#[test]
fn shedding_the_excess_is_saturated() {
    let shedding = Server { queue_s: 1.0, slo_s: 2.0, ..PLAIN };
    for rate in [11.0, 15.0, 40.0] {
        let (label, evidence) = shedding.label(&arrivals(100.0, |_| rate), 100.0, 110.0);
        assert_eq!(label, Label::Saturated, "{rate} {evidence:?}");
        assert!((evidence.lost - (1.0 - 10.0 / rate)).abs() < 0.03 && evidence.useful.unwrap() > 0.95, "{evidence:?}");
    }
}

#[test]
fn working_for_clients_who_have_left_is_collapsing() {
    let wasting = Server { patience_s: 3.0, slo_s: 3.0, ..PLAIN };
    let (label, evidence) = wasting.label(&arrivals(100.0, |_| 15.0), 100.0, 110.0);
    assert_eq!(label, Label::Collapsing);
    assert!(evidence.lost > 0.95 && evidence.useful.unwrap() < 0.05, "{evidence:?}");
}

#[test]
fn a_lockout_is_collapsing() {
    // Served for 20 s, refused for ever after.
    let mut series = PLAIN.run(&arrivals(20.0, |_| 8.0), 110.0);
    for arrival in arrivals(80.0, |_| 8.0) {
        let bin = series.index(at(20.0 + arrival));
        series.offered[bin] += 1;
    }
    assert_eq!(label(&series, &window(0.0, 100.0, 110.0), None).0, Label::Collapsing);
    assert_eq!(label(&series, &window(30.0, 100.0, 110.0), None).0, Label::Collapsing, "seen from after the warm-up");
}

#[test]
fn a_server_that_never_answers_is_collapsing() {
    let dead = Server { delay_s: 1e6, ..PLAIN };
    assert_eq!(dead.label(&arrivals(100.0, |_| 8.0), 100.0, 400.0).0, Label::Collapsing);
    assert_eq!(Server { patience_s: 5.0, ..dead }.label(&arrivals(100.0, |_| 8.0), 100.0, 400.0).0, Label::Collapsing);
}

#[test]
fn a_spike_that_is_digested_leaves_no_mark() {
    let spike = |t: f64| if (100.0..160.0).contains(&t) { 21.0 } else { 7.0 };
    let server = Server { patience_s: 10.0, queue_s: 5.0, slo_s: 10.0, ..PLAIN };
    let (label, evidence) = server.label(&arrivals(600.0, spike), 600.0, 620.0);
    assert_eq!(label, Label::Stable, "{evidence:?}");
    // And where the run ends within it, it is what it is.
    let (label, evidence) = server.label(&arrivals(160.0, spike), 160.0, 180.0);
    assert_eq!(label, Label::Saturated, "{evidence:?}");
}

#[test]
fn a_storm_that_does_not_recover_is_collapsing() {
    // After a spike the load is 70 % again, but retries keep the server busy with requests that have left: one in ten is good.
    let mut series = PLAIN.run(&arrivals(160.0, |_| 7.0), 620.0);
    for (i, arrival) in arrivals(440.0, |_| 7.0).into_iter().enumerate() {
        let bin = series.index(at(160.0 + arrival));
        series.offered[bin] += 1;
        if i % 10 == 0 {
            series.good[bin] += 1;
            series.answered[bin] += 1;
            series.completed[bin] += 1;
            series.e2e_s[bin] += 1.0;
        }
    }
    let (label, evidence) = label(&series, &window(0.0, 600.0, 620.0), None);
    assert_eq!(label, Label::Collapsing, "{evidence:?}");
}

#[test]
fn an_slo_out_of_reach_is_not_an_overload() {
    let (label, evidence) = Server { slo_s: 0.01, ..PLAIN }.label(&arrivals(100.0, |_| 8.0), 100.0, 110.0);
    assert_eq!((label, evidence.useful), (Label::Stable, Some(0.0)));
}

#[test]
fn a_known_capacity_says_what_the_server_could_have_done() {
    // Seen only in its bad state, the server shows half of what it can do: saturated by its own measure.
    let halved = Server { mu: 4.0, queue_s: 1.0, ..PLAIN };
    let series = halved.run(&arrivals(100.0, |_| 15.0), 110.0);
    assert_eq!(label(&series, &window(0.0, 100.0, 110.0), None).0, Label::Saturated);
    assert_eq!(label(&series, &window(0.0, 100.0, 110.0), Some(10.0)).0, Label::Collapsing);
}

/// A queue at 90 % load wanders by ten times its service time; the label must not follow it, however short the run.
#[test]
fn a_random_queue_below_capacity_is_hardly_ever_blamed() {
    let mut draws = 0;
    let mut exponential = || {
        draws += 1;
        -open01(mix(5, draws)).ln()
    };
    for (load, end) in [(0.5, 10.0), (0.5, 30.0), (0.8, 30.0), (0.8, 1_000.0), (0.9, 60.0), (0.9, 300.0)] {
        let blamed = (0..200).filter(|_| {
            let mut at = 0.0;
            let arrivals: Vec<f64> = std::iter::from_fn(|| {
                at += exponential() / (10.0 * load);
                (at < end).then_some(at)
            })
            .collect();
            let services: Vec<f64> = arrivals.iter().map(|_| exponential() / 10.0).collect();
            let series = PLAIN.run_with(&arrivals, |i| services[i], end + 60.0);
            label(&series, &window(0.0, end, end + 60.0), None).0 != Label::Stable
        });
        let blamed = blamed.count();
        println!("load {load}, {end} s: {blamed} of 200");
        assert!(blamed <= 10, "load {load}, {end} s: {blamed} of 200");
    }
}

#[test]
fn an_empty_window_is_stable() {
    assert_eq!(label(&Series::over(at(10.0)), &window(5.0, 5.0, 10.0), None).0, Label::Stable);
    assert_eq!(label(&Series::over(at(10.0)), &window(0.0, 10.0, 10.0), None), (Label::Stable, Evidence::default()));
}

proptest! {
    /// A queue that sheds what it cannot hold never collapses once it is full (while it fills, nobody can tell it from one
    /// without a bound); below capacity with 10 % in hand it is stable, whatever the length.
    #[test]
    fn a_bounded_queue_never_collapses(load in 0.2..5.0f64, end in 20.0..2_000.0f64, queue_s in 0.5..5.0f64) {
        prop_assume!(queue_s <= (load - 1.0).abs() * end / 2.0);
        let server = Server { queue_s, ..PLAIN };
        let (label, evidence) = server.label(&arrivals(end, |_| 10.0 * load), end, end + 20.0);
        prop_assert_ne!(label, Label::Collapsing, "{:?}", evidence);
        prop_assert!(load > 0.9 || label == Label::Stable, "{:?}", evidence);
    }

    /// One that sheds nothing collapses as soon as 15 % too much comes for long enough.
    #[test]
    fn an_unbounded_queue_collapses(load in 1.15..5.0f64, end in 60.0..2_000.0f64, drain in 0.0..1_000.0f64) {
        let (label, evidence) = PLAIN.label(&arrivals(end, |_| 10.0 * load), end, end + drain);
        prop_assert_eq!(label, Label::Collapsing, "{:?}", evidence);
    }
}

/// Whoever came last is still waiting at the cut, longer than a healthy server would have let anybody wait.
#[test]
fn those_who_wait_for_nothing_at_the_cut_are_lost() {
    let hopeless = Server { patience_s: 20.0, slo_s: 20.0, ..PLAIN };
    for drained in [70.0, 78.0] {
        let (label, evidence) = hopeless.label(&arrivals(60.0, |_| 42.0), 60.0, drained);
        assert_eq!(label, Label::Collapsing, "{drained} {evidence:?}");
        assert!(evidence.lost > 0.5, "{drained} {evidence:?}");
    }
}
