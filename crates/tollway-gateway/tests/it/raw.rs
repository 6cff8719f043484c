//! A client that writes its own bytes: for what no decent HTTP library can be made to send.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whatever bytes go both ways on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One connection, byte by byte.
pub(crate) struct Raw {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), unread: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything up to and including the first `mark` that has not been read yet.
    ///
    /// # Panics
    /// When the connection ends before.
    pub(crate) async fn read_to(&mut self, mark: &str) -> String {
        loop {
            let found = self.unread.windows(mark.len()).position(|w| w == mark.as_bytes());
            if let Some(at) = found {
                let rest = self.unread.split_off(at + mark.len());
                let read = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8_lossy(&read).into_owned();
            }
            let read = self.stream.read_buf(&mut self.unread).await.unwrap();
            let so_far = String::from_utf8_lossy(&self.unread);
            assert!(read > 0, "the connection ended before {mark:?}: {so_far:?}");
        }
    }

    /// The head of the next response.
    pub(crate) async fn head(&mut self) -> String {
        self.read_to("\r\n\r\n").await
    }

    /// The next response whole: its head, and a body of the length that the head says.
    pub(crate) async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            })
            .unwrap_or(0);
        while self.unread.len() < length {
            assert!(self.stream.read_buf(&mut self.unread).await.unwrap() > 0, "cut off");
        }
        let rest = self.unread.split_off(length);
        let body = std::mem::replace(&mut self.unread, rest);
        (head, String::from_utf8(body).unwrap())
    }

    /// Whatever comes until the other side closes, in order or not.
    pub(crate) async fn rest(mut self) -> String {
        // A reset is an end too.
        while let Ok(1..) = self.stream.read_buf(&mut self.unread).await {}
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

/// A request line and its headers, and nothing after.
pub(crate) fn get(target: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("GET {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")
}
