//! Who is at the other end of a connection. The kernel says it; only our own user is let in.

use std::io;
use std::sync::Arc;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::{UnixListener, UnixStream};

use crate::refuse::Refused;
use crate::turn::{Connection, Turn};

/// One connection, and who made it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The user at the other end; none when the kernel would not say.
    uid: Option<u32>,
    connection: Arc<Connection>,
}

/// The turn of this request; none when its connection has had one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaybeTurn(pub(crate) Option<Turn>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let uid = stream.io().peer_cred().ok().map(|credentials| credentials.uid());
        Self { uid, connection: Arc::new(Connection::new()) }
    }
}

/// The user this process acts as: what the kernel tells the other end of a socket.
pub(crate) fn own_uid() -> io::Result<u32> {
    let (here, _there) = UnixStream::pair()?;
    Ok(here.peer_cred()?.uid())
}

/// Lets a request through when it comes from our own user. Root is not our own user: it can take
/// the node's files, but not use the purse by mistake.
pub(crate) async fn admit(
    State(own): State<u32>,
    ConnectInfo(Peer { uid, connection }): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(MaybeTurn(connection.turn()));
    match uid {
        Some(peer) if peer == own => next.run(request).await,
        Some(peer) => Refused::OtherUser { peer, own }.into_response(),
        None => Refused::UnknownUser.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use l402::purse::{KindCode, Refusal};
    use tower::ServiceExt;

    use super::*;

    async fn answer(uid: Option<u32>, own: u32) -> Response {
        let inside = Router::new().route("/", get(async || "inside"));
        let mut request = Request::new(Body::empty());
        let connection = Arc::new(Connection::new());
        request.extensions_mut().insert(ConnectInfo(Peer { uid, connection }));
        inside.layer(from_fn_with_state(own, admit)).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn only_our_own_user_is_let_in() {
        assert_eq!(answer(Some(1000), 1000).await.status(), StatusCode::OK);
        for (peer, own) in [(Some(1001), 1000), (Some(0), 1000), (Some(1000), 0), (None, 1000)] {
            let refused = answer(peer, own).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{peer:?}");
            let body = to_bytes(refused.into_body(), 1000).await.unwrap();
            let Refusal { error } = serde_json::from_slice(&body).unwrap();
            assert_eq!(error.kind, KindCode::Unauthorized);
        }
    }

    #[tokio::test]
    async fn our_own_user_is_the_one_who_makes_files() {
        use std::os::unix::fs::MetadataExt;

        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(own_uid().unwrap(), file.as_file().metadata().unwrap().uid());
    }
}
