//! Every node driver there is, and how a URL on the command line, in the environment or in a
//! configuration file becomes an open node.

use std::sync::Arc;

use l402::{Driver, Invoicer, Node, NodeUrl, Payer, node};
use tollway_ldk::Ldk;

use crate::failure::Failure;
use crate::shell::Shell;

/// The embedded node, and whatever else can be driven.
fn drivers() -> Vec<&'static dyn Driver> {
    let embedded: &dyn Driver = &Ldk;
    tollway_nodes::DRIVERS.iter().copied().chain([embedded]).collect()
}

/// Opens whatever the URL names. A path in it may begin with `~/`.
pub(crate) async fn open(url: &NodeUrl, shell: &Shell) -> Result<Node, l402::OpenError> {
    node::open(&at_home(url, shell), &drivers()).await
}

/// The half that can spend.
pub(crate) async fn open_payer(
    url: &NodeUrl,
    shell: &Shell,
) -> Result<Arc<dyn Payer>, l402::OpenError> {
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

fn cannot(url: &NodeUrl, what: &str) -> l402::OpenError {
    let drivers = drivers();
    let driver = drivers.iter().find(|driver| driver.schemes().contains(&url.scheme()));
    let driver = driver.and_then(|driver| driver.schemes().first().copied()).unwrap_or("node");
    l402::OpenError::BadUrl {
        driver,
        parameter: "node".to_owned(),
        problem: format!("cannot {what} with what this URL allows; give it a credential that may"),
    }
}

fn at_home(url: &NodeUrl, shell: &Shell) -> NodeUrl {
    let text = url.expose();
    match (text.split_once(":~/"), shell.home()) {
        (Some((scheme, rest)), Some(home)) => {
            NodeUrl::new(format!("{scheme}:{}/{rest}", home.display()))
        }
        _ => url.clone(),
    }
}
