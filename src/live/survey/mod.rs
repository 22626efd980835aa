//! Measures a server from outside, so that its costs can be fitted: a few minutes of probes, each a small run of the load driver.
//!
//! ```text
//! lone, full         how fast a step and a prompt token are here: sizes all that follows
//! decode 1, 2, 4 ..  long answers to short prompts at each batch size          \
//! context            long prompts, so that attention to the KV cache shows      > first in this order, then in reverse (A B B A):
//! prefill            short answers to prompts of many lengths                   | a steady drift of the machine cancels out, and
//! mix                both, at half the batch                                   /  what does not cancel is its spread of speed
//! capacity           the mix at the full batch                                 \
//! open 50, open 80   the mix at these shares of what the full batch completed  /  held out: the fit is tested by them
//! ```
//!
//! Lengths are chosen by what the first two probes say, so that slow and fast servers alike answer several times in a probe.
//! Fitting is not done here: [`calibrate`](crate::calibrate) reads the records as it reads any other log.

mod plan;
mod probe;
mod run;

pub use plan::{Bounds, Pace};
pub use probe::{Arrivals, Probe};
pub use run::{Halt, News, Surveyed, Terms, survey};
