//! `nostr+walletconnect://…`: any wallet that speaks Nostr Wallet Connect (NIP-47). Requests and
//! answers are encrypted events that a relay passes on; the URL is the one that the wallet shows.
//!
//! What this file decides is what the URL says and what the wallet can do for us.

mod relay;
mod wallet;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Driver, Network, Node, NodeErrorKind, NodeUrl, OpenError};
use nostr::key::{Keys, PublicKey, SecretKey};
use url::Url;

use crate::address::{Address, Parameters, bad};
use crate::http::{Trust, Web};
use crate::remote::{Invoicing, Paying};

use relay::{Relay, Wire};
use wallet::Wallet;
use wire::{Info, Trouble};

const NAME: &str = "nwc";
const SCHEME: &str = "nostr+walletconnect";
const EXAMPLE: &str = "nostr+walletconnect://<wallet's key>?relay=wss://relay.example&secret=file:/home/me/nwc.secret";
const KNOWN: &str = "a nostr+walletconnect URL takes relay, secret, lud16, network and fees";

/// The driver of `nostr+walletconnect:` URLs.
///
/// Beside the `relay`, `secret` and `lud16` that a wallet puts there, it takes
///
/// | parameter | meaning |
/// |---|---|
/// | `secret` | `file:/path` as well, for a URL without a secret in it |
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
        let relay = Relay::start(wire);
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
        let can = |method: &str| info.methods.iter().any(|known| known == method);
        let lookup = can("lookup_invoice");
        let (pays, is_paid) = (lookup && can("pay_invoice"), lookup && can("make_invoice"));
        if !pays && !is_paid {
            return Err(wire::error(NodeErrorKind::Unauthorized, Trouble::Useless).into());
        }
        let wallet = Arc::new(Wallet { relay, network, any_fee });
        Ok(Node {
            payer: pays.then(|| Arc::new(Paying::new(Arc::clone(&wallet))) as _),
            invoicer: is_paid.then(|| Arc::new(Invoicing(wallet)) as _),
        })
    }
}

fn settings(url: &NodeUrl) -> Result<Settings, OpenError> {
    let address = Address::parse(NAME, url, EXAMPLE)?;
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
    let keys = secret(&mut parameters)?;
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

/// The secret: in the URL, as wallets write it, or in a file.
fn secret(parameters: &mut Parameters) -> Result<Keys, OpenError> {
    let wrong = |what: String| bad(NAME, "secret", what);
    let Some(value) = parameters.take("secret") else {
        return Err(wrong("is missing; copy the whole URL that the wallet shows".to_owned()));
    };
    let text = match value.strip_prefix("file:") {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("cannot be read from {path}: {error}")))?,
        None => value,
    };
    let secret = SecretKey::from_hex(text.trim())
        .map_err(|_| wrong("must be 64 hexadecimal digits, or file:/path to them".to_owned()))?;
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
