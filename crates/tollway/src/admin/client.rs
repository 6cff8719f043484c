//! One request to a gateway's administration, over TCP on this machine or over its socket.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_MATCH};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use l402::Secret;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use url::{Host, Url};

use crate::terminal::escape;

/// The longest JSON answer that is read, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// A gateway's administration, and the credential to show there.
#[derive(Debug)]
pub(crate) struct Client {
    place: Place,
    credential: Secret<String>,
}

#[derive(Debug)]
enum Place {
    /// Host and port of this machine.
    Tcp(String),
    Unix(PathBuf),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Which text of the configuration it is about.
    pub(crate) etag: Option<String>,
    /// `null` where there is nothing to say.
    pub(crate) json: Value,
}

/// Something could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody said where.
    #[error("it is not said where the gateway is administered")]
    NoAdmin,
    /// Nobody said with which credential.
    #[error("it is not said where the administrator's credential is")]
    NoCredential,
    /// That is no place of ours.
    #[error(
        "`{0}` is not where a gateway is administered: write `http://127.0.0.1:8403` or `unix:/path`"
    )]
    BadUrl(String),
    /// The credential would cross a network for all to read.
    #[error(
        "{0} is not on this machine, and the credential would cross the network for all to read"
    )]
    Plaintext(String),
    /// The credential is not named but written out, or not in one of our ways.
    #[error(
        "a credential is named by where it is, `file:/path` or `env:NAME`, and never written out"
    )]
    Source,
    /// It cannot be read.
    #[error("the credential cannot be read from {place}")]
    Unreadable {
        /// Where it should be.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// What is there cannot be one.
    #[error("what {0} holds is no credential: it is one line, as `tollway admin bake` makes it")]
    NotACredential(String),
    /// Others could administer the gateway.
    #[error(
        "the credential in {path} can be read by others (mode {mode:o}); run `chmod 600` on it"
    )]
    Exposed {
        /// Which file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A credential that would be the same is no narrower.
    #[error("nothing is said by which to narrow it: give `--may`, `--valid-for` or a caveat")]
    NothingToNarrow,
    /// A capability is not one.
    #[error(transparent)]
    Capability(#[from] tollway_gateway::admin::UnknownCapability),
    /// A duration is not one.
    #[error("`{0}` is not how long something may be valid: write `12h`, `30d` or `forever`")]
    ValidFor(String),
    /// A description of a service is not one.
    #[error("{place} describes no service: {problem}")]
    NotAService {
        /// Where it was read.
        place: String,
        /// What is the matter with it.
        problem: String,
    },
    /// There is nobody.
    #[error("no gateway is administered at {place}")]
    NotConnected {
        /// Where.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// The socket is somebody else's.
    #[error("{place} is served by user {owner}, and you are user {own}; run this as that user")]
    OtherUser {
        /// Where.
        place: String,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// The connection broke.
    #[error("the gateway's answer broke off; a change may have been made all the same")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Whoever is there speaks something else.
    #[error("what answers at {0} is no gateway's administration")]
    NotOurs(String),
}

/// The gateway said no.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    kind: String,
    message: String,
    /// What is wrong with the configuration.
    mistakes: Vec<String>,
}

impl AskError {
    /// Whether the command line is at fault, and nothing was asked.
    pub(crate) fn is_usage(&self) -> bool {
        !matches!(self, Self::NotConnected { .. } | Self::Lost(_) | Self::NotOurs(_))
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAdmin => {
                Some("give `--admin URL` or set TOLLWAY_ADMIN to what the gateway's `admin` says")
            }
            Self::NoCredential => Some(
                "give `--credential file:/path` or set TOLLWAY_ADMIN_CREDENTIAL; `tollway admin bake` makes one",
            ),
            Self::Plaintext(_) => Some(
                "bring it here: `ssh -L 8403:127.0.0.1:8403 HOST`, and then `--admin http://127.0.0.1:8403`",
            ),
            Self::NotConnected { .. } => {
                Some("is it running, and has its configuration an `admin`?")
            }
            Self::Lost(_) => Some("look before you try again: `tollway admin services`"),
            _ => None,
        }
    }
}

impl Refusal {
    /// The gateway's own word for it.
    pub(crate) fn kind(&self) -> &'static str {
        // Only those that a script may want to tell apart.
        match self.kind.as_str() {
            "no_credential" | "bad_credential" | "revoked_credential" => "admin_credential",
            "may_not" | "other_user" => "admin_may_not",
            "not_found" => "admin_not_found",
            "changed_meanwhile" => "admin_changed_meanwhile",
            "mistakes" | "bad_service" | "cannot_open" => "admin_mistakes",
            "store" => "admin_store",
            _ => "admin_refused",
        }
    }

    /// Everything that is wrong with the configuration, each with its line.
    pub(crate) fn mistakes(&self) -> &[String] {
        &self.mistakes
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        (self.kind == "changed_meanwhile").then(|| "run the same command again".to_owned())
    }

    /// Reads the gateway's own words. `None`: it is not one.
    fn read(status: StatusCode, json: &Value) -> Option<Self> {
        let field = |name: &str| json["error"][name].as_str().map(escape);
        let mistake = |mistake: &Value| {
            let message = mistake["message"].as_str().map(escape).unwrap_or_default();
            format!("line {}: {message}", mistake["line"])
        };
        let mistakes = json["error"]["mistakes"].as_array().into_iter().flatten();
        Some(Self {
            kind: field("kind")?,
            message: format!("{} ({})", field("message")?, status.as_u16()),
            mistakes: mistakes.map(mistake).collect(),
        })
    }
}

