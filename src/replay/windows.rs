//! The stretches of time in which what became of the same requests differs most.

use std::cmp::Ordering;

use crate::time::{Span, Time};

/// Windows that are looked at, at most.
const WINDOWS_MAX: usize = 120;
/// Arrivals that a window wants on average: of a few requests everything differs.
const ARRIVALS: u64 = 50;

/// What became of requests over time, in bins by their intended arrival.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// Of whom: a variant's name, or that it was recorded.
    pub name: String,
    /// Requests.
    pub offered: Vec<u32>,
    /// Of those, the good ones.
    pub good: Vec<u32>,
    /// Of those, the complete ones.
    pub answered: Vec<u32>,
    /// Of those whose latency is known, their number and the sum of it, seconds.
    pub e2e_s: Vec<(u32, f64)>,
}

/// One of two in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Of whom.
    pub name: String,
    /// Good requests.
    pub good: u64,
    /// Complete ones.
    pub answered: u64,
    /// Mean end-to-end latency of the complete ones, seconds.
    pub e2e_s: Option<f64>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its begin, since the first arrival.
    pub from: Time,
    /// Its end.
    pub to: Time,
    /// Requests that arrive in it.
    pub offered: u64,
    /// The two that differ most, the better one first.
    pub sides: [Side; 2],
}

impl Window {
    /// By how many requests they differ: good ones, or where those are as many complete ones.
    #[must_use]
    pub fn differs_by(&self) -> u64 {
        let [a, b] = &self.sides;
        let good = a.good.abs_diff(b.good);
        if good > 0 { good } else { a.answered.abs_diff(b.answered) }
    }

    /// How much the sides differ: by good requests, then by complete ones, then by mean latency.
    fn compare(&self, other: &Self) -> Ordering {
        let apart = |window: &Self| {
            let [a, b] = &window.sides;
            let slower = a.e2e_s.zip(b.e2e_s).map_or(0.0, |(a, b)| (a - b).abs());
            (a.good.abs_diff(b.good), a.answered.abs_diff(b.answered), slower)
        };
        let (own, other) = (apart(self), apart(other));
        own.0.cmp(&other.0).then(own.1.cmp(&other.1)).then(own.2.total_cmp(&other.2))
    }

    /// Whether they differ at all.
    fn differs(&self) -> bool {
        let [a, b] = &self.sides;
        self.differs_by() > 0 || a.e2e_s.zip(b.e2e_s).is_some_and(|(a, b)| (a - b).abs() > 0.0)
    }
}

/// The `most` windows in which two of `courses` differ most, in order of that: by good requests, then by complete ones, then by
/// mean latency. Windows in which nothing differs are left out. The bins are of `bin` each, and those that begin at `end` or
/// later are left out.
#[must_use]
pub fn apart(courses: &[Course], bin: Span, end: Time, most: usize) -> Vec<Window> {
    let bins = courses.iter().map(|course| course.offered.len()).min().unwrap_or(0);
    let inside = usize::try_from((end - Time::ZERO).as_nanos().div_ceil(bin.as_nanos().max(1))).unwrap_or(usize::MAX);
    let bins = bins.min(inside);
    let Some(first) = courses.first().filter(|_| courses.len() > 1 && bins > 0) else { return Vec::new() };
    let all: u64 = first.offered[..bins].iter().map(|n| u64::from(*n)).sum();
    let windows = usize::try_from(all / ARRIVALS).unwrap_or(usize::MAX).clamp(1, WINDOWS_MAX);
    let each = bins.div_ceil(windows);
    let starts = (0..bins).step_by(each);
    let mut found: Vec<Window> = starts.filter_map(|start| widest(courses, start, (start + each).min(bins), bin)).collect();
    found.sort_by(|a, b| b.compare(a).then(a.from.cmp(&b.from)));
    found.truncate(most);
    found
}

/// The two that differ most in bins `from` to `to`.
fn widest(courses: &[Course], from: usize, to: usize, bin: Span) -> Option<Window> {
    let at = |index: usize| Time::from_nanos(bin.as_nanos().saturating_mul(index as u64));
    let sum = |values: &[u32]| values[from..to].iter().map(|n| u64::from(*n)).sum::<u64>();
    let side = |course: &Course| {
        let (count, seconds) =
            course.e2e_s[from..to].iter().fold((0, 0.0), |(n, s), (count, sum)| (n + u64::from(*count), s + sum));
        let e2e_s = (count > 0).then(|| seconds / count as f64);
        Side { name: course.name.clone(), good: sum(&course.good), answered: sum(&course.answered), e2e_s }
    };
    let offered = sum(&courses[0].offered);
    let pairs = (0..courses.len()).flat_map(|a| (a + 1..courses.len()).map(move |b| (a, b)));
    let windows = pairs.map(|(a, b)| {
        let (a, b) = (side(&courses[a]), side(&courses[b]));
        let better = (a.good, a.answered) >= (b.good, b.answered);
        Window { from: at(from), to: at(to), offered, sides: if better { [a, b] } else { [b, a] } }
    });
    windows.filter(Window::differs).max_by(Window::compare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(name: &str, good: Vec<u32>) -> Course {
        let bins = good.len();
        Course { name: name.to_owned(), offered: vec![50; bins], answered: good.clone(), good, e2e_s: vec![(0, 0.0); bins] }
    }

    #[test]
    fn the_windows_that_differ_most_come_first_and_the_better_side_too() {
        let courses = [course("a", vec![50, 40, 50, 10]), course("b", vec![50, 50, 50, 40])];
        let end = Time::ZERO + Span::from_secs(4);
        let found = apart(&courses, Span::from_secs(1), end, 5);
        let seen: Vec<_> = found.iter().map(|w| (w.from.as_secs_f64(), w.differs_by(), w.sides[0].name.as_str())).collect();
        assert_eq!(seen, [(3.0, 30, "b"), (1.0, 10, "b")]);
        assert_eq!(apart(&courses, Span::from_secs(1), end, 1).len(), 1);
        // Many complete answers, of which none is good, weigh less than one good one.
        let mut late = [course("a", vec![0, 1]), course("b", vec![0, 0])];
        late[0].answered = vec![50, 1];
        let found = apart(&late, Span::from_secs(1), Time::ZERO + Span::from_secs(2), 5);
        assert_eq!(found.iter().map(|w| w.from.as_secs_f64()).collect::<Vec<_>>(), [1.0, 0.0]);
        assert_eq!(apart(&courses[..1], Span::from_secs(1), end, 5), []);
        assert_eq!(apart(&courses, Span::from_secs(1), Time::ZERO + Span::from_secs(1), 5), []);
    }
}
