//! `plimsoll report`: writes a result's page again from the files in its folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure, files, publish};
use crate::report::page::{Figure, Folder, page};

/// Longest result that is read, bytes: beyond what any command writes.
const BYTES_MAX: u64 = 256 << 20;

/// Write a result's page again from its folder: `result.json`, `result.txt` and `plots/`
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The folder that `simulate`, `capacity`, `tune`, `replay` or `calibrate` wrote with `--out`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Reads the folder, and writes the page.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let page = write_page(&arguments.folder)?;
    writeln!(out, "Written: {}", page.display())?;
    Ok(Exit::Done)
}

/// Makes the page of a result from its folder's files alone. Returns its path.
///
/// # Errors
/// If the folder holds no result, or the page cannot be written.
pub fn write_page(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(publish::PAGE);
    let html = page(&read(folder)?);
    files::is_free(&path)?;
    files::write_whole(&path, &html)?;
    Ok(path)
}

fn read(folder: &Path) -> Result<Folder, Failure> {
    let [json_file, text_file] = files::RESULTS.map(|name| folder.join(name));
    let json = text_of(&json_file)?;
    let text = text_of(&text_file)?;
    let foreign = |why: String| {
        let shown = json_file.display();
        Failure::Input(format!(
            "`{shown}` is no result that a page can be made from: {why}\n  = name a folder that `simulate`, `capacity`, `tune`, \
             `replay` or `calibrate` wrote with `--out`"
        ))
    };
    let mut found = Folder::read(&json, text).map_err(|why| foreign(why.to_string()))?;
    let plots = folder.join(publish::PLOTS);
    for name in found.plots() {
        let file = |ending: &str| text_of(&plots.join(format!("{name}.{ending}")));
        let (svg, csv) = (file("svg")?, file("csv")?);
        let figure = Figure::read(&name, &svg, csv).map_err(|why| {
            let shown = plots.join(format!("{name}.svg"));
            Failure::Input(format!("`{}` is no plot of this program: {why}\n  = run the command again", shown.display()))
        })?;
        found.figures.push(figure);
    }
    Ok(found)
}

/// The names of the plots of the result in `folder`; none where there is no result.
pub fn plots_of(folder: &Path) -> Vec<String> {
    let json = text_of(&folder.join(files::RESULTS[0])).unwrap_or_default();
    Folder::read(&json, String::new()).map_or(Vec::new(), |found| found.plots())
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let cannot = |why: String| {
        Failure::Input(format!(
            "cannot read `{}`: {why}\n  = name a folder that `simulate`, `capacity`, `tune`, `replay` or `calibrate` wrote with `--out`, with all its \
             files",
            path.display()
        ))
    };
    let length = std::fs::metadata(path).map_err(|why| cannot(why.to_string()))?.len();
    if length > BYTES_MAX {
        return Err(cannot(format!("it has more than {BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path).map_err(|why| cannot(why.to_string()))
}
