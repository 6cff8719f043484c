//! Connections: who dials us, and whom we dial, again and again for as long as the node runs.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bitcoin::secp256k1::PublicKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::Core;

const DIAL_PATIENCE: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A connection that has lasted so long was a good one: when it ends, the peer is dialled at once.
const STEADY: Duration = Duration::from_secs(5);
/// Accepting fails when the process has too many files open; some will be closed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Takes connections until it is aborted.
pub(super) async fn listen(core: Arc<Core>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => match ready(stream) {
                Ok(stream) => {
                    let served =
                        lightning_net_tokio::setup_inbound(Arc::clone(&core.peers), stream);
                    core.runtime.spawn(served);
                }
                Err(error) => tracing::debug!(%from, %error, "a connection was dropped"),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Keeps one peer connected until it is aborted, at whatever address it was last said to have.
pub(super) async fn keep(core: Arc<Core>, id: PublicKey, mut address: watch::Receiver<String>) {
    loop {
        let waits = ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times();
        for wait in waits.build() {
            let began = Instant::now();
            if core.peers.peer_by_node_id(&id).is_none() {
                connect(&core, id, &mut address).await;
            }
            if began.elapsed() > STEADY {
                break;
            }
            let _ = tokio::time::timeout(wait, address.changed()).await;
        }
    }
}

/// Dials, and returns when the connection has ended, whichever side ended it, or when there is none
/// and the peer is somewhere else by now.
async fn connect(core: &Core, id: PublicKey, address: &mut watch::Receiver<String>) {
    let at = address.borrow_and_update().clone();
    let stream = match dial(&at).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(peer = %id, address = at, %error, "not reached");
            return;
        }
    };
    let connection = lightning_net_tokio::setup_outbound(Arc::clone(&core.peers), id, stream);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            () = &mut connection => return,
            Ok(()) = address.changed() => {
                if core.peers.peer_by_node_id(&id).is_none() {
                    // Whoever took the call, it is not the peer.
                    address.mark_changed();
                    return;
                }
            }
        }
    }
}

async fn dial(address: &str) -> std::io::Result<std::net::TcpStream> {
    let dialled = tokio::time::timeout(DIAL_PATIENCE, TcpStream::connect(address)).await;
    ready(dialled.map_err(|_| std::io::ErrorKind::TimedOut)??)
}

/// Small messages that wait for an answer must not wait for each other.
fn ready(stream: TcpStream) -> std::io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    stream.into_std()
}

/// Binds where peers may dial us.
pub(super) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
