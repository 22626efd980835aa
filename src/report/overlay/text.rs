//! The comparison in words and tables.

use super::{Compared, Figure, Grade, Overlaid, Overlay};
use crate::report::format::{NONE, duration, left, percent, points, right, tenths, wrap};

const RULE: &str = "The grade: A if every figure passes, B if only latencies fail, C if a share fails or the order of variants. A share \
    passes within 5 points, a latency within 20 %; near the critical load (where one percent of speed moves the time to first token \
    by 3 % or more, or the share of good requests by a point) also inside the band, which holds 95 % of the speeds that the machine may have. The order counts where the \
    interval of the simulated difference, over those speeds, excludes 0. At its pace: as simulated at the one speed at which the median \
    TPOT is the live one. That is taken from the run itself and grades nothing: it tells drift of the machine from faults of the model.";

impl Overlay {
    /// The grade in a sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let failed: Vec<String> = self.variants.iter().filter_map(Overlaid::failures).collect();
        let said = match self.grade {
            Grade::A if self.ranking.told_apart == 0 => "every figure came as simulated".to_owned(),
            Grade::A => "every figure and the order of variants came as simulated".to_owned(),
            Grade::B => format!("shares came as simulated, latencies did not: {}", failed.join("; ")),
            Grade::C if failed.is_empty() => "the order of variants is another one live".to_owned(),
            Grade::C => failed.join("; "),
        };
        wrap(&format!("Simulated against live: grade {:?}: {said}.", self.grade)) + "\n"
    }

    /// Everything: a table for each variant, the ranking, the rule.
    #[must_use]
    pub fn text(&self) -> String {
        let tables: String = self.variants.iter().map(|variant| variant.table(self.speeds) + "\n").collect();
        format!("{}\n{tables}{}\n{}\n", self.verdict(), self.ranking_text(), wrap(RULE))
    }

    fn ranking_text(&self) -> String {
        let ranking = &self.ranking;
        if ranking.live.len() < 2 {
            return String::new();
        }
        let orders = format!(
            "By goodput, live:      {}\nBy goodput, simulated: {}\n",
            ranking.live.join(" > "),
            ranking.simulated.join(" > ")
        );
        let said = match (ranking.told_apart, ranking.swaps.len()) {
            (0, _) if self.speeds < 2 => {
                wrap("The order is not judged: the model has one speed and no spread, so that no difference has an interval.")
                    + "\n"
            }
            (0, _) => "The simulation tells no two of them apart: no order is expected live.\n".to_owned(),
            (pairs, 0) => format!("All pairs that the simulation tells apart ({pairs}) have the same order live.\n"),
            (pairs, swaps) => {
                let each =
                    ranking.swaps.iter().map(|swap| format!("live {} beats {}", swap.live_better, swap.simulated_better));
                let each = each.collect::<Vec<_>>().join(", ");
                wrap(&format!("{swaps} of {pairs} pairs that the simulation tells apart have the other order: {each}.")) + "\n"
            }
        };
        orders + &said
    }
}

impl Overlaid {
    /// What does not pass, if anything.
    fn failures(&self) -> Option<String> {
        let failed: Vec<String> = self
            .rows
            .iter()
            .filter(|row| row.passes == Some(false))
            .map(|row| format!("{} {}", row.figure.name(), row.error_text()))
            .collect();
        (!failed.is_empty()).then(|| format!("{} ({})", self.variant, failed.join(", ")))
    }

    fn table(&self, speeds: u32) -> String {
        let near = match self.amplification {
            Some(times) if self.near_critical => format!(
                ": near critical, one percent of speed moves the time to first token by {} % and good requests by {}",
                tenths(times),
                points(self.swing.unwrap_or(0.0))
            ),
            _ => String::new(),
        };
        let band = if speeds > 1 { "95 % of speeds" } else { "" };
        let pace = if self.pace.is_some() { "at its pace" } else { "" };
        let heading = line("metric", ["simulated", "live", "error"].map(str::to_owned), [band, pace], "");
        let rows = self.rows.iter().map(Compared::line);
        let rows: String = std::iter::once(heading).chain(rows).collect();
        let pace = self.pace.map_or(String::new(), |pace| {
            format!("{} its tokens came at {} of the model's speed", if near.is_empty() { ":" } else { ";" }, percent(pace))
        });
        format!("{}\n{rows}", wrap(&format!("{}{near}{pace}", self.variant)))
    }
}

impl Compared {
    fn line(&self) -> String {
        let form = |value: f64| if self.figure.is_share() { percent(value) } else { duration(value) };
        let shown = |value: Option<f64>| value.map_or(NONE.to_owned(), form);
        let band = self.band.map_or(String::new(), |[lo, hi]| format!("{} to {}", form(lo), form(hi)));
        let inside = match self.within_band {
            Some(true) => "within",
            Some(false) => "outside",
            None => "",
        };
        let passes = if self.passes == Some(false) { "  fails" } else { "" };
        let cells = [shown(self.simulated), shown(self.live), self.error_text()];
        let pace = self.at_pace.map_or(String::new(), form);
        line(Figure::name(self.figure), cells, [&band, &pace], &format!("{inside}{passes}"))
    }

    fn error_text(&self) -> String {
        self.error.map_or(NONE.to_owned(), |error| {
            if self.figure.is_share() {
                return points(error);
            }
            let percent = tenths(100.0 * error);
            format!("{}{percent} %", if percent.starts_with('-') { "" } else { "+" })
        })
    }
}

fn line(name: &str, [simulated, live, error]: [String; 3], [band, pace]: [&str; 2], end: &str) -> String {
    let cells = format!("{}{}{}", right(&simulated, 11), right(&live, 11), right(&error, 15));
    let paced = if pace.is_empty() { String::new() } else { right(pace, 13) };
    format!("  {}{cells}{}{paced}  {end}", left(name, 22), right(band, 22)).trim_end().to_owned() + "\n"
}
