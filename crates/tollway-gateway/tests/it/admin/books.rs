//! What was asked for and paid, tokens and their revocation, sums, tables, and health.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use l402::{Msat, PaymentHash, TokenId};
use serde_json::{Value, json};
use tollway_gateway::store::{Bill, Event};

use super::{Office, kind};
use crate::shop::l402;

/// The id of a bought token.
fn id(credential: &str) -> String {
    let token = l402::Token::new(credential.split(':').next().unwrap()).unwrap();
    let macaroon = &token.macaroons().unwrap()[0];
    l402::Identifier::parse(macaroon.identifier()).unwrap().token_id.to_string()
}

#[tokio::test]
async fn what_is_bought_is_seen_in_the_list_the_sums_and_the_table() {
    let office = Office::open().await;
    let bought = office.shop.buy("/x").await;
    let bills = office.json("/v1/challenges").await["bills"].clone();
    assert_eq!((bills.as_array().unwrap().len(), &bills[0]["state"]), (1, &json!("unpaid")));
    assert_eq!(
        office.json("/v1/payments").await["bills"],
        json!([]),
        "nobody has shown that it is paid"
    );
    for _ in 0..3 {
        assert_eq!(office.shop.get("/x", &[("authorization", &l402(&bought))]).await.status, 200);
    }
    office.shop.get("/x", &[]).await;
    let paid = office.json("/v1/payments").await["bills"].clone();
    let [bill] = &paid.as_array().unwrap()[..] else { panic!("{paid}") };
    assert_eq!((&bill["service"], &bill["price_msat"]), (&json!("api"), &json!(10_000)));
    assert_eq!((&bill["state"], &bill["token_id"]), (&json!("paid"), &json!(id(&bought))));
    let one =
        office.json(&format!("/v1/challenges/{}", bill["payment_hash"].as_str().unwrap())).await;
    assert_eq!(one, *bill);
    let totals = office.json("/v1/totals").await;
    let sum = json!({"challenges": 2, "payments": 1, "unpriced": 0, "revenue_msat": 10_000});
    assert_eq!((&totals["total"], &totals["by_service"]["api"]), (&sum, &sum));
    let table = office.get("/v1/payments?format=csv").await;
    assert!(table.lines("content-type")[0].starts_with("text/csv"), "{table:?}");
    let lines: Vec<&str> = table.body.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("payment_hash,token_id,service,price_msat,state"), "{table:?}");
    assert!(lines[1].contains(&format!("{},api,10000,paid,", id(&bought))), "{table:?}");
    let table = office.get("/v1/totals?format=csv").await;
    assert!(table.body.ends_with(",api,2,1,0,10000\n"), "{table:?}");
}

#[tokio::test]
async fn a_token_that_is_revoked_opens_nothing_from_then_on() {
    let office = Office::open().await;
    let bought = office.shop.buy("/x").await;
    let get = async || office.shop.get("/x", &[("authorization", &l402(&bought))]).await.status;
    assert_eq!(get().await, 200);
    let path = format!("/v1/tokens/{}", id(&bought));
    let token = office.json(&path).await;
    assert_eq!((&token["revoked"], &token["key_held"]), (&json!(false), &json!(true)));
    assert_eq!(token["bill"]["service"], "api");
    let revoked = office.change("POST", &format!("{path}/revoke"), None, None).await;
    assert_eq!((revoked.status, &revoked.json()["revoked"]), (StatusCode::OK, &json!(true)));
    assert_eq!(get().await, 402);
    let tokens = office.json("/v1/tokens").await["tokens"].clone();
    let listed = tokens.as_array().unwrap().iter().find(|it| it["id"] == id(&bought)).unwrap();
    assert_eq!(listed["revoked"], true);
    assert_eq!(office.json("/v1/revoked").await["revoked"], json!([id(&bought)]));
    let back = office.change("DELETE", &format!("{path}/revoke"), None, None).await;
    assert_eq!((back.status.as_u16(), kind(&back)), (409, "final".to_owned()));
    assert_eq!(get().await, 402);
    // One that was never written down: its name is enough.
    let unknown = format!("/v1/tokens/{}", "cd".repeat(32));
    assert_eq!(office.get(&unknown).await.status, StatusCode::NOT_FOUND);
    let revoked = office.change("POST", &format!("{unknown}/revoke"), None, None).await.json();
    assert_eq!((&revoked["revoked"], &revoked["bill"]), (&json!(true), &Value::Null));
    assert_eq!(office.json(&unknown).await["key_held"], false);
    assert_eq!(office.get("/v1/tokens/zz").await.status, StatusCode::BAD_REQUEST);
}

