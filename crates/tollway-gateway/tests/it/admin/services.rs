//! Services, changed by an administrator: at once, in the file, and nothing of anybody else's lost.

use http::StatusCode;
use serde_json::{Value, json};
use tollway_gateway::{Config, Reloaded};

use super::{Office, kind, service};

#[tokio::test]
async fn a_changed_price_is_asked_at_once_and_stands_in_the_file() {
    let office = Office::open().await;
    assert_eq!(office.price("/x").await, 10_000);
    let mut api = office.json("/v1/services/api").await;
    api["price"] = json!("25 sat");
    let tag = office.tag().await;
    let answer = office.change("PUT", "/v1/services/api", Some(&tag), Some(&api)).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, api));
    assert_eq!(office.price("/x").await, 25_000);
    let text = office.text();
    for kept in ["# The whole.", "# What is sold.", "# its name", "# cheap", "# for all", "25 sat"]
    {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    // The file says what is in force: whoever follows it has nothing to do.
    assert_eq!(office.config.reload_if_written().unwrap(), None);
    assert_eq!(office.config.reload().unwrap(), Reloaded::Same);
    assert_eq!(office.json("/v1/config").await["generation"], 2);
    assert_ne!(office.tag().await, tag);
    assert_eq!(office.tag().await, answer.lines("etag")[0]);
}

