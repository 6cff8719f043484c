//! Payments that lnd tells of by itself: believed, asked for again from where it had come to, and no
//! condition for anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use l402::{Invoicer, Macaroon, PaymentHash, RootKey};

use super::rig::open;
use crate::fake::{Fake, Say};
use crate::running::until;

fn json(body: &str) -> Say {
    Say::Json(200, body.to_owned())
}

fn paid(hash: PaymentHash, index: u64) -> String {
    let hash = BASE64_STANDARD.encode(hash.0);
    format!(r#"{{"result":{{"r_hash":"{hash}","state":"SETTLED","settle_index":"{index}"}}}}"#)
}

/// An lnd that tells these things, one stream after the other, and that by its books was never paid.
async fn lnd(told: Vec<Say>) -> (Fake, Arc<dyn Invoicer>) {
    let streams = Arc::new(AtomicUsize::new(0));
    let fake = Fake::tls(move |asked| {
        let (told, streams) = (told.clone(), Arc::clone(&streams));
        async move {
            match asked.path.split('?').next().unwrap() {
                "/v1/state" => json(r#"{"state":"SERVER_ACTIVE"}"#),
                "/v1/getinfo" => json(
                    r#"{"synced_to_chain":true,"block_height":7,"chains":[{"network":"regtest"}]}"#,
                ),
                "/v1/invoices/subscribe" => {
                    told.get(streams.fetch_add(1, Relaxed)).cloned().unwrap_or(Say::Nothing)
                }
                path if path.starts_with("/v1/invoice/") => json(r#"{"state":"OPEN"}"#),
                other => panic!("{other}"),
            }
        }
    })
    .await;
    let macaroon = Macaroon::mint(&RootKey::new([7; 32]), b"baked elsewhere").to_bytes();
    let macaroon = fake.keep("macaroon", macaroon);
    let url = format!("lnd://{}?cert={}&macaroon={macaroon}", fake.address, fake.cert().display());
    let invoicer = open(&url).await.unwrap().invoicer.unwrap();
    (fake, invoicer)
}

#[tokio::test]
async fn what_lnd_tells_is_known_without_asking_and_the_next_stream_begins_where_it_ended() {
    let (one, two) = (PaymentHash([1; 32]), PaymentHash([2; 32]));
    let whole = paid(one, 7) + "\n";
    let ended = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{whole}", whole.len());
    let (fake, invoicer) =
        lnd(vec![Say::HangUp, Say::Bytes(ended), Say::Stream(paid(two, 8))]).await;
    for hash in [one, two] {
        until(async || invoicer.is_settled(hash).await.unwrap()).await;
    }
    assert!(!invoicer.is_settled(PaymentHash([3; 32])).await.unwrap(), "it is looked up");
    let asked = fake.asked();
    let subscribed = asked.iter().filter_map(|asked| asked.path.split_once("settle_index="));
    let from: Vec<&str> = subscribed.map(|(_, index)| index).collect();
    assert_eq!(from, ["0", "0", "7"], "from where it had come to");
    let looked_up = || fake.asked().iter().filter(|it| it.path.starts_with("/v1/invoice/")).count();
    let before = looked_up();
    assert!(invoicer.is_settled(one).await.unwrap());
    assert_eq!(looked_up(), before, "no round trip");
}

#[tokio::test]
async fn an_lnd_that_may_not_tell_is_asked_each_time() {
    let denied = r#"{"error":{"code":2,"message":"permission denied","details":[]}}"#;
    let (fake, invoicer) = lnd(vec![Say::Json(500, denied.to_owned()); 3]).await;
    let subscribed = || fake.asked().iter().filter(|it| it.path.contains("subscribe")).count();
    until(async || !invoicer.is_settled(PaymentHash([1; 32])).await.unwrap() && subscribed() > 0)
        .await;
    for _ in 0..5 {
        assert!(!invoicer.is_settled(PaymentHash([1; 32])).await.unwrap());
    }
    assert_eq!(subscribed(), 1, "what was refused is not asked for again");
}
