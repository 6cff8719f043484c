//! A server at a Unix socket's path. Only a server of our own user is spoken to: whoever else listens
//! there could read our orders and name his own price.

use std::io;
use std::path::PathBuf;

use tokio::net::UnixStream;

use super::{Dial, NoAnswer, Stream};

/// The path, and who we are.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    path: PathBuf,
    own: u32,
}

impl UnixSocket {
    /// # Errors
    /// The system does not say who we are.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        let (here, _there) = UnixStream::pair()?;
        let own = here.peer_cred()?.uid();
        Ok(Self { path, own })
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

impl Dial for UnixSocket {
    /// A thousand rows of a node's books, with the longest of memos.
    const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

    fn host(&self) -> &str {
        "localhost"
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, NoAnswer> {
        let not_connected = |source| NoAnswer::NotConnected { place: self.place(), source };
        let stream = UnixStream::connect(&self.path).await.map_err(not_connected)?;
        let owner = stream.peer_cred().map_err(not_connected)?.uid();
        if owner != self.own {
            return Err(NoAnswer::Stranger { place: self.place(), owner, own: self.own });
        }
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::super::{Call, Http};
    use super::*;

    #[tokio::test]
    async fn a_server_of_another_user_is_told_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stranger.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let ours = UnixSocket::new(path).unwrap();
        let theirs = Http::new(UnixSocket { own: ours.own + 1, ..ours });
        let call = Call::get("/");
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
