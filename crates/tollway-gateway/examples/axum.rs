//! An axum program that sells one of its own routes: no proxy, no second process.
//!
//! ```sh
//! cargo run -p tollway-gateway --example axum
//! curl -i http://127.0.0.1:3000/forecast
//! ```
//!
//! The node here is one that only exists within this process, so that the example runs anywhere; put a
//! driver of `tollway-nodes` or an invoicer of your own in its place.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use l402::{Invoicer, Keyring, MasterKey};
use tokio::net::TcpListener;
use tollway_gateway::config::{By, Limit};
use tollway_gateway::{Basis, Permit, Rule, Tariff, TollwayLayer};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (_, seller) = testkit::FakeNetwork::pair();
    let mut key = [0; 32];
    // A program that is to honour its tokens tomorrow keeps this key.
    getrandom::fill(&mut key)?;
    let keyring = Keyring::new(MasterKey::new(key), vec![]);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, seller.invoicer(), keyring).await
}

/// Serves the program until it is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Arc<dyn Invoicer>,
    keyring: Keyring,
) -> Result<(), Failure> {
    let history = Rule::new("history")?.path("/history")?.price("100 sat".parse()?)?;
    let two = NonZeroU32::new(2).ok_or("two is not zero")?;
    let tariff = Tariff::new("weather", "10 sat".parse()?)?
        .rule(history)?
        .free("/health")?
        .freebies(two, Duration::from_secs(24 * 3600))
        .valid_for(Duration::from_secs(30 * 24 * 3600))?;
    let layer = TollwayLayer::sell(tariff, node, keyring)
        .limit(Limit::new("100/1m".parse()?, By::Token))
        .open()
        .await?
        .client_ip(|head| {
            let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
            peer.map(|ConnectInfo(address)| address.ip())
        });
    let app = Router::new()
        .route("/forecast", get(forecast))
        .route("/history", get(async || "it rained"))
        .route("/health", get(async || "well"))
        .layer(layer);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// A route that knows on what its request was let in.
async fn forecast(Extension(permit): Extension<Arc<Permit>>) -> String {
    match permit.basis() {
        Basis::Paid(token) => format!("sunny, says the token {}", token.token_id()),
        Basis::Once(payment) => format!("sunny, for the payment {}", payment.payment_hash()),
        Basis::Freebie => "sunny; the next one may cost something".to_owned(),
        Basis::Free | Basis::Off => "sunny".to_owned(),
    }
}
