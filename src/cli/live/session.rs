//! The steps of a live run, one after the other.

use std::io::Write as _;
use std::sync::Arc;

use super::through::Through;
use super::{Arguments, words};
use crate::cli::Failure;
use crate::cli::progress::Progress;
use crate::cli::stop::{Stop, runtime};
use crate::journal::Tally;
use crate::journal::summary::{Summary, VariantBuilder, VariantSummary};
use crate::live::clock::duration;
use crate::live::drive::{
    GaugeWatch, Identity, Kept, Key, Lag, LagVerdict, Load, Prompts, Server, Step, StepStore, StoreError, TERMS, Way,
    connections, drive, first_misfit, probe, steps, tally, until_idle,
};
use crate::live::http::Pool;
use crate::report::format::long;
use crate::rng::fnv1a;
use crate::scenario::Scenario;
use crate::sim::{Plan, Prepared};

/// A server that does not say when it is idle is given this long after a step.
const UNKNOWN: std::time::Duration = std::time::Duration::from_secs(2);
/// A run that takes longer is announced, seconds.
const LONG_S: f64 = 7_200.0;

/// A live run.
pub(super) struct Lived {
    /// What was driven.
    pub server: Server,
    /// Its steps, in order.
    pub done: Vec<Done>,
    /// All variants, without what only the server knows.
    pub summary: Summary,
    /// For each variant, over its rounds.
    pub lags: Vec<(Lag, LagVerdict)>,
}

/// A step that is done.
pub(super) struct Done {
    /// Which.
    pub step: Step,
    /// How its requests went to the server.
    pub through: Through,
    /// What was sent, what came, and what the server said of itself.
    pub of: Kept,
    /// Whether it was done before, and read from disk.
    pub kept: bool,
}

/// Does all steps, those left out that the folder of the result already has.
pub(super) fn run(arguments: &Arguments, scenario: &Scenario, prepared: &Prepared) -> Result<Lived, Failure> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut session = Session::begin(arguments, scenario, prepared).await?;
        let done = session.steps().await?;
        Ok(session.lived(done))
    })
}

struct Session<'a> {
    arguments: &'a Arguments,
    prepared: &'a Prepared,
    plan: Vec<Step>,
    server: Server,
    /// Straight to the server; the prompts' step is set for each.
    way: Way,
    store: Option<StepStore>,
    progress: Progress,
    stop: Stop,
}

impl<'a> Session<'a> {
    /// Looks at everything that can be wrong before anything is sent.
    async fn begin(arguments: &'a Arguments, scenario: &Scenario, prepared: &'a Prepared) -> Result<Self, Failure> {
        let key = arguments.api_key_env.as_deref().map(Key::of_env).transpose();
        let key = key.map_err(|wrong| Failure::Input(wrong.to_string()))?;
        let pool = connections(&arguments.target);
        let pool: Arc<Pool> = pool.map_err(|why| Failure::Input(format!("--target {}: {why}", arguments.target)))?;
        let prompts = Prompts { vocabulary: arguments.vocabulary, seed: scenario.run.seed, step: 0 };
        let idle_timeout = duration(arguments.idle_timeout);
        let mut way = Way { pool, terms: TERMS, model: String::new(), key, prompts, idle_timeout };
        let server = probe(&way, arguments.model.as_deref()).await.map_err(|wrong| Failure::Input(wrong.to_string()))?;
        way.model.clone_from(&server.model.id);
        let rounds = arguments.repeat.get();
        fits(arguments, prepared, &server, rounds)?;
        let identity = identity(arguments, scenario, prepared, &server);
        let store = arguments.out.as_deref().map(|folder| StepStore::open(folder, &identity)).transpose();
        Ok(Self {
            arguments,
            prepared,
            plan: steps(prepared.plans.len(), rounds, arguments.order.into()),
            server,
            way,
            store: store.map_err(kept_wrongly)?,
            progress: Progress::of_seconds(arguments.quiet),
            stop: Stop::listen()?,
        })
    }

    async fn steps(&mut self) -> Result<Vec<Done>, Failure> {
        let seconds = |step: &Step| self.prepared.plans[step.variant].window.drained.as_secs_f64();
        let all: f64 = self.plan.iter().map(seconds).sum();
        if all > LONG_S && !self.arguments.quiet {
            let takes = long(all);
            let _ = writeln!(std::io::stderr(), "note: all of it takes {takes}; `--set run.duration=5m` makes it shorter");
        }
        self.progress.begin(whole(all));
        let mut done = Vec::new();
        let mut before_s = 0.0;
        for (index, step) in self.plan.clone().into_iter().enumerate() {
            done.push(self.step(index, step, before_s).await?);
            before_s += seconds(&step);
        }
        Ok(done)
    }

