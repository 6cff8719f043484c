//! Core Lightning's commands, by its Unix socket (JSON-RPC 2.0, one value after the other) or by
//! CLNRest (`POST /v1/command`).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue};
use l402::{NodeError, NodeErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::NAME;
use super::rune::{self, Part, Rune};
use crate::http::{Answer, Call, Http, NoAnswer, Web};
use crate::watched::{Kept, Watched};

/// How long the node may take for an answer that needs no payment.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
const RUNE: HeaderName = HeaderName::from_static("rune");
/// JSON-RPC's code for a method that is not there.
const NO_METHOD: i64 = -32601;
/// `waitanyinvoice`'s code for no payment in time.
const NO_PAYMENT: i64 = 904;
/// The codes for a rune that does not do.
const RUNE_CODES: std::ops::RangeInclusive<i64> = 1500..=1502;

/// A way to the node's commands.
#[derive(Debug)]
pub(super) enum Rpc {
    Socket(PathBuf),
    Rest(Box<Rest>),
}

/// CLNRest, and the rune that is shown to it.
#[derive(Debug)]
pub(super) struct Rest {
    http: Http<Web>,
    rune: Watched<Rune>,
}

/// A command that was not carried out, or may not have been.
#[derive(Debug)]
pub(super) enum Fault {
    NoAnswer(NoAnswer),
    TimedOut,
    /// The node's own refusal.
    Refused {
        refusal: Refusal,
        method: &'static str,
    },
    /// An answer that is not one of the node's.
    Strange(serde_json::Error),
    Rune(io::Error),
}

/// The node's own error.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: i64,
    #[serde(default)]
    message: String,
}

/// JSON-RPC's answer. CLNRest's errors come bare or wrapped, depending on its version.
#[derive(Deserialize)]
struct Envelope<T> {
    result: Option<T>,
    error: Option<Refusal>,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: &'static str,
    method: &'a str,
    params: &'a P,
}

/// What is the matter, in words that name the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("there is no lightningd at {0}; is it running, and is this its lightning-rpc?")]
    NotRunning(String),
    #[error(
        "you may not open {0}; join the group of lightningd's user, or use cln+https with a rune"
    )]
    NotAllowed(String),
    #[error("the node is not in step with the chain: {0}")]
    Syncing(String),
    #[error("the node is on the network `{0}`, where we do not pay")]
    UnknownNetwork(String),
    #[error("the rune does not allow {method} ({message}); make one that does: {command}")]
    Denied { method: &'static str, message: String, command: String },
    #[error("the rune allows neither paying nor being paid; to pay: {buyer}; to be paid: {seller}")]
    Useless { buyer: String, seller: String },
    #[error("the node said: {message} ({code})")]
    Said { code: i64, message: String },
    #[error("a complete payment without its preimage")]
    NoPreimage,
    #[error("asked for a payment after the {after}th, it tells of the {told}th")]
    Backwards { after: u64, told: u64 },
}

pub(super) fn error(kind: NodeErrorKind, trouble: Trouble) -> NodeError {
    NodeError::new(NAME, kind).because(trouble)
}

impl Rpc {
    pub(super) fn at_socket(path: PathBuf) -> Self {
        Self::Socket(path)
    }

    pub(super) fn by_rest(web: Web, rune: Kept) -> Self {
        Self::Rest(Box::new(Rest { http: Http::new(web), rune: Watched::new(rune, rune::read) }))
    }

    /// The command that makes what is lacking for that part, or nothing if nothing is.
    pub(super) fn lacks(&self, part: &Part) -> Result<Option<String>, NodeError> {
        Ok(self.rune()?.and_then(|rune| rune.lacks(part)))
    }

    /// The commands that make smaller runes, if this one can empty the node. Whoever may open the
    /// socket is the node's owner.
    pub(super) fn too_wide(&self) -> Result<Option<String>, NodeError> {
        Ok(self.rune()?.and_then(|rune| rune.too_wide()))
    }

    /// Whether the node may be asked to tell of payments.
    pub(super) fn may_listen(&self) -> Result<bool, NodeError> {
        Ok(self.rune()?.is_none_or(|rune| rune.may_listen()))
    }

    /// What is shown to the node; nothing, at its socket.
    fn rune(&self) -> Result<Option<Arc<Rune>>, NodeError> {
        match self {
            Self::Socket(_) => Ok(None),
            Self::Rest(rest) => Ok(Some(rest.rune.now().map_err(Fault::Rune)?)),
        }
    }