#[tokio::test]
async fn services_are_added_moved_and_removed() {
    let office = Office::open().await;
    let names = async || {
        let services = office.json("/v1/services").await["services"].clone();
        let names =
            services.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let any = Some("*");
    for (path, name) in [("/v1/services", "b"), ("/v1/services?before=api", "c")] {
        let new = service(name, "5 sat");
        let answer = office.change("POST", path, any, Some(&new)).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::CREATED, new));
    }
    assert_eq!(names().await, "c api b");
    assert_eq!([office.price("/b").await, office.price("/x").await], [5_000, 10_000]);
    let order = json!({ "order": ["b", "api", "c"] });
    let answer = office.change("PUT", "/v1/service-order", any, Some(&order)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(names().await, "b api c");
    let removed = office.change("DELETE", "/v1/services/b", any, None).await;
    assert_eq!((removed.status, removed.body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(names().await, "api c");
    assert_eq!(office.price("/b").await, 10_000, "it is the other service's now");
    let again = Config::read(&office.text()).unwrap();
    assert_eq!(again.services.len(), 2);
    assert!(office.text().contains("# its name"));
}

/// Every key that a service can have, from the example that shows all there is.
#[tokio::test]
async fn every_key_of_a_service_survives_being_read_and_written_back() {
    let office = Office::open().await;
    let example = include_str!("../../../../../gateway.example.toml");
    // The keys that are only shown are there too.
    let text: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if is_key(key) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let parsed: toml::Table = text.parse().unwrap();
    let Value::Object(parsed) = serde_json::to_value(&parsed).unwrap() else { panic!() };
    let services = parsed["service"].as_array().unwrap();
    assert!(services[0].as_object().unwrap().len() > 40, "{services:?}");
    for service in services {
        let mut service = service.clone();
        let all = service.as_object_mut().unwrap();
        // Of what excludes something else, one.
        for other in ["pricer", "pricer_ca", "pricer_timeout", "pricer_keep", "ca"] {
            all.remove(other);
        }
        let answer = office.change("POST", "/v1/services", Some("*"), Some(&service)).await;
        let mut shown = service.clone();
        if answer.status != StatusCode::CREATED {
            // A secret in the example names a variable that is not set here.
            assert_eq!(kind(&answer), "cannot_open", "{answer:?}");
            service.as_object_mut().unwrap().insert("request_headers".into(), json!({"A": "b"}));
            let answer = office.change("POST", "/v1/services", Some("*"), Some(&service)).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            shown = service.clone();
            shown["request_headers"] = json!({"A": "(secret)"});
        }
        let path = format!("/v1/services/{}", service["name"].as_str().unwrap());
        let there = office.json(&path).await;
        for (key, value) in shown.as_object().unwrap() {
            assert_eq!(there[key], *value, "{key}");
        }
        assert_eq!(there, shown);
        let before = office.text();
        let answer = office.change("PUT", &path, Some("*"), Some(&shown)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(office.text(), before, "nothing has changed");
    }
}

fn is_key(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default();
    line.contains(" = ") && key.trim().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[tokio::test]
async fn of_two_changes_to_what_both_have_seen_one_wins() {
    let office = Office::open().await;
    let tag = office.tag().await;
    let (b, c) = (service("b", "1 sat"), service("c", "1 sat"));
    let (one, other) = tokio::join!(
        office.change("POST", "/v1/services", Some(&tag), Some(&b)),
        office.change("POST", "/v1/services", Some(&tag), Some(&c)),
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
    assert_eq!(Config::read(&office.text()).unwrap().services.len(), 2);
    // And the one that lost reads again, and wins.
    let (tag, lost) = (office.tag().await, if one.status == 412 { &b } else { &c });
    let again = office.change("POST", "/v1/services", Some(&tag), Some(lost)).await;
    assert_eq!(again.status, StatusCode::CREATED);
}

#[tokio::test]
async fn many_at_once_lose_nothing() {
    let office = Office::open().await;
    let add = async |number: usize| {
        let new = service(&format!("s{number}"), "1 sat");
        loop {
            let tag = office.tag().await;
            let answer = office.change("POST", "/v1/services", Some(&tag), Some(&new)).await;
            match answer.status.as_u16() {
                201 => return,
                412 => {}
                _ => panic!("{answer:?}"),
            }
        }
    };
    tokio::join!(add(0), add(1), add(2), add(3), add(4), add(5), add(6), add(7));
    assert_eq!(Config::read(&office.text()).unwrap().services.len(), 9);
    assert_eq!(office.json("/v1/config").await["generation"], 9);
}

#[tokio::test]
async fn a_change_by_hand_in_between_is_not_lost() {
    let office = Office::open().await;
    let tag = office.tag().await;
    let by_hand = format!("{}valid_for = '1h' # by hand\n", office.text());
    std::fs::write(&office.file, &by_hand).unwrap();
    let api = office.json("/v1/services/api").await;
    assert_eq!(api["valid_for"], "1h", "what is in the file is shown, in force or not");
    assert_eq!(office.json("/v1/services").await["in_force"], false);
    let stale = office.change("PUT", "/v1/services/api", Some(&tag), Some(&api)).await;
    assert_eq!((stale.status.as_u16(), kind(&stale)), (412, "changed_meanwhile".to_owned()));
    assert_eq!(office.text(), by_hand);
    let none = office.change("PUT", "/v1/services/api", None, Some(&api)).await;
    assert_eq!((none.status.as_u16(), kind(&none)), (428, "no_if_match".to_owned()));
    // With the tag of what is there now, both changes are.
    let mut api = api;
    api["price"] = json!("7 sat");
    let tag = office.tag().await;
    let answer = office.change("PUT", "/v1/services/api", Some(&tag), Some(&api)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(office.text().contains("# by hand") && office.text().contains("7 sat"));
    assert_eq!(office.json("/v1/services").await["in_force"], true);
    assert_eq!(office.price("/x").await, 7_000);
}

#[tokio::test]
async fn a_change_with_mistakes_changes_nothing_and_names_them_all() {
    let office = Office::open().await;
    let before = office.text();
    let mut bad = service("b", "three sat");
    bad["prise"] = json!(1);
    bad["valid_for"] = json!("soon");
    let answer = office.change("POST", "/v1/services", Some("*"), Some(&bad)).await;
    assert_eq!((answer.status.as_u16(), kind(&answer)), (422, "mistakes".to_owned()));
    let mistakes = answer.json()["error"]["mistakes"].clone();
    let fields: Vec<_> =
        mistakes.as_array().unwrap().iter().map(|it| it["field"].clone()).collect();
    for field in ["price", "prise", "valid_for"] {
        assert!(fields.contains(&json!(field)), "{field}: {mistakes}");
    }
    assert!(mistakes.to_string().contains("did you mean `price`?"), "{mistakes}");
    let last = office.change("DELETE", "/v1/services/api", Some("*"), None).await;
    assert_eq!(kind(&last), "mistakes", "a gateway sells something");
    let twice =
        office.change("POST", "/v1/services", Some("*"), Some(&service("api", "1 sat"))).await;
    assert_eq!(kind(&twice), "mistakes");
    let closed = json!({"name": "tls", "path": "/t", "price": "1 sat", "upstream": "https://h",
        "ca": "file:/nowhere.pem"});
    let closed = office.change("POST", "/v1/services", Some("*"), Some(&closed)).await;
    assert_eq!((closed.status.as_u16(), kind(&closed)), (422, "cannot_open".to_owned()));
    for (method, path, body, status) in [
        ("GET", "/v1/services/none", None, 404),
        ("PUT", "/v1/services/none", Some(service("none", "1 sat")), 404),
        ("DELETE", "/v1/services/none", None, 404),
        ("POST", "/v1/services?before=none", Some(service("b", "1 sat")), 404),
        ("POST", "/v1/services", Some(json!([])), 400),
        ("POST", "/v1/services", Some(json!({"name": null})), 422),
        ("PUT", "/v1/service-order", Some(json!({"order": []})), 422),
        ("PUT", "/v1/service-order", Some(json!({"order": ["api", "x"]})), 422),
        ("PUT", "/v1/service-order", Some(json!({"ordre": ["api"]})), 400),
    ] {
        let answer = office.change(method, path, Some("*"), body.as_ref()).await;
        let answered = (answer.status.as_u16(), answer.json()["error"]["message"].is_string());
        assert_eq!(answered, (status, true), "{method} {path}: {answer:?}");
    }
    assert_eq!(office.text(), before);
    assert_eq!(office.json("/v1/config").await["generation"], 1);
}

#[tokio::test]
async fn a_file_with_a_mistake_is_told_and_can_be_mended() {
    let office = Office::open().await;
    let good = office.text();
    std::fs::write(&office.file, good.replace("10 sat", "ten sat")).unwrap();
    let reload = office.change("POST", "/v1/reload", None, None).await;
    assert_eq!((reload.status.as_u16(), kind(&reload)), (409, "mistakes".to_owned()));
    assert_eq!(reload.json()["error"]["mistakes"][0]["field"], "price");
    let config = office.json("/v1/config").await;
    assert_eq!((&config["in_force"], &config["generation"]), (&json!(false), &json!(1)));
    assert_eq!(config["mistakes"][0]["field"], "price");
    assert_eq!(office.json("/v1/health").await["config"]["ok"], false);
    assert_eq!(office.price("/x").await, 10_000, "what was in force still is");
    // It is TOML, so a change can mend it.
    let mut api = office.json("/v1/services/api").await;
    api["price"] = json!("11 sat");
    let answer =
        office.change("PUT", "/v1/services/api", Some(&office.tag().await), Some(&api)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(office.price("/x").await, 11_000);
    assert_eq!(office.json("/v1/health").await["config"]["ok"], true);
    // This is not.
    std::fs::write(&office.file, "[[service").unwrap();
    for answer in [
        office.get("/v1/services").await,
        office.change("PUT", "/v1/services/api", Some("*"), Some(&api)).await,
    ] {
        assert_eq!((answer.status.as_u16(), kind(&answer)), (409, "mistakes".to_owned()));
    }
    std::fs::write(&office.file, &good).unwrap();
    let again = office.change("POST", "/v1/reload", None, None).await.json();
    assert_eq!((&again["changed"], &again["generation"]), (&json!(true), &json!(3)), "{again}");
    assert_eq!(office.price("/x").await, 10_000);
}

#[tokio::test]
async fn secrets_are_not_shown_and_are_kept_when_they_come_back_hidden() {
    let keys = "request_headers = { Authorization = 'Bearer hunter2', X-Other = 'other' }\n";
    let office = Office::with("store = 'memory:'\n", keys).await;
    for path in ["/v1/services", "/v1/services/api", "/v1/config"] {
        let answer = office.get(path).await;
        assert!(answer.body.contains("(secret)") && !answer.body.contains("hunter2"), "{answer:?}");
    }
    let mut api = office.json("/v1/services/api").await;
    api["price"] = json!("11 sat");
    api["request_headers"]["X-Other"] = json!("new");
    let answer = office.change("PUT", "/v1/services/api", Some("*"), Some(&api)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let text = office.text();
    assert!(text.contains("Bearer hunter2") && text.contains("new"), "{text}");
    let mut other = service("b", "1 sat");
    other["request_headers"] = json!({"Authorization": "(secret)"});
    let answer = office.change("POST", "/v1/services", Some("*"), Some(&other)).await;
    assert_eq!((answer.status.as_u16(), kind(&answer)), (422, "bad_service".to_owned()));
}

#[tokio::test]
async fn a_configuration_can_be_checked_without_being_used() {
    let office = Office::open().await;
    let check = async |text: &str| office_check(&office, text).await;
    assert_eq!(check("").await["good"], true);
    let bad = check("lissten = 1").await;
    let told = bad["mistakes"].as_array().unwrap().iter().any(|it| it["field"] == "lissten");
    assert!(bad["good"] == false && told, "{bad}");
    let good = check("[[service]]\nname='a'\nupstream='http://h'\nauth='off'").await;
    assert_eq!((&good["good"], &good["services"]), (&json!(true), &json!(1)));
    assert_eq!(office.price("/x").await, 10_000);
}

async fn office_check(office: &Office, text: &str) -> Value {
    let bearer = format!("Bearer {}", office.all);
    let headers = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    office.raw("POST", "/v1/config/check", &headers, text).await.json()
}