    async fn step(&mut self, index: usize, step: Step, before_s: f64) -> Result<Done, Failure> {
        let plan = &self.prepared.plans[step.variant];
        let through = Through::of(plan);
        let kept = self.store.as_ref().map(|store| store.read(index, &plan.name)).transpose().map_err(kept_wrongly)?;
        if let Some(of) = kept.flatten() {
            return Ok(Done { step, through, of, kept: true });
        }
        let direct = Arc::new(Way { prompts: Prompts { step: index as u64, ..self.way.prompts }, ..self.way.clone() });
        self.progress.tell(format!("{}: waiting until the server has nothing to do", plan.name));
        let idle = tokio::select! {
            idle = until_idle(&direct, duration(self.arguments.settle), UNKNOWN) => idle,
            () = self.stop.asked() => return Err(self.interrupted()),
        };
        if !idle {
            return Err(Failure::Invalid(format!(
                "the server still has something to do after {}, and what it does would be measured with \"{}\"\n  = is somebody \
                 else using it? `--settle` waits longer",
                self.arguments.settle, plan.name
            )));
        }
        let load = Load::of(plan, self.arguments.replication + step.round);
        let entered = through.enter(plan, &direct, self.arguments.idle_timeout)?;
        let (progress, of) = (&self.progress, self.plan.len());
        let mut tell = |standing: &_| {
            progress.at(whole(before_s + words::seconds_of(standing)));
            progress.tell(words::standing(index, of, &plan.name, standing));
        };
        let watch = GaugeWatch::start(Arc::clone(&direct));
        let driven = drive(&load, entered.way(), self.stop.asked(), &mut tell).await;
        let of = Kept { lines: driven.lines, gauges: watch.stop() };
        if driven.interrupted {
            return Err(self.interrupted());
        }
        entered.leave(self.arguments.settle).await?;
        if let Some(store) = &self.store {
            store.write(index, &plan.name, &of).map_err(kept_wrongly)?;
        }
        Ok(Done { step, through, of, kept: false })
    }

    fn interrupted(&self) -> Failure {
        match &self.arguments.out {
            Some(folder) => Failure::Interrupted(folder.clone()),
            None => Failure::Stopped,
        }
    }

    /// Sums the steps up, variant by variant and round by round.
    fn lived(self, done: Vec<Done>) -> Lived {
        let plans = &self.prepared.plans;
        let (mut variants, mut lags) = (Vec::new(), Vec::new());
        for (index, plan) in plans.iter().enumerate() {
            let mut own: Vec<&Done> = done.iter().filter(|done| done.step.variant == index).collect();
            own.sort_by_key(|done| done.step.round);
            let variant = summary(plan, self.prepared, &own, self.arguments.replication);
            let mut lag = Lag::default();
            for done in &own {
                lag.of.merge(&Lag::of(&done.of.lines).of);
            }
            let verdict = lag.judge(variant.metrics.ttft.p50);
            lags.push((lag, verdict));
            variants.push(variant);
        }
        Lived { server: self.server, done, summary: Summary::of(variants), lags }
    }
}

fn summary(plan: &Plan, prepared: &Prepared, done: &[&Done], replication: u32) -> VariantSummary {
    let mut builder = VariantBuilder::new(&plan.name, &prepared.context);
    for done in done {
        let tally: Tally = tally(&Load::of(plan, replication + done.step.round), &done.of.lines);
        builder.add(&tally);
    }
    builder.finish().from_outside()
}

/// Makes sure that the model can answer everything that will be asked.
fn fits(arguments: &Arguments, prepared: &Prepared, server: &Server, rounds: u32) -> Result<(), Failure> {
    let Some(longest) = server.model.max_model_len else { return Ok(()) };
    let loads = prepared.plans.iter().flat_map(|plan| (0..rounds).map(move |round| (plan, round)));
    for (plan, round) in loads {
        if let Some(misfit) = first_misfit(&Load::of(plan, arguments.replication + round), &server.model.id, longest) {
            return Err(Failure::Input(format!(
                "{misfit}\n  = shorten `input` or `output` of the class, or serve a model with a longer context (vLLM's \
                 --max-model-len)"
            )));
        }
    }
    Ok(())
}

fn identity(arguments: &Arguments, scenario: &Scenario, prepared: &Prepared, server: &Server) -> Identity {
    let one = |plan: &Plan| format!("{}{:?}{:?}{:?}", plan.name, plan.policy, plan.window, plan.workload);
    let plans: Vec<String> = prepared.plans.iter().map(one).collect();
    Identity {
        scenario: format!("{} {:016x}", scenario.name, fnv1a(plans.join("\n").as_bytes())),
        target: arguments.target.to_string(),
        model: server.model.id.clone(),
        seed: scenario.run.seed.to_string(),
        replication: arguments.replication,
        vocabulary: arguments.vocabulary,
    }
}

fn kept_wrongly(wrong: StoreError) -> Failure {
    match wrong {
        StoreError::File { path, why } => Failure::Write { path, why },
        other @ (StoreError::Other { .. } | StoreError::Damaged { .. }) => Failure::Input(other.to_string()),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}
