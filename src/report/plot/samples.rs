//! Figures for the tests and the gallery: made up, but shaped like results.

use super::*;

/// A head for a sample.
pub(super) fn head(name: &str, title: &str) -> Head {
    Head {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: "Made-up figures. Seed 42, 30 replications, 95 % intervals of Student's t over replications.".to_owned(),
    }
}

fn near(mean: f64, half: f64) -> Estimate {
    Estimate { mean, lo: mean - half, hi: mean + half }
}

/// A steady wobble between -1 and 1.
fn wobble(i: usize) -> f64 {
    libm::sin(i as f64 * 12.9898) * 0.7 + libm::sin(i as f64 * 4.1) * 0.3
}

pub(super) const VARIANTS: [&str; 4] =
    ["no policy", "queue limit 64", "throttle (seed's settings)", "CoDel + deadline admission"];

pub(super) fn goodput(variants: usize) -> GoodputCurves {
    let curve = |v: usize| {
        let fall = [0.9, 0.35, 0.12, 0.03][v % 4];
        let top = 0.98 - 0.03 * (v / 4) as f64;
        let points = (1..=12).map(|i| {
            let offered = 0.2 * f64::from(i);
            let over = (offered - 1.0).max(0.0);
            let mean = offered.min(top) * libm::exp(-fall * over) - 0.015 * offered * offered.min(1.0);
            LoadPoint { offered, goodput: near(mean, 0.01 + 0.04 * over * fall) }
        });
        let name = VARIANTS
            .get(v)
            .map_or_else(|| format!("variant {v} with a rather long descriptive name of its own"), |n| (*n).to_owned());
        GoodputCurve { name, points: points.collect(), sustained: (v < 4).then(|| near(0.85 + 0.04 * v as f64, 0.015)) }
    };
    GoodputCurves {
        head: head("goodput", "Goodput keeps up with offered load until capacity; without a policy it collapses beyond it"),
        unit: "× load 1.0".to_owned(),
        capacity: Some((1.0, "capacity of the upstream".to_owned())),
        curves: (0..variants).map(curve).collect(),
    }
}

pub(super) fn outcomes(variants: usize) -> OutcomeShares {
    let names = ["good", "late", "degraded", "rejected", "timed out", "gave up", "failed", "in flight"];
    let variant = |v: usize| {
        let points = (1..=10).map(|i| {
            let offered = 0.25 * f64::from(i);
            let over = (1.0 - 1.0 / offered).max(0.0);
            let kept = [0.1, 0.5, 0.8, 0.95][v % 4];
            let bad = [
                0.02,
                over * (1.0 - kept) * 0.5,
                0.02,
                over * kept,
                over * (1.0 - kept) * 0.3,
                over * (1.0 - kept) * 0.2,
                0.01,
                0.005,
            ];
            let good = 1.0 - bad.iter().sum::<f64>() + bad[0];
            OutcomePoint { offered, shares: [good].into_iter().chain(bad.into_iter().skip(1)).collect() }
        });
        let name = VARIANTS
            .get(v)
            .map_or_else(|| format!("variant {v} with a rather long descriptive name of its own"), |n| (*n).to_owned());
        Outcomes { name, points: points.collect() }
    };
    OutcomeShares {
        head: head("outcomes", "What becomes of offered requests as load grows"),
        unit: "× load 1.0".to_owned(),
        outcomes: names.map(ToOwned::to_owned).to_vec(),
        variants: (0..variants).map(variant).collect(),
    }
}

pub(super) fn heatmap() -> Heatmap {
    let x = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let y: Vec<f64> = (0..9).map(|i| 0.55 + 0.05 * f64::from(i)).collect();
    let cells = y.iter().flat_map(|y| {
        x.iter().map(move |x| {
            let off = (libm::log10(*x) - 0.8) / 0.9;
            let value = 42.0 - 9.0 * off * off - 160.0 * (y - 0.72) * (y - 0.72);
            let feasible = *y < 0.9 && !(*x > 40.0 && *y > 0.7);
            HeatmapCell { value, feasible, better: feasible && value > 41.8 }
        })
    });
    Heatmap {
        head: head("heatmap", "Goodput over the throttle's interval and threshold: a plateau around 5 s and 0.7"),
        x: Along { name: "throttle.interval [s]".to_owned(), values: Values::Numbers(x.to_vec()) },
        chosen: Some(26),
        cells: cells.collect(),
        y: Along { name: "throttle.threshold [share of slots]".to_owned(), values: Values::Numbers(y) },
        objective: "goodput [req/s]".to_owned(),
        unit: Unit::Number,
        more_is_better: true,
        within: 0.02,
    }
}

