//! `plimsoll live`: a scenario's requests sent to a real server, and what its variants do there.

mod compare;
mod result;
mod session;
mod through;
mod words;

use std::io::Write;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::common::{Format, ScenarioArguments};
use super::{Exit, Failure, publish, simulate};
use crate::journal::summary::VariantSummary;
use crate::live::drive::{Order, VOCABULARY};
use crate::live::http::Target;
use crate::report;
use crate::scenario::{REPLICATIONS_MAX, Scenario};
use crate::sim::{self, Prepared};
use crate::time::Span;
use crate::upstream::UpstreamModel;

/// Drive a scenario's workload against a real OpenAI-compatible server, straight or through its variants' policies
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// The server: what stands before `/v1`, like `http://127.0.0.1:8000`
    #[arg(long, value_name = "URL")]
    target: Target,
    /// The model's name there. Default: the first that the server lists
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The environment variable that holds the server's API key
    #[arg(long, value_name = "VARIABLE")]
    api_key_env: Option<String>,
    /// Only this variant; may be given several times. Default: all
    #[arg(long = "variant", value_name = "NAME")]
    variants: Vec<String>,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Which of the simulator's replications is sent; a further round sends the next one
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..i64::from(REPLICATIONS_MAX)))]
    replication: u32,
    /// Rounds over all variants
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN, value_parser = clap::value_parser!(NonZeroU32))]
    repeat: NonZeroU32,
    /// How rounds follow each other
    #[arg(long, value_enum, default_value_t)]
    order: OrderArgument,
    /// Token ids in prompts are below this, and from 10 on
    #[arg(long, value_name = "N", default_value_t = VOCABULARY, value_parser = clap::value_parser!(u32).range(11..))]
    vocabulary: u32,
    /// Longest silence of an answer that has begun
    #[arg(long, value_name = "TIME", default_value = "60s")]
    idle_timeout: Span,
    /// Longest wait for the server to have nothing to do before a step
    #[arg(long, value_name = "TIME", default_value = "120s")]
    settle: Span,
    /// Also simulate the same requests on the scenario's model of the server, and lay both beside each other
    #[arg(long)]
    compare: bool,
    /// Speeds that the model is simulated at for `--compare`, equally likely ones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    speeds: u32,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder, and each step's attempts as soon as it is over: the same command goes on there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
    /// Exit with 3 unless this holds of the live run: `goodput_fraction>=0.95`, `p99_ttft_ms{variant=base,class=chat}<=500`
    #[arg(long = "assert", value_name = "EXPR")]
    asserts: Vec<report::Assertion>,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OrderArgument {
    /// A B, A B
    #[default]
    InTurn,
    /// A B, B A
    Abba,
}

impl From<OrderArgument> for Order {
    fn from(argument: OrderArgument) -> Self {
        match argument {
            OrderArgument::InTurn => Self::InTurn,
            OrderArgument::Abba => Self::Abba,
        }
    }
}

/// Runs, and writes what came of it. All that can be wrong with what was asked for is told before anything is sent.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut scenario = arguments.scenario.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let inputs = arguments.scenario.inputs(&scenario);
    if let Some(folder) = &arguments.out {
        publish::check(folder, &inputs)?;
    }
    let mut prepared = sim::prepare(&scenario)?;
    choose(arguments, &scenario, &mut prepared)?;
    simulate::check_asserts(&arguments.asserts, &scenario)?;
    if let Some(inside) = arguments.asserts.iter().find(|assertion| assertion.is_from_inside()) {
        let what = VariantSummary::FROM_INSIDE;
        return Err(Failure::Input(format!("--assert '{inside}': no live run can measure that from outside ({what})")));
    }
    drivable(&prepared)?;
    prepared.context.detailed = arguments.out.is_some();
    let lived = session::run(arguments, &scenario, &prepared)?;
    let compared = arguments.compare.then(|| compare::run(arguments, &prepared, &lived));
    let told = result::Told::new(arguments, &scenario, &prepared, &lived, compared.as_ref());
    let mut text = told.text();
    if let Some(folder) = &arguments.out {
        let drawn = told.drawn(&scenario, &prepared);
        let files = publish::publish(folder, &told.json(), &text, &drawn, typed)?;
        text.push_str(&publish::told(&files, &drawn));
    }
    match arguments.format {
        Format::Table => out.write_all(text.as_bytes())?,
        Format::Json => writeln!(out, "{}", told.json())?,
    }
    out.flush()?;
    if let Some(why) = told.invalid() {
        return Err(Failure::Invalid(why));
    }
    simulate::judge(&arguments.asserts, &lived.summary)
}

/// Keeps the variants that were named.
fn choose(arguments: &Arguments, scenario: &Scenario, prepared: &mut Prepared) -> Result<(), Failure> {
    let known = || scenario.variants.iter().map(|variant| variant.name.as_str()).collect::<Vec<_>>().join(", ");
    for name in &arguments.variants {
        if !prepared.plans.iter().any(|plan| plan.name == *name) {
            return Err(Failure::Input(format!("there is no variant `{name}`; there are: {}", known())));
        }
    }
    if !arguments.variants.is_empty() {
        prepared.plans.retain(|plan| arguments.variants.contains(&plan.name));
    }
    Ok(())
}

/// Only a model server can be driven: other upstreams have no prompts.
fn drivable(prepared: &Prepared) -> Result<(), Failure> {
    let station = prepared.plans.iter().find(|plan| matches!(plan.upstream, UpstreamModel::Station(_)));
    station.map_or(Ok(()), |plan| {
        Err(Failure::Input(format!(
            "variant \"{}\" has a plain station as its upstream, whose requests have no prompts that could be sent\n  = give it \
             `upstream.kind = \"vllm\"`, and its classes `input` and `output`",
            plan.name
        )))
    })
}
