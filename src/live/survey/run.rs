//! The probes, one after the other.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::plan::{Bounds, Pace, Plan, SENDING};
use super::probe::{Arrivals, Probe, completed_rps, is_complete};
use crate::live::drive::{Line, Prompts, Standing, Way, Word, drive, until_idle};

/// Longest wait for the server to have nothing to do before a probe.
const SETTLE: Duration = Duration::from_secs(30);
/// A server that does not say when it is idle is given this long: all that was asked of it has been answered.
const UNKNOWN: Duration = Duration::from_millis(200);
/// Shares of the measured capacity that the held-out runs offer, percent.
const OPEN_PERCENT: [u32; 2] = [50, 80];
/// Failed requests from which a probe is ended at once, and their least share of all.
const FAILED_MIN: u64 = 20;
const FAILED_SHARE: f64 = 0.1;
/// Share of failed requests that a probe may end with: more, and what was measured is another server.
const FAILED_MAX: f64 = 0.02;

/// How a survey is to be.
#[derive(Copy, Clone, Debug)]
pub struct Terms {
    /// About how long all of it takes.
    pub budget: Duration,
    /// Seed of lengths, ids and arrivals.
    pub seed: u64,
}

/// How it stands.
#[derive(Debug)]
pub struct News<'a> {
    /// The probe under way.
    pub probe: &'a str,
    /// Which, from 1, and of how many, as far as is known.
    pub number: usize,
    /// See there.
    pub of: usize,
    /// Of the budget, seconds.
    pub done_s: f64,
    /// What has come of the probe.
    pub standing: &'a Standing,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Surveyed {
    /// Names of the runs to fit, in order.
    pub fit: Vec<String>,
    /// Names of the runs that are held out.
    pub hold_out: Vec<String>,
    /// The first and the second time of each probe that was done twice.
    pub twice: Vec<(String, String)>,
    /// Complete answers a second at the largest batch.
    pub capacity_rps: f64,
    /// How fast the server is, roughly.
    pub pace: Pace,
    /// The largest batch that was measured.
    pub batch: u32,
}

/// Why a survey ended before its end. What was measured before is kept.
#[derive(Debug)]
pub enum Halt {
    /// Somebody else uses the server.
    Busy {
        /// Before which probe.
        probe: String,
    },
    /// Requests fail.
    Failing {
        /// In which probe.
        probe: String,
        /// How many.
        failed: usize,
        /// Of how many.
        of: usize,
        /// What the first of them was told, or how it ended.
        said: String,
        /// Clients at the time, of a closed loop.
        clients: Option<u32>,
        /// Whether the server refused them, with which status.
        refused: Option<u16>,
    },
    /// Nothing that could be measured came in time.
    Silent {
        /// In which probe.
        probe: String,
        /// Seconds that it was given.
        within_s: f64,
    },
    /// The records could not be kept.
    Keep(io::Error),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { probe } => write!(
                f,
                "the server still has something to do {} s before `{probe}`, and what it does would be measured\n  = is somebody else using \
                 it?",
                SETTLE.as_secs()
            ),
            Self::Failing { probe, failed, of, said, clients, refused } => {
                write!(f, "{failed} of {of} requests of `{probe}` failed: {said}\n  = ")?;
                match (refused, clients) {
                    (Some(200 | 429 | 503), Some(clients)) => write!(
                        f,
                        "it refuses at {clients} at once: name a smaller `--max-concurrency`, or start it without a limit on its queue"
                    ),
                    (Some(401 | 403), _) => f.write_str(
                        "it wants an API key: put it into an environment variable and name that with `--api-key-env`",
                    ),
                    (Some(_), _) => f.write_str(
                        "a probe is a list of token ids for POST /v1/completions with `ignore_eos`: can it do that?",
                    ),
                    (None, _) => f.write_str("is the server still up?"),
                }
            }
            Self::Silent { probe, within_s } => write!(
                f,
                "no answer of two tokens came to `{probe}` within {within_s:.0} s\n  = give a slow server more `--minutes`; a server that does \
                 not stream token by token cannot be measured so"
            ),
            Self::Keep(why) => write!(f, "cannot keep the records: {why}"),
        }
    }
}

