//! `nostr+walletconnect://…`: any wallet that speaks Nostr Wallet Connect (NIP-47). Requests and
//! answers are encrypted events that a relay passes on; the URL is the one that the wallet shows.
//!
//! What this file decides is what the URL says and what the wallet can do for us.

mod owner;
mod relay;
mod wallet;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Driver, Network, Node, NodeErrorKind, NodeUrl, OpenError, Operator};
use nostr::key::{Keys, PublicKey, SecretKey};
use url::Url;
use zeroize::Zeroizing;

use crate::address::{Address, Either, Parameters, bad};
use crate::http::{Trust, Web};
use crate::remote::{Invoicing, Paying};

use owner::Owner;
use relay::{Relay, Wire};
use wallet::Wallet;
use wire::{Info, Trouble};

const NAME: &str = "nwc";
const SCHEME: &str = "nostr+walletconnect";
const EXAMPLE: &str = "nostr+walletconnect:file:/home/me/wallet.url?fees=wallet";
const KNOWN: &str = "a nostr+walletconnect URL takes relay, secret, lud16, network and fees";

/// The driver of `nostr+walletconnect:` URLs.
///
/// The URL that a wallet shows has a secret in it, so it is not the node's URL itself but what is kept
/// at a place that the node's URL names: `nostr+walletconnect:file:/path?fees=wallet`. Beside the
/// `relay`, `secret` and `lud16` that a wallet puts there, it takes
///
/// | parameter | meaning |
/// |---|---|
/// | `secret` | `file:/path` too, for a URL that names all the rest |
/// | `network` | the network, where the wallet does not say it; refused where it says another |
/// | `fees` | `wallet`: let the wallet decide what routing may cost. Without it nothing is paid, for its protocol has no limit for that |
#[derive(Clone, Copy, Debug)]
pub struct NwcDriver;

/// What a URL says.
#[derive(Debug)]
struct Settings {
    relays: Vec<Web>,
    keys: Keys,
    wallet: PublicKey,
    network: Option<Network>,
    any_fee: bool,
}

#[async_trait]
impl Driver for NwcDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn example(&self) -> &'static str {
        EXAMPLE
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let Settings { relays, keys, wallet, network: expected, any_fee } = settings(url)?;
        let wire = Wire { relays, keys, wallet };
        let relay = Arc::new(Relay::start(wire));
        let info: Info = relay.query("get_info", &serde_json::json!({})).await?;
        let network = match (info.network()?, expected) {
            (Some(said), Some(expected)) if said != expected => {
                return Err(bad(
                    NAME,
                    "network",
                    format!("is {expected}, and the wallet is on {said}"),
                ));
            }
            (Some(network), _) | (None, Some(network)) => network,
            (None, None) => {
                let remedy =
                    "is not said by the wallet; add network=mainnet if it holds real money";
                return Err(bad(NAME, "network", remedy));
            }
        };
        let can = |method: &str| info.can(method);
        let lookup = can("lookup_invoice");
        let (pays, is_paid) = (lookup && can("pay_invoice"), lookup && can("make_invoice"));
        if !pays && !is_paid {
            return Err(wire::error(NodeErrorKind::Unauthorized, Trouble::Useless).into());
        }
        let operator = Arc::new(Owner { relay: Arc::clone(&relay), network: Some(network) });
        let wallet = Arc::new(Wallet { relay, network, any_fee });
        Ok(Node {
            payer: pays.then(|| Arc::new(Paying::new(Arc::clone(&wallet))) as _),
            invoicer: is_paid.then(|| Arc::new(Invoicing(wallet)) as _),
            operator: Some(operator),
        })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        let Settings { relays, keys, wallet, network, .. } = settings(url)?;
        let relay = Arc::new(Relay::start(Wire { relays, keys, wallet }));
        Ok(Arc::new(Owner { relay, network }))
    }
}

