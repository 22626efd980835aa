//! How a variant's requests go to the server.

use std::sync::Arc;

use super::super::Failure;
use crate::live::drive::Way;
use crate::policy::Settings;
use crate::sim::Plan;
use crate::time::Span;

/// The way of a variant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// Straight at the server.
    Server,
    /// Through a gateway inside this process.
    Gateway,
}

impl Through {
    pub fn of(plan: &Plan) -> Self {
        if plan.policy == Settings::default() { Self::Server } else { Self::Gateway }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }

    pub async fn enter(self, _plan: &Plan, direct: &Arc<Way>, _idle_timeout: Span) -> Result<Entered, Failure> {
        if self == Self::Gateway {
            return Err(Failure::Input("no gateway yet".to_owned()));
        }
        Ok(Entered { way: Arc::clone(direct) })
    }
}

pub(super) struct Entered {
    way: Arc<Way>,
}

impl Entered {
    pub fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way)
    }

    pub async fn leave(self) {}
}
