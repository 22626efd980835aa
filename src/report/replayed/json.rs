//! A replay as one JSON object: the envelope of any run, and `replay` beside it.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Replayed, recorded_columns};
use crate::latency::Latency;
use crate::replay::{Measured, Side, Window};
use crate::report::Envelope;

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    envelope: Envelope,
    replay: Value,
}

impl Replayed<'_> {
    /// One line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let whole = Whole { envelope: Envelope::new(self.scenario, self.seed, None, self.summary), replay: self.own() };
        serde_json::to_string(&whole).expect("names and finite numbers only")
    }

    fn own(&self) -> Value {
        let survey = self.survey;
        json!({
            "log": {
                "file": survey.head.file,
                "format": survey.head.format.name(),
                "recognised_by": survey.head.recognised_by,
                "notes": survey.head.notes,
                "accounts": survey.accounts.json(),
                "without_lengths": survey.without_lengths,
                "replayed": survey.replayed,
                "began_unix_ns": survey.began_unix_ns().map(|ns| ns.to_string()),
                "span_s": survey.lasting().as_secs_f64(),
            },
            "world": self.scenario,
            "world_assumed": self.assumed,
            "clients": self.clients.name(),
            "drawn": self.chances,
            "recorded": self.measured.map(recorded),
            "windows": self.windows.iter().map(|window| self.window_json(window)).collect::<Vec<_>>(),
        })
    }

    fn window_json(&self, window: &Window) -> Value {
        let side =
            |side: &Side| json!({ "of": side.name, "good": side.good, "answered": side.answered, "e2e_mean_s": side.e2e_s });
        json!({
            "from_s": window.from.as_secs_f64(),
            "to_s": window.to.as_secs_f64(),
            "from": self.survey.began_unix_ns().map(|_| self.at(window.from)),
            "offered": window.offered,
            "differs_by": window.differs_by(),
            "sides": window.sides.iter().map(side).collect::<Vec<_>>(),
        })
    }
}

fn recorded(measured: &Measured) -> Value {
    let counts: serde_json::Map<String, Value> =
        recorded_columns(measured).iter().map(|(name, n)| (name.replace(' ', "_"), (*n).into())).collect();
    json!({
        "offered": measured.outcomes.offered,
        "counts": counts,
        "unjudged": measured.unjudged,
        "ttft_s": quantiles(&measured.ttft),
        "e2e_s": quantiles(&measured.e2e),
    })
}

fn quantiles(latency: &Latency) -> Value {
    let of = |q: f64| latency.quantile_s(q);
    json!({ "count": latency.count(), "p50": of(0.5), "p90": of(0.9), "p99": of(0.99) })
}
