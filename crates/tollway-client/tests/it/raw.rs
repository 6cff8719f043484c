//! A server that sends whatever bytes a test wants it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Its only face.
pub(crate) struct Raw;

impl Raw {
    /// Answers each request's head with what `answer` says; bodies are read away. Says where.
    pub(crate) async fn start(
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, Arc::clone(&answer)));
            }
        });
        address
    }
}

async fn converse(mut stream: TcpStream, answer: Arc<impl Fn(&str) -> Vec<u8>>) {
    let mut heard = Vec::new();
    loop {
        while let Some(end) = find(&heard) {
            let head = String::from_utf8_lossy(&heard[..end]).to_lowercase_names();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if heard.len() < end + 4 + length {
                break;
            }
            heard.drain(..end + 4 + length);
            if stream.write_all(&answer(&head)).await.is_err() {
                return;
            }
        }
        let mut piece = [0; 4096];
        match tokio::time::timeout(Duration::from_secs(60), stream.read(&mut piece)).await {
            Ok(Ok(read)) if read > 0 => heard.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
}

fn find(heard: &[u8]) -> Option<usize> {
    heard.windows(4).position(|window| window == b"\r\n\r\n")
}

trait LowercaseNames {
    fn to_lowercase_names(&self) -> String;
}

impl LowercaseNames for str {
    /// Headers' names in lower case, their values as they are.
    fn to_lowercase_names(&self) -> String {
        let lower = |line: &str| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}", name.to_lowercase()),
            None => line.to_owned(),
        };
        self.lines().map(lower).collect::<Vec<_>>().join("\n")
    }
}
