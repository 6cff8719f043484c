//! What a credential opens, and what it does not.

use std::sync::Arc;
use std::time::SystemTime;

use l402::{Keyring, Macaroon, MasterKey, Preimage, Token};
use tokio::task::JoinSet;
use tollway_gateway::{Config, Gateway};

use crate::shop::{self, Answer, Shop, l402, mint};

/// The answer to a request with this `Authorization`.
async fn with(shop: &Shop, authorization: &str) -> Answer {
    shop.get("/weather", &[("authorization", authorization)]).await
}

/// It was asked to pay, and nothing reached the upstream.
async fn asked(shop: &Shop, authorization: &str) {
    let answer = with(shop, authorization).await;
    assert_eq!(answer.status, 402, "{authorization}: {answer:?}");
    assert_eq!(shop.hits(), 0, "{authorization}");
}

fn seconds_from_now(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    now.checked_add_signed(seconds).unwrap()
}

#[tokio::test]
async fn a_request_that_paid_gets_through() {
    let shop = Shop::open().await;
    let credential = shop.buy("/weather").await;
    let answer = with(&shop, &l402(&credential)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "origin: GET /weather\n"));
    assert_eq!(shop.hits(), 1, "nothing but the paid request reached the upstream");
    assert_eq!(shop.seller.received_total(), "10 sat".parse().unwrap());
    // It goes on opening, and asks the node for nothing more.
    assert_eq!(with(&shop, &l402(&credential)).await.status, 200);
    assert_eq!(shop.seller.invoices(), 1);
}

#[tokio::test]
async fn what_is_free_makes_no_invoice() {
    let shop = Shop::open().await;
    for path in ["/free", "/open/a/b", "/free?x=y"] {
        assert_eq!(shop.get(path, &[]).await.status, 200, "{path}");
    }
    let zero = Shop::configured(|origin| {
        format!("[[service]]\nname='a'\nprice='0 sat'\nupstream='{}'", origin.url(""))
    });
    let off = Shop::configured(|origin| {
        format!("[[service]]\nname='a'\nauth='off'\nupstream='{}'", origin.url(""))
    });
    for open in [zero.await, off.await] {
        assert_eq!(open.get("/weather", &[("authorization", "L402 x")]).await.status, 200);
        assert_eq!(open.seller.invoices(), 0);
    }
    assert_eq!(shop.seller.invoices(), 0);
    for path in ["/free/", "/freedom", "/Free", "/open"] {
        assert_eq!(shop.get(path, &[]).await.status, 402, "{path}");
    }
}

#[tokio::test]
async fn every_dialect_of_a_credential_opens() {
    let shop = Shop::open().await;
    let credential = shop.buy("/weather").await;
    let (token, preimage) = credential.split_once(':').unwrap();
    let url_safe = token.replace('+', "-").replace('/', "_");
    let unpadded = url_safe.trim_end_matches('=');
    let upper = preimage.to_ascii_uppercase();
    for authorization in [
        format!("L402 {credential}"),
        format!("LSAT {credential}"),
        format!("l402 {credential}"),
        format!("lsat  {credential}"),
        format!("L402 {unpadded}:{preimage}"),
        format!("L402 {token}:{upper}"),
        format!("L402 {token},{token}:{preimage}"),
        format!("LSAT {credential}, L402 {credential}"),
    ] {
        assert_eq!(with(&shop, &authorization).await.status, 200, "{authorization}");
    }
    // As gRPC metadata: a macaroon in hexadecimal that carries its preimage.
    let mut macaroon = Token::new(token).unwrap().macaroons().unwrap().remove(0);
    macaroon.attenuate(&format!("preimage={preimage}"));
    let hex: String = macaroon.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    for name in ["macaroon", "grpc-metadata-macaroon"] {
        assert_eq!(shop.get("/weather", &[(name, &hex)]).await.status, 200, "{name}");
    }
    let grpc = [("content-type", "application/grpc"), ("token", hex.as_str())];
    assert!(!shop.get("/weather", &grpc).await.headers.contains_key("grpc-status"));
    // Outside gRPC `token` is not ours.
    assert_eq!(shop.get("/weather", &[("token", &hex)]).await.status, 402);
}

#[tokio::test]
async fn a_wrong_preimage_opens_nothing() {
    let shop = Shop::open().await;
    let challenge = shop.get("/weather", &[]).await.challenge();
    let token = challenge.token.as_str();
    asked(&shop, &format!("L402 {token}:{}", "00".repeat(32))).await;
    let other = Preimage::new([1; 32]).expose_hex();
    asked(&shop, &format!("L402 {token}:{other}")).await;
    // Nor does the hash that everybody can read.
    asked(&shop, &format!("L402 {token}:{}", challenge.invoice.payment_hash())).await;
}

