//! What every listener does, the one that sells and those beside it: it takes connections until it is told
//! to stop, and waits for no message without end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};

/// How long to wait before taking connections again when the system has none to give.
const NO_SOCKETS: Duration = Duration::from_millis(50);

/// The next connection; `None` once `stop` is ready.
pub(crate) async fn next(
    listener: &TcpListener,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                tokio::time::sleep(NO_SOCKETS).await;
            }
        }
    }
}

/// Speaks HTTP/1.1 and HTTP/2 with whoever sends its headers in time, and no more of them than that many
/// bytes in one request.
pub(crate) fn builder(
    header_timeout: Duration,
    most_header_bytes: u32,
) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(usize::try_from(most_header_bytes).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(header_timeout)
        .keep_alive_timeout(header_timeout)
        .max_header_list_size(most_header_bytes);
    builder
}
