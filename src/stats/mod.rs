//! Confidence intervals, paired comparison, warm-up deletion, quantiles.
//!
//! Everything here works on plain numbers and adds them in the order given, so that no result depends on which thread
//! finished first. What a replication is, and which figure of it counts, is said by whoever calls.
//!
//! Literature: A. M. Law, *Simulation Modeling and Analysis*, 5th ed., McGraw-Hill 2015, chapters 9 (replications, warm-up)
//! and 10 (paired comparison, common random numbers); W. G. Cochran, *Sampling Techniques*, 3rd ed., Wiley 1977, chapter 6
//! (ratio estimates). Each file names its own.

mod interval;
mod quantile;
mod replicated;
mod round;
mod sum;
mod trend;
mod warmup;

pub use interval::{Interval, student_t, wilson};
pub use quantile::{median, quantile};
pub use replicated::{Difference, Replicated};
pub use round::significant;
pub use sum::{Sum, mean, variance};
pub use trend::{Trend, trend};
pub use warmup::{MSER_BATCH, Truncation, mser, mser5};
