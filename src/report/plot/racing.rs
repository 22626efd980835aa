//! Plot 10: the history of a race. A bar per candidate, as long as the budget spent on it; the area is the whole budget.

use super::axis::Axis;
use super::palette::Ink;
use super::panel::{Axes, Panel, filled, lined};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Cell, Table};
use super::ticks::{self, Unit, one};
use super::{Head, Plot, PlotError};

/// Candidates up to this number have their names beside their bars.
const NAMED_MAX: usize = 40;

/// What became of a candidate.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is recommended.
    Chosen,
    /// It came into the final selection, and another was chosen there.
    Finalist,
    /// It was still in the race when that was stopped.
    Racing,
    /// It was dropped after its last rung.
    Dropped,
}

/// One candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its settings, in short.
    pub name: String,
    /// Budget spent on it in each rung that it took part in, in [`Racing::unit`].
    pub spent: Vec<f64>,
    /// What became of it.
    pub fate: Fate,
}

/// The history of a race.
#[derive(Clone, Debug, PartialEq)]
pub struct Racing {
    /// Name, title and caption.
    pub head: Head,
    /// Of the budget: `simulated requests`.
    pub unit: String,
    /// In any order.
    pub candidates: Vec<Candidate>,
}

/// Neighbours that went the same way, drawn as one.
struct Bar<'a> {
    first: usize,
    count: usize,
    like: &'a Candidate,
}

impl Racing {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or nothing was spent on any candidate.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let order = self.ordered();
        let most = order.iter().map(|candidate| candidate.total()).fold(0.0, f64::max);
        if most <= 0.0 {
            return Err(self.head.no_data());
        }
        let named = order.len() <= NAMED_MAX;
        let height = if named { 17.0 * order.len() as f64 + 60.0 } else { 460.0 };
        let head = Head { caption: self.caption(&order), ..self.head.clone() };
        let sheet = Sheet::new(&head, height.max(110.0), &self.keys());
        let rows = rows(&order, named);
        let axes = Axes {
            x: Axis::linear((0.0, most), 6, Unit::Number),
            y: rows,
            x_name: &format!("Budget spent [{}]", self.unit),
            y_name: if named { "" } else { "Candidates, by budget" },
            title: "",
            left: None,
            grid: (true, false),
        };
        let panel = sheet.panel(sheet.body, &axes);
        // The chosen one last, so that nothing covers it where bars are thin.
        for bar in bars(&order, named).iter().rev() {
            self.bar(&panel, bar);
        }
        Ok(sheet.finish(&head, self.table(&order)))
    }

    /// The one chosen first, then by the budget that they won.
    fn ordered(&self) -> Vec<&Candidate> {
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        let others = |candidate: &Candidate| candidate.fate != Fate::Chosen;
        order.sort_by(|a, b| others(a).cmp(&others(b)).then(b.total().total_cmp(&a.total())).then(a.fate.cmp(&b.fate)));
        order
    }

    fn keys(&self) -> Vec<Key> {
        let fates = [
            (Fate::Chosen, "chosen"),
            (Fate::Finalist, "finalist, not chosen"),
            (Fate::Racing, "still in the race at its end"),
            (Fate::Dropped, "dropped"),
        ];
        let met = fates.into_iter().filter(|(fate, _)| self.candidates.iter().any(|candidate| candidate.fate == *fate));
        met.map(|(fate, name)| Key::new(name, Swatch::Field(fate.ink()))).collect()
    }

    fn caption(&self, order: &[&Candidate]) -> String {
        let rungs = order.iter().map(|candidate| candidate.spent.len()).max().unwrap_or(0);
        let total: f64 = order.iter().map(|candidate| candidate.total()).sum();
        let said = format!(
            "{} candidates, {rungs} rungs (parted by light lines), {} {} in all.",
            order.len(),
            one(total, Unit::Number),
            self.unit
        );
        format!("{said} {}", self.head.caption).trim().to_owned()
    }

    fn bar(&self, panel: &Panel, bar: &Bar<'_>) {
        let Bar { first, count, like } = bar;
        let total = one(like.total(), Unit::Number);
        let who = if *count == 1 { like.name.clone() } else { format!("{count} candidates, each") };
        let fate = match like.fate {
            Fate::Dropped => format!("dropped after rung {}", like.spent.len()),
            other => other.name().to_owned(),
        };
        let ink = like.fate.ink();
        let named = self.candidates.len() <= NAMED_MAX;
        // A single bar among many is never thinner than three pixels.
        let least = 3.0 * self.candidates.len() as f64 / panel.inner().height;
        let first = *first as f64;
        let (top, bottom) = if named { (first - 0.36, first + 0.36) } else { (first, first + least.max(*count as f64)) };
        panel.hover(Some(format!("{who}\n{total} {}\n{fate}", self.unit)), |panel| {
            panel.rect((0.0, top), (like.total(), bottom), filled(ink, 1.0));
            let mut at = 0.0;
            for spent in like.finite().take(like.spent.len().saturating_sub(1)) {
                at += spent;
                panel.line(&[(at, top), (at, bottom)], lined(Ink::Paper, 1.0));
            }
        });
    }

    fn table(&self, order: &[&Candidate]) -> Table {
        let rungs = order.iter().map(|candidate| candidate.spent.len()).max().unwrap_or(0);
        let columns = (1..=rungs).map(|rung| format!("rung {rung} [{}]", self.unit));
        let header: Vec<String> = ["candidate", "fate"].map(ToOwned::to_owned).into_iter().chain(columns).collect();
        let mut table = Table::new(header.iter().map(String::as_str));
        for candidate in order {
            let spent = (0..rungs).map(|rung| Cell::from(candidate.spent.get(rung).copied().unwrap_or(f64::NAN)));
            table.row([Cell::from(&candidate.name), candidate.fate.name().into()].into_iter().chain(spent));
        }
        table
    }
}

