//! When requests arrive: one file for each kind of process.
//!
//! A process hands out its arrivals one by one, in time order, each with a number that is the same under every policy. It
//! draws from one named stream of its own, so neither another process nor a policy can move its arrivals.

mod closed;
mod list;
mod on_off;
mod rate;
mod renewal;
mod stream;

use rand_chacha::ChaCha8Rng;

pub use self::closed::ClosedLoop;
pub use self::list::List;
pub use self::on_off::OnOff;
pub use self::rate::RateClock;
pub use self::renewal::{Gaps, Renewal};
pub use self::stream::Streamed;
use super::recorded::Rows;
use super::settings::{ArrivalSettings, RateSettings};
use super::source::SourceSettings;
use crate::time::{Span, Time};

/// One arrival.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Time,
    /// Its number in this process: 0, 1, 2, ... in order of arrival, or row, or (closed loop) `k * clients + client`.
    pub number: u64,
}

/// A process whose next arrival does not depend on what became of the last.
#[derive(Debug)]
pub enum OpenProcess {
    /// Independent gaps in operational time.
    Renewal(Box<Renewal>),
    /// On/off.
    OnOff(Box<OnOff>),
    /// A recorded list.
    List(List),
    /// A recording that is read while it is replayed.
    Stream(Box<Streamed>),
}

impl OpenProcess {
    /// The next arrival; `None` when there is none before the end of the run.
    pub fn next(&mut self) -> Option<Arrival> {
        match self {
            Self::Renewal(renewal) => renewal.next(),
            Self::OnOff(on_off) => on_off.next(),
            Self::List(list) => list.next(),
            Self::Stream(stream) => stream.next(),
        }
    }
}

/// The open process that `settings` describe, or `None` for a closed loop.
///
/// # Panics
/// Where `context` did not pass its check.
pub fn open(settings: &ArrivalSettings, context: &SourceSettings, rng: ChaCha8Rng) -> Option<OpenProcess> {
    let renewal = |gaps, rate: &RateSettings| {
        let clock = RateClock::new(rate, mean_rate(rate, context), context.end);
        Some(OpenProcess::Renewal(Box::new(Renewal::new(gaps, clock, rng.clone()))))
    };
    match settings {
        ArrivalSettings::Constant(rate) => renewal(Gaps::Constant, rate),
        ArrivalSettings::Poisson(rate) => renewal(Gaps::Exponential, rate),
        ArrivalSettings::Gamma { burstiness, rate } => renewal(Gaps::gamma(burstiness.value()), rate),
        ArrivalSettings::Weibull { shape, rate } => renewal(Gaps::weibull(shape.value()), rate),
        ArrivalSettings::OnOff { on_rate, off_rate, mean_on, mean_off } => {
            let states = [(on_rate.value(), *mean_on), (off_rate.value(), *mean_off)];
            Some(OpenProcess::OnOff(Box::new(OnOff::new(states, context.end, rng))))
        }
        ArrivalSettings::Recorded { file } => Some(match rows(file, context) {
            Rows::List(list) => OpenProcess::List(List::new(list, context.end)),
            Rows::Stream(stream) => OpenProcess::Stream(Box::new(Streamed::new(&stream, context.end))),
        }),
        ArrivalSettings::ClosedLoop { .. } => None,
    }
}

/// The rows read from `file`.
pub fn rows(file: &str, context: &SourceSettings) -> Rows {
    let (_, rows) = context.recorded.iter().find(|(name, _)| name == file).expect("checked: the file was read");
    rows.clone()
}

/// The stated rate, requests a second.
fn mean_rate(rate: &RateSettings, context: &SourceSettings) -> f64 {
    match (rate.rate, rate.load) {
        (Some(rate), _) => rate.value(),
        (None, Some(load)) => load.value() * context.capacity_rps.expect("checked: the capacity is known"),
        (None, None) => unreachable!("checked: a rate or a load is given"),
    }
}

/// `secs` as a time, where that lies before the end.
fn before(secs: f64, end: Span) -> Option<Time> {
    let at = Span::from_secs_f64(secs);
    (at < end).then_some(Time::ZERO + at)
}
