//! Progress of long work on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Seconds between two lines where there is no terminal.
const LINE_EVERY_S: u64 = 5;

/// Counts steps, from any thread.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    said_s: AtomicU64,
}

impl Progress {
    /// No step of `steps` done yet. `quiet` says nothing at all.
    pub fn new(steps: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {eta} left");
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style.expect("a constant template"));
        Self { bar, lines: !quiet && !terminal, said_s: AtomicU64::new(0) }
    }

    /// One step more is done.
    pub fn step(&self) {
        self.bar.inc(1);
        let now_s = self.bar.elapsed().as_secs();
        let said_s = self.said_s.load(Ordering::Relaxed);
        let due = self.lines && now_s >= said_s + LINE_EVERY_S;
        if due && self.said_s.compare_exchange(said_s, now_s, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            eprintln!("{done} of {all} runs done, about {} s left", self.bar.eta().as_secs());
        }
    }

    /// All is done.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
