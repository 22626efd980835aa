//! What the settings should be, and how sure that is: the load line, the search for settings, and the choice among them.

mod load_line;

pub use load_line::{Bracket, End, LoadLine, Question, load_lines};
