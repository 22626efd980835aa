//! The same mix of requests, more or fewer of them in the same time.

use super::{ArrivalSettings, Recorded, Rows, SourceSettings};
use crate::time::Time;
use crate::units::{Count, NonNegative, Positive};

impl SourceSettings {
    /// All arrivals `factor` times as dense: rates and loads times the factor, recordings played `factor` times as fast (so
    /// they end sooner), and closed loops with that many times the clients, rounded, one at least.
    ///
    /// `None` where the factor is not above 0, or leaves the range of a number.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Option<Self> {
        let factor = Positive::new(factor)?;
        let mut scaled = self.clone();
        let shared = scaled.arrival.iter_mut();
        for arrival in shared.chain(scaled.classes.iter_mut().filter_map(|class| class.arrival.as_mut())) {
            scale(arrival, factor)?;
        }
        for (_, rows) in &mut scaled.recorded {
            *rows = match rows {
                Rows::List(list) => Rows::List(list.iter().map(|row| faster(row, factor)).collect()),
                Rows::Stream(stream) => Rows::Stream(stream.faster(factor.value())),
            };
        }
        Some(scaled)
    }
}

fn scale(arrival: &mut ArrivalSettings, factor: Positive) -> Option<()> {
    let times = |rate: Positive| Positive::new(rate.value() * factor.value());
    match arrival {
        ArrivalSettings::Constant(rate)
        | ArrivalSettings::Poisson(rate)
        | ArrivalSettings::Gamma { rate, .. }
        | ArrivalSettings::Weibull { rate, .. } => {
            rate.rate = rate.rate.map(|rate| times(rate).ok_or(())).transpose().ok()?;
            rate.load = rate.load.map(|load| times(load).ok_or(())).transpose().ok()?;
        }
        ArrivalSettings::OnOff { on_rate, off_rate, .. } => {
            *on_rate = NonNegative::new(on_rate.value() * factor.value())?;
            *off_rate = NonNegative::new(off_rate.value() * factor.value())?;
        }
        ArrivalSettings::ClosedLoop { clients, .. } => {
            let scaled = libm::round(f64::from(clients.value()) * factor.value()).max(1.0);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, from 1 to u32::MAX
            let whole = (scaled <= f64::from(u32::MAX)).then_some(scaled as u32)?;
            *clients = Count::new(whole)?;
        }
        ArrivalSettings::Recorded { .. } => {} // its rows are scaled
    }
    Some(())
}

fn faster(row: &Recorded, factor: Positive) -> Recorded {
    Recorded { at: Time::ZERO + (row.at - Time::ZERO).scaled(1.0 / factor.value()), ..*row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use crate::workload::testing;

    #[test]
    fn rates_grow_and_recordings_play_faster() {
        let row = Recorded { at: Time::ZERO + Span::from_secs(10), input_tokens: 1, output_tokens: 1, ..Recorded::default() };
        let mut settings = testing::settings(Vec::new(), Some("{ process = 'poisson', rate = 5 }"));
        settings.recorded = vec![("list.csv".to_owned(), Rows::from([row]))];
        let doubled = settings.scaled(2.0).unwrap();
        let rate = doubled.arrival.as_ref().and_then(|arrival| arrival.rate()?.rate).map(Positive::value);
        assert_eq!(rate, Some(10.0));
        let Rows::List(list) = &doubled.recorded[0].1 else { panic!("a list stays one") };
        assert_eq!(list[0].at, Time::ZERO + Span::from_secs(5));
        assert!(settings.scaled(0.0).is_none() && settings.scaled(f64::NAN).is_none() && settings.scaled(f64::MAX).is_none());
    }

    #[test]
    fn a_closed_loop_keeps_a_client_at_least() {
        let settings = testing::settings(Vec::new(), Some("{ process = 'closed_loop', clients = 10 }"));
        let clients = |factor| match settings.scaled(factor).unwrap().arrival {
            Some(ArrivalSettings::ClosedLoop { clients, .. }) => clients.value(),
            other => panic!("{other:?}"),
        };
        assert_eq!((clients(1.26), clients(0.01)), (13, 1));
    }
}
