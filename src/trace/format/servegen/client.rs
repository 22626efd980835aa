//! One client: its windows, and the arrivals drawn from them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::lengths::{Lengths, parse};
use crate::dist::{Sequence, standard_gamma, standard_weibull};
use crate::rng::{Streams, open01};
use crate::trace::error::{About, RowProblem, TraceError, excerpt};

/// Length of the last window, whose end no other says, seconds.
const WINDOW_S: f64 = 600.0;
/// Most arrivals of one client in one window.
const ARRIVALS_MAX: f64 = 1e7;
/// Latest end of a window, seconds: some thirty years.
const END_S_MAX: f64 = 1e9;

/// How gaps between arrivals are distributed; their mean comes from the rate.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Pattern {
    Gamma { shape: f64 },
    Weibull { shape: f64 },
}

/// A time in which a client sends in one way.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Window {
    start_s: f64,
    end_s: f64,
    rate_rps: f64,
    pattern: Pattern,
}

/// Where a window starts, seconds, and at which rate and how the client then sends, if it does.
type Described = (f64, Option<(f64, Pattern)>);

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    windows: std::vec::IntoIter<Window>,
    lengths: Vec<Lengths>,
    rng: ChaCha8Rng,
    /// Arrivals of the current window, nanoseconds, the next one last.
    times: Vec<u64>,
}

/// A request that was drawn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When, nanoseconds since the description's zero.
    pub at: u64,
    /// Prompt and answer length, tokens; `None` where nothing describes them.
    pub lengths: Option<(u32, u32)>,
}

impl Client {
    /// A client from the texts of its two files, each with its name.
    pub fn new(number: u32, trace: (&str, &str), dataset: (&str, &str), streams: &Streams) -> Result<Self, TraceError> {
        let windows = windows(trace)?.into_iter();
        let (file, text) = dataset;
        let lengths = parse(text).map_err(|reason| TraceError::Read { file: file.to_owned(), line: 0, reason })?;
        let rng = streams.named(&format!("servegen/{number}"));
        Ok(Self { windows, lengths, rng, times: Vec::new() })
    }

    /// When the next request comes, nanoseconds.
    pub fn peek(&mut self) -> Option<u64> {
        while self.times.is_empty() {
            let window = self.windows.next()?;
            self.times = window.arrivals(&mut self.rng);
            self.times.reverse();
        }
        self.times.last().copied()
    }

    /// The next request.
    pub fn next(&mut self) -> Option<Arrival> {
        let at = self.peek()?;
        self.times.pop();
        // Drawn for each request, described or not, so that one gap in a description moves nothing else.
        let (input, output) = (self.rng.next_u64(), self.rng.next_u64());
        let lengths = self.lengths_at(at as f64 / 1e9).map(|found| (found.input.sample(input), found.output.sample(output)));
        Some(Arrival { at, lengths })
    }

    /// What describes the lengths at a time: the latest that begins by then, else the first.
    fn lengths_at(&self, secs: f64) -> Option<&Lengths> {
        let after = self.lengths.partition_point(|lengths| lengths.start_s <= secs);
        self.lengths.get(after.saturating_sub(1))
    }
}

impl Window {
    /// The arrivals in this window, nanoseconds, in order.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the sizes are bounded when a window is read
    fn arrivals(&self, rng: &mut ChaCha8Rng) -> Vec<u64> {
        let expected = self.rate_rps * (self.end_s - self.start_s);
        let whole = libm::floor(expected);
        let count = whole as usize + usize::from(open01(rng.next_u64()) < expected - whole);
        let gaps: Vec<f64> = (0..=count).map(|_| self.pattern.gap(rng.next_u64())).collect();
        let scale = (self.end_s - self.start_s) / gaps.iter().sum::<f64>();
        let mut at = 0.0;
        let times = gaps[..count].iter().map(|gap| {
            at += gap * scale;
            ((self.start_s + at) * 1e9) as u64
        });
        times.collect()
    }
}

impl Pattern {
    fn gap(self, bits: u64) -> f64 {
        match self {
            Self::Gamma { shape } => standard_gamma(shape, &mut Sequence::new(bits)),
            Self::Weibull { shape } => standard_weibull(shape, bits),
        }
        .max(f64::MIN_POSITIVE)
    }
}

/// The windows in which a client sends.
fn windows((file, text): (&str, &str)) -> Result<Vec<Window>, TraceError> {
    let mut found: Vec<Described> = Vec::new();
    for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
        let wrong = |expected| TraceError::Row { file: file.to_owned(), line, problem: not_a_window(row, expected) };
        let (start_s, sends) = window(row).map_err(wrong)?;
        if found.last().is_some_and(|(before, _)| *before >= start_s) {
            return Err(wrong("windows in order of time"));
        }
        found.push((start_s, sends));
    }
    let ends: Vec<f64> = found.iter().skip(1).map(|(start_s, _)| *start_s).collect();
    let ends = ends.into_iter().map(Some).chain([None]);
    let windows = found.into_iter().zip(ends).filter_map(|((start_s, sends), end)| {
        let (rate_rps, pattern) = sends?;
        Some(Window { start_s, end_s: end.unwrap_or(start_s + WINDOW_S), rate_rps, pattern })
    });
    let windows: Vec<Window> = windows.collect();
    match windows.iter().find(|window| window.rate_rps * (window.end_s - window.start_s) > ARRIVALS_MAX) {
        Some(window) => {
            let reason = format!("the window at {} s has more than {ARRIVALS_MAX:.0e} arrivals", window.start_s);
            Err(TraceError::Read { file: file.to_owned(), line: 0, reason })
        }
        None => Ok(windows),
    }
}

