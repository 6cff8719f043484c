//! What the small APIs and CLNRest tell a node's owner: documented answers, replayed.

use std::sync::Arc;

use l402::operator::{
    ChannelOrder, ChannelState, Close, Direction, OperateError, Right, TransferState,
};
use l402::{Msat, Network, NodeId, NodeUrl, Operator, PaymentHash, Sat};
use serde_json::{Value, json};

use super::json as said;
use crate::fake::{Asked, Fake, Say};

const KEY: &str = "030bb6a5e0c6b203c7e2180fb78c7ba4bdce46126761d8201b91ddac089cdecc87";

async fn operate(url: &str) -> Arc<dyn Operator> {
    l402::node::operate(&NodeUrl::new(url), tollway_nodes::DRIVERS).await.unwrap()
}

/// What is answered at each path.
type Answers = &'static [(&'static str, fn() -> Value)];

/// A server with one answer for each path.
async fn server(answers: Answers, tls: bool) -> Fake {
    let script = move |asked: Asked| async move {
        let path = asked.path.split('?').next().unwrap_or_default();
        match answers.iter().find(|(known, _)| *known == path) {
            Some((_, answer)) => said(&answer()),
            None => Say::Json(404, "\"no such path\"".to_owned()),
        }
    };
    if tls { Fake::tls(script).await } else { Fake::plain(script).await }
}

fn hash(byte: &str) -> String {
    byte.repeat(32)
}

fn cannot(error: &OperateError) -> &'static str {
    match error {
        OperateError::Cannot { what, .. } => what,
        other => panic!("it cannot, was expected, and not {other}"),
    }
}

fn order() -> ChannelOrder {
    ChannelOrder {
        peer: KEY.parse::<NodeId>().unwrap(),
        at: Some("10.0.0.1:9735".to_owned()),
        amount: Sat::from_sat(200_000),
        push: Sat::from_sat(1),
        public: true,
    }
}

#[tokio::test]
async fn phoenixd_tells_its_channels_and_both_its_books() {
    let fake = server(
        &[
            ("/getinfo", || {
                json!({ "nodeId": KEY, "chain": "testnet", "blockHeight": 800_000, "version": "0.6.0",
                    "channels": [{ "state": "Normal", "channelId": "aa", "balanceSat": 20_000,
                        "inboundLiquiditySat": 1_000_000, "capacitySat": 1_021_000, "fundingTxId": "bb" }] })
            }),
            ("/payments/outgoing", || {
                json!([{ "paymentHash": hash("11"), "isPaid": true, "sent": 104, "fees": 4_000,
                    "completedAt": 1_700_000_001_000u64, "createdAt": 1_700_000_000_000u64 },
                    { "isPaid": true, "sent": 1, "fees": 0, "txId": "cc" }])
            }),
            ("/payments/incoming", || {
                json!([{ "paymentHash": hash("22"), "isPaid": false, "isExpired": false,
                    "requestedSat": 7, "receivedSat": 0, "fees": 0, "description": "tea",
                    "createdAt": 1_700_000_005_000u64 }])
            }),
        ],
        false,
    )
    .await;
    let url = format!("phoenixd://{}?password={}", fake.address, fake.keep("password", "x"));
    let owner = operate(&url).await;
    let about = owner.about().await.unwrap();
    assert_eq!((about.network, about.height), (Some(Network::Testnet), Some(800_000)));
    let balance = owner.balance().await.unwrap();
    assert_eq!(balance.outbound, Msat::from_sat(20_000));
    assert_eq!(balance.inbound, Msat::from_sat(1_000_000));
    assert_eq!(owner.channels().await.unwrap()[0].state, ChannelState::Usable);
    let rows = owner.payments(9).await.unwrap();
    let (received, sent) = (&rows[0], &rows[1]);
    assert_eq!((received.direction, received.state), (Direction::Received, TransferState::Pending));
    assert_eq!(sent.hash, PaymentHash([0x11; 32]));
    assert_eq!((sent.amount, sent.fee), (Msat::from_msat(100_000), Some(Msat::from_msat(4_000))));
    assert_eq!(sent.at, Some(1_700_000_000));
    assert_eq!(cannot(&owner.address().await.unwrap_err()), "receive on the chain");
    assert_eq!(cannot(&owner.open_channel(&order()).await.unwrap_err()), "open channels");
    let limited = operate(&format!("{url}&limited=yes")).await.rights().await.unwrap();
    assert!(limited.pay.is_no() && limited.too_wide.is_none());
}

