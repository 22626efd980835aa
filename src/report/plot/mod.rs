//! The plots: ways to look at a result or a log, each as SVG, as PNG and as the CSV of exactly what it shows.
//!
//! ```text
//! a struct of figures --> its plot() --> plotters --> Picture (shapes) --> SVG text   (light, and dark where it is wanted)
//!                              \                             \-----------> PNG bytes  (light)
//!                               \-> CSV
//! ```
//!
//! Each kind of plot is a struct of plain figures with its units documented, and a function `plot` that is pure: the same
//! figures give the same bytes. What is not finite is left out of the picture and stands in the CSV (empty, or `inf`); a plot
//! of nothing is an error of the caller. Colours have roles ([`dark_rules`]), points and curves have tooltips, long names are
//! shortened in the middle and whole in the tooltip.

mod arrivals;
mod axis;
mod backend;
mod burst;
mod cases;
mod cdf;
mod clock;
mod decimate;
mod fairness;
mod font;
mod goodput;
mod heatmap;
mod labels;
mod lengths;
mod outcomes;
mod palette;
mod panel;
mod pareto;
mod picture;
mod quantiles;
mod racing;
mod raster;
mod rejection;
mod residuals;
mod sensitivity;
mod sheet;
mod svg;
mod table;
mod ticks;

#[cfg(test)]
mod plot_tests;
#[cfg(test)]
mod samples;

use std::io;
use std::path::{Path, PathBuf};

use picture::Picture;

pub use arrivals::{Arrivals, Moment};
pub use burst::{Burst, Row, TimeSpan, Trace};
pub use cases::{Cases, Compared};
pub use cdf::{LatencyCdf, LatencyCdfs, LatencyPanel};
pub use fairness::{FairShare, Fairness};
pub use font::{REGULAR as FONT_REGULAR, SEMIBOLD as FONT_SEMIBOLD};
pub use goodput::{GoodputCurve, GoodputCurves, LoadPoint};
pub use heatmap::{Along, Heatmap, HeatmapCell, Values};
pub use lengths::{LengthCdf, LengthCdfs};
pub use outcomes::{OutcomePoint, OutcomeShares, Outcomes};
pub use palette::dark_rules;
pub use pareto::{ParetoFront, ParetoKind, ParetoPoint};
pub use quantiles::{QuantilePanel, Quantiles};
pub use racing::{Candidate, Fate, Racing};
pub use rejection::{Rejection, RejectionPoint};
pub use residuals::{Against, Residual, Residuals};
pub use sensitivity::{Sensitivity, SobolIndex, Swing};
pub use ticks::Unit;

use crate::files;

/// What every plot has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// Stem of its files: letters, digits, `-` and `_`.
    pub name: String,
    /// What the finding is about, above the plot.
    pub title: String,
    /// Below the plot: seed, replications, how intervals were made. May be empty.
    pub caption: String,
}

/// A figure with its 95 % confidence interval; `lo` and `hi` are not numbers where there is none.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate itself.
    pub mean: f64,
    /// Lower end of the interval.
    pub lo: f64,
    /// Upper end of the interval.
    pub hi: f64,
}

impl Estimate {
    /// A figure without an interval.
    #[must_use]
    pub fn exact(mean: f64) -> Self {
        Self { mean, lo: f64::NAN, hi: f64::NAN }
    }

    /// `mean (lo to hi)` for a tooltip.
    pub(in crate::report) fn text(self, unit: ticks::Unit) -> String {
        let mean = ticks::one(self.mean, unit);
        if self.lo.is_finite() && self.hi.is_finite() {
            format!("{mean} ({} to {})", ticks::one(self.lo, unit), ticks::one(self.hi, unit))
        } else {
            mean
        }
    }

    fn all(self) -> [f64; 3] {
        [self.mean, self.lo, self.hi]
    }
}

/// Why there is no plot.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// There is no finite figure to show.
    #[error("the plot `{name}` has nothing to show")]
    NoData {
        /// The plot.
        name: String,
    },
    /// Parts that belong together differ in number.
    #[error("the plot `{name}` needs {expected} {what}, but was given {found}")]
    Mismatch {
        /// The plot.
        name: String,
        /// What was counted.
        what: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Numbers along an axis must rise, each finite and once.
    #[error("the plot `{name}` needs {what} that rise")]
    Order {
        /// The plot.
        name: String,
        /// Which numbers.
        what: String,
    },
    /// The name cannot be that of a file everywhere.
    #[error("`{name}` is no name for a plot: use letters, digits, `-` and `_`")]
    Name {
        /// The name.
        name: String,
    },
    /// The PNG did not fit in memory.
    #[error("the plot `{name}` could not be made a PNG")]
    Png {
        /// The plot.
        name: String,
    },
    /// A file could not be written.
    #[error("`{}` could not be written: {why}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// How the names of a plot's files end: the picture, the same in pixels, and its numbers.
pub const PLOT_ENDINGS: [&str; 3] = ["svg", "png", "csv"];

/// A finished plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Stem of its files.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// The picture as one file: scales to any width, follows the reader's light or dark.
    pub svg: String,
    /// Exactly what is shown, units in the header.
    pub csv: String,
    picture: Picture,
}

impl Plot {
    fn new(head: &Head, picture: Picture, csv: String) -> Self {
        let svg = svg::document(&picture, &head.title);
        Self { name: head.name.clone(), title: head.title.clone(), svg, csv, picture }
    }

    /// The `<svg>` element alone, without style sheet: for a page that has [`dark_rules`] once for all its plots.
    #[must_use]
    pub fn inline(&self) -> String {
        svg::element(&self.picture, &self.title, "")
    }

    /// Width and height in pixels, at scale 1.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.picture.width, self.picture.height)
    }

    /// The picture as PNG on light paper, twice as large as [`Plot::size`]; needs no fonts of the machine.
    ///
    /// # Errors
    /// If it does not fit in memory.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        raster::png(&self.picture).ok_or_else(|| PlotError::Png { name: self.name.clone() })
    }

    /// Writes `NAME.svg`, `NAME.png` and `NAME.csv` into `folder`, which is made if need be; each whole or not at all. Returns
    /// their paths.
    ///
    /// # Errors
    /// If one of them cannot be made or written; the others may be there.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 3], PlotError> {
        let png = self.png()?;
        std::fs::create_dir_all(folder).map_err(|why| PlotError::Write { path: folder.to_owned(), why })?;
        let write = |ending: &str, bytes: &[u8]| {
            let path = folder.join(format!("{}.{ending}", self.name));
            files::write_whole(&path, bytes).map_err(|why| PlotError::Write { path: path.clone(), why })?;
            Ok(path)
        };
        let [picture, pixels, numbers] = PLOT_ENDINGS;
        Ok([write(picture, self.svg.as_bytes())?, write(pixels, &png)?, write(numbers, self.csv.as_bytes())?])
    }
}

impl Head {
    /// Makes sure that the name can be that of a file.
    fn check(&self) -> Result<(), PlotError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 120 || !self.name.chars().all(plain) {
            return Err(PlotError::Name { name: self.name.clone() });
        }
        Ok(())
    }

    fn no_data(&self) -> PlotError {
        PlotError::NoData { name: self.name.clone() }
    }

    /// Makes sure that there are as many as there must be.
    fn expect(&self, what: &'static str, expected: usize, found: usize) -> Result<(), PlotError> {
        if expected == found { Ok(()) } else { Err(PlotError::Mismatch { name: self.name.clone(), what, expected, found }) }
    }
}
