//! Somebody else's client buys single requests: the `mpp` crate's, with a wallet of ours behind it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use l402::{Invoice, Msat, PayOrder, Payer};
use mpp::client::{Fetch, PaymentProvider};
use mpp::{
    MppError, PaymentChallenge, PaymentCredential, format_authorization, parse_receipt,
    parse_www_authenticate,
};
use serde_json::{Value, json};

use crate::shop::Shop;

/// Pays a Lightning charge with a node.
#[derive(Clone)]
struct Wallet {
    payer: Arc<dyn Payer>,
    paid: Arc<Mutex<Vec<Msat>>>,
}

impl PaymentProvider for Wallet {
    fn supports(&self, method: &str, intent: &str) -> bool {
        (method, intent) == ("lightning", "charge")
    }

    async fn pay(&self, challenge: &PaymentChallenge) -> Result<PaymentCredential, MppError> {
        let request: Value = challenge.request.decode()?;
        let invoice = request["methodDetails"]["invoice"].as_str().expect("an invoice");
        let invoice: Invoice = invoice.parse().expect("it can be read");
        assert_eq!(request["amount"], invoice.amount().sat_ceil().sat().to_string());
        let patience = Duration::from_secs(10);
        let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience };
        let paid = self.payer.pay(order).await.expect("it can be paid");
        self.paid.lock().unwrap().push(invoice.amount());
        let payload = json!({ "preimage": paid.preimage.expose_hex() });
        Ok(PaymentCredential::new(challenge.to_echo(), payload))
    }
}

async fn buy(keys: &str) {
    // Others in this process may have chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shop = Shop::with(keys).await;
    let wallet = Wallet { payer: shop.buyer.payer(), paid: Arc::default() };
    let http = reqwest::Client::new();
    for number in 1..=3 {
        let request =
            http.get(shop.url("/weather?city=berlin")).header("accept-payment", "lightning/charge");
        let response = request.send_with_payment(&wallet).await.unwrap();
        assert_eq!(response.status(), 200);
        let receipt =
            parse_receipt(response.headers()["payment-receipt"].to_str().unwrap()).unwrap();
        assert_eq!(receipt.method.as_str(), "lightning");
        let settled = shop.seller.received().last().unwrap().0.to_string();
        assert_eq!(receipt.reference, settled);
        assert_eq!(response.text().await.unwrap(), "origin: GET /weather\n");
        assert_eq!(shop.hits(), number, "each payment is one request");
    }
    assert_eq!(*wallet.paid.lock().unwrap(), [Msat::from_sat(10).unwrap(); 3]);
}

#[tokio::test]
async fn another_implementation_buys_where_nothing_else_is_sold() {
    buy("schemes = 'mpp'").await;
}

#[tokio::test]
async fn another_implementation_finds_its_challenge_beside_tokens() {
    buy("schemes = ['l402', 'mpp']").await;
}

/// Its own client refuses to use the other header with a transport that may follow redirects, so here
/// its reader and its writer are used alone.
#[tokio::test]
async fn another_implementation_puts_its_credential_where_it_is_told() {
    let shop = Shop::with("schemes = 'mpp'\npayment_header = 'Payment-Authorization'").await;
    let asked = shop.get("/weather", &[]).await;
    let [line] = asked.lines("www-authenticate")[..] else { panic!("{asked:?}") };
    let challenge = parse_www_authenticate(line).unwrap();
    assert_eq!(challenge.credential_header(), "Payment-Authorization");
    let wallet = Wallet { payer: shop.buyer.payer(), paid: Arc::default() };
    let credential = format_authorization(&wallet.pay(&challenge).await.unwrap()).unwrap();
    let wrong = shop.get("/weather", &[("authorization", &credential)]).await;
    assert_eq!(wrong.status, 402);
    let paid = shop.get("/weather", &[("payment-authorization", &credential)]).await;
    assert_eq!((paid.status.as_u16(), shop.hits()), (200, 1));
    parse_receipt(paid.lines("payment-receipt")[0]).unwrap();
}
