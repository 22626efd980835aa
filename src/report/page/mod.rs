//! One self-contained HTML page from the files of a result's folder: the verdict first, then figures, plots, definitions.
//!
//! ```text
//! result.json --> what was run, tables          \
//! result.txt  --> the verdict, everything else   >-- page() --> report.html
//! plots/*.svg, *.csv --> pictures, their data   /
//! ```
//!
//! The page brings its style, script and typeface along and may fetch nothing (a content security policy says so to the browser
//! too). Without the script everything can be read; with it, values show under the pointer or finger. It stays under
//! [`BYTES_MAX`]: pictures that do not fit are linked instead, in the order of their files.

mod calibration;
mod figure;
mod html;
mod section;
mod tables;
mod words;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::plot::{FONT_REGULAR, FONT_SEMIBOLD, dark_rules};
use html::{base64, escaped};

pub use figure::{Figure, Foreign};

/// Largest page, bytes.
pub const BYTES_MAX: usize = 1_950_000;
/// Most of the text report that a page shows, bytes.
const TEXT_MAX: usize = 200_000;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("hover.js");

/// What kind of result it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of `simulate`.
    Run,
    /// Of `live`.
    Live,
    /// Of `capacity`.
    Capacity,
    /// Of `tune`.
    Tune,
    /// Of `calibrate`.
    Calibration,
}

/// Why a folder's result makes no page.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Not JSON.
    #[error("it is no JSON ({0})")]
    Json(serde_json::Error),
    /// Not one of ours.
    #[error(
        "its `schema` is {0}, and none of \"plimsoll.run/1\", \"plimsoll.capacity/1\", \"plimsoll.tune/1\" and \"plimsoll.calibration/1\""
    )]
    Schema(String),
    /// Written to standard output, not by `--out`.
    #[error("it does not say by which command it was made (`made`)")]
    Made,
    /// A plot's name that is no name.
    #[error("it names a plot {0}: letters, digits, `-` and `_` make a name")]
    Plot(String),
}

/// A result's folder, read.
#[derive(Clone, Debug)]
pub struct Folder {
    kind: Kind,
    json: Value,
    text: String,
    plots: Vec<String>,
    /// The pictures, in the order of [`Folder::plots`].
    pub figures: Vec<Figure>,
}

impl Folder {
    /// Takes `result.json` and `result.txt`; the figures are still to come.
    ///
    /// # Errors
    /// If the JSON is no result of a command that makes pages.
    pub fn read(json: &str, text: String) -> Result<Self, Unfit> {
        let json: Value = serde_json::from_str(json).map_err(Unfit::Json)?;
        let kind = match json["schema"].as_str() {
            Some("plimsoll.run/1") if json["live"].is_object() => Kind::Live,
            Some("plimsoll.run/1") => Kind::Run,
            Some("plimsoll.capacity/1") => Kind::Capacity,
            Some("plimsoll.tune/1") => Kind::Tune,
            Some("plimsoll.calibration/1") => Kind::Calibration,
            _ => return Err(Unfit::Schema(json["schema"].to_string())),
        };
        if !json["made"].is_object() {
            return Err(Unfit::Made);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name = |plot: &Value| match plot.as_str() {
            Some(name) if !name.is_empty() && name.chars().all(plain) => Ok(name.to_owned()),
            _ => Err(Unfit::Plot(plot.to_string())),
        };
        let plots = json["made"]["plots"].as_array().into_iter().flatten().map(name).collect::<Result<_, _>>()?;
        Ok(Self { kind, json, text, plots, figures: Vec::new() })
    }

    /// The names of its plots, in order.
    #[must_use]
    pub fn plots(&self) -> Vec<String> {
        self.plots.clone()
    }
}

/// The page.
#[must_use]
pub fn page(folder: &Folder) -> String {
    let before = [opening(folder), section::head(folder), section::verdict(folder), tables::section(folder)].concat();
    let after = [
        section::text(folder, TEXT_MAX),
        words::section(folder.kind),
        section::made(folder),
        format!("</main><div id=\"tip\" role=\"status\"></div><script nonce=\"plimsoll\">{SCRIPT}</script></body></html>\n"),
    ]
    .concat();
    let room = BYTES_MAX.saturating_sub(before.len() + after.len());
    [before, section::figures(folder, room), after].concat()
}

fn opening(folder: &Folder) -> String {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; script-src 'nonce-plimsoll'; base-uri 'none'; \
                  form-action 'none'";
    let face = |weight: u32, font: &[u8]| {
        format!("@font-face{{font-family:Inter;font-weight:{weight};src:url(data:font/ttf;base64,{})}}", base64(font))
    };
    let dark = dark_rules(".plimsoll-plot");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · {}</title><style>{}{}{STYLE}@media screen and \
         (prefers-color-scheme:dark){{{dark}}}</style></head><body>",
        escaped(folder.scenario()),
        folder.kind.title(),
        face(400, FONT_REGULAR),
        face(600, FONT_SEMIBOLD),
    )
}

impl Folder {
    /// What it is a result of: a scenario, or the logs of a calibration.
    fn scenario(&self) -> &str {
        let name = if self.kind == Kind::Calibration { "logs" } else { "scenario" };
        self.json[name].as_str().unwrap_or("a scenario")
    }
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Run => "simulation",
            Self::Live => "live run",
            Self::Capacity => "load line",
            Self::Tune => "tuning",
            Self::Calibration => "calibration",
        }
    }
}
