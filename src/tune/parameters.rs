//! The `[[tune.parameter]]` entries of a scenario as a space to search.

use serde_json::Value;

use crate::scenario::schema::spelled;
use crate::scenario::{Path, TuneParameter, TuneScale};
use crate::time::Span;
use crate::tune::world::{self, why_not};
use crate::tune::{Condition, Domain, Parameter, Scale, Setting, Space, SpaceFault, Unfit};

/// The space of `parameters`.
///
/// # Errors
/// The first entry that makes no sense.
pub(super) fn space(parameters: &[TuneParameter]) -> Result<Space, Unfit> {
    let mut read: Vec<Parameter> = Vec::with_capacity(parameters.len());
    for (index, parameter) in parameters.iter().enumerate() {
        let entry = format!("tune.parameter[{index}]");
        path(&entry, parameter)?;
        let domain = domain(&entry, parameter)?;
        let only_if = match &parameter.only_if {
            None => None,
            Some(condition) => {
                let on = read.iter().position(|earlier| earlier.path == condition.path).ok_or_else(|| {
                    let message = format!("no parameter before this one has the path `{}`", condition.path);
                    Unfit::new(format!("{entry}.only_if.path"), message)
                })?;
                let settings = condition.is.iter().map(|value| like(&read[on].domain, value));
                let is: Option<Vec<Setting>> = settings.collect();
                let wrong =
                    || Unfit::new(format!("{entry}.only_if.is"), format!("`{}` never has these values", condition.path));
                Some(Condition { parameter: on, is: is.ok_or_else(wrong)? })
            }
        };
        read.push(Parameter { path: parameter.path.clone(), domain, only_if });
        // After each, so that what is wrong is told where it stands.
        Space::new(read.clone()).map_err(|fault| blame(&entry, &fault))?;
    }
    Space::new(read).map_err(|fault| Unfit::new("tune.parameter", fault.to_string()))
}

/// Which part of its entry a fault is about.
fn blame(entry: &str, fault: &SpaceFault) -> Unfit {
    let part = match fault {
        SpaceFault::Twice(_) => ".path",
        SpaceFault::Condition { .. } => ".only_if",
        SpaceFault::Domain { .. } => ".range",
        SpaceFault::Empty | SpaceFault::TooMany(_) => "",
    };
    let help = match fault {
        SpaceFault::Domain { what, .. } if what.contains("empty") => {
            Some("write the least first: `range = [1, 100]`".to_owned())
        }
        SpaceFault::Domain { what, .. } if what.contains("logarithmic") => {
            Some("begin above 0, or write `scale = \"linear\"`".to_owned())
        }
        _ => None,
    };
    Unfit::new(format!("{entry}{part}"), fault.to_string()).help(help)
}

/// Makes sure that it is a path, and to something that an operator sets.
fn path(entry: &str, parameter: &TuneParameter) -> Result<(), Unfit> {
    let here = || format!("{entry}.path");
    let path: Path = parameter.path.parse().map_err(|wrong: crate::scenario::NotAPath| {
        Unfit::new(here(), wrong.to_string()).help(crate::scenario::NotAPath::HELP.to_owned())
    })?;
    match why_not(&path) {
        Some(why) => Err(Unfit::new(here(), format!("`{}` {why}", parameter.path)).help(world::TUNABLE.to_owned())),
        None => Ok(()),
    }
}

