//! A latency's distribution: a histogram of bounded size and the exact sum.
//!
//! The cells are those of an HDR histogram with three significant digits (Gil Tene, <http://hdrhistogram.org>): below 2,048 ns
//! each nanosecond has its own, above that each power of two is divided into 1,024 equal cells. Writing a value down is on
//! the path of every request, so that the cell is found from constants. Only blocks of cells that were ever counted in take
//! memory: a search makes and sums up many thousands of short runs, whose latencies lie close together.

use crate::time::Span;

/// Each power of two is divided into this many cells, two to the power of this; three significant digits need 1,000.
const HALF_BITS: u32 = 10;

/// Cells in a block, as a power of two.
const BLOCK_BITS: u32 = 7;
const BLOCK: usize = 1 << BLOCK_BITS;

/// A latency's histogram (three significant digits, nanoseconds) and its exact sum.
#[derive(Clone, Debug)]
pub struct Latency {
    /// For each block of cells its place in `cells`, in blocks and from 1; 0 where nothing was ever counted.
    places: [u16; Latency::BLOCKS],
    /// How many values in each cell, in the order in which the blocks were first counted in.
    cells: Vec<u64>,
    /// How many values.
    count: u64,
    /// Exact sum, ns.
    pub sum: u128,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Longest latency kept apart, ns: 30 hours. Longer ones count as this (but for the rest of its power of two, which
    /// there are cells for).
    pub const MAX_NS: u64 = 108_000_000_000_000;

    /// As many as there are up to the power of two that holds the longest.
    const CELLS: usize = (((Self::MAX_NS.ilog2() - HALF_BITS) as usize) + 2) << HALF_BITS;

    const BLOCKS: usize = Self::CELLS >> BLOCK_BITS;

    /// No values yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: [0; Self::BLOCKS], cells: Vec::new(), count: 0, sum: 0 }
    }

    /// One more value.
    #[inline]
    pub fn record(&mut self, span: Span) {
        self.record_n(span, 1);
    }

    /// `times` more of the same value.
    #[inline]
    pub fn record_n(&mut self, span: Span, times: u64) {
        self.count_n(span.as_nanos(), times);
        self.sum += u128::from(span.as_nanos()) * u128::from(times);
    }

    /// `times` more values in the cell of `ns`, of which the sum is added by the caller.
    #[inline]
    pub fn count_n(&mut self, ns: u64, times: u64) {
        let cell = match cell_of(ns) {
            cell if cell < Self::CELLS => cell,
            _ => const { cell_of(Self::MAX_NS) },
        };
        let first = self.first_of(cell >> BLOCK_BITS);
        self.cells[first + (cell & (BLOCK - 1))] += times;
        self.count += times;
    }

    /// Where a block's cells begin, which are there from now on.
    #[inline]
    fn first_of(&mut self, block: usize) -> usize {
        match usize::from(self.places[block]) {
            0 => self.open(block),
            place => (place - 1) << BLOCK_BITS,
        }
    }

    #[cold]
    fn open(&mut self, block: usize) -> usize {
        let first = self.cells.len();
        self.cells.resize(first + BLOCK, 0);
        self.places[block] = u16::try_from(self.cells.len() >> BLOCK_BITS).expect("there are fewer blocks than 65,536");
        first
    }

    /// The blocks that were counted in, in order: the first cell of each, and its counts.
    fn blocks(&self) -> impl Iterator<Item = (usize, &[u64])> {
        let open = self.places.iter().enumerate().filter(|(_, place)| **place > 0);
        open.map(|(block, place)| (block << BLOCK_BITS, &self.cells[(usize::from(*place) - 1) << BLOCK_BITS..][..BLOCK]))
    }

    /// All values of `other` as well.
    pub fn merge(&mut self, other: &Self) {
        for (cell, more) in other.blocks() {
            let first = self.first_of(cell >> BLOCK_BITS);
            self.cells[first..first + BLOCK].iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The cells that hold a value, in order: the largest value that falls into each, ns, and how many did.
    pub fn cells(&self) -> impl Iterator<Item = (u64, u64)> {
        let each = self.blocks().flat_map(|(first, counts)| (first..).zip(counts));
        each.filter(|(_, count)| **count > 0).map(|(cell, count)| (top_of(cell), *count))
    }

    /// The largest value in the same cell as `ns`.
    #[must_use]
    pub const fn top(ns: u64) -> u64 {
        ns | ((1 << scale_of(ns)) - 1)
    }

    /// Mean in seconds; `None` without values.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean_s(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum as f64 / self.count() as f64 / 1e9)
    }

    /// Quantile in seconds, the largest value of its cell; `None` without values.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn quantile_s(&self, q: f64) -> Option<f64> {
        let wanted = ((q.min(1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let (top, _) = self.cells().find(|(_, count)| {
            seen += count;
            seen >= wanted
        })?;
        Some(top as f64 / 1e9)
    }
}

/// By how many bits a value is coarser than a nanosecond.
const fn scale_of(ns: u64) -> u32 {
    (ns | ((2 << HALF_BITS) - 1)).ilog2() - HALF_BITS
}

/// The cell that a value falls into.
#[allow(clippy::cast_possible_truncation)] // below 2^16, whatever the value
const fn cell_of(ns: u64) -> usize {
    let scale = scale_of(ns);
    ((scale as usize) << HALF_BITS) + (ns >> scale) as usize
}

/// The largest value that falls into a cell, ns.
const fn top_of(cell: usize) -> u64 {
    let scale = (cell >> HALF_BITS).saturating_sub(1);
    let within = (cell - (scale << HALF_BITS)) as u64;
    ((within + 1) << scale) - 1
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the crate whose histogram this is: same cells, same quantiles, same merging.
        #[test]
        fn agrees_with_an_hdr_histogram(
            values in prop::collection::vec((0u32..64, any::<u64>(), 1u64..4), 1..200),
            split in 0usize..200,
            q in 0.001f64..1.2,
        ) {
            let (mut one, mut other) = (Latency::new(), Latency::new());
            let mut model = Histogram::<u64>::new_with_max(Latency::MAX_NS, 3).unwrap();
            for (at, (shift, bits, times)) in values.into_iter().enumerate() {
                let ns = bits >> shift;
                if at < split { one.count_n(ns, times) } else { other.count_n(ns, times) }
                model.saturating_record_n(ns, times);
                // Beyond its range the crate's own arithmetic ends.
                prop_assert!(ns > Latency::MAX_NS || Latency::top(ns) == model.highest_equivalent(ns));
            }
            one.merge(&other);
            let recorded = model.iter_recorded().map(|cell| (cell.value_iterated_to(), cell.count_at_value()));
            prop_assert!(one.cells().eq(recorded));
            prop_assert_eq!(one.count(), model.len());
            prop_assert_eq!(one.quantile_s(q), Some(model.value_at_quantile(q) as f64 / 1e9));
        }
    }

    #[test]
    fn a_value_counts_in_full_in_the_sum_and_to_three_digits_in_the_quantiles() {
        let mut latency = Latency::new();
        assert_eq!((latency.mean_s(), latency.quantile_s(0.5), latency.count()), (None, None, 0));
        latency.record_n(Span::from_nanos(1_234_567_891), 2);
        latency.record(Span::FOREVER);
        assert_eq!((latency.sum, latency.count()), (2 * 1_234_567_891 + u128::from(u64::MAX), 3));
        let median = latency.quantile_s(0.5).unwrap();
        assert!((1.234_567_891..1.236).contains(&median), "{median}");
        assert!(latency.quantile_s(1.0).unwrap() < 108_100.0); // the longest that is kept apart
    }
}
