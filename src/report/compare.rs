//! Measured beside simulated, for a scenario that replays a measured run.

use super::format::{NONE, duration, left, number, percent, points, right, tenths};
use crate::journal::summary::VariantSummary;

/// The figures by which a simulated run is held against a measured one. What is not known is `None`.
#[derive(Copy, Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Figures {
    /// Complete answers over requests offered.
    pub completed_share: Option<f64>,
    /// Prompt tokens computed for requests that came to nothing, over all prompt tokens computed.
    pub wasted_prefill_share: Option<f64>,
    /// Complete answers a second.
    pub completed_rps: Option<f64>,
    /// Median time to first token, seconds.
    pub ttft_p50_s: Option<f64>,
    /// 90th percentile of the time to first token, seconds.
    pub ttft_p90_s: Option<f64>,
    /// Median end-to-end latency, seconds.
    pub e2e_p50_s: Option<f64>,
    /// 90th percentile of the end-to-end latency, seconds.
    pub e2e_p90_s: Option<f64>,
}

impl Figures {
    /// Those of a simulated variant. A summary does not keep prefill and decode apart: whoever counted sets the wasted share.
    #[must_use]
    pub fn of(variant: &VariantSummary) -> Self {
        let (counts, metrics) = (&variant.counts, &variant.metrics);
        Self {
            completed_share: counts.share(counts.completed()),
            wasted_prefill_share: None,
            completed_rps: (variant.window_s > 0.0).then(|| counts.completed() as f64 / variant.window_s),
            ttft_p50_s: metrics.ttft.p50,
            ttft_p90_s: metrics.ttft.p90,
            e2e_p50_s: metrics.e2e.p50,
            e2e_p90_s: metrics.e2e.p90,
        }
    }
}

/// How a figure is written.
#[derive(Copy, Clone)]
enum Form {
    Share,
    Rate,
    Duration,
}

/// One of the figures.
type Of = fn(&Figures) -> Option<f64>;

/// The figures side by side, with the simulated ones' difference: shares in points, the rest in percent of the measured one.
/// What neither side knows is left out.
#[must_use]
pub fn compare(measured: &Figures, simulated: &Figures) -> String {
    let rows: [(&str, Form, Of); 7] = [
        ("completed of offered", Form::Share, |figures| figures.completed_share),
        ("prefill wasted", Form::Share, |figures| figures.wasted_prefill_share),
        ("completed, requests/s", Form::Rate, |figures| figures.completed_rps),
        ("TTFT p50", Form::Duration, |figures| figures.ttft_p50_s),
        ("TTFT p90", Form::Duration, |figures| figures.ttft_p90_s),
        ("e2e p50", Form::Duration, |figures| figures.e2e_p50_s),
        ("e2e p90", Form::Duration, |figures| figures.e2e_p90_s),
    ];
    let mut text = row("", ["measured", "simulated", "difference"].map(str::to_owned));
    for (name, form, of) in rows {
        let (real, model) = (of(measured), of(simulated));
        if real.is_some() || model.is_some() {
            text += &row(name, [form.text(real), form.text(model), form.difference(real, model)]);
        }
    }
    text
}

impl Form {
    fn text(self, figure: Option<f64>) -> String {
        let form = match self {
            Self::Share => percent,
            Self::Rate => number,
            Self::Duration => duration,
        };
        figure.map_or(NONE.to_owned(), form)
    }

    fn difference(self, measured: Option<f64>, simulated: Option<f64>) -> String {
        let (Some(measured), Some(simulated)) = (measured, simulated) else { return NONE.to_owned() };
        if matches!(self, Self::Share) {
            return points(simulated - measured);
        }
        if measured <= 0.0 {
            return NONE.to_owned();
        }
        let percent = tenths(100.0 * (simulated / measured - 1.0));
        format!("{}{percent} %", if percent.starts_with('-') { "" } else { "+" })
    }
}

fn row(name: &str, [measured, simulated, difference]: [String; 3]) -> String {
    let cells = format!("{}{}{}", right(&measured, 12), right(&simulated, 12), right(&difference, 15));
    format!("{}{cells}\n", left(name, 24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::summary::fixtures::{full_class, tally};
    use crate::journal::summary::{Context, summarise};

    #[test]
    fn measured_stands_beside_simulated() {
        let measured = Figures {
            completed_share: Some(0.659),
            wasted_prefill_share: Some(0.25),
            completed_rps: Some(5.73),
            ttft_p50_s: Some(7.64),
            ttft_p90_s: None,
            e2e_p50_s: Some(9.7),
            e2e_p90_s: None,
        };
        let simulated = Figures {
            completed_share: Some(0.668),
            wasted_prefill_share: None,
            completed_rps: Some(5.81),
            ttft_p50_s: Some(7.65),
            ttft_p90_s: None,
            e2e_p50_s: Some(9.0),
            e2e_p90_s: Some(12.0),
        };
        let expected = concat!(
            "                            measured   simulated     difference\n",
            "completed of offered          65.9 %      66.8 %   +0.90 points\n",
            "prefill wasted                25.0 %           -              -\n",
            "completed, requests/s           5.73        5.81         +1.4 %\n",
            "TTFT p50                      7.64 s      7.65 s         +0.1 %\n",
            "e2e p50                       9.70 s      9.00 s         -7.2 %\n",
            "e2e p90                            -      12.0 s              -\n",
        );
        assert_eq!(compare(&measured, &simulated), expected);
    }

    #[test]
    fn a_variants_own_figures() {
        let context = Context { classes: vec!["chat".into()], ..Context::default() };
        let runs = [tally(vec![full_class()], 1), tally(vec![full_class()], 2)];
        let figures = Figures::of(&summarise(&[("only", &runs)], &context).variants[0]);
        assert_eq!((figures.completed_share, figures.completed_rps), (Some(0.55), Some(5.5)));
        assert!((figures.e2e_p50_s.unwrap() - 4.55).abs() < 0.01, "{figures:?}");
    }
}
