//! Lost replies, lies and wrong keys, for each of the small APIs.

use std::time::Duration;

use l402::{
    Invoice, Invoicer as _, Msat, NodeErrorKind, OpenError, PayError, PayOrder, Payer as _,
};
use serde_json::json;
use testkit::FakeNetwork;

use super::json;
use crate::fake::{Fake, Say};
use crate::running::open_url;

/// How one of them is opened, ordered to pay, and asked.
struct Api {
    scheme: &'static str,
    parameters: &'static str,
    pay: &'static str,
    /// Nothing is known of the payment.
    nothing: fn() -> Say,
    /// It is paid, with this preimage.
    paid: fn(&str) -> Say,
}

const APIS: [Api; 3] = [
    Api {
        scheme: "phoenixd",
        parameters: "password",
        pay: "/payinvoice",
        nothing: super::not_found,
        paid: |preimage| json(&json!({ "isPaid": true, "preimage": preimage, "fees": 7 })),
    },
    Api {
        scheme: "eclair",
        parameters: "password",
        pay: "/payinvoice",
        nothing: || json(&json!([])),
        paid: |preimage| {
            let status = json!({ "type": "sent", "paymentPreimage": preimage, "feesPaid": 7 });
            json(&json!([{ "status": status }]))
        },
    },
    Api {
        scheme: "lnbits+http",
        parameters: "network=regtest&key",
        pay: "/api/v1/payments",
        nothing: super::not_found,
        paid: |preimage| {
            let row = json!({ "amount": -1000, "fee": -7 });
            json(&json!({ "paid": true, "preimage": preimage, "details": row }))
        },
    },
];

impl Api {
    /// A server that says `pay` to an order, and knows of nothing before it and `then` after it.
    async fn server(&self, pay: Say, then: Say) -> Fake {
        let ordered = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (path, nothing) = (self.pay, self.nothing);
        Fake::plain(move |asked| {
            use std::sync::atomic::Ordering::Relaxed;
            let said = if asked.method == "POST" && asked.path == path {
                ordered.store(true, Relaxed);
                pay.clone()
            } else if asked.path.ends_with("/wallet") {
                json(&json!({ "id": "w" }))
            } else if asked.path.contains("fee-reserve") {
                json(&json!({ "fee_reserve": 1 }))
            } else if asked.path == "/getinfo" {
                json(&json!({ "chain": "regtest", "network": "regtest" }))
            } else if ordered.load(Relaxed) {
                then.clone()
            } else {
                nothing()
            };
            async move { said }
        })
        .await
    }

    fn url(&self, fake: &Fake) -> String {
        let key = fake.keep("key", "k");
        format!("{}://{}?{}={key}", self.scheme, fake.address, self.parameters)
    }
}

async fn invoice() -> (Invoice, String) {
    let (buyer, seller) = FakeNetwork::pair();
    let hour = Duration::from_secs(3600);
    let invoice = seller.invoice(Msat::from_msat(1_000), "", hour).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: hour };
    let paid = buyer.pay(order).await.unwrap();
    (invoice, paid.preimage.expose_hex())
}

fn order(invoice: &Invoice) -> PayOrder<'_> {
    let patience = Duration::from_secs(60);
    PayOrder { invoice, max_fee: Msat::from_msat(10_000), patience }
}

#[tokio::test]
async fn a_lost_reply_is_found_where_the_node_can_be_asked_and_unknown_where_not() {
    let (invoice, preimage) = invoice().await;
    for api in &APIS {
        for lost in [Say::HangUp, Say::Bytes("HTTP/1.1 200 OK\r\n".to_owned())] {
            let fake = api.server(lost.clone(), (api.paid)(&preimage)).await;
            let payer = open_url(&api.url(&fake)).await.unwrap().payer.unwrap();
            let paid = payer.pay(order(&invoice)).await.unwrap();
            assert_eq!(paid.fee, Msat::from_msat(7), "{}", api.scheme);

            let fake = api.server(lost, Say::HangUp).await;
            let payer = open_url(&api.url(&fake)).await.unwrap().payer.unwrap();
            let ended = payer.pay(order(&invoice)).await;
            assert!(matches!(ended, Err(PayError::Unknown { .. })), "{}: {ended:?}", api.scheme);
        }
    }
}

#[tokio::test]
async fn a_wrong_preimage_is_not_paid_for_and_not_unpaid_either() {
    let (invoice, _) = invoice().await;
    for api in &APIS {
        let wrong = (api.paid)(&"42".repeat(32));
        let fake = api.server(json(&json!({})), wrong).await;
        let payer = open_url(&api.url(&fake)).await.unwrap().payer.unwrap();
        match payer.pay(order(&invoice)).await {
            Err(PayError::Unknown { source, .. }) => {
                assert_eq!(source.kind, NodeErrorKind::Protocol, "{}", api.scheme);
            }
            other => panic!("{}: unknown was expected, not {other:?}", api.scheme),
        }
        assert!(payer.outcome(invoice.payment_hash()).await.is_err());
    }
}

#[tokio::test]
async fn a_key_that_is_refused_or_in_the_url_is_named_and_not_repeated() {
    for api in &APIS {
        let fake = Fake::plain(|_| async { Say::Json(401, "who are you?".to_owned()) }).await;
        let Err(OpenError::Node(error)) = open_url(&api.url(&fake)).await else {
            panic!("{}: it was refused", api.scheme)
        };
        assert_eq!(error.kind, NodeErrorKind::Unauthorized, "{}", api.scheme);
        let url = format!("{}://127.0.0.1?{}=hunter2", api.scheme, api.parameters);
        let Err(error @ OpenError::BadUrl { .. }) = open_url(&url).await else {
            panic!("{}: a secret in the URL", api.scheme)
        };
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn what_a_url_cannot_say_is_refused_by_name() {
    for (url, expected) in [
        ("phoenixd://h", "password"),
        ("phoenixd://h?password=file:/p&fee=1", "fee"),
        ("phoenixd://h?password=file:/p&cert=/c", "cert"),
        ("eclair://h", "password"),
        ("eclair://h/api?password=file:/p", "path"),
        ("lnbits://h?network=mainnet", "key"),
        ("lnbits://h?key=file:/k", "network"),
        ("lnbits://h?key=file:/k&network=x", "network"),
    ] {
        match open_url(url).await {
            Err(OpenError::BadUrl { parameter, .. }) => assert_eq!(parameter, expected, "{url}"),
            other => panic!("{url}: a bad URL was expected, not {other:?}"),
        }
    }
}
