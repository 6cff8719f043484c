//! `tollway nwc list`: who may use the node by Nostr Wallet Connect, and how far.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use clap::ArgMatches;
use l402::Msat;
use serde::Serialize;
use tollway_purse::nwc::{Connection, Connections};

use crate::command::{Command, nwc_add::BOOK};
use crate::failure::Failure;
use crate::node::table;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;
use crate::{log, utc};

/// `tollway nwc list`.
#[derive(Debug)]
pub(crate) struct NwcList;

const AFTER_HELP: &str = "\
Examples:
  tollway nwc list
  tollway nwc list --format json";

#[async_trait]
impl Command for NwcList {
    fn name(&self) -> &'static str {
        "nwc list"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        command
            .about("List the connections, with what each may spend and has spent")
            .after_help(AFTER_HELP)
    }

    async fn run(&self, _args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        log::start(shell, "warn");
        let connections = Connections::open(shell.need_folder()?.join(BOOK)).await?;
        let rows = connections.list().await?.iter().map(Row::new).collect();
        Ok(Output::new(&Report { connections: rows }))
    }
}

#[derive(Serialize)]
struct Report {
    connections: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    /// Absent where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_msat: Option<Msat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal_period: Option<&'static str>,
    used_msat: Msat,
    relays: Vec<String>,
    created_at: String,
    #[serde(skip)]
    budget: String,
}

impl Row {
    fn new(connection: &Connection) -> Self {
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(connection.created);
        let budget = connection.budget;
        Self {
            name: connection.name.clone(),
            budget_msat: budget.map(|budget| budget.amount),
            renewal_period: budget.map(|budget| budget.period.word()),
            used_msat: connection.used,
            relays: connection.relays.clone(),
            created_at: utc::date(created),
            budget: budget.map_or_else(|| "unlimited".to_owned(), |budget| budget.to_string()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.connections.is_empty() {
            return write!(f, "no connections; `tollway nwc add` makes one");
        }
        let heading = ["NAME", "BUDGET", "USED", "SINCE", "RELAYS"];
        let mut rows = vec![heading.map(str::to_owned)];
        for row in &self.connections {
            rows.push([
                escape(&row.name),
                row.budget.clone(),
                row.used_msat.to_string(),
                row.created_at.clone(),
                escape(&row.relays.join(" ")),
            ]);
        }
        table::write(f, &rows, &[2])
    }
}
