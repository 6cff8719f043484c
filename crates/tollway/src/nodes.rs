//! Every node driver there is, and how a URL on the command line, in the environment or in a
//! configuration file becomes an open node. Where a URL names an environment variable, it is read
//! here: libraries do not know the environment.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use l402::{Driver, Invoicer, Network, Node, NodeUrl, OpenError, Operator, Payer, node};
use percent_encoding::percent_decode_str;
use tollway_ldk::Ldk;

use crate::failure::Failure;
use crate::secrets::Place;
use crate::shell::Shell;

/// The embedded node, and whatever else can be driven.
fn drivers() -> Vec<&'static dyn Driver> {
    let embedded: &dyn Driver = &Ldk;
    tollway_nodes::DRIVERS.iter().copied().chain([embedded]).collect()
}

/// Opens whatever the URL names. A path in it may begin with `~/`.
pub(crate) async fn open(url: &NodeUrl, shell: &Shell) -> Result<Node, OpenError> {
    node::open(&whole(url, shell).await?, &drivers()).await
}

/// The half that can spend.
pub(crate) async fn open_payer(url: &NodeUrl, shell: &Shell) -> Result<Arc<dyn Payer>, OpenError> {
    open(url, shell).await?.payer.ok_or_else(|| cannot(url, "spend"))
}

/// The half that can be paid.
pub(crate) async fn open_invoicer(
    url: &NodeUrl,
    shell: &Shell,
) -> Result<Arc<dyn Invoicer>, Failure> {
    let node = open(url, shell).await?;
    Ok(node.invoicer.ok_or_else(|| cannot(url, "be paid"))?)
}

/// Where the embedded node of that URL is kept, and on which network it is; none for another kind.
pub(crate) async fn embedded(
    url: &NodeUrl,
    shell: &Shell,
) -> Result<Option<(PathBuf, Network)>, OpenError> {
    if !Ldk.schemes().contains(&url.scheme()) {
        return Ok(None);
    }
    Ldk::place(&whole(url, shell).await?).map(Some)
}

/// Its owner's side, which is there even where the node is not ready to be used.
pub(crate) async fn operate(url: &NodeUrl, shell: &Shell) -> Result<Arc<dyn Operator>, OpenError> {
    node::operate(&whole(url, shell).await?, &drivers()).await
}

/// The refusal of a node that was opened and lacks one side.
pub(crate) fn cannot(url: &NodeUrl, what: &str) -> OpenError {
    let problem = format!("cannot {what} with what this URL allows; give it a credential that may");
    bad(url, "node", problem)
}

fn bad(url: &NodeUrl, parameter: &str, problem: String) -> OpenError {
    let drivers = drivers();
    let driver = drivers.iter().find(|driver| driver.schemes().contains(&url.scheme()));
    let driver = driver.and_then(|driver| driver.schemes().first().copied()).unwrap_or("node");
    OpenError::BadUrl { driver, parameter: parameter.to_owned(), problem }
}

/// The URL with its `~/` spelled out, and with the secrets that the environment or the system's
/// keyring keeps for it. Files the driver reads itself.
async fn whole(url: &NodeUrl, shell: &Shell) -> Result<NodeUrl, OpenError> {
    let mut whole = at_home(url, shell);
    for (parameter, place) in places(url.expose()) {
        let named = match place.parse() {
            Ok(Place::File(_)) | Err(_) => continue,
            Ok(named) => named,
        };
        let secret = named.read(shell).await;
        let secret =
            secret.map_err(|error| bad(url, &parameter, format!("cannot be had: {error}")))?;
        whole = whole.with_secret(place, secret);
    }
    Ok(whole)
}

/// The places that a URL names for what it needs: as the whole of it (`scheme:env:NAME`), or as the
/// values of parameters.
fn places(url: &str) -> Vec<(String, String)> {
    let (head, query) = url.split_once('?').unwrap_or((url, ""));
    let rest = head.split_once(':').map_or("", |(_scheme, rest)| rest);
    let mut places = Vec::new();
    if is_place(rest) {
        places.push(("url".to_owned(), rest.to_owned()));
    }
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        if is_place(&value) {
            places.push((name.to_owned(), value.into_owned()));
        }
    }
    places
}

fn is_place(text: &str) -> bool {
    ["env:", "file:", "keyring:"].iter().any(|kind| text.starts_with(kind))
}

/// The files of secrets that the URL names and that others than their owner can read. Certificates
/// are no secrets.
pub(crate) fn files_others_can_read(url: &NodeUrl, shell: &Shell) -> Vec<PathBuf> {
    let url = at_home(url, shell);
    let files = places(url.expose()).into_iter().filter(|(parameter, _)| parameter != "cert");
    let files = files.filter_map(|(_, place)| place.strip_prefix("file:").map(PathBuf::from));
    files
        .filter(|file| file.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 != 0))
        .collect()
}

fn at_home(url: &NodeUrl, shell: &Shell) -> NodeUrl {
    match shell.home() {
        Some(home) if url.expose().contains(":~/") => {
            NodeUrl::new(url.expose().replace(":~/", &format!(":{}/", home.display())))
        }
        _ => url.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_secrets_are_found_wherever_they_stand() {
        let found = |url| {
            let places = places(url).into_iter();
            places.map(|(name, place)| format!("{name} {place}")).collect::<Vec<_>>()
        };
        assert_eq!(
            found("lnd://h:1?cert=file:/c&macaroon=env:MAC"),
            ["cert file:/c", "macaroon env:MAC"]
        );
        assert_eq!(found("nostr+walletconnect:env:WALLET?fees=wallet"), ["url env:WALLET"]);
        assert_eq!(found("lnd://h:1?macaroon=env%3AMAC"), ["macaroon env:MAC"]);
        assert!(found("purse:/run/purse.sock").is_empty());
        assert!(found("").is_empty());
    }
}