#[tokio::test]
async fn what_cannot_be_read_opens_nothing() {
    let shop = Shop::open().await;
    let (token, preimage) = ("AgEEbHNhdA==", "00".repeat(32));
    for bad in [
        "L402 x".to_owned(),
        format!("L402 {token}"),
        format!("L402 :{preimage}"),
        format!("L402 {token}:{preimage}:{preimage}"),
        format!("L402 {token}:{preimage}ff"),
        format!("L402 !!!!:{preimage}"),
        format!("L402 {}:{preimage}", ",A".repeat(50)),
        "L402 ".to_owned(),
    ] {
        asked(&shop, &bad).await;
    }
}

#[tokio::test]
async fn a_token_for_another_service_opens_nothing() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='cheap'\npath='/cheap'\nprice='1 sat'\nupstream='{url}'\n\
             [[service]]\nname='dear'\npath='/dear'\nprice='1000 sat'\nupstream='{url}'"
        )
    });
    let shop = shop.await;
    let cheap = l402(&shop.buy("/cheap/x").await);
    assert_eq!(shop.get("/cheap/y", &[("authorization", &cheap)]).await.status, 200);
    let stolen = shop.get("/dear/x", &[("authorization", &cheap)]).await;
    assert_eq!((stolen.status.as_u16(), shop.hits()), (402, 1));
    assert_eq!(stolen.challenge().invoice.amount(), "1000 sat".parse().unwrap());
    // Not even with a caveat that says otherwise.
    asked_twice(&shop, &shop.mint(&["services=cheap:0", "services=cheap:0,dear:0"])).await;
    asked_twice(&shop, &shop.mint(&["services=cheap:0", "services=dear:0"])).await;
}

async fn asked_twice(shop: &Shop, credential: &str) {
    let answer = shop.get("/dear/x", &[("authorization", &l402(credential))]).await;
    assert_eq!((answer.status.as_u16(), shop.hits()), (402, 1));
}

#[tokio::test]
async fn a_token_of_another_gateway_opens_nothing() {
    let shop = Shop::open().await;
    let other = Keyring::new(MasterKey::new([8; 32]), vec![]);
    asked(&shop, &l402(&mint(&other, &["services=api:0"]))).await;
}

#[tokio::test]
async fn a_token_opens_until_it_expires() {
    let shop = Shop::with("valid_for = '1h'\ninvoice_expiry = '5m'").await;
    let token = shop.get("/weather", &[]).await.challenge().token;
    let macaroon = token.macaroons().unwrap().remove(0);
    let caveats: Vec<_> = macaroon.caveats().flatten().collect();
    let [services, until] = caveats[..] else { panic!("{caveats:?}") };
    assert_eq!(services, "services=api:0");
    let until: u64 = until.strip_prefix("api_valid_until=").unwrap().parse().unwrap();
    let hour = seconds_from_now(3600);
    assert!((hour - 60..=hour).contains(&until), "{until}");

    let live = format!("api_valid_until={}", seconds_from_now(60));
    let dead = format!("api_valid_until={}", seconds_from_now(-1));
    asked(&shop, &l402(&shop.mint(&["services=api:0", &dead]))).await;
    asked(&shop, &l402(&shop.mint(&["services=api:0", &dead, &live]))).await;
    assert_eq!(with(&shop, &l402(&shop.mint(&["services=api:0", &live]))).await.status, 200);
}

