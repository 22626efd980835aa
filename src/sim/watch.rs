//! Watches a replication for those who draw it: samples at the end of each bin, and the decisions of graduated rejection.

use std::collections::VecDeque;

use crate::journal::{Course, Moment, Rejections, Watched};
use crate::policy::{Counters, Mode, Note, Saw, Settings, Stats, Verdict};
use crate::time::{Span, Time};
use crate::upstream::Upstream;
use crate::workload::Finished;

/// Bins that a rolling percentile looks back: a fortieth of the run.
const WINDOW_BINS: u64 = 25;

/// What was seen so far; nothing where nobody draws.
#[derive(Debug, Default)]
pub struct Watch {
    watched: Option<Box<Watched>>,
    /// Where the course is wanted.
    rolling: Option<Box<Rolling>>,
}

/// What the course needs besides itself.
#[derive(Debug)]
struct Rolling {
    /// The gateway's counters at the end of the last bin.
    before: Counters,
    /// The latest answers: when, time to first token, time to the last byte.
    answers: VecDeque<(Time, Span, Span)>,
    /// Where percentiles are found.
    sorted: Vec<Span>,
}

impl Watch {
    /// Watches a run under `settings`; with a `bin`, through the run as well.
    pub fn new(settings: &Settings, bin: Option<Span>, has_kv: bool) -> Self {
        let graduated = settings.graduated.as_ref().filter(|graduated| graduated.mode != Mode::Off);
        let rejections = graduated
            .map(|graduated| Rejections::new(graduated.vllm_rejection_threshold.value(), graduated.max_abandoned.value()));
        let window = |bin: Span| Span::from_nanos(bin.as_nanos() * WINDOW_BINS);
        let course = bin.map(|bin| Course { moments: Vec::new(), window: window(bin), has_kv });
        let rolling = course.is_some().then(|| {
            let answers = VecDeque::with_capacity(Course::ANSWERS_MAX);
            Box::new(Rolling { before: Counters::default(), answers, sorted: Vec::with_capacity(Course::ANSWERS_MAX) })
        });
        Self { watched: Some(Box::new(Watched { course, rejections })), rolling }
    }

    /// Whether it wants to hear the gates' numbers.
    pub fn wants_notes(&self) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.rejections.is_some())
    }

    /// A gate has decided.
    pub fn note(&mut self, note: &Note) {
        if let (Saw::Graduated { counted, .. }, Some(watched)) = (note.saw, &mut self.watched)
            && let Some(rejections) = &mut watched.rejections
        {
            rejections.decide(counted, matches!(note.verdict, Verdict::Refuse(_)));
        }
    }

    /// A request has had its answer.
    #[inline]
    pub fn answered(&mut self, finished: &Finished) {
        if let Some(rolling) = &mut self.rolling {
            rolling.answered(finished);
        }
    }

    /// A bin ends at `at`.
    pub fn sample(&mut self, at: Time, stats: &Stats, upstream: &impl Upstream) {
        let (Some(watched), Some(rolling)) = (&mut self.watched, &mut self.rolling) else { return };
        let Some(course) = &mut watched.course else { return };
        let (now, gauges) = (stats.now, upstream.gauges());
        let before = std::mem::replace(&mut rolling.before, stats.counters);
        let since = |of: fn(&Counters) -> u64| u32::try_from(of(&stats.counters) - of(&before)).unwrap_or(u32::MAX);
        rolling.forget(Time::from_nanos(at.as_nanos().saturating_sub(course.window.as_nanos())));
        course.moments.push(Moment {
            attempts: since(|counters| counters.arrived),
            started: since(|counters| counters.started),
            rejected: since(|counters| counters.refusals.iter().map(|counted| counted.enforced).sum()),
            waiting: now.waiting + now.waiting_for_budget,
            in_use: now.in_flight,
            limit: stats.slots,
            budget_left: stats.budget_left,
            running: gauges.running,
            queued: gauges.waiting,
            kv_use: gauges.kv_use,
            ttft_p99_s: rolling.p99(|(_, ttft, _)| *ttft),
            e2e_p99_s: rolling.p99(|(_, _, e2e)| *e2e),
        });
    }

    /// The run is over.
    pub fn finish(self) -> Option<Box<Watched>> {
        self.watched
    }
}

impl Rolling {
    fn answered(&mut self, finished: &Finished) {
        if self.answers.len() == Course::ANSWERS_MAX {
            self.answers.pop_front();
        }
        let e2e = finished.at - finished.arrival;
        self.answers.push_back((finished.at, finished.first_token.map_or(e2e, |first| first - finished.arrival), e2e));
    }

    /// Forgets the answers before `from`.
    fn forget(&mut self, from: Time) {
        while self.answers.front().is_some_and(|(at, ..)| *at < from) {
            self.answers.pop_front();
        }
    }

    /// By nearest rank, seconds.
    fn p99(&mut self, of: impl Fn(&(Time, Span, Span)) -> Span) -> Option<f64> {
        self.sorted.clear();
        self.sorted.extend(self.answers.iter().map(of));
        let rank = (99 * self.sorted.len()).div_ceil(100).checked_sub(1)?;
        Some(self.sorted.select_nth_unstable(rank).1.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_of_the_latest_answers_by_nearest_rank() {
        let at = |secs| Time::ZERO + Span::from_secs(secs);
        let mut rolling = Rolling { before: Counters::default(), answers: VecDeque::new(), sorted: Vec::new() };
        assert_eq!(rolling.p99(|(_, ttft, _)| *ttft), None);
        for i in 1..=200 {
            rolling.answers.push_back((at(i), Span::from_millis(i), Span::from_secs(i)));
        }
        assert_eq!(rolling.p99(|(_, ttft, _)| *ttft), Some(0.198));
        rolling.forget(at(101)); // a hundred are left, the longest but one is the 99th
        assert_eq!((rolling.answers.len(), rolling.p99(|(_, _, e2e)| *e2e)), (100, Some(199.0)));
        rolling.forget(at(151));
        assert_eq!(rolling.p99(|(_, _, e2e)| *e2e), Some(200.0), "of fewer than a hundred the longest");
    }
}
