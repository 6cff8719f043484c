//! What opening a real lnd says of its macaroon, its wallet and its network.

use std::path::Path;
use std::time::Duration;

use l402::{Msat, Network, NodeErrorKind, OpenError, PayOrder};
use reqwest::Method;
use serde_json::json;

use super::binary::{free_port, is_there};
use super::rig::{Lnd, open, pair};

const BUYER: [&str; 3] = [
    "/routerrpc.Router/SendPaymentV2",
    "/routerrpc.Router/TrackPaymentV2",
    "/lnrpc.Lightning/GetInfo",
];
const SELLER: [&str; 4] = [
    "/lnrpc.Lightning/AddInvoice",
    "/lnrpc.Lightning/LookupInvoice",
    "/lnrpc.Lightning/SubscribeInvoices",
    "/lnrpc.Lightning/GetInfo",
];

/// Why it was refused: the kind, and the whole story.
async fn refused(url: &str) -> (NodeErrorKind, String) {
    match open(url).await {
        Err(OpenError::Node(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            (error.kind, cause.unwrap_or_default())
        }
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_macaroon_opens_what_it_allows_and_no_more() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let buyer = pair.buyer.bake("buyer", &BUYER).await;
    let seller = pair.seller.bake("seller", &SELLER).await;
    let paying = open(&pair.buyer.url(&buyer)).await.unwrap();
    let selling = open(&pair.seller.url(&seller)).await.unwrap();
    assert!(paying.invoicer.is_none() && selling.payer.is_none());

    let (payer, invoicer) = (paying.payer.unwrap(), selling.invoicer.unwrap());
    let minute = Duration::from_secs(60);
    let invoice = invoicer.invoice(Msat::from_msat(4_321), "tea", minute).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: minute };
    assert!(payer.pay(order).await.unwrap().preimage.opens(invoice.payment_hash()));
    assert!(invoicer.is_settled(invoice.payment_hash()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_macaroon_lacks_is_named_with_the_command_that_bakes_it() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let lnd = &pair.seller;
    let blind = lnd.bake("blind", &BUYER[..1]).await;
    for useless in [blind, lnd.macaroon("readonly")] {
        let (kind, story) = refused(&lnd.url(&useless)).await;
        assert_eq!(kind, NodeErrorKind::Unauthorized);
        for command in [&BUYER[..], &SELLER[..]].map(|calls| format!("uri:{}", calls.join(" uri:")))
        {
            assert!(story.contains(&command), "{story}");
        }
    }

    // Rights that are taken away while the node is open.
    let path = lnd.bake("fading", &SELLER).await;
    let invoicer = open(&lnd.url(&path)).await.unwrap().invoicer.unwrap();
    let minute = Duration::from_secs(60);
    assert!(invoicer.invoice(Msat::from_msat(1), "", minute).await.is_ok());
    lnd.bake("fading", &SELLER[1..]).await;
    let error = invoicer.invoice(Msat::from_msat(1), "", minute).await.unwrap_err();
    assert_eq!(error.kind, NodeErrorKind::Unauthorized);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("uri:/lnrpc.Lightning/AddInvoice"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_macaroon_that_lnd_makes_for_invoices_does() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let opened = open(&pair.seller.url(&pair.seller.macaroon("invoice"))).await.unwrap();
    assert!(opened.payer.is_none());
    assert_eq!(opened.invoicer.unwrap().network(), Network::Regtest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_another_network_than_the_url_says_is_refused() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let url = pair.buyer.url(&pair.buyer.macaroon("admin"));
    assert!(open(&format!("{url}&network=regtest")).await.is_ok());
    let Err(OpenError::BadUrl { parameter, problem, .. }) =
        open(&format!("{url}&network=mainnet")).await
    else {
        panic!("it is on regtest")
    };
    assert_eq!(parameter, "network");
    assert_eq!(problem, "is mainnet, and the node is on regtest");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grpc_port_is_told_from_the_rest_port() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let url = pair.buyer.url(&pair.buyer.macaroon("admin"));
    let [rest, grpc] = [pair.buyer.rest_port, pair.buyer.grpc_port];
    let url = url.replace(&rest.to_string(), &grpc.to_string());
    let (mut kind, mut story) = refused(&url).await;
    // On a busy machine lnd may take longer to hang up than the driver waits.
    for _ in 0..3 {
        if kind == NodeErrorKind::Timeout {
            (kind, story) = refused(&url).await;
        }
    }
    assert_eq!(kind, NodeErrorKind::Unreachable);
    assert!(story.contains("is this lnd's REST port"), "{story}");
}

/// lnd wants a chain before it unlocks, and none to be locked.
async fn without_a_chain() -> Lnd {
    let nobody = free_port();
    let settings = [
        format!("--bitcoind.rpchost=127.0.0.1:{nobody}"),
        "--bitcoind.rpcuser=lnd".to_owned(),
        "--bitcoind.rpcpass=regtest".to_owned(),
    ];
    Lnd::with(&settings)
}

async fn in_state(lnd: &Lnd, state: &str) {
    lnd.until(state, async || {
        let said = lnd.ask(Method::GET, "/v1/state", None).await;
        said.is_ok_and(|said| said["state"] == state)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_wallet_or_with_a_locked_one_says_what_to_do() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let macaroon = pair.buyer.macaroon("admin");
    let told = async |lnd: &Lnd, macaroon: &Path| refused(&lnd.url(macaroon)).await;
    let mut lnd = without_a_chain().await;
    in_state(&lnd, "NON_EXISTING").await;
    let (kind, story) = told(&lnd, &macaroon).await;
    assert_eq!(kind, NodeErrorKind::Unreachable);
    assert!(story.contains("`lncli create`"), "{story}");

    let seed = lnd.get("/v1/genseed").await;
    let wallet = json!({
        "wallet_password": "bG9uZyBlbm91Z2g=",
        "cipher_seed_mnemonic": seed["cipher_seed_mnemonic"],
    });
    lnd.post("/v1/initwallet", wallet).await;
    lnd.kill();
    lnd.start();
    in_state(&lnd, "LOCKED").await;
    let (kind, story) = told(&lnd, &macaroon).await;
    assert_eq!(kind, NodeErrorKind::Unreachable);
    assert!(story.contains("`lncli unlock`"), "{story}");
}