#[tokio::test]
async fn lnbits_tells_the_wallets_balance_and_books() {
    let fake = server(
        &[
            ("/api/v1/wallet", || json!({ "id": "w", "name": "till", "balance": 5_000_000 })),
            ("/api/v1/payments", || {
                json!([{ "payment_hash": hash("11"), "amount": -21_000, "fee": -7, "status": "success",
                    "memo": "tea", "time": "2026-01-31T12:30:00.123456+00:00" },
                    { "payment_hash": hash("22"), "amount": 9_000, "fee": 0, "status": "pending",
                    "time": "2026-01-31T12:31:00+00:00" }])
            }),
        ],
        false,
    )
    .await;
    let url = format!("lnbits+http://{}?network=regtest&key={}", fake.address, fake.keep("k", "x"));
    let owner = operate(&url).await;
    assert_eq!(owner.about().await.unwrap().alias.as_deref(), Some("till"));
    assert_eq!(owner.balance().await.unwrap().outbound, Some(Msat::from_msat(5_000_000)));
    assert_eq!(owner.rights().await.unwrap().pay, Right::Yes);
    let rows = owner.payments(9).await.unwrap();
    assert_eq!((rows[0].direction, rows[0].state), (Direction::Received, TransferState::Pending));
    assert_eq!((rows[1].direction, rows[1].state), (Direction::Sent, TransferState::Paid));
    assert_eq!(rows[1].fee, Some(Msat::from_msat(7)));
    assert_eq!(rows[1].at, Some(1_769_862_600));
    assert_eq!(cannot(&owner.channels().await.unwrap_err()), "list channels");
}

#[tokio::test]
async fn eclair_tells_its_channels_and_opens_and_closes_them() {
    let fake = server(
        &[
            ("/getinfo", || {
                json!({ "version": "0.13.0", "nodeId": KEY, "alias": "e", "network": "regtest",
                    "blockHeight": 42 })
            }),
            ("/onchainbalance", || json!({ "confirmed": 1_000, "unconfirmed": 5 })),
            ("/channels", || {
                let spec = json!({ "toLocal": 60_000_000, "toRemote": 40_000_000 });
                json!([{ "nodeId": KEY, "channelId": "ab", "state": "NORMAL", "data": {
                    "commitments": { "params": { "channelFlags": { "announceChannel": true } },
                        "active": [{ "localCommit": { "spec": spec } }] } } }])
            }),
            ("/getnewaddress", || json!("bcrt1qeclair")),
            ("/connect", || json!("connected")),
            ("/open", || {
                json!(format!("created channel ab with fundingTxId={} and fees=1 sat", hash("cd")))
            }),
            ("/close", || json!({ "ab": "ok" })),
            ("/forceclose", || json!({ "ab": "closing already in progress" })),
        ],
        false,
    )
    .await;
    let owner =
        operate(&format!("eclair://{}?password={}", fake.address, fake.keep("p", "x"))).await;
    assert_eq!(owner.about().await.unwrap().network, Some(Network::Regtest));
    let balance = owner.balance().await.unwrap();
    assert_eq!(
        (balance.outbound, balance.inbound),
        (Msat::from_sat(60_000), Msat::from_sat(40_000))
    );
    assert_eq!(balance.onchain, Some(Sat::from_sat(1_000)));
    assert!(owner.channels().await.unwrap()[0].public);
    assert_eq!(owner.address().await.unwrap(), "bcrt1qeclair");
    assert_eq!(owner.open_channel(&order()).await.unwrap().transaction, Some(hash("cd")));
    let opened = fake.asked().into_iter().find(|asked| asked.path == "/open").unwrap();
    assert!(opened.body.contains("fundingSatoshis=200000&pushMsat=1000&announceChannel=true"));
    owner.close_channel("ab", Close::Together).await.unwrap();
    let refused = owner.close_channel("ab", Close::Alone).await.unwrap_err();
    let words = std::error::Error::source(&refused).unwrap().to_string();
    assert!(words.contains("did not close the channel: closing already"), "{words}");
    let unknown = owner.close_channel("ff", Close::Alone).await;
    assert!(matches!(unknown, Err(OperateError::NoSuchChannel { id }) if id == "ff"));
    assert_eq!(cannot(&owner.payments(1).await.unwrap_err()), "list payments");
}

