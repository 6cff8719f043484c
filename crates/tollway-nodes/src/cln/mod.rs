//! `cln:/path/lightning-rpc` and `cln+https://host:port?rune=…&cert=…`: Core Lightning, by its Unix
//! socket or by CLNRest. Both carry the same commands.
//!
//! What this file decides is where the node is, what the rune allows and whether the node is ready.

mod news;
mod node;
mod owner;
mod rpc;
mod rune;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use l402::{Driver, Node, NodeErrorKind, NodeUrl, OpenError, Operator};

use crate::address::{self, Parameters, bad};
use crate::remote::{Invoicing, News, Paying};

use node::Cln;
use owner::Owner;
use rpc::{Rpc, Trouble};
use rune::{BUYER, SELLER};
use wire::Info;

const NAME: &str = "cln";
const SOCKET_EXAMPLE: &str = "cln:/home/me/.lightning/bitcoin/lightning-rpc";
const REST_EXAMPLE: &str =
    "cln+https://127.0.0.1:3010?rune=file:/home/me/buyer.rune&cert=file:/home/me/server.pem";
/// The port that CLNRest has in its documentation.
const PORT: u16 = 3010;

/// The driver of `cln:` and `cln+https:` URLs.
///
/// `cln:` is followed by the path of the node's socket and needs nothing else: whoever may open the
/// socket may do everything. `cln+https:` takes `rune`, the `file:/path` of a rune, and `cert`, the
/// `file:/path` of the node's certificate or of the authority that signed it; without `cert` the
/// public authorities are trusted. Both files are read again when they change. Either takes
/// `private=yes`, which puts the node's private channels into its invoices.
#[derive(Clone, Copy, Debug)]
pub struct ClnDriver;

#[async_trait]
impl Driver for ClnDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["cln", "cln+https"]
    }

    fn example(&self) -> &'static str {
        SOCKET_EXAMPLE
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let (rpc, private) = settings(url)?;
        let (pays, is_paid) = (rpc.lacks(&BUYER)?, rpc.lacks(&SELLER)?);
        if let (Some(buyer), Some(seller)) = (&pays, &is_paid) {
            let useless = Trouble::Useless { buyer: buyer.clone(), seller: seller.clone() };
            return Err(rpc::error(NodeErrorKind::Unauthorized, useless).into());
        }
        let info: Info = rpc.query("getinfo", &serde_json::json!({})).await?;
        let network = info.ready()?;
        let operator = Arc::new(Owner::new(Arc::clone(&rpc)));
        let news = rpc.may_listen()?.then(|| News::of(Arc::clone(&rpc)));
        let cln = Arc::new(Cln::new(rpc, network, private, news));
        Ok(Node {
            payer: pays.is_none().then(|| Arc::new(Paying::new(Arc::clone(&cln))) as _),
            invoicer: is_paid.is_none().then(|| Arc::new(Invoicing(cln)) as _),
            operator: Some(operator),
        })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        let (rpc, _private) = settings(url)?;
        Ok(Arc::new(Owner::new(rpc)))
    }
}

/// The way to the node, and whether invoices name its private channels.
fn settings(url: &NodeUrl) -> Result<(Arc<Rpc>, bool), OpenError> {
    let (rpc, private) = match url.scheme() {
        "cln+https" => rest(url)?,
        _ => socket(url)?,
    };
    Ok((Arc::new(rpc), private))
}

/// `cln:/path`.
fn socket(url: &NodeUrl) -> Result<(Rpc, bool), OpenError> {
    let text = url.expose();
    let text = text.split_once(':').map_or(text, |(_scheme, rest)| rest);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(bad(NAME, "path", format!("must begin with one `/`, as in {SOCKET_EXAMPLE}")));
    }
    let mut parameters = Parameters::parse(NAME, url, query)?;
    let private = parameters.take_yes_or_no("private")?;
    parameters.finish("a cln URL takes private")?;
    Ok((Rpc::at_socket(PathBuf::from(path)), private))
}

/// `cln+https://host:port`.
fn rest(url: &NodeUrl) -> Result<(Rpc, bool), OpenError> {
    let (web, mut parameters) = address::server(NAME, url, REST_EXAMPLE, true, PORT)?;
    let rune = parameters.take_secret("rune")?;
    let private = parameters.take_yes_or_no("private")?;
    parameters.finish("a cln+https URL takes rune, cert and private")?;
    let Some(rune) = rune else {
        let remedy = format!("is missing: `{}`, then rune=file:/path/to/it", BUYER.command());
        return Err(bad(NAME, "rune", remedy));
    };
    Ok((Rpc::by_rest(web, rune), private))
}
