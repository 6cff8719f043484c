//! What a node does when its disk is full: it stops, says so, and knows the truth when there is room.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use l402::{Invoice, Invoicer, Msat, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer};

use super::{EmbeddedNode, OpenNodeError};
use crate::chain::OpenChainError;
use crate::{Devnet, DevnetConfig, DevnetError, StoreError};

const LIMIT: Duration = Duration::from_secs(60);

async fn start(folder: &Path) -> Devnet {
    loop {
        let config = DevnetConfig { folder: Some(folder.to_owned()), ..DevnetConfig::default() };
        match Devnet::start(config).await {
            Ok(devnet) => return devnet,
            // What is left of the one before is about to go.
            Err(
                DevnetError::Chain(OpenChainError::InUse { .. })
                | DevnetError::Node {
                    source: OpenNodeError::Store(StoreError::InUse { .. }), ..
                },
            ) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn ends(devnet: &Devnet) -> [Arc<EmbeddedNode>; 2] {
    [0, 1].map(|node| Arc::clone(&devnet.nodes()[node].node))
}

async fn invoice(payee: &EmbeddedNode) -> Invoice {
    payee.invoice(Msat::from_msat(10_000), "", Duration::from_secs(3600)).await.unwrap()
}

async fn pay(
    payer: &EmbeddedNode,
    invoice: &Invoice,
    patience: Duration,
) -> Result<Paid, PayError> {
    let order = PayOrder { invoice, max_fee: Msat::ZERO, patience };
    tokio::time::timeout(LIMIT, payer.pay(order)).await.expect("it does not hang")
}

fn is_storage(error: &PayError) -> bool {
    matches!(error, PayError::Unknown { source, .. } if source.kind == NodeErrorKind::Storage)
}

/// Both sides say the same about each payment, soon.
async fn both_agree(payer: &EmbeddedNode, payee: &EmbeddedNode, invoices: &[Invoice]) {
    for invoice in invoices {
        let hash = invoice.payment_hash();
        let agreed = async {
            loop {
                let settled = payee.is_settled(hash).await.unwrap();
                match payer.outcome(hash).await.unwrap() {
                    Outcome::Paid(_) if settled => return,
                    Outcome::NotPaid if !settled => return,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        tokio::time::timeout(LIMIT, agreed).await.expect("they agree");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_with_a_full_disk_stops_and_later_knows_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let [alice, bob] = ends(&devnet);
    let mut invoices = Vec::new();
    alice.core().store.fill_up();
    let error = loop {
        let tea = invoice(&bob).await;
        let ended = pay(&alice, &tea, LIMIT).await;
        invoices.push(tea);
        assert!(invoices.len() < 1_000, "the disk is never full");
        if let Err(error) = ended {
            break error;
        }
    };
    assert!(is_storage(&error), "{error:?}");
    // From now on it says so to everybody.
    let tea = invoice(&bob).await;
    let again = pay(&alice, &tea, LIMIT).await.unwrap_err();
    assert!(is_storage(&again), "{again:?}");
    invoices.push(tea);
    let hour = Duration::from_secs(3600);
    let refused = alice.invoice(Msat::from_msat(1), "", hour).await.unwrap_err();
    assert_eq!(refused.kind, NodeErrorKind::Storage);
    let refused = alice.outcome(invoices[0].payment_hash()).await.unwrap_err();
    assert_eq!(refused.kind, NodeErrorKind::Storage);
    tokio::time::timeout(LIMIT, alice.stop()).await.expect("it stops all the same");
    drop((alice, bob, devnet));

    // Opened again, it has room.
    let devnet = start(folder.path()).await;
    let [alice, bob] = ends(&devnet);
    both_agree(&alice, &bob, &invoices).await;
    for invoice in &invoices {
        pay(&alice, invoice, LIMIT).await.unwrap();
    }
    // Who pays has the proof a moment before who is paid has written it down.
    both_agree(&alice, &bob, &invoices).await;
    let (count, amount) = bob.received().unwrap();
    assert_eq!(count, invoices.len() as u64);
    assert_eq!(amount.msat(), count * 10_000);
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payee_with_a_full_disk_leaves_the_payer_in_doubt_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let [alice, bob] = ends(&devnet);
    let mut invoices = Vec::new();
    bob.core().store.fill_up();
    loop {
        let Ok(tea) = bob.invoice(Msat::from_msat(10_000), "", LIMIT * 60).await else { break };
        assert!(invoices.len() < 1_000, "the disk is never full");
        invoices.push(tea);
        match pay(&alice, &invoices[invoices.len() - 1], Duration::from_secs(1)).await {
            Ok(_) | Err(PayError::NotPaid { .. }) => {}
            Err(PayError::Unknown { source, .. }) => {
                assert_eq!(source.kind, NodeErrorKind::Timeout);
            }
        }
    }
    drop((alice, bob, devnet));
    let devnet = start(folder.path()).await;
    let [alice, bob] = ends(&devnet);
    both_agree(&alice, &bob, &invoices).await;
    devnet.stop().await;
}
