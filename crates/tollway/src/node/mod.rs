//! What the commands of `tollway node` have in common: which node they are about, how they fail, and
//! the doctor's rules.

pub(crate) mod doctor;
mod failure;
pub(crate) mod table;

use clap::Args;
use l402::NodeUrl;

pub(crate) use failure::NodeFailure;

use crate::failure::Failure;

/// The node that a command is about.
#[derive(Args)]
pub(crate) struct NodeFlag {
    /// The node; docs/nodes.md has the URL of each kind
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,
}

impl NodeFlag {
    /// Its URL, for a command that does `what` with it.
    pub(crate) fn url(&self, what: &'static str) -> Result<NodeUrl, Failure> {
        self.node.as_ref().map(NodeUrl::new).ok_or(Failure::NoNode(what))
    }
}