fn settings(url: &NodeUrl) -> Result<Settings, OpenError> {
    let (url, was_kept) = unpack(url)?;
    let address = Address::parse(NAME, &url, EXAMPLE)?;
    let wallet = PublicKey::from_hex(&address.host)
        .map_err(|_| bad(NAME, "wallet's key", "must be 64 hexadecimal digits"))?;
    if address.port.is_some() {
        return Err(bad(NAME, "port", "is not possible after the wallet's key"));
    }
    let mut parameters = address.only_parameters()?;
    let relays = parameters.take_all("relay");
    let relays: Vec<Web> = relays.iter().map(|relay| web(relay)).collect::<Result<_, _>>()?;
    if relays.is_empty() {
        return Err(bad(NAME, "relay", "is missing; copy the whole URL that the wallet shows"));
    }
    let keys = secret(&mut parameters, was_kept)?;
    parameters.take("lud16");
    let network = match parameters.take("network") {
        None => None,
        Some(name) => Some(name.parse().map_err(|error| bad(NAME, "network", format!("{error}")))?),
    };
    let any_fee = match parameters.take("fees").as_deref() {
        None => false,
        Some("wallet") => true,
        Some(_) => return Err(bad(NAME, "fees", "can be `wallet` only")),
    };
    parameters.finish(KNOWN)?;
    Ok(Settings { relays, keys, wallet, network, any_fee })
}

/// The URL that the wallet shows, and whether it was kept at a place: then its secret may stand in it.
fn unpack(url: &NodeUrl) -> Result<(NodeUrl, bool), OpenError> {
    let rest = url.expose().split_once(':').map_or("", |(_scheme, rest)| rest);
    if rest.starts_with("//") {
        return Ok((url.clone(), false));
    }
    let (place, more) = rest.split_once('?').unwrap_or((rest, ""));
    let kept =
        match (place.strip_prefix("file:"), url.secret(place)) {
            (Some(path), _) => Zeroizing::new(std::fs::read_to_string(path).map_err(|error| {
                bad(NAME, "url", format!("cannot be read from {path}: {error}"))
            })?),
            (None, Some(secret)) => Zeroizing::new(secret.expose().clone()),
            (None, None) => return Err(bad(NAME, "url", format!("looks like {EXAMPLE}"))),
        };
    let kept = kept.trim();
    if !kept.starts_with("nostr+walletconnect://") {
        let problem = format!("is no nostr+walletconnect:// URL in {place}");
        return Err(bad(NAME, "url", problem));
    }
    let joint = if kept.contains('?') { '&' } else { '?' };
    let whole = if more.is_empty() { kept.to_owned() } else { format!("{kept}{joint}{more}") };
    Ok((NodeUrl::new(whole), true))
}

/// The secret: in a URL that was kept, as wallets write it, or in a place of its own.
fn secret(parameters: &mut Parameters, was_kept: bool) -> Result<Keys, OpenError> {
    let wrong = |what: String| bad(NAME, "secret", what);
    let (kept, secret) = match parameters.take_plain_or_secret("secret", was_kept)? {
        Some(Either::Plain(text)) => ("the wallet's URL".to_owned(), Zeroizing::new(text)),
        Some(Either::Kept(kept)) => {
            let text = kept.read().map_err(|error| wrong(format!("cannot be read: {error}")))?;
            (kept.to_string(), text)
        }
        None => {
            return Err(wrong("is missing; copy the whole URL that the wallet shows".to_owned()));
        }
    };
    let secret = SecretKey::from_hex(secret.trim())
        .map_err(|_| wrong(format!("in {kept} is not 64 hexadecimal digits")))?;
    Ok(Keys::new(secret))
}

/// A relay: `wss://`, or `ws://` on this machine.
fn web(relay: &str) -> Result<Web, OpenError> {
    let wrong = || bad(NAME, "relay", "must be wss://host/path, or ws:// on this machine");
    let url = Url::parse(relay).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    let trust = match url.scheme() {
        "wss" => Some(Trust::public()),
        "ws" => None,
        _ => return Err(wrong()),
    };
    let port = url.port_or_known_default().ok_or_else(wrong)?;
    Ok(Web::new(host, port, trust)
        .at_path(&url[url::Position::BeforePath..url::Position::AfterQuery]))
}
