//! `plimsoll check`: is a scenario right, and what do its figures say before it is run?

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::common::{Format, ScenarioArguments};
use super::tune::Outlook;
use super::{Exit, Failure, measured, tune};
use crate::scenario::lint::{Level, Lint, lints, offered_tokens};
use crate::scenario::{Scenario, Variant};
use crate::sim;

/// Check a scenario without running it: errors with their places, then what its figures say by themselves
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Take warnings for errors (exit code 2)
    #[arg(long)]
    strict: bool,
}

/// Checks, and writes what was found.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let loaded = arguments.scenario.load().and_then(|scenario| {
        sim::inspect(&scenario)?;
        measured::figures(&scenario)?;
        let search = tune::inspect(&arguments.scenario, &scenario)?;
        Ok((scenario, search))
    });
    let (scenario, search) = match loaded {
        Ok(found) => found,
        Err(wrong) => {
            if arguments.format == Format::Json {
                writeln!(out, "{:#}", refusal(&wrong))?;
            }
            return Err(wrong);
        }
    };
    let found = lints(&scenario);
    match arguments.format {
        Format::Table => write_table(&scenario, search.as_ref(), &found, out)?,
        Format::Json => writeln!(out, "{:#}", report(&scenario, search.as_ref(), &found))?,
    }
    let warnings = found.iter().filter(|lint| lint.level == Level::Warning).count();
    if arguments.strict && warnings > 0 { Err(Failure::Strict(warnings)) } else { Ok(Exit::Done) }
}

/// Errors with their places where they have one: all but those of `--from-flags` and `--from-env`.
fn refusal(wrong: &Failure) -> serde_json::Value {
    let errors = match wrong {
        Failure::Scenario(found) => json!(found.located().collect::<Vec<_>>()),
        other => json!([{ "message": other.to_string().trim_start_matches("error: ").trim_end() }]),
    };
    json!({ "ok": false, "errors": errors, "lints": [] })
}

fn report(scenario: &Scenario, search: Option<&Outlook>, lints: &[Lint]) -> serde_json::Value {
    let variants: Vec<&str> = scenario.variants.iter().map(|variant| variant.name.as_str()).collect();
    let mut found = json!({ "ok": true, "scenario": scenario.name, "variants": variants, "errors": [], "lints": lints });
    if let Some(search) = search {
        found["tune"] = json!(search);
    }
    found
}

fn write_table(scenario: &Scenario, search: Option<&Outlook>, lints: &[Lint], out: &mut impl Write) -> std::io::Result<()> {
    let classes = scenario.variants.iter().map(|variant| variant.classes.len()).max().unwrap_or(0);
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let variants = count(scenario.variants.len(), "variant", "variants");
    writeln!(out, "{}: ok ({variants}, {})", scenario.name, count(classes, "class", "classes"))?;
    offered(scenario, out)?;
    if let Some(search) = search {
        writeln!(out, "{}", search.text())?;
    }
    for lint in lints {
        let level = if lint.level == Level::Warning { "warning" } else { "note" };
        let all = lint.variants.len() == scenario.variants.len();
        let variants = if all { String::new() } else { format!(" in {}", lint.variants.join(", ")) };
        writeln!(out, "\n{level}[{}]: {}{variants}\n  {}", lint.code, lint.path, lint.message)?;
    }
    Ok(())
}

/// In front of a metered provider: what is offered against its limit, a line for all variants where they are alike in it.
fn offered(scenario: &Scenario, out: &mut impl Write) -> std::io::Result<()> {
    let line = |variant: &Variant| {
        let (offered, limit) = offered_tokens(variant)?;
        Some(format!(
            "tokens: {offered:.0} a minute offered, without retries, of {limit:.0} that the provider serves ({:.1} %)",
            100.0 * offered / limit
        ))
    };
    let lines: Vec<Option<String>> = scenario.variants.iter().map(line).collect();
    if lines.iter().all(|line| *line == lines[0]) {
        return lines[0].iter().try_for_each(|line| writeln!(out, "{line}"));
    }
    let each = scenario.variants.iter().zip(&lines);
    each.filter_map(|(variant, line)| Some((variant, line.as_ref()?)))
        .try_for_each(|(variant, line)| writeln!(out, "{}: {line}", variant.name))
}
