//! The client at servers that nobody here wrote: each as its answers were recorded, in
//! `servers.json`. What is accepted is paid exactly once, and what is refused not at all.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use l402::{Invoice, Invoicer, Macaroon, RootKey};
use serde::Deserialize;
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{Client, Error, MemoryWallet, Payment, Standing, Terms};

use crate::buying::{get, sat};
use crate::raw::Raw;

#[derive(Deserialize)]
struct Servers {
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    server: String,
    id: String,
    #[serde(default = "payment_required")]
    status: u16,
    asks: Vec<String>,
    #[serde(default)]
    to_proof: u16,
    #[serde(default)]
    strict: bool,
    pays: usize,
    ends: String,
    scheme: Option<String>,
}

fn payment_required() -> u16 {
    402
}

fn token(id: &str, invoice: &Invoice) -> String {
    let hash = invoice.payment_hash().0;
    let id = match id {
        "66" => [&[0, 0][..], &hash, &[9; 32]].concat(),
        "32" => hash.to_vec(),
        "33" => [&[0xff][..], &hash].concat(),
        "66 as version 1" => {
            let id = [&[0, 0][..], &hash, &[9; 32]].concat();
            return STANDARD.encode(version_1(&Macaroon::mint(&RootKey::new([1; 32]), &id)));
        }
        "other" => [&[0, 0][..], &[8; 32], &[9; 32]].concat(),
        "opaque" => return "opaque-~token.1".to_owned(),
        "json" => {
            let json = format!(r#"{{"paymentHash":"{}","v":1}}"#, invoice.payment_hash());
            return STANDARD.encode(json);
        }
        other => panic!("{other}"),
    };
    Macaroon::mint(&RootKey::new([1; 32]), &id).to_base64()
}

/// The same in the older form: packets with their length in hexadecimal digits.
fn version_1(macaroon: &Macaroon) -> Vec<u8> {
    let bytes = macaroon.to_bytes();
    let signature = &bytes[bytes.len() - 32..];
    let fields = [
        ("location", &b"lsat"[..]),
        ("identifier", macaroon.identifier()),
        ("signature", signature),
    ];
    let packets = fields.map(|(name, value)| {
        let length = 4 + name.len() + 1 + value.len() + 1;
        [format!("{length:04x}{name} ").as_bytes(), value, b"\n"].concat()
    });
    packets.concat()
}

/// Answers as was recorded, and keeps what it was shown.
async fn play(case: &Case, node: &FakeNode) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let invoice = node.invoice(sat(10), "recorded", Duration::from_secs(3600)).await.unwrap();
    let token = token(&case.id, &invoice);
    let fill =
        |line: &String| line.replace("{token}", &token).replace("{invoice}", invoice.as_str());
    let lines: Vec<_> = case.asks.iter().map(fill).collect();
    let (status, to_proof) = (case.status, case.to_proof);
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&shown);
    let address = Raw::start(move |head| {
        let proof = head.lines().find_map(|line| line.strip_prefix("authorization: "));
        seen.lock().unwrap().extend(proof.map(str::to_owned));
        let status = if proof.is_some() { to_proof } else { status };
        let mut answer = format!("HTTP/1.1 {status} Recorded\r\ncontent-length: 2\r\n");
        let asks = match (proof, status) {
            (Some(_), 401) => vec!["L402".to_owned()],
            (Some(_), 402) | (None, _) => lines.clone(),
            _ => Vec::new(),
        };
        asks.iter().for_each(|line| answer.push_str(&format!("www-authenticate: {line}\r\n")));
        format!("{answer}\r\nok").into_bytes()
    })
    .await;
    (address, shown)
}

fn ends(ended: &Result<tollway_client::Response, Error>) -> &'static str {
    match ended {
        Ok(response) => match response.payment() {
            Payment::None => "free",
            Payment::Bought(_) => "bought",
            Payment::Token(_) => "token",
            Payment::Recovered(_) => "recovered",
        },
        Err(Error::Terms(_)) => "not taken",
        Err(Error::PaidInVain { .. } | Error::StillRefused { .. }) => "paid in vain",
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn every_recorded_server_is_paid_exactly_as_often_as_it_should_be() {
    let servers: Servers = serde_json::from_str(include_str!("servers.json")).unwrap();
    for case in servers.cases {
        let (buyer, node) = FakeNetwork::pair();
        let (address, shown) = play(&case, &node).await;
        let terms = Terms { require_bound: case.strict, ..Terms::up_to(sat(100)) };
        let client = Client::builder(Arc::new(MemoryWallet::new()), terms).payer(buyer.payer());
        let client = client.build().unwrap();
        let request = get(&format!("http://{address}/thing"));
        let ended = client.fetch(&request).await;
        assert_eq!(ends(&ended), case.ends, "{}", case.server);
        // Again and again: with a token in the wallet, or with what was paid in vain.
        for _ in 0..2 {
            let again = ends(&client.fetch(&request).await);
            let expected = if case.ends == "bought" { "token" } else { &case.ends };
            assert_eq!(again, expected, "{}", case.server);
        }
        assert_eq!(node.received().len(), case.pays, "{}", case.server);
        assert_eq!(buyer.orders().len(), case.pays, "{}", case.server);
        let shown = shown.lock().unwrap().clone();
        assert_eq!(shown.is_empty(), case.pays == 0, "{}", case.server);
        if let Some(scheme) = case.scheme {
            let receipt = client.receipts().await.unwrap().remove(0);
            assert_eq!((receipt.scheme, &*scheme), (&*scheme, receipt.scheme), "{}", case.server);
            assert!(shown.iter().all(|line| line.starts_with(&format!("{scheme} "))));
            let honoured = receipt.standing == Standing::Honoured;
            assert_eq!(honoured, case.to_proof == 200, "{}", case.server);
        }
    }
}
