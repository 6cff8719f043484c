//! Orders of an owner's that do more when they are given twice: a channel to open, money to send on the
//! chain. Each is given once; a refusal is told as one, and a lost answer as what may have happened.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use l402::operator::{ChannelOrder, OperateError, Withdrawal};
use l402::{Macaroon, NodeError, NodeId, NodeUrl, Operator, RootKey, Sat};
use serde_json::{Value, json};

use crate::fake::{Asked, Fake, Say};

const KEY: &str = "030bb6a5e0c6b203c7e2180fb78c7ba4bdce46126761d8201b91ddac089cdecc87";
const SERVER_FAILED: &str = "<html>502 Bad Gateway</html>";

/// A kind of node, and where its API takes the order.
struct Kind {
    name: &'static str,
    tls: bool,
    path: &'static str,
}

impl Kind {
    /// A node that says this to the order, and its owner.
    async fn that_says(&self, reply: Say) -> (Fake, Arc<dyn Operator>) {
        let order = self.path;
        let script = move |asked: Asked| {
            let reply = reply.clone();
            async move {
                match asked.path.as_str() {
                    path if path == order => reply,
                    "/onchainbalance" => fine(json!({ "confirmed": 1_000, "unconfirmed": 5_000 })),
                    // The peer is connected to.
                    _ => fine(json!({})),
                }
            }
        };
        let fake = if self.tls { Fake::tls(script).await } else { Fake::plain(script).await };
        let credential: Vec<u8> = match self.name {
            "lnd" => Macaroon::mint(&RootKey::new([7; 32]), b"baked elsewhere").to_bytes(),
            "cln+https" => BASE64_URL_SAFE.encode([7; 32]).into(),
            _ => b"password".into(),
        };
        let parameter = match self.name {
            "lnd" => "macaroon",
            "cln+https" => "rune",
            _ => "password",
        };
        let mut url = format!(
            "{}://{}?{parameter}={}",
            self.name,
            fake.address,
            fake.keep("credential", credential)
        );
        if self.tls {
            url.push_str(&format!("&cert=file:{}", fake.cert().display()));
        }
        let owner = l402::node::operate(&NodeUrl::new(url), tollway_nodes::DRIVERS).await.unwrap();
        (fake, owner)
    }

    /// What an owner is told who orders once: the transaction, `no`, or `perhaps`.
    async fn end(
        &self,
        reply: Say,
        order: impl AsyncFnOnce(&dyn Operator) -> Result<String, OperateError>,
        in_doubt: fn(NodeError) -> OperateError,
    ) -> String {
        let (fake, owner) = self.that_says(reply).await;
        let ended = order(&*owner).await;
        let asked = fake.asked();
        assert_eq!(asked.iter().filter(|asked| asked.path == self.path).count(), 1, "once");
        let doubt = |error: &OperateError| {
            let example = in_doubt(NodeError::new("", l402::NodeErrorKind::Timeout));
            std::mem::discriminant(error) == std::mem::discriminant(&example)
        };
        match ended {
            Ok(transaction) => transaction,
            Err(OperateError::Node(_)) => "no".to_owned(),
            Err(error) if doubt(&error) => "perhaps".to_owned(),
            Err(error) => panic!("{}: {error:?}", self.name),
        }
    }
}

fn fine(said: Value) -> Say {
    Say::Json(200, said.to_string())
}

fn refused(status: u16, said: Value) -> Say {
    Say::Json(status, said.to_string())
}

fn transaction() -> String {
    "cd".repeat(32)
}

async fn open(owner: &dyn Operator) -> Result<String, OperateError> {
    let order = ChannelOrder {
        peer: KEY.parse::<NodeId>().unwrap(),
        at: Some("10.0.0.1:9735".to_owned()),
        amount: Sat::from_sat(200_000),
        push: Sat::from_sat(0),
        public: false,
    };
    Ok(owner.open_channel(&order).await?.transaction.expect("each of them says it"))
}