fn not_a_window(row: &str, expected: &'static str) -> RowProblem {
    RowProblem::Value { column: "window".into(), text: excerpt(row), expected, about: About::Other }
}

/// A window's start, and how the client sends in it: `start_s, rate_rps, cv, Gamma|Weibull|empty, shape, scale`.
fn window(row: &str) -> Result<Described, &'static str> {
    const EXPECTED: &str = "start_s,rate_rps,cv,Gamma or Weibull or nothing,shape,scale";
    let fields: Vec<&str> = row.split(',').map(str::trim).collect();
    let [start, rate, _cv, pattern, shape, _scale] = fields[..] else { return Err(EXPECTED) };
    let number = |text: &str, most: f64| text.parse().ok().filter(|number| (0.0..=most).contains(number)).ok_or(EXPECTED);
    let (start_s, rate_rps, shape) = (number(start, END_S_MAX)?, number(rate, 1e9)?, number(shape, 1e6)?);
    let known = match pattern {
        "Gamma" => Some(Pattern::Gamma { shape }),
        "Weibull" => Some(Pattern::Weibull { shape }),
        "" => None,
        _ => return Err(EXPECTED),
    };
    // The mean of a Weibull distribution of a smaller shape is beyond what a float holds.
    if known.is_some() && shape < 0.01 {
        return Err("a shape of at least 0.01");
    }
    Ok((start_s, known.filter(|_| rate_rps > 0.0).map(|pattern| (rate_rps, pattern))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTHS: &str = r#"{"0": {"input_tokens": "{5: 1.0}", "output_tokens": "{7: 1.0}"}}"#;

    fn client(trace: &str) -> Result<Client, TraceError> {
        Client::new(1, ("t.csv", trace), ("d.json", LENGTHS), &Streams::new(7, 0))
    }

    fn times(trace: &str) -> Vec<f64> {
        let mut client = client(trace).unwrap();
        std::iter::from_fn(|| client.next()).map(|arrival| arrival.at as f64 / 1e9).collect()
    }

    #[test]
    fn a_window_keeps_its_rate_and_its_silence() {
        let times = times("0,0.5,1,Gamma,1,2\n600,0,0,,0,0\n1200,1.5,3,Weibull,0.4,0.1\n");
        let within = |from: f64, to: f64| times.iter().filter(|time| (from..to).contains(*time)).count();
        assert_eq!((within(0.0, 600.0), within(600.0, 1200.0), within(1200.0, 1800.0)), (300, 0, 900));
        assert!(times.is_sorted());
    }

    #[test]
    fn a_part_of_a_request_is_drawn() {
        let rows: Vec<String> = (0..2_000).map(|n| format!("{},0.0005,1,Gamma,1,1", n * 600)).collect();
        let count = times(&rows.join("\n")).len();
        assert!((540..660).contains(&count), "0.3 expected in each of 2000 windows, {count} found");
    }

    #[test]
    fn gaps_have_the_shape_of_the_pattern() {
        let cv = |trace: &str| {
            let times = times(trace);
            let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            variance.sqrt() / mean
        };
        // A gamma distribution of shape k has the coefficient of variation k^-1/2; a Weibull of shape 0.5 has 5^1/2.
        for (trace, expected) in [("0,100,0,Gamma,4,1", 0.5), ("0,100,0,Gamma,0.25,1", 2.0), ("0,100,0,Weibull,0.5,1", 2.236)] {
            let found = cv(trace);
            assert!((found / expected - 1.0).abs() < 0.05, "{trace}: {found}, not {expected}");
        }
    }

    #[test]
    fn each_mistake_says_where_it_is_and_what_would_be_right() {
        let said = |trace: &str| client(trace).unwrap_err().to_string();
        for (text, part) in [
            ("0,1,1,Gamma,1,1\n0,1,1,Gamma,1,1", "t.csv, line 2: `window` is `0,1,1,Gamma,1,1`: expected windows in order"),
            ("0,1,1,Normal,1,1", "expected start_s,rate_rps,cv,Gamma or Weibull or nothing,shape,scale"),
            ("0,nan,1,Gamma,1,1", "line 1: `window` is"),
            ("0,1,1,Weibull,0.0001,1", "a shape of at least 0.01"),
            ("0,1,1,Gamma,1", "line 1"),
            ("0,9e8,1,Gamma,1,1", "the window at 0 s has more than 1e7 arrivals"),
        ] {
            assert!(said(text).contains(part), "{}", said(text));
        }
    }

    proptest! {
        /// Whatever the numbers, an answer and no panic, and times in order.
        #[test]
        fn any_window_is_answered(shape in 0.01f64..1e6, rate in 0.0f64..2.0, start in 0.0f64..1e9, weibull: bool, junk in "\\PC{0,30}") {
            let pattern = if weibull { "Weibull" } else { "Gamma" };
            if let Ok(mut client) = client(&format!("{start},{rate},1,{pattern},{shape},1")) {
                let times: Vec<u64> = std::iter::from_fn(|| client.next()).map(|arrival| arrival.at).collect();
                prop_assert!(times.is_sorted());
            }
            let _ = client(&junk);
        }
    }
}
