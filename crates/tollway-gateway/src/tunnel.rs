//! WebSockets: a request that asks to go on as something else than HTTP. The permit is checked when it
//! begins; after that the two connections are joined, and nobody looks at what passes.

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use crate::headers;
use crate::serve::{Stage, wait_for};
use crate::upload::Upload;
use crate::upstream::UpstreamError;

/// The one protocol that may be switched to. `h2c` in particular may not: behind it a client could
/// send further requests to the upstream that nobody here would see.
const WEBSOCKET: &str = "websocket";

/// The client's end of a tunnel that is not yet open.
pub(crate) struct Tunnel {
    client: OnUpgrade,
}

impl Tunnel {
    /// The tunnel that a request asks for, if it does. Must be asked before its headers are cleared.
    pub(crate) fn wanted(request: &mut Request<Upload>) -> Option<Self> {
        let fields = request.headers();
        let any = |name, word| fields.get_all(name).iter().any(|l| headers::has_word(l, word));
        let wanted = request.version() == Version::HTTP_11
            && any(CONNECTION, "upgrade")
            && any(UPGRADE, WEBSOCKET);
        wanted.then(|| Self { client: hyper::upgrade::on(request) })
    }

    /// Asks the upstream for it.
    pub(crate) fn ask(&self, fields: &mut HeaderMap) {
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    }

    /// Joins the two ends once the upstream has agreed and the client has been told so.
    pub(crate) fn open(
        self,
        response: &mut Response<Incoming>,
        stage: watch::Receiver<Stage>,
    ) -> Result<(), UpstreamError> {
        let agreed = response.headers().get_all(UPGRADE).iter();
        if !agreed.into_iter().any(|line| headers::has_word(line, WEBSOCKET)) {
            return Err(UpstreamError::Switched);
        }
        let upstream = hyper::upgrade::on(&mut *response);
        let fields = response.headers_mut();
        headers::strip_one_hop(fields);
        self.ask(fields);
        tokio::spawn(join(self.client, upstream, stage));
        Ok(())
    }
}

/// Copies until both ends are done, or until the gateway has waited long enough for it to stop.
async fn join(client: OnUpgrade, upstream: OnUpgrade, mut stage: watch::Receiver<Stage>) {
    let copy = async {
        let (client, upstream) = tokio::try_join!(client, upstream)?;
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    };
    tokio::select! {
        ended = copy => if let Err(error) = ended {
            tracing::debug!(error, "a tunnel broke");
        },
        _ = wait_for(&mut stage, Stage::Over) => {}
    }
}
