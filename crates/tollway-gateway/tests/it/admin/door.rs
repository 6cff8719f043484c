//! Who is let in, and that the document tells of every route and of nothing else.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use l402::{Macaroon, Token};
use serde_json::Value;
use tollway_gateway::admin::{CAPABILITIES, Capability, bake};

use super::{Office, kind};
use crate::shop::l402;

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// Each operation of the document: method, path with names filled in, and the operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let name = "ab".repeat(32);
        let path = path.replace("{name}", "api").replace("{id}", &name);
        let path = path.replace("{payment_hash}", &name);
        let methods = item.as_object().unwrap().clone();
        methods.into_iter().map(move |(method, operation)| (method, path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn the_document_tells_of_every_route_and_of_no_other() {
    let office = Office::open().await;
    let document = office.raw("GET", "/v1/openapi.json", &[], "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert!(operations.len() >= 19, "{operations:?}");
    for (method, path, operation) in &operations {
        let answer = office.with_credential(&office.all, &method.to_uppercase(), path).await;
        let status = answer.status.as_u16().to_string();
        let known = operation["responses"].as_object().unwrap();
        assert!(known.contains_key(&status), "{method} {path}: {status} is not in the document");
        assert_ne!(status, "405", "{method} {path}");
        if status == "404" {
            assert!(!answer.body.contains("no such route"), "{method} {path}");
        }
    }
    let paths: std::collections::BTreeSet<_> = operations.iter().map(|(_, path, _)| path).collect();
    for path in paths {
        for method in METHODS {
            let told = operations.iter().any(|(known, there, _)| known == method && there == path);
            let upper = method.to_uppercase();
            let answer = office.with_credential(&office.all, &upper, path).await;
            assert_eq!(answer.status == StatusCode::METHOD_NOT_ALLOWED, !told, "{method} {path}");
        }
    }
    // What it refers to is there.
    let text = document.to_string();
    for place in text.split("\"#/components/schemas/").skip(1) {
        let name = place.split('"').next().unwrap();
        assert!(!document["components"]["schemas"][name].is_null(), "{name}");
    }
}

#[tokio::test]
async fn every_parameter_of_the_document_is_read_and_no_other() {
    let office = Office::open().await;
    let document = office.raw("GET", "/v1/openapi.json", &[], "").await.json();
    let good = |name: &str| match name {
        "from" | "to" => "2026-11-21",
        "service" => "api",
        "state" => "paid",
        "limit" => "5",
        "format" => "json",
        "cursor" => "1-abababababababababababababababababababababababababababababababab",
        other => panic!("a value for `{other}`"),
    };
    for (method, path, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().unwrap();
        let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let names: Vec<&str> =
            in_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        if method != "get" || names.is_empty() {
            continue;
        }
        for name in names {
            let answer = office.get(&format!("{path}?{name}={}", good(name))).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {name}: {answer:?}");
        }
        for bad in ["colour=red", "limit=x", "state=odd", "from=soon", "cursor=1"] {
            let answer = office.get(&format!("{path}?{bad}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {bad}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn without_a_credential_or_with_a_bad_one_nothing_is_told() {
    let office = Office::open().await;
    let document = office.raw("GET", "/v1/openapi.json", &[], "").await.json();
    let mut other = Macaroon::parse(&bytes(&office.all)).unwrap().to_bytes();
    *other.last_mut().unwrap() ^= 1;
    let forged = format!("Bearer {}", base64(&other));
    let good = format!("Bearer {}", office.all);
    let before = office.text();
    for (method, path, operation) in operations(&document) {
        if operation["security"] == serde_json::json!([]) {
            continue;
        }
        let method = method.to_uppercase();
        let (basic, empty) = (good.replace("Bearer", "Basic"), "Bearer ".to_owned());
        for line in [None, Some(&forged), Some(&basic), Some(&empty)] {
            let headers: Vec<_> =
                line.map(|line| ("authorization", line.as_str())).into_iter().collect();
            let answer = office.raw(&method, &path, &headers, "").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {line:?}");
            assert!(answer.lines("www-authenticate")[0].starts_with("Bearer"), "{answer:?}");
        }
        let twice = [("authorization", good.as_str()), ("authorization", forged.as_str())];
        assert_eq!(office.raw(&method, &path, &twice, "").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(office.text(), before);
}

#[tokio::test]
async fn what_a_credential_may_not_is_refused_by_name() {
    let office = Office::open().await;
    let document = office.raw("GET", "/v1/openapi.json", &[], "").await.json();
    for (method, path, operation) in operations(&document) {
        let Some(needed) = operation["x-capability"].as_str() else { continue };
        let others = CAPABILITIES.iter().filter(|(_, name)| *name != needed);
        let others: Vec<Capability> = others.map(|(capability, _)| *capability).collect();
        let credential = office.may(&others);
        let answer = office.with_credential(&credential, &method.to_uppercase(), &path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}: {answer:?}");
        assert!(answer.body.contains(&format!("`{needed}`")), "{answer:?}");
    }
}

#[tokio::test]
async fn its_holder_narrows_it_and_it_ends_when_it_says() {
    let office = Office::open().await;
    let narrowed = |caveat: &str| {
        let mut macaroon = Macaroon::parse(&bytes(&office.all)).unwrap();
        macaroon.narrow(caveat).unwrap();
        macaroon.to_base64()
    };
    for (caveat, path, status) in [
        ("admin_capabilities=health:read", "/v1/health", 200),
        ("admin_capabilities=health:read", "/v1/services", 403),
        ("method=GET", "/v1/services", 200),
        ("method=POST", "/v1/services", 403),
        ("path_prefix=/v1/tokens", "/v1/tokens", 200),
        ("path_prefix=/v1/tokens", "/v1/services", 403),
        ("client_ip=127.0.0.1", "/v1/services", 200),
        ("client_ip=10.0.0.1", "/v1/services", 403),
        ("admin_valid_until=1", "/v1/services", 401),
        ("not_before=9999999999", "/v1/services", 401),
        ("request_count=5", "/v1/services", 401),
        ("colour=red", "/v1/services", 401),
    ] {
        let answer = office.with_credential(&narrowed(caveat), "GET", path).await;
        assert_eq!(answer.status.as_u16(), status, "{caveat} {path}: {answer:?}");
    }
    let soon = SystemTime::now() - Duration::from_secs(1);
    let over = bake(&office.shop.keyring, &[Capability::HealthRead], Some(soon)).unwrap().1;
    let answer = office.with_credential(over.expose(), "GET", "/v1/health").await;
    assert_eq!((answer.status, kind(&answer)), (StatusCode::UNAUTHORIZED, "bad_credential".into()));
}

#[tokio::test]
async fn a_credential_that_was_revoked_administers_no_more() {
    let office = Office::open().await;
    let watch = office.may(&[Capability::HealthRead]);
    assert_eq!(office.with_credential(&watch, "GET", "/v1/health").await.status, StatusCode::OK);
    let id = l402::admin::id(&Macaroon::parse(&bytes(&watch)).unwrap()).unwrap();
    let path = format!("/v1/tokens/{id}/revoke");
    assert_eq!(office.change("POST", &path, None, None).await.status, StatusCode::OK);
    let answer = office.with_credential(&watch, "GET", "/v1/health").await;
    assert_eq!(kind(&answer), "revoked_credential");
    assert_eq!(office.get("/v1/health").await.status, StatusCode::OK, "another still does");
}

#[tokio::test]
async fn what_is_sold_administers_nothing_and_what_administers_opens_nothing() {
    let office = Office::open().await;
    let bought = office.shop.buy("/x").await;
    let token = bought.split(':').next().unwrap().to_owned();
    let widest = office.shop.mint(&["admin_capabilities=services:read", "services=admin:0"]);
    for credential in [token.clone(), widest.split(':').next().unwrap().to_owned()] {
        let answer = office.with_credential(&credential, "GET", "/v1/services").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    }
    for line in [format!("L402 {bought}"), format!("Bearer {bought}")] {
        let answer = office.raw("GET", "/v1/services", &[("authorization", &line)], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    }
    let preimage = bought.split(':').nth(1).unwrap();
    let hits = office.shop.hits();
    for line in [format!("Bearer {}", office.all), l402(&format!("{}:{preimage}", office.all))] {
        let answer = office.shop.get("/x", &[("authorization", &line)]).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{answer:?}");
    }
    assert_eq!(office.shop.hits(), hits);
}

#[tokio::test]
async fn no_path_of_the_public_door_leads_to_the_administration() {
    let office = Office::open().await;
    let bearer = format!("Bearer {}", office.all);
    let host = office.address.trim_start_matches("http://").to_owned();
    for path in [
        "/v1/services",
        "/v1/openapi.json",
        "//v1/services",
        "/free/../v1/services",
        "/%761/services",
        "/v1%2fservices",
        "/v1/reload",
        "/admin/v1/services",
        "/v1/services/api",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            for headers in [
                vec![("authorization", bearer.as_str())],
                vec![("authorization", bearer.as_str()), ("host", host.as_str())],
                vec![("authorization", bearer.as_str()), ("x-original-url", "/v1/services")],
            ] {
                let answer = office.shop.send(office.shop.request(method, path, &headers)).await;
                // Whatever it is, it is the shop that answers: it asks for money, or refuses.
                assert!(
                    matches!(answer.status.as_u16(), 400 | 402 | 404),
                    "{method} {path}: {answer:?}"
                );
                assert!(!answer.body.contains("in_force"), "{answer:?}");
            }
        }
    }
    assert_eq!(office.shop.hits(), 0);
    assert_eq!(office.get("/x").await.status, StatusCode::NOT_FOUND, "nor the other way");
}

fn bytes(credential: &str) -> Vec<u8> {
    Token::new(credential).unwrap().macaroons().unwrap()[0].to_bytes()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
