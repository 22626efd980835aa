//! Tests of `number.rs`: numbers, and dates against known instants.

use proptest::prelude::*;

use super::*;

#[test]
fn decimals_are_exact_to_the_nanosecond() {
    const S: i64 = 1_000_000_000;
    for (text, unit, expected) in [
        ("0", S, Some(0)),
        ("12.25", S, Some(12_250_000_000)),
        ("10.000000001", S, Some(10_000_000_001)),
        ("1715300000.0099301", S, Some(1_715_300_000_009_930_100)),
        ("1715300000009", 1_000_000, Some(1_715_300_000_009_000_000)),
        ("27.5", 1_000_000, Some(27_500_000)),
        ("0.0000000019", S, Some(1)),
        (".5", S, Some(500_000_000)),
        ("5.", S, Some(5_000_000_000)),
        ("-1.5", S, Some(-1_500_000_000)),
        ("1e1", S, Some(10_000_000_000)),
        ("2.5e-3", S, Some(2_500_000)),
        ("1e300", S, None),
        ("99999999999999999999", S, None),
        ("NaN", S, None),
        ("inf", S, None),
        ("", S, None),
        (".", S, None),
        ("-", S, None),
        ("1.2.3", S, None),
        ("1 2", S, None),
    ] {
        assert_eq!(decimal_ns(text.as_bytes(), unit), expected, "{text}");
    }
}

#[test]
fn tokens_are_whole_and_not_negative() {
    for (text, expected) in
        [("0", Some(0)), ("12", Some(12)), ("12.0", Some(12)), ("4294967295", Some(u32::MAX)), ("007", Some(7))]
    {
        assert_eq!(tokens(text.as_bytes()), expected, "{text}");
    }
    for text in ["", "-1", "2.5", "4294967296", "NaN", "nan", "1e3", "+1", " 1", "99999999999999999999999", "."] {
        assert_eq!(tokens(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn dates_are_known_instants() {
    for (text, seconds, nanos) in [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2000-02-29 12:00:00", 951_825_600, 0),
        ("2023-11-16 18:17:03.9799600", 1_700_158_623, 979_960_000),
        ("2024-05-10 00:00:00.009930+00:00", 1_715_299_200, 9_930_000),
        ("2024-02-29T23:59:59.5-05:00", 1_709_269_199, 500_000_000),
        ("2024-03-01T05:29:59+0530", 1_709_251_199, 0),
        ("2016-12-31T23:59:60Z", 1_483_228_800, 0),
        ("2100-03-01T00:00:00Z", 4_107_542_400, 0),
        ("1969-12-31T23:59:59Z", -1, 0),
        ("2026-11-22 10:00:00 UTC", 1_795_341_600, 0),
        ("2026-11-22T10:00:00.123456789123Z", 1_795_341_600, 123_456_789),
    ] {
        assert_eq!(date_ns(text.as_bytes()), Some(seconds * 1_000_000_000 + nanos), "{text}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        "2024-05-10",
        "2023-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-32T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00X",
        "2024-01-01T00:00:00+25:00",
        "2024/01/01 00:00:00",
        "9999-01-01T00:00:00Z",
        "2024-01-01T00:00:0a",
    ] {
        assert_eq!(date_ns(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn each_day_follows_the_one_before() {
    let mut expected = days_since_1970(1899, 12, 31);
    for year in 1900..2101 {
        for month in 1..=12 {
            for day in 1..=days_in(year, month) {
                expected += 1;
                assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
            }
        }
    }
}

proptest! {
    /// Whatever the bytes, an answer and no panic.
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..40), digits in "[-+0-9.eT: ]{0,30}") {
        for text in [&bytes[..], digits.as_bytes()] {
            let _ = (tokens(text), decimal_ns(text, 1_000_000_000), decimal_ns(text, 1), date_ns(text));
        }
    }

    /// Floats and their decimals are the same times, to what a float holds.
    #[test]
    fn a_float_is_its_decimal(secs in 0u32.., micros in 0u32..1_000_000) {
        let float = f64::from(secs) + f64::from(micros) / 1e6;
        let exact = i64::from(secs) * 1_000_000_000 + i64::from(micros) * 1_000;
        prop_assert!((float_ns(float, 1_000_000_000).unwrap() - exact).abs() < 500);
        prop_assert_eq!(decimal_ns(format!("{secs}.{micros:06}").as_bytes(), 1_000_000_000), Some(exact));
    }
}
