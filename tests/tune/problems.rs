//! Small problems with known best settings: three are simulated step by step and solved in closed form, four add noise to a
//! known function. All noise comes from ChaCha8 streams by replication, so that candidates meet the same luck.

use plimsoll::rng::{Streams, fnv1a, mix, open01};
use plimsoll::time::Span;
use plimsoll::tune::{Condition, Domain, Model, Observation, Parameter, Point, Pool, Problem, Scale, Setting, Space};
use rand_chacha::rand_core::Rng;

/// A problem whose truth is known.
pub trait Known: Problem {
    fn name(&self) -> &'static str;
    fn space(&self) -> Space;
    /// Levels at which the grid has all candidates that count.
    fn levels(&self) -> usize;
    /// Who races: the whole grid, or as a scenario's `[tune]` has it, points that fill the space.
    fn pool(&self) -> Pool {
        Pool::Grid { levels: self.levels() }
    }
    /// How a model proposes candidates here; `None` where none would: its space has no neighbourhoods, or nothing rises in it.
    fn model(&self) -> Option<Model> {
        None
    }
    /// Whether a model is right here as often as is asked for.
    fn model_is_right(&self) -> bool {
        true
    }
    /// The true objective.
    fn value(&self, point: &Point) -> f64;
    /// The true slack; the limit is far away where there is none.
    fn slack(&self, _: &Point) -> f64 {
        f64::INFINITY
    }
    /// The indifference zone in the objective's unit.
    fn zone(&self) -> f64;
    /// Budget of a search, in simulations.
    fn budget(&self) -> f64 {
        650.0
    }
    /// Tolerances of the constraints.
    fn tolerances(&self) -> Vec<f64> {
        Vec::new()
    }
    /// The same problem with other luck.
    fn reseeded(&self, seed: u64) -> Box<dyn Known>;

    /// Whether `point` is a right choice among `candidates`: it holds the constraint to within its tolerance, and is less than
    /// the zone worse than the best of those that hold it by more.
    fn right(&self, point: &Point, best: f64) -> bool {
        let tolerance = self.tolerances().first().copied().unwrap_or(0.0);
        self.slack(point) >= -tolerance && self.value(point) > best - self.zone()
    }

    /// The best true value among `candidates` that surely hold the constraint.
    fn best(&self, candidates: &[Point]) -> f64 {
        let tolerance = self.tolerances().first().copied().unwrap_or(0.0);
        let sure = candidates.iter().filter(|point| self.slack(point) >= tolerance);
        sure.map(|point| self.value(point)).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Steps, days or requests of a run of full length.
const FULL: f64 = 2_000.0;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn length(share: f64) -> u64 {
    (FULL * share) as u64
}

fn seen(objective: f64, constraints: Vec<Option<f64>>, requests: u64) -> Observation {
    Observation { objectives: vec![Some(objective)], constraints, second: None, requests }
}

fn integer(point: &Point, parameter: usize) -> i64 {
    match point.setting(parameter) {
        Some(Setting::Integer(i)) => *i,
        other => panic!("a whole number, not {other:?}"),
    }
}

fn number(point: &Point, parameter: usize) -> f64 {
    point.setting(parameter).and_then(Setting::number).expect("a number")
}

fn parameter(path: &str, domain: Domain) -> Parameter {
    Parameter { path: path.into(), domain, only_if: None }
}

fn real(path: &str, lo: f64, hi: f64) -> Parameter {
    parameter(path, Domain::Real { lo, hi, scale: Scale::Linear })
}

fn whole(path: &str, lo: i64, hi: i64) -> Parameter {
    parameter(path, Domain::Integer { lo, hi, scale: Scale::Linear })
}

fn uniform(rng: &mut impl Rng) -> f64 {
    open01(rng.next_u64())
}

pub fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v) = (uniform(rng), uniform(rng));
    libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v)
}

/// Standard normal noise of a run: what all candidates share, and what is this one's own. Shorter runs are noisier.
fn noise(seed: u64, point: &Point, replication: u32, share: f64) -> (f64, f64) {
    let streams = Streams::new(mix(seed, share.to_bits()), replication);
    let common = normal(&mut streams.named("common"));
    let own = normal(&mut streams.named(&format!("own {:x}", fnv1a(format!("{point:?}").as_bytes()))));
    (common / share.sqrt(), own / share.sqrt())
}

