//! Orders to a node whose answer is lost: what a program is told that must decide whether to try again.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::market::run;
use crate::run::tollway;

const PEER: &str = "030bb6a5e0c6b203c7e2180fb78c7ba4bdce46126761d8201b91ddac089cdecc87@127.0.0.1:9";

/// Reads a request to its end, answers questions, and hangs up on an order.
async fn answer(mut stream: TcpStream) {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
            continue;
        }
        if head.starts_with("post /open ") || head.starts_with("post /sendonchain ") {
            return;
        }
        let said = r#"{"confirmed":1000000,"unconfirmed":0}"#;
        let said = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len());
        stream.write_all(said.as_bytes()).await.unwrap();
        read.clear();
    }
}

#[tokio::test]
async fn an_order_without_an_answer_ends_with_7_and_is_not_called_safe_to_run_again() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    std::fs::write(home.path().join("password"), "x").unwrap();
    let password = home.path().join("password");
    let node = format!("eclair://{address}?password=file:{}", password.display());
    for (order, look) in [
        (&["open-channel", PEER, "200000"][..], "`tollway node channels`"),
        (&["withdraw", "bcrt1q", "5000", "--yes"][..], "`tollway node balance`"),
    ] {
        let args = [&["node"], order, &["--node", &node, "--format", "json"]].concat();
        let said = run(tollway(home.path(), args)).await;
        assert_eq!((said.code, said.stdout.as_str()), (7, ""), "{said:?}");
        let told = said.stderr.lines().last().unwrap();
        let told: Value = serde_json::from_str(told).unwrap_or_else(|e| panic!("{e}: {said:?}"));
        let told = told.get("error").unwrap_or(&told);
        assert_eq!(told["safe_to_retry"], false, "{told}");
        assert_eq!((&told["kind"], &told["money_moved"]), (&"unknown".into(), &"unknown".into()));
        assert!(told["hint"].as_str().unwrap().contains(look), "{told}");
    }
}
