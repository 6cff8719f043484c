//! What a credential opens, and what it does not.

use crate::shop::{Shop, l402};

#[tokio::test]
async fn a_request_that_paid_gets_through() {
    let shop = Shop::open().await;
    let credential = shop.buy("/weather").await;
    let answer = shop.get("/weather", &[("authorization", &l402(&credential))]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "origin: GET /weather\n"));
    assert_eq!(shop.hits(), 1, "nothing but the paid request reached the upstream");
    assert_eq!(shop.seller.received_total(), "10 sat".parse().unwrap());
}