#[tokio::test]
async fn core_lightning_tells_its_channels_and_books_and_opens_and_closes() {
    let fake = server(
        &[
            ("/v1/getinfo", || {
                json!({ "id": KEY, "alias": "c", "version": "v25.02", "blockheight": 110,
                    "num_peers": 2, "network": "regtest" })
            }),
            ("/v1/listfunds", || {
                json!({ "outputs": [{ "amount_msat": 9_000_000, "status": "confirmed" },
                    { "amount_msat": 1_000, "status": "unconfirmed" }], "channels": [] })
            }),
            ("/v1/listpeerchannels", || {
                json!({ "channels": [{ "peer_id": KEY, "peer_connected": true, "channel_id": "ab",
                    "state": "CHANNELD_NORMAL", "private": true, "total_msat": 100_000_000,
                    "to_us_msat": 70_000_000 },
                    { "peer_id": KEY, "peer_connected": true, "channel_id": "cd",
                    "state": "ONCHAIN", "total_msat": 5_000_000, "to_us_msat": 5_000_000 }] })
            }),
            ("/v1/listpays", || {
                json!({ "pays": [{ "payment_hash": hash("11"), "status": "complete",
                    "created_at": 1_700_000_000, "amount_msat": 1_000, "amount_sent_msat": 1_003 }] })
            }),
            ("/v1/listinvoices", || {
                json!({ "invoices": [{ "payment_hash": hash("22"), "status": "expired",
                    "expires_at": 1_600_000_000, "amount_msat": 5, "description": "tea" }] })
            }),
            ("/v1/newaddr", || json!({ "bech32": "bcrt1qcln" })),
            ("/v1/connect", || json!({ "id": KEY })),
            ("/v1/fundchannel", || json!({ "txid": hash("ef"), "channel_id": "ab", "outnum": 0 })),
            ("/v1/close", || json!({ "type": "mutual", "txid": hash("fe"), "tx": "00" })),
        ],
        true,
    )
    .await;
    let rune = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE, [7; 32]);
    let cert = fake.cert().display().to_string();
    let url =
        format!("cln+https://{}?cert=file:{cert}&rune={}", fake.address, fake.keep("rune", rune));
    let owner = operate(&url).await;
    let about = owner.about().await.unwrap();
    assert_eq!((about.synced, about.peers), (Some(true), Some(2)));
    let balance = owner.balance().await.unwrap();
    assert_eq!(
        (balance.outbound, balance.inbound),
        (Msat::from_sat(70_000), Msat::from_sat(30_000))
    );
    assert_eq!(
        (balance.onchain, balance.closing),
        (Some(Sat::from_sat(9_000)), Some(Sat::from_sat(5_000)))
    );
    let states: Vec<_> =
        owner.channels().await.unwrap().into_iter().map(|channel| channel.state).collect();
    assert_eq!(states, [ChannelState::Usable, ChannelState::Closing]);
    let rows = owner.payments(9).await.unwrap();
    assert_eq!((rows[0].state, rows[0].fee), (TransferState::Paid, Some(Msat::from_msat(3))));
    assert_eq!((rows[1].direction, rows[1].state), (Direction::Received, TransferState::NotPaid));
    assert_eq!(owner.address().await.unwrap(), "bcrt1qcln");
    assert_eq!(owner.open_channel(&order()).await.unwrap().transaction, Some(hash("ef")));
    let closing = owner.close_channel("ab", Close::Alone).await.unwrap();
    assert_eq!(closing.transaction, Some(hash("fe")));
    let closed = fake.asked().into_iter().find(|asked| asked.path == "/v1/close").unwrap();
    assert_eq!(closed.body, r#"{"id":"ab","unilateraltimeout":1}"#);
    // A rune without restrictions may do everything.
    assert!(owner.rights().await.unwrap().too_wide.unwrap().contains("createrune"));
}
