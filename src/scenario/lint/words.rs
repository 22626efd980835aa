//! Times, rates and shares for sentences, each in the unit that a person would choose.

use super::round;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;
const YEAR: f64 = 365.0 * DAY;

/// A time: seconds up to two minutes, then minutes, hours, days, years.
pub(super) fn lasting(seconds: f64) -> String {
    let units = [(YEAR, "years"), (DAY, "days"), (HOUR, "h"), (MINUTE, "min")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= 2.0 * size).unwrap_or((1.0, "s"));
    format!("{} {unit}", round(seconds / size))
}

/// How often something opens that opens so many times a second: openings a day, or the time from one to the next.
pub(super) fn often(per_second: f64) -> String {
    let per_day = per_second * DAY;
    if per_day < 1.0 {
        return format!("one opening in {}", lasting(1.0 / per_second));
    }
    let number = round(per_day);
    if number == "1" { "one opening a day".to_owned() } else { format!("{number} openings a day") }
}

/// So many of `one` a second, a minute, an hour or a day: one of them at least where there is such a unit.
pub(super) fn rate(per_second: f64, one: &str) -> String {
    let units = [(1.0, "second"), (MINUTE, "minute"), (HOUR, "hour")];
    let (size, unit) = units.into_iter().find(|(size, _)| per_second * size >= 1.0).unwrap_or((DAY, "day"));
    let number = round(per_second * size);
    let ending = if number == "1" { "" } else { "s" };
    let article = if unit == "hour" { "an" } else { "a" };
    format!("{number} {one}{ending} {article} {unit}")
}

/// A share in percent, the very small ones not to the last digit.
pub(super) fn percent(share: f64) -> String {
    const LEAST: f64 = 0.000_1;
    if share > 0.0 && share < LEAST { "less than 0.01 %".to_owned() } else { format!("{} %", round(share * 100.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_that_one_would_say() {
        let said = [6.0, 119.0, 900.0, 7_200.0, 200_000.0, 375_751_500_000.0].map(lasting);
        assert_eq!(said, ["6 s", "119 s", "15 min", "2 h", "2.31 days", "11915 years"]);
        assert_eq!(
            [often(2.0 / DAY), often(1.0 / DAY), often(0.1 / DAY)],
            ["2 openings a day", "one opening a day", "one opening in 10 days"]
        );
        let said = [2.0, 0.5, 0.001, 0.000_01].map(|per_second| rate(per_second, "call"));
        assert_eq!(said, ["2 calls a second", "30 calls a minute", "3.6 calls an hour", "0.864 calls a day"]);
        assert_eq!([percent(0.4), percent(0.0), percent(0.000_000_000_16)], ["40 %", "0 %", "less than 0.01 %"]);
    }
}
