//! What one request costs in the protocol itself, without sockets or disks: `cargo bench -p l402`.
//!
//! A gateway does `read a credential` and `verify` once for each paid request, and `mint` and `ask`
//! once for each 402; a client does `read a challenge`, which parses two invoices, once for each 402.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use l402::caveat::Unknown;
use l402::{Credential, Facts, Invoice, Keyring, Macaroon, MasterKey, Offers, Preimage, scheme};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

const PREIMAGE: Preimage = Preimage::new([0x42; 32]);
const THREE: [&str; 3] =
    ["services=weather:0", "weather_valid_until=1800003600", "path_prefix=/v1"];

fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([7; 32]), vec![MasterKey::new([6; 32])])
}

fn token(caveats: &[&str]) -> Macaroon {
    keyring().mint(PREIMAGE.hash(), [1; 28], caveats)
}

fn invoice() -> String {
    let key = SecretKey::from_slice(&[3; 32]).expect("a key");
    let sign = |hash: &_| Ok::<_, Infallible>(Secp256k1::new().sign_ecdsa_recoverable(hash, &key));
    InvoiceBuilder::new(Currency::Regtest)
        .description("a cup of weather".to_owned())
        .payment_hash(sha256::Hash::from_byte_array(PREIMAGE.hash().0))
        .payment_secret(PaymentSecret([9; 32]))
        .duration_since_epoch(Duration::from_secs(1_800_000_000))
        .min_final_cltv_expiry_delta(24)
        .expiry_time(Duration::from_secs(3600))
        .amount_milli_satoshis(10_000)
        .build_raw()
        .expect("everything is there")
        .sign(sign)
        .expect("signing cannot fail")
        .to_string()
}

fn facts() -> Facts<'static> {
    Facts {
        service: "weather",
        capability: None,
        method: "GET",
        path: "/v1/berlin",
        client_ip: None,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    }
}

fn bearing(token: &Macaroon) -> HeaderMap {
    let line = format!("L402 {}:{}", token.to_base64(), PREIMAGE.expose_hex());
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&line).expect("ASCII"))])
}

fn server(c: &mut Criterion) {
    let (keyring, facts) = (keyring(), facts());
    c.bench_function("mint, 3 caveats", |b| {
        b.iter(|| keyring.mint(black_box(PREIMAGE.hash()), [1; 28], THREE));
    });
    for caveats in [&[][..], &THREE] {
        let credential = Credential::new(vec![token(caveats)], PREIMAGE);
        c.bench_function(&format!("verify, {} caveats", caveats.len()), |b| {
            b.iter(|| {
                black_box(&credential).verify(&keyring, &facts, Unknown::Skip).expect("paid")
            });
        });
    }
    let headers = bearing(&token(&THREE));
    c.bench_function("read a credential, 3 caveats", |b| {
        b.iter(|| Credential::read(black_box(&headers)).expect("readable").expect("there"));
    });
    c.bench_function("read and verify, 3 caveats", |b| {
        b.iter(|| {
            let credential = Credential::read(black_box(&headers)).expect("readable");
            let credential = credential.expect("there");
            credential.verify(&keyring, &facts, Unknown::Skip).expect("paid")
        });
    });
    let (token, invoice) = (token(&THREE), invoice().parse::<Invoice>().expect("an invoice"));
    c.bench_function("ask", |b| {
        b.iter(|| scheme::ask(black_box(&token), &invoice).for_each(|line| drop(black_box(line))));
    });
}

fn client(c: &mut Criterion) {
    let (token, text) = (token(&THREE), invoice());
    let bytes = token.to_bytes();
    c.bench_function("parse a macaroon, 3 caveats", |b| {
        b.iter(|| Macaroon::parse(black_box(&bytes)).expect("ours"));
    });
    c.bench_function("parse an invoice", |b| {
        b.iter(|| Invoice::parse(black_box(&text)).expect("ours"));
    });
    let mut headers = HeaderMap::new();
    for line in scheme::ask(&token, &text.parse().expect("an invoice")) {
        headers.append(WWW_AUTHENTICATE, line);
    }
    c.bench_function("read a 402, two challenges", |b| {
        b.iter(|| Offers::read(black_box(&headers)));
    });
}

criterion_group!(protocol, server, client);
criterion_main!(protocol);
