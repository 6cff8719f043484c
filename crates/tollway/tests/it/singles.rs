//! Single requests, sold by the gateway and bought by the client: the one scheme from both ends.

use std::sync::Arc;

use testkit::{FakeNetwork, Origin};
use tollway_client::{Client, MemoryWallet, Payment, Standing, Terms};

use crate::market::gateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_buys_single_requests_of_a_gateway_each_with_its_receipt() {
    for (schemes, scheme, payments) in
        [("[\"mpp\"]", "Payment", 3), ("[\"l402\", \"mpp\"]", "L402", 1)]
    {
        let origin = Origin::start().await;
        let (buyer, seller) = FakeNetwork::pair();
        let gateway = gateway(&format!("schemes = {schemes}"), &origin, &seller).await;
        let terms = Terms::up_to("100 sat".parse().unwrap());
        let client = Client::builder(Arc::new(MemoryWallet::new()), terms).payer(buyer.payer());
        let client = client.build().unwrap();
        for n in 0..3 {
            let url = format!("http://{gateway}/weather?day={n}");
            let response = client.post(&url).json(&n).send().await.unwrap();
            assert_eq!(response.status(), 200);
            let receipt = response.payment().receipt().unwrap().clone();
            assert_eq!((receipt.scheme, receipt.standing), (scheme, Standing::Honoured));
            if scheme == "Payment" {
                assert!(matches!(response.payment(), Payment::Bought(_)));
                assert_eq!(response.charge_receipt().unwrap().hash, receipt.hash);
            }
        }
        assert_eq!(seller.received().len(), payments, "{schemes}");
        assert_eq!(origin.received().len(), 3, "{schemes}");
    }
}
