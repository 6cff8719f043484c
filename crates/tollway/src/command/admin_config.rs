//! `tollway admin config`: shows the configuration that is in force at a gateway, or has another one checked there.

use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use http::Method;
use serde_json::Value;

use crate::admin::{Door, Report, text, yes};
use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{BAD, GOOD, escape, escape_except, paint};

/// `tollway admin config`.
#[derive(Debug)]
pub(crate) struct AdminConfig;

#[derive(Args)]
struct Arguments {
    /// Say what is wrong with this file instead; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,

    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
What may be secret is shown as `(secret)`.

Examples:
  tollway admin config
  tollway admin config --check new.toml";

#[async_trait]
impl Command for AdminConfig {
    fn name(&self) -> &'static str {
        "admin config"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "See the configuration in force, or check another";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let client = args.door.open(shell)?;
        let Some(file) = args.check else {
            let json = client.get("/v1/config").await?.json;
            if !yes(&json, "/in_force") {
                let path = text(&json, "/path");
                shell.say(&format!("hint: {} says something else than this", escape(&path)));
                tell(shell, &json);
            }
            let text = escape_except(&text(&json, "/toml"), &['\n']);
            return Ok(Output::new(&Report { text, json }));
        };
        let body = files::read_input(&file)?.into_bytes();
        let sent = client.send(Method::POST, "/v1/config/check", None, Some(("text/plain", body)));
        let json = sent.await?.json;
        if yes(&json, "/good") {
            let text = paint(GOOD, "the configuration is good");
            return Ok(Output::new(&Report { text, json }));
        }
        tell(shell, &json);
        let text = paint(BAD, "the configuration has mistakes");
        Ok(Output::new(&Report { text, json }).with_exit(Exit::Usage))
    }
}

/// Every mistake, line by line.
fn tell(shell: &Shell, json: &Value) {
    for mistake in json["mistakes"].as_array().into_iter().flatten() {
        let message = escape(&text(mistake, "/message"));
        shell.say(&format!("line {}: {message}", mistake["line"]));
    }
}
