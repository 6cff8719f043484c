//! Pages of other origins: they can buy where they may, and nobody is billed for a browser's question.

use crate::shop::{Answer, Shop, l402};

const APP: &str = "https://app.example.com";

async fn preflight(shop: &Shop, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, x-app"),
    ];
    shop.send(shop.request("OPTIONS", path, &headers)).await
}

#[tokio::test]
async fn a_preflight_is_answered_and_never_billed() {
    let shop = Shop::with(&format!("cors = '{APP}'\nmethod = ['POST', 'GET']")).await;
    let answer = preflight(&shop, "/x", APP).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.lines("access-control-allow-origin"), [APP]);
    assert_eq!(answer.lines("access-control-allow-methods"), ["POST"]);
    assert_eq!(answer.lines("access-control-allow-headers"), ["authorization, x-app"]);
    let other = preflight(&shop, "/x", "https://evil.example").await;
    assert_eq!(other.status, 403);
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    assert_eq!((shop.hits(), shop.seller.invoices()), (0, 0));
}

#[tokio::test]
async fn without_cors_a_preflight_is_refused_where_it_would_cost_and_passed_where_it_would_not() {
    let shop = Shop::open().await;
    assert_eq!(preflight(&shop, "/paid", APP).await.status, 403);
    assert_eq!((shop.hits(), shop.seller.invoices()), (0, 0));
    assert_eq!(preflight(&shop, "/free", APP).await.body, "origin: OPTIONS /free\n");
}

#[tokio::test]
async fn a_preflight_is_no_way_around_paying() {
    for keys in ["", "cors = '*'"] {
        let shop = Shop::with(keys).await;
        preflight(&shop, "/paid", APP).await;
        assert_eq!(shop.hits(), 0, "{keys}");
    }
}

#[tokio::test]
async fn a_page_can_read_the_bill_and_the_answer() {
    let shop = Shop::with(&format!("cors = ['{APP}', 'https://b.example']")).await;
    let asked = shop.get("/x", &[("origin", APP)]).await;
    assert_eq!(asked.status, 402);
    assert_eq!(asked.lines("access-control-allow-origin"), [APP]);
    assert_eq!(asked.lines("vary"), ["Origin"]);
    assert!(asked.lines("access-control-expose-headers")[0].contains("WWW-Authenticate"));
    let paid = l402(&shop.mint(&["services=api:0"]));
    let answer = shop.get("/x", &[("origin", APP), ("authorization", &paid)]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.lines("access-control-allow-origin")),
        (200, vec![APP])
    );
    let other =
        shop.get("/x", &[("origin", "https://evil.example"), ("authorization", &paid)]).await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    let any = Shop::with("cors = '*'").await;
    let asked = any.get("/x", &[("origin", APP)]).await;
    assert_eq!(asked.lines("access-control-allow-origin"), ["*"]);
}
