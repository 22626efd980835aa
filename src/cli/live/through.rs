//! How a variant's requests go to the server: straight, or through a gateway of ours with the variant's policies.

use std::sync::Arc;

use tokio::time::timeout;

use super::super::Failure;
use crate::live::clock::duration;
use crate::live::drive::{Way, class_rules};
use crate::live::gateway::{Serve, Server, Wiring, Written};
use crate::live::http::{Listener, Network, Pool};
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
    /// A variant without policies needs no gateway.
    pub fn of(plan: &Plan) -> Self {
        if plan.policy == Settings::default() { Self::Server } else { Self::Gateway }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }

    /// Makes the way, on top of the straight one, inside the present runtime.
    pub fn enter(self, plan: &Plan, direct: &Arc<Way>, idle_timeout: Span) -> Result<Entered, Failure> {
        if self == Self::Server {
            return Ok(Entered { way: Arc::clone(direct), gateway: None });
        }
        let (network, accepted) = Network::new();
        let serve = Serve { idle_timeout, class: class_rules(&plan.workload.classes), ..Serve::default() };
        let wiring = Wiring {
            listener: Listener::Memory(accepted),
            pool: Arc::clone(&direct.pool),
            written: Written { policy: plan.policy.clone(), serve },
            seed: plan.seed,
            admin_token: None,
            journal: None,
        };
        let gateway = Server::start(wiring).map_err(|why| Failure::Input(why.to_string()))?;
        // The server's own path is the gateway's business.
        let target = "http://gateway".parse().expect("an address");
        let pool = Pool::in_memory(target, network);
        Ok(Entered { way: Arc::new(Way { pool, ..Way::clone(direct) }), gateway: Some(gateway) })
    }
}

/// A way, with the gateway on it if there is one.
pub(super) struct Entered {
    way: Arc<Way>,
    gateway: Option<Server>,
}

impl Entered {
    pub fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way)
    }

    /// Ends the gateway, which shows that it holds nothing any more. Calls that it lets run on without a client are waited for,
    /// for at most `limit`.
    pub async fn leave(self, limit: Span) -> Result<(), Failure> {
        let Self { way, gateway } = self;
        drop(way); // its connections with it
        let Some(gateway) = gateway else { return Ok(()) };
        gateway.drain();
        let ended = timeout(duration(limit), gateway.ended()).await;
        ended.map(drop).map_err(|_| {
            Failure::Invalid(format!(
                "{limit} after the step the server still works on calls that their clients have left\n  = `--settle` waits longer"
            ))
        })
    }
}
