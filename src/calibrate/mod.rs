//! Fits the model of a vLLM server to what was logged of a real one, and grades the fit on runs that it was not made from.
//!
//! ```text
//! step lines ------> align ---> step fit ------> cost (t0 t0p tp td tk)
//! (steps)           /     \---> between fit ---> host.step, parts of td and t0p
//! request records -+       \--> lone requests -> host.delay_in, host.delay_out
//! (served)          \-> clusters (tokens' times alone: steps and what is between them in one)
//!                    \-> ends    (first and last tokens' times alone: the sum of an answer's steps)
//!
//! stretches of ten seconds, observed over predicted ---> speed_sigma
//! held-out runs: measured | predicted | error ---------> grade: validated or not, and why
//! ```
//!
//! The predictions themselves are simulated by the `calibrate` command, which owns the simulator; here stands what they are
//! compared with and by which tolerance.

mod align;
mod clusters;
mod ends;
mod error;
mod fit;
mod grade;
mod lines;
mod nnls;
mod robust;
mod served;
mod source;
mod speeds;
mod steps;

pub use align::{Laid, Lone, Misfit, Observed, Row, align};
pub use clusters::from_tokens;
pub use ends::from_ends;
pub use error::{LINE_BYTES_MAX, LogError, STEP_EXAMPLE};
pub use fit::{Calibration, KvCache, Part, Reading, SPREAD_S, STEPS_MIN, Unfit, calibrate};
pub use grade::{Band, COMPLETE_MIN, Figure, Figures, Forecast, Grade, Judged, Standing, Verdict, grade, lag_limit_s, measure};
pub use robust::{Fit, RESAMPLES, TUNING};
pub use served::{Fate, Served};
pub use source::{Run, read_into};
pub use speeds::{middle_of, of_parts};
pub use steps::{Step, StepLog, StepRun, read_steps};
