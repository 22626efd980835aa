//! Progress of long work on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Counts steps, from any thread, and tells of them until it is dropped.
pub struct Progress {
    bar: ProgressBar,
    lines: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Of runs: nothing done yet, and not yet known how much there is. `quiet` says nothing at all.
    pub fn new(quiet: bool) -> Self {
        Self::shown(quiet, "{bar:40} {pos}/{len} runs, {per_sec}, {eta} left", runs_line)
    }

    /// Of a search's budget, with news of how it stands.
    pub fn of_budget(quiet: bool) -> Self {
        Self::shown(quiet, "{bar:24} {percent} % of the budget, {elapsed}; {wide_msg}", budget_line)
    }

    /// Of steps that take a time that is known, with news of how they stand.
    pub fn of_seconds(quiet: bool) -> Self {
        Self::shown(quiet, "{bar:24} {pos}/{len} s; {wide_msg}", seconds_line)
    }

    /// Of a log that is read, of which nobody knows how long it is.
    pub fn of_rows(quiet: bool) -> Self {
        Self::shown(quiet, "{spinner} {human_pos} requests, {per_sec}, {elapsed}", rows_line)
    }

    fn shown(quiet: bool, template: &str, line: fn(&ProgressBar) -> String) -> Self {
        let terminal = io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style.expect("a constant template"));
        let lines = (!quiet && !terminal).then(|| tell_of(bar.clone(), line));
        Self { bar, lines }
    }

    /// There are so many steps.
    pub fn begin(&self, steps: u64) {
        self.bar.set_length(steps);
        self.bar.reset_elapsed();
        self.bar.reset_eta();
    }

    /// There are so many steps more than was known.
    pub fn more(&self, steps: u64) {
        self.bar.inc_length(steps);
    }

    /// One step more is done.
    pub fn step(&self) {
        self.advance(1);
    }

    /// So many steps more are done.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// So many steps are done.
    pub fn at(&self, steps: u64) {
        self.bar.set_position(steps);
    }

    /// How it stands.
    pub fn tell(&self, news: String) {
        self.bar.set_message(news);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, teller)) = self.lines.take() {
            drop(stop);
            let _ = teller.join(); // it only writes lines
        }
        self.bar.finish_and_clear();
    }
}

/// Writes a line every few seconds, also while a single long run goes on, until the sender is dropped.
fn tell_of(bar: ProgressBar, line: fn(&ProgressBar) -> String) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel();
    let teller = thread::spawn(move || {
        while stopped.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
            // Nobody is left to tell where standard error is closed.
            let _ = writeln!(io::stderr(), "{}", line(&bar));
        }
    });
    (stop, teller)
}

const PREPARING: &str = "preparing: reading files, measuring load 1.0";

fn budget_line(bar: &ProgressBar) -> String {
    let (done, all) = (bar.position(), bar.length().unwrap_or_default());
    if all == 0 {
        return PREPARING.to_owned();
    }
    // What stands around the choice is paid beside the budget.
    let percent = (100 * done / all).min(100);
    format!("{percent} % of the budget after {} s; {}", bar.elapsed().as_secs(), bar.message())
}

fn seconds_line(bar: &ProgressBar) -> String {
    format!("{} of {} s; {}", bar.position(), bar.length().unwrap_or_default(), bar.message())
}

fn rows_line(bar: &ProgressBar) -> String {
    format!("{} requests read after {} s", bar.position(), bar.elapsed().as_secs())
}

fn runs_line(bar: &ProgressBar) -> String {
    let (done, all) = (bar.position(), bar.length().unwrap_or_default());
    match (done, all) {
        (_, 0) => PREPARING.to_owned(),
        (0, _) => format!("0 of {all} runs done after {} s", bar.elapsed().as_secs()),
        _ => format!("{done} of {all} runs done, about {} s left", bar.eta().as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let bar = ProgressBar::hidden();
        bar.set_length(0);
        assert_eq!((runs_line(&bar).as_str(), budget_line(&bar).as_str()), (PREPARING, PREPARING));
        bar.set_length(30);
        assert_eq!(runs_line(&bar), "0 of 30 runs done after 0 s");
        bar.inc(4);
        assert!(runs_line(&bar).starts_with("4 of 30 runs done, about "), "{}", runs_line(&bar));
        bar.set_message("screening, 8 candidates left");
        assert_eq!(budget_line(&bar), "13 % of the budget after 0 s; screening, 8 candidates left");
    }
}
