//! HTTP/1.1 on a Unix socket, for drivers of processes on this machine. What matters here is to
//! tell a request that was never sent from one whose answer was lost.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How many idle connections are kept.
const MOST_IDLE: usize = 32;

type Connection = SendRequest<Full<Bytes>>;

/// A server at a socket's path, with the connections to it that are idle. Only a server of our own
/// user is spoken to: whoever else listens there could read our orders and name his own price.
#[derive(Debug)]
pub(crate) struct UnixHttp {
    socket: PathBuf,
    own: u32,
    idle: Mutex<Vec<Connection>>,
}

/// One request, in the form in which it can be sent twice.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nothing was sent: no connection could be made.
    #[error("{}: {source}", .socket.display())]
    NotConnected { socket: PathBuf, source: io::Error },
    /// Nothing was sent: the server is another user's.
    #[error("{} is served by user {owner}, and you are user {own}", .socket.display())]
    Stranger { socket: PathBuf, owner: u32, own: u32 },
    /// Nothing was sent: the connection broke before.
    #[error("the connection broke before the request was sent")]
    NotSent(#[source] hyper::Error),
    /// The request was sent, in part or whole, and may have been carried out.
    #[error("the connection was lost before the answer came")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl UnixHttp {
    /// # Errors
    /// The system does not say who we are.
    pub(crate) fn new(socket: PathBuf) -> io::Result<Self> {
        let (here, _there) = UnixStream::pair()?;
        let own = here.peer_cred()?.uid();
        Ok(Self { socket, own, idle: Mutex::new(Vec::new()) })
    }

    /// Sends a call that may be carried out twice, on an idle connection if there is one. The server
    /// may have closed that one meanwhile, so its loss is followed by a fresh connection.
    pub(crate) async fn ask(&self, call: &Call) -> Result<Answer, NoAnswer> {
        while let Some(connection) = self.take_idle() {
            if let Ok(answer) = self.send(connection, call).await {
                return Ok(answer);
            }
        }
        self.ask_once(call).await
    }

    /// Sends a call once, on a connection of its own, so that [`NoAnswer`] says exactly whether it
    /// can have been carried out.
    pub(crate) async fn ask_once(&self, call: &Call) -> Result<Answer, NoAnswer> {
        let stream = self.connect().await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (connection, task) = handshake.map_err(NoAnswer::NotSent)?;
        tokio::spawn(task);
        self.send(connection, call).await
    }

    async fn connect(&self) -> Result<UnixStream, NoAnswer> {
        let not_connected = |source| NoAnswer::NotConnected { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(not_connected)?;
        let owner = stream.peer_cred().map_err(not_connected)?.uid();
        if owner != self.own {
            return Err(NoAnswer::Stranger { socket: self.socket.clone(), owner, own: self.own });
        }
        Ok(stream)
    }

    async fn send(&self, mut connection: Connection, call: &Call) -> Result<Answer, NoAnswer> {
        let request = Request::builder()
            .method(call.method.clone())
            .uri(&call.path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(call.body.clone()))
            .expect("paths are made of fixed text and hexadecimal digits");
        let sent = connection.try_send_request(request).await;
        let response = sent.map_err(|mut lost| match lost.take_message() {
            Some(_never_sent) => NoAnswer::NotSent(lost.into_error()),
            None => NoAnswer::Lost(lost.into_error().into()),
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(NoAnswer::Lost)?;
        self.keep(connection);
        Ok(Answer { status: head.status, body: body.to_bytes() })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE && !connection.is_closed() {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("no code under this lock can panic")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_server_of_another_user_is_told_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("stranger.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let ours = UnixHttp::new(socket).unwrap();
        let theirs = UnixHttp { own: ours.own + 1, ..ours };
        let call = Call { method: Method::GET, path: "/".to_owned(), body: Bytes::new() };
        for keep_alive in [false, true] {
            let ask = async {
                if keep_alive { theirs.ask(&call).await } else { theirs.ask_once(&call).await }
            };
            let listen = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.read(&mut [0; 64]).await.unwrap()
            };
            let (told, heard) = tokio::join!(ask, listen);
            let Err(NoAnswer::Stranger { owner, own, .. }) = told else { panic!("{told:?}") };
            assert_eq!(own, owner + 1);
            assert_eq!(heard, 0);
        }
    }
}
