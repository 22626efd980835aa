//! What came of a live run, for people and for programs.

use serde::Serialize;

use super::Arguments;
use super::compare::Beside;
use super::session::Lived;
use crate::cli::common::load_report;
use crate::cli::publish;
use crate::journal::summary::VariantSummary;
use crate::live::drive::{Lag, LagVerdict, Sample, Server};
use crate::report::draw::{self, Drawn, Look};
use crate::report::format::{NONE, count, duration, left, number, percent, right, wrap};
use crate::report::overlay::Overlay;
use crate::report::{self, Envelope};
use crate::scenario::Scenario;
use crate::sim::Prepared;
use crate::stats;

/// Everything that is told.
pub(super) struct Told<'a> {
    envelope: Envelope,
    part: LivePart<'a>,
    lived: &'a Lived,
    beside: Option<&'a Beside>,
    text: String,
}

/// What stands in the result beside the figures.
#[derive(Serialize)]
struct LivePart<'a> {
    target: String,
    server: &'a Server,
    replication: u32,
    rounds: u32,
    /// Whether every variant's send lag is small enough.
    valid: bool,
    /// By variant.
    send_lag: Vec<LagReport>,
    steps: Vec<StepReport>,
    /// Figures of a simulation that only who looks into the server can know.
    not_measured: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<&'a Overlay>,
}

#[derive(Serialize)]
struct LagReport {
    variant: String,
    attempts: u64,
    p50_s: Option<f64>,
    p99_s: Option<f64>,
    max_s: Option<f64>,
    limit_s: f64,
    valid: bool,
}

#[derive(Serialize)]
struct StepReport {
    variant: String,
    round: u32,
    /// `server` where its requests went straight there, `gateway` where through the variant's policies.
    through: &'static str,
    attempts: usize,
    /// What the server said of itself while it ran; null where it does not.
    server: Option<ServerReport>,
}

/// A server's own figures over a step.
#[derive(Serialize)]
struct ServerReport {
    samples: usize,
    running_mean: f64,
    running_max: f64,
    waiting_mean: f64,
    waiting_max: f64,
    kv_use_max: f64,
}

impl ServerReport {
    fn new(samples: &[Sample]) -> Option<Self> {
        let most = |of: fn(&Sample) -> f64| samples.iter().map(of).fold(0.0, f64::max);
        let mean = |of: fn(&Sample) -> f64| stats::mean(&samples.iter().map(of).collect::<Vec<_>>());
        Some(Self {
            samples: samples.len(),
            running_mean: mean(|sample| sample.gauges.running)?,
            running_max: most(|sample| sample.gauges.running),
            waiting_mean: mean(|sample| sample.gauges.waiting)?,
            waiting_max: most(|sample| sample.gauges.waiting),
            kv_use_max: most(|sample| sample.gauges.kv_use),
        })
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    live: &'a LivePart<'a>,
}

impl LagReport {
    fn new(variant: &VariantSummary, (lag, verdict): &(Lag, LagVerdict)) -> Self {
        Self {
            variant: variant.name.clone(),
            attempts: lag.of.count(),
            p50_s: lag.of.quantile_s(0.5),
            p99_s: lag.of.quantile_s(0.99),
            max_s: lag.of.quantile_s(1.0),
            limit_s: verdict.limit_s,
            valid: verdict.holds(),
        }
    }
}

impl<'a> Told<'a> {
    pub fn new(
        arguments: &'a Arguments,
        scenario: &Scenario,
        prepared: &Prepared,
        lived: &'a Lived,
        beside: Option<&'a Beside>,
    ) -> Self {
        let load = prepared.capacity.as_ref().map(load_report);
        let envelope = Envelope::new(&scenario.name, scenario.run.seed, load.clone(), &lived.summary);
        let variants = &lived.summary.variants;
        let send_lag: Vec<LagReport> =
            variants.iter().zip(&lived.lags).map(|(variant, lag)| LagReport::new(variant, lag)).collect();
        let steps = lived.done.iter().map(|done| StepReport {
            variant: variants[done.step.variant].name.clone(),
            round: done.step.round,
            through: done.through.name(),
            attempts: done.of.lines.len(),
            server: ServerReport::new(&done.of.gauges),
        });
        let part = LivePart {
            target: arguments.target.to_string(),
            server: &lived.server,
            replication: arguments.replication,
            rounds: arguments.repeat.get(),
            valid: send_lag.iter().all(|lag| lag.valid),
            send_lag,
            steps: steps.collect(),
            not_measured: VariantSummary::FROM_INSIDE,
            compare: beside.map(|beside| &beside.overlay),
        };
        let text = report::text(&scenario.name, scenario.run.seed, load.as_ref(), &lived.summary);
        Self { envelope, part, lived, beside, text }
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let whole = Whole { envelope: &self.envelope, live: &self.part };
        serde_json::to_string(&whole).expect("maps have string keys and nothing here fails to serialise")
    }

