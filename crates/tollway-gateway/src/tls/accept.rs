//! One handshake, from the connection's first byte.

use std::io;

use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::acme::CHALLENGE_PROTOCOL;
use super::{Identity, Tls};

/// What who speaks plain HTTP here is told.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 46\r\nconnection: close\r\n\r\nthis port speaks TLS; write https:// instead.\n";
/// How much of what they say is read, in bytes, so that they get to read the answer.
const MOST_PLAIN: u64 = 64 * 1024;

/// A connection that is encrypted now.
pub(crate) struct Accepted {
    pub(crate) stream: TlsStream<TcpStream>,
    /// Who is at its other end, where they have shown a certificate.
    pub(crate) identity: Option<Identity>,
}

impl Tls {
    /// `None`: it was only asked whether a name is ours, and has answered.
    ///
    /// # Errors
    /// The client speaks something else, or there is nothing that both can agree on.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Option<Accepted>> {
        if is_plain(&stream).await? {
            refuse(stream).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin with TLS"));
        }
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Some(acme) = self.acme.as_ref().filter(|_| is_challenge(&start.client_hello())) {
            start.into_stream(acme.challenge_server()).await?.shutdown().await?;
            return Ok(None);
        }
        let stream = start.into_stream(self.material.server()).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let identity = shown.map(Identity::of);
        Ok(Some(Accepted { stream, identity }))
    }
}

/// Whether an authority asks for the proof that a name is ours (RFC 8737 section 3).
fn is_challenge(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| {
        offered.next() == Some(CHALLENGE_PROTOCOL) && offered.next().is_none()
    })
}

/// Whether what comes begins like a request's line; a handshake begins with 22 (RFC 8446 section 5.1).
async fn is_plain(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase())
}

/// Says so, as far as the client still listens.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    // A connection that is closed with something unread is reset, and the answer is lost.
    tokio::io::copy(&mut stream.take(MOST_PLAIN), &mut tokio::io::sink()).await?;
    Ok(())
}
