//! The door for administrators: a port of this machine, or a socket that only our own user can connect
//! to. Slow callers are cut off, and only so many are served at once: a door that is left open must not
//! keep the gateway itself from its files and sockets.

use std::convert::Infallible;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::guard::{Caller, Peer};
use crate::config::AdminAddress;

/// How many connections there may be at a time.
const MOST: usize = 64;
/// How long a caller may take to send a request's head.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before taking connections again when the system has none to give.
const NO_SOCKETS: Duration = Duration::from_millis(50);

/// The administrators' door could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The port cannot be had.
    #[error(
        "listening for administrators on {address}: {source}; change `admin`, or stop what listens there"
    )]
    Port {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Another gateway is there, and alive.
    #[error("a gateway is already running with `admin = \"unix:{}\"`; stop it, or choose another path", .path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something that is not a socket is at that path, and is left alone.
    #[error("{} is there and is not a socket; choose another path for `admin`", .path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The file system did not let us.
    #[error("the socket for administrators, {}: {source}", .path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Bound, and not yet serving.
#[derive(Debug)]
pub(super) enum Door {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, Place),
}

/// A socket in the file system. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Device and inode of the socket that we made.
    identity: (u64, u64),
    /// The user that this process acts as.
    own: u32,
    /// Held until the file is gone: a gateway that starts meanwhile is refused.
    _lock: File,
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Door {
    pub(super) async fn bind(address: &AdminAddress) -> Result<Self, ListenError> {
        match address {
            AdminAddress::Tcp(address) => {
                let failed = |source| ListenError::Port { address: *address, source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok(Self::Tcp(listener, bound))
            }
            AdminAddress::Unix(path) => {
                let (listener, place) = Place::take(path).await?;
                Ok(Self::Unix(listener, place))
            }
        }
    }

    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(_, address) => format!("http://{address}"),
            Self::Unix(_, place) => format!("unix:{}", place.path.display()),
        }
    }

    pub(super) async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let (graceful, room) = (GracefulShutdown::new(), Arc::new(Semaphore::new(MOST)));
        let mut stop = pin!(stop);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        loop {
            let next = async {
                let place = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
                (place, self.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = &mut stop => break,
                next = next => next,
            };
            let (stream, caller) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection of an administrator can be taken");
                    tokio::time::sleep(NO_SOCKETS).await;
                    continue;
                }
            };
            let router = router.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(caller);
                let answer = router.clone().oneshot(request.map(Body::new));
                async { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // Whoever hangs up in the middle has seen enough.
                connection.await.ok();
                drop(place);
            });
        }
        if tokio::time::timeout(PATIENCE, graceful.shutdown()).await.is_err() {
            tracing::warn!("an administrator's request took too long to end");
        }
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Caller)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true).ok();
                Ok((Box::new(stream), Caller::At(peer.ip().to_canonical())))
            }
            Self::Unix(listener, place) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok((Box::new(stream), Caller::Here(Peer { uid, own: place.own })))
            }
        }
    }
}

impl Place {
    async fn take(path: &Path) -> Result<(UnixListener, Self), ListenError> {
        let failed = |source| ListenError::Socket { path: path.to_owned(), source };
        let own = own_uid().map_err(failed)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = lock(path)?;
        remove_stale(path).await?;
        // Until its mode is set others may connect, and are refused by who they are.
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let metadata = path.symlink_metadata().map_err(failed)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok((listener, Self { path: path.to_owned(), identity, own, _lock: lock }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ours = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if self.path.symlink_metadata().is_ok_and(ours) {
            // If it stays, the next gateway finds it dead and replaces it.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// The user this process acts as: what the kernel tells the other end of a socket.
fn own_uid() -> io::Result<u32> {
    let (here, _there) = UnixStream::pair()?;
    Ok(here.peer_cred()?.uid())
}

/// One gateway at a path: the lock goes with the process that holds it, however it ends. The file stays,
/// because removing a lock file lets two processes hold "the" lock.
fn lock(path: &Path) -> Result<File, ListenError> {
    let failed = |source| ListenError::Socket { path: path.to_owned(), source };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(name);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ListenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Removes a socket that nobody answers at. A live one is somebody's, lock or no lock.
async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Socket { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::NotASocket { path: path.to_owned() }),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
        Ok(_) => Err(ListenError::InUse { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_ours_alone_and_one_that_died_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/admin.sock");
        let address = AdminAddress::Unix(path.clone());
        let door = Door::bind(&address).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Door::bind(&address).await, Err(ListenError::InUse { .. })));
        drop(door);
        assert!(!path.exists());
        // As a process leaves it that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Door::bind(&address).await.unwrap());
        std::fs::write(&path, "not a socket").unwrap();
        assert!(matches!(Door::bind(&address).await, Err(ListenError::NotASocket { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
    }
}
