//! Inter-token gaps, recorded for all decoding sequences at once.
//!
//! All tokens of a step go out together, so every decoding sequence has the same gap. A gap's histogram cell is that of
//! its whole nanoseconds, rounded down from picoseconds; the sum is of the differences of the delivery times as they come
//! out (rounded up), which telescopes over a stretch.

use super::stretch::Stretch;
use crate::latency::Latency;

/// Picoseconds in whole nanoseconds, rounded up, as times come out.
pub(super) const fn up(ps: u64) -> u64 {
    ps.div_ceil(1000)
}

/// Records a gap from `from` to `to` (ps), `measured[class]` times each.
pub(super) fn record(gaps: &mut [Latency], measured: &[u32], from: u64, to: u64) {
    let cell = (to - from) / 1000;
    let ns = up(to) - up(from);
    for (latency, &times) in gaps.iter_mut().zip(measured).filter(|(_, times)| **times > 0) {
        latency.count_n(cell, u64::from(times));
        latency.sum += u128::from(ns) * u128::from(times);
    }
}

/// Records the gaps of the tokens that steps 0 to `steps - 1` of a stretch produced. The last tokens before came out at
/// `last`, those of step 0 come out `out` after the decision that followed it (ps).
pub(super) fn record_stretch(gaps: &mut [Latency], measured: &[u32], stretch: &Stretch, steps: u64, last: u64, out: u64) {
    if measured.iter().all(|times| *times == 0) {
        return;
    }
    record(gaps, measured, last, stretch.decided(1).saturating_add(out));
    let more = steps - 1;
    if more == 0 {
        return;
    }
    let ns = up(stretch.decided(steps).saturating_add(out)) - up(stretch.decided(1).saturating_add(out));
    for (latency, &times) in gaps.iter_mut().zip(measured) {
        latency.sum += u128::from(ns) * u128::from(times);
    }
    let h = stretch.host_bound(more);
    record_run(gaps, measured, stretch.host_step + stretch.host_out, h);
    let mut j = h + 1;
    while j <= more {
        let gap = stretch.host_step + stretch.cost(j);
        let alike = alike(gap, stretch.growth, more - j + 1);
        record_run(gaps, measured, gap, alike);
        j += alike;
    }
}

/// How many of the gaps `gap`, `gap + growth`, ... (at most `most`, at least the first) fall into one cell.
fn alike(gap: u64, growth: u64, most: u64) -> u64 {
    if growth == 0 || most == 1 {
        return most;
    }
    let top = Latency::top(gap / 1000).min(Latency::MAX_NS);
    let room = (top.saturating_add(1).saturating_mul(1000) - 1).saturating_sub(gap);
    (room / growth + 1).min(most)
}

fn record_run(gaps: &mut [Latency], measured: &[u32], gap: u64, steps: u64) {
    if steps == 0 {
        return;
    }
    for (latency, &times) in gaps.iter_mut().zip(measured).filter(|(_, times)| **times > 0) {
        latency.count_n(gap / 1000, u64::from(times) * steps);
    }
}
