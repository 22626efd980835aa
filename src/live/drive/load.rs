//! Which requests are sent: those of one replication of the simulator.

use std::sync::Arc;

use super::body::length;
use crate::journal::Window;
use crate::request::Request;
use crate::rng::Streams;
use crate::sim::Plan;
use crate::workload::{Source, SourceSettings};

/// Requests that are looked at before anything is sent: a closed loop never runs out of them.
const LOOK_MAX: usize = 200_000;

/// A replication of a workload.
#[derive(Clone, Debug)]
pub struct Load {
    /// Who sends.
    pub workload: Arc<SourceSettings>,
    /// What is measured.
    pub window: Window,
    /// Seed of all randomness.
    pub seed: u64,
    /// Which replication.
    pub replication: u32,
}

/// A request that no answer of the model can be to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a request of class `{class}` has a prompt of {input_tokens} tokens and an answer of {output_tokens}, together more than the \
     {max_model_len} that `{model}` takes"
)]
pub struct Misfit {
    /// Its class.
    pub class: String,
    /// Its prompt, tokens.
    pub input_tokens: u32,
    /// Its answer, tokens.
    pub output_tokens: u32,
    /// The longest that prompt and answer may be together, tokens.
    pub max_model_len: u32,
    /// The model.
    pub model: String,
}

impl Load {
    /// Replication `replication` of a plan.
    #[must_use]
    pub fn of(plan: &Plan, replication: u32) -> Self {
        Self { workload: Arc::clone(&plan.workload), window: plan.window, seed: plan.seed, replication }
    }

    /// The requests, from the first on.
    pub(super) fn source(&self) -> Source {
        Source::new(&self.workload, Streams::new(self.seed, self.replication))
    }

    /// The name of a request's class.
    pub(super) fn class_of(&self, request: &Request) -> &str {
        &self.workload.classes[request.class.index()].name
    }
}

/// The first request that does not fit into a model's context, of those that can be known before: a closed loop's as they would
/// come if each were over at once.
#[must_use]
pub fn first_misfit(load: &Load, model: &str, max_model_len: u32) -> Option<Misfit> {
    let mut source = load.source();
    for _ in 0..LOOK_MAX {
        source.next_arrival()?;
        let request = source.take();
        source.finished(request.arrival, request.id, request.arrival);
        if u64::from(request.input_tokens) + u64::from(length(&request)) > u64::from(max_model_len) {
            return Some(Misfit {
                class: load.class_of(&request).to_owned(),
                input_tokens: request.input_tokens,
                output_tokens: length(&request),
                max_model_len,
                model: model.to_owned(),
            });
        }
    }
    None
}
