//! `tollway admin health`: asks a gateway how it is, and ends with 1 when something is not in order.

use async_trait::async_trait;
use clap::{ArgMatches, Args};

use crate::admin::{Door, Report, Table, text, yes};
use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway admin health`.
#[derive(Debug)]
pub(crate) struct AdminHealth;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
Examples:
  tollway admin health
  tollway admin health --format json --admin unix:/run/tollway/admin.sock";

#[async_trait]
impl Command for AdminHealth {
    fn name(&self) -> &'static str {
        "admin health"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "See whether node, store, configuration and upstreams are in order";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let json = args.door.open(shell)?.get("/v1/health").await?.json;
        let mut table = Table::new(&["", "", ""]);
        let mut unwell = Vec::new();
        let mut part = |name: String, well: bool, more: String| {
            table.row([name.clone(), if well { "ok" } else { "NOT OK" }.to_owned(), more]);
            if !well {
                unwell.push(name);
            }
        };
        for name in ["node", "store"] {
            let more = match text(&json[name], "/error") {
                none if none == "-" => {
                    format!("{}, {} ms", text(&json[name], "/kind"), json[name]["took_ms"])
                }
                error => error,
            };
            part(name.to_owned(), yes(&json[name], "/ok"), more);
        }
        let (config, since) = (&json["config"], text(&json, "/config/since"));
        let mut more = format!("generation {}, since {since}", config["generation"]);
        let later = text(config, "/at_next_start");
        if !later.is_empty() {
            more.push_str(&format!("; at the next start only: {later}"));
        }
        part("configuration".to_owned(), yes(config, "/ok"), more);
        for upstream in json["upstreams"].as_array().into_iter().flatten() {
            let name = format!("{} at {}", text(upstream, "/service"), text(upstream, "/server"));
            let is = |what| yes(upstream, what);
            let more = match (is("/reachable"), is("/in_use"), is("/healthy")) {
                (false, ..) => "cannot be reached",
                (true, false, _) => "left alone for a while",
                (true, true, false) => "did not answer the last requests",
                (true, true, true) => "",
            };
            part(name, yes(upstream, "/ok"), more.to_owned());
        }
        let (version, since) = (text(&json, "/version"), text(&json, "/started"));
        let text = format!("tollway {version}, since {since}\n{table}");
        let exit = if unwell.is_empty() { Exit::Ok } else { Exit::General };
        if !unwell.is_empty() {
            shell.say(&format!("not in order: {}", escape(&unwell.join(", "))));
        }
        Ok(Output::new(&Report { text, json }).with_exit(exit))
    }
}