    /// Asks for something that no money hangs on.
    pub(super) async fn query<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &impl Serialize,
    ) -> Result<T, Fault> {
        Ok(self.dated(method, parameters).await?.0)
    }

    /// The same, and what the server's clock showed where that is another machine's.
    pub(super) async fn dated<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &impl Serialize,
    ) -> Result<(T, Option<SystemTime>), Fault> {
        timeout(ANSWER, self.call(method, parameters, true)).await.unwrap_or(Err(Fault::TimedOut))
    }

    /// Asks for something that the node waits for, and answers `within` that time at the latest.
    pub(super) async fn await_for<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &impl Serialize,
        within: Duration,
    ) -> Result<T, Fault> {
        let answer = timeout(within + ANSWER, self.call(method, parameters, true)).await;
        Ok(answer.unwrap_or(Err(Fault::TimedOut))?.0)
    }

    /// Gives an order, and waits for as long as it takes. It is never sent twice.
    pub(super) async fn order<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &impl Serialize,
    ) -> Result<T, Fault> {
        Ok(self.call(method, parameters, false).await?.0)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &impl Serialize,
        may_be_repeated: bool,
    ) -> Result<(T, Option<SystemTime>), Fault> {
        let Rest { http, rune } = match self {
            Self::Socket(path) => {
                let request = Request { jsonrpc: "2.0", id: "tollway", method, params: parameters };
                let body = serde_json::to_vec(&request).expect("these shapes are JSON");
                let answer = by_socket(path, body).await.map_err(Fault::NoAnswer)?;
                return Ok((read(&answer, method)?, None));
            }
            Self::Rest(rest) => &**rest,
        };
        let rune = rune.now().map_err(Fault::Rune)?;
        let mut value = HeaderValue::try_from(rune.text.expose())
            .expect("the alphabet of base64 fits in a header");
        value.set_sensitive(true);
        let call = Call::post(format!("/v1/{method}"), parameters).with(RUNE, value);
        let answer = if may_be_repeated { http.ask(&call).await } else { http.order(&call).await };
        let Answer { status, body, clock } = answer.map_err(Fault::NoAnswer)?;
        if status.is_success() {
            return Ok((serde_json::from_slice(&body).map_err(Fault::Strange)?, clock));
        }
        let refusal = match serde_json::from_slice(&body).map_err(Fault::Strange)? {
            Envelope::<()> { error: Some(refusal), .. } => refusal,
            Envelope { .. } => serde_json::from_slice(&body).map_err(Fault::Strange)?,
        };
        Err(Fault::Refused { refusal, method })
    }
}

fn read<T: DeserializeOwned>(answer: &[u8], method: &'static str) -> Result<T, Fault> {
    match serde_json::from_slice(answer).map_err(Fault::Strange)? {
        Envelope { error: Some(refusal), .. } => Err(Fault::Refused { refusal, method }),
        Envelope { result: Some(result), .. } => Ok(result),
        Envelope { .. } => {
            let neither = <serde_json::Error as serde::de::Error>::custom("no result and no error");
            Err(Fault::Strange(neither))
        }
    }
}

/// One request on a connection of its own; its answer ends with an empty line.
async fn by_socket(path: &PathBuf, mut request: Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
    let place = || path.display().to_string();
    let not_connected = |source| NoAnswer::NotConnected { place: place(), source };
    let lost = |error: io::Error| NoAnswer::Lost(error.into());
    let mut stream = UnixStream::connect(path).await.map_err(not_connected)?;
    request.extend_from_slice(b"\n\n");
    // A request that is not whole is not carried out.
    stream.write_all(&request).await.map_err(not_connected)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n\n") {
        if stream.read_buf(&mut answer).await.map_err(lost)? == 0 {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        if answer.len() > LONGEST_ANSWER {
            return Err(NoAnswer::Lost("the answer is longer than any real one".into()));
        }
    }
    Ok(answer)
}

impl Fault {
    /// Whether what was asked may have been carried out all the same.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::NoAnswer(no_answer) => no_answer.is_lost(),
            Self::TimedOut | Self::Strange(_) => true,
            Self::Refused { .. } | Self::Rune(_) => false,
        }
    }
}

impl Refusal {
    pub(super) fn is_no_such_method(&self) -> bool {
        self.code == NO_METHOD
    }

    pub(super) fn is_no_payment_yet(&self) -> bool {
        self.code == NO_PAYMENT
    }
}

impl From<Fault> for NodeError {
    fn from(fault: Fault) -> Self {
        let of = |kind| Self::new(NAME, kind);
        match fault {
            Fault::TimedOut => of(NodeErrorKind::Timeout),
            Fault::Strange(source) => of(NodeErrorKind::Protocol).because(source),
            Fault::Rune(source) => of(NodeErrorKind::Unauthorized).because(source),
            Fault::Refused { refusal: Refusal { code, message }, method } => {
                if RUNE_CODES.contains(&code) {
                    let command = Part::that_calls(method).command();
                    let denied = Trouble::Denied { method, message, command };
                    return error(NodeErrorKind::Unauthorized, denied);
                }
                error(NodeErrorKind::Refused, Trouble::Said { code, message })
            }
            Fault::NoAnswer(NoAnswer::NotConnected { place, source }) => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    error(NodeErrorKind::Unauthorized, Trouble::NotAllowed(place))
                }
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    error(NodeErrorKind::Unreachable, Trouble::NotRunning(place))
                }
                _ => {
                    of(NodeErrorKind::Unreachable).because(NoAnswer::NotConnected { place, source })
                }
            },
            Fault::NoAnswer(no_answer) => match no_answer {
                NoAnswer::Impostor { .. }
                | NoAnswer::Plaintext { .. }
                | NoAnswer::Stranger { .. } => of(NodeErrorKind::Unauthorized).because(no_answer),
                _ => of(NodeErrorKind::Unreachable).because(no_answer),
            },
        }
    }
}

impl From<Fault> for l402::OpenError {
    fn from(fault: Fault) -> Self {
        NodeError::from(fault).into()
    }
}