fn withdrawal(amount: Option<u64>, sat_per_vbyte: Option<u32>) -> Withdrawal {
    Withdrawal { address: "bcrt1q".to_owned(), amount: amount.map(Sat::from_sat), sat_per_vbyte }
}

async fn send(owner: &dyn Operator) -> Result<String, OperateError> {
    let order = withdrawal(Some(5), Some(3));
    assert_eq!(owner.quote(&order).await?.fee, None, "it does not say");
    Ok(owner.withdraw(&order).await?.transaction)
}

#[tokio::test]
async fn a_channel_whose_order_has_no_answer_may_have_been_opened() {
    let lnd = Kind { name: "lnd", tls: true, path: "/v1/channels" };
    let cln = Kind { name: "cln+https", tls: true, path: "/v1/fundchannel" };
    let eclair = Kind { name: "eclair", tls: false, path: "/open" };
    let created = format!("created channel ab with fundingTxId={} and fees=1 sat", transaction());
    let unpublished = "error while committing funding tx: bitcoind did not answer";
    let done = || transaction();
    for (kind, reply, end) in [
        (&lnd, fine(json!({ "funding_txid_str": transaction() })), done()),
        (&lnd, refused(500, json!({ "code": 2, "message": "not enough coins" })), "no".into()),
        (&lnd, Say::HangUp, "perhaps".into()),
        (&lnd, Say::Json(502, SERVER_FAILED.to_owned()), "perhaps".into()),
        (&cln, fine(json!({ "txid": transaction(), "channel_id": "ab" })), done()),
        (&cln, refused(500, json!({ "code": 301, "message": "No coins" })), "no".into()),
        (&cln, Say::HangUp, "perhaps".into()),
        (&cln, Say::Json(502, SERVER_FAILED.to_owned()), "perhaps".into()),
        (&eclair, fine(json!(created)), done()),
        (&eclair, fine(json!("channel creation cancelled")), "no".into()),
        (&eclair, fine(json!("peer aborted the channel funding flow: 'no'")), "no".into()),
        (&eclair, fine(json!(unpublished)), "perhaps".into()),
        (&eclair, refused(400, json!({ "error": "too small" })), "no".into()),
        (&eclair, refused(408, json!({ "error": "request timed out" })), "perhaps".into()),
        (&eclair, Say::HangUp, "perhaps".into()),
    ] {
        let said = format!("{}: {reply:?}", kind.name);
        assert_eq!(kind.end(reply, open, OperateError::MayHaveOpened).await, end, "{said}");
    }
}

#[tokio::test]
async fn money_whose_order_has_no_answer_may_have_been_sent() {
    let cln = Kind { name: "cln+https", tls: true, path: "/v1/withdraw" };
    let eclair = Kind { name: "eclair", tls: false, path: "/sendonchain" };
    let phoenixd = Kind { name: "phoenixd", tls: false, path: "/sendtoaddress" };
    let words = |words: &str| Say::Json(200, words.to_owned());
    for (kind, reply, end) in [
        (&cln, fine(json!({ "txid": transaction(), "tx": "00", "psbt": "x" })), transaction()),
        (&cln, refused(500, json!({ "code": 301, "message": "Could not afford it" })), "no".into()),
        (&cln, Say::HangUp, "perhaps".into()),
        // An answer that cannot be read says nothing about the coins.
        (&cln, fine(json!({})), "perhaps".into()),
        (&eclair, fine(json!(transaction())), transaction()),
        (&eclair, refused(500, json!({ "error": "Insufficient funds (code: -4)" })), "no".into()),
        (&eclair, refused(500, json!({ "error": "API call failed" })), "perhaps".into()),
        (&eclair, refused(400, json!({ "error": "invalid address" })), "no".into()),
        (&eclair, refused(401, json!("not you")), "no".into()),
        (&eclair, Say::HangUp, "perhaps".into()),
        (&phoenixd, words(&transaction()), transaction()),
        (&phoenixd, words("no channel available"), "no".into()),
        (&phoenixd, words("InsufficientFunds(balanceAfterFees=-1 msat)"), "no".into()),
        (&phoenixd, words("SpliceAlreadyInProgress"), "no".into()),
        (&phoenixd, words("Request parameter amountSat is missing"), "no".into()),
        (&phoenixd, words("something that nobody has documented"), "perhaps".into()),
        (&phoenixd, refused(500, json!("")), "perhaps".into()),
        (&phoenixd, refused(401, json!("not you")), "no".into()),
        (&phoenixd, Say::HangUp, "perhaps".into()),
    ] {
        let said = format!("{}: {reply:?}", kind.name);
        assert_eq!(kind.end(reply, send, OperateError::MayHaveSent).await, end, "{said}");
    }
}

