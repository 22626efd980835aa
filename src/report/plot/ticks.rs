//! Round numbers on axes: 1-2-5 steps, and how their values are written.

use crate::report::format;

/// In what the values of an axis are written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number; thousands become `k`, millions `M`.
    Number,
    /// A share: 0.6 is `60 %`.
    Percent,
    /// Seconds: 0.02 is `20 ms`.
    Seconds,
}

/// Multiples of a 1-2-5 step, about `about` of them, the first at or below `lo` and the last at or above `hi`.
pub(super) fn linear(lo: f64, hi: f64, about: usize) -> Vec<f64> {
    let step = step(hi - lo, about);
    let (first, last) = ((lo / step + 1e-9).floor(), (hi / step - 1e-9).ceil());
    let mut ticks = Vec::new();
    let mut k = first;
    while k <= last && ticks.len() < 64 {
        ticks.push(k * step + 0.0); // no negative zero
        k += 1.0;
    }
    ticks
}

/// The 1-2-5 step that cuts `span` (above 0) into about `about` parts.
fn step(span: f64, about: usize) -> f64 {
    let rough = span / about.max(1) as f64;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let part = rough / power;
    let round = match part {
        _ if part < 1.5 => 1.0,
        _ if part < 3.5 => 2.0,
        _ if part < 7.5 => 5.0,
        _ => 10.0,
    };
    round * power
}

/// Round numbers between `lo` and `hi` (above 0), ends included: 1-2-5 over up to three decades, then powers of ten. Where
/// less than two of them lie there, linear ones.
pub(super) fn log(lo: f64, hi: f64) -> Vec<f64> {
    let (first, last) = (libm::floor(libm::log10(lo) + 1e-9), libm::ceil(libm::log10(hi) - 1e-9));
    let decades = libm::log10(hi / lo);
    let parts: &[f64] = if decades <= 3.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let stride = (decades / 9.0).ceil().max(1.0);
    let mut ticks = Vec::new();
    let mut power = first;
    while power <= last && ticks.len() < 64 {
        ticks.extend(parts.iter().map(|part| part * libm::pow(10.0, power)));
        power += stride;
    }
    ticks.retain(|tick| (lo * (1.0 - 1e-9)..=hi * (1.0 + 1e-9)).contains(tick));
    if ticks.len() >= 2 { ticks } else { within(linear(lo, hi, 4), lo, hi) }
}

/// Those of `ticks` between `lo` and `hi`.
pub(super) fn within(mut ticks: Vec<f64>, lo: f64, hi: f64) -> Vec<f64> {
    let slack = (hi - lo) * 1e-9;
    ticks.retain(|tick| *tick >= lo - slack && *tick <= hi + slack);
    ticks
}