/// Choices across, less is better, one cell not measured.
pub(super) fn heatmap_of_choices() -> Heatmap {
    let orders = ["fifo", "lifo", "edf", "shortest_predicted_job_first", "weighted_fair"].map(ToOwned::to_owned);
    let modes = ["hard", "soft", "leaky"].map(ToOwned::to_owned);
    let cells = (0..15).map(|i| HeatmapCell {
        value: if i == 7 { f64::NAN } else { 320.0 + 200.0 * wobble(i) },
        feasible: i % 6 != 5,
        better: false,
    });
    Heatmap {
        head: head("heatmap-choices", "Tail latency by queue order and limiter mode"),
        x: Along { name: "queue.order".to_owned(), values: Values::Choices(orders.to_vec()) },
        y: Along { name: "limiter.mode".to_owned(), values: Values::Choices(modes.to_vec()) },
        objective: "p99 TTFT [ms]".to_owned(),
        unit: Unit::Number,
        more_is_better: false,
        within: 0.05,
        chosen: Some(3),
        cells: cells.collect(),
    }
}

pub(super) fn pareto(points: usize) -> ParetoFront {
    let point = |i: usize| {
        let t = (i as f64 * 0.618_034).fract();
        let loss = 1.0 - 0.6 * libm::fabs(wobble(i)) * ((i % 7) as f64 / 7.0);
        ParetoPoint {
            name: format!("threshold={:.2}, interval={} s", 0.5 + 0.45 * t, 1 + i % 9),
            x: 180.0 + 900.0 * t * t + 300.0 * (1.0 - loss),
            y: (20.0 + 24.0 * libm::sqrt(t)) * loss,
            chosen: i == 21,
            on_front: false,
            kind: if i % 9 == 4 { ParetoKind::Screened } else { ParetoKind::Finalist },
        }
    };
    let mut points: Vec<ParetoPoint> = (0..points).map(point).collect();
    let beats = |a: &ParetoPoint, b: &ParetoPoint| {
        a.kind == ParetoKind::Finalist && a.x <= b.x && a.y >= b.y && (a.x, a.y) != (b.x, b.y)
    };
    let on_front = |one: &ParetoPoint| one.kind == ParetoKind::Finalist && !points.iter().any(|other| beats(other, one));
    let front: Vec<bool> = points.iter().map(on_front).collect();
    points.iter_mut().zip(front).for_each(|(point, on_front)| point.on_front = on_front);
    let volume = Estimate { mean: 31_250.0, lo: 30_900.0, hi: 31_600.0 };
    ParetoFront {
        head: head("pareto", "Goodput against tail latency: half the goodput costs a tenth of the latency"),
        x: ("p99 TTFT [ms]".to_owned(), false),
        y: ("goodput [req/s]".to_owned(), true),
        points,
        all_objectives: true,
        hypervolume: Some((volume, (1_400.0, 0.0))),
    }
}

