//! How one server is, for those who look after it.

use std::sync::Arc;

use super::Upstream;
use super::server::Server;

/// One server of an upstream, seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    server: Arc<Server>,
    /// After how many failures in a row it is not well.
    after: u32,
}

/// What is told of the servers of one name: an upstream may name one twice, to have it asked more often.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) server: String,
    /// Whether it answers, as far as is known.
    pub(crate) healthy: bool,
    /// Requests that it did not answer.
    pub(crate) failures: u64,
    /// How often it was left alone for a while.
    pub(crate) ejections: u64,
}

impl Upstream {
    /// Each of the servers, in their order.
    pub(crate) fn standings(&self) -> impl Iterator<Item = Standing> {
        let after = self.ejection.after;
        self.servers.iter().map(move |server| Standing { server: Arc::clone(server), after })
    }

    /// What is told of each of them, each name once.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let mut all: Vec<Condition> = Vec::new();
        for one in self.standings() {
            match all.iter_mut().find(|known| known.server == one.name()) {
                Some(known) => {
                    known.healthy |= one.is_well();
                    known.failures += one.failures();
                    known.ejections += one.ejections();
                }
                None => all.push(Condition {
                    server: one.name().to_owned(),
                    healthy: one.is_well(),
                    failures: one.failures(),
                    ejections: one.ejections(),
                }),
            }
        }
        all
    }
}

impl Standing {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.server.name()
    }

    /// Whether requests are sent there, where there is a choice.
    pub(crate) fn is_good(&self) -> bool {
        self.server.health.is_good()
    }

    /// Whether requests are answered there, as far as is known.
    pub(crate) fn is_well(&self) -> bool {
        self.server.health.is_well(self.after)
    }

    /// How many requests it did not answer.
    pub(crate) fn failures(&self) -> u64 {
        self.server.health.all_failures()
    }

    /// How often it was left alone.
    pub(crate) fn ejections(&self) -> u64 {
        self.server.health.ejections()
    }

    /// How many requests are under way there, where they are counted.
    pub(crate) fn in_flight(&self) -> usize {
        self.server.health.in_flight()
    }

    /// Connects to it, and nothing more: no request is sent that nobody has paid for.
    pub(crate) async fn reach(&self) -> bool {
        self.server.reach().await
    }
}
