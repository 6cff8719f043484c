//! `tollway admin reload`: has a gateway read its configuration again, and says what came of it.

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use http::Method;

use crate::admin::{Door, Report, text, yes};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{GOOD, escape, paint};

/// `tollway admin reload`.
#[derive(Debug)]
pub(crate) struct AdminReload;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
A configuration with a mistake changes nothing, and every mistake is named.

Examples:
  tollway admin reload
  tollway admin reload --admin unix:/run/tollway/admin.sock --credential file:all.credential";

#[async_trait]
impl Command for AdminReload {
    fn name(&self) -> &'static str {
        "admin reload"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Have a gateway read its configuration again";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let client = args.door.open(shell)?;
        let json = client.send(Method::POST, "/v1/reload", None, None).await?.json;
        let later = text(&json, "/at_next_start");
        let (services, generation) = (text(&json, "/services"), text(&json, "/generation"));
        let text = match yes(&json, "/changed") {
            true => {
                let noun = if services == "1" { "service is" } else { "services are" };
                format!("{} {noun} in force, generation {generation}", paint(GOOD, services))
            }
            false => format!("it says what is in force already, generation {generation}"),
        };
        if !later.is_empty() {
            let later = escape(&later);
            shell.say(&format!("hint: takes effect at the next start only: {later}"));
        }
        Ok(Output::new(&Report { text, json }))
    }
}
