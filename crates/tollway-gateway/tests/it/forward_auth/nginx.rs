//! Debian's nginx, by `auth_request`.

use std::process::Command;

use super::front::{self, Front};
use super::{Asked, counted, price_list, receipt, story};

/// nginx with the documented server, on a socket.
async fn nginx(asked: &Asked) -> Option<Front> {
    let program = front::find("nginx")?;
    let folder = front::folder();
    let place = folder.path().display();
    let listen = format!("listen unix:{}", front::socket(folder.path()).display());
    let server = asked.documented("nginx").replace("listen 80", &listen);
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
        .concat();
    let user = if nix_is_root() { "user root;\n" } else { "" };
    let whole = format!(
        "{user}daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr info;\n\
         events {{}}\nhttp {{\naccess_log off;\n{paths}{server}\n}}\n"
    );
    let config = folder.path().join("nginx.conf");
    std::fs::write(&config, whole).unwrap();
    let mut command = Command::new(program);
    command.arg("-p").arg(folder.path()).arg("-c").arg(&config);
    Some(Front::start(folder, &mut command).await)
}

fn nix_is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[tokio::test]
async fn the_buyer_sees_the_bill_and_what_was_paid_for() {
    let asked = Asked::with("").await;
    let Some(front) = nginx(&asked).await else { return };
    story(&asked, &front).await;
    price_list(&front).await;
    // gRPC's clients are asked in gRPC.
    let grpc = front.send("POST", "/svc/M", &[("content-type", "application/grpc")], "").await;
    assert_eq!(grpc.status, 200, "{grpc:?}");
    assert_eq!(grpc.lines("grpc-status"), ["13"]);
    assert_eq!(grpc.lines("grpc-message"), ["payment required"]);
    assert_eq!(grpc.lines("www-authenticate").len(), 2);
    assert_eq!(
        asked.shop.origin.received().iter().filter(|one| one.uri.path() == "/svc/M").count(),
        0
    );
}

#[tokio::test]
async fn what_is_counted_is_counted_and_receipts_arrive() {
    let asked = Asked::with("schemes = ['l402', 'mpp']").await;
    let Some(front) = nginx(&asked).await else { return };
    counted(&asked, &front).await;
    let paid = receipt(&asked, &front).await;
    assert_eq!(paid.lines("cache-control"), ["private"]);
}

#[tokio::test]
async fn where_credentials_are_refused_the_refusal_arrives() {
    let asked =
        Asked::with("bad_credential = 'refuse'\n[[service.limit]]\nrate = '1/1h'\npath = '/free'")
            .await;
    let Some(front) = nginx(&asked).await else { return };
    let refused = front.get("/x", &[("authorization", "L402 x")]).await;
    assert_eq!((refused.status.as_u16(), refused.lines("www-authenticate")), (401, vec!["L402"]));
    assert_eq!(front.get("/free", &[]).await.status, 200);
    let limited = front.get("/free", &[]).await;
    assert_eq!((limited.status.as_u16(), limited.lines("retry-after").len()), (429, 1));
}
