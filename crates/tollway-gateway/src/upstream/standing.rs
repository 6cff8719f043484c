//! How one server is, for those who look after it.

use std::sync::Arc;

use super::Upstream;
use super::server::Server;

/// One server of an upstream, seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Standing(Arc<Server>);

impl Upstream {
    /// Each of the servers, in their order.
    pub(crate) fn standings(&self) -> impl Iterator<Item = Standing> {
        self.servers.iter().map(|server| Standing(Arc::clone(server)))
    }
}

impl Standing {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    /// Whether requests are sent there, where there is a choice.
    pub(crate) fn is_good(&self) -> bool {
        self.0.health.is_good()
    }

    /// How many requests are under way there, where they are counted.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.health.in_flight()
    }

    /// Connects to it, and nothing more: no request is sent that nobody has paid for.
    pub(crate) async fn reach(&self) -> bool {
        self.0.reach().await
    }
}
