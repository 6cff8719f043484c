//! What a service's tokens say beyond its name, and that it is enforced.

use crate::shop::{Shop, l402};

#[tokio::test]
async fn what_a_service_mints_into_its_tokens_is_enforced() {
    let shop = Shop::with(
        "capabilities = ['upstream']\nrequest_count = 3\n\
         constraints = { method = 'GET', path_prefix = '/v1' }",
    );
    let shop = shop.await;
    let token = l402(&shop.buy("/v1/x").await);
    let status = async |method: &str, path: &str| {
        let headers = [("authorization", token.as_str())];
        shop.send(shop.request(method, path, &headers)).await.status.as_u16()
    };
    assert_eq!(status("GET", "/v1/x").await, 200);
    assert_eq!((status("POST", "/v1/x").await, status("GET", "/v2").await), (402, 402));
    assert_eq!((status("GET", "/v1/y").await, status("GET", "/v1").await), (200, 200));
    assert_eq!(status("GET", "/v1/x").await, 402, "three, and no more");
    assert_eq!(shop.hits(), 3);
}

#[tokio::test]
async fn a_rule_without_a_price_asks_for_its_name_in_the_token() {
    let shop = Shop::with("[[service.rule]]\nname = 'admin'\npath = '/admin'").await;
    let bought = l402(&shop.buy("/").await);
    let narrowed = l402(&shop.mint(&[
        "services=api:0",
        "api_capabilities=base,admin",
        "api_capabilities=base",
    ]));
    for (token, path, status) in [
        (&bought, "/admin", 200),
        (&bought, "/x", 200),
        (&narrowed, "/x", 200),
        (&narrowed, "/admin", 402),
    ] {
        let answer = shop.get(path, &[("authorization", token)]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}
