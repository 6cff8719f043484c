//! Listeners beside the one that sells: small servers for those who run the gateway, on addresses of
//! their own. What they answer is short, and nothing behind them is waited for without end.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use crate::accept;

/// The most bytes that the headers of one request may take together. A question repeats another
/// request's headers, so this is more than the gateway itself takes.
const MOST_HEADER_BYTES: u32 = 96 * 1024;
/// How long answers that are on their way may take when it stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// An answer of ours.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// An answer that is there as a whole.
pub(crate) fn whole(response: Response<Bytes>) -> Answer {
    response.map(|bytes| Full::new(bytes).boxed())
}

/// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) until `stop` is ready, and then what is still on
/// its way for a little while.
pub(crate) async fn serve<F, A>(
    listener: TcpListener,
    header_timeout: Duration,
    stop: impl Future<Output = ()>,
    answer: F,
) where
    F: Fn(IpAddr, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let builder = accept::builder(header_timeout, MOST_HEADER_BYTES);
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    while let Some((stream, peer)) = accept::next(&listener, stop.as_mut()).await {
        stream.set_nodelay(true).ok();
        let (peer, answer) = (peer.ip().to_canonical(), answer.clone());
        let service = service_fn(move |request| {
            let answered = answer(peer, request);
            async move { Ok::<_, Infallible>(answered.await) }
        });
        let builder = builder.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let talk = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(talk).await {
                tracing::debug!(error, "a connection broke");
            }
        });
    }
    drop(listener);
    // Whoever takes longer is cut off when the process ends.
    let _ = tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await;
}
