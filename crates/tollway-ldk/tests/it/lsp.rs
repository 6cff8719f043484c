//! A seller without a channel and without money is paid, by way of a liquidity provider.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use l402::{Invoicer, Msat, Network, NodeErrorKind, Outcome, Payer, Sat};
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;
use tollway_ldk::chain::Simulated;
use tollway_ldk::{Config, EmbeddedNode, Lsp, LspOffer};

use crate::line::{PATIENCE, invoice, log, pay, reopen, settled, until};

const OFFER: LspOffer = LspOffer {
    min_fee: Msat::from_msat(2_000_000),
    fee_ppm: 10_000,
    min_payment: Msat::from_msat(10_000_000),
    max_payment: Msat::from_msat(1_000_000_000),
};
const FIRST: u64 = 50_000_000;
const PRICE: u64 = 2_000_000;

/// A buyer with a channel to the provider, and a seller with nothing.
struct Market {
    chain: Simulated,
    folder: TempDir,
    buyer: EmbeddedNode,
    provider: EmbeddedNode,
    _miner: AbortOnDropHandle<()>,
}

impl Market {
    async fn open() -> Self {
        log();
        let chain = Simulated::in_memory();
        let folder = tempfile::tempdir().unwrap();
        let config = |name: &str| Config {
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            ..Config::new(folder.path().join(name), Network::Regtest, Arc::new(chain.clone()))
        };
        let buyer = EmbeddedNode::open(config("buyer")).await.unwrap();
        let provider = Config { lsp_offer: Some(OFFER), ..config("provider") };
        let provider = EmbeddedNode::open(provider).await.unwrap();
        let coins = [&buyer, &provider].into_iter().flat_map(|node| {
            [400_000, 400_000, 3_000_000].map(|sat| {
                (node.new_onchain_address().unwrap().script_pubkey(), Sat::from_sat(sat))
            })
        });
        chain.pay(&coins.collect::<Vec<_>>()).unwrap();
        let mining = chain.clone();
        let miner = tokio::spawn(async move {
            let Err(error) = mining.mine_when_needed(Duration::from_millis(20), 1).await;
            panic!("{error}");
        });
        until(async || buyer.balance().onchain.confirmed.sat() > 3_000_000).await;
        let address = provider.address().unwrap().to_string();
        buyer.connect(provider.node_id(), &address, PATIENCE).await.unwrap();
        buyer.open_channel(provider.node_id(), Sat::from_sat(2_000_000), Msat::ZERO).unwrap();
        until(async || buyer.channels().iter().any(|channel| channel.usable)).await;
        Self { chain, folder, buyer, provider, _miner: AbortOnDropHandle::new(miner) }
    }

    fn lsp(&self) -> Lsp {
        Lsp {
            id: self.provider.node_id(),
            address: self.provider.address().unwrap().to_string(),
            token: None,
            max_fee: Lsp::MAX_FEE,
            max_fee_ppm: Lsp::MAX_FEE_PPM,
        }
    }

    async fn seller(&self, lsp: Lsp) -> EmbeddedNode {
        let config = || {
            let chain = Arc::new(self.chain.clone());
            let folder = self.folder.path().join("seller");
            Config { lsp: Some(lsp.clone()), ..Config::new(folder, Network::Regtest, chain) }
        };
        let seller = reopen(config).await;
        until(async || seller.peers().iter().any(|peer| peer.connected)).await;
        seller
    }

    async fn close(self, seller: EmbeddedNode) {
        for node in [&self.buyer, &self.provider, &seller] {
            node.stop().await;
        }
    }
}

async fn refusal(seller: &EmbeddedNode, msat: u64) -> String {
    let refused = seller.invoice(Msat::from_msat(msat), "", PATIENCE).await.unwrap_err();
    assert_eq!(refused.kind, NodeErrorKind::Refused);
    refused.source().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_with_nothing_is_paid() {
    let market = Market::open().await;
    let seller = market.seller(market.lsp()).await;
    assert!(seller.channels().is_empty());
    let first = invoice(&seller, FIRST).await;
    pay(&market.buyer, &first).await.unwrap();
    settled(&seller, &first).await;
    let (count, received) = seller.received().unwrap();
    assert_eq!((count, received.msat()), (1, FIRST - PRICE));
    // The channel stays, and small payments fit into it without another price.
    assert_eq!(seller.channels().len(), 1);
    for msat in [1_000, 10_000, 20_000_000] {
        let next = invoice(&seller, msat).await;
        pay(&market.buyer, &next).await.unwrap();
        settled(&seller, &next).await;
    }
    assert_eq!(seller.received().unwrap().1.msat(), FIRST - PRICE + 20_011_000);
    assert_eq!(seller.channels().len(), 1);
    let peers = seller.backup().unwrap().peers;
    assert_eq!(peers.len(), 1, "a backup names the provider: {peers:?}");
    // It is a channel like any other after a restart.
    until(async || seller.channels()[0].confirmations.is_none_or(|deep| deep > 0)).await;
    seller.stop().await;
    drop(seller);
    let seller = market.seller(market.lsp()).await;
    until(async || seller.channels()[0].usable).await;
    let last = invoice(&seller, 10_000).await;
    pay(&market.buyer, &last).await.unwrap();
    settled(&seller, &last).await;
    market.close(seller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_dear_or_too_small_is_refused_by_name() {
    let market = Market::open().await;
    let cheap = Lsp { max_fee: Msat::from_msat(PRICE - 1), ..market.lsp() };
    let seller = market.seller(cheap).await;
    let why = refusal(&seller, FIRST).await;
    assert!(why.contains("lsp_max_fee"), "{why}");
    let why = refusal(&seller, 10_000).await;
    assert!(why.contains("be paid that much once"), "{why}");
    market.close(seller).await;
}

/// A provider that keeps more than it said is not paid at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_keeps_too_much_gets_nothing() {
    let market = Market::open().await;
    let seller = market.seller(market.lsp()).await;
    let tea = invoice(&seller, FIRST).await;
    // As if less had been agreed.
    let file = market.folder.path().join("seller/node.sqlite");
    let file = rusqlite::Connection::open(file).unwrap();
    file.busy_timeout(PATIENCE).unwrap();
    let less = (PRICE - 1).to_be_bytes();
    let sql = "UPDATE kv SET value = ? WHERE space = 'lsp-fee'";
    assert_eq!(file.execute(sql, [&less[..]]).unwrap(), 1);
    pay(&market.buyer, &tea).await.unwrap_err();
    assert!(!seller.is_settled(tea.payment_hash()).await.unwrap());
    assert_eq!(market.buyer.outcome(tea.payment_hash()).await.unwrap(), Outcome::NotPaid);
    assert_eq!(seller.received().unwrap().0, 0);
    market.close(seller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_said_to_be() {
    let market = Market::open().await;
    let seller = market.seller(market.lsp()).await;
    market.provider.stop().await;
    until(async || !seller.peers()[0].connected).await;
    let amount = Msat::from_msat(FIRST);
    let refused = seller.invoice(amount, "", PATIENCE).await.unwrap_err();
    assert_eq!(refused.kind, NodeErrorKind::Unreachable);
    market.close(seller).await;
}