fn domain(entry: &str, parameter: &TuneParameter) -> Result<Domain, Unfit> {
    let scale = match parameter.scale {
        TuneScale::Linear => Scale::Linear,
        TuneScale::Log => Scale::Log,
    };
    let at = |part: &str, message: String| Unfit::new(format!("{entry}{part}"), message);
    match (&parameter.range[..], &parameter.choices[..]) {
        ([lo, hi], []) => {
            counted([lo, hi]).map_err(|what| at(".range", what))?;
            let read = range(lo, hi, scale).ok_or_else(|| {
                let message = format!("a range is two numbers or two durations, and not {lo} and {hi}");
                let meant = |value: &Value| spelled(value.as_str()?);
                let meant = meant(lo).or_else(|| meant(hi)).map(|text| format!("write it as \"{text}\""));
                at(".range", message)
                    .help(meant.unwrap_or_else(|| "write `range = [1, 100]`, or `range = [\"1s\", \"1m\"]`".to_owned()))
            })?;
            if one_value(&read) {
                let message = format!("nothing varies in a range from {lo} to {hi}");
                let help = "give it two ends, or leave the parameter out and write the setting into the scenario";
                return Err(at(".range", message).help(help.to_owned()));
            }
            Ok(read)
        }
        ([], [_, ..]) => {
            counted(&parameter.choices).map_err(|what| at(".choices", what))?;
            let settings: Option<Vec<Setting>> = parameter.choices.iter().map(setting).collect();
            let settings = settings
                .ok_or_else(|| at(".choices", "choices are numbers, names, durations, or true and false".to_owned()))?;
            let both = [Setting::Bool(false), Setting::Bool(true)];
            let is_switch = settings.len() == 2 && both.iter().all(|one| settings.contains(one));
            Ok(if is_switch { Domain::Bool } else { Domain::Choice(settings) })
        }
        ([], []) => Err(at("", "give a `range = [least, greatest]`, or `choices = [...]`".to_owned())),
        ([..], []) => Err(at(".range", format!("a range has two ends, and not {}", parameter.range.len()))),
        ([..], [..]) => Err(at(".choices", "give a `range` or `choices`, not both".to_owned())),
    }
}

/// Whether a range has nothing to choose from.
fn one_value(domain: &Domain) -> bool {
    match domain {
        Domain::Real { lo, hi, .. } => lo.total_cmp(hi).is_eq(),
        Domain::Integer { lo, hi, .. } => lo == hi,
        Domain::Duration { lo, hi, .. } => lo == hi,
        Domain::Choice(_) | Domain::Bool => false,
    }
}

/// Makes sure that every number is one: what is infinite, no number, or too large to be counted was read as nothing.
fn counted<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<(), String> {
    let too_large = |value: &Value| value.is_null() || value.as_u64().is_some_and(|number| i64::try_from(number).is_err());
    if values.into_iter().any(too_large) {
        return Err(format!("a number here is infinite, none at all, or too large: whole numbers go up to {}", i64::MAX));
    }
    Ok(())
}

fn range(lo: &Value, hi: &Value, scale: Scale) -> Option<Domain> {
    if let (Some(lo), Some(hi)) = (lo.as_i64(), hi.as_i64()) {
        return Some(Domain::Integer { lo, hi, scale });
    }
    if let (Some(lo), Some(hi)) = (lo.as_f64(), hi.as_f64()) {
        return Some(Domain::Real { lo, hi, scale });
    }
    let span = |value: &Value| value.as_str()?.parse::<Span>().ok();
    Some(Domain::Duration { lo: span(lo)?, hi: span(hi)?, scale })
}

/// A choice, read as what it looks like. Durations stay names: nothing is computed with them.
fn setting(value: &Value) -> Option<Setting> {
    match value {
        Value::Bool(on) => Some(Setting::Bool(*on)),
        Value::Number(number) => number.as_i64().map(Setting::Integer).or_else(|| number.as_f64().map(Setting::Real)),
        Value::String(text) => Some(Setting::Text(text.clone())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `value` as a setting of `domain`; `None` where it is of another kind.
pub(super) fn like(domain: &Domain, value: &Value) -> Option<Setting> {
    match domain {
        Domain::Real { .. } => value.as_f64().map(Setting::Real),
        Domain::Duration { .. } => value.as_str()?.parse().ok().map(Setting::Duration),
        Domain::Integer { .. } => value.as_i64().map(Setting::Integer),
        Domain::Choice(_) | Domain::Bool => setting(value),
    }
}
