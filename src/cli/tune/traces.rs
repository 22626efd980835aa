//! Traces that settings are tuned on: the scenario once for each, and a part of a trace that stands alone held out.

use std::io::Write as _;
use std::ops::Range;

use super::Arguments;
use super::scenes::{Place, place, resolved};
use crate::cli::Failure;
use crate::cli::replay::may_run;
use crate::replay::{Classes, Log, Replay, Survey, first_group};
use crate::report::format::duration;
use crate::scenario::{Scenario, TuneSettings, Warmup};
use crate::time::{Span, Time};
use crate::trace;
use crate::trace::flow::Rules;
use crate::workload::{Recorded, Rows};

/// Of a trace that stands alone, the last one in so many parts is held out.
const HELD_OUT: u64 = 5;
/// What `--hold-out` says for nothing.
pub(super) const NONE: &str = "none";

/// A trace, looked through.
struct Read {
    name: String,
    file: String,
    scenario: Scenario,
    replay: Replay,
    survey: Survey,
}

/// The scenario once for each trace; once for each part of one that stands alone.
///
/// # Errors
/// A scenario whose classes have arrivals of their own, a trace that cannot be read or has other classes, a window that leaves
/// nothing.
pub(super) fn places(arguments: &Arguments, scenario: &Scenario, settings: &TuneSettings) -> Result<Vec<Place>, Failure> {
    may_have_traces(scenario)?;
    let mut places = Vec::new();
    for name in &settings.traces {
        let read = read(arguments, name)?;
        remark(arguments, &read);
        let lasting = read.survey.lasting();
        if says_duration(arguments) && read.scenario.run.duration < lasting && !arguments.quiet {
            let (used, all) = (read.scenario.run.duration, duration(lasting.as_secs_f64()));
            let _ = writeln!(std::io::stderr(), "note: of each part of `{name}` ({all}) no more than its first {used} are run");
        }
        let window = if settings.traces.len() == 1 { window(settings, &read, lasting)? } else { None };
        match window {
            None => places.push(read.place(arguments, read.name.clone(), &[Span::ZERO..lasting], false)?),
            Some(window) => {
                let rest = [Span::ZERO..window.start, window.end..lasting];
                let [from, to] = [window.start, window.end].map(|at| duration(at.as_secs_f64()));
                let shown = format!("{} from {from} to {to}", read.name);
                if !arguments.quiet {
                    let _ = writeln!(std::io::stderr(), "note: held out: {shown} (--hold-out {NONE}, or another FROM..TO)");
                }
                places.push(read.place(arguments, read.name.clone(), &rest, false)?);
                places.push(read.place(arguments, shown, &[window], true)?);
            }
        }
    }
    Ok(places)
}

fn may_have_traces(scenario: &Scenario) -> Result<(), Failure> {
    let own = scenario.variants.iter().flat_map(|variant| &variant.classes).find(|class| class.arrival.is_some());
    let Some(class) = own else { return Ok(()) };
    Err(Failure::Input(format!(
        "`{}` cannot be tuned on traces: class `{}` has an `arrival` of its own, which a trace cannot stand for\n  = move it out of \
         the classes: write one `[arrival]` for all of them, like\n      [arrival]\n      process = \"poisson\"\n      rate = 10\n  \
         = the trace's column `class` then says whose each request is (`time,input_tokens,output_tokens,class`)",
        scenario.name, class.name
    )))
}

fn read(arguments: &Arguments, name: &str) -> Result<Read, Failure> {
    let path = resolved(arguments, name, &arguments.traces);
    // As it stands in a scenario: resolved against the scenario's folder.
    let path = std::path::absolute(&path).map_err(|why| Failure::Input(format!("cannot find `{name}`: {why}")))?;
    let file = path.display().to_string();
    let mut with = arguments.scenario.clone();
    with.sets.push(format!("arrival={{ process = \"recorded\", file = {} }}", toml::Value::String(file.clone())));
    let mut scenario = with.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let seed = scenario.run.seed;
    let options = trace::Options { seed, ..trace::Options::default() };
    let log = Log { path, options, rules: Rules { seed, ..Rules::default() } };
    let survey = Survey::of(&log).map_err(|error| Failure::Input(error.to_string()))?;
    let names: Vec<&str> = scenario.variants[0].classes.iter().map(|class| class.name.as_str()).collect();
    let classes = Classes::find(&survey.classes, &names, arguments.class.as_deref()).map_err(|error| {
        let help = "give the scenario classes of these names, or put all rows into one with --class NAME";
        Failure::Input(format!("`{name}`: {error}\n  = {help}"))
    })?;
    let Some((first, _)) = survey.span else {
        return Err(Failure::Input(format!(
            "`{name}` has no request that could be replayed ({} rows)",
            survey.accounts.fates.rows()
        )));
    };
    may_run(&survey)?;
    // Its parts are counted from there, whatever zero its own times have.
    let replay = Replay { log, classes, first, first_group: first_group(&scenario) };
    Ok(Read { name: name.to_owned(), file, scenario, replay, survey })
}

/// What is not as it was in the file.
fn remark(arguments: &Arguments, Read { name, survey, .. }: &Read) {
    let accounts = &survey.accounts;
    let as_it_was = accounts.fates.rows() == survey.replayed && accounts.spread.is_none() && accounts.imputed.requests == 0;
    if arguments.quiet {
        return;
    }
    if !as_it_was {
        let _ = writeln!(std::io::stderr(), "note: `{name}`: {}", accounts.sentences().join("; "));
    }
    for odd in survey.oddities() {
        let _ = writeln!(std::io::stderr(), "note: `{name}`: {odd}");
    }
}