/// Keeps a probe's records under its name.
pub type Keep<'a> = &'a mut dyn FnMut(&str, &[Line]) -> io::Result<()>;
/// Hears how it stands.
pub type Tell<'a> = &'a mut dyn FnMut(&News<'_>);

/// Measures the server that `way` leads to. Dropped before its end, it has kept the probes before the one under way.
///
/// # Errors
/// Where the server cannot be measured.
pub async fn survey(way: &Way, bounds: Bounds, terms: Terms, keep: Keep<'_>, tell: Tell<'_>) -> Result<Surveyed, Halt> {
    let plan = Plan::new(bounds, terms.budget.as_secs_f64());
    let mut run = Running { way, terms, keep, tell, number: 0, of: 0, done_s: 0.0 };
    let (lone, full) = (plan.lone(), plan.full());
    let mut fit = Vec::new();
    let mut first = Vec::new();
    for probe in [&lone, &full] {
        let (name, lines) = run.probe(probe).await?;
        fit.push(name);
        first.push(lines);
    }
    let within_s = lone.send_s + full.send_s;
    let silent = || Halt::Silent { probe: format!("{}` and `{}", fit[0], fit[1]), within_s };
    let pace = Pace::of(&first[0], &first[1]).ok_or_else(silent)?;
    let repeated = plan.repeated(&pace);
    run.of = 2 + 2 * repeated.len() + 1 + OPEN_PERCENT.len();
    let twice = run.there_and_back(&repeated).await?;
    let mut by_order: Vec<String> = twice.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    by_order.sort();
    fit.extend(by_order);
    let capacity = plan.capacity(&pace);
    let (name, lines) = run.probe(&capacity).await?;
    let capacity_rps = completed_rps(&lines, capacity.send_s);
    let mut hold_out = vec![name];
    for percent in OPEN_PERCENT {
        hold_out.push(run.probe(&plan.open(percent, capacity_rps, &pace)).await?.0);
    }
    Ok(Surveyed { fit, hold_out, twice, capacity_rps, pace, batch: plan.bounds.batch })
}

struct Running<'a, 'b> {
    way: &'a Way,
    terms: Terms,
    keep: Keep<'b>,
    tell: Tell<'b>,
    number: u32,
    of: usize,
    done_s: f64,
}

impl Running<'_, '_> {
    /// A B C, C B A.
    async fn there_and_back(&mut self, probes: &[Probe]) -> Result<Vec<(String, String)>, Halt> {
        let mut there = Vec::new();
        for probe in probes {
            there.push(self.probe(probe).await?.0);
        }
        let mut twice = Vec::new();
        for (probe, first) in probes.iter().zip(there).rev() {
            twice.push((first, self.probe(probe).await?.0));
        }
        twice.reverse();
        Ok(twice)
    }

    async fn probe(&mut self, probe: &Probe) -> Result<(String, Vec<Line>), Halt> {
        self.number += 1;
        let name = format!("{:02}-{}", self.number, probe.name);
        let way = Arc::new(Way { prompts: Prompts { step: u64::from(self.number), ..self.way.prompts }, ..self.way.clone() });
        if !until_idle(&way, SETTLE, UNKNOWN).await {
            return Err(Halt::Busy { probe: name });
        }
        let load = probe.load(self.terms.seed, self.number);
        let failing = Notify::new();
        let (tell, number, of, done_s) = (&mut *self.tell, self.number as usize, self.of, self.done_s);
        let mut hear = |standing: &Standing| {
            tell(&News { probe: &name, number, of, done_s, standing });
            if fails(standing) {
                failing.notify_one();
            }
        };
        let lines = drive(&load, way, failing.notified(), &mut hear).await.lines;
        self.done_s += probe.send_s / SENDING;
        judge(&name, probe, &lines)?;
        (self.keep)(&name, &lines).map_err(Halt::Keep)?;
        Ok((name, lines))
    }
}

/// Whether it is plain before the end that a probe comes to nothing: a server that refuses at once is asked again at once.
fn fails(standing: &Standing) -> bool {
    let over = standing.good + standing.rejected + standing.other;
    let failed = over.saturating_sub(standing.ttft.count());
    failed >= FAILED_MIN && failed as f64 > FAILED_SHARE * over as f64
}

fn judge(name: &str, probe: &Probe, lines: &[Line]) -> Result<(), Halt> {
    let failed: Vec<&Line> = lines.iter().filter(|line| !is_complete(line)).collect();
    let cut = |line: &&Line| line.outcome == Word::Exc && line.error.is_none();
    if lines.iter().all(|line| !is_complete(line)) && failed.iter().all(cut) {
        let within = probe.load(0, 0).window.drained;
        return Err(Halt::Silent { probe: name.to_owned(), within_s: within.as_secs_f64() });
    }
    if failed.len() as f64 <= FAILED_MAX * lines.len() as f64 {
        return Ok(());
    }
    // What was broken off because others failed says nothing.
    let first = failed.iter().find(|line| !cut(line)).or(failed.first()).copied();
    let refused = first.filter(|line| line.outcome == Word::HttpError).and_then(|line| line.status);
    let status = refused.map(|status| format!("status {status}"));
    let error = first.and_then(|line| line.error.clone()).or_else(|| first.map(|_| "no whole answer".to_owned()));
    let said: Vec<String> = status.into_iter().chain(error).collect();
    let clients = if let Arrivals::Closed(clients) = probe.arrivals { Some(clients) } else { None };
    Err(Halt::Failing {
        probe: name.to_owned(),
        failed: failed.len(),
        of: lines.len(),
        said: said.join(": "),
        clients,
        refused,
    })
}
