//! What the settings should be, and how sure that is: the load line, the search for settings, and the choice among them.
//!
//! The methods see an abstract [`Problem`]: something that can be run for a [`Point`] and gives objectives, constraints and
//! the number of requests it took. Between them stands the [`Evaluator`], which runs in parallel, never twice, counts what was
//! spent, and can be given what an interrupted search had seen.
//!
//! ```text
//! Space -> candidates -> race (short runs, then longer ones) -> finalists
//!          grid, Sobol,      halving.rs                            |
//!          model                                                   v
//!   outcome <- confirmation on fresh requests <- contest on fresh requests
//! ```
//!
//! [`search`] is the whole way; [`sobol_indices`] and [`around`] look around afterwards, and [`Robust`] makes
//! several problems one. Everything follows from problem, settings and seed, whatever the number of threads. Formulas,
//! sources, and how often it chose well: `docs/TUNING.md`.

mod against;
mod around;
mod beside;
mod case;
mod closest;
mod contest;
mod domain;
mod elsewhere;
mod evaluator;
mod halving;
mod host;
mod limits;
mod load_line;
mod measure;
mod model;
mod outcome;
mod parameters;
mod pareto;
mod problem;
mod rank;
mod robust;
mod sampling;
mod scene;
mod search;
mod select;
mod sensitivity;
mod setting;
mod settings;
mod slice;
mod space;
mod store;
mod task;
mod tied;
mod tuned;
mod unchanged;
mod unfit;
mod world;

pub use crate::scenario::RobustBy;
pub use against::{Against, Doubt};
pub use around::{Bar, PLATEAU, Plateau, Side, around};
pub use beside::beside_most;
pub use case::{Case, RobustText, of_futures};
pub use contest::{Contest, Fate, Terms};
pub use domain::{Domain, Scale};
pub use elsewhere::{AloneThere, Elsewhere, Together, elsewhere};
pub use evaluator::{Evaluator, Finished, Id, Job, Spent, Stopped};
pub use halving::{Halving, Kind, Plan, Raced, Rung, Step, TooLittle, Verdict, Visit, race};
pub use host::{Host, News, Nobody, Stage};
pub use limits::{GRID_MAX, check_futures};
pub use load_line::{Bracket, End, LoadLine, Question, load_lines};
pub use measure::{Figure, LEVEL, Measured, Series, figure, hold, is_broken};
pub use model::{EXPLORE, Model};
pub use outcome::{Binding, Confirmation, Ended, Errors, Finalist, Front, Outcome, Selection, Spending, Standing};
pub use pareto::{dominates, front, hypervolume, layers_in_order};
pub use problem::{CONFIRMATION_FROM, Observation, Problem, SELECTION_FROM, SENSITIVITY_FROM, UNCHANGED_FROM};
pub use robust::{Combine, Robust};
pub use sampling::{SOBOL_POINTS_MAX, sobol, sobol_points};
pub use scene::Scene;
pub use search::{Fits, Today, affordable, search, search_from};
pub use sensitivity::{Index, Indices, ROWS_MIN, Sensitivity, SobolIndices, sobol_indices};
pub use setting::{Point, Setting};
pub use settings::{Method, Pool, SearchFault, Settings, Zone};
pub use slice::{Slice, SliceCell, slice};
pub use space::{Condition, DIMENSIONS_MAX, Parameter, Space, SpaceFault};
pub use store::{Store, StoreError};
pub use task::{Objective, ScenarioProblem, Task};
pub use tied::{Tie, TieBreak};
pub use tuned::{Alone, Around, Beside, Futures, Refused, Tuned, tune};
pub use unchanged::{PUT_BACK_ERROR, Trial, Unchanged};
pub use unfit::Unfit;