    /// What makes the run invalid comes first, then what it was, then the figures.
    pub fn text(&self) -> String {
        let mut text = match (self.invalid(), self.beside) {
            (Some(why), _) => wrap(&format!("This run is not valid: {why}")) + "\n",
            (None, Some(beside)) => beside.overlay.verdict(),
            (None, None) => String::new(),
        };
        text += &self.text;
        text += &self.run_text();
        if let Some(beside) = self.beside {
            text += "\nSimulated beside live\n\n";
            text += &beside.overlay.text();
        }
        text
    }

    /// Why the run says nothing of the server, if so.
    pub fn invalid(&self) -> Option<String> {
        if self.lived.summary.variants.iter().all(|variant| variant.counts.offered == 0) {
            return Some("nothing was offered inside the measured time: make it longer, or the load higher".to_owned());
        }
        let late: Vec<String> = self
            .part
            .send_lag
            .iter()
            .filter(|lag| !lag.valid)
            .map(|lag| {
                let p99 = lag.p99_s.map_or(NONE.to_owned(), duration);
                format!("of \"{}\" by {p99} (p99; at most {})", lag.variant, duration(lag.limit_s))
            })
            .collect();
        (!late.is_empty()).then(|| {
            format!(
                "the driver sent requests late, so that its figures are of the driver and not of the server: {}",
                late.join(", ")
            )
        })
    }

    fn run_text(&self) -> String {
        let Server { model, version } = &self.lived.server;
        let version = version.as_ref().map_or(String::new(), |version| format!(" (version {version})"));
        let kept = self.lived.done.iter().filter(|done| done.kept).count();
        let kept = if kept > 0 { format!(" {kept} of them were read from disk.") } else { String::new() };
        let steps = self.part.steps.len();
        let run = format!(
            "Live at {}, model {}{version}: {steps} step{}.{kept} Not measured from outside, and left out: {}.",
            self.part.target,
            model.id,
            if steps == 1 { "" } else { "s" },
            self.part.not_measured,
        );
        let heading =
            lag_row("send lag (sent - meant to be sent)", &["attempts", "p50", "p99", "max", "at most"].map(str::to_owned));
        let shown = |seconds: Option<f64>| seconds.map_or(NONE.to_owned(), duration);
        let rows = self.part.send_lag.iter().map(|lag| {
            let cells = [count(lag.attempts), shown(lag.p50_s), shown(lag.p99_s), shown(lag.max_s), duration(lag.limit_s)];
            lag_row(&format!("  {}", lag.variant), &cells)
        });
        let rows: String = std::iter::once(heading).chain(rows).collect();
        format!("\n{}\n\n{rows}{}", wrap(&run), self.server_text())
    }

    /// What the server said of itself, step by step; nothing where it says nothing.
    fn server_text(&self) -> String {
        let rows: Vec<String> = self
            .part
            .steps
            .iter()
            .filter_map(|step| {
                let server = step.server.as_ref()?;
                let name = format!("  {}, round {}", step.variant, step.round + 1);
                let most = [server.running_mean, server.running_max, server.waiting_mean, server.waiting_max].map(number);
                let [running, running_max, waiting, waiting_max] = most;
                Some(lag_row(&name, &[running, running_max, waiting, waiting_max, percent(server.kv_use_max)]))
            })
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let heading = ["running", "max", "waiting", "max", "KV max"].map(str::to_owned);
        format!("\n{}{}", lag_row("the server's own figures (/metrics)", &heading), rows.concat())
    }

    /// Its plots, and with a comparison those that lay both sides on one another.
    pub fn drawn(&self, scenario: &Scenario, prepared: &Prepared) -> Drawn {
        let names: Vec<&str> = self.lived.summary.variants.iter().map(|variant| variant.name.as_str()).collect();
        let frame = publish::frame(scenario, prepared, &names);
        let mut drawn = draw::run(&self.lived.summary, &frame);
        if let Some(beside) = self.beside {
            draw::overlay(&self.lived.summary, &beside.simulated, &self.looks(), &frame, &mut drawn);
        }
        drawn
    }

    /// What the server said of itself in each variant's first run.
    fn looks(&self) -> Vec<Vec<Look>> {
        let look = |sample: &Sample| Look { t_s: sample.t_s, running: sample.gauges.running, waiting: sample.gauges.waiting };
        let of = |variant: usize| {
            let first = self.lived.done.iter().filter(|done| done.step.variant == variant).min_by_key(|done| done.step.round);
            first.map_or(Vec::new(), |done| done.of.gauges.iter().map(look).collect())
        };
        (0..self.lived.summary.variants.len()).map(of).collect()
    }
}

fn lag_row(name: &str, cells: &[String; 5]) -> String {
    let cells: String = cells.iter().map(|cell| right(cell, 9)).collect();
    format!("{}{cells}\n", left(name, 36))
}