/// A queue with one server, room for K, and a part of the arrivals turned away at the door: each served request earns 1,
/// waiting costs. M/M/1/K, simulated as a uniformised chain that starts half full.
pub struct Room(pub u64);

const ROOM_RATE: f64 = 1.3;
const ROOM_WAIT: f64 = 0.02;

impl Problem for Room {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let (room, admitted) = (integer(candidate, 0), number(candidate, 1));
        let mut rng = Streams::new(mix(self.0, share.to_bits()), replication).named("chain");
        let (steps, mut inside, mut gained) = (length(share), room / 2, 0.0);
        let arrives = ROOM_RATE / (1.0 + ROOM_RATE);
        for _ in 0..steps {
            let u = uniform(&mut rng);
            if u < arrives * admitted {
                if inside < room {
                    inside += 1;
                    gained += 1.0;
                }
            } else if u >= arrives {
                inside = (inside - 1).max(0);
            }
            gained -= ROOM_WAIT * inside as f64;
        }
        seen(gained / steps as f64, vec![], steps)
    }
}

impl Known for Room {
    fn name(&self) -> &'static str {
        "room in a queue (M/M/1/K)"
    }
    fn space(&self) -> Space {
        Space::new(vec![whole("room", 1, 40), real("admitted", 0.4, 1.0)]).unwrap()
    }
    fn levels(&self) -> usize {
        40
    }
    fn model(&self) -> Option<Model> {
        Some(Model::default())
    }
    /// The best admits all, at the end of its range: what a model proposes stops just short of it, by a little more than the zone.
    fn model_is_right(&self) -> bool {
        false
    }
    fn value(&self, point: &Point) -> f64 {
        let room = i32::try_from(integer(point, 0)).unwrap();
        let rate = ROOM_RATE * number(point, 1);
        let weights: Vec<f64> = (0..=room).map(|n| rate.powi(n)).collect();
        let all: f64 = weights.iter().sum();
        let full = weights.last().unwrap() / all;
        let mean: f64 = weights.iter().enumerate().map(|(n, w)| n as f64 * w / all).sum();
        // Per step of the chain, of which there are 1 + ROOM_RATE in a service time.
        rate / (1.0 + ROOM_RATE) * (1.0 - full) - ROOM_WAIT * mean
    }
    fn zone(&self) -> f64 {
        0.000_8
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// How many servers to pay for, and how fast ones: Erlang's loss system, simulated as a uniformised chain that
/// starts about as full as it stays.
pub struct Staff(pub u64);

const STAFF_LOAD: f64 = 20.0;
const STAFF_MAX: i64 = 40;
const STAFF_SPEED: f64 = 2.0;

/// Servers cost, and fast ones more than in proportion.
fn staff_cost(servers: f64, speed: f64) -> f64 {
    0.006 * servers * speed.powf(1.5)
}

impl Problem for Staff {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let (servers, speed) = (integer(candidate, 0), number(candidate, 1));
        let mut rng = Streams::new(mix(self.0, share.to_bits()), replication).named("chain");
        #[allow(clippy::cast_possible_truncation)]
        let (steps, mut busy) = (length(share), servers.min((STAFF_LOAD / speed) as i64));
        let (mut served, mut arrived) = (0u32, 0u32);
        for _ in 0..steps {
            let u = uniform(&mut rng) * (STAFF_LOAD + STAFF_MAX as f64 * STAFF_SPEED);
            if u < STAFF_LOAD {
                arrived += 1;
                served += u32::from(busy < servers);
                busy = (busy + 1).min(servers);
            } else if u - STAFF_LOAD < busy as f64 * speed {
                busy -= 1;
            }
        }
        seen(f64::from(served) / f64::from(arrived.max(1)) - staff_cost(servers as f64, speed), vec![], steps)
    }
}

