//! The embedded node keeps the contracts of both seams: with a channel to the payee, and with a
//! stranger in between who is paid for it.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use tollway_ldk::{Devnet, DevnetConfig, EmbeddedNode};

/// The ends of a line.
struct Ends {
    devnet: Devnet,
    fee: Msat,
}

async fn ends(nodes: usize, fee: Msat) -> Ends {
    let config = DevnetConfig { nodes, ..DevnetConfig::default() };
    Ends { devnet: Devnet::start(config).await.unwrap(), fee }
}

impl Ends {
    fn last(&self) -> &Arc<EmbeddedNode> {
        &self.devnet.nodes().last().unwrap().node
    }
}

#[async_trait]
impl Fixture for Ends {
    fn payer(&self) -> Arc<dyn Payer> {
        Arc::clone(&self.devnet.nodes()[0].node) as _
    }

    fn invoicer(&self) -> Arc<dyn Invoicer> {
        Arc::clone(self.last()) as _
    }

    async fn received(&self) -> Msat {
        self.last().received().unwrap().1
    }

    fn routing_fee(&self) -> Msat {
        self.fee
    }
}

mod neighbours {
    async fn pair() -> super::Ends {
        super::ends(2, l402::Msat::ZERO).await
    }

    testkit::payer_contract!(pair);
    testkit::invoicer_contract!(pair);
}

mod with_one_between {
    async fn three() -> super::Ends {
        super::ends(3, l402::Msat::from_msat(1_000)).await
    }

    testkit::payer_contract!(three);
}
