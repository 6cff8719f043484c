//! The questions themselves, as Traefik and others send them, and as nobody should.

use http::Request;
use http_body_util::Full;

use super::Asked;
use crate::shop::{Answer, Shop, l402};

async fn ask(asked: &Asked, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(format!("http://{}{path}", asked.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    asked.shop.send(request.body(Full::default()).unwrap()).await
}

/// What Traefik's `ForwardAuth` sends (middlewares/http/forwardauth, "Forward-Request Headers").
fn traefik<'a>(method: &'a str, target: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("x-forwarded-method", method),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-uri", target),
        ("x-forwarded-for", "198.51.100.7"),
    ]
}

#[tokio::test]
async fn traefik_is_told_by_the_status() {
    let asked =
        Asked::with("[[service.rule]]\nname = 'w'\nmethod = 'POST'\nprice = '50 sat'").await;
    let bill = ask(&asked, "/auth", &traefik("GET", "/x?y=1")).await;
    assert_eq!(bill.json()["price_msat"], 10_000);
    let dear = ask(&asked, "/auth", &traefik("POST", "/x?y=1")).await;
    assert_eq!(dear.json()["price_msat"], 50_000, "the method is the client's");
    let line = asked.pay(&bill).await;
    let with = |method: &'static str| {
        let mut headers = traefik(method, "/x?y=1");
        headers.push(("authorization", &line));
        headers
    };
    let paid = ask(&asked, "/auth", &with("GET")).await;
    assert_eq!((paid.status.as_u16(), paid.lines("x-tollway-basis")), (200, vec!["paid"]));
    assert!(paid.lines("authorization").is_empty() && paid.body.is_empty());
    assert_eq!(ask(&asked, "/auth", &with("POST")).await.status, 402);
}

#[tokio::test]
async fn a_question_that_leaves_something_out_lets_nobody_pass() {
    let asked = Asked::with("").await;
    let whole = traefik("GET", "/free");
    assert_eq!(ask(&asked, "/auth", &whole).await.status, 200);
    for missing in ["x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"] {
        let mut headers = whole.clone();
        headers.retain(|(name, _)| *name != missing);
        let answer = ask(&asked, "/auth", &headers).await;
        assert_eq!(answer.status, 400, "{missing}");
        assert!(answer.body.contains(missing), "{answer:?}");
        // Twice is as bad: one of them is somebody's trick.
        let twice = [&whole[..], &[(missing, "/x")]].concat();
        assert_eq!(ask(&asked, "/auth", &twice).await.status, 400, "{missing}");
    }
    for target in ["/free#/../x", "http://api.example.com/free", "*", "/free/../x", "//free"] {
        assert_eq!(ask(&asked, "/auth", &traefik("GET", target)).await.status, 400, "{target}");
    }
    // nginx is never told anything but 200 and 401, and its names are others.
    let wrong = ask(&asked, "/auth/nginx", &whole).await;
    assert_eq!((wrong.status.as_u16(), wrong.lines("x-tollway-answer").len()), (401, 1));
    assert_eq!(ask(&asked, "/auth/answer", &[("x-tollway-answer", "e30")]).await.status, 400);
    assert_eq!(ask(&asked, "/free", &whole).await.status, 404, "the question has no path");
}

#[tokio::test]
async fn no_answer_but_leave_to_pass_succeeds() {
    let asked = Asked::with("schemes = ['l402', 'mpp']").await;
    let grpc = [&traefik("POST", "/x")[..], &[("content-type", "application/grpc")]].concat();
    assert_eq!(ask(&asked, "/auth", &grpc).await.status, 402);
    let list = ask(&asked, "/auth", &traefik("GET", "/.well-known/l402.json")).await;
    assert_eq!(list.status, 404, "{list:?}");
    let preflight = [
        &traefik("OPTIONS", "/x")[..],
        &[("origin", "https://a.example"), ("access-control-request-method", "GET")],
    ]
    .concat();
    assert_eq!(ask(&asked, "/auth", &preflight).await.status, 403);
}

#[tokio::test]
async fn whom_the_proxy_names_is_whom_limits_count() {
    let asked = Asked::with("[[service.limit]]\nrate = '1/1h'\npath = '/free'").await;
    let from = async |client: &'static str| {
        let mut headers = traefik("GET", "/free");
        headers.retain(|(name, _)| *name != "x-forwarded-for");
        headers.push(("x-forwarded-for", client));
        ask(&asked, "/auth", &headers).await.status.as_u16()
    };
    assert_eq!((from("198.51.100.7").await, from("6.6.6.6, 198.51.100.7").await), (200, 429));
    assert_eq!(from("198.51.100.8").await, 200);
}

#[tokio::test]
async fn only_proxies_that_are_trusted_are_answered_and_only_where_they_ask() {
    let asked = Asked::with("").await;
    let text = "trusted_proxies = ['10.0.0.0/8']\n[[service]]\nname='api'\nprice='10 sat'\n\
                upstream='none'\nfree='/free'";
    let config = tollway_gateway::Config::read(text).unwrap();
    asked.shop.gateway.replace(&config).unwrap();
    let refused = ask(&asked, "/auth", &traefik("GET", "/free")).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    // On the listener that sells, what somebody else serves is nobody's, paid or not.
    let paid = l402(&asked.shop.mint(&["services=api:0"]));
    for path in ["/x", "/auth", "/auth/nginx", "/free"] {
        let headers = [&traefik("GET", "/free")[..], &[("authorization", paid.as_str())]].concat();
        assert_eq!(asked.shop.get(path, &headers).await.status, 404, "{path}");
    }
    assert_eq!(asked.shop.seller.invoices(), 0);
}

#[tokio::test]
async fn a_service_of_ours_is_not_let_pass_elsewhere() {
    let asked = Asked::with("").await;
    let url = asked.shop.origin.url("");
    let text = format!(
        "trusted_proxies = ['127.0.0.1']\n[[service]]\nname='api'\nprice='10 sat'\nupstream='{url}'"
    );
    asked.shop.gateway.replace(&tollway_gateway::Config::read(&text).unwrap()).unwrap();
    assert_eq!(ask(&asked, "/auth", &traefik("GET", "/x")).await.status, 404);
    assert_eq!(asked.shop.seller.invoices(), 0);
    let shop: &Shop = &asked.shop;
    assert_eq!(shop.get("/x", &[]).await.status, 402);
}
