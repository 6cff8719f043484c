//! lnd and the embedded node pay each other, each with the other's invoice.

use std::sync::Arc;
use std::time::Duration;

use l402::{Invoicer, Msat, Network, NodeId, PayOrder, Payer, Sat};
use tollway_ldk::{Config, EmbeddedNode};

use super::binary::is_there;
use super::rig::pair;

const PATIENCE: Duration = Duration::from_secs(60);

/// One of them is paid by the other.
async fn pays(payer: &dyn Payer, invoicer: &dyn Invoicer, msat: u64) {
    let amount = Msat::from_msat(msat);
    let invoice = invoicer.invoice(amount, "across", PATIENCE).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: PATIENCE };
    let paid = payer.pay(order).await.unwrap();
    assert!(paid.preimage.opens(invoice.payment_hash()));
    while !invoicer.is_settled(invoice.payment_hash()).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lnd_and_the_embedded_node_pay_each_other() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let lnd = pair.another();
    lnd.synced().await;
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path(), Network::Regtest, Arc::new(pair.chain.clone()));
    let ldk = EmbeddedNode::open(config).await.unwrap();
    let script = ldk.new_onchain_address().unwrap().script_pubkey();
    pair.chain.pay(&[(script, Sat::from_sat(5_000_000))]).unwrap();
    pair.chain.mine(6).unwrap();
    lnd.until("the coins have arrived", async || ldk.height() == pair.chain.best().height).await;
    // lnd takes no channel while it is behind.
    lnd.until("it has the new blocks", async || {
        let info = lnd.get("/v1/getinfo").await;
        info["synced_to_chain"] == true && info["block_height"] == pair.chain.best().height
    })
    .await;

    let info = lnd.get("/v1/getinfo").await;
    let id: NodeId = info["identity_pubkey"].as_str().unwrap().parse().unwrap();
    ldk.connect(id, &lnd.p2p(), PATIENCE).await.unwrap();
    let half = Msat::from_sat(500_000).unwrap();
    ldk.open_channel(id, Sat::from_sat(1_000_000), half).unwrap();
    lnd.until("the channel is paid for", async || !pair.chain.mempool().is_empty()).await;
    pair.chain.mine(6).unwrap();
    lnd.until("the channel is usable", async || ldk.channels().iter().any(|c| c.usable)).await;
    lnd.until("the channel is usable there", async || {
        lnd.get("/v1/channels?active_only=true").await["channels"][0]["active"] == true
    })
    .await;

    lnd.knows_a_route_to(&ldk.node_id().to_string()).await;

    let opened = lnd.open().await.unwrap();
    let (payer, invoicer) = (opened.payer.unwrap(), opened.invoicer.unwrap());
    for msat in [1_000, 2_001, 50_000_000] {
        pays(&ldk, &*invoicer, msat).await;
        pays(&*payer, &ldk, msat).await;
    }
    ldk.stop().await;
}