#[tokio::test]
async fn money_is_sent_as_the_node_takes_the_order() {
    let cln = Kind { name: "cln+https", tls: true, path: "/v1/withdraw" };
    let eclair = Kind { name: "eclair", tls: false, path: "/sendonchain" };
    let phoenixd = Kind { name: "phoenixd", tls: false, path: "/sendtoaddress" };
    let answered = fine(json!({ "txid": transaction() }));
    let in_json = fine(json!(transaction()));
    let in_words = Say::Json(200, transaction());
    for (kind, reply, order, body) in [
        (
            &cln,
            &answered,
            withdrawal(Some(5), Some(3)),
            r#"{"destination":"bcrt1q","feerate":"3000perkb","satoshi":5}"#,
        ),
        (&cln, &answered, withdrawal(None, None), r#"{"destination":"bcrt1q","satoshi":"all"}"#),
        (
            &eclair,
            &in_json,
            withdrawal(Some(5), Some(3)),
            "address=bcrt1q&amountSatoshis=5&feeRatePerByte=3",
        ),
        (
            &eclair,
            &in_json,
            withdrawal(Some(1_000), None),
            "address=bcrt1q&amountSatoshis=1000&confirmationTarget=6",
        ),
        (
            &phoenixd,
            &in_words,
            withdrawal(Some(5), Some(3)),
            "address=bcrt1q&amountSat=5&feerateSatByte=3",
        ),
    ] {
        let (fake, owner) = kind.that_says(reply.clone()).await;
        let quote = owner.quote(&order).await.unwrap();
        assert_eq!((quote.amount, quote.fee), (order.amount, None), "{}", kind.name);
        assert_eq!(quote.sat_per_vbyte, order.sat_per_vbyte);
        assert_eq!(owner.withdraw(&order).await.unwrap().transaction, transaction());
        let ordered = fake.asked().into_iter().find(|asked| asked.path == kind.path).unwrap();
        match serde_json::from_str::<Value>(body) {
            Ok(body) => assert_eq!(serde_json::from_str::<Value>(&ordered.body).unwrap(), body),
            Err(_form) => assert_eq!(ordered.body, body, "{}", kind.name),
        }
    }
}

#[tokio::test]
async fn what_a_node_cannot_send_is_refused_by_name_and_not_ordered() {
    let eclair = Kind { name: "eclair", tls: false, path: "/sendonchain" };
    let phoenixd = Kind { name: "phoenixd", tls: false, path: "/sendtoaddress" };
    for (kind, order, what) in [
        (&eclair, withdrawal(None, Some(3)), "cannot send all it has on the chain"),
        (&phoenixd, withdrawal(None, Some(3)), "cannot send all it has on the chain"),
        (&phoenixd, withdrawal(Some(5), None), "`--fee-rate`"),
        (&eclair, withdrawal(Some(1_001), None), "has 1000 sat that is confirmed, and 1001 sat"),
    ] {
        let (fake, owner) = kind.that_says(Say::HangUp).await;
        for refusal in
            [owner.quote(&order).await.unwrap_err(), owner.withdraw(&order).await.unwrap_err()]
        {
            let cause = std::error::Error::source(&refusal).map(ToString::to_string);
            let story = format!("{refusal}: {}", cause.unwrap_or_default());
            assert!(story.contains(what), "{}: {story}", kind.name);
        }
        assert!(fake.asked().iter().all(|asked| asked.path != kind.path));
    }
}