impl Known for Staff {
    fn name(&self) -> &'static str {
        "staffing (Erlang B)"
    }
    fn space(&self) -> Space {
        Space::new(vec![whole("servers", 1, STAFF_MAX), real("speed", 0.5, STAFF_SPEED)]).unwrap()
    }
    fn levels(&self) -> usize {
        40
    }
    fn model(&self) -> Option<Model> {
        Some(Model::default())
    }
    fn value(&self, point: &Point) -> f64 {
        let (servers, speed) = (integer(point, 0), number(point, 1));
        let load = STAFF_LOAD / speed;
        let blocked = (1..=servers).fold(1.0, |b, n| load * b / (n as f64 + load * b));
        1.0 - blocked - staff_cost(servers as f64, speed)
    }
    fn zone(&self) -> f64 {
        0.01
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// How much to order of two goods before demand is known: the newsvendor, with exponential demand on each day of a run.
pub struct Newsvendor(pub u64);

const DEMAND: [f64; 2] = [100.0, 60.0];
const PRICE: f64 = 1.0;
const COST: f64 = 0.4;

impl Problem for Newsvendor {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let mut rng = Streams::new(mix(self.0, share.to_bits()), replication).named("demand");
        // A day is ten requests.
        let days = length(share) / 10;
        let mut gained = 0.0;
        for _ in 0..days {
            for (good, demand) in DEMAND.iter().enumerate() {
                let order = integer(candidate, good) as f64;
                gained += PRICE * (-demand * libm::log(uniform(&mut rng))).min(order) - COST * order;
            }
        }
        seen(gained / days as f64, vec![], length(share))
    }
}

impl Known for Newsvendor {
    fn name(&self) -> &'static str {
        "newsvendor with two goods"
    }
    fn space(&self) -> Space {
        Space::new(vec![whole("first", 5, 200), whole("second", 5, 200)]).unwrap()
    }
    fn levels(&self) -> usize {
        50
    }
    /// The profit is flat at its best, and all orders meet the same demand: neighbours on the grid tell nothing new.
    fn pool(&self) -> Pool {
        Pool::Sobol { points: 400 }
    }
    fn value(&self, point: &Point) -> f64 {
        let one = |good: usize| {
            let order = integer(point, good) as f64;
            PRICE * DEMAND[good] * (1.0 - libm::exp(-order / DEMAND[good])) - COST * order
        };
        one(0) + one(1)
    }
    fn zone(&self) -> f64 {
        0.4
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// What a second setting costs away from its best place: a bowl.
fn misplaced(threshold: f64) -> f64 {
    0.5 * (threshold - 0.6) * (threshold - 0.6)
}

/// Many unrelated candidates, what they share ten times as noisy as what is their own: without common random numbers hopeless.
pub struct Crowd(pub u64);

impl Crowd {
    fn mean(i: i64) -> f64 {
        // Quantiles of a normal spread, in an order that says nothing.
        let u = open01(mix(4711, i.unsigned_abs()));
        10.0 + libm::sqrt(-2.0 * libm::log(u)) * libm::cos(6.0 * u + i as f64)
    }
}

impl Problem for Crowd {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let (common, own) = noise(self.0, candidate, replication, share);
        seen(Self::mean(integer(candidate, 0)) + 15.0 * common + 1.5 * own, vec![], length(share))
    }
}

impl Known for Crowd {
    fn name(&self) -> &'static str {
        "crowd (correlated noise)"
    }
    fn space(&self) -> Space {
        Space::new(vec![whole("which", 0, 1_499)]).unwrap()
    }
    fn levels(&self) -> usize {
        1_500
    }
    fn value(&self, point: &Point) -> f64 {
        Self::mean(integer(point, 0))
    }
    fn zone(&self) -> f64 {
        0.6
    }
    fn budget(&self) -> f64 {
        2_600.0
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// Two bowls behind a switch, one with a setting that the other does not have.
pub struct Bowls(pub u64);

impl Problem for Bowls {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let (common, own) = noise(self.0, candidate, replication, share);
        seen(self.value(candidate) + 0.3 * common + 0.08 * own, vec![], length(share))
    }
}