impl Client {
    pub(super) fn new(url: &str, credential: Secret<String>) -> Result<Self, AskError> {
        if let Some(path) = url.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self { place: Place::Unix(path.into()), credential });
        }
        let bad = || AskError::BadUrl(escape(url));
        let parsed: Url = url.parse().map_err(|_| bad())?;
        let plain = parsed.scheme() == "http" && parsed.path() == "/" && parsed.query().is_none();
        if !plain || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad());
        }
        let local = match parsed.host().ok_or_else(bad)? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost",
        };
        let (host, port) = (parsed.host_str().unwrap_or_default(), parsed.port().unwrap_or(80));
        let place = format!("{host}:{port}");
        match local {
            true => Ok(Self { place: Place::Tcp(place), credential }),
            false => Err(AskError::Plaintext(place)),
        }
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str) -> Result<Reply, crate::failure::Failure> {
        self.send(Method::GET, path, None, None).await
    }

    /// Asks for something, with a body and what it changes, where it has these.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        seen: Option<&str>,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Reply, crate::failure::Failure> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(seen) = seen {
            request = request.header(IF_MATCH, seen);
        }
        let body = body.map(|(kind, body)| {
            request
                .headers_mut()
                .expect("it is sound so far")
                .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            body
        });
        let request = request.body(Full::from(body.unwrap_or_default())).expect("a checked path");
        let response = self.ask(request).await?;
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(AskError::Lost)?.to_bytes();
        let json = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).map_err(|_| AskError::NotOurs(self.name()))?,
        };
        match status.is_success() {
            true => Ok(Reply { etag, json }),
            false => Err(self.refusal(status, &json)),
        }
    }

    /// The same, and passes what comes on piece by piece.
    pub(crate) async fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), crate::failure::Failure> {
        let request = Request::get(path).body(Full::default()).expect("a checked path");
        let response = self.ask(request).await?;
        let status = response.status();
        if !status.is_success() {
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            let body = body.map_err(AskError::Lost)?.to_bytes();
            return Err(self.refusal(status, &serde_json::from_slice(&body).unwrap_or_default()));
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| AskError::Lost(error.into()))?;
            if let Some(data) = frame.data_ref() {
                take(data).map_err(crate::failure::Failure::Stdout)?;
            }
        }
        Ok(())
    }

    fn refusal(&self, status: StatusCode, json: &Value) -> crate::failure::Failure {
        match Refusal::read(status, json) {
            Some(refusal) => refusal.into(),
            None => AskError::NotOurs(self.name()).into(),
        }
    }

    async fn ask(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, AskError> {
        let bearer = Secret::new(format!("Bearer {}", self.credential.expose()));
        let mut bearer = HeaderValue::try_from(bearer.expose().as_str())
            .map_err(|_| AskError::NotACredential("it".to_owned()))?;
        bearer.set_sensitive(true);
        let host = match &self.place {
            Place::Tcp(place) => place.as_str(),
            Place::Unix(_) => "localhost",
        };
        let host = HeaderValue::try_from(host).expect("a URL's host is a header's");
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let stream = self.connect().await?;
        let lost = |error: hyper::Error| AskError::Lost(error.into());
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // It ends when the answer does.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(lost)
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, AskError> {
        let failed = |source| AskError::NotConnected { place: self.name(), source };
        match &self.place {
            Place::Tcp(place) => Ok(Box::new(TcpStream::connect(place).await.map_err(failed)?)),
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                let (here, _there) = UnixStream::pair().map_err(failed)?;
                let own = here.peer_cred().map_err(failed)?.uid();
                let owner = stream.peer_cred().map_err(failed)?.uid();
                if owner != own {
                    return Err(AskError::OtherUser { place: self.name(), owner, own });
                }
                Ok(Box::new(stream))
            }
        }
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Tcp(place) => place.clone(),
            Place::Unix(path) => path.display().to_string(),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A path that ends with something that somebody named, whatever that is.
pub(crate) fn path(before: &str, name: &str) -> String {
    let mut url: Url = "http://localhost".parse().expect("a plain URL");
    url.set_path(before);
    url.path_segments_mut().expect("it has a host").push(name);
    url.path().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_sent_to_this_machine_only() {
        let open = |url: &str| Client::new(url, Secret::new("x".to_owned()));
        for good in ["http://127.0.0.1:8403", "http://[::1]:1", "http://localhost:1/", "unix:/x"] {
            assert!(open(good).is_ok(), "{good}");
        }
        assert!(matches!(open("http://10.0.0.1:1"), Err(AskError::Plaintext(_))));
        assert!(matches!(open("http://gateway.example"), Err(AskError::Plaintext(_))));
        for bad in [
            "",
            "127.0.0.1:8403",
            "https://127.0.0.1",
            "http://u@127.0.0.1",
            "http://127.0.0.1/x",
            "unix:",
        ] {
            assert!(matches!(open(bad), Err(AskError::BadUrl(_))), "{bad}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(path("/v1/services", "a b/../c?d#e"), "/v1/services/a%20b%2F..%2Fc%3Fd%23e");
    }
}