/// How `ticks` are written: alike, with as many digits as their distance needs.
pub(super) fn labels(ticks: &[f64], unit: Unit) -> Vec<String> {
    let largest = ticks.iter().fold(0.0, |most: f64, tick| most.max(tick.abs()));
    let (scale, suffix) = match unit {
        Unit::Percent => (100.0, " %"),
        Unit::Seconds | Unit::Number if largest < 10_000.0 => (1.0, ""),
        _ if largest < 10_000_000.0 => (1e-3, "k"),
        _ if largest < 10_000_000_000.0 => (1e-6, "M"),
        _ => return ticks.iter().map(|tick| one(*tick, unit)).collect(),
    };
    if unit == Unit::Seconds || uneven(ticks) {
        return ticks.iter().map(|tick| one(*tick, unit)).collect();
    }
    let apart = ticks.windows(2).map(|pair| (pair[1] - pair[0]).abs() * scale).fold(f64::INFINITY, f64::min);
    let digits = if apart.is_finite() { -libm::floor(libm::log10(apart) + 1e-9) } else { 2.0 };
    if digits > 6.0 {
        return ticks.iter().map(|tick| one(*tick, unit)).collect();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 6
    let digits = digits.max(0.0) as usize;
    ticks
        .iter()
        .map(|tick| {
            if *tick == 0.0 {
                format!("0{}", if unit == Unit::Percent { " %" } else { "" })
            } else {
                let whole = suffix.is_empty() && digits == 0 && tick.abs() >= 999.5;
                minus(if whole { grouped(*tick) } else { format!("{:.digits$}{suffix}", tick * scale) })
            }
        })
        .collect()
}

/// Whether ticks are not evenly spaced, as on a logarithmic axis.
pub(super) fn uneven(ticks: &[f64]) -> bool {
    let apart: Vec<f64> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    apart.iter().any(|gap| (gap - apart[0]).abs() > 1e-6 * gap.abs())
}

/// One value, on its own: as short as it is exact enough to read off.
pub(super) fn one(x: f64, unit: Unit) -> String {
    if !x.is_finite() {
        return if x.is_nan() { "none".to_owned() } else { minus(format!("{x:.0}").replace("inf", "∞")) };
    }
    match unit {
        Unit::Percent => format!("{} %", minus(trimmed(100.0 * x))),
        Unit::Seconds => {
            let size = x.abs();
            let (scale, name) = match size {
                _ if size >= 0.9995 || size == 0.0 => (1.0, "s"),
                _ if size >= 0.000_999_5 => (1e3, "ms"),
                _ => (1e6, "µs"),
            };
            format!("{} {name}", minus(trimmed(x * scale)))
        }
        Unit::Number => match x.abs() {
            size if (10_000.0..9.995e5).contains(&size) => format!("{}k", minus(trimmed(x / 1e3))),
            size if (9.995e5..9.995e8).contains(&size) => format!("{}M", minus(trimmed(x / 1e6))),
            _ => minus(trimmed(x)),
        },
    }
}

/// Four significant digits without zeros at the end.
fn trimmed(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        return format!("{x:.1e}").replace(".0e", "e");
    }
    let digits = match size {
        _ if size >= 1000.0 => 0,
        _ if size >= 100.0 => 1,
        _ if size >= 10.0 => 2,
        _ if size >= 1.0 => 3,
        _ => 4,
    };
    let text = format!("{x:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if size >= 1000.0 { grouped(x) } else { text.to_owned() }
}

/// Whole, thousands apart.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and below 1e9
fn grouped(x: f64) -> String {
    let text = format::count(x.abs().round() as u64);
    if x < 0.0 { format!("-{text}") } else { text }
}

/// With the sign that is as wide as a plus.
fn minus(text: String) -> String {
    if text.contains('-') { text.replace('-', "−") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_written_alike() {
        let wrote = |lo, hi, unit| labels(&linear(lo, hi, 5), unit);
        assert_eq!(wrote(0.0, 1.0, Unit::Percent), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(wrote(0.0, 2.3, Unit::Number), ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(wrote(0.0, 23_000.0, Unit::Number), ["0", "5k", "10k", "15k", "20k", "25k"]);
        assert_eq!(wrote(-0.2, 0.2, Unit::Number), ["−0.2", "−0.1", "0", "0.1", "0.2"]);
        assert_eq!(labels(&log(0.001, 0.1), Unit::Seconds), ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]);
        assert_eq!(labels(&log(0.01, 1e5), Unit::Number), ["0.01", "0.1", "1", "10", "100", "1,000", "10k", "100k"]);
        assert_eq!(labels(&log(110.0, 130.0), Unit::Number), ["110", "115", "120", "125", "130"]);
    }

    #[test]
    fn single_values_are_short() {
        let number = [0.0, 0.123_456, 12.5, 1_234.5, 23_456.0, 2.5e6, -0.5, 1e-7].map(|x| one(x, Unit::Number));
        assert_eq!(number, ["0", "0.1235", "12.5", "1,235", "23.46k", "2.5M", "−0.5", "1e−7"]);
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|x| one(x, Unit::Number)), ["none", "∞", "−∞"]);
        assert_eq!([0.000_5, 0.25, 12.0].map(|x| one(x, Unit::Seconds)), ["500 µs", "250 ms", "12 s"]);
    }

    proptest! {
        #[test]
        fn linear_ticks_embrace_their_range(lo in -1e6..1e6_f64, span in 1e-3..1e6_f64) {
            let ticks = linear(lo, lo + span, 5);
            prop_assert!((2..=13).contains(&ticks.len()), "{ticks:?}");
            prop_assert!(ticks[0] <= lo + span * 1e-6 && ticks[ticks.len() - 1] >= lo + span * (1.0 - 1e-6), "{ticks:?}");
            let mut labels = labels(&ticks, Unit::Number);
            labels.dedup();
            prop_assert!(labels.len() == ticks.len() || span < 1e-4 * lo.abs(), "{labels:?}");
        }

        #[test]
        fn log_ticks_stay_inside(low in -8.0..8.0_f64, decades in 0.01..12.0_f64) {
            let (lo, hi) = (libm::pow(10.0, low), libm::pow(10.0, low + decades));
            let ticks = log(lo, hi);
            prop_assert!((1..=13).contains(&ticks.len()), "{ticks:?}");
            prop_assert!(ticks.iter().all(|tick| (lo * 0.999..=hi * 1.001).contains(tick)), "{ticks:?}");
        }
    }
}