/// The stretch of time that `--hold-out` asks for, as it was typed: of one trace alone, a name with `..` that nothing has.
pub(super) fn stretch(settings: &TuneSettings) -> Option<&str> {
    let has_name = |text: &String| settings.traces.contains(text) || settings.also.contains(text);
    let mut asked = settings.hold_out.iter().flatten().filter(|text| text.contains("..") && !has_name(text));
    asked.next().filter(|_| settings.traces.len() == 1).map(String::as_str)
}

/// The part that is held out; `None` for nothing.
fn window(settings: &TuneSettings, read: &Read, lasting: Span) -> Result<Option<Range<Span>>, Failure> {
    let warmup = match read.scenario.run.warmup {
        Warmup::Time(span) => span,
        Warmup::Mser5 => Span::ZERO,
    };
    if settings.hold_out.is_none() {
        let window = Span::from_nanos(lasting.as_nanos() / HELD_OUT * (HELD_OUT - 1))..lasting;
        let enough = window.end.as_nanos() - window.start.as_nanos() > warmup.as_nanos();
        return Ok(enough.then_some(window));
    }
    let Some(text) = stretch(settings) else { return Ok(None) };
    let wrong =
        |why: &str| Failure::Input(format!("`--hold-out {text}`: {why}\n  = such as `40m..50m`, of a trace of {lasting}"));
    let (from, to) = text.split_once("..").ok_or_else(|| wrong("not a stretch of time"))?;
    let time = |text: &str| text.trim().parse::<Span>().map_err(|error| wrong(&error.to_string()));
    let (from, to) = (time(from)?, time(to)?.min(lasting));
    if from >= to {
        return Err(wrong("nothing of the trace lies in it"));
    }
    if from == Span::ZERO && to == lasting {
        return Err(wrong("all of the trace lies in it, and nothing is left to choose by"));
    }
    if to.as_nanos() - from.as_nanos() <= warmup.as_nanos() {
        return Err(wrong(&format!("it is not longer than the warm-up of {warmup}")));
    }
    Ok(Some(from..to))
}

/// Whether the command itself says how long a run is.
fn says_duration(arguments: &Arguments) -> bool {
    arguments.scenario.sets.iter().any(|set| set.split('=').next().is_some_and(|path| path.trim() == "run.duration"))
}

impl Read {
    /// A place with the rows in `parts` of the trace, put together without gaps.
    fn place(&self, arguments: &Arguments, name: String, parts: &[Range<Span>], held_out: bool) -> Result<Place, Failure> {
        let mut scenario = self.scenario.clone();
        let lasting = parts.iter().map(|part| part.end.as_nanos().saturating_sub(part.start.as_nanos())).sum();
        // A run is as long as what it replays, as in `plimsoll replay`: what the scenario says is of arrivals that are drawn.
        let lasting = Span::from_nanos(lasting);
        scenario.run.duration = if says_duration(arguments) { scenario.run.duration.min(lasting) } else { lasting };
        let end = Time::ZERO + scenario.run.duration;
        let (stream, fault) = self.replay.stream(&self.survey);
        let rows: Vec<Recorded> = stream.open().filter_map(|row| within(&row, parts)).take_while(|row| row.at < end).collect();
        if let Some(error) = fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            return Err(Failure::Input(error.to_string()));
        }
        if rows.is_empty() {
            return Err(Failure::Input(format!("`{name}` has no request in its first {}", scenario.run.duration)));
        }
        let mut place = place(arguments, name, scenario);
        place.held_out = held_out;
        place.given = vec![(self.file.clone(), Rows::from(rows))];
        Ok(place)
    }
}

/// The row at its time in `parts` put together; `None` where it is in none.
fn within(row: &Recorded, parts: &[Range<Span>]) -> Option<Recorded> {
    let since = row.at - Time::ZERO;
    let mut before = 0;
    for part in parts {
        if part.contains(&since) {
            return Some(Recorded { at: Time::from_nanos(before + since.as_nanos() - part.start.as_nanos()), ..*row });
        }
        before += part.end.as_nanos().saturating_sub(part.start.as_nanos());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_two_points_is_a_stretch_only_where_nothing_has_it() {
        let asked = |traces: &[&str], also: &[&str], hold_out: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
            let text = "objective = 'goodput_rps'\nparameter = [{ path = 'a', range = [1, 2] }]";
            let mut settings: TuneSettings = toml::from_str(text).unwrap();
            (settings.traces, settings.also, settings.hold_out) = (own(traces), own(also), Some(own(hold_out)));
            stretch(&settings).map(ToOwned::to_owned)
        };
        assert_eq!(asked(&["a.csv"], &[], &["40m..50m"]).as_deref(), Some("40m..50m"));
        assert_eq!(asked(&["a..b.csv"], &[], &["a..b.csv"]), None);
        assert_eq!(asked(&["a.csv"], &["x..y.toml"], &["x..y.toml"]), None);
        assert_eq!(asked(&["a.csv", "b.csv"], &[], &["1m..2m"]), None, "of several traces whole ones are held out");
        assert_eq!(asked(&["a.csv"], &[], &["none"]), None);
    }

    #[test]
    fn parts_are_put_together_without_a_gap() {
        let secs = Span::from_secs;
        let parts = [secs(0)..secs(10), secs(15)..secs(20)];
        let at = |from: u64| {
            let row = Recorded { at: Time::ZERO + secs(from), ..Recorded::default() };
            within(&row, &parts).map(|row| row.at.as_nanos() / 1_000_000_000)
        };
        assert_eq!(
            [at(0), at(9), at(10), at(14), at(15), at(19), at(20)],
            [Some(0), Some(9), None, None, Some(10), Some(14), None]
        );
    }
}
