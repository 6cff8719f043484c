//! A real Envoy, by `ext_authz` over gRPC.

use std::process::Command;

use super::front::{self, Front};
use super::{Asked, counted, price_list, receipt, story};

async fn envoy(asked: &Asked) -> Option<Front> {
    let program = front::find("envoy")?;
    let folder = front::folder();
    let socket = front::socket(folder.path());
    let address = "{ socket_address: { address: 0.0.0.0, port_value: 80 } }";
    let pipe = format!("{{ pipe: {{ path: {} }} }}", socket.display());
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let origin = port(&asked.shop.origin.url(""));
    let config = asked
        .documented_after("## Envoy", "yaml")
        .replace(address, &pipe)
        .replace("port_value: 9000", &format!("port_value: {origin}"))
        .replace("port_value: 8404", &format!("port_value: {}", asked.address.port()));
    let path = folder.path().join("envoy.yaml");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(program);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"]);
    command.arg(&path);
    Some(Front::start(folder, &mut command).await)
}

#[tokio::test]
async fn the_buyer_sees_the_bill_and_what_was_paid_for() {
    let asked = Asked::with("").await;
    let Some(front) = envoy(&asked).await else { return };
    story(&asked, &front).await;
    price_list(&front).await;
    // Envoy makes gRPC's answer; what clients look for is in it.
    let hits = asked.shop.hits();
    let grpc = front.send("POST", "/svc/M", &[("content-type", "application/grpc")], "").await;
    assert_eq!((grpc.status.as_u16(), asked.shop.hits()), (200, hits), "{grpc:?}");
    assert_eq!(grpc.lines("grpc-message"), ["payment required"]);
    assert_eq!(grpc.lines("www-authenticate").len(), 2, "{grpc:?}");
}

#[tokio::test]
async fn what_is_counted_is_counted_and_receipts_arrive() {
    let asked = Asked::with("schemes = ['l402', 'mpp']").await;
    let Some(front) = envoy(&asked).await else { return };
    counted(&asked, &front).await;
    receipt(&asked, &front).await;
}