impl Known for Bowls {
    fn name(&self) -> &'static str {
        "bowls behind a switch"
    }
    fn space(&self) -> Space {
        let text = |name: &str| Setting::Text(name.into());
        let kind = parameter("kind", Domain::Choice(vec![text("flat"), text("deep")]));
        let only_if = Some(Condition { parameter: 0, is: vec![text("deep")] });
        Space::new(vec![kind, real("x", -1.0, 1.0), real("y", -1.0, 1.0), Parameter { only_if, ..real("z", -1.0, 1.0) }])
            .unwrap()
    }
    fn levels(&self) -> usize {
        9
    }
    fn model(&self) -> Option<Model> {
        Some(Model::default())
    }
    /// A branch whose best is better, and whose middling is worse, loses to the other before its best is found.
    fn model_is_right(&self) -> bool {
        false
    }
    fn value(&self, point: &Point) -> f64 {
        let (x, y) = (number(point, 1), number(point, 2));
        match point.setting(3).and_then(Setting::number) {
            None => 0.8 - 0.5 * (x * x + y * y),
            Some(z) => 1.0 - 0.7 * ((x - 0.5).powi(2) + (y + 0.25).powi(2) + (z - 0.25).powi(2)),
        }
    }
    fn zone(&self) -> f64 {
        0.05
    }
    fn budget(&self) -> f64 {
        500.0
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// As much load as a latency limit allows: the best setting stands where the constraint binds.
pub struct Limit(pub u64);

impl Problem for Limit {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let (common, own) = noise(self.0, candidate, replication, share);
        let (common_slack, own_slack) = noise(self.0 ^ 1, candidate, replication, share);
        let objective = self.value(candidate) + 0.1 * common + 0.04 * own;
        seen(objective, vec![Some(self.slack(candidate) + 0.1 * common_slack + 0.5 * own_slack)], length(share))
    }
}

impl Known for Limit {
    fn name(&self) -> &'static str {
        "load under a latency limit"
    }
    fn space(&self) -> Space {
        Space::new(vec![real("load", 0.1, 0.98), real("threshold", 0.0, 1.0)]).unwrap()
    }
    fn levels(&self) -> usize {
        40
    }
    fn model(&self) -> Option<Model> {
        Some(Model::default())
    }
    fn value(&self, point: &Point) -> f64 {
        number(point, 0) - misplaced(number(point, 1))
    }
    fn slack(&self, point: &Point) -> f64 {
        // Sojourn time of M/M/1 in service times, at most 5.
        5.0 - 1.0 / (1.0 - number(point, 0))
    }
    fn zone(&self) -> f64 {
        0.02
    }
    fn tolerances(&self) -> Vec<f64> {
        vec![0.25]
    }
    fn budget(&self) -> f64 {
        900.0
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// A time on a logarithmic scale, with skewed noise, and short runs that flatter long times.
pub struct Interval(pub u64);

impl Problem for Interval {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let (common, _) = noise(self.0, candidate, replication, share);
        let own = Streams::new(mix(self.0, share.to_bits()), replication)
            .named(&format!("skewed {:x}", fnv1a(format!("{candidate:?}").as_bytes())))
            .next_u64();
        // Exponential with mean 0: many small losses, few large gains that flatter.
        let skewed = (-1.0 - libm::log(open01(own))) / share.sqrt();
        let flattery = 0.002 * libm::log(number(candidate, 0)) * (1.0 / share - 1.0);
        seen(self.value(candidate) + 0.2 * common + 0.12 * skewed + flattery, vec![], length(share))
    }
}

impl Known for Interval {
    fn name(&self) -> &'static str {
        "interval (skewed, biased when short)"
    }
    fn space(&self) -> Space {
        let time = Domain::Duration { lo: Span::from_millis(10), hi: Span::from_secs(1_000), scale: Scale::Log };
        Space::new(vec![parameter("interval", time), real("threshold", 0.0, 1.0)]).unwrap()
    }
    fn levels(&self) -> usize {
        31
    }
    fn model(&self) -> Option<Model> {
        Some(Model::default())
    }
    fn value(&self, point: &Point) -> f64 {
        let off = libm::log(number(point, 0) / 5.0);
        1.0 / (1.0 + 0.3 * off * off) - misplaced(number(point, 1))
    }
    fn zone(&self) -> f64 {
        0.06
    }
    fn budget(&self) -> f64 {
        500.0
    }
    fn reseeded(&self, seed: u64) -> Box<dyn Known> {
        Box::new(Self(seed))
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Known>> {
    vec![
        Box::new(Room(0)),
        Box::new(Staff(0)),
        Box::new(Newsvendor(0)),
        Box::new(Crowd(0)),
        Box::new(Bowls(0)),
        Box::new(Limit(0)),
        Box::new(Interval(0)),
    ]
}