pub(super) fn burst(samples: usize) -> Burst {
    let times_s: Vec<f64> = (0..samples).map(|i| 300.0 * i as f64 / samples as f64).collect();
    let at = |f: &dyn Fn(f64) -> f64, noise: f64| -> Vec<f64> {
        times_s.iter().enumerate().map(|(i, t)| (f(*t) + noise * wobble(i)).max(0.0)).collect()
    };
    let pulse = |t: f64| 1.0 / (1.0 + libm::exp(-(t - 100.0) / 2.0)) - 1.0 / (1.0 + libm::exp(-(t - 160.0) / 2.0));
    let lag = |t: f64| 1.0 / (1.0 + libm::exp(-(t - 110.0) / 6.0)) - 1.0 / (1.0 + libm::exp(-(t - 190.0) / 12.0));
    let trace = |name: &str, values: Vec<f64>| Trace { name: name.to_owned(), look: None, values };
    let row = |title: &str, unit: &str, mut traces: Vec<Trace>| {
        traces.iter_mut().enumerate().for_each(|(i, trace)| trace.look = Some(i));
        Row { title: title.to_owned(), unit: unit.to_owned(), traces }
    };
    let rows = vec![
        row(
            "Requests",
            "req/s",
            vec![
                trace("arrivals", at(&|t| 30.0 + 50.0 * pulse(t), 4.0)),
                trace("admitted", at(&|t| 30.0 + 12.0 * pulse(t), 2.0)),
                trace("rejected", at(&|t| 38.0 * pulse(t), 2.0 * 0.5)),
            ],
        ),
        row("Queue", "requests", vec![trace("queue", at(&|t| 2.0 + 60.0 * lag(t), 2.0))]),
        row(
            "Abandoned",
            "requests",
            vec![trace("true", at(&|t| 14.0 * lag(t), 1.0)), trace("counted by the gateway", at(&|t| 9.0 * lag(t - 8.0), 1.0))],
        ),
        row("Limit", "slots", vec![trace("limit", at(&|t| 64.0 - 22.0 * lag(t), 0.0))]),
        row(
            "KV cache use",
            "%",
            vec![trace("KV use", at(&|t| 0.55 + 0.42 * lag(t), 0.02).iter().map(|x| x.min(1.0)).collect())],
        ),
        row("Rolling p99 of TTFT", "s", vec![trace("p99", at(&|t| 0.3 + 2.4 * lag(t - 5.0), 0.05))]),
    ];
    Burst {
        head: head("burst", "A burst of 60 s: the throttle sheds it within 10 s, the queue drains 40 s after"),
        times_s,
        rows,
        spans: vec![TimeSpan {
            from_s: 100.0,
            to_s: 160.0,
            name: "burst: 2.7 times the usual arrivals".to_owned(),
            marked: true,
        }],
        began_unix_ns: None,
    }
}

pub(super) fn cdfs() -> LatencyCdfs {
    let class = |name: &str, median: f64, spread: f64, answered: f64, slo_s: Option<f64>| LatencyCdf {
        name: name.to_owned(),
        points: (0..80)
            .map(|i| {
                let z = -2.8 + 5.6 * f64::from(i) / 79.0;
                (median * libm::exp(spread * z), answered * 0.5 * libm::erfc(-z / core::f64::consts::SQRT_2))
            })
            .collect(),
        slo_s,
    };
    LatencyCdfs {
        head: head("cdf", "Latency of all offered requests at load 1.5: a third of the batch class is refused"),
        panels: vec![
            LatencyPanel {
                title: "TTFT".to_owned(),
                classes: vec![
                    class("interactive", 0.12, 0.5, 0.95, Some(0.5)),
                    class("standard", 0.4, 0.7, 0.93, None),
                    class("batch", 1.6, 0.9, 0.66, None),
                ],
            },
            LatencyPanel {
                title: "End to end".to_owned(),
                classes: vec![
                    class("interactive", 2.2, 0.4, 0.94, Some(10.0)),
                    class("standard", 5.0, 0.5, 0.90, None),
                    class("batch", 24.0, 0.8, 0.66, Some(120.0)),
                ],
            },
        ],
    }
}

pub(super) fn sensitivity() -> Sensitivity {
    let names = [
        "throttle.threshold",
        "throttle.interval",
        "queue.max_length",
        "limiter.max_concurrent",
        "client.retry.max_attempts",
        "policies.admission.graduated.threshold_high",
        "lane.heavy.slots",
        "breaker.open_for",
    ];
    let swing = |(i, name): (usize, &&str)| Swing {
        name: (*name).to_owned(),
        down: near(41.2 - 6.0 / (1.0 + i as f64) - 0.2, 0.5),
        up: near(41.2 + if i % 3 == 2 { -1.0 } else { 2.5 } / (1.0 + i as f64), 0.5),
    };
    let index = |(i, name): (usize, &&str)| {
        let total = 0.55 / (1.0 + 0.9 * i as f64);
        SobolIndex { name: (*name).to_owned(), first: near(0.7 * total, 0.04), total: near(total, 0.05) }
    };
    Sensitivity {
        unit: Unit::Number,
        head: head("sensitivity", "The throttle's threshold decides most; the rest interacts little"),
        objective: "goodput [req/s]".to_owned(),
        at_choice: 41.2,
        step: "20 %".to_owned(),
        swings: names.iter().enumerate().map(swing).collect(),
        indices: names.iter().enumerate().map(index).take(7).collect(),
    }
}

