//! A real Caddy, by `forward_auth`.

use std::process::Command;

use super::front::{self, Front};
use super::{Asked, counted, price_list, story};

async fn caddy(asked: &Asked) -> Option<Front> {
    let program = front::find("caddy")?;
    let folder = front::folder();
    // It says nothing of a client that comes by a Unix socket, so it is handed a port.
    let site = asked.documented("caddyfile");
    let site = site.replacen("api.example.com {", "http://api.example.com {\n\tbind fd/0", 1);
    let config = folder.path().join("Caddyfile");
    std::fs::write(&config, format!("{{\n\tadmin off\n}}\n{site}\n")).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
    Some(Front::start_with_port(folder, &mut command).await)
}

#[tokio::test]
async fn the_buyer_sees_the_bill_and_what_was_paid_for() {
    let asked = Asked::with("").await;
    let Some(front) = caddy(&asked).await else { return };
    story(&asked, &front).await;
    price_list(&front).await;
    // An answer that succeeds would be leave to pass, so gRPC's own is not given.
    let hits = asked.shop.hits();
    let grpc = front.send("POST", "/svc/M", &[("content-type", "application/grpc")], "").await;
    assert_eq!((grpc.status.as_u16(), asked.shop.hits()), (402, hits));
}

#[tokio::test]
async fn what_is_counted_is_counted() {
    let asked = Asked::with("schemes = ['l402', 'mpp']").await;
    let Some(front) = caddy(&asked).await else { return };
    counted(&asked, &front).await;
}
