//! `plimsoll emulate`: a scenario's vLLM server in real time.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::common::{ScenarioArguments, tell_not_validated};
use super::{Exit, Failure};
use crate::live::emulate::{Running, Settings, lag_words};
use crate::live::openai::EstimateRule;
use crate::scenario::{Diagnostics, Scenario};
use crate::sim;
use crate::time::Span;
use crate::units::Positive;

/// Be the scenario's vLLM server: an OpenAI-compatible one whose answers come when its model says
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Address and port to listen on; port 0 takes any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The model's name on the wire. Default: the scenario's
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Whose upstream it is, of several variants. Default: the baseline's
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// How many bytes of text make a token; token ids are counted as they are
    #[arg(long, value_name = "BYTES", default_value = "4")]
    bytes_per_token: f64,
    /// On SIGTERM let streams finish for so long, as vLLM's `--shutdown-timeout` does. Default: as vLLM's, they hang
    #[arg(long, value_name = "SPAN")]
    shutdown_timeout: Option<Span>,
}

/// Serves until it is told to stop.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let scenario = arguments.scenario.load()?;
    let settings = settings(arguments, &scenario)?;
    tell_not_validated(&scenario);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|why| Failure::Input(format!("cannot start the server's threads: {why}")))?;
    runtime.block_on(serve(&arguments.listen, settings, out))
}

fn settings(arguments: &Arguments, scenario: &Scenario) -> Result<Settings, Failure> {
    let index = variant(arguments, scenario)?;
    let (upstream, workload) = sim::parts(scenario, index)?;
    let name = arguments.model.clone().unwrap_or_else(|| scenario.name.clone());
    let seed = arguments.seed.unwrap_or(scenario.run.seed);
    let wrong = |why: crate::live::emulate::Unsupported| -> Diagnostics {
        let help = "try `scenarios/vllm_overload.toml`, or give `[upstream]` `kind = \"vllm\"` and a preset";
        scenario.diagnose(index, "upstream.kind", why.to_string(), Some(help.to_owned()))
    };
    let settings = Settings::new(name, &upstream, workload, seed).map_err(wrong)?;
    let bytes_per_token = Positive::new(arguments.bytes_per_token).ok_or_else(|| {
        Failure::Input(format!("--bytes-per-token {}: give a number above 0, such as 4", arguments.bytes_per_token))
    })?;
    let shutdown_timeout = arguments.shutdown_timeout.map(|span| Duration::from_nanos(span.as_nanos()));
    Ok(Settings { rule: EstimateRule { bytes_per_token }, shutdown_timeout, ..settings })
}

fn variant(arguments: &Arguments, scenario: &Scenario) -> Result<usize, Failure> {
    let Some(name) = &arguments.variant else { return Ok(scenario.baseline()) };
    scenario.variants.iter().position(|variant| variant.name == *name).ok_or_else(|| {
        let known: Vec<String> = scenario.variants.iter().map(|variant| format!("\"{}\"", variant.name)).collect();
        Failure::Input(format!("--variant: there is no variant \"{name}\"\n  = there is: {}", known.join(", ")))
    })
}

async fn serve(address: &str, settings: Settings, out: &mut impl Write) -> Result<Exit, Failure> {
    let cannot = |why: &std::io::Error| Failure::Input(format!("cannot listen on {address}: {why}{}", remedy(why)));
    let mut signals = Signals::new().map_err(|why| Failure::Input(format!("cannot listen to signals: {why}")))?;
    let (name, context) = (settings.name.clone(), settings.model.context());
    let mut running = Running::start(settings, address).await.map_err(|why| cannot(&why))?;
    writeln!(out, "http://{}/v1 serves `{name}` (prompt and answer up to {context} tokens); Ctrl-C stops", running.address)?;
    out.flush()?;
    if signals.next().await == Told::Terminate {
        // Whoever says it twice, or presses Ctrl-C, means it.
        tokio::select! {
            () = running.terminate() => {}
            _ = signals.next() => {}
        }
    }
    writeln!(out, "{} requests; {}", running.server.requests(), lag_words(&running.server.machine().lag()))?;
    out.flush()?;
    Ok(Exit::Done)
}

fn remedy(why: &std::io::Error) -> &'static str {
    match why.kind() {
        std::io::ErrorKind::AddrInUse => "\n  = something listens there already: name another port, or 0 for any",
        std::io::ErrorKind::PermissionDenied => "\n  = ports below 1024 need rights: name one above",
        std::io::ErrorKind::InvalidInput => "\n  = write address and port, such as 127.0.0.1:8000",
        std::io::ErrorKind::AddrNotAvailable => "\n  = name an address of this machine, such as 127.0.0.1 or 0.0.0.0",
        _ => "",
    }
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Told {
    Interrupt,
    Terminate,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.terminate.recv() => Told::Terminate,
        }
    }
}