pub(super) fn rejection() -> Rejection {
    let theory = vec![(0.0, 0.0), (0.75, 0.0), (0.75, 0.5), (1.0, 0.5), (1.0, 1.0), (1.25, 1.0)];
    let measured = |shift: f64| {
        (0..26).map(move |i| {
            let used = 0.05 * f64::from(i);
            let expected = if used < 0.75 - shift {
                0.0
            } else if used < 1.0 {
                0.5
            } else {
                1.0
            };
            let mean = (expected + 0.02 * wobble(usize::try_from(i).expect("not negative"))).clamp(0.0, 1.0);
            RejectionPoint {
                used,
                attempts: 400,
                rejected: Estimate { mean, lo: (mean - 0.03).max(0.0), hi: (mean + 0.03).min(1.0) },
            }
        })
    };
    Rejection {
        head: head("rejection", "The throttle rejects 0, 50 and 100 % where its settings say"),
        x_name: "Slots in use, abandoned ones included".to_owned(),
        theory: vec![("0, 50 and 100 % steps".to_owned(), theory)],
        measured: vec![
            ("simulated".to_owned(), measured(0.0).collect()),
            ("seed's server".to_owned(), measured(0.1).collect()),
        ],
    }
}

pub(super) fn fairness() -> Fairness {
    let tenants = [("interactive", 0.42), ("standard", 0.31), ("batch", 0.18), ("evaluation", 0.06), ("crawler", 0.03)];
    let variant = |bias: f64| {
        tenants.iter().enumerate().map(move |(i, (name, demand))| FairShare {
            name: (*name).to_owned(),
            demand: *demand,
            goodput: near(demand + bias * [0.12, -0.02, -0.06, -0.03, -0.01][i], 0.012),
        })
    };
    Fairness {
        head: head("fairness", "Priorities give interactive users more than their share at load 1.5"),
        unit: "requests".to_owned(),
        variants: vec![
            ("strict priorities".to_owned(), "Jain 0.83".to_owned(), variant(1.0).collect()),
            ("weighted fair".to_owned(), "Jain 0.99".to_owned(), variant(-0.15).collect()),
        ],
    }
}

pub(super) fn racing(candidates: usize) -> Racing {
    let candidate = |i: usize| {
        let rungs = [27, 9, 3, 1].iter().position(|n| (i * 40 / candidates.max(1)).is_multiple_of(*n)).map_or(1, |p| 4 - p);
        let spent = (0..rungs).map(|rung| 8_000.0 * libm::pow(3.0, rung as f64)).collect();
        Candidate {
            name: format!("threshold={:.2}, interval={} s", 0.5 + 0.012 * i as f64, 1 + i % 9),
            spent,
            fate: match i {
                0 => Fate::Chosen,
                _ if rungs < 4 => Fate::Dropped,
                _ => Fate::Finalist,
            },
        }
    };
    Racing {
        head: head("racing", "Successive halving spends nine tenths of its budget on a quarter of the candidates"),
        unit: "simulated requests".to_owned(),
        candidates: (0..candidates).map(candidate).collect(),
    }
}

