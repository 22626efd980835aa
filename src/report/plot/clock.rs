//! Ticks of a time axis that shows a clock.

use crate::report::replayed::clock;

/// Steps between ticks, seconds: such as divide a minute, an hour, a day, or are whole days.
const STEPS: [f64; 22] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1_800.0,
    3_600.0,
    7_200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    432_000.0,
    864_000.0,
    8_640_000.0,
];
/// Ticks at most.
const TICKS_MAX: f64 = 8.0;
const DAY: f64 = 86_400.0;

/// Where ticks stand between `lo` and `hi` seconds after `began` (nanoseconds since 1970), and what is written there.
pub(super) fn ticks(lo: f64, hi: f64, began: i64) -> (Vec<f64>, Vec<String>) {
    let step = STEPS.into_iter().find(|step| (hi - lo) / step <= TICKS_MAX).unwrap_or(10.0 * STEPS[STEPS.len() - 1]);
    let zero = began as f64 / 1e9;
    let (mut ticks, mut labels) = (Vec::new(), Vec::new());
    let mut at = libm::ceil((zero + lo) / step) * step;
    while at <= zero + hi && ticks.len() < 32 {
        ticks.push(at - zero);
        labels.push(label(at, step, hi - lo));
        at += step;
    }
    (ticks, labels)
}

/// What an axis is called whose ticks leave the day out, or the year: `Time of day on 2024-05-10 [UTC]`.
pub(super) fn name((lo, hi): (f64, f64), began: i64) -> String {
    let day = |at: f64| moment(at, began).split(' ').next().unwrap_or_default().to_owned();
    let (first, last) = (day(lo.max(0.0)), day(hi));
    if first == last { format!("Time of day on {first} [UTC]") } else { format!("Time from {first} to {last} [UTC]") }
}

/// `2024-05-10 08:59:48`, so many seconds after `began`.
pub(super) fn moment(at: f64, began: i64) -> String {
    #[allow(clippy::cast_possible_truncation)] // saturates
    let text = clock((began as f64 + at * 1e9) as i64);
    text.trim_end_matches(" UTC").to_owned()
}

/// `2024-05-10 00:00:00 UTC` in as few letters as the step needs.
fn label(at: f64, step: f64, span: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // saturates
    let text = clock((at * 1e9) as i64);
    let (date, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let month_day = date.split_once('-').map_or(date, |(_, rest)| rest);
    let minutes = rest.get(..5).unwrap_or(rest);
    match () {
        () if step >= DAY => month_day.to_owned(),
        () if span > 2.0 * DAY => format!("{month_day} {minutes}"),
        () if step >= 60.0 => minutes.to_owned(),
        () => rest.get(..8).unwrap_or(rest).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_round_times_of_the_clock() {
        let began = 1_715_299_209_000_000_000; // 00:00:09
        let (at, shown) = ticks(0.0, 120.0, began);
        assert_eq!(shown, ["00:00:15", "00:00:30", "00:00:45", "00:01:00", "00:01:15", "00:01:30", "00:01:45", "00:02:00"]);
        assert!((at[0] - 6.0).abs() < 1e-6);
        assert_eq!(ticks(0.0, 36_000.0, began).1, ["02:00", "04:00", "06:00", "08:00", "10:00"]);
        assert_eq!(ticks(0.0, 7.0 * DAY, began).1[0], "05-11");
        assert_eq!(name((0.0, 120.0), began), "Time of day on 2024-05-10 [UTC]");
        assert_eq!(name((0.0, 3.0 * DAY), began), "Time from 2024-05-10 to 2024-05-13 [UTC]");
        assert_eq!(moment(51.0, began), "2024-05-10 00:01:00");
    }
}