/// Bills that were written down by whoever shares the store.
async fn stock(office: &Office, count: u32) {
    let start = SystemTime::now() - Duration::from_secs(86_400);
    let events = (0..count).map(|number| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        let issued = start + Duration::from_secs(number.into());
        let old = number % 4 != 0;
        let wait = Duration::from_secs(if old { 1 } else { 2 * 86_400 });
        Event::Issued(Bill {
            hash: PaymentHash(hash),
            token: (number % 3 != 0).then_some(TokenId(hash)),
            service: if number % 2 == 0 { "=even".into() } else { "odd".into() },
            price: Some(Msat::from_msat(1_000)),
            issued,
            expires: Some(issued + wait),
            settled: (number % 10 == 0).then_some(issued),
        })
    });
    let events: Vec<Event> = events.collect();
    let paid = events.iter().filter_map(|event| match event {
        Event::Issued(Bill { settled: Some(at), hash, service, .. }) => {
            Some(Event::Settled { hash: *hash, service: service.clone(), price: None, at: *at })
        }
        _ => None,
    });
    let paid: Vec<Event> = paid.collect();
    let store = office.shop.gateway.store();
    for some in [events, paid] {
        for some in some.chunks(1_000) {
            store.record(some).await.unwrap();
        }
    }
}

/// The numbers of all bills that a list leads to, page by page.
async fn leaf(office: &Office, path: &str, field: &str, hash: &str) -> Vec<u32> {
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = office.json(&format!("{path}{cursor}")).await;
        for item in page[field].as_array().unwrap() {
            let hash = item.pointer(hash).unwrap().as_str().unwrap();
            numbers.push(u32::from_str_radix(&hash[..8], 16).unwrap());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return numbers,
        }
    }
}

#[tokio::test]
async fn lists_are_leafed_through_by_state_service_and_day() {
    let office = Office::open().await;
    stock(&office, 3_000).await;
    let bills = async |query: &str| {
        leaf(&office, &format!("/v1/challenges?{query}"), "bills", "/payment_hash").await
    };
    let numbers = |wanted: fn(&u32) -> bool| (0..3_000).rev().filter(wanted).collect::<Vec<u32>>();
    assert_eq!(bills("limit=700").await, numbers(|_| true));
    assert_eq!(bills("limit=97&service=odd").await, numbers(|n| n % 2 == 1));
    assert_eq!(bills("limit=50&state=paid").await, numbers(|n| n % 10 == 0));
    assert_eq!(bills("limit=333&state=expired").await, numbers(|n| n % 4 != 0 && n % 10 != 0));
    let open = numbers(|n| n % 4 == 0 && n % 10 != 0);
    assert_eq!(bills("limit=333&state=unpaid").await, open);
    assert_eq!(bills("limit=9&state=unpaid&service=odd").await, Vec::<u32>::new());
    assert_eq!(bills("limit=5&from=2999-01-01").await, Vec::<u32>::new());
    let all = bills("limit=1000&to=2999-01-01&from=2000-01-01").await;
    assert_eq!(all.len(), 3_000);
    let tokens = leaf(&office, "/v1/tokens?limit=100&state=paid", "tokens", "/id").await;
    assert_eq!(tokens, numbers(|n| n % 10 == 0 && n % 3 != 0));
    let paid =
        leaf(&office, "/v1/payments?limit=7&service=%3Deven", "bills", "/payment_hash").await;
    assert_eq!(paid, numbers(|n| n % 10 == 0));
    // The whole of it, in more pieces than one.
    let table = office.get("/v1/challenges?format=csv").await;
    assert_eq!(table.body.lines().count(), 3_001);
    assert!(table.body.contains(",'=even,") && !table.body.contains(",=even,"));
    let table = office.get("/v1/tokens?format=csv&state=paid").await;
    assert_eq!(table.body.lines().count(), 1 + tokens.len());
    let totals = office.json("/v1/totals").await;
    assert_eq!(totals["total"]["revenue_msat"], 300_000);
}

#[tokio::test]
async fn health_names_what_is_not_in_order() {
    let office = Office::open().await;
    let health = office.json("/v1/health").await;
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!((&health["node"]["ok"], &health["store"]["kind"]), (&json!(true), &json!("memory")));
    assert_eq!(health["upstreams"][0]["service"], "api");
    let down = super::service("down", "1 sat");
    let answer = office.change("POST", "/v1/services", Some("*"), Some(&down)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let health = office.json("/v1/health").await;
    assert_eq!(health["status"], "degraded");
    let upstreams = health["upstreams"].as_array().unwrap();
    let unwell: Vec<_> = upstreams.iter().filter(|it| it["ok"] == false).collect();
    assert_eq!((unwell.len(), &unwell[0]["service"]), (1, &json!("down")));
    assert_eq!(office.shop.hits(), 0, "nothing is asked of an upstream that nobody has paid for");
}