pub(super) fn cases() -> Cases {
    let cases = [70, 100, 150].into_iter().flat_map(|load| [110, 100, 80].map(|speed| (load, speed)));
    let cases: Vec<(i32, i32)> = cases.collect();
    let at = |best: f64, fall: f64| {
        let value = |(load, speed): &(i32, i32)| {
            let over = (f64::from(*load) / f64::from(*speed) - 1.0).max(0.0);
            near(best * f64::from(*speed) / 100.0 * f64::from(*load.min(speed)) / f64::from(*speed) - fall * over, 0.8)
        };
        cases.iter().map(value).collect::<Vec<Estimate>>()
    };
    let feasible: Vec<bool> = cases.iter().map(|(load, speed)| *load < 2 * speed - 20).collect();
    Cases {
        unit: Unit::Number,
        head: head("cases", "Goodput when load or capacity is another: the recommended settings lose little"),
        objective: "goodput [req/s]".to_owned(),
        more_is_better: true,
        cases: cases.iter().map(|(load, speed)| format!("load {load} %, capacity {speed} %")).collect(),
        compared: vec![
            Compared { name: "recommended settings".to_owned(), values: at(50.0, 4.0), feasible },
            Compared { name: "today's settings".to_owned(), values: at(44.0, 40.0), feasible: vec![true; cases.len()] },
        ],
    }
}

/// One of each kind.
pub(super) fn arrivals(bins: usize) -> Arrivals {
    let moment = |bin: usize| {
        let mean_rps = (8.0 + 6.0 * libm::sin(bin as f64 / 90.0) + 2.0 * wobble(bin)).max(0.0);
        Moment { from_s: bin as f64 * 64.0, mean_rps, peak_rps: (mean_rps * 2.0 + 3.0 * (wobble(bin + 7) + 1.0)).round() }
    };
    let head = head("arrivals", "Requests a second over the log");
    Arrivals { head, bin_s: 64.0, moments: (0..bins).map(moment).collect() }
}

pub(super) fn lengths() -> LengthCdfs {
    let curve = |(name, median): (&str, f64)| {
        let points = (1..=200).map(|i| (median * libm::exp(libm::log(f64::from(i) / 30.0) * 1.1), f64::from(i) / 200.0));
        LengthCdf { name: name.to_owned(), points: points.collect() }
    };
    let curves = [("input", 800.0), ("output", 120.0), ("total", 1_000.0)].into_iter().map(curve).collect();
    LengthCdfs { head: head("lengths", "How long requests are"), curves }
}

pub(super) fn one_of_each() -> Vec<Plot> {
    let plots = [
        goodput(4).plot(),
        outcomes(4).plot(),
        heatmap().plot(),
        pareto(160).plot(),
        burst(600).plot(),
        cdfs().plot(),
        sensitivity().plot(),
        rejection().plot(),
        fairness().plot(),
        racing(36).plot(),
        cases().plot(),
        arrivals(900).plot(),
        lengths().plot(),
    ];
    plots.into_iter().map(|plot| plot.expect("the samples have data")).collect()
}

/// Those that try how much a layout bears.
pub(super) fn hard() -> Vec<Plot> {
    let rename = |mut head: Head, name: &str| {
        name.clone_into(&mut head.name);
        head
    };
    let mut plots = Vec::new();
    let mut many = goodput(18);
    many.head = rename(many.head, "goodput-18");
    plots.push(many.plot());
    let mut one = goodput(1);
    one.head = rename(one.head, "goodput-one-point");
    one.curves[0].points.truncate(1);
    plots.push(one.plot());
    let mut many = outcomes(18);
    many.head = rename(many.head, "outcomes-18");
    plots.push(many.plot());
    let mut one = outcomes(1);
    one.head = rename(one.head, "outcomes-one-point");
    one.variants[0].points.truncate(1);
    plots.push(one.plot());
    plots.push(heatmap_of_choices().plot());
    let mut many = pareto(5_000);
    many.head = rename(many.head, "pareto-5000");
    plots.push(many.plot());
    let mut many = burst(100_000);
    many.head = rename(many.head, "burst-100000");
    plots.push(many.plot());
    let mut many = racing(1_000);
    many.head = rename(many.head, "racing-1000");
    plots.push(many.plot());
    let mut half = sensitivity();
    half.head = rename(half.head, "sensitivity-tornado");
    half.indices.clear();
    plots.push(half.plot());
    let mut half = sensitivity();
    half.head = rename(half.head, "sensitivity-sobol");
    half.swings.clear();
    plots.push(half.plot());
    plots.into_iter().map(|plot| plot.expect("the samples have data")).collect()
}