#[tokio::test]
async fn a_changed_bit_anywhere_opens_nothing() {
    let shop = Shop::open().await;
    let credential = shop.buy("/weather").await;
    let (token, preimage) = credential.split_once(':').unwrap();
    let bytes = Token::new(token).unwrap().macaroons().unwrap().remove(0).to_bytes();
    let mut tried = 0;
    for at in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        // A changed location is not under the signature, and means nothing.
        let Ok(macaroon) = Macaroon::parse(&changed) else { continue };
        if macaroon.to_bytes()[6..] == bytes[6..] {
            continue;
        }
        asked(&shop, &format!("L402 {}:{preimage}", macaroon.to_base64())).await;
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

#[tokio::test]
async fn a_holder_can_narrow_a_token_and_the_gateway_holds_it_to_that() {
    let shop = Shop::open().await;
    let minted = |caveat: &str| l402(&shop.mint(&["services=api:0", caveat]));
    for (caveat, opens) in [
        ("method=GET", true),
        ("method=POST", false),
        ("path_prefix=/weather", true),
        ("path_prefix=/other", false),
        ("client_ip=127.0.0.0/8", true),
        ("client_ip=10.0.0.0/8", false),
        ("not_before=1", true),
        ("not_before=99999999999", false),
        ("api_capabilities=read", true),
        ("other_valid_until=1", true),
    ] {
        let status = with(&shop, &minted(caveat)).await.status;
        assert_eq!(status == 200, opens, "{caveat}: {status}");
    }
}

#[tokio::test]
async fn an_unknown_caveat_is_skipped_unless_the_service_is_strict() {
    for (keys, status) in [("", 200), ("strict_caveats = true", 402)] {
        let shop = Shop::with(keys).await;
        let credential = shop.mint(&["services=api:0", "colour=blue"]);
        assert_eq!(with(&shop, &l402(&credential)).await.status, status, "{keys}");
    }
}

#[tokio::test]
async fn a_bad_credential_can_be_refused_instead() {
    let shop = Shop::with("bad_credential = 'refuse'").await;
    for bad in ["L402 x".to_owned(), l402(&shop.mint(&["services=other:0"]))] {
        let answer = with(&shop, &bad).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.lines("www-authenticate"), ["L402"]);
    }
    assert_eq!(shop.seller.invoices(), 0, "a refusal costs no invoice");
    assert_eq!(shop.get("/weather", &[]).await.status, 402, "who comes with none is asked");
    assert_eq!(with(&shop, "Bearer x").await.status, 402, "and so is who comes with another's");
}

#[tokio::test]
async fn two_different_credentials_are_nobodys() {
    let shop = Shop::open().await;
    let (one, two) = (shop.mint(&["services=api:0"]), shop.buy("/weather").await);
    asked(&shop, &format!("L402 {one}, L402 {two}")).await;
    let lines = [("authorization", l402(&one)), ("authorization", l402(&two))];
    let lines = lines.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(shop.get("/weather", &lines).await.status, 402);
}

#[tokio::test]
async fn tokens_of_a_replaced_master_key_open_until_it_is_dropped() {
    let shop = Shop::open().await;
    let credential = l402(&shop.buy("/weather").await);
    let (old, new) = (MasterKey::new([7; 32]), MasterKey::new([8; 32]));
    for (keyring, status) in
        [(Keyring::new(new.clone(), vec![old]), 200), (Keyring::new(new, vec![]), 402)]
    {
        let text =
            format!("[[service]]\nname='api'\nprice='10 sat'\nupstream='{}'", shop.origin.url(""));
        let config = Config::read(&text).unwrap();
        let gateway = Gateway::open(&config, shop.seller.invoicer(), keyring).await.unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/weather", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serve = gateway.serve(listener, async { drop(stopped.await) });
        let ask = async {
            let request = http::Request::get(url).header("authorization", &credential);
            let request = request.body(http_body_util::Full::default()).unwrap();
            let http = shop.http.clone();
            let answer = Answer::read(http.request(request).await.unwrap()).await;
            stop.send(()).unwrap();
            answer
        };
        let (answer, stopped) = tokio::join!(ask, serve);
        assert_eq!((answer.status.as_u16(), stopped.cut), (status, 0));
    }
}

#[tokio::test]
async fn a_hundred_connections_are_served_at_a_time() {
    let shop = Arc::new(Shop::open().await);
    let credential = l402(&shop.buy("/weather").await);
    let mut buyers = JoinSet::new();
    for number in 0..100 {
        let (shop, credential) = (Arc::clone(&shop), credential.clone());
        buyers.spawn(async move {
            // A connection of its own, with paid, unpaid and free requests on it.
            let http = shop::client();
            let path = format!("/weather/{number}");
            for _ in 0..5 {
                let paid = shop.request("GET", &path, &[("authorization", &credential)]);
                let paid = Answer::read(http.request(paid).await.unwrap()).await;
                assert_eq!(paid.body, format!("origin: GET {path}\n"));
                let unpaid = http.request(shop.request("GET", &path, &[])).await.unwrap();
                assert_eq!(Answer::read(unpaid).await.status, 402);
                let free = http.request(shop.request("GET", "/free", &[])).await.unwrap();
                assert_eq!(Answer::read(free).await.status, 200);
            }
        });
    }
    while let Some(buyer) = buyers.join_next().await {
        buyer.unwrap();
    }
    assert_eq!(shop.hits(), 1000);
    assert_eq!(shop.seller.invoices(), 501, "each unpaid request has an invoice of its own");
}