impl Fate {
    const fn name(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Finalist => "finalist",
            Self::Racing => "in the race",
            Self::Dropped => "dropped",
        }
    }

    const fn ink(self) -> Ink {
        match self {
            Self::Chosen => Ink::Mark,
            Self::Finalist => Ink::Series(0),
            Self::Racing => Ink::Series(2),
            Self::Dropped => Ink::Pale,
        }
    }
}

impl Candidate {
    fn finite(&self) -> impl Iterator<Item = f64> {
        self.spent.iter().map(|spent| if spent.is_finite() { spent.max(0.0) } else { 0.0 })
    }

    fn total(&self) -> f64 {
        self.finite().sum()
    }
}

/// One bar each where they are named; otherwise neighbours of the same fate and budget as one.
fn bars<'a>(order: &[&'a Candidate], named: bool) -> Vec<Bar<'a>> {
    let mut bars: Vec<Bar<'a>> = Vec::new();
    for (i, candidate) in order.iter().enumerate() {
        match bars.last_mut() {
            Some(bar) if !named && alike(bar.like, candidate) => bar.count += 1,
            _ => bars.push(Bar { first: i, count: 1, like: candidate }),
        }
    }
    bars
}

fn alike(a: &Candidate, b: &Candidate) -> bool {
    a.spent == b.spent && a.fate == b.fate
}

/// A row for each name, or numbered rows where there are too many names.
fn rows(order: &[&Candidate], named: bool) -> Axis {
    if named {
        let labels: Vec<String> = order.iter().map(|candidate| candidate.name.clone()).collect();
        return Axis::choices(&labels, 230.0).reversed();
    }
    let count = order.len() as f64;
    let ticks = ticks::within(ticks::linear(0.0, count, 6), 0.0, count);
    Axis::snug((0.0, count), 6, Unit::Number).reversed().ticked(ticks)
}
