//! A purse from its first connection to its last payment, and beside it the socket of its owner.

use std::future::{Future, IntoFuture, pending};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use l402::operator::owner_socket;
use l402::{Network, Node};
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::api::{self, Service};
use crate::hold::{Holds, Unresolved};
use crate::owner;
use crate::peer::{self, Peer};
use crate::socket::{BindError, Place};

/// A node behind a socket, bound and not yet serving. Connections made now wait for
/// [`Purse::serve`]; dropping it removes the socket.
#[derive(Debug)]
pub struct Purse {
    listener: UnixListener,
    place: Place,
    owner: (UnixListener, Place),
    own: u32,
    service: Arc<Service>,
}

/// What a purse that stopped leaves open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Stopped {
    /// Payments whose end is not known. The node knows, or will: ask it after the next start.
    pub unresolved: Vec<Unresolved>,
}

impl Purse {
    /// Makes the socket, with mode 0600 in a folder with mode 0700 (which is made if it is not
    /// there), and its owner's beside it ([`owner_socket`]). The socket of a purse that died is
    /// replaced, that of a living one never.
    ///
    /// # Errors
    /// See [`BindError`]; each says what to do about it.
    pub async fn bind(path: impl AsRef<Path>, node: Node) -> Result<Self, BindError> {
        let network = one_network(&node)?;
        let path = path.as_ref();
        let io = |source| BindError::Io { path: path.to_owned(), source };
        let own = peer::own_uid().map_err(io)?;
        let (listener, place) = Place::take(path, own).await?;
        let owner = Place::take(&owner_socket(path), own).await?;
        let service = Arc::new(Service { network, node, holds: Holds::default() });
        Ok(Self { listener, place, owner, own, service })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Serves until `stop` ends. Then no new request is taken, and those at work have `grace` to
    /// end, payments of callers that hung up included; what has not ended by then is reported.
    pub async fn serve(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
        grace: Duration,
    ) -> Stopped {
        let Self { listener, place, owner: (door, owners_place), own, service } = self;
        let (stopping, stopped) = oneshot::channel();
        let (tell, told) = watch::channel(false);
        let stop = async move {
            stop.await;
            tell.send_replace(true);
            // Nobody listens any more only when the server has ended already.
            let _ = stopping.send(Instant::now() + grace);
        };
        let routers = [
            (listener, api::router(Arc::clone(&service), own)),
            (door, owner::router(Arc::clone(&service), own)),
        ];
        let [purse, owner] = routers.map(|(listener, router)| {
            let mut told = told.clone();
            let service_of_all = router.into_make_service_with_connect_info::<Peer>();
            let told = async move {
                // The sender is gone only once it has told, or nobody is there to be told.
                let _ = told.wait_for(|stopping| *stopping).await;
            };
            axum::serve(listener, service_of_all).with_graceful_shutdown(told).into_future()
        });
        let connections = async { tokio::join!(purse, owner, stop) };
        let end = async {
            let (purse, owner, ()) = connections.await;
            purse.and(owner).expect("a listener's loop ends only by being stopped");
            service.holds.idle().await;
            service.review().await;
        };
        let deadline = async {
            match stopped.await {
                Ok(deadline) => sleep_until(deadline).await,
                // `stop` was dropped before it ended, which it is only together with the server.
                Err(_) => pending().await,
            }
        };
        tokio::select! {
            () = end => {}
            () = deadline => tracing::warn!("stopped before every payment had ended"),
        }
        // A request that still trickles in begins nothing any more.
        let unresolved = service.holds.close();
        drop((place, owners_place));
        Stopped { unresolved }
    }
}

/// The network of a node that has at least one side.
fn one_network(node: &Node) -> Result<Network, BindError> {
    let payer = node.payer.as_ref().map(|payer| payer.network());
    let invoicer = node.invoicer.as_ref().map(|invoicer| invoicer.network());
    match (payer, invoicer) {
        (None, None) => Err(BindError::NothingToServe),
        (Some(payer), Some(invoicer)) if payer != invoicer => {
            Err(BindError::TwoNetworks { payer, invoicer })
        }
        (Some(network), _) | (None, Some(network)) => Ok(network),
    }
}
