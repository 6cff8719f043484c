//! What the commands of `tollway node` have in common: which node they are about, how they fail, and
//! the doctor's rules.

pub(crate) mod allowed;
pub(crate) mod doctor;
mod failure;
pub(crate) mod paper;
mod setup_failure;
pub(crate) mod setup_lnd;
pub(crate) mod table;
pub(crate) mod words;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use l402::{NodeUrl, Operator};

pub(crate) use failure::NodeFailure;
pub(crate) use setup_failure::SetupFailure;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::shell::Shell;
use crate::{log, nodes, settings};

// The node that a command is about.
#[derive(Args)]
pub(crate) struct NodeFlag {
    /// The node; docs/nodes.md has the URL of each kind
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,
}

impl NodeFlag {
    /// Its URL, for a command that does `what` with it: the flag's, the environment's, the one in the
    /// user's settings, or else that of the purse that runs where one usually does.
    pub(crate) fn url(&self, what: &'static str, shell: &Shell) -> Result<NodeUrl, Failure> {
        match self.named(what, shell) {
            Err(Failure::NoNode(_)) => {}
            named => return named,
        }
        let socket = shell.purse_socket().ok().filter(|socket| socket.exists());
        let running = socket.map(|socket| NodeUrl::new(format!("purse:{}", socket.display())));
        running.ok_or(Failure::NoNode(what))
    }

    /// Its owner's side, for a command that does `what` with it.
    pub(crate) async fn operate(
        &self,
        what: &'static str,
        shell: &Shell,
    ) -> Result<Arc<dyn Operator>, Failure> {
        log::start(shell, "warn");
        Ok(nodes::operate(&self.url(what, shell)?, shell).await?)
    }

    /// As [`NodeFlag::url`], for a command that is about the node itself and not about a purse over it.
    pub(crate) fn named(&self, what: &'static str, shell: &Shell) -> Result<NodeUrl, Failure> {
        let named = match &self.node {
            Some(node) => Some(node.clone()),
            None => Settings::load(shell)?.node,
        };
        named.map(NodeUrl::new).ok_or(Failure::NoNode(what))
    }
}

/// Makes a node the one in the user's settings, unless another one is there. The file, when it is in
/// it now.
pub(crate) fn remember(url: &str, shell: &Shell) -> Result<Option<PathBuf>, Failure> {
    let Some(file) = shell.settings_file() else { return Ok(None) };
    let failed = |source| Failure::Io { what: format!("writing {}", file.display()), source };
    let there = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let settings: toml::Table = toml::from_str(&there).unwrap_or_default();
    match settings.get("node").map(|node| node.as_str()) {
        Some(node) if node == Some(url) => return Ok(Some(file)),
        Some(_) => return Ok(None),
        None => {}
    }
    // A key of no table stands before all tables.
    let line = toml::Value::String(url.to_owned());
    let text = format!("node = {line}\n{there}");
    settings::write(&file, &text).map_err(failed)?;
    Ok(Some(file))
}
