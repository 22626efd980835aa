//! A result's folder: the result as JSON and as text, the plots, and the page that is made from all of them.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Failure, files, report};
use crate::report::draw::{Drawn, Frame, Place, Slo, Swept};
use crate::report::plot::{PLOT_ENDINGS, PlotError};
use crate::scenario::{LoadOf, Scenario, Variant};
use crate::sim::Prepared;
use crate::time::Span;

/// The folder of the plots, in the result's.
pub const PLOTS: &str = "plots";
/// The page.
pub const PAGE: &str = "report.html";

/// Makes sure that a result can be written into `folder`, and over none of `inputs`, before any work is done for it.
///
/// # Errors
/// If something stands in the way.
pub fn check(folder: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    files::writable_folder(folder)?;
    let plots = folder.join(PLOTS);
    if plots.exists() && !plots.is_dir() {
        let why = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(Failure::Write { path: plots, why });
    }
    files::is_free(&folder.join(PAGE))?;
    files::RESULTS.iter().chain([&PAGE]).try_for_each(|name| files::spares(inputs, &folder.join(name)))
}

/// Writes the result, the plots and the page. `json` is one object; in its file it also says the program's version, the command
/// and which plots there are.
///
/// # Errors
/// If a file cannot be written; those before it are whole.
pub fn publish(folder: &Path, json: &str, text: &str, drawn: &Drawn, command: &str) -> Result<Vec<PathBuf>, Failure> {
    let [json_file, text_file] = files::RESULTS.map(|name| folder.join(name));
    remove_others(folder, drawn);
    files::write_whole(&json_file, &(signed(json, drawn, command) + "\n"))?;
    files::write_whole(&text_file, text)?;
    plots(folder, drawn)?;
    let page = report::write_page(folder)?;
    Ok(vec![page, text_file, json_file])
}

/// Removes the plots of an earlier result that this one does not have: nobody should take them for its own.
fn remove_others(folder: &Path, drawn: &Drawn) {
    for name in report::plots_of(folder).iter().filter(|name| drawn.plots.iter().all(|plot| plot.name != **name)) {
        for ending in PLOT_ENDINGS {
            // What is not there, or cannot be removed, is not of this result.
            let _ = std::fs::remove_file(folder.join(PLOTS).join(format!("{name}.{ending}")));
        }
    }
}

fn plots(folder: &Path, drawn: &Drawn) -> Result<(), Failure> {
    drawn.plots.iter().try_for_each(|plot| plot.write(&folder.join(PLOTS)).map(|_| ()).map_err(unwritten))
}

fn unwritten(error: PlotError) -> Failure {
    match error {
        PlotError::Write { path, why } => Failure::Write { path, why },
        other => Failure::Input(other.to_string()),
    }
}

/// `json` with what it was made by as its last members.
fn signed(json: &str, drawn: &Drawn, command: &str) -> String {
    let plots: Vec<&str> = drawn.plots.iter().map(|plot| plot.name.as_str()).collect();
    let made = json!({ "version": env!("CARGO_PKG_VERSION"), "command": command, "plots": plots, "left_out": drawn.left_out });
    let made = json!({ "made": made }).to_string();
    let open = json.trim_end().strip_suffix('}').expect("a result is a JSON object");
    format!("{open},{}", made.trim_start_matches('{'))
}

/// Where everything was written, for people.
pub fn told(files: &[PathBuf], drawn: &Drawn) -> String {
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    let plots: Vec<&str> = drawn.plots.iter().map(|plot| plot.name.as_str()).collect();
    let folder = files.first().and_then(|page| page.parent()).map_or(PathBuf::new(), |folder| folder.join(PLOTS));
    let plots = match &plots[..] {
        [] => String::new(),
        names => format!("Plots in {} (each as .svg, .png and .csv): {}\n", folder.display(), names.join(", ")),
    };
    format!("\nWritten: {}\n{plots}", names.join(", "))
}

/// What plots must know of a scenario; `names` are the result's variants.
pub fn frame<'a>(scenario: &'a Scenario, prepared: &Prepared, names: &[&str]) -> Frame<'a> {
    let capacity = prepared.capacity.as_ref().map(|capacity| {
        let of = if capacity.of == LoadOf::Slots { "the slots" } else { "the upstream" };
        (capacity.rps.mean, format!("load 1.0: a closed loop that fills {of}, without timeouts"))
    });
    let variant = |name: &&str| scenario.variants.iter().find(|variant| variant.name == **name);
    let places = names.iter().map(|name| variant(name).map_or_else(Place::default, |variant| place(scenario, variant)));
    let seconds = |span: Option<Span>| span.map(Span::as_secs_f64);
    let classes = &scenario.variants[scenario.baseline()].classes;
    let slos = classes.iter().map(|class| class.slo.unwrap_or_default());
    Frame {
        scenario: &scenario.name,
        seed: scenario.run.seed,
        capacity,
        variants: places.collect(),
        slos: slos.map(|slo| Slo { ttft_s: seconds(slo.ttft), e2e_s: seconds(slo.e2e) }).collect(),
    }
}

/// Where a variant stands in the scenario's sweep.
fn place(scenario: &Scenario, variant: &Variant) -> Place {
    let alone = Place { of: variant.name.clone(), at: None };
    let Some(sweep) = &scenario.file.sweep else { return alone };
    let Some((_, shown)) = variant.name.rsplit_once(" @ ") else { return alone };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    let part = || Swept::Part(shown.to_owned());
    let at = match sweep.path.as_str() {
        "arrival.load" => number(shown.strip_suffix(" %")).map_or_else(part, |percent| Swept::Load(percent / 100.0)),
        "arrival.rate" => number(shown.strip_prefix("rate=")).map_or_else(part, Swept::Rate),
        path if matches!(path.rsplit('.').next(), Some("load" | "rate")) => part(),
        // One variant at several values: the values are what is compared.
        _ if scenario.variants.iter().all(|other| other.of == variant.of) => return alone,
        _ => Swept::Other(shown.to_owned()),
    };
    Place { of: variant.of.clone(), at: Some(at) }
}
