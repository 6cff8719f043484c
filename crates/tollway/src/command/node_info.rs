//! `tollway node info`: who a node is and how it does.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::About;
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{BAD, STRONG, escape, paint};

/// `tollway node info`.
#[derive(Debug)]
pub(crate) struct NodeInfo;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
Examples:
  tollway node info --node 'lnd://127.0.0.1:8080?cert=file:/home/me/.lnd/tls.cert&macaroon=file:/home/me/readonly.macaroon'
  tollway node info --format json";

#[async_trait]
impl Command for NodeInfo {
    fn name(&self) -> &'static str {
        "node info"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show who a node is, and whether it is in step with the chain";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let node = args.node.operate("look at", shell).await?;
        let about = node.about().await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report { driver: node.driver(), about }))
    }
}

#[derive(Serialize)]
struct Report {
    driver: &'static str,
    #[serde(flatten)]
    about: About,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About { id, alias, version, network, height, synced, peers, clock_ahead_s } =
            &self.about;
        writeln!(f, "driver   {}", self.driver)?;
        if let Some(id) = id {
            writeln!(f, "id       {}", paint(STRONG, id))?;
        }
        if let Some(alias) = alias {
            writeln!(f, "alias    {}", escape(alias))?;
        }
        if let Some(version) = version {
            writeln!(f, "version  {}", escape(version))?;
        }
        if let Some(network) = network {
            writeln!(f, "network  {network}")?;
        }
        if let Some(height) = height {
            let behind = match synced {
                Some(false) => format!(" {}", paint(BAD, "(behind the chain)")),
                Some(true) => " (in step with the chain)".to_owned(),
                None => String::new(),
            };
            writeln!(f, "block    {height}{behind}")?;
        }
        if let Some(peers) = peers {
            writeln!(f, "peers    {peers}")?;
        }
        if let Some(ahead) = clock_ahead_s.filter(|ahead| ahead.abs() > 1) {
            writeln!(f, "clock    {ahead} s ahead of this machine's")?;
        }
        Ok(())
    }
}
