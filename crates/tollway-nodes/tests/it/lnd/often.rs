//! An lnd that is called again and again: on few connections, and with the macaroon that is in its file
//! at that moment.

use std::time::Duration;

use l402::{Invoicer as _, Macaroon, Msat, RootKey};
use testkit::FakeNetwork;

use super::rig::open;
use crate::fake::{Fake, Say};

fn macaroon(identifier: &[u8]) -> Vec<u8> {
    Macaroon::mint(&RootKey::new([7; 32]), identifier).to_bytes()
}

/// An lnd that always makes the same invoice, of one satoshi.
async fn lnd() -> (Fake, l402::Node) {
    let (_, seller) = FakeNetwork::pair();
    let hour = Duration::from_secs(3600);
    let made = seller.invoice(Msat::from_msat(1_000), "", hour).await.unwrap();
    let made = format!(r#"{{"payment_request":"{made}"}}"#);
    let fake = Fake::tls(move |asked| {
        let made = made.clone();
        async move {
            let said = match asked.path.as_str() {
                "/v1/state" => r#"{"state":"SERVER_ACTIVE"}"#,
                "/v1/getinfo" => {
                    r#"{"synced_to_chain":true,"block_height":7,"chains":[{"network":"regtest"}]}"#
                }
                "/v1/invoices" => &made,
                other => panic!("{other}"),
            };
            Say::Json(200, said.to_owned())
        }
    })
    .await;
    let (cert, file) = (fake.cert().display().to_string(), fake.keep("macaroon", macaroon(b"old")));
    let url = format!("lnd://{}?cert={cert}&macaroon={file}", fake.address);
    let node = open(&url).await.unwrap();
    (fake, node)
}

async fn make_invoices(node: &l402::Node, count: usize) {
    let invoicer = node.invoicer.as_ref().unwrap();
    for _ in 0..count {
        let hour = Duration::from_secs(3600);
        invoicer.invoice(Msat::from_msat(1_000), "", hour).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_after_the_other_goes_by_the_same_connection() {
    let (fake, node) = lnd().await;
    make_invoices(&node, 300).await;
    assert_eq!(fake.asked().len(), 302);
    // A very busy machine may hold a connection's own task up for longer than it is waited for.
    assert!(fake.connections() <= 10, "{} connections", fake.connections());
}

#[tokio::test]
async fn a_macaroon_that_is_replaced_is_shown_from_the_next_call_on() {
    let (fake, node) = lnd().await;
    let shown = || fake.asked().pop().unwrap().headers["grpc-metadata-macaroon"].clone();
    let in_hex = |bytes: &[u8]| hex::DisplayHex::to_lower_hex_string(bytes);
    make_invoices(&node, 2).await;
    assert_eq!(shown(), in_hex(&macaroon(b"old")));
    for identifier in [&b"new"[..], b"newer", b"old"] {
        fake.keep("macaroon", macaroon(identifier));
        make_invoices(&node, 1).await;
        assert_eq!(shown(), in_hex(&macaroon(identifier)));
    }
    // While it is being written, and is none yet, the last one is shown.
    fake.keep("macaroon", b"");
    make_invoices(&node, 1).await;
    assert_eq!(shown(), in_hex(&macaroon(b"old")));
}
