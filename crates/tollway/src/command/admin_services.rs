//! `tollway admin services`: lists the services of a gateway that runs, as its file has them.

use async_trait::async_trait;
use clap::{ArgMatches, Args};

use crate::admin::{Door, Report, Table, text, yes};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway admin services`.
#[derive(Debug)]
pub(crate) struct AdminServices;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
In the order in which they stand in the file.

Examples:
  tollway admin services --admin http://127.0.0.1:8403 --credential file:all.credential
  tollway admin services --format json";

#[async_trait]
impl Command for AdminServices {
    fn name(&self) -> &'static str {
        "admin services"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "List the services of a gateway that runs";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let json = args.door.open(shell)?.get("/v1/services").await?.json;
        let mut table = Table::new(&["NAME", "HOST", "PATH", "PRICE", "UPSTREAM"]);
        for service in json["services"].as_array().into_iter().flatten() {
            let price = match (&service["auth"], &service["pricer"]) {
                (auth, _) if auth == "off" => "auth off".to_owned(),
                (_, pricer) if pricer.is_string() => "on request".to_owned(),
                _ => text(service, "/price"),
            };
            let field = |pointer| text(service, pointer);
            let path = if service["path"].is_null() { "/".to_owned() } else { field("/path") };
            table.row([field("/name"), field("/host"), path, price, field("/upstream")]);
        }
        if !yes(&json, "/in_force") {
            shell.say("hint: this is not what is in force; `tollway admin config` says why");
        }
        Ok(Output::new(&Report { text: table.to_string(), json }))
    }
}
